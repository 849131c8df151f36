//! Who may see the page and the API. Probes and scrapes ask nobody.
//!
//! They show the names and addresses of a whole cluster, to a browser too. On loopback they are open to the machine's own
//! users, and only under a name that is loopback's own: a page of elsewhere whose name was made to point here (DNS
//! rebinding) carries its own name in `Host`. Elsewhere, and wherever a token is configured, they ask for it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;
use tracing::warn;

/// A token is read again when it is asked for after so long: one that was replaced is taken, one that was revoked ends.
const FRESH: Duration = Duration::from_secs(1);
/// The octets of a token. A shorter one could be tried out.
const TOKEN: std::ops::RangeInclusive<usize> = 16..=4096;

/// What the operator says about access.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// Holds the token.
    pub token_file: Option<PathBuf>,
    /// Names, beside those of loopback, that the page may be asked for under without a token.
    pub hosts: Vec<String>,
}

/// Lets requests in.
#[derive(Debug)]
pub(crate) struct Guard {
    is_loopback: bool,
    hosts: Vec<String>,
    token: Option<TokenFile>,
}

#[derive(Debug)]
struct TokenFile {
    path: PathBuf,
    read: Mutex<Option<Read>>,
}

#[derive(Debug)]
struct Read {
    at: Instant,
    /// None where the file holds no token.
    token: Option<Arc<[u8]>>,
}

impl Guard {
    /// Of a listener at an address.
    pub(crate) fn new(address: IpAddr, access: Access) -> Self {
        let token = access.token_file.map(|path| TokenFile { path, read: Mutex::default() });
        Self { is_loopback: address.to_canonical().is_loopback(), hosts: access.hosts, token }
    }

