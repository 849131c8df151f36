//! The parts of the front page, each also rendered alone for the script.

use super::{clock, count};
use crate::admin::board::Board;
use crate::admin::html::Html;
use crate::admin::look;
use crate::admin::status::{CellAnswer, SetAnswer, Watch};
use crate::cluster::Most;

/// With no more cells than this on a page each has its address in it.
pub(super) const ROOMY: usize = 1200;
/// Cells of a row; the set's own page has all.
const CELLS: usize = 100;
/// Reasons below a row.
const REASONS: usize = 3;
/// What rows are made of.
pub(super) const IN_ROWS: Most = look::in_rows(CELLS, REASONS);
/// Changes in the timeline.
const CHANGES: usize = 25;

/// The box that a name is asked for in.
pub(super) fn question(page: &mut Html, name: &str, rtype: &str) {
    page.markup("<form action=\"/explain\" method=\"get\" role=\"search\"><label>Why is a name answered as it is?")
        .markup("<input type=\"text\" name=\"name\" required maxlength=\"1024\" autocapitalize=\"none\" autocomplete=\"off\" spellcheck=\"false\" placeholder=\"web-0.nginx.default\" value=\"")
        .text(name)
        .markup("\"></label><label>Type<select name=\"type\">");
    for choice in ["A", "AAAA", "SRV", "PTR", "CNAME", "TXT", "SOA", "NS", "ANY"] {
        page.markup("<option");
        if choice == rtype {
            page.markup(" selected");
        }
        page.markup(">").text(choice).markup("</option>");
    }
    page.markup("</select></label><button>Explain</button></form>");
}

/// How much there is.
pub(super) fn numbers(page: &mut Html, board: &Board, sets: usize) {
    let zone = look::zone(board);
    page.markup("<dl class=\"numbers\" id=\"numbers\">");
    let mut number = |name: &'static str, value: u64| {
        page.markup("<div><dt>").text(name).markup("</dt><dd>").text(value).markup("</dd></div>");
    };
    number("zone serial", zone.serial.into());
    number("sets", sets as u64);
    number("services", zone.services as u64);
    number("names", zone.names as u64);
    number("slices", zone.objects.endpoint_slices);
    page.markup("</dl>");
}

/// A set as a row of cells.
pub(super) fn row(page: &mut Html, set: &SetAnswer, is_roomy: bool) {
    page.markup("<li class=\"set\" data-set=\"").text(&set.namespace).markup("/").text(&set.name);
    if let Some(service) = &set.service {
        page.markup("\" data-service=\"").text(&set.namespace).markup("/").text(service);
    }
    page.markup("\"><div class=\"about\"><h3><a href=\"/sets/")
        .url(&set.namespace)
        .markup("/")
        .url(&set.name)
        .markup("\">")
        .text(&set.namespace)
        .markup("/<wbr>")
        .text(&set.name)
        .markup("</a></h3><p>")
        .text(count(set))
        .markup(" · ");
    governing(page, set);
    page.markup("</p></div>");
    if !set.cells.is_empty() {
        page.markup("<ol class=\"cells\">");
        set.cells.iter().take(CELLS).for_each(|cell| one(page, cell, is_roomy));
        page.markup("</ol>");
    }
    let more = set.more + set.cells.len().saturating_sub(CELLS) as u64;
    if more > 0 {
        page.markup("<p>and ").text(more).markup(" more</p>");
    }
    let mut reasons: Vec<&str> = set.cells.iter().filter_map(|cell| cell.reason.as_deref()).collect();
    // What all of them have in common is said once.
    reasons.dedup();
    for reason in reasons.into_iter().take(REASONS) {
        page.markup("<p class=\"why\">").text(reason).markup("</p>");
    }
    page.markup("</li>");
}

/// The Service of a set, in words.
pub(super) fn governing(page: &mut Html, set: &SetAnswer) {
    match (&set.service, set.service_kind) {
        (None, _) => page.markup("names no Service: its pods have no names"),
        (Some(service), None) => page.markup("Service ").text(service).markup(" is not there"),
        (Some(service), Some("headless")) => page.markup("Service ").text(service),
        (Some(service), Some(kind)) => {
            page.markup("Service ").text(service).markup(" is not headless but ").text(kind)
        }
    };
}

