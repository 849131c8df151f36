//! What is run of a pod, from its object as the API server has it: the parts of a pod's specification that the tests'
//! manifests use. What else one asks for is passed over, but for fields and volumes of other kinds, which are a panic.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

/// A pod that has a node and an address.
#[derive(Debug, Clone)]
pub(super) struct PodSpec {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) address: IpAddr,
    /// Init containers first, in their order, then the others.
    pub(super) containers: Vec<ContainerSpec>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// Whose the volumes are: `uid:gid` of the pod.
    pub(super) user: (u32, u32),
}

#[derive(Debug, Clone)]
pub(super) enum Volume {
    Empty,
    Host(PathBuf),
    Claim(String),
    /// Its name, and whether it may be missing.
    ConfigMap(String, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Runs to its end before the next one starts.
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    Main,
}

#[derive(Debug, Clone)]
pub(super) struct ContainerSpec {
    pub(super) name: String,
    pub(super) stage: Stage,
    /// What container.sh calls the image's kind.
    pub(super) kind: &'static str,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    /// Volume, and where it is to be.
    pub(super) mounts: Vec<(String, String)>,
    pub(super) readiness: Option<Probe>,
}

#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) action: Action,
    pub(super) period: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Exec(Vec<String>),
    /// `GET` of this URL at the pod's address.
    Get(String),
}

/// What containers have without being told.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The image that holds nothing but rollcall (deploy/Dockerfile).
const ROLLCALL_IMAGE: &str = "rollcall:";

impl PodSpec {
    /// None where it has no address yet. `secret` gives the value of a Secret's key.
    pub(super) fn of(pod: &Value, secret: &dyn Fn(&str, &str) -> String) -> Option<Self> {
        let address = pod["status"]["podIP"].as_str()?.parse().ok()?;
        let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
        let number = |field: &str| {
            let number = spec["securityContext"][field].as_u64().unwrap_or_default();
            u32::try_from(number).unwrap()
        };
        let containers = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
        let all = containers("initContainers").into_iter().map(|container| (true, container));
        let all = all.chain(containers("containers").into_iter().map(|container| (false, container)));
        let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        Some(Self {
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            uid: text(&metadata["uid"]),
            address,
            containers: all
                .map(|(is_init, container)| ContainerSpec::of(pod, &container, is_init, secret))
                .collect(),
            volumes: volumes.iter().map(|volume| (text(&volume["name"]), Volume::of(volume))).collect(),
            user: (number("runAsUser"), number("runAsGroup")),
        })
    }
}

impl Volume {
    fn of(volume: &Value) -> Self {
        if !volume["emptyDir"].is_null() {
            Self::Empty
        } else if let Some(path) = volume["hostPath"]["path"].as_str() {
            Self::Host(path.into())
        } else if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
            Self::Claim(claim.to_owned())
        } else if let Some(map) = volume["configMap"]["name"].as_str() {
            Self::ConfigMap(map.to_owned(), volume["configMap"]["optional"] == true)
        } else {
            panic!("a volume of a kind that these tests have no kubelet for: {volume}")
        }
    }
}

impl ContainerSpec {
    fn of(pod: &Value, container: &Value, is_init: bool, secret: &dyn Fn(&str, &str) -> String) -> Self {
        let image = text(&container["image"]);
        let is_rollcall = image.starts_with(ROLLCALL_IMAGE);
        let environment = environment(pod, container, secret);
        let mut command = words(&container["command"]);
        if command.is_empty() {
            assert!(is_rollcall, "{image}: which command is its entrypoint nobody knows here");
            command.push("/rollcall".to_owned());
        }
        command.extend(words(&container["args"]));
        let mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
        Self {
            name: text(&container["name"]),
            stage: match (is_init, container["restartPolicy"].as_str()) {
                (true, Some("Always")) => Stage::Sidecar,
                (true, _) => Stage::Init,
                (false, _) => Stage::Main,
            },
            kind: if is_rollcall { "scratch" } else { "host" },
            command: command.iter().map(|word| expanded(word, &environment)).collect(),
            mounts: mounts.iter().map(|mount| (text(&mount["name"]), text(&mount["mountPath"]))).collect(),
            readiness: Probe::of(pod, container),
            environment,
        }
    }
}

