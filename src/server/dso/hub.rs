//! Who waits for what: names, the sessions that wait for them, and what they were told.
//!
//! One lock, which nobody on the way of a question takes: who subscribes, who leaves, and the one task that tells of
//! changes. It is let go of between names, so that a publish of a whole cluster holds nobody up; and what somebody is the
//! first to wait for is looked up and written before it is taken.

use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use foldhash::{HashMap, HashSet};

use super::counters::{Cells, PushCounters};
use super::outbox::{Frame, Message, Outbox};
use super::pace::Paces;
use super::session::LONG;
use super::topic::{Encoded, PADDING_BLOCK, Subscriber, Topic};
use super::{PushLimits, Session};
use crate::server::memory::StreamMemory;
use crate::server::responder::Transport;
use crate::server::tcp::TcpLimits;
use crate::wire::dso::{Subscription, response, retry_delay};
use crate::wire::{ParsedName, class, rcode, rtype};
use crate::zone::{
    Changed, Dependence, Follower, Reader, Standing, StandingRecord, View, refusal, standing,
    standing_of_known,
};

/// How long names are looked at before the lock is let go of: who subscribes waits for it on a thread that answers others.
const AT_A_TIME: Duration = Duration::from_millis(1);

/// A whole name, lower case.
pub(super) type Owner = Arc<[u8]>;

/// Sessions and subscriptions of one server.
pub(crate) struct Hub {
    reader: Reader,
    follower: Follower,
    limits: Arc<ArcSwap<TcpLimits>>,
    memory: StreamMemory,
    pub(super) counters: PushCounters,
    /// How fast clients may ask.
    paces: Paces,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_name: HashMap<Owner, Named>,
    by_dependence: HashMap<Dependence, HashSet<Owner>>,
    sessions: HashMap<u64, Open>,
    /// The ID of the last one.
    last: u64,
    subscriptions: usize,
    /// Subscriptions, where there are any.
    by_client: HashMap<IpAddr, usize>,
    /// How often changes were taken. What was looked up without the lock holds if this is as it was before.
    taken: u64,
    /// No session is opened any more.
    stopped: bool,
}

/// A session, as it is seen from here.
struct Open {
    outbox: Arc<Outbox>,
    transport: Transport,
    client: IpAddr,
}

/// A name that somebody waits for.
struct Named {
    dependence: Dependence,
    /// By type: one, or a few.
    topics: Vec<Topic>,
}

/// A topic that is not in its place yet.
struct Prepared {
    dependence: Dependence,
    topic: Topic,
    /// Of its messages.
    octets: usize,
}

/// Why there is no subscription: the code, and after how many milliseconds to try again.
pub(super) type Refusal = (u16, u32);

impl Hub {
    pub(crate) fn new(reader: Reader, limits: Arc<ArcSwap<TcpLimits>>, memory: StreamMemory) -> Arc<Self> {
        let follower = reader.follow();
        let (counters, paces, state) = (PushCounters::default(), Paces::default(), Mutex::default());
        Arc::new(Self { reader, follower, limits, memory, counters, paces, state })
    }

    pub(crate) fn counters(&self) -> PushCounters {
        self.counters.clone()
    }

    /// Counts an operation of a client; until when it is not to be listened to, where it asks faster than it may.
    pub(crate) fn pace(&self, client: IpAddr) -> Option<tokio::time::Instant> {
        let rest = self.paces.count(client);
        if rest.is_some() {
            self.counters.add(|cells| &cells.paced, 1);
        }
        rest
    }

    /// A message, of the memory of all connections.
    pub(super) fn frame(&self, octets: Vec<u8>) -> Frame {
        Message::new(octets, &self.memory)
    }

    pub(crate) fn limits(&self) -> PushLimits {
        self.limits.load().push
    }

