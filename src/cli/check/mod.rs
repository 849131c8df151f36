//! `rollcall check`: what is wrong with configuration, manifests or a live cluster, for people and for programs.

mod entry;
mod json;
mod sarif;
mod text;

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::colour::Colour;
use super::flags::SourceFlags;
use crate::lints::{LINTS, Severity, by_id};
use crate::run::linting::{self, Linting};
use entry::Entry;

/// Find what is wrong with configuration, manifests or a live cluster, before somebody asks for a name.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing of the level of --severity, 1 something, or unreadable input, 2 bad command line.\nEach finding has an id and a page: rollcall check --explain ID, or docs/lints. An annotation on the object silences it: rollcall/ignore: ID,ID\n\n  rollcall check --manifests ./manifests --corefile Corefile\n  helm template my-chart | rollcall check --manifests - --severity warning\n  rollcall check --kubeconfig ~/.kube/config -n shop --output sarif > rollcall.sarif"
)]
pub(super) struct Check {
    #[command(flatten)]
    source: SourceFlags,

    /// Look at the Corefile of the CoreDNS in front too: what it remembers, and for how long
    #[arg(long, value_name = "FILE")]
    corefile: Option<PathBuf>,

    /// Do not look for these (comma list, may be repeated)
    #[arg(long, value_name = "ID", value_delimiter = ',', hide_possible_values = true, value_parser = ids())]
    allow: Vec<String>,

    /// How bad something has to be for exit code 1
    #[arg(long, value_name = "LEVEL", value_enum, default_value = "error")]
    severity: Level,

    /// How to print it
    #[arg(long, short = 'o', value_name = "FORM", value_enum, default_value = "text")]
    output: Output,

    /// Print the page of a finding's id, and check nothing
    #[arg(long, value_name = "ID", hide_possible_values = true, value_parser = ids())]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warning,
    Note,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Lines for people, in colour on a terminal (NO_COLOR turns it off)
    Text,
    /// One object
    Json,
    /// SARIF 2.1.0, as code scanning takes it
    Sarif,
}

fn ids() -> PossibleValuesParser {
    PossibleValuesParser::new(LINTS.iter().map(|lint| lint.id))
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
            Self::Note => Severity::Note,
        }
    }
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        if let Some(lint) = self.explain.as_deref().and_then(by_id) {
            out.write_all(lint.page.as_bytes())?;
            out.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let flags = self.source.typed();
        // A configuration may be checked by itself; without one the cluster is what kubectl would ask.
        let config = if self.source.config.is_some() {
            self.source.resolve(flags)?
        } else {
            self.source.resolve_around(flags)?
        };
        if config.cluster.is_none() && self.source.config.is_some() && self.corefile.is_none() {
            writeln!(out, "configuration: no errors; it names no cluster to check")?;
            out.flush()?;
            return Ok(ExitCode::SUCCESS);
        }
        let linting = Linting { corefile: self.corefile.clone(), allowed: self.allow.clone() };
        let checked = linting::check(&config, &linting)?;
        let entries = entry::of(&checked);
        match self.output {
            Output::Text => text::write(&mut out, &checked, &entries, Colour::of_stdout())?,
            Output::Json => json::write(&mut out, &checked, &entries)?,
            Output::Sarif => sarif::write(&mut out, &checked, &entries)?,
        }
        out.flush()?;
        let level = self.severity.severity();
        let is_bad = |entry: &Entry<'_>| entry.severity >= level;
        Ok(if entries.iter().any(is_bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
