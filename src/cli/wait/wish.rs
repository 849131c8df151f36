//! What is waited for, and what of it is missing, in words: pure.
//!
//! Peers count as the list has them, which is fresh or counts for nothing. A replica is there as the list has it, or where
//! its own name is answered with an address: a Service with a cluster IP has replicas with names and no list of them. Our
//! own name is always asked for by itself, in both families: a list may be right about everybody and late about one.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::peers::{Gate, MinPeers};
use crate::peers::{Answer, Answers, List, Trouble};

/// Of so many missing replicas it is asked and said why they are.
const MOST_REASONS: usize = 3;

/// Us, as our name should give us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) host: String,
    /// Of one family or both.
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// All that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) min_peers: Option<MinPeers>,
    pub(super) ordinals: Vec<u64>,
    pub(super) own: Option<Own>,
}

/// What is known at one moment.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) list: Option<Arc<List>>,
    /// What was answered last to questions for single names.
    pub(super) answers: Option<Result<Answers, Trouble>>,
    /// The list that was the newest when these were asked for.
    pub(super) asked_at: Option<Arc<List>>,
}

impl Known {
    /// The list, where it is followed.
    fn fresh(&self) -> Option<&List> {
        self.list.as_deref().filter(|list| list.stale.is_none())
    }

    /// The answers are of the time of this list. Older ones are good for reasons, and nobody is there by them: who is
    /// gone from the list may be gone from his name as well.
    fn is_current(&self) -> bool {
        match (&self.list, &self.asked_at) {
            (Some(list), Some(asked_at)) => Arc::ptr_eq(list, asked_at),
            (list, asked_at) => list.is_none() && asked_at.is_none(),
        }
    }

    /// A host's own name is answered with an address, and that is so now.
    fn has_host(&self, host: &str) -> bool {
        self.is_current() && matches!(self.of_host(host), Some(Ok(answer)) if is_there(answer))
    }

    fn of_host(&self, host: &str) -> Option<&Result<Answer, Trouble>> {
        let hosts =
            self.answers.as_ref().and_then(|answers| answers.as_ref().ok()).map(|answers| &answers.hosts);
        hosts?.iter().find(|(name, _)| name == host).map(|(_, answer)| answer)
    }

    /// Nobody answers at all.
    fn silence(&self) -> Option<&Trouble> {
        self.answers.as_ref().and_then(|answers| answers.as_ref().err())
    }

    /// What is known of a host that is not there.
    fn reason(&self, host: &str) -> String {
        match (self.of_host(host), self.silence()) {
            (Some(Ok(answer)), _) if is_there(answer) => format!("{host} has {answer} and is not listed"),
            (Some(Ok(answer)), _) => format!("{host}: {answer}"),
            (Some(Err(trouble)), _) | (None, Some(trouble)) => format!("{host}: {trouble}"),
            (None, None) => host.to_owned(),
        }
    }

    /// Why there is no list.
    fn nobody(&self) -> String {
        match &self.answers {
            None => "no server has said yet who the peers are".to_owned(),
            Some(Err(trouble)) => trouble.to_string(),
            Some(Ok(Answers { service: Err(trouble), .. })) => trouble.to_string(),
            Some(Ok(Answers { service: Ok(answer), server, .. })) => {
                format!("{server} has not said yet who the peers are; the service: {answer}")
            }
        }
    }
}

/// A whole answer, of now.
fn is_there(answer: &Answer) -> bool {
    !answer.addresses.is_empty() && !answer.stale
}

impl Wish {
    /// Whether the moment of the end hangs on single names.
    pub(super) fn asks_for_names(&self) -> bool {
        self.own.is_some() || !self.ordinals.is_empty()
    }

