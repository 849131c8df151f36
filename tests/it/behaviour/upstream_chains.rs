//! Aliases of the upstream's own, and answers of its that are large.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::asking::data;
use super::resolver::Says;
use super::upstream::{Chasing, records};

const SUFFIX: &str = "default.svc.cluster.local";

/// Names of aliases: whole chains, halves of chains, and chains that end in nothing.
fn aliases(name: &str, rtype: RecordType) -> Says {
    const ADDRESS: &str = "end.example.org. 300 A 192.0.2.80";
    let says: &[&str] = match name {
        "whole.example.org" => &[
            "whole.example.org. 60 CNAME middle.example.org.",
            "middle.example.org. 50 CNAME end.example.org.",
            ADDRESS,
        ],
        "half.example.org" => &["half.example.org. 60 CNAME end.example.org."],
        "end.example.org" => &[ADDRESS],
        "gone.example.org" => {
            let alias = records(["gone.example.org. 60 CNAME missing.example.org."]);
            return Says::Nothing(ResponseCode::NXDomain, alias);
        }
        "nodata.example.org" => {
            let alias = records(["nodata.example.org. 60 CNAME end.example.org."]);
            return Says::Nothing(ResponseCode::NoError, alias);
        }
        "inward.example.org" => &["inward.example.org. 60 CNAME nginx.default.svc.cluster.local."],
        "loop.example.org" => &["loop.example.org. 60 CNAME pool.example.org."],
        "pool.example.org" => &["pool.example.org. 60 CNAME loop.example.org."],
        _ => return Says::Nothing(ResponseCode::NXDomain, Vec::new()),
    };
    if rtype == RecordType::A {
        Says::Records(says.iter().map(|line| (*line).to_owned()).collect())
    } else {
        Says::Nothing(
            ResponseCode::NoError,
            says.iter().filter(|line| line.contains("CNAME")).map(|line| (*line).to_owned()).collect(),
        )
    }
}

/// The records of an answer, each without its TTL, which counts down in a cache.
fn answer(chasing: &Chasing, options: &str, service: &str) -> (String, Vec<String>, usize) {
    let reply = chasing.ask(options, service);
    let without_ttl = |record: &String| {
        let mut fields: Vec<&str> = record.split(' ').collect();
        fields.remove(1);
        fields.join(" ")
    };
    (reply.status.clone(), reply.sections[0].iter().map(without_ttl).collect(), reply.sections[1].len())
}

fn alias(service: &str) -> String {
    format!("{service}.{SUFFIX}. IN CNAME {service}.example.org.")
}

#[test]
fn a_chain_is_given_whole_and_in_order() {
    let chasing = Chasing::new(&["whole.example.org", "half.example.org"], "", aliases);
    // Twice: asked, and from the cache.
    for _ in 0..2 {
        for transport in ["+notcp -t A", "+tcp -t A"] {
            let (status, found, authority) = answer(&chasing, transport, "whole");
            assert_eq!((status.as_str(), authority), ("NOERROR", 0));
            assert_eq!(
                found,
                [
                    alias("whole").as_str(),
                    "whole.example.org. IN CNAME middle.example.org.",
                    "middle.example.org. IN CNAME end.example.org.",
                    "end.example.org. IN A 192.0.2.80"
                ]
            );
            // An upstream that does not follow its own alias is taken at its word.
            let (_, found, _) = answer(&chasing, transport, "half");
            assert_eq!(found[..2], [alias("half").as_str(), "half.example.org. IN CNAME end.example.org."]);
        }
    }
}

#[test]
fn records_of_another_chain_are_not_in_the_answer() {
    let chasing = Chasing::new(&["half.example.org", "whole.example.org", "end.example.org"], "", aliases);
    for service in ["half", "whole", "half"] {
        answer(&chasing, "-t A", service);
    }
    for transport in ["+notcp -t A", "+tcp -t A"] {
        let (_, found, _) = answer(&chasing, transport, "end");
        assert_eq!(found, [alias("end").as_str(), "end.example.org. IN A 192.0.2.80"]);
    }
}

