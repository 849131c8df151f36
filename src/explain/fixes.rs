//! What to do about a reason: a command to run, or lines to change. Nothing here runs anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::State;
use super::answer::Answered;
use super::beside::labels;
use super::form::{Form, Front};
use super::shell;
use super::walk::{Walk, pod};
use crate::model::is_object_name;
use crate::reasons::{Answer, Reason};
use crate::records::ordinal_of;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // docs/explain.md
pub struct Fix {
    /// The id of the reason that it is for.
    pub reason: String,
    /// What it does, in a sentence.
    pub text: String,
    pub command: Option<String>,
    /// Lines to add (`+`) and to take away (`-`), in the object or file that the first line names.
    pub diff: Option<String>,
}

/// What commands are made of.
struct Names<'a> {
    namespace: &'a str,
    service: &'a str,
    /// `app=nginx`, where it is known.
    selector: Option<String>,
    zone: String,
}

impl Names<'_> {
    fn kubectl(&self, words: &[&str]) -> String {
        shell::line(&[&["kubectl", "-n", self.namespace], words].concat())
    }

    /// The same about an object. None where no object has such a name, for what says it may say anything: `--all`.
    fn about(&self, name: &str, words: &[&str]) -> Option<String> {
        is_object_name(name).then(|| self.kubectl(words))
    }

    fn name(&self, host: Option<&str>, service: &str) -> String {
        let (Self { namespace, zone, .. }, host) =
            (self, host.map_or_else(String::new, |host| format!("{host}.")));
        format!("{host}{service}.{namespace}.svc.{zone}")
    }
}

/// What to do, for each reason: the first is what helps most.
pub(super) fn fixes(state: &State<'_>, walk: &Walk, answered: &Answered<'_>) -> Vec<Fix> {
    let form = &walk.form;
    let Some(reason) = answered.reason else { return stale(answered).into_iter().collect() };
    let zone = state.settings.zone.to_string().trim_end_matches('.').to_owned();
    let (namespace, service) = match form {
        Form::Service { namespace, service, .. } => (namespace.as_str(), service.as_str()),
        other => (other.namespace().unwrap_or("default"), ""),
    };
    let more = state.beside.service(namespace, service).filter(|more| !more.selector.is_empty());
    let names = Names { namespace, service, selector: more.map(|more| labels(&more.selector)), zone };
    let host = match form {
        Form::Service { front, .. } => front.host(),
        _ => None,
    };
    let mut todo = Todo { id: reason.id(), fixes: Vec::new() };
    let labels_of = |set: &str| {
        let more = state.beside.set(namespace, set)?;
        Some(&more.labels).filter(|labels| !labels.is_empty())
    };
    for_reason(&mut todo, &reason, &names, &Asked { host, form, walk, labels_of: &labels_of });
    for_pods(&mut todo, state, &names, walk);
    for_publishing(&mut todo, state, &reason, &names);
    todo.fixes.extend(stale(answered));
    todo.fixes
}

fn stale(answered: &Answered<'_>) -> Option<Fix> {
    answered.stale.filter(|_| answered.answer != Answer::Refused).map(|_| Fix {
        reason: Reason::Stale { since: "" }.id().to_owned(),
        text: "See why the API server does not answer; readyz of rollcall has its words.".to_owned(),
        command: Some("kubectl get --raw /readyz".to_owned()),
        diff: None,
    })
}

struct Todo {
    id: &'static str,
    fixes: Vec<Fix>,
}

impl Todo {
    fn push(&mut self, text: impl Into<String>, command: Option<String>, diff: Option<String>) {
        self.fixes.push(Fix { reason: self.id.to_owned(), text: text.into(), command, diff });
    }

    fn run(&mut self, text: impl Into<String>, command: String) {
        self.push(text, Some(command), None);
    }

    fn change(&mut self, text: impl Into<String>, diff: String) {
        self.push(text, None, Some(diff));
    }

    fn ask(&mut self, text: &str, name: &str) {
        self.run(text, shell::dig(&[], name));
    }
}

/// What was asked for, and what was seen on the way.
struct Asked<'a> {
    host: Option<&'a str>,
    form: &'a Form,
    walk: &'a Walk,
    /// The labels of the pods that a set makes, where they are known.
    labels_of: &'a dyn Fn(&str) -> Option<&'a BTreeMap<String, String>>,
}

