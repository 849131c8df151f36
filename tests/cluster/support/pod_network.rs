//! What a pod's shell needs: a network namespace from which nothing leads out, with a resolver at port 53 of
//! the other end of its one link, and every pod address answered by itself.
//!
//! The servers run outside, where the API server is, and listen at the link's outer address.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use super::processes::after_the_end;

/// The two places a pod can be in, by the server its resolv.conf names.
#[derive(Debug)]
pub(crate) struct PodNetwork {
    /// Asks rollcall itself.
    pub(crate) direct: Place,
    /// Asks CoreDNS, which has our stub.
    pub(crate) stub: Place,
}

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    outer: Ipv4Addr,
}

impl PodNetwork {
    /// The one of this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<PodNetwork> = OnceLock::new();
        SHARED.get_or_init(|| {
            let third = free_network();
            let process = std::process::id();
            Self {
                direct: Place::make(format!("rc{process}d"), Ipv4Addr::new(198, 18, third, 1)),
                stub: Place::make(format!("rc{process}s"), Ipv4Addr::new(198, 18, third, 5)),
            }
        })
    }
}

impl Place {
    /// Where the server listens that this place's resolv.conf names.
    pub(crate) fn server(&self) -> SocketAddr {
        (self.outer, 53).into()
    }

    /// The name of the network namespace.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn make(name: String, outer: Ipv4Addr) -> Self {
        let inner = Ipv4Addr::from(u32::from(outer) + 1);
        // The interface has the namespace's name: at most 15 octets, which a process id of 7 digits leaves
        // room for.
        let outer_link = format!("{outer}/30");
        let inner_link = format!("{inner}/30");
        ip(&["netns", "add", &name]);
        after_the_end(&format!("ip netns del {name}"));
        ip(&["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        ip(&["addr", "add", &outer_link, "dev", &name]);
        ip(&["link", "set", &name, "up"]);
        let within = |arguments: &[&str]| ip(&[&["-n", name.as_str()], arguments].concat());
        within(&["link", "set", "lo", "up"]);
        within(&["addr", "add", &inner_link, "dev", "eth0"]);
        within(&["link", "set", "eth0", "up"]);
        // Pods answer when they are pinged, and nothing is sent beyond.
        within(&["route", "add", "local", "10.244.0.0/16", "dev", "lo"]);
        // getaddrinfo with AI_ADDRCONFIG looks for IPv6 only where there is an address beside the loopback's.
        within(&["-6", "addr", "add", "fd00:10:244:1::1/128", "dev", "lo"]);
        within(&["-6", "route", "add", "local", "fd00:10:244::/64", "dev", "lo"]);
        Self { name, outer }
    }
}

/// The third octet of a network in 198.18.0.0/16 (for tests between networks, RFC 2544) that no interface
/// has, and that is given to nobody else in this process.
pub(super) fn free_network() -> u8 {
    static GIVEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap();
    let shown = Command::new("ip").args(["-o", "-4", "addr", "show"]).output().expect("ip");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    // Two processes that look at the same time, and have numbers near each other, begin far from each other.
    let first = std::process::id() % 250 * 97;
    let mut all = (0..250).map(|step| u8::try_from((first + step) % 250).unwrap());
    let is_free = |third: &u8| !given.contains(third) && !shown.contains(&format!(" 198.18.{third}."));
    let third = all.find(is_free).expect("a free network");
    given.push(third);
    third
}

/// Runs `ip`.
///
/// # Panics
/// With its standard error when it fails.
pub(super) fn ip(arguments: &[&str]) {
    let run = Command::new("ip").args(arguments).output().expect("ip");
    let error = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "ip {}: {error} (these tests need root)", arguments.join(" "));
}
