//! An HTTP gateway before the real API server that fails as API servers and what stands in front of them do:
//! refusals, bodies that break off, streams that go silent.
//!
//! The server under test speaks plain HTTP to it, and it asks the API server over TLS in its own name: what goes
//! through it is read, which a TCP proxy (`proxy.rs`) cannot do behind TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) at: Instant,
    /// `services`, `endpointslices`, …
    pub(super) kind: String,
    /// A watch from a version on.
    pub(super) goes_on: bool,
    /// A bearer token; empty without one.
    pub(super) token: String,
}

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// The API server's answer.
    Pass,
    /// The same, in JSON.
    Json,
    /// A Status of this code.
    Refuse(u16, &'static str),
    /// Another answer: a code, seconds of `Retry-After`, a Content-Type and a body.
    Say(u16, Option<u32>, &'static str, &'static str),
    /// A watch that is refused by an event: a Status of this code.
    Event(u16, &'static str),
    /// The API server's answer up to so many octets of its body, then a closed connection; JSON if so wanted.
    Cut { octets: usize, json: bool },
    /// The same up to there, and then nothing more on an open connection.
    Hush(usize),
    /// A closed connection instead of an answer.
    Hang,
}

/// What was said is on its way after this: an error at once would take it back.
const FLUSH: Duration = Duration::from_millis(30);

type Rule = Box<dyn FnMut(&Asked) -> Deed + Send>;
type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

struct Shared {
    rule: Mutex<Rule>,
    asked: Mutex<Vec<Asked>>,
    /// Changed when every stream of before is to be cut.
    cut_rx: watch::Receiver<u64>,
}

/// A running gateway; ends with its value.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    cut_tx: watch::Sender<u64>,
    /// Dropped last, which must not wait.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Gateway {
    /// Passes everything on to the API server of a client that `make` makes.
    pub(super) fn start<F: Future<Output = Client>>(make: impl FnOnce() -> F) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(make());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (cut_tx, cut_rx) = watch::channel(0);
        let rule: Rule = Box::new(|_| Deed::Pass);
        let shared = Arc::new(Shared { rule: Mutex::new(rule), asked: Mutex::default(), cut_rx });
        runtime.spawn(accept(listener, client, Arc::clone(&shared)));
        Self { address, shared, cut_tx, runtime: Some(runtime) }
    }

    /// Before a real API server.
    pub(super) fn of(plane: &crate::support::ControlPlane) -> Self {
        let kubeconfig = kube::config::Kubeconfig::read_from(plane.kubeconfig()).unwrap();
        Self::start(|| async {
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
            Client::try_from(config).unwrap()
        })
    }

    /// Requests are answered by a rule from now on.
    pub(super) fn rule(&self, rule: impl FnMut(&Asked) -> Deed + Send + 'static) {
        *self.shared.rule.lock().unwrap() = Box::new(rule);
    }

    /// Every request is answered like this from now on.
    pub(super) fn always(&self, deed: Deed) {
        self.rule(move |_| deed.clone());
    }

    /// Ends every answer that is being given.
    pub(super) fn cut(&self) {
        self.cut_tx.send_modify(|generation| *generation += 1);
    }

    /// What was asked since a moment.
    pub(super) fn asked_since(&self, moment: Instant) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.at >= moment).cloned().collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, client: Client, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (client, shared) = (client.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, client.clone(), Arc::clone(&shared)));
            // What ends badly was meant to, or is the client's affair.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An error closes the connection.
async fn answer(request: Request<Incoming>, client: Client, shared: Arc<Shared>) -> io::Result<Answer> {
    let asked = read(&request);
    let deed = (shared.rule.lock().unwrap())(&asked);
    shared.asked.lock().unwrap().push(asked);
    match deed {
        Deed::Pass => forward(request, &client, &shared, End::Own).await,
        Deed::Json => forward(in_json(request), &client, &shared, End::Own).await,
        Deed::Cut { octets, json: false } => forward(request, &client, &shared, End::Cut(octets)).await,
        Deed::Cut { octets, json: true } => {
            forward(in_json(request), &client, &shared, End::Cut(octets)).await
        }
        Deed::Hush(octets) => forward(request, &client, &shared, End::Hush(octets)).await,
        Deed::Hang => Err(io::Error::other("hangs up")),
        Deed::Refuse(code, reason) => said(code, None, "application/json", status(code, reason)),
        Deed::Say(code, seconds, content_type, body) => said(code, seconds, content_type, body.to_owned()),
        Deed::Event(code, reason) => {
            let event = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status(code, reason));
            said(200, None, "application/json", event)
        }
    }
}

