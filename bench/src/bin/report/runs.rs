//! The measured lines: `KIND round=1 mix=ordinals server=knot key=value…`.

use anyhow::Context as _;
use rollcall_bench::lines::Line;

/// The server that the others are beside.
pub(crate) const SUBJECT: &str = "rollcall";
/// The server that does nothing.
pub(crate) const FLOOR: &str = "echo";

/// What a server is called where people read it.
pub(crate) fn called(server: &str) -> &str {
    match server {
        FLOOR => "echo (floor)",
        "other" => "other build",
        "knot" => "Knot",
        "nsd" => "NSD",
        "hickory" => "hickory-server",
        "coredns" => "CoreDNS",
        other => other,
    }
}

/// What a mix asks.
pub(crate) fn described(mix: &str) -> &'static str {
    match mix {
        "ordinals" => "A of pods' names",
        "cluster" => {
            "50 % pods' names, 15 % services, 5 % SRV, 25 % search-path misses, 5 % AAAA without data"
        }
        "nxdomain" => "names that are not there",
        "resolver" => "as cluster, with cookies and mixed case",
        "large" => "pods' names of services of 1,000, 1 % the services",
        _ => "",
    }
}

/// One measured line.
pub(crate) struct Run<'t> {
    line: Line<'t>,
    round: u32,
    pub(crate) mix: &'t str,
    pub(crate) server: &'t str,
}

impl Run<'_> {
    /// A figure of it; 0 where it has none.
    pub(crate) fn number(&self, key: &str) -> f64 {
        self.line.number(key).unwrap_or(0.0)
    }
}

/// All of them.
pub(crate) struct Runs<'t>(Vec<Run<'t>>);

/// The middle of some rounds, the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(figures: Vec<f64>) -> Option<Self> {
        let (median, least, most) = rollcall_bench::median_and_range(figures)?;
        Some(Self { median, least, most })
    }
}

impl<'t> Runs<'t> {
    pub(crate) fn of(text: &'t str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(Line::new);
        let runs = lines.map(|line| {
            Ok(Run {
                line,
                round: line.number("round")?,
                mix: line.text("mix").context("a line without a mix")?,
                server: line.text("server").context("a line without a server")?,
            })
        });
        Ok(Self(runs.collect::<anyhow::Result<_>>()?))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Run<'t>> {
        self.0.iter()
    }

    pub(crate) fn of_kind(&self, kind: &str, mix: &str) -> impl Iterator<Item = &Run<'t>> {
        self.all().filter(move |run| run.line.kind() == kind && run.mix == mix)
    }

    fn of_server(&self, kind: &str, mix: &str, server: &str) -> impl Iterator<Item = &Run<'t>> {
        self.of_kind(kind, mix).filter(move |run| run.server == server)
    }

    /// The mixes that a kind was measured with, in the order of the lines.
    pub(crate) fn mixes(&self, kind: &str) -> Vec<&'t str> {
        once_each(self.all().filter(|run| run.line.kind() == kind).map(|run| run.mix))
    }

    /// The servers that were measured, in the order of the lines.
    pub(crate) fn servers(&self, kind: &str, mix: &str) -> Vec<&'t str> {
        once_each(self.of_kind(kind, mix).map(|run| run.server))
    }

    /// A figure over the rounds.
    pub(crate) fn spread(&self, kind: &str, mix: &str, server: &str, key: &str) -> Option<Spread> {
        Spread::of(self.of_server(kind, mix, server).map(|run| run.number(key)).collect())
    }

    /// A figure's sum over the rounds.
    pub(crate) fn sum(&self, kind: &str, mix: &str, server: &str, key: &str) -> f64 {
        self.of_server(kind, mix, server).map(|run| run.number(key)).sum()
    }

    /// One server's figure by another's, of the same rounds: the machine was as busy for both.
    pub(crate) fn ratio(&self, kind: &str, mix: &str, [of, to]: [&str; 2], key: &str) -> Option<Spread> {
        let ratios = self.of_server(kind, mix, of).filter_map(|run| {
            let other = self.of_server(kind, mix, to).find(|other| other.round == run.round)?;
            let ratio = run.number(key) / other.number(key);
            ratio.is_finite().then_some(ratio)
        });
        Spread::of(ratios.collect())
    }
}

fn once_each<'t>(names: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut seen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "udp round=1 mix=m server=rollcall qps=300\nudp round=1 mix=m server=knot qps=100\n\
                         udp round=2 mix=m server=rollcall qps=100\nudp round=2 mix=m server=knot qps=50\n\
                         udp round=3 mix=m server=rollcall qps=90\nudp round=3 mix=m server=knot qps=0\n";

    #[test]
    fn ratios_are_of_the_same_round() {
        let runs = Runs::of(LINES).unwrap();
        let ratio = runs.ratio("udp", "m", ["rollcall", "knot"], "qps");
        assert_eq!(ratio, Some(Spread { median: 2.0, least: 2.0, most: 3.0 }));
        assert_eq!(runs.spread("udp", "m", "rollcall", "qps").map(|spread| spread.median), Some(100.0));
        assert_eq!(runs.servers("udp", "m"), ["rollcall", "knot"]);
        assert!(runs.mixes("tcp").is_empty() && runs.spread("tcp", "m", "knot", "qps").is_none());
    }

    #[test]
    fn a_line_that_lacks_its_place_is_an_error() {
        assert!(Runs::of("udp mix=m server=knot").is_err() && Runs::of("udp round=1 mix=m").is_err());
    }
}
