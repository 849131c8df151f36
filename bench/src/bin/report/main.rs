//! Makes a table and a plot of what `bench/queries.sh` measured, and checks that the servers did the same work.

mod bars;
mod check;
mod runs;
mod table;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Parser;

use runs::Runs;

/// Make a table and a plot of measured lines, or check what the servers answered.
#[derive(Debug, Parser)]
struct Arguments {
    /// The lines that were measured
    runs: PathBuf,
    /// Only check that all servers answered this mix alike
    #[arg(long, value_name = "MIX")]
    check: Option<String>,
    /// What stands above the tables: the machine, the versions
    #[arg(long)]
    about: Option<PathBuf>,
    /// Write the tables to this file instead of standard output
    #[arg(long)]
    table: Option<PathBuf>,
    /// Write the plot to this file
    #[arg(long)]
    plot: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = read(&arguments.runs)?;
    let runs = Runs::of(&text)?;
    if let Some(mix) = &arguments.check {
        let differences = check::differences(&runs, mix);
        ensure!(differences.is_empty(), "{mix}: not the same work\n{}", differences.join("\n"));
        return Ok(());
    }
    let about = arguments.about.as_ref().map(read).transpose()?.unwrap_or_default();
    let tables = format!("{about}{}", table::markdown(&runs));
    match &arguments.table {
        Some(file) => std::fs::write(file, tables).context("cannot write the tables")?,
        None => print!("{tables}"),
    }
    if let Some(file) = &arguments.plot {
        std::fs::write(file, bars::svg(&runs)).context("cannot write the plot")?;
    }
    let wrong: f64 = runs.all().map(|run| run.number("wrong")).sum();
    ensure!(wrong == 0.0, "{wrong} replies were no reply to their question");
    Ok(())
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
