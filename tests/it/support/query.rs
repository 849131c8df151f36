//! Packets to ask with, from a line that reads like dig's command line.
//!
//! Written by hand, octet by octet, for most of what must be asked here is what a library refuses to write.

use std::net::IpAddr;

use anyhow::{Context, Result, bail};

/// The size that dig announces.
const DIG_BUFSIZE: u16 = 1232;

/// A packet to send, and what the reply must repeat of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    /// The line of the script.
    pub(crate) text: String,
    /// The message; the first two octets are the ID.
    pub(crate) bytes: Vec<u8>,
    /// The question as the reply must repeat it (`name. IN A`); None where the script has to say it.
    pub(crate) question: Option<String>,
    /// The size a UDP reply may have.
    pub(crate) limit: usize,
    /// Whether to ask over UDP.
    pub(crate) udp: bool,
    /// Whether to ask over TCP.
    pub(crate) tcp: bool,
}

impl Query {
    /// Reads what stands behind `$ `: a `dig` line or a `raw` line.
    ///
    /// # Errors
    /// For any word that is not known: a case must never ask something else than what it seems to.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        match words.next() {
            Some("dig") => Dig::parse(words)?.query(text),
            Some("raw") => raw(text, words),
            _ => bail!("`{text}` is neither a dig nor a raw line"),
        }
    }
}

/// The options of a dig line.
struct Dig {
    name: String,
    rtype: u16,
    rtype_text: String,
    class: u16,
    class_text: String,
    id: u16,
    opcode: u8,
    rd: bool,
    ad: bool,
    cd: bool,
    z: bool,
    header_only: bool,
    /// EDNS version, None without EDNS.
    edns: Option<u8>,
    edns_flags: u16,
    bufsize: u16,
    options: Vec<u8>,
    udp: bool,
    tcp: bool,
}

impl Dig {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut dig = Self {
            name: String::new(),
            rtype: 1,
            rtype_text: "A".into(),
            class: 1,
            class_text: "IN".into(),
            id: 0x1d1d,
            opcode: 0,
            rd: true,
            ad: false,
            cd: false,
            z: false,
            header_only: false,
            edns: Some(0),
            edns_flags: 0,
            bufsize: DIG_BUFSIZE,
            options: Vec::new(),
            udp: true,
            tcp: true,
        };
        while let Some(word) = words.next() {
            if let Some(option) = word.strip_prefix('+') {
                dig.option(option).with_context(|| format!("`{word}` is not an option that cases know"))?;
                continue;
            }
            let mut value = || words.next().with_context(|| format!("`{word}` wants a value"));
            match word {
                "-t" => {
                    dig.rtype_text = value()?.to_string();
                    dig.rtype = rtype(&dig.rtype_text)?;
                }
                "-c" => {
                    dig.class_text = value()?.to_string();
                    dig.class = class(&dig.class_text)?;
                }
                "-x" => {
                    let address: IpAddr = value()?.parse().context("-x wants an address")?;
                    dig.name = reverse(address);
                    (dig.rtype, dig.rtype_text) = (12, "PTR".into());
                }
                _ if word.starts_with(['-', '@']) => bail!("`{word}` is not an option that cases know"),
                _ if dig.name.is_empty() => dig.name = word.to_string(),
                _ => bail!("`{word}`: a second name"),
            }
        }
        if dig.name.is_empty() && !dig.header_only {
            bail!("a dig line without a name");
        }
        Ok(dig)
    }

    fn option(&mut self, option: &str) -> Result<()> {
        let (key, value) = option.split_once('=').map_or((option, None), |(k, v)| (k, Some(v)));
        match (key, value) {
            ("noedns", None) => self.edns = None,
            ("edns", Some(version)) => self.edns = Some(version.parse()?),
            ("ednsflags", Some(flags)) => self.edns_flags |= number(flags)?,
            ("ednsopt", Some(option)) => {
                let (code, data) = option.split_once(':').unwrap_or((option, ""));
                let data = hex(data)?;
                self.options.extend(code.parse::<u16>()?.to_be_bytes());
                self.options.extend(u16::try_from(data.len())?.to_be_bytes());
                self.options.extend(data);
            }
            ("bufsize", Some(size)) => self.bufsize = size.parse()?,
            ("dnssec" | "do", None) => self.edns_flags |= 0x8000,
            ("cd" | "cdflag", None) => self.cd = true,
            ("ad" | "adflag", None) => self.ad = true,
            ("zflag", None) => self.z = true,
            ("norec" | "norecurse", None) => self.rd = false,
            ("opcode", Some(code)) => self.opcode = opcode(code)?,
            ("qid", Some(id)) => self.id = number(id)?,
            ("header-only", None) => self.header_only = true,
            ("tcp", None) => self.udp = false,
            ("notcp", None) => self.tcp = false,
            _ => bail!("unknown option"),
        }
        Ok(())
    }

    fn query(self, text: &str) -> Result<Query> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.push(self.opcode << 3 | u8::from(self.rd));
        bytes.push(u8::from(self.z) << 6 | u8::from(self.ad) << 5 | u8::from(self.cd) << 4);
        bytes.extend([0, u8::from(!self.header_only), 0, 0, 0, 0, 0, u8::from(self.edns.is_some())]);
        let mut question = None;
        if !self.header_only {
            bytes.extend(wire_name(&self.name)?);
            bytes.extend(self.rtype.to_be_bytes());
            bytes.extend(self.class.to_be_bytes());
            let dot = if self.name.ends_with('.') { "" } else { "." };
            let (class, rtype) = (self.class_text.to_uppercase(), self.rtype_text.to_uppercase());
            question = Some(format!("{}{dot} {class} {rtype}", self.name));
        }
        if let Some(version) = self.edns {
            bytes.extend([0, 0, 41]);
            bytes.extend(self.bufsize.to_be_bytes());
            bytes.extend([0, version]);
            bytes.extend(self.edns_flags.to_be_bytes());
            bytes.extend(u16::try_from(self.options.len())?.to_be_bytes());
            bytes.extend(self.options);
        }
        let size = if self.edns.is_some() { self.bufsize } else { 512 };
        let limit = usize::from(size.clamp(512, DIG_BUFSIZE));
        Ok(Query { text: text.into(), bytes, question, limit, udp: self.udp, tcp: self.tcp })
    }
}

