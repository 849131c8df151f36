//! What is asked: packets, encoded before the clock runs.

use anyhow::{Context as _, bail, ensure};
use rollcall::wire::{Name, rtype};
use rollcall_bench::Random;

/// What a packet has beside its question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// The size that the OPT record says; `None` is no OPT record.
    pub(crate) edns: Option<u16>,
    /// A client cookie in the OPT record (RFC 7873), another one for each question.
    pub(crate) cookie: bool,
    /// Letters in either case by chance, as resolvers ask that know forged replies by it (0x20).
    pub(crate) mixed_case: bool,
}

/// Packets, with 0 for the ID, one behind the other.
pub(crate) struct Questions {
    octets: Vec<u8>,
    /// Start, end of the question (name, type, class), end of the packet.
    places: Vec<[u32; 3]>,
}

impl Questions {
    /// `NAME TYPE` a line, as dnsperf has it.
    pub(crate) fn from_text(text: &str, form: Form) -> anyhow::Result<Self> {
        let mut questions = Self { octets: Vec::new(), places: Vec::new() };
        let mut random = Random::new(0x20, 0);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let Some((name, rtype)) = line.trim().split_once(' ') else { bail!("not `NAME TYPE`: {line}") };
            let rtype = type_number(rtype.trim()).with_context(|| format!("not a known type: {line}"))?;
            let name = Name::from_text(name).with_context(|| format!("not a name: {line}"))?;
            questions.push(name.as_wire(), rtype, form, &mut random)?;
        }
        ensure!(!questions.places.is_empty(), "there is no question");
        Ok(questions)
    }

    fn push(&mut self, name: &[u8], rtype: u16, form: Form, random: &mut Random) -> anyhow::Result<()> {
        let start = self.length()?;
        // RD=1, as a stub resolver and CoreDNS ask.
        self.octets.extend([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(form.edns.is_some())]);
        // A label's length is below any letter.
        let upper = |octet: &u8| {
            if form.mixed_case && random.below(2) > 0 { octet.to_ascii_uppercase() } else { *octet }
        };
        self.octets.extend(name.iter().map(upper));
        self.octets.extend(rtype.to_be_bytes());
        self.octets.extend([0, 1]);
        let question = self.length()?;
        if let Some(size) = form.edns {
            self.octets.extend([0, 0, 41]);
            self.octets.extend(size.to_be_bytes());
            self.octets.extend([0; 4]);
            if form.cookie {
                self.octets.extend([0, 12, 0, 10, 0, 8]);
                self.octets.extend(random.number().to_be_bytes());
            } else {
                self.octets.extend([0, 0]);
            }
        }
        self.places.push([start, question, self.length()?]);
        Ok(())
    }

    fn length(&self) -> anyhow::Result<u32> {
        u32::try_from(self.octets.len()).context("more than 4 GiB of questions")
    }

    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// A packet, and where its question ends.
    pub(crate) fn packet(&self, index: usize) -> (&[u8], usize) {
        let [start, question, end] = self.places[index].map(|place| place as usize);
        (&self.octets[start..end], question - start)
    }
}

fn type_number(text: &str) -> Option<u16> {
    Some(match text {
        "A" => rtype::A,
        "AAAA" => rtype::AAAA,
        "SRV" => rtype::SRV,
        "PTR" => rtype::PTR,
        "TXT" => rtype::TXT,
        "SOA" => rtype::SOA,
        "NS" => rtype::NS,
        "ANY" => rtype::ANY,
        _ => return None,
    })
}
