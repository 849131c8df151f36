//! Why an answer is empty or surprising, asked as people ask: with dig and kdig, which print Extended DNS Errors,
//! at the admin address, and with `rollcall explain`.

use std::fmt;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::ask::ask;
use super::explain::{Explained, reasons};
use super::rollcall::http_get;
use super::wait::wait_until;

/// For the controllers to write what happened, on a busy machine.
const CONTROLLERS: Duration = Duration::from_secs(20);

/// A question, and what is told about its answer.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    name: String,
    record_type: RecordType,
    has_records: bool,
    told: Told,
}

#[derive(Debug, Clone)]
enum Told {
    /// Nothing: the answer is whole.
    Nothing,
    /// One sentence with all of these in it; `one|other` is either.
    Sentence(Vec<String>),
}

impl Why {
    /// The answer is whole, and nothing is told.
    pub(crate) fn nothing(name: String, record_type: RecordType) -> Self {
        Self { name, record_type, has_records: true, told: Told::Nothing }
    }

    /// There are records, and one sentence is told of them, with all of these words in it; `one|other` is either, for
    /// what the same state may be told as: from slices alone, or from the pods where the server may list them.
    pub(crate) fn surprising(name: String, record_type: RecordType, words: &[impl AsRef<str>]) -> Self {
        Self { name, record_type, has_records: true, told: Told::Sentence(owned(words)) }
    }

    /// There are none, and such a sentence says why.
    pub(crate) fn absent(name: String, record_type: RecordType, words: &[impl AsRef<str>]) -> Self {
        Self { name, record_type, has_records: false, told: Told::Sentence(owned(words)) }
    }

    /// The name is there without a record of this type: nothing is amiss, and that is told.
    pub(crate) fn empty(name: String, record_type: RecordType) -> Self {
        Self::absent(name, record_type, &[format!("no {record_type} record")])
    }

    fn accepts(&self, edes: &[(u16, String)]) -> bool {
        match (&self.told, edes) {
            (Told::Nothing, edes) => edes.is_empty(),
            // 0 is what has no code of its own: all reasons that lie in the cluster.
            (Told::Sentence(words), [(0, text)]) => !text.is_empty() && has_words(text, words),
            (Told::Sentence(_), _) => false,
        }
    }
}

/// Whether a sentence has all of these words; `one|other` is either.
pub(crate) fn has_words(sentence: &str, words: &[impl AsRef<str>]) -> bool {
    words.iter().all(|word| word.as_ref().split('|').any(|either| sentence.contains(either)))
}

/// Words to keep.
pub(crate) fn owned(words: &[impl AsRef<str>]) -> Vec<String> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// Waits until the server tells each of these, and then has dig and kdig print it.
///
/// # Panics
/// Naming the question and what was told instead.
pub(crate) fn check_whys(title: &str, server: SocketAddr, whys: &[Why]) {
    for why in whys {
        wait_until(&format!("{title}: {why}"), CONTROLLERS, || {
            let answer = ask(server, &why.name, why.record_type);
            if why.accepts(&answer.edes) { Ok(()) } else { Err(answer.edes) }
        });
    }
    for (client, options) in [("dig", ["+tries=1", "+time=5"].as_slice()), ("kdig", &["+edns", "+retry=0"])] {
        for (why, edes) in whys.iter().zip(printed(client, options, server, whys)) {
            assert!(why.accepts(&edes), "{title}: {client}: {why}: it prints {edes:?}");
        }
    }
}

