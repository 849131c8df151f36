//! Everything that `check` looks at: what is wrong with the objects, and what the lints find in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::Value;

use super::offline::{self, NO_SOURCE};
use super::served::Served;
use super::settings::{for_zone, own_addresses};
use crate::cluster::Kind as Counted;
use crate::config::{Cluster as Source, Config};
use crate::lints::{self, Cluster, Corefile, Finding, Found, Kind, LINTS, Origin};
use crate::source::kubernetes::{Access, Inspection, Refusal, Resource};
use crate::source::manifests::{Field, Listed, Place, Witness, lines_of};
use crate::source::{Problem, Severity};
use crate::zone::zone;

/// What a check gave.
pub struct Checked {
    /// What is wrong with single objects, in the input's order.
    pub problems: Vec<Problem>,
    /// What the lints found, in the input's order, with lines.
    pub findings: Vec<Finding>,
    /// How many more their objects' annotations silence.
    pub silenced: usize,
    /// What could not be looked for.
    pub skipped: Vec<Skipped>,
    /// How many objects of each kind there are.
    pub counts: BTreeMap<&'static str, usize>,
}

/// A kind that could not be listed.
pub struct Skipped {
    /// `Pods`.
    pub kind: String,
    /// Why.
    pub reason: String,
    /// The lints that need it.
    pub lints: Vec<&'static str>,
}

/// What of the input is not a configuration's.
#[derive(Debug, Default)]
pub struct Linting {
    /// The Corefile of the CoreDNS in front.
    pub corefile: Option<PathBuf>,
    /// Lints that are not to be looked for.
    pub allowed: Vec<String>,
}

const fn resource(version: &'static str, kind: &'static str, plural: &'static str) -> Resource {
    Resource { version, kind, plural }
}

/// What is listed; None is looked at for its name only.
const RESOURCES: &[(Resource, Option<Kind>)] = &[
    (resource("v1", "Service", "services"), Some(Kind::Service)),
    (resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"), Some(Kind::EndpointSlice)),
    (resource("apps/v1", "StatefulSet", "statefulsets"), Some(Kind::StatefulSet)),
    (resource("apps/v1", "Deployment", "deployments"), Some(Kind::Deployment)),
    (resource("apps/v1", "DaemonSet", "daemonsets"), Some(Kind::DaemonSet)),
    (resource("v1", "Pod", "pods"), Some(Kind::Pod)),
    (resource("v1", "Namespace", "namespaces"), None),
];

/// Checks the configuration's cluster: manifests, or what an API server lists.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn check(config: &Config, linting: &Linting) -> anyhow::Result<Checked> {
    let zone = config.zone.to_string();
    let mut cluster = Cluster::new(zone.trim_end_matches('.'), config.source.namespaces.clone());
    if let Some(file) = &linting.corefile {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let corefile = Corefile::parse(file.display().to_string(), &text);
        cluster.set_corefile(corefile.with_context(|| format!("cannot use {}", file.display()))?);
    }
    match config.cluster.as_ref().context(NO_SOURCE)? {
        Source::Manifests(_) => of_manifests(config, cluster, linting),
        Source::Kubernetes(access) => offline::wait_for(of_server(config, access, cluster, linting)),
    }
}

/// What manifests are read into, besides what is served.
#[derive(Debug, Default)]
struct Gathered {
    cluster: Cluster,
    texts: BTreeMap<PathBuf, String>,
    problems: Vec<Problem>,
}

impl Gathered {
    fn add(&mut self, value: &Value, origin: Origin) {
        let Err(error) = self.cluster.add(value, origin.clone()) else { return };
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        // What is served says of its own objects what is wrong with them.
        if matches!(text("/kind").as_str(), "Service" | "EndpointSlice" | "StatefulSet" | "Pod") {
            return;
        }
        let object = format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        let problem = Problem::note(format!("is not looked at: {error}")).of(object);
        let Origin { file, document, item } = origin;
        self.problems.push(Problem { file, document, item, ..problem });
    }
}

/// Shows what is read to the lints, on the thread that reads.
#[derive(Debug, Clone, Default)]
struct Gatherer(Arc<Mutex<Gathered>>);

