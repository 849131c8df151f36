//! S8: each member looks up the one before it before it is itself ready, and a question that came too early
//! is not remembered, also behind CoreDNS's cache.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use crate::support::{
    Answer, ControlPlane, CoreDns, Moment, Namespace, ask, shared_rollcall, shared_stub, shared_upstream,
    shipped_corefile, wait_until,
};

const MYSQL: &str = "apiVersion: v1
kind: Service
metadata: {name: mysql}
spec: {clusterIP: None, selector: {app: mysql}, ports: [{name: mysql, port: 3306}]}
---
apiVersion: v1
kind: Service
metadata: {name: mysql-read}
spec: {selector: {app: mysql}, ports: [{name: mysql, port: 3306}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: mysql}
spec:
  serviceName: mysql
  replicas: 3
  selector: {matchLabels: {app: mysql}}
  template:
    metadata: {labels: {app: mysql}, annotations: {rollcall.test/ready: 'false'}}
    spec: {containers: [{name: mysql, image: mysql, ports: [{name: mysql, containerPort: 3306}]}]}
";

/// How long after rollcall knows a member CoreDNS may go on denying it: the *expected* TTL is 0, so no longer
/// than a question takes; a busy machine is given this much for it.
const REMEMBERED: Duration = Duration::from_millis(500);

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s8_an_early_question_is_not_remembered() {
    let namespace = ControlPlane::shared().namespace("s8");
    namespace.apply(MYSQL);
    let stub = shared_stub().dns;
    let (direct, forgetful) = (shared_rollcall().dns, [stub]);
    let read = namespace.cluster_ip("mysql-read");
    let mut before: Option<IpAddr> = None;
    for ordinal in 0..3 {
        let (pod, host) = (format!("mysql-{ordinal}"), format!("mysql-{ordinal}.mysql"));
        let address = namespace.wait_running(&pod)[0];
        let title = format!("{pod} starts");
        let next = format!("mysql-{}", ordinal + 1);
        let why = if ordinal == 2 {
            format!("{next} does not exist: StatefulSet mysql has replicas 3")
        } else {
            format!("{next} does not exist yet: StatefulSet mysql wants 3 and waits for {pod}")
        };
        let mut moment = Moment::new(&namespace, &title)
            .lacks(&host, &[&pod, "is not ready"])
            .lacks(&format!("{next}.mysql"), &[&why])
            .has("mysql-read", &[read]);
        if let Some(before) = before {
            // What the starting member itself looks up, in its own shell.
            moment = moment.has(&format!("mysql-{}.mysql", ordinal - 1), &[before]);
        }
        moment.check();
        for server in [&[direct], forgetful.as_slice()].concat() {
            not_remembered(&namespace, server, &host, 0);
            // The one after it is not created yet, and expected all the same; beyond the replicas nobody is.
            not_remembered(
                &namespace,
                server,
                &format!("mysql-{}.mysql", ordinal + 1),
                u32::from(ordinal == 2) * 5,
            );
        }
        let late = first_answers(&namespace, &pod, &host, &forgetful);
        println!("s8: {host} known {} ms after rollcall behind CoreDNS", late[0].as_millis());
        assert!(late[0] < REMEMBERED, "{host} was denied for {:?} longer behind CoreDNS", late[0]);
        assert_eq!(namespace.wait_ready(&pod), [address]);
        Moment::new(&namespace, &format!("{pod} is ready")).has(&host, &[address]).check();
        before = Some(address);
    }
    let addresses = [0, 1, 2].map(|ordinal| namespace.wait_ready(&format!("mysql-{ordinal}"))[0]);
    Moment::new(&namespace, "all three are ready")
        .has("mysql", &addresses)
        .has("mysql-read", &[read])
        .check();
}

/// That the test above can fail: CoreDNS's cache, unless told otherwise, remembers a "no" for 5 s.
#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s8_a_cache_as_it_comes_remembers() {
    let namespace = ControlPlane::shared().namespace("s8-cache");
    namespace.apply(MYSQL);
    let shipped = shipped_corefile("Corefile.stub", shared_rollcall().dns, shared_upstream().dns);
    let as_it_comes = shipped.replace("        denial 9984 30 0\n", "");
    assert_ne!(shipped, as_it_comes, "the stub tells the cache what to do about denials");
    let remembering = CoreDns::start(&as_it_comes);
    namespace.wait_running("mysql-0");
    let early = ask(remembering.dns, &namespace.full("mysql-0.mysql"), RecordType::A);
    assert_eq!(early.rcode, ResponseCode::NXDomain);
    let late = first_answers(&namespace, "mysql-0", "mysql-0.mysql", &[remembering.dns]);
    println!("s8: {} ms more behind a cache as it comes", late[0].as_millis());
    assert!(late[0] > REMEMBERED, "a cache as it comes forgets at once too: s8 shows nothing");
}

/// Asks early, has the member made ready, and returns for each of `servers` how much later than rollcall it
/// knew.
fn first_answers(namespace: &Namespace<'_>, pod: &str, host: &str, servers: &[SocketAddr]) -> Vec<Duration> {
    let (direct, name) = (shared_rollcall().dns, namespace.full(host));
    for server in [&[direct], servers].concat() {
        assert_eq!(ask(server, &name, RecordType::A).rcode, ResponseCode::NXDomain, "too early");
    }
    namespace.set_ready(pod, true);
    let known = |server: SocketAddr| {
        wait_until(&format!("{host} is known"), Duration::from_secs(30), || {
            let answer = ask(server, &name, RecordType::A);
            if answer.rcode == ResponseCode::NoError { Ok(()) } else { Err(answer) }
        });
        Instant::now()
    };
    let begun = known(direct);
    servers.iter().map(|server| known(*server).duration_since(begun)).collect()
}

/// The name is not there, and the SOA says how long that may be remembered.
fn not_remembered(namespace: &Namespace<'_>, server: SocketAddr, host: &str, ttl: u32) {
    let answer: Answer = ask(server, &namespace.full(host), RecordType::A);
    assert_eq!(answer.rcode, ResponseCode::NXDomain, "{server} {host}");
    // A cache has counted some of it down.
    let told = answer.negative_ttl();
    assert!(
        told.is_some_and(|told| told <= ttl && (told > 0) == (ttl > 0)),
        "{server} {host}: {told:?}, not {ttl}"
    );
}
