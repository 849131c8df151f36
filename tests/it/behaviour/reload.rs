//! SIGHUP: the configuration and the manifests again; a bad configuration changes nothing.

use super::asking::{addresses, ask, data, eventually, query, until_addresses};
use super::manifests::{NGINX, external, nginx, text};
use super::process::Process;
use super::resolver::{Resolver, Says};
use super::tcp::{Connection, framed};

struct Reloaded {
    folder: tempfile::TempDir,
    process: Process,
}

/// Serves [`nginx`] of two replicas with a configuration file.
fn served(toml: &str) -> Reloaded {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.yaml"), nginx(2)).unwrap();
    let config = folder.path().join("rollcall.toml");
    std::fs::write(&config, toml).unwrap();
    let process =
        Process::serve(&["--config", text(&config), "--manifests", text(&folder.path().join("web.yaml"))]);
    Reloaded { folder, process }
}

impl Reloaded {
    /// Writes another configuration and sends SIGHUP.
    fn hangup_with(&self, toml: &str) {
        std::fs::write(self.folder.path().join("rollcall.toml"), toml).unwrap();
        self.process.signal("HUP");
    }

    /// The TTL of the first record of an answer, or of the SOA of a negative one.
    fn ttl(&self, line: &str) -> String {
        let reply = ask(self.process.address(), line);
        let record = reply.sections.iter().flatten().next().unwrap_or_else(|| panic!("{:?}", reply.lines()));
        record.split(' ').nth(1).unwrap().to_owned()
    }

    fn until_ttl(&self, line: &str, ttl: &str) {
        eventually(&format!("a TTL of {ttl} for {line}"), || {
            let now = self.ttl(line);
            if now == ttl { Ok(()) } else { Err(now) }
        });
    }
}

#[test]
fn a_changed_ttl_is_taken_over() {
    let served = served("[ttl]\npositive = 11\nnegative = 12\n");
    let positive = format!("-t A {NGINX}");
    let negative = "-t A missing.default.svc.cluster.local";
    assert_eq!((served.ttl(&positive), served.ttl(negative)), ("11".into(), "12".into()));
    let before = addresses(served.process.address(), NGINX);
    served.hangup_with("[ttl]\npositive = 21\nnegative = 22\n");
    served.until_ttl(&positive, "21");
    served.until_ttl(negative, "22");
    for line in [
        format!("-t SRV {NGINX}"),
        format!("-t A web-0.{NGINX}"),
        "-t SOA cluster.local".into(),
        "-t NS cluster.local".into(),
        "-t TXT dns-version.cluster.local".into(),
    ] {
        served.until_ttl(&line, "21");
    }
    assert_eq!(addresses(served.process.address(), NGINX), before, "addresses are kept over SIGHUP");
    // And back to the default.
    served.hangup_with("");
    served.until_ttl(&positive, "5");
}

#[test]
fn order_pods_and_reverse_prefixes_are_taken_over() {
    let served = served("");
    let server = served.process.address();
    let until_status = |line: &str, status: &str| {
        eventually(&format!("{status} for {line}"), || {
            let now = ask(server, line).status;
            if now == status { Ok(()) } else { Err(now) }
        });
    };
    let pod = "-t A 10-1-2-3.default.pod.cluster.local";
    assert_eq!(ask(server, pod).status, "NXDOMAIN");
    assert_eq!(ask(server, "-x 203.0.113.5").status, "REFUSED");
    served.hangup_with("order = 'ordinal'\npods = 'insecure'\nreverse = ['203.0.113.0/24']\n");
    until_status(pod, "NOERROR");
    until_status("-x 203.0.113.5", "NXDOMAIN");
    let order = || ask(server, &format!("-t A {NGINX}")).sections[0].clone();
    let first = order();
    for _ in 0..4 {
        assert_eq!(order(), first, "by ordinal, and always the same");
    }
}

#[test]
fn a_bad_configuration_keeps_the_old_one_and_is_said() {
    let mut served = served("[ttl]\npositive = 11\n");
    let line = format!("-t A {NGINX}");
    for (toml, words) in [
        ("[ttl]\npositive = 3601\n", ["ttl.positive", "3601"]),
        ("[ttl]\npositiv = 21\n", ["positiv", "unknown field"]),
        ("[ttl\n", ["rollcall.toml", "TOML"]),
    ] {
        served.hangup_with(toml);
        served.process.wait_for_words(&["ERROR", "configuration"]);
        eventually("the words of the error", || {
            let printed = served.process.printed();
            if words.iter().all(|word| printed.contains(word)) { Ok(()) } else { Err(printed) }
        });
        assert_eq!(served.ttl(&line), "11", "{toml}");
    }
    std::fs::remove_file(served.folder.path().join("rollcall.toml")).unwrap();
    served.process.signal("HUP");
    served.process.wait_for_words(&["rollcall.toml", "No such file"]);
    assert_eq!(served.ttl(&line), "11");
    // The manifests are read again all the same, and the next good one counts.
    std::fs::write(served.folder.path().join("web.yaml"), nginx(3)).unwrap();
    until_addresses(served.process.address(), NGINX, 3);
    served.hangup_with("[ttl]\npositive = 21\n");
    served.until_ttl(&line, "21");
}

