//! What is served just now: the driver, and the configuration that it goes by.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::{error, info};

use super::Driver;
use super::board::{MOST_CHANGES, Times, batch};
use super::metrics::Observed;
use super::settings::{for_records, for_zone};
use crate::admin::{BoardEnd, Question};
use crate::cluster::Kind;
use crate::config::{Config, Snapshot};
use crate::records;
use crate::source::manifests;
use crate::source::{Problem, Severity};
use crate::zone::{self, Publisher, Reader};

/// More problems of one publish than this are counted, not listed: `check` lists them all.
const LISTED: usize = 50;

/// The driver and its configuration.
pub(super) struct Served {
    pub(super) driver: Driver,
    pub(super) config: Config,
    /// What of it others may look at.
    pub(super) observed: Arc<Observed>,
    /// What of the cluster was listed as a whole. Only names in it can be denied.
    known: Known,
    /// Where problems are kept instead of being logged.
    collected: Option<Vec<Problem>>,
    /// Who is told what is published, and whose serial that has.
    board: Option<(BoardEnd, Reader)>,
    /// When what is published next came about.
    times: Times,
    /// What records are made by, for others to read.
    pub(super) records: Arc<ArcSwap<records::Settings>>,
}

/// Of which namespaces all Services and EndpointSlices are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    These(BTreeSet<String>),
    All,
}

impl Known {
    /// Everything that a filter admits.
    pub(super) fn within(filter: Option<&[String]>) -> Self {
        filter.map_or(Self::All, |names| Self::These(names.iter().cloned().collect()))
    }

    /// Whether there is nothing to answer from: neither namespace, nor cluster.
    pub(super) fn is_nothing(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::These(names) => names.is_empty(),
            Self::All => false,
        }
    }

    /// Whether everything of a namespace is known; None is of all of them.
    pub(super) fn covers(&self, namespace: Option<&str>) -> bool {
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::These(names) => namespace.is_some_and(|namespace| names.contains(namespace)),
        }
    }

    /// What of it is left under a filter.
    fn under(self, filter: Option<&[String]>) -> Self {
        match (self, filter) {
            (Self::Nothing, _) => Self::Nothing,
            (known, None) => known,
            (Self::All, filter) => Self::within(filter),
            (Self::These(mut names), Some(filter)) => {
                names.retain(|name| filter.contains(name));
                Self::These(names)
            }
        }
    }

    /// The namespaces to answer for: None is all. Before anything is known it is the filter itself, and SERVFAIL.
    fn served(&self, filter: Option<&[String]>) -> Option<Vec<Box<str>>> {
        match self.clone().under(filter) {
            Self::Nothing => filter.map(|names| names.iter().map(|name| name.as_str().into()).collect()),
            Self::All => None,
            Self::These(names) => Some(names.into_iter().map(Into::into).collect()),
        }
    }
}

impl Served {
    pub(super) fn new(publisher: Publisher, config: Config, own: &[IpAddr]) -> Self {
        let driver = Driver::new(publisher, for_records(&config)).at(own);
        let observed = Arc::default();
        let (collected, board) = (None, None);
        let records = Arc::new(ArcSwap::from_pointee(for_records(&config)));
        let (known, times) = (Known::Nothing, Times::default());
        let mut served = Self { driver, config, observed, known, collected, board, times, records };
        served.driver.set_explains(served.explains());
        served
    }

    /// Keeps the problems of its input instead of logging them.
    pub(super) fn collecting(mut self) -> Self {
        self.collected = Some(Vec::new());
        self
    }

    /// Tells a board what is published from now on. Before the first publish.
    pub(super) fn set_board(&mut self, board: BoardEnd, reader: Reader) {
        self.board = Some((board, reader));
        self.driver.set_explains(self.explains());
    }

    /// What is asked of the index, where there is somebody who may ask. May be cancelled.
    pub(super) async fn asked(&mut self) -> Question {
        match &mut self.board {
            Some((board, _)) => board.asked().await,
            None => std::future::pending().await,
        }
    }

    /// Answers one question that waits: between two publishes, however closely they follow each other, and never so many
    /// that the next one waits for long.
    pub(super) fn answer_one(&mut self) {
        if let Some(question) = self.board.as_mut().and_then(|(board, _)| board.waiting()) {
            question(self.driver.index());
        }
    }

    /// Ends the streams of events.
    pub(super) fn end_streams(&self) {
        if let Some((board, _)) = &self.board {
            board.end();
        }
    }

