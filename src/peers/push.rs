//! Push: subscribed once, and told from then on (RFC 8765).
//!
//! Two subscriptions, to the service's name and to its sets' TXT records, however many peers there are: a member that
//! comes or changes its address changes the service's own records, and its address is asked for then, over the same
//! connection. Of a small set each member's own name is subscribed to as well, for two that exchange their addresses
//! change no record of the service. Of a large one it would be a thousand times a thousand subscriptions at the server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::backoff::jittered;
use super::place::Place;
use super::reading::{Asked, Reading, complete, read, within};
use super::stream::{Connection, LONGEST, PATIENCE, patiently};
use super::tracker::{Tracker, Verdict};
use super::trouble::Trouble;
use super::view::View;
use super::way::Way;
use crate::wire::dso::{Keepalive, Said, ask_keepalive, subscribe, unsubscribe};
use crate::wire::{Name, rcode, rtype};

/// How long nothing may be said before we say that we are there: a minute is wished for, the server may want less.
const QUIET: Duration = Duration::from_secs(60);
const LEAST_QUIET: Duration = Duration::from_secs(5);
/// What we ask of the session: a subscription is activity enough (RFC 8765, section 6.2.2), the interval is [`QUIET`].
const TIMES: Keepalive = Keepalive { inactivity: u32::MAX, interval: 60_000 };
/// Up to so many members each one's own name is subscribed to: at the server these are the square of it for a set whose
/// members all follow it, 288 with the two that each has besides.
const FOLLOWED: usize = 16;
/// How many times what is pushed while something is asked for is waited for before what is known has to do: of a service
/// that never stands still something is told all the same.
const BURSTS: usize = 16;
/// How often everything is read anew and compared, whatever was pushed: two members of a large set that exchange their
/// addresses at one moment change no record of the service.
const VERIFIED: Duration = Duration::from_secs(900);
/// The same while what was read last is stale, or not all of it is known.
const DOUBTED: Duration = Duration::from_secs(1);

/// A session.
pub(super) struct Session<'f> {
    asked: Asked,
    place: &'f Place,
    view: View,
    quiet: Duration,
    heard: Instant,
    /// We have said that we are there, and wait for an answer.
    probed: bool,
    /// What was read last is stale, or incomplete.
    doubted: bool,
    verify: Instant,
    /// The ID of the last SUBSCRIBE.
    last_subscription: u16,
    /// Those of the members that are followed by their own names.
    members: BTreeMap<Name, u16>,
    /// The server has no room for these, and is not asked for others for a while.
    declined: bool,
}

/// Follows by push until the connection is lost.
///
/// Gives what ended it, and whether anything was told before.
pub(super) async fn follow(connection: Connection, place: &Place, tracker: &mut Tracker) -> (Trouble, bool) {
    let now = Instant::now();
    let mut session = Session {
        asked: Asked::Stream(connection),
        place,
        view: View::new(place.clone()),
        quiet: QUIET,
        heard: now,
        probed: false,
        doubted: false,
        verify: now,
        last_subscription: 0,
        members: BTreeMap::new(),
        declined: false,
    };
    let begun = async {
        session.subscribe().await?;
        session.verify(tracker).await
    };
    if let Err(trouble) = begun.await {
        return (trouble, false);
    }
    loop {
        if let Err(trouble) = session.wait(tracker).await {
            return (trouble, true);
        }
    }
}

