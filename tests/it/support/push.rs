//! A client of DNS Push Notifications: messages as RFC 8490 and RFC 8765 have them, written and read here by hand.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long something that must come may take: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long nothing is waited for.
const SILENCE: Duration = Duration::from_millis(300);

pub(crate) const KEEPALIVE: u16 = 1;
pub(crate) const RETRY_DELAY: u16 = 2;
pub(crate) const PADDING: u16 = 3;
pub(crate) const SUBSCRIBE: u16 = 0x40;
pub(crate) const PUSH: u16 = 0x41;
pub(crate) const UNSUBSCRIBE: u16 = 0x42;
pub(crate) const RECONFIRM: u16 = 0x43;

/// A stateful message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: u16,
    pub(crate) is_response: bool,
    pub(crate) rcode: u8,
    /// Type and data of each value.
    pub(crate) values: Vec<(u16, Vec<u8>)>,
    octets: Vec<u8>,
}

/// One change of a PUSH message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) owner: String,
    pub(crate) rtype: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

/// A message of a client behind its length.
pub(crate) fn message(id: u16, values: &[(u16, &[u8])]) -> Vec<u8> {
    let mut octets = vec![0, 0];
    octets.extend(id.to_be_bytes());
    octets.extend([0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for (kind, data) in values {
        octets.extend(kind.to_be_bytes());
        octets.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        octets.extend_from_slice(data);
    }
    let length = u16::try_from(octets.len() - 2).unwrap();
    octets[..2].copy_from_slice(&length.to_be_bytes());
    octets
}

/// NAME, TYPE, CLASS.
pub(crate) fn name_type_class(name: &str, rtype: u16, class: u16) -> Vec<u8> {
    let mut data = wire(name);
    data.extend(rtype.to_be_bytes());
    data.extend(class.to_be_bytes());
    data
}

pub(crate) fn subscribe(id: u16, name: &str, rtype: u16) -> Vec<u8> {
    message(id, &[(SUBSCRIBE, &name_type_class(name, rtype, 1))])
}

/// A name's octets.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).unwrap());
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

impl Message {
    pub(crate) fn parse(octets: Vec<u8>) -> Self {
        assert!(octets.len() >= 12, "{octets:?}");
        assert_eq!(octets[2] & 0x7f, 0x30, "OPCODE 6, and nothing beside it");
        assert_eq!(octets[3] & 0xf0, 0, "no flag");
        assert_eq!(octets[4..12], [0; 8], "no record");
        let mut values = Vec::new();
        let mut rest = &octets[12..];
        while !rest.is_empty() {
            let kind = u16::from_be_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            values.push((kind, rest[4..4 + length].to_vec()));
            rest = &rest[4 + length..];
        }
        let (id, is_response) = (u16::from_be_bytes([octets[0], octets[1]]), octets[2] & 0x80 != 0);
        Self { id, is_response, rcode: octets[3] & 15, values, octets }
    }

    pub(crate) fn length(&self) -> usize {
        self.octets.len()
    }

    /// The types of its values.
    pub(crate) fn types(&self) -> Vec<u16> {
        self.values.iter().map(|(kind, _)| *kind).collect()
    }

    /// Whether it is a PUSH; everything about its form is checked.
    pub(crate) fn is_push(&self) -> bool {
        let is = self.values.first().is_some_and(|(kind, _)| *kind == PUSH);
        if is {
            assert!(self.id == 0 && !self.is_response && self.rcode == 0, "{self:?}");
            assert!(self.octets.len() <= 16_382, "{}", self.octets.len());
        }
        is
    }

    /// The changes of a PUSH; at least one.
    pub(crate) fn changes(&self) -> Vec<Change> {
        assert!(self.is_push(), "{self:?}");
        let (mut at, end) = (16, 16 + self.values[0].1.len());
        let mut changes = Vec::new();
        while at < end {
            let owner = self.name(&mut at);
            let word = |at: usize| u16::from_be_bytes([self.octets[at], self.octets[at + 1]]);
            let (rtype, class) = (word(at), word(at + 2));
            let ttl = u32::from(word(at + 4)) << 16 | u32::from(word(at + 6));
            let length = usize::from(word(at + 8));
            let data = self.octets[at + 10..at + 10 + length].to_vec();
            at += 10 + length;
            assert_eq!(class, 1);
            changes.push(Change { owner, rtype, ttl, data });
        }
        assert!(at == end && !changes.is_empty());
        changes
    }

    /// A name that may be compressed.
    fn name(&self, at: &mut usize) -> String {
        let (mut text, mut here, mut jumped) = (String::new(), *at, false);
        loop {
            let length = usize::from(self.octets[here]);
            if length >= 0xc0 {
                let target = (length & 0x3f) << 8 | usize::from(self.octets[here + 1]);
                assert!(target < here, "a pointer backwards");
                if !jumped {
                    *at = here + 2;
                }
                (here, jumped) = (target, true);
                continue;
            }
            here += 1 + length;
            if length == 0 {
                if !jumped {
                    *at = here;
                }
                return text;
            }
            text.push_str(std::str::from_utf8(&self.octets[here - length..here]).unwrap());
            text.push('.');
        }
    }
}

/// What a subscriber knows: by owner, type and data the TTL.
pub(crate) type View = BTreeMap<(String, u16, Vec<u8>), u32>;

/// Takes changes over as RFC 8765, section 6.3.1, has it; what makes no sense to who follows every change fails.
pub(crate) fn apply(view: &mut View, changes: Vec<Change>) {
    for Change { owner, rtype, ttl, data } in changes {
        match ttl {
            0..=0x7fff_ffff => {
                let before = view.insert((owner.clone(), rtype, data), ttl);
                assert_ne!(before, Some(ttl), "{owner} {rtype}: it was there already");
            }
            0xffff_ffff => {
                let was = view.remove(&(owner.clone(), rtype, data));
                assert!(was.is_some(), "{owner} {rtype}: removed, and was not there");
            }
            0xffff_fffe => {
                assert!(data.is_empty());
                let before = view.len();
                view.retain(|(name, kind, _), _| *name != owner || (rtype != 255 && *kind != rtype));
                assert_ne!(view.len(), before, "{owner} {rtype}: removed, and was not there");
            }
            other => panic!("a TTL of {other}"),
        }
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).unwrap())
    }

    /// From an address of our own choice.
    pub(crate) fn connect_from(address: &str, server: SocketAddr) -> Self {
        use socket2::{Domain, Socket, Type};
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(address.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// To write with while it is read.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// The next message, whatever it is.
    pub(crate) fn octets(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).unwrap();
        let mut octets = vec![0; u16::from_be_bytes(length).into()];
        self.stream.read_exact(&mut octets).unwrap();
        octets
    }

    pub(crate) fn next(&mut self) -> Message {
        Message::parse(self.octets())
    }

    /// The next message, where one has begun to come.
    pub(crate) fn try_next(&mut self) -> Option<Message> {
        self.stream.set_nonblocking(true).unwrap();
        let waiting = self.stream.peek(&mut [0; 2]);
        self.stream.set_nonblocking(false).unwrap();
        match waiting {
            Ok(0) => panic!("the connection has ended"),
            Ok(_) => Some(self.next()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The response to a SUBSCRIBE, which must be a bare header.
    pub(crate) fn subscribe(&mut self, id: u16, name: &str, rtype: u16) -> u8 {
        self.send(&subscribe(id, name, rtype));
        let response = self.next();
        assert!(response.is_response && response.id == id, "{response:?}");
        assert!(response.rcode != 0 || response.values.is_empty(), "{response:?}");
        response.rcode
    }

    /// The changes of the next message, which must be a PUSH.
    pub(crate) fn changes(&mut self) -> Vec<Change> {
        self.next().changes()
    }

    /// Nothing comes.
    pub(crate) fn hears_nothing(&mut self) {
        self.stream.set_read_timeout(Some(SILENCE)).unwrap();
        let read = self.stream.read(&mut [0; 1]);
        let is_silence = matches!(&read, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(is_silence, "{read:?}");
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// The connection is aborted: what is read is a reset, and no end.
    pub(crate) fn is_reset(&mut self) {
        loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(1..) => {}
                Ok(0) => panic!("closed, and not reset"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    return;
                }
            }
        }
    }

    /// The connection is closed by the server, in one way or the other.
    pub(crate) fn ends(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}
