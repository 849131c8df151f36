//! Asks the admin address of a server that runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::Response;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

/// For the whole of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a page of a list: a thousand sets are some megabytes, through a port forward perhaps.
const PAGE_PATIENCE: Duration = Duration::from_secs(30);
/// The most octets of an answer: the largest is a page of sets.
pub(super) const MOST: usize = 64 << 20;
/// Characters of a refusal that are told: whatever answers there may say more.
const MOST_SAID: usize = 300;

/// A server's admin address, and what opens it.
#[derive(Debug, Clone)]
pub struct Server {
    /// `http://127.0.0.1:9153`, without a path.
    url: String,
    token: Option<Arc<Token>>,
    /// It keeps a connection where who answers does: ours does not, something in front of it may.
    client: Client<HttpConnector, Empty<Bytes>>,
}

/// The token in a file, which is read at each question: a new one is taken.
struct Token {
    file: PathBuf,
    /// Empty before the first.
    last: Mutex<String>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Token").field(&self.file).finish()
    }
}

impl Token {
    /// A pipe (`--token-file <(…)`) gives it once, and a file that is being written may be empty: then it is the last.
    fn read(&self) -> anyhow::Result<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let cannot = || format!("cannot read {}", self.file.display());
        let is_file = std::fs::metadata(&self.file).with_context(cannot)?.is_file();
        if is_file || last.is_empty() {
            let text = std::fs::read_to_string(&self.file).with_context(cannot)?;
            let token = text.trim();
            if !token.is_empty() {
                token.clone_into(&mut last);
            }
        }
        anyhow::ensure!(!last.is_empty(), "there is no token in {}", self.file.display());
        Ok(last.clone())
    }
}

/// It was not reached, or did not answer as one of ours does.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody answers there.
    #[error("{0} does not answer{hint}", hint = .1.as_deref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unreached(String, Option<String>),
    /// It says no, in its own words.
    #[error("{0} says {1}: {2}")]
    Refused(String, u16, String),
}

/// What was given as the address of a server is none.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read as one.
    #[error("{0} is no address and no URL")]
    Unreadable(String, #[source] http::uri::InvalidUri),
    /// It names no host.
    #[error("{0} is no address and no URL")]
    NoHost(String),
    /// Another scheme.
    #[error(
        "{0}: the admin address speaks http; where something in front of it speaks TLS, ask through `kubectl port-forward`"
    )]
    Scheme(String),
    /// Where the API is below the address is known.
    #[error("{0}: without a path")]
    Path(String),
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

