//! dnstap before a reader that is the test: the stream, what is in it, and what happens while the reader is away.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use hickory_proto::op::Message as DnsMessage;
use prost::Message as _;

use super::asking::ask;
use super::manifests::{NGINX, nginx, replace, text};
use super::process::Process;

const PATIENCE: Duration = Duration::from_secs(20);

/// Of dnstap.proto, what is looked at.
#[derive(Clone, PartialEq, prost::Message)]
struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    kind: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(int32, optional, tag = "3")]
    protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    client: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    server: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "7")]
    server_port: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "14")]
    reply: Option<Vec<u8>>,
}

/// What a reader heard.
enum Heard {
    Began,
    Frame(Box<Dnstap>),
    /// With STOP and FINISH.
    Ended,
}

fn control(kind: u32, content: bool) -> Vec<u8> {
    let mut payload = kind.to_be_bytes().to_vec();
    if content {
        payload.extend([0, 0, 0, 1, 0, 0, 0, 22]);
        payload.extend(b"protobuf:dnstap.Dnstap");
    }
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0; 4], &length[..], &payload].concat()
}

/// Reads one stream to its end, or as many frames as are wanted, and leaves.
fn read_stream(mut stream: impl Read + Write, most: usize, heard_tx: &std::sync::mpsc::Sender<Heard>) {
    let due = |stream: &mut dyn Read, frame: Vec<u8>| {
        let mut came = vec![0; frame.len()];
        stream.read_exact(&mut came).is_ok_and(|()| came == frame)
    };
    assert!(due(&mut stream, control(4, true)), "READY with dnstap's content type");
    stream.write_all(&control(1, true)).unwrap();
    assert!(due(&mut stream, control(2, true)), "START with dnstap's content type");
    heard_tx.send(Heard::Began).unwrap();
    for _ in 0..most {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        if length == [0; 4] {
            assert!(due(&mut stream, control(3, false)[4..].to_vec()), "STOP");
            stream.write_all(&control(5, false)).unwrap();
            let _ = heard_tx.send(Heard::Ended);
            return;
        }
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut frame).unwrap();
        let frame = Dnstap::decode(frame.as_slice()).unwrap();
        if heard_tx.send(Heard::Frame(Box::new(frame))).is_err() {
            return;
        }
    }
}

/// A reader that leaves its streams after so many frames each.
fn reader(path: &Path, most: usize) -> Receiver<Heard> {
    let (heard_tx, heard) = channel();
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        listener.incoming().map_while(Result::ok).for_each(|stream| read_stream(stream, most, &heard_tx));
    });
    heard
}

fn next(heard: &Receiver<Heard>) -> Message {
    loop {
        match heard.recv_timeout(PATIENCE).expect("a frame") {
            Heard::Frame(frame) => {
                assert_eq!((frame.kind, frame.identity.as_deref()), (1, Some(&b"replica-7"[..])));
                return frame.message.unwrap();
            }
            Heard::Began => {}
            Heard::Ended => panic!("it ended"),
        }
    }
}

fn until_began(heard: &Receiver<Heard>) {
    assert!(matches!(heard.recv_timeout(PATIENCE), Ok(Heard::Began)));
}

struct Scene {
    folder: tempfile::TempDir,
    process: Process,
}

impl Scene {
    fn start(dnstap: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, dnstap)
    }

    fn in_folder(folder: tempfile::TempDir, dnstap: &str) -> Self {
        let [config, manifests] = ["rollcall.toml", "web.yaml"].map(|name| folder.path().join(name));
        std::fs::write(&manifests, nginx(2)).unwrap();
        std::fs::write(&config, with(dnstap)).unwrap();
        let process = Process::serve(&["--config", text(&config), "--manifests", text(&manifests)]);
        Self { folder, process }
    }

    fn reload(&mut self, dnstap: &str) {
        replace(&self.folder.path().join("rollcall.toml"), &with(dnstap));
        self.process.wait_for_words(&["the configuration is taken over"]);
    }
}

fn with(dnstap: &str) -> String {
    format!("identity = 'replica-7'\n[dnstap]\n{dnstap}\n[limits]\ntap_queue = 16\n")
}

