//! Work on many items by every core, whose results come in the order of the items.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, available_parallelism, scope};

/// Items that a core takes at once: few enough that none waits for long, many enough that handing over is nothing.
const TOGETHER: usize = 64;
/// Results of a core that may wait to be taken: what bounds the memory of it all.
const AHEAD: usize = 4;

/// Calls `make` for each item on any core, and `take` for each result on this thread, in order.
pub(super) fn in_order<T: Sync, R: Send>(
    items: &[T],
    make: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let cores = available_parallelism().map_or(1, usize::from).min(items.len().div_ceil(TOGETHER));
    if cores < 2 {
        return items.iter().for_each(|item| take(make(item)));
    }
    let make = &make;
    scope(|scope| {
        // Each thread has every so manieth chunk. So what comes next is known without a lock, and a thread that is
        // late keeps the others waiting once they are `AHEAD` of it.
        let lane = |number: usize| {
            let (made_tx, made_rx) = sync_channel::<Vec<R>>(AHEAD);
            let mut chunks = items.chunks(TOGETHER).skip(number).step_by(cores);
            let work = move || {
                // Ends early where nobody takes any more: the other side is unwinding.
                let _ = chunks.try_for_each(|chunk| made_tx.send(chunk.iter().map(make).collect()));
            };
            let started = Builder::new().name("publish".into()).spawn_scoped(scope, work);
            started.is_ok().then_some(made_rx)
        };
        let lanes: Vec<Option<Receiver<Vec<R>>>> = (0..cores).map(lane).collect();
        for (chunk, lane) in items.chunks(TOGETHER).zip(lanes.iter().cycle()) {
            match lane {
                Some(made_rx) => match made_rx.recv() {
                    Ok(made) => made.into_iter().for_each(&mut take),
                    // It panicked, and the scope does so as well.
                    Err(_) => return,
                },
                // No thread is to be had: it is made here.
                None => chunk.iter().for_each(|item| take(make(item))),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        for count in [0, 1, TOGETHER, TOGETHER + 1, 40 * TOGETHER + 7] {
            let items: Vec<usize> = (0..count).collect();
            let mut taken = Vec::new();
            in_order(&items, |item| item * 2, |made| taken.push(made));
            assert_eq!(taken, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_is_not_swallowed() {
        let items: Vec<usize> = (0..40 * TOGETHER).collect();
        in_order(&items, |item| assert_ne!(*item, 20 * TOGETHER), |()| {});
    }
}
