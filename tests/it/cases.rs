//! The question and answer cases of `tests/cases`, asked over UDP and TCP.
//!
//! `ROLLCALL_CASES_SERVER=127.0.0.1:53` asks another server that holds the same cluster; `ROLLCALL_CASES_ONLY=srv`
//! asks one script's cases.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::support::compare::{differences, order_differences};
use crate::support::exchange::Client;
use crate::support::query::Query;
use crate::support::reply::Reply;
use crate::support::script::{Exchange, Expected, Mode, Suite, expand};
use crate::support::server::Server;
use crate::support::upstream::Upstream;

/// How often a question is asked whose answer must be shuffled: that 5 records never change their order
/// beyond a rotation has a chance of 24 to the power of -31.
const SHUFFLES: usize = 32;

#[test]
fn every_case_is_answered_as_written() {
    let other = std::env::var("ROLLCALL_CASES_SERVER").ok();
    let other = other.map(|a| a.parse::<SocketAddr>().expect("ROLLCALL_CASES_SERVER is ip:port"));
    let only = std::env::var("ROLLCALL_CASES_ONLY").unwrap_or_default();
    let mut tally = Tally::default();
    let scripts = scripts().unwrap();
    assert!(!scripts.is_empty(), "no scripts");
    for path in scripts.iter().filter(|path| path.to_string_lossy().contains(&only)) {
        match Suite::read(path) {
            Ok(suite) => tally.run(&suite, other),
            Err(error) => tally.fail(&format!("{error:#}")),
        }
    }
    tally.say(&format!(
        "{} suites, {} cases, {} asks, {} skipped suites, {} failures",
        tally.suites,
        tally.cases,
        tally.asks,
        tally.skipped,
        tally.failures.len()
    ));
    assert!(tally.failures.is_empty(), "\n{}", tally.failures.join("\n\n"));
    assert!(tally.asks > 0, "nothing was asked");
}

/// The `.case` files, sorted; cargo runs tests in the package's folder.
fn scripts() -> Result<Vec<PathBuf>> {
    let folder = Path::new("tests/cases");
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    Ok(paths)
}

#[derive(Default)]
struct Tally {
    suites: usize,
    cases: usize,
    asks: usize,
    skipped: usize,
    failures: Vec<String>,
}

impl Tally {
    fn run(&mut self, suite: &Suite, other: Option<SocketAddr>) {
        let name = suite.path.display();
        if let (Some(_), Some(reason)) = (other, &suite.only_rollcall) {
            self.skipped += 1;
            self.say(&format!("skipped {name}: {reason}"));
            return;
        }
        self.suites += 1;
        let mut ours = None;
        let address = match other {
            Some(address) => address,
            None => match start(suite) {
                Ok((server, folder)) => {
                    let address = server.addresses()[0];
                    ours = Some((server, folder));
                    address
                }
                Err(error) => return self.fail(&format!("{name}: the server does not start: {error:#}")),
            },
        };
        for case in &suite.cases {
            self.cases += 1;
            for exchange in &case.exchanges {
                for (line, query) in &exchange.queries {
                    let wrong = self.ask(address, query, exchange);
                    if !wrong.is_empty() {
                        let mut text = format!("{name}:{line}: {}\n  source: {}\n", case.title, case.source);
                        let _ = write!(text, "  $ {}\n{}", query.text, wrong.join("\n"));
                        self.fail(&text);
                    }
                }
            }
        }
        if let Some((server, _folder)) = ours
            && std::env::var_os("ROLLCALL_CASES_LOG").is_some()
        {
            self.say(&server.printed().join("\n"));
        }
    }

