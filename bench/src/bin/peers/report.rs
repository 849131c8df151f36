//! Lines of figures to tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use rollcall_bench::lines::Line;
use rollcall_bench::{median_and_range, percentile};

/// What is wanted of `rollcall peers` (issue: peers).
const MOST_MS: f64 = 20.0;
const LEAST_FEWER: f64 = 100.0;
const MOST_MB: f64 = 15.0;
/// How often a sidecar that is pushed to reads everything anew in an hour: each 15 minutes, half to three halves of it by
/// chance (docs/peers.md).
const READINGS_AN_HOUR: f64 = 4.0;
/// The ways, with what they are called, the one that the others are compared with last.
const WAYS: [(&str, &str); 3] = [
    ("tls", "`rollcall peers`, push over TLS"),
    ("tcp", "`rollcall peers`, push over TCP"),
    (LOOP, "one SRV lookup a second"),
];
const LOOP: &str = "finder";

#[derive(Debug, Args)]
pub(super) struct Report {
    /// The lines of `latency`, `quiet` and `subscribers`
    #[arg(long)]
    figures: PathBuf,
    /// What stands above the tables
    #[arg(long, default_value = "")]
    heading: String,
    /// Where the tables go
    #[arg(long)]
    markdown: PathBuf,
}

/// Lines of one kind.
struct Lines<'l>(Vec<Line<'l>>);

impl<'l> Lines<'l> {
    fn of(text: &'l str, kind: &str) -> Self {
        Self(text.lines().map(Line::new).filter(|line| line.kind() == kind).collect())
    }

    fn sizes(&self) -> anyhow::Result<BTreeSet<usize>> {
        self.0.iter().map(|line| line.number("size")).collect()
    }

    /// Those of a size and a way.
    fn at(&self, size: usize, way: &str) -> Vec<Line<'l>> {
        let size = size.to_string();
        let is_there = |line: &&Line<'_>| line.text("size") == Some(&size) && line.text("way") == Some(way);
        self.0.iter().filter(is_there).copied().collect()
    }
}

impl Report {
    pub(super) fn write(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.figures)
            .with_context(|| format!("cannot read {}", self.figures.display()))?;
        let mut page = String::new();
        if !self.heading.is_empty() {
            writeln!(page, "{}\n", self.heading.trim_end())?;
        }
        latency(&mut page, &Lines::of(&text, "turn"))?;
        quiet(&mut page, &Lines::of(&text, "quiet"))?;
        subscribers(&mut page, &Lines::of(&text, "subscribers"))?;
        questions(&mut page, &Lines::of(&text, "questions"))?;
        let page = format!("{}\n", page.trim_end());
        print!("{page}");
        std::fs::write(&self.markdown, page).context("cannot write the tables")
    }
}

fn list(line: Line<'_>, key: &str) -> anyhow::Result<Vec<f64>> {
    let text = line.text(key).with_context(|| format!("no {key}="))?;
    text.split(',').map(|word| word.parse().with_context(|| format!("{key}: {word}"))).collect()
}

