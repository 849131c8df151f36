//! For people: the answer and its reason first, then the way to it, what is remembered of it, and what to do. All of it is
//! made of what objects, questions and servers say, and none of that is written as it is ([`plain`]).

use std::io::{self, Write};

use crate::cli::colour::{Colour, plain};
use crate::explain::{Caching, CachingKind, Explanation, Fix, RecordSaid, Step, StepId, Verdict};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// Records of a section; dig and JSON have all of them.
const MOST_RECORDS: usize = 6;

pub(super) fn write(out: &mut impl Write, told: &Explanation, colour: Colour) -> io::Result<()> {
    answer(out, told, colour)?;
    if !told.searched.is_empty() {
        section(out, "tried", colour)?;
        for searched in &told.searched {
            let mark = if searched.name == told.name { "" } else { " " };
            let mark = if mark.is_empty() { colour.paint(">", BOLD) } else { mark.to_owned() };
            writeln!(out, "{mark} {} {}", plain(&searched.name), colour.paint(&plain(&searched.code), DIM))?;
        }
    }
    section(out, "way", colour)?;
    for step in &told.steps {
        write_step(out, step, colour)?;
    }
    for unread in &told.unread {
        let verb = if unread.forbidden { "may not read" } else { "cannot read" };
        let (what, why) = (plain(&unread.what), plain(&unread.why));
        writeln!(out, "{} {verb} {what}: {why}", colour.paint("?", YELLOW))?;
    }
    records(out, told, colour)?;
    section(out, "remembered", colour)?;
    caching(out, &told.caching)?;
    if !told.fixes.is_empty() {
        section(out, "what to do", colour)?;
    }
    for fix in &told.fixes {
        write_fix(out, fix, colour)?;
    }
    Ok(())
}

fn section(out: &mut impl Write, title: &str, colour: Colour) -> io::Result<()> {
    writeln!(out, "{}", colour.paint(title, BOLD))
}

fn answer(out: &mut impl Write, told: &Explanation, colour: Colour) -> io::Result<()> {
    let code = match (told.code.as_str(), told.answered) {
        ("NOERROR", false) => "NOERROR, without a record (NODATA)",
        (code, _) => code,
    };
    let of_code = match (told.code.as_str(), told.answered) {
        ("NOERROR", true) => GREEN,
        ("NOERROR", false) => YELLOW,
        _ => RED,
    };
    let (name, code) = (colour.paint(&plain(&told.name), BOLD), colour.paint(&plain(code), of_code));
    writeln!(out, "{name} {}: {code}", plain(&told.rtype))?;
    for reason in &told.reasons {
        let id = colour.paint(&format!("[{}]", plain(&reason.id)), DIM);
        writeln!(out, "  {} {id}", plain(&reason.sentence))?;
    }
    Ok(())
}

fn write_step(out: &mut impl Write, step: &Step, colour: Colour) -> io::Result<()> {
    let mark = match step.verdict {
        Verdict::Good => colour.paint("+", GREEN),
        Verdict::Bad => colour.paint("-", RED),
        Verdict::Note => " ".to_owned(),
    };
    // The name stands in the first line.
    let looked_at = match step.id {
        StepId::Name => String::new(),
        _ => format!("{}: ", colour.paint(&plain(&step.looked_at), BOLD)),
    };
    writeln!(out, "{mark} {:<9} {looked_at}{}", step.id.as_str(), plain(&step.found))
}

fn records(out: &mut impl Write, told: &Explanation, colour: Colour) -> io::Result<()> {
    let flags = plain(&told.flags.join(" "));
    section(out, &format!("answer, serial {}, flags {flags}", told.serial), colour)?;
    for (name, records) in
        [("answer", &told.answers), ("authority", &told.authority), ("additional", &told.additional)]
    {
        for RecordSaid { name: owner, ttl, rtype, data } in records.iter().take(MOST_RECORDS) {
            let (owner, rtype, data) = (plain(owner), plain(rtype), plain(data));
            writeln!(out, "  {owner} {ttl} IN {rtype} {data}")?;
        }
        if let Some(more) = records.len().checked_sub(MOST_RECORDS).filter(|more| *more > 0) {
            writeln!(out, "  and {more} more in {name}")?;
        }
    }
    Ok(())
}