impl Server {
    /// An address, a name with a port, or a URL.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn new(text: &str, token_file: Option<PathBuf>) -> Result<Self, AddressError> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: http::Uri = url.parse().map_err(|error| AddressError::Unreadable(text.to_owned(), error))?;
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| AddressError::NoHost(text.to_owned()))?;
        if uri.scheme_str() != Some("http") {
            return Err(AddressError::Scheme(text.to_owned()));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(AddressError::Path(text.to_owned()));
        }
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1).build_http();
        let token = token_file.map(|file| Arc::new(Token { file, last: Mutex::default() }));
        Ok(Self { url: format!("http://{authority}"), token, client })
    }

    /// Gets a path with a query, of pairs that are not escaped yet.
    ///
    /// # Errors
    /// [`RemoteError`], or where the token cannot be read.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
        self.get_within(PATIENCE, path, query).await
    }

    /// The same, of a page of a list, which is longer.
    ///
    /// # Errors
    /// As of [`Server::get`].
    pub async fn get_page(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
        self.get_within(PAGE_PATIENCE, path, query).await
    }

    /// The same, of an answer that goes on: its head has come.
    ///
    /// # Errors
    /// As of [`Server::get`].
    pub async fn stream(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Incoming> {
        Ok(self.in_time(PATIENCE, self.open(path, query)).await?.into_body())
    }

    /// As one wrote it, with its scheme.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    async fn get_within(
        &self,
        patience: Duration,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<Vec<u8>> {
        let asked = async {
            let response = self.open(path, query).await?;
            let octets = self.whole(response.into_body()).await?;
            anyhow::Ok(octets)
        };
        Ok(self.in_time(patience, asked).await?.into())
    }

    async fn in_time<T>(
        &self,
        patience: Duration,
        asked: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let waited = tokio::time::timeout(patience, asked).await;
        waited.map_err(|_| {
            RemoteError::Unreached(self.url.clone(), Some(format!("nothing after {} s", patience.as_secs())))
        })?
    }

    /// An answer that is no refusal.
    async fn open(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Response<Incoming>> {
        let pairs: Vec<String> =
            query.iter().map(|(key, value)| format!("{key}={}", escaped(value))).collect();
        let mut request = http::Request::get(format!("{}{path}?{}", self.url, pairs.join("&")));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.read()?));
        }
        let request = request.body(Empty::<Bytes>::new())?;
        let response = self.client.request(request).await.map_err(|error| self.unreached(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let octets = self.whole(response.into_body()).await?;
        let text = String::from_utf8_lossy(&octets);
        let said = serde_json::from_slice::<Failure>(&octets).map(|failure| failure.error);
        let said = said.unwrap_or_else(|_| text.into_owned());
        // Of what may be a page of something in between.
        let said = said.lines().next().unwrap_or_default().chars().take(MOST_SAID).collect();
        Err(RemoteError::Refused(self.url.clone(), status.as_u16(), said).into())
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, RemoteError> {
        let body = Limited::new(body, MOST).collect().await;
        Ok(body.map_err(|error| self.unreached(&*error))?.to_bytes())
    }

    fn unreached(&self, error: &dyn std::error::Error) -> RemoteError {
        RemoteError::Unreached(self.url.clone(), Some(crate::source::chain(error)))
    }
}

/// A value in a query: what is not unreserved (RFC 3986, section 2.3) is escaped.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;

    let mut escaped = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Into memory.
            let _ = write!(escaped, "%{octet:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls() {
        for (text, url) in [
            ("127.0.0.1:9153", "http://127.0.0.1:9153"),
            ("[::1]:9153", "http://[::1]:9153"),
            ("localhost:9153", "http://localhost:9153"),
            ("http://dns.example.org:80/", "http://dns.example.org:80"),
        ] {
            assert_eq!(Server::new(text, None).unwrap().url, url);
        }
        for bad in ["", "http://", "a b"] {
            let error = Server::new(bad, None).unwrap_err();
            assert!(error.to_string().ends_with(" is no address and no URL"), "{bad}: {error}");
        }
        for bad in ["https://127.0.0.1:9153", "ftp://x"] {
            assert!(matches!(Server::new(bad, None), Err(AddressError::Scheme(_))), "{bad}");
        }
        for bad in ["127.0.0.1:9153/metrics", "http://127.0.0.1:9153/?name=a"] {
            assert!(matches!(Server::new(bad, None), Err(AddressError::Path(_))), "{bad}");
        }
    }

    #[test]
    fn a_token_is_read_anew_and_kept_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, " \n").unwrap();
        let token = Token { file: file.clone(), last: Mutex::default() };
        let error = token.read().unwrap_err();
        assert_eq!(error.to_string(), format!("there is no token in {}", file.display()));
        for (written, read) in [("first\n", "first"), ("", "first"), ("second", "second")] {
            std::fs::write(&file, written).unwrap();
            assert_eq!(token.read().unwrap(), read);
        }
        assert!(!format!("{token:?}").contains("second"));
        std::fs::remove_file(&file).unwrap();
        assert!(token.read().unwrap_err().to_string().starts_with("cannot read "));
    }

    #[test]
    fn what_a_query_cannot_hold_is_escaped() {
        assert_eq!(escaped("_a._tcp.b c&d=\u{e4}"), "_a._tcp.b%20c%26d%3D%C3%A4");
    }
}
