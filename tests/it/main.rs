//! The one integration binary: whatever needs the built program or several layers of it together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failing test is a panic, and its helpers count as tests"
)]

mod api;
mod arrows;
mod behaviour;
mod cases;
mod docs;
mod generate;
mod lints;
mod oracle;
mod properties;
mod push;
mod reasons;
mod support;