fn caching(out: &mut impl Write, caching: &Caching) -> io::Result<()> {
    let Caching { kind, seconds, soa_ttl, soa_minimum, until, older, .. } = caching;
    let what = match kind {
        CachingKind::Positive => "the records",
        CachingKind::Negative => "that there is none",
        CachingKind::Expected => "that there is none yet (a name that should be there: ttl.expected)",
        CachingKind::None => "nothing: a refusal or a failure has no time to live",
    };
    match (kind, seconds, until) {
        (CachingKind::None, ..) => writeln!(out, "  {what}")?,
        (_, Some(0), _) => {
            writeln!(out, "  {what}: not at all (0 s), unless a cache in front has a least time of its own")?;
        }
        (_, Some(seconds), Some(until)) => {
            let of_soa = match (soa_ttl, soa_minimum) {
                (Some(ttl), Some(minimum)) => format!("; SOA {ttl} s, MINIMUM {minimum} s"),
                _ => String::new(),
            };
            let until = plain(until);
            writeln!(out, "  {what}: {seconds} s, of an answer of now until {until}{of_soa}")?;
        }
        _ => writeln!(out, "  {what}: nothing says for how long")?,
    }
    if let Some(older) = older {
        writeln!(
            out,
            "  what was answered before the change of {}: until {} at the latest ({} s)",
            plain(&older.changed_at),
            plain(&older.until),
            older.seconds
        )?;
    }
    Ok(())
}

fn write_fix(out: &mut impl Write, fix: &Fix, colour: Colour) -> io::Result<()> {
    writeln!(out, "  {}", plain(&fix.text))?;
    if let Some(command) = &fix.command {
        writeln!(out, "    {}", colour.paint(&plain(command), BOLD))?;
    }
    for line in fix.diff.iter().flat_map(|diff| diff.lines()) {
        let line = plain(line);
        let painted = match line.as_bytes().first() {
            Some(b'+') => colour.paint(&line, GREEN),
            Some(b'-') => colour.paint(&line, RED),
            _ => line,
        };
        writeln!(out, "    {painted}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a name, an object or a server may say.
    const EVIL: &str = "x\u{1b}]0;y\u{7}\u{9b}2J\r\nz\u{202e}";

    fn mk_told(kind: &str) -> Explanation {
        let record = json!({"name": EVIL, "ttl": 5, "type": EVIL, "data": EVIL});
        let told = json!({
            "typed": EVIL, "name": EVIL, "type": EVIL, "searched": [{"name": EVIL, "code": EVIL}, {"name": "a", "code": EVIL}],
            "code": EVIL, "flags": [EVIL], "answered": false, "serial": 1, "ttl": 5,
            "reasons": [{"id": EVIL, "code": 0, "meaning": EVIL, "sentence": EVIL, "facts": null}],
            "steps": [{"id": "pod", "verdict": "bad", "looked_at": EVIL, "found": EVIL}],
            "answers": [record], "authority": [record], "additional": [record],
            "caching": {"kind": kind, "seconds": 5, "soa_ttl": 5, "soa_minimum": 5, "asked_at": EVIL, "until": EVIL,
                "older": {"changed_at": EVIL, "seconds": 5, "until": EVIL}},
            "fixes": [{"reason": EVIL, "text": EVIL, "command": EVIL, "diff": "+a\u{1b}[31m\n-\u{1b}b\n \u{9b}c"}],
            "unread": [{"what": EVIL, "why": EVIL, "forbidden": true}],
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn nothing_that_is_told_reaches_the_terminal_as_it_is() {
        for kind in ["positive", "negative", "expected", "none"] {
            let mut out = Vec::new();
            write(&mut out, &mk_told(kind), Colour::new(false)).unwrap();
            let text = String::from_utf8(out).unwrap();
            let is_left = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(is_left), "{text:?}");
            // Nor does any of it begin a line.
            assert!(!text.lines().any(|line| line.starts_with('z')), "{text}");
        }
    }
}
