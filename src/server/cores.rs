//! Which core a thread runs on, and which thread comes first there.

use rustix::process::nice;
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

/// How many steps of niceness threads of connections are behind those of UDP: a tenth of their weight (sched(7)).
const BEHIND: i32 = 10;

/// Has this thread let those of UDP go first where both want a core: a question takes microseconds, and who floods
/// connections keeps their threads busy without end. It gets what they leave, and else a tenth of what each of them has.
///
/// # Errors
/// When the kernel does not let it (a filter of system calls); it goes on as an equal.
pub fn let_udp_go_first() -> std::io::Result<()> {
    nice(BEHIND).map(drop).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the thread that asks (setpriority(2), "C library/kernel differences").
    fn niceness() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn a_thread_that_steps_back_does_so_alone() {
        let before = niceness();
        let behind = std::thread::spawn(|| {
            let_udp_go_first().unwrap();
            niceness()
        });
        assert_eq!(behind.join().unwrap(), (before + BEHIND).min(19));
        assert_eq!(niceness(), before, "the other threads keep theirs");
    }

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