    /// Tells of changes, for ever. However it ends, nobody is left who thinks that there are none.
    pub(crate) async fn run(self: Arc<Self>) {
        let _stops = Stops(&self);
        loop {
            let changed = self.follower.changed().await;
            let mut names: Vec<Owner> = {
                let mut state = self.lock();
                state.taken += 1;
                match &changed {
                    Changed::Everything => state.by_name.keys().cloned().collect(),
                    Changed::These(these) => {
                        let waited_for = these.iter().filter_map(|one| state.by_dependence.get(one));
                        waited_for.flatten().cloned().collect()
                    }
                }
            };
            // A service's own name before those of its members: who follows both knows the set before what is in it.
            names.sort_unstable_by_key(|name| name.len());
            let mut rest = &*names;
            while !rest.is_empty() {
                rest = self.tell(rest);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Looks at names for a while, one at least, and tells those who wait for them what differs; gives the rest.
    fn tell<'n>(&self, names: &'n [Owner]) -> &'n [Owner] {
        let mut state = self.lock();
        let (began, view) = (Instant::now(), self.reader.view());
        let mut parsed = ParsedName::default();
        let mut rest = names;
        while let Some((owner, behind)) = rest.split_first() {
            rest = behind;
            if parsed.parse(owner).is_ok() {
                self.look(&mut state, &view, &parsed);
            }
            if began.elapsed() > AT_A_TIME {
                break;
            }
        }
        rest
    }

    /// Looks at a name: all of its topics at one moment, so that a session may change from one to another.
    fn look(&self, state: &mut State, view: &View<'_>, name: &ParsedName) {
        // Where half of the memory is for subscribers already, nothing waits behind what waits.
        let queue = if self.memory.is_over() { 0 } else { self.limits().queue };
        let Some(named) = state.by_name.get_mut(name.as_wire()) else { return };
        let mut over: Vec<(u64, Ending)> = Vec::new();
        for topic in &mut named.topics {
            match standing_of_known(view, name, topic.rtype) {
                // Nobody concludes anything from what is not known: who waits goes on knowing what it knew, and is
                // told when it is known again.
                Standing::Unknown(_) => {}
                Standing::Outside(_) => {
                    over.extend(topic.subscribers.keys().map(|session| (*session, Ending::Withdrawn)));
                }
                Standing::Records(now) => {
                    let slow = self.tell_topic(topic, now, name.as_wire(), queue);
                    over.extend(slow.into_iter().map(|session| (session, Ending::Slow)));
                }
            }
        }
        for (session, ending) in over {
            if let Some(open) = state.sessions.get(&session) {
                self.end(&open.outbox, ending);
            }
        }
    }

    /// Gives the sessions that have no room for it.
    fn tell_topic(
        &self,
        topic: &mut Topic,
        now: Vec<StandingRecord>,
        owner: &[u8],
        queue: usize,
    ) -> Vec<u64> {
        let Some(difference) = topic.replace(now) else { return Vec::new() };
        let mut encoded = Encoded::default();
        let mut slow = Vec::new();
        let (mut messages, mut octets) = (0, 0);
        for (session, subscriber) in topic.subscribers.iter().filter(|(_, subscriber)| !subscriber.covered) {
            let (frames, fresh) =
                encoded.frames(subscriber.pads, &self.memory, |block| difference.encode(owner, block));
            if fresh {
                self.counters.add(|cells| &cells.encoded, frames.len() as u64);
            }
            if subscriber.outbox.tell(frames.iter().cloned(), queue) {
                messages += frames.len();
                octets += length(&frames);
            } else {
                slow.push(*session);
            }
        }
        self.counters.add(|cells| &cells.messages, messages as u64);
        self.counters.add(|cells| &cells.octets, octets as u64);
        slow
    }

    /// Ends a session: its client is told why, and when to come back (RFC 8490, section 6.6.1).
    fn end(&self, outbox: &Outbox, ending: Ending) {
        let limits = self.limits();
        let code = match ending {
            Ending::Stopped => rcode::NOERROR,
            Ending::Slow => rcode::SERVFAIL,
            Ending::Withdrawn => rcode::NOTAUTH,
            Ending::Forbidden => rcode::REFUSED,
        };
        let goodbye = retry_delay(code, limits.retry_for_one());
        if outbox.end(self.frame(goodbye)) {
            match ending {
                Ending::Stopped => {}
                Ending::Slow => self.counters.add(|cells| &cells.slow, 1),
                Ending::Withdrawn | Ending::Forbidden => self.counters.add(|cells| &cells.withdrawn, 1),
            }
        }
    }

    /// Ends all sessions, and opens no other: the server stops.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        state.sessions.values().for_each(|open| self.end(&open.outbox, Ending::Stopped));
    }

