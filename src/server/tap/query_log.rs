//! The query log: a line of the log for a question that was kept.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::info;

use super::super::responder::Transport;
use super::{Exchange, Queue};
use crate::wire::{Query, rcode, rtype};

/// How often it is looked whether there is something to write.
const LOOK: Duration = Duration::from_millis(20);

/// Writes lines on a thread of its own, for standard error may be slow to take them; ended, it writes what waits.
pub struct QueryLog {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl QueryLog {
    /// Writes what the queue keeps.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(queue: Queue) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("query-log".into()).spawn(move || {
            let mut query = Query::default();
            loop {
                // Looked at first: what was kept before the stop is written.
                let last = stopped.load(Ordering::Acquire);
                while let Some(exchange) = queue.take() {
                    write(&exchange, &mut query);
                }
                if last {
                    return;
                }
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Ends it, soon.
    pub fn stop(self) -> JoinHandle<()> {
        self.stop.store(true, Ordering::Release);
        self.thread
    }
}

fn write(exchange: &Exchange, query: &mut Query) {
    let Line { name, rtype, rcode, answers } = Line::of(exchange, query);
    info!(
        target: "rollcall::query",
        client = %exchange.client,
        transport = transport(exchange.transport),
        // Escaped as in a master file: what a stranger wrote breaks no line.
        name = name.map(tracing::field::display),
        r#type = rtype.map(|code| tracing::field::display(TypeText(code))),
        rcode = %RcodeText(rcode),
        answers,
        size = exchange.reply().len(),
        microseconds = u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX),
        "query"
    );
}

/// What a line says of the two messages.
struct Line<'q> {
    /// None where the packet has no question that could be read.
    name: Option<&'q crate::wire::ParsedName>,
    rtype: Option<u16>,
    rcode: u16,
    answers: u16,
}

impl<'q> Line<'q> {
    fn of(exchange: &Exchange, query: &'q mut Query) -> Self {
        let reply = exchange.reply();
        let word =
            |at: usize| reply.get(at..at + 2).map_or(0, |octets| u16::from_be_bytes([octets[0], octets[1]]));
        // An error behind the question (a record, the version) leaves the question as it was read.
        let failed = query.parse(exchange.query()).err();
        let is_read = failed.is_none_or(|error| error.has_question());
        let (name, rtype) = if is_read { (Some(&query.name), Some(query.rtype)) } else { (None, None) };
        // The upper bits are in the OPT record, and of codes of ours only this one has any (RFC 6891, section 6.1.3).
        let rcode = match failed.and_then(crate::wire::QueryError::rcode) {
            Some(rcode::BADVERS) => rcode::BADVERS,
            _ => word(2) & 0xf,
        };
        Self { name, rtype, rcode, answers: word(6) }
    }
}

pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Https => "https",
        Transport::Quic => "quic",
    }
}

struct RcodeText(u16);

impl fmt::Display for RcodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            rcode::NOERROR => "NOERROR",
            rcode::FORMERR => "FORMERR",
            rcode::SERVFAIL => "SERVFAIL",
            rcode::NXDOMAIN => "NXDOMAIN",
            rcode::NOTIMP => "NOTIMP",
            rcode::REFUSED => "REFUSED",
            rcode::BADVERS => "BADVERS",
            other => return write!(f, "RCODE{other}"),
        })
    }
}

/// Those that are asked for every day; others as RFC 3597 writes them.
struct TypeText(u16);

impl fmt::Display for TypeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            rtype::A => "A",
            rtype::NS => "NS",
            rtype::CNAME => "CNAME",
            rtype::SOA => "SOA",
            rtype::PTR => "PTR",
            15 => "MX",
            rtype::TXT => "TXT",
            rtype::AAAA => "AAAA",
            rtype::SRV => "SRV",
            43 => "DS",
            64 => "SVCB",
            65 => "HTTPS",
            rtype::IXFR => "IXFR",
            rtype::AXFR => "AXFR",
            rtype::ANY => "ANY",
            other => return write!(f, "TYPE{other}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::mk_seen;
    use super::*;

    const QUESTION: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x03b\n\\\x00\x00\x1c\x00\x01";

    fn line(query: &[u8], reply: &[u8]) -> String {
        let mut exchange = Exchange::empty();
        exchange.fill(&mk_seen(query, reply));
        let mut room = Query::default();
        let Line { name, rtype, rcode, answers } = Line::of(&exchange, &mut room);
        let name = name.map(ToString::to_string).unwrap_or_default();
        let rtype = rtype.map(|code| TypeText(code).to_string()).unwrap_or_default();
        format!("{name} {rtype} {} {answers}", RcodeText(rcode))
    }

    #[test]
    fn a_line_of_a_question() {
        assert_eq!(
            line(QUESTION, b"\x12\x34\x85\x03\x00\x01\x00\x02\x00\x00\x00\x00"),
            "a.b\\010\\\\. AAAA NXDOMAIN 2"
        );
    }

    #[test]
    fn a_packet_without_a_question_has_no_name_of_the_one_before() {
        let mut exchange = Exchange::empty();
        let mut room = Query::default();
        exchange.fill(&mk_seen(QUESTION, b""));
        assert!(Line::of(&exchange, &mut room).name.is_some());
        // A NOTIFY: its opcode is all that is looked at.
        exchange.fill(&mk_seen(
            b"\0\0\x20\0\0\x01\0\0\0\0\0\0\x01z\0\0\x06\0\x01",
            b"\0\0\xa0\x04\0\0\0\0\0\0\0\0",
        ));
        let line = Line::of(&exchange, &mut room);
        assert_eq!((line.name.is_none(), line.rcode), (true, rcode::NOTIMP));
    }

    #[test]
    fn a_version_that_is_not_known_is_said_with_its_question() {
        let mut packet = QUESTION.to_vec();
        packet[11] = 1;
        packet.extend(b"\0\0\x29\x04\xd0\0\x01\0\0\0\0");
        assert_eq!(
            line(&packet, b"\x12\x34\x80\x00\x00\x01\x00\x00\x00\x00\x00\x01"),
            "a.b\\010\\\\. AAAA BADVERS 0"
        );
    }
}
