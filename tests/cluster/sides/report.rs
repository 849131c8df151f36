//! Asks both servers every question, and keeps count: of differences by row, and of those that no row, or
//! more than one, covers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use super::ask::{Client, Question};
use super::compare::Pair;
use super::objects::World;
use super::rows::{Case, Via, covering, rows};

/// How many faults are printed in full; there is one cause for most.
const PRINTED: usize = 20;

/// What came out.
#[derive(Default)]
pub(super) struct Report {
    /// Questions asked, over UDP; and of them over TCP, too.
    pub(super) asked: usize,
    pub(super) asked_tcp: usize,
    /// How many differences each row covered.
    pub(super) by_row: BTreeMap<&'static str, usize>,
    /// Differences that are not covered by exactly one row, as they are to be read.
    pub(super) faults: Vec<String>,
}

impl Report {
    /// Asks CoreDNS with kubeadm's Corefile, and ours, one question after the other.
    pub(super) fn ask(
        &mut self,
        world: &World,
        questions: &[Question],
        kubeadm: SocketAddr,
        ours: (Via, SocketAddr),
    ) {
        let (via, server) = ours;
        let (mut theirs, mut ours) = (Client::new(kubeadm), Client::new(server));
        for question in questions {
            self.asked += 1;
            let (their_udp, our_udp) = (theirs.ask_udp(question), ours.ask_udp(question));
            let pair = Pair { theirs: &their_udp, ours: &our_udp };
            let tcp = question.tcp || their_udp.truncated || our_udp.truncated;
            let over_tcp = tcp.then(|| (theirs.ask_tcp(question), ours.ask_tcp(question)));
            let whole = over_tcp.as_ref().map(|(theirs, ours)| Pair { theirs, ours });
            self.sort(world, question, via, pair, whole);
            if let Some(whole) = whole {
                self.asked_tcp += 1;
                self.sort(world, question, via, whole, None);
            }
        }
    }

    /// Puts each difference to its row.
    fn sort(
        &mut self,
        world: &World,
        question: &Question,
        via: Via,
        pair: Pair<'_>,
        whole: Option<Pair<'_>>,
    ) {
        let labels = question.labels();
        let place = world.place(&labels);
        let Pair { theirs, ours } = pair;
        for aspect in pair.differences(question, whole) {
            let case = Case { world, question, place: &place, via, aspect, theirs, ours, whole };
            match covering(&case).as_slice() {
                [row] => *self.by_row.entry(row).or_default() += 1,
                several => {
                    let which = if several.is_empty() { "no row" } else { "more than one row" };
                    self.faults.push(format!(
                        "{}\n{aspect:?}, {via:?}: {which} {several:?}\n; CoreDNS\n{theirs}; rollcall\n{ours}",
                        question.dig()
                    ));
                }
            }
        }
    }

    /// Panics when a difference is not listed, and when one that is listed was not seen.
    pub(super) fn judge(&self) {
        println!("{self}");
        let seen: BTreeSet<&str> = self.by_row.keys().copied().collect();
        let gone: Vec<&str> = rows().map(|row| row.id).filter(|id| !seen.contains(id)).collect();
        let printed: Vec<&str> = self.faults.iter().map(String::as_str).take(PRINTED).collect();
        assert!(
            self.faults.is_empty() && gone.is_empty(),
            "docs/differences.md does not list {} differences, and no question shows its rows {gone:?}\n\n{}",
            self.faults.len(),
            printed.join("\n")
        );
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} questions, {} of them over TCP too; differences by row:",
            self.asked, self.asked_tcp
        )?;
        self.by_row.iter().try_for_each(|(row, count)| writeln!(f, "{count:>7}  {row}"))
    }
}

#[test]
#[should_panic(expected = "no question shows its rows [\"ttl\"]")]
fn a_row_that_is_gone_is_a_fault() {
    let seen = rows().map(|row| row.id).filter(|id| *id != "ttl");
    Report { by_row: seen.map(|id| (id, 1)).collect(), ..Report::default() }.judge();
}

#[test]
#[should_panic(expected = "dig web A")]
fn a_difference_without_a_row_is_a_fault() {
    let by_row = rows().map(|row| (row.id, 1)).collect();
    Report { by_row, faults: vec!["dig web A".into()], ..Report::default() }.judge();
}

#[test]
fn every_row_seen_and_no_fault_is_well() {
    Report { by_row: rows().map(|row| (row.id, 1)).collect(), ..Report::default() }.judge();
}
