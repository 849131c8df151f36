//! Names outside the zones that ExternalName Services point to: asked of the upstream servers for clients that
//! want recursion, off the fast path, cached, bounded.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hickory_proto::op::{DnsRequestOptions, Message, Query as ProtoQuery, ResponseCode};
use hickory_proto::rr::{Name as ProtoName, RData, Record, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::sync::Semaphore;
use tracing::debug;

use super::upstream_cache::Answers;
use crate::reasons::{Answer, Reason};
use crate::wire::{Name, Query, Response, rcode};
use crate::zone::told;

/// What a stranger's questions may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Questions that wait for an answer at one time.
    pub in_flight: usize,
    /// How long one may wait in all.
    pub timeout: Duration,
    /// Answers kept.
    pub cache: u64,
    /// Octets of them.
    pub cache_size: usize,
}

/// Asks the configured servers: one exchange a question, for they are resolvers and follow aliases themselves.
///
/// hickory-resolver's own following of aliases is not used: it asks for names that an alias leads to, and some
/// are ours, and what it remembers of one chain it adds to another.
pub struct Upstream {
    pool: NameServerPool<TokioRuntimeProvider>,
    cache: Answers,
    permits: Semaphore,
    /// The slot's: it outlives a reload.
    refused: Arc<AtomicU64>,
    limits: UpstreamLimits,
    zone: ProtoName,
}

/// The upstream of the moment, or none; its clones are one. A reload replaces what is in it.
#[derive(Clone, Default)]
pub struct UpstreamSlot {
    current: Arc<ArcSwapOption<Upstream>>,
    refused: Arc<AtomicU64>,
}

/// What the upstream is asked and what is kept of it, just now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpstreamCounts {
    /// Questions that wait for an answer.
    pub in_flight: usize,
    /// As many as may.
    pub limit: usize,
    /// Questions since the start that found as many waiting, and were answered SERVFAIL.
    pub refused: u64,
    /// Answers that are kept.
    pub kept: usize,
    /// Octets of these.
    pub octets: usize,
}

impl UpstreamSlot {
    /// Replaces it; questions that wait for the one before are answered by that one.
    pub fn set(&self, upstream: Option<Upstream>) {
        let refused = Arc::clone(&self.refused);
        self.current.store(upstream.map(|upstream| Arc::new(Upstream { refused, ..upstream })));
    }

    pub(super) fn get(&self) -> Option<Arc<Upstream>> {
        self.current.load_full()
    }

    /// The counts just now.
    #[must_use]
    pub fn counts(&self) -> UpstreamCounts {
        let refused = self.refused.load(Ordering::Relaxed);
        let Some(upstream) = self.get() else {
            return UpstreamCounts { refused, ..UpstreamCounts::default() };
        };
        let limit = upstream.limits.in_flight;
        let (kept, octets) = upstream.cache.counts();
        let in_flight = limit.saturating_sub(upstream.permits.available_permits());
        UpstreamCounts { in_flight, limit, refused, kept, octets }
    }
}

/// Why there is no upstream.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The resolver could not be made.
    #[error("cannot set up the upstream resolver")]
    Resolver(#[source] NetError),
}

/// A reply with the aliases, to which what the upstream says is to be added.
pub(super) struct Chase {
    /// What the client asked.
    pub(super) packet: Box<[u8]>,
    pub(super) partial: Box<[u8]>,
    pub(super) target: Name,
    pub(super) rtype: u16,
    pub(super) limit: usize,
    pub(super) answers: crate::zone::Answers,
}

impl Upstream {
    /// Asks these servers, over UDP and where an answer is cut short over TCP. Names within `zone` are never
    /// asked for, nor believed.
    ///
    /// # Errors
    /// When the resolver cannot be made.
    pub fn new(servers: &[SocketAddr], zone: &Name, limits: UpstreamLimits) -> Result<Self, UpstreamError> {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let mut options = ResolverOpts::default();
        options.timeout = limits.timeout;
        options.edns0 = true;
        let cache = Answers::new(limits.cache, limits.cache_size);
        let tls = TlsConfig::new().map_err(UpstreamError::Resolver)?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let zone =
            ProtoName::from_str(&zone.to_string()).map_err(|error| UpstreamError::Resolver(error.into()))?;
        let (permits, refused) = (Semaphore::new(limits.in_flight), Arc::default());
        Ok(Self { pool, cache, permits, refused, limits, zone })
    }

    /// Adds what the upstream says; SERVFAIL when it says nothing within the bound, or when as many questions as
    /// may be are in flight. What is remembered waits for nothing.
    pub(super) async fn complete(&self, chase: &Chase) -> Vec<u8> {
        let said = match tokio::time::timeout(self.limits.timeout, self.lookup(chase)).await {
            Ok(Ok(said)) => complete(chase, said),
            Ok(Err(error)) => {
                debug!(%error, target = %chase.target, "the upstream failed");
                None
            }
            Err(_) => None,
        };
        said.unwrap_or_else(|| {
            let mut out = vec![0; usize::from(super::responder::UDP_PAYLOAD)];
            let length = fail(chase, &mut out);
            out.truncate(length);
            out
        })
    }

