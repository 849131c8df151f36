//! The slow and obvious server: what names.md says, without an index, a cache or an encoder.
//!
//! It writes every record of the whole cluster into one flat list, and then looks a name up in it the way a
//! textbook does. It exists to disagree with `src/records` and `src/zone`, so it shares nothing with them but
//! the model's types: where the two differ, one of them has misread the contract.

mod answer;
mod cluster;
mod name;
mod records;

use std::net::IpAddr;

pub(crate) use answer::{Expected, World};
pub(crate) use cluster::{apply, current, dashed, same_object};
pub(crate) use name::Name;
pub(crate) use records::{Rdata, Record, reverse_name};

/// The settings that change an answer.
#[derive(Debug, Clone)]
pub(crate) struct OracleSettings {
    /// The cluster domain.
    pub(crate) zone: Name,
    /// The name servers; the addresses belong to those that lie in the zone.
    pub(crate) name_servers: Vec<Name>,
    /// What the in-zone name servers resolve to.
    pub(crate) name_server_addresses: Vec<IpAddr>,
    /// Seconds, for records.
    pub(crate) positive: u32,
    /// Seconds, for names and types that are not there.
    pub(crate) negative: u32,
    /// Seconds, for replicas that should be there.
    pub(crate) expected: u32,
    /// Prefixes whose reverse names are ours: an address and a length.
    pub(crate) reverse: Vec<(IpAddr, u8)>,
    /// What `pod.<zone>` answers.
    pub(crate) pods: Pods,
    /// Whether an endpoint without `hostname` is called after its pod.
    pub(crate) endpoint_pod_names: bool,
    /// Whether only endpoints with `hostname` have PTR records.
    pub(crate) governing_only: bool,
    /// The only namespaces served; None is all.
    pub(crate) namespaces: Option<Vec<String>>,
    /// Where DNS Push Notifications are to be had, if at all: a name server, or a name outside the zone; and the port.
    pub(crate) discovery: Option<(Name, u16)>,
}

impl OracleSettings {
    /// The SOA that every apex has, but for the serial.
    pub(crate) fn soa_data(&self) -> Rdata {
        Rdata::Soa {
            mname: self.name_servers[0].clone(),
            rname: self.zone.below("hostmaster"),
            times: [7200, 1800, 86400, self.negative],
        }
    }
}

/// `pods = …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pods {
    Disabled,
    Insecure,
    Verified,
}

/// Type numbers (RFC 1035, 2782, 3596, 8482).
pub(crate) mod qtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const CNAME: u16 = 5;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const SRV: u16 = 33;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
}

/// Response codes (RFC 1035, section 4.1.1).
pub(crate) mod rcode {
    pub(crate) const NOERROR: u16 = 0;
    pub(crate) const NXDOMAIN: u16 = 3;
    pub(crate) const REFUSED: u16 = 5;
}