fn raw<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Result<Query> {
    let (mut udp, mut tcp, mut digits) = (true, true, String::new());
    for word in words {
        match word {
            "+tcp" => udp = false,
            "+notcp" => tcp = false,
            _ => digits.push_str(word),
        }
    }
    Ok(Query { text: text.into(), bytes: hex(&digits)?, question: None, limit: DIG_BUFSIZE.into(), udp, tcp })
}

/// The `in-addr.arpa` or 32-nibble `ip6.arpa` name of an address (RFC 1035, section 3.5; RFC 3596, section 2.5).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().map(|o| format!("{:x}.{:x}.", o & 15, o >> 4));
            nibbles.collect::<String>() + "ip6.arpa."
        }
    }
}

/// A name in wire form, uncompressed; `\.` and `\DDD` as in master files (RFC 1035, section 5.1).
fn wire_name(text: &str) -> Result<Vec<u8>> {
    let mut wire = Vec::new();
    let mut label = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => end_label(&mut wire, &mut label)?,
            b'\\' => {
                let next = bytes.next().context("a backslash at the end")?;
                if next.is_ascii_digit() {
                    let rest = [next, bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
                    label.push(std::str::from_utf8(&rest)?.parse().context("\\DDD wants three digits")?);
                } else {
                    label.push(next);
                }
            }
            _ => label.push(byte),
        }
    }
    if !label.is_empty() {
        end_label(&mut wire, &mut label)?;
    }
    wire.push(0);
    Ok(wire)
}

fn end_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<()> {
    if label.is_empty() {
        // The root is written as a lone dot.
        return if wire.is_empty() { Ok(()) } else { bail!("an empty label") };
    }
    wire.push(u8::try_from(label.len()).ok().filter(|l| *l < 64).context("a label over 63 octets")?);
    wire.append(label);
    Ok(())
}

fn rtype(text: &str) -> Result<u16> {
    Ok(match text.to_uppercase().as_str() {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "HINFO" => 13,
        "MX" => 15,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "DS" => 43,
        "RRSIG" => 46,
        "NSEC" => 47,
        "DNSKEY" => 48,
        "SVCB" => 64,
        "HTTPS" => 65,
        "IXFR" => 251,
        "AXFR" => 252,
        "ANY" => 255,
        other => other.strip_prefix("TYPE").context("unknown type")?.parse()?,
    })
}

fn class(text: &str) -> Result<u16> {
    Ok(match text.to_uppercase().as_str() {
        "IN" => 1,
        "CH" => 3,
        "HS" => 4,
        "NONE" => 254,
        "ANY" => 255,
        other => other.strip_prefix("CLASS").context("unknown class")?.parse()?,
    })
}

fn opcode(text: &str) -> Result<u8> {
    Ok(match text.to_uppercase().as_str() {
        "QUERY" => 0,
        "IQUERY" => 1,
        "STATUS" => 2,
        "NOTIFY" => 4,
        "UPDATE" => 5,
        other => other.parse().ok().filter(|c| *c < 16).context("unknown opcode")?,
    })
}

fn number(text: &str) -> Result<u16> {
    Ok(match text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16)?,
        None => text.parse()?,
    })
}

fn hex(text: &str) -> Result<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        bail!("not pairs of hex digits");
    }
    (0..text.len()).step_by(2).map(|i| Ok(u8::from_str_radix(&text[i..i + 2], 16)?)).collect()
}
