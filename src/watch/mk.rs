//! What a server tells, for tests.

use jiff::Timestamp;

use super::{Cell, Change, Health, News, Set, State, Watch, Zone};

pub(super) fn now() -> Timestamp {
    "2026-11-21T12:04:10Z".parse().unwrap()
}

pub(super) fn mk_cell(set: &str, ordinal: u64, state: &str) -> Cell {
    let is_ready = state == "ready";
    Cell {
        name: format!("{set}-{ordinal}"),
        ordinal,
        state: state.to_owned(),
        expected: true,
        addresses: if is_ready { vec![format!("10.244.0.{ordinal}")] } else { Vec::new() },
        dns: is_ready.then(|| format!("{set}-{ordinal}.nginx.default.svc.cluster.local")),
        since: is_ready.then(|| "2026-11-21T12:03:07.120Z".to_owned()),
        reason: (!is_ready).then(|| {
            format!("{set}-{ordinal} is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false")
        }),
    }
}

pub(super) fn mk_set(namespace: &str, name: &str, states: &str) -> Set {
    let cell = |(ordinal, letter)| {
        let state = match letter {
            'R' => "ready",
            'n' => "not ready",
            'T' => "terminating",
            _ => "missing",
        };
        mk_cell(name, ordinal, state)
    };
    let cells: Vec<Cell> = (0..).zip(states.chars()).map(cell).collect();
    Set {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        service: Some("nginx".to_owned()),
        replicas: Some(cells.len() as u64),
        ready: cells.iter().filter(|cell| cell.state == "ready").count() as u64,
        cells,
        more: 0,
    }
}

pub(super) fn mk_change(text: &str) -> Change {
    Change {
        id: text.to_owned(),
        namespace: Some("default".to_owned()),
        service: Some("nginx".to_owned()),
        set: Some("web".to_owned()),
        text: text.to_owned(),
        published_at: "2026-11-21T12:04:07.512Z".to_owned(),
        took_ms: Some(4.12),
    }
}

pub(super) fn mk_health(stale_seconds: Option<u64>) -> News {
    let health = Health {
        ready: true,
        status: "ok".to_owned(),
        stale_seconds,
        degraded: Vec::new(),
        source: "kubernetes".to_owned(),
        watches: vec![Watch { age_seconds: Some(1.5) }, Watch { age_seconds: Some(3.9) }],
    };
    News::Health(health, Zone { zone: "cluster.local".to_owned(), serial: 1_795_000_000 })
}

pub(super) fn mk_state(sets: Vec<Set>) -> State {
    let mut state = State::new("http://127.0.0.1:9153", None);
    let total = sets.len();
    for news in [
        mk_health(None),
        News::Sets { namespace: None, sets, total },
        News::Changes(vec![mk_change("older"), mk_change("StatefulSet web: 3 -> 4 replicas")]),
        News::Live,
    ] {
        state.hear(news, now());
    }
    state
}

pub(super) fn three() -> Vec<Set> {
    vec![
        mk_set("default", "web", "RRn-T"),
        mk_set("kube-system", "store", "RRR"),
        mk_set("shop", "db", "RR-"),
    ]
}
