//! Lines of figures to tables and a plot.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Args;
use rollcall_bench::lines::Line;
use rollcall_bench::median_and_range;
use rollcall_bench::plot::{Axis, Plot, Series};

/// What is wanted of the first server (issue: scale).
const MOST_OCTETS: f64 = 250.0;
const LEAST_RATIO: f64 = 8.0;
const MOST_SLOWER: f64 = 1.4;

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The lines of `run`, and lines `lookups size=… qps=… server_us=…`
    #[arg(long)]
    figures: PathBuf,
    /// What stands above the tables
    #[arg(long, default_value = "")]
    heading: String,
    /// Where the tables go
    #[arg(long)]
    markdown: PathBuf,
    /// Where the plot goes
    #[arg(long)]
    svg: PathBuf,
}

/// The starts of one server in clusters of one size, a figure of each.
#[derive(Debug, Default)]
struct Starts {
    answered: Vec<f64>,
    /// MiB.
    rss: Vec<f64>,
    hwm: Vec<f64>,
    later: Vec<f64>,
}

type BySize = BTreeMap<u64, Starts>;

impl Report {
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.figures)
            .with_context(|| format!("cannot read {}", self.figures.display()))?;
        let lines: Vec<Line<'_>> = text.lines().map(Line::new).collect();
        let servers = starts(&lines)?;
        let mut page = String::new();
        if !self.heading.is_empty() {
            writeln!(page, "{}\n", self.heading.trim_end())?;
        }
        if !servers.is_empty() {
            memory(&mut page, &servers)?;
            let plot = plot(&servers);
            std::fs::write(&self.svg, plot.svg()).context("cannot write the plot")?;
            let name = self.svg.file_name().unwrap_or_default().to_string_lossy();
            writeln!(page, "![Memory by the size of the cluster]({name})\n")?;
        }
        let left_out = lines.iter().filter(|line| line.kind() == "left-out");
        for line in left_out {
            writeln!(page, "Left out: {}\n", line.rest())?;
        }
        lookups(&mut page, &lines)?;
        print!("{page}");
        std::fs::write(&self.markdown, page).context("cannot write the tables")
    }
}

/// By server, in the order that they first come, then by size.
fn starts(lines: &[Line<'_>]) -> anyhow::Result<Vec<(String, BySize)>> {
    let mut servers: Vec<(String, BySize)> = Vec::new();
    for line in lines.iter().filter(|line| line.kind() == "start") {
        let name = line.text("server").context("a start without server=")?;
        let size: u64 = line.number("size")?;
        let place = servers.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            servers.push((name.to_owned(), BTreeMap::new()));
            servers.len() - 1
        });
        let starts = servers[place].1.entry(size).or_default();
        let mib = |key| line.number::<f64>(key).map(|kib| kib / 1024.0);
        starts.answered.push(line.number("answered_s")?);
        starts.rss.push(mib("rss_kib")?);
        starts.hwm.push(mib("hwm_kib")?);
        if line.text("later_kib").is_some() {
            starts.later.push(mib("later_kib")?);
        }
    }
    Ok(servers)
}

fn said(figures: &[f64], digits: usize) -> String {
    match median_and_range(figures.to_vec()) {
        None => "–".to_owned(),
        Some((one, _, _)) if figures.len() == 1 => format!("{one:.digits$}"),
        Some((median, least, most)) => format!("{median:.digits$} ({least:.digits$}–{most:.digits$})"),
    }
}

fn median(figures: &[f64]) -> Option<f64> {
    Some(median_and_range(figures.to_vec())?.0)
}

#[allow(clippy::cast_precision_loss)] // endpoints
fn octets_an_endpoint(by_size: &BySize, size: u64) -> Option<f64> {
    let (before, less) = by_size.range(..size).next_back()?;
    let grown = median(&by_size[&size].rss)? - median(&less.rss)?;
    Some(grown * f64::from(1 << 20) / (size - before) as f64)
}

