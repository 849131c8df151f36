//! The one who keeps the questions: lets them in, looks again when the zone changes, answers at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;
use tokio::time::sleep_until;
use tracing::error;

use super::table::{Asker, Owner, Table, Waiting};
use super::{Door, Question, ReplyTo, Stage};
use crate::server::admission::client_of;
use crate::server::responder::{Reply, Responder};
use crate::wire::Query;
use crate::zone::{Changed, Dependence, Follower, Reader};

/// Questions that are let in before others have their turn.
const TOGETHER: usize = 64;
/// How long replies are made and sent before others have their turn.
const AT_A_TIME: Duration = Duration::from_millis(1);

pub(super) struct Task {
    door: Arc<Door>,
    reader: Reader,
    follower: Follower,
    responder: Responder,
    table: Table<Box<Question>>,
    query: Query,
    reply: Vec<u8>,
    question_rx: mpsc::UnboundedReceiver<Box<Question>>,
    stage_rx: watch::Receiver<Stage>,
}

/// What a question would be answered just now, so many octets of the buffer.
#[derive(Clone, Copy)]
enum Now {
    /// Its replica is not there yet.
    Awaited(usize),
    Answer(usize),
}

impl Task {
    pub(super) fn new(
        door: Arc<Door>,
        reader: Reader,
        question_rx: mpsc::UnboundedReceiver<Box<Question>>,
        stage_rx: watch::Receiver<Stage>,
    ) -> Self {
        Self {
            door,
            follower: reader.follow_for_held(),
            responder: Responder::new(reader.clone()),
            reader,
            table: Table::new(),
            query: Query::default(),
            reply: vec![0; usize::from(u16::MAX)],
            question_rx,
            stage_rx,
        }
    }

    pub(super) async fn run(mut self) {
        let mut came = Vec::with_capacity(TOGETHER);
        loop {
            let next = self.table.next();
            tokio::select! {
                said = self.stage_rx.changed() => {
                    self.answer_all().await;
                    if said.is_err() || *self.stage_rx.borrow_and_update() == Stage::Ended {
                        break;
                    }
                }
                changed = self.follower.changed(), if next.is_some() => self.look_again(&changed).await,
                _ = self.question_rx.recv_many(&mut came, TOGETHER) => {
                    came.drain(..).for_each(|question| self.let_in(question));
                }
                () = sleep_until(next.unwrap_or_else(Instant::now).into()), if next.is_some() => {
                    self.answer_due().await;
                }
            }
            if self.table.is_empty() {
                // Nobody is to leave word for us while nobody waits.
                self.follower.watch(false);
                drop(self.follower.take());
            }
        }
        // What was handed in before the door was closed.
        self.question_rx.close();
        while let Ok(question) = self.question_rx.try_recv() {
            self.let_in(question);
        }
    }

    /// Lets one in, or answers it at once.
    fn let_in(&mut self, question: Box<Question>) {
        // It was parsed before: it is answered, and never anything else.
        if self.query.parse(&question.packet).is_err() {
            return;
        }
        let owner: Owner = self.query.name.as_wire().into();
        let (client, until) = (client_of(question.from.ip()), question.until);
        // On a connection each message has a reply of its own.
        let is_datagram = matches!(question.to, ReplyTo::Datagram(_));
        let asker: Option<Asker> =
            is_datagram.then(|| (question.from, self.query.id, self.query.rtype, Arc::clone(&owner)));
        if let Some(before) = asker.as_ref().and_then(|asker| self.table.again(asker)) {
            // The later one's form: a client that tries without EDNS waits for a reply without. The time stays the first's,
            // and so does the place.
            *before = question;
            self.door.count(&self.door.cells.repeated);
            return;
        }
        // Before the look: what is published behind it is noticed.
        self.follower.watch(true);
        let Some(now) = look(&mut self.responder, &self.reader, &mut self.reply, &question) else { return };
        let is_awaited = matches!(now, Now::Awaited(_)) && !self.is_closed();
        if is_awaited && self.table.of_client(client) >= self.door.per_client.load(Ordering::Relaxed) {
            self.door.count(&self.door.cells.full_of_client);
            return self.send(*question, now);
        }
        self.door.count(&self.door.cells.held);
        if is_awaited {
            let dependence = Dependence::of(&self.reader.view(), &self.query.name);
            self.table.insert(Waiting { question, owner, dependence, asker, client, until });
        } else {
            self.count(now);
            self.send(*question, now);
        }
    }

