//! What CoreDNS in front is told to remember: the seconds for which a replica that was asked for too early stays missing.

mod parse;

pub use parse::CorefileError;

use super::finding::Findings;
use super::input::Cluster;
use super::{Lint, lint};
use parse::Line;

pub(super) const DENIAL: Lint = lint!(
    "corefile-denial-cached",
    Warning,
    "the cache in front remembers that a replica is missing when it is there already",
    &[],
    denial
);
pub(super) const TTL: Lint = lint!(
    "corefile-kubernetes-ttl",
    Warning,
    "CoreDNS lets others remember a missing replica for longer than its default",
    &[],
    ttl
);
pub(super) const SERVE_STALE: Lint = lint!(
    "corefile-serve-stale",
    Warning,
    "the cache in front serves answers that have expired, denials among them",
    &[],
    serve_stale
);
pub(super) const SERVFAIL: Lint = lint!(
    "corefile-servfail-cached",
    Note,
    "the cache in front remembers that rollcall was not ready",
    &[],
    servfail
);

/// What CoreDNS takes where nothing is said: seconds.
const DEFAULT_MIN: u64 = 5;
const DEFAULT_DENIAL: u64 = 1800;
const DEFAULT_KUBERNETES: u64 = 5;

/// The Corefile of the CoreDNS in front.
#[derive(Debug, Clone)]
pub struct Corefile {
    file: String,
    servers: Vec<Line>,
}

impl Corefile {
    /// Reads one.
    ///
    /// # Errors
    /// When its braces do not match.
    pub fn parse(file: impl Into<String>, text: &str) -> Result<Self, CorefileError> {
        Ok(Self { file: file.into(), servers: parse::parse(text)? })
    }
}

/// The answers of the cluster zone in one server block.
struct Answers<'c> {
    file: &'c str,
    zone: &'c str,
    cache: Option<&'c Line>,
    /// None where they are forwarded.
    kubernetes: Option<&'c Line>,
}

/// `cluster.local` of `dns://Cluster.Local.:53`.
fn zone_of(key: &str) -> String {
    let key = key.trim_end_matches(',');
    let key = key.split_once("://").map_or(key, |(_, key)| key);
    let zone = key.rsplit_once(':').map_or(key, |(zone, _)| zone);
    zone.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether a zone is this one or below it; the root, an empty text, has all below it.
fn is_within(zone: &str, parent: &str) -> bool {
    parent.is_empty() || zone.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn answers(cluster: &Cluster) -> impl Iterator<Item = Answers<'_>> {
    let servers = cluster
        .corefile
        .iter()
        .flat_map(|corefile| corefile.servers.iter().map(|server| (corefile.file.as_str(), server)));
    servers.filter_map(|(file, server)| of_server(file, server, &cluster.zone))
}

/// None for a block that has nothing to do with the cluster's names.
fn of_server<'c>(file: &'c str, server: &'c Line, zone: &'c str) -> Option<Answers<'c>> {
    let plugin = |name: &str| server.body.iter().find(|line| line.name() == name);
    let keys: Vec<String> = server.words.iter().map(|key| zone_of(key)).collect();
    let kubernetes = plugin("kubernetes").filter(|line| {
        let zones: Vec<String> = line.arguments().iter().map(|zone| zone_of(zone)).collect();
        let zones = if zones.is_empty() { &keys } else { &zones };
        zones.iter().any(|named| is_within(zone, named))
    });
    // A block of the root that only forwards is for external names.
    let is_its_own = keys.iter().any(|key| !key.is_empty() && (is_within(zone, key) || is_within(key, zone)));
    let forwards = is_its_own && plugin("forward").is_some();
    let cache = server.body.iter().find(|line| line.name() == "cache" && covers(line, 1, zone));
    (kubernetes.is_some() || forwards).then_some(Answers { file, zone, cache, kubernetes })
}

