//! `rollcall watch`: the page in a terminal.

use std::io::{self, BufWriter, IsTerminal as _, Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::colour::{Colour, plain};
use crate::run::remote::{AddressError, Server};
use crate::run::watching;
use crate::watch::{SERVER, State, is_complete, write};

/// The server was not reached, as `explain` has it.
const UNREACHED: u8 = 3;
/// The command line itself, as clap has it.
const USAGE: u8 = 2;

/// Show every StatefulSet of a running server, replica by replica, as it changes.
#[derive(Debug, Args)]
#[command(
    after_help = "A letter a replica: R ready, n not ready, - missing, T terminating; below, why the selected one has no\nanswer, and the last changes with how long each took. The key ? lists the keys.\nWhere standard output is no terminal it prints the same once, as --once does.\nExit codes: 0; with --once 1 where a set has not all its replicas or the server is not ready; 2 bad\ncommand line; 3 the server cannot be asked.\n\n  rollcall watch\n\nOf a cluster, in one shell and in another:\n\n  kubectl -n rollcall port-forward deploy/rollcall 9153\n  rollcall watch --token-file token -n shop"
)]
pub(super) struct Watch {
    /// The server's admin address (HOST:PORT or http://HOST:PORT)
    #[arg(long, value_name = "ADDR", default_value = SERVER)]
    server: String,

    /// The token of the server's page and API
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Only the sets of this namespace [default: all]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,

    /// Print what there is as text and end
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let server = match Server::new(&self.server, self.token_file.clone()) {
            Ok(server) => server,
            Err(error) => return Ok(said(&error.into())),
        };
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_text = self.once || is_dumb || !stdout().is_terminal();
        // A code that says that nothing lacks is of all sets.
        let most = if is_text { usize::MAX } else { watching::MOST_SETS };
        // Before the terminal is taken: whoever mistyped the address is told so and has the shell again.
        let news = match watching::look(&server, self.namespace.as_deref(), most) {
            Ok(news) => news,
            Err(error) => return Ok(said(&error)),
        };
        let now = Timestamp::now();
        let mut state = State::new(server.url(), self.namespace.clone());
        for news in news {
            state.hear(news, now);
        }
        if is_text {
            let mut out = BufWriter::new(stdout().lock());
            match write(&mut out, &state, now).and_then(|()| out.flush()) {
                // A reader that has enough (`| head`) has not asked for another code.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
            return Ok(if is_complete(&state) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        watching::show(server, state, self.namespace, Colour::of_stdout().is_on())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A server's words are in it.
fn said(error: &anyhow::Error) -> ExitCode {
    crate::run::say_error(&format!("rollcall: {}", plain(&watching::why(error))));
    ExitCode::from(if error.is::<AddressError>() { USAGE } else { UNREACHED })
}