#[test]
fn what_cannot_change_in_a_running_server_is_said() {
    let mut served = served("");
    served.hangup_with("zone = 'k8s.test'\n[limits]\nudp_threads = 7\n[ttl]\npositive = 21\n");
    served.process.wait_for_words(&["limits.udp_threads", "next start"]);
    served.process.wait_for_words(&["zone", "next start"]);
    // The rest is taken over.
    served.until_ttl(&format!("-t A {NGINX}"), "21");
    assert_eq!(ask(served.process.address(), "-t SOA k8s.test").status, "REFUSED");
}

#[test]
fn limits_of_connections_are_taken_over() {
    let mut served = served("");
    let server = served.process.address();
    let packet = query(&format!("-t A {NGINX}")).bytes;
    let [mut first, mut second] = [(); 2].map(|()| Connection::open(server));
    let ask_both = |connections: [&mut Connection; 2]| {
        connections.into_iter().for_each(|c| assert_eq!(c.ask(&packet).status, "NOERROR"));
    };
    ask_both([&mut first, &mut second]);
    served.hangup_with("[limits]\ntcp_connections_per_client = 2\ntcp_idle = 1\n");
    served.process.wait_for_words(&["the configuration is taken over"]);
    // Those that are open stay, and count.
    ask_both([&mut first, &mut second]);
    assert!(Connection::open(server).is_closed());
    // They were told of the shorter time with that answer.
    assert!(first.is_closed() && second.is_closed());
    served.hangup_with("[limits]\ntcp_connections = 1\n");
    served.process.wait_for_words(&["the configuration is taken over"]);
    let mut only = eventually("its place", || {
        let mut only = Connection::open(server);
        only.write(&framed(&packet));
        only.read().map(|_| only).ok_or_else(|| "closed".into())
    });
    assert!(Connection::open(server).is_closed());
    assert_eq!(only.ask(&packet).status, "NOERROR");
    served.hangup_with("");
    served.process.wait_for_words(&["the configuration is taken over"]);
    assert_eq!(Connection::open(server).ask(&packet).status, "NOERROR");
}

#[test]
fn another_upstream_is_asked() {
    let resolver = |address: &'static str| {
        Resolver::start(move |_, _| Says::Records(vec![format!("www.example.org. 300 A {address}")]))
    };
    let resolvers = ["192.0.2.1", "192.0.2.2"].map(resolver);
    let mut served = served("");
    std::fs::write(served.folder.path().join("web.yaml"), external("www", "www.example.org")).unwrap();
    let server = served.process.address();
    let found = |transport: &str| {
        let reply = ask(server, &format!("{transport} -t A www.default.svc.cluster.local"));
        (reply.status.clone(), data(&reply, "A"))
    };
    // The file is followed as well: that it is taken over may be said for what was written before.
    let until = |transport: &str, addresses: &[&str]| {
        eventually(&format!("{transport}: {addresses:?}"), || {
            let (status, found) = found(transport);
            if status == "NOERROR" && found == addresses {
                Ok(())
            } else {
                Err(format!("{status} {found:?}"))
            }
        });
    };
    until("+notcp", &[]);
    for (resolver, address) in resolvers.iter().zip(["192.0.2.1", "192.0.2.2"]) {
        served.hangup_with(&format!("[upstream]\nservers = ['{}']\n", resolver.address));
        served.process.wait_for_words(&["the configuration is taken over"]);
        for transport in ["+notcp", "+tcp"] {
            until(transport, &[address]);
        }
    }
    served.hangup_with("");
    served.process.wait_for_words(&["the configuration is taken over"]);
    for transport in ["+notcp", "+tcp"] {
        until(transport, &[]);
    }
}

#[test]
fn what_changes_no_answer_keeps_the_serial() {
    let mut served = served("");
    let serial = |served: &Reloaded| -> u32 {
        let reply = ask(served.process.address(), "-t SOA cluster.local");
        reply.sections[0][0].split(' ').nth(6).unwrap().parse().unwrap()
    };
    let before = serial(&served);
    served.hangup_with("[log]\nqueries = 1000\n[limits]\ntcp_idle = 7\n");
    served.process.wait_for_words(&["the configuration is taken over"]);
    assert_eq!(serial(&served), before);
    served.hangup_with("[ttl]\npositive = 7\n");
    // A line may be of the reload before: the file is followed as well.
    served.process.wait_for_words(&["the configuration is taken over"]);
    eventually("another serial", || {
        let now = serial(&served);
        if now > before { Ok(()) } else { Err(now.to_string()) }
    });
}

#[test]
fn many_signals_do_no_harm() {
    let mut served = served("");
    for round in 0..10 {
        served.hangup_with(&format!("[ttl]\npositive = {}\n", 30 + round));
        assert_eq!(ask(served.process.address(), &format!("-t A {NGINX}")).status, "NOERROR");
    }
    served.until_ttl(&format!("-t A {NGINX}"), "39");
    assert!(served.process.is_running());
}