    /// The hosts to ask for by themselves: those that are waited for, and some of those that are missing, for the reason.
    /// None before there is a list: it says who knows them best, and anybody else may remember a "no".
    pub(super) fn hosts(&self, known: &Known) -> Vec<String> {
        if known.list.is_none() {
            return Vec::new();
        }
        let mut hosts: Vec<String> = self.own.iter().map(|own| own.host.clone()).collect();
        for ordinal in self.ordinals.iter().filter(|ordinal| !is_listed(**ordinal, known)) {
            hosts.extend(self.replicas(*ordinal, known));
        }
        if let (Some(min_peers), Some(list)) = (self.min_peers, known.fresh())
            && mk_gate(min_peers).holds(list).is_some()
        {
            hosts.extend(list.missing.iter().take(MOST_REASONS).map(|peer| peer.host.clone()));
        }
        let mut seen = BTreeSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        hosts
    }

    /// What is missing, and why; nothing where all is there.
    pub(super) fn lacks(&self, known: &Known) -> Vec<String> {
        let peers = self.min_peers.and_then(|min_peers| peers(min_peers, known));
        let replicas = self.ordinals.iter().filter_map(|ordinal| self.replica(*ordinal, known));
        let own = self.own.as_ref().and_then(|own| own.lacks(known));
        let mut lacks: Vec<String> = peers.into_iter().chain(replicas).chain(own).collect();
        lacks.dedup();
        lacks
    }

    /// The names that a replica may have: of each set that has one with this ordinal; or of our own set, where no server
    /// says anything of sets and we are one of the peers.
    fn replicas(&self, ordinal: u64, known: &Known) -> Vec<String> {
        let listed = known.list.as_ref().map(|list| list.listed(true)).unwrap_or_default();
        let with_it = listed.iter().filter(|peer| peer.ordinal == Some(ordinal));
        let mut hosts: Vec<String> = with_it.map(|peer| peer.host.clone()).collect();
        if hosts.is_empty()
            && let Some((set, digits)) = self.own.as_ref().and_then(|own| own.host.rsplit_once('-'))
            && digits.parse::<u64>().is_ok()
        {
            hosts.push(format!("{set}-{ordinal}"));
        }
        hosts
    }

    fn replica(&self, ordinal: u64, known: &Known) -> Option<String> {
        if is_listed(ordinal, known) {
            return None;
        }
        let hosts = self.replicas(ordinal, known);
        let is_there = |host: &String| known.has_host(host);
        if !hosts.is_empty() && hosts.iter().all(is_there) {
            return None;
        }
        let missing: Vec<String> = hosts
            .iter()
            .filter(|host| !is_there(host))
            .take(MOST_REASONS)
            .map(|host| known.reason(host))
            .collect();
        let why = match (missing.is_empty(), &known.list) {
            (false, _) => missing.join(", "),
            (true, Some(list)) => match &list.stale {
                Some(why) => why.to_string(),
                None => "none of the peers has it, and no server says of a set that should".to_owned(),
            },
            (true, None) => known.nobody(),
        };
        Some(format!("replica {ordinal} is not there: {why}"))
    }
}

fn mk_gate(min_peers: MinPeers) -> Gate {
    Gate { min_peers, own: None }
}

/// A replica with this ordinal is among the peers, and no set misses one.
fn is_listed(ordinal: u64, known: &Known) -> bool {
    let has = |peers: &[crate::peers::Peer]| peers.iter().any(|peer| peer.ordinal == Some(ordinal));
    known.fresh().is_some_and(|list| has(&list.peers) && !has(&list.missing))
}

