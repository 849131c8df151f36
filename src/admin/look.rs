//! Looks at the cluster, for the API and for the page: the same answers for both.

use std::collections::HashMap;

use tokio::sync::OwnedSemaphorePermit;

use super::board::{Board, Busy};
use super::status::{
    CellAnswer, HealthAnswer, PortAnswer, ServiceAnswer, ServicesAnswer, SetAnswer, SetsAnswer, StatusRest,
    ZoneAnswer,
};
use super::words::state_word;
use crate::cluster::{Cell, CellState, Index, Listed, Most, Roster, SetEntry, Sheet, Wanted, rosters};

/// Replicas of one answer that are asked why they are absent: each is a lookup in the zone.
const MOST_REASONS: usize = 512;
/// Replicas of one answer: some 450 octets each until it is written.
const MOST_CELLS: usize = 32_768;
/// Replicas of a set, where they are what is asked for.
pub(super) const WHOLE: Most = Most { each: 4096, absent: 0, all: MOST_CELLS };

/// Of a set, so many replicas and as many more of which it is said why they are absent.
pub(super) const fn in_rows(each: usize, absent: usize) -> Most {
    Most { each, absent, all: MOST_CELLS }
}

/// What sets are told with.
struct Telling {
    zone: String,
    /// Since when replicas are as they are.
    turned: HashMap<(String, String), String>,
    reasons_left: usize,
}

impl Telling {
    fn new(board: &Board) -> Self {
        let turned = board.ring().turned();
        Self { zone: zone_name(board), turned, reasons_left: MOST_REASONS }
    }

    fn set(&mut self, board: &Board, roster: Roster) -> SetAnswer {
        let Roster { namespace, name, service, shape, start, replicas, ready, cells, more } = roster;
        let below = service.as_ref().map(|service| format!("{service}.{namespace}.svc.{}", self.zone));
        let cells =
            cells.into_iter().map(|cell| self.cell(board, &namespace, below.as_deref(), cell)).collect();
        SetAnswer { namespace, name, service, service_kind: shape, start, replicas, ready, cells, more }
    }

    fn cell(&mut self, board: &Board, namespace: &str, below: Option<&str>, cell: Cell) -> CellAnswer {
        let Cell { name, ordinal, state, expected, addresses, slices } = cell;
        let dns = below.map(|below| format!("{name}.{below}"));
        let mut reason = None;
        if let Some(dns) = dns.as_ref().filter(|_| state != CellState::Ready && self.reasons_left > 0) {
            self.reasons_left -= 1;
            // The reason that a client is told with the answer: the two never differ.
            reason = (board.tellers.why)(&format!("{dns}."));
        }
        let since = self.turned.get(&(namespace.to_owned(), name.clone())).cloned();
        CellAnswer {
            name,
            ordinal,
            state: state_word(state),
            expected,
            addresses,
            slices,
            dns,
            since,
            reason,
        }
    }
}

/// The zone's name without the last dot.
pub(super) fn zone_name(board: &Board) -> String {
    let zone = board.reader.zone().to_string();
    zone.strip_suffix('.').unwrap_or(&zone).to_owned()
}

/// On a thread of its own: unpacking a thousand sets takes some ten milliseconds. The turn is over when the work is, for
/// that goes on when nobody waits for it any more.
async fn unpack<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Busy> {
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Busy)
}

async fn told(
    board: &Board,
    most: Most,
    list: impl FnOnce(&Index) -> Listed<SetEntry> + Send + 'static,
) -> Result<SetsAnswer, Busy> {
    let turn = board.turn().await?;
    let serial = board.reader.serial();
    let Listed { items, total, is_cut } = board.ask(list).await?;
    let board = board.clone();
    unpack(turn, move || {
        let mut telling = Telling::new(&board);
        let rosters = rosters(&items, most);
        drop(items);
        let sets: Vec<SetAnswer> = rosters.into_iter().map(|roster| telling.set(&board, roster)).collect();
        let last = sets.last().filter(|_| is_cut);
        let next = last.map(|set| format!("{}/{}", set.namespace, set.name));
        SetsAnswer { serial, total, next, sets }
    })
    .await
}

/// A part of the sets.
pub(super) async fn sets(board: &Board, wanted: Wanted, most: Most) -> Result<SetsAnswer, Busy> {
    told(board, most, move |index| index.list_sets(&wanted)).await
}

