//! Stale, and from a snapshot: the same answers, with times to live that are capped.

use rollcall::cluster::{Import, Part};
use rollcall::server::Transport;
use rollcall::zone::{Freshness, Order};

use super::message::packet;
use super::served::{Asked, Served, Variant};
use super::{Tally, case, run, zone};
use crate::oracle::{World, current};
use crate::support::reply::Reply;
use proptest::prelude::*;

#[test]
fn a_cluster_from_a_snapshot_answers_as_the_oracle() {
    run("from a snapshot", zone().prop_flat_map(case), |case| {
        let before = Served::of(&case.cluster, &case.settings, case.variant);
        let mut import = Import::default();
        for part in Part::ALL {
            let mut octets = Vec::new();
            before.driver().index().export(part, &mut octets);
            import.part(part, &octets).map_err(|error| format!("{part:?}: {error}"))?;
        }
        let mut after = Served::new(&case.settings, case.variant);
        after.driver_mut().load(import.finish());
        after.publish();
        case.ask_all(&mut after, &current(&case.cluster), &mut Tally::default())
    });
}

/// Each record's time to live is the lesser of its own and the cap; nothing else differs.
fn capped(whole: &Reply, stale: &Reply, cap: u64) -> Result<(), String> {
    let lesser = |record: &String| {
        let mut words: Vec<String> = record.split(' ').map(ToOwned::to_owned).collect();
        if let Some(ttl) = words.get_mut(1) {
            *ttl = ttl.parse::<u64>().map_or_else(|_| ttl.clone(), |seconds| seconds.min(cap).to_string());
        }
        words.join(" ")
    };
    let wanted: Vec<Vec<String>> = whole.sections.iter().map(|of| of.iter().map(lesser).collect()).collect();
    if whole.status == stale.status && wanted == stale.sections.to_vec() {
        Ok(())
    } else {
        Err(format!("{} {:?}\ninstead of {} {wanted:?}", stale.status, stale.sections, whole.status))
    }
}

#[test]
fn while_stale_nothing_is_to_be_remembered_for_long_and_past_it_nothing_is_said() {
    run("stale answers", zone().prop_flat_map(case), |case| {
        // An order that is the same each time.
        let variant = Variant { order: Order::Ordinal, ..case.variant };
        let mut served = Served::of(&case.cluster, &case.settings, variant);
        let cluster = current(&case.cluster);
        let world = World::new(&cluster, &case.settings);
        for (seed, manner) in &case.questions {
            let packet = packet(&seed.question(&world, &case.settings.zone), *manner);
            let mut ask = |freshness| {
                served.driver_mut().set_freshness(freshness);
                match served.ask(&packet, Transport::Tcp) {
                    Asked::Reply(reply) | Asked::Chase { reply, .. } => {
                        Reply::read(&reply).map_err(|error| error.to_string())
                    }
                    Asked::Silence => Err("silence".to_owned()),
                }
            };
            let whole = ask(Freshness::Fresh)?;
            for cap in [0, 2, 3600] {
                capped(&whole, &ask(Freshness::Stale { ttl_cap: cap })?, cap.into())?;
            }
            let refused = ask(Freshness::Expired)?;
            let is_ours = whole.status != "REFUSED";
            let wanted = if is_ours { "SERVFAIL" } else { "REFUSED" };
            let said = refused.sections.iter().map(Vec::len).sum::<usize>();
            if (refused.status.as_str(), said) != (wanted, 0) {
                return Err(format!("expired: {} {:?}", refused.status, refused.sections));
            }
            capped(&whole, &ask(Freshness::Fresh)?, 3600)?;
        }
        Ok(())
    });
}
