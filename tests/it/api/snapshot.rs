//! `--snapshot`: served at a start without an API server, replaced when it answers, refused when it is not whole.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rollcall::cluster::Index;
use rollcall::model::{
    Endpoint, EndpointSlice, Label, Object, PodReference, Port, Protocol, Service, ServiceKey, ServiceShape,
    TtlOverrides,
};
use rollcall::source::snapshot::{self, Identity, Image, State};

use super::fake::{Answer, Api};
use super::objects::{NAMESPACES, SERVICES, SETS, SLICES, name};
use super::program::{Program, until};
use crate::support::exchange::Client;
use crate::support::query::Query;
use crate::support::reply::Reply;

/// Written as often as can be.
const OFTEN: (&str, &str) = ("ROLLCALL_SNAPSHOT_INTERVAL", "1");

/// A folder with a place for a snapshot.
pub(super) fn mk_place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kept");
    (folder, path)
}

pub(super) fn flag(path: &Path) -> [&str; 2] {
    ["--snapshot", path.to_str().unwrap()]
}

/// An API server at an address of its own: while it is away nobody else is given its port.
fn mk_api() -> Api {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    Api::start_at(SocketAddr::from(([127, 0, 90, last], 0)))
}

/// A snapshot of a cluster with the service `a` at 10.0.0.1, and the address of its API server, which is gone.
pub(super) fn mk_snapshot(path: &Path) -> SocketAddr {
    let api = mk_api();
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &flag(path), &[]);
    until("the first snapshot", || path.exists());
    program.signal("TERM");
    program.signal("TERM");
    assert_eq!(program.end(), 0);
    api.address
}

#[test]
fn it_is_served_without_an_api_server_and_replaced_when_that_answers() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut program = Program::start_before(address, &flag(&path), &[]);
    program.wait_until_ready();
    let a = name("default", "a");
    assert_eq!(program.addresses(&a), "10.0.0.1");
    assert_eq!(program.addresses("web-0.a.default.svc.cluster.local"), "10.0.0.1");
    // All of the cluster is known: what is not in it is denied.
    assert_eq!(program.status(&name("default", "b")), "NXDOMAIN");
    assert_eq!(program.ask("-x 10.0.0.1").status, "NOERROR");
    program.until_readyz(200, &["degraded", "served from a snapshot of 20", "Services", "refused"]);
    let steady = program.steady(&a, "10.0.0.1");
    // It returns, with another cluster than before; half of its lists at first.
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    api.always(SLICES, Answer::status(503, "ServiceUnavailable"));
    program.wait_for(&["Services listed"]);
    program.until_readyz(200, &["degraded", "served from a snapshot of 20", "EndpointSlices"]);
    steady.held();
    api.put_service("a", &["10.0.0.2"]);
    api.put_service("b", &["10.0.0.3"]);
    api.rule(SLICES, |_| None);
    program.until_addresses(&a, "10.0.0.2");
    program.until_addresses(&name("default", "b"), "10.0.0.3");
    program.until_readyz(200, &["ok"]);
    assert!(!program.readyz().1.contains("snapshot"));
    program.is_well();
}

#[test]
fn changes_are_written_while_it_runs() {
    let (_folder, path) = mk_place();
    let api = mk_api();
    api.put_service("a", &["10.0.0.1"]);
    let program = Program::ready(&api, &flag(&path), &[OFTEN]);
    until("the first snapshot", || path.exists());
    api.put_service("b", &["10.0.0.2"]);
    program.until_addresses(&name("default", "b"), "10.0.0.2");
    until("a snapshot with b", || fs::read(&path).unwrap().windows(9).any(|octets| octets == b"default/b"));
    // Killed, not stopped.
    drop(program);
    let address = api.address;
    drop(api);
    let mut program = Program::start_before(address, &flag(&path), &[]);
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "b")), "10.0.0.2");
}

/// The file with other octets in the place of these, under a checksum that fits them: as none of ours writes it.
fn forge(path: &Path, from: &[u8], to: &[u8]) {
    let mut octets = fs::read(path).unwrap();
    octets.truncate(octets.len() - 4);
    let at = octets.windows(from.len()).position(|octets| octets == from).unwrap();
    octets.splice(at..at + from.len(), to.iter().copied());
    octets.extend(crc32fast::hash(&octets).to_le_bytes());
    fs::write(path, octets).unwrap();
}

