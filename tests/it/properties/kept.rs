//! A zone that was kept is served as it was, before the cluster behind it is known and after; damaged it is refused, or
//! answers something.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Place;
use rollcall::cluster::Index;
use rollcall::model::Object;
use rollcall::server::Transport;
use rollcall::zone::{KeptError, MasterFile, Part, PodNames};

use super::message::packet;
use super::served::Served;
use super::{Case, Tally, case, run, settings, zone};
use crate::generate::cluster;
use crate::oracle::{World, current};

/// The index of a cluster, all of it dirty; without pods, which are not followed where a zone is kept.
fn mk_index(objects: &[Object]) -> Index {
    let mut index = Index::new();
    let objects = objects.iter().filter(|object| !matches!(object, Object::Pod(_)));
    objects.for_each(|object| index.apply(object.clone()));
    index
}

/// What a server of the case keeps; None where it keeps nothing.
fn kept(case: &Case) -> Option<Vec<u8>> {
    let octets = Served::of(&case.cluster, &case.settings, case.variant).kept();
    let is_every_pod_named = Served::pods(&case.settings) == PodNames::Verified;
    assert_eq!(octets.is_empty(), is_every_pod_named);
    (!is_every_pod_named).then_some(octets)
}

#[test]
fn a_kept_zone_answers_as_the_one_that_it_was() {
    let tally = RefCell::new(Tally::default());
    let strategy = zone().prop_flat_map(|zone| (case(zone), cluster(zone), settings(zone)));
    run("kept zones", strategy, |(case, other, other_settings)| {
        let Some(octets) = kept(case) else { return Ok(()) };
        let mut served = Served::taken_up(&octets, &case.settings, case.variant)
            .map_err(|why| format!("it was refused: {why}"))?;
        let now = current(&case.cluster);
        case.ask_all(&mut served, &now, &mut tally.borrow_mut())?;
        // The cluster that it is of: there is nothing to be said anew.
        served.driver_mut().load(mk_index(&case.cluster));
        let changed = served.driver_mut().publish().changed;
        if changed > 0 {
            return Err(format!("{changed} of its records are others than those of its cluster"));
        }
        case.ask_all(&mut served, &now, &mut Tally::default())?;
        // Another one: nothing is left of the first.
        let mut served = Served::taken_up(&octets, &case.settings, case.variant)
            .map_err(|why| format!("it was refused: {why}"))?;
        let other = super::served_namespaces(other.clone(), &case.settings);
        served.driver_mut().load(mk_index(&other));
        served.publish();
        case.ask_all(&mut served, &current(&other), &mut Tally::default())?;
        // By other rules it is none, unless they make the same.
        let rules = |s: &crate::oracle::OracleSettings| {
            (s.positive, s.negative, s.expected, s.governing_only, s.endpoint_pod_names, s.zone.clone())
        };
        let refused = Served::taken_up(&octets, other_settings, case.variant).err();
        let is_other = rules(other_settings) != rules(&case.settings)
            || Served::pods(other_settings) == PodNames::Verified;
        match refused {
            Some(KeptError::Others) if is_other => Ok(()),
            None if !is_other => Ok(()),
            otherwise => Err(format!("{other_settings:?}: {otherwise:?}")),
        }
    });
    tally.into_inner().has_everything();
}

#[test]
fn a_damaged_zone_is_refused_or_answers() {
    let (refused, taken) = (RefCell::new(0_u32), RefCell::new(0_u32));
    let damage = vec((any::<Place>(), any::<u8>(), any::<bool>()), 40);
    let strategy = (zone().prop_flat_map(case), damage);
    run("damaged zones", strategy, |(case, damage)| {
        let Some(octets) = kept(case) else { return Ok(()) };
        let cluster = current(&case.cluster);
        let world = World::new(&cluster, &case.settings);
        for cut in damage.iter().map(|(place, ..)| place.index(octets.len())) {
            if Served::taken_up(&octets[..cut], &case.settings, case.variant).is_ok() {
                return Err(format!("the first {cut} octets were taken for all of it"));
            }
        }
        for (place, value, is_flip) in damage {
            let mut damaged = octets.clone();
            let at = place.index(octets.len());
            damaged[at] = if *is_flip { damaged[at] ^ (1 << (value & 7)) } else { *value };
            let Ok(mut served) = Served::taken_up(&damaged, &case.settings, case.variant) else {
                *refused.borrow_mut() += 1;
                continue;
            };
            *taken.borrow_mut() += 1;
            for (seed, manner) in &case.questions {
                let question = seed.question(&world, &case.settings.zone);
                let _ = served.ask(&packet(&question, *manner), Transport::Udp);
            }
            for part in [Part::Cluster, Part::Reverse] {
                let written = MasterFile::new(served.reader(), part).write(&mut std::io::sink());
                written.map_err(|error| error.to_string())?;
            }
            // And whatever was in it goes.
            served.driver_mut().load(Index::new());
            served.publish();
            let size = served.reader().size();
            if (size.services, size.names) != (0, 0) {
                return Err(format!("octet {at}: {size:?} is left"));
            }
        }
        Ok(())
    });
    println!("{} refused, {} taken", refused.borrow(), taken.borrow());
    assert!(*refused.borrow() > 100 && *taken.borrow() > 100, "one of both was hardly seen");
}
