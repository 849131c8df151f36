//! Sessions: how they begin, what they agree upon, what ends them.

use rollcall::server::Transport;

use super::{A, LIMITS, Pushing, headless, slice};
use crate::support::push::{
    Client, KEEPALIVE, PADDING, PUSH, RECONFIRM, RETRY_DELAY, SUBSCRIBE, UNSUBSCRIBE, message,
    name_type_class, subscribe, wire,
};
use crate::support::query::Query;

const WEB: &str = "web.default.svc.cluster.local";

fn times(inactivity: u32, interval: u32) -> Vec<u8> {
    [inactivity.to_be_bytes(), interval.to_be_bytes()].concat()
}

fn question(name: &str) -> Vec<u8> {
    let packet = Query::parse(&format!("dig +qid=77 -t A {name}")).unwrap().bytes;
    [&u16::try_from(packet.len()).unwrap().to_be_bytes()[..], &packet].concat()
}

#[test]
fn a_keepalive_is_answered_with_what_the_server_wants() {
    let pushing = Pushing::start();
    let mut client = pushing.client();
    for (id, wanted, given) in [
        (1, times(u32::MAX, u32::MAX), times(30_000, 120_000)),
        (2, times(15_000, 60_000), times(15_000, 60_000)),
        // RFC 8490, section 6.5.2: an interval is 10 s at least.
        (3, times(0, 0), times(0, 10_000)),
    ] {
        client.send(&message(id, &[(KEEPALIVE, &wanted)]));
        let response = client.next();
        assert_eq!((response.id, response.is_response, response.rcode), (id, true, 0));
        assert_eq!(response.values, [(KEEPALIVE, given)]);
    }
    pushing.until("one session", |counts| (counts.sessions, counts.opened) == (1, 1));
}

/// All of them, one behind the other.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Every octet of a session, against the figures of RFC 8490 (sections 5.4, 7.1 and 7.2) and RFC 8765 (1 to 5).
#[test]
fn a_session_octet_by_octet() {
    // ID, flags, four counts of 0: the header of RFC 8490, section 5.4. Values have DSO-TYPE and DSO-LENGTH in front (5.4.4).
    let message = |id: u16, flags: u16, parts: &[&[u8]]| {
        joined(&[&id.to_be_bytes(), &flags.to_be_bytes(), &[0; 8], &joined(parts)])
    };
    let framed = |octets: Vec<u8>| joined(&[&u16::try_from(octets.len()).unwrap().to_be_bytes(), &octets]);
    let owner: &[u8] = b"\x03web\x07default\x03svc\x07cluster\x05local\x00";
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.0.2"])]);
    let mut client = pushing.client();

    // Figure 1, SUBSCRIBE: DSO-TYPE 0x40, DSO-LENGTH, NAME, TYPE A, CLASS IN.
    client.send(&framed(message(0x1234, 0x3000, &[b"\x00\x40\x00\x23", owner, b"\x00\x01\x00\x01"])));
    // Figure 2, its response: the ID, QR 1, OPCODE 6, RCODE 0, and nothing else.
    assert_eq!(client.octets(), message(0x1234, 0xb000, &[]));
    // Figure 3, PUSH: ID 0, QR 0; DSO-TYPE 0x41, DSO-LENGTH; NAME, TYPE, CLASS, TTL, RDLEN, RDATA. The second name is a
    // pointer to the first.
    let first = b"\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x01";
    let second = b"\xc0\x10\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00\x02";
    assert_eq!(client.octets(), message(0, 0x3000, &[b"\x00\x41\x00\x3d", owner, first, second]));

    // Keepalive (RFC 8490, section 7.1): DSO-TYPE 1, DSO-LENGTH 8, INACTIVITY TIMEOUT, KEEPALIVE INTERVAL, one hour each;
    // and what is granted, 30 s and 120 s.
    let hour = b"\x00\x01\x00\x08\x00\x36\xee\x80\x00\x36\xee\x80";
    client.send(&framed(message(0x1235, 0x3000, &[hour])));
    let granted = b"\x00\x01\x00\x08\x00\x00\x75\x30\x00\x01\xd4\xc0";
    assert_eq!(client.octets(), message(0x1235, 0xb000, &[granted]));

    // One record less: TTL 0xFFFFFFFF.
    pushing.apply([slice("web", &["10.0.0.1"])]);
    let removed = b"\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x0a\x00\x00\x02";
    assert_eq!(client.octets(), message(0, 0x3000, &[b"\x00\x41\x00\x2d", owner, removed]));

    // Figure 5, RECONFIRM: ID 0; DSO-TYPE 0x43, DSO-LENGTH, NAME, TYPE, CLASS, RDATA; no response.
    let doubted = b"\x00\x01\x00\x01\x0a\x00\x00\x01";
    client.send(&framed(message(0, 0x3000, &[b"\x00\x43\x00\x27", owner, doubted])));
    // Figure 4, UNSUBSCRIBE: ID 0; DSO-TYPE 0x42, DSO-LENGTH 2, SUBSCRIBE MESSAGE ID; no response.
    client.send(&framed(message(0, 0x3000, &[b"\x00\x42\x00\x02\x12\x34"])));
    pushing.until("both are taken", |counts| (counts.reconfirmed, counts.subscriptions) == (1, 0));

    // A refusal: RCODE NOTAUTH, and a Retry Delay (RFC 8490, section 7.2) of five minutes: DSO-TYPE 2, DSO-LENGTH 4.
    let outside = b"\x00\x40\x00\x0d\x07example\x00\x00\x01\x00\x01";
    client.send(&framed(message(0x1236, 0x3000, &[outside])));
    let later = b"\x00\x02\x00\x04\x00\x04\x93\xe0";
    assert_eq!(client.octets(), message(0x1236, 0xb009, &[later]));
    // An operation that is not known: RCODE DSOTYPENI (RFC 8490, section 5.4.5).
    client.send(&framed(message(0x1237, 0x3000, &[b"\xf8\x00\x00\x00"])));
    assert_eq!(client.octets(), message(0x1237, 0xb00b, &[]));
}

