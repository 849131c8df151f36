//! How the program behaves around its answers: its command line, its files, its signals, its sockets, its upstream.
//!
//! Everything goes through the built binary, over loopback, on ports that the kernel chooses. Nothing sleeps for
//! luck: what takes time is asked for until it is there, or too late.

mod asking;
mod check;
mod cli;
mod configuration;
#[cfg(all(feature = "tls", feature = "https", feature = "quic"))]
mod encrypted;
mod follow;
mod follow_replaced;
mod listening;
mod manifests;
mod metrics;
mod metrics_page;
mod process;
mod records;
mod reload;
mod resolver;
mod serve;
mod stdin;
mod tcp;
mod tcp_idle;
mod tcp_limits;
mod truncation;
mod udp;
mod upstream;
mod upstream_chains;
