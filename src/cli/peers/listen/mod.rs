//! `--listen`: the list over HTTP, for applications without DNS code of their own.
//!
//! It shows what is told, held back and debounced as events are. One request a connection, a bounded number of these,
//! each with a bound on its patience, as the admin address of a server has it. What is shown is one value that is replaced:
//! an event stream is a place in front of it, and who reads slowly is told the newest list and skips those between.

mod board;
mod routes;
mod stream;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;
use tracing::debug;

use super::told::{Choice, Of};
use crate::admin::Patience;
use crate::peers::{List, Peers};
use crate::run;

use board::{Board, Shown, State};

/// Until the head of a request is there, from the connection on.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);
/// The most octets of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// What the kernel holds for a client that does not read (it doubles this for its own keeping).
const SEND_BUFFER: usize = 64 << 10;
/// Behind an error of accept (no descriptors left): the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// At the end: for the last words of streams to be taken.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// One of so many connections is for questions: streams take no more than the rest.
const QUESTIONS: usize = 4;

/// Where to listen: a port of 127.0.0.1, or an address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")).unwrap_or(text);
        match port.parse::<u16>() {
            Ok(port) => Ok(Self((Ipv4Addr::LOCALHOST, port).into())),
            Err(_) => {
                let address = text.parse().map(Self);
                address.map_err(|_| "PORT (of 127.0.0.1) or ADDRESS:PORT, with an IP address".to_owned())
            }
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The listener and what it shows. Dropped, it ends at once; [`Endpoint::stop`] lets streams say so.
pub(super) struct Endpoint {
    state: watch::Sender<State>,
    of: Arc<Of>,
    choice: Choice,
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Listens and answers, on at most `limit` connections at one time; more wait. Within a tokio runtime.
    pub(super) fn start(
        (listen, limit): (Listen, usize),
        peers: &Peers,
        of: &Of,
        choice: Choice,
    ) -> anyhow::Result<Self> {
        let bind = || {
            let listener = std::net::TcpListener::bind(listen.0)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok::<_, std::io::Error>((TcpListener::from_std(listener)?, address))
        };
        let (listener, address) = bind().with_context(|| format!("cannot listen on {listen} (HTTP)"))?;
        let (state, state_rx) = watch::channel(State::default());
        let of = Arc::new(of.clone());
        let board = Board::new(
            state_rx.clone(),
            peers.troubled(),
            Arc::clone(&of),
            choice,
            limit - limit.div_ceil(QUESTIONS),
        );
        let routes = routes::routes(board, address.ip());
        run::say(&format!("listening http {address}"));
        let accepting = tokio::spawn(accept(listener, limit, routes, state_rx));
        Ok(Self { state, of, choice, accepting })
    }

    /// Shows a list from now on.
    pub(super) fn tell(&self, list: &Arc<List>) {
        let peers = self.choice.of(list);
        // Of strings and numbers: there is nothing that could not be written.
        let Ok(body) = self.of.list(list, &peers) else { return };
        self.state.send_modify(|state| {
            let number = state.newest.as_ref().map_or(0, |newest| newest.number) + 1;
            state.newest = Some(Arc::new(Shown::new(number, Arc::clone(list), body)));
        });
    }

    /// Says why there is no list yet.
    pub(super) fn hold(&self, why: &str) {
        self.state.send_modify(|state| state.held = Some(why.to_owned()));
    }

    /// Ends all streams and closes, within a second.
    pub(super) async fn stop(self) {
        self.state.send_modify(|state| state.ended = true);
        // It ends by itself; what became of it interests nobody any more.
        let _ = self.accepting.await;
    }
}

async fn accept(listener: TcpListener, limit: usize, routes: Router, mut state_rx: watch::Receiver<State>) {
    let slots = Arc::new(Semaphore::new(limit));
    let mut connections = JoinSet::new();
    let accept_all = async {
        loop {
            // A slot first: connections that find none wait in the kernel.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            while connections.try_join_next().is_some() {}
            match listener.accept().await {
                Ok((stream, _)) => {
                    let routes = routes.clone();
                    connections.spawn(async move {
                        serve(stream, routes).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    debug!(%error, "http: accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept_all => {}
        // An error is that nobody shows anything any more.
        _ = state_rx.wait_for(|state| state.ended) => {}
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WORDS, all).await;
}

/// Answers one request. What ends badly is the client's affair.
async fn serve(stream: TcpStream, routes: Router) {
    let _ = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER);
    let _ = stream.set_nodelay(true);
    let patience = Arc::new(Patience::new(()));
    let of_requests = Arc::clone(&patience);
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&of_requests));
        routes.clone().oneshot(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(MAX_HEAD);
    let _ = patience.outlast(http.serve_connection(TokioIo::new(stream), service)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_loopbacks() {
        for (text, expected) in [
            ("8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), expected);
        }
        for text in ["", ":", "host:8080", "65536", "10.0.0.1", "-1"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