impl Probe {
    fn of(pod: &Value, container: &Value) -> Option<Self> {
        let probe = container.get("readinessProbe")?;
        let action = if let Some(get) = probe.get("httpGet") {
            let ports = container["ports"].as_array().cloned().unwrap_or_default();
            let port =
                match get["port"].as_str() {
                    Some(name) => ports
                        .iter()
                        .find(|port| port["name"] == name)
                        .expect("a port of that name")["containerPort"]
                        .clone(),
                    None => get["port"].clone(),
                };
            let path = get["path"].as_str().unwrap_or("/");
            Action::Get(format!("http://{}:{port}{path}", text(&pod["status"]["podIP"])))
        } else {
            let command = words(&probe["exec"]["command"]);
            assert!(!command.is_empty(), "a probe of a kind that these tests have no kubelet for: {probe}");
            Action::Exec(command)
        };
        Some(Self { action, period: Duration::from_secs(probe["periodSeconds"].as_u64().unwrap_or(10)) })
    }
}

fn environment(
    pod: &Value,
    container: &Value,
    secret: &dyn Fn(&str, &str) -> String,
) -> Vec<(String, String)> {
    let mut all = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), "/".to_owned()),
        ("HOSTNAME".to_owned(), text(&pod["metadata"]["name"])),
    ];
    for variable in container["env"].as_array().into_iter().flatten() {
        let from = &variable["valueFrom"];
        let value = if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            let fields = path.split('.');
            text(fields.fold(pod, |value, field| &value[field]))
        } else if let Some(name) = from["secretKeyRef"]["name"].as_str() {
            secret(name, &text(&from["secretKeyRef"]["key"]))
        } else {
            expanded(variable["value"].as_str().unwrap_or_default(), &all)
        };
        all.push((text(&variable["name"]), value));
    }
    all
}

/// `$(NAME)` replaced, as the API server's documentation has it.
fn expanded(word: &str, environment: &[(String, String)]) -> String {
    let known = environment.iter();
    known.fold(word.to_owned(), |word, (name, value)| word.replace(&format!("$({name})"), value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text is wanted: {value}")).to_owned()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

#[test]
fn a_pod_is_read() {
    let pod = serde_json::json!({
        "metadata": {"name": "db-0", "namespace": "a", "uid": "u"},
        "status": {"podIP": "10.244.0.7"},
        "spec": {
            "securityContext": {"runAsUser": 7, "runAsGroup": 8},
            "initContainers": [{
                "name": "peers", "image": "rollcall:0.1.0", "restartPolicy": "Always", "args": ["peers", "$(SELF)"],
                "env": [
                    {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "SELF", "value": "$(POD_NAME).db"},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                ],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "containers": [{
                "name": "db", "image": "db", "command": ["run"], "ports": [{"name": "http", "containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": "http", "path": "/ready"}, "periodSeconds": 2},
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}],
        },
    });
    let spec = PodSpec::of(&pod, &|name, key| format!("{name}/{key}")).unwrap();
    let [peers, db] = spec.containers.as_slice() else { panic!("{spec:?}") };
    assert_eq!(
        (peers.stage, peers.kind, db.stage, db.kind),
        (Stage::Sidecar, "scratch", Stage::Main, "host")
    );
    assert_eq!(peers.command, ["/rollcall", "peers", "db-0.db"]);
    assert!(peers.environment.contains(&("PASSWORD".to_owned(), "db/password".to_owned())), "{peers:?}");
    assert_eq!((spec.user, peers.mounts[0].1.as_str()), ((7, 8), "/data"));
    assert!(
        matches!(&db.readiness.as_ref().unwrap().action, Action::Get(url) if url == "http://10.244.0.7:80/ready")
    );
    assert!(matches!(&spec.volumes["data"], Volume::Claim(claim) if claim == "data-db-0"));
}