/// Whether the zones behind the first words of a line, where there are any, hold this one.
fn covers(line: &Line, first: usize, zone: &str) -> bool {
    let words = line.words.get(first..).unwrap_or_default();
    let mut zones = words.iter().filter(|word| word.parse::<u64>().is_err()).peekable();
    zones.peek().is_none() || zones.any(|named| is_within(zone, &zone_of(named)))
}

/// Seconds as CoreDNS writes them: a number, or a duration of Go.
fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let unit = [("ms", 0), ("s", 1), ("m", 60), ("h", 3600)];
    let (number, unit) = unit.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    number.parse::<u64>().ok().map(|number| number * unit)
}

impl Answers<'_> {
    /// The line that decides how long a "no" is kept, and the seconds: None where it is not kept at all.
    fn denial(&self) -> Option<(&Line, u64)> {
        let cache = self.cache?;
        let disables = cache.body.iter().any(|line| {
            line.name() == "disable"
                && line.arguments().first().is_some_and(|kind| kind == "denial")
                && covers(line, 2, self.zone)
        });
        if disables {
            return None;
        }
        let option = cache.option("denial");
        let number = |index: usize| option?.arguments().get(index).and_then(|text| seconds(text));
        let of_cache = cache.arguments().first().and_then(|text| seconds(text));
        let most = number(1).or(of_cache).unwrap_or(DEFAULT_DENIAL);
        let least = number(2).unwrap_or(DEFAULT_MIN);
        let given = self.kubernetes.map_or(0, kubernetes_ttl);
        let kept = least.max(given.min(most));
        (kept > 0).then_some((option.unwrap_or(cache), kept))
    }
}

fn kubernetes_ttl(kubernetes: &Line) -> u64 {
    let ttl = kubernetes.option("ttl").and_then(|line| line.arguments().first());
    ttl.and_then(|text| seconds(text)).unwrap_or(DEFAULT_KUBERNETES)
}

fn denial(cluster: &Cluster, found: &mut Findings<'_>) {
    for answers in answers(cluster) {
        let Some((line, kept)) = answers.denial() else { continue };
        let (message, fix) = if answers.kubernetes.is_some() {
            (
                format!(
                    "a name of {} that is missing is remembered for {kept} s: a replica asked for too early stays \
                     missing for that long. The plugin kubernetes answers from memory and needs no cache",
                    answers.zone
                ),
                format!("cache 30 {{\n    disable success {0}\n    disable denial {0}\n}}", answers.zone),
            )
        } else {
            (
                format!(
                    "a name of {} that is missing is remembered for at least {kept} s, where rollcall says 0 for a \
                     replica that is about to be",
                    answers.zone
                ),
                "cache 30 {\n    success 9984 30 0\n    denial 9984 30 0\n}".to_owned(),
            )
        };
        found.push_line(answers.file, line.number, message, fix);
    }
}

fn ttl(cluster: &Cluster, found: &mut Findings<'_>) {
    for answers in answers(cluster) {
        let line = answers.kubernetes.and_then(|kubernetes| kubernetes.option("ttl"));
        let Some(line) = line else { continue };
        let seconds = answers.kubernetes.map_or(0, kubernetes_ttl);
        if seconds > DEFAULT_KUBERNETES {
            let message = format!(
                "every answer may be remembered for {seconds} s, a \"no\" as well: by NodeLocal DNSCache, by \
                 systemd-resolved, by this cache"
            );
            found.push_line(answers.file, line.number, message, format!("ttl {DEFAULT_KUBERNETES}"));
        }
    }
}

fn serve_stale(cluster: &Cluster, found: &mut Findings<'_>) {
    for answers in answers(cluster) {
        let stale = answers.cache.and_then(|cache| cache.option("serve_stale"));
        if let Some(line) = stale {
            let message = format!(
                "serve_stale gives expired answers of {}: a replica that has come to be stays missing, one that moved \
                 keeps its old address",
                answers.zone
            );
            found.push_line(answers.file, line.number, message, "- serve_stale");
        }
    }
}

