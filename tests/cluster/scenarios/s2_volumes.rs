//! S2: replicas that wait for a volume have no name; one that comes back has its name, its claim and a new
//! address.

use std::net::IpAddr;
use std::time::Duration;

use crate::support::{
    ControlPlane, Explained, Moment, Namespace, Recorder, State, explain, shared_rollcall, wait_until,
};

/// nginx with a claim for each replica, and pods of both address families.
///
/// The claims select the volumes of this namespace, for volumes belong to none and other tests have theirs.
pub(crate) fn nginx(namespace: &Namespace<'_>) -> String {
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
pub(crate) fn add_volume(namespace: &Namespace<'_>, number: u32) {
    namespace.plane().apply(&volume(namespace, number));
}

/// The manifest of such a volume.
pub(crate) fn volume(namespace: &Namespace<'_>, number: u32) -> String {
    let name = namespace.name();
    format!(
        "apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}-{number}, labels: {{rollcall.test/of: {name}}}}}
spec:
  storageClassName: nfs
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  nfs: {{server: nfs.invalid, path: /export/{number}}}
"
    )
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
    // That its claim is unbound is told where the server may list pods; slices show that it has no address.
    moment
        .lacks("web-1.nginx", &["web-1", "no address yet: StatefulSet web wants 3|is Pending"])
        .lacks("web-2.nginx", &["web-2 does not exist yet", "StatefulSet web wants 3", "waits for web-1"])
        .lacks("web-3.nginx", &["web-3 does not exist: StatefulSet web has replicas 3"])
        .check();
    pods_are_read_on_demand(&namespace);

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
    let record = record.stop();
    assert_eq!(record.states, expected, "what web-0.nginx said, between the moments too");
    // The families are a slice each, and one may be told of before the other.
    record.assert_reasons(&["web-0|no A record here"]);
}

/// Without a server, with an account of one's own: what web-1 waits for is read of web-1 alone, for web-2 too, which waits
/// for it; and where the account may not, that is said.
fn pods_are_read_on_demand(namespace: &Namespace<'_>) {
    const SERVED: &str = "services,endpointslices,statefulsets";
    let of_pods = format!("{SERVED},pods,persistentvolumeclaims");
    let jane = namespace.account("jane", "get,list,watch", &of_pods).display().to_string();
    let john = namespace.account("john", "get,list,watch", SERVED).display().to_string();
    let explained = |short: &str, kubeconfig: &str, is_it: &dyn Fn(&Explained) -> bool| {
        wait_until(&format!("{short} by {kubeconfig}"), Duration::from_secs(30), || {
            match Explained::of(&asked(namespace, short, kubeconfig)) {
                Ok(explained) if is_it(&explained) => Ok(explained),
                other => Err(other),
            }
        })
    };

    for (short, reason) in [("web-1.nginx", "no-address"), ("web-2.nginx", "awaited")] {
        let is_read =
            |explained: &Explained| explained.document["unread"].as_array().is_some_and(Vec::is_empty);
        let told = explained(short, &jane, &is_read);
        assert_eq!(told.exit_code, Some(1), "there is no record: {told:#?}");
        assert_eq!(told.document["code"], "NXDOMAIN");
        assert_eq!(told.document["name"], namespace.full(short), "as a pod's search path has it");
        assert_eq!(told.document["reasons"][0]["id"], reason, "{told:#?}");
        let (pod, found) = told.step("pod").unwrap_or_else(|| panic!("a pod: {told:#?}"));
        assert_eq!(pod, format!("Pod {}/web-1", namespace.name()));
        assert!(found.starts_with("Pending"), "{found}");
        let (_, found) = told.step("scheduler").unwrap_or_else(|| panic!("the scheduler: {told:#?}"));
        assert!(found.contains("nodes are available: pod has unbound"), "{found}");
        let (claim, found) = told.step("claim").unwrap_or_else(|| panic!("a claim: {told:#?}"));
        assert_eq!(claim, format!("PersistentVolumeClaim {}/www-web-1", namespace.name()));
        assert!(found.starts_with("not bound (storage class nfs)"), "{found}");
    }

    let is_refused = |explained: &Explained| explained.document["unread"][0]["forbidden"] == true;
    let told = explained("web-1.nginx", &john, &is_refused);
    assert_eq!(told.exit_code, Some(1), "{told:#?}");
    assert_eq!((told.step("pod"), told.step("scheduler"), told.step("claim")), (None, None, None));
    // For people as well.
    let output = explain(&asked(namespace, "web-1.nginx", &john));
    let text = String::from_utf8(output.stdout).unwrap();
    let user = format!("system:serviceaccount:{}:john", namespace.name());
    let refused = format!("? may not read pods in {}: ", namespace.name());
    let line = text.lines().find(|line| line.starts_with(&refused)).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(&user) && line.contains("forbidden"), "{line}");
    println!("{line}");
}

/// What `rollcall explain` is told, without a server.
fn asked<'a>(namespace: &'a Namespace<'_>, short: &'a str, kubeconfig: &'a str) -> [&'a str; 5] {
    [short, "-n", namespace.name(), "--kubeconfig", kubeconfig]
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
