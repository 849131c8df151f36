//! `rollcall records`.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use clap::Args;

use super::flags::SourceFlags;
use crate::run::{self, offline};
use crate::source::Severity;
use crate::zone::{MasterFile, Part};

/// Print the zone as a master file.
#[derive(Debug, Args)]
#[command(
    after_help = "Every record that `serve` would answer with, one a line (RFC 1035, section 5). Problems of the input go to standard error; see `rollcall check`.\n\n  rollcall records --manifests ./manifests | grep SRV\n  rollcall records --manifests ./manifests > zone\n  named-checkzone cluster.local zone"
)]
pub(super) struct Records {
    #[command(flatten)]
    source: SourceFlags,

    /// Print the reverse zones instead of the cluster domain, one after the other
    #[arg(long)]
    reverse: bool,
}

impl Records {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.source.resolve_around(self.source.typed())?;
        let loaded = offline::load(&config)?;
        for problem in loaded.problems.iter().filter(|problem| problem.severity == Severity::Error) {
            run::say(&format!("error: {problem}"));
        }
        let part = if self.reverse { Part::Reverse } else { Part::Cluster };
        let mut out = BufWriter::new(std::io::stdout().lock());
        MasterFile::new(&loaded.reader, part).write(&mut out)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
