//! Follows a service for as long as somebody wants to know: the best way that is to be had, the next one where it is not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::backoff::{Backoff, jittered};
use super::bounds;
use super::datagram::Datagrams;
use super::options::{Options, OptionsError};
use super::place::Place;
use super::push;
use super::reading::{Asked, read, serial};
use super::stream::Connection;
use super::tracker::{Newest, Tracker, Troubled, Verdict};
use super::trouble::Trouble;
use super::view::View;
use super::way::{Server, Transport, Way};

/// The shortest interval of questions for the serial.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);
/// How often everything is read although the serial stands still: a server may be slow to move it, or be another one.
const REREAD: Duration = Duration::from_secs(60);
/// Before that nobody is there is believed, it is asked for again after so long.
const CONFIRM: Duration = Duration::from_millis(300);
/// For how long another way than push does before push is tried again; longer each time.
const UPGRADE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// Between the tries of all ways.
const TRIES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// What was followed for less than this was not worth coming back at once for: a server that takes everybody and keeps
/// nobody is come back to ever later, as one that takes nobody.
const STEADY: Duration = Duration::from_secs(5);
/// What was lost for longer than this is marked; where it was left for a better way, for longer than that.
const UNMARKED: Duration = Duration::from_secs(1);
const UPGRADING: Duration = Duration::from_secs(5);
/// For how long a server of push is looked for and connected to: a zone may name many that swallow packets.
const REACHED: Duration = Duration::from_secs(10);
/// How long a server may ask to be left alone at most.
const MOST_DELAY: Duration = Duration::from_secs(60);

/// Follows one service.
pub(super) struct Follower {
    place: Place,
    servers: Vec<Server>,
    interval: Duration,
    pub(super) tracker: Tracker,
    /// For how long the next way other than push does.
    upgrade: Backoff,
    /// That nobody is reached was said.
    said: bool,
    /// When the last list is to be marked, be it that not all was tried yet, and why; None is what is found then.
    mark: Option<(Instant, Option<Arc<Trouble>>)>,
    /// Who has asked to be left alone, and until when.
    alone: Vec<(Server, Instant)>,
    #[cfg(feature = "tls")]
    tls: super::tls::Tls,
}

/// How a way ended.
pub(super) enum Ended {
    /// It was not to be had.
    Unreached(Trouble),
    /// It was, for a while.
    Lost(Trouble),
    /// It did well, but a better one may be to be had by now.
    Upgrade,
}

impl Follower {
    pub(super) fn new(options: Options) -> Result<(Self, Newest), OptionsError> {
        let place = options.place()?;
        #[cfg(feature = "tls")]
        let tls = super::tls::Tls::new(options.authorities.as_deref())
            .map_err(|trouble| OptionsError::Tls(trouble.to_string()))?;
        let (tracker, newest_rx) = Tracker::new();
        let follower = Self {
            place,
            servers: options.servers,
            interval: options.interval.max(LEAST_INTERVAL),
            tracker,
            upgrade: Backoff::new(UPGRADE.0, UPGRADE.1),
            said: false,
            mark: None,
            alone: Vec::new(),
            #[cfg(feature = "tls")]
            tls,
        };
        Ok((follower, newest_rx))
    }