    /// Says when what is published next came about.
    pub(super) fn came_about(&mut self, times: Times) {
        self.times = times;
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

    /// Takes over a cluster that was read whole, and publishes it.
    pub(super) fn take_whole(&mut self, loaded: manifests::Loaded) {
        self.driver.reset(loaded.objects);
        self.driver.index_mut().reset_pods(loaded.pods, self.config.looks.memory);
        self.report(loaded.problems);
        self.publish_all();
        self.know(Known::within(self.config.source.namespaces.as_deref()));
        self.driver.set_pods_known(true);
        self.driver.synchronised();
    }

    /// Publishes what changed, says what could not be, and keeps the name servers' addresses right.
    pub(super) fn publish(&mut self) -> usize {
        let published = self.driver.publish();
        self.observed.count(self.driver.index());
        self.tell_board(published.dirty);
        self.report(published.problems.iter().map(|problem| Problem::error(problem.to_string())).collect());
        if published.moved {
            let addresses = self.driver.reached_at();
            info!(?addresses, "the name servers' own addresses");
            self.driver.set_zone_settings(self.zone_settings());
        }
        published.changed
    }

    fn tell_board(&mut self, dirty: usize) {
        let times = std::mem::take(&mut self.times);
        let Some((board, reader)) = &mut self.board else { return };
        let revision = self.driver.revision();
        let index = self.driver.index_mut();
        let changes = index.take_changes();
        // Nothing before the first cluster is a change: it was all unknown.
        index.keep_changes(MOST_CHANGES);
        board.published(revision, batch(changes, dirty, &times, reader.serial()));
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

    /// Takes over a new configuration. A namespace that it adds is REFUSED until it is known: its names are never
    /// denied for want of their records. Where no answer depends on what differs (limits, the log), no record is made
    /// again: a large cluster's take a second of a processor.
    pub(super) fn reconfigure(&mut self, new: Config) {
        let settings = |served: &Self| (for_records(&served.config), served.zone_settings());
        let (before, explained) = (settings(self), self.explains());
        self.config = new;
        let (now, explains) = (settings(self), self.explains());
        if now == before {
            return;
        }
        let otherwise =
            zone::Settings { explain: before.1.explain.clone(), holding: before.1.holding, ..now.1.clone() };
        if explains == explained && now.0 == before.0 && otherwise == before.1 {
            // Who is told the reasons that are kept anyway.
            self.driver.set_zone_settings(now.1);
        } else {
            self.driver.set_explains(explains);
            self.records.store(Arc::new(now.0.clone()));
            self.driver.set_settings(now.0, now.1);
        }
    }

    /// Tells of which namespaces everything is published; what a filter before this one admitted is forgotten.
    pub(super) fn know(&mut self, more: Known) {
        let filter = self.config.source.namespaces.as_deref();
        let known = match (self.known.clone().under(filter), more) {
            (Known::All, _) | (_, Known::All) => Known::All.under(filter),
            (Known::These(mut names), Known::These(more)) => {
                names.extend(more);
                Known::These(names)
            }
            (known, Known::Nothing) | (Known::Nothing, known) => known,
        };
        if known != self.known {
            self.known = known;
            self.driver.set_zone_settings(self.zone_settings());
        }
    }

    /// What a filter before this one admitted is known no longer, for its objects are deleted.
    pub(super) fn forget_others(&mut self) {
        let known = std::mem::replace(&mut self.known, Known::Nothing);
        self.known = known.under(self.config.source.namespaces.as_deref());
    }

    /// Serves nothing any longer, as before anything was known.
    pub(super) fn withdraw(&mut self) {
        self.driver.withdraw();
        self.publish();
        self.known = Known::Nothing;
        self.driver.set_zone_settings(self.zone_settings());
    }

    /// What is known so far.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// Whether why names are absent is kept: for clients that are told, and for the page.
    fn explains(&self) -> bool {
        self.board.is_some() || self.config.explain.is_full_for_somebody()
    }

    fn zone_settings(&self) -> crate::zone::Settings {
        let mut settings = for_zone(&self.config, &self.driver.reached_at());
        settings.namespaces = self.known.served(self.config.source.namespaces.as_deref());
        settings
    }

    /// What of a new configuration can be taken over by a running server: all but what `config::AT_NEXT_START` names.
    pub(super) fn reloadable(&self, new: Config) -> Config {
        let kept = self.config.clone();
        Config {
            zone: kept.zone,
            listen: kept.listen,
            // Where there is no TLS yet, nobody is to look for it.
            discovery: new.discovery.filter(|_| kept.encrypted.has_tls()),
            admin: kept.admin,
            admin_connections: kept.admin_connections,
            page: kept.page,
            encrypted: kept.encrypted,
            cluster: kept.cluster,
            source: manifests::Options {
                pod_cidr: kept.source.pod_cidr,
                service_cidr: kept.source.service_cidr,
                ..new.source
            },
            snapshot: kept.snapshot.map(|kept| Snapshot {
                interval: new.snapshot.as_ref().map_or(kept.interval, |new| new.interval),
                ..kept
            }),
            udp: kept.udp,
            ..new
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_these(names: &[&str]) -> Known {
        Known::These(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn only_what_is_known_is_answered_for() {
        let filter =
            |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let served = |known: &Known, names: Option<&[&str]>| {
            let names = names.map(filter);
            known.served(names.as_deref()).map(|served| served.join(" "))
        };
        assert_eq!(served(&Known::Nothing, None), None);
        assert_eq!(served(&Known::Nothing, Some(&["a"])).as_deref(), Some("a"));
        assert_eq!(served(&Known::All, None), None);
        assert_eq!(served(&Known::All, Some(&["a", "b"])).as_deref(), Some("a b"));
        // A filter that widens: what is new is not known yet, however often the configuration is read.
        assert_eq!(served(&mk_these(&["a"]), Some(&["a", "c"])).as_deref(), Some("a"));
        assert_eq!(served(&mk_these(&["a"]), None).as_deref(), Some("a"));
        assert_eq!(served(&mk_these(&["a", "b"]), Some(&["b", "c"])).as_deref(), Some("b"));
    }
}
