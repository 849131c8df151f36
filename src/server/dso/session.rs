//! One client's session: what it says, how long it may be silent, and what it waits for.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt as _};
use tokio::time::Instant;

use super::hub::{Hub, Owner, Refusal};
use super::outbox::{Outbox, Taken};
use super::topic::PADDING_BLOCK;
use crate::server::responder::Transport;
use crate::wire::dso::{
    Fault, Keepalive, Operation, Request, Subscription, dictate_keepalive, keepalive, response,
};
use crate::wire::rcode;

/// The least keepalive interval there is (RFC 8490, section 6.5.2).
const LEAST_INTERVAL: u32 = 10_000;
/// What holds for both timeouts until somebody says otherwise (RFC 8490, section 6.2).
const UNSAID: u32 = 15_000;
/// A client that is silent or idle for twice the time, this at least, is cut (RFC 8490, sections 6.4.1 and 6.5.1); one
/// that was told to go has as long (section 6.6.1).
const PATIENCE: Duration = Duration::from_secs(5);

/// Milliseconds after which a client may try again what it should not have tried (RFC 8765, section 6.2.2: five minutes
/// are recommended).
pub(super) const LONG: u32 = 300_000;

/// A session, open.
pub(crate) struct Session {
    hub: Arc<Hub>,
    id: u64,
    outbox: Arc<Outbox>,
    /// By the ID of their SUBSCRIBE, which is taken for as long (RFC 8765, section 6.2.1).
    subscriptions: HashMap<u16, Waiting>,
    times: Keepalive,
    /// The client has asked for times, and knows that it has to say a word now and then.
    agreed: bool,
    /// When either side said something last.
    heard: Instant,
    /// When the client asked for something last, a Keepalive not counted.
    operated: Instant,
    /// Not cut for being idle before this: it was told of a shorter time only now.
    grace: Instant,
    /// It was told to go, and this is how long it may take.
    leaving: Option<Instant>,
}

/// What a subscription waits for.
struct Waiting {
    owner: Owner,
    rtype: u16,
    class: u16,
}

/// What to do about a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing: there is nothing to say, or it waits in the session's outbox.
    Nothing,
    /// Write this, behind its length already.
    Reply(Vec<u8>),
    /// Write this, and be wary of who says such things.
    Malformed(Vec<u8>),
    /// Abort the connection at once, for this reason.
    Abort(&'static str),
}

/// Takes a stateful message of a client. The first operation that succeeds opens the session (RFC 8490, section 5.1).
pub(crate) fn hear(
    session: &mut Option<Box<Session>>,
    hub: &Arc<Hub>,
    (transport, client): (Transport, IpAddr),
    packet: &[u8],
) -> Said {
    let counters = &hub.counters;
    let said = match Request::parse(packet) {
        Err(Fault::Fatal(why)) => Said::Abort(why),
        Err(Fault::Answer { id, rcode: rcode::FORMERR, padded }) => {
            counters.add(|cells| &cells.refused, 1);
            Said::Malformed(response(id, rcode::FORMERR, Some(LONG), block(padded)))
        }
        Err(Fault::Answer { id, rcode, padded }) => {
            counters.add(|cells| &cells.refused, 1);
            Said::Reply(response(id, rcode, None, block(padded)))
        }
        Ok(request) => match (session.as_deref_mut(), request.operation) {
            (Some(open), _) => open.take(request),
            (
                None,
                Operation::Unsubscribe(_) | Operation::UnsubscribeFrom(_) | Operation::Reconfirm { .. },
            ) => Said::Abort("an operation without a response, and without a session"),
            (None, Operation::Keepalive(_) | Operation::Subscribe(_)) => match hub.open(transport, client) {
                Some(fresh) => {
                    let mut fresh = Box::new(fresh);
                    let said = fresh.take(request);
                    // One that was refused has opened nothing.
                    if fresh.is_established() {
                        *session = Some(fresh);
                    }
                    said
                }
                None => {
                    counters.add(|cells| &cells.refused, 1);
                    counters.add(|cells| &cells.refused_sessions, 1);
                    let retry = hub.limits().retry_for_one();
                    Said::Reply(response(request.id, rcode::SERVFAIL, Some(retry), block(request.padded)))
                }
            },
        },
    };
    if matches!(said, Said::Abort(_)) {
        counters.add(|cells| &cells.aborted, 1);
    }
    said
}