#[test]
fn a_question_and_its_reply_reach_the_reader_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let heard = reader(&folder.path().join("tap"), usize::MAX);
    // Relative to the configuration's folder.
    let mut scene = Scene::in_folder(folder, "socket = 'tap'");
    until_began(&heard);
    let server = scene.process.address();
    for (protocol, transport) in [(1, "+notcp"), (2, "+tcp")] {
        let reply = ask(server, &format!("{transport} +qid=0x4242 -t A {NGINX}"));
        let (query, response) = (next(&heard), next(&heard));
        assert_eq!((query.kind, response.kind), (1, 2), "AUTH_QUERY and AUTH_RESPONSE");
        for message in [&query, &response] {
            assert_eq!(message.protocol, Some(protocol));
            assert_eq!(message.client.as_deref(), Some(&[127, 0, 0, 1][..]));
            assert_eq!(message.server.as_deref(), Some(&[127, 0, 0, 1][..]));
            assert_eq!(message.server_port, Some(server.port().into()));
        }
        let question = DnsMessage::from_vec(&query.query.unwrap()).unwrap();
        let answer = DnsMessage::from_vec(&response.reply.unwrap()).unwrap();
        assert_eq!((question.metadata.id, answer.metadata.id), (0x4242, 0x4242));
        assert_eq!(question.queries, answer.queries);
        assert_eq!(answer.answers.len(), reply.sections[0].len());
    }
    // Taken back by a reload, and taken leave of.
    scene.reload("");
    assert!(matches!(heard.recv_timeout(PATIENCE), Ok(Heard::Ended)));
    ask(server, &format!("-t A {NGINX}"));
    assert!(heard.recv_timeout(Duration::from_millis(300)).is_err(), "nobody watches");
}

#[test]
fn a_wildcard_tells_the_address_that_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let heard = reader(&folder.path().join("tap"), usize::MAX);
    let [config, manifests] = ["rollcall.toml", "web.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&manifests, nginx(2)).unwrap();
    std::fs::write(&config, with("socket = 'tap'")).unwrap();
    let args = ["serve", "--listen", "0.0.0.0:0", "--config", text(&config), "--manifests", text(&manifests)];
    let mut process = Process::spawn(&mut super::process::rollcall(&args), std::process::Stdio::null());
    process.wait_for_line("ready", |line| line == "ready");
    until_began(&heard);
    for transport in ["+notcp", "+tcp"] {
        let server = SocketAddr::new([127, 0, 0, 7].into(), process.address().port());
        ask(server, &format!("{transport} -t A {NGINX}"));
        assert_eq!(next(&heard).server.as_deref(), Some(&[127, 0, 0, 7][..]), "{transport}");
        next(&heard);
    }
}

#[test]
fn a_reader_that_was_away_is_found_again_and_what_had_no_room_is_said() {
    let mut scene = Scene::start("socket = 'tap'");
    let server = scene.process.address();
    scene.process.wait_for_words(&["dnstap: no reader"]);
    // Sixteen wait for it; the others do not hold up an answer.
    for id in 1..=40 {
        ask(server, &format!("+notcp +qid={id} -t A {NGINX}"));
    }
    let heard = reader(&scene.folder.path().join("tap"), 32);
    let ids: std::collections::BTreeSet<u16> = (0..16)
        .map(|_| {
            let (query, _) = (next(&heard), next(&heard));
            DnsMessage::from_vec(&query.query.unwrap()).unwrap().metadata.id
        })
        .collect();
    // The first ones, give or take a thread that was overtaken between its answer and its copy.
    assert!(ids.len() == 16 && ids.last() <= Some(&20), "{ids:?}");
    // It left after so many frames, and is found again.
    scene.process.wait_for_words(&["dnstap: connected"]);
    super::asking::eventually("another stream", || {
        ask(server, &format!("+notcp -t A {NGINX}"));
        match heard.recv_timeout(Duration::from_millis(200)) {
            Ok(Heard::Began) => Ok(()),
            _ => Err("none".into()),
        }
    });
    scene.process.signal("TERM");
    assert_eq!(scene.process.end(PATIENCE).0, 0);
    let printed = scene.process.printed();
    let end = printed
        .lines()
        .find(|line| line.contains("dnstap: questions"))
        .unwrap_or_else(|| panic!("{printed}"));
    let dropped: u64 = end.rsplit("dropped=").next().unwrap().trim().parse().unwrap();
    assert!(dropped >= 24, "{end}");
}

#[test]
fn the_end_takes_leave_of_a_reader_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard_tx, heard) = channel();
    thread::spawn(move || read_stream(listener.accept().unwrap().0, usize::MAX, &heard_tx));
    let mut scene = Scene::start(&format!("tcp = '{address}'"));
    until_began(&heard);
    ask(scene.process.address(), &format!("-t A {NGINX}"));
    // What was answered right before the end is written before it.
    scene.process.signal("TERM");
    assert_eq!(scene.process.end(PATIENCE).0, 0);
    next(&heard);
    next(&heard);
    assert!(matches!(heard.recv_timeout(PATIENCE), Ok(Heard::Ended)));
}
