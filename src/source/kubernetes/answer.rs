//! One request to the API server: which encodings are asked for, which one came, and what a refusal says.
//!
//! Protobuf is asked for first: an API server encodes JSON for each watcher, object by object, which takes it longer
//! than anything that is done here. JSON is as good: something in front, or an aggregated server, may have no other.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::io::AsyncBufRead;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tracing::info;

use super::decode::{Encoding, Page, Status, StatusDetails};
use super::failure::Failure;
use super::frames::Frames;
use super::lines::{self, Lines, Next};
use crate::cluster::Kind;
use crate::source::few;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const LIST: &str = "application/vnd.kubernetes.protobuf, application/json";
const WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch, application/json";
const JSON: &str = "application/json";
/// The most octets of a refusal that are read.
const MAX_REFUSAL: usize = 1 << 20;

/// What a scope asks.
pub(super) struct Api {
    pub(super) client: Client,
    /// The server has refused protobuf, or sent something else for it: it is not asked again over this client.
    json_only: AtomicBool,
}

/// What came, from its first octet on.
struct Answer {
    encoding: Encoding,
    octets: Octets,
}

type Octets = Pin<Box<dyn AsyncBufRead + Send>>;

/// The messages of a watch.
pub(super) struct Messages {
    pub(super) encoding: Encoding,
    framing: Framing,
}

enum Framing {
    Lines(Lines<Octets>),
    Frames(Frames<Octets>),
}

impl Messages {
    /// The next message. `deadline` tells until when to wait for its next octets; it is asked before each wait.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(super) async fn next(&mut self, deadline: impl Fn() -> Instant) -> io::Result<Next<'_>> {
        match &mut self.framing {
            Framing::Lines(lines) => lines.next(deadline).await,
            Framing::Frames(frames) => frames.next(deadline).await,
        }
    }
}

/// A page of a list as it came, to be read.
pub(super) struct RawPage<'a> {
    api: &'a Api,
    encoding: Encoding,
    octets: Vec<u8>,
}

impl RawPage<'_> {
    /// As it came.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is none; the next one is asked for in JSON then, which may be.
    pub(super) fn read(&self, kind: Kind) -> Result<Page<'_>, Failure> {
        self.encoding.page(kind, &self.octets).map_err(|error| {
            self.api.json_only.store(true, Ordering::Relaxed);
            Failure::of_page(&error)
        })
    }

    /// Reads the items that are to be kept of it as JSON, which was asked for ([`Api::json`]); see [`few::of_list`].
    ///
    /// # Errors
    /// When it is not that.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        most: usize,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, Failure> {
        few::of_list(&self.octets, most, keep).map_err(|error| Failure::of_page(&error.to_string()))
    }
}

impl Api {
    pub(super) fn new(client: Client) -> Self {
        Self { client, json_only: AtomicBool::new(false) }
    }

    /// One that asks for JSON alone, of which all is kept.
    pub(super) fn json(client: Client) -> Self {
        Self { client, json_only: AtomicBool::new(true) }
    }

    /// Begins a watch, of messages of at most `max` octets. The head of its answer is waited for.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal.
    pub(super) async fn watch(
        &self,
        request: http::Request<Vec<u8>>,
        patience: Duration,
        max: usize,
    ) -> Result<Messages, Failure> {
        let Answer { encoding, octets } = self.ask(request, WATCH, patience).await?;
        let framing = match encoding {
            Encoding::Json => Framing::Lines(Lines::new(octets, max)),
            Encoding::Protobuf => Framing::Frames(Frames::new(octets, max)),
        };
        Ok(Messages { encoding, framing })
    }