impl Session<'_> {
    fn connection(&mut self) -> Result<&mut Connection, Trouble> {
        match &mut self.asked {
            Asked::Stream(connection) => Ok(connection),
            Asked::Datagrams(..) => Err(Trouble::NoPush("push is for connections")),
        }
    }

    /// Subscribes. One operation at a time: before the first is answered there is no session to say more in (RFC 8490,
    /// section 5.1).
    async fn subscribe(&mut self) -> Result<(), Trouble> {
        let server = self.asked.server().to_owned();
        let service = self.place.service.clone();
        let code = self.subscribe_to(&service, rtype::ANY).await?;
        if code == rcode::NOTIMP {
            return Err(Trouble::NoPush("the server knows no push"));
        }
        if code != rcode::NOERROR {
            return Err(Trouble::Refused { server, rcode: code, name: service.to_string(), why: None });
        }
        // How many there should be is not told everywhere, and peers are followed all the same.
        let sets = self.place.sets.clone();
        let code = self.subscribe_to(&sets, rtype::TXT).await?;
        debug!(rcode = code, "subscribed to how many there should be");
        let connection = self.connection()?;
        let octets = ask_keepalive(connection.next_id(), TIMES);
        connection.send(&octets).await
    }

    /// The code of the response.
    async fn subscribe_to(&mut self, name: &Name, rtype: u16) -> Result<u16, Trouble> {
        let ours = self.next_subscription();
        self.connection()?.send(&subscribe(ours, name, rtype)).await?;
        let end = Instant::now() + LONGEST;
        loop {
            if Instant::now() >= end {
                return Err(Trouble::Silent { server: self.asked.server().to_owned(), patience: LONGEST });
            }
            let connection = self.connection()?;
            let server = connection.server().to_owned();
            let said = patiently(&server, connection.said()).await??;
            let code = if let Said::Response { id, rcode, .. } = said {
                (id == ours).then_some(rcode)
            } else {
                None
            };
            self.hear(said)?;
            if let Some(code) = code {
                return Ok(code);
            }
        }
    }

    /// An ID that no subscription has, below those of questions.
    fn next_subscription(&mut self) -> u16 {
        loop {
            // The first two are the service's and its sets', for as long as the session lasts.
            self.last_subscription =
                if self.last_subscription < 255 { self.last_subscription + 1 } else { 3 };
            if !self.members.values().any(|id| *id == self.last_subscription) {
                return self.last_subscription;
            }
        }
    }

    /// Subscribes to the own names of the members that there are, and no longer to those of others.
    ///
    /// Nothing is waited for: what is pushed of them is taken over when it comes, and where the server declines, the
    /// service's own records have to do.
    async fn follow_members(&mut self) -> Result<(), Trouble> {
        let wanted = self.view.to_follow(FOLLOWED);
        let mut octets = Vec::new();
        let gone: Vec<Name> = self.members.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in gone {
            self.view.unfollow(&name);
            octets.extend(self.members.remove(&name).map(unsubscribe).into_iter().flatten());
        }
        let more = if self.declined { BTreeSet::new() } else { wanted };
        for name in more {
            if !self.members.contains_key(&name) {
                let id = self.next_subscription();
                octets.extend(subscribe(id, &name, rtype::ANY));
                self.view.follow(&name);
                self.members.insert(name, id);
            }
        }
        if octets.is_empty() { Ok(()) } else { self.connection()?.send(&octets).await }
    }

    /// The server has no subscription for this ID.
    fn decline(&mut self, declined: u16) {
        let name = self.members.iter().find(|(_, id)| **id == declined).map(|(name, _)| name.clone());
        if let Some(name) = name {
            debug!(%name, "no subscription to a member");
            self.members.remove(&name);
            self.view.unfollow(&name);
            self.declined = true;
        }
    }

    /// Takes one message over; whether something may be to be told behind it.
    fn hear(&mut self, said: Said) -> Result<bool, Trouble> {
        self.heard = Instant::now();
        self.probed = false;
        match said {
            Said::Push(changes) => {
                let is_news = self.view.hear(&changes);
                within(self.asked.server(), &self.view)?;
                return Ok(is_news || self.doubted);
            }
            Said::Response { times: Some(times), .. } | Said::Keepalive(times) => {
                // A little before the time: what is under way when it is over comes too late.
                let granted = Duration::from_millis(times.interval.into()).mul_f64(0.9);
                self.quiet = granted.clamp(LEAST_QUIET, QUIET);
            }
            Said::Response { id, rcode, .. } if rcode != rcode::NOERROR => self.decline(id),
            Said::Response { .. } => {}
            Said::RetryDelay { milliseconds, .. } => {
                let server = self.asked.server().to_owned();
                return Err(Trouble::Delayed { server, delay: Duration::from_millis(milliseconds.into()) });
            }
        }
        Ok(false)
    }

    /// Takes over what has come already; whether something may be to be told behind it.
    fn hear_all(&mut self) -> Result<bool, Trouble> {
        let mut changed = false;
        while let Some(said) = self.connection()?.said_already()? {
            changed |= self.hear(said)?;
        }
        Ok(changed)
    }

    /// Waits for a push, and tells what it makes; or for the time to say that we are there, or to look again.
    async fn wait(&mut self, tracker: &mut Tracker) -> Result<(), Trouble> {
        let patience = if self.probed { PATIENCE } else { self.quiet };
        let (quiet, verify) = (self.heard + patience, self.verify);
        let connection = self.connection()?;
        tokio::select! {
            said = connection.said() => {
                if self.hear(said?)? | self.hear_all()? {
                    return self.settle(tracker).await;
                }
                Ok(())
            }
            () = sleep_until(quiet) => self.probe().await,
            () = sleep_until(verify) => {
                self.declined &= self.doubted;
                self.verify(tracker).await
            }
        }
    }

    /// Says that we are there; when that was said already, nobody is.
    async fn probe(&mut self) -> Result<(), Trouble> {
        if self.probed {
            return Err(Trouble::Silent { server: self.asked.server().to_owned(), patience: PATIENCE });
        }
        let connection = self.connection()?;
        let octets = ask_keepalive(connection.next_id(), TIMES);
        connection.send(&octets).await?;
        (self.probed, self.heard) = (true, Instant::now());
        Ok(())
    }

    /// Asks for what the pushed records leave open, and tells what they make.
    async fn settle(&mut self, tracker: &mut Tracker) -> Result<(), Trouble> {
        if self.doubted || self.view.is_empty() {
            return self.verify(tracker).await;
        }
        let mut settled = complete(&mut self.asked, &mut self.view).await?;
        // What came while we asked counts as well, and may leave something open again.
        for _ in 0..BURSTS {
            if !self.hear_all()? {
                break;
            }
            if self.view.is_empty() {
                return self.verify(tracker).await;
            }
            settled = complete(&mut self.asked, &mut self.view).await?;
        }
        let reading = Reading::of(&self.view, settled);
        self.tell(reading, tracker)?;
        self.follow_members().await
    }

    /// Reads everything anew, with authority, and tells it.
    async fn verify(&mut self, tracker: &mut Tracker) -> Result<(), Trouble> {
        loop {
            let mut reading = read(&mut self.asked, &mut self.view, self.place).await?;
            // A push is in the order of the changes: what it says of older ones is undone by what it says of newer ones.
            for _ in 0..BURSTS {
                if !self.hear_all()? {
                    break;
                }
                let settled = complete(&mut self.asked, &mut self.view).await?;
                reading = Reading {
                    authoritative: reading.authoritative,
                    stale: reading.stale,
                    ..Reading::of(&self.view, settled)
                };
            }
            if self.tell(reading, tracker)? == Verdict::Told {
                return self.follow_members().await;
            }
        }
    }

    fn tell(&mut self, reading: Reading, tracker: &mut Tracker) -> Result<Verdict, Trouble> {
        self.doubted = reading.stale.is_some() || !reading.settled;
        self.verify = Instant::now() + jittered(if self.doubted { DOUBTED } else { VERIFIED });
        if !reading.settled {
            debug!("not every member's address is known yet");
        }
        let server = self.asked.server().to_owned();
        tracker.take(reading, Way::Push, &server)
    }
}
