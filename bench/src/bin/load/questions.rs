//! What is asked: packets, encoded before the clock runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use rollcall::wire::{Name, rtype};
use rollcall_bench::Random;

/// Packets, with 0 for the ID, one behind the other.
pub(crate) struct Questions {
    octets: Vec<u8>,
    /// Start, end of the question (name, type, class), end of the packet.
    places: Vec<[u32; 3]>,
}

impl Questions {
    pub(crate) fn from_file(file: &Path, edns: Option<u16>) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::from_text(&text, edns)
    }

    /// `NAME TYPE` a line, as dnsperf has it.
    pub(crate) fn from_text(text: &str, edns: Option<u16>) -> anyhow::Result<Self> {
        let mut questions = Self { octets: Vec::new(), places: Vec::new() };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let Some((name, rtype)) = line.trim().split_once(' ') else { bail!("not `NAME TYPE`: {line}") };
            let rtype = type_number(rtype.trim()).with_context(|| format!("not a known type: {line}"))?;
            let name = Name::from_text(name).with_context(|| format!("not a name: {line}"))?;
            let start = questions.length()?;
            // RD=1, as a stub resolver and CoreDNS ask.
            let additional = u8::from(edns.is_some());
            questions.octets.extend([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, additional]);
            questions.octets.extend(name.as_wire());
            questions.octets.extend(rtype.to_be_bytes());
            questions.octets.extend([0, 1]);
            let question = questions.length()?;
            if let Some(size) = edns {
                questions.octets.extend([0, 0, 41]);
                questions.octets.extend(size.to_be_bytes());
                questions.octets.extend([0; 6]);
            }
            questions.places.push([start, question, questions.length()?]);
        }
        ensure!(!questions.places.is_empty(), "there is no question");
        Ok(questions)
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

/// How often each kind is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mix {
    host: usize,
    service: usize,
    srv: usize,
    aaaa: usize,
    missing: usize,
}

impl FromStr for Mix {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut mix = Self::default();
        for part in text.split(',') {
            let (kind, share) = part.split_once('=').with_context(|| format!("not KIND=SHARE: {part}"))?;
            let place = match kind.trim() {
                "host" => &mut mix.host,
                "service" => &mut mix.service,
                "srv" => &mut mix.srv,
                "aaaa" => &mut mix.aaaa,
                "missing" => &mut mix.missing,
                other => bail!("no such kind of question: {other}"),
            };
            *place = share.trim().parse().with_context(|| format!("not a share: {part}"))?;
        }
        ensure!(mix.total() > 0, "the mix is empty");
        Ok(mix)
    }
}

impl Mix {
    fn total(self) -> usize {
        self.host + self.service + self.srv + self.aaaa + self.missing
    }
}

/// Makes `NAME TYPE` lines from a master file of `rollcall records`: names by chance, kinds by the mix.
pub(crate) fn from_records(file: &Path, mix: &Mix, count: usize, seed: u64) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (mut hosts, mut services, mut ports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (Some(owner), Some(rtype)) = (fields.next(), fields.nth(2)) else { continue };
        // `host.service.namespace.svc…` or `service.namespace.svc…`, whatever the zone is called.
        let Some(depth) = owner.split('.').position(|label| label == "svc") else { continue };
        match (rtype, depth) {
            ("A", 3) => hosts.insert(owner),
            ("A", 2) => services.insert(owner),
            ("SRV", 4) => ports.insert(owner),
            _ => false,
        };
    }
    let [hosts, services, ports] = [hosts, services, ports].map(|set| set.into_iter().collect::<Vec<_>>());
    ensure!(mix.host + mix.aaaa + mix.missing == 0 || !hosts.is_empty(), "no host has an A record");
    ensure!(mix.service == 0 || !services.is_empty(), "no service has an A record");
    ensure!(mix.srv == 0 || !ports.is_empty(), "no port has an SRV record");
    let mut random = Random::new(seed, 0);
    let mut questions = String::with_capacity(count * 60);
    for _ in 0..count {
        let pick = |random: &mut Random, names: &[&str]| names[random.below(names.len())].to_owned();
        let mut kind = random.below(mix.total());
        let mut is = |share: usize| {
            let hit = kind < share;
            kind = kind.saturating_sub(share);
            hit
        };
        let (name, rtype) = if is(mix.host) {
            (pick(&mut random, &hosts), "A")
        } else if is(mix.service) {
            (pick(&mut random, &services), "A")
        } else if is(mix.srv) {
            (pick(&mut random, &ports), "SRV")
        } else if is(mix.aaaa) {
            (pick(&mut random, &hosts), "AAAA")
        } else {
            // A replica that is not there, below a service that is.
            (format!("gone-{}", pick(&mut random, &hosts)), "A")
        };
        writeln!(questions, "{name} {rtype}")?;
    }
    Ok(questions)
}
