//! What sidecars cost while nothing changes: each size and way has a server of its own, so that it is known whose the
//! questions are, and all of them wait at one time.
//!
//! Keepalives are no questions and are not counted by the server. They are what its kernel has received beyond the readings:
//! segments with data on the server's side of the connections (`ss`), for each keepalive is one, and the questions of a
//! reading are one together.

use std::net::SocketAddr;
use std::process::Command;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum as _};
use rollcall_bench::metrics::Metrics;
use rollcall_bench::status_kib;

use super::sidecars::{Programs, Sidecars, Way};

/// From the first list to the beginning: what follows it, a session's times and the like, is no part of an hour.
const SETTLE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(super) struct Quiet {
    /// A server and who follows what at it: how many peers, the way, where it answers, where it tells what it counted
    #[arg(long = "server", value_name = "PEERS,WAY,ADDRESS,ADMIN", required = true)]
    servers: Vec<At>,
    /// For how long nothing changes
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[command(flatten)]
    programs: Programs,
}

#[derive(Debug, Clone)]
struct At {
    size: usize,
    way: Way,
    server: SocketAddr,
    admin: SocketAddr,
}

impl FromStr for At {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let words: Vec<&str> = text.split(',').collect();
        let [size, way, server, admin] = words[..] else {
            return Err(anyhow!("PEERS,WAY,ADDRESS,ADMIN and not {text}"));
        };
        let way = Way::from_str(way, false).map_err(|error| anyhow!(error))?;
        Ok(Self { size: size.parse()?, way, server: server.parse()?, admin: admin.parse()? })
    }
}

/// What was counted at one moment.
struct Counted {
    metrics: Metrics,
    segments: Option<u64>,
}

impl Counted {
    fn now(at: &At) -> anyhow::Result<Self> {
        let segments = if at.way == Way::Finder { None } else { segments(at.server.port()) };
        Ok(Self { metrics: Metrics::of(at.admin)?, segments })
    }
}

impl Quiet {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut all = Vec::new();
        for at in &self.servers {
            let kind = (at.way, self.programs.sidecars);
            all.push((at, Sidecars::start(&self.programs, kind, at.server, at.size)?));
        }
        thread::sleep(SETTLE);
        let begin = Instant::now();
        let before = self.servers.iter().map(Counted::now).collect::<anyhow::Result<Vec<_>>>()?;
        thread::sleep(Duration::from_secs(self.seconds));
        let seconds = begin.elapsed().as_secs_f64();
        for ((at, sidecars), before) in all.iter_mut().zip(&before) {
            print(at, sidecars, before, seconds)?;
        }
        Ok(())
    }
}

fn print(at: &At, sidecars: &mut Sidecars, before: &Counted, seconds: f64) -> anyhow::Result<()> {
    let after = Counted::now(at)?;
    let grown =
        |name: &str, labels: &[&str]| after.metrics.sum(name, labels) - before.metrics.sum(name, labels);
    let segments = after.segments.zip(before.segments).map(|(after, before)| after.saturating_sub(before));
    let memory = |key: &str| -> anyhow::Result<String> {
        let each = sidecars.pids().into_iter().map(|pid| status_kib(pid, key).context("a sidecar has ended"));
        let each = each.map(|kib| kib.map(|kib| kib.to_string())).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(each.join(","))
    };
    println!(
        "quiet size={} way={} sidecars={} seconds={seconds:.1} starting={} questions={} readings={} octets={} pushed_octets={} \
         segments={} rss_kib={} hwm_kib={} others={}",
        at.size,
        at.way,
        sidecars.count(),
        // The server is theirs alone: what it was asked before was asked by them when they came.
        before.metrics.sum("rollcall_dns_queries_total", &[]),
        grown("rollcall_dns_queries_total", &[]),
        // Each reading asks for them once, and nothing else does.
        grown("rollcall_dns_queries_total", &["type=\"TXT\""]),
        grown("rollcall_dns_response_size_bytes_sum", &[]),
        grown("rollcall_push_bytes_total", &[]),
        segments.map_or_else(|| "-".to_owned(), |segments| segments.to_string()),
        memory("VmRSS")?,
        memory("VmHWM")?,
        sidecars.others()?,
    );
    Ok(())
}

/// Segments with data that have come over the connections that a port has; none where `ss` is not there.
fn segments(port: u16) -> Option<u64> {
    let output =
        Command::new("ss").args(["-tinH", "state", "established", &format!("sport = :{port}")]).output();
    let text = String::from_utf8(output.ok().filter(|output| output.status.success())?.stdout).ok()?;
    Some(received(&text))
}

fn received(text: &str) -> u64 {
    let words = text.split_whitespace().filter_map(|word| word.strip_prefix("data_segs_in:"));
    words.filter_map(|number| number.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_all_connections_are_added_up() {
        let text = "0 0 127.0.0.1:853 127.0.0.1:40000\n\t cubic segs_in:9 data_segs_out:4 data_segs_in:5 x\n\
                    0 0 127.0.0.1:853 127.0.0.1:40001\n\t cubic data_segs_in:7\n";
        assert_eq!(received(text), 12);
        assert_eq!(received(""), 0);
    }

    #[test]
    fn a_server_is_read() {
        let at: At = "100,tls,127.0.0.1:853,127.0.0.1:9153".parse().unwrap();
        assert_eq!((at.size, at.way, at.server.port(), at.admin.port()), (100, Way::Tls, 853, 9153));
        assert!("100,tls,127.0.0.1:853".parse::<At>().is_err());
    }
}
