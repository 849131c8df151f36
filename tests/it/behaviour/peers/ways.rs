//! The same peers, however they are learned.

use std::time::{Duration, Instant};

use super::relay::Relay;
use super::{Cluster, Follower, PATIENCE, PUSH, hosts, in_time, of_service, words};
use crate::behaviour::asking::until_addresses;
use crate::behaviour::manifests::{NGINX, documents, endpoints, external, nginx, service_with, stateful};

/// The service with addresses of both families.
fn dual(replicas: u32) -> String {
    nginx(replicas).replace(
        "clusterIP: None,",
        "clusterIP: None, ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack,",
    )
}

/// Scaled up and down, and to nobody, who is told of once the server says so.
fn follows_every_change(cluster: &Cluster, follower: &mut Follower, way: &str) {
    let start = follower.next();
    assert_eq!((start["event"].as_str(), start["way"].as_str()), (Some("start"), Some(way)), "{start:#?}");
    assert_eq!((hosts(&start), &start["expected"]), (vec!["web-0", "web-1"], &2.into()));
    let peer = &start["peers"][0];
    assert_eq!((&peer["ordinal"], &peer["ports"][0], &peer["ready"]), (&0.into(), &80.into(), &true.into()));
    assert_eq!(
        (&peer["self"], peer["addresses"].as_array().unwrap().len()),
        (&true.into(), 2),
        "both families"
    );
    assert_eq!(peer["name"], "web-0.nginx.default.svc.cluster.local");
    assert!(start["stale"].is_null() && words(&start, "added") == ["web-0", "web-1"], "{start:#?}");
    cluster.apply(&dual(12));
    let hosts_of_12: Vec<String> = (0..12).map(|ordinal| format!("web-{ordinal}")).collect();
    let change = follower.until(|event| hosts(event) == hosts_of_12);
    assert_eq!((change["event"].as_str(), &change["expected"]), (Some("change"), &12.into()), "{change:#?}");
    cluster.scale(1);
    let change = follower.until_hosts(&["web-0"]);
    assert_eq!(words(&change, "removed").last().map(String::as_str), Some("web-11"));
    follower.never_empty();
    cluster.scale(0);
    let change = follower.until_hosts(&[]);
    assert!(words(&change, "removed") == ["web-0"] && change["stale"].is_null(), "{change:#?}");
    cluster.scale(1);
    follower.until_hosts(&["web-0"]);
    assert!(follower.seen.iter().all(|event| event["way"] == way && event["stale"].is_null()));
}

#[test]
fn by_push_over_tcp() {
    let cluster = Cluster::new(0, PUSH);
    cluster.apply(&dual(2));
    until_addresses(cluster.address, NGINX, 2);
    let mut follower = Follower::start(&cluster.server(), &[]);
    follows_every_change(&cluster, &mut follower, "push");
    assert_eq!(follower.terminate(), 0);
}

#[test]
fn by_the_serial_where_there_is_no_push() {
    let cluster = Cluster::new(0, "");
    cluster.apply(&dual(2));
    until_addresses(cluster.address, NGINX, 2);
    let mut follower = Follower::start(&cluster.server(), &["--interval", "100ms"]);
    follows_every_change(&cluster, &mut follower, "serial");
    // A server of push that has none is asked as any other.
    cluster.apply(&dual(2));
    until_addresses(cluster.address, NGINX, 2);
    let server = format!("push+tcp://{}", cluster.address);
    let mut follower = Follower::start(&server, &["--interval", "100ms"]);
    follows_every_change(&cluster, &mut follower, "serial");
}

#[test]
fn by_polling_where_there_is_no_tcp() {
    let cluster = Cluster::new(2, "");
    let relay = Relay::start(cluster.address);
    let mut follower = Follower::start(&relay.address.to_string(), &["--interval", "100ms"]);
    let start = follower.next();
    assert_eq!((start["way"].as_str(), hosts(&start)), (Some("poll"), vec!["web-0", "web-1"]));
    // While the serial stands, one question is asked a time, and not four and more.
    let before = relay.asked();
    follower.hears_nothing();
    let asked = relay.asked() - before;
    assert!((1..=31).contains(&asked), "{asked} questions in 1.5 s, each 50 ms at least after the other");
    cluster.scale(3);
    follower.until_hosts(&["web-0", "web-1", "web-2"]);
    cluster.scale(0);
    follower.until_hosts(&[]);
}