    /// Goes by new limits: sessions where there are to be none any more are ended. Those that are too many stay.
    pub(crate) fn limits_changed(&self) {
        let (state, limits) = (self.lock(), self.limits());
        let forbidden = state.sessions.values().filter(|open| !limits.allows(open.transport));
        forbidden.for_each(|open| self.end(&open.outbox, Ending::Forbidden));
    }

    /// Opens a session; None where there are as many as may be.
    pub(super) fn open(self: &Arc<Self>, transport: Transport, client: IpAddr) -> Option<Session> {
        let mut state = self.lock();
        if state.stopped || state.sessions.len() >= self.limits().sessions {
            return None;
        }
        state.last += 1;
        let (id, outbox) = (state.last, Arc::<Outbox>::default());
        state.sessions.insert(id, Open { outbox: Arc::clone(&outbox), transport, client });
        self.counters.set(|cells| &cells.sessions, state.sessions.len());
        self.counters.add(|cells| &cells.opened, 1);
        Some(Session::new(Arc::clone(self), id, outbox))
    }

    /// Adds a subscription: the response, and behind it all that is there (RFC 8765, section 6.2.2).
    pub(super) fn subscribe(
        &self,
        (session, outbox): (u64, &Arc<Outbox>),
        message: u16,
        wanted: Subscription<'_>,
        pads: bool,
    ) -> Result<Owner, Refusal> {
        let limits = self.limits();
        let later = || limits.retry_for_one();
        if !matches!(wanted.class, class::IN | class::ANY) {
            return Err((rcode::NOTAUTH, LONG));
        }
        // What stands in no zone (RFC 6895, section 3.1), and the serial, which changes with every other name.
        if matches!(wanted.rtype, 0 | rtype::SOA | rtype::OPT | 249..=254) {
            return Err((rcode::REFUSED, later()));
        }
        let mut parsed = ParsedName::default();
        parsed.parse(wanted.name).map_err(|_| (rcode::FORMERR, LONG))?;
        let mut state = self.lock();
        self.room(&state, session)?;
        let client = state.sessions.get(&session).map(|open| open.client);
        let work =
            |octets: usize| client.into_iter().for_each(|client| self.paces.count_octets(client, octets));
        let mut first = None;
        if !state.by_name.contains_key(parsed.as_wire()) {
            // Nobody waits for it yet, which costs the most: everything is looked up and written.
            self.follower.watch(true);
            let taken = state.taken;
            drop(state);
            let prepared = self.prepare(&parsed, wanted.rtype, pads);
            prepared.iter().for_each(|prepared| work(prepared.octets));
            state = self.lock();
            // What was made counts already: one that has no room for itself is refused.
            let prepared = self.room(&state, session).and(prepared).inspect_err(|_| self.rest(&mut state))?;
            // What changed meanwhile has told nobody of this name: then it is looked up once more, below.
            if state.taken == taken && !state.by_name.contains_key(parsed.as_wire()) {
                first = Some(prepared);
            }
        }
        let is_first = first.is_some();
        let owner = if let Some(Prepared { dependence, topic, .. }) = first {
            state.insert(&parsed, dependence, topic)
        } else {
            self.subscribe_to_known(&mut state, &parsed, wanted.rtype)
                .inspect_err(|_| self.rest(&mut state))?
        };
        let Some(named) = state.by_name.get_mut(&owner) else {
            self.rest(&mut state);
            return Err((rcode::SERVFAIL, later()));
        };
        let Some(topic) = named.topics.iter_mut().find(|topic| topic.rtype == wanted.rtype) else {
            self.rest(&mut state);
            return Err((rcode::SERVFAIL, later()));
        };
        let (frames, fresh) = topic.current(&owner, pads, &self.memory);
        let subscriber = topic.subscribers.entry(session);
        subscriber.or_insert_with(|| Subscriber::new(outbox, pads, &self.memory)).count += 1;
        named.cover(session);
        state.subscriptions += 1;
        if let Some(client) = client {
            *state.by_client.entry(client).or_default() += 1;
        }
        let block = pads.then_some(PADDING_BLOCK);
        let response = Message::new(response(message, rcode::NOERROR, None, block), &self.memory);
        if fresh {
            work(length(&frames));
        }
        if fresh || is_first {
            self.counters.add(|cells| &cells.encoded, frames.len() as u64);
        }
        let all = std::iter::once(response).chain(frames.iter().cloned());
        // One that is told to go hears of nothing else.
        if outbox.answer(all) {
            self.counters.add(|cells| &cells.messages, frames.len() as u64);
            self.counters.add(|cells| &cells.octets, length(&frames) as u64);
        }
        self.count(&state);
        Ok(owner)
    }

