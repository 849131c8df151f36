//! A reply in a form that two servers' can be compared in: records without order or case, flags by name; and
//! back as dig would print it.

use std::fmt;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{RData, Record as ProtoRecord};

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Reply {
    pub(super) rcode: String,
    /// dig's names of the flags that are set, TC apart.
    pub(super) flags: Vec<&'static str>,
    pub(super) truncated: bool,
    /// The question, in the spelling of the reply.
    pub(super) question: String,
    /// Answer, authority, additional: each sorted.
    pub(super) sections: [Vec<Record>; 3],
    /// Extended DNS Errors; None without an OPT record.
    pub(super) errors: Option<Vec<u16>>,
    /// Octets on the wire.
    pub(super) size: usize,
}

/// One record. Names are in lower case: DNS compares them so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) owner: String,
    pub(super) rtype: String,
    pub(super) data: String,
    pub(super) ttl: u32,
}

const FLAGS: [(u16, &str); 6] =
    [(1 << 15, "qr"), (1 << 10, "aa"), (1 << 8, "rd"), (1 << 7, "ra"), (1 << 5, "ad"), (1 << 4, "cd")];
const TRUNCATED: u16 = 1 << 9;

impl Reply {
    /// Reads a message.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let message = Message::from_vec(bytes).map_err(|error| error.to_string())?;
        let bits = u16::from_be_bytes([bytes[2], bytes[3]]);
        let high = message.edns.as_ref().map_or(0, |edns| u16::from(edns.rcode_high()));
        let errors = message.edns.as_ref().map(|edns| {
            let all = edns.options().get_all(EdnsCode::Unknown(15));
            let code = |option: &&EdnsOption| match option {
                EdnsOption::Unknown(_, octets) => u16::from_be_bytes([octets[0], octets[1]]),
                _ => 0,
            };
            all.iter().map(code).collect()
        });
        let sections = [&message.answers, &message.authorities, &message.additionals];
        let question = message.queries.first().map(|q| format!("{} {}", q.name(), q.query_type()));
        Ok(Self {
            rcode: rcode(high << 4 | bits & 15),
            flags: FLAGS.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect(),
            truncated: bits & TRUNCATED != 0,
            question: question.unwrap_or_default(),
            sections: sections.map(|records| sorted(records.iter().map(Record::read).collect())),
            errors,
            size: bytes.len(),
        })
    }

    /// A reply in words, for tests: `NOERROR qr aa`, then a line a record behind the name of its section.
    pub(super) fn written(question: &str, header: &str, records: &[&str]) -> Self {
        let (rcode, flags) = header.split_once(' ').unwrap();
        let mut reply = Self { rcode: rcode.into(), question: question.into(), ..Self::default() };
        reply.flags =
            FLAGS.iter().map(|(_, name)| *name).filter(|name| flags.split(' ').any(|f| f == *name)).collect();
        reply.truncated = flags.split(' ').any(|flag| flag == "tc");
        for line in records {
            let (section, record) = line.split_once(": ").unwrap();
            let section = ["answer", "authority", "additional"].iter().position(|name| *name == section);
            reply.sections[section.unwrap()].push(Record::written(record));
        }
        reply.sections.iter_mut().for_each(|section| section.sort());
        reply
    }

    pub(super) fn answers(&self) -> &[Record] {
        &self.sections[0]
    }

    pub(super) fn authorities(&self) -> &[Record] {
        &self.sections[1]
    }

    pub(super) fn additionals(&self) -> &[Record] {
        &self.sections[2]
    }

    /// No such type at a name that exists.
    pub(super) fn is_nodata(&self) -> bool {
        self.rcode == "NOERROR" && self.answers().is_empty()
    }

    /// The records of this type in the answer.
    pub(super) fn of_type<'a>(&'a self, rtype: &'a str) -> impl Iterator<Item = &'a Record> {
        self.answers().iter().filter(move |record| record.rtype == rtype)
    }

    /// All records, without their TTLs.
    pub(super) fn bare(&self) -> [Vec<Record>; 3] {
        self.sections.clone().map(|records| bare(&records))
    }
}

/// Records without their TTLs.
pub(super) fn bare(records: &[Record]) -> Vec<Record> {
    sorted(records.iter().cloned().map(|record| Record { ttl: 0, ..record }).collect())
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort();
    records
}

impl Record {
    fn read(record: &ProtoRecord) -> Self {
        let rtype = record.record_type().to_string();
        let data = match &record.data {
            // Serial and MINIMUM move on their own: the one with time, the other with the TTL.
            RData::SOA(soa) => {
                format!("{} {} {} {} {}", soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire)
            }
            RData::TXT(text) => text.to_string(),
            data => data.to_string(),
        };
        let data = if rtype == "TXT" { data } else { data.to_ascii_lowercase() };
        Self { owner: record.name.to_string().to_ascii_lowercase(), rtype, data, ttl: record.ttl }
    }

    fn written(line: &str) -> Self {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap().to_string();
        let (owner, ttl, rtype, data) = (word(), word(), word(), word());
        Self { owner, rtype, data, ttl: ttl.parse().unwrap() }
    }

    /// Priority, weight, port and target of an SRV record.
    pub(super) fn srv(&self) -> Option<(&str, u32, &str, &str)> {
        let mut words = self.data.split(' ');
        let mut word = || words.next();
        let fields = (word()?, word()?.parse().ok()?, word()?, word()?);
        (self.rtype == "SRV").then_some(fields)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} IN {} {}", self.owner, self.ttl, self.rtype, self.data)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truncated = if self.truncated { " tc" } else { "" };
        writeln!(
            f,
            ";; status: {}, flags: {}{truncated}; {} octets",
            self.rcode,
            self.flags.join(" "),
            self.size
        )?;
        if let Some(errors) = &self.errors {
            writeln!(f, ";; OPT, EDE: {errors:?}")?;
        }
        for (title, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].iter().zip(&self.sections) {
            let most = 12;
            for record in records.iter().take(most) {
                writeln!(f, ";; {title}  {record}")?;
            }
            if records.len() > most {
                writeln!(f, ";; {title}  … {} records in all", records.len())?;
            }
        }
        Ok(())
    }
}

fn rcode(code: u16) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    names.get(usize::from(code)).map_or_else(|| format!("RCODE{code}"), |name| (*name).to_string())
}
