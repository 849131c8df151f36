//! An API server on loopback: healthy by itself, scripted where a test says so.
//!
//! Healthy means: it has objects, streams and lists them, goes on with what changes, and ends watches when it
//! was asked to. A script is a queue of answers for a path, one a request; a rule is asked for each request
//! that no script answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{self, Request};
use super::objects::{at, bookmark, event, page, status};

const JSON: &str = "application/json";
/// A watch in protobuf, as an API server calls it.
const WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// How the server answers a request.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// As an API server should.
    Healthy,
    /// A code and a body.
    Body(u16, String),
    /// A code and a line of text, with the seconds after which to ask again in the head alone.
    Later(u16, u32),
    /// Lines of a watch, each with its own chunk.
    Lines(Vec<String>, Then),
    /// The same, after a while.
    Slowly(Duration, Vec<String>, Then),
    /// A code, a Content-Type and a body.
    Typed(u16, &'static str, Vec<u8>),
    /// Octets of a watch in protobuf, each part with its own chunk.
    Frames(Vec<Vec<u8>>, Then),
    /// Not one octet, on an open connection.
    Never,
}

/// What comes behind the lines.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    /// The changes from now on, as a healthy server goes on.
    GoOn,
    /// The last chunk.
    End,
    /// A closed connection without the last chunk.
    Break,
    /// Not one octet, on an open connection.
    Silence,
}

impl Answer {
    /// A Status with its code.
    pub(super) fn status(code: u16, reason: &str) -> Self {
        Self::Body(code, status(code, reason, "scripted").to_string())
    }

    /// The same, with the seconds after which to ask again.
    pub(super) fn busy(code: u16, reason: &str, seconds: u32) -> Self {
        let mut status = status(code, reason, "scripted");
        status["details"] = serde_json::json!({"retryAfterSeconds": seconds});
        Self::Body(code, status.to_string())
    }

    /// An ERROR event, and the end of the watch.
    pub(super) fn error_event(code: u16, reason: &str) -> Self {
        Self::Lines(vec![event("ERROR", &status(code, reason, "scripted"))], Then::End)
    }
}

type Rule = Box<dyn Fn(&Request) -> Option<Answer> + Send>;

#[derive(Default)]
struct State {
    over: bool,
    /// The version of the last change.
    version: u64,
    /// By path, then by namespace and name.
    objects: HashMap<String, BTreeMap<String, Value>>,
    /// Version, path and line of each change.
    changes: Vec<(u64, String, String)>,
    /// How often the watches of a path were ended.
    ended: HashMap<String, u32>,
    /// Between what a streamed list says and the head of its answer.
    before_head: Duration,
    scripts: HashMap<String, VecDeque<Answer>>,
    rules: HashMap<String, Rule>,
    token: String,
    requests: Vec<Request>,
}

