//! S5: a Service that is not the set's own gives dashed names; the set's own gives those of the replicas.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use crate::support::{ControlPlane, Moment};

const KUBIA: &str = "apiVersion: v1
kind: Service
metadata: {name: kubia-state}
spec: {clusterIP: None, selector: {app: kubia}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kubia}
spec:
  serviceName: kubia
  replicas: 2
  selector: {matchLabels: {app: kubia}}
  template:
    metadata: {labels: {app: kubia}}
    spec: {containers: [{name: kubia, image: kubia, ports: [{name: http, containerPort: 8080}]}]}
";

const GOVERNING: &str = "apiVersion: v1
kind: Service
metadata: {name: kubia}
spec: {clusterIP: None, selector: {app: kubia}, ports: [{name: http, port: 80}]}
";

const PUBLIC: &str = "apiVersion: v1
kind: Service
metadata: {name: kubia-public}
spec: {selector: {app: kubia}, ports: [{port: 80, targetPort: 8080}]}
";

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s5_names_follow_the_governing_service() {
    let namespace = ControlPlane::shared().namespace("s5");
    namespace.apply(KUBIA);
    let [first, second] = ["kubia-0", "kubia-1"].map(|pod| namespace.wait_ready(pod));
    let dashed = |address: &IpAddr| format!("{}.kubia-state", address.to_string().replace('.', "-"));
    let (first_dashed, second_dashed) = (dashed(&first[0]), dashed(&second[0]));
    let state: [(&str, &[IpAddr]); 2] = [(&first_dashed, &first), (&second_dashed, &second)];
    let both = [first[0], second[0]];
    let moment = Moment::new(&namespace, "before kubia exists").serves("kubia-state", 80, &state);
    let moment = moment.serves("_http._tcp.kubia-state", 80, &state).has("kubia-state", &both);
    let moment = moment.has(&first_dashed, &first).points(first[0], &[&first_dashed]);
    // The odd names come with why they are so, and the names that were looked for with why they are not.
    let missing = format!("no Service kubia in namespace {}", namespace.name());
    let missing = [missing.as_str(), "StatefulSet kubia names it as its serviceName"];
    let called_by_address = |pod: &str, dashed: &str| {
        let label = dashed.trim_end_matches(".kubia-state");
        format!("Service kubia-state selects {pod}, but its subdomain is kubia: it is called {label} here")
    };
    let [first_called, second_called] = [("kubia-0", &first_dashed), ("kubia-1", &second_dashed)]
        .map(|(pod, name)| called_by_address(pod, name));
    let odd = ["called by their addresses", "subdomain is not the name of this Service"];
    moment
        .surprises("kubia-state", RecordType::SRV, &odd)
        .surprises("_http._tcp.kubia-state", RecordType::SRV, &odd)
        .lacks("kubia-0.kubia-state", &[&first_called])
        .lacks("kubia-1.kubia-state", &[&second_called])
        .lacks("kubia", &missing)
        .lacks("kubia-0.kubia", &missing)
        .check();

    namespace.apply(GOVERNING);
    let named: [(&str, &[IpAddr]); 2] = [("kubia-0.kubia", &first), ("kubia-1.kubia", &second)];
    let moment = Moment::new(&namespace, "headless kubia exists").serves("kubia", 80, &named);
    let moment = moment.serves("_http._tcp.kubia", 80, &named).serves("kubia-state", 80, &state);
    moment
        .has("kubia", &both)
        .has("kubia-0.kubia", &first)
        .has("kubia-1.kubia", &second)
        .lacks("kubia-2.kubia", &["kubia-2 does not exist: StatefulSet kubia has replicas 2"])
        .surprises("kubia-state", RecordType::SRV, &odd)
        .lacks("kubia-0.kubia-state", &[&first_called])
        .whole("kubia", RecordType::SRV)
        .check();

    namespace.apply(PUBLIC);
    let public = namespace.cluster_ip("kubia-public");
    let moment = Moment::new(&namespace, "kubia-public exists").has("kubia-public", &[public]);
    moment.serves("kubia-public", 80, &[("kubia-public", &[public])]).serves("kubia", 80, &named).check();
}
