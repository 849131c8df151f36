//! Shows that the runner sees a wrong answer, and refuses a script that it does not understand.

use crate::support::compare::{differences, order_differences};
use crate::support::query::Query;
use crate::support::reply::Reply;
use crate::support::script::{Exchange, Mode, Suite, expand};

const SCRIPT: &str = "\
cluster: cluster

# Two addresses.
# source: RFC 1035, section 6.2
$ dig -t A Web.default.svc.cluster.local
;; status: NOERROR
;; flags: qr aa rd
;; ANSWER
Web.default.svc.cluster.local. 5 IN A 10.0.0.1
Web.default.svc.cluster.local. 5 IN A 10.0.0.2
;; AUTHORITY
cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. SERIAL 7200 1800 86400 5
;; OPT: version 0; udp 1232
";

fn mk_exchange(text: &str) -> Exchange {
    let mut suite = Suite::parse(text, "script").unwrap();
    suite.cases.remove(0).exchanges.remove(0)
}

/// The answer that SCRIPT is waiting for, record by record.
fn mk_reply() -> Vec<u8> {
    let length = |octets: &[u8]| u8::try_from(octets.len()).unwrap();
    let name = |text: &str| {
        let labels = text.split('.').flat_map(|l| [&[length(l.as_bytes())][..], l.as_bytes()].concat());
        labels.chain([0]).collect::<Vec<u8>>()
    };
    let record = |owner: &[u8], rtype: u8, data: &[u8]| {
        [owner, &[0, rtype, 0, 1, 0, 0, 0, 5, 0, length(data)], data].concat()
    };
    let numbers = [77_u32, 7200, 1800, 86400, 5].map(u32::to_be_bytes).concat();
    let soa = [name("ns.dns.cluster.local"), name("hostmaster.cluster.local"), numbers].concat();
    [
        &[0x1d, 0x1d, 0x85, 0x00, 0, 1, 0, 2, 0, 1, 0, 1],
        &name("Web.default.svc.cluster.local")[..],
        &[0, 1, 0, 1],
        &record(&[0xc0, 12], 1, &[10, 0, 0, 2]),
        &record(&[0xc0, 12], 1, &[10, 0, 0, 1]),
        &record(&name("cluster.local"), 6, &soa),
        &[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0],
    ]
    .concat()
}

/// What is found wrong with the good answer after a change.
fn wrong_after(change: impl FnOnce(&mut Reply)) -> Vec<String> {
    let exchange = mk_exchange(SCRIPT);
    let mut reply = Reply::read(&mk_reply()).unwrap();
    change(&mut reply);
    differences(&exchange.queries[0].1, true, &exchange.expected, &reply)
}

#[test]
fn the_right_answer_is_right_in_any_order_and_with_any_serial() {
    assert_eq!(wrong_after(|_| ()), Vec::<String>::new());
}

#[test]
fn every_part_of_a_wrong_answer_is_seen() {
    type Change = fn(&mut Reply);
    let changes: [(&str, Change); 16] = [
        ("status", |r| r.status = "NXDOMAIN".into()),
        ("a missing flag", |r| r.flags.retain(|f| *f != "aa")),
        ("an unexpected flag", |r| r.flags.push("ra")),
        ("the id", |r| r.id ^= 1),
        ("the opcode", |r| r.opcode = 4),
        ("the question's spelling", |r| r.question[0] = r.question[0].to_lowercase()),
        ("no question", |r| r.question.clear()),
        ("the owner's spelling", |r| r.sections[0][0] = r.sections[0][0].replace("Web", "web")),
        ("a TTL", |r| r.sections[0][0] = r.sections[0][0].replace(" 5 ", " 6 ")),
        ("a missing record", |r| drop(r.sections[0].pop())),
        ("a record twice", |r| r.sections[0][1] = r.sections[0][0].clone()),
        ("one record more", |r| r.sections[2].push("a. 5 IN A 10.0.0.3".into())),
        ("the SOA's minimum", |r| r.sections[1][0] = r.sections[1][0].replace("86400 5", "86400 0")),
        ("no OPT", |r| r.opt = None),
        ("an EDE", |r| r.ede.push((20, String::new()))),
        ("another option", |r| r.other_options.push(10)),
    ];
    for (what, change) in changes {
        assert!(!wrong_after(change).is_empty(), "not seen: {what}");
    }
    assert!(!wrong_after(|r| r.size = 1233).is_empty(), "not seen: a UDP reply that is too long");
}

#[test]
fn a_message_that_a_client_could_not_read_is_an_error() {
    let good = mk_reply();
    assert!(Reply::read(&good).is_ok());
    assert!(Reply::read(&[&good[..], &[0]].concat()).is_err(), "an octet behind the last record");
    assert!(Reply::read(&good[..good.len() - 1]).is_err(), "a record cut short");
    let mut reserved = good;
    let flags = reserved.len() - 3;
    reserved[flags] = 1;
    assert!(Reply::read(&reserved).is_err(), "a reserved bit of the OPT record");
    // `a SRV 0 0 80 a`, its target once plain and once a pointer to the owner (RFC 2782).
    let head = [0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 33, 0, 1, 0, 0, 0, 5, 0];
    let plain = [&head[..], &[9, 0, 0, 0, 0, 0, 80, 1, b'a', 0]].concat();
    let compressed = [&head[..], &[8, 0, 0, 0, 0, 0, 80, 0xc0, 12]].concat();
    assert_eq!(Reply::read(&plain).unwrap().sections[0], ["a. 5 IN SRV 0 0 80 a."]);
    assert!(Reply::read(&compressed).is_err(), "a compressed SRV target");
}

