//! The page: rendered here, whole without JavaScript, and kept as it would be rendered now by a script that asks for the
//! parts that changed.
//!
//! Nothing is loaded from elsewhere, and nothing stands in the page that is run or styles it: the policy that it is sent
//! with forbids both.

mod explain;
mod parts;
mod set;

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::api::{Failure, MOST_PAGE, wanted};
use super::board::Board;
use super::html::Html;
use super::look;
use super::query::Query;
use super::status::SetAnswer;
use super::words::time_of_day;

/// Everything is this address's own; nothing in the page itself is a script or a style, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Sets of one update.
const MOST_NAMED: usize = 64;

/// A file that the page loads. Its name says its content, so that it may be kept for ever.
struct Asset {
    path: String,
    content_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, content_type: &'static str, text: &'static str) -> Self {
        let path = format!("/assets/{stem}-{:08x}.{ending}", crc32fast::hash(text.as_bytes()));
        Self { path, content_type, text }
    }
}

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "css", "text/css; charset=utf-8", include_str!("page.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("page", "js", "text/javascript; charset=utf-8", include_str!("page.js")));
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

/// The paths.
pub(super) fn routes() -> Router<Board> {
    Router::new()
        .route("/", get(front))
        .route("/sets/{namespace}/{name}", get(set::page))
        .route("/explain", get(explain::page))
        .route("/live", get(live))
        .route("/assets/{file}", get(asset))
}

async fn asset(Path(file): Path<String>) -> Response {
    let known = [&*STYLE, &*SCRIPT, &*ICON].into_iter();
    match known.into_iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&file)) {
        Some(asset) => {
            let head = [
                (header::CONTENT_TYPE, asset.content_type),
                (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
            ];
            (head, asset.text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What a browser is told about everything behind the guard.
pub(super) fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn html(code: StatusCode, html: Html) -> Response {
    let head = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (code, head, html.finish()).into_response()
}

/// A page around its main part.
fn document(board: &Board, title: &str, main: impl FnOnce(&mut Html)) -> Html {
    let mut page = opened(board, title);
    main(&mut page);
    page.markup(END);
    page
}

const END: &str = "</main></body></html>\n";

/// A page up to its main part.
fn opened(board: &Board, title: &str) -> Html {
    let mut page = Html::default();
    page.markup("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>")
        .text(title)
        .markup("</title><link rel=\"stylesheet\" href=\"")
        .text(&STYLE.path)
        .markup("\"><link rel=\"icon\" type=\"image/svg+xml\" href=\"")
        .text(&ICON.path)
        .markup("\"><script src=\"")
        .text(&SCRIPT.path)
        .markup("\" defer></script></head><body data-last=\"")
        .text(board.ring().id(board.ring().newest_number()))
        .markup("\"><a class=\"skip\" href=\"#main\">To the content</a><header><h1><a href=\"/\">rollcall</a></h1><p>")
        .text(look::zone_name(board))
        .markup("</p><p id=\"live\" role=\"status\"></p></header><main id=\"main\">");
    page
}

/// A page that says what went wrong.
fn failed(board: &Board, failure: Failure) -> Response {
    let (code, sentence) = failure.parts();
    let page = document(board, "rollcall", |page| {
        page.markup("<h2>This cannot be shown</h2><p>").text(&sentence).markup(".</p>");
    });
    html(code, page)
}

async fn front(State(board): State<Board>, RawQuery(query): RawQuery) -> Response {
    match render_front(&board, &Query::parse(query.as_deref())).await {
        Ok(page) => html(StatusCode::OK, page),
        Err(failure) => failed(&board, failure),
    }
}

async fn render_front(board: &Board, query: &Query) -> Result<Html, Failure> {
    let wanted = wanted(query, MOST_PAGE)?;
    let (namespace, is_first) = (wanted.namespace.clone(), wanted.after.is_none());
    // Before the sets are looked at: what changes meanwhile is told by the events that the page asks for.
    let mut page = opened(board, "rollcall");
    let sets = look::sets(board, wanted, parts::IN_ROWS).await?;
    parts::question(&mut page, "", "A");
    parts::numbers(&mut page, board, sets.total);
    page.markup("<h2 id=\"sets-title\">StatefulSets");
    if let Some(namespace) = &namespace {
        page.markup(" of namespace ").text(namespace);
    }
    page.markup("</h2>");
    if sets.sets.is_empty() {
        page.markup("<p>There is none.</p>");
    }
    let is_roomy = sets.sets.iter().map(|set| set.cells.len()).sum::<usize>() <= parts::ROOMY;
    page.markup("<ol class=\"sets\" id=\"sets\" aria-labelledby=\"sets-title\" data-filtered=\"")
        .text(namespace.is_some() || !is_first)
        .markup("\" data-cut=\"")
        .text(sets.next.is_some())
        .markup("\" data-roomy=\"")
        .text(is_roomy)
        .markup("\">");
    sets.sets.iter().for_each(|set| parts::row(&mut page, set, is_roomy));
    page.markup("</ol>");
    if let Some(next) = &sets.next {
        page.markup("<p><a href=\"/?after=").url(next);
        if let Some(namespace) = &namespace {
            page.markup("&amp;namespace=").url(namespace);
        }
        page.markup("\">The next sets</a></p>");
    }
    parts::changes(&mut page, board);
    parts::health(&mut page, board);
    page.markup(END);
    Ok(page)
}

/// The parts that changed, for the script: the numbers, the timeline, health, and the sets that are named.
async fn live(State(board): State<Board>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    let named = query.all("set").take(MOST_NAMED).filter_map(|set| set.split_once('/'));
    let named: Vec<(String, String)> = named.map(|(ns, name)| (ns.to_owned(), name.to_owned())).collect();
    let is_roomy = query.text("roomy") == Some("true");
    let wanted = crate::cluster::Wanted { limit: 0, ..Default::default() };
    let looked = async {
        let total = look::sets(&board, wanted, parts::IN_ROWS).await?.total;
        Ok::<_, Failure>((total, look::named_sets(&board, named.clone(), parts::IN_ROWS).await?))
    };
    let (total, sets) = match looked.await {
        Ok(looked) => looked,
        Err(failure) => return failure.into_response(),
    };
    let mut part = Html::default();
    parts::numbers(&mut part, &board, total);
    parts::changes(&mut part, &board);
    parts::health(&mut part, &board);
    part.markup("<ol>");
    for (namespace, name) in &named {
        match sets.iter().find(|set| set.namespace == *namespace && set.name == *name) {
            Some(set) => parts::row(&mut part, set, is_roomy),
            None => {
                part.markup("<li hidden data-set=\"")
                    .text(namespace)
                    .markup("/")
                    .text(name)
                    .markup("\"></li>");
            }
        }
    }
    part.markup("</ol>");
    html(StatusCode::OK, part)
}

/// The ready ones of those that are wanted.
fn count(set: &SetAnswer) -> String {
    match set.replicas {
        Some(replicas) => format!("{} of {replicas} ready", set.ready),
        None => "replicas not known".to_owned(),
    }
}

fn clock(page: &mut Html, time: &str) {
    page.markup("<time datetime=\"").text(time).markup("\">").text(time_of_day(time)).markup("</time>");
}