#[test]
fn addresses_that_change_are_told_and_the_servers_in_their_order() {
    let cluster = Cluster::new(2, PUSH);
    // The first does not answer: the second is asked.
    let mut follower = Follower::start("push+tcp://127.0.0.1:1", &["--server", &cluster.server()]);
    let start = follower.next();
    let server = start["server"].as_str().unwrap();
    assert!(start["way"] == "push" && server == cluster.server(), "{start:#?}");
    // The same host with another address: as a pod that was made anew.
    let slice = |address: &str| {
        let spec = "{clusterIP: None, ports: [{name: web, port: 80}]}";
        let metadata = "{name: nginx-a, labels: {kubernetes.io/service-name: nginx}}";
        let endpoint = format!("{{addresses: [{address}], hostname: web-0, conditions: {{ready: true}}}}");
        let slice = format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {metadata}\naddressType: IPv4\n\
             ports: [{{name: web, port: 80}}]\nendpoints:\n- {endpoint}\n"
        );
        documents(&[service_with("nginx", spec), slice])
    };
    cluster.apply(&slice("10.1.0.1"));
    follower.until(|event| event["peers"][0]["addresses"] == serde_json::json!(["10.1.0.1"]));
    cluster.apply(&slice("10.1.0.2"));
    let change = follower.next();
    assert_eq!((words(&change, "changed"), hosts(&change)), (vec!["web-0".to_owned()], vec!["web-0"]));
    assert_eq!(change["peers"][0]["addresses"], serde_json::json!(["10.1.0.2"]));
    assert!(change["expected"].is_null(), "the set is gone, and with it who says how many");
}

/// Each has the other's address from one moment on: no address and no name of the service came or went.
#[test]
fn two_that_exchange_their_addresses_are_told() {
    for ports in ["[{name: web, port: 80}]", "[]"] {
        let cluster = Cluster::new(0, PUSH);
        let slice = |addresses: [&str; 2]| {
            let spec = format!("{{clusterIP: None, ports: {ports}}}");
            let metadata = "{name: nginx-a, labels: {kubernetes.io/service-name: nginx}}";
            let endpoint = |(ordinal, address): (usize, &str)| {
                format!(
                    "- {{addresses: [{address}], hostname: web-{ordinal}, conditions: {{ready: true}}}}\n"
                )
            };
            let endpoints: String = addresses.into_iter().enumerate().map(endpoint).collect();
            let slice = format!(
                "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {metadata}\n\
                 addressType: IPv4\nports: {ports}\nendpoints:\n{endpoints}"
            );
            documents(&[service_with("nginx", &spec), slice])
        };
        let both = ["10.1.0.1", "10.1.0.2"];
        cluster.apply(&slice(both));
        let mut follower = Follower::start(&cluster.server(), &[]);
        let start = follower.until_hosts(&["web-0", "web-1"]);
        assert_eq!(start["peers"][0]["addresses"], serde_json::json!([both[0]]), "{start:#?}");
        // It subscribes to their names behind the first list: until then an exchange is one of many.
        let (begun, mut change) = (Instant::now(), None);
        for addresses in [[both[1], both[0]], both].into_iter().cycle() {
            cluster.apply(&slice(addresses));
            change = follower.events_rx.recv_timeout(Duration::from_secs(2)).ok();
            if change.is_some() || begun.elapsed() > PATIENCE {
                break;
            }
        }
        let change = change.expect("a change");
        let words = (change["event"].as_str(), change["way"].as_str(), words(&change, "changed"));
        assert_eq!(
            words,
            (Some("change"), Some("push"), vec!["web-0".into(), "web-1".into()]),
            "{change:#?}"
        );
        let of = |index: usize| change["peers"][index]["addresses"].as_array().unwrap().clone();
        assert!(of(0).len() == 1 && of(1).len() == 1 && of(0) != of(1), "{change:#?}");
    }
}

