//! Tables in Markdown: medians with their ranges, and ratios of the same round.

use std::fmt::Write as _;

use crate::runs::{Runs, SUBJECT, Spread, called};

/// A core is used whole from so many percent on: ticks and waking up take the rest.
const WHOLE: f64 = 90.0;

pub(crate) fn markdown(runs: &Runs<'_>) -> String {
    let mut text = String::new();
    for (kind, title) in [("udp", "over UDP"), ("tcp", "over TCP")] {
        for mix in runs.mixes(kind) {
            full_load(runs, kind, mix, title, &mut text);
        }
    }
    for mix in runs.mixes("latency") {
        half_load(runs, mix, &mut text);
    }
    if !runs.mixes("check").is_empty() {
        replies(runs, &mut text);
    }
    text
}

// Writing to a string does not fail.
fn full_load(runs: &Runs<'_>, kind: &str, mix: &str, title: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "\n## `{mix}` {title}, as fast as answered\n\n\
         | | queries/s | server CPU a query, µs | rollcall's rate by its | its CPU by rollcall's | p50, µs | lost | \
         server busy, % | generator busy, % | limit |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for server in runs.servers(kind, mix) {
        let of = |key: &str| runs.spread(kind, mix, server, key);
        let ratio = |pair, key| {
            let ratio = if server == SUBJECT { None } else { runs.ratio(kind, mix, pair, key) };
            said(ratio, 2)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.0} | {} | {} | {} |",
            called(server),
            said(of("qps"), 0),
            said(of("server_us"), 2),
            ratio([SUBJECT, server], "qps"),
            ratio([server, SUBJECT], "server_us"),
            said(of("p50_us"), 0),
            runs.sum(kind, mix, server, "lost"),
            said(of("server_percent"), 0),
            said(of("busy_percent"), 0),
            limit(of("server_percent"), of("busy_percent")),
        );
    }
}

/// What kept the rate from being higher.
fn limit(server: Option<Spread>, generator: Option<Spread>) -> &'static str {
    let is_whole = |spread: Option<Spread>| spread.is_some_and(|spread| spread.median >= WHOLE);
    match (is_whole(server), is_whole(generator)) {
        (true, true) => "both",
        (true, false) => "server",
        (false, true) => "generator",
        (false, false) => "shared machine",
    }
}

fn half_load(runs: &Runs<'_>, mix: &str, text: &mut String) {
    let _ = writeln!(
        text,
        "\n## `{mix}` over UDP at half of each server's rate\n\n\
         | | answered/s | p50, µs | p90, µs | p99, µs | p99.9, µs | p50 by rollcall's | p99 by rollcall's | \
         server CPU a query, µs | lost |\n|---|---|---|---|---|---|---|---|---|---|"
    );
    for server in runs.servers("latency", mix) {
        let of = |key: &str, digits| said(runs.spread("latency", mix, server, key), digits);
        let by_ours = |key| {
            let pair = [server, SUBJECT];
            said((server != SUBJECT).then(|| runs.ratio("latency", mix, pair, key)).flatten(), 2)
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
            called(server),
            of("qps", 0),
            of("p50_us", 0),
            of("p90_us", 0),
            of("p99_us", 0),
            of("p99.9_us", 0),
            by_ours("p50_us"),
            by_ours("p99_us"),
            of("server_us", 2),
            runs.sum("latency", mix, server, "lost"),
        );
    }
}

fn replies(runs: &Runs<'_>, text: &mut String) {
    text.push_str(
        "\n## What the replies were made of\n\n\
         | mix | | NOERROR, % | NXDOMAIN, % | truncated, % | answer records a reply | octets a reply |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for mix in runs.mixes("check") {
        for run in runs.of_kind("check", mix) {
            let percent = |key| 100.0 * run.number(key);
            let _ = writeln!(
                text,
                "| {mix} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.0} |",
                called(run.server),
                percent("noerror"),
                percent("nxdomain"),
                percent("truncated"),
                run.number("answers"),
                run.number("octets"),
            );
        }
    }
}

/// `median (least–most)`; nothing where there is nothing.
fn said(spread: Option<Spread>, digits: usize) -> String {
    let Some(Spread { median, least, most }) = spread else { return String::new() };
    if least.to_bits() == most.to_bits() {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_a_server_with_ratios_of_its_rounds() {
        let text = "udp round=1 mix=m server=rollcall qps=200 server_us=4 server_percent=99 lost=0\n\
                    udp round=1 mix=m server=knot qps=100 server_us=8 server_percent=99 lost=1\n\
                    udp round=2 mix=m server=rollcall qps=240 server_us=4 server_percent=99 lost=0\n\
                    udp round=2 mix=m server=knot qps=80 server_us=10 server_percent=99 lost=0\n";
        let table = markdown(&Runs::of(text).unwrap());
        let row = table.lines().find(|line| line.starts_with("| Knot")).unwrap();
        assert!(
            row.starts_with(
                "| Knot | 80 (80–100) | 8.00 (8.00–10.00) | 2.00 (2.00–3.00) | 2.00 (2.00–2.50) |"
            )
        );
        assert!(row.ends_with("| server |"), "{row}");
    }
}
