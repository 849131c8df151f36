//! What all connections may hold together of octets: questions that are not whole, replies that are not taken. Bounds of
//! a connection alone would come to its number of connections, and that is gigabytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What each connection has beside the common bound: room for ordinary questions and their answers, which are served
/// as ever while strangers hold all the rest.
pub const OWN: usize = 8 << 10;

/// The octets that there are, for every transport; its clones are one.
#[derive(Debug, Clone)]
pub struct StreamMemory(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    held: AtomicUsize,
    /// Of those, what could not be refused.
    unasked: AtomicUsize,
    most: AtomicUsize,
}

/// There are no octets left for this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("connections hold as many octets as they may")]
pub(super) struct OutOfMemory;

impl StreamMemory {
    /// So many octets.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let (held, unasked) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Cells { held, unasked, most: AtomicUsize::new(most) }))
    }

    /// Changes how many there are. Who holds some keeps them, even where they are too many now.
    pub fn set(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
    }

    /// Octets that are held, and as many as may be.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.0.held.load(Ordering::Relaxed), self.0.most.load(Ordering::Relaxed))
    }

    /// Whether less than a quarter is left. Connections then live on what is their own, as far as they can.
    pub(super) fn is_short(&self) -> bool {
        let (held, most) = self.counts();
        held > most - most / 4
    }

    /// Whether what could not be refused is more than half of what there is. What strangers hold besides does not count:
    /// they would decide what becomes of others' sessions.
    pub(super) fn is_over(&self) -> bool {
        self.0.unasked.load(Ordering::Relaxed) > self.counts().1 / 2
    }

    /// Holds octets, whether there are as many or not: what others did has made them, and nobody is there to be refused.
    /// Who asks for some of his own is refused the sooner.
    pub(super) fn hold(&self, octets: usize) -> Held {
        self.0.held.fetch_add(octets, Ordering::Relaxed);
        self.0.unasked.fetch_add(octets, Ordering::Relaxed);
        Held { memory: self.clone(), octets }
    }

    fn take(&self, octets: usize) -> Result<(), OutOfMemory> {
        let held = self.0.held.fetch_add(octets, Ordering::Relaxed);
        if octets > 0 && held.saturating_add(octets) > self.0.most.load(Ordering::Relaxed) {
            return Err(OutOfMemory);
        }
        Ok(())
    }
}

/// Octets that are nobody's own, such as those that several connections wait for.
#[derive(Debug)]
pub(super) struct Held {
    memory: StreamMemory,
    octets: usize,
}