/// Those of the named sets that are there.
pub(super) async fn named_sets(
    board: &Board,
    names: Vec<(String, String)>,
    most: Most,
) -> Result<Vec<SetAnswer>, Busy> {
    let list = move |index: &Index| {
        let items = index.set_entries(names.iter().map(|(namespace, name)| (&**namespace, &**name)));
        Listed { total: items.len(), items, is_cut: false }
    };
    Ok(told(board, most, list).await?.sets)
}

/// A set; None where it is not there.
pub(super) async fn set(board: &Board, namespace: String, name: String) -> Result<Option<SetAnswer>, Busy> {
    Ok(named_sets(board, vec![(namespace, name)], WHOLE).await?.into_iter().next())
}

/// A part of the Services.
pub(super) async fn services(board: &Board, wanted: Wanted) -> Result<ServicesAnswer, Busy> {
    let turn = board.turn().await?;
    let (serial, zone) = (board.reader.serial(), zone_name(board));
    let Listed { items, total, is_cut } = board.ask(move |index| index.list_services(&wanted)).await?;
    unpack(turn, move || {
        let services: Vec<ServiceAnswer> =
            items.iter().filter_map(|sheet| of_service(sheet, &zone)).collect();
        let last = services.last().filter(|_| is_cut);
        let next = last.map(|service| format!("{}/{}", service.namespace, service.name));
        ServicesAnswer { serial, total, next, services }
    })
    .await
}

/// A Service; None where it is not there.
pub(super) async fn service(
    board: &Board,
    namespace: String,
    name: String,
) -> Result<Option<ServiceAnswer>, Busy> {
    let turn = board.turn().await?;
    let zone = zone_name(board);
    let sheet = board.ask(move |index| index.sheet(&namespace, &name)).await?;
    unpack(turn, move || sheet.and_then(|sheet| of_service(&sheet, &zone))).await
}

fn of_service(sheet: &Sheet, zone: &str) -> Option<ServiceAnswer> {
    let objects = sheet.objects();
    let service = objects.service?;
    let endpoints = || objects.slices.iter().flat_map(|slice| &slice.endpoints);
    let mut sets: Vec<String> = objects.sets.iter().map(|set| set.name.to_string()).collect();
    sets.sort_unstable();
    let (addresses, external_name) = service.shape.stands_for();
    let ports = service.ports.iter().map(|port| PortAnswer {
        name: port.name.as_ref().map(ToString::to_string),
        protocol: port.protocol.srv_label().trim_start_matches('_'),
        number: port.number,
    });
    Some(ServiceAnswer {
        namespace: sheet.namespace().to_owned(),
        name: sheet.name().to_owned(),
        kind: service.shape.as_str(),
        dns: Some(format!("{}.{}.svc.{zone}", sheet.name(), sheet.namespace())),
        addresses: addresses.to_vec(),
        external_name: external_name.map(ToOwned::to_owned),
        ports: ports.collect(),
        ready: endpoints().filter(|endpoint| endpoint.ready && !endpoint.terminating).count(),
        not_ready: endpoints().filter(|endpoint| !endpoint.ready && !endpoint.terminating).count(),
        terminating: endpoints().filter(|endpoint| endpoint.terminating).count(),
        slices: objects.slices.len(),
        sets,
    })
}

/// Health and what it is made of.
pub(super) fn health(board: &Board) -> HealthAnswer {
    let status = (board.tellers.status)();
    let told = board.health.told();
    HealthAnswer {
        ready: told.ready,
        status: told.word.to_owned(),
        stale_seconds: told.stale.map(|stale| stale.as_secs()),
        degraded: told.degraded,
        notes: told.notes,
        status_of: StatusRest { source: status.source, watches: status.watches, snapshot: status.snapshot },
    }
}

/// The zone.
pub(super) fn zone(board: &Board) -> ZoneAnswer {
    let size = board.reader.size();
    ZoneAnswer {
        zone: zone_name(board),
        serial: board.reader.serial(),
        synchronised: board.reader.is_synchronised(),
        expired: board.reader.is_expired(),
        services: size.services,
        names: size.names,
        objects: (board.tellers.status)().objects,
    }
}