#[test]
fn what_cannot_be_done_is_said_with_the_id_and_opens_no_session() {
    let pushing = Pushing::start();
    let mut client = pushing.client();
    let subscription = name_type_class(WEB, A, 1);
    let cut = &subscription[..subscription.len() - 1];
    let chaos = name_type_class(WEB, A, 3);
    let outside = name_type_class("example.org", A, 1);
    let transfer = name_type_class(WEB, 252, 1);
    let serial = name_type_class("cluster.local", 6, 1);
    for (values, rcode) in [
        (vec![], 1),
        (vec![(0xf800, &b""[..])], 11),
        (vec![(SUBSCRIBE, cut)], 1),
        (vec![(KEEPALIVE, &b"\0\0\0\0"[..])], 1),
        (vec![(SUBSCRIBE, &chaos[..])], 9),
        (vec![(SUBSCRIBE, &outside[..])], 9),
        (vec![(SUBSCRIBE, &transfer[..])], 5),
        (vec![(SUBSCRIBE, &serial[..])], 5),
    ] {
        client.send(&message(9, &values));
        let response = client.next();
        assert_eq!((response.id, response.is_response, response.rcode), (9, true, rcode), "{values:?}");
        // RFC 8765, section 6.2.2: what a client got wrong it may try again in five minutes.
        let delay = response.values.first().map(|(kind, delay)| (*kind, delay.clone()));
        let long = Some((RETRY_DELAY, 300_000_u32.to_be_bytes().to_vec()));
        match rcode {
            11 => assert_eq!(delay, None),
            5 => assert_eq!(response.types(), [RETRY_DELAY]),
            _ => assert_eq!(delay, long, "{values:?}"),
        }
    }
    // A header with a record: counts are 0 in a stateful message (RFC 8490, section 5.4).
    let mut with_opt = message(9, &[(KEEPALIVE, &times(1, 1))]);
    with_opt[13] = 1;
    client.send(&with_opt);
    assert_eq!(client.next().rcode, 1);
    pushing.until("none was opened", |counts| (counts.sessions, counts.refused) == (0, 9));
    // What is not known beside what is, is passed over (RFC 8490, section 5.4.5).
    client.send(&message(1, &[(SUBSCRIBE, &subscription), (0xf801, b"what"), (0xf802, b"")]));
    assert_eq!(client.next().rcode, 0);
}

