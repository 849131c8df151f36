//! Whatever comes in, what goes out is a reply.

use hickory_proto::op::{Message, ResponseCode};
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rollcall::model::ServiceShape;
use rollcall::server::Transport;
use rollcall::zone::Order;

use super::message::{Manner, decode, ensure, packet};
use super::served::{Asked, Served, Variant};
use super::{count, questions, random_seed, regressions};
use crate::generate::{Mutator, Question, ZONES, cluster, settings};
use crate::oracle::{World, current, qtype};

/// How many clusters share the packets.
const CLUSTERS: u64 = 50;

#[test]
fn every_packet_has_its_reply() {
    let packets = count("ROLLCALL_PACKETS", 100_000);
    let seed = count("PROPTEST_RNG_SEED", random_seed());
    let mut sent = [0_u64; 3];
    for part in 0..CLUSTERS {
        let config = Config { rng_seed: RngSeed::Fixed(seed.wrapping_add(part)), ..Config::default() };
        let mut runner = TestRunner::new(config);
        let strategy = (vec(cluster(ZONES[0]), 1), settings(ZONES[0]), questions());
        let (mut clusters, settings, questions) = strategy.new_tree(&mut runner).unwrap().current();
        clusters[0].push(regressions::mk_service("abroad", ServiceShape::External("www.example.com".into())));
        // In the order of ordinals an answer depends on the question only, so that two can be compared.
        let variant = Variant { order: Order::Ordinal, upstream: part % 2 == 0 };
        let mut served = Served::of(&clusters[0], &settings, variant);
        let objects = current(&clusters[0]);
        let world = World::new(&objects, &settings);
        let mut queries: Vec<Vec<u8>> = questions
            .iter()
            .map(|(seed, manner)| packet(&seed.question(&world, &settings.zone), *manner))
            .collect();
        let abroad = Question { name: settings.zone.below("abroad.default.svc"), rtype: qtype::A };
        queries.push(packet(&abroad, Manner { id: 7, rd: true, cd: false, edns: Some((1232, false)) }));
        let mut mutator = Mutator::new(seed ^ part.wrapping_mul(0x5851_f42d_4c95_7f2d));
        for _ in 0..packets.div_ceil(CLUSTERS) {
            let packet = mutator.packet(&queries);
            let transport = if mutator.below(8) == 0 { Transport::Tcp } else { Transport::Udp };
            let asked = served.ask(&packet, transport);
            let outcome = check(&packet, transport, &asked).and_then(|()| {
                if mutator.below(16) == 0 {
                    is_repeated(&mut served, &packet, transport, &asked)
                } else {
                    Ok(())
                }
            });
            if let Err(why) = outcome {
                panic!(
                    "{why}\nPROPTEST_RNG_SEED={seed}, part {part}, {transport:?}\n{packet:02x?}\n{asked:02x?}"
                );
            }
            sent[match asked {
                Asked::Reply(_) => 0,
                Asked::Silence => 1,
                Asked::Chase { .. } => 2,
            }] += 1;
        }
    }
    let [replies, silences, chases] = sent;
    let total = replies + silences + chases;
    println!(
        "{total} packets: {replies} replies, {silences} silences, {chases} chases, PROPTEST_RNG_SEED={seed}"
    );
    assert!(
        total >= packets && replies > total / 2 && silences > 0 && chases > 0,
        "the packets are not what they should be"
    );
}

fn check(packet: &[u8], transport: Transport, asked: &Asked) -> Result<(), String> {
    // "QR=1 or fewer than 12 octets: silence", and nothing else.
    let wants_silence = packet.len() < 12 || packet[2] & 0x80 != 0;
    let Some(reply) = asked.reply() else { return ensure(wants_silence, || "silence".into()) };
    ensure(!wants_silence, || "a reply to what is no query".into())?;
    let chased = matches!(asked, Asked::Chase { .. });
    ensure(!chased || packet[2] & 1 == 1, || "a chase without RD".into())?;
    let message = decode(reply)?;
    ensure(reply.len() <= limit(packet, transport), || format!("{} octets", reply.len()))?;
    ensure(reply[..2] == packet[..2], || "another id".into())?;
    ensure(reply[2] & 0x80 != 0, || "QR is 0".into())?;
    ensure(reply[2] & 0x79 == packet[2] & 0x79, || "another opcode or RD".into())?;
    ensure(reply[3] & 0xe0 == 0, || "RA, Z or AD is set".into())?;
    let (opcode, questions) = (packet[2] >> 3 & 15, u16::from_be_bytes([packet[4], packet[5]]));
    let code = message.metadata.response_code;
    let denied = matches!(code, ResponseCode::FormErr | ResponseCode::NotImp);
    ensure(opcode == 0 || denied, || format!("opcode {opcode} gets {code}"))?;
    // RFC 9619.
    ensure(opcode != 0 || questions == 1 || code == ResponseCode::FormErr, || {
        format!("QDCOUNT {questions} gets {code}")
    })?;
    let answers = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    ensure(answers || (message.answers.is_empty() && !message.metadata.authoritative), || {
        format!("{code} with an answer or AA")
    })
}

/// The most octets that the reply may have, as hickory-proto reads the query.
fn limit(packet: &[u8], transport: Transport) -> usize {
    let read = Message::from_vec(packet);
    match (transport, read) {
        (Transport::Udp, Ok(query)) => {
            query.edns.map_or(512, |edns| edns.max_payload().clamp(512, 1232)).into()
        }
        (Transport::Udp, Err(_)) => 1232,
        _ => 65535,
    }
}

/// The same packet gets the same reply, whatever was in the buffer: nothing of an earlier answer leaks.
fn is_repeated(
    served: &mut Served,
    packet: &[u8],
    transport: Transport,
    asked: &Asked,
) -> Result<(), String> {
    served.soil();
    let again = served.ask(packet, transport);
    ensure(again == *asked, || format!("another reply the second time: {again:02x?}"))
}