impl Held {
    /// Makes them so many.
    pub(super) fn set(&mut self, octets: usize) {
        for cell in [&self.memory.0.held, &self.memory.0.unasked] {
            cell.fetch_add(octets, Ordering::Relaxed);
            cell.fetch_sub(self.octets, Ordering::Relaxed);
        }
        self.octets = octets;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.0.held.fetch_sub(self.octets, Ordering::Relaxed);
        self.memory.0.unasked.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// What one connection holds, of all of its questions and replies.
#[derive(Debug)]
pub(super) struct Share {
    memory: StreamMemory,
    octets: AtomicUsize,
}

/// Of a connection's octets, those that are not its own.
fn common(octets: usize) -> usize {
    octets.saturating_sub(OWN)
}

impl Share {
    pub(super) fn new(memory: &StreamMemory) -> Arc<Self> {
        Arc::new(Self { memory: memory.clone(), octets: AtomicUsize::new(0) })
    }

    /// Takes octets that are given back when what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>, octets: usize) -> Result<Octets, OutOfMemory> {
        let mut held = self.hold_nothing();
        held.set(octets).map(|()| held)
    }

    /// Takes none yet.
    pub(super) fn hold_nothing(self: &Arc<Self>) -> Octets {
        Octets { share: Arc::clone(self), octets: 0 }
    }

    // What changes hands is the difference of two values that each change of `octets` has seen: however many tasks of a
    // connection take and give, the sum comes out even.
    fn grow(&self, octets: usize) -> Result<(), OutOfMemory> {
        let before = self.octets.fetch_add(octets, Ordering::Relaxed);
        let taken = self.memory.take(common(before + octets) - common(before));
        taken.inspect_err(|_| self.shrink(octets))
    }

    fn shrink(&self, octets: usize) {
        let before = self.octets.fetch_sub(octets, Ordering::Relaxed);
        self.memory.0.held.fetch_sub(common(before) - common(before - octets), Ordering::Relaxed);
    }
}

/// Octets of a share.
#[derive(Debug)]
pub(super) struct Octets {
    share: Arc<Share>,
    octets: usize,
}

impl Octets {
    /// Makes them so many; where there are not, they stay as they were.
    pub(super) fn set(&mut self, octets: usize) -> Result<(), OutOfMemory> {
        if octets > self.octets {
            self.share.grow(octets - self.octets)?;
        } else {
            self.share.shrink(self.octets - octets);
        }
        self.octets = octets;
        Ok(())
    }
}

impl Drop for Octets {
    fn drop(&mut self) {
        self.share.shrink(self.octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(memory: &StreamMemory) -> usize {
        memory.counts().0
    }

    #[test]
    fn what_is_a_connections_own_is_nobody_elses_matter() {
        let memory = StreamMemory::new(100);
        let share = Share::new(&memory);
        let mut own = share.hold(OWN).unwrap();
        assert_eq!(held(&memory), 0);
        let more = share.hold(60).unwrap();
        assert_eq!(held(&memory), 60);
        assert!(!memory.is_short());
        assert_eq!(own.set(OWN + 41), Err(OutOfMemory));
        assert_eq!(held(&memory), 60, "what is refused is not held");
        own.set(OWN + 40).unwrap();
        assert!(memory.is_short());
        // Another connection has its own all the same, and no octet more.
        let other = Share::new(&memory);
        let others = other.hold(OWN).unwrap();
        assert!(other.hold(1).is_err());
        drop(more);
        assert_eq!(held(&memory), 40);
        own.set(10).unwrap();
        assert_eq!(held(&memory), 0);
        drop((own, others));
        assert_eq!((held(&memory), share.octets.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn a_smaller_bound_takes_nothing_from_who_holds() {
        let memory = StreamMemory::new(100);
        let share = Share::new(&memory);
        let kept = share.hold(OWN + 80).unwrap();
        memory.set(10);
        assert_eq!(memory.counts(), (80, 10));
        assert!(share.hold(1).is_err());
        drop(kept);
        assert!(share.hold(OWN + 10).is_ok());
        assert_eq!(held(&memory), 0);
    }

    #[test]
    fn what_cannot_be_refused_is_held_and_given_back() {
        let memory = StreamMemory::new(100);
        // What others hold decides nothing here.
        let share = Share::new(&memory);
        let strangers = share.hold(OWN + 100).unwrap();
        let mut kept = memory.hold(50);
        assert!(memory.is_short() && !memory.is_over());
        drop(strangers);
        kept.set(51);
        assert!(!memory.is_short() && memory.is_over());
        kept.set(120);
        assert!(memory.is_short() && memory.is_over());
        assert!(Share::new(&memory).hold(OWN + 1).is_err(), "who asks for more is refused");
        kept.set(20);
        assert_eq!(memory.counts().0, 20);
        assert!(!memory.is_over());
        drop(kept);
        assert_eq!((memory.counts().0, memory.0.unasked.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn tasks_of_one_connection_beside_each_other_come_out_even() {
        let memory = StreamMemory::new(40_000);
        let share = Share::new(&memory);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let share = &share;
                scope.spawn(move || {
                    for step in 0..2000 {
                        let held = share.hold((step * 7919 + thread * 104_729) % 30_000);
                        let mut again = share.hold(100);
                        if let Ok(again) = &mut again {
                            let _ = again.set(step * 31 % 9000);
                        }
                        drop((held, again));
                    }
                });
            }
        });
        assert_eq!((held(&memory), share.octets.load(Ordering::Relaxed)), (0, 0));
    }
}
