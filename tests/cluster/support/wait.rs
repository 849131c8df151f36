//! Waiting for a condition, with a bound: nothing in these tests sleeps for a fixed time and hopes.

use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks: short beside what is waited for, long beside what a look costs.
const PAUSE: Duration = Duration::from_millis(25);

/// Looks until there is something, and returns it.
///
/// # Panics
/// After `limit`, naming `what` was waited for.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, limit, || look().ok_or("nothing"))
}

/// Looks until it is as wanted; what was seen otherwise is told when it never is.
///
/// # Panics
/// After `limit`, naming `what` was waited for and what was seen last.
pub(crate) fn wait_until<T, E: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let begun = Instant::now();
    loop {
        // The time is read before the look, so that the last look is one after the limit's end.
        let over = begun.elapsed() >= limit;
        match look() {
            Ok(seen) => return seen,
            Err(seen) if over => panic!("{what}: not within {limit:?}; last seen: {seen:#?}"),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

#[test]
#[should_panic(expected = "last seen: 1")]
fn what_never_comes_is_told() {
    wait_until::<(), _>("two", Duration::from_millis(1), || Err(1));
}

#[test]
fn what_comes_late_is_returned() {
    let mut looks = 0;
    let seen = wait_for("the third look", Duration::from_secs(5), || {
        looks += 1;
        (looks == 3).then_some(looks)
    });
    assert_eq!(seen, 3);
}
