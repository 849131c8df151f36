//! One server, followed: the stream of what changes, and a question for what changed.

use std::cell::Cell;
use std::future::pending;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::super::remote::{RemoteError, Server};
use super::MOST_SETS;
use super::asking::{self, Followed, Known};
use crate::watch::{Change, Event, Events, News, Zone};

/// Changes are gathered for this long: a rollout makes many of one set.
const GATHER: Duration = Duration::from_millis(150);
/// Sets that are asked for one by one; where more changed, all are.
const MOST_SINGLY: usize = 32;
/// Between two questions for all sets: each is some megabytes, and as much work of the server.
const BETWEEN: Duration = Duration::from_secs(2);
/// What could not be asked for just now is asked for again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Ages of watches, and reasons that no change tells of, are asked for anew.
const LOOK: Duration = Duration::from_secs(5);
/// The server gives a sign of life each 10 s.
const SILENCE: Duration = Duration::from_secs(25);

/// Why it is followed no more.
pub(super) enum End {
    /// Nobody looks.
    Unheard,
    /// The server said so.
    Stopped,
    /// The stream broke, or ended before it had lived.
    Broken(String),
}

/// Follows it, until something is in the way. A stream that has lived and ends is opened anew where it ended: a server
/// ends each of them in time. `has_lived` says that there was one.
///
/// # Errors
/// Where it cannot be asked, or answers in another form.
pub(super) async fn follow(
    server: &Server,
    namespace: Option<&str>,
    tell: &impl Fn(News) -> bool,
    has_lived: &Cell<bool>,
) -> anyhow::Result<End> {
    // The changes first: what comes behind them is in the stream, and what is asked for after them is at least as new.
    let changes = asking::changes(server, namespace).await?;
    let stream = opened(server, &changes.last).await?;
    let (news, known) = asking::all(server, namespace, MOST_SETS).await?;
    for news in news.into_iter().chain([News::Changes(changes.changes), News::Live]) {
        if !tell(news) {
            return Ok(End::Unheard);
        }
    }
    let now = Instant::now();
    let following = Following {
        server,
        namespace,
        tell,
        has_lived,
        last: changes.last,
        listed: now,
        look_at: now + LOOK,
        unhealthy: None,
        asking: Asking { known, ..Asking::default() },
    };
    following.run(stream).await
}

async fn opened(server: &Server, after: &str) -> anyhow::Result<Incoming> {
    server.stream("/api/v1/events", &[("after", after)]).await
}

struct Following<'a, T> {
    server: &'a Server,
    namespace: Option<&'a str>,
    tell: &'a T,
    has_lived: &'a Cell<bool>,
    /// The last change that was told: another stream goes on behind it.
    last: String,
    /// When all sets were asked for.
    listed: Instant,
    /// When health is asked for next.
    look_at: Instant,
    /// Since when it could not be.
    unhealthy: Option<Instant>,
    asking: Asking,
}

/// What is known of the sets, and which of them are to be asked for.
#[derive(Default)]
struct Asking {
    known: Known,
    dirty: Dirty,
    /// When the zone was looked at last.
    serial: Option<u32>,
    /// The set whose reasons were asked for last.
    looked: Option<(String, String)>,
    /// So many more are to be asked for until each was, since the zone was another.
    unlooked: usize,
}

/// What changed and was not asked for yet.
#[derive(Default)]
struct Dirty {
    sets: Vec<(String, String)>,
    is_all: bool,
    /// Changes were missed.
    is_gap: bool,
    due: Option<Instant>,
    /// Since when it could not be asked for.
    failing: Option<Instant>,
}

