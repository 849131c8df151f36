//! How the program behaves around its answers: its command line, its files, its signals, its sockets, its upstream.
//!
//! Everything goes through the built binary, over loopback, on ports that the kernel chooses. Nothing sleeps for
//! luck: what takes time is asked for until it is there, or too late.

mod asking;
mod check;
mod check_lints;
mod cli;
mod configuration;
mod dnstap;
#[cfg(all(feature = "tls", feature = "https", feature = "quic"))]
mod encrypted;
mod examples;
mod explain;
mod follow;
mod follow_replaced;
mod hold;
mod listening;
mod logs;
mod manifests;
mod metrics;
mod metrics_operations;
mod metrics_page;
mod page;
mod peers;
mod process;
mod records;
mod reload;
mod reload_follow;
mod reload_load;
mod resolver;
mod rolling;
mod serve;
mod stdin;
mod steady;
mod tcp;
mod tcp_idle;
mod tcp_limits;
mod tcp_memory;
mod truncation;
mod udp;
mod upstream;
mod upstream_chains;
mod watch;