    /// Gets a page of at most `max` octets. Its head is waited for, and then for as long as octets come in time.
    ///
    /// # Errors
    /// When there is no answer, or it is a refusal, or breaks off.
    pub(super) async fn page(
        &self,
        request: http::Request<Vec<u8>>,
        patience: Duration,
        (max, patience_between): (usize, Duration),
    ) -> Result<RawPage<'_>, Failure> {
        let Answer { encoding, octets } = self.ask(request, LIST, patience).await?;
        let octets = lines::all(octets, max, patience_between).await?;
        Ok(RawPage { api: self, encoding, octets })
    }

    async fn ask(
        &self,
        request: http::Request<Vec<u8>>,
        accept: &'static str,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        timeout(patience, self.agree(request, accept, patience))
            .await
            .unwrap_or_else(|_| Err(Failure::ended(format!("no answer within {} s", patience.as_secs()))))
    }

    /// Asks for both encodings, and for JSON alone where that is refused.
    async fn agree(
        &self,
        mut request: http::Request<Vec<u8>>,
        accept: &'static str,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        // Kubernetes 1.37 compresses watches, one stream an event; here they are read as they come.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        loop {
            let json_only = self.json_only.load(Ordering::Relaxed);
            let accept = HeaderValue::from_static(if json_only { JSON } else { accept });
            request.headers_mut().insert(ACCEPT, accept);
            let response =
                self.client.send(request.clone().map(Body::from)).await.map_err(Failure::of_client)?;
            let code = response.status();
            let is_refusal = code.is_client_error() || code.is_server_error();
            let encoding = encoding(response.headers().get(CONTENT_TYPE));
            let not_acceptable = code == http::StatusCode::NOT_ACCEPTABLE;
            if !json_only && (not_acceptable || !is_refusal && encoding.is_none()) {
                info!(%code, uri = %request.uri(), "no protobuf from the API server: read as JSON on this connection");
                self.json_only.store(true, Ordering::Relaxed);
                continue;
            }
            // What asked for JSON alone is read as that, whatever something in front calls it.
            let encoding = encoding.unwrap_or(Encoding::Json);
            let retry_after = seconds(response.headers().get(RETRY_AFTER));
            let stream = response.into_body().into_data_stream().map_err(io::Error::other);
            let octets: Octets = Box::pin(stream.into_async_read());
            if is_refusal {
                return Err(refusal(code, encoding, octets, retry_after, patience).await);
            }
            return Ok(Answer { encoding, octets });
        }
    }
}

/// None is neither; without a type it is JSON, as ever.
fn encoding(content_type: Option<&HeaderValue>) -> Option<Encoding> {
    let Some(text) = content_type else { return Some(Encoding::Json) };
    let text = text.to_str().ok()?;
    match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        PROTOBUF => Some(Encoding::Protobuf),
        JSON => Some(Encoding::Json),
        _ => None,
    }
}

/// The seconds of a `Retry-After` (RFC 9110, section 10.2.3); its other form, a date, is no API server's.
fn seconds(retry_after: Option<&HeaderValue>) -> Option<u32> {
    retry_after?.to_str().ok()?.trim().parse().ok()
}

/// What a refusal says. Priority and fairness refuses with a line of text, and the wait in the head alone.
async fn refusal(
    code: http::StatusCode,
    encoding: Encoding,
    octets: Octets,
    retry_after: Option<u32>,
    patience: Duration,
) -> Failure {
    let octets = match lines::all(octets, MAX_REFUSAL, patience).await {
        Ok(octets) => octets,
        Err(error) => error.to_string().into_bytes(),
    };
    let status = encoding.status(&octets).unwrap_or_else(|| Status {
        message: String::from_utf8_lossy(&octets).trim().to_owned(),
        reason: code.canonical_reason().unwrap_or_default().to_owned(),
        ..Status::default()
    });
    let code = if status.code == 0 { code.as_u16() } else { status.code };
    let said = status.details.filter(|details| details.retry_after_seconds > 0);
    let details = said.or(retry_after.map(|seconds| StatusDetails { retry_after_seconds: seconds }));
    Failure::of_answer(Status { code, details, ..status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_a_head() {
        let of = |text: &'static str| seconds(Some(&HeaderValue::from_static(text)));
        assert_eq!([of("3"), of(" 0 "), of("4294967296"), of("-1")], [Some(3), Some(0), None, None]);
        assert_eq!([of("Wed, 21 Oct 2026 07:28:00 GMT"), of(""), seconds(None)], [None; 3]);
    }

    #[test]
    fn encodings_are_told_by_their_type() {
        let of = |text: &'static str| encoding(Some(&HeaderValue::from_static(text)));
        for text in [
            PROTOBUF,
            "application/vnd.kubernetes.protobuf;stream=watch",
            "Application/Vnd.Kubernetes.Protobuf ; q=1",
        ] {
            assert_eq!(of(text), Some(Encoding::Protobuf), "{text}");
        }
        for text in [JSON, "application/json; charset=utf-8", "application/json;stream=watch"] {
            assert_eq!(of(text), Some(Encoding::Json), "{text}");
        }
        assert_eq!(encoding(None), Some(Encoding::Json));
        for text in ["", "text/html", "application/cbor", "application/vnd.kubernetes.protobufs"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
