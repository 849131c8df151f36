//! A name and its answer, with why it is what it is.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{document, failed, html, parts};
use crate::admin::api::{Failure, MOST_NAME, question};
use crate::admin::board::Board;
use crate::admin::html::Html;
use crate::admin::query::Query;
use crate::explain::{Explanation, Fix, RecordSaid, Step, Verdict};

pub(super) async fn page(State(board): State<Board>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(query.as_deref());
    let (name, rtype) = (query.text("name").unwrap_or_default(), query.text("type").unwrap_or_default());
    if name.len() > MOST_NAME {
        return failed(&board, Failure::Wrong(format!("the name is longer than {MOST_NAME} octets")));
    }
    let explained = match name {
        "" => None,
        name => match board.explain(question(name, &query)).await {
            Ok(explained) => Some(explained.map_err(|error| error.to_string())),
            Err(busy) => return failed(&board, busy.into()),
        },
    };
    let code = if matches!(explained, Some(Err(_))) { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = document(&board, "Explain – rollcall", |page| {
        parts::question(page, name, rtype);
        match &explained {
            None => {}
            Some(Err(sentence)) => {
                page.markup("<p class=\"bad\" role=\"alert\">").text(sentence).markup("</p>");
            }
            Some(Ok(explanation)) => render(page, explanation),
        }
    });
    html(code, page)
}

fn render(page: &mut Html, explanation: &Explanation) {
    let Explanation { name, rtype, code, answered, serial, ttl, reasons, .. } = explanation;
    page.markup("<h2><code>").text(name).markup("</code> ").text(rtype).markup("</h2><p><strong>");
    page.text(code);
    match (code.as_str(), answered) {
        ("NOERROR", true) => page.markup("</strong>: answered"),
        ("NOERROR", false) => {
            page.markup("</strong>: the name exists, and has no record of this type (NODATA)")
        }
        ("NXDOMAIN", _) => page.markup("</strong>: the name does not exist"),
        ("REFUSED", _) => page.markup("</strong>: not answered here"),
        ("SERVFAIL", _) => page.markup("</strong>: cannot be answered just now"),
        _ => page.markup("</strong>"),
    };
    page.markup(", at serial ").text(serial);
    if let Some(ttl) = ttl {
        page.markup("; a cache may remember it for ").text(ttl).markup(" s");
    }
    page.markup(".</p>");
    for reason in reasons {
        page.markup("<p class=\"why\">").text(&reason.sentence);
        page.markup(" <span class=\"dim\">(").text(&reason.id).markup(", EDE ").text(reason.code);
        page.markup(")</span></p>");
    }
    way(page, explanation);
    fixes(page, &explanation.fixes);
    for (title, records) in [
        ("Answer", &explanation.answers),
        ("Authority", &explanation.authority),
        ("Additional", &explanation.additional),
    ] {
        section(page, title, records);
    }
}

/// What was looked at, in order.
fn way(page: &mut Html, explanation: &Explanation) {
    page.markup("<h3>Way</h3><ol>");
    for Step { id, verdict, looked_at, found, .. } in &explanation.steps {
        // A word beside the colour, for those who do not see it.
        page.markup(match verdict {
            Verdict::Good => "<li>as it should be: ",
            Verdict::Bad => "<li class=\"bad\">missing: ",
            Verdict::Note => "<li>",
        });
        page.text(id.as_str())
            .markup(" <code>")
            .text(looked_at)
            .markup("</code>: ")
            .text(found)
            .markup("</li>");
    }
    page.markup("</ol>");
    if let Some(until) = &explanation.caching.until {
        page.markup("<p>Who asks now forgets it by ").text(until).markup(".</p>");
    }
}

fn fixes(page: &mut Html, fixes: &[Fix]) {
    if fixes.is_empty() {
        return;
    }
    page.markup("<h3>What to do</h3><ul>");
    for Fix { text, command, diff, .. } in fixes {
        page.markup("<li>").text(text);
        for lines in command.iter().chain(diff) {
            page.markup("<pre tabindex=\"0\">").text(lines).markup("</pre>");
        }
        page.markup("</li>");
    }
    page.markup("</ul>");
}

/// Records that a page shows of a section; `dig` and the API show all.
const MOST_RECORDS: usize = 500;

fn section(page: &mut Html, title: &'static str, records: &[RecordSaid]) {
    if records.is_empty() {
        return;
    }
    page.markup("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").markup(title);
    page.markup("\"><table><caption>").markup(title);
    page.markup("</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">TTL</th><th scope=\"col\">Type</th><th scope=\"col\">Data</th></tr></thead><tbody>");
    for RecordSaid { name, ttl, rtype, data } in records.iter().take(MOST_RECORDS) {
        page.markup("<tr><td><code>").text(name).markup("</code></td><td>").text(ttl).markup("</td><td>");
        page.text(rtype).markup("</td><td><code>").text(data).markup("</code></td></tr>");
    }
    page.markup("</tbody></table></div>");
    if records.len() > MOST_RECORDS {
        page.markup("<p>and ").text(records.len() - MOST_RECORDS).markup(" more</p>");
    }
}