fn for_reason(todo: &mut Todo, reason: &Reason<'_>, names: &Names<'_>, asked: &Asked<'_>) {
    let Asked { host, form, walk, labels_of } = *asked;
    let describe = |pod: &str| names.about(pod, &["describe", "pod", pod]);
    let describe_node =
        |node: &str| is_object_name(node).then(|| shell::line(&["kubectl", "describe", "node", node]));
    match *reason {
        Reason::Awaited { set, waits_for, .. } => {
            let pod = format!("{set}-{waits_for}");
            todo.push(
                format!("See why {pod} does not become ready: the set makes the next one behind it."),
                describe(&pod),
                None,
            );
        }
        Reason::NoAddress { name, .. } => todo.push(
            format!("See whether the pod {name} is there, and what it waits for."),
            describe(name),
            None,
        ),
        Reason::NotReady { name, .. } => {
            let pod = pod_of(walk, name).unwrap_or_else(|| name.to_owned());
            todo.push(format!("See why {pod} is not ready: its probe, its containers, its events."), describe(&pod), None);
        }
        Reason::Terminating { name, .. } => {
            let pod = pod_of(walk, name).unwrap_or_else(|| name.to_owned());
            todo.push(
                format!("See what {pod} waits for; where its node is gone for good, it goes only by --force."),
                describe(&pod),
                None,
            );
        }
        Reason::PodPending { name, .. } | Reason::PodUnscheduled { name } => {
            todo.push(format!("See what {name} waits for: its events, the newest last."), describe(name), None);
        }
        Reason::ClaimNotBound { claim, .. } => todo.push(
            format!("See why the claim {claim} is not bound: its storage class, or a volume that fits."),
            names.about(claim, &["describe", "pvc", claim]),
            None,
        ),
        Reason::PodWaiting { name, .. } | Reason::PodNotReady { name, .. } => {
            todo.push(format!("See what keeps {name}: its containers, its probe, its events."), describe(name), None);
        }
        Reason::NodeSilent { node, .. } => {
            todo.push(format!("See whether {node} comes back."), describe_node(node), None);
        }
        Reason::PodTerminating { name, finalizer, node, .. } => match (finalizer, node) {
            ("", "") => todo.push(format!("Wait for {name}, or see what it waits for."), describe(name), None),
            ("", node) => todo.push(
                format!("See whether {node} comes back; {name} ends when it does."),
                describe_node(node),
                None,
            ),
            (finalizer, _) => todo.push(
                format!("See who is to take the finalizer {finalizer} away."),
                names.about(name, &["get", "pod", name, "-o", "jsonpath={.metadata.finalizers}"]),
                None,
            ),
        },
        Reason::CalledByAddress { name, subdomain, .. } => {
            todo.ask("Ask for it where it has its name.", &names.name(Some(name), subdomain));
        }
        Reason::NoneReady { service, .. } => {
            let command = match &names.selector {
                Some(labels) => names.kubectl(&["get", "pods", "-l", labels, "-o", "wide"]),
                None => {
                    let label = format!("kubernetes.io/service-name={service}");
                    names.kubectl(&["get", "endpointslices", "-l", &label, "-o", "yaml"])
                }
            };
            todo.run("See which of its pods are there, and why none is ready.", command);
        }
        Reason::NoEndpoints { service } => match &names.selector {
            Some(labels) => todo.run(
                "See whether a pod has the labels that the Service selects.",
                names.kubectl(&["get", "pods", "-l", labels, "-o", "wide"]),
            ),
            None => todo.run(
                "See which labels it selects, and whether a pod has them.",
                names.kubectl(&["get", "service", service, "-o", "jsonpath={.spec.selector}"]),
            ),
        },
        Reason::ScaledToZero { set, .. } => todo.push(
            "Scale the set, if it should run.",
            names.about(set, &["scale", "statefulset", set, "--replicas=1"]),
            None,
        ),
        Reason::GoverningServiceMissing { service, namespace, set } => {
            let selector = match labels_of(set) {
                Some(labels) => labels.iter().map(|(key, value)| format!("+    {key}: {value:?}\n")).collect(),
                None => format!("+    # the labels of the pods of StatefulSet {set}\n"),
            };
            todo.change(
                "Make the Service, headless; a set's serviceName cannot be changed.",
                format!(
                    "a new Service {namespace}/{service}\n+apiVersion: v1\n+kind: Service\n+metadata:\n+  name: {service}\n+  namespace: {namespace}\n+spec:\n+  clusterIP: None\n+  selector:\n{selector}"
                ),
            );
        }
        Reason::BadExternalName { service, .. } => todo.run(
            "Write a DNS name as its externalName.",
            names.kubectl(&["edit", "service", service]),
        ),
        Reason::BeyondReplicas { name, set, first, end } => {
            let ordinal = ordinal_of(name.as_bytes(), set.as_bytes());
            match ordinal.filter(|ordinal| *ordinal >= end).map(|ordinal| ordinal - u64::from(first) + 1) {
                Some(replicas) => todo.push(
                    format!("Scale the set, if {name} should run."),
                    names.about(set, &["scale", "statefulset", set, &format!("--replicas={replicas}")]),
                    None,
                ),
                None => todo.ask("The first of its replicas has another name.", &names.name(Some(&format!("{set}-{first}")), names.service)),
            }
        }
        Reason::SimilarService { similar, .. } => {
            todo.ask("Ask for the one that is there.", &names.name(host, similar));
        }
        Reason::NoSuchService => match walk.elsewhere.as_slice() {
            [] => todo.run("See which Services there are.", names.kubectl(&["get", "services"])),
            [namespace, ..] => {
                let there = Names { namespace, selector: None, zone: names.zone.clone(), ..*names };
                todo.ask(
                    "Ask for the one in the other namespace, by its whole name.",
                    &there.name(host, names.service),
                );
            }
        },
        Reason::NoSuchNamespace => todo.run("See which namespaces there are.", "kubectl get namespaces".to_owned()),
        Reason::NoSuchHost => todo.run(
            "See which host names its endpoints have.",
            names.kubectl(&[
                "get",
                "endpointslices",
                "-l",
                &format!("kubernetes.io/service-name={}", names.service),
                "-o",
                "jsonpath={.items[*].endpoints[*].hostname}",
            ]),
        ),
        Reason::BelowHost => {
            if let Some(host) = host {
                todo.ask("Ask for the host itself.", &names.name(Some(host), names.service));
            }
        }
        Reason::NoSuchPort => {
            if let Form::Service { front: Front::Port(port) | Front::HostPort(port, _), .. } = form {
                let (port, protocol) = port.split_once('.').unwrap_or((port, "_tcp"));
                let (port, protocol) = (port.trim_start_matches('_'), protocol.trim_start_matches('_'));
                todo.change(
                    "Name the port, if the Service has it: SRV names are made of ports' names.",
                    format!(
                        "Service {}/{}\n spec:\n   ports:\n+  - name: {port}\n     protocol: {}",
                        names.namespace,
                        names.service,
                        protocol.to_ascii_uppercase()
                    ),
                );
            } else {
                todo.run(
                    "See which ports it has.",
                    names.kubectl(&["get", "service", names.service, "-o", "jsonpath={.spec.ports}"]),
                );
            }
        }
        Reason::NoSuchName => {
            // What ends in a label like `_tcp` is no Service's name cut short.
            let is_marked = |own: &str| own.rsplit('.').next().is_some_and(|label| label.starts_with('_'));
            if let Form::Own(own) = form
                && !is_marked(own)
            {
                todo.ask("If it is a Service, ask for it below svc.", &format!("{own}.svc.{}", names.zone));
            }
        }
        Reason::NoSuchSet => todo.run(
            "See which Service each set names.",
            names.kubectl(&[
                "get",
                "statefulsets",
                "-o",
                "custom-columns=NAME:.metadata.name,SERVICE:.spec.serviceName",
            ]),
        ),
        Reason::NoPodNames => todo.change(
            "Switch them on, if somebody needs them.",
            "rollcall.toml\n-pods = \"disabled\"\n+pods = \"insecure\"".to_owned(),
        ),
        Reason::NotAnAddress | Reason::NoSuchPod => {
            todo.run("See which addresses the pods have.", names.kubectl(&["get", "pods", "-o", "wide"]));
        }
        Reason::UnknownAddress => {
            if let Form::Address(address) = form {
                todo.run(
                    "See whether a pod has it, and which Service selects that.",
                    format!("kubectl get pods -A -o wide --field-selector status.podIP={address}"),
                );
            }
        }
        Reason::NoIpv4 | Reason::NoIpv6 => {
            let family = if matches!(reason, Reason::NoIpv4) { "IPv4" } else { "IPv6" };
            if !names.service.is_empty() {
                todo.change(
                    format!("Ask for both families, if the cluster has {family} and somebody needs it."),
                    format!("Service {}/{}\n spec:\n+  ipFamilyPolicy: PreferDualStack", names.namespace, names.service),
                );
            }
        }
        Reason::NoPorts => todo.change(
            "Give it a port, with a name for SRV.",
            format!("Service {}/{}\n spec:\n+  ports:\n+  - name: NAME\n+    port: PORT", names.namespace, names.service),
        ),
        Reason::NamedByAddress => todo.change(
            "Call endpoints by their pods' names; the other way is a Service of the name that is the set's serviceName.",
            "rollcall.toml\n+endpoint_pod_names = true".to_owned(),
        ),
        Reason::AliasCut => todo.run(
            "See where the alias leads to.",
            names.kubectl(&["get", "service", names.service, "-o", "jsonpath={.spec.externalName}"]),
        ),
        Reason::AliasNotFollowed => todo.change(
            "Name an upstream, if clients need the address; or let the resolver in front follow the alias.",
            "rollcall.toml\n [upstream]\n+servers = [\"192.0.2.53\"]".to_owned(),
        ),
        Reason::AliasLeftOut | Reason::NamespaceLeftOut => todo.change(
            "Serve the namespace too, if this account may list it.",
            format!("rollcall.toml\n [source]\n+namespaces = [{:?}]  # beside those that are there", names.namespace),
        ),
        Reason::NotSynchronised | Reason::PodsNotKnown | Reason::TooOld => todo.run(
            "See what rollcall waits for.",
            "curl -s http://127.0.0.1:9153/readyz".to_owned(),
        ),
        Reason::Stale { .. } | Reason::StaleSnapshot { .. } => {
            todo.run("See why the API server does not answer.", "kubectl get --raw /readyz".to_owned());
        }
        Reason::OutsideZones => {
            todo.push("Ask the resolver that is asked for everything else; rollcall answers for its zones only.", None, None);
        }
        Reason::OnlyBelow => {
            if let Form::Service { front: Front::Protocol(protocol) | Front::HostProtocol(protocol, _), .. } = form {
                let name = format!("_NAME.{protocol}.{}", names.name(host, names.service));
                todo.run("Ask for a port by its name.", shell::dig(&["SRV"], &name));
            }
        }
        // Nothing is amiss, or nothing that an object or a setting would mend.
        Reason::BelowAlias
        | Reason::NoSuchType
        | Reason::TransferRefused
        | Reason::OtherClass
        | Reason::UpstreamFailed => {}
    }
}

