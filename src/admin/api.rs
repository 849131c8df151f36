//! `/api/v1/`: what the page shows, as JSON. docs/openapi.json describes each answer, and a test holds both together.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::board::{Board, Busy};
use super::look;
use super::query::{Query, Wrong};
use super::status::{ChangesAnswer, ErrorAnswer};
use crate::cluster::Wanted;
use crate::explain::Question;

/// Sets or Services of one answer, unless more are asked for.
const PAGE: usize = 100;
/// The most of them.
pub(super) const MOST_PAGE: usize = 1000;
/// Changes of one answer.
const MOST_CHANGES: usize = 1000;
/// The octets of a name that is to be explained: a name of DNS in its longest spelling, each octet escaped.
pub(super) const MOST_NAME: usize = 1024;

/// The description, as it is in the docs.
const OPENAPI: &str = include_str!("../../docs/openapi.json");

/// Why there is no answer.
pub(super) enum Failure {
    Busy,
    NotFound(&'static str),
    Wrong(String),
}

impl From<Busy> for Failure {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl From<Wrong> for Failure {
    fn from(Wrong(what): Wrong) -> Self {
        Self::Wrong(what)
    }
}

impl Failure {
    pub(super) fn parts(self) -> (StatusCode, String) {
        match self {
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the cluster is being published or loaded just now: try again".to_owned(),
            ),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, what.to_owned()),
            Self::Wrong(what) => (StatusCode::BAD_REQUEST, what),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (code, error) = self.parts();
        let mut response = (code, json(&ErrorAnswer { error })).into_response();
        if code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, 1.into());
        }
        response
    }
}

type Answer = Result<Response, Failure>;

/// The paths. Those of events are beside it.
pub(super) fn routes() -> Router<Board> {
    Router::new()
        .route("/api/v1/sets", get(sets))
        .route("/api/v1/sets/{namespace}/{name}", get(set))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{namespace}/{name}", get(service))
        .route("/api/v1/changes", get(changes))
        .route("/api/v1/health", get(async |State(board): State<Board>| json(&look::health(&board))))
        .route("/api/v1/zone", get(async |State(board): State<Board>| json(&look::zone(&board))))
        .route("/api/v1/explain", get(explain))
        .route(
            "/api/v1/openapi.json",
            get(async || ([(header::CONTENT_TYPE, "application/json"), NO_STORE], OPENAPI)),
        )
        .route(
            "/api/{*rest}",
            get(async || Failure::NotFound("no such path; /api/v1/openapi.json lists them")),
        )
}

const NO_STORE: (HeaderName, &str) = (header::CACHE_CONTROL, "no-store");

fn json(answer: &impl Serialize) -> Response {
    match serde_json::to_string(answer) {
        Ok(mut text) => {
            text.push('\n');
            ([(header::CONTENT_TYPE, "application/json"), NO_STORE], text).into_response()
        }
        // Of structures whose keys are texts: it does not fail.
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// An answer that a client may keep and ask about again: 304 where nothing was published since.
fn tagged(tag: &str, answer: &impl Serialize) -> Response {
    let mut response = json(answer);
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(header::ETAG, tag);
        let private = axum::http::HeaderValue::from_static("private, no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, private);
    }
    response
}

/// RFC 9110, section 13.1.2.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|tags| tags.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    tags.any(|other| other == tag)
}

fn not_modified(tag: &str) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response()
}

/// The part of a list that a query asks for.
pub(super) fn wanted(query: &Query, default: usize) -> Result<Wanted, Wrong> {
    Ok(Wanted {
        namespace: query.text("namespace").map(ToOwned::to_owned),
        after: query.pair("after")?,
        limit: query.number("limit", default, MOST_PAGE)?,
    })
}

async fn sets(State(board): State<Board>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    // Before it is looked at: an answer is at least as new as its tag.
    let tag = board.tag();
    if is_known(&headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let wanted = wanted(&Query::parse(query.as_deref()), PAGE)?;
    Ok(tagged(&tag, &look::sets(&board, wanted, look::WHOLE).await?))
}

async fn set(State(board): State<Board>, Path((namespace, name)): Path<(String, String)>) -> Answer {
    let set = look::set(&board, namespace, name).await?;
    Ok(json(&set.ok_or(Failure::NotFound("there is no such StatefulSet"))?))
}

async fn services(State(board): State<Board>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let tag = board.tag();
    if is_known(&headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let wanted = wanted(&Query::parse(query.as_deref()), PAGE)?;
    Ok(tagged(&tag, &look::services(&board, wanted).await?))
}

async fn service(State(board): State<Board>, Path((namespace, name)): Path<(String, String)>) -> Answer {
    let service = look::service(&board, namespace, name).await?;
    Ok(json(&service.ok_or(Failure::NotFound("there is no such Service"))?))
}

async fn changes(State(board): State<Board>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref());
    let limit = query.number("limit", PAGE, MOST_CHANGES)?;
    let ring = board.ring();
    // From the beginning, without a name of where to go on: that something was forgotten before it is no gap then.
    let after = query.text("after");
    let number = after.map(|id| ring.number(id));
    let since = ring.since(number.flatten().unwrap_or_default(), limit);
    let gap = match number {
        None => false,
        Some(None) => true,
        Some(Some(_)) => since.is_gap,
    };
    let changes = since.changes.iter().map(|change| (**change).clone()).collect();
    Ok(json(&ChangesAnswer { last: ring.id(since.last), gap, changes }))
}

async fn explain(State(board): State<Board>, RawQuery(query): RawQuery) -> Answer {
    let query = Query::parse(query.as_deref());
    let name = query.text("name").ok_or_else(|| Wrong("name is missing".to_owned()))?;
    if name.len() > MOST_NAME {
        return Err(Failure::Wrong(format!("name is longer than {MOST_NAME} octets")));
    }
    let explained = board.explain(question(name, &query)).await?;
    Ok(json(&explained.map_err(|error| Failure::Wrong(error.to_string()))?))
}

/// What a query asks to be explained.
pub(super) fn question(name: &str, query: &Query) -> Question {
    Question {
        typed: name.to_owned(),
        rtype: query.text("type").map(ToOwned::to_owned),
        namespace: query.text("namespace").unwrap_or("default").to_owned(),
    }
}
