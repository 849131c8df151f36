//! `rollcall man`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Command};

/// Print the manual page, or write those of all subcommands to a folder.
#[derive(Debug, Args)]
#[command(after_help = "  rollcall man | man -l -\n  rollcall man --dir /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Write rollcall.1, rollcall-serve.1 … to this folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self, command: Command) -> anyhow::Result<ExitCode> {
        match &self.dir {
            Some(dir) => {
                let failed = || format!("cannot write manual pages to {}", dir.display());
                clap_mangen::generate_to(command.disable_help_subcommand(true), dir).with_context(failed)?;
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command).render(&mut page)?;
                std::io::Write::write_all(&mut std::io::stdout(), &page)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