#[test]
fn the_zone_is_served_before_its_cluster_is_read_and_not_without_it() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    // The name of its slice: the objects behind the zone are not what they were, and the zone is.
    forge(&path, b"default/a", b"default a");
    let mut program = Program::start_before(address, &flag(&path), &[]);
    program.wait_for(&["not served any longer", "a name is none"]);
    let a = name("default", "a");
    until("SERVFAIL", || program.status(&a) == "SERVFAIL");
    program.until_readyz(503, &[]);
    // As after a start without a snapshot.
    let api = Api::start_at(address);
    api.put_service("b", &["10.0.0.3"]);
    program.until_addresses(&name("default", "b"), "10.0.0.3");
    assert_eq!(program.status(&a), "NXDOMAIN");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn records_are_made_of_the_objects_where_the_zone_is_of_no_use() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    let served = |variables: &[(&str, &str)], words: &str| {
        let mut program = Program::start_before(address, &flag(&path), variables);
        program.wait_until_ready();
        assert!(program.printed().contains(words), "not said: {words}");
        assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
        assert_eq!(program.ask("-x 10.0.0.1").status, "NOERROR");
        program.is_well();
    };
    served(&[("ROLLCALL_TTL_POSITIVE", "17")], "under other settings");
    // The labels of its only service.
    forge(&path, b"\x01a\x07default", b"\x01A\x07default");
    served(&[], "the records of a service do not fit together");
}

#[test]
fn what_is_not_whole_or_of_another_cluster_is_refused_with_a_reason() {
    let (folder, path) = mk_place();
    let address = mk_snapshot(&path);
    let good = fs::read(&path).unwrap();
    let changed = |at: usize| {
        let mut octets = good.clone();
        octets[at] ^= 0x10;
        octets
    };
    let cases = [
        (good[..good.len() - 1].to_vec(), "octets and should have"),
        (good[..good.len() / 2].to_vec(), "octets and should have"),
        (changed(good.len() / 2), "its checksum is wrong"),
        (changed(8), "its checksum is wrong"),
        (b"apiVersion: v1\n".to_vec(), "it does not begin as a snapshot"),
        (Vec::new(), "it does not begin as a snapshot"),
    ];
    for (octets, why) in cases {
        fs::write(&path, octets).unwrap();
        let mut program = Program::start_before(address, &flag(&path), &[]);
        let said = program.printed();
        assert!(said.contains("kept") && said.contains(why), "{why} is not in:\n{said}");
        program.until_readyz(503, &["not synchronised"]);
        assert_eq!(program.status(&name("default", "a")), "SERVFAIL");
    }
    fs::write(&path, &good).unwrap();
    let mut program = Program::start_before("127.0.0.1:1".parse().unwrap(), &flag(&path), &[]);
    let said = program.printed();
    assert!(said.contains("its API server is http://127.0.90.") && said.contains("here it is"), "{said}");
    let other = [("ROLLCALL_SOURCE_NAMESPACES", "default")];
    let mut program = Program::start_before(address, &flag(&path), &other);
    let said = program.printed();
    assert!(said.contains("its list of namespaces is all, here it is default"), "{said}");
    drop(folder);
}

/// The seconds since 1970 until which it is said to be right, as postcard writes them behind the time of writing.
fn aged(path: &Path, seconds: u64) {
    let mut octets = fs::read(path).unwrap();
    let varint = |mut number: u64| {
        let mut octets = Vec::new();
        while number > 127 {
            octets.push(number.to_le_bytes()[0] | 128);
            number >>= 7;
        }
        octets.push(number.to_le_bytes()[0]);
        octets
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for before in now - 60..=now {
        let (old, new) = (varint(before), varint(before - seconds));
        while let Some(at) = octets.windows(5).position(|window| window == old) {
            octets.splice(at..at + 5, new.iter().copied());
        }
    }
    octets.truncate(octets.len() - 4);
    let checksum = crc32fast::hash(&octets);
    octets.extend(checksum.to_le_bytes());
    fs::write(path, octets).unwrap();
}

#[test]
fn it_ages_while_nothing_runs_and_is_not_served_past_its_age() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    aged(&path, 7200);
    let long = [("ROLLCALL_TTL_POSITIVE", "600"), ("ROLLCALL_TTL_NEGATIVE", "600")];
    let mut program = Program::start_before(address, &flag(&path), &long);
    program.wait_until_ready();
    let body = program.until_readyz(200, &["degraded", "known to be right 72"]);
    assert!(body.contains("snapshot of 20"), "{body}");
    // Two hours are past the grace: nothing of it is to be remembered for long, a denial neither.
    let answer = program.ask(&format!("-t A {}", name("default", "a")));
    assert!(answer.sections[0][0].contains(" 30 IN A "), "{:?}", answer.sections);
    let denial = program.ask(&format!("-t A {}", name("default", "b")));
    assert!(denial.sections[1][0].contains(" 30 IN SOA "), "{:?}", denial.sections);
    drop(program);
    let short = [("ROLLCALL_STALE_MAX_AGE", "3600")];
    let mut program = Program::start_before(address, &flag(&path), &short);
    let said = program.printed();
    assert!(said.contains("is not served") && said.contains("stale.max_age (3600 s)"), "{said}");
    assert_eq!(program.status(&name("default", "a")), "SERVFAIL");
}

