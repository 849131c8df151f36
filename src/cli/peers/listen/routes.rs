//! What is answered: the list, its events, whether there is one; to whom.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::board::Board;
use super::stream::events;
use crate::admin::{Access, Guard, Patience};

/// When to come back for what is not there yet, in seconds.
const RETRY_AFTER: &str = "1";

/// Of a listener at an address.
pub(super) fn routes(board: Board, address: IpAddr) -> Router {
    let routes = Router::new()
        .route("/peers", get(peers))
        .route("/peers/events", get(events))
        .route("/readyz", get(ready))
        .route("/livez", get(async || text(StatusCode::OK, "ok\n".to_owned())))
        .fallback(async || {
            text(
                StatusCode::NOT_FOUND,
                "not found; there are /peers, /peers/events, /readyz and /livez\n".to_owned(),
            )
        })
        .method_not_allowed_fallback(async || {
            let mut response =
                text(StatusCode::METHOD_NOT_ALLOWED, "everything here is read with GET or HEAD\n".to_owned());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        })
        .with_state(board)
        .layer(from_fn(harden));
    if address.to_canonical().is_loopback() {
        let guard = Arc::new(Guard::new(address, Access::default()));
        routes.layer(from_fn_with_state(guard, of_loopback))
    } else {
        routes
    }
}

/// On loopback only under a name of loopback: a page of elsewhere whose name was made to point here (DNS rebinding)
/// carries its own name in `Host`.
async fn of_loopback(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if guard.admits_host(host) {
        return next.run(request).await;
    }
    let said = "this is shown under a name of loopback: localhost, 127.0.0.1 or [::1]\n";
    text(StatusCode::MISDIRECTED_REQUEST, said.to_owned())
}

/// No browser is to guess what it is, nor to show it to another page.
async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let name = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(name, HeaderValue::from_static("same-origin"));
    response
}

fn text(code: StatusCode, sentence: String) -> Response {
    let head = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, head, sentence).into_response()
}

/// There is no list: why, and when to come back.
fn unavailable(why: &str) -> Response {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("no list yet: {why}\n"));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
    response
}

/// As many event streams are open as may be.
pub(super) fn too_many() -> Response {
    let mut response = text(
        StatusCode::SERVICE_UNAVAILABLE,
        "as many event streams are open as may be (--listen-connections); try again later\n".to_owned(),
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
    response
}

async fn peers(
    State(board): State<Board>,
    Extension(patience): Extension<Arc<Patience>>,
    headers: HeaderMap,
) -> Response {
    patience.pages();
    let state = board.state();
    let Some(shown) = state.newest else { return unavailable(&board.why_none()) };
    // It may be kept, and is to be asked for again each time.
    let head = [(header::ETAG, shown.tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if is_known(&headers, &shown.tag) {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (StatusCode::OK, head, [(header::CONTENT_TYPE, "application/json")], shown.body.clone()).into_response()
}

/// If-None-Match (RFC 9110, section 13.1.2): a list of tags, compared weakly, or `*`.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// 200 once there is a list; one that is not followed just now is one, too.
async fn ready(State(board): State<Board>) -> Response {
    let state = board.state();
    match state.newest {
        None => unavailable(&board.why_none()),
        Some(shown) => text(
            StatusCode::OK,
            match &shown.list.stale {
                None => "ok\n".to_owned(),
                Some(why) => format!("ok; the list is what was known last: {why}\n"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_among_others_and_weakly() {
        let known = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_NONE_MATCH, line.parse().unwrap());
            }
            is_known(&headers, "\"b\"")
        };
        for lines in [&["\"b\""][..], &["\"a\", \"b\""], &["W/\"b\""], &["*"], &["\"a\"", "\"b\""]] {
            assert!(known(lines), "{lines:?}");
        }
        for lines in [&[][..], &["\"a\""], &["b"], &[""]] {
            assert!(!known(lines), "{lines:?}");
        }
    }
}
