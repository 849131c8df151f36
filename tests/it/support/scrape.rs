//! Asks an admin address over HTTP, and reads what `/metrics` says sample by sample.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For an answer to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Asks with a method; `accept` is the Accept header, none where it is empty.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, accept: &str) -> Answer {
    let accept = if accept.is_empty() { String::new() } else { format!("accept: {accept}\r\n") };
    request_with(address, method, path, &format!("host: test\r\n{accept}"))
}

/// The page or the API, as somebody on this machine asks for it.
pub(crate) fn local(address: SocketAddr, path: &str) -> Answer {
    request_with(address, "GET", path, &format!("host: {address}\r\n"))
}

/// Asks with these header lines.
pub(crate) fn request_with(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let mut lines = head.lines();
    let code = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    Answer { code, headers, body: body.to_owned() }
}

/// All samples of a moment.
#[derive(Debug)]
pub(crate) struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Asks for Prometheus' text.
    pub(crate) fn of(address: SocketAddr) -> Self {
        let answer = request(address, "GET", "/metrics", "");
        assert_eq!(answer.code, 200, "{}", answer.body);
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        let count = answer.body.lines().filter(|line| !line.starts_with('#')).count();
        let samples: BTreeMap<String, f64> = samples.collect();
        assert_eq!(samples.len(), count, "a sample twice:\n{}", answer.body);
        Self { text: answer.body, samples }
    }

    /// All of it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A sample's value, which must be there.
    pub(crate) fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in\n{}", self.text))
    }

    /// The samples of a family by their labels, each less what it was before; only those that differ.
    pub(crate) fn since(&self, before: &Self, family: &str) -> BTreeMap<String, f64> {
        let of_family = self.samples.iter().filter_map(|(sample, value)| {
            let labels = sample.strip_prefix(family)?.strip_prefix('{')?.strip_suffix('}')?;
            let more = value - before.samples.get(sample).copied().unwrap_or(0.0);
            (more != 0.0).then(|| (labels.to_owned(), more))
        });
        of_family.collect()
    }

    /// The families that a HELP and a TYPE line speak of, with their types.
    pub(crate) fn families(&self) -> BTreeMap<String, String> {
        let of = |what: &str| -> Vec<(String, String)> {
            let lines = self.text.lines().filter_map(|line| line.strip_prefix(&format!("# {what} ")));
            let lines = lines.map(|line| line.split_once(' ').unwrap());
            lines.map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
        };
        let (help, types) = (of("HELP"), of("TYPE"));
        for (name, text) in &help {
            assert!(text.ends_with('.') && text.len() > 10, "{name}: {text}");
        }
        let names = |of: &[(String, String)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&help), names(&types), "HELP and TYPE stand together");
        let types: BTreeMap<String, String> = types.into_iter().collect();
        assert_eq!(types.len(), help.len(), "a family twice");
        types
    }

    /// The families that samples are of.
    pub(crate) fn sampled(&self) -> BTreeSet<String> {
        let families = self.families();
        let family = |sample: &String| {
            let name = sample.split('{').next().unwrap().to_owned();
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
            let histogram =
                histogram.filter(|name| families.get(*name).is_some_and(|kind| kind == "histogram"));
            histogram.map_or_else(|| name.clone(), ToOwned::to_owned)
        };
        self.samples.keys().map(family).collect()
    }
}

/// The families that docs/metrics.md names: each is a row of a table, its name in the first column.
pub(crate) fn documented_families() -> BTreeSet<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let named: Vec<String> = rows
        .map(|(name, _)| name.to_owned())
        .filter(|name| ["rollcall_", "process_"].iter().any(|p| name.starts_with(p)))
        .collect();
    let all: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(all.len(), named.len(), "a family has one row");
    all
}
