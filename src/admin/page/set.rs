//! A set with all of its replicas, as a table.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{clock, count, document, failed, html, parts};
use crate::admin::api::Failure;
use crate::admin::board::Board;
use crate::admin::html::Html;
use crate::admin::look;
use crate::admin::status::{CellAnswer, SetAnswer};

pub(super) async fn page(
    State(board): State<Board>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    match look::set(&board, namespace, name).await {
        Ok(Some(set)) => {
            let title = format!("{}/{} – rollcall", set.namespace, set.name);
            html(StatusCode::OK, document(&board, &title, |page| render(page, &set)))
        }
        Ok(None) => failed(&board, Failure::NotFound("there is no such StatefulSet")),
        Err(busy) => failed(&board, busy.into()),
    }
}

fn render(page: &mut Html, set: &SetAnswer) {
    page.markup("<h2>").text(&set.namespace).markup("/<wbr>").text(&set.name).markup("</h2><p>");
    page.text(count(set)).markup(" · ");
    parts::governing(page, set);
    page.markup("</p>");
    if !set.cells.is_empty() {
        page.markup("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"replicas\"><table><caption id=\"replicas\">Replicas, as the slices of the governing Service have them. Times are UTC, of turns that this process remembers.</caption><thead><tr><th scope=\"col\">Name</th><th scope=\"col\">State</th><th scope=\"col\">Addresses</th><th scope=\"col\">Since</th><th scope=\"col\">Slices</th><th scope=\"col\">Why</th></tr></thead><tbody>");
        set.cells.iter().for_each(|cell| row(page, cell));
        page.markup("</tbody></table></div>");
    }
    if set.more > 0 {
        page.markup("<p>and ").text(set.more).markup(" more</p>");
    }
}

fn row(page: &mut Html, cell: &CellAnswer) {
    page.markup("<tr id=\"").text(&cell.name).markup("\"><th scope=\"row\">");
    match &cell.dns {
        Some(dns) => {
            page.markup("<a href=\"/explain?name=").url(dns).markup(".\">").text(&cell.name).markup("</a>")
        }
        None => page.text(&cell.name),
    };
    page.markup("</th><td><span class=\"state ").markup(parts::class(cell.state)).markup("\">");
    page.markup(cell.state).markup("</span>");
    if !cell.expected {
        page.markup(", not wanted");
    }
    page.markup("</td><td>");
    for (index, address) in cell.addresses.iter().enumerate() {
        if index > 0 {
            page.markup("<br>");
        }
        page.markup("<code>").text(address).markup("</code>");
    }
    page.markup("</td><td>");
    if let Some(since) = &cell.since {
        clock(page, since);
    }
    page.markup("</td><td>").text(cell.slices.join(", ")).markup("</td><td>");
    page.text(cell.reason.as_deref().unwrap_or_default()).markup("</td></tr>");
}
