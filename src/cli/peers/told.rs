//! A list as it is told: with what its service is, and who we are.

use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use crate::peers::{Difference, List, Peer};

/// Whose peers they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) service: String,
    pub(super) namespace: String,
    /// Our own host name.
    pub(super) own: Option<String>,
}

/// What of a list is told, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Choice {
    /// Replicas that should be there as well.
    pub(super) all: bool,
    /// Those with an ordinal, and the ordinal in front.
    pub(super) ordinals: bool,
    /// In the order of their names' characters, as peer-finder has it.
    pub(super) by_name: bool,
}

impl Choice {
    /// The peers of a list that are told, in their order.
    pub(super) fn of(self, list: &Arc<List>) -> Chosen {
        if !self.all && !self.ordinals && !self.by_name {
            return Chosen::All(Arc::clone(list));
        }
        let mut peers = list.listed(self.all);
        if self.ordinals {
            peers.retain(|peer| peer.ordinal.is_some());
        }
        if self.by_name {
            peers.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Chosen::These(peers)
    }

    /// One name a line; with its ordinal in front where ordinals are wished for.
    pub(super) fn lines(self, peers: &[Peer]) -> String {
        let mut lines = String::new();
        for peer in peers {
            if let Some(ordinal) = peer.ordinal.filter(|_| self.ordinals) {
                lines.extend([&ordinal.to_string(), " "]);
            }
            lines.extend([&peer.name, "\n"]);
        }
        lines
    }
}

/// The peers of a list that are told.
#[derive(Debug)]
pub(super) enum Chosen {
    /// All that are there, as they stand in it.
    All(Arc<List>),
    These(Vec<Peer>),
}

impl Deref for Chosen {
    type Target = [Peer];

    fn deref(&self) -> &[Peer] {
        match self {
            Self::All(list) => &list.peers,
            Self::These(peers) => peers,
        }
    }
}

/// A peer in JSON.
#[derive(Debug, Serialize)]
struct PeerJson<'p> {
    name: &'p str,
    host: &'p str,
    ordinal: Option<u64>,
    addresses: &'p [std::net::IpAddr],
    ports: &'p [u16],
    ready: bool,
    #[serde(rename = "self")]
    own: bool,
}

/// What is known of a service, in JSON.
#[derive(Debug, Serialize)]
struct ListJson<'l> {
    service: &'l str,
    namespace: &'l str,
    #[serde(rename = "self")]
    own: Option<&'l str>,
    way: &'static str,
    server: &'l str,
    stale: Option<String>,
    expected: Option<u64>,
    missing: Vec<&'l str>,
    peers: Vec<PeerJson<'l>>,
}

/// An event in JSON: docs/peers.md describes it.
#[derive(Debug, Serialize)]
struct EventJson<'l> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    list: ListJson<'l>,
    added: Vec<&'l str>,
    removed: Vec<&'l str>,
    changed: Vec<&'l str>,
}

/// A list in JSON, as files have it.
#[derive(Debug, Serialize)]
struct FileJson<'f> {
    service: &'f str,
    namespace: &'f str,
    #[serde(rename = "self")]
    own: Option<&'f str>,
    peers: Vec<PeerJson<'f>>,
}

/// The names of peers.
pub(super) fn names(peers: &[Peer]) -> Vec<&str> {
    peers.iter().map(|peer| peer.name.as_str()).collect()
}

impl Of {
    pub(super) fn is_own(&self, peer: &Peer) -> bool {
        self.own.as_ref().is_some_and(|own| peer.host.eq_ignore_ascii_case(own))
    }

    fn peers<'p>(&self, peers: &'p [Peer]) -> Vec<PeerJson<'p>> {
        let json = |peer: &'p Peer| PeerJson {
            name: &peer.name,
            host: &peer.host,
            ordinal: peer.ordinal,
            addresses: &peer.addresses,
            ports: &peer.ports,
            ready: peer.ready,
            own: self.is_own(peer),
        };
        peers.iter().map(json).collect()
    }

    /// An event, in one line.
    pub(super) fn event(
        &self,
        event: &'static str,
        list: &List,
        peers: &[Peer],
        difference: &Difference,
    ) -> serde_json::Result<String> {
        let time = jiff::Timestamp::now().round(jiff::Unit::Millisecond).ok().map(|time| time.to_string());
        serde_json::to_string(&EventJson {
            event,
            time,
            list: self.json(list, peers),
            added: names(&difference.added),
            removed: names(&difference.removed),
            changed: names(&difference.changed),
        })
    }

    /// What an event tells of a list, without the event.
    pub(super) fn list(&self, list: &List, peers: &[Peer]) -> serde_json::Result<String> {
        serde_json::to_string(&self.json(list, peers)).map(|text| text + "\n")
    }

    fn json<'l>(&'l self, list: &'l List, peers: &'l [Peer]) -> ListJson<'l> {
        ListJson {
            service: &self.service,
            namespace: &self.namespace,
            own: self.own.as_deref(),
            way: list.way.as_str(),
            server: &list.server,
            stale: list.stale.as_ref().map(ToString::to_string),
            expected: list.expected,
            missing: names(&list.missing),
            peers: self.peers(peers),
        }
    }

    /// A list by itself, for a file. How it was learned is left out: a file changes when peers do.
    pub(super) fn file(&self, peers: &[Peer]) -> serde_json::Result<String> {
        let (service, namespace, own) = (&*self.service, &*self.namespace, self.own.as_deref());
        let file = FileJson { service, namespace, own, peers: self.peers(peers) };
        serde_json::to_string_pretty(&file).map(|text| text + "\n")
    }
}
