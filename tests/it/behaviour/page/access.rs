//! Who sees the page and the API, and under which name.

use super::{Shown, cluster};
use crate::behaviour::asking::eventually;
use crate::support::scrape::{request, request_with};

const GUARDED: [&str; 6] =
    ["/", "/sets/default/web", "/explain?name=a", "/live", "/api/v1/sets", "/api/v1/events"];

fn get(shown: &Shown, path: &str, headers: &str) -> (u16, String) {
    let answer = request_with(shown.admin, "GET", path, headers);
    (answer.code, answer.body)
}

#[test]
fn on_loopback_under_a_name_of_loopback_alone() {
    let shown = Shown::start(
        &cluster(),
        "[page]\nhosts = ['dns.example.org']\n[limits]\npage_streams = 0",
        "127.0.0.1:0",
    );
    let port = shown.admin.port();
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}"), "DNS.example.org".to_owned()] {
        assert_eq!(get(&shown, "/", &format!("host: {host}\r\n")).0, 200, "{host}");
    }
    for path in GUARDED {
        let (code, body) = get(&shown, path, "host: rebound.example\r\n");
        assert_eq!(code, 403, "{path}");
        assert!(body.contains("[page] hosts"), "{body}");
    }
    // Probes and scrapes are for everybody.
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(&shown, path, "host: rebound.example\r\n").0, 200);
    }
    let (code, body) = get(&shown, "/api/v1/events", "host: localhost\r\n");
    assert!(code == 503 && body.contains("limits.page_streams"), "{body}");
}

#[test]
fn elsewhere_not_without_a_token() {
    let shown = Shown::start(&cluster(), "", "0.0.0.0:0");
    let admin = (std::net::Ipv4Addr::LOCALHOST, shown.admin.port()).into();
    let shown = Shown { admin, ..shown };
    for path in GUARDED {
        let (code, body) = get(&shown, path, "host: localhost\r\n");
        assert!(code == 403 && body.contains("[page] token_file"), "{path}: {body}");
    }
    assert_eq!(get(&shown, "/readyz", "host: localhost\r\n").0, 200);
}

#[test]
fn with_a_token_under_any_name_and_the_file_is_followed() {
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "a-token-of-some-length\n").unwrap();
    let toml = format!("[page]\ntoken_file = '{}'\n[limits]\npage_streams = 0", token.path().display());
    let shown = Shown::start(&cluster(), &toml, "0.0.0.0:0");
    let admin = (std::net::Ipv4Addr::LOCALHOST, shown.admin.port()).into();
    let shown = Shown { admin, ..shown };
    for path in GUARDED {
        assert_eq!(get(&shown, path, "host: localhost\r\n").0, 401, "{path}");
    }
    let bearer = |token: &str| format!("host: any.example\r\nauthorization: Bearer {token}\r\n");
    assert_eq!(get(&shown, "/api/v1/sets", &bearer("a-token-of-some-lengtH")).0, 401);
    assert_eq!(get(&shown, "/api/v1/sets", &bearer("a-token-of-some-length")).0, 200);
    let basic = "host: any.example\r\nauthorization: Basic eDphLXRva2VuLW9mLXNvbWUtbGVuZ3Ro\r\n";
    assert_eq!(get(&shown, "/", basic).0, 200);
    let refused = request_with(shown.admin, "GET", "/", "host: a\r\n");
    assert!(refused.headers["www-authenticate"].contains("Basic"), "{refused:?}");
    std::fs::write(token.path(), "another-token-of-length\n").unwrap();
    eventually("the new token", || {
        let codes =
            ["a-token-of-some-length", "another-token-of-length"].map(|t| get(&shown, "/", &bearer(t)).0);
        if codes == [401, 200] { Ok(()) } else { Err(format!("{codes:?}")) }
    });
}

#[test]
fn nothing_is_written_and_nothing_is_shared() {
    let shown = Shown::local(&cluster());
    for path in ["/", "/api/v1/sets", "/api/v1/events", "/explain"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let headers = "host: localhost\r\norigin: http://evil.example\r\n";
            let answer = request_with(shown.admin, method, path, headers);
            assert_eq!(answer.code, 405, "{method} {path}");
            assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")), "{answer:?}");
        }
    }
    let head = request_with(shown.admin, "HEAD", "/", "host: localhost\r\n");
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    assert!(head.headers["content-security-policy"].starts_with("default-src 'none'"));
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    assert_eq!(request(shown.admin, "GET", "/nothing", "").code, 404);
}
