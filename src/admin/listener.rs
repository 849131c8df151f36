//! The HTTP side: a bounded number of connections, in all and of one client, each with a bound on its patience.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use dashmap::DashMap;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tracing::debug;

use super::access::{Access, Guard, guarded};
use super::board::Board;
use super::events::{Streams, events};
use super::exposition::Form;
use super::patience::Patience;
use super::{Health, Metrics, api, page};

/// Until the head of the request is there, from the connection on.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);
/// The most octets of a request's head.
const MAX_HEAD: usize = 16 << 10;
/// A client may have one connection of so many. Who opens more and says nothing would keep the kubelet's probes waiting,
/// and a pod whose probes are late is ended.
const SHARE: usize = 4;
/// Behind an error of accept (no descriptors left): the next try.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What is counted of its connections.
#[derive(Debug, Default)]
struct Counts {
    refused: AtomicU64,
    slow: AtomicU64,
}

/// Why the address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (admin): {source}")]
pub struct AdminError {
    /// Which.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// What there is to be asked for.
#[derive(Clone)]
pub struct Pages {
    /// `/readyz`.
    pub health: Health,
    /// `/metrics`.
    pub metrics: Metrics,
    /// The page and the API.
    pub board: Board,
    /// Who may see them.
    pub access: Access,
    /// Event streams at one time. They are counted beside the connections.
    pub streams: usize,
}

/// The listener; dropped, it and its connections end.
pub struct AdminServer {
    address: SocketAddr,
    _accepting: JoinSet<()>,
}

impl AdminServer {
    /// Listens and answers, on at most `limit` connections at one time; more wait. Within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(address: SocketAddr, limit: usize, pages: Pages) -> Result<Self, AdminError> {
        let bad = |source| AdminError { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(bad)?;
        listener.set_nonblocking(true).map_err(bad)?;
        let listener = TcpListener::from_std(listener).map_err(bad)?;
        let address = listener.local_addr().map_err(bad)?;
        let mut accepting = JoinSet::new();
        let (by_client, counts) = (Arc::<ByClient>::default(), Arc::<Counts>::default());
        let streams = Streams(Arc::new(Semaphore::new(pages.streams)));
        tell(&pages.metrics, limit, &by_client, &counts);
        tell_streams(&pages.metrics, pages.streams, &streams);
        let routes = routes(pages, address.ip(), streams);
        accepting.spawn(accept(listener, limit, by_client, counts, routes));
        Ok(Self { address, _accepting: accepting })
    }

    /// Listens on every address of the machine: of both families where it has both.
    ///
    /// # Errors
    /// When the port cannot be bound in either family.
    pub fn start_everywhere(port: u16, limit: usize, pages: Pages) -> Result<Self, AdminError> {
        // One socket for both families, as Linux makes them by default.
        Self::start((Ipv6Addr::UNSPECIFIED, port).into(), limit, pages.clone()).or_else(|error| {
            match error.source.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                _ => Self::start((Ipv4Addr::UNSPECIFIED, port).into(), limit, pages),
            }
        })
    }

    /// Where it listens, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What the page and the API are made of, behind the guard; each answer is one that a browser treats with care.
fn guarded_routes(pages: &Pages, address: IpAddr, streams: Streams) -> Router {
    let guard = Arc::new(Guard::new(address, pages.access.clone()));
    let all = page::routes().merge(api::routes()).route("/api/v1/events", get(events));
    all.with_state(pages.board.clone())
        .layer(Extension(streams))
        .layer(from_fn(take_time))
        .layer(from_fn_with_state(guard, guarded))
        .layer(from_fn(async |request: Request, next: Next| page::harden(next.run(request).await)))
}

/// Who was let in may take longer.
async fn take_time(request: Request, next: Next) -> Response {
    if let Some(patience) = request.extensions().get::<Arc<Patience>>() {
        patience.pages();
    }
    next.run(request).await
}

fn routes(pages: Pages, address: IpAddr, streams: Streams) -> Router {
    const TEXT: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    let guarded = guarded_routes(&pages, address, streams);
    Router::new()
        .route("/livez", get(|| async { (TEXT, "ok\n") }))
        .route(
            "/readyz",
            get(|State(pages): State<Pages>| async move {
                let (code, body) = pages.health.ready();
                (code, TEXT, body)
            }),
        )
        .route(
            "/metrics",
            get(|State(pages): State<Pages>, headers: HeaderMap| async move {
                let accepted: Vec<&str> =
                    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
                let form = Form::accepted(&accepted.join(","));
                let head = [(header::CONTENT_TYPE, form.content_type()), (header::CACHE_CONTROL, "no-store")];
                match pages.metrics.page(form).await {
                    Ok(body) => (StatusCode::OK, head, body),
                    Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, head, String::new()),
                }
            }),
        )
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                TEXT,
                "not found; there are /, /api/v1/openapi.json, /livez, /readyz and /metrics\n",
            )
        })
        .with_state(pages)
        .merge(guarded)
        .method_not_allowed_fallback(async || {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "everything here is read with GET or HEAD\n")
                .into_response()
        })
}

