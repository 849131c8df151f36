//! The frames of a protobuf watch, as they arrive, within the bounds that lines have ([`super::lines`]).
//!
//! A frame is the number of its octets, four of them, the greatest first, and so many.

use std::io;

use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::time::{Instant, timeout_at};

use super::lines::Next;

/// Reads frames into one buffer.
pub(super) struct Frames<R> {
    stream: R,
    frame: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Frames<R> {
    /// Of at most `max` octets each.
    pub(super) fn new(stream: R, max: usize) -> Self {
        Self { stream, frame: Vec::new(), max }
    }

    /// The next frame. `deadline` tells until when to wait for its next octets; it is asked before each wait.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) async fn next(&mut self, deadline: impl Fn() -> Instant) -> io::Result<Next<'_>> {
        self.frame.clear();
        let (mut length, mut length_octets) = (0_usize, 0);
        let (mut left, mut too_long) = (0_usize, false);
        // Memory is taken as octets come: what a length promises is not believed.
        while length_octets < 4 || left > 0 {
            let Ok(octets) = timeout_at(deadline(), self.stream.fill_buf()).await else {
                return Ok(Next::Silence);
            };
            let octets = octets?;
            if octets.is_empty() {
                return Ok(Next::End);
            }
            let mut used = 0;
            while let Some(octet) = octets.get(used).filter(|_| length_octets < 4) {
                length = (length << 8) | usize::from(*octet);
                (used, length_octets) = (used + 1, length_octets + 1);
                if length_octets == 4 {
                    (left, too_long) = (length, length > self.max);
                }
            }
            let part = &octets[used..];
            let part = &part[..part.len().min(left)];
            if !too_long {
                self.frame.extend_from_slice(part);
            }
            left -= part.len();
            used += part.len();
            self.stream.consume_unpin(used);
        }
        Ok(if too_long { Next::TooLong } else { Next::Message(&self.frame) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::io::{BufReader, Cursor};

    use super::super::lines::tests::Compat;
    use super::*;

    fn framed(messages: &[&[u8]]) -> Vec<u8> {
        let frame =
            |message: &&[u8]| [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
        messages.iter().flat_map(frame).collect()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn frames_come_whole_however_they_are_split() {
        let messages: [&[u8]; 4] = [b"one", b"", b"three,\nlonger", &[0, 0, 0, 9]];
        let octets = framed(&messages);
        for capacity in 1..=octets.len() {
            let stream = BufReader::with_capacity(capacity, Cursor::new(octets.clone()));
            let mut frames = Frames::new(stream, 13);
            for message in messages {
                assert_eq!(frames.next(soon).await.unwrap(), Next::Message(message), "{capacity}");
            }
            assert_eq!(frames.next(soon).await.unwrap(), Next::End);
        }
    }

    #[tokio::test]
    async fn a_cut_off_one_is_none() {
        let octets = framed(&[b"one", b"two"]);
        for length in 7..octets.len() {
            let mut frames = Frames::new(Cursor::new(octets[..length].to_vec()), 13);
            assert_eq!(frames.next(soon).await.unwrap(), Next::Message(b"one"));
            assert_eq!(frames.next(soon).await.unwrap(), Next::End, "{length}");
        }
    }

    #[tokio::test]
    async fn one_too_long_is_passed_over() {
        let octets = framed(&[b"12345678", b"1234567"]);
        for capacity in 1..=octets.len() {
            let stream = BufReader::with_capacity(capacity, Cursor::new(octets.clone()));
            let mut frames = Frames::new(stream, 7);
            assert_eq!(frames.next(soon).await.unwrap(), Next::TooLong);
            assert_eq!(frames.frame.capacity(), 0, "nothing is kept of it");
            assert_eq!(frames.next(soon).await.unwrap(), Next::Message(b"1234567"));
        }
        let mut frames = Frames::new(Cursor::new(b"\xff\xff\xff\xff and not much behind".to_vec()), 7);
        assert_eq!(frames.next(soon).await.unwrap(), Next::End);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed() {
        for octets in [&framed(&[b"one"])[..], &[0, 0], &[0, 0, 0, 3, b'o']] {
            let (mut speaker, listener) = tokio::io::duplex(64);
            let mut frames = Frames::new(BufReader::new(Compat(listener)), 64);
            tokio::io::AsyncWriteExt::write_all(&mut speaker, octets).await.unwrap();
            if octets.len() > 5 {
                assert_eq!(frames.next(soon).await.unwrap(), Next::Message(b"one"));
            }
            assert_eq!(frames.next(soon).await.unwrap(), Next::Silence);
        }
    }
}
