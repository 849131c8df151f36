//! `rollcall peers`, who is told, beside a loop that asks once a second: how long a change takes to reach what each of them
//! runs for it, and what they cost the server. `bench/peers.sh` puts it all together.
//!
//! ```text
//! prepare       StatefulSets of so many peers in an API server
//! latency       their last peer comes and goes: from the acknowledgement to the hook of each sidecar, in turns
//! quiet         nothing changes: questions, keepalives, octets, memory
//! subscribers   ten thousand of one service: from the API server's word to the last PUSH, memory of the server
//! ask           questions over UDP meanwhile
//! report        the lines of the others as tables
//! ```

mod asking;
mod latency;
mod quiet;
mod report;
mod sets;
mod sidecars;
mod subscriber;
mod subscribers;

use clap::{Parser, Subcommand};

/// Measure sidecars that follow the peers of a service.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make the StatefulSets in an API server
    Prepare(sets::Prepare),
    /// Print how long changes take to reach hooks, a line a turn
    Latency(latency::Latency),
    /// Print what sidecars cost while nothing changes, a line a server
    Quiet(quiet::Quiet),
    /// Start a server, subscribe many times to one service of it, and print what a change takes and a subscriber costs
    Subscribers(subscribers::Subscribers),
    /// Ask one question after the other over UDP, and print how long the answers took
    Ask(asking::Ask),
    /// Make tables from such lines
    Report(report::Report),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        What::Prepare(prepare) => prepare.run(),
        What::Latency(latency) => latency.run(),
        What::Quiet(quiet) => quiet.run(),
        What::Subscribers(subscribers) => subscribers.run(),
        What::Ask(ask) => ask.run(),
        What::Report(report) => report.write(),
    }
}
