//! `rollcall check`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::flags::SourceFlags;
use crate::cluster::Kind;
use crate::run::offline;
use crate::source::Severity;

/// Validate configuration and manifests.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no errors (there may be notes), 1 errors or unreadable input, 2 bad command line.\n\n  rollcall check --manifests ./manifests\n  kubectl get ns,svc,endpointslices,sts,pods -A -o yaml | rollcall check --manifests -"
)]
pub(super) struct Check {
    #[command(flatten)]
    source: SourceFlags,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.source.resolve(self.source.typed())?;
        let mut out = std::io::stdout().lock();
        if config.cluster.is_none() && self.source.config.is_some() {
            writeln!(out, "configuration: no errors; it names no cluster to check")?;
            return Ok(ExitCode::SUCCESS);
        }
        let loaded = offline::load(&config)?;
        for problem in &loaded.problems {
            let word = match problem.severity {
                Severity::Error => "error",
                Severity::Note => "note",
            };
            writeln!(out, "{word}: {problem}")?;
        }
        let count = |severity| loaded.problems.iter().filter(|problem| problem.severity == severity).count();
        let errors = count(Severity::Error);
        let index = loaded.driver.index();
        writeln!(
            out,
            "{} Services, {} EndpointSlices, {} StatefulSets, {} Pods, {} Namespaces: {errors} errors, {} notes",
            index.count(Kind::Service),
            index.count(Kind::EndpointSlice),
            index.count(Kind::StatefulSet),
            index.count(Kind::Pod),
            index.count(Kind::Namespace),
            count(Severity::Note),
        )?;
        Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
