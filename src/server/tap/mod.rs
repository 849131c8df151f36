//! Copies of questions and their replies, for those who watch: the query log and dnstap.
//!
//! Nobody watches most of the time: then a batch costs one relaxed load. Where somebody does, the thread that answered
//! copies, once its replies are sent, into boxes that were made beforehand; without a free box it counts and goes on. Who
//! writes takes the boxes from the other end at its own pace, and looks for them by itself: waking it would be a system
//! call of the answering thread.

mod dnstap;
mod frames;
mod query_log;
mod writer;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;

pub use query_log::QueryLog;
pub use writer::{Dnstap, DnstapAddress};

use super::responder::Transport;

/// Room that a box is made with: the longest reply over UDP, and a question of 300 octets. Longer ones take more, once.
const ROOM: usize = 1536;
/// Octets that the boxes of a queue may hold, each on average: a flood of the longest messages (128 KiB over TCP) is not
/// held in memory for the log's sake.
const AVERAGE: usize = 2048;

/// Who watches just now; its clones are one.
#[derive(Clone, Default)]
pub struct Tap(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Whether there are any: all that is looked at where there are none.
    on: AtomicBool,
    watchers: ArcSwap<Vec<Queue>>,
}

/// When a question came. Both clocks: one tells the time, the other one is never set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    time: SystemTime,
    since: Instant,
}

/// A question that was answered just now.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) transport: Transport,
    pub(super) client: SocketAddr,
    /// The address that was asked, where it is known.
    pub(super) server: Option<SocketAddr>,
    pub(super) asked: Moment,
    pub(super) query: &'a [u8],
    pub(super) reply: &'a [u8],
}

impl Tap {
    /// Replaces who watches.
    pub fn set(&self, watchers: Vec<Queue>) {
        let on = !watchers.is_empty();
        self.0.watchers.store(Arc::new(watchers));
        self.0.on.store(on, Ordering::Relaxed);
    }

    /// The moment, if anybody watches: right after receiving, once for all that came together.
    pub(super) fn asked(&self) -> Option<Moment> {
        let on = self.0.on.load(Ordering::Relaxed);
        on.then(|| Moment { time: SystemTime::now(), since: Instant::now() })
    }

    /// Shows what was answered to all who watch. Waits for nothing.
    pub(super) fn show<'a>(&self, all: impl Iterator<Item = Seen<'a>>) {
        let watchers = self.0.watchers.load();
        for seen in all {
            watchers.iter().for_each(|queue| queue.offer(&seen));
        }
    }
}

/// What one watcher was shown, since the start of the process.
#[derive(Debug, Default)]
pub struct TapCounter {
    taken: AtomicU64,
    dropped: AtomicU64,
}

impl TapCounter {
    /// Questions that were kept for the watcher.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Questions that found no room, or whose writing failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn drop_more(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

/// The boxes between those who answer and one watcher; its clones are one.
#[derive(Clone)]
pub struct Queue(Arc<Boxes>);

struct Boxes {
    /// One question in so many is kept.
    every: u64,
    free: ArrayQueue<Box<Exchange>>,
    full: ArrayQueue<Box<Exchange>>,
    octets: AtomicUsize,
    most_octets: usize,
    counter: Arc<TapCounter>,
}

impl Queue {
    /// Keeps one question in `every`, at most `size` at one time; counts in `counter`.
    #[must_use]
    pub fn new(every: u64, size: usize, counter: Arc<TapCounter>) -> Self {
        let size = size.max(1);
        let boxes = Boxes {
            every: every.max(1),
            free: ArrayQueue::new(size),
            full: ArrayQueue::new(size),
            octets: AtomicUsize::new(0),
            most_octets: size * AVERAGE,
            counter,
        };
        while boxes.free.push(Box::new(Exchange::empty())).is_ok() {}
        Self(Arc::new(boxes))
    }

    fn offer(&self, seen: &Seen<'_>) {
        let boxes = &*self.0;
        // By chance, not each n-th: stub resolvers ask for A and AAAA in turn, and each second question would be all of
        // one kind.
        if boxes.every > 1 && fastrand::u64(..boxes.every) > 0 {
            return;
        }
        let octets = seen.query.len() + seen.reply.len();
        let has_room = boxes.octets.fetch_add(octets, Ordering::Relaxed) + octets <= boxes.most_octets;
        let Some(mut exchange) = has_room.then(|| boxes.free.pop()).flatten() else {
            boxes.octets.fetch_sub(octets, Ordering::Relaxed);
            boxes.counter.drop_more(1);
            return;
        };
        exchange.fill(seen);
        boxes.counter.taken.fetch_add(1, Ordering::Relaxed);
        // Never full: it has a place for each box there is.
        let _ = boxes.full.push(exchange);
    }

    /// The oldest that waits.
    fn take(&self) -> Option<Taken<'_>> {
        self.0.full.pop().map(|exchange| Taken { boxes: &self.0, exchange: Some(exchange) })
    }

    fn counter(&self) -> &TapCounter {
        &self.0.counter
    }
}

