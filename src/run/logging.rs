//! Logs: text on standard error, filtered by `ROLLCALL_LOG`.

use std::io::{IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

/// What is said without a word of the operator's. Below an error quinn has lines that strangers' packets cause, as many
/// as they send.
const DEFAULT: &str = "info,quinn_proto=error,quinn_udp=error";

/// Starts logging; a second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_env("ROLLCALL_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // Said with eprintln!, which panics where standard error is closed.
        .log_internal_errors(false)
        .try_init();
}

/// Writes a line to standard error, for people and for scripts that wait for it. Nobody listening is no reason to end.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
