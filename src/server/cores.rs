//! Which core a thread runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The cores that this thread may run on, in order; empty where the kernel does not tell.
pub(super) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Keeps this thread on one core.
pub(super) fn pin_to(core: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core() {
        let all = allowed();
        let core = *all.last().unwrap();
        let pinned = std::thread::spawn(move || {
            pin_to(core).unwrap();
            allowed()
        });
        assert_eq!(pinned.join().unwrap(), [core]);
        assert_eq!(allowed(), all, "the other threads keep theirs");
    }
}
