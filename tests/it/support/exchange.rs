//! Carries one packet to the server and the reply back.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};

use super::query::Query;

/// How long a reply may take: an upstream that does not answer is given a second by the server.
const REPLY: Duration = Duration::from_secs(4);
/// How much longer a reply that must not come is waited for, once the packet behind it is answered.
const STRAGGLER: Duration = Duration::from_millis(60);

/// A client's socket: one for each case and transport, so that repeated asks come from one client.
#[derive(Debug)]
pub(crate) enum Client {
    /// One connected datagram socket.
    Udp(UdpSocket),
    /// One connection.
    Tcp(TcpStream),
}

impl Client {
    /// A socket that hears only this server.
    pub(crate) fn udp(server: SocketAddr) -> Result<Self> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        Ok(Self::Udp(socket))
    }

    /// A connection to the server.
    pub(crate) fn tcp(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&server, REPLY).context("no TCP connection")?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// How failures name the transport.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Udp(_) => "UDP",
            Self::Tcp(_) => "TCP",
        }
    }

    /// Sends, and waits for the reply.
    ///
    /// # Errors
    /// When none comes: nothing is sent twice, a lost packet is a fault.
    pub(crate) fn ask(&mut self, query: &Query) -> Result<Vec<u8>> {
        self.send(&query.bytes)?;
        self.receive(REPLY)?.with_context(|| format!("no reply within {REPLY:?}"))
    }

    /// Sends what must stay unanswered, then a question that is answered; a reply to the first, if one comes.
    ///
    /// A closed connection counts as silence.
    pub(crate) fn ask_for_silence(&mut self, query: &Query, then: &Query) -> Result<Option<Vec<u8>>> {
        let sent = self.send(&query.bytes).and_then(|()| self.send(&then.bytes));
        if let Self::Tcp(_) = self
            && sent.is_err()
        {
            return Ok(None);
        }
        sent?;
        let Some(first) = self.receive(REPLY)? else {
            return match self {
                Self::Udp(_) => Err(anyhow::anyhow!("neither it nor the packet behind it is answered")),
                Self::Tcp(_) => Ok(None),
            };
        };
        if first.get(..2) != then.bytes.get(..2) {
            return Ok(Some(first));
        }
        self.receive(STRAGGLER)
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        match self {
            Self::Udp(socket) => {
                socket.send(message)?;
            }
            Self::Tcp(stream) => {
                // One write: two would be a second thing to test (RFC 7766, section 8).
                let mut framed = u16::try_from(message.len())?.to_be_bytes().to_vec();
                framed.extend(message);
                stream.write_all(&framed)?;
            }
        }
        Ok(())
    }

    /// A message; None on a time-out or a closed connection.
    fn receive(&mut self, wait: Duration) -> Result<Option<Vec<u8>>> {
        let read = match self {
            Self::Udp(socket) => {
                socket.set_read_timeout(Some(wait))?;
                let mut buffer = vec![0; 65_535];
                socket.recv(&mut buffer).map(|size| {
                    buffer.truncate(size);
                    buffer
                })
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(wait))?;
                let mut length = [0; 2];
                stream.read_exact(&mut length).and_then(|()| {
                    let mut message = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut message)?;
                    Ok(message)
                })
            }
        };
        match read {
            Ok(message) => Ok(Some(message)),
            Err(e) if is_silence(e.kind()) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

fn is_silence(kind: ErrorKind) -> bool {
    let kinds =
        [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
    kinds.contains(&kind)
}