#[test]
fn who_breaks_the_protocol_is_cut_without_a_word() {
    let pushing = Pushing::start();
    let aborted = |octets: &[u8], established: bool| {
        let mut client = pushing.client();
        if established {
            assert_eq!(client.subscribe(1, WEB, A), 0);
        }
        client.send(octets);
        client.is_reset();
    };
    let doubted = [name_type_class(WEB, A, 1), vec![10, 0, 0, 1]].concat();
    // Before there is a session there is nothing that has no response (RFC 8490, section 5.1).
    aborted(&message(0, &[(UNSUBSCRIBE, &[0, 1])]), false);
    aborted(&message(0, &[(RECONFIRM, &doubted)]), false);
    // What cannot be read, and cannot be said (RFC 8490, sections 5.4.3 and 5.4.5).
    aborted(&message(0, &[]), true);
    aborted(&message(0, &[(0xf800, b"")]), true);
    aborted(&message(0, &[(KEEPALIVE, &times(1, 1))]), true);
    aborted(&message(0, &[(SUBSCRIBE, &name_type_class(WEB, A, 1))]), true);
    aborted(&message(0, &[(UNSUBSCRIBE, &[0])]), true);
    aborted(&message(0, &[(RETRY_DELAY, &[0, 0, 0, 1])]), true);
    aborted(b"\x00\x04\x00\x00\x30\x00", true);
    // What has no response asked for one (RFC 8490, section 5.4.1), and what only a server says (RFC 8490, section 7.2.1;
    // RFC 8765, section 6.3).
    aborted(&message(9, &[(UNSUBSCRIBE, &[0, 1])]), true);
    aborted(&message(9, &[(RECONFIRM, &doubted)]), true);
    aborted(&message(9, &[(RETRY_DELAY, &[0, 0, 0, 1])]), true);
    aborted(&message(9, &[(PUSH, b"")]), true);
    // A response to nothing.
    let mut response = message(7, &[]);
    response[4] |= 0x80;
    aborted(&response, true);
    // RFC 8765, section 6.2.1: a subscription twice, in whatever case, and an ID twice.
    aborted(&subscribe(2, "WEB.default.svc.cluster.local", A), true);
    aborted(&subscribe(1, "other.default.svc.cluster.local", A), true);
    // RFC 8490, section 7.1.2: edns-tcp-keepalive has no place in a session.
    let mut packet = Query::parse(&format!("dig +ednsopt=11: -t A {WEB}")).unwrap().bytes;
    packet.splice(0..0, u16::try_from(packet.len()).unwrap().to_be_bytes());
    aborted(&packet, true);
    pushing.until("all are counted", |counts| (counts.sessions, counts.aborted) == (0, 16));
}

#[test]
fn questions_go_on_beside_subscriptions() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let mut client = pushing.client();
    // In one write, in pieces.
    let all = [question(WEB), subscribe(1, WEB, A), question(WEB), message(2, &[(KEEPALIVE, &times(1, 1))])];
    for octet in all.concat().chunks(7) {
        client.send(octet);
    }
    let (mut answers, mut stateful) = (0, 0);
    for _ in 0..5 {
        let octets = client.octets();
        if octets[2] & 0x78 == 0x30 {
            stateful += 1;
        } else {
            assert_eq!((octets[..2].to_vec(), octets[7]), (vec![0, 77], 1));
            answers += 1;
        }
    }
    assert_eq!((answers, stateful), (2, 3), "two answers; a response, its push, a keepalive");
    pushing.apply([slice("web", &["10.0.0.2"])]);
    assert_eq!(client.changes().len(), 2);
}

#[test]
fn who_pads_gets_padding() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let (mut padding, mut plain) = (pushing.client(), pushing.client());
    let zeros = [0; 30];
    padding.send(&message(1, &[(SUBSCRIBE, &name_type_class(WEB, A, 1)), (PADDING, &zeros)]));
    assert_eq!(plain.subscribe(1, WEB, A), 0);
    let (response, first) = (padding.next(), padding.next());
    assert_eq!((response.types(), response.length()), (vec![PADDING], 468));
    assert_eq!((first.types(), first.length(), first.changes().len()), (vec![PUSH, PADDING], 468, 1));
    assert_eq!(plain.next().types(), [PUSH]);
    padding.send(&message(2, &[(KEEPALIVE, &times(1, 1)), (PADDING, b"")]));
    assert_eq!(padding.next().types(), [KEEPALIVE, PADDING]);
    pushing.apply([slice("web", &["10.0.0.2"])]);
    assert_eq!(padding.next().length(), 468);
    assert_eq!(plain.next().types(), [PUSH]);
}

#[test]
fn a_record_that_a_client_doubts_is_counted() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.changes().len(), 1);
    let doubted = [wire(WEB), vec![0, 1, 0, 1, 10, 0, 0, 1]].concat();
    client.send(&message(0, &[(RECONFIRM, &doubted)]));
    pushing.until("it is counted", |counts| counts.reconfirmed == 1);
    client.hears_nothing();
}