    /// Why nothing is known, where that is so.
    pub(super) fn troubled(&self) -> Troubled {
        self.tracker.troubled()
    }

    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(TRIES.0, TRIES.1);
        loop {
            let begun = Instant::now();
            match self.try_all().await {
                Ok(lost) => {
                    if begun.elapsed() >= STEADY {
                        backoff.reset();
                    }
                    self.said = false;
                    // All of its clients lose a server at one moment: they do not come back at one.
                    let wait = backoff.wait();
                    self.is_lost(lost);
                    if wait > UNMARKED {
                        self.mark_now();
                    }
                    sleep(wait).await;
                }
                Err(trouble) => {
                    let delay = self.all_alone().max(backoff.wait());
                    if std::mem::replace(&mut self.said, true) {
                        debug!(%trouble, "still no server says who the peers are");
                    } else {
                        warn!(%trouble, "no server says who the peers are; what was known last stays");
                    }
                    self.mark = None;
                    self.tracker.lost(trouble);
                    sleep(delay).await;
                }
            }
        }
    }

    /// What was followed no longer is; without a trouble, because a better way may be to be had.
    pub(super) fn is_lost(&mut self, trouble: Option<Trouble>) {
        let patience = if trouble.is_some() { UNMARKED } else { UPGRADING };
        self.mark = Some((Instant::now() + patience, trouble.map(Arc::new)));
    }

    /// Marks the last list where it is known why.
    fn mark_now(&mut self) {
        if let Some((_, Some(trouble))) = self.mark.take_if(|(_, trouble)| trouble.is_some()) {
            self.tracker.lost(trouble);
        }
    }

    /// Marks the last list where it is time to; this is what was found last.
    fn mark_if_due(&mut self, found: &Arc<Trouble>) {
        let due = self.mark.take_if(|(due, _)| *due <= Instant::now());
        if let Some((_, trouble)) = due {
            self.tracker.lost(trouble.unwrap_or_else(|| Arc::clone(found)));
        }
    }

    fn is_alone(&self, server: &Server) -> bool {
        self.alone.iter().any(|(one, until)| one == server && *until > Instant::now())
    }

    /// For how long there is nobody who does not want to be left alone.
    fn all_alone(&self) -> Duration {
        if !self.servers.iter().all(|server| self.is_alone(server)) {
            return Duration::ZERO;
        }
        let soonest =
            self.alone.iter().map(|(_, until)| *until).filter(|until| *until > Instant::now()).min();
        soonest.map(|until| until.duration_since(Instant::now())).unwrap_or_default()
    }

    /// Tries way by way, and in each server by server; follows the first that is to be had until it is lost.
    ///
    /// Gives why it was lost, unless it was left for a better one. Where none of the ways is to be had, the error is the one that tells most: what a server says, then that it is away.
    pub(super) async fn try_all(&mut self) -> Result<Option<Trouble>, Arc<Trouble>> {
        self.alone.retain(|(_, until)| *until > Instant::now());
        let mut first: Option<Arc<Trouble>> = None;
        // Who asks to be left alone before anything was told may do so of push alone, and is asked in another way.
        let mut later = Vec::new();
        for way in [Way::Push, Way::Serial, Way::Poll] {
            for server in self.servers.clone() {
                if self.is_alone(&server) {
                    continue;
                }
                let (trouble, is_lost) = match self.try_one(way, &server).await {
                    Ended::Upgrade => return Ok(None),
                    Ended::Lost(trouble @ Trouble::Delayed { .. }) => (Arc::new(trouble), true),
                    Ended::Lost(trouble) => {
                        debug!(%way, %trouble, "a server is lost");
                        return Ok(Some(trouble));
                    }
                    Ended::Unreached(trouble) => (Arc::new(trouble), false),
                };
                debug!(%way, %server, %trouble, "not to be had");
                if let Trouble::Delayed { delay, .. } = *trouble {
                    let until = Instant::now() + delay.clamp(TRIES.0, MOST_DELAY);
                    if is_lost {
                        // Who asks to be left alone is (RFC 8490, section 6.6.1); the others may do.
                        self.alone.push((server, until));
                        self.mark = Some((Instant::now() + UNMARKED, Some(Arc::clone(&trouble))));
                    } else {
                        later.push((server, until));
                    }
                }
                self.mark_if_due(&trouble);
                let tells_less = |first: &Arc<Trouble>| first.weight() < trouble.weight();
                if first.as_ref().is_none_or(tells_less) {
                    first = Some(trouble);
                }
            }
        }
        self.alone.extend(later);
        Err(first.unwrap_or_else(|| Arc::new(Trouble::NoPush("no server"))))
    }

    async fn try_one(&mut self, way: Way, server: &Server) -> Ended {
        match way {
            Way::Push => match self.connect_push(server).await {
                Ok(connection) => {
                    let (trouble, told) = push::follow(connection, &self.place, &mut self.tracker).await;
                    if told {
                        self.upgrade.reset();
                        Ended::Lost(trouble)
                    } else {
                        Ended::Unreached(trouble)
                    }
                }
                Err(trouble) => Ended::Unreached(trouble),
            },
            Way::Serial => match self.connect(server).await {
                Ok(connection) => self.ask_on(Asked::Stream(connection), Way::Serial).await,
                Err(trouble) => Ended::Unreached(trouble),
            },
            Way::Poll if server.transport == Transport::Tls => {
                Ended::Unreached(Trouble::NoPush("single questions are not for TLS"))
            }
            Way::Poll => {
                let name = server.address.to_string();
                let datagrams = Datagrams::new(server.address, &name);
                self.ask_on(Asked::Datagrams(datagrams, name), Way::Poll).await
            }
        }
    }

    /// Asks for the serial again and again, and for records when it has moved.
    pub(super) async fn ask_on(&mut self, mut asked: Asked, way: Way) -> Ended {
        let until = Instant::now() + self.upgrade.wait();
        let mut told = false;
        let mut view = View::new(self.place.clone());
        loop {
            let result = self.ask_once(&mut asked, &mut view, way, &mut told, until).await;
            match result {
                Ok(true) => {}
                Ok(false) => return Ended::Upgrade,
                Err(trouble) if told => return Ended::Lost(trouble),
                Err(trouble) => return Ended::Unreached(trouble),
            }
        }
    }

    /// Reads everything, and waits until there is a reason to do so again; false where it is time for a better way.
    async fn ask_once(
        &mut self,
        asked: &mut Asked,
        view: &mut View,
        way: Way,
        told: &mut bool,
        until: Instant,
    ) -> Result<bool, Trouble> {
        // First the serial: what changes while the rest is read moves it.
        let before = serial(asked, &self.place.zone).await?;
        view.forget_services();
        let reading = read(asked, view, &self.place).await?;
        let in_doubt = !reading.settled || reading.stale.is_some();
        let verdict = self.tracker.take(reading, way, asked.server())?;
        if verdict == Verdict::Confirm {
            sleep(jittered(CONFIRM)).await;
            return Ok(true);
        }
        *told = true;
        let reread = Instant::now() + jittered(REREAD);
        loop {
            sleep(jittered(self.interval)).await;
            if Instant::now() >= until {
                return Ok(false);
            }
            let now = serial(asked, &self.place.zone).await?;
            if now != before || now.is_none() || in_doubt || Instant::now() >= reread {
                return Ok(true);
            }
        }
    }

    async fn connect(&self, server: &Server) -> Result<Connection, Trouble> {
        match server.transport {
            Transport::Plain | Transport::PushTcp => {
                Connection::tcp(server.address, &server.to_string()).await
            }
            Transport::Tls => {
                self.connect_tls(server.address, server.name.as_deref(), &server.to_string()).await
            }
        }
    }

    #[cfg(feature = "tls")]
    async fn connect_tls(
        &self,
        address: SocketAddr,
        name: Option<&str>,
        server: &str,
    ) -> Result<Connection, Trouble> {
        Connection::tls(address, name, server, &self.tls).await
    }

    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_async, reason = "it awaits where TLS is built in")]
    async fn connect_tls(&self, _: SocketAddr, _: Option<&str>, _: &str) -> Result<Connection, Trouble> {
        Err(Trouble::NoPush("TLS is not built in"))
    }

    /// A connection to the server, or to that which its zone names for push (RFC 8765, section 6.1).
    pub(super) async fn connect_push(&self, server: &Server) -> Result<Connection, Trouble> {
        if server.transport != Transport::Plain {
            return self.connect(server).await;
        }
        let reach = async {
            let mut trouble = Trouble::NoPush("the zone names no server of push");
            for (address, name) in discover(server, &self.place).await? {
                let said = format!("tls://{address}#{name}");
                match self.connect_tls(address, Some(&name), &said).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => trouble = error,
                }
            }
            Err(trouble)
        };
        let silent = |_| Trouble::Silent { server: format!("push of {server}"), patience: REACHED };
        timeout(REACHED, reach).await.map_err(silent)?
    }
}

