//! From the state of a cluster to the sentence of an answer: a row, at least, for each reason that the code can give.

mod pod_rows;
mod rows;
mod state;

use std::collections::BTreeSet;
use std::path::Path;

use rollcall::reasons::{Answer, Line, Reason, Report};
use rollcall::run::Driver;
use rollcall::server::{Reply as Sent, Responder, Transport};
use rollcall::wire::Name;
use rollcall::{records, zone};

use self::pod_rows::POD_ROWS;
use self::rows::{ROWS, Row};
use crate::support::query::Query;
use crate::support::reply::Reply;

/// What of the settings a row may want otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Setting {
    #[default]
    None,
    Insecure,
    Verified,
    /// Verified, and no pod is listed yet.
    PodsUnknown,
    /// The namespace `default` alone.
    Filtered,
    NotSynchronised,
    TooOld,
    Stale,
    FromSnapshot,
}

fn mk_settings(setting: Setting, answers: zone::Answers) -> zone::Settings {
    let name = |text: &str| Name::from_text(text).unwrap();
    zone::Settings {
        zone: name("cluster.local"),
        ttl: zone::Ttl { positive: 5, negative: 5, expected: 0 },
        order: zone::Order::Ordinal,
        pods: match setting {
            Setting::Insecure => zone::PodNames::Insecure,
            Setting::Verified | Setting::PodsUnknown => zone::PodNames::Verified,
            _ => zone::PodNames::Disabled,
        },
        ptr: zone::PtrNames::All,
        reverse: vec!["10.0.0.0/8".parse().unwrap()],
        nameservers: vec![zone::Nameserver { name: name("ns.dns.cluster.local"), addresses: Vec::new() }],
        identity: None,
        namespaces: (setting == Setting::Filtered).then(|| vec!["default".into()]),
        upstream: false,
        explain: zone::Explain::new(answers, Vec::new()),
        discovery: None,
        holding: zone::Holding::default(),
    }
}

fn rows() -> impl Iterator<Item = &'static Row<'static>> {
    ROWS.iter().chain(POD_ROWS)
}

/// The reply to a line of dig in a state, and what explains it.
fn asked(row: &Row, answers: zone::Answers) -> (Reply, Explanation) {
    let setting = row.setting;
    let (publisher, reader) = zone::zone(mk_settings(setting, answers));
    let zone = Name::from_text("cluster.local").unwrap();
    let mut driver = Driver::new(publisher, records::Settings { zone, endpoint_pod_names: false });
    driver.set_explains(answers == zone::Answers::Full);
    state::objects(row.state).into_iter().for_each(|object| driver.apply(object));
    driver.index_mut().reset_pods(state::pods(row.state), 1 << 20);
    driver.publish();
    driver.set_pods_known(setting != Setting::PodsUnknown);
    if setting != Setting::NotSynchronised {
        driver.synchronised();
    }
    let since = "14:02 UTC";
    match setting {
        Setting::Stale => driver.set_stale_reason(Reason::Stale { since }),
        Setting::FromSnapshot => driver.set_stale_reason(Reason::StaleSnapshot { since }),
        _ => {}
    }
    match setting {
        Setting::Stale | Setting::FromSnapshot => {
            driver.set_freshness(zone::Freshness::Stale { ttl_cap: 30 });
        }
        Setting::TooOld => driver.set_freshness(zone::Freshness::Expired),
        _ => {}
    }
    let packet = Query::parse(&format!("dig {}", row.question)).unwrap().bytes;
    let mut query = rollcall::wire::Query::default();
    query.parse(&packet).unwrap();
    let explanation = zone::explain(&reader.view(), &query, |explained| Explanation {
        answer: explained.answer,
        report: explained.reason.map(|reason| reason.report(explained.answer)),
        stands: explained.reason.is_none_or(|reason| reason.stands_beside(explained.answer)),
        stale: explained.stale.map(ToOwned::to_owned),
    });
    let mut out = vec![0; 65535];
    let sent = Responder::new(reader).respond(&packet, Transport::Udp, &mut out);
    let Sent::Send(length) = sent else { panic!("{}: {sent:?}", row.question) };
    (Reply::read(&out[..length]).unwrap(), explanation)
}

struct Explanation {
    answer: Answer,
    report: Option<Report>,
    stands: bool,
    stale: Option<String>,
}

fn answer_of(reply: &Reply) -> Answer {
    match (reply.status.as_str(), reply.sections[0].is_empty()) {
        ("REFUSED", _) => Answer::Refused,
        ("SERVFAIL", _) => Answer::Failed,
        ("NXDOMAIN", _) => Answer::NoName,
        ("NOERROR", true) => Answer::NoData,
        ("NOERROR", false) => Answer::Records,
        other => panic!("{other:?}"),
    }
}

/// Every variant's name, as serde knows them: none can be forgotten.
fn all_ids() -> BTreeSet<String> {
    let error = serde_json::from_str::<Reason<'_>>("\"no variant\"").unwrap_err().to_string();
    error.split('`').skip(3).step_by(2).map(ToOwned::to_owned).collect()
}

fn docs() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reasons.md")).unwrap()
}

