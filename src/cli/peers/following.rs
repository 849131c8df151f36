//! From events to what is printed and done: held back, debounced, and told.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use crate::peers::{Difference, Event, Kind, List, Options, Peer, Peers};
use crate::run::{Signals, signalled};

use super::actions::{Actions, Failed, Told};
use super::gate::Gate;
use super::listen::{Endpoint, Listen};
use super::{MOST_DEBOUNCES, Output};

/// All that the command line says.
pub(super) struct Plan {
    pub(super) options: Options,
    pub(super) gate: Gate,
    pub(super) debounce: Duration,
    pub(super) output: Output,
    /// Over HTTP, on so many connections at most.
    pub(super) listen: Option<(Listen, usize)>,
    /// One list and no more, within this time.
    pub(super) once: Option<Duration>,
    /// As peer-finder: a hook that fails is the end.
    pub(super) at_once: bool,
    pub(super) actions: Arc<Actions>,
}

/// A list that may be told, and since when it may.
struct Pending {
    list: Arc<List>,
    first: Instant,
    due: Instant,
}

struct Following {
    plan: Plan,
    pending: Option<Pending>,
    /// Why the newest list is held back, as it was said.
    held: Option<String>,
    told: Option<Arc<List>>,
    newest: watch::Sender<Option<Arc<Told>>>,
    endpoint: Option<Endpoint>,
}

