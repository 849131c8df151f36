//! Who waits for what, until when: found by name, by time, by who asked. Knows neither sockets nor the zone's records.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::zone::{Changed, Dependence};

/// A whole name, lower case.
pub(super) type Owner = Arc<[u8]>;

/// What makes a question the same as another: who asks from where, the message's ID, the type, the name.
pub(super) type Asker = (SocketAddr, u16, u16, Owner);

/// Questions by their numbers, which are given in the order in which they come.
pub(super) struct Table<Q> {
    last: u64,
    by_number: HashMap<u64, Waiting<Q>>,
    by_time: BTreeSet<(Instant, u64)>,
    by_dependence: HashMap<Dependence, HashMap<Owner, BTreeSet<u64>>>,
    by_asker: HashMap<Asker, u64>,
    by_client: HashMap<IpAddr, usize>,
}

/// A question, and under what it is found.
pub(super) struct Waiting<Q> {
    pub(super) question: Q,
    pub(super) owner: Owner,
    pub(super) dependence: Dependence,
    /// None where one that is sent again has a reply of its own.
    pub(super) asker: Option<Asker>,
    pub(super) client: IpAddr,
    pub(super) until: Instant,
}

impl<Q> Table<Q> {
    pub(super) fn new() -> Self {
        Self {
            last: 0,
            by_number: HashMap::new(),
            by_time: BTreeSet::new(),
            by_dependence: HashMap::new(),
            by_asker: HashMap::new(),
            by_client: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The question of somebody who asks again.
    pub(super) fn again(&mut self, asker: &Asker) -> Option<&mut Q> {
        let number = self.by_asker.get(asker)?;
        self.by_number.get_mut(number).map(|waiting| &mut waiting.question)
    }

    /// How many are of a client.
    pub(super) fn of_client(&self, client: IpAddr) -> usize {
        self.by_client.get(&client).copied().unwrap_or_default()
    }

    pub(super) fn insert(&mut self, waiting: Waiting<Q>) {
        self.last += 1;
        let number = self.last;
        self.by_time.insert((waiting.until, number));
        let owners = self.by_dependence.entry(waiting.dependence.clone()).or_default();
        owners.entry(Arc::clone(&waiting.owner)).or_default().insert(number);
        if let Some(asker) = &waiting.asker {
            self.by_asker.insert(asker.clone(), number);
        }
        *self.by_client.entry(waiting.client).or_default() += 1;
        self.by_number.insert(number, waiting);
    }

    pub(super) fn get(&self, number: u64) -> Option<&Q> {
        self.by_number.get(&number).map(|waiting| &waiting.question)
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Q> {
        let Waiting { question, owner, dependence, asker, client, until } = self.by_number.remove(&number)?;
        self.by_time.remove(&(until, number));
        if let Some(owners) = self.by_dependence.get_mut(&dependence) {
            if let Some(numbers) = owners.get_mut(&owner) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    owners.remove(&owner);
                }
            }
            if owners.is_empty() {
                self.by_dependence.remove(&dependence);
            }
        }
        if let Some(asker) = asker {
            self.by_asker.remove(&asker);
        }
        if let Some(count) = self.by_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
        Some(question)
    }

    /// When the first one's time is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(until, _)| *until)
    }

    /// The first one whose time is over by then.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        self.by_time.first().filter(|(until, _)| *until <= now).map(|(_, number)| *number)
    }

    /// The first one of all.
    pub(super) fn first(&self) -> Option<u64> {
        self.by_time.first().map(|(_, number)| *number)
    }

    /// The names that a change may be about, each with its questions.
    pub(super) fn affected(&self, changed: &Changed) -> Vec<Vec<u64>> {
        let numbers = |owners: &HashMap<Owner, BTreeSet<u64>>| -> Vec<Vec<u64>> {
            owners.values().map(|numbers| numbers.iter().copied().collect()).collect()
        };
        match changed {
            Changed::Everything => self.by_dependence.values().flat_map(numbers).collect(),
            Changed::These(these) => {
                these.iter().filter_map(|one| self.by_dependence.get(one)).flat_map(numbers).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::{Name, ParsedName};

    /// What a name depends on, in a zone that nothing is in.
    fn dependence(name: &str) -> (Owner, Dependence) {
        let (_publisher, reader) = crate::zone::zone(crate::zone::mk_settings());
        let mut parsed = ParsedName::default();
        parsed.parse(Name::from_text(name).unwrap().as_wire()).unwrap();
        (parsed.as_wire().into(), Dependence::of(&reader.view(), &parsed))
    }

    fn mk_waiting(name: &str, port: u16, until: Instant) -> Waiting<u16> {
        let (owner, dependence) = dependence(&format!("{name}.a.svc.cluster.local"));
        let from = SocketAddr::from(([10, 0, 0, 1], port));
        let asker = Some((from, 7, 1, Arc::clone(&owner)));
        Waiting { question: port, owner, dependence, asker, client: from.ip(), until }
    }

    #[test]
    fn each_is_found_every_way_and_leaves_nothing() {
        let (mut table, now) = (Table::new(), Instant::now());
        let later = now + Duration::from_secs(1);
        table.insert(mk_waiting("web-1.nginx", 1, later));
        table.insert(mk_waiting("web-1.nginx", 2, now));
        table.insert(mk_waiting("web-2.nginx", 3, later));
        table.insert(mk_waiting("db-0.db", 4, later));
        let client = IpAddr::from([10, 0, 0, 1]);
        assert_eq!(table.of_client(client), 4);
        let again = mk_waiting("web-2.nginx", 3, later).asker.unwrap();
        assert_eq!(table.again(&again), Some(&mut 3));
        let other_id = (again.0, 8, again.2, again.3.clone());
        let other_type = (again.0, again.1, 28, again.3.clone());
        assert!(table.again(&other_id).is_none() && table.again(&other_type).is_none());
        let (_, of_nginx) = dependence("nginx.a.svc.cluster.local");
        let mut affected = table.affected(&Changed::These([of_nginx].into()));
        affected.sort();
        assert_eq!(affected, [vec![1, 2], vec![3]]);
        assert_eq!(table.affected(&Changed::Everything).concat().len(), 4);
        assert_eq!((table.next(), table.due(now), table.get(2)), (Some(now), Some(2), Some(&2)));
        assert_eq!(table.remove(2), Some(2));
        assert_eq!((table.due(now), table.due(later), table.first()), (None, Some(1), Some(1)));
        for (number, question) in [(1, 1), (3, 3), (4, 4)] {
            assert_eq!(table.remove(number), Some(question));
            assert_eq!(table.remove(number), None);
        }
        assert!(table.is_empty() && table.by_time.is_empty() && table.by_dependence.is_empty());
        assert!(table.by_asker.is_empty() && table.by_client.is_empty());
    }
}
