//! What the whole zone depends on; a reload replaces it while queries go on.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::reverse::ReversePrefix;
use crate::records::Hold;
use crate::wire::Name;

/// Times to live in seconds, each 0 to 3600.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl {
    /// Of records.
    pub positive: u16,
    /// Of the SOA record in an answer that says a name or a type is not there (RFC 2308, section 3).
    pub negative: u16,
    /// The same for a name that a StatefulSet says should be there and is not yet.
    pub expected: u16,
}

/// The order of the records of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Each answer starts one record further.
    #[default]
    Rotate,
    /// By replica number.
    Ordinal,
    /// Shuffled (a random start for sets of more than 4096 records).
    Random,
}

/// Names of pods by address: `10-244-0-2.default.pod.<zone>`; the CoreDNS `kubernetes` plugin's `pods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodNames {
    /// There are none.
    #[default]
    Disabled,
    /// Any address in a known namespace is answered, pod or not.
    Insecure,
    /// Only addresses of pods.
    Verified,
}

/// Which names the reverse of an endpoint's address gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PtrNames {
    /// One a service; those that the endpoint's `hostname` makes come first.
    #[default]
    All,
    /// Only those that the endpoint's `hostname` makes.
    Governing,
}

/// How far the records may be believed: they are the last known ones, where their source is away (RFC 8767 does the
/// like for caches).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freshness {
    /// They are what the source says.
    #[default]
    Fresh,
    /// They were: no answer may be remembered for longer than these seconds, whether it says something or denies it.
    Stale {
        /// 0 to 3600; where the records' own times are shorter they stay.
        ttl_cap: u16,
    },
    /// They are too old to be said: SERVFAIL, so that whoever asks tries another server.
    Expired,
}

/// A name server of the zones.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Nameserver {
    pub name: Name,
    /// Served where the name is within the zone.
    pub addresses: Vec<IpAddr>,
}

/// Where DNS Push Notifications are to be had: the SRV record at `_dns-push-tls._tcp.<zone>` (RFC 8765, section 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Discovery {
    pub target: Name,
    pub port: u16,
}

/// What the whole zone depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The cluster domain.
    pub zone: Name,
    /// Defaults for what no annotation overrides.
    pub ttl: Ttl,
    /// The order of records.
    pub order: Order,
    /// Names of pods.
    pub pods: PodNames,
    /// Names of addresses.
    pub ptr: PtrNames,
    /// The prefixes whose reverse names are ours to deny.
    pub reverse: Vec<IpNet>,
    /// At least one.
    pub nameservers: Vec<Nameserver>,
    /// What `id.server` and the like say in class CH (RFC 4892); None is REFUSED.
    pub identity: Option<Box<str>>,
    /// The only namespaces served; None is all. Names of other ones are REFUSED.
    pub namespaces: Option<Vec<Box<str>>>,
    /// An upstream is configured: ExternalName targets outside the zones are looked up for RD=1.
    pub upstream: bool,
    /// Who is told why an answer is empty.
    pub explain: Explain,
    /// None: there is no such record.
    pub discovery: Option<Discovery>,
    /// Which questions wait.
    pub holding: Holding,
}

/// Which questions for replicas that are not ready yet wait for them, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// Those below every Service that does not say otherwise; else those below Services that say so.
    pub all: bool,
    /// Milliseconds, at most; 0 is none of them.
    pub longest: u16,
}

impl Holding {
    /// For how many milliseconds questions below a Service wait that says this of it; None is not at all.
    #[must_use]
    pub fn of(self, said: Option<Hold>) -> Option<u16> {
        let wanted = match said {
            Some(Hold::Never) => return None,
            Some(Hold::For(milliseconds)) => milliseconds.min(self.longest),
            Some(Hold::AsConfigured) => self.longest,
            None => self.all.then_some(self.longest)?,
        };
        (wanted > 0).then_some(wanted)
    }
}

/// How much of the reason for an answer a client is told, in Extended DNS Errors (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    /// Nothing.
    Off,
    /// Codes that say something by themselves.
    #[default]
    Codes,
    /// Codes and sentences, which name objects of the cluster.
    Full,
}

/// Who is told how much.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explain {
    /// Clients that no prefix has.
    pub others: Answers,
    /// The longest prefix that has the client counts; they stand first.
    prefixes: Vec<(IpNet, Answers)>,
}

