//! What came back, as text: the header from its raw bits, the records through hickory-proto.
//!
//! Two readers on purpose. hickory must be able to read the whole message, for it stands for the resolvers out
//! there; what it hides (reserved bits, compression, the extended RCODE, the options) is read here by hand.

use anyhow::{Context, Result, bail, ensure};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// A whole answer in the words of the scripts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reply {
    /// The message ID.
    pub(crate) id: u16,
    /// The opcode's number.
    pub(crate) opcode: u8,
    /// The RCODE of 12 bits, by name.
    pub(crate) status: String,
    /// dig's names of the bits that are set, in dig's order.
    pub(crate) flags: Vec<&'static str>,
    /// `name class type`.
    pub(crate) question: Vec<String>,
    /// Answer, authority and additional: `owner ttl class type data`.
    pub(crate) sections: [Vec<String>; 3],
    /// `version 0, flags do; udp 1232`.
    pub(crate) opt: Option<String>,
    /// Extended DNS Errors (RFC 8914): the code and its text.
    pub(crate) ede: Vec<(u16, String)>,
    /// Codes of the EDNS options that are not an Extended DNS Error.
    pub(crate) other_options: Vec<u16>,
    /// Octets on the wire.
    pub(crate) size: usize,
}

impl Reply {
    /// Reads a message that must be one, whole, with nothing behind it.
    ///
    /// # Errors
    /// When it is malformed for hickory-proto or for the reader here, or breaks what every reply must keep:
    /// no octet behind the last record, SRV targets uncompressed (RFC 2782), reserved OPT bits zero.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let mut decoder = BinDecoder::new(bytes);
        let message = Message::read(&mut decoder).context("hickory-proto cannot read the reply")?;
        ensure!(decoder.is_empty(), "{} octets behind the last record", decoder.len());
        let sections = [&message.answers, &message.authorities, &message.additionals];
        let mut reply = Self {
            sections: sections.map(|records| records.iter().map(record_text).collect()),
            size: bytes.len(),
            ..Self::default()
        };
        reply.read_raw(bytes)?;
        Ok(reply)
    }

    fn read_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Raw { bytes, at: 0 };
        self.id = reader.u16()?;
        let bits = reader.u16()?;
        self.opcode = u8::try_from(bits >> 11 & 15)?;
        let names = [
            (0x8000, "qr"),
            (0x0400, "aa"),
            (0x0200, "tc"),
            (0x0100, "rd"),
            (0x0080, "ra"),
            (0x0040, "z"),
            (0x0020, "ad"),
            (0x0010, "cd"),
        ];
        self.flags = names.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| name).collect();
        let [questions, answers, authorities, additionals] =
            [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        for _ in 0..questions {
            let name = reader.name(false)?;
            let (rtype, class) = (reader.u16()?, reader.u16()?);
            self.question.push(format!("{name} {} {}", class_text(class), type_text(rtype)));
        }
        let mut status = bits & 15;
        for _ in 0..u32::from(answers) + u32::from(authorities) + u32::from(additionals) {
            let owner = reader.name(true)?;
            let (rtype, class) = (reader.u16()?, reader.u16()?);
            let (ttl_high, ttl_low, length) = (reader.u16()?, reader.u16()?, reader.u16()?);
            let end = reader.at + usize::from(length);
            match rtype {
                41 => {
                    ensure!(owner == ".", "an OPT record of {owner} (RFC 6891, section 6.1.2)");
                    ensure!(ttl_low & 0x7fff == 0, "reserved OPT bits are set (RFC 6891, section 6.1.4)");
                    status |= ttl_high >> 8 << 4;
                    let flags = if ttl_low & 0x8000 == 0 { "" } else { ", flags do" };
                    self.opt = Some(format!("version {}{flags}; udp {class}", ttl_high & 255));
                    self.read_options(&mut reader, end)?;
                }
                33 => {
                    reader.at += 6;
                    reader.name(false).with_context(|| format!("the SRV target of {owner} (RFC 2782)"))?;
                }
                _ => reader.at = end,
            }
            ensure!(reader.at == end, "the RDATA of {owner} does not end where its length says");
        }
        self.status = status_text(status);
        Ok(())
    }

    fn read_options(&mut self, reader: &mut Raw<'_>, end: usize) -> Result<()> {
        while reader.at < end {
            let (code, length) = (reader.u16()?, usize::from(reader.u16()?));
            let data = reader.bytes.get(reader.at..reader.at + length).context("an option past the end")?;
            reader.at += length;
            if code == 15 {
                let (code, text) = data.split_at_checked(2).context("an EDE without a code")?;
                let text =
                    String::from_utf8(text.to_vec()).context("EDE text is UTF-8 (RFC 8914, section 2)")?;
                self.ede.push((u16::from_be_bytes([code[0], code[1]]), text));
            } else {
                self.other_options.push(code);
            }
        }
        Ok(())
    }

    /// The answer as a script would say it, for the listing of a failure.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![format!(";; status: {}", self.status), format!(";; flags: {}", self.flags.join(" "))];
        lines.push(";; QUESTION".into());
        lines.extend(self.question.iter().cloned());
        for (title, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].into_iter().zip(&self.sections) {
            if !records.is_empty() {
                lines.push(format!(";; {title}"));
                lines.extend(records.iter().cloned());
            }
        }
        lines.extend(self.opt.iter().map(|opt| format!(";; OPT: {opt}")));
        lines.extend(self.ede.iter().map(|(code, text)| format!(";; EDE: {code} ({text})")));
        lines
    }
}

