//! `rollcall records` against `rollcall serve`: the same records, no more and no less.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::asking::ask;
use super::manifests::{documents, external, nginx, service_with, text};
use super::process::{Process, run};

const TYPES: [&str; 9] = ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

/// Services of every shape; the name server has an address, for that of a server depends on where it listens.
fn cluster(folder: &Path) -> (PathBuf, PathBuf) {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: db-x, namespace: shop, labels: {kubernetes.io/service-name: db}}\naddressType: IPv4\nports: [{name: sql, port: 5432}, {port: 9000}]\nendpoints:\n- {addresses: [10.9.0.1], hostname: db-0}\n- {addresses: [10.9.0.2]}\n- {addresses: [10.9.0.3], hostname: db-2, conditions: {ready: false}}\n";
    let db = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop, annotations: {rollcall/ttl: '30'}}\nspec: {clusterIP: None, ports: [{name: sql, port: 5432}]}\n";
    let manifests = folder.join("web.yaml");
    let all = [
        nginx(3),
        service_with(
            "front",
            "{selector: {app: nginx}, ipFamilyPolicy: PreferDualStack, ports: [{name: http, port: 80}, {name: https, port: 443}]}",
        ),
        service_with("plain", "{clusterIP: 10.96.7.7, ports: [{port: 80}]}"),
        service_with("down", "{clusterIP: None, ports: [{name: web, port: 80}]}"),
        external("ext", "www.example.org"),
        db.into(),
        slice.into(),
    ];
    std::fs::write(&manifests, documents(&all)).unwrap();
    let config = folder.join("rollcall.toml");
    std::fs::write(&config, "ns = ['ns.dns.cluster.local=10.96.0.10,fd00::10']\n[ttl]\npositive = 7\n")
        .unwrap();
    (manifests, config)
}

/// Owner and type to the records, each as `owner ttl IN type data`, without the serial, which is of the moment.
type Sets = BTreeMap<(String, String), BTreeSet<String>>;

fn sets<'l>(lines: impl Iterator<Item = &'l str>) -> Sets {
    let mut sets = Sets::new();
    for line in lines {
        let mut fields: Vec<&str> = line.split(['\t', ' ']).collect();
        assert!(fields.len() >= 5 && fields[2] == "IN", "not a record: {line}");
        if fields[3] == "SOA" {
            fields[6] = "SERIAL";
        }
        let key = (fields[0].to_owned(), fields[3].to_owned());
        assert!(sets.entry(key).or_default().insert(fields.join(" ")), "twice: {line}");
    }
    sets
}

fn printed(args: &[&str]) -> Sets {
    let finished = run(args);
    assert_eq!((finished.code, finished.err.as_str()), (0, ""), "{args:?}");
    sets(finished.out.lines())
}

/// Each printed set is the answer to its question; at the printed names nothing else is answered.
fn assert_served(server: SocketAddr, printed: &Sets) {
    let owners: BTreeSet<&String> = printed.keys().map(|(owner, _)| owner).collect();
    for owner in owners {
        let alias = printed.get(&(owner.clone(), "CNAME".into()));
        for rtype in TYPES {
            let reply = ask(server, &format!("+tcp -t {rtype} {owner}"));
            assert_eq!(reply.status, "NOERROR", "{owner} {rtype}");
            let answered = sets(reply.sections[0].iter().map(String::as_str));
            let wanted = alias.or_else(|| printed.get(&(owner.clone(), rtype.into())));
            let empty = BTreeSet::new();
            let answered: BTreeSet<String> = answered.into_values().flatten().collect();
            assert_eq!(&answered, wanted.unwrap_or(&empty), "{owner} {rtype}");
        }
    }
}

#[test]
fn every_printed_record_is_answered_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, config) = cluster(folder.path());
    let source = ["--manifests", text(&manifests), "--config", text(&config)];
    let printed = printed(&[["records"].as_slice(), &source].concat());
    let process = Process::serve(&source);
    let server = process.address();
    assert_served(server, &printed);
    for owner in [
        "cluster.local.",
        "dns-version.cluster.local.",
        "ns.dns.cluster.local.",
        "ext.default.svc.cluster.local.",
    ] {
        assert!(printed.keys().any(|(printed, _)| printed == owner), "{owner} is not printed");
    }

    // Names that one might ask for beside those that are printed: asked, answered only if printed.
    let services = [
        "nginx.default",
        "front.default",
        "plain.default",
        "down.default",
        "ext.default",
        "db.shop",
        "none.shop",
    ];
    let hosts = ["", "web-0.", "web-2.", "web-3.", "db-0.", "db-2.", "10-9-0-1.", "10-9-0-2.", "10-244-0-2."];
    let ports = [
        "",
        "_web._tcp.",
        "_http._tcp.",
        "_https._tcp.",
        "_sql._tcp.",
        "_sql._udp.",
        "_web._udp.",
        "sql.tcp.",
    ];
    for service in services {
        for host in hosts {
            for port in ports {
                let owner = format!("{port}{host}{service}.svc.cluster.local.");
                for rtype in ["A", "AAAA", "SRV"] {
                    let reply = ask(server, &format!("+tcp -t {rtype} {owner}"));
                    let is_printed = printed.contains_key(&(owner.clone(), rtype.into()))
                        || printed.contains_key(&(owner.clone(), "CNAME".into()));
                    assert_eq!(
                        !reply.sections[0].is_empty(),
                        is_printed,
                        "{owner} {rtype}: {:?}",
                        reply.lines()
                    );
                }
            }
        }
    }
}