    /// Why a request is not answered; None is that it is.
    async fn refuses(self: &Arc<Self>, headers: &HeaderMap) -> Option<Response> {
        if self.token.is_some() {
            let guard = Arc::clone(self);
            let wanted =
                tokio::task::spawn_blocking(move || guard.token.as_ref().and_then(TokenFile::current));
            let Ok(Some(wanted)) = wanted.await else {
                return Some(say(
                    StatusCode::FORBIDDEN,
                    "the token that the page asks for cannot be read; the log says why\n",
                ));
            };
            if presented(headers).is_some_and(|token| token.as_slice().ct_eq(&wanted).into()) {
                return None;
            }
            let mut response = say(
                StatusCode::UNAUTHORIZED,
                "the page and the API need the token of [page] token_file, as a bearer token or as a password\n",
            );
            // A browser asks its user for a password, and sends it with everything that the page loads.
            for challenge in ["Bearer realm=\"rollcall\"", "Basic realm=\"rollcall\", charset=\"UTF-8\""] {
                let challenge = axum::http::HeaderValue::from_static(challenge);
                response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
            }
            return Some(response);
        }
        if !self.is_loopback {
            return Some(say(
                StatusCode::FORBIDDEN,
                "the page and the API are not shown on an address that is not loopback without a token: \
                 set [page] token_file, or --admin 127.0.0.1:9153\n",
            ));
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        (!self.admits_host(host)).then(|| {
            say(
                StatusCode::FORBIDDEN,
                "the page and the API are shown under a name of loopback (localhost, 127.0.0.1, [::1]) or of [page] hosts\n",
            )
        })
    }

    /// Whether a `Host` is a name of loopback, or one that the operator has named.
    pub(crate) fn admits_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let is_loopback = address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
        // RFC 6761, section 6.3.
        let is_localhost = name == "localhost" || name.ends_with(".localhost");
        is_loopback || is_localhost || self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => {
            // Of `::1` without brackets the last part is no port; browsers never write it so.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

fn say(code: StatusCode, sentence: &'static str) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, text, sentence).into_response()
}

/// The token of a request: `Bearer` (RFC 6750, section 2.1), or the password of `Basic` (RFC 7617), whoever it is of.
fn presented(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    let pair = scheme.eq_ignore_ascii_case("basic").then(|| base64(rest.trim())).flatten()?;
    let colon = pair.iter().position(|octet| *octet == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// RFC 4648, section 4.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(octets)
}

impl TokenFile {
    fn current(&self) -> Option<Arc<[u8]>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Read { token, .. }) = read.as_ref().filter(|read| read.at.elapsed() < FRESH) {
            return token.clone();
        }
        let had = read.as_ref().is_none_or(|read| read.token.is_some());
        let token = match read_token(&self.path) {
            Ok(token) => Some(token),
            Err(error) => {
                // Once, until it can be read again.
                if had {
                    warn!("the page is not shown: the token in {}: {error}", self.path.display());
                }
                None
            }
        };
        *read = Some(Read { at: Instant::now(), token: token.clone() });
        token
    }
}

fn read_token(path: &Path) -> io::Result<Arc<[u8]>> {
    let octets = std::fs::read(path)?;
    // Editors and `echo` end a file with a line break.
    let token = octets.trim_ascii();
    if !TOKEN.contains(&token.len()) {
        let wrong = format!("has {} octets, not from {} to {}", token.len(), TOKEN.start(), TOKEN.end());
        return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
    }
    Ok(token.into())
}

/// The middleware.
pub(super) async fn guarded(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refuses(request.headers()).await {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_guard(address: &str, token_file: Option<&Path>) -> Arc<Guard> {
        let access =
            Access { token_file: token_file.map(Into::into), hosts: vec!["dns.example.org".to_owned()] };
        Arc::new(Guard::new(address.parse().unwrap(), access))
    }

    fn mk_headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_of_loopback_and_configured_ones_are_admitted() {
        let guard = mk_guard("127.0.0.1", None);
        for host in [
            "localhost",
            "LOCALHOST:9153",
            "a.localhost.",
            "127.0.0.1:9153",
            "127.8.9.1",
            "[::1]:9153",
            "[::1]",
            "[::ffff:127.0.0.1]:1",
            "DNS.example.org:80",
        ] {
            assert!(guard.admits_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]:1",
            "::2:9153",
        ] {
            assert!(!guard.admits_host(host), "{host}");
        }
    }

    #[tokio::test]
    async fn elsewhere_a_token_is_needed_and_without_one_it_is_forbidden() {
        let open = mk_headers(&[(header::HOST, "localhost")]);
        assert!(mk_guard("127.0.0.1", None).refuses(&open).await.is_none());
        assert!(mk_guard("::ffff:127.0.0.1", None).refuses(&open).await.is_none());
        for elsewhere in ["0.0.0.0", "::", "10.0.0.1"] {
            let refused = mk_guard(elsewhere, None).refuses(&open).await.unwrap();
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
    }

    #[tokio::test]
    async fn a_token_is_compared_followed_and_forgotten_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let guard = mk_guard("127.0.0.1", Some(&path));
        let code = async |guard: &Arc<Guard>, authorization: &str| {
            let headers =
                mk_headers(&[(header::HOST, "any.example"), (header::AUTHORIZATION, authorization)]);
            guard.refuses(&headers).await.map(|refused| refused.status())
        };
        assert_eq!(code(&guard, "Bearer 0123456789abcdef").await, None);
        // Of `me:0123456789abcdef`.
        assert_eq!(code(&guard, "basic bWU6MDEyMzQ1Njc4OWFiY2RlZg==").await, None);
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer ",
            "Bearer 0123456789abcdef0",
            "Digest x",
            "Basic bWU=",
            "Basic !",
        ] {
            assert_eq!(code(&guard, wrong).await, Some(StatusCode::UNAUTHORIZED), "{wrong}");
        }
        let none = guard.refuses(&mk_headers(&[(header::HOST, "localhost")])).await.unwrap();
        assert_eq!(none.headers().get_all(header::WWW_AUTHENTICATE).iter().count(), 2);
        std::fs::write(&path, "fedcba9876543210").unwrap();
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert_eq!(code(&guard, "Bearer 0123456789abcdef").await, Some(StatusCode::UNAUTHORIZED));
        assert_eq!(code(&guard, "Bearer fedcba9876543210").await, None);
        std::fs::write(&path, "short").unwrap();
        tokio::time::sleep(FRESH + Duration::from_millis(50)).await;
        assert_eq!(code(&guard, "Bearer short").await, Some(StatusCode::FORBIDDEN));
    }

    #[test]
    fn base64_is_read_and_nonsense_is_none() {
        assert_eq!(base64("bWU6eA==").unwrap(), b"me:x");
        assert_eq!(base64("bWU6eA").unwrap(), b"me:x");
        assert_eq!(base64("").unwrap(), b"");
        assert_eq!(base64("b-_="), None);
    }
}
