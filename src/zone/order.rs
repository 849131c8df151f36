//! In which order the records of a set are written.

use std::hash::{BuildHasher, RandomState};

use super::settings::Order;

/// Most records of a set that [`Order::Random`] shuffles; of larger ones only the start is random.
const SHUFFLED: usize = 4096;

/// What one thread remembers between answers, and its room to work in.
pub(crate) struct SetScratch {
    /// Where the next answer starts, by name and type: of this thread alone, for a counter that threads share
    /// is a contended cache line. Names that share a slot only rotate faster.
    turns: [u32; 256],
    /// Where the first answers start: every TCP connection has a scratch of its own, and most ask once.
    first: u32,
    shuffled: Vec<u32>,
    random: u64,
    /// SRV targets written so far: the host's index ([`NO_HOST`] is the service), and the place of its name.
    pub(crate) targets: Vec<(u32, u32)>,
}

/// Stands for the service itself among the targets.
pub(crate) const NO_HOST: u32 = u32::MAX;
/// SRV records of the least size that 64 KiB hold.
const MOST_TARGETS: usize = 4096;

impl Default for SetScratch {
    fn default() -> Self {
        let random = RandomState::new().hash_one(0);
        #[allow(clippy::cast_possible_truncation)] // any of its bits will do
        let first = random as u32 >> 8;
        Self {
            turns: [0; 256],
            first,
            shuffled: Vec::new(),
            // Never 0, where xorshift stays.
            random: random | 1,
            targets: Vec::new(),
        }
    }
}

impl SetScratch {
    /// Keeps where a target's name stands, for its glue.
    #[allow(clippy::cast_possible_truncation)] // hosts are counted in 32 bits, messages in 16
    pub(crate) fn remember(&mut self, host: Option<usize>, place: usize) {
        self.targets.push((host.map_or(NO_HOST, |host| host as u32), place as u32));
    }

    /// Takes the room that the largest answer needs, for a thread that shall never allocate.
    pub(crate) fn reserve(&mut self) {
        self.shuffled.reserve(SHUFFLED);
        self.targets.reserve(MOST_TARGETS);
    }
}

/// The order of one answer.
#[derive(Clone, Copy)]
pub(crate) enum Sequence {
    From(usize),
    Shuffled,
}

impl SetScratch {
    /// Chooses the order of the next answer for a set of `count` records.
    pub(crate) fn sequence(&mut self, order: Order, slot: usize, count: usize) -> Sequence {
        if count < 2 {
            return Sequence::From(0);
        }
        match order {
            Order::Ordinal => Sequence::From(0),
            Order::Rotate => {
                let turn = &mut self.turns[slot & 255];
                let start = turn.wrapping_add(self.first) as usize % count;
                *turn = turn.wrapping_add(1);
                Sequence::From(start)
            }
            Order::Random if count > SHUFFLED => Sequence::From(self.below(count)),
            Order::Random => {
                self.shuffled.clear();
                #[allow(clippy::cast_possible_truncation)] // at most SHUFFLED
                self.shuffled.extend(0..count as u32);
                for last in (1..count).rev() {
                    let other = self.below(last + 1);
                    self.shuffled.swap(last, other);
                }
                Sequence::Shuffled
            }
        }
    }

    /// The record to write at a place of the answer.
    pub(crate) fn index(&self, sequence: Sequence, turn: usize, count: usize) -> usize {
        match sequence {
            Sequence::From(start) if start + turn < count => start + turn,
            Sequence::From(start) => start + turn - count,
            Sequence::Shuffled => self.shuffled[turn] as usize,
        }
    }

    /// A number below `bound` (xorshift64; bias below 2^-32 for any set that fits a message).
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        #[allow(clippy::cast_possible_truncation)] // below a usize
        let below = ((self.random >> 32) % bound as u64) as usize;
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(scratch: &mut SetScratch, order: Order, count: usize) -> Vec<usize> {
        let sequence = scratch.sequence(order, 7, count);
        (0..count).map(|turn| scratch.index(sequence, turn, count)).collect()
    }

    #[test]
    fn rotation_starts_one_further_each_time() {
        let mut scratch = SetScratch { first: 0, ..SetScratch::default() };
        let orders: Vec<_> = (0..4).map(|_| order(&mut scratch, Order::Rotate, 3)).collect();
        assert_eq!(orders, [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]);
    }

    #[test]
    fn connections_that_ask_once_do_not_all_start_at_the_first_record() {
        let starts: std::collections::HashSet<usize> =
            (0..100).map(|_| order(&mut SetScratch::default(), Order::Rotate, 3)[0]).collect();
        assert_eq!(starts.len(), 3);
    }

    #[test]
    fn ordinal_order_is_the_sets_own() {
        let mut scratch = SetScratch::default();
        for _ in 0..3 {
            assert_eq!(order(&mut scratch, Order::Ordinal, 4), [0, 1, 2, 3]);
        }
    }

    #[test]
    fn random_orders_are_whole_and_differ() {
        let mut scratch = SetScratch::default();
        let mut firsts = [0; 5];
        for _ in 0..5000 {
            let mut order = order(&mut scratch, Order::Random, 5);
            firsts[order[0]] += 1;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
        // Each of five is first about 1000 times; 800 is more than six standard deviations away.
        assert!(firsts.iter().all(|count| *count > 800), "{firsts:?}");
        let large = order(&mut scratch, Order::Random, SHUFFLED + 1);
        assert_eq!(large.iter().sum::<usize>(), SHUFFLED * (SHUFFLED + 1) / 2);
    }
}
