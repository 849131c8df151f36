//! A live cluster: the API server's lists and watches, made slim and told as updates.
//!
//! ```text
//! access: kubeconfig or service account ──▶ client     connect: the first one of a scope
//! follow: one task a scope (a kind, of the cluster or of a namespace): list, watch, wait out errors
//! relisting: now and then a list beside the watch, to compare     watches: when each said something, how it ended
//! answer: asks for protobuf, else JSON; frames, lines: octets ──▶ messages
//! inspect: lists once, whole, for `check`
//! proto, decode: messages ──▶ events ──▶ slim objects      (each bad one a Problem, the good ones go on)
//! asking: the pods of sets that are not whole, listed now and then: nobody watches them for that
//! ```
//!
//! Watched are Services, EndpointSlices, StatefulSets and, without a filter, Namespaces; Pods only for
//! `pods = "verified"`. Nothing is kept here but where each watch stands: whoever takes the updates
//! ([`crate::cluster::Relist`]) decides what they change.

mod access;
mod answer;
mod asking;
mod connect;
mod decode;
mod failure;
mod follow;
mod frames;
mod inspect;
mod lines;
mod lists;
mod proto;
mod read;
mod relisting;
mod scope;
mod trouble;
mod watches;

use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use access::{Access, AccessError, Clients};
pub use asking::{Asking, LookCounters, LookCounts, Rate, SetName, Told};
pub use inspect::{Inspection, Refusal, Resource};
pub use kube::Client;
pub use read::{Readable, Reading, Unreadable};
pub use scope::Scope;
pub use watches::{Restart, WatchCounts, Watches};

use crate::cluster::ObjectName;
use crate::model::{Object, Selector};
use crate::source::Problem;
use connect::Connect;

/// Updates that wait to be taken. When there are more, the watches wait, and TCP makes the API server wait: objects are
/// at their largest here, decoded and not packed yet, and a list comes faster than it is taken up.
const QUEUE: usize = 512;

/// What is followed, and within which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Only objects of these; None is all.
    pub namespaces: Option<Vec<String>>,
    /// Only Services with these labels.
    pub selector: Selector,
    /// Whether to follow Pods.
    pub pods: bool,
    /// How long a watch lasts before the next one: what is dead is noticed by then.
    pub watch_timeout: Duration,
    /// How long a watch may bring neither an event nor a bookmark.
    pub watch_silence: Duration,
    /// How often what is known is compared with a new list; None is never.
    pub relist: Option<Duration>,
    /// Objects in a page of a list.
    pub page: u32,
    /// The most octets of one object.
    pub max_object: usize,
}

/// Something that was said of a scope.
#[derive(Debug)]
pub struct Update {
    /// Its place in [`Kubernetes::scopes`].
    pub scope: usize,
    /// What was said.
    pub event: Event,
    /// When it was heard.
    pub arrived: Instant,
    /// When what an applied slice tells of happened to a pod or Service, by the clock of whoever wrote it. It stands here
    /// and not in the slice, for the index keeps those.
    pub triggered: Option<SystemTime>,
}

/// What was said.
#[derive(Debug)]
pub enum Event {
    /// A list begins; one that had begun before is void.
    Listing,
    /// The same, beside a watch that goes on: to be compared with what is known.
    Relisting,
    /// An object of the list, and its age: of two, the greater is the newer.
    Item(Object, u64),
    /// An object of the list that cannot be used: what was known of it stays.
    UnusableItem(ObjectName),
    /// Something of the list that has no name: what the list does not name stays.
    UnnamedItem,
    /// Went while the list was made, or has nothing to do with names.
    NoItem(ObjectName),
    /// The list is complete, and followed from here on.
    Listed,
    /// The list beside the watch is complete, and the watch has told all that the list knows: they are to be the same.
    Relisted,
    /// The list beside the watch is void.
    Unlisted,
    /// An object is like this now.
    Apply(Object),
    /// An object is gone.
    Delete(ObjectName),
    /// Cannot be listed or followed just now; tried again until it can.
    Trouble {
        /// What is wrong.
        message: String,
        /// The account may not see it: that does not mend itself.
        forbidden: bool,
        /// For how long nothing had been heard when that was noticed; zero where the end was told.
        unheard: Duration,
    },
    /// Is followed again.
    Following,
    /// Something is wrong with an object.
    Problem(Box<Problem>),
}

/// Follows a cluster; dropped, it ends.
pub struct Kubernetes {
    scopes: Vec<Scope>,
    updates_rx: mpsc::Receiver<Update>,
    tasks: JoinSet<()>,
    watches: Watches,
}

impl Kubernetes {
    /// Begins to follow, and counts in `watches`. Without a client one is made, and credentials that cannot be had are
    /// what an API server is that cannot be reached: no error, but told as trouble, and waited for.
    #[must_use]
    pub fn start(clients: &Clients, client: Option<&Client>, options: Options, watches: Watches) -> Self {
        let scopes = Scope::all(&options);
        let (updates, updates_rx) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for ((number, scope), watch) in scopes.iter().enumerate().zip(watches.of(&scopes)) {
            let connect = Connect {
                clients: clients.clone(),
                watch,
                options: options.clone(),
                number,
                scope: scope.clone(),
                updates: updates.clone(),
            };
            tasks.spawn(connect.run(client.cloned()));
        }
        Self { scopes, updates_rx, tasks, watches }
    }

    /// What is followed, in the order that updates name it by.
    #[must_use]
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// What is known of its watches.
    #[must_use]
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Waits for updates and takes those that are there, at most `limit`. Nothing is lost when it is cancelled.
    ///
    /// Gives false when a task ended in a panic: it must be started anew.
    pub async fn updates(&mut self, updates: &mut Vec<Update>, limit: usize) -> bool {
        tokio::select! {
            biased;
            // Tasks run for ever; one that does not has panicked.
            Some(_) = self.tasks.join_next() => false,
            count = self.updates_rx.recv_many(updates, limit) => count > 0,
        }
    }

    /// Takes the updates that are there, without waiting.
    pub fn more_updates(&mut self, updates: &mut Vec<Update>, limit: usize) {
        while updates.len() < limit {
            let Ok(update) = self.updates_rx.try_recv() else { return };
            updates.push(update);
        }
    }
}