#[test]
fn a_chain_that_ends_in_nothing_is_given_with_its_aliases() {
    // The code and the SOA are about the last name (RFC 6604, section 3; RFC 2308, section 2.1): without the alias
    // before it they would deny the first.
    let chasing = Chasing::new(&["gone.example.org", "nodata.example.org"], "", aliases);
    for transport in ["+notcp -t A", "+tcp -t A"] {
        for (service, status, to) in [("gone", "NXDOMAIN", "missing"), ("nodata", "NOERROR", "end")] {
            let (found_status, found, authority) = answer(&chasing, transport, service);
            assert_eq!((found_status.as_str(), authority), (status, 1), "{service}");
            let second = format!("{service}.example.org. IN CNAME {to}.example.org.");
            assert_eq!(found, [alias(service), second], "{service}");
        }
    }
}

#[test]
fn a_chain_that_leads_back_into_the_zone_is_not_asked_further() {
    let chasing = Chasing::new(&["inward.example.org"], "", aliases);
    for transport in ["+notcp -t A", "+tcp -t A"] {
        let (status, found, _) = answer(&chasing, transport, "inward");
        assert_eq!(status, "NOERROR");
        assert_eq!(
            found.get(..2),
            Some([alias("inward"), format!("inward.example.org. IN CNAME nginx.{SUFFIX}.")].as_slice()),
            "{found:?}"
        );
    }
    let asked = chasing.resolver.asked();
    assert!(!asked.iter().any(|question| question.contains("cluster.local")), "{asked:?}");
}

#[test]
fn a_loop_of_the_upstream_ends() {
    let chasing = Chasing::new(&["loop.example.org"], "", aliases);
    let start = Instant::now();
    let (_, found, _) = answer(&chasing, "-t A", "loop");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(found.len() <= 10, "{found:?}");
    let asked = chasing.resolver.asked().len();
    assert!(asked <= 32, "{asked} questions for a loop of two");
}

/// `large.example.org` with as many addresses.
fn large(count: u32) -> impl Fn(&str, RecordType) -> Says + Send + Sync + 'static {
    move |name, _| {
        let addresses = (0..count).map(|number| {
            let [_, b, c, d] = number.to_be_bytes();
            let mut line = format!("{name}. 300 A ");
            write!(line, "10.{b}.{c}.{d}").unwrap();
            line
        });
        Says::Records(addresses.collect())
    }
}

#[test]
fn a_large_answer_is_cut_over_udp_and_whole_over_tcp() {
    let chasing = Chasing::new(&["large.example.org"], "", large(300));
    for (options, limit) in [("+notcp", 1232), ("+notcp +noedns", 512), ("+notcp +bufsize=600", 600)] {
        let reply = chasing.ask(&format!("{options} -t A"), "large");
        assert_eq!(reply.status, "NOERROR", "{options}");
        assert!(reply.flags.contains(&"tc") && reply.size <= limit, "{options}: {} octets", reply.size);
        assert_eq!(reply.opt.is_some(), !options.contains("noedns"), "{options}");
        assert_eq!(data(&reply, "CNAME"), ["large.example.org."], "{options}: the alias comes first");
        assert!(reply.sections[0].len() > 5, "{options}: {:?}", reply.sections[0]);
    }
    let reply = chasing.ask("+tcp -t A", "large");
    assert_eq!((data(&reply, "A").len(), reply.flags.contains(&"tc")), (300, false));
}

#[test]
fn cutting_a_large_answer_costs_no_time() {
    // As many as hickory-proto writes into one message, here and in the server: it compresses the first names alone.
    const COUNT: usize = 1900;
    let chasing = Chasing::new(&["large.example.org"], "upstream_timeout = 10000", large(1900));
    let reply = chasing.ask("+tcp -t A", "large");
    let found = (reply.status.as_str(), data(&reply, "A").len(), reply.flags.contains(&"tc"));
    assert_eq!(found, ("NOERROR", COUNT, false), "{:?}", reply.ede);
    let start = Instant::now();
    for _ in 0..5 {
        let reply = chasing.ask("+notcp -t A", "large");
        assert!(reply.flags.contains(&"tc") && reply.size <= 1232, "{:?}", reply.lines());
    }
    // From the cache, in a debug build on a busy machine: what takes longer is a way to keep the server busy.
    assert!(start.elapsed() < Duration::from_secs(1), "cutting it five times took {:?}", start.elapsed());
}