/// Follows until a signal, or until one list is told.
pub(super) async fn follow(plan: Plan) -> anyhow::Result<ExitCode> {
    let mut end = Signals::new()?;
    let mut peers = Peers::follow(plan.options.clone())?;
    let actions = &plan.actions;
    let endpoint = plan.listen.map(|listen| Endpoint::start(listen, &peers, &actions.of, actions.choice));
    let endpoint = endpoint.transpose()?;
    let (newest, newest_rx) = watch::channel(None);
    let acts = plan.once.is_none() && !plan.actions.is_empty();
    let mut worker = acts.then(|| tokio::spawn(Arc::clone(&plan.actions).run(newest_rx, plan.at_once)));
    let deadline = plan.once.map(|patience| Instant::now() + patience);
    let mut following = Following { plan, pending: None, held: None, told: None, newest, endpoint };
    loop {
        let due = following.pending.as_ref().map(|pending| pending.due);
        tokio::select! {
            kind = end.kind() => {
                if following.plan.once.is_some() {
                    // It was to tell a list, and has told none.
                    return Ok(signalled(kind));
                }
                break;
            }
            event = peers.next() => match event {
                Some(event) => following.take(&event),
                None => break,
            },
            () = until(due) => {
                if let Some(told) = following.tell()?
                    && following.plan.once.is_some()
                {
                    return once(&following.plan.actions, &told, &mut end).await;
                }
            }
            () = until(deadline) => {
                let why = following.held.as_deref().unwrap_or("no server says who the peers are");
                anyhow::bail!("{why}, and --timeout is over");
            }
            result = ended(&mut worker) => return result,
        }
    }
    // What is under way is finished; a second signal does not wait for it.
    let endpoint = following.endpoint.take();
    drop(following);
    let finish = async {
        if let Some(endpoint) = endpoint {
            endpoint.stop().await;
        }
        if worker.is_some() { ended(&mut worker).await } else { Ok(ExitCode::SUCCESS) }
    };
    tokio::select! {
        result = finish => result,
        () = end.received() => Ok(ExitCode::FAILURE),
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The end of what acts, where something does.
async fn ended(worker: &mut Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<ExitCode> {
    match worker {
        Some(worker) => worker.await.context("the hooks' task")?.map(|()| ExitCode::SUCCESS),
        None => std::future::pending().await,
    }
}

/// Acts on the one list; the code of a hook that fails is ours. A hook that runs is waited for, as ever; a second signal
/// does not wait for it.
async fn once(actions: &Arc<Actions>, told: &Arc<Told>, end: &mut Signals) -> anyhow::Result<ExitCode> {
    let second = async {
        end.received().await;
        info!("told to end: the hook that runs is waited for, until a second signal");
        end.received().await;
    };
    let result = tokio::select! {
        result = actions.once(told) => result,
        () = second => return Ok(ExitCode::FAILURE),
    };
    let Err(error) = result else { return Ok(ExitCode::SUCCESS) };
    match error.downcast_ref::<Failed>() {
        Some(failed) => {
            crate::run::say_error(&format!("rollcall: {failed}"));
            Ok(ExitCode::from(failed.error.code()))
        }
        None => Err(error),
    }
}

impl Following {
    /// Takes an event over: it is told when it is due, unless there is a newer one by then.
    fn take(&mut self, event: &Event) {
        if let Some(why) = self.plan.gate.holds(&event.list) {
            if self.held.as_ref() != Some(&why) {
                info!("held back: {why}");
                if let Some(endpoint) = &self.endpoint {
                    endpoint.hold(&why);
                }
            }
            (self.held, self.pending) = (Some(why), self.staleness(&event.list));
            return;
        }
        self.held = None;
        let now = Instant::now();
        // Only who the peers are is worth waiting for; that nothing is known is told at once.
        let wait = if event.difference.is_empty() && self.pending.is_none() {
            Duration::ZERO
        } else {
            self.plan.debounce
        };
        let first = self.pending.as_ref().map_or(now, |pending| pending.first);
        // A list that never stands still is told all the same.
        let due = (now + wait).min(first + wait * MOST_DEBOUNCES);
        self.pending = Some(Pending { list: Arc::clone(&event.list), first, due });
    }

    /// Of a list that is held back it is told all the same whether the peers are followed: the last list that was told is
    /// marked, or no longer.
    fn staleness(&self, held: &List) -> Option<Pending> {
        let told = self.told.as_ref().filter(|told| told.stale.is_some() != held.stale.is_some())?;
        let list = Arc::new(List { stale: held.stale.clone(), ..(**told).clone() });
        let now = Instant::now();
        Some(Pending { list, first: now, due: now })
    }

    /// Tells the list that is due.
    fn tell(&mut self) -> anyhow::Result<Option<Arc<Told>>> {
        let Some(Pending { list, .. }) = self.pending.take() else { return Ok(None) };
        let Some(event) = Event::between(self.told.as_deref(), Arc::clone(&list)) else { return Ok(None) };
        let choice = self.plan.actions.choice;
        let peers = choice.of(&list);
        let before = self.told.replace(Arc::clone(&list)).map(|before| choice.of(&before));
        let difference = Difference::between(before.as_deref().unwrap_or_default(), &peers);
        let told = Arc::new(Told { peers, expected: list.expected, way: list.way.as_str() });
        self.newest.send_if_modified(|newest| {
            // Nothing is done for other numbers alone; what is done next, be it again, has the newest.
            *newest = Some(Arc::clone(&told));
            before.is_none() || !difference.is_empty()
        });
        if event.kind == Kind::Change && difference.is_empty() {
            return Ok(None);
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.tell(&list);
        }
        self.print(&event, &told.peers, &difference)?;
        Ok(Some(told))
    }

    fn print(&self, event: &Event, peers: &[Peer], difference: &Difference) -> anyhow::Result<()> {
        let actions = &self.plan.actions;
        let text = match self.plan.output {
            Output::None => return Ok(()),
            Output::Json => actions.of.event(event.kind.as_str(), &event.list, peers, difference)? + "\n",
            // Names are told where they differ; a line of nothing stands between two lists.
            Output::Names if event.kind != Kind::Start && difference.is_empty() => return Ok(()),
            Output::Names => {
                let between = if event.kind == Kind::Start { "" } else { "\n" };
                between.to_owned() + &actions.choice.lines(peers)
            }
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gate::MinPeers;
    use super::super::told::{Choice, Of};
    use super::*;
    use crate::peers::{Trouble, Way};

    fn mk_following(min_peers: usize) -> (Following, watch::Receiver<Option<Arc<Told>>>) {
        let of = Of { service: "nginx".to_owned(), namespace: "default".to_owned(), own: None };
        let (write, signal, then, on_start, on_change) = (None, None, None, None, None);
        let choice = Choice::default();
        let plan = Plan {
            options: Options::default(),
            gate: Gate { min_peers: MinPeers::Count(min_peers), own: None },
            debounce: Duration::ZERO,
            output: Output::None,
            listen: None,
            once: None,
            at_once: false,
            actions: Arc::new(Actions { of, choice, write, signal, then, on_start, on_change }),
        };
        let (newest, newest_rx) = watch::channel(None);
        let (pending, held, told, endpoint) = (None, None, None, None);
        (Following { plan, pending, held, told, newest, endpoint }, newest_rx)
    }

    fn mk_list(count: u64, expected: u64) -> List {
        let peer = |ordinal: u64| Peer {
            name: format!("web-{ordinal}.nginx.default.svc.cluster.local"),
            host: format!("web-{ordinal}"),
            addresses: vec![[10, 0, 0, 1].into()],
            ports: vec![80],
            ready: true,
            ordinal: Some(ordinal),
        };
        List {
            peers: (0..count).map(peer).collect(),
            missing: Vec::new(),
            expected: Some(expected),
            stale: None,
            way: Way::Push,
            server: "server".to_owned(),
        }
    }

    /// A list comes; how many peers the last one has that was told, and whether it is stale.
    fn told(following: &mut Following, list: List) -> Option<(usize, bool)> {
        following.take(&Event::between(None, Arc::new(list)).unwrap());
        following.tell().unwrap();
        following.told.as_ref().map(|told| (told.peers.len(), told.stale.is_some()))
    }

    #[test]
    fn an_outage_is_told_of_the_last_list_while_newer_ones_are_held_back() {
        let (mut following, _newest_rx) = mk_following(2);
        let stale = |count| List {
            stale: Some(Arc::new(Trouble::NoPush("the server is away"))),
            ..mk_list(count, 3)
        };
        assert_eq!(told(&mut following, stale(1)), None, "nothing was told that could be marked");
        assert_eq!(told(&mut following, mk_list(3, 3)), Some((3, false)));
        assert_eq!(told(&mut following, mk_list(1, 3)), Some((3, false)));
        assert_eq!(told(&mut following, stale(1)), Some((3, true)));
        assert_eq!(told(&mut following, mk_list(1, 3)), Some((3, false)));
        assert_eq!(told(&mut following, mk_list(2, 3)), Some((2, false)));
    }

    #[test]
    fn what_is_done_next_has_the_newest_number_although_nothing_is_done_for_it() {
        let (mut following, mut newest_rx) = mk_following(0);
        told(&mut following, mk_list(3, 3));
        assert!(newest_rx.has_changed().unwrap());
        newest_rx.borrow_and_update();
        told(&mut following, mk_list(3, 5));
        assert!(!newest_rx.has_changed().unwrap(), "no hook runs for it");
        assert_eq!(newest_rx.borrow().as_ref().unwrap().expected, Some(5));
    }
}
