//! Ports that are kept once for all services that have them.

use std::sync::Arc;

use foldhash::HashSet;

use super::Ports;

/// Ports that several services have; most of a cluster's services share a few.
#[derive(Default)]
pub(in crate::zone) struct SharedPorts {
    known: HashSet<Arc<Ports>>,
    /// How many there may be before those that nobody has any longer are let go of.
    sweep: usize,
}

impl SharedPorts {
    /// Ports that are equal and in use already, where there are such.
    pub(in crate::zone) fn share(&mut self, ports: &Arc<Ports>) -> Arc<Ports> {
        if let Some(known) = self.known.get(ports) {
            return Arc::clone(known);
        }
        if !ports.is_listed() {
            if self.known.len() >= self.sweep {
                self.known.retain(|known| Arc::strong_count(known) > 1);
                self.sweep = (self.known.len() * 2).max(64);
            }
            self.known.insert(Arc::clone(ports));
        }
        Arc::clone(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Change;
    use crate::zone::publisher::tests::mk_change;

    #[test]
    fn ports_that_nobody_has_are_let_go_of() {
        let mut shared = SharedPorts::default();
        let mk_ports = || Arc::new(Ports::default());
        let kept = shared.share(&mk_ports());
        assert!(Arc::ptr_eq(&kept, &shared.share(&mk_ports())));
        shared.sweep = 0;
        drop(kept);
        let of_hosts = mk_change("a", &[("x-0", "10.0.0.1")]);
        let Change::Service(_, Some(records), _) = of_hosts else { unreachable!() };
        let _other = shared.share(&Arc::new(Ports::new(&records).0));
        assert_eq!(shared.known.len(), 1);
    }
}