/// Asks the server's admin address the same: its API gives the sentence, its page shows it, and so does the command,
/// which says by its exit code whether there are records.
///
/// # Panics
/// Naming the question and what is explained instead.
pub(crate) fn check_explained(title: &str, admin: SocketAddr, whys: &[Why]) {
    for why in whys {
        let question = format!("explain?name={}&type={}", why.name, why.record_type);
        let (status, body) = http_get(admin, &format!("/api/v1/{question}"));
        assert_eq!(status, 200, "{title}: {question}: {body}");
        let explained: Value =
            serde_json::from_str(&body).unwrap_or_else(|e| panic!("{question}: {e}: {body}"));
        let told = reasons(&explained);
        assert!(why.accepts(&told), "{title}: the API: {why}: it says {told:?}");
        if let Told::Sentence(words) = &why.told {
            let (status, page) = http_get(admin, &format!("/{question}"));
            assert_eq!(status, 200, "{title}: the page: {question}");
            assert!(has_words(&page, words), "{title}: the page: {why}: it shows {page}");
        }
        let (record_type, server) = (why.record_type.to_string(), admin.to_string());
        let explained = Explained::of(&[&why.name, &record_type, "--server", &server]);
        let explained = explained.unwrap_or_else(|error| panic!("{title}: rollcall explain: {why}: {error}"));
        let told = reasons(&explained.document);
        assert!(why.accepts(&told), "{title}: rollcall explain: {why}: it says {told:?}");
        let exit_code = Some(if why.has_records { 0 } else { 1 });
        assert_eq!(explained.exit_code, exit_code, "{title}: rollcall explain: {why}");
    }
}

/// What a client prints of each question, all of them asked by one process.
fn printed(client: &str, options: &[&str], server: SocketAddr, whys: &[Why]) -> Vec<Vec<(u16, String)>> {
    if whys.is_empty() {
        return Vec::new();
    }
    let mut command = Command::new(client);
    command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]).args(options);
    for why in whys {
        command.arg(&why.name).arg(why.record_type.to_string());
    }
    let run = command.output().unwrap_or_else(|e| panic!("{client}: {e}"));
    let text = String::from_utf8_lossy(&run.stdout);
    let replies: Vec<&str> = text.split("->>HEADER<<-").skip(1).collect();
    assert_eq!(replies.len(), whys.len(), "{client} shows as many replies as were asked for: {text}");
    for (why, reply) in whys.iter().zip(&replies) {
        assert!(reply.contains(&why.name), "{client}: no reply to {}: {reply}", why.name);
    }
    replies.iter().map(|reply| reply.lines().filter_map(error_of).collect()).collect()
}

/// `; EDE: 0 (Other): (sentence)` as dig prints it, `;; EDE: 0 (Other): 'sentence'` as kdig does.
fn error_of(line: &str) -> Option<(u16, String)> {
    let (code, rest) = line.trim_start_matches([';', ' ']).strip_prefix("EDE: ")?.split_once(' ')?;
    let (_, text) = rest.split_once("): ").unwrap_or_default();
    let text = text.strip_prefix(['(', '\'']).and_then(|text| text.strip_suffix([')', '\''])).unwrap_or(text);
    Some((code.parse().ok()?, text.to_owned()))
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "why {} {} is as it is: ", self.name, self.record_type)?;
        match &self.told {
            Told::Nothing => f.write_str("nothing is told"),
            Told::Sentence(words) => write!(f, "a sentence with {words:?}"),
        }
    }
}

#[test]
fn errors_are_read_as_both_print_them() {
    let told = Some((0, "web-1 is not ready".to_owned()));
    assert_eq!(error_of("; EDE: 0 (Other): (web-1 is not ready)"), told);
    assert_eq!(error_of(";; EDE: 0 (Other): 'web-1 is not ready'"), told);
    assert_eq!(error_of("; EDE: 20 (Not Authoritative)"), Some((20, String::new())));
    assert_eq!(error_of("; EDNS: version: 0, flags:; udp: 1232"), None);
}

#[test]
fn either_word_will_do_and_all_are_needed() {
    let words = ["web-1", "no address|Pending"];
    assert!(has_words("web-1 is Pending: no node", &words) && has_words("web-1 has no address", &words));
    assert!(!has_words("web-1 is not ready", &words) && !has_words("web-2 is Pending", &words));
}
