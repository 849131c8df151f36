//! Who is told of changes. Nobody waits for a watcher that does not read: what its socket does not take is kept, and
//! tried again.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use super::store::{self, Format, Object, Store};
use crate::cluster::Kind;

/// Who lets more than this wait has gone.
const MOST_WAITING: usize = 4 << 30;

#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) kind: Kind,
    pub(super) format: Format,
    /// Does not block.
    pub(super) stream: TcpStream,
    /// What is still to be written, from `written` on.
    pub(super) waiting: Vec<u8>,
    pub(super) written: usize,
    /// When the watch ends.
    pub(super) end: Instant,
    pub(super) wants_bookmarks: bool,
}

#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: Vec<Watcher>,
    /// Who is told first: another one each time.
    turn: usize,
}

impl Watchers {
    pub(super) fn add(&mut self, mut watcher: Watcher) {
        if watcher.flush() {
            self.all.push(watcher);
        }
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.all.iter().filter(|watcher| watcher.kind == kind).count()
    }

    /// Tells of an object as it is now.
    pub(super) fn tell(&mut self, object: &Object) {
        self.turn += 1;
        let count = self.all.len();
        let mut gone = false;
        for index in 0..count {
            let watcher = &mut self.all[(index + self.turn) % count];
            if watcher.kind != object.kind() {
                continue;
            }
            if let Some(event) = object.modified(watcher.format) {
                gone |= !watcher.write(event);
            }
        }
        if gone {
            self.all.retain(|watcher| watcher.end > Instant::now());
        }
    }

    /// Goes on with what is waiting, and ends the watches whose time is over.
    pub(super) fn tick(&mut self, now: Instant, store: &Store) {
        self.all.retain_mut(|watcher| {
            if now < watcher.end {
                return watcher.flush();
            }
            // As an API server does, so that the next watch begins late.
            if watcher.wants_bookmarks {
                watcher.write(&store::bookmark(watcher.kind, watcher.format, store.version(), false));
            }
            watcher.write(b"0\r\n\r\n");
            // What does not fit in its socket now is lost with the connection: it asks again from where it is.
            false
        });
    }
}

impl Watcher {
    /// Whether it is still there.
    fn write(&mut self, octets: &[u8]) -> bool {
        let mut octets = octets;
        while self.waiting.is_empty() && !octets.is_empty() {
            match self.stream.write(octets) {
                Ok(written) => octets = &octets[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.is_gone(),
            }
        }
        self.waiting.extend(octets);
        if self.waiting.len() - self.written > MOST_WAITING { self.is_gone() } else { true }
    }

    fn flush(&mut self) -> bool {
        while self.written < self.waiting.len() {
            match self.stream.write(&self.waiting[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.is_gone(),
            }
        }
        if self.written > 0 {
            (self.waiting, self.written) = (Vec::new(), 0);
        }
        true
    }

    fn is_gone(&mut self) -> bool {
        self.end = Instant::now();
        false
    }
}
