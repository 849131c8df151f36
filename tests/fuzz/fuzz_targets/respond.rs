//! Any packet, against a zone with one of everything: what comes out is a reply, and hickory-proto reads it.

#![no_main]

use std::cell::RefCell;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use libfuzzer_sys::fuzz_target;
use rollcall::run::offline;
use rollcall::server::{Reply, Responder, Transport};
use rollcall_fuzz::{configuration, folder};

/// Packets that are answered together.
const TOGETHER: usize = 3;
/// Beside the one at hand: a name that is there.
const OTHER: &[u8] = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05web-0\x05nginx\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01";

/// The octets that a packet must not change the reply by: those that were in the buffer before.
const DIRT: [u8; 2] = [0x00, 0xff];

struct Served {
    /// The same answer to the same question.
    ordinal: Responder,
    /// An answer that depends on the ones before.
    rotate: Responder,
    random: Responder,
    buffers: [Vec<u8>; 2],
}

impl Served {
    fn new() -> Self {
        let folder = folder();
        std::fs::write(folder.join("cluster.yaml"), include_str!("../cluster.yaml")).expect("the manifests");
        let responder = |order: &str| {
            let text = format!("order = \"{order}\"\n{}", include_str!("../cluster.toml"));
            let offline = offline::load(&configuration(&folder, &text)).expect("the zone");
            assert!(offline.problems.is_empty(), "{:?}", offline.problems);
            Responder::reserved(offline.reader, TOGETHER)
        };
        let responders = ["ordinal", "rotate", "random"].map(responder);
        std::fs::remove_dir_all(&folder).expect("the folder is removed");
        let [ordinal, rotate, random] = responders;
        Self { ordinal, rotate, random, buffers: DIRT.map(|octet| vec![octet; 65535]) }
    }
}

thread_local! {
    static SERVED: RefCell<Served> = RefCell::new(Served::new());
}

fuzz_target!(|packet: &[u8]| {
    SERVED.with_borrow_mut(|served| {
        for transport in [Transport::Udp, Transport::Tcp] {
            let room = if transport == Transport::Udp { 1232 } else { 65535 };
            let Served { ordinal, rotate, random, buffers: [first, second] } = served;
            let reply = ordinal.respond(packet, transport, &mut first[..room]);
            check(packet, transport, &reply, first);
            let again = ordinal.respond(packet, transport, &mut second[..room]);
            assert_eq!(reply, again);
            let length = length(&reply);
            assert_eq!(first[..length], second[..length], "what was in the buffer before shows");
            // The same among others: a batch is no more than its packets.
            let mut pinned = ordinal.pin();
            let packets = [OTHER, packet, OTHER];
            let mut questions = pinned.look_up(packets.into_iter());
            for (index, other) in packets.into_iter().enumerate() {
                let batched = questions.respond(index, other, transport, &mut second[..room]);
                assert!(other == OTHER || batched == reply && first[..length] == second[..length]);
                assert!(other != OTHER || matches!(batched, Reply::Send(60..)), "{batched:?}");
            }
            for responder in [rotate, random] {
                let other = responder.respond(packet, transport, &mut second[..room]);
                check(packet, transport, &other, second);
            }
            first[..length].fill(DIRT[0]);
            second[..length].fill(DIRT[1]);
        }
    });
});

fn length(reply: &Reply) -> usize {
    match reply {
        Reply::Send(length) | Reply::Chase { length, .. } | Reply::Held { length, .. } => *length,
        Reply::Silence => 0,
    }
}

fn check(packet: &[u8], transport: Transport, reply: &Reply, buffer: &[u8]) {
    // "QR=1 or fewer than 12 octets: silence", and nothing else.
    let wants_silence = packet.len() < 12 || packet[2] & 0x80 != 0;
    assert_eq!(*reply == Reply::Silence, wants_silence);
    if wants_silence {
        return;
    }
    if let Reply::Chase { limit, .. } = reply {
        assert!(packet[2] & 1 == 1, "a chase without RD");
        assert!(*limit >= length(reply));
    }
    let octets = &buffer[..length(reply)];
    let most = limit(packet, transport);
    assert!(octets.len() <= most, "{} octets, {most} are allowed", octets.len());
    assert_eq!(octets[..2], packet[..2], "another id");
    assert_eq!(octets[2] & 0xf9, 0x80 | packet[2] & 0x79, "QR, opcode or RD");
    assert_eq!(octets[3] & 0xe0, 0, "RA, Z or AD");
    let mut decoder = BinDecoder::new(octets);
    let message = Message::read(&mut decoder).expect("a message");
    assert!(decoder.is_empty(), "octets behind the message");
    let code = message.metadata.response_code;
    let (opcode, questions) = (packet[2] >> 3 & 15, u16::from_be_bytes([packet[4], packet[5]]));
    match (opcode, questions) {
        (0, 1) => assert_ne!(code, ResponseCode::NotImp),
        // RFC 9619.
        (0, _) => assert_eq!(code, ResponseCode::FormErr),
        (_, _) => assert!(matches!(code, ResponseCode::NotImp | ResponseCode::FormErr)),
    }
    let answers = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    let silent = message.answers.is_empty() && message.authorities.is_empty();
    assert!(answers || silent && !message.metadata.authoritative, "{code} with records or AA");
    if let Ok(query) = Message::from_vec(packet) {
        // Other opcodes have other sections, and two questions are not read past: there OPT is not looked for.
        if opcode == 0 && questions < 2 {
            assert_eq!(query.edns.is_some(), message.edns.is_some(), "OPT is answered by OPT, and only it");
        }
        assert!(!answers || query.queries == message.queries, "another question");
    }
}

/// The most octets that a reply may have, as hickory-proto reads the query; what it cannot read may hold an OPT.
fn limit(packet: &[u8], transport: Transport) -> usize {
    match (transport, Message::from_vec(packet)) {
        (Transport::Udp, Ok(query)) => {
            query.edns.map_or(512, |edns| usize::from(edns.max_payload()).clamp(512, 1232))
        }
        (Transport::Udp, Err(_)) => 1232,
        _ => 65535,
    }
}
