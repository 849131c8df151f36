//! The window: which questions are under way on one socket or connection, and what became of them.

use std::time::{Duration, Instant};

use crate::counts::Counts;
use crate::questions::Questions;

/// A question without a reply for so long is lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A place in the window. Its ID is `generation * window + place`: a reply that comes after its question was given
/// up has the ID of none.
#[derive(Clone, Copy)]
struct Slot {
    id: u16,
    question: u32,
    sent: Option<Instant>,
}

pub(crate) struct Window {
    slots: Vec<Slot>,
    free: Vec<u16>,
}

impl Window {
    pub(crate) fn new(room: u16) -> Self {
        let ids = 0..room;
        let slots = ids.clone().map(|id| Slot { id, question: 0, sent: None }).collect();
        Self { slots, free: ids.rev().collect() }
    }

    /// How many questions have room.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    pub(crate) fn size(&self) -> usize {
        self.slots.len()
    }

    /// A place for a question that counts from `sent` on: its ID.
    pub(crate) fn ask(&mut self, question: usize, sent: Instant) -> Option<u16> {
        let slot = &mut self.slots[usize::from(self.free.pop()?)];
        #[allow(clippy::cast_possible_truncation)] // questions fit 4 GiB
        let question = question as u32;
        (slot.question, slot.sent) = (question, Some(sent));
        Some(slot.id)
    }

    /// Counts a reply, and makes room for the next question.
    pub(crate) fn take(&mut self, reply: &[u8], questions: &Questions, now: Instant, counts: &mut Counts) {
        let Some(header) = reply.first_chunk::<12>() else {
            counts.wrong += 1;
            return;
        };
        let id = u16::from_be_bytes([header[0], header[1]]);
        let at = usize::from(id) % self.slots.len();
        let slot = self.slots[at];
        let Some(sent) = slot.sent.filter(|_| slot.id == id) else {
            counts.late += 1;
            return;
        };
        self.release(at);
        let (packet, end) = questions.packet(slot.question as usize);
        if header[2] & 0x80 == 0 || reply.get(12..end) != Some(&packet[12..end]) {
            counts.wrong += 1;
            return;
        }
        let waited = now.saturating_duration_since(sent).as_nanos();
        counts.add(header, reply.len(), u64::try_from(waited).unwrap_or(u64::MAX));
    }

    /// Makes room where a question waited too long; with a patience of 0 everywhere. Gives how many there were.
    pub(crate) fn give_up(&mut self, now: Instant, patience: Duration) -> u64 {
        let mut lost = 0;
        for at in 0..self.slots.len() {
            if self.slots[at].sent.is_some_and(|sent| now.saturating_duration_since(sent) >= patience) {
                lost += 1;
                self.release(at);
            }
        }
        lost
    }

    /// Makes room for the next question, which gets another ID.
    fn release(&mut self, at: usize) {
        #[allow(clippy::cast_possible_truncation)] // the window fits 16 bits
        let (place, window) = (at as u16, self.slots.len() as u16);
        let slot = &mut self.slots[at];
        slot.sent = None;
        // Past the end IDs start again at the place itself, so that `id % window` stays the place.
        slot.id = slot.id.checked_add(window).unwrap_or(place);
        self.free.push(place);
    }
}