impl<T: Fn(News) -> bool> Following<'_, T> {
    async fn run(mut self, mut stream: Incoming) -> anyhow::Result<End> {
        let mut events = Events::default();
        let mut opened_at = Instant::now();
        let mut silent_at = opened_at + SILENCE;
        loop {
            let due = self.asking.dirty.due;
            let gathered = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                frame = timeout_at(silent_at, stream.frame()) => {
                    let has_lived = opened_at.elapsed() >= SILENCE;
                    if has_lived {
                        self.has_lived.set(true);
                    }
                    let octets = match frame {
                        Err(_) => return Ok(End::Broken(format!("no sign of life for {} s", SILENCE.as_secs()))),
                        Ok(Some(Err(error))) => return Ok(End::Broken(crate::source::chain(&error))),
                        Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                        Ok(None) if has_lived => {
                            stream = opened(self.server, &self.last).await?;
                            events = Events::default();
                            opened_at = Instant::now();
                            silent_at = opened_at + SILENCE;
                            continue;
                        }
                        Ok(None) => return Ok(End::Broken("the server closed the connection".to_owned())),
                    };
                    silent_at = Instant::now() + SILENCE;
                    for event in events.take(&octets)? {
                        if let Some(end) = self.hear(&event).await? {
                            return Ok(end);
                        }
                    }
                }
                () = gathered => {
                    if !self.catch_up().await? {
                        return Ok(End::Unheard);
                    }
                }
                () = sleep_until(self.look_at) => {
                    // A server that is gone is noticed by its stream, and this question does not put it off.
                    match timeout_at(silent_at, self.look()).await {
                        Ok(Ok(true)) => {}
                        Ok(Ok(false)) => return Ok(End::Unheard),
                        Ok(Err(error)) => return Err(error),
                        Err(_) => self.look_at = Instant::now() + LOOK,
                    }
                }
            }
        }
    }

    async fn hear(&mut self, event: &Event) -> anyhow::Result<Option<End>> {
        if !event.id.is_empty() {
            self.last.clone_from(&event.id);
        }
        match event.name.as_str() {
            "change" => {
                let change: Change = serde_json::from_str(&event.data).context("a change of another form")?;
                self.asking.mark(&change, self.namespace);
                if !(self.tell)(News::Change(Box::new(change))) {
                    return Ok(Some(End::Unheard));
                }
            }
            "health" => return Ok((!self.look().await?).then_some(End::Unheard)),
            // What was missed is not known.
            "gap" => {
                self.asking.dirty.is_gap = true;
                self.asking.dirty.all();
            }
            "end" => return Ok(Some(End::Stopped)),
            _ => {}
        }
        Ok(None)
    }

    /// Asks how it is; whether somebody looks. Where it cannot be asked just now it is at the next look.
    async fn look(&mut self) -> anyhow::Result<bool> {
        let health = asking::health(self.server).await;
        self.look_at = Instant::now() + LOOK;
        match health {
            Ok(health) => {
                self.unhealthy = None;
                self.asking.reasons(&health);
                Ok((self.tell)(health))
            }
            Err(error) => bear(error, &mut self.unhealthy).map(|()| true),
        }
    }

    /// Asks for what changed; whether somebody looks. What cannot be asked for just now stays to be asked for.
    async fn catch_up(&mut self) -> anyhow::Result<bool> {
        if self.asking.dirty.wants_all() && self.listed.elapsed() < BETWEEN {
            self.asking.dirty.due = Some(self.listed + BETWEEN);
            return Ok(true);
        }
        let mut dirty = std::mem::take(&mut self.asking.dirty);
        match self.ask(&mut dirty).await {
            Err(error) => {
                bear(error, &mut dirty.failing)?;
                dirty.due = Some(Instant::now() + AGAIN);
                self.asking.dirty = dirty;
                Ok(true)
            }
            asked => asked,
        }
    }

    /// Takes from what is dirty what it has asked for.
    async fn ask(&mut self, dirty: &mut Dirty) -> anyhow::Result<bool> {
        if dirty.wants_all() {
            let listed = asking::all(self.server, self.namespace, MOST_SETS).await;
            self.listed = Instant::now();
            let (mut news, known) = listed?;
            // Those that were not missed came by the stream.
            if dirty.is_gap {
                news.push(News::Changes(asking::changes(self.server, self.namespace).await?.changes));
            }
            self.asking.known = known;
            return Ok(news.into_iter().all(self.tell));
        }
        while let Some((namespace, name)) = dirty.sets.last() {
            let news = match asking::set(self.server, namespace, name).await {
                Ok(set) => {
                    self.asking.known.insert((namespace.clone(), name.clone()), Followed::of(&set));
                    News::Set(Box::new(set))
                }
                Err(error) if matches!(error.downcast_ref(), Some(RemoteError::Refused(_, 404, _))) => {
                    self.asking.known.remove(&(namespace.clone(), name.clone()));
                    News::Gone(namespace.clone(), name.clone())
                }
                Err(error) => return Err(error),
            };
            dirty.sets.pop();
            if !(self.tell)(news) {
                return Ok(false);
            }
        }
        // The serial is another.
        Ok((self.tell)(asking::health(self.server).await?))
    }
}