#[test]
fn past_its_age_it_is_servfail_until_the_api_server_answers() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    aged(&path, 3600);
    let mut program = Program::start_before(address, &flag(&path), &[("ROLLCALL_STALE_MAX_AGE", "3608")]);
    program.wait_until_ready();
    let a = name("default", "a");
    program.until_readyz(503, &["expired", "stale.max_age", "snapshot of 20"]);
    let reply = program.ask(&format!("-t A {a}"));
    assert_eq!((reply.status.as_str(), reply.ede[0].0), ("SERVFAIL", 24));
    assert_eq!(program.status(&name("default", "b")), "SERVFAIL", "nothing is denied either");
    assert_eq!(program.ask("-x 10.0.0.1").status, "SERVFAIL");
    assert_eq!(super::http::probe(program.admin, "/livez"), (200, "ok\n".into()));
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    program.until_addresses(&a, "10.0.0.1");
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

/// A folder in the way of the new file: what a full disk or one that is read-only does, also to root.
#[test]
fn what_cannot_be_written_is_said_once_and_stops_nothing() {
    let (_folder, path) = mk_place();
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    let in_the_way = path.with_extension("new");
    fs::create_dir(&in_the_way).unwrap();
    let mut program = Program::ready(&api, &flag(&path), &[OFTEN]);
    program.wait_for(&["cannot write the snapshot", "kept"]);
    api.put_service("a", &["10.0.0.2"]);
    program.until_addresses(&name("default", "a"), "10.0.0.2");
    program.until_readyz(200, &["ok"]);
    std::thread::sleep(Duration::from_millis(2500));
    let said = program.printed();
    assert_eq!(said.matches("cannot write the snapshot").count(), 1, "{said}");
    fs::remove_dir(&in_the_way).unwrap();
    program.wait_for(&["the snapshot is written again"]);
    until("the snapshot", || path.exists());
    program.is_well();
}

#[test]
fn a_snapshot_is_no_manifests() {
    let out =
        super::program::rollcall(&["serve", "--manifests", "-", "--snapshot", "kept"]).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && said.contains("--snapshot") && said.contains("--manifests"), "{said}");
    let mut command = super::program::rollcall(&["serve", "--config"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    fs::write(&config, "[snapshot]\npath = 'kept'\n[source]\nmanifests = 'm'\n").unwrap();
    let out = command.arg(&config).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        !out.status.success() && said.contains("snapshot.path: is for an API server's cluster"),
        "{said}"
    );
}

/// Neither a snapshot nor an API server: it runs, and denies nothing, whatever is asked and however.
#[test]
fn without_either_everything_is_servfail() {
    let (_folder, path) = mk_place();
    let [snapshot, path_of_it] = flag(&path);
    let args = [snapshot, path_of_it, "--listen", "[::1]:0"];
    let nobody = "127.0.0.1:1".parse().unwrap();
    let mut program = Program::start_before(nobody, &args, &[("ROLLCALL_PODS", "insecure")]);
    program.until_readyz(503, &["not synchronised", "refused"]);
    let printed = program.printed();
    let v6 = printed.lines().find_map(|line| line.strip_prefix("listening udp+tcp [::1]"));
    let v6: SocketAddr = format!("[::1]{}", v6.unwrap()).parse().unwrap();
    let a = name("default", "a");
    let questions = [
        format!("-t A {a}"),
        format!("-t AAAA {a}"),
        format!("-t SRV _web._tcp.{a}"),
        "-t A 10-0-0-1.default.pod.cluster.local".to_owned(),
        "-x 10.0.0.1".to_owned(),
        "-t PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa".to_owned(),
        "-t SOA cluster.local".to_owned(),
    ];
    for question in &questions {
        let query = Query::parse(&format!("dig {question}")).unwrap();
        for client in [Client::udp(v6), Client::tcp(v6), Client::udp(program.dns), Client::tcp(program.dns)] {
            let reply = client.and_then(|mut client| Reply::read(&client.ask(&query)?)).unwrap();
            assert_eq!((reply.status.as_str(), reply.ede[0].0), ("SERVFAIL", 14), "{question}");
        }
    }
    let outside = program.ask("-t A example.org");
    assert_eq!(outside.status, "REFUSED");
    assert_eq!(super::http::probe(program.admin, "/livez"), (200, "ok\n".into()));
    assert!(!path.exists(), "there is nothing to keep");
    program.is_well();
}

