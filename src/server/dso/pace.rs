//! How fast one client may ask for operations, over all of its connections: what it asks for beyond that is taken later.
//!
//! Names are looked up, written and put into maps that all sessions share, behind a lock. Subscribing and unsubscribing in
//! a loop is within every other bound, and would keep those who publish and those who subscribe waiting for it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio::time::Instant;

/// What an operation costs: 2,000 a second may go on for ever.
const OPERATION: Duration = Duration::from_micros(500);
/// What each KiB costs that had to be written for it: 10 MB a second.
const KIB: Duration = Duration::from_micros(100);
/// What may be asked for at once: 8,000 operations, which is every subscription of a client twice over.
const AT_ONCE: Duration = Duration::from_secs(4);
/// A client that is not listened to is not for so long at least and at most: it is woken seldom, and its end is noticed.
const REST: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// Clients of which nothing needs to be remembered are looked for each time that so many operations were counted, when
/// there are more of them.
const MANY: usize = 1024;

/// When each client has paid for what it asked for; of who is not in it, nothing is due.
#[derive(Debug, Default)]
pub(super) struct Paces {
    due: DashMap<IpAddr, Instant>,
    counted: AtomicUsize,
}

impl Paces {
    /// Counts an operation.
    pub(super) fn count(&self, client: IpAddr) -> Option<Instant> {
        if self.counted.fetch_add(1, Ordering::Relaxed) % MANY == MANY - 1 {
            self.forget();
        }
        self.add(client, OPERATION)
    }

    /// Counts octets that had to be written for one.
    pub(super) fn count_octets(&self, client: IpAddr, octets: usize) {
        self.add(client, KIB.saturating_mul(u32::try_from(octets >> 10).unwrap_or(u32::MAX)));
    }

    /// Until when the client is not to be listened to, where it asks too fast.
    fn add(&self, client: IpAddr, cost: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut due = self.due.entry(client).or_insert(now);
        *due = (*due).max(now) + cost;
        let over = due.duration_since(now).checked_sub(AT_ONCE).filter(|over| !over.is_zero())?;
        Some(now + over.clamp(REST[0], REST[1]))
    }

    /// Forgets the clients of whom nothing is due, where there are many.
    fn forget(&self) {
        if self.due.len() > MANY {
            let now = Instant::now();
            self.due.retain(|_, due| *due > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_asks_in_a_loop_is_taken_at_a_pace_and_the_others_at_once() {
        let paces = Paces::default();
        let taken = (0..20_000).take_while(|_| paces.count(client(1)).is_none()).count();
        assert_eq!(taken, 8000);
        assert_eq!(paces.count(client(2)), None);
        // Who rests as it is told comes to 2,000 a second.
        let (start, mut taken) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_secs(10) {
            taken += 1;
            if let Some(until) = paces.count(client(1)) {
                tokio::time::sleep_until(until).await;
            }
        }
        assert!((19_500..=20_500).contains(&taken), "{taken}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_large_counts_more_and_a_rest_has_an_end() {
        let paces = Paces::default();
        paces.count_octets(client(1), 1 << 30);
        let rest = paces.count(client(1)).unwrap() - Instant::now();
        assert_eq!(rest, REST[1]);
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(paces.count(client(1)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_owes_nothing_is_forgotten() {
        let paces = Paces::default();
        for number in 0..2000_u32 {
            paces.count(std::net::Ipv4Addr::from_bits(number).into());
        }
        assert_eq!(paces.due.len(), 2000);
        tokio::time::advance(Duration::from_secs(1)).await;
        // By whatever operation comes, of whom.
        for _ in 0..MANY {
            paces.count(client(1));
        }
        assert_eq!(paces.due.len(), 1);
    }
}