fn block(pads: bool) -> Option<usize> {
    pads.then_some(PADDING_BLOCK)
}

impl Session {
    pub(super) fn new(hub: Arc<Hub>, id: u64, outbox: Arc<Outbox>) -> Self {
        let now = Instant::now();
        let times = Keepalive { inactivity: UNSAID, interval: 0 };
        let subscriptions = HashMap::new();
        let (agreed, leaving) = (false, None);
        Self { hub, id, outbox, subscriptions, times, agreed, heard: now, operated: now, grace: now, leaving }
    }

    /// Whether an operation succeeded.
    fn is_established(&self) -> bool {
        self.times.interval > 0
    }

    fn establish(&mut self) {
        if !self.is_established() {
            self.times.interval = UNSAID;
        }
    }

    fn take(&mut self, request: Request<'_>) -> Said {
        let Request { id, operation, padded } = request;
        let refused = |(code, retry): Refusal| {
            self.hub.counters.add(|cells| &cells.refused, 1);
            Said::Reply(response(id, code, Some(retry), block(padded)))
        };
        match operation {
            Operation::Keepalive(wanted) => {
                let (limits, idle) = (self.hub.limits(), self.idle_until());
                self.agreed = true;
                // A client may be held to less than what it asks for, and gets no more than there is.
                self.times = Keepalive {
                    inactivity: wanted.inactivity.min(limits.inactivity),
                    interval: wanted.interval.min(limits.keepalive).max(LEAST_INTERVAL),
                };
                // Time to go by itself, where the new one is over already (RFC 8490, section 7.1.1); no more than there was.
                let quarter = Duration::from_millis((self.times.inactivity / 4).into());
                self.grace = idle.min(Instant::now() + PATIENCE.max(quarter));
                Said::Reply(keepalive(id, self.times, block(padded)))
            }
            Operation::Subscribe(wanted) => {
                self.operated = Instant::now();
                if self.subscriptions.contains_key(&id) {
                    return Said::Abort("the ID of a subscription that is active");
                }
                if self.waiting_for(wanted).is_some() {
                    // RFC 8765, section 6.2.1.
                    return Said::Abort("a subscription that is active already");
                }
                if self.subscriptions.len() >= self.hub.limits().per_session {
                    self.hub.counters.add(|cells| &cells.refused_per_session, 1);
                    return refused((rcode::REFUSED, self.hub.limits().retry_for_one()));
                }
                match self.hub.subscribe((self.id, &self.outbox), id, wanted, padded) {
                    Err(refusal) => refused(refusal),
                    Ok(owner) => {
                        let Subscription { rtype, class, .. } = wanted;
                        self.subscriptions.insert(id, Waiting { owner, rtype, class });
                        self.establish();
                        Said::Nothing
                    }
                }
            }
            Operation::Unsubscribe(of) => {
                self.unsubscribe(Some(of));
                Said::Nothing
            }
            Operation::UnsubscribeFrom(unwanted) => {
                self.unsubscribe(self.waiting_for(unwanted));
                Said::Nothing
            }
            Operation::Reconfirm { .. } => {
                self.operated = Instant::now();
                // We are the authority, and what we serve is what the API server says: there is nobody else to ask, and
                // what a client holds is what it was told (RFC 8765, section 6.5, is for servers that learn by hearsay).
                self.hub.counters.add(|cells| &cells.reconfirmed, 1);
                Said::Nothing
            }
        }
    }

    /// Of a subscription that was refused meanwhile there is none, and nobody asks for an answer.
    fn unsubscribe(&mut self, of: Option<u16>) {
        self.operated = Instant::now();
        if let Some(Waiting { owner, rtype, .. }) = of.and_then(|of| self.subscriptions.remove(&of)) {
            self.hub.unsubscribe(self.id, &owner, rtype);
        }
    }

