//! A question in the words of HTTP (RFC 8484, section 4.1), and its reply in them (section 4.2).

use data_encoding::BASE64URL_NOPAD;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::response::Builder;
use hyper::{Method, Response, StatusCode, Uri};

use crate::server::memory::OutOfMemory;
use crate::wire::least_ttl;

/// What a message is called.
const MESSAGE: &str = "application/dns-message";

/// Where a question is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// It came with the head (GET).
    Here(Vec<u8>),
    /// It is the body (POST).
    Body,
}

/// Why a request is none; the one place where that becomes a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoQuestion {
    #[error("not found; questions are asked of another path")]
    Path,
    #[error("questions are asked by GET and POST")]
    Method,
    #[error("a POST is of type application/dns-message")]
    Type,
    #[error("a GET has one parameter `dns`, in base64url without padding")]
    Parameter,
    #[error("longer than a question may be")]
    Long,
    #[error("not a question of DNS")]
    Packet,
    #[error("the body took too long")]
    Slow,
    #[error("the body was cut short")]
    Cut,
    #[error("no room for what this connection holds; ask again")]
    Memory(#[from] OutOfMemory),
}

impl NoQuestion {
    fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Long => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Memory(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Parameter | Self::Packet | Self::Cut => StatusCode::BAD_REQUEST,
        }
    }

    /// A line for people, and the status.
    pub(super) fn response<B: From<Vec<u8>>>(self) -> Response<B> {
        let mut response = Response::new(B::from(format!("{self}\n").into_bytes()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::Method {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }
}

/// Finds the question of a request, of at most `most` octets.
pub(super) fn question(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    path: &str,
    most: usize,
) -> Result<Question, NoQuestion> {
    if uri.path() != path {
        return Err(NoQuestion::Path);
    }
    match *method {
        Method::GET => in_uri(uri, most).map(Question::Here),
        Method::POST => {
            let of = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
            // Parameters of a media type are not looked at: this one has none.
            let media = of(CONTENT_TYPE).and_then(|text| text.split(';').next()).map(str::trim);
            if !media.is_some_and(|media| media.eq_ignore_ascii_case(MESSAGE)) {
                return Err(NoQuestion::Type);
            }
            // Said before it is sent: refused before it is read.
            if of(CONTENT_LENGTH)
                .and_then(|text| text.parse().ok())
                .is_some_and(|length: usize| length > most)
            {
                return Err(NoQuestion::Long);
            }
            Ok(Question::Body)
        }
        _ => Err(NoQuestion::Method),
    }
}

fn in_uri(uri: &Uri, most: usize) -> Result<Vec<u8>, NoQuestion> {
    let mut parameters =
        uri.query().unwrap_or_default().split('&').filter_map(|text| text.strip_prefix("dns="));
    let (Some(text), None) = (parameters.next(), parameters.next()) else {
        return Err(NoQuestion::Parameter);
    };
    // Some clients pad all the same.
    let text = text.trim_end_matches('=');
    if text.len() / 4 * 3 > most {
        return Err(NoQuestion::Long);
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NoQuestion::Parameter)
}

/// The head of a reply. Caches of HTTP may keep it for as long as the first of its records (RFC 8484, section 5.1).
pub(super) fn head(reply: &[u8]) -> Builder {
    let kept = match least_ttl(reply) {
        Some(seconds) => format!("max-age={seconds}"),
        None => "no-store".to_owned(),
    };
    Response::builder()
        .header(CONTENT_TYPE, MESSAGE)
        .header(CONTENT_LENGTH, reply.len())
        .header(CACHE_CONTROL, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Question, NoQuestion> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            map.append(name, value.parse().unwrap());
        }
        question(&method.parse().unwrap(), &uri.parse().unwrap(), &map, "/dns-query", 64)
    }

    #[test]
    fn gets() {
        let here = |octets: &[u8]| Ok(Question::Here(octets.to_vec()));
        assert_eq!(asked("GET", "/dns-query?dns=AAABAA", &[]), here(&[0, 0, 1, 0]));
        assert_eq!(asked("GET", "https://dns.example/dns-query?a=b&dns=_-8&c", &[]), here(&[0xff, 0xef]));
        assert_eq!(asked("GET", "/dns-query?dns=_-8=", &[]), here(&[0xff, 0xef]));
        for query in ["", "?", "?dns", "?dn=AAAA", "?dns=A", "?dns=AA+A", "?dns=AAAA&dns=AAAA", "?dns=AA%3D"]
        {
            let uri = format!("/dns-query{query}");
            assert_eq!(asked("GET", &uri, &[]), Err(NoQuestion::Parameter), "{uri}");
        }
        let long = |octets: usize| format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&vec![0; octets]));
        assert_eq!(asked("GET", &long(64), &[]), here(&[0; 64]));
        assert_eq!(asked("GET", &long(67), &[]), Err(NoQuestion::Long));
        assert_eq!(asked("GET", "/", &[]), Err(NoQuestion::Path));
        assert_eq!(asked("GET", "/dns-query/?dns=AAAA", &[]), Err(NoQuestion::Path));
    }

    #[test]
    fn posts() {
        let media = ("content-type", "application/dns-message");
        assert_eq!(asked("POST", "/dns-query", &[media]), Ok(Question::Body));
        assert_eq!(
            asked("POST", "/dns-query", &[("content-type", "Application/DNS-Message; x=y")]),
            Ok(Question::Body)
        );
        assert_eq!(asked("POST", "/dns-query", &[]), Err(NoQuestion::Type));
        assert_eq!(
            asked("POST", "/dns-query", &[("content-type", "application/dns-json")]),
            Err(NoQuestion::Type)
        );
        assert_eq!(asked("POST", "/dns-query", &[media, ("content-length", "64")]), Ok(Question::Body));
        assert_eq!(asked("POST", "/dns-query", &[media, ("content-length", "65")]), Err(NoQuestion::Long));
        for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "X"] {
            assert_eq!(asked(method, "/dns-query?dns=AAAA", &[media]), Err(NoQuestion::Method), "{method}");
        }
    }

    #[test]
    fn each_refusal_has_its_status() {
        let status = |why: NoQuestion| why.response::<Vec<u8>>().status().as_u16();
        let all = [
            (NoQuestion::Path, 404),
            (NoQuestion::Method, 405),
            (NoQuestion::Slow, 408),
            (NoQuestion::Long, 413),
            (NoQuestion::Type, 415),
            (NoQuestion::Parameter, 400),
            (NoQuestion::Packet, 400),
            (NoQuestion::Cut, 400),
        ];
        for (why, expected) in all {
            assert_eq!(status(why), expected, "{why}");
        }
        assert_eq!(NoQuestion::Method.response::<Vec<u8>>().headers()[ALLOW], "GET, POST");
    }

    #[test]
    fn a_reply_says_how_long_it_may_be_kept() {
        let kept = |reply: &[u8]| {
            let response = head(reply).body(()).unwrap();
            (response.status().as_u16(), response.headers()[CACHE_CONTROL].to_str().unwrap().to_owned())
        };
        let answer = b"\0\0\x85\0\0\x01\0\x01\0\0\0\0\x03web\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x07\0\x04\x0a\0\0\x01";
        assert_eq!(kept(answer), (200, "max-age=7".to_owned()));
        // An error of DNS is no error of HTTP (RFC 8484, section 4.2.1).
        assert_eq!(kept(b"\0\0\x85\x05\0\0\0\0\0\0\0\0"), (200, "no-store".to_owned()));
    }
}
