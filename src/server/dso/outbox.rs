//! What a session is still to be sent: messages that it shares with other sessions, within a bound.
//!
//! What its client asked for is beside the bound: the connection takes no other request before most of it is on its way. Else
//! a change, told while the records of a large service are, would send a client away that reads as fast as it can.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::server::memory::{Held, StreamMemory};

/// A message behind its length. The subscribers of a name share it.
pub(crate) type Frame = Arc<Message>;

/// What a message costs beside its octets: its places in queues.
const PLACES: usize = 128;

/// A message's octets, of the memory of all connections for as long as somebody waits for them.
pub(crate) struct Message {
    octets: Box<[u8]>,
    _held: Held,
}

impl Message {
    pub(super) fn new(octets: Vec<u8>, memory: &StreamMemory) -> Frame {
        let held = memory.hold(octets.len() + PLACES);
        Arc::new(Self { octets: octets.into(), _held: held })
    }
}

impl Deref for Message {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets
    }
}

/// Between who knows what changed and who writes to a client.
#[derive(Default)]
pub(super) struct Outbox(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    frames: VecDeque<(Frame, Kind)>,
    /// Octets of what was asked for, and of what is told.
    octets: [usize; 2],
    /// Nothing is taken any more: the last frame says goodbye.
    ended: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Asked,
    Told,
}

/// What is to be written now.
pub(crate) struct Taken {
    pub(crate) frames: Vec<Frame>,
    /// The last of them says goodbye.
    pub(crate) ended: bool,
}

impl Outbox {
    /// Adds what is told, all of it or nothing; false where there is no room, or nothing is taken any more. What waits alone
    /// has room however long it is: the changes of a large service are one push, and have to reach a client.
    pub(super) fn tell(&self, frames: impl Iterator<Item = Frame> + Clone, most: usize) -> bool {
        let added: usize = frames.clone().map(|frame| frame.len()).sum();
        let mut inner = self.lock();
        let told = inner.octets[Kind::Told as usize];
        if inner.ended || (told > 0 && told + added > most) {
            return false;
        }
        inner.add(frames, Kind::Told);
        Self::wake(inner);
        true
    }

    /// Adds what was asked for; false where nothing is taken any more.
    pub(super) fn answer(&self, frames: impl Iterator<Item = Frame>) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        inner.add(frames, Kind::Asked);
        Self::wake(inner);
        true
    }

    /// Takes nothing any more, lets go of what waits, and says goodbye; false where that was done before.
    pub(super) fn end(&self, goodbye: Frame) -> bool {
        let mut inner = self.lock();
        if inner.ended {
            return false;
        }
        inner.ended = true;
        (inner.frames, inner.octets) = (VecDeque::new(), [0; 2]);
        inner.add(std::iter::once(goodbye), Kind::Told);
        Self::wake(inner);
        true
    }

    /// Octets that wait.
    pub(super) fn octets(&self) -> usize {
        self.lock().octets.iter().sum()
    }

    /// Takes frames of about `most` octets, one at least, once there is one.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, most: usize) -> Poll<Taken> {
        let mut inner = self.lock();
        let mut taken = Taken { frames: Vec::new(), ended: false };
        let mut octets = 0;
        while octets < most
            && let Some((frame, kind)) = inner.frames.pop_front()
        {
            octets += frame.len();
            inner.octets[kind as usize] -= frame.len();
            taken.frames.push(frame);
        }
        if taken.frames.is_empty() {
            inner.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if inner.frames.is_empty() {
            // An idle session holds no room.
            inner.frames = VecDeque::new();
            taken.ended = inner.ended;
        }
        Poll::Ready(taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behind the lock: who is woken takes it.
    fn wake(mut inner: std::sync::MutexGuard<'_, Inner>) {
        let waker = inner.waker.take();
        drop(inner);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Inner {
    fn add(&mut self, frames: impl Iterator<Item = Frame>, kind: Kind) {
        for frame in frames {
            self.octets[kind as usize] += frame.len();
            self.frames.push_back((frame, kind));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(outbox: &Outbox, most: usize) -> Option<(Vec<usize>, bool)> {
        match outbox.poll_take(&mut Context::from_waker(Waker::noop()), most) {
            Poll::Ready(taken) => Some((taken.frames.iter().map(|frame| frame.len()).collect(), taken.ended)),
            Poll::Pending => None,
        }
    }

    fn frames(lengths: &[usize]) -> impl Iterator<Item = Frame> + Clone {
        lengths.iter().map(|length| frame(*length)).collect::<Vec<Frame>>().into_iter()
    }

    fn frame(length: usize) -> Frame {
        Message::new(vec![0; length], &StreamMemory::new(usize::MAX))
    }

    #[test]
    fn a_message_is_counted_once_however_many_wait_for_it() {
        let memory = StreamMemory::new(1 << 20);
        let (message, outboxes) = (Message::new(vec![0; 1000], &memory), [(); 3].map(|()| Outbox::default()));
        for outbox in &outboxes {
            assert!(outbox.tell(std::iter::once(Arc::clone(&message)), 1 << 20));
        }
        drop(message);
        assert_eq!(memory.counts().0, 1000 + PLACES);
        assert!(outboxes.each_ref().map(|outbox| take(outbox, 1)).iter().all(Option::is_some));
        assert_eq!(memory.counts().0, 0);
    }

    #[test]
    fn what_waits_alone_has_room_and_what_comes_behind_it_within_the_bound() {
        let outbox = Outbox::default();
        assert!(outbox.tell(frames(&[60, 60]), 100), "alone");
        assert!(!outbox.tell(frames(&[1]), 100));
        assert_eq!(take(&outbox, 1), Some((vec![60], false)));
        assert!(outbox.tell(frames(&[40]), 100));
        assert!(!outbox.tell(frames(&[1]), 100));
        assert_eq!(take(&outbox, 1000), Some((vec![60, 40], false)));
        assert_eq!(take(&outbox, 1000), None);
        assert_eq!(outbox.octets(), 0);
    }

    #[test]
    fn what_was_asked_for_leaves_the_room_to_what_is_told() {
        let outbox = Outbox::default();
        assert!(outbox.answer(frames(&[500, 500])));
        assert!(outbox.tell(frames(&[60]), 100) && outbox.tell(frames(&[40]), 100));
        assert!(!outbox.tell(frames(&[1]), 100));
        assert_eq!(outbox.octets(), 1100);
        assert_eq!(take(&outbox, 1050), Some((vec![500, 500, 60], false)));
        assert!(outbox.tell(frames(&[60]), 100));
        assert_eq!(take(&outbox, 1000), Some((vec![40, 60], false)));
        assert_eq!(outbox.octets(), 0);
    }

    #[test]
    fn a_goodbye_takes_the_place_of_what_waits() {
        let outbox = Outbox::default();
        assert!(outbox.tell(frames(&[60]), 100));
        assert!(outbox.end(frame(20)));
        assert!(!outbox.end(frame(20)) && !outbox.tell(frames(&[1]), 100) && !outbox.answer(frames(&[1])));
        assert_eq!(take(&outbox, 1000), Some((vec![20], true)));
        assert_eq!(take(&outbox, 1000), None);
    }
}
