//! Waits for what must come, with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// How long what must come may take: some of it waits for several bounds one after the other, in a debug build on a busy
/// machine.
const PATIENCE: Duration = Duration::from_secs(240);
const STEP: Duration = Duration::from_millis(10);

/// Asks until the answer is as wished; how the last one differed otherwise.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(last) if Instant::now() > deadline => {
                panic!("not within {PATIENCE:?}: {what}; the last: {last}")
            }
            Err(_) => thread::sleep(STEP),
        }
    }
}