    /// Removes a subscription.
    pub(super) fn unsubscribe(&self, session: u64, owner: &Owner, rtype: u16) {
        let mut state = self.lock();
        state.remove(session, owner, rtype);
        self.count(&state);
        self.rest(&mut state);
    }

    /// Forgets a session.
    pub(super) fn leave<'s>(&self, session: u64, subscriptions: impl Iterator<Item = (&'s Owner, u16)>) {
        let mut state = self.lock();
        subscriptions.for_each(|(owner, rtype)| state.remove(session, owner, rtype));
        state.sessions.remove(&session);
        self.count(&state);
        self.rest(&mut state);
    }

    /// Is told of nothing while nobody waits for anything.
    fn rest(&self, state: &mut State) {
        if state.by_name.is_empty() {
            self.follower.watch(false);
            drop(self.follower.take());
            // Who looks something up just now was not told.
            state.taken += 1;
        }
    }

    /// Whether a session may have one more subscription.
    fn room(&self, state: &State, session: u64) -> Result<(), Refusal> {
        let limits = self.limits();
        let client = state.sessions.get(&session).map(|open| open.client);
        let of_client = client.and_then(|client| state.by_client.get(&client)).copied().unwrap_or_default();
        let (cell, code): (fn(&Cells) -> &AtomicU64, u16) = if state.subscriptions >= limits.subscriptions {
            (|cells| &cells.refused_subscriptions, rcode::SERVFAIL)
        } else if of_client >= limits.per_client {
            // What others have room for is refused to this one (RFC 8765, section 6.2.2: for reasons of policy).
            (|cells| &cells.refused_per_client, rcode::REFUSED)
        } else if self.memory.is_short() {
            (|cells| &cells.refused_memory, rcode::SERVFAIL)
        } else {
            return Ok(());
        };
        self.counters.add(cell, 1);
        Err((code, limits.retry_for_one()))
    }

    /// Looks up and writes what nobody waits for yet.
    fn prepare(&self, name: &ParsedName, rtype: u16, pads: bool) -> Result<Prepared, Refusal> {
        let view = self.reader.view();
        match standing(&view, name, rtype) {
            Standing::Records(now) => {
                let mut topic = Topic::new(rtype, now, &self.memory);
                let octets = length(&topic.current(name.as_wire(), pads, &self.memory).0);
                Ok(Prepared { dependence: Dependence::of(&view, name), topic, octets })
            }
            Standing::Outside(_) => Err((rcode::NOTAUTH, LONG)),
            Standing::Unknown(_) => Err((rcode::SERVFAIL, self.limits().retry_for_one())),
        }
    }

    /// Has a topic of a name that has one of this type already, or of another.
    fn subscribe_to_known(&self, state: &mut State, name: &ParsedName, rtype: u16) -> Result<Owner, Refusal> {
        if state.by_name.is_empty() {
            // Before the first look: what changes behind it is noticed.
            self.follower.watch(true);
        }
        let view = self.reader.view();
        match refusal(&view, name) {
            Some(Standing::Outside(_)) => Err((rcode::NOTAUTH, LONG)),
            Some(_) => Err((rcode::SERVFAIL, self.limits().retry_for_one())),
            None => {
                if !state.has_topic(name, rtype) {
                    // The new topic begins at this moment, and so all of the name's are at it.
                    self.look(state, &view, name);
                }
                Ok(state.topic(&view, name, rtype, &self.memory))
            }
        }
    }

    fn count(&self, state: &State) {
        self.counters.set(|cells| &cells.sessions, state.sessions.len());
        self.counters.set(|cells| &cells.subscriptions, state.subscriptions);
        self.counters.set(|cells| &cells.names, state.by_name.len());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops when it is let go of.
struct Stops<'h>(&'h Hub);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Why a session is ended by us.
#[derive(Clone, Copy)]
enum Ending {
    /// The server stops.
    Stopped,
    /// The client does not read.
    Slow,
    /// A name that it waits for is not served any longer.
    Withdrawn,
    /// Sessions are not to be had any longer on its transport.
    Forbidden,
}

