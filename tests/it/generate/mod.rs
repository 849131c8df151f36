//! Clusters, settings, questions and packets that nobody would write by hand.
//!
//! Names and addresses come from small pools, so that what can collide does: shared addresses, a host in two
//! slices, a pod that was made anew, a service called like a host.

mod cluster;
mod packets;
mod questions;
mod settings;

pub(crate) use cluster::{cluster, object};
pub(crate) use packets::Mutator;
pub(crate) use questions::{Question, QuestionSeed, question_seed};
pub(crate) use settings::{ZONES, settings};

/// Namespaces; the first ones are drawn most often. `svc` is a namespace's name that the zone also uses.
const NAMESPACES: [&str; 3] = ["default", "prod", "svc"];

/// Services, and what is called like a host, a dashed address or a branch of the zone.
const SERVICES: [&str; 7] = ["web", "db", "kubia", "web-0", "10-0-0-1", "dns", LONG_LABEL];

/// Hosts and pods.
const HOSTS: [&str; 7] = ["web-0", "web-1", "db-0", "kubia-2", "a", "10-0-0-2", LONG_LABEL];

/// 63 octets: with two of them and a port in front, a name comes near the 255 that it may have.
const LONG_LABEL: &str = "a-label-of-sixty-three-octets-is-the-longest-that-the-dns-knows";

/// In prefixes of the defaults, at their edges, and outside of them.
const V4: [&str; 9] = [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.3",
    "10.0.1.1",
    "10.96.0.10",
    "172.16.0.1",
    "172.32.0.1",
    "192.168.1.17",
    "100.64.0.1",
];
const V6: [&str; 6] = ["fd00::1", "fd00::2", "fd00:10::", "fd40::a:1", "2001:db8::1", "2001:db8:0:1:1:1:1:1"];
