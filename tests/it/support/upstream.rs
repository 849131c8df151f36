//! A resolver for the server to ask: it knows the records of a script's `upstream:` and nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::str::FromStr;
use std::thread;

use anyhow::{Context, Result, bail};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// Answers until the tests end; its thread has nothing to clean up.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
}

/// What it says about a name.
struct Known {
    name: Name,
    /// None is a name that is never answered, nor refused.
    record: Option<Record>,
}

impl Upstream {
    /// Starts one on a port of loopback. A line is `owner ttl class type data` or `owner no reply`.
    ///
    /// # Errors
    /// For a line that is neither.
    pub(crate) fn start(lines: &[String]) -> Result<Self> {
        let known =
            lines.iter().map(|line| parse(line).with_context(|| line.clone())).collect::<Result<Vec<_>>>()?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        thread::spawn(move || serve(&socket, &known));
        Ok(Self { address })
    }

    /// Where it listens, over UDP alone.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn parse(line: &str) -> Result<Known> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (owner, rest) = words.split_first().context("an empty line")?;
    let name = Name::from_ascii(owner)?;
    match rest {
        ["no", "reply"] => Ok(Known { name, record: None }),
        [ttl, "IN", rtype, data @ ..] => {
            let data = RData::try_from_str(RecordType::from_str(rtype)?, &data.join(" "))?;
            let record = Record::from_rdata(name.clone(), ttl.parse()?, data);
            Ok(Known { name, record: Some(record) })
        }
        _ => bail!("neither a record nor `owner no reply`"),
    }
}

fn serve(socket: &UdpSocket, known: &[Known]) {
    let mut buffer = [0; 4096];
    while let Ok((size, client)) = socket.recv_from(&mut buffer) {
        let Ok(query) = Message::from_vec(&buffer[..size]) else { continue };
        let Some(reply) = answer(query, known).and_then(|reply| reply.to_vec().ok()) else { continue };
        // A client that is gone by now does not mind.
        let _ = socket.send_to(&reply, client);
    }
}

fn answer(query: Message, known: &[Known]) -> Option<Message> {
    let question = query.queries.first()?.clone();
    let (mut reply, mut name) = (query.into_response(), question.name().clone());
    reply.metadata.recursion_available = true;
    loop {
        let here: Vec<&Known> = known.iter().filter(|known| known.name == name).collect();
        if here.iter().any(|known| known.record.is_none()) {
            return None;
        }
        let records = || here.iter().filter_map(|known| known.record.clone());
        if here.is_empty() {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        let wanted: Vec<Record> = records().filter(|r| r.record_type() == question.query_type()).collect();
        if !wanted.is_empty() {
            reply.add_answers(wanted);
            return Some(reply);
        }
        let alias = records().find_map(|r| {
            if let RData::CNAME(to) = &r.data { Some((r.clone(), to.0.clone())) } else { None }
        });
        let Some((alias, to)) = alias else {
            let apexes = known.iter().filter_map(|known| known.record.clone());
            reply.add_authorities(
                apexes.filter(|r| r.record_type() == RecordType::SOA && r.name.zone_of(&name)),
            );
            return Some(reply);
        };
        reply.add_answer(alias);
        name = to;
    }
}
