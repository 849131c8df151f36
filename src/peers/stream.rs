//! A connection to a server: questions one behind the other, and stateful messages beside them (RFC 7766, RFC 8490).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::bounds::{self, Answered, Excess, is_of};
use super::trouble::Trouble;
use super::view::Question;
use crate::wire::dso::{Said, is_stateful};
use crate::wire::record::{Reply, question};

/// How long a connection, or what must come over it, is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long an answer is waited for while other things come.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// How many questions are under way at one time: who writes on without reading may wait for a server that does the same.
const AT_ONCE: usize = 64;
/// The size of UDP that is said in EDNS; over a stream it says nothing.
pub(super) const PAYLOAD: u16 = 1232;
/// How much is read at one time.
const PIECE: usize = 16 << 10;

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection.
pub(super) struct Connection {
    io: Box<dyn Io>,
    server: String,
    /// What was read and not taken yet.
    input: Vec<u8>,
    /// Stateful messages that came while an answer was waited for.
    aside: VecDeque<Vec<u8>>,
    /// Octets of them.
    aside_octets: usize,
    /// Of a question or a Keepalive: those below 256 are subscriptions', which are taken for as long as these are active
    /// (RFC 8765, section 6.2.1).
    last_id: u16,
}

impl Connection {
    /// Connects; `server` is its name in what is said of it.
    pub(super) async fn tcp(address: SocketAddr, server: &str) -> Result<Self, Trouble> {
        Ok(Self::over(connect(address, server).await?, server))
    }

    /// Over TLS, where the certificate has to name `name` or else the address.
    #[cfg(feature = "tls")]
    pub(super) async fn tls(
        address: SocketAddr,
        name: Option<&str>,
        server: &str,
        tls: &super::tls::Tls,
    ) -> Result<Self, Trouble> {
        let stream = connect(address, server).await?;
        let stream = patiently(server, tls.connect(stream, address.ip(), name, server)).await??;
        Ok(Self::over(stream, server))
    }

    pub(super) fn over(io: impl Io + 'static, server: &str) -> Self {
        let (input, aside) = (Vec::new(), VecDeque::new());
        Self { io: Box::new(io), server: server.to_owned(), input, aside, aside_octets: 0, last_id: 0 }
    }