impl Gatherer {
    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Gatherer {
    fn text(&mut self, file: &Path, text: &str) {
        self.gathered().texts.insert(file.to_owned(), text.to_owned());
    }

    fn object(&mut self, value: &Value, place: Place<'_>) {
        let Place { file, document, item } = place;
        let origin = Origin { file: Some(file.to_owned()), document: Some(document), item };
        self.gathered().add(value, origin);
    }
}

fn of_manifests(config: &Config, cluster: Cluster, linting: &Linting) -> anyhow::Result<Checked> {
    let gatherer = Gatherer::default();
    gatherer.gathered().cluster = cluster;
    let loaded = offline::load_before(config, Some(Box::new(gatherer.clone())))?;
    let gathered = std::mem::take(&mut *gatherer.gathered());
    let mut problems = loaded.problems;
    problems.extend(gathered.problems);
    Ok(finish(problems, &gathered.cluster, &gathered.texts, vec![], linting, |kind| {
        loaded.driver.index().count(kind)
    }))
}

async fn of_server(
    config: &Config,
    access: &Access,
    cluster: Cluster,
    linting: &Linting,
) -> anyhow::Result<Checked> {
    let inspection = Inspection::start(access, config.kubernetes.page).await?;
    let filter = config.source.namespaces.as_ref();
    let namespaces: BTreeSet<Option<&str>> = filter.map_or_else(
        || BTreeSet::from([None]),
        |names| names.iter().map(|name| Some(name.as_str())).collect(),
    );
    let gathered = Mutex::new((Gathered { cluster, ..Gathered::default() }, Listed::default()));
    let take = |value: Value| {
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.0.add(&value, Origin::default());
        gathered.1.add(value);
    };
    // With a filter nothing is asked of the whole cluster: the account may be one of a namespace.
    let scopes = RESOURCES
        .iter()
        .flat_map(|(resource, kind)| namespaces.iter().map(move |namespace| (*resource, *kind, *namespace)))
        .filter(|(_, kind, namespace)| kind.is_some() || namespace.is_none());
    let lists = scopes.map(|(resource, kind, namespace)| {
        let list = inspection.list(resource, namespace, take);
        async move { (resource, kind, namespace, list.await) }
    });
    let mut skipped = Vec::new();
    let mut failed = Vec::new();
    let mut unknown = BTreeSet::new();
    for (resource, kind, namespace, result) in join_all(lists).await {
        let whose = namespace.map_or_else(String::new, |namespace| format!(" of namespace {namespace}"));
        let name = format!("{}s{whose}", resource.kind);
        match result {
            Ok(()) => {}
            // Without Services there is nothing to say.
            Err(Refusal::Forbidden(reason)) if kind != Some(Kind::Service) => {
                unknown.extend(kind);
                let needs = |lint: &&lints::Lint| kind.is_some_and(|kind| lint.needs.contains(&kind));
                let lints = LINTS.iter().filter(needs).map(|lint| lint.id).collect();
                skipped.push(Skipped { kind: name, reason, lints });
            }
            Err(refusal) => failed.push(format!("{name}: {refusal}")),
        }
    }
    anyhow::ensure!(failed.is_empty(), "the cluster cannot be listed: {}", failed.join("; "));
    let (mut gathered, listed) = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    unknown.into_iter().for_each(|kind| gathered.cluster.set_unknown(kind));

    let own = own_addresses(&config.listen)?;
    let (publisher, _reader) = zone(for_zone(config, &own));
    let mut served = Served::new(publisher, config.clone(), &own).collecting();
    served.take_whole(listed.finish(&config.source));
    let mut problems = served.problems();
    problems.extend(gathered.problems);
    let count = |kind| served.driver.index().count(kind);
    Ok(finish(problems, &gathered.cluster, &gathered.texts, skipped, linting, count))
}

fn finish(
    mut problems: Vec<Problem>,
    cluster: &Cluster,
    texts: &BTreeMap<PathBuf, String>,
    skipped: Vec<Skipped>,
    linting: &Linting,
    count: impl Fn(Counted) -> usize,
) -> Checked {
    problems.extend(cluster.silenced_in_vain().iter().map(|silenced| {
        let message = format!("`{}` is no lint; docs/lints has them all", silenced.id);
        let Origin { file, document, item } = silenced.origin.clone();
        let problem = Problem::note(message)
            .of(silenced.object.to_string())
            .at("metadata.annotations[rollcall/ignore]");
        Problem { file, document, item, ..problem }
    }));
    let Found { mut findings, silenced } = lints::run(cluster, &linting.allowed);
    locate(&mut findings, &mut problems, texts);
    let kinds = [
        ("Services", Counted::Service),
        ("EndpointSlices", Counted::EndpointSlice),
        ("StatefulSets", Counted::StatefulSet),
        ("Pods", Counted::Pod),
        ("Namespaces", Counted::Namespace),
    ];
    let counts = kinds.into_iter().map(|(name, kind)| (name, count(kind))).collect();
    Checked { problems, findings, silenced, skipped, counts }
}

/// Gives each its line in the manifests.
fn locate(findings: &mut [Finding], problems: &mut [Problem], texts: &BTreeMap<PathBuf, String>) {
    for (file, text) in texts {
        let mut here: Vec<(&mut Option<u64>, usize, Option<usize>, String)> = Vec::new();
        for finding in findings.iter_mut().filter(|finding| finding.origin.file.as_ref() == Some(file)) {
            let Some(document) = finding.origin.document else { continue };
            here.push((&mut finding.line, document, finding.origin.item, finding.field.clone()));
        }
        for problem in problems.iter_mut().filter(|problem| problem.file.as_ref() == Some(file)) {
            let (Some(document), None) = (problem.document, problem.line) else { continue };
            // A document that cannot be read as a whole has no objects to look for.
            if problem.object.is_some() {
                let field = problem.field.clone().unwrap_or_default();
                here.push((&mut problem.line, document, problem.item, field));
            }
        }
        let fields =
            here.iter().map(|(_, document, item, path)| Field { document: *document, item: *item, path });
        let fields: Vec<Field<'_>> = fields.collect();
        let lines = lines_of(text, &fields);
        for ((line, ..), found) in here.into_iter().zip(lines) {
            *line = found;
        }
    }
}

impl Checked {
    /// How many are this bad: errors, warnings, notes.
    #[must_use]
    pub fn count(&self, severity: lints::Severity) -> usize {
        let of_problems = self.problems.iter().filter(|problem| severity_of(problem) == severity).count();
        of_problems + self.findings.iter().filter(|finding| finding.lint.severity == severity).count()
    }
}

/// A problem's severity, as the lints have it.
#[must_use]
pub fn severity_of(problem: &Problem) -> lints::Severity {
    match problem.severity {
        Severity::Error => lints::Severity::Error,
        Severity::Note => lints::Severity::Note,
    }
}
