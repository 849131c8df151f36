//! Any octets as a zone that was kept: refused, or every name in it can be asked for and printed, and all of it goes
//! when there is no cluster behind it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollcall::cluster::Index;
use rollcall::run::Driver;
use rollcall::server::{Reply, Responder, Transport};
use rollcall::zone::{self, MasterFile, Part};
use rollcall::{records, wire};

fn driver() -> (Driver, zone::Reader) {
    let zone_name = || wire::Name::from_text("cluster.local").expect("a name");
    let settings = zone::Settings {
        zone: zone_name(),
        ttl: zone::Ttl { positive: 5, negative: 5, expected: 0 },
        order: zone::Order::Ordinal,
        pods: zone::PodNames::Disabled,
        ptr: zone::PtrNames::All,
        reverse: vec!["0.0.0.0/0".parse().expect("a prefix")],
        nameservers: Vec::new(),
        identity: None,
        namespaces: None,
        upstream: false,
        explain: zone::Explain::new(zone::Answers::Full, Vec::new()),
        discovery: None,
        holding: zone::Holding::default(),
    };
    let (publisher, reader) = zone::zone(settings);
    let records = records::Settings { zone: zone_name(), endpoint_pod_names: false };
    (Driver::new(publisher, records), reader)
}

/// The rules, which stand in front of every zone that is kept: no fuzzer finds them.
fn rules() -> Vec<u8> {
    let mut octets = Vec::new();
    driver().0.keep()(&mut octets);
    let length = u32::from_le_bytes(*octets.first_chunk().expect("a length")) as usize;
    octets.truncate(4 + length);
    octets
}

thread_local! {
    static RULES: Vec<u8> = rules();
}

/// A question for a name in presentation form.
fn packet(name: &str, rtype: u16) -> Option<Vec<u8>> {
    let name = wire::Name::from_text(name).ok()?;
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    packet.extend(name.as_wire());
    packet.extend(rtype.to_be_bytes());
    // Class IN; an OPT record, so that reasons are told.
    packet.extend([0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    Some(packet)
}

fuzz_target!(|octets: &[u8]| RULES.with(|rules| {
    let (mut driver, reader) = driver();
    if driver.take_up(&[rules, octets].concat()).is_err() {
        assert_eq!(reader.size(), zone::ZoneSize::default());
        return;
    }
    driver.synchronised();
    let mut text = Vec::new();
    for part in [Part::Cluster, Part::Reverse] {
        MasterFile::new(&reader, part).write(&mut text).expect("into memory");
    }
    let text = String::from_utf8(text).expect("a master file is text");
    let mut responder = Responder::new(reader.clone());
    let mut buffer = vec![0; 65535];
    let names = text.lines().filter_map(|line| line.split_once('\t')).map(|(owner, _)| owner);
    let beside = ["web-0.nginx.default.svc.cluster.local", "nginx.default.svc.cluster.local"];
    for name in names.chain(beside).take(200) {
        // A, SRV, PTR, ANY; the same below it.
        for rtype in [1, 33, 12, 255] {
            for name in [name.to_owned(), format!("web-1.{name}")] {
                let Some(packet) = packet(&name, rtype) else { continue };
                let reply = responder.respond(&packet, Transport::Tcp, &mut buffer);
                assert!(matches!(reply, Reply::Send(_) | Reply::Silence), "{name}: {reply:?}");
            }
        }
    }
    driver.load(Index::new());
    driver.publish();
    assert_eq!(reader.size(), zone::ZoneSize::default(), "something is left");
}));
