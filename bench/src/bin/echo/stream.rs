//! The least that a server of many connections can do: each message goes back with the QR bit set; what is no question
//! (too short, or not one question) goes back as a format error, and closes the connection when it has come four times
//! in a row, as rollcall does. One thread, which waits on all of them at once.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

/// In a row.
const MOST_GARBAGE: usize = 4;
/// Octets of a header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;

/// Serves connections at the address for ever.
pub(crate) fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = listen(address).context("cannot listen for connections")?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(async move {
                        // Its client is gone, or was sent away.
                        let _ = give_back(stream).await;
                    });
                }
                // As those of a flood: files, or a client that has left.
                Err(error) => eprintln!("not accepted: {error}"),
            }
        }
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}

async fn give_back(stream: TcpStream) -> io::Result<()> {
    let (mut input, mut output, mut garbage) = (Vec::new(), Vec::new(), 0);
    loop {
        stream.readable().await?;
        let mut octets = [0; 4096];
        match stream.try_read(&mut octets) {
            Ok(0) => return Ok(()),
            Ok(read) => input.extend_from_slice(&octets[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        while garbage < MOST_GARBAGE
            && let Some((message, rest)) = message(&input)
        {
            garbage = if reply(message, &mut output) { 0 } else { garbage + 1 };
            input = rest.to_vec();
        }
        let mut rest = &*output;
        while !rest.is_empty() {
            stream.writable().await?;
            match stream.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        output.clear();
        if garbage >= MOST_GARBAGE {
            return Ok(());
        }
    }
}

/// The first message, and what is behind it.
fn message(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Appends the reply; whether it was a question.
fn reply(message: &[u8], output: &mut Vec<u8>) -> bool {
    let Some(header) = message.first_chunk::<HEADER>() else { return false };
    let is_question = header[2] & 0xf8 == 0 && header[4..6] == [0, 1] && header[6..10] == [0; 4];
    let message = if is_question { message } else { &header[..] };
    // It was a message.
    output.extend(u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes());
    let start = output.len();
    output.extend_from_slice(message);
    output[start + 2] |= 0x80;
    if !is_question {
        output[start + 3] = 1;
        output[start + 4..].fill(0);
    }
    is_question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_go_back_and_what_is_none_is_a_format_error() {
        let question = *b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01";
        let mut output = Vec::new();
        assert!(reply(&question, &mut output));
        assert_eq!((&output[..5], output.len()), (&b"\x00\x11\x12\x34\x81"[..], 2 + question.len()));
        let mut odd = question;
        odd[5] = 2;
        output.clear();
        assert!(!reply(&odd, &mut output));
        assert_eq!(output, b"\x00\x0c\x12\x34\x81\x01\x00\x00\x00\x00\x00\x00\x00\x00");
        assert!(!reply(&question[..11], &mut output));
    }

    #[test]
    fn messages_are_taken_one_by_one() {
        let input = b"\x00\x02ab\x00\x01cd";
        let (first, rest) = message(input).unwrap();
        assert_eq!((first, message(rest)), (&b"ab"[..], Some((&b"c"[..], &b"d"[..]))));
        assert_eq!(message(b"\x00\x02a"), None);
    }
}