/// The servers of push that a zone names, in the order of their SRV records.
async fn discover(server: &Server, place: &Place) -> Result<Vec<(SocketAddr, String)>, Trouble> {
    use crate::wire::record::Data;
    use crate::wire::{Name, rtype};
    let Ok(name) = Name::under(&[b"_dns-push-tls", b"_tcp"], &place.zone) else { return Ok(Vec::new()) };
    let datagrams = Datagrams::new(server.address, &server.to_string());
    let replies = datagrams.ask(&[(name.clone(), rtype::SRV)]).await?;
    let records = replies.iter().flat_map(|reply| &reply.answer).filter(|record| record.owner == name);
    let mut targets: Vec<((u16, u16), Name, u16)> = Vec::new();
    for record in records {
        if let Some(Data::Srv { target, port, order }) = &record.data {
            // The lowest priority first, and of equal ones the greatest weight.
            targets.push(((order.0, u16::MAX - order.1), target.clone(), *port));
        }
    }
    targets.sort_by_key(|(order, ..)| *order);
    targets.truncate(bounds::SERVERS);
    let mut found = Vec::new();
    for (_, target, port) in targets {
        let replies = datagrams.ask(&[(target.clone(), rtype::A), (target.clone(), rtype::AAAA)]).await?;
        let mut name = target.to_string();
        name.pop();
        for record in replies.iter().flat_map(|reply| &reply.answer).take(bounds::OF_SERVER) {
            if let Some(Data::Address(address)) = &record.data {
                found.push((SocketAddr::new(*address, port), name.clone()));
            }
        }
    }
    Ok(found)
}