fn read(request: &Request<Incoming>) -> Asked {
    let query = request.uri().query().unwrap_or_default();
    let has = |pair: &str| query.split('&').any(|other| other == pair);
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    Asked {
        at: Instant::now(),
        kind: request.uri().path().rsplit('/').next().unwrap_or_default().to_owned(),
        goes_on: (has("watch=true") || has("watch=1")) && !has("sendInitialEvents=true"),
        token: token.and_then(|token| token.strip_prefix("Bearer ")).unwrap_or_default().to_owned(),
    }
}

fn in_json(mut request: Request<Incoming>) -> Request<Incoming> {
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request
}

fn status(code: u16, reason: &str) -> String {
    serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": reason, "message": "made up by the gateway"})
    .to_string()
}

fn said(code: u16, seconds: Option<u32>, content_type: &str, body: String) -> io::Result<Answer> {
    let mut response = Response::builder().status(code).header(CONTENT_TYPE, content_type);
    if let Some(seconds) = seconds {
        response = response.header(RETRY_AFTER, seconds);
    }
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
    response.body(body).map_err(io::Error::other)
}

/// How a forwarded body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// As the API server ends it.
    Own,
    /// After so many octets, by a closed connection.
    Cut(usize),
    /// After so many octets, never.
    Hush(usize),
}

