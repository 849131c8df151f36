//! Single questions over UDP, and over TCP where the answer is too large (RFC 1035, section 4.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::bounds::{Answered, is_of};
use super::stream::{Connection, PAYLOAD};
use super::trouble::Trouble;
use super::view::Question;
use crate::wire::record::{Reply, question};

/// How long one datagram is waited for, and how many there are: as glibc's resolver has it, but sooner.
const PATIENCE: Duration = Duration::from_millis(1500);
const TRIES: u32 = 2;

/// A server that is asked over UDP.
pub(super) struct Datagrams {
    address: SocketAddr,
    server: String,
}

impl Datagrams {
    pub(super) fn new(address: SocketAddr, server: &str) -> Self {
        Self { address, server: server.to_owned() }
    }

    pub(super) async fn ask(&self, questions: &[Question]) -> Result<Vec<Reply>, Trouble> {
        let mut replies = Vec::with_capacity(questions.len());
        let mut taken = Answered::default();
        for asked in questions {
            let mut reply = self.ask_one(asked).await?;
            if reply.truncated {
                let mut connection = Connection::tcp(self.address, &self.server).await?;
                reply = connection.ask(std::slice::from_ref(asked)).await?.pop().unwrap_or(reply);
            }
            replies.push(taken.take(reply, asked).map_err(|excess| excess.of(&self.server))?);
        }
        Ok(replies)
    }

    async fn ask_one(&self, asked: &Question) -> Result<Reply, Trouble> {
        let (name, rtype) = asked;
        let trouble = |error| Trouble::Io { server: self.server.clone(), error };
        for _ in 0..TRIES {
            // A port and an ID of its own each time: neither is to be guessed (RFC 5452, section 9.2).
            let any = if self.address.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await.map_err(trouble)?;
            socket.connect(self.address).await.map_err(trouble)?;
            let id = fastrand::u16(..);
            socket.send(&question(id, name, *rtype, PAYLOAD)).await.map_err(trouble)?;
            let answer = timeout(PATIENCE, async {
                let mut octets = vec![0; usize::from(PAYLOAD)];
                loop {
                    let length = socket.recv(&mut octets).await?;
                    // What answers another question is somebody else's, or a forgery.
                    match Reply::parse(&octets[..length]) {
                        Ok(reply) if reply.id == id && is_of(&reply, asked) => return Ok(reply),
                        _ => {}
                    }
                }
            });
            if let Ok(answer) = answer.await {
                return answer.map_err(trouble);
            }
        }
        Err(Trouble::Silent { server: self.server.clone(), patience: PATIENCE * TRIES })
    }
}
