//! Sentences and numbers, as the screen and the text have them.

use jiff::Timestamp;
use ratatui_core::style::Color;

use super::answers::{Cell, Change, Set};
use super::state::{Link, State, seconds_between};

/// Where a server is asked, unless another address is given.
pub const SERVER: &str = "127.0.0.1:9153";

/// Lines of foreign text that are looked at: no part of a screen shows more of one, and no text is without an end.
const MOST_LINES: usize = 4;

/// Without what an object, a name or a server's words could hold to write on a terminal, or to begin a line of its own.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// As much of it as lines of this width could show, if each character were one wide. It may be less: what has no width is
/// counted, too.
pub(super) fn few(text: &str, width: usize) -> String {
    text.chars().take(width.saturating_mul(MOST_LINES)).map(shown).collect()
}

fn shown(char: char) -> char {
    match char {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    }
}

/// Whether what is shown is so, and since when it is not.
pub(super) fn link_text(state: &State, now: Timestamp) -> (String, Color) {
    let health = match &state.health {
        None => None,
        Some((health, _)) if !health.ready => Some((health.status.clone(), Color::Red)),
        Some((health, _)) => match health.stale_seconds {
            Some(seconds) => Some((
                format!("stale {}", span(seconds + seconds_between(state.health_at, now))),
                Color::Yellow,
            )),
            None if !health.degraded.is_empty() => Some(("degraded".to_owned(), Color::Yellow)),
            None => Some(("fresh".to_owned(), Color::Green)),
        },
    };
    match &state.link {
        Link::Live => health.unwrap_or(("asking".to_owned(), Color::Yellow)),
        Link::Opening => ("asking".to_owned(), Color::Yellow),
        Link::Lost { as_of, again_at, .. } => {
            let wait = seconds_between(now, *again_at);
            (format!("NOT LIVE, as of {}; again in {wait} s", time_of_day(*as_of)), Color::Red)
        }
    }
}

/// How many of what.
pub(super) fn numbers_text(state: &State) -> String {
    let visible = state.visible();
    let incomplete = visible.iter().filter(|set| !set.is_complete()).count();
    let ready: u64 = visible.iter().map(|set| set.ready).sum();
    let wanted: u64 = visible.iter().filter_map(|set| set.replicas).sum();
    let mut text = if state.is_loaded {
        format!(" {} sets, {incomplete} incomplete, {ready}/{wanted} ready", visible.len())
    } else {
        " not asked yet".to_owned()
    };
    if let Some(namespace) = &state.namespace {
        text.push_str(&format!(", namespace {namespace}"));
    }
    if !state.filter.is_empty() {
        text.push_str(&format!(", with \"{}\"", state.filter));
    }
    if state.total > state.sets.len() {
        text.push_str(&format!(", of {} (n: a namespace)", state.total));
    }
    text
}

pub(super) fn count_text(set: &Set) -> String {
    let wanted = set.replicas.map_or("?".to_owned(), |wanted| wanted.to_string());
    format!("{}/{wanted}", set.ready)
}

/// A replica in a line, and why it has no answer, in lines of this width.
pub(super) fn cell_lines(state: &State, set: &Set, cell: &Cell, now: Timestamp, width: usize) -> Vec<String> {
    let mut head = format!("{} {}", cell.name, cell.state);
    if !cell.expected {
        head.push_str(", not wanted any more");
    }
    if let Some(since) = cell.since.as_deref().and_then(|since| since.parse::<Timestamp>().ok()) {
        head.push_str(&format!(" since {} ({})", time_of_day(since), span(seconds_between(since, now))));
    }
    for address in &cell.addresses {
        head.push_str(&format!("  {address}"));
    }
    let mut lines = wrapped(&head, width);
    match (&cell.reason, &cell.dns) {
        (Some(reason), _) => lines.extend(wrapped(reason, width)),
        (None, Some(dns)) if cell.state == "ready" => lines.extend(wrapped(dns, width)),
        (None, _) if cell.state == "ready" => {}
        // The server tells the reasons of so many and no more.
        (None, _) => {
            let service = set.service.as_deref().unwrap_or_default();
            let mut ask = format!("why: rollcall explain {}.{service}.{}", cell.name, set.namespace);
            if state.server != SERVER {
                ask.push_str(&format!(" --server {}", state.server));
            }
            lines.extend(wrapped(&ask, width));
        }
    }
    lines
}

/// A change in a line; in a narrow one what it says is more than where it is.
pub(super) fn change_text(change: &Change, width: usize) -> String {
    let time = change.published_at.get(11..19).unwrap_or(&change.published_at);
    let took = change.took_ms.map_or("-".to_owned(), took_text);
    let place = change.namespace.as_deref().unwrap_or("-");
    if width < 60 {
        return format!("{time} {took} {}", few(&change.text, width));
    }
    format!("{time} {took:>8}  {place}: {}", few(&change.text, width))
}

fn took_text(millis: f64) -> String {
    if millis < 10.0 {
        format!("{millis:.1} ms")
    } else if millis < 1000.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{:.1} s", millis / 1000.0)
    }
}

/// The time of day, in UTC, to the second.
fn time_of_day(time: Timestamp) -> String {
    time.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// Seconds as one writes them.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// With a sign where something is cut off.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().nth(width).is_none() {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('~');
    cut
}

/// In lines, between words; a word that is longer than a line is cut through.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in few(text, width).split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
            used += 1;
        }
        for char in word.chars() {
            if used == width {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().into_iter().for_each(|line| line.push(char));
            used += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrapped("abcdefg hi", 3), ["abc", "def", "g", "hi"]);
        assert_eq!(wrapped("", 3), [""]);
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
    }

    #[test]
    fn what_to_ask_is_asked_of_the_same_server() {
        use crate::watch::mk::{mk_set, now};

        let mut set = mk_set("shop", "db", "-");
        set.cells[0].reason = None;
        let last = |server| cell_lines(&State::new(server, None), &set, &set.cells[0], now(), 100).pop();
        let asked = "why: rollcall explain db-0.nginx.shop".to_owned();
        assert_eq!(last("http://127.0.0.1:9153"), Some(asked.clone()));
        assert_eq!(last("http://10.0.0.1:9153"), Some(asked + " --server 10.0.0.1:9153"));
    }

    #[test]
    fn spans_and_durations() {
        assert_eq!([0, 59, 60, 3_725, 90_000].map(span), ["0s", "59s", "1m00s", "1h02m", "1d01h"]);
        assert_eq!(
            [0.04, 9.94, 12.4, 999.0, 1_500.0].map(took_text),
            ["0.0 ms", "9.9 ms", "12 ms", "999 ms", "1.5 s"]
        );
        assert_eq!(["abc", "abcd"].map(|text| cut(text, 3)), ["abc", "ab~"]);
    }
}
