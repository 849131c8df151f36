//! S2: replicas that wait for a volume have no name; one that comes back has its name, its claim and a new
//! address.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{ControlPlane, Moment, Namespace, Recorder, State, shared_rollcall, wait_until};

/// nginx with a claim for each replica, and pods of both address families.
///
/// The claims select the volumes of this namespace, for volumes belong to none and other tests have theirs.
pub(super) fn nginx(namespace: &Namespace<'_>) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: nginx, labels: {{app: nginx}}}}
spec:
  clusterIP: None
  ipFamilyPolicy: RequireDualStack
  selector: {{app: nginx}}
  ports: [{{port: 80, name: web}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  serviceName: nginx
  replicas: 3
  selector: {{matchLabels: {{app: nginx}}}}
  template:
    metadata: {{labels: {{app: nginx}}, annotations: {{rollcall.test/families: 'IPv4,IPv6'}}}}
    spec:
      containers:
      - name: nginx
        image: nginx
        ports: [{{containerPort: 80, name: web}}]
        volumeMounts: [{{name: www, mountPath: /usr/share/nginx/html}}]
  volumeClaimTemplates:
  - metadata: {{name: www}}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: nfs
      selector: {{matchLabels: {{rollcall.test/of: {name}}}}}
      resources: {{requests: {{storage: 1Gi}}}}
",
        name = namespace.name()
    )
}

/// Adds a volume that fits one of the claims.
pub(super) fn add_volume(namespace: &Namespace<'_>, number: u32) {
    let name = namespace.name();
    namespace.plane().apply(&format!(
        "apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}-{number}, labels: {{rollcall.test/of: {name}}}}}
spec:
  storageClassName: nfs
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  nfs: {{server: nfs.invalid, path: /export/{number}}}
"
    ));
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn s2_volumes_decide_who_has_a_name() {
    let namespace = ControlPlane::shared().namespace("s2");
    add_volume(&namespace, 0);
    namespace.apply(&nginx(&namespace));
    let web0 = namespace.wait_ready("web-0");
    wait_until("web-1 waits for a volume", Duration::from_secs(30), || {
        let fields = "jsonpath={.status.phase} {.status.conditions[?(@.type=='PodScheduled')].message}";
        let seen = namespace.try_kubectl(&["get", "pod", "web-1", "-o", fields])?;
        if seen.starts_with("Pending") && seen.contains("PersistentVolumeClaim") { Ok(()) } else { Err(seen) }
    });
    assert_eq!(namespace.pods(), ["web-0", "web-1"], "web-2 waits for web-1");
    assert_eq!(web0.len(), 2, "both families: {web0:?}");
    let moment = Moment::new(&namespace, "one volume").has("nginx", &web0).has("web-0.nginx", &web0);
    let moment = moment.serves("nginx", 80, &[("web-0.nginx", &web0)]);
    moment.lacks("web-1.nginx").lacks("web-2.nginx").check();

    add_volume(&namespace, 1);
    add_volume(&namespace, 2);
    let web1 = namespace.wait_ready("web-1");
    let web2 = namespace.wait_ready("web-2");
    all_three(&namespace, "three volumes", [&web0, &web1, &web2]);

    let claim = bound_volume(&namespace);
    let before = namespace.pod("web-0").unwrap();
    let record = Recorder::start(shared_rollcall().dns, &namespace.full("web-0.nginx"));
    namespace.kubectl(&["delete", "pod", "web-0"]);
    namespace.wait_gone("web-0", &before.uid);
    let again = namespace.wait_ready("web-0");
    assert!(again.iter().all(|address| !web0.contains(address)), "an address came back: {again:?}");
    assert_eq!(bound_volume(&namespace), claim, "www-web-0 is another volume's now");
    all_three(&namespace, "web-0 is back", [&again, &web1, &web2]);
    let mut gone = Moment::new(&namespace, "its old addresses are gone");
    for address in &web0 {
        gone = gone.nobody(*address);
    }
    gone.check();

    let expected = [State::from([web0[0]]), State::new(), State::from([again[0]])];
    assert_eq!(record.stop().states, expected, "what web-0.nginx said, between the moments too");
}

/// Everything that says where web-0, web-1 and web-2 are.
pub(super) fn all_three(namespace: &Namespace<'_>, title: &str, addresses: [&Vec<IpAddr>; 3]) {
    let hosts = ["web-0.nginx", "web-1.nginx", "web-2.nginx"];
    let targets: Vec<(&str, &[IpAddr])> =
        hosts.iter().zip(addresses).map(|(host, all)| (*host, all.as_slice())).collect();
    let every: Vec<IpAddr> = addresses.into_iter().flatten().copied().collect();
    let mut moment = Moment::new(namespace, title).has("nginx", &every).serves("nginx", 80, &targets);
    moment = moment.serves("_web._tcp.nginx", 80, &targets);
    for (host, own) in targets {
        moment = moment.has(host, own);
        for address in own {
            moment = moment.points(*address, &[host]);
        }
    }
    moment.check();
}

/// The volume that www-web-0 has, and that web-0 uses this claim.
fn bound_volume(namespace: &Namespace<'_>) -> String {
    let claim = "jsonpath={.spec.volumes[?(@.name=='www')].persistentVolumeClaim.claimName}";
    assert_eq!(namespace.kubectl(&["get", "pod", "web-0", "-o", claim]), "www-web-0");
    namespace.kubectl(&["get", "pvc", "www-web-0", "-o", "jsonpath={.spec.volumeName}"])
}
