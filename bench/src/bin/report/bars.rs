//! Queries a second as bars, as an SVG of its own that reads on light and on dark.

use std::fmt::Write as _;

use crate::runs::{FLOOR, Runs, SUBJECT, Spread, called, described};

const WIDTH: f64 = 760.0;
/// Where bars begin; names stand before it.
const LEFT: f64 = 130.0;
/// What the longest bar may reach; its figure stands behind it.
const RIGHT: f64 = 640.0;
const BAR: f64 = 14.0;
const STEP: f64 = 19.0;
/// Above a mix's bars, for its name.
const HEADING: f64 = 34.0;
const TOP: f64 = 62.0;

const STYLE: &str = "<style>\n\
    text { font: 13px sans-serif; fill: #24292f }\n\
    .title { font-size: 16px; font-weight: bold }\n\
    .mix { font-weight: bold }\n\
    .note { fill: #57606a }\n\
    .ground { fill: #ffffff }\n\
    .ours { fill: #0969da }\n\
    .peer { fill: #8c959f }\n\
    .floor { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }\n\
    .range { stroke: #24292f }\n\
    @media (prefers-color-scheme: dark) {\n\
    text { fill: #e6edf3 } .note { fill: #9198a1 } .ground { fill: #0d1117 }\n\
    .ours { fill: #58a6ff } .peer { fill: #6e7681 } .floor { stroke: #9198a1 } .range { stroke: #e6edf3 }\n\
    }\n\
    </style>\n";

pub(crate) fn svg(runs: &Runs<'_>) -> String {
    let mixes = runs.mixes("udp");
    let all = mixes.iter().flat_map(|mix| runs.of_kind("udp", mix)).map(|run| run.number("qps"));
    let most = all.fold(1.0, f64::max);
    let mut body = String::new();
    let mut y = TOP;
    for mix in mixes {
        y = group(runs, mix, y, most, &mut body);
    }
    let height = y + 16.0;
    let title = "Queries answered a second over UDP, one core";
    let note = "medians of all rounds, lines from the least to the most; echo returns each packet and does nothing else";
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n\
         {STYLE}<rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">{title}</text>\n<text class=\"note\" x=\"16\" y=\"48\">{note}</text>\n\
         {body}</svg>\n"
    )
}

/// The bars of a mix; gives where the next one begins.
fn group(runs: &Runs<'_>, mix: &str, top: f64, most: f64, body: &mut String) -> f64 {
    // Writing to a string does not fail.
    let _ = writeln!(
        body,
        "<text x=\"16\" y=\"{:.1}\"><tspan class=\"mix\">{mix}</tspan>  <tspan class=\"note\">{}</tspan></text>",
        top + 24.0,
        described(mix)
    );
    let mut y = top + HEADING;
    for server in runs.servers("udp", mix) {
        let Some(spread) = runs.spread("udp", mix, server, "qps") else { continue };
        bar(server, spread, y, most, body);
        y += STEP;
    }
    y
}

fn bar(server: &str, Spread { median, least, most }: Spread, y: f64, greatest: f64, body: &mut String) {
    let across = |value: f64| LEFT + value / greatest * (RIGHT - LEFT);
    let class = match server {
        SUBJECT => "ours",
        FLOOR => "floor",
        _ => "peer",
    };
    let (text, middle) = (y + BAR - 3.0, y + BAR / 2.0);
    let _ = writeln!(
        body,
        "<text x=\"{:.1}\" y=\"{text:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\
         <line class=\"range\" x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>\
         <text x=\"{:.1}\" y=\"{text:.1}\">{}</text>",
        LEFT - 8.0,
        called(server),
        across(median) - LEFT,
        across(least),
        across(most),
        across(most) + 8.0,
        thousands(median),
    );
}

fn thousands(value: f64) -> String {
    format!("{:.0} k", value / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_a_server_under_its_mix() {
        let text = "udp round=1 mix=m server=rollcall qps=200000\nudp round=1 mix=m server=echo qps=250000\n\
                    tcp round=1 mix=m server=rollcall qps=900000\n";
        let svg = svg(&Runs::of(text).unwrap());
        assert!(svg.contains(">200 k</text>") && svg.contains("class=\"ours\"") && !svg.contains("900"));
        assert!(svg.contains("width=\"510.0\""), "the greatest reaches the right side: {svg}");
    }
}