#[test]
fn the_targets_of_what_is_printed_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, config) = cluster(folder.path());
    let printed = printed(&["records", "--manifests", text(&manifests), "--config", text(&config)]);
    for ((owner, rtype), records) in printed.iter().filter(|((_, rtype), _)| rtype == "SRV" || rtype == "NS")
    {
        for record in records {
            let target = record.split(' ').next_back().unwrap();
            let has = |rtype: &str| printed.contains_key(&(target.to_owned(), rtype.into()));
            assert!(has("A") || has("AAAA"), "{owner} {rtype}: no address of {target}");
        }
    }
}

#[test]
fn the_reverse_zones_are_answered_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, config) = cluster(folder.path());
    let source = ["--manifests", text(&manifests), "--config", text(&config)];
    let forward = printed(&[["records"].as_slice(), &source].concat());
    let reverse = printed(&[["records", "--reverse"].as_slice(), &source].concat());
    let process = Process::serve(&source);
    assert_served(process.address(), &reverse);
    for (owner, _) in reverse.keys() {
        assert!(owner.ends_with(".arpa."), "{owner}");
    }
    // There and back: the addresses of an endpoint or Service are those that its name has.
    for ((owner, rtype), records) in reverse.iter().filter(|((_, rtype), _)| rtype == "PTR") {
        for record in records {
            let target = record.split(' ').next_back().unwrap();
            let back = |rtype: &str| forward.contains_key(&(target.to_owned(), rtype.into()));
            assert!(back("A") || back("AAAA"), "{owner} {rtype} {target} has no address");
        }
    }
    let count = |rtype: &str| {
        let of_type = forward.iter().filter(|((_, t), _)| t == rtype).map(|(_, records)| records);
        of_type
            .flatten()
            .filter_map(|record| record.split(' ').next_back().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    // Without the name server's two.
    let addresses = count("A").len() + count("AAAA").len() - 2;
    assert_eq!(reverse.keys().filter(|(_, rtype)| rtype == "PTR").count(), addresses);
}

#[test]
fn the_zone_and_the_filters_hold_for_the_print() {
    let folder = tempfile::tempdir().unwrap();
    let (manifests, _) = cluster(folder.path());
    let args = ["records", "--manifests", text(&manifests), "--zone", "k8s.test", "-n", "shop"];
    let finished = run(&args);
    assert_eq!(finished.code, 0, "{}", finished.err);
    assert!(finished.out.lines().all(|line| line.contains("k8s.test.")), "{}", finished.out);
    assert!(
        finished.out.contains("db.shop.svc.k8s.test.") && !finished.out.contains("nginx"),
        "{}",
        finished.out
    );
}

#[test]
fn the_apex_that_is_printed_resolves() {
    // Without `ns`, as the help says it: `records > zone && named-checkzone cluster.local zone`, which refuses a name
    // server of the zone without an address.
    let folder = tempfile::tempdir().unwrap();
    let (manifests, _) = cluster(folder.path());
    let printed = printed(&["records", "--manifests", text(&manifests)]);
    let servers = &printed[&("cluster.local.".to_owned(), "NS".to_owned())];
    for server in servers.iter().map(|record| record.split(' ').next_back().unwrap().to_owned()) {
        let has = |rtype: &str| printed.contains_key(&(server.clone(), rtype.into()));
        assert!(has("A") || has("AAAA"), "{server} has no address");
    }
}

#[test]
fn problems_of_the_input_go_to_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, documents(&[nginx(1), service_with("bad", "{clusterIP: x}")])).unwrap();
    let finished = run(&["records", "--manifests", text(&path)]);
    assert_eq!(finished.code, 0);
    assert!(
        finished.err.contains("document 3") && finished.err.contains("spec.clusterIP"),
        "{}",
        finished.err
    );
    assert!(sets(finished.out.lines()).keys().any(|(owner, _)| owner.starts_with("web-0.")));
}
