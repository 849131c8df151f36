//! Answers that are larger than what carries them.

use std::collections::BTreeSet;

use super::asking::{ask, data};
use super::manifests::{documents, endpoints, text};
use crate::support::reply::Reply;
use crate::support::server::Server;

/// An A record behind a compressed owner.
const A_RECORD: usize = 16;

/// Headless services `s40` and `s5000`, of as many endpoints.
fn served() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, documents(&[endpoints("s40", 40), endpoints("s5000", 5000)])).unwrap();
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0", "--manifests", text(&path)]).unwrap();
    (folder, server)
}

/// The A records, each of which must be another one.
fn distinct(reply: &Reply) -> usize {
    let all = data(reply, "A");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "a record twice");
    all.len()
}

#[test]
fn five_thousand_addresses_over_tcp_fill_the_message_and_say_so() {
    let (_folder, server) = served();
    let server = server.addresses()[0];
    for options in ["+tcp", "+tcp +noedns", "+tcp +bufsize=512"] {
        let reply = ask(server, &format!("{options} -t A s5000.default.svc.cluster.local"));
        assert_eq!(reply.status, "NOERROR");
        assert!(reply.flags.contains(&"tc"), "{options}: {:?}", reply.flags);
        // Whole records, and not one less than there is room for.
        assert!(reply.size <= 65535 && reply.size + A_RECORD > 65535, "{options}: {} octets", reply.size);
        assert_eq!(reply.opt.is_some(), !options.contains("noedns"), "the OPT record is always kept");
        assert_eq!(
            distinct(&reply),
            (reply.size - 12 - 37 - if reply.opt.is_some() { 11 } else { 0 }) / A_RECORD
        );
    }
    let reply = ask(server, "+tcp -t SRV s5000.default.svc.cluster.local");
    assert!(reply.flags.contains(&"tc") && reply.size <= 65535 && reply.opt.is_some());
    assert!(!reply.sections[0].is_empty());
    // No such type: as small as ever.
    let reply = ask(server, "+tcp -t AAAA s5000.default.svc.cluster.local");
    assert_eq!((reply.sections[0].len(), reply.sections[1].len()), (0, 1));
    assert!(!reply.flags.contains(&"tc"));
}

#[test]
fn over_udp_as_many_whole_records_as_fit() {
    let (_folder, server) = served();
    let server = server.addresses()[0];
    for name in ["s40", "s5000"] {
        for (options, limit) in [
            ("+noedns", 512),
            ("+bufsize=0", 512),
            ("+bufsize=511", 512),
            ("+bufsize=512", 512),
            ("+bufsize=600", 600),
            ("+bufsize=1232", 1232),
            ("+bufsize=4096", 1232),
            ("+bufsize=65535", 1232),
        ] {
            let reply = ask(server, &format!("{options} -t A {name}.default.svc.cluster.local"));
            let whole = name == "s40" && limit == 1232;
            assert_eq!(reply.flags.contains(&"tc"), !whole, "{name} {options}: {:?}", reply.flags);
            assert!(reply.size <= limit, "{name} {options}: {} octets", reply.size);
            assert!(whole || reply.size + A_RECORD > limit, "{name} {options}: {} octets", reply.size);
            assert_eq!(reply.opt.is_some(), options != "+noedns", "{name} {options}");
            assert!(distinct(&reply) > 0);
        }
    }
}

#[test]
fn what_is_cut_over_udp_is_whole_over_tcp() {
    let (_folder, server) = served();
    let reply = ask(server.addresses()[0], "+tcp -t A s40.default.svc.cluster.local");
    assert_eq!((distinct(&reply), reply.flags.contains(&"tc")), (40, false));
    let reply = ask(server.addresses()[0], "+tcp -t SRV _web._tcp.s40.default.svc.cluster.local");
    assert_eq!((reply.sections[0].len(), reply.sections[2].len()), (40, 40));
    assert!(!reply.flags.contains(&"tc"));
    // Glue that does not fit is left out without TC, and what is there is for records that are there.
    let reply = ask(server.addresses()[0], "+notcp -t SRV _web._tcp.s40.default.svc.cluster.local");
    assert!(reply.flags.contains(&"tc") && reply.sections[2].is_empty(), "{:?}", reply.lines());
}

#[test]
fn each_record_that_is_cut_off_has_its_turn() {
    let (_folder, server) = served();
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        let reply = ask(server.addresses()[0], "+noedns -t A s40.default.svc.cluster.local");
        seen.extend(data(&reply, "A"));
    }
    assert_eq!(seen.len(), 40, "each answer starts one further: what is cut off comes first later");
}
