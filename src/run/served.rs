//! What is served just now: the driver, and the configuration that it goes by.

use std::net::IpAddr;

use tracing::{error, info, warn};

use super::Driver;
use super::settings::{for_records, for_zone};
use crate::cluster::Kind;
use crate::config::Config;
use crate::source::manifests;
use crate::source::{Problem, Severity};
use crate::zone::Publisher;

/// More problems of one publish than this are counted, not listed: `check` lists them all.
const LISTED: usize = 50;

/// The driver and its configuration.
pub(super) struct Served {
    pub(super) driver: Driver,
    pub(super) config: Config,
    /// A new configuration's filter is not in force yet: its objects are still on their way.
    between: Option<Vec<Box<str>>>,
    /// Where problems are kept instead of being logged.
    collected: Option<Vec<Problem>>,
}

impl Served {
    pub(super) fn new(publisher: Publisher, config: Config, own: &[IpAddr]) -> Self {
        let driver = Driver::new(publisher, for_records(&config)).at(own);
        Self { driver, config, between: None, collected: None }
    }

    /// Keeps the problems of its input instead of logging them.
    pub(super) fn collecting(mut self) -> Self {
        self.collected = Some(Vec::new());
        self
    }

    /// The problems that were kept.
    pub(super) fn problems(&mut self) -> Vec<Problem> {
        self.collected.take().unwrap_or_default()
    }

    /// Keeps problems, or logs them.
    pub(super) fn report(&mut self, problems: Vec<Problem>) {
        match &mut self.collected {
            Some(collected) => collected.extend(problems),
            None => log(&problems),
        }
    }

    /// Publishes what changed, says what could not be, and keeps the name servers' addresses right.
    pub(super) fn publish(&mut self) -> usize {
        let published = self.driver.publish();
        self.report(published.problems.iter().map(|problem| Problem::error(problem.to_string())).collect());
        if published.moved {
            let addresses = self.driver.reached_at();
            info!(?addresses, "the name servers' own addresses");
            self.driver.set_zone_settings(self.zone_settings());
        }
        published.changed
    }

    /// The same, with a line in the log: of a load or a list.
    pub(super) fn publish_all(&mut self) {
        let changed = self.publish();
        let index = self.driver.index();
        info!(
            changed,
            services = index.count(Kind::Service),
            slices = index.count(Kind::EndpointSlice),
            statefulsets = index.count(Kind::StatefulSet),
            "published"
        );
    }

    /// Takes over a new configuration. While records come and go by it, only namespaces that both filters admit
    /// are answered: a name of another one is never denied for want of its records. [`Served::settled`] ends that.
    pub(super) fn reconfigure(&mut self, new: Config) {
        let of = |config: &Config| config.source.namespaces.clone();
        let (before, after) = (of(&self.config), of(&new));
        self.between = (before != after).then(|| common(before.as_deref(), after.as_deref())).flatten();
        self.config = new;
        self.driver.set_settings(for_records(&self.config), self.zone_settings());
    }

    /// The objects of the new configuration are published.
    pub(super) fn settled(&mut self) {
        if self.between.take().is_some() {
            self.driver.set_zone_settings(self.zone_settings());
        }
    }

    fn zone_settings(&self) -> crate::zone::Settings {
        let mut settings = for_zone(&self.config, &self.driver.reached_at());
        if self.between.is_some() {
            settings.namespaces = self.between.clone();
        }
        settings
    }

    /// What of a new configuration can be taken over by a running server; says what cannot.
    pub(super) fn reloadable(&self, new: Config) -> Config {
        let old = &self.config;
        let fixed = [
            ("zone", old.zone != new.zone),
            ("listen", old.listen != new.listen),
            ("admin", (old.admin, old.admin_connections) != (new.admin, new.admin_connections)),
            ("source.manifests or source.kubeconfig", old.cluster != new.cluster),
            ("source.pod_cidr", old.source.pod_cidr != new.source.pod_cidr),
            ("source.service_cidr", old.source.service_cidr != new.source.service_cidr),
            ("upstream", (&old.upstream, old.upstream_limits) != (&new.upstream, new.upstream_limits)),
            ("limits", (old.udp_threads, old.tcp) != (new.udp_threads, new.tcp)),
        ];
        for (key, _) in fixed.iter().filter(|(_, differs)| *differs) {
            warn!("{key} changed: it is taken over at the next start");
        }
        let kept = old.clone();
        Config {
            zone: kept.zone,
            listen: kept.listen,
            admin: kept.admin,
            admin_connections: kept.admin_connections,
            cluster: kept.cluster,
            source: manifests::Options {
                pod_cidr: kept.source.pod_cidr,
                service_cidr: kept.source.service_cidr,
                ..new.source
            },
            upstream: kept.upstream,
            upstream_limits: kept.upstream_limits,
            udp_threads: kept.udp_threads,
            tcp: kept.tcp,
            ..new
        }
    }
}

/// The namespaces that two filters admit; None is all.
fn common(one: Option<&[String]>, other: Option<&[String]>) -> Option<Vec<Box<str>>> {
    let boxed = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
    match (one, other) {
        (None, None) => None,
        (Some(names), None) | (None, Some(names)) => Some(boxed(names)),
        (Some(one), Some(other)) => {
            let both = one.iter().filter(|name| other.contains(name));
            Some(both.map(|name| name.as_str().into()).collect())
        }
    }
}

fn log(problems: &[Problem]) {
    for problem in problems.iter().take(LISTED) {
        match problem.severity {
            Severity::Error => error!("{problem}"),
            Severity::Note => info!("{problem}"),
        }
    }
    if let Some(more) = problems.len().checked_sub(LISTED).filter(|more| *more > 0) {
        error!("… and {more} more problems; `rollcall check` lists them all");
    }
}