/// A cursor over the message.
struct Raw<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Raw<'_> {
    fn u16(&mut self) -> Result<u16> {
        let bytes = self.bytes.get(self.at..self.at + 2).context("the message ends early")?;
        self.at += 2;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name; the pointer of a compressed one may only look back.
    fn name(&mut self, may_compress: bool) -> Result<String> {
        let mut text = String::new();
        let (mut at, mut end) = (self.at, None);
        loop {
            let length = *self.bytes.get(at).context("a name past the end")?;
            match length {
                0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Ok(if text.is_empty() { ".".into() } else { text });
                }
                1..=63 => {
                    let from = at + 1;
                    at = from + usize::from(length);
                    let label = self.bytes.get(from..at).context("a label past the end")?;
                    push_label(&mut text, label);
                }
                0xc0.. => {
                    ensure!(may_compress, "is compressed");
                    let low = *self.bytes.get(at + 1).context("a pointer past the end")?;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    ensure!(target < at, "a pointer that does not look back");
                    end = end.or(Some(at + 2));
                    at = target;
                }
                _ => bail!("label type {length:#x}"),
            }
        }
    }
}

fn push_label(text: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
            0x21..=0x7e => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03}")),
        }
    }
    text.push('.');
}

/// hickory's own text of a name changes some characters; the scripts want the octets.
fn name_text(name: &Name) -> String {
    let mut text = String::new();
    name.iter().for_each(|label| push_label(&mut text, label));
    if text.is_empty() { ".".into() } else { text }
}

fn record_text(record: &Record) -> String {
    let data = match &record.data {
        RData::CNAME(name) => name_text(&name.0),
        RData::NS(name) => name_text(&name.0),
        RData::PTR(name) => name_text(&name.0),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, name_text(&srv.target))
        }
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            name_text(&soa.mname),
            name_text(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::TXT(txt) => {
            let quoted = txt.txt_data.iter().map(|part| format!("\"{}\"", part.escape_ascii()));
            quoted.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    let (class, rtype) = (class_text(record.dns_class.into()), type_text(record.record_type().into()));
    format!("{} {} {class} {rtype} {data}", name_text(&record.name), record.ttl)
}

fn status_text(code: u16) -> String {
    match code {
        0 => "NOERROR".into(),
        1 => "FORMERR".into(),
        2 => "SERVFAIL".into(),
        3 => "NXDOMAIN".into(),
        4 => "NOTIMP".into(),
        5 => "REFUSED".into(),
        9 => "NOTAUTH".into(),
        16 => "BADVERS".into(),
        23 => "BADCOOKIE".into(),
        _ => format!("RCODE{code}"),
    }
}

fn class_text(class: u16) -> String {
    match class {
        1 => "IN".into(),
        3 => "CH".into(),
        4 => "HS".into(),
        254 => "NONE".into(),
        255 => "ANY".into(),
        _ => format!("CLASS{class}"),
    }
}

fn type_text(rtype: u16) -> String {
    let name = match rtype {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        _ => return format!("TYPE{rtype}"),
    };
    name.into()
}