fn length(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.len()).sum()
}

impl State {
    fn has_topic(&self, name: &ParsedName, rtype: u16) -> bool {
        let is_there = |named: &Named| named.topics.iter().any(|topic| topic.rtype == rtype);
        self.by_name.get(name.as_wire()).is_some_and(is_there)
    }

    /// Puts the first topic of a name in its place.
    fn insert(&mut self, name: &ParsedName, dependence: Dependence, topic: Topic) -> Owner {
        let owner: Owner = name.as_wire().into();
        self.by_dependence.entry(dependence.clone()).or_default().insert(Arc::clone(&owner));
        self.by_name.insert(Arc::clone(&owner), Named { dependence, topics: vec![topic] });
        owner
    }

    /// Has a topic of a name and type. Of a new one is looked up what is there.
    fn topic(&mut self, view: &View<'_>, name: &ParsedName, rtype: u16, memory: &StreamMemory) -> Owner {
        let known = self.by_name.get_key_value(name.as_wire()).map(|(owner, _)| Arc::clone(owner));
        let owner = known.unwrap_or_else(|| name.as_wire().into());
        // It may have gone since it was asked about: a name that has no topic does not stay.
        if !self.has_topic(name, rtype)
            && let Standing::Records(now) = standing(view, name, rtype)
        {
            let named = self.by_name.entry(Arc::clone(&owner)).or_insert_with(|| {
                let dependence = Dependence::of(view, name);
                self.by_dependence.entry(dependence.clone()).or_default().insert(Arc::clone(&owner));
                Named { dependence, topics: Vec::new() }
            });
            named.topics.push(Topic::new(rtype, now, memory));
        }
        owner
    }

    fn remove(&mut self, session: u64, owner: &Owner, rtype: u16) {
        self.subscriptions = self.subscriptions.saturating_sub(1);
        if let Some(open) = self.sessions.get(&session)
            && let Some(count) = self.by_client.get_mut(&open.client)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_client.remove(&open.client);
            }
        }
        let Some(named) = self.by_name.get_mut(owner) else { return };
        if let Some(topic) = named.topics.iter_mut().find(|topic| topic.rtype == rtype)
            && let Some(subscriber) = topic.subscribers.get_mut(&session)
        {
            subscriber.count -= 1;
            if subscriber.count == 0 {
                topic.subscribers.remove(&session);
            }
        }
        named.topics.retain(|topic| !topic.subscribers.is_empty());
        named.cover(session);
        if named.topics.is_empty() {
            let dependence = named.dependence.clone();
            self.by_name.remove(owner);
            if let Some(names) = self.by_dependence.get_mut(&dependence) {
                names.remove(owner);
                if names.is_empty() {
                    self.by_dependence.remove(&dependence);
                }
            }
        }
    }
}

impl Named {
    /// Has a session told of each change once.
    fn cover(&mut self, session: u64) {
        let has_all = |topic: &Topic| topic.rtype == rtype::ANY && topic.subscribers.contains_key(&session);
        let covered = self.topics.iter().any(has_all);
        for topic in self.topics.iter_mut().filter(|topic| topic.rtype != rtype::ANY) {
            if let Some(subscriber) = topic.subscribers.get_mut(&session) {
                subscriber.covered = covered;
            }
        }
    }
}
