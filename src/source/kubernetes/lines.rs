//! The lines of a watch, as they arrive, each within a bound of octets and of patience.

use std::io;
use std::time::Duration;

use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use tokio::time::{Instant, timeout_at};

/// A message: a line here, a frame in [`super::frames`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'m> {
    /// A line without its end, a frame without its length.
    Message(&'m [u8]),
    /// Longer than the bound: passed over.
    TooLong,
    /// The stream has ended; what was cut off by it is no message.
    End,
    /// Not one octet until the deadline.
    Silence,
}

/// Reads lines into one buffer.
pub(super) struct Lines<R> {
    stream: R,
    line: Vec<u8>,
    max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Of at most `max` octets each.
    pub(super) fn new(stream: R, max: usize) -> Self {
        Self { stream, line: Vec::new(), max }
    }

    /// The next line. `deadline` tells until when to wait for its next octets; it is asked before each wait.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) async fn next(&mut self, deadline: impl Fn() -> Instant) -> io::Result<Next<'_>> {
        self.line.clear();
        let mut too_long = false;
        loop {
            let Ok(octets) = timeout_at(deadline(), self.stream.fill_buf()).await else {
                return Ok(Next::Silence);
            };
            let octets = octets?;
            if octets.is_empty() {
                return Ok(Next::End);
            }
            let end = octets.iter().position(|octet| *octet == b'\n');
            let part = &octets[..end.unwrap_or(octets.len())];
            too_long |= self.line.len() + part.len() > self.max;
            if !too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.stream.consume_unpin(used);
            if end.is_some() {
                return Ok(if too_long { Next::TooLong } else { Next::Message(&self.line) });
            }
        }
    }
}

/// Reads everything, at most `max` octets, giving up after `patience` without any.
///
/// # Errors
/// When the connection breaks, or is silent, or says too much.
pub(super) async fn all(
    mut stream: impl AsyncBufRead + Unpin,
    max: usize,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let Ok(octets) = timeout_at(Instant::now() + patience, stream.fill_buf()).await else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        let octets = octets?;
        if octets.is_empty() {
            return Ok(text);
        }
        if text.len() + octets.len() > max {
            let message = format!("the answer is longer than {max} octets");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        text.extend_from_slice(octets);
        let used = octets.len();
        stream.consume_unpin(used);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use futures_util::io::{BufReader, Cursor};

    fn lines(text: &str, max: usize) -> Lines<BufReader<Cursor<Vec<u8>>>> {
        // A small buffer: lines come in parts.
        Lines::new(BufReader::with_capacity(3, Cursor::new(text.as_bytes().to_vec())), max)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn lines_come_whole_and_the_cut_one_does_not() {
        let mut lines = lines("one\n\nthree, longer\nfour", 20);
        for line in ["one", "", "three, longer"] {
            assert_eq!(lines.next(soon).await.unwrap(), Next::Message(line.as_bytes()));
        }
        assert_eq!(lines.next(soon).await.unwrap(), Next::End);
    }

    #[tokio::test]
    async fn one_too_long_is_passed_over() {
        let mut lines = lines("12345678\n1234567\n", 7);
        assert_eq!(lines.next(soon).await.unwrap(), Next::TooLong);
        assert_eq!(lines.next(soon).await.unwrap(), Next::Message(b"1234567"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_noticed() {
        let (mut speaker, listener) = tokio::io::duplex(64);
        let stream = BufReader::new(Compat(listener));
        let mut lines = Lines::new(stream, 64);
        tokio::io::AsyncWriteExt::write_all(&mut speaker, b"{}\n").await.unwrap();
        assert_eq!(lines.next(soon).await.unwrap(), Next::Message(b"{}"));
        assert_eq!(lines.next(soon).await.unwrap(), Next::Silence);
    }

    #[tokio::test]
    async fn everything_within_a_bound() {
        let patience = Duration::from_secs(1);
        assert_eq!(all(Cursor::new(b"abc".to_vec()), 3, patience).await.unwrap(), b"abc");
        assert!(all(Cursor::new(b"abcd".to_vec()), 3, patience).await.is_err());
    }

    /// A tokio stream as futures has them.
    pub(in super::super) struct Compat(pub(in super::super) tokio::io::DuplexStream);

    impl futures_util::io::AsyncRead for Compat {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
            octets: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            let mut buffer = tokio::io::ReadBuf::new(octets);
            let read = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), context, &mut buffer);
            read.map_ok(|()| buffer.filled().len())
        }
    }
}