    /// Its name in what is said of it.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// An ID that is not under way.
    pub(super) fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.wrapping_add(1).max(256);
        self.last_id
    }

    /// Sends messages that stand behind their lengths.
    pub(super) async fn send(&mut self, octets: &[u8]) -> Result<(), Trouble> {
        let Self { io, server, .. } = self;
        let write = async {
            io.write_all(octets).await?;
            io.flush().await
        };
        patiently(server, write).await?.map_err(|error| Trouble::Io { server: server.clone(), error })
    }

    /// Asks; the replies are in the order of the questions.
    pub(super) async fn ask(&mut self, questions: &[Question]) -> Result<Vec<Reply>, Trouble> {
        let mut replies = Vec::with_capacity(questions.len());
        let mut taken = Answered::default();
        for some in questions.chunks(AT_ONCE) {
            self.ask_some(some, &mut taken, &mut replies).await?;
        }
        Ok(replies)
    }

    async fn ask_some(
        &mut self,
        questions: &[Question],
        taken: &mut Answered,
        replies: &mut Vec<Reply>,
    ) -> Result<(), Trouble> {
        let ids: Vec<u16> = questions.iter().map(|_| self.next_id()).collect();
        let mut octets = Vec::new();
        for ((name, rtype), id) in questions.iter().zip(&ids) {
            let message = question(*id, name, *rtype, PAYLOAD);
            octets.extend(u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes());
            octets.extend(message);
        }
        self.send(&octets).await?;
        let mut answered: Vec<Option<Reply>> = questions.iter().map(|_| None).collect();
        // Whoever says other things for ever does not answer.
        let mut end = Instant::now() + LONGEST;
        while answered.iter().any(Option::is_none) {
            let server = self.server.clone();
            if Instant::now() >= end {
                return Err(Trouble::Silent { server, patience: LONGEST });
            }
            let message = patiently(&server, self.message()).await??;
            if is_stateful(&message) {
                self.put_aside(message)?;
                continue;
            }
            let reply = Reply::parse(&message)
                .map_err(|error| Trouble::Malformed { server: server.clone(), error })?;
            // What answers nothing that was asked, or what was answered already, is passed over.
            if let Some(at) = ids.iter().position(|id| *id == reply.id)
                && answered[at].is_none()
                && is_of(&reply, &questions[at])
            {
                answered[at] = Some(taken.take(reply, &questions[at]).map_err(|excess| excess.of(&server))?);
                end = Instant::now() + LONGEST;
            }
        }
        replies.extend(answered.into_iter().flatten());
        Ok(())
    }

    fn put_aside(&mut self, message: Vec<u8>) -> Result<(), Trouble> {
        self.aside_octets += message.len();
        if self.aside_octets > bounds::ASIDE {
            return Err(Excess("pushes before an answer").of(&self.server));
        }
        self.aside.push_back(message);
        Ok(())
    }

    fn take_aside(&mut self) -> Option<Vec<u8>> {
        let message = self.aside.pop_front()?;
        self.aside_octets -= message.len();
        Some(message)
    }

    /// The next stateful message, whenever it comes. Dropped while it waits, it loses nothing.
    pub(super) async fn said(&mut self) -> Result<Said, Trouble> {
        loop {
            let message = match self.take_aside() {
                Some(message) => message,
                None => self.message().await?,
            };
            if let Some(said) = self.parse(&message)? {
                return Ok(said);
            }
        }
    }

    /// The next stateful message that is there already.
    pub(super) fn said_already(&mut self) -> Result<Option<Said>, Trouble> {
        while let Some(message) = self.take_aside().or_else(|| self.whole()) {
            if let Some(said) = self.parse(&message)? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    fn parse(&self, message: &[u8]) -> Result<Option<Said>, Trouble> {
        if !is_stateful(message) {
            return Ok(None);
        }
        Said::parse(message).map_err(|error| Trouble::Malformed { server: self.server.clone(), error })
    }

    /// The next message of any kind. Dropped while it waits, it loses nothing.
    async fn message(&mut self) -> Result<Vec<u8>, Trouble> {
        loop {
            if let Some(message) = self.whole() {
                return Ok(message);
            }
            self.input.reserve(PIECE);
            let read = self.io.read_buf(&mut self.input).await;
            let trouble = match read {
                Ok(1..) => continue,
                Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "the connection has ended"),
                Err(error) => error,
            };
            return Err(Trouble::Io { server: self.server.clone(), error: trouble });
        }
    }

    /// A message that was read whole.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let length: &[u8; 2] = self.input.first_chunk()?;
        let end = 2 + usize::from(u16::from_be_bytes(*length));
        let message = self.input.get(2..end)?.to_vec();
        self.input.drain(..end);
        if self.input.is_empty() {
            // A sidecar waits for days: what a large answer took is given back.
            self.input = Vec::new();
        }
        Some(message)
    }
}

/// What is done within [`PATIENCE`].
pub(super) async fn patiently<T>(server: &str, what: impl Future<Output = T>) -> Result<T, Trouble> {
    let silent = |_| Trouble::Silent { server: server.to_owned(), patience: PATIENCE };
    timeout(PATIENCE, what).await.map_err(silent)
}

async fn connect(address: SocketAddr, server: &str) -> Result<TcpStream, Trouble> {
    let trouble = |error| Trouble::Io { server: server.to_owned(), error };
    let stream = patiently(server, TcpStream::connect(address)).await?.map_err(trouble)?;
    stream.set_nodelay(true).map_err(trouble)?;
    // A network that is cut says nothing: within half a minute the kernel does.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(trouble)?;
    Ok(stream)
}
