//! Stateful messages (RFC 8490, RFC 8765): nothing that a client sends is read past its end, and what is read says the
//! same when it is written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall::wire::ParsedName;
use rollcall::wire::dso::{Fault, Keepalive, Operation, Request, Subscription, is_stateful};

fuzz_target!(|octets: &[u8]| {
    match Request::parse(octets) {
        Ok(request) => {
            let again = written(&request);
            assert_eq!(Request::parse(&again), Ok(Request { padded: false, ..request }));
            let wants_response =
                matches!(request.operation, Operation::Keepalive(_) | Operation::Subscribe(_));
            assert_eq!(wants_response, request.id != 0);
        }
        // What has an ID is answered, what has none ends the connection; so does what no client may say, or not with one.
        Err(Fault::Answer { id, rcode, .. }) => {
            assert!(id != 0 && octets[..2] == id.to_be_bytes() && matches!(rcode, 1 | 11));
        }
        Err(Fault::Fatal(_)) => {
            let is_of_nobody = || octets.get(12..14).is_some_and(|kind| matches!(kind, [0, 2 | 0x41..=0x43]));
            assert!(octets.len() < 12 || octets[..2] == [0, 0] || octets[2] & 0x80 != 0 || is_of_nobody());
        }
    }
    let _ = is_stateful(octets);
});

/// The message without its padding and what is not known.
fn written(request: &Request<'_>) -> Vec<u8> {
    let named = |name: &Subscription<'_>, data: &[u8]| {
        let mut parsed = ParsedName::default();
        assert_eq!(parsed.parse(name.name), Ok(name.name.len()), "the whole name, and nothing else");
        [name.name, &name.rtype.to_be_bytes(), &name.class.to_be_bytes(), data].concat()
    };
    let (kind, data): (u16, Vec<u8>) = match request.operation {
        Operation::Keepalive(Keepalive { inactivity, interval }) => {
            (1, [inactivity.to_be_bytes(), interval.to_be_bytes()].concat())
        }
        Operation::Subscribe(name) => (0x40, named(&name, &[])),
        Operation::Unsubscribe(of) => (0x42, of.to_be_bytes().to_vec()),
        Operation::UnsubscribeFrom(name) => (0x42, named(&name, &[])),
        Operation::Reconfirm { name, data } => (0x43, named(&name, data)),
    };
    let mut octets = request.id.to_be_bytes().to_vec();
    octets.extend([0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend(kind.to_be_bytes());
    octets.extend(u16::try_from(data.len()).expect("a part of a value").to_be_bytes());
    octets.extend(data);
    octets
}
