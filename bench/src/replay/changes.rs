//! One slice after the other changes, at a rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Replay;
use super::store::Store;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_micros(500);
/// What is owed from longer ago is not made up for: it would come in one burst.
const MOST_OWED: Duration = Duration::from_millis(50);

/// The changes that go on, until they are stopped.
#[derive(Debug)]
pub struct Changes {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<f64>>,
}

impl Changes {
    /// So many a second, each of another slice than the last, never the probe's. None at a rate of 0.
    #[must_use]
    pub fn start(replay: &Replay, rate: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (replay, over) = (replay.clone(), Arc::clone(&is_over));
        let thread = (rate > 0).then(|| thread::spawn(move || run(&replay, rate, &over)));
        Self { is_over, thread }
    }

    /// Stops them; how many a second there were.
    #[must_use]
    pub fn stop(self) -> f64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or(0.0)
    }
}

fn run(replay: &Replay, rate: u32, is_over: &AtomicBool) -> f64 {
    let others = replay.others();
    let between = Duration::from_secs(1) / rate;
    let begin = Instant::now();
    let (mut due, mut done) = (begin, 0_u32);
    // Behind the probe's slice, and behind each other.
    let mut next = 0;
    while others > 0 && !is_over.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now > due + MOST_OWED {
            due = now;
        }
        while due <= now {
            // Other addresses than those of the slices at the start, which are counted from 0.
            let _ = replay.change(Store::PROBE + 1 + next, 500_000 + done % 500_000);
            next = (next + 1) % others;
            done += 1;
            due += between;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()).min(TICK));
    }
    f64::from(done) / begin.elapsed().as_secs_f64()
}
