//! S6: an application that looks up its peers and asks each of them, by the resolver of its language, and `rollcall
//! peers`, which is told. The pods are real servers at the pods' addresses, and at the end of each step all of them know
//! what the API server says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    ControlPlane, Kubelet, NAME_SERVER, NamedNetwork, Namespace, lookup_go, repository, wait_until,
    with_kubelet,
};

/// How long a step may take: processes start and end, on a machine that does other things.
const STEP: Duration = Duration::from_secs(180);
/// From what the API server says to what everybody knows, behind CoreDNS' cache of 5 s too.
const KNOWN: Duration = Duration::from_secs(60);
/// The nodes: each replica needs one, and one is lost.
const NODES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// The ways that the watching pod is told.
const WAYS: [&str; 3] = ["tcp", "tls", "coredns"];

/// The set, a replica a node, and a pod that watches it in all ways, with rollcall's image.
fn kubia(namespace: &Namespace<'_>, names: &NamedNetwork) -> String {
    let (name, full) = (namespace.name(), namespace.full("kubia"));
    let clients = repository("tests/clients");
    let go = lookup_go().parent().unwrap();
    let direct = names.direct();
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: kubia}}
spec: {{clusterIP: None, selector: {{app: kubia}}, ports: [{{name: http, port: 80, targetPort: http}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: kubia}}
spec:
  serviceName: kubia
  replicas: 2
  selector: {{matchLabels: {{app: kubia}}}}
  template:
    metadata: {{labels: {{app: kubia}}}}
    spec:
      containers:
      - name: kubia
        image: kubia
        command: [node, /clients/lookup.mjs, serve, {full}, '8080']
        ports: [{{name: http, containerPort: 8080}}]
        env:
        - {{name: POD_NAME, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
        - {{name: POD_IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}
        readinessProbe: {{httpGet: {{path: /ready, port: http}}, periodSeconds: 1}}
        volumeMounts: [{{name: clients, mountPath: /clients}}, {{name: go, mountPath: /go}}]
      volumes: [{{name: clients, hostPath: {{path: {clients}}}}}, {{name: go, hostPath: {{path: {go}}}}}]
      nodeSelector: {{rollcall.test/only-for: {name}}}
      tolerations: [{{key: rollcall.test/only-for, value: {name}, effect: NoSchedule}}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {{labelSelector: {{matchLabels: {{app: kubia}}}}, topologyKey: kubernetes.io/hostname}}
---
apiVersion: v1
kind: Pod
metadata:
  name: watcher
  annotations: {{rollcall.test/ready: 'false', rollcall.test/terminating: hold}}
spec:
  containers:
  - {{name: tcp, image: 'rollcall:test', args: [peers, --service, kubia, --server, 'push+tcp://{direct}']}}
  - {{name: tls, image: 'rollcall:test', args: [peers, --service, kubia, --server, 'tls://{ip}#{NAME_SERVER}']}}
  - {{name: coredns, image: 'rollcall:test', args: [peers, --service, kubia]}}
",
        clients = clients.display(),
        go = go.display(),
        ip = direct.ip(),
    )
}

struct Stage<'a> {
    namespace: &'a Namespace<'a>,
    kubelet: &'a Kubelet,
    has_dnspython: Option<bool>,
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s6_every_resolver_and_who_is_told_know_the_same_peers() {
    let plane = ControlPlane::shared();
    let namespace = plane.namespace("s6");
    for letter in NODES {
        plane.add_node(&format!("{}-{letter}", namespace.name()), Some(namespace.name()));
    }
    let names = NamedNetwork::start(plane);
    let kubelet = names.kubelet(&namespace);
    namespace.apply_with(&kubia(&namespace, &names), with_kubelet);
    let mut stage = Stage { namespace: &namespace, kubelet: &kubelet, has_dnspython: None };
    stage.check("2 replicas", 2);
    for replicas in [3, 5] {
        stage.scale(replicas);
        stage.check(&format!("scaled to {replicas}"), replicas);
    }

    let before: Vec<String> = stage.uids();
    namespace.kubectl(&["rollout", "restart", "statefulset", "kubia"]);
    wait_until("every replica is another pod", STEP, || {
        let now = stage.uids();
        if now.len() == before.len() && now.iter().all(|uid| !before.contains(uid)) {
            Ok(())
        } else {
            Err(now)
        }
    });
    stage.check("a rolling update", 5);

    // Not reporting, and not to be reached: its process runs on, and nobody may find it.
    let lost = namespace.pod("kubia-1").unwrap();
    kubelet.lose_node(&lost.node);
    plane.lose_node(&lost.node);
    namespace.wait_not_ready("kubia-1");
    stage.check("the node of kubia-1 is lost", 4);
    namespace.wait_deleted("kubia-1");
    namespace.kubectl(&["delete", "pod", "kubia-1", "--force", "--grace-period=0"]);
    namespace.wait_gone("kubia-1", &lost.uid);
    stage.check("kubia-1 is back elsewhere", 5);
    assert_ne!(namespace.pod("kubia-1").unwrap().addresses, lost.addresses, "at another address");

    stage.scale(1);
    stage.check("scaled to 1", 1);
    for way in WAYS {
        let events = stage.events(way);
        let lists: Vec<usize> = events.iter().map(|event| event["peers"].as_array().unwrap().len()).collect();
        // Before the first replica was ready nobody was there, and never again.
        let mut behind_the_start = lists.iter().skip_while(|count| **count == 0);
        assert!(behind_the_start.all(|count| *count > 0), "{way}: everybody left? {lists:?}");
        assert!(events.iter().all(|event| event["way"] == "push"), "{way} is not told: {events:#?}");
        println!("s6: peers by {way}: {} events, with {lists:?} peers", events.len());
    }
}

impl Stage<'_> {
    fn scale(&self, replicas: usize) {
        self.namespace.kubectl(&["scale", "statefulset", "kubia", &format!("--replicas={replicas}")]);
    }

    fn uids(&self) -> Vec<String> {
        let uids = "jsonpath={.items[*].metadata.uid}";
        let uids = self.namespace.kubectl(&["get", "pods", "-l", "app=kubia", "-o", uids]);
        uids.split_whitespace().map(str::to_owned).collect()
    }

    /// The ready endpoints as the API server has them: host names and addresses.
    fn ready(&self) -> BTreeMap<String, IpAddr> {
        let slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=kubia", "-o", "json"];
        let slices: Value = serde_json::from_str(&self.namespace.kubectl(&slices)).unwrap();
        let slices = slices["items"].as_array().unwrap().iter();
        let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        ready.map(|it| (text(&it["hostname"]), text(&it["addresses"][0]).parse().unwrap())).collect()
    }

    /// Everybody knows the peers that are ready, and had an answer from each of them.
    fn check(&mut self, title: &str, count: usize) {
        let begun = Instant::now();
        let ready = wait_until(&format!("s6: {title}: {count} are ready"), STEP, || {
            let ready = self.ready();
            if ready.len() == count { Ok(ready) } else { Err(ready) }
        });
        let settled = begun.elapsed();
        let asker = ready.keys().next().unwrap();
        for address in ready.values() {
            let url = format!("http://{address}:8080/data");
            self.run(asker, &["curl", "-fsS", "--max-time", "10", "-d", title, &url]).unwrap();
        }
        let line = |(host, address): (&String, &IpAddr)| {
            format!("- {}: {title} ({host} at {address})", self.namespace.full(&format!("{host}.kubia")))
        };
        let expected: Vec<String> = ready.iter().map(line).collect();
        let full = self.namespace.full("kubia");
        let mut clients = vec![
            ("Node", vec!["curl", "-fsS", "--max-time", "20", "http://127.0.0.1:8080/"]),
            ("Go", vec!["/go/lookup-go", "peers", &full]),
        ];
        if self.has_dnspython(asker) {
            clients.push(("Python", vec!["python3", "/clients/lookup.py", "srv", &full]));
        }
        for (client, command) in &clients {
            wait_until(&format!("s6: {title}: {client} knows {expected:#?}"), KNOWN, || {
                let printed = self.run(asker, command)?;
                let mut lines: Vec<String> = printed.lines().map(str::to_owned).collect();
                lines.sort();
                if lines == expected { Ok(()) } else { Err(printed) }
            });
        }
        for way in WAYS {
            wait_until(&format!("s6: {title}: peers by {way}: {ready:?}"), KNOWN, || {
                let events = self.events(way);
                let Some(last) = events.last() else { return Err(self.kubelet.printed("watcher", way)) };
                if told(last) == ready && last["stale"].is_null() { Ok(()) } else { Err(format!("{last:#}")) }
            });
        }
        let known = begun.elapsed() - settled;
        println!(
            "s6: {title}: ready after {} ms, known to {} resolvers and told in {} ways after {} ms more",
            settled.as_millis(),
            clients.len(),
            WAYS.len(),
            known.as_millis()
        );
    }

    fn run(&self, pod: &str, command: &[&str]) -> Result<String, String> {
        self.kubelet.exec(pod, "kubia", command)
    }

    fn has_dnspython(&mut self, pod: &str) -> bool {
        if self.has_dnspython.is_none() {
            let has = self.run(pod, &["python3", "-c", "import dns.resolver"]);
            if let Err(error) = &has {
                println!("s6: skipped: Python without dnspython (Debian package python3-dnspython): {error}");
            }
            self.has_dnspython = Some(has.is_ok());
        }
        self.has_dnspython == Some(true)
    }

    /// What `rollcall peers` has told in this way.
    fn events(&self, way: &str) -> Vec<Value> {
        let printed = self.kubelet.printed("watcher", way);
        // The log is beside the events; a line that is half written is not one yet.
        let lines =
            printed.split_inclusive('\n').filter(|line| line.starts_with('{') && line.ends_with('\n'));
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The peers of an event: host names and first addresses.
fn told(event: &Value) -> BTreeMap<String, IpAddr> {
    let peers = event["peers"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let address = |peer: &Value| text(&peer["addresses"][0]).parse().unwrap_or(IpAddr::from([0, 0, 0, 0]));
    peers.map(|peer| (text(&peer["host"]), address(peer))).collect()
}