fn memory(page: &mut String, servers: &[(String, BySize)]) -> anyhow::Result<()> {
    writeln!(
        page,
        "| endpoints | | seconds to the first right answer | VmHWM, MiB | VmRSS, MiB | later | octets an endpoint |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|")?;
    let sizes: BTreeSet<u64> = servers.iter().flat_map(|(_, by_size)| by_size.keys().copied()).collect();
    let mut words = Vec::new();
    for &size in &sizes {
        for (name, by_size) in servers {
            let Some(starts) = by_size.get(&size) else { continue };
            let octets = octets_an_endpoint(by_size, size);
            writeln!(
                page,
                "| {size} | {name} | {} | {} | {} | {} | {} |",
                said(&starts.answered, 2),
                said(&starts.hwm, 0),
                said(&starts.rss, 1),
                said(&starts.later, 1),
                octets.map_or_else(|| "–".to_owned(), |octets| format!("{octets:.0}")),
            )?;
        }
        let [(first, own), (second, other), ..] = servers else { continue };
        let (Some(own_starts), Some(other_starts)) = (own.get(&size), other.get(&size)) else { continue };
        let ratio = |of: fn(&Starts) -> &Vec<f64>| -> Option<f64> {
            Some(median(of(other_starts))? / median(of(own_starts))?)
        };
        let octets = octets_an_endpoint(other, size).zip(octets_an_endpoint(own, size));
        let short = |ratio: Option<f64>| ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(
            page,
            "| {size} | **{second} / {first}** | {} | {} | {} | {} | {} |",
            short(ratio(|starts| &starts.answered)),
            short(ratio(|starts| &starts.hwm)),
            short(ratio(|starts| &starts.rss)),
            short(ratio(|starts| &starts.later)),
            short(octets.map(|(other, own)| other / own)),
        )?;
        if let Some((octets, ratio)) = octets_an_endpoint(own, size).zip(ratio(|starts| &starts.rss)) {
            let least = if ratio >= LEAST_RATIO { "met" } else { "missed" };
            let most = if octets <= MOST_OCTETS { "met" } else { "missed" };
            words.push(format!(
                "- {size} endpoints: {octets:.0} octets an endpoint, of {MOST_OCTETS:.0} at most: {most}; \
                 1/{ratio:.1} of {second}'s VmRSS, of 1/{LEAST_RATIO:.0} at most: {least}."
            ));
        }
    }
    writeln!(
        page,
        "\nMedian (least–most). The octets of an endpoint are what VmRSS grew by since the size before, by the endpoints \
         in between.\n"
    )?;
    if !words.is_empty() {
        writeln!(page, "{}\n", words.join("\n"))?;
    }
    Ok(())
}

fn plot(servers: &[(String, BySize)]) -> Plot {
    #[allow(clippy::cast_precision_loss)] // endpoints
    let series = servers.iter().map(|(name, by_size)| Series {
        name: name.clone(),
        points: by_size
            .iter()
            .filter_map(|(size, starts)| Some((*size as f64, median(&starts.rss)?)))
            .collect(),
    });
    Plot {
        title: "Memory by the size of the cluster".to_owned(),
        x: Axis::logarithmic("endpoints"),
        y: Axis::logarithmic("VmRSS, MiB"),
        series: series.collect(),
    }
}

fn lookups(page: &mut String, lines: &[Line<'_>]) -> anyhow::Result<()> {
    let mut by_size: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind() == "lookups") {
        let (rates, costs) = by_size.entry(line.number("size")?).or_default();
        rates.push(line.number("qps")?);
        costs.push(line.number("server_us")?);
        ensure!(
            line.number::<u64>("wrong")? == 0 && line.number::<f64>("noerror")? >= 0.9999,
            "not every reply was right: {}",
            line.rest()
        );
    }
    if by_size.is_empty() {
        return Ok(());
    }
    writeln!(page, "| names | queries/s | server CPU a query, µs |\n|---|---|---|")?;
    for (size, (rates, costs)) in &by_size {
        writeln!(page, "| {size} | {} | {} |", said(rates, 0), said(costs, 2))?;
    }
    let (Some((small, few)), Some((large, many))) = (by_size.first_key_value(), by_size.last_key_value())
    else {
        return Ok(());
    };
    if small < large {
        let each = |above: &[f64], below: &[f64]| -> Vec<f64> {
            above.iter().zip(below).map(|(above, below)| above / below).collect()
        };
        let (rates, costs) = (each(&few.0, &many.0), each(&many.1, &few.1));
        writeln!(
            page,
            "| **time at {large} / at {small}**, round by round | {} | {} |\n",
            said(&rates, 2),
            said(&costs, 2)
        )?;
        if let Some(slower) = median(&costs) {
            let met = if slower <= MOST_SLOWER { "met" } else { "missed" };
            writeln!(page, "- A lookup takes {slower:.2} of its time, of {MOST_SLOWER} at most: {met}.")?;
        }
    }
    Ok(())
}