#[test]
fn a_section_is_compared_as_the_script_says() {
    let with = |how: &str| mk_exchange(&SCRIPT.replace(";; ANSWER", &format!(";; ANSWER ({how})")));
    let found = |how: &str, change: fn(&mut Reply)| {
        let exchange = with(how);
        let mut reply = Reply::read(&mk_reply()).unwrap();
        change(&mut reply);
        !differences(&exchange.queries[0].1, true, &exchange.expected, &reply).is_empty()
    };
    assert!(found("in order", |_| ()), "the reply has them the other way round");
    assert!(!found("in order", |r| r.sections[0].reverse()));
    assert!(found("1 of these", |_| ()));
    assert!(!found("1 of these", |r| drop(r.sections[0].pop())));
    assert!(found("1 of these", |r| drop(r.sections[0].splice(.., ["a. 5 IN A 10.0.0.3".into()]))));
    assert!(!found("at least 1 of these", |_| ()));
    assert!(found("at least 1 of these", |r| r.sections[0].clear()));
    assert!(found("rotating", |r| drop(r.sections[0].pop())));
}

#[test]
fn the_order_of_answers_is_judged() {
    let answers = |text: &str| -> Vec<Vec<String>> {
        text.split(' ').map(|answer| answer.chars().map(|c| c.to_string()).collect()).collect()
    };
    let wrong = |mode, text| !order_differences("ANSWER", mode, &answers(text)).is_empty();
    assert!(!wrong(Mode::Rotating, "abc bca cab abc"));
    assert!(wrong(Mode::Rotating, "abc abc abc"), "it stands still");
    assert!(wrong(Mode::Rotating, "abc cab bca"), "it goes backwards");
    assert!(!wrong(Mode::Shuffled, "abc bca acb"));
    assert!(wrong(Mode::Shuffled, "abc bca cab"), "it only rotates");
}

#[test]
fn a_script_that_is_not_understood_is_refused() {
    assert!(Suite::parse(SCRIPT, "script").is_ok());
    let without =
        |line: &str| SCRIPT.lines().filter(|l| *l != line).map(|l| format!("{l}\n")).collect::<String>();
    let with = |from: &str, to: &str| SCRIPT.replace(from, to);
    let bad = [
        ("no case", "cluster: cluster\n".to_string()),
        ("no cluster", without("cluster: cluster")),
        ("no source", without("# source: RFC 1035, section 6.2")),
        ("no title", without("# Two addresses.")),
        ("an empty source", with("RFC 1035, section 6.2", "")),
        ("no status", without(";; status: NOERROR")),
        ("no flags", without(";; flags: qr aa rd")),
        ("no answer", SCRIPT.split(";; status").next().unwrap_or_default().to_string()),
        ("an unknown header", with("cluster: cluster", "cluster: cluster\ncolour: red")),
        ("an unknown section", with(";; ANSWER", ";; ANSWERS")),
        ("an unknown order", with(";; ANSWER", ";; ANSWER (sorted)")),
        ("an unknown type", with("-t A ", "-t AAA ")),
        ("an unknown option", with("dig ", "dig +dnsec ")),
        ("an unknown program", with("$ dig ", "$ drill ")),
        ("a record without a class", with("5 IN A 10.0.0.1", "5 A 10.0.0.1")),
        ("a record without its dot", with("Web.default.svc.cluster.local. 5", "Web 5")),
        ("a line out of place", with(";; OPT", "10.0.0.1\n;; OPT")),
        ("raw without its question", with("dig -t A Web.default.svc.cluster.local", "raw 1234 0000")),
        ("raw with half an octet", with("dig -t A Web.default.svc.cluster.local", "raw 123")),
    ];
    for (what, text) in bad {
        assert!(Suite::parse(&text, "script").is_err(), "taken: {what}\n{text}");
    }
}

#[test]
fn a_dig_line_becomes_the_packet_it_reads_like() {
    let bytes = |text: &str| Query::parse(text).unwrap().bytes;
    assert_eq!(bytes("dig +noedns +qid=1 -t NS ."), [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
    assert_eq!(
        bytes("dig +noedns +qid=1 +norec +opcode=notify +header-only"),
        [0, 1, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let edns = bytes("dig +bufsize=4096 +dnssec +edns=1 +cd +ad +ednsopt=65001:beef -c CH -t TXT a\\.b");
    assert_eq!(edns[2..4], [1, 0x30]);
    assert_eq!(edns[12..21], [3, b'a', b'.', b'b', 0, 0, 16, 0, 3]);
    assert_eq!(edns[21..], [0, 0, 41, 16, 0, 0, 1, 0x80, 0, 0, 6, 0xfd, 0xe9, 0, 2, 0xbe, 0xef]);
    let question = |text: &str| Query::parse(text).unwrap().question.unwrap();
    assert_eq!(question("dig -x 10.0.0.1"), "1.0.0.10.in-addr.arpa. IN PTR");
    assert!(
        question("dig -x fd00::1").starts_with("1.0.0.0.")
            && question("dig -x fd00::1").ends_with("0.d.f.ip6.arpa. IN PTR")
    );
    assert_eq!(bytes("raw +tcp 12 34ff"), [0x12, 0x34, 0xff]);
}

#[test]
fn braces_step_together() {
    assert_eq!(expand("a-{9..10} {x} 10.0.0.{9..10}").unwrap(), ["a-9 {x} 10.0.0.9", "a-10 {x} 10.0.0.10"]);
    assert_eq!(expand("- {addresses: []}").unwrap(), ["- {addresses: []}"]);
    assert!(expand("{1..2} {1..3}").is_err() && expand("{2..1}").is_err());
}
