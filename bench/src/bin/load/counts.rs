//! What came back, and the line that says it.

use std::fmt;
use std::time::Instant;

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use rollcall_bench::processor_seconds;

use crate::histogram::Histogram;

/// What came back so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) replies: u64,
    pub(crate) lost: u64,
    /// No reply at all, or one with another question in it.
    pub(crate) wrong: u64,
    /// To no question under way: the one it is for was given up, and is among the lost.
    pub(crate) late: u64,
    /// Connections that the server closed.
    pub(crate) closed: u64,
    noerror: u64,
    nxdomain: u64,
    other: u64,
    truncated: u64,
    answers: u64,
    octets: u64,
    latency: Histogram,
}

impl Counts {
    /// Counts a reply to a question that was under way.
    pub(crate) fn add(&mut self, header: &[u8; 12], length: usize, nanoseconds: u64) {
        self.replies += 1;
        match header[3] & 15 {
            0 => self.noerror += 1,
            3 => self.nxdomain += 1,
            _ => self.other += 1,
        }
        self.truncated += u64::from(header[2] >> 1 & 1);
        self.answers += u64::from(u16::from_be_bytes([header[6], header[7]]));
        self.octets += length as u64;
        self.latency.add(nanoseconds, 1);
    }
}

/// The processor time of the servers' processes and our own, from one moment on.
pub(crate) struct Meter<'p> {
    start: Instant,
    own: f64,
    servers: &'p [u32],
    used: f64,
}

impl<'p> Meter<'p> {
    pub(crate) fn start(servers: &'p [u32]) -> anyhow::Result<Self> {
        Ok(Self { used: used_by(servers)?, own: own_seconds()?, servers, start: Instant::now() })
    }

    pub(crate) fn started(&self) -> Instant {
        self.start
    }

    /// What was counted since the start.
    pub(crate) fn stop(&self, counts: Counts) -> anyhow::Result<Measured> {
        let seconds = self.start.elapsed().as_secs_f64();
        let own = own_seconds()? - self.own;
        let server = used_by(self.servers)? - self.used;
        Ok(Measured { counts, seconds, own, server: (!self.servers.is_empty()).then_some(server) })
    }
}

fn used_by(servers: &[u32]) -> anyhow::Result<f64> {
    let seconds = servers.iter().map(|pid| processor_seconds(*pid).context("no such server"));
    seconds.sum()
}

fn own_seconds() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("no usage")?;
    let seconds = [usage.user_time(), usage.system_time()].map(|time| {
        #[allow(clippy::cast_precision_loss)] // seconds of a benchmark
        let seconds = time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds
    });
    Ok(seconds.iter().sum())
}

/// Counts, over how long, and the processor seconds in it.
pub(crate) struct Measured {
    counts: Counts,
    seconds: f64,
    own: f64,
    server: Option<f64>,
}

/// One line of `key=value`, for scripts.
impl fmt::Display for Measured {
    #[allow(clippy::cast_precision_loss)] // counts of a benchmark
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let of = |count: u64| count as f64 / counts.replies.max(1) as f64;
        write!(
            f,
            "replies={} seconds={:.3} qps={:.0} lost={} wrong={} late={} closed={}",
            counts.replies,
            self.seconds,
            counts.replies as f64 / self.seconds,
            counts.lost,
            counts.wrong,
            counts.late,
            counts.closed,
        )?;
        for (key, part) in
            [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("most", 1.0)]
        {
            write!(f, " {key}_us={:.1}", counts.latency.quantile(part) as f64 / 1e3)?;
        }
        write!(f, " busy_percent={:.0}", self.own / self.seconds * 100.0)?;
        if let Some(server) = self.server {
            let (each, share) = (server * 1e6 / counts.replies.max(1) as f64, server / self.seconds);
            write!(f, " server_us={each:.2} server_percent={:.0}", share * 100.0)?;
        }
        write!(
            f,
            " noerror={:.4} nxdomain={:.4} other={:.4} truncated={:.4} answers={:.3} octets={:.1}",
            of(counts.noerror),
            of(counts.nxdomain),
            of(counts.other),
            of(counts.truncated),
            of(counts.answers),
            of(counts.octets),
        )
    }
}