#[test]
fn every_row_is_said() {
    for row in rows() {
        let Row { id, code, sentence, question, .. } = row;
        let (reply, _) = asked(row, zone::Answers::Full);
        assert_eq!(reply.ede.last(), Some(&(*code, (*sentence).to_owned())), "{id}: {row:?}");
        assert!(sentence.is_ascii() && sentence.len() <= Line::MOST, "{sentence}");
        let ((bare, _), (codes, _)) = (asked(row, zone::Answers::Off), asked(row, zone::Answers::Codes));
        assert!(bare.ede.is_empty(), "{id}: {:?}", bare.ede);
        let wanted: &[_] = if *code == 0 { &[] } else { &[(*code, String::new())] };
        assert_eq!(codes.ede, wanted, "{id}");
        // Only what is said of it differs.
        for other in [&bare, &codes] {
            assert_eq!((&reply.status, &reply.flags), (&other.status, &other.flags), "{id}: {question}");
            assert_eq!(records(&reply), records(other), "{id}: {question}");
        }
    }
}

/// The records, but for the serial: another second, another number.
fn records(reply: &Reply) -> Vec<String> {
    let mut records = reply.sections.concat();
    for soa in records.iter_mut().filter(|record| record.contains(" SOA ")) {
        let words = soa.split(' ').enumerate().filter(|(at, _)| *at != 6).map(|(_, word)| word);
        *soa = words.collect::<Vec<_>>().join(" ");
    }
    records
}

#[test]
fn what_explains_an_answer_is_what_the_answer_says() {
    for row in rows() {
        let (reply, explanation) = asked(row, zone::Answers::Full);
        assert_eq!(explanation.answer, answer_of(&reply), "{}", row.id);
        assert!(explanation.stands, "{}: {:?} beside {:?}", row.id, explanation.report, explanation.answer);
        let said = explanation.report.iter().map(|report| (report.code, report.sentence.clone()));
        let stale = explanation.stale.into_iter().map(|text| (reply.ede[0].0, text));
        assert_eq!(stale.chain(said).collect::<Vec<_>>(), reply.ede, "{}", row.id);
        if !row.id.starts_with("stale") {
            assert_eq!(explanation.report.map(|report| report.id), Some(row.id));
        }
    }
}

#[test]
fn a_report_has_its_facts_by_name() {
    let row = rows().find(|row| row.id == "not-ready").unwrap();
    let report = asked(row, zone::Answers::Full).1.report.unwrap();
    let wanted = r#"{"id":"not-ready","code":0,"sentence":"web-1 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false","facts":{"address":"10.244.0.7","name":"web-1","slice":"nginx-x7"}}"#;
    assert_eq!(serde_json::to_string(&report).unwrap(), wanted);
    let row = rows().find(|row| row.id == "no-such-service").unwrap();
    assert!(asked(row, zone::Answers::Full).1.report.unwrap().facts.is_null());
}

#[test]
fn no_reason_is_without_a_row() {
    let rows: BTreeSet<String> = rows().map(|row| row.id.to_owned()).collect();
    // What needs an upstream has its row in tests/cases/upstream.case.
    let elsewhere = BTreeSet::from(["upstream-failed".to_owned()]);
    let all = all_ids();
    assert!(all.len() > 30, "{all:?}");
    assert_eq!(&rows | &elsewhere, all);
}

#[test]
fn the_page_of_reasons_has_each_with_its_code_and_a_sentence() {
    let page = docs();
    for id in all_ids() {
        let start = format!("| `{id}` | ");
        let row = page.lines().find_map(|line| line.strip_prefix(&start));
        let row = row.unwrap_or_else(|| panic!("docs/reasons.md has no row of {id}"));
        let mut cells = row.split(" | ");
        let code = cells.next().unwrap();
        for wanted in rows().filter(|row| row.id == id) {
            assert!(code.split(", ").any(|one| one == wanted.code.to_string()), "{id}: {code}");
        }
        let said = rows().any(|wanted| wanted.id == id && row.contains(wanted.sentence));
        assert!(said || id == "upstream-failed", "{id}: no sentence of its rows in {row}");
    }
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() > 2).count();
    assert_eq!(rows, all_ids().len(), "a row of a reason that nobody gives");
}

#[test]
fn an_answer_that_is_stale_and_empty_says_both() {
    let row = Row { setting: Setting::Stale, ..ROWS[0] };
    let stale = "as it was known at 14:02 UTC: the API server has not answered since".to_owned();
    let (reply, _) = asked(&row, zone::Answers::Full);
    assert_eq!(reply.ede, [(19, stale), (0, row.sentence.to_owned())]);
    let (reply, _) = asked(&row, zone::Answers::Codes);
    assert_eq!(reply.ede, [(19, String::new())]);
}

#[test]
fn without_edns_there_is_nowhere_to_say_it() {
    let row = Row { question: "+noedns -t A nginx.default.svc.cluster.local", ..ROWS[0] };
    let (reply, _) = asked(&row, zone::Answers::Full);
    assert_eq!((reply.opt, reply.ede), (None, Vec::new()));
}

#[test]
fn names_of_any_length_stay_within_a_line() {
    let long = "x".repeat(63);
    let state = format!("headless {long}\nslice {} of {long}: {long}=10.0.0.1!", "y".repeat(253));
    let question = format!("-t A {long}.{long}.default.svc.cluster.local");
    let row = Row { state: &state, question: &question, ..ROWS[0] };
    let (reply, _) = asked(&row, zone::Answers::Full);
    let [(0, sentence)] = &*reply.ede else { panic!("{:?}", reply.ede) };
    assert_eq!(sentence.len(), Line::MOST);
    assert!(sentence.starts_with(&format!("{long} is not ready: slice yyy")) && sentence.ends_with("..."));
}
