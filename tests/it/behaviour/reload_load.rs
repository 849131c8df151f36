//! Reloads under load: no answer is lost, none is wrong.

use std::sync::Arc;

use super::manifests::{NGINX, nginx, replace, text};
use super::process::Process;
use super::steady::{Steady, Target};
use crate::support::reply::Reply;

const RELOADS: u32 = 50;

/// Either configuration's answer, and nothing else.
fn judge(reply: &Reply) -> Result<(), String> {
    let wrong = || Err(format!("wrong: {:?}", reply.lines()));
    let ttls = |negative: u32| [11 + negative, 22 + negative].map(|ttl| format!(" {ttl} IN "));
    let (records, ttls) = match reply.status.as_str() {
        "NOERROR" if reply.sections[0].len() == 3 => (&reply.sections[0], ttls(0)),
        "NXDOMAIN" if reply.sections[1].len() == 1 => (&reply.sections[1], ttls(100)),
        _ => return wrong(),
    };
    // All of one configuration: a reply is made from one state.
    if ttls.iter().any(|ttl| records.iter().all(|record| record.contains(ttl))) { Ok(()) } else { wrong() }
}

#[test]
fn fifty_reloads_lose_no_question() {
    let folder = tempfile::tempdir().unwrap();
    let [config, manifests] = ["rollcall.toml", "web.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&manifests, nginx(3)).unwrap();
    // SIGHUP alone, so that each reload is waited for.
    let good = |ttl: u32, more: &str| {
        format!(
            "{more}\n[ttl]\npositive = {ttl}\nnegative = {}\n[reload]\nfollow = false\n[log]\nqueries = {}\n",
            ttl + 100,
            ttl / 22 * 1000
        )
    };
    std::fs::write(&config, good(11, "")).unwrap();
    let mut process = Process::serve(&["--config", text(&config), "--manifests", text(&manifests)]);
    let server = process.address();
    let target: Target = Arc::new(move || server);
    let lines =
        [format!("-t A {NGINX}"), "-t A missing.default.svc.cluster.local".into(), format!("-t A {NGINX}")];
    let lines = lines.each_ref().map(String::as_str);
    let steady = Steady::start(&target, &lines, judge, true);
    for round in 0..RELOADS {
        let (text, words) = match round % 4 {
            0 => (good(22, "order = 'ordinal'\nptr = 'governing'"), "is taken over"),
            1 => (good(33, "order = 'sideways'"), "is not taken over"),
            2 => (good(11, "endpoint_pod_names = true\nreverse = ['10.0.0.0/8']"), "is taken over"),
            _ => ("[ttl\n".to_owned(), "is not taken over"),
        };
        replace(&config, &text);
        process.signal("HUP");
        process.wait_for_words(&["the configuration", words]);
    }
    let tally = steady.end();
    assert!(tally.faults.is_empty(), "{} of {tally:?}", tally.faults.len());
    assert!(tally.udp > 100 && tally.tcp > 100, "{tally:?}");
    println!(
        "{RELOADS} reloads: {} answers over UDP, {} over TCP, none lost, none wrong",
        tally.udp, tally.tcp
    );
}