/// What the pods themselves say is mended first.
fn for_pods(todo: &mut Todo, state: &State<'_>, names: &Names<'_>, walk: &Walk) {
    let Some(of) = &walk.of_service else { return };
    let pods = walk.wanted.pods.iter().filter_map(|name| pod(state, of, name));
    let mut of_pods = Vec::new();
    for pod in pods.filter(|pod| !pod.ready) {
        for claim in pod.claims.iter().filter(|claim| claim.bound == Some(false)) {
            of_pods.push((
                format!(
                    "See why the claim {} is not bound: its storage class, or a volume that fits.",
                    claim.name
                ),
                names.kubectl(&["describe", "pvc", &claim.name]),
            ));
        }
        let crashes =
            pod.waiting.as_ref().is_some_and(|waiting| waiting.reason.as_str() == "CrashLoopBackOff");
        if crashes {
            of_pods.push((
                format!("See what {} said before it ended.", pod.name),
                names.kubectl(&["logs", &pod.name, "--all-containers", "--previous"]),
            ));
        }
        if let Some(going) =
            pod.terminating.as_ref().filter(|going| going.overdue && going.finalizer.is_empty())
        {
            let evicted =
                if going.evicted || pod.node_silent { "its node does not answer" } else { "it does not end" };
            of_pods.push((
                format!(
                    "Only if {} runs nowhere any more ({evicted}): take it away, so that another may come.",
                    pod.name
                ),
                names.kubectl(&["delete", "pod", &pod.name, "--force", "--grace-period=0"]),
            ));
        }
    }
    of_pods.retain(|(_, command)| !todo.fixes.iter().any(|fix| fix.command.as_ref() == Some(command)));
    for (at, (text, command)) in of_pods.into_iter().enumerate() {
        let fix = Fix { reason: todo.id.to_owned(), text, command: Some(command), diff: None };
        todo.fixes.insert(at.min(todo.fixes.len()), fix);
    }
}

