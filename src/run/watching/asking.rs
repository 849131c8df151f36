//! What `watch` asks a server for: sets, last changes, health.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context as _;
use serde::Deserialize;

use super::super::remote::{MOST, Server};
use crate::watch::{Change, Changes, Health, MOST_CHANGES, News, Set, Sets, Zone};

/// Sets or changes of a question, the most that the API gives.
const PART: usize = 1000;
/// Answers until the newest changes are there: a server remembers 65,536 at most (`limits.page_changes`).
const MOST_PARTS: usize = 66;

/// Sets by namespace and name: what has to be known of each to follow it.
pub(super) type Known = BTreeMap<(String, String), Followed>;

/// Of a set. A change of its Service is one of it.
pub(super) struct Followed {
    pub(super) service: Option<String>,
    pub(super) is_complete: bool,
}

impl Followed {
    pub(super) fn of(set: &Set) -> Self {
        Self { service: set.service.clone(), is_complete: set.is_complete() }
    }
}

/// Health, and all sets of a namespace, or of all, as [`sets`] has them.
pub(super) async fn all(
    server: &Server,
    namespace: Option<&str>,
    most: usize,
) -> anyhow::Result<(Vec<News>, Known)> {
    let (sets, total) = sets(server, namespace, most).await?;
    let known =
        sets.iter().map(|set| ((set.namespace.clone(), set.name.clone()), Followed::of(set))).collect();
    let sets = News::Sets { namespace: namespace.map(ToOwned::to_owned), sets, total };
    Ok((vec![health(server).await?, sets], known))
}

/// Part by part, until there are so many, or all answers together are as long as one may be; and how many there are.
pub(super) async fn sets(
    server: &Server,
    namespace: Option<&str>,
    most: usize,
) -> anyhow::Result<(Vec<Set>, usize)> {
    let limit = PART.to_string();
    let (mut sets, mut octets) = (Vec::new(), 0);
    let mut after: Option<String> = None;
    loop {
        let mut query = vec![("limit", limit.as_str())];
        query.extend(namespace.map(|namespace| ("namespace", namespace)));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = server.get_page("/api/v1/sets", &query).await?;
        octets += answer.len();
        let part: Sets = read(&answer)?;
        // One that leads nowhere would be asked for again and again.
        let is_last = part.sets.is_empty() || part.next.is_none() || part.next == after;
        sets.extend(part.sets);
        if is_last || sets.len() >= most || octets >= MOST {
            return Ok((sets, part.total));
        }
        after = part.next;
    }
}

/// The newest changes of a namespace, or of all, and the name of the last one of all. They are told from the oldest on.
pub(super) async fn changes(server: &Server, namespace: Option<&str>) -> anyhow::Result<Changes> {
    let limit = PART.to_string();
    let mut newest = VecDeque::new();
    let mut last: Option<String> = None;
    for _ in 0..MOST_PARTS {
        let mut query = vec![("limit", limit.as_str())];
        query.extend(last.as_deref().map(|last| ("after", last)));
        let part: Changes = read(&server.get_page("/api/v1/changes", &query).await?)?;
        let is_last = part.changes.len() < PART || last.as_ref() == Some(&part.last);
        newest.extend(part.changes.into_iter().filter(|change: &Change| change.is_of(namespace)));
        newest.drain(..newest.len().saturating_sub(MOST_CHANGES));
        last = Some(part.last);
        if is_last {
            break;
        }
    }
    Ok(Changes { last: last.unwrap_or_default(), changes: newest.into() })
}

pub(super) async fn health(server: &Server) -> anyhow::Result<News> {
    let health: Health = read(&server.get("/api/v1/health", &[]).await?)?;
    let zone: Zone = read(&server.get("/api/v1/zone", &[]).await?)?;
    Ok(News::Health(health, zone))
}

/// One set.
pub(super) async fn set(server: &Server, namespace: &str, name: &str) -> anyhow::Result<Set> {
    // Names of the API are labels and dots: a path holds them as they are.
    read(&server.get(&format!("/api/v1/sets/{namespace}/{name}"), &[]).await?)
}

fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> anyhow::Result<T> {
    serde_json::from_slice(answer).context("the server answers in another form: it may be of another version")
}
