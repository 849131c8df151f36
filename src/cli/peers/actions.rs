//! What is done for a list: the file, then who reads it, then the hook. One list at a time, and always the newest.
//!
//! Nothing is done twice at once, for one task does it. While it is under way lists come and go; when it is done the
//! newest is taken. What fails is tried again, later each time, or at once where there is a newer list.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::peers::{Backoff, Difference, Peer};

use super::command::{Command, CommandError, Given};
use super::file::{Form, replace};
use super::target::Target;
use super::told::{Choice, Chosen, Of, names};

/// Between the tries of what has failed.
const TRIES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A list to act on.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) peers: Chosen,
    pub(super) expected: Option<u64>,
    pub(super) way: &'static str,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Actions {
    pub(super) of: Of,
    pub(super) choice: Choice,
    pub(super) write: Option<(PathBuf, Form)>,
    pub(super) signal: Option<Target>,
    pub(super) then: Option<Command>,
    pub(super) on_start: Option<Command>,
    pub(super) on_change: Option<Command>,
}

/// How far it came.
#[derive(Debug, Default)]
struct Done {
    /// The list that all was done for.
    told: Option<Arc<Told>>,
    /// The file is new, and who reads it does not know yet.
    written: bool,
    /// Something failed half way: what was done is to be done again, even for the list that all was done for before.
    failed: bool,
}

impl Actions {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        self.write.is_none() && self.on_start.is_none() && self.on_change.is_none()
    }

    /// Acts on one list, once.
    pub(super) async fn once(self: &Arc<Self>, told: &Arc<Told>) -> anyhow::Result<()> {
        self.act(told, &mut Done::default()).await
    }

    /// Acts on the newest list until there will be none any more; what is under way then is finished. With `at_once` the
    /// first failure is the end, and so is a start behind which nothing can follow: as peer-finder has it.
    pub(super) async fn run(
        self: Arc<Self>,
        mut newest_rx: watch::Receiver<Option<Arc<Told>>>,
        at_once: bool,
    ) -> anyhow::Result<()> {
        let mut done = Done::default();
        let mut backoff = Backoff::new(TRIES.0, TRIES.1);
        while newest_rx.changed().await.is_ok() {
            loop {
                let Some(told) = newest_rx.borrow_and_update().clone() else { break };
                let Err(error) = self.act(&told, &mut done).await else {
                    backoff.reset();
                    break;
                };
                if at_once {
                    return Err(error);
                }
                let wait = backoff.wait();
                warn!("{}; again in {:.1} s", crate::source::chain(error.as_ref()), wait.as_secs_f32());
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    changed = newest_rx.changed() => if changed.is_err() { return Ok(()) },
                }
            }
            if at_once && self.on_change.is_none() && done.told.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn act(self: &Arc<Self>, told: &Arc<Told>, done: &mut Done) -> anyhow::Result<()> {
        let before = done.told.as_ref().map(|before| &*before.peers);
        let is_start = before.is_none();
        let difference = Difference::between(before.unwrap_or_default(), &told.peers);
        if !is_start && difference.is_empty() && !done.failed {
            return Ok(());
        }
        done.failed = true;
        if let Some((path, form)) = &self.write {
            let text = form.text(&self.of, self.choice, &told.peers)?;
            let replaced =
                replace(path, &text).with_context(|| format!("cannot replace {}", path.display()))?;
            done.written |= replaced;
        }
        let given = || self.given(told, &difference, is_start);
        if done.written {
            if let Some(signal) = &self.signal {
                signal.send()?;
            }
            if let Some(then) = &self.then {
                Self::hook("--then", then, given()).await?;
            }
            done.written = false;
        }
        let (flag, hook) = match (is_start, &self.on_start) {
            (true, Some(hook)) => ("--on-start", Some(hook)),
            _ => ("--on-change", self.on_change.as_ref()),
        };
        if let Some(hook) = hook {
            Self::hook(flag, hook, given()).await?;
        }
        (done.told, done.failed) = (Some(Arc::clone(told)), false);
        Ok(())
    }

    async fn hook(flag: &'static str, command: &Command, given: Given) -> anyhow::Result<()> {
        info!("{flag} `{command}` runs");
        let (to_run, begun) = (command.clone(), std::time::Instant::now());
        // It blocks for as long as it runs, and the peers are followed meanwhile.
        let result =
            tokio::task::spawn_blocking(move || to_run.run(&given)).await.context("a hook's thread")?;
        info!("{flag} took {} ms", begun.elapsed().as_millis());
        result.map_err(|error| Failed { flag, command: command.to_string(), error }.into())
    }

    /// The new list, and the difference to the one that the last hook that went well was told.
    fn given(&self, told: &Told, difference: &Difference, is_start: bool) -> Given {
        let mut given = Given { input: self.choice.lines(&told.peers), variables: BTreeMap::new() };
        let joined = |peers: &[Peer]| names(peers).join(" ");
        given.set("ROLLCALL_EVENT", if is_start { "start" } else { "change" }.to_owned());
        given.set("ROLLCALL_SERVICE", self.of.service.clone());
        given.set("ROLLCALL_NAMESPACE", self.of.namespace.clone());
        given.set("ROLLCALL_SELF", self.of.own.clone().unwrap_or_default());
        given.set("ROLLCALL_WAY", told.way.to_owned());
        given.set("ROLLCALL_COUNT", told.peers.len().to_string());
        let expected = told.expected.map(|count| count.to_string()).unwrap_or_default();
        given.set("ROLLCALL_EXPECTED", expected);
        given.set("ROLLCALL_PEERS", joined(&told.peers));
        given.set("ROLLCALL_ADDED", joined(&difference.added));
        given.set("ROLLCALL_REMOVED", joined(&difference.removed));
        given.set("ROLLCALL_CHANGED", joined(&difference.changed));
        given
    }
}

/// A hook that failed.
#[derive(Debug, thiserror::Error)]
#[error("{flag} `{command}` {error}")]
pub(super) struct Failed {
    flag: &'static str,
    command: String,
    pub(super) error: CommandError,
}
