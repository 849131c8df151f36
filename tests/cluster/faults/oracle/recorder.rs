//! The record of what the API server told: a list and watches of its own over the EndpointSlices of one
//! namespace, by kubectl.
//!
//! An API server ends a watch whose client does not keep up, or when its time is over, with no more than the
//! end of the stream; a record that takes the first end for the last stands still from then on, and judges the
//! server under test by what was true minutes ago. So each end is followed by another watch from the same
//! version on, which misses nothing; every watch is short, has bookmarks, and is given up when it says nothing;
//! and whoever uses the record asks it to prove that it holds what the API server lists.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::history::{Contents, Event, History, Told, version};
use crate::support::{Namespace, program};

type Histories = BTreeMap<String, History>;

/// How long a watch lasts, in seconds. A bookmark comes before its end.
const WATCH: u64 = 10;
/// A watch that has not ended so long after its time never will.
const SILENCE: Duration = Duration::from_secs(20);

/// A running record; ends with its value.
#[derive(Debug)]
pub(in crate::faults) struct Recorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    begin: Instant,
    kubeconfig: std::path::PathBuf,
    path: String,
    /// How long a watch lasts, in seconds.
    lasts: u64,
    over: AtomicBool,
    /// The running watch.
    child: Mutex<Option<Child>>,
    record: Mutex<Record>,
}

/// What was told so far.
#[derive(Debug, Default)]
struct Record {
    histories: Histories,
    /// By name: the service and the contents of each slice.
    slices: BTreeMap<String, (String, Contents)>,
    version: String,
    /// How many watches there were.
    watches: usize,
    /// How often the place in the changes was lost: what was true in between is not known.
    gaps: usize,
}

impl Record {
    fn apply(&mut self, event: &Event) {
        match &event.contents {
            Some(contents) => {
                self.slices.insert(event.slice.clone(), (event.service.clone(), contents.clone()));
            }
            None => drop(self.slices.remove(&event.slice)),
        }
        self.histories.entry(event.service.clone()).or_default().apply(event);
    }

    /// Takes a whole list: what is not in it is gone.
    fn apply_list(&mut self, at: Duration, list: &Value) {
        let events: Vec<Event> = items(list).iter().filter_map(|item| Event::of(at, item, true)).collect();
        let is_listed = |slice: &String| events.iter().any(|event| event.slice == *slice);
        let gone = self.slices.iter().filter(|(slice, _)| !is_listed(slice));
        let gone: Vec<Event> = gone
            .map(|(slice, (service, _))| Event {
                at,
                service: service.clone(),
                slice: slice.clone(),
                contents: None,
            })
            .collect();
        gone.iter().chain(&events).for_each(|event| self.apply(event));
        self.version = version(list);
    }

    /// In what the record differs from a list; empty where it does not.
    fn difference(&self, list: &Value) -> String {
        let listed: BTreeMap<String, (String, Contents)> = items(list)
            .iter()
            .filter_map(|item| Event::of(Duration::ZERO, item, true))
            .filter_map(|event| Some((event.slice, (event.service, event.contents?))))
            .collect();
        let mut text = String::new();
        let count = |slices: &BTreeMap<String, (String, Contents)>, slice| {
            slices.get(slice).map(|(_, contents): &(String, Contents)| contents.endpoints.len())
        };
        for slice in listed.keys().chain(self.slices.keys().filter(|slice| !listed.contains_key(*slice))) {
            if listed.get(slice) != self.slices.get(slice) {
                let (ours, theirs) = (count(&self.slices, slice), count(&listed, slice));
                let _ = write!(text, "{slice}: {ours:?} endpoints recorded, {theirs:?} listed; ");
            }
        }
        if !text.is_empty() {
            let (watches, gaps, ours) = (self.watches, self.gaps, &self.version);
            let _ = write!(text, "at {ours} of {} after {watches} watches, {gaps} gaps", version(list));
        }
        text
    }
}

fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map_or(&[], Vec::as_slice)
}

impl Recorder {
    /// Begins with all slices as they are; times are since `begin`.
    pub(in crate::faults) fn start(namespace: &Namespace<'_>, begin: Instant) -> Self {
        Self::with_watches_of(WATCH, namespace, begin)
    }

    /// The same, with watches that last so many seconds.
    pub(super) fn with_watches_of(lasts: u64, namespace: &Namespace<'_>, begin: Instant) -> Self {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace.name());
        let shared = Arc::new(Shared {
            begin,
            kubeconfig: namespace.plane().kubeconfig().to_owned(),
            path,
            lasts,
            over: AtomicBool::new(false),
            child: Mutex::default(),
            record: Mutex::default(),
        });
        let list = shared.list().unwrap_or_else(|error| panic!("the record's list: {error}"));
        shared.record().apply_list(begin.elapsed(), &list);
        let following = Arc::clone(&shared);
        Self { thread: Some(thread::spawn(move || following.follow())), shared }
    }

    /// The last state of a service, as far as it is known.
    pub(in crate::faults) fn with_last<T>(
        &self,
        service: &str,
        read: impl FnOnce(Option<&super::history::State>) -> T,
    ) -> T {
        let record = self.shared.record();
        read(record.histories.get(service).and_then(|history| history.states.last()).map(|(_, state)| state))
    }