/// Peers that must find each other before they are ready.
fn for_publishing(todo: &mut Todo, state: &State<'_>, reason: &Reason<'_>, names: &Names<'_>) {
    let helps =
        matches!(reason, Reason::NotReady { .. } | Reason::PodNotReady { .. } | Reason::NoneReady { .. });
    let publishes =
        state.beside.service(names.namespace, names.service).is_some_and(|more| more.publish_not_ready);
    if helps && !publishes {
        todo.change(
            "If peers look each other up before they are ready, publish them all the same.",
            format!(
                "Service {}/{}\n spec:\n+  publishNotReadyAddresses: true",
                names.namespace, names.service
            ),
        );
    }
}

/// The pod behind a host's name: a slice may point at anything.
fn pod_of(walk: &Walk, host: &str) -> Option<String> {
    let of = walk.of_service.as_ref()?;
    let endpoints = of.objects.slices.iter().flat_map(|slice| &slice.endpoints);
    let called = |hostname: &crate::model::Label| hostname.as_str() == host;
    let mut pods = endpoints
        .filter(|endpoint| endpoint.hostname.as_ref().is_some_and(called))
        .filter_map(|endpoint| endpoint.pod.as_ref());
    pods.find(|pod| is_object_name(&pod.name)).map(|pod| pod.name.to_string())
}