    /// The ID of the subscription to the same.
    fn waiting_for(&self, wanted: Subscription<'_>) -> Option<u16> {
        let is_same = |waiting: &Waiting| {
            (waiting.rtype, waiting.class) == (wanted.rtype, wanted.class)
                && waiting.owner.eq_ignore_ascii_case(wanted.name)
        };
        self.subscriptions.iter().find(|(_, waiting)| is_same(waiting)).map(|(id, _)| *id)
    }

    /// Something came from the client, whatever it was.
    pub(crate) fn touch(&mut self) {
        self.heard = Instant::now();
    }

    /// A question came.
    pub(crate) fn operate(&mut self) {
        self.operated = Instant::now();
    }

    /// Whether it was told to go: nothing is answered any more, not even a question (RFC 8490, section 6.6.1.1).
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// Whether more than so many octets wait to be sent.
    pub(crate) fn has_more_than(&self, octets: usize) -> bool {
        self.outbox.octets() > octets
    }

    /// Takes what the client is to be sent, about so many octets, once there is something.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Taken> {
        let taken = self.outbox.poll_take(cx, most);
        if let Poll::Ready(taken) = &taken {
            self.heard = Instant::now();
            if taken.ended {
                self.leaving = Some(self.heard + PATIENCE);
            }
        }
        taken
    }

    /// When the connection is to be cut, or a word is due from us, if nothing happens.
    pub(crate) fn deadline(&self) -> Instant {
        if let Some(leaving) = self.leaving {
            return leaving;
        }
        if self.speaks() {
            return self.heard + Duration::from_millis(self.times.interval.into());
        }
        let silent = self.heard + twice(self.times.interval);
        // A subscription is an operation that goes on (RFC 8490, section 6.4.1).
        if self.subscriptions.is_empty() { silent.min(self.idle_until()) } else { silent }
    }

    /// Whether we say the word that keeps it open. A client that has never asked for times may not know that it has to
    /// (mDNSResponder does not, and would be cut every half minute); what either side says keeps a session (RFC 8490,
    /// section 6.5.1), and whether the client is still there TCP tells.
    fn speaks(&self) -> bool {
        !self.agreed && !self.subscriptions.is_empty()
    }

    /// At its deadline: says a word, where one is due from us. False is the end.
    pub(crate) fn speak(&mut self) -> bool {
        if self.leaving.is_some() || !self.speaks() {
            return false;
        }
        let limits = self.hub.limits();
        // Who knows what to do with them keeps to them from now on (RFC 8490, section 7.1.1).
        self.times =
            Keepalive { inactivity: limits.inactivity, interval: limits.keepalive.max(LEAST_INTERVAL) };
        self.heard = Instant::now();
        self.outbox.answer(std::iter::once(self.hub.frame(dictate_keepalive(self.times))))
    }

    /// When it is to be cut for being idle.
    fn idle_until(&self) -> Instant {
        self.grace.max(self.operated + twice(self.times.inactivity))
    }

    /// The client did not go by itself.
    pub(crate) fn expire(&self) {
        if self.leaving.is_none() {
            self.hub.counters.add(|cells| &cells.expired, 1);
        }
    }
}