fn peers(min_peers: MinPeers, known: &Known) -> Option<String> {
    let Some(list) = &known.list else { return Some(known.nobody()) };
    if let Some(why) = &list.stale {
        return Some(format!("who the peers are is not known just now: {why}"));
    }
    let mut words = vec![mk_gate(min_peers).holds(list)?];
    let mut missing: Vec<String> =
        list.missing.iter().take(MOST_REASONS).map(|peer| known.reason(&peer.host)).collect();
    match list.missing.len().saturating_sub(missing.len()) {
        0 => {}
        more => missing.push(format!("{more} more")),
    }
    if !missing.is_empty() {
        words.push(format!("missing {}", missing.join(", ")));
    } else if list.peers.is_empty()
        && let Some(Ok(Answers { service, .. })) = &known.answers
    {
        // Of a service that nobody is in, and whose sets nobody knows, its own name says why.
        words.push(match service {
            Ok(answer) => format!("the service: {answer}"),
            Err(trouble) => trouble.to_string(),
        });
    }
    Some(words.join("; "))
}

impl Own {
    fn lacks(&self, known: &Known) -> Option<String> {
        let host = &self.host;
        match known.of_host(host) {
            Some(Ok(answer)) if is_there(answer) => {
                let is_of_known_family =
                    |address: &IpAddr| self.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4());
                let mut wrong = answer.addresses.iter().filter(|address| !self.addresses.contains(address));
                let is_right = answer.addresses.iter().any(|address| self.addresses.contains(address));
                // Of a family of which we know no address of ours, any may be ours.
                if is_right && !wrong.any(is_of_known_family) {
                    let old =
                        || format!("{host} gave {answer} before the list changed, and is asked for again");
                    return (!known.is_current()).then(old);
                }
                Some(format!("{host} gives {answer} and should give {}", self.words()))
            }
            None if known.list.is_none() => Some(known.nobody()),
            _ => Some(format!("our own name is not there: {}", known.reason(host))),
        }
    }

    fn words(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        match self.min_peers {
            Some(MinPeers::Count(1)) => words.push("a peer".to_owned()),
            Some(MinPeers::Count(count)) => words.push(format!("{count} peers")),
            Some(MinPeers::All) => words.push("all peers".to_owned()),
            Some(MinPeers::Quorum) => words.push("a quorum of peers".to_owned()),
            None => {}
        }
        words.extend(self.ordinals.iter().map(|ordinal| format!("replica {ordinal}")));
        words.extend(self.own.as_ref().map(|own| format!("{} to give {}", own.host, own.words())));
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::{Peer, Way};

    fn mk_peer(ordinal: u64, ready: bool) -> Peer {
        let host = format!("web-{ordinal}");
        let name = format!("{host}.nginx.default.svc.cluster.local");
        Peer { name, host, addresses: Vec::new(), ports: vec![80], ready, ordinal: Some(ordinal) }
    }

    fn mk_list(there: &[u64], missing: &[u64], expected: Option<u64>) -> List {
        List {
            peers: there.iter().map(|ordinal| mk_peer(*ordinal, true)).collect(),
            missing: missing.iter().map(|ordinal| mk_peer(*ordinal, false)).collect(),
            expected,
            stale: None,
            way: Way::Push,
            server: "server".to_owned(),
        }
    }

    fn mk_answer(addresses: &[&str]) -> Answer {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Answer { exists: !addresses.is_empty(), addresses, authoritative: true, ..Answer::default() }
    }

    fn mk_known(list: Option<List>, hosts: &[(&str, Answer)]) -> Known {
        let hosts = hosts.iter().map(|(host, answer)| ((*host).to_owned(), Ok(answer.clone()))).collect();
        let answers = Answers { server: "server".to_owned(), service: Ok(Answer::default()), hosts };
        let list = list.map(Arc::new);
        Known { asked_at: list.clone(), list, answers: Some(Ok(answers)) }
    }

    fn mk_wish(min_peers: Option<&str>, ordinals: &[u64]) -> Wish {
        let min_peers = min_peers.map(|text| text.parse().unwrap());
        Wish { min_peers, ordinals: ordinals.into(), own: None }
    }

    fn mk_own(addresses: &[&str]) -> Wish {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Wish { own: Some(Own { host: "web-1".to_owned(), addresses }), ..mk_wish(None, &[]) }
    }

    fn stale(list: List) -> List {
        List { stale: Some(Arc::new(Trouble::NoPush("the server is away"))), ..list }
    }

    #[test]
    fn peers_count_where_they_are_known_now() {
        let list = || mk_list(&[0, 1], &[2], Some(3));
        let lacks = |min: &str, list: Option<List>| mk_wish(Some(min), &[]).lacks(&mk_known(list, &[]));
        assert!(lacks("2", Some(list())).is_empty() && lacks("quorum", Some(list())).is_empty());
        assert_eq!(lacks("all", Some(list())), ["2 of 3 peers are there; missing web-2"]);
        assert_eq!(lacks("0", None).len(), 1, "nobody has said that there are none");
        let old = lacks("2", Some(stale(list())));
        assert_eq!(old, ["who the peers are is not known just now: the server is away"]);
    }

    #[test]
    fn who_is_missing_is_said_with_the_reason() {
        let wish = mk_wish(Some("all"), &[]);
        let list = mk_list(&[], &[0, 1, 2, 3, 4], Some(5));
        let mut known = mk_known(Some(list), &[]);
        assert_eq!(wish.hosts(&known), ["web-0", "web-1", "web-2"]);
        let waits = Answer { why: Some("web-1 is not ready".to_owned()), ..mk_answer(&[]) };
        known.answers = mk_known(None, &[("web-0", mk_answer(&[])), ("web-1", waits)]).answers;
        let expected = "0 of 5 peers are there; missing web-0: NXDOMAIN, web-1: NXDOMAIN: web-1 is not ready, web-2, 2 more";
        assert_eq!(wish.lacks(&known), [expected]);
        known.answers = Some(Err(Trouble::NoPush("nobody answers")));
        assert!(wish.lacks(&known)[0].contains("web-0: nobody answers"));
        // Nobody expects anybody: the service's own name tells why.
        let said = mk_wish(Some("1"), &[]).lacks(&mk_known(Some(mk_list(&[], &[], None)), &[]));
        assert_eq!(said, ["0 of 1 peers are there; the service: NXDOMAIN without authority"]);
    }

    #[test]
    fn a_replica_is_listed_or_its_name_answers() {
        let wish = mk_wish(None, &[1]);
        let lacks = |list, hosts: &[(&str, Answer)]| wish.lacks(&mk_known(list, hosts));
        assert!(lacks(Some(mk_list(&[0, 1], &[2], Some(3))), &[]).is_empty());
        assert_eq!(
            lacks(Some(mk_list(&[0], &[1], Some(2))), &[("web-1", mk_answer(&[]))]),
            ["replica 1 is not there: web-1: NXDOMAIN"]
        );
        // As of a Service with a cluster IP, which lists nobody.
        let unlisted = || Some(mk_list(&[], &[0, 1], Some(2)));
        assert!(lacks(unlisted(), &[("web-1", mk_answer(&["10.0.0.1"]))]).is_empty());
        let old = Answer { stale: true, ..mk_answer(&["10.0.0.1"]) };
        assert_eq!(lacks(unlisted(), &[("web-1", old)]).len(), 1);
        assert_eq!(lacks(Some(stale(mk_list(&[1], &[], Some(1)))), &[]).len(), 1);
        // One set has it and the other misses it.
        let mut two = mk_list(&[0, 1], &[], Some(4));
        two.missing.push(Peer { host: "db-1".to_owned(), ..mk_peer(1, false) });
        assert_eq!(lacks(Some(two), &[("db-1", mk_answer(&[]))]).len(), 1);
        assert!(lacks(Some(mk_list(&[0], &[], None)), &[])[0].contains("none of the peers has it"));
        assert!(lacks(None, &[])[0].contains("server has not said yet who the peers are"));
    }

    /// The list has changed since, and the names may have gone with it.
    #[test]
    fn answers_from_before_a_change_end_no_wait() {
        let (replica, own) = (mk_wish(Some("2"), &[1]), mk_own(&["10.0.0.2"]));
        let mut known =
            mk_known(Some(mk_list(&[0], &[1, 2], Some(3))), &[("web-1", mk_answer(&["10.0.0.2"]))]);
        assert_eq!(replica.lacks(&known).len(), 1, "the list is short, the name answers");
        assert!(own.lacks(&known).is_empty());
        known.list = Some(Arc::new(mk_list(&[0, 2], &[1], Some(3))));
        let said = replica.lacks(&known);
        assert_eq!(said, ["replica 1 is not there: web-1 has 10.0.0.2 and is not listed"]);
        assert_eq!(
            own.lacks(&known),
            ["web-1 gave 10.0.0.2 before the list changed, and is asked for again"]
        );
        // And across an outage, be it that the same peers are told behind it.
        known.list = Some(Arc::new(stale(mk_list(&[0], &[1, 2], Some(3)))));
        assert_eq!(own.lacks(&known).len(), 1);
        // Asked for again, it is.
        known.asked_at.clone_from(&known.list);
        assert!(own.lacks(&known).is_empty());
    }

    #[test]
    fn our_own_set_names_a_replica_that_nobody_lists() {
        let wish = Wish { ordinals: vec![0], ..mk_own(&["10.0.0.2"]) };
        let known = mk_known(Some(mk_list(&[], &[], None)), &[]);
        assert_eq!(wish.hosts(&known), ["web-1", "web-0"]);
        assert_eq!(mk_wish(None, &[0]).hosts(&known), Vec::<String>::new());
        // Before there is a list, nobody is asked for a name that may not be there yet.
        let known = mk_known(None, &[]);
        assert_eq!(wish.hosts(&known), Vec::<String>::new());
        assert!(mk_own(&["10.0.0.2"]).lacks(&known)[0].contains("has not said yet who the peers are"));
    }

    #[test]
    fn our_own_name_gives_our_own_address_and_no_other() {
        let lacks = |own: &[&str], gives: &[&str]| {
            mk_own(own).lacks(&mk_known(None, &[("web-1", mk_answer(gives))])).pop()
        };
        for (own, gives) in [
            (&["10.0.0.2"][..], &["10.0.0.2"][..]),
            (&["10.0.0.2", "fd00::2"], &["10.0.0.2", "fd00::2"]),
            // One family alone, of the name or of what we know.
            (&["10.0.0.2", "fd00::2"], &["fd00::2"]),
            (&["10.0.0.2"], &["10.0.0.2", "fd00::2"]),
            (&["10.0.0.2", "10.0.1.2"], &["10.0.0.2"]),
        ] {
            assert_eq!(lacks(own, gives), None, "{own:?} {gives:?}");
        }
        for (own, gives) in [
            (&["10.0.0.2"][..], &["10.0.0.9"][..]),
            (&["10.0.0.2"], &["10.0.0.2", "10.0.0.9"]),
            (&["10.0.0.2", "fd00::2"], &["10.0.0.2", "fd00::9"]),
            (&["10.0.0.2"], &["fd00::2"]),
        ] {
            let said = lacks(own, gives).unwrap();
            assert!(said.contains(gives.last().unwrap()) && said.contains(own[0]), "{said}");
        }
        assert_eq!(lacks(&["10.0.0.2"], &[]).unwrap(), "our own name is not there: web-1: NXDOMAIN");
        let old = Answer { stale: true, ..mk_answer(&["10.0.0.2"]) };
        assert!(!mk_own(&["10.0.0.2"]).lacks(&mk_known(None, &[("web-1", old)])).is_empty());
    }

    #[test]
    fn what_is_waited_for_has_words() {
        let wish = Wish { ordinals: vec![0, 2], min_peers: Some(MinPeers::Quorum), ..mk_own(&["10.0.0.2"]) };
        assert_eq!(wish.to_string(), "a quorum of peers, replica 0, replica 2, web-1 to give 10.0.0.2");
    }
}
