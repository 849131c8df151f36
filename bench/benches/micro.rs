//! The parts of a query and of a change, each by itself. `cargo bench --manifest-path bench/Cargo.toml` runs them.
//!
//! A time is of one call on a quiet core; next to other work only their proportions mean something.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use divan::Bencher;
use rollcall::model::{
    Endpoint, EndpointSlice, Label, Object, PodReference, Port, Protocol, Service, ServiceKey, ServiceShape,
    TtlOverrides,
};
use rollcall::records::Settings;
use rollcall::run::Driver;
use rollcall::server::{QueryCounters, Reply, Responder, Transport};
use rollcall::wire::{Name, Query};
use rollcall::zone::{self, Order, PodNames, PtrNames, Reader, Ttl};
use rollcall_bench::Random;

fn main() {
    divan::main();
}

const PER_SERVICE: usize = 10;

fn label(text: &str) -> Label {
    Label::new(text).unwrap_or_else(|error| unreachable!("{text}: {error}"))
}

fn key(service: usize) -> ServiceKey {
    ServiceKey { namespace: label("default"), name: label(&format!("web-{service}")) }
}

fn mk_service(service: usize) -> Object {
    let (shape, ttl) = (ServiceShape::Headless, TtlOverrides::default());
    Object::Service(Service { key: key(service), shape, ports: Vec::new(), ttl })
}

/// `generation` is in the address of the first endpoint alone.
fn mk_slice(service: usize, endpoints: usize, generation: u8) -> Object {
    let endpoint = |ordinal: usize| {
        let name = format!("web-{service}-{ordinal}");
        let place = u32::try_from(service * endpoints + ordinal).unwrap_or(0);
        let address = if ordinal == 0 && generation > 0 {
            Ipv4Addr::new(172, 16, 0, generation)
        } else {
            Ipv4Addr::from_bits(0x0a00_0000 + place)
        };
        Endpoint {
            addresses: vec![address.into()],
            hostname: Some(label(&name)),
            pod: Some(PodReference {
                name: name.into(),
                uid: format!("{place:08x}-0000-4000-8000-000000000000").into(),
            }),
            ready: true,
            terminating: false,
        }
    };
    Object::EndpointSlice(EndpointSlice {
        service: key(service),
        name: format!("web-{service}-abcde").into(),
        ports: vec![Port { name: Some(label("http")), protocol: Protocol::Tcp, number: 80 }],
        endpoints: (0..endpoints).map(endpoint).collect(),
    })
}

/// A cluster of headless services.
fn mk_cluster(services: usize, endpoints: usize) -> (Driver, Reader) {
    let name = |text: &str| Name::from_text(text).unwrap_or_else(|error| unreachable!("{text}: {error}"));
    let zone_name = name("cluster.local");
    let (publisher, reader) = zone::zone(zone::Settings {
        zone: zone_name.clone(),
        ttl: Ttl { positive: 5, negative: 5, expected: 0 },
        order: Order::Rotate,
        pods: PodNames::Disabled,
        ptr: PtrNames::All,
        reverse: Vec::new(),
        nameservers: Vec::new(),
        identity: None,
        namespaces: None,
        upstream: false,
        explain: zone::Explain::default(),
        discovery: None,
        holding: zone::Holding::default(),
    });
    let mut driver = Driver::new(publisher, Settings { zone: zone_name, endpoint_pod_names: false });
    for service in 0..services {
        driver.apply(mk_service(service));
        driver.apply(mk_slice(service, endpoints, 0));
    }
    driver.publish();
    driver.synchronised();
    (driver, reader)
}