async fn forward(
    request: Request<Incoming>,
    client: &Client,
    shared: &Shared,
    end: End,
) -> io::Result<Answer> {
    let mut cut_rx = shared.cut_rx.clone();
    // Cuts of before are not this one's.
    cut_rx.mark_unchanged();
    let mut own = Request::builder().method(request.method()).uri(request.uri().clone());
    // Whose token it is that asks there is the gateway's affair.
    for (name, value) in request.headers().iter().filter(|(name, _)| name.as_str().starts_with("accept")) {
        own = own.header(name, value);
    }
    let own = own.body(Body::empty()).map_err(io::Error::other)?;
    let response = client.send(own).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let mut forwarded = Response::builder().status(head.status);
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = head.headers.get(&name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let left = match end {
        End::Own => usize::MAX,
        End::Cut(octets) | End::Hush(octets) => octets,
    };
    forwarded.body(StreamBody::new(frames(body, cut_rx, end, left)).boxed_unsync()).map_err(io::Error::other)
}

/// The body's octets, as many as there may be, until it is cut.
fn frames(
    body: Body,
    cut_rx: watch::Receiver<u64>,
    end: End,
    left: usize,
) -> impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static {
    stream::unfold(Some((body, cut_rx, left)), move |state| async move {
        let (mut body, mut cut_rx, left) = state?;
        let cut = |why| Some((Err(io::Error::other(why)), None));
        if left == 0 {
            match end {
                End::Hush(_) => drop(cut_rx.changed().await),
                End::Cut(_) | End::Own => tokio::time::sleep(FLUSH).await,
            }
            return cut("cut");
        }
        let frame = tokio::select! {
            _ = cut_rx.changed() => return cut("cut from outside"),
            frame = body.frame() => frame?,
        };
        match frame.map(|frame| frame.into_data().unwrap_or_default()) {
            Ok(mut data) => {
                data.truncate(left);
                let left = left - data.len();
                Some((Ok(Frame::data(data)), Some((body, cut_rx, left))))
            }
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::thread;

    use super::*;

    const LIST: &str = "GET /api/v1/services?limit=5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t1\r\n\
        Accept: application/vnd.kubernetes.protobuf, application/json\r\nConnection: close\r\n\r\n";

    /// A gateway before a server that says what it was asked to accept, in two chunks.
    fn mk_gateway() -> Gateway {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut octet = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut octet).unwrap() > 0 {
                    head.extend(octet);
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                assert!(!head.contains("bearer"), "{head}");
                let accept = head.lines().find_map(|line| line.strip_prefix("accept: ")).unwrap().to_owned();
                let body = format!("{:x}\r\n{accept}\r\n6\r\nbehind\r\n0\r\n\r\n", accept.len());
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
                write!(stream, "{head}Connection: close\r\n\r\n{body}").unwrap();
            }
        });
        Gateway::start(|| async move {
            let uri = format!("http://{address}").parse().unwrap();
            Client::try_from(kube::Config::new(uri)).unwrap()
        })
    }

    fn ask(gateway: &Gateway) -> String {
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(LIST.as_bytes()).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn passes_in_either_encoding() {
        let gateway = mk_gateway();
        let text = ask(&gateway);
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("protobuf"), "{text}");
        assert!(text.contains("behind") && text.ends_with("0\r\n\r\n"), "{text}");
        gateway.always(Deed::Json);
        let text = ask(&gateway);
        assert!(text.contains("application/json") && !text.contains("protobuf"), "{text}");
        let asked = gateway.asked_since(Instant::now().checked_sub(Duration::from_secs(60)).unwrap());
        assert_eq!(asked.len(), 2);
        assert_eq!(
            (asked[0].kind.as_str(), asked[0].goes_on, asked[0].token.as_str()),
            ("services", false, "t1")
        );
    }

    #[test]
    fn refuses() {
        let gateway = mk_gateway();
        gateway.always(Deed::Say(429, Some(3), "text/plain", "later"));
        let text = ask(&gateway).to_lowercase();
        assert!(text.starts_with("http/1.1 429") && text.contains("retry-after: 3\r\n"), "{text}");
        gateway.always(Deed::Event(410, "Expired"));
        let text = ask(&gateway);
        assert!(text.starts_with("HTTP/1.1 200") && text.contains(r#""type":"ERROR""#), "{text}");
        gateway.always(Deed::Hang);
        assert_eq!(ask(&gateway), "");
        gateway
            .rule(|asked| if asked.token == "t1" { Deed::Refuse(401, "Unauthorized") } else { Deed::Pass });
        assert!(ask(&gateway).starts_with("HTTP/1.1 401"));
    }

    /// The octets of a chunked body, and whether it has its end.
    fn chunks(text: &str) -> (String, bool) {
        let mut rest = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let mut body = String::new();
        while let Some((length, behind)) = rest.split_once("\r\n") {
            let length = usize::from_str_radix(length, 16).unwrap();
            if length == 0 {
                return (body, true);
            }
            body += &behind[..length];
            rest = &behind[length + 2..];
        }
        (body, false)
    }

    #[test]
    fn cuts_a_body_without_its_end() {
        let gateway = mk_gateway();
        let whole = "application/jsonbehind";
        for octets in [0, 1, 5, 16, 21, 22] {
            gateway.always(Deed::Cut { octets, json: true });
            assert_eq!(chunks(&ask(&gateway)), (whole[..octets].to_owned(), false));
        }
        gateway.always(Deed::Cut { octets: 23, json: true });
        assert_eq!(chunks(&ask(&gateway)), (whole.to_owned(), true));
    }

    #[test]
    fn cuts_what_is_under_way() {
        let gateway = mk_gateway();
        gateway.always(Deed::Hush(4));
        thread::scope(|scope| {
            let asking = scope.spawn(|| ask(&gateway));
            let latest = Instant::now() + Duration::from_secs(10);
            while gateway.asked_since(latest.checked_sub(Duration::from_secs(60)).unwrap()).is_empty() {
                assert!(Instant::now() < latest, "it does not ask");
                thread::sleep(Duration::from_millis(10));
            }
            thread::sleep(Duration::from_millis(200));
            assert!(!asking.is_finished(), "it is to be silent");
            gateway.cut();
            let text = asking.join().unwrap();
            assert!(!text.ends_with("0\r\n\r\n"), "{text}");
        });
        gateway.always(Deed::Pass);
        assert!(chunks(&ask(&gateway)).1, "what comes behind a cut is whole");
    }
}