fn sum(lines: &[Line<'_>], key: &str) -> anyhow::Result<f64> {
    lines.iter().map(|line| line.number::<f64>(key)).sum()
}

fn said(figures: Vec<f64>, digits: usize) -> String {
    match median_and_range(figures) {
        None => "–".to_owned(),
        Some((median, least, most)) if least == most => format!("{median:.digits$}"),
        Some((median, least, most)) => format!("{median:.digits$} ({least:.digits$}–{most:.digits$})"),
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "missed" }
}

/// The turns of one size, way and number of sidecars.
struct Turns {
    figures: Vec<f64>,
    /// How often one was told of a change.
    told: f64,
    changes: f64,
    questions: f64,
    others: f64,
    server_seconds: f64,
    sidecar_seconds: f64,
}

impl Turns {
    fn of(lines: &[Line<'_>], count: u32) -> anyhow::Result<Self> {
        let wanted = count.to_string();
        let lines: Vec<Line<'_>> =
            lines.iter().filter(|line| line.text("sidecars") == Some(&wanted)).copied().collect();
        let figures = lines.iter().map(|line| list(*line, "ms")).collect::<anyhow::Result<Vec<_>>>()?;
        let changes = sum(&lines, "changes")?;
        Ok(Self {
            figures: figures.concat(),
            told: changes * f64::from(count),
            changes,
            questions: sum(&lines, "questions")?,
            others: sum(&lines, "others")?,
            server_seconds: sum(&lines, "server_s")?,
            sidecar_seconds: sum(&lines, "sidecars_s")?,
        })
    }

    fn percentile(&self, percent: usize) -> f64 {
        percentile(self.figures.iter().copied(), percent)
    }

    /// Two cells; of the loop they would be its lookups', of which there are as many without a change.
    fn costs(&self, way: &str) -> String {
        if way == LOOP {
            return "– | –".to_owned();
        }
        let (questions, server) = (self.questions / self.told, self.server_seconds * 1000.0 / self.changes);
        format!("{questions:.1} | {server:.1}, {:.1}", self.sidecar_seconds * 1000.0 / self.told)
    }
}

fn latency(page: &mut String, lines: &Lines<'_>) -> anyhow::Result<()> {
    if lines.0.is_empty() {
        return Ok(());
    }
    writeln!(page, "## From a change to the hook\n")?;
    writeln!(
        page,
        "| peers | | hooks | p50, ms | p99, ms | range, ms | other hooks | questions a change, of a sidecar | \
         processor a change, ms: the server's, a sidecar's |\n|---|---|---|---|---|---|---|---|---|"
    )?;
    let (mut ratios, mut goals) = (Vec::new(), Vec::new());
    for size in lines.sizes()? {
        let mut medians = Vec::new();
        for (way, name) in WAYS {
            let turns = lines.at(size, way);
            let counts: BTreeSet<u32> =
                turns.iter().map(|turn| turn.number("sidecars")).collect::<anyhow::Result<_>>()?;
            for (place, &count) in counts.iter().enumerate() {
                let turns = Turns::of(&turns, count)?;
                let name = match (way, count) {
                    (LOOP, _) | (_, 1) => name.to_owned(),
                    _ => format!("{name}, {count} on the one core"),
                };
                let (p50, p99) = (turns.percentile(50), turns.percentile(99));
                writeln!(
                    page,
                    "| {size} | {name} | {} | {p50:.1} | {p99:.1} | {:.1}–{:.1} | {} | {} |",
                    turns.figures.len(),
                    turns.percentile(0),
                    turns.percentile(100),
                    turns.others,
                    turns.costs(way),
                )?;
                // The goal is one sidecar's, as it is where each has a machine.
                if way != LOOP && place == 0 {
                    let is_met = met(p99 < MOST_MS);
                    goals.push(format!(
                        "- {size} peers, {name}: p99 {p99:.1} ms, of {MOST_MS:.0} at most: {is_met}."
                    ));
                }
                medians.push((way, name, p50, p99));
            }
        }
        if let Some(&(.., p50, p99)) = medians.iter().find(|(way, ..)| *way == LOOP) {
            let others = medians.iter().filter(|(way, ..)| *way != LOOP);
            ratios.extend(others.map(|(_, name, own50, own99)| {
                format!("| {size} | {name} | {:.0} | {:.0} |", p50 / own50, p99 / own99)
            }));
        }
    }
    writeln!(
        page,
        "\nMilliseconds from the API server's acknowledgement of a change to the start of what a sidecar runs for it; less than \
         nothing is before it. An other hook is one that was run for another list than the change's.\n"
    )?;
    if !ratios.is_empty() {
        writeln!(page, "| peers | the loop's time by that of | p50 | p99 |\n|---|---|---|---|")?;
        writeln!(page, "{}\n", ratios.join("\n"))?;
    }
    writeln!(page, "{}\n", goals.join("\n"))?;
    Ok(())
}

/// What one sidecar costs in an hour, as far as it was counted.
struct Hour {
    counted: String,
    /// Questions that it begins with.
    starting: Option<f64>,
    /// Questions, as counted in the interval.
    scaled: f64,
    /// Questions, by how often they are due; none where none fell into the interval.
    due: Option<f64>,
    keepalives: Option<f64>,
    octets: f64,
}

impl Hour {
    fn of(line: Line<'_>) -> anyhow::Result<Self> {
        let number = |key: &str| line.number::<f64>(key);
        let (sidecars, seconds) = (number("sidecars")?, number("seconds")?);
        let (questions, readings) = (number("questions")?, number("readings")?);
        let scale = 3600.0 / seconds / sidecars;
        let is_loop = line.text("way") == Some(LOOP);
        let due = if is_loop {
            Some(questions * scale)
        } else {
            (readings > 0.0).then_some(questions / readings * READINGS_AN_HOUR)
        };
        let segments = line.text("segments").and_then(|segments| segments.parse::<f64>().ok());
        Ok(Self {
            counted: format!("{questions:.0} of {sidecars:.0} in {seconds:.0} s"),
            starting: (!is_loop).then_some(number("starting")? / sidecars),
            scaled: questions * scale,
            due,
            keepalives: segments
                .map(|segments| (segments - readings).max(0.0) * scale)
                .or_else(|| is_loop.then_some(0.0)),
            octets: (number("octets")? + number("pushed_octets")?) * scale,
        })
    }
}

fn quiet(page: &mut String, lines: &Lines<'_>) -> anyhow::Result<()> {
    if lines.0.is_empty() {
        return Ok(());
    }
    writeln!(page, "## While nothing changes\n")?;
    writeln!(
        page,
        "| peers | | questions to begin with, of a sidecar | questions counted | scaled to an hour, of a sidecar | as they are due in an hour | keepalives an hour | \
         octets of answers an hour | questions an hour, a sidecar at each peer (× peers) | VmRSS of a sidecar, MB | VmHWM, MB |\n\
         |---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    let (mut ratios, mut goals) = (Vec::new(), Vec::new());
    let word = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.0}"));
    for size in lines.sizes()? {
        let mut hours = Vec::new();
        for (way, name) in WAYS {
            for line in lines.at(size, way) {
                let hour = Hour::of(line)?;
                let mb = |key: &str| -> anyhow::Result<Vec<f64>> {
                    Ok(list(line, key)?.into_iter().map(|kib| kib * 1024.0 / 1e6).collect())
                };
                let (rss, peak) = (mb("rss_kib")?, mb("hwm_kib")?);
                #[allow(clippy::cast_precision_loss)] // peers
                let multiplied = hour.due.map(|due| due * size as f64);
                writeln!(
                    page,
                    "| {size} | {name} | {} | {} | {:.0} | {} | {} | {:.0} | {} | {} | {} |",
                    word(hour.starting),
                    hour.counted,
                    hour.scaled,
                    word(hour.due),
                    word(hour.keepalives),
                    hour.octets,
                    word(multiplied),
                    said(rss.clone(), 1),
                    said(peak, 1),
                )?;
                if let Some(most) = rss.iter().copied().max_by(f64::total_cmp).filter(|_| way != LOOP) {
                    let is_met = met(most < MOST_MB);
                    goals.push(format!(
                        "- {size} peers, {name}: VmRSS {most:.1} MB, of {MOST_MB:.0} at most: {is_met}."
                    ));
                }
                hours.push((way, name, hour));
            }
        }
        let asked = hours.iter().find(|(way, ..)| *way == LOOP).and_then(|(.., hour)| hour.due);
        for (_, name, hour) in hours.iter().filter(|(way, ..)| *way != LOOP) {
            let Some((asked, due)) = asked.zip(hour.due) else { continue };
            let fewer = asked / due;
            let with_keepalives = hour.keepalives.map(|keepalives| asked / (due + keepalives));
            ratios.push(format!(
                "- {size} peers, {name}: {fewer:.0} times fewer questions than the loop, of {LEAST_FEWER:.0} at least: {}; \
                 keepalives counted as questions, {} times.",
                met(fewer >= LEAST_FEWER),
                word(with_keepalives),
            ));
        }
    }
    writeln!(
        page,
        "\nQuestions are those that the server counted (`rollcall_dns_queries_total`). A sidecar that is pushed to asks when it \
         reads everything anew, every 7.5 to 22.5 minutes, 4 times an hour: *as they are due* is what one such reading asked, \
         times 4, and – where none fell into the interval; of the loop both are the same. Keepalives are no questions: they were \
         counted as segments that reached the server. × peers is multiplied, not measured: {} sidecars of each kind ran.\n",
        lines.0.first().and_then(|line| line.text("sidecars")).unwrap_or_default(),
    )?;
    for some in [ratios, goals].into_iter().filter(|some| !some.is_empty()) {
        writeln!(page, "{}\n", some.join("\n"))?;
    }
    Ok(())
}

fn subscribers(page: &mut String, lines: &Lines<'_>) -> anyhow::Result<()> {
    if lines.0.is_empty() {
        return Ok(());
    }
    writeln!(page, "## Subscribers of one service\n")?;
    writeln!(
        page,
        "| over | subscribers | changes | messages written a change | messages sent a change | first, ms | half, ms | \
         last, ms | server's processor a change, ms | octets of the server's memory a subscriber | VmRSS before and with them, MB | \
         subscribed in, s |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for line in &lines.0 {
        let number = |key: &str| line.number::<f64>(key);
        let (count, changes) = (number("count")?, number("changes")?);
        ensure!(number("wrong")? == 0.0, "not every push held the change: {}", line.rest());
        let (encoded, messages) = (number("encoded")? / changes, number("messages")? / changes);
        ensure!(encoded == 1.0, "{encoded} messages were written for a change");
        let (empty, rss) = (number("empty_kib")?, number("rss_kib")?);
        writeln!(
            page,
            "| {} | {count:.0} | {changes:.0} | {encoded:.0} | {messages:.0} | {} | {} | {} | {:.0} | {:.0} | {:.1}, {:.1} | {:.1} |",
            line.text("over").unwrap_or_default(),
            said(list(*line, "first_ms")?, 1),
            said(list(*line, "half_ms")?, 0),
            said(list(*line, "last_ms")?, 0),
            number("server_s")? * 1000.0 / changes,
            (rss - empty) * 1024.0 / count,
            empty * 1024.0 / 1e6,
            rss * 1024.0 / 1e6,
            number("opened_s")?,
        )?;
    }
    writeln!(
        page,
        "\nMilliseconds from the moment that the API server's event was written to its being read by the first subscriber, by half \
         of them, by the last; median (least–most). All are in one process on one core, so that much of the time is theirs.\n"
    )?;
    Ok(())
}

fn questions(page: &mut String, lines: &Lines<'_>) -> anyhow::Result<()> {
    if lines.0.is_empty() {
        return Ok(());
    }
    writeln!(
        page,
        "| questions over UDP beside them, 1,000 a second | | changes pushed | p50, µs | p99, µs | most, µs | lost |\n\
         |---|---|---|---|---|---|---|"
    )?;
    for line in &lines.0 {
        let text = |key: &str| line.text(key).unwrap_or_default();
        let words = ["over", "phase", "pushed", "p50_us", "p99_us", "most_us", "lost"].map(text);
        writeln!(page, "| {} |", words.join(" | "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: &str = "\
turn size=3 way=tls round=1 sidecars=2 changes=2 seconds=1 questions=4 pushes=8 server_s=0.01 sidecars_s=0.02 others=0 ms=1.00,2.00,3.00,4.00
turn size=3 way=tls round=1 sidecars=1 changes=2 seconds=1 questions=2 pushes=4 server_s=0.01 sidecars_s=0.02 others=0 ms=1.00,3.00
turn size=3 way=finder round=1 sidecars=2 changes=2 seconds=4 questions=9 pushes=0 server_s=0.01 sidecars_s=0.02 others=1 ms=500.00,600.00,700.00,800.00
quiet size=3 way=tls sidecars=2 seconds=1800.0 starting=12 questions=16 readings=4 octets=1000 pushed_octets=0 segments=64 rss_kib=8000,9000 hwm_kib=9000,9500 others=0
quiet size=3 way=finder sidecars=2 seconds=1800.0 starting=3 questions=3600 readings=0 octets=100000 pushed_octets=0 segments=- rss_kib=8000,9000 hwm_kib=9000,9500 others=0
subscribers over=tcp count=10 opened_s=0.1 opening_server_s=0.05 empty_kib=1000 rss_kib=1100 hwm_kib=1200 changes=2 encoded=2 messages=20 octets=900 server_s=0.02 wrong=0 first_ms=1.00,2.00 half_ms=2.00,3.00 last_ms=3.00,4.00
questions over=tcp phase=quiet pushed=0 answered=10 lost=0 p50_us=50 p99_us=90 most_us=99
";

    #[test]
    fn lines_become_tables() {
        let mut page = String::new();
        latency(&mut page, &Lines::of(FIGURES, "turn")).unwrap();
        quiet(&mut page, &Lines::of(FIGURES, "quiet")).unwrap();
        subscribers(&mut page, &Lines::of(FIGURES, "subscribers")).unwrap();
        questions(&mut page, &Lines::of(FIGURES, "questions")).unwrap();
        for row in [
            "| 3 | `rollcall peers`, push over TLS | 2 | 1.0 | 3.0 | 1.0–3.0 | 0 | 1.0 | 5.0, 10.0 |",
            "| 3 | `rollcall peers`, push over TLS, 2 on the one core | 4 | 2.0 | 4.0 | 1.0–4.0 | 0 | 1.0 | 5.0, 5.0 |",
            "| 3 | one SRV lookup a second | 4 | 600.0 | 800.0 | 500.0–800.0 | 1 | – | – |",
            "| 3 | `rollcall peers`, push over TLS | 600 | 267 |",
            "| 3 | `rollcall peers`, push over TLS | 6 | 16 of 2 in 1800 s | 16 | 16 | 60 | 1000 | 48 | 8.2 (8.2–9.2) | 9.2 (9.2–9.7) |",
            "| 3 | one SRV lookup a second | – | 3600 of 2 in 1800 s | 3600 | 3600 | 0 | 100000 | 10800 |",
            "225 times fewer questions than the loop, of 100 at least: met; keepalives counted as questions, 47 times.",
            "| tcp | 10 | 2 | 1 | 10 | 1.0 (1.0–2.0) | 2 (2–3) | 3 (3–4) | 10 | 10240 | 1.0, 1.1 | 0.1 |",
            "| tcp | quiet | 0 | 50 | 90 | 99 | 0 |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
    }

    #[test]
    fn a_push_that_was_written_twice_is_an_error() {
        let text = FIGURES.replace("encoded=2", "encoded=3");
        assert!(subscribers(&mut String::new(), &Lines::of(&text, "subscribers")).is_err());
    }
}