fn packet(name: &str) -> Vec<u8> {
    let mut packet = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01".to_vec();
    packet.extend(Name::from_text(name).map(|name| name.as_wire().to_vec()).unwrap_or_default());
    packet.extend(b"\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    packet
}

/// Questions for ordinals by chance, and for a search path's misses.
fn questions(services: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut random = Random::new(1, 1);
    let mut name = || {
        let (service, ordinal) = (random.below(services), random.below(PER_SERVICE));
        format!("web-{service}-{ordinal}.web-{service}.default.svc.cluster.local")
    };
    let hits: Vec<String> = (0..10_000).map(|_| name()).collect();
    let misses = hits.iter().map(|hit| packet(&format!("{hit}.default.svc.cluster.local"))).collect();
    (hits.iter().map(|hit| packet(hit)).collect(), misses)
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let packet = packet("web-1-3.web-1.default.svc.cluster.local");
    let mut query = Query::default();
    bencher.bench_local(|| query.parse(divan::black_box(&packet)));
}

/// The whole of an answer but for the socket: parse, look up, encode.
fn answer(bencher: Bencher<'_, '_>, reader: Reader, packets: &[Vec<u8>]) {
    let mut responder = Responder::reserved(reader, 1);
    let mut out = vec![0; 1232];
    let mut packets = packets.iter().cycle();
    bencher.bench_local(|| {
        let Some(packet) = packets.next() else { return Reply::Silence };
        responder.respond(packet, Transport::Udp, &mut out)
    });
}

#[divan::bench(args = [100, 100_000])]
fn answer_ordinals(bencher: Bencher<'_, '_>, services: usize) {
    let (_driver, reader) = mk_cluster(services, PER_SERVICE);
    answer(bencher, reader, &questions(services).0);
}

#[divan::bench(args = [100, 100_000])]
fn answer_search_path_misses(bencher: Bencher<'_, '_>, services: usize) {
    let (_driver, reader) = mk_cluster(services, PER_SERVICE);
    answer(bencher, reader, &questions(services).1);
}

/// 32 questions a call, as the UDP threads take them: divide by 32.
#[divan::bench(args = [100, 100_000])]
fn answer_ordinals_32_together(bencher: Bencher<'_, '_>, services: usize) {
    let (_driver, reader) = mk_cluster(services, PER_SERVICE);
    let packets = questions(services).0;
    let mut responder = Responder::reserved(reader, 32);
    let mut out = vec![0; 1232];
    let mut batches = packets.chunks_exact(32).cycle();
    bencher.bench_local(|| {
        let batch = batches.next().unwrap_or_default();
        let mut pinned = responder.pin();
        let mut questions = pinned.look_up(batch.iter().map(Vec::as_slice));
        for (index, packet) in batch.iter().enumerate() {
            divan::black_box(questions.respond(index, packet, Transport::Udp, &mut out));
        }
    });
}

/// The same, counted as the UDP threads count: the difference to the one before is what `/metrics` costs.
#[divan::bench(args = [100, 100_000])]
fn answer_ordinals_32_together_counted(bencher: Bencher<'_, '_>, services: usize) {
    let (_driver, reader) = mk_cluster(services, PER_SERVICE);
    let packets = questions(services).0;
    let (mut responder, cell) = (Responder::reserved(reader, 32), QueryCounters::default().cell());
    let mut out = vec![0; 1232];
    let mut batches = packets.chunks_exact(32).cycle();
    bencher.bench_local(|| {
        let (began, batch) = (Instant::now(), batches.next().unwrap_or_default());
        let mut pinned = responder.pin();
        let mut questions = pinned.look_up(batch.iter().map(Vec::as_slice));
        let mut replies = 0;
        for (index, packet) in batch.iter().enumerate() {
            let Some(asked) = questions.asked(index) else { continue };
            let reply = divan::black_box(questions.respond(index, packet, Transport::Udp, &mut out));
            if let Reply::Send(length) = reply {
                cell.count(asked, packet.len(), &out, length);
                replies += 1;
            }
        }
        cell.took(began, replies);
    });
}

/// The same as `answer_ordinals` while another thread replaces one service after the other without a pause.
#[divan::bench(args = [100_000])]
fn answer_ordinals_beside_a_writer(bencher: Bencher<'_, '_>, services: usize) {
    let (mut driver, reader) = mk_cluster(services, PER_SERVICE);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut random = Random::new(2, 2);
            while !stop.load(Ordering::Relaxed) {
                let generation = u8::try_from(random.below(200) + 1).unwrap_or(1);
                driver.apply(mk_slice(random.below(services), PER_SERVICE, generation));
                driver.publish();
            }
        }
    });
    answer(bencher, reader, &questions(services).0);
    stop.store(true, Ordering::Relaxed);
    let _ = writer.join();
}

/// From a changed slice to its packed form in the index, in a cluster of 10,000 services.
#[divan::bench(args = [10, 100, 1000])]
fn apply_a_slice(bencher: Bencher<'_, '_>, endpoints: usize) {
    let (mut driver, _reader) = mk_cluster(10_000, PER_SERVICE);
    let mut generation = 0_u8;
    bencher
        .with_inputs(|| {
            generation = generation.wrapping_add(1);
            mk_slice(7, endpoints, generation)
        })
        .bench_local_values(|slice| driver.apply(slice));
}

/// From a changed slice to the answer: apply, records, encode, publish.
#[divan::bench(args = [10, 100, 1000])]
fn publish_a_change(bencher: Bencher<'_, '_>, endpoints: usize) {
    let (mut driver, _reader) = mk_cluster(10_000, PER_SERVICE);
    let mut generation = 0_u8;
    bencher
        .with_inputs(|| {
            generation = generation.wrapping_add(1);
            mk_slice(7, endpoints, generation)
        })
        .bench_local_values(|slice| {
            driver.apply(slice);
            driver.publish()
        });
}

/// Everything anew: 1,000 services of 10.
#[divan::bench(sample_count = 20)]
fn build_1000_services(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| mk_cluster(1000, PER_SERVICE));
}