/// The class of a state.
pub(super) fn class(state: &'static str) -> &'static str {
    match state {
        "not ready" => "not-ready",
        other => other,
    }
}

fn one(page: &mut Html, cell: &CellAnswer, is_roomy: bool) {
    let is_plain = cell.state == "ready" && cell.expected;
    page.markup("<li class=\"cell ").markup(class(cell.state)).markup("\">");
    // A link on each of some thousand cells would be as many stops for a keyboard: those that make one wonder have one.
    let asked = cell.dns.as_ref().filter(|_| !is_plain);
    if let Some(dns) = asked {
        page.markup("<a href=\"/explain?name=").url(dns).markup(".\">");
    }
    page.markup("<b>").text(cell.ordinal).markup("</b>");
    match (is_plain, cell.expected) {
        (true, _) => page.markup("<span class=\"vh\"> ready</span>"),
        (false, true) => page.markup(" ").markup(cell.state),
        (false, false) => page.markup(" ").markup(cell.state).markup(", not wanted"),
    };
    if asked.is_some() {
        page.markup("</a>");
    }
    if is_roomy {
        for address in &cell.addresses {
            page.markup("<code>").text(address).markup("</code>");
        }
        if let Some(since) = &cell.since {
            page.markup(" since ");
            clock(page, since);
        }
    }
    page.markup("</li>");
}

/// The last changes, the newest first.
pub(super) fn changes(page: &mut Html, board: &Board) {
    page.markup("<section id=\"changes\" aria-labelledby=\"changes-title\"><h2 id=\"changes-title\">Last changes</h2>");
    let changes = board.ring().last(CHANGES);
    if changes.is_empty() {
        page.markup("<p>None since this process has served a complete cluster.</p></section>");
        return;
    }
    page.markup("<p class=\"dim\">Times are UTC. How long each took is from the change, as the API server tells it, or from its arrival here, to its being answered.</p><ol class=\"changes\">");
    for change in changes {
        page.markup("<li>");
        clock(page, &change.published_at);
        page.markup("<span class=\"took\">");
        match change.took_ms {
            Some(took) if change.changed_at.is_some() => page.text(duration(took)).markup(" from the change"),
            Some(took) => page.text(duration(took)),
            None => page.markup("<span aria-hidden=\"true\">–</span><span class=\"vh\">not known</span>"),
        };
        page.markup("</span><span class=\"what\">");
        if let Some(namespace) = &change.namespace {
            page.text(namespace).markup(": ");
        }
        page.text(&change.text).markup("</span></li>");
    }
    page.markup("</ol></section>");
}

fn duration(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1000.0)
    }
}

/// What is followed, and how well.
pub(super) fn health(page: &mut Html, board: &Board) {
    let health = look::health(board);
    page.markup(
        "<section id=\"health\" aria-labelledby=\"health-title\"><h2 id=\"health-title\">Health</h2><p>",
    );
    if health.ready {
        page.text(&health.status);
    } else {
        page.markup("<strong class=\"bad\">").text(&health.status).markup("</strong>");
    }
    if let Some(stale) = health.stale_seconds {
        page.markup("; known to be right ").text(stale).markup(" s ago");
    }
    page.markup("</p>");
    if !health.degraded.is_empty() || !health.notes.is_empty() {
        page.markup("<ul>");
        for line in health.degraded.iter().chain(&health.notes) {
            page.markup("<li>").text(line).markup("</li>");
        }
        page.markup("</ul>");
    }
    if health.status_of.watches.is_empty() {
        page.markup("<p class=\"dim\">The cluster is read from manifests, which are followed on disk.</p>");
    } else {
        watches(page, &health.status_of.watches);
    }
    page.markup("</section>");
}

fn watches(page: &mut Html, watches: &[Watch]) {
    page.markup("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"watches-title\"><table><caption id=\"watches-title\">Watches of the API server</caption><thead><tr><th scope=\"col\">Kind</th><th scope=\"col\">Namespace</th><th scope=\"col\">Last heard</th><th scope=\"col\">Begun anew</th><th scope=\"col\">Failures</th><th scope=\"col\">Lost changes</th></tr></thead><tbody>");
    for watch in watches {
        page.markup("<tr><th scope=\"row\">").text(&watch.kind).markup("</th><td>");
        page.text(watch.namespace.as_deref().unwrap_or("all")).markup("</td><td>");
        match watch.age_seconds {
            Some(age) => page.text(format_args!("{age:.0} s ago")),
            None => page.markup("never"),
        };
        page.markup("</td><td>").text(watch.restarts).markup("</td><td>").text(watch.failures);
        page.markup("</td><td>").text(watch.differences).markup("</td></tr>");
    }
    page.markup("</tbody></table></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (ms, said) in [(0.42, "0.4 ms"), (9.96, "10.0 ms"), (41.7, "42 ms"), (12_345.0, "12.3 s")] {
            assert_eq!(duration(ms), said);
        }
    }
}