/// For how long a client may be late.
fn twice(milliseconds: u32) -> Duration {
    PATIENCE.max(2 * Duration::from_millis(milliseconds.into()))
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hub.leave(self.id, self.subscriptions.values().map(|waiting| (&waiting.owner, waiting.rtype)));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use arc_swap::ArcSwap;

    use super::*;
    use crate::server::StreamMemory;
    use crate::server::dso::PushLimits;
    use crate::server::tcp::TcpLimits;
    use crate::wire::{Name, rtype};
    use crate::zone::{Explain, Nameserver, Order, PodNames, PtrNames, Publisher, Settings, Ttl, zone};

    const NS: &[u8] = b"\x02ns\x03dns\x07cluster\x05local\x00";

    /// A zone of one name that has this address.
    fn mk_settings(address: &str) -> Settings {
        let name = |text: &str| Name::from_text(text).unwrap();
        let addresses = vec![address.parse().unwrap()];
        Settings {
            zone: name("cluster.local"),
            ttl: Ttl { positive: 5, negative: 5, expected: 0 },
            order: Order::Ordinal,
            pods: PodNames::Disabled,
            ptr: PtrNames::All,
            reverse: Vec::new(),
            nameservers: vec![Nameserver { name: name("ns.dns.cluster.local"), addresses }],
            identity: None,
            namespaces: None,
            upstream: false,
            explain: Explain::default(),
            discovery: None,
            holding: crate::zone::Holding::default(),
        }
    }

    const FROM: (Transport, IpAddr) = (Transport::Tcp, IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    /// Nobody tells of changes here: they wait.
    fn mk_hub() -> (Publisher, Arc<Hub>) {
        let (mut publisher, reader) = zone(mk_settings("127.0.0.1"));
        publisher.synchronised();
        let push = PushLimits {
            tls: true,
            tcp: true,
            sessions: 1,
            subscriptions: 9,
            per_session: 9,
            per_client: 9,
            queue: 1 << 16,
            keepalive: 120_000,
            inactivity: 30_000,
            retry: 0,
        };
        let idle = Duration::from_secs(30);
        let limits = TcpLimits { connections: 1, per_client: 1, idle, pipelined: 1, push };
        let memory = StreamMemory::new(1 << 20);
        (publisher, Hub::new(reader, Arc::new(ArcSwap::from_pointee(limits)), memory))
    }

    fn subscribe(id: u8, rtype: u16) -> Vec<u8> {
        let mut packet = vec![0, id, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0];
        packet.push(u8::try_from(NS.len() + 4).unwrap());
        packet.extend(NS);
        packet.extend(rtype.to_be_bytes());
        packet.extend([0, 1]);
        packet
    }

    fn taken(session: &mut Option<Box<Session>>) -> Vec<Vec<u8>> {
        let session = session.as_deref_mut().unwrap();
        match session.poll_take(&mut Context::from_waker(Waker::noop()), usize::MAX) {
            Poll::Ready(taken) => taken.frames.iter().map(|frame| frame.to_vec()).collect(),
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn all_that_is_told_of_a_name_is_of_one_moment() {
        let (mut publisher, hub) = mk_hub();
        let mut session = None;
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::A)), Said::Nothing);
        let frames = taken(&mut session);
        assert_eq!(frames.len(), 2);
        assert_eq!((&frames[0][2..6], &frames[1][14..16]), (&[0, 1, 0xb0, 0][..], &[0, 0x41][..]));
        // It changes, and nobody has told of it yet when the same client asks for all types: what type A was told is
        // set right first, for from now on it is told with type ANY.
        publisher.set_settings(mk_settings("127.0.0.2"));
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(2, rtype::ANY)), Said::Nothing);
        let frames = taken(&mut session);
        assert_eq!(frames.len(), 3);
        let removed = b"\xc0\x10\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x7f\x00\x00\x01";
        assert!(frames[0].ends_with(removed), "{frames:?}");
        assert_eq!(frames[1][2..6], [0, 2, 0xb0, 0]);
        assert!(frames[2].ends_with(&[127, 0, 0, 2]), "{frames:?}");
    }

    #[tokio::test]
    async fn where_nobody_tells_of_changes_any_more_there_is_no_session() {
        let (_publisher, hub) = mk_hub();
        let mut session = None;
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::A)), Said::Nothing);
        assert_eq!(taken(&mut session).len(), 2);
        let telling = tokio::spawn(Arc::clone(&hub).run());
        tokio::task::yield_now().await;
        assert_eq!(taken(&mut session).len(), 0);
        telling.abort();
        assert!(telling.await.is_err());
        let frames = taken(&mut session);
        assert_eq!((frames.len(), &frames[0][14..16]), (1, &[0, 2][..]), "a Retry Delay: {frames:?}");
        assert!(session.as_deref().is_some_and(Session::is_leaving));
        assert!(matches!(hear(&mut None, &hub, FROM, &subscribe(1, rtype::A)), Said::Reply(_)));
    }

    #[test]
    fn who_never_asked_for_times_is_told_them_and_not_cut_while_it_waits() {
        let (_publisher, hub) = mk_hub();
        let mut session = None;
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::A)), Said::Nothing);
        assert_eq!(taken(&mut session).len(), 2);
        let left = |session: &Option<Box<Session>>| {
            let open = session.as_deref().unwrap();
            (open.deadline() - open.heard).as_secs()
        };
        assert_eq!(left(&session), 15);
        for _ in 0..2 {
            assert!(session.as_deref_mut().unwrap().speak());
            let frames = taken(&mut session);
            assert_eq!(frames.len(), 1, "{frames:?}");
            let times = b"\x00\x01\x00\x08\x00\x00\x75\x30\x00\x01\xd4\xc0";
            assert_eq!((&frames[0][2..6], &frames[0][14..]), (&[0, 0, 0x30, 0][..], &times[..]));
            assert_eq!(left(&session), 120);
        }
        // Who asks for times says the word by itself, and twice the time without one is the end.
        let asks = b"\x00\x02\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x08\x00\x00\x75\x30\x00\x00\x75\x30";
        assert!(matches!(hear(&mut session, &hub, FROM, asks), Said::Reply(_)));
        assert_eq!(left(&session), 60);
        assert!(!session.as_deref_mut().unwrap().speak());
    }

    #[test]
    fn without_a_subscription_nobody_says_a_word_for_the_client() {
        let (_publisher, hub) = mk_hub();
        let mut session = None;
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::A)), Said::Nothing);
        // By what it was to, in another case; of one that is not there nobody complains.
        for rtype in [rtype::AAAA, rtype::A] {
            let mut packet = subscribe(0, rtype);
            (packet[13], packet[17]) = (0x42, b'N');
            assert_eq!(hear(&mut session, &hub, FROM, &packet), Said::Nothing);
            assert_eq!(hub.counters().counts().subscriptions, u64::from(rtype != rtype::A));
        }
        let open = session.as_deref_mut().unwrap();
        assert!(!open.speak());
        assert_eq!(open.deadline() - open.heard, Duration::from_secs(30));
        let mut packet = subscribe(0, rtype::A);
        packet[13] = 0x42;
        assert!(matches!(hear(&mut None, &hub, FROM, &packet), Said::Abort(_)), "no session");
    }

    #[test]
    fn a_shorter_time_that_is_over_already_leaves_time_to_go() {
        let (_publisher, hub) = mk_hub();
        let mut session = None;
        let agree = |session: &mut Option<Box<Session>>, inactivity: u32| {
            let mut packet = vec![0, 1, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8];
            packet.extend([inactivity.to_be_bytes(), 60_000_u32.to_be_bytes()].concat());
            assert!(matches!(hear(session, &hub, FROM, &packet), Said::Reply(_)));
        };
        agree(&mut session, 30_000);
        let now = Instant::now();
        let left = |session: &Option<Box<Session>>| session.as_deref().unwrap().deadline() - now;
        session.as_deref_mut().unwrap().operated = now - Duration::from_secs(40);
        assert_eq!(left(&session), Duration::from_secs(20));
        agree(&mut session, 0);
        let first = left(&session);
        assert!(first > Duration::from_secs(4) && first <= Duration::from_secs(6), "{first:?}");
        // Who asks again and again gains nothing.
        session.as_deref_mut().unwrap().grace = now + Duration::from_secs(1);
        agree(&mut session, 0);
        assert_eq!(left(&session), Duration::from_secs(1));
    }

    #[test]
    fn what_was_refused_has_opened_nothing_and_what_leaves_is_forgotten() {
        let (_publisher, hub) = mk_hub();
        let mut session = None;
        assert!(matches!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::SOA)), Said::Reply(_)));
        assert!(session.is_none());
        assert_eq!(hub.counters().counts().sessions, 0);
        assert_eq!(hear(&mut session, &hub, FROM, &subscribe(1, rtype::A)), Said::Nothing);
        let open = session.as_deref().unwrap();
        // 15 s until a Keepalive says otherwise, and then it is we who say one.
        let left = open.deadline() - open.heard;
        assert_eq!(left, Duration::from_secs(15));
        let counts = hub.counters().counts();
        assert_eq!((counts.sessions, counts.subscriptions, counts.names), (1, 1, 1));
        drop(session);
        let counts = hub.counters().counts();
        assert_eq!((counts.sessions, counts.subscriptions, counts.names), (0, 0, 0));
    }
}
