//! The command line: one file a subcommand. Exit codes are 0, 1 (something is wrong with the input or the
//! machine; said on standard error) and 2 (the command line itself; clap says it); `explain` and `watch` have a third,
//! and `wait` and `peers --once` end by a signal with 128 and its number.

mod check;
mod colour;
mod completions;
mod explain;
mod flags;
mod man;
mod peers;
mod plugin;
mod records;
mod serve;
mod service;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// An authoritative DNS server for Kubernetes headless services and StatefulSets.
///
/// It answers A, AAAA, SRV and PTR for `pod.svc.ns.svc.cluster.local` from a cluster's Services,
/// EndpointSlices and StatefulSets, with a stable name for each replica. Point a CoreDNS `forward` at it, or ask
/// it with dig.
#[derive(Debug, Parser)]
#[command(
    name = "rollcall",
    version,
    max_term_width = 100,
    after_help = "Try it without a cluster:\n  rollcall serve --config config/demo.toml\n  dig @127.0.0.1 -p 5300 web-0.nginx.default.svc.cluster.local\n\nLogs go to standard error; ROLLCALL_LOG=debug (or rollcall::server=debug,info) says more."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer questions over UDP and TCP, TLS, HTTPS and QUIC
    Serve(serve::Serve),
    /// Find what is wrong with configuration, manifests or a live cluster; exit 1 if there is an error
    Check(check::Check),
    /// Print the zone as a master file
    Records(records::Records),
    /// Say why a name is answered as it is: the way from the question to the answer, and what to do
    Explain(explain::Explain),
    /// Show every set of a running server in the terminal, live
    Watch(watch::Watch),
    /// Follow the peers of a headless service, and act on each change
    Peers(Box<peers::PeersFlags>),
    /// Wait until peers are there, a replica answers, or our own name gives our own address; for init containers
    Wait(Box<wait::WaitFlags>),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print the manual page, or write those of all subcommands to a folder
    Man(man::Man),
}

/// Parses the command line and runs it.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(result) = peers::as_peer_finder() {
        return code(result);
    }
    let command = plugin::named(Cli::command());
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    code(match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Records(records) => records.run(),
        Command::Explain(explain) => explain.run(),
        Command::Watch(watch) => watch.run(),
        Command::Peers(peers) => peers.run(),
        Command::Wait(wait) => wait.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
    })
}

fn code(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // A reader that has enough (`| head`) is no error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            crate::run::say_error(&format!("rollcall: {}", crate::source::chain(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
