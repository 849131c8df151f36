//! Which questions are made from a zone's records, and how often each kind.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use rollcall_bench::Random;

/// What else a program asks for that has the cluster's search path: each is sought below the cluster first.
const EXTERNAL: [&str; 8] = [
    "api.example.org",
    "www.example.com",
    "registry.example.org",
    "metrics.eu-west.example.net",
    "objects.eu-1.storage.example.net",
    "smtp.example.com",
    "auth.example.org",
    "time.example.net",
];

/// How often each kind is asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mix {
    /// A of a pod's name.
    host: usize,
    /// A of a service.
    service: usize,
    /// SRV of a service's port.
    srv: usize,
    /// AAAA of a pod's name, which has none.
    aaaa: usize,
    /// A of a pod that is not there, below a service that is.
    missing: usize,
    /// A of what a resolver with a search path and `ndots:5` tries before the name that is meant.
    search: usize,
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
                "search" => &mut mix.search,
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
        self.host + self.service + self.srv + self.aaaa + self.missing + self.search
    }
}

/// Makes `NAME TYPE` lines from a master file of `rollcall records`: names by chance, kinds by the mix.
pub(crate) fn from_records(file: &Path, mix: &Mix, count: usize, seed: u64) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let names = Names::of(&text);
    ensure!(mix.service + mix.srv == mix.total() || !names.hosts.is_empty(), "no host has an A record");
    ensure!(mix.service + mix.search == 0 || !names.services.is_empty(), "no service has an A record");
    ensure!(mix.srv == 0 || !names.ports.is_empty(), "no port has an SRV record");
    let mut random = Random::new(seed, 0);
    let mut questions = String::with_capacity(count * 60);
    for _ in 0..count {
        let (name, rtype) = names.question(mix, &mut random);
        writeln!(questions, "{name} {rtype}")?;
    }
    Ok(questions)
}

/// The names of a zone, each once, in order.
struct Names<'t> {
    hosts: Vec<&'t str>,
    services: Vec<&'t str>,
    ports: Vec<&'t str>,
}

impl<'t> Names<'t> {
    fn of(text: &'t str) -> Self {
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
        let [hosts, services, ports] = [hosts, services, ports].map(|set| set.into_iter().collect());
        Self { hosts, services, ports }
    }

    fn question(&self, mix: &Mix, random: &mut Random) -> (String, &'static str) {
        let mut kind = random.below(mix.total());
        let mut is = |share: usize| {
            let hit = kind < share;
            kind = kind.saturating_sub(share);
            hit
        };
        if is(mix.host) {
            (pick(&self.hosts, random).to_owned(), "A")
        } else if is(mix.service) {
            (pick(&self.services, random).to_owned(), "A")
        } else if is(mix.srv) {
            (pick(&self.ports, random).to_owned(), "SRV")
        } else if is(mix.aaaa) {
            (pick(&self.hosts, random).to_owned(), "AAAA")
        } else if is(mix.missing) {
            (format!("gone-{}", pick(&self.hosts, random)), "A")
        } else {
            (self.search_miss(random), "A")
        }
    }

    /// A pod of some namespace asks for a host, a service or a name outside, in equal parts, and its resolver puts
    /// one of the three domains of the search path behind it. The name itself is another question.
    fn search_miss(&self, random: &mut Random) -> String {
        let meant = match random.below(3) {
            0 => pick(&self.hosts, random),
            1 => pick(&self.services, random),
            _ => pick(&EXTERNAL, random),
        };
        // The asking pod's namespace is that of some host.
        let own = pick(&self.hosts, random).splitn(3, '.').nth(2).unwrap_or_default();
        let domain = match random.below(3) {
            0 => own,
            1 => after_label(own),
            _ => after_label(after_label(own)),
        };
        format!("{}.{domain}", meant.trim_end_matches('.'))
    }
}

fn pick<'t>(names: &[&'t str], random: &mut Random) -> &'t str {
    names[random.below(names.len())]
}

/// A name without its first label.
fn after_label(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = "web-0.nginx.default.svc.cluster.local.\t30\tIN\tA\t10.0.0.1\n\
                           nginx.default.svc.cluster.local.\t30\tIN\tA\t10.0.0.1\n\
                           _http._tcp.nginx.default.svc.cluster.local.\t30\tIN\tSRV\t0 100 80 web-0\n";

    fn asked(mix: &str) -> BTreeSet<(String, &'static str)> {
        let (names, mix) = (Names::of(RECORDS), mix.parse().unwrap());
        let mut random = Random::new(1, 0);
        (0..500).map(|_| names.question(&mix, &mut random)).collect()
    }

    #[test]
    fn each_kind_of_question() {
        let of = |name: &str, rtype| BTreeSet::from([(name.to_owned(), rtype)]);
        assert_eq!(asked("host=1"), of("web-0.nginx.default.svc.cluster.local.", "A"));
        assert_eq!(asked("service=1"), of("nginx.default.svc.cluster.local.", "A"));
        assert_eq!(asked("srv=1"), of("_http._tcp.nginx.default.svc.cluster.local.", "SRV"));
        assert_eq!(asked("aaaa=1"), of("web-0.nginx.default.svc.cluster.local.", "AAAA"));
        assert_eq!(asked("missing=1"), of("gone-web-0.nginx.default.svc.cluster.local.", "A"));
        assert_eq!(asked("host=2,srv=1").len(), 2);
    }

    #[test]
    fn search_paths_are_walked_as_resolvers_do() {
        let asked = asked("search=1");
        assert_eq!(asked.len(), (2 + EXTERNAL.len()) * 3);
        for name in [
            "web-0.nginx.default.svc.cluster.local.default.svc.cluster.local.",
            "nginx.default.svc.cluster.local.svc.cluster.local.",
            "api.example.org.cluster.local.",
        ] {
            assert!(asked.contains(&(name.to_owned(), "A")), "{name}");
        }
    }

    #[test]
    fn a_mix_that_says_nothing_is_refused() {
        for text in ["", "host", "host=0", "hosts=1", "host=x"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