fn servfail(cluster: &Cluster, found: &mut Findings<'_>) {
    for answers in answers(cluster).filter(|answers| answers.kubernetes.is_none()) {
        let Some(cache) = answers.cache else { continue };
        let option = cache.option("servfail");
        let told = option.and_then(|line| line.arguments().first()).and_then(|text| seconds(text));
        let kept = told.unwrap_or(DEFAULT_MIN);
        if kept > 0 {
            let message = format!(
                "SERVFAIL is remembered for {kept} s: so long after rollcall has read the cluster, its names still fail"
            );
            found.push_line(answers.file, option.unwrap_or(cache).number, message, "servfail 0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lints::run;

    /// Which lints find something, and in which line.
    fn found(corefile: &str) -> Vec<(&'static str, u64)> {
        let mut cluster = Cluster::new("cluster.local", None);
        cluster.set_corefile(Corefile::parse("Corefile", corefile).unwrap());
        let found = run(&cluster, &[]).findings;
        found.iter().map(|finding| (finding.lint.id, finding.line.unwrap())).collect()
    }

    #[test]
    fn kubeadm_of_old_and_of_today() {
        let kubeadm = |cache: &str| {
            format!(
                ".:53 {{\n  errors\n  kubernetes cluster.local in-addr.arpa ip6.arpa {{\n    ttl 30\n  }}\n  forward . /etc/resolv.conf\n{cache}}}\n"
            )
        };
        assert_eq!(
            found(&kubeadm("  cache 30\n")),
            [("corefile-kubernetes-ttl", 4), ("corefile-denial-cached", 7)]
        );
        let disabled =
            "  cache 30 {\n    disable success cluster.local\n    disable denial cluster.local\n  }\n";
        assert_eq!(found(&kubeadm(disabled)), [("corefile-kubernetes-ttl", 4)]);
        assert_eq!(found(&kubeadm(disabled).replace("ttl 30", "ttl 5")), []);
        assert_eq!(found(&kubeadm("").replace("ttl 30", "ttl 0")), []);
    }

    #[test]
    fn a_cache_in_front_of_rollcall() {
        let stub =
            |cache: &str| format!("Cluster.Local.:53 {{\n  forward . 10.96.0.53\n  cache 30 {cache}\n}}\n");
        assert_eq!(found(&stub("")), [("corefile-denial-cached", 3), ("corefile-servfail-cached", 3)]);
        let good = "{\n    success 9984 30 0\n    denial 9984 30 0\n    servfail 0\n  }";
        assert_eq!(found(&stub(good)), []);
        assert_eq!(found(&stub(&good.replace("30 0\n    s", "30\n    s"))), [("corefile-denial-cached", 5)]);
        assert_eq!(
            found(&stub(&good.replace("servfail 0", "servfail 10s"))),
            [("corefile-servfail-cached", 6)]
        );
        let stale = good.replace("servfail 0", "servfail 0\n    serve_stale 1h");
        assert_eq!(found(&stub(&stale)), [("corefile-serve-stale", 7)]);
    }

    #[test]
    fn what_external_names_are_cached_for_is_no_matter() {
        let external = ".:53 {\n  forward . /etc/resolv.conf\n  cache 300 {\n    serve_stale\n  }\n}\n";
        assert_eq!(found(external), []);
        assert_eq!(found(&external.replace(".:53", "example.org:53")), []);
        // A cache for other zones only.
        assert_eq!(found("cluster.local {\n  forward . 10.96.0.53\n  cache 30 example.org\n}\n"), []);
    }

    #[test]
    fn zones_are_compared_by_labels() {
        assert!(is_within("cluster.local", "") && is_within("cluster.local", "local"));
        assert!(
            is_within("a.cluster.local", "cluster.local") && !is_within("xcluster.local", "cluster.local")
        );
        assert_eq!(
            ["dns://Cluster.Local.:1053", ".:53", "a.org,"].map(zone_of),
            ["cluster.local", "", "a.org"]
        );
        assert_eq!(
            ["30", "10s", "5m", "1h", "100ms", "x"].map(seconds),
            [Some(30), Some(10), Some(300), Some(3600), Some(0), None]
        );
    }
}