impl State {
    fn ended(&self, path: &str) -> u32 {
        self.ended.get(path).copied().unwrap_or_default()
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The server; dropped, its threads end.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

impl Api {
    /// Starts one on a free port, that accepts the token `t`. Its address is its own, so that nobody else takes the port
    /// before a test starts another one there.
    pub(super) fn start() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Self::start_at(SocketAddr::from(([127, 90, high, low], 0)))
    }

    /// The same at an address.
    pub(super) fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        (shared.state().version, shared.state().token) = (1000, "t".into());
        let of_thread = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_thread);
                if shared.state().over {
                    return;
                }
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Changes what there is, and tells those that wait.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.shared.state());
        self.shared.changed.notify_all();
        changed
    }

    /// Adds an object, or puts it in the place of the one of its name.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.change(|state| {
            state.version += 1;
            let object = at(&state.version.to_string(), object);
            let objects = state.objects.entry(path.to_owned()).or_default();
            let old = objects.insert(key(&object), object.clone());
            let what = if old.is_some() { "MODIFIED" } else { "ADDED" };
            state.changes.push((state.version, path.to_owned(), event(what, &object)));
        });
    }

    /// A headless Service with these addresses.
    pub(super) fn put_service(&self, service: &str, addresses: &[&str]) {
        self.put(super::objects::SERVICES, super::objects::headless("default", service));
        self.put(super::objects::SLICES, super::objects::slice("default", service, addresses));
    }

    /// Adds an object; no watch ever hears of it.
    pub(super) fn put_in_silence(&self, path: &str, object: Value) {
        self.change(|state| {
            state.version += 1;
            let object = at(&state.version.to_string(), object);
            state.objects.entry(path.to_owned()).or_default().insert(key(&object), object);
        });
    }

    /// Deletes an object of the namespace `default`, where it is there.
    pub(super) fn delete(&self, path: &str, name: &str) {
        self.change(|state| {
            let gone =
                state.objects.get_mut(path).and_then(|objects| objects.remove(&format!("default/{name}")));
            if let Some(gone) = gone {
                state.version += 1;
                let gone = at(&state.version.to_string(), gone);
                state.changes.push((state.version, path.to_owned(), event("DELETED", &gone)));
            }
        });
    }

    /// Takes an object away; no watch ever hears of it.
    pub(super) fn forget(&self, path: &str, name: &str) {
        let gone = self.change(|state| {
            state.version += 1;
            state.objects.get_mut(path).and_then(|objects| objects.remove(&format!("default/{name}")))
        });
        assert!(gone.is_some(), "{name}");
    }

    /// Tells the watches of a path a line, whatever it says.
    pub(super) fn say(&self, path: &str, line: &str) {
        self.change(|state| {
            state.version += 1;
            state.changes.push((state.version, path.to_owned(), line.to_owned()));
        });
    }

    /// Tells the watches of a path how far they have come.
    pub(super) fn say_how_far(&self, path: &str) {
        self.change(|state| {
            state.version += 1;
            let line = bookmark(&state.version.to_string(), false);
            state.changes.push((state.version, path.to_owned(), line));
        });
    }

    /// The versions of what changes from now on are above this one.
    pub(super) fn rise_to(&self, version: u64) {
        self.change(|state| state.version = state.version.max(version));
    }

    /// What a streamed list says is fixed so long before the head of its answer comes. An API server copies its cache
    /// first, and answers then.
    pub(super) fn answer_late(&self, wait: Duration) {
        self.change(|state| state.before_head = wait);
    }

    /// Ends the watches of a path, as a server does that has no more time for them.
    pub(super) fn end_watches(&self, path: &str) {
        self.change(|state| *state.ended.entry(path.to_owned()).or_default() += 1);
    }

    /// The next requests for a path are answered like this.
    pub(super) fn script(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.change(|state| state.scripts.entry(path.to_owned()).or_default().extend(answers));
    }

    /// Requests for a path are answered by a rule; what it has no answer for is answered as it should be.
    pub(super) fn rule(&self, path: &str, rule: impl Fn(&Request) -> Option<Answer> + Send + 'static) {
        self.change(|state| state.rules.insert(path.to_owned(), Box::new(rule)));
    }

    /// Requests for a path are always answered like this.
    pub(super) fn always(&self, path: &str, answer: Answer) {
        self.rule(path, move |_| Some(answer.clone()));
    }

    /// No other token is accepted from now on.
    pub(super) fn accept_only(&self, token: &str) {
        self.change(|state| token.clone_into(&mut state.token));
    }

    /// The requests for a path so far.
    pub(super) fn requests(&self, path: &str) -> Vec<Request> {
        self.shared.state().requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Every request so far.
    pub(super) fn all_requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// The same in short, without credentials: `stream`, `watch 12`, `list token`.
    pub(super) fn asked(&self, path: &str) -> Vec<String> {
        self.requests(path).iter().map(Request::short).collect()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.change(|state| state.over = true);
        // The thread that accepts looks up, and closes: another one may be started at the address right behind this.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.join();
        }
    }
}

