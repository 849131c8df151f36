//! A network that pods are plugged into: a network namespace each, at the pod's address, on one switch.
//!
//! Beside its own address a pod has one of the machine's end of the network, where the servers listen: so the pods'
//! range needs no route on the machine, and tests stand beside each other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::super::pod_network::{free_network, ip};
use super::super::processes::after_the_end;

/// The last octets of the machine's addresses: two servers', and below the first pod's.
const DIRECT: u8 = 1;
const STUB: u8 = 2;
const FIRST_POD: u8 = 10;

/// A switch, with the machine at one of its ports.
#[derive(Debug)]
pub(crate) struct Network {
    switch: String,
    third: u8,
    next: AtomicU8,
}

/// A pod's end of the network: a network namespace; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Plug {
    switch: String,
    name: String,
}

impl Network {
    /// A new one.
    pub(crate) fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let third = free_network();
        // The name of an interface, too: at most 15 octets, of which a process id takes 7.
        let switch = format!("rc{}w{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &switch]);
        after_the_end(&format!("ip netns del {switch}"));
        ip(&["link", "add", &switch, "type", "veth", "peer", "name", "machine", "netns", &switch]);
        for last in [DIRECT, STUB] {
            ip(&["addr", "add", &format!("198.18.{third}.{last}/24"), "dev", &switch]);
        }
        ip(&["link", "set", &switch, "up"]);
        let within = |arguments: &[&str]| ip(&[&["-n", switch.as_str()], arguments].concat());
        within(&["link", "add", "bridge", "type", "bridge"]);
        within(&["link", "set", "bridge", "up"]);
        within(&["link", "set", "machine", "master", "bridge", "up"]);
        Self { switch, third, next: AtomicU8::new(FIRST_POD) }
    }

    /// Where rollcall listens.
    pub(crate) fn direct(&self) -> SocketAddr {
        (Ipv4Addr::new(198, 18, self.third, DIRECT), 53).into()
    }

    /// Where the CoreDNS listens that is in front of it, and that pods ask.
    pub(crate) fn stub(&self) -> SocketAddr {
        (Ipv4Addr::new(198, 18, self.third, STUB), 53).into()
    }

    /// Plugs a pod with this address in.
    pub(super) fn plug(&self, address: IpAddr) -> Plug {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let last = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(
            (FIRST_POD..u8::MAX).contains(&last),
            "this network has room for some 240 pods, one after the other"
        );
        let name = format!("rc{}p{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        after_the_end(&format!("ip netns del {name}"));
        let within = |arguments: &[&str]| ip(&[&["-n", name.as_str()], arguments].concat());
        within(&["link", "set", "lo", "up"]);
        within(&["link", "add", "eth0", "type", "veth", "peer", "name", &name, "netns", &self.switch]);
        // The pods' own range: tests/cluster/support/control_plane.rs.
        within(&["addr", "add", &format!("{address}/16"), "dev", "eth0"]);
        within(&["addr", "add", &format!("198.18.{}.{last}/24", self.third), "dev", "eth0"]);
        within(&["link", "set", "eth0", "up"]);
        ip(&["-n", &self.switch, "link", "set", &name, "master", "bridge", "up"]);
        Plug { switch: self.switch.clone(), name }
    }
}

impl Plug {
    /// The name of the network namespace.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Pulls it out: nothing comes or goes any more, and nobody is told.
    pub(super) fn pull(&self) {
        ip(&["-n", &self.switch, "link", "set", &self.name, "down"]);
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
