//! The wait itself: what `peers` follows is followed, and single names are asked for beside it.
//!
//! Each change of the list is looked at as it comes. Behind it, and now and then, names are asked for: those that are waited
//! for, and those that are missing, which is how it is known why. That never keeps a change waiting.

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep_until};

use super::super::colour::plain;
use super::progress::Progress;
use super::wish::{Known, Wish};
use crate::peers::{Answers, Backoff, Inquiry, List, Options, Peers, Trouble};
use crate::run::{Signals, signalled};

/// Between two rounds of questions while the list stands still.
const ROUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A list is there within a moment as a rule; before that there is nothing to ask the reason of.
const FIRST: Duration = Duration::from_millis(700);
/// Reasons alone are asked for so long behind a change, and those of a burst once.
const SETTLED: Duration = Duration::from_millis(100);
/// At most so many names are said at the end.
const MOST_NAMES: usize = 10;

/// All that the command line says.
pub(super) struct Plan {
    pub(super) options: Options,
    pub(super) inquiry: Inquiry,
    pub(super) wish: Wish,
    /// None is for ever.
    pub(super) timeout: Option<Duration>,
    pub(super) quiet: bool,
}

/// A round of questions under way, which gives back who asks.
type Round = Pin<Box<dyn Future<Output = (Inquiry, Result<Answers, Trouble>)>>>;

/// Who asks for single names.
struct Asker {
    /// None while a round is under way.
    inquiry: Option<Inquiry>,
    round: Option<Round>,
    /// The list when it began.
    begun_at: Option<Arc<List>>,
    /// When the next one begins.
    due: Instant,
    /// The list has changed since the last one began.
    changed: bool,
    backoff: Backoff,
}

/// Waits until all is there, the time is over, or a signal comes.
pub(super) async fn wait(plan: Plan) -> anyhow::Result<ExitCode> {
    let Plan { options, inquiry, wish, timeout, quiet } = plan;
    let mut signals = Signals::new()?;
    let mut progress = Progress::begin(quiet, &format!("{wish}: {}", inquiry.service()));
    let began = Instant::now();
    let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
    let mut peers = Peers::follow(options)?;
    let mut known = Known::default();
    let mut asker = Asker {
        inquiry: Some(inquiry),
        round: None,
        begun_at: None,
        due: began + FIRST,
        changed: false,
        backoff: Backoff::new(ROUNDS.0, ROUNDS.1),
    };
    loop {
        known.list = peers.newest();
        let lacks = wish.lacks(&known).join("; ");
        if lacks.is_empty() {
            progress.done(&there(&known));
            return Ok(ExitCode::SUCCESS);
        }
        if let (Some(timeout), true) = (timeout, deadline.is_some_and(|deadline| deadline <= Instant::now()))
        {
            anyhow::bail!("not within {} s: {}", timeout.as_secs_f32(), plain(&lacks));
        }
        asker.begin(&wish, &known);
        let due = asker.inquiry.is_some().then_some(asker.due);
        tokio::select! {
            kind = signals.kind() => return Ok(signalled(kind)),
            event = peers.next() => {
                event.context("nobody follows the peers any more")?;
                asker.hear(&wish);
            }
            answers = asker.ended() => {
                (known.answers, known.asked_at) = (Some(answers), asker.begun_at.take());
                known.list = peers.newest();
                let lacks = wish.lacks(&known).join("; ");
                if !lacks.is_empty() {
                    progress.tell(&lacks);
                }
            }
            () = until(due) => {}
            () = sleep_until(progress.due) => progress.remind(&lacks),
            () = until(deadline) => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Who is there, at the end.
fn there(known: &Known) -> String {
    let peers = known.list.as_ref().map(|list| list.peers.as_slice()).unwrap_or_default();
    let mut words: Vec<&str> = peers.iter().take(MOST_NAMES).map(|peer| peer.host.as_str()).collect();
    let more = (peers.len() > MOST_NAMES).then(|| format!("and {} more", peers.len() - MOST_NAMES));
    words.extend(more.as_deref());
    if words.is_empty() { "there".to_owned() } else { format!("there; the peers are {}", words.join(" ")) }
}

impl Asker {
    /// Begins a round where it is time for one.
    fn begin(&mut self, wish: &Wish, known: &Known) {
        if self.due > Instant::now() {
            return;
        }
        let Some(mut inquiry) = self.inquiry.take() else { return };
        if let Some(list) = &known.list {
            inquiry.prefer(&list.server);
        }
        let hosts = wish.hosts(known);
        self.begun_at.clone_from(&known.list);
        self.changed = false;
        self.round = Some(Box::pin(async move {
            let answers = inquiry.ask(&hosts).await;
            (inquiry, answers)
        }));
    }

    /// The list has changed: what was answered may have, too.
    fn hear(&mut self, wish: &Wish) {
        self.backoff.reset();
        self.changed = true;
        let wait = if wish.asks_for_names() { Duration::ZERO } else { SETTLED };
        self.due = Instant::now() + wait;
    }

    /// The end of a round that is under way. Dropped while it waits, it loses nothing.
    async fn ended(&mut self) -> Result<Answers, Trouble> {
        let Some(round) = &mut self.round else { return std::future::pending().await };
        let (inquiry, answers) = round.await;
        (self.inquiry, self.round) = (Some(inquiry), None);
        if !self.changed {
            self.due = Instant::now() + self.backoff.wait();
        }
        answers
    }
}
