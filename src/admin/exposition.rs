//! The two texts that metrics are written as, and which of them a scraper wants.
//!
//! prometheus-client writes OpenMetrics 1.0. Prometheus' older text, which everything that reads metrics understands, is
//! the same but for the names of families, a few types, and the end.

use std::fmt::Write as _;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Form {
    /// What an Accept header asks for (RFC 9110, section 12.5.1): OpenMetrics where it is named and nothing is wanted
    /// more, else the older text, which who names neither (curl, a browser) can read as well.
    pub(super) fn accepted(accept: &str) -> Self {
        let quality_of = |wanted: &[&str]| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next()?.to_ascii_lowercase();
                let quality = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
                // A quality that is none is taken for none given.
                let quality = quality.and_then(|text| text.parse::<f32>().ok()).unwrap_or(1.0);
                wanted.contains(&&*name).then_some(quality)
            });
            ranges.fold(0.0, f32::max)
        };
        let (open, text) = (quality_of(&[OPEN_METRICS]), quality_of(&["text/plain"]));
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Makes it of an OpenMetrics text.
    pub(super) fn of(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Prometheus => older(&text),
        }
    }
}

/// OpenMetrics' text in Prometheus' older form. There a family is called as its samples are: a counter's name ends in
/// `_total`, an info's in `_info`.
fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // A HELP line is written once its family's type is known, which the next line says.
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, help)) = help.take() {
                let _ = writeln!(out, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(out, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapers_get_what_they_ask_for() {
        for (accept, form) in [
            ("", Form::Prometheus),
            ("*/*", Form::Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Prometheus),
            ("text/plain", Form::Prometheus),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", Form::OpenMetrics),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.4", Form::Prometheus),
            ("application/openmetrics-text;q=0", Form::Prometheus),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Form::OpenMetrics,
            ),
            // One that prefers protobuf, which there is none of.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.3",
                Form::Prometheus,
            ),
        ] {
            assert_eq!(Form::accepted(accept), form, "{accept}");
        }
    }

    #[test]
    fn the_older_form_names_families_as_their_samples() {
        let text = "# HELP a Of an a.\n# TYPE a counter\na_total{b=\"# HELP c\"} 1\n# HELP d Of d.\n# TYPE d gauge\n# UNIT d x\nd 2\n# HELP e E.\n# TYPE e info\ne_info{f=\"g\"} 1\n# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\n# EOF\n";
        let older = "# HELP a_total Of an a.\n# TYPE a_total counter\na_total{b=\"# HELP c\"} 1\n# HELP d Of d.\n# TYPE d gauge\nd 2\n# HELP e_info E.\n# TYPE e_info gauge\ne_info{f=\"g\"} 1\n# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 0\n";
        assert_eq!(Form::Prometheus.of(text.to_owned()), older);
        assert_eq!(Form::OpenMetrics.of(text.to_owned()), text);
    }
}