#[test]
fn a_stop_says_goodbye() {
    let mut pushing = Pushing::start();
    let mut client = pushing.client();
    assert_eq!(client.subscribe(1, WEB, A), 0);
    let waiting = std::thread::spawn(move || {
        let goodbye = client.next();
        client.ends();
        goodbye
    });
    pushing.stop();
    let goodbye = waiting.join().unwrap();
    assert_eq!((goodbye.id, goodbye.is_response, goodbye.rcode), (0, false, 0));
    let [(RETRY_DELAY, delay)] = &goodbye.values[..] else { panic!("{goodbye:?}") };
    let delay = u32::from_be_bytes(delay[..].try_into().unwrap());
    assert!((1000..=2000).contains(&delay), "{delay}");
}

/// "The server MUST silently ignore such incoming requests" (RFC 8490, section 6.6.1.1), and sessions are ended where a
/// reload says that there are none.
#[test]
fn behind_the_goodbye_nothing_is_answered() {
    let mut pushing = Pushing::start();
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let (mut client, mut other) = (pushing.client(), pushing.client());
    assert_eq!(client.subscribe(1, WEB, A), 0);
    assert_eq!(client.changes().len(), 1);
    pushing.set_limits(rollcall::server::PushLimits { tcp: false, ..LIMITS });
    let goodbye = client.next();
    assert_eq!((goodbye.id, goodbye.rcode, goodbye.types()), (0, 5, vec![RETRY_DELAY]));
    client.send(&[question(WEB), subscribe(2, WEB, 28), message(3, &[(KEEPALIVE, &times(1, 1))])].concat());
    pushing.apply([slice("web", &["10.0.0.2"])]);
    client.hears_nothing();
    // Who had no session is answered as ever.
    other.send(&[question(WEB), subscribe(9, WEB, A)].concat());
    assert_eq!(other.octets()[7], 1);
    assert_eq!(other.octets()[3] & 15, 4, "NOTIMP");
    // Five seconds are left to go by itself (section 6.6.1).
    client.is_reset();
    pushing.until("it is ended", |counts| (counts.withdrawn, counts.sessions) == (1, 0));
}

#[test]
fn who_says_what_cannot_be_read_is_not_listened_to_for_ever() {
    let pushing = Pushing::start();
    let mut client = pushing.client();
    for _ in 0..4 {
        client.send(&message(9, &[(KEEPALIVE, b"short")]));
        assert_eq!(client.next().rcode, 1);
    }
    client.ends();
}

/// Sessions are defined for TCP and TLS (RFC 8490, section 4.2).
#[test]
fn the_other_transports_do_not_know_the_opcode() {
    let pushing = Pushing::start();
    let packet = &subscribe(9, WEB, A)[2..];
    let mut responder = rollcall::server::Responder::new(pushing.reader);
    for transport in [Transport::Udp, Transport::Https, Transport::Quic] {
        let mut reply = [0; 512];
        let sent = responder.respond(packet, transport, &mut reply);
        assert!(matches!(sent, rollcall::server::Reply::Send(12..)), "{sent:?}");
        assert_eq!((&reply[..2], reply[2] & 0xf8, reply[3] & 15), (&[0, 9][..], 0xb0, 4), "{transport:?}");
    }
}

/// Without sessions the opcode is one that is not implemented.
#[test]
fn where_it_is_not_configured_it_is_not_implemented() {
    let pushing = Pushing::with(rollcall::server::PushLimits { tcp: false, ..LIMITS });
    let mut client: Client = pushing.client();
    client.send(&subscribe(9, WEB, A));
    let octets = client.octets();
    assert_eq!((octets.len(), octets[..2].to_vec(), octets[3] & 15), (12, vec![0, 9], 4));
    assert_eq!(pushing.counts().opened, 0);
}

#[test]
fn a_session_without_a_word_is_cut_and_one_with_a_subscription_is_not_idle() {
    // Twice the times, 5 s at least (RFC 8490, sections 6.4.1 and 6.5.1): 5 s of inactivity here.
    let pushing = Pushing::with(rollcall::server::PushLimits { inactivity: 100, ..LIMITS });
    let (mut idle, mut subscribed) = (pushing.client(), pushing.client());
    for client in [&mut idle, &mut subscribed] {
        client.send(&message(1, &[(KEEPALIVE, &times(100, 60_000))]));
        assert_eq!(client.next().rcode, 0);
    }
    assert_eq!(subscribed.subscribe(2, WEB, A), 0);
    let start = std::time::Instant::now();
    idle.is_reset();
    assert!(start.elapsed() > std::time::Duration::from_secs(4), "{:?}", start.elapsed());
    subscribed.hears_nothing();
    pushing.until("one is left", |counts| (counts.sessions, counts.expired) == (1, 1));
}