    /// Answers those whose replica is there now, or is not to be waited for any more.
    async fn look_again(&mut self, changed: &Changed) {
        let mut began = Instant::now();
        for numbers in self.table.affected(changed) {
            for number in numbers {
                // All of a name wait for the same: what holds one of them holds the others.
                if !self.answer_if(number, false) {
                    break;
                }
                share(&mut began).await;
            }
            share(&mut began).await;
        }
    }

    /// Answers those whose time is over.
    async fn answer_due(&mut self) {
        let mut began = Instant::now();
        while let Some(number) = self.table.due(Instant::now()) {
            self.answer_if(number, true);
            share(&mut began).await;
        }
    }

    /// Answers all of them: the server stops.
    async fn answer_all(&mut self) {
        let mut began = Instant::now();
        while let Some(number) = self.table.first() {
            self.answer_if(number, true);
            share(&mut began).await;
        }
    }

    /// Answers one, unless it may wait on. False where it does.
    fn answer_if(&mut self, number: u64, is_last: bool) -> bool {
        let Some(question) = self.table.get(number) else { return true };
        let Some(now) = look(&mut self.responder, &self.reader, &mut self.reply, question) else {
            drop(self.table.remove(number));
            return true;
        };
        if matches!(now, Now::Awaited(_)) && !is_last {
            return false;
        }
        self.count(now);
        if let Some(question) = self.table.remove(number) {
            self.send(*question, now);
        }
        true
    }

    /// Counts the end of one that waited.
    fn count(&self, now: Now) {
        let cells = &self.door.cells;
        self.door.count(match now {
            Now::Awaited(_) if self.is_closed() => &cells.stopped,
            Now::Awaited(_) => &cells.bound,
            // NOERROR: there is a name now, if not with an address of the family that was asked for.
            Now::Answer(_) if self.reply.get(3).is_some_and(|low| low & 15 == 0) => &cells.ready,
            Now::Answer(_) => &cells.changed,
        });
    }

    /// Sends what was written last.
    fn send(&mut self, question: Question, now: Now) {
        let (Now::Awaited(length) | Now::Answer(length)) = now;
        let reply = self.reply.get_mut(..length).unwrap_or_default();
        match question.to {
            ReplyTo::Datagram(late) => late.send_held(&question.packet, reply),
            // Of a connection that has ended since nobody waits for it.
            ReplyTo::Stream(reply_tx) => drop(reply_tx.send(reply.to_vec())),
        }
    }

    fn is_closed(&self) -> bool {
        self.door.is_closed.load(Ordering::Acquire)
    }
}

/// However it ends, nobody is let in to wait for one who does not come, nor is word left for nobody.
impl Drop for Task {
    fn drop(&mut self) {
        self.door.is_closed.store(true, Ordering::Release);
        self.follower.watch(false);
    }
}

/// Looks a question up. None where that panicked: it is dropped as on a UDP thread, and the others wait on.
fn look(responder: &mut Responder, reader: &Reader, out: &mut [u8], question: &Question) -> Option<Now> {
    let looked = catch_unwind(AssertUnwindSafe(|| now(responder, out, question)));
    let looked = looked.inspect_err(|_| {
        error!("a question that was kept open made its answer panic, which is a defect; it is dropped");
        *responder = Responder::new(reader.clone());
    });
    looked.ok()
}

/// Writes what a question is answered just now.
fn now(responder: &mut Responder, out: &mut [u8], question: &Question) -> Now {
    let Question { packet, transport, from, .. } = question;
    match responder.pin().respond_and_tell(packet, *transport, Some(from.ip()), out).0 {
        Reply::Held { length, .. } => Now::Awaited(length),
        // No name of a replica leads out of the zones.
        Reply::Send(length) | Reply::Chase { length, .. } => Now::Answer(length),
        Reply::Silence => Now::Answer(0),
    }
}

