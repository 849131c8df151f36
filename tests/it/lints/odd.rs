//! Objects as nobody writes them, and Corefiles: looked at without a panic, and said in every form.

use proptest::collection::vec;
use proptest::prelude::*;
use rollcall::lints::{Cluster, Corefile, Origin, run};
use serde_json::{Map, Value, json};

/// The keys that lints look at.
const KEYS: &[&str] = &[
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "rollcall/ignore",
    "ownerReferences",
    "controller",
    "spec",
    "selector",
    "clusterIP",
    "clusterIPs",
    "ports",
    "port",
    "targetPort",
    "protocol",
    "serviceName",
    "replicas",
    "ordinals",
    "start",
    "template",
    "containers",
    "initContainers",
    "command",
    "args",
    "env",
    "value",
    "readinessProbe",
    "exec",
    "hostname",
    "subdomain",
    "ipFamilies",
    "ipFamilyPolicy",
    "endpoints",
    "addresses",
    "addressType",
    "kubernetes.io/service-name",
    "jobTemplate",
    "publishNotReadyAddresses",
];
const KINDS: &[(&str, &str)] = &[
    ("v1", "Service"),
    ("v1", "Pod"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "CronJob"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
];

fn mk_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "a",
            "a-0.a",
            "a-0.a,a-1.a",
            "_a._tcp.a",
            "None",
            "IPv6",
            "::1",
            "ä.a",
            "$(X).a",
            "."
        ])
        .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((prop::sample::select(KEYS), inner), 0..8).prop_map(|fields| fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

/// Mostly sound, with something odd in one place of its spec.
fn mk_object() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b", "a.b", ""]);
    (prop::sample::select(KINDS), name, prop::sample::select(KEYS), mk_value(), mk_value()).prop_map(
        |((version, kind), name, key, odd, whole)| {
            let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": {"a": "a"}},
                "spec": {"serviceName": "a", "selector": {"a": "a"}, "clusterIP": "None",
                    "template": {"metadata": {"labels": {"a": "a"}}, "spec": {"containers": [{"args": ["a-0.a,a-1.a"]}]}}}});
            if key == "spec" { object["spec"] = whole } else { object["spec"][key] = odd }
            object
        },
    )
}

proptest! {
    #[test]
    fn any_object_is_looked_at(objects in vec(mk_object(), 0..6)) {
        let mut cluster = Cluster::new("cluster.local", None);
        for object in &objects {
            let _ = cluster.add(object, Origin::default());
        }
        for finding in run(&cluster, &[]).findings {
            prop_assert!(!finding.message.is_empty() && !finding.object.kind.is_empty());
        }
    }

    #[test]
    fn any_text_is_a_corefile_or_none(words in vec(prop::sample::select(
        vec!["{", "}", "\n", "\n", "cluster.local", ".:53", "cache", "30", "denial", "kubernetes", "ttl", "forward", "#", "\"",
            "import", "(s)", "s", ",", "disable", "serve_stale", "é"]), 0..60)) {
        if let Ok(corefile) = Corefile::parse("Corefile", &words.join(" ")) {
            let mut cluster = Cluster::new("cluster.local", None);
            cluster.set_corefile(corefile);
            for finding in run(&cluster, &[]).findings {
                prop_assert!(finding.line.is_some_and(|line| line > 0));
            }
        }
    }
}