fn key(object: &Value) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("namespace"), text("name"))
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let _ = stream.set_nodelay(true);
    let Some(request) = Request::read(stream) else { return };
    let (answer, began) = {
        let mut state = shared.state();
        let began = state.ended(&request.path);
        state.requests.push(request.clone());
        let authorised = request.headers.get("authorization") == Some(&format!("Bearer {}", state.token));
        let scripted = state.scripts.get_mut(&request.path).and_then(VecDeque::pop_front);
        let answer = if !authorised {
            Answer::status(401, "Unauthorized")
        } else if let Some(answer) = scripted {
            answer
        } else {
            state.rules.get(&request.path).and_then(|rule| rule(&request)).unwrap_or(Answer::Healthy)
        };
        (answer, began)
    };
    match answer {
        Answer::Healthy => healthy(stream, shared, &request, began),
        Answer::Body(code, body) => {
            http::answer(stream, code, JSON, body.as_bytes());
        }
        Answer::Later(code, seconds) => {
            http::later(stream, code, seconds);
        }
        Answer::Never => wait_for_the_end(shared),
        Answer::Typed(code, content_type, body) => {
            http::answer(stream, code, content_type, &body);
        }
        Answer::Lines(lines, then) => {
            let next = shared.state().changes.len();
            if http::begin(stream, JSON) && lines.iter().all(|line| http::line(stream, line)) {
                behind(stream, shared, &request, then, (began, next));
            }
        }
        Answer::Slowly(wait, lines, then) => {
            let next = shared.state().changes.len();
            let begun = http::begin(stream, JSON);
            thread::sleep(wait);
            if begun && lines.iter().all(|line| http::line(stream, line)) {
                behind(stream, shared, &request, then, (began, next));
            }
        }
        Answer::Frames(parts, then) => {
            let next = shared.state().changes.len();
            if http::begin(stream, WATCH) && parts.iter().all(|part| http::chunk(stream, part)) {
                behind(stream, shared, &request, then, (began, next));
            }
        }
    }
}

/// What comes behind scripted lines or frames.
fn behind(stream: &TcpStream, shared: &Shared, request: &Request, then: Then, from: (u32, usize)) {
    match then {
        Then::GoOn => go_on(stream, shared, request, (from.0, from.1, 0)),
        Then::End => {
            http::end(stream);
        }
        Then::Break => {}
        Then::Silence => wait_for_the_end(shared),
    }
}

fn wait_for_the_end(shared: &Shared) {
    drop(shared.changed.wait_while(shared.state(), |state| !state.over).unwrap());
}

fn healthy(stream: &TcpStream, shared: &Shared, request: &Request, began: u32) {
    let (objects, version, mut next, before_head) = {
        let state = shared.state();
        let objects = state.objects.get(&request.path).into_iter().flat_map(BTreeMap::values);
        let objects = objects.cloned().collect::<Vec<_>>();
        (objects, state.version.to_string(), state.changes.len(), state.before_head)
    };
    if !request.is_watch() {
        http::answer(stream, 200, JSON, page(&version, "", &objects).as_bytes());
        return;
    }
    let mut above = 0;
    if request.is_streamed() {
        thread::sleep(before_head);
    }
    if !http::begin(stream, JSON) {
        return;
    }
    if request.is_streamed() {
        for object in &objects {
            http::line(stream, &event("ADDED", object));
        }
        http::line(stream, &bookmark(&version, true));
    } else if let Ok(from) = request.parameter("resourceVersion").parse::<u64>() {
        // One that is yet to come is no error: nothing is told until the versions have come as far.
        above = from;
        let state = shared.state();
        next = state.changes.iter().position(|(version, ..)| *version > from).unwrap_or(state.changes.len());
    }
    go_on(stream, shared, request, (began, next, above));
}

/// Tells the changes from `next` on, those above a version, until the watch is over. `began`: how often watches of its
/// path had been ended by then.
fn go_on(
    stream: &TcpStream,
    shared: &Shared,
    request: &Request,
    (began, mut next, above): (u32, usize, u64),
) {
    let seconds = request.parameter("timeoutSeconds").parse().unwrap_or(300);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut state = shared.state();
    loop {
        let lines: Vec<String> = state.changes[next..]
            .iter()
            .filter(|(version, path, _)| *path == request.path && *version > above)
            .map(|(_, _, line)| line.clone())
            .collect();
        next = state.changes.len();
        let over = state.over || state.ended(&request.path) != began || Instant::now() >= deadline;
        drop(state);
        if !lines.iter().all(|line| http::line(stream, line)) {
            return;
        }
        if over {
            http::end(stream);
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let waiting = |state: &mut State| {
            !state.over && state.ended(&request.path) == began && state.changes.len() == next
        };
        state = shared.changed.wait_timeout_while(shared.state(), left, waiting).unwrap().0;
    }
}