#[test]
fn a_service_without_ports_has_peers_with_names() {
    let cluster = Cluster::new(0, PUSH);
    let portless = nginx(3).replace(", ports: [{name: web, port: 80}]", "");
    assert!(!portless.contains("port"));
    cluster.apply(&portless);
    for server in [cluster.server(), cluster.address.to_string()] {
        let mut follower = Follower::start(&server, &["--interval", "100ms"]);
        let event = follower.until_hosts(&["web-0", "web-1", "web-2"]);
        assert_eq!(event["peers"][2]["ports"], serde_json::json!([]));
        assert_eq!(event["peers"][2]["addresses"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn more_peers_than_a_message_holds() {
    let cluster = Cluster::new(0, PUSH);
    // 1500 SRV records are more than 64 KiB; the peers have no host names but their addresses'.
    cluster.apply(&endpoints("nginx", 1500));
    for server in [cluster.server(), cluster.address.to_string()] {
        let mut follower = Follower::start(&server, &["--interval", "500ms"]);
        let event = follower.until(|event| hosts(event).len() == 1500);
        let first = &event["peers"].as_array().unwrap()[0];
        assert_eq!(first["addresses"].as_array().unwrap().len(), 1, "{first:#?}");
    }
}

#[test]
fn what_happens_to_another_service_is_not_told() {
    let cluster = Cluster::new(1, PUSH);
    cluster.apply(&documents(&[nginx(1), stateful("db", "db", 2)]));
    let mut follower = Follower::spawn(&mut of_service("db", &cluster.server(), &[]));
    follower.until_hosts(&["db-0", "db-1"]);
    cluster.apply(&documents(&[nginx(3), stateful("db", "db", 2)]));
    follower.hears_nothing();
}

#[test]
fn an_alias_has_no_peers_and_that_is_said() {
    let cluster = Cluster::new(1, PUSH);
    cluster.apply(&documents(&[nginx(1), external("other", "nginx.default.svc.cluster.local")]));
    until_addresses(cluster.address, "other.default.svc.cluster.local", 1);
    for server in [cluster.server(), cluster.address.to_string()] {
        let why = "is an alias (ExternalName)";
        let finished = in_time(|| of_service("other", &server, &[]), |finished| finished.err.contains(why));
        assert_eq!((finished.code, finished.out.as_str()), (1, ""), "{}", finished.err);
        assert!(finished.err.contains(why), "{}", finished.err);
    }
}

#[cfg(all(feature = "tls", feature = "https", feature = "quic"))]
mod over_tls {
    use std::net::TcpListener;

    use super::*;
    use crate::behaviour::encrypted::certificates::{Authority, NAME};
    use crate::behaviour::manifests::{replace, text};
    use crate::behaviour::process::{Process, rollcall};

    /// The Service that the zone names as the server of push, on loopback.
    const PUSHING: &str = "push.default.svc.cluster.local";

    #[test]
    fn by_push_where_the_zone_says_or_the_flag() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let authority = Authority::new();
        authority.issue_for(&[NAME, PUSHING]).write(folder.path());
        std::fs::write(path("ca.crt"), authority.pem()).unwrap();
        std::fs::write(path("other.crt"), Authority::new().pem()).unwrap();
        let manifests = |replicas| {
            documents(&[
                nginx(replicas),
                service_with("push", "{clusterIP: 127.0.0.1, ports: [{port: 853}]}"),
            ])
        };
        std::fs::create_dir(path("manifests")).unwrap();
        std::fs::write(path("manifests/web.yaml"), manifests(2)).unwrap();
        // The SRV record names a port that the kernel would choose too late.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "listen = ['127.0.0.1:0', 'tls://127.0.0.1:{port}']\n[push]\nname = '{PUSHING}'\nport = {port}\n\
             [tls]\ncertificate = 'tls.crt'\nkey = 'tls.key'\n"
        );
        std::fs::write(path("rollcall.toml"), config).unwrap();
        let (config, folder_of_manifests) = (path("rollcall.toml"), path("manifests"));
        let args = ["serve", "--config", text(&config), "--manifests", text(&folder_of_manifests)];
        let mut process = Process::spawn(&mut rollcall(&args), std::process::Stdio::null());
        process.wait_for_line("ready", |line| line == "ready");
        let plain = process.address().to_string();
        let (ca, other) = (path("ca.crt"), path("other.crt"));

        let mut found = Follower::start(&plain, &["--tls-ca", text(&ca)]);
        let named = format!("tls://127.0.0.1:{port}#{NAME}");
        let mut given = Follower::start(&named, &["--tls-ca", text(&ca)]);
        for (follower, name) in [(&mut found, PUSHING), (&mut given, NAME)] {
            let start = follower.next();
            assert_eq!((start["way"].as_str(), hosts(&start).len()), (Some("push"), 2), "{start:#?}");
            assert_eq!(start["server"], format!("tls://127.0.0.1:{port}#{name}"));
        }
        // Who trusts another authority asks over plain TCP, or nobody.
        let mut wary = Follower::start(&plain, &["--tls-ca", text(&other)]);
        assert_eq!(wary.next()["way"], "serial");
        let mut nobody = Follower::start(&named, &["--tls-ca", text(&other)]);
        replace(&path("manifests/web.yaml"), &manifests(3));
        for follower in [&mut found, &mut given] {
            let change = follower.until_hosts(&["web-0", "web-1", "web-2"]);
            assert_eq!(change["way"], "push");
        }
        nobody.hears_nothing();
    }
}