    /// Asks over each transport; what is wrong, with the transport's name.
    fn ask(&mut self, server: SocketAddr, query: &Query, exchange: &Exchange) -> Vec<String> {
        let clients = [query.udp.then(|| Client::udp(server)), query.tcp.then(|| Client::tcp(server))];
        let mut found: Vec<(&str, Vec<String>)> = Vec::new();
        for client in clients.into_iter().flatten() {
            let asked = client.map(|mut client| {
                let wrong = self.ask_client(&mut client, query, &exchange.expected);
                (client.name(), wrong.unwrap_or_else(|error| vec![format!("{error:#}")]))
            });
            found.push(asked.unwrap_or_else(|error| ("no socket:", vec![format!("{error:#}")])));
        }
        // Said once where both transports have the same to say.
        if let [(_, udp), (_, tcp)] = &found[..]
            && udp == tcp
        {
            found.pop();
            found[0].0 = "UDP and TCP";
        }
        found.retain(|(_, wrong)| !wrong.is_empty());
        found.into_iter().map(|(name, wrong)| format!("  {name}\n    {}", wrong.join("\n    "))).collect()
    }

    fn ask_client(&mut self, client: &mut Client, query: &Query, expected: &Expected) -> Result<Vec<String>> {
        if expected.silence {
            self.asks += 1;
            let then = Query::parse("dig +noedns +qid=0xfefe -t SOA cluster.local")?;
            ensure!(query.bytes.get(..2) != then.bytes.get(..2), "the ID 0xfefe is taken");
            let reply = client.ask_for_silence(query, &then)?;
            return Ok(reply.map(|bytes| format!("+ a reply: {}", hex(&bytes))).into_iter().collect());
        }
        let modes = expected.sections.iter().map(|section| match section.mode {
            Mode::Rotating => section.records.len() + 1,
            Mode::Shuffled => SHUFFLES,
            _ => 1,
        });
        let mut answers: [Vec<Vec<String>>; 3] = Default::default();
        for _ in 0..modes.max().unwrap_or(1) {
            self.asks += 1;
            let bytes = client.ask(query)?;
            let reply = Reply::read(&bytes).with_context(|| hex(&bytes))?;
            let wrong = differences(query, matches!(client, Client::Udp(_)), expected, &reply);
            if !wrong.is_empty() {
                let whole = reply.lines().into_iter().map(|line| format!("  {line}"));
                return Ok(wrong.into_iter().chain(["the whole answer:".into()]).chain(whole).collect());
            }
            for (all, records) in answers.iter_mut().zip(reply.sections) {
                all.push(records);
            }
        }
        let sections = expected.sections.iter().zip(["ANSWER", "AUTHORITY", "ADDITIONAL"]).zip(&answers);
        Ok(sections.flat_map(|((s, title), all)| order_differences(title, s.mode, all)).collect())
    }

    fn fail(&mut self, text: &str) {
        self.failures.push(text.to_string());
    }

    /// Past the test harness, which would keep it to itself.
    fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "cases: {text}");
    }
}

/// Starts the server on a suite's cluster; the folder holds what it reads.
fn start(suite: &Suite) -> Result<(Server, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("rollcall.toml");
    let mut settings = suite.config.clone();
    if !suite.upstream.is_empty() {
        let upstream = Upstream::start(&suite.upstream)?;
        let _ = writeln!(settings, "[upstream]\nservers = [\"{}\"]", upstream.address());
    }
    if !settings.contains("[explain]") {
        // The codes alone, which scripts write down; tests/it/reasons has the sentences.
        settings.push_str("[explain]\nanswers = \"codes\"\nfull = []\n");
    }
    std::fs::write(&config, settings)?;
    let mut cluster = suite.cluster.clone();
    if cluster.extension().is_some_and(|extension| extension == "in") {
        let lines = std::fs::read_to_string(&cluster)?;
        let lines = lines.lines().map(expand).collect::<Result<Vec<_>>>()?.concat();
        cluster = folder.path().join("cluster.yaml");
        std::fs::write(&cluster, lines.join("\n"))?;
    }
    let mut args = vec!["serve".to_string(), "--config".into(), config.display().to_string()];
    args.extend(["--manifests".into(), cluster.display().to_string()]);
    let loopback = ["127.0.0.1:0".to_string()];
    let listen = if suite.listen.is_empty() { &loopback[..] } else { &suite.listen };
    args.extend(listen.iter().flat_map(|address| ["--listen".to_string(), address.clone()]));
    Ok((Server::start(&args)?, folder))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