fn tell(metrics: &Metrics, limit: usize, by_client: &Arc<ByClient>, counts: &Arc<Counts>) {
    let (by_client, counts) = (Arc::clone(by_client), Arc::clone(counts));
    metrics.tell("admin", move |page| {
        let open: usize = by_client.iter().map(|held| *held).sum();
        page.gauge(
            "rollcall_admin_connections",
            "Connections to the admin address that are open, the scrape's own among them.",
            [(vec![], open as u64)],
        );
        page.gauge(
            "rollcall_admin_connections_limit",
            "Connections to the admin address that may be open; more wait.",
            [(vec![], limit as u64)],
        );
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        page.counter(
            "rollcall_admin_refused",
            "Connections to the admin address that were closed: as they came, or for their slowness.",
            [("per_client", read(&counts.refused)), ("slow", read(&counts.slow))]
                .map(|(reason, count)| (vec![("reason", reason)], count)),
        );
    });
}

fn tell_streams(metrics: &Metrics, limit: usize, Streams(places): &Streams) {
    let places = Arc::clone(places);
    metrics.tell("streams", move |page| {
        let open = limit.saturating_sub(places.available_permits());
        page.gauge(
            "rollcall_page_streams",
            "Event streams of the page and the API that are open.",
            [(vec![], open as u64)],
        );
        page.gauge(
            "rollcall_page_streams_limit",
            "Event streams of the page and the API that may be open; more are refused.",
            [(vec![], limit as u64)],
        );
    });
}

async fn accept(
    listener: TcpListener,
    limit: usize,
    by_client: Arc<ByClient>,
    counts: Arc<Counts>,
    routes: Router,
) {
    let slots = Arc::new(Semaphore::new(limit));
    let mut connections = JoinSet::new();
    loop {
        // A slot first: connections that find none wait in the kernel.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "admin: accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(share) = Share::of(&by_client, peer.ip(), limit.div_ceil(SHARE)) else {
            debug!(client = %peer.ip(), "admin: closed: too many connections of one client");
            counts.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (patience, counts) = (Arc::new(Patience::new((share, slot))), Arc::clone(&counts));
        let (routes, of_requests) = (routes.clone(), Arc::clone(&patience));
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Arc::clone(&of_requests));
            routes.clone().oneshot(request)
        });
        connections.spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            http.keep_alive(false)
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_PATIENCE)
                .max_buf_size(MAX_HEAD);
            let connection = http.serve_connection(TokioIo::new(stream), service);
            // What ends badly is the client's affair.
            let is_slow = match patience.outlast(connection).await {
                Some(ended) => ended.is_err_and(|error| error.is_timeout()),
                None => true,
            };
            if is_slow {
                counts.slow.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// How many connections each has that has one.
type ByClient = DashMap<IpAddr, usize>;

/// A client's connection among those that it may have; given back when it is dropped.
struct Share {
    by_client: Arc<ByClient>,
    client: IpAddr,
}

impl Share {
    fn of(by_client: &Arc<ByClient>, client: IpAddr, most: usize) -> Option<Self> {
        let client = client.to_canonical();
        let mut held = by_client.entry(client).or_default();
        if *held >= most {
            return None;
        }
        *held += 1;
        drop(held);
        Some(Self { by_client: Arc::clone(by_client), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.by_client.remove_if_mut(&self.client, |_, held| {
            *held = held.saturating_sub(1);
            *held == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_share_and_gives_it_back() {
        let by_client = Arc::new(DashMap::new());
        let share = |text: &str| Share::of(&by_client, text.parse().unwrap(), 2);
        let first = share("192.0.2.1").unwrap();
        let _second = share("::ffff:192.0.2.1").unwrap();
        assert!(share("192.0.2.1").is_none());
        let other = share("192.0.2.2").unwrap();
        drop(first);
        assert!(share("192.0.2.1").is_some());
        drop(other);
        assert_eq!(by_client.len(), 1, "who has none is not remembered");
    }
}