    async fn lookup(&self, chase: &Chase) -> Result<Said, NetError> {
        let name = ProtoName::from_str(&chase.target.to_string())?;
        let rtype = RecordType::from(chase.rtype);
        let query = ProtoQuery::query(name.clone(), rtype);
        if let Some(kept) = self.cache.get(&query, Instant::now()) {
            return Ok(kept);
        }
        // Never waited for: behind a dead upstream the others would wait with it.
        let _permit = self.permits.try_acquire().map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            NetError::Busy
        })?;
        let mut options = DnsRequestOptions::default();
        options.recursion_desired = true;
        options.use_edns = true;
        let answer = self.pool.lookup(query.clone(), options).first_answer().await;
        let said = match answer.map(hickory_proto::op::DnsResponse::into_message) {
            Ok(message) => self.chain(name, rtype, message),
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
            {
                let soa = none.soa.map(|soa| soa.into_record_of_rdata());
                Said { code: none.response_code, answers: Vec::new(), soa }
            }
            Err(error) => return Err(error),
        };
        self.cache.insert(query, &said, Instant::now());
        Ok(said)
    }

    /// The aliases from `name` on and the records at their end: what else a message holds belongs to other
    /// questions. An alias into our zone is the end: what an upstream says below it is not its to say.
    fn chain(&self, name: ProtoName, rtype: RecordType, message: Message) -> Said {
        let (mut here, mut answers) = (name, Vec::new());
        let mut left = message.answers;
        while !self.zone.zone_of(&here) {
            let of_here = |record: &Record| record.name == here;
            let (own, rest): (Vec<Record>, Vec<Record>) = left.into_iter().partition(of_here);
            left = rest;
            let wanted = own.iter().any(|record| record.record_type() == rtype);
            let alias = own.iter().find_map(|record| match &record.data {
                RData::CNAME(alias) if !wanted => Some(alias.0.clone()),
                _ => None,
            });
            let kept = if wanted { rtype } else { RecordType::CNAME };
            answers.extend(own.into_iter().filter(|record| record.record_type() == kept));
            match alias {
                // Each turn takes the alias's records out: a loop ends.
                Some(alias) => here = alias,
                None if wanted => return Said { code: ResponseCode::NoError, answers, soa: None },
                None => {
                    let soa = message.authorities.into_iter().find(|r| r.record_type() == RecordType::SOA);
                    return Said { code: message.metadata.response_code, answers, soa };
                }
            }
        }
        Said { code: ResponseCode::NoError, answers, soa: None }
    }
}

/// What the upstream said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: ResponseCode,
    pub(super) answers: Vec<Record>,
    /// Of a negative answer, for it to be remembered (RFC 2308).
    pub(super) soa: Option<Record>,
}

/// Adds records to a reply, as many as fit. The code is that of the last name (RFC 6604, section 3).
fn complete(chase: &Chase, said: Said) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(&chase.partial).ok()?;
    // AA stays: it is about the first name of the answer, which is ours (RFC 1035, section 4.1.1).
    message.metadata.response_code = said.code;
    let own = message.answers.len();
    message.answers.extend(said.answers);
    message.authorities.extend(said.soa);
    let fitting = |message: &Message| message.to_vec().ok().filter(|octets| octets.len() <= chase.limit);
    if let Some(octets) = fitting(&message) {
        return Some(octets);
    }
    message.metadata.truncation = true;
    message.authorities.clear();
    // The most records that fit, by halves: each try writes a message, and a large one has thousands.
    let all = std::mem::take(&mut message.answers);
    let (mut best, mut low, mut high) = (None, own, all.len());
    while low <= high {
        let count = low + (high - low) / 2;
        message.answers = all[..count].to_vec();
        match fitting(&message) {
            Some(octets) => {
                best = Some(octets);
                low = count + 1;
            }
            None => high = count.checked_sub(1)?,
        }
    }
    best
}

/// SERVFAIL to the question of a chase, with the sentence for clients with EDNS.
pub(super) fn fail(chase: &Chase, out: &mut [u8]) -> usize {
    let mut query = Query::default();
    // It was parsed before: the aliases in the partial reply answer it.
    if query.parse(&chase.packet).is_err() {
        return 0;
    }
    let response = Response::start(out, &query, &chase.packet, chase.limit, super::responder::UDP_PAYLOAD);
    let why = Reason::UpstreamFailed;
    let error = told(chase.answers, why.code(Answer::Failed), why.constant().unwrap_or_default());
    response.finish(rcode::SERVFAIL, &[error])
}
