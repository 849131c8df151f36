//! DNS over TCP (RFC 7766): messages in pieces, several in one, and none at all.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::asking::query;
use super::manifests::{NGINX, nginx, text};
use crate::support::reply::Reply;
use crate::support::server::Server;

const PATIENCE: Duration = Duration::from_secs(10);

/// A message behind its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(message);
    framed
}

/// A connection, octet by octet.
pub(super) struct Connection {
    stream: TcpStream,
}

impl Connection {
    pub(super) fn open(server: SocketAddr) -> Self {
        Self::of(TcpStream::connect_timeout(&server, PATIENCE).unwrap())
    }

    pub(super) fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub(super) fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Reads one message; None where the connection ends before it.
    pub(super) fn read(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        self.fill(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        self.fill(&mut message)?;
        Some(message)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                None
            }
            Err(error) => panic!("no answer over TCP: {error}"),
        }
    }

    /// Asks and reads the reply.
    pub(super) fn ask(&mut self, message: &[u8]) -> Reply {
        self.write(&framed(message));
        let octets = self.read().expect("an answer, not an end");
        assert_eq!(octets[..2], message[..2], "the ID");
        Reply::read(&octets).unwrap()
    }

    /// Whether the server closes it, without another message.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut one = [0];
        match self.stream.read(&mut one) {
            Ok(count) => count == 0,
            Err(error) => matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        }
    }

    pub(super) fn end_writing(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

/// A server of [`nginx`].
fn served(replicas: u32) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.yaml");
    std::fs::write(&path, nginx(replicas)).unwrap();
    let server = Server::start(&["serve", "--listen", "127.0.0.1:0", "--manifests", text(&path)]).unwrap();
    (folder, server)
}

/// A question of its own for each number, with that number as its ID, and how many records answer it.
fn numbered(id: u16) -> (Vec<u8>, usize) {
    let (line, count) = match id % 4 {
        0 => (format!("-t A {NGINX}"), 3),
        1 => (format!("-t SRV web-{}.{NGINX}", id % 3), 1),
        2 => (format!("+noedns -t A missing-{id}.{NGINX}"), 0),
        _ => (format!("-t A web-{}.{NGINX}", id % 3), 1),
    };
    (query(&format!("+qid={id} {line}")).bytes, count)
}

/// Reads as many answers, in whatever order, and holds each against its question.
fn assert_all_answered(connection: &mut Connection, ids: impl Iterator<Item = u16>) {
    let ids: BTreeSet<u16> = ids.collect();
    let mut answered = BTreeSet::new();
    for _ in &ids {
        let octets = connection.read().expect("an answer, not an end");
        let reply = Reply::read(&octets).unwrap();
        let (question, count) = numbered(reply.id);
        assert!(answered.insert(reply.id), "{} is answered twice", reply.id);
        assert_eq!(octets[12..16], question[12..16], "another question's answer");
        assert_eq!(reply.sections[0].len(), count, "{:?}", reply.lines());
    }
    assert_eq!(answered, ids);
}

#[test]
fn a_hundred_questions_in_one_write() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    let all: Vec<u8> = (0..100).flat_map(|id| framed(&numbered(id).0)).collect();
    connection.write(&all);
    assert_all_answered(&mut connection, 0..100);
    // And again: the connection is as good as new.
    connection.write(&all);
    assert_all_answered(&mut connection, 0..100);
}

#[test]
fn a_question_octet_by_octet() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    for octet in framed(&numbered(0).0) {
        connection.write(&[octet]);
        // Long enough that the server sees most of them alone.
        thread::sleep(Duration::from_millis(2));
    }
    assert_all_answered(&mut connection, 0..1);
}

#[test]
fn two_questions_in_one_segment_and_one_and_a_half() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    connection.write(&[framed(&numbered(0).0), framed(&numbered(1).0)].concat());
    assert_all_answered(&mut connection, 0..2);
    let both = [framed(&numbered(4).0), framed(&numbered(5).0)].concat();
    // In the middle of the second one's length, then of its message.
    for cut in [framed(&numbered(4).0).len() + 1, both.len() - 7] {
        connection.write(&both[..cut]);
        assert_all_answered(&mut connection, 4..5);
        connection.write(&both[cut..]);
        assert_all_answered(&mut connection, 5..6);
    }
}

#[test]
fn questions_that_arrive_before_the_writing_ends_are_answered() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    connection.write(&(0..20).flat_map(|id| framed(&numbered(id).0)).collect::<Vec<_>>());
    connection.end_writing();
    assert_all_answered(&mut connection, 0..20);
    assert!(connection.is_closed());
}

#[test]
fn a_length_of_0_is_no_message() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    connection.write(&[0, 0, 0, 0]);
    connection.write(&framed(&numbered(0).0));
    assert_all_answered(&mut connection, 0..1);
}

#[test]
fn messages_that_are_too_short_or_answers_themselves_are_passed_over() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    let (question, _) = numbered(0);
    connection.write(&framed(&question[..11]));
    let mut answer = question.clone();
    answer[2] |= 0x80;
    connection.write(&framed(&answer));
    connection.write(&framed(&question));
    assert_all_answered(&mut connection, 0..1);
}

#[test]
fn the_longest_message_of_garbage_is_a_format_error_or_silence() {
    let (_folder, server) = served(3);
    let mut connection = Connection::open(server.addresses()[0]);
    // All ones look like an answer: silence. All zeros have no question: FORMERR.
    connection.write(&framed(&[0xff; 65535]));
    connection.write(&framed(&[0; 65535]));
    let reply = connection.read().expect("FORMERR");
    assert_eq!(Reply::read(&reply).unwrap().status, "FORMERR");
    // A question and 65,000 octets behind it.
    let mut long = numbered(0).0;
    long.resize(65535, 0xaa);
    connection.write(&framed(&long));
    let reply = connection.read().expect("FORMERR");
    assert_eq!(reply[3] & 15, 1, "FORMERR");
    connection.write(&framed(&numbered(0).0));
    assert_all_answered(&mut connection, 0..1);
}

#[test]
fn a_message_that_never_comes_whole_is_dropped_with_its_connection() {
    let (_folder, server) = served(3);
    for octets in [[0xff, 0xff].as_slice(), &[0xff], &[0, 40, 1, 2, 3], &[0xff, 0xff, 0, 0, 0, 0]] {
        let mut connection = Connection::open(server.addresses()[0]);
        connection.write(octets);
        connection.end_writing();
        assert!(connection.is_closed(), "{octets:?}");
    }
    // A client that is gone in the middle of an answer harms nobody.
    for _ in 0..20 {
        let mut connection = Connection::open(server.addresses()[0]);
        connection.write(&(0..20).flat_map(|id| framed(&numbered(id).0)).collect::<Vec<_>>());
    }
    let mut connection = Connection::open(server.addresses()[0]);
    connection.write(&framed(&numbered(0).0));
    assert_all_answered(&mut connection, 0..1);
}

#[test]
fn many_connections_at_once() {
    let (_folder, server) = served(3);
    let address = server.addresses()[0];
    thread::scope(|scope| {
        for first in 0..20_u16 {
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for round in 0..5 {
                    let ids = (first * 50 + round * 10)..(first * 50 + round * 10 + 10);
                    connection.write(&ids.clone().flat_map(|id| framed(&numbered(id).0)).collect::<Vec<_>>());
                    assert_all_answered(&mut connection, ids);
                }
            });
        }
    });
}