/// A question and its reply, copied.
struct Exchange {
    transport: Transport,
    client: SocketAddr,
    server: Option<SocketAddr>,
    asked: SystemTime,
    took: Duration,
    /// The question, and behind it the reply.
    octets: Vec<u8>,
    query: usize,
}

impl Exchange {
    fn empty() -> Self {
        Self {
            transport: Transport::Udp,
            client: SocketAddr::from(([0, 0, 0, 0], 0)),
            server: None,
            asked: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            octets: Vec::with_capacity(ROOM),
            query: 0,
        }
    }

    fn fill(&mut self, seen: &Seen<'_>) {
        let Seen { transport, client, server, asked, query, reply } = *seen;
        (self.transport, self.client, self.server) = (transport, client, server);
        (self.asked, self.took) = (asked.time, asked.since.elapsed());
        self.octets.clear();
        self.octets.extend_from_slice(query);
        self.octets.extend_from_slice(reply);
        self.query = query.len();
    }

    fn query(&self) -> &[u8] {
        &self.octets[..self.query]
    }

    fn reply(&self) -> &[u8] {
        &self.octets[self.query..]
    }
}

/// An exchange on loan; dropped, its box is free again.
struct Taken<'q> {
    boxes: &'q Boxes,
    exchange: Option<Box<Exchange>>,
}

impl Deref for Taken<'_> {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        // Only `drop` takes it out.
        self.exchange.as_deref().unwrap_or_else(|| unreachable!("taken back while it is lent"))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        self.boxes.octets.fetch_sub(exchange.octets.len(), Ordering::Relaxed);
        // What a long message took is given back: the bound is on what is held, not on what was once.
        if exchange.octets.capacity() > 2 * AVERAGE {
            *exchange = Exchange::empty();
        }
        let _ = self.boxes.free.push(exchange);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn mk_seen<'a>(query: &'a [u8], reply: &'a [u8]) -> Seen<'a> {
        Seen {
            transport: Transport::Udp,
            client: "10.0.0.9:4242".parse().unwrap(),
            server: Some("10.0.0.1:53".parse().unwrap()),
            asked: Moment { time: SystemTime::UNIX_EPOCH + Duration::new(7, 9), since: Instant::now() },
            query,
            reply,
        }
    }

    fn mk_queue(every: u64, size: usize) -> (Queue, Arc<TapCounter>) {
        let counter = Arc::new(TapCounter::default());
        (Queue::new(every, size, Arc::clone(&counter)), counter)
    }

    #[test]
    fn what_finds_no_box_is_counted_and_left_out() {
        let (queue, counter) = mk_queue(1, 2);
        for octet in 0..5 {
            queue.offer(&mk_seen(&[octet], &[octet, octet]));
        }
        assert_eq!((counter.taken(), counter.dropped()), (2, 3));
        let first = queue.take().unwrap();
        assert_eq!((first.query(), first.reply()), (&[0][..], &[0, 0][..]));
        drop(first);
        queue.offer(&mk_seen(&[9], &[]));
        assert_eq!(queue.take().unwrap().query(), [1]);
        assert_eq!(queue.take().unwrap().query(), [9]);
        assert!(queue.take().is_none());
        assert_eq!(queue.0.octets.load(Ordering::Relaxed), 0, "everything was given back");
    }

    #[test]
    fn long_messages_do_not_take_more_than_their_share() {
        let (queue, counter) = mk_queue(1, 16);
        let long = [0; 16 * AVERAGE / 2];
        for _ in 0..3 {
            queue.offer(&mk_seen(&[], &long));
        }
        assert_eq!((counter.taken(), counter.dropped()), (2, 1));
        while let Some(taken) = queue.take() {
            assert_eq!(taken.reply().len(), long.len());
        }
        for _ in 0..16 {
            let exchange = queue.0.free.pop().unwrap();
            assert!(exchange.octets.capacity() <= 2 * AVERAGE, "{}", exchange.octets.capacity());
        }
    }

    #[test]
    fn one_in_so_many_whatever_the_pattern_of_the_questions() {
        let (queue, counter) = mk_queue(10, 10_000);
        for _ in 0..20_000 {
            queue.offer(&mk_seen(b"A", b""));
            queue.offer(&mk_seen(b"AAAA", b""));
        }
        // Six standard deviations of 40,000 throws at 1 in 10 are 360; of 20,000 they are 255.
        assert!((3640..4360).contains(&counter.taken()), "{}", counter.taken());
        let mut kinds = [0; 2];
        while let Some(taken) = queue.take() {
            kinds[usize::from(taken.query().len() > 1)] += 1;
        }
        assert!(kinds.iter().all(|kind| (1745..2255).contains(kind)), "{kinds:?}");
    }

    #[test]
    fn nobody_watches_until_somebody_does() {
        let tap = Tap::default();
        assert!(tap.asked().is_none());
        let (queue, counter) = mk_queue(1, 4);
        tap.set(vec![queue]);
        assert!(tap.asked().is_some());
        tap.show([mk_seen(b"q", b"r")].into_iter());
        assert_eq!(counter.taken(), 1);
        tap.set(Vec::new());
        assert!(tap.asked().is_none());
        tap.show([mk_seen(b"q", b"r")].into_iter());
        assert_eq!(counter.taken(), 1);
    }
}