    /// Whether it holds what the API server lists at this moment; in what it differs where it does not. While
    /// changes go on it may be behind.
    pub(in crate::faults) fn prove(&self) -> Result<(), String> {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err("the record has ended: see above".to_owned());
        }
        let list = self.shared.list()?;
        let difference = self.shared.record().difference(&list);
        if difference.is_empty() { Ok(()) } else { Err(difference) }
    }

    /// The histories by service. The record goes on without them.
    ///
    /// # Panics
    /// When something may be missing in them: no verdict could be had from them.
    pub(in crate::faults) fn take(&self) -> Histories {
        let mut record = self.shared.record();
        assert_eq!(record.gaps, 0, "the record lost its place: what was true is not known");
        std::mem::take(&mut record.histories)
    }

    /// How many watches there were.
    pub(in crate::faults) fn watches(&self) -> usize {
        self.shared.record().watches
    }

    /// The process id of the running watch.
    pub(in crate::faults) fn pid(&self) -> Option<u32> {
        self.shared.child.lock().unwrap().as_ref().map(Child::id)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.shared.end_watch();
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so, and `prove` saw it.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }

    fn kubectl(&self, path: &str) -> Command {
        let mut command = Command::new(program("kubectl"));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["get", "--raw", path]);
        command.env_remove("KUBECONFIG").stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// What there is now: without a version a list is read from the store.
    fn list(&self) -> Result<Value, String> {
        let run = self.kubectl(&self.path).stderr(Stdio::piped()).output().map_err(|e| e.to_string())?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned());
        }
        serde_json::from_slice(&run.stdout).map_err(|error| error.to_string())
    }

    /// Watches again and again, from where the last one was.
    fn follow(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let lines = self.watch();
            let lost = self.keep(&lines);
            self.end_watch();
            if let Some(why) = lost {
                println!("the record lists anew: {why}");
                match self.list() {
                    Ok(list) => {
                        let mut record = self.record();
                        record.gaps += 1;
                        record.apply_list(self.begin.elapsed(), &list);
                    }
                    Err(error) => println!("the record's list: {error}"),
                }
            }
            // An API server that is away ends each of them at once.
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts a watch; its lines, each with the moment of its arrival.
    fn watch(&self) -> Receiver<(Duration, String)> {
        let from = {
            let mut record = self.record();
            record.watches += 1;
            record.version.clone()
        };
        let lasts = self.lasts;
        let query = format!("watch=1&allowWatchBookmarks=true&resourceVersion={from}&timeoutSeconds={lasts}");
        let mut child = self.kubectl(&format!("{}?{query}", self.path)).spawn().expect("kubectl");
        let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap()).lines();
        *self.child.lock().unwrap() = Some(child);
        if self.over.load(Ordering::SeqCst) {
            self.end_watch();
        }
        let (line_tx, line_rx) = channel();
        let begin = self.begin;
        // The moment is that of arrival: reading what was said takes time, and is another thread's.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line_tx.send((begin.elapsed(), line)).is_err() {
                    return;
                }
            }
        });
        line_rx
    }

    /// Keeps what a watch says until its end; why the next one cannot go on from there, if it cannot.
    fn keep(&self, line_rx: &Receiver<(Duration, String)>) -> Option<String> {
        let latest = Instant::now() + Duration::from_secs(self.lasts) + SILENCE;
        loop {
            match line_rx.recv_timeout(latest.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => match Told::read(at, &line) {
                    Told::Change(event, version) => {
                        let mut record = self.record();
                        record.apply(&event);
                        record.version = version;
                    }
                    Told::Bookmark(version) => self.record().version = version,
                    Told::Error(why) => return Some(why),
                },
                // Dead or at its end: whatever it did not say is said by the next one.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn end_watch(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mk_list(version: &str, slices: &[(&str, &[&str])]) -> Value {
        let endpoint = |address: &&str| {
            json!({"addresses": [address], "hostname": format!("web-{address}"), "conditions": {"ready": true},
                "targetRef": {"name": format!("web-{address}"), "uid": address}})
        };
        let slice = |(name, addresses): &(&str, &[&str])| {
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}},
                "ports": [{"port": 80}], "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>()})
        };
        json!({"metadata": {"resourceVersion": version}, "items": slices.iter().map(slice).collect::<Vec<_>>()})
    }

    #[test]
    fn a_list_says_what_is_gone() {
        let mut record = Record::default();
        record
            .apply_list(Duration::from_secs(1), &mk_list("5", &[("a", &["10.0.0.1"]), ("b", &["10.0.0.2"])]));
        record.apply_list(Duration::from_secs(2), &mk_list("9", &[("b", &["10.0.0.2", "10.0.0.3"])]));
        assert_eq!(record.version, "9");
        let states = &record.histories["web"].states;
        assert_eq!(states.last().unwrap().1.hosts(), 2, "{states:?}");
        assert_eq!(record.slices.len(), 1);
    }

    #[test]
    fn a_record_that_stands_still_is_told() {
        let mut record = Record::default();
        record.apply_list(Duration::ZERO, &mk_list("5", &[("a", &["10.0.0.1"])]));
        assert_eq!(record.difference(&mk_list("7", &[("a", &["10.0.0.1"])])), "");
        let more = record.difference(&mk_list("7", &[("a", &["10.0.0.1", "10.0.0.2"])]));
        assert!(more.contains("a: Some(1) endpoints recorded, Some(2) listed; at 5 of 7"), "{more}");
        for other in [mk_list("7", &[("a", &["10.0.0.2"])]), mk_list("7", &[])] {
            assert!(record.difference(&other).starts_with("a: "), "{other}");
        }
    }
}