#[test]
fn what_the_account_may_not_see_is_as_it_was_known() {
    let (_folder, path) = mk_place();
    let address = mk_snapshot(&path);
    let api = Api::start_at(address);
    api.put_service("a", &["10.0.0.1"]);
    for path in [SERVICES, SLICES, SETS, NAMESPACES] {
        api.always(path, Answer::status(403, "Forbidden"));
    }
    let mut program = Program::start(&api, &flag(&path), &[]);
    program.wait_until_ready();
    assert_eq!(program.addresses(&name("default", "a")), "10.0.0.1");
    program.until_readyz(200, &["degraded", "403", "snapshot of 20"]);
    program.is_well();
}

/// RFC 1982, section 3.2.
fn is_later(serial: u32, other: u32) -> bool {
    serial != other && serial.wrapping_sub(other) < 1 << 31
}

#[test]
fn the_serial_does_not_go_back_where_the_clock_was_set_back() {
    let (_folder, path) = mk_place();
    let api = mk_api();
    let identity = Identity {
        server: format!("http://{}/", api.address),
        namespaces: None,
        selector: String::new(),
        pods: false,
    };
    // Written a year from now; and so it is right still when the file is.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 365 * 86_400;
    let mut last = u32::try_from(now).unwrap() + 1000;
    let state = State { written: now, fresh: now, complete: None, pods_known: false, serial: last };
    snapshot::write(&path, Image::new(&identity, &state, &mk_index(1), 0)).unwrap();
    for (round, service) in ["a", "b", "c"].into_iter().enumerate() {
        let program = Program::start_before(api.address, &flag(&path), &[OFTEN]);
        let first = program.serial();
        assert!(is_later(first, last), "{first} behind {last}");
        api.put_service(service, &[&format!("10.0.1.{round}")]);
        program.until_addresses(&name("default", service), &format!("10.0.1.{round}"));
        last = program.serial();
        assert!(is_later(last, first), "{last} behind {first}");
        let written = format!("default/{service}").into_bytes();
        until("a snapshot with it", || {
            fs::read(&path).unwrap().windows(written.len()).any(|octets| octets == written)
        });
        // Dropped, it is killed.
    }
}

/// A cluster of services of ten endpoints each.
fn mk_index(services: u32) -> Index {
    let mut index = Index::new();
    for number in 0..services {
        let label = |text: String| Label::new(&text).unwrap();
        let key = ServiceKey {
            namespace: label(format!("team-{}", number % 200)),
            name: label(format!("set-{number}")),
        };
        let endpoint = |replica: u32| {
            let (host, address) = (format!("set-{number}-{replica}"), 0x0a00_0000 + number * 10 + replica);
            let uid = format!("0f9a3a9e-6c1f-4a57-9d0e-{:012x}", number * 10 + replica).into();
            Endpoint {
                addresses: vec![Ipv4Addr::from(address).into()],
                hostname: Some(label(host.clone())),
                pod: Some(PodReference { name: host.into(), uid }),
                ready: true,
                terminating: false,
            }
        };
        let port = Port { name: Some(label("web".into())), protocol: Protocol::Tcp, number: 80 };
        index.apply(Object::Service(Service {
            key: key.clone(),
            shape: ServiceShape::Headless,
            ports: vec![port.clone()],
            ttl: TtlOverrides::default(),
        }));
        index.apply(Object::EndpointSlice(EndpointSlice {
            service: key,
            name: format!("set-{number}-x7k2p").into(),
            ports: vec![port],
            endpoints: (0..10).map(endpoint).collect(),
        }));
    }
    index
}

/// Prints how long it takes: `cargo test --release --test it hundred_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: of a release build, on a machine that does nothing else"]
fn a_hundred_thousand_endpoints_are_served_from_a_snapshot() {
    let (_folder, path) = mk_place();
    let index = mk_index(10_000);
    let identity = Identity {
        server: "http://127.0.0.1:1/".into(),
        namespaces: None,
        selector: String::new(),
        pods: false,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let state = State { written: now, fresh: now, complete: None, pods_known: false, serial: 0 };
    let mut pauses: Vec<Duration> = (0..20)
        .map(|_| {
            let began = Instant::now();
            let image = Image::new(&identity, &state, &index, 8 << 20);
            let pause = began.elapsed();
            snapshot::write(&path, image).unwrap();
            pause
        })
        .collect();
    pauses.sort();
    let octets = fs::metadata(&path).unwrap().len();
    println!(
        "{octets} octets; copied in {:?} to {:?}, half of them within {:?}",
        pauses[0], pauses[19], pauses[10]
    );
    let mut took: Vec<Duration> = (0..11)
        .map(|_| {
            let began = Instant::now();
            let program = Program::start_before("127.0.0.1:1".parse().unwrap(), &flag(&path), &[]);
            assert_eq!(program.addresses("set-9999-7.set-9999.team-199.svc.cluster.local"), "10.1.134.157");
            began.elapsed()
        })
        .collect();
    took.sort();
    println!(
        "from exec to the first answer: {:?} to {:?}, half of them within {:?}",
        took[0], took[10], took[5]
    );
}