/// A server that is busy, or did not get to it, may answer in a moment; for as long as a stream may say nothing.
fn bear(error: anyhow::Error, failing: &mut Option<Instant>) -> anyhow::Result<()> {
    let is_passing =
        matches!(error.downcast_ref(), Some(RemoteError::Unreached(..) | RemoteError::Refused(_, 503, _)));
    let since = failing.get_or_insert_with(Instant::now);
    if is_passing && since.elapsed() < SILENCE { Ok(()) } else { Err(error) }
}

impl Asking {
    fn mark(&mut self, change: &Change, chosen: Option<&str>) {
        let Some(namespace) = &change.namespace else { return self.dirty.all() };
        if !change.is_of(chosen) {
            return;
        }
        if let Some(set) = &change.set {
            return self.dirty.set(namespace, set);
        }
        let of_it =
            self.known.iter().filter(|((place, _), set)| place == namespace && set.service == change.service);
        of_it.for_each(|((namespace, name), _)| self.dirty.set(namespace, name));
    }

    /// Why a replica is absent becomes known behind its absence (its pod is read), which is published and no change of
    /// the set: those that lack something are asked for again, in turn, as many as leave room for changes.
    fn reasons(&mut self, health: &News) {
        let News::Health(_, Zone { serial, .. }) = health else { return };
        let lacking = || self.known.iter().filter(|(_, set)| !set.is_complete).map(|(name, _)| name);
        if self.serial.replace(*serial) != Some(*serial) {
            self.unlooked = lacking().count();
        }
        let now = self.unlooked.min(MOST_SINGLY / 2);
        self.unlooked -= now;
        let is_behind = |name: &&(String, String)| self.looked.as_ref().is_none_or(|looked| *name > looked);
        let behind = lacking().filter(is_behind);
        let in_turn = behind.chain(lacking().filter(|name| !is_behind(name)));
        let looked: Vec<(String, String)> = in_turn.take(now).cloned().collect();
        looked.iter().for_each(|(namespace, name)| self.dirty.set(namespace, name));
        self.looked = looked.into_iter().last().or(self.looked.take());
    }
}

impl Dirty {
    fn wants_all(&self) -> bool {
        self.is_all || self.sets.len() > MOST_SINGLY
    }

    fn all(&mut self) {
        self.is_all = true;
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
    }

    fn set(&mut self, namespace: &str, name: &str) {
        let set = (namespace.to_owned(), name.to_owned());
        // One more than are asked for one by one: then all are.
        if self.sets.len() <= MOST_SINGLY && !self.sets.contains(&set) {
            self.sets.push(set);
        }
        self.due.get_or_insert_with(|| Instant::now() + GATHER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Health;

    fn mk_health(serial: u32) -> News {
        let health = Health {
            ready: true,
            status: "ok".to_owned(),
            stale_seconds: None,
            degraded: Vec::new(),
            source: "kubernetes".to_owned(),
            watches: Vec::new(),
        };
        News::Health(health, Zone { zone: "cluster.local".to_owned(), serial })
    }

    #[test]
    fn reasons_are_asked_for_in_turn() {
        let lacking = |number: usize| {
            let name = ("default".to_owned(), format!("set-{number:02}"));
            (name, Followed { service: None, is_complete: number % 2 == 1 })
        };
        let mut asking = Asking { known: (0..80).map(lacking).collect(), ..Asking::default() };
        let mut looked = |serial| {
            asking.reasons(&mk_health(serial));
            let names = std::mem::take(&mut asking.dirty).sets.into_iter();
            names.map(|(_, name)| name["set-".len()..].parse().unwrap()).collect::<Vec<usize>>()
        };
        let even = |from: usize, to: usize| (from..=to).step_by(2).collect::<Vec<usize>>();
        assert_eq!(looked(1), even(0, 30));
        assert_eq!(looked(1), even(32, 62));
        assert_eq!(looked(1), even(64, 78));
        assert_eq!(looked(1), even(1, 0), "each was asked for since the zone was another");
        assert_eq!(looked(2), even(0, 30));
        assert_eq!(looked(3), even(32, 62));
        assert_eq!(looked(4), [even(64, 78), even(0, 14)].concat(), "from the first again");
    }
}