/// Lets others have their turn, once it was long enough.
async fn share(began: &mut Instant) {
    if began.elapsed() > AT_A_TIME {
        yield_now().await;
        *began = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use tokio::sync::oneshot;

    use super::super::{HoldCounts, HoldLimits, WaitingRoom};
    use super::*;
    use crate::server::responder::Transport;
    use crate::wire::{Name, rtype};
    use crate::zone::{Freshness, Holding, Publisher, Settings, mk_settings, nginx, zone};

    const LIMITS: HoldLimits = HoldLimits { questions: 8, per_client: 4 };
    /// Far more than a test takes: what ends before was not the time.
    const LONG: Duration = Duration::from_secs(600);

    const YES: bool = true;

    fn mk_zone() -> (Publisher, Reader) {
        let (mut publisher, reader) = zone(mk_settings());
        publisher.publish([nginx(YES, 3, &[0])]);
        publisher.synchronised();
        (publisher, reader)
    }

    fn packet(id: u16, name: &str, rtype: u16) -> Vec<u8> {
        let mut packet = id.to_be_bytes().to_vec();
        packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        packet.extend(Name::from_text(&format!("{name}.nginx.a.svc.cluster.local")).unwrap().as_wire());
        packet.extend(rtype.to_be_bytes());
        packet.extend([0, 1]);
        packet
    }

    fn client(port: u16) -> SocketAddr {
        (Ipv4Addr::new(10, 9, 0, 1), port).into()
    }

    /// Hands a question in as a connection does; its reply.
    fn ask(
        room: &WaitingRoom,
        packet: &[u8],
        from: SocketAddr,
        longest: Duration,
    ) -> Option<oneshot::Receiver<Vec<u8>>> {
        let (reply_tx, reply_rx) = oneshot::channel();
        let until = Instant::now() + longest;
        room.let_in(packet, Transport::Tcp, from, until, || ReplyTo::Stream(reply_tx)).then_some(reply_rx)
    }

    /// Code and number of records of a reply.
    fn said(reply: &[u8]) -> (u8, u8) {
        (reply[3] & 15, reply[7])
    }

    async fn until(room: &WaitingRoom, is_it: impl Fn(&HoldCounts) -> bool) -> HoldCounts {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let counts = room.counts();
            if is_it(&counts) {
                return counts;
            }
            assert!(Instant::now() < deadline, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn both_families_wait_until_the_replica_is_there() {
        let (mut publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        let a = ask(&room, &packet(1, "web-1", rtype::A), client(1), LONG).unwrap();
        let aaaa = ask(&room, &packet(2, "web-1", rtype::AAAA), client(1), LONG).unwrap();
        let other = ask(&room, &packet(3, "WEB-2", rtype::A), client(1), LONG).unwrap();
        until(&room, |counts| counts.held == 3).await;
        publisher.publish([nginx(YES, 3, &[0, 1])]);
        let (a, aaaa) = (a.await.unwrap(), aaaa.await.unwrap());
        assert_eq!((said(&a), said(&aaaa)), ((0, 1), (0, 0)));
        assert!(a.starts_with(&[0, 1]) && a.ends_with(&[10, 0, 0, 1]) && aaaa.starts_with(&[0, 2]));
        let counts = room.counts();
        assert_eq!((counts.ready, counts.bound, counts.waiting), (2, 0, 1), "web-2 waits on");
        publisher.publish([nginx(YES, 3, &[0, 1, 2])]);
        assert_eq!(said(&other.await.unwrap()), (0, 1));
        until(&room, |counts| counts.waiting == 0).await;
    }

    #[tokio::test]
    async fn the_time_is_over_with_the_answer_of_then() {
        let (mut publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        let before = ask(&room, &packet(1, "web-1", rtype::A), client(1), Duration::from_millis(50)).unwrap();
        let serial = reader.serial();
        // Another name of the same service: looked at, and nobody is answered for it.
        publisher.publish([nginx(YES, 3, &[0, 2])]);
        let reply = before.await.unwrap();
        assert_eq!(said(&reply), (3, 0));
        assert!(reader.serial() > serial);
        assert!(reply.windows(4).any(|octets| octets == reader.serial().to_be_bytes()), "the newest serial");
        until(&room, |counts| counts.bound == 1 && counts.waiting == 0).await;
    }

    #[tokio::test]
    async fn what_is_not_to_be_waited_for_any_more_is_answered() {
        let change: [fn(&mut Publisher); 4] = [
            |publisher| assert_eq!(publisher.publish([nginx(YES, 1, &[0])]), 1),
            |publisher| assert_eq!(publisher.publish([nginx(!YES, 3, &[0])]), 1),
            |publisher| publisher.set_settings(Settings { holding: Holding::default(), ..mk_settings() }),
            |publisher| publisher.set_freshness(Freshness::Expired),
        ];
        for (index, change) in change.into_iter().enumerate() {
            let (mut publisher, reader) = mk_zone();
            let room = WaitingRoom::open(&reader, LIMITS);
            let reply = ask(&room, &packet(1, "web-1", rtype::A), client(1), LONG).unwrap();
            until(&room, |counts| counts.held == 1).await;
            change(&mut publisher);
            let code = if index == 3 { 2 } else { 3 };
            assert_eq!(said(&reply.await.unwrap()), (code, 0), "{index}");
            assert_eq!(room.counts().changed, 1, "{index}");
        }
    }

    #[tokio::test]
    async fn what_was_published_before_it_came_in_is_seen() {
        let (mut publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        // Nobody watches: no word is left of this.
        publisher.publish([nginx(YES, 3, &[0, 1])]);
        let reply = ask(&room, &packet(1, "web-1", rtype::A), client(1), LONG).unwrap();
        assert_eq!(said(&reply.await.unwrap()), (0, 1));
    }

    #[tokio::test]
    async fn places_are_bounded_in_all_and_of_a_client() {
        let (_publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        let question = packet(1, "web-1", rtype::A);
        let mut waiting: Vec<_> =
            (0..4).map(|port| ask(&room, &question, client(port), LONG).unwrap()).collect();
        until(&room, |counts| counts.held == 4).await;
        let fifth = ask(&room, &question, client(5), LONG).unwrap();
        assert_eq!(said(&fifth.await.unwrap()), (3, 0));
        until(&room, |counts| counts.waiting == 4).await;
        for last in 0..4 {
            let from = (Ipv4Addr::new(10, 9, 1, last), 1).into();
            waiting.push(ask(&room, &question, from, LONG).unwrap());
        }
        assert!(ask(&room, &question, (Ipv4Addr::new(10, 9, 2, 1), 1).into(), LONG).is_none());
        let long = [&*question, &[0; 500]].concat();
        room.set_limits(HoldLimits { questions: 100, ..LIMITS });
        assert!(ask(&room, &long, (Ipv4Addr::new(10, 9, 2, 1), 1).into(), LONG).is_none());
        let counts = until(&room, |counts| counts.held == 8).await;
        assert_eq!((counts.full, counts.full_of_client, counts.too_long), (1, 1, 1));
        assert_eq!((counts.waiting, counts.limit), (8, 100));
        // And none at all, where none are to be had.
        room.set_limits(HoldLimits { questions: 0, ..LIMITS });
        assert!(ask(&room, &question, client(9), LONG).is_none());
    }

    #[tokio::test]
    async fn a_close_answers_all_and_lets_nobody_in() {
        let (_publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        let question = packet(1, "web-1", rtype::A);
        let waiting: Vec<_> = (0..3).map(|port| ask(&room, &question, client(port), LONG).unwrap()).collect();
        room.close();
        for reply in waiting {
            assert_eq!(said(&reply.await.unwrap()), (3, 0));
        }
        assert!(ask(&room, &question, client(9), LONG).is_none());
        let counts = until(&room, |counts| counts.waiting == 0).await;
        assert_eq!((counts.held, counts.stopped), (3, 3));
        room.end().await;
    }

    #[tokio::test]
    async fn an_end_answers_what_was_handed_in() {
        let (mut publisher, reader) = mk_zone();
        let room = WaitingRoom::open(&reader, LIMITS);
        let reply = ask(&room, &packet(1, "web-1", rtype::A), client(1), LONG).unwrap();
        room.end().await;
        assert_eq!(said(&reply.await.unwrap()), (3, 0));
        drop(reader.follow_for_held().take());
        publisher.publish([nginx(YES, 3, &[0, 1])]);
        let changed = reader.follow_for_held().take();
        assert!(matches!(&changed, Changed::These(these) if these.is_empty()), "{changed:?}");
    }
}
