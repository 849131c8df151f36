//! The same as text, once: for pipes, scripts and screens that are read aloud.

use std::io::{self, Write};

use jiff::Timestamp;

use super::state::State;
use super::words::{cell_lines, change_text, count_text, link_text, numbers_text, plain};

/// Changes that are told.
const MOST_CHANGES: usize = 10;

/// Whether the server is ready and every set of what is looked at has all it wants. Where not all of them were told it is
/// not known, and not so.
#[must_use]
pub fn is_complete(state: &State) -> bool {
    state.health.as_ref().is_some_and(|(health, _)| health.ready)
        && state.is_whole()
        && state.visible().iter().all(|set| set.is_complete())
}

/// Writes it.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, state: &State, now: Timestamp) -> io::Result<()> {
    let (word, _) = link_text(state, now);
    let mut head = format!("rollcall {word} {}", state.server);
    if let Some((health, zone)) = &state.health {
        head.push_str(&format!("  {} serial {}  from {}", zone.zone, zone.serial, health.source));
    }
    line(out, &head)?;
    line(out, numbers_text(state).trim_start())?;
    for set in state.visible() {
        let cells: String = set.cells.iter().map(super::Cell::letter).collect();
        let more = if set.more > 0 { format!(" +{} more", set.more) } else { String::new() };
        let text = format!("{}/{}  {}  {cells}{more}", set.namespace, set.name, count_text(set));
        line(out, text.trim_end())?;
        for cell in set.cells.iter().filter(|cell| cell.state != "ready" || !cell.expected) {
            for text in cell_lines(state, set, cell, now, usize::MAX) {
                line(out, &format!("  {text}"))?;
            }
        }
    }
    for change in state.changes.iter().take(MOST_CHANGES) {
        line(out, &change_text(change, usize::MAX))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(out, "{}", plain(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::News;
    use crate::watch::mk::{mk_health, mk_set, mk_state, now};

    #[test]
    fn replicas_are_counted_where_not_all_of_them_are_told() {
        let mut set = mk_set("default", "web", "RR");
        (set.replicas, set.ready, set.more) = (Some(9), 9, 7);
        assert!(is_complete(&mk_state(vec![set.clone()])));
        set.ready = 8;
        assert!(!is_complete(&mk_state(vec![set.clone()])));
        (set.service, set.replicas, set.ready) = (None, None, 0);
        assert!(is_complete(&mk_state(vec![set])), "none of its replicas is known");
    }

    #[test]
    fn sets_that_were_not_told_are_not_complete() {
        let sets = vec![mk_set("default", "web", "RRR")];
        let mut state = mk_state(sets.clone());
        assert!(is_complete(&state));
        state.hear(News::Sets { namespace: None, sets, total: 2 }, now());
        assert!(!is_complete(&state));
        let mut state = State::new("http://127.0.0.1:9153", None);
        state.hear(mk_health(None), now());
        assert!(!is_complete(&state));
    }
}