impl Explain {
    /// Tells clients of these prefixes as much, and others as much.
    #[must_use]
    pub fn new(others: Answers, mut prefixes: Vec<(IpNet, Answers)>) -> Self {
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.prefix_len()));
        Self { others, prefixes }
    }

    /// How much a client is told; None is one whose address nobody knows.
    #[must_use]
    pub fn answers_for(&self, client: Option<IpAddr>) -> Answers {
        let Some(client) = client.map(|client| client.to_canonical()) else { return self.others };
        let own = self.prefixes.iter().find(|(prefix, _)| prefix.contains(&client));
        own.map_or(self.others, |(_, answers)| *answers)
    }

    /// Whether anybody is told sentences.
    #[must_use]
    pub fn is_full_for_somebody(&self) -> bool {
        self.others == Answers::Full || self.prefixes.iter().any(|(_, answers)| *answers == Answers::Full)
    }
}

/// [`Settings`] in the form that answers are written from.
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    pub(crate) zone: Box<[u8]>,
    pub(crate) zone_labels: usize,
    /// `svc` and the zone: what follows the key of a service in its name.
    pub(crate) svc_zone: Box<[u8]>,
    pub(crate) reverse: Vec<ReversePrefix>,
    pub(crate) namespaces: Option<HashSet<Box<[u8]>>>,
    pub(crate) nameservers: Vec<PreparedServer>,
    /// The SRV record's data.
    pub(crate) discovery: Option<Box<[u8]>>,
    /// MNAME and RNAME (RFC 1035, section 3.3.13).
    pub(crate) soa_names: Box<[u8]>,
    /// REFRESH, RETRY, EXPIRE, MINIMUM.
    pub(crate) soa_times: [u8; 16],
}

pub(crate) struct PreparedServer {
    pub(crate) name: Name,
    pub(crate) within: bool,
    pub(crate) v4: Vec<Ipv4Addr>,
    pub(crate) v6: Vec<Ipv6Addr>,
}

/// Secondaries that were told to transfer the zone would ask this often; nobody else reads these.
const REFRESH: u32 = 7200;
const RETRY: u32 = 1800;
const EXPIRE: u32 = 86400;

impl Prepared {
    pub(crate) fn new(settings: Settings) -> Self {
        let zone: Box<[u8]> = settings.zone.as_wire().into();
        let nameservers: Vec<PreparedServer> = settings
            .nameservers
            .iter()
            .map(|server| PreparedServer {
                name: server.name.clone(),
                within: server.name.is_within(&settings.zone),
                v4: server
                    .addresses
                    .iter()
                    .filter_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None })
                    .collect(),
                v6: server
                    .addresses
                    .iter()
                    .filter_map(|a| if let IpAddr::V6(a) = a { Some(*a) } else { None })
                    .collect(),
            })
            .collect();
        let primary = nameservers.first().map_or(&*zone, |server| server.name.as_wire());
        // `hostmaster` in front of a zone that is too long for it: the zone itself.
        let responsible =
            Name::under(&[b"hostmaster"], &settings.zone).unwrap_or_else(|_| settings.zone.clone());
        let times = [REFRESH, RETRY, EXPIRE, u32::from(settings.ttl.negative)];
        let mut soa_times = [0; 16];
        for (to, time) in soa_times.chunks_exact_mut(4).zip(times) {
            to.copy_from_slice(&time.to_be_bytes());
        }
        let srv = |discovery: &Discovery| -> Box<[u8]> {
            [&[0, 0, 0, 0][..], &discovery.port.to_be_bytes()[..], discovery.target.as_wire()].concat().into()
        };
        Self {
            discovery: settings.discovery.as_ref().map(srv),
            zone_labels: settings.zone.label_count(),
            svc_zone: [b"\x03svc", &*zone].concat().into(),
            reverse: settings.reverse.iter().map(|net| ReversePrefix::new(*net)).collect(),
            namespaces: settings
                .namespaces
                .as_ref()
                .map(|names| names.iter().map(|name| name.as_bytes().into()).collect()),
            soa_names: [primary, responsible.as_wire()].concat().into(),
            soa_times,
            nameservers,
            zone,
            settings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let prefix = |text: &str, answers| (text.parse::<IpNet>().unwrap(), answers);
        let explain = Explain::new(
            Answers::Codes,
            vec![
                prefix("10.0.0.0/8", Answers::Full),
                prefix("10.1.0.0/16", Answers::Off),
                prefix("fd00::/8", Answers::Full),
            ],
        );
        let told = |client: &str| explain.answers_for(Some(client.parse().unwrap()));
        assert_eq!((told("10.2.0.1"), told("10.1.0.1")), (Answers::Full, Answers::Off));
        assert_eq!((told("fd00::1"), told("192.0.2.1")), (Answers::Full, Answers::Codes));
        assert_eq!(told("::ffff:10.2.0.1"), Answers::Full, "of a socket for both families");
        assert_eq!(explain.answers_for(None), Answers::Codes);
        assert!(explain.is_full_for_somebody());
        assert!(
            !Explain::new(Answers::Codes, vec![prefix("10.0.0.0/8", Answers::Off)]).is_full_for_somebody()
        );
    }
}
