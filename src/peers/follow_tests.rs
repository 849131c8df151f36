//! Servers that are away, want to be left alone, or outgrow a message: what becomes of the list meanwhile.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::follow::Follower;
use super::list::List;
use super::options::Options;
use super::reading::{Asked, Reading};
use super::stream::Connection;
use super::tracker::Newest;
use super::trouble::Trouble;
use super::way::{Server, Transport, Way};
use crate::wire::dso::{is_stateful, response, retry_delay};
use crate::wire::{Name, rtype};

/// How long something that must come may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn mk_follower(servers: Vec<Server>) -> (Follower, Newest) {
    let namespace = Some("default".to_owned());
    Follower::new(Options { namespace, servers, ..Options::of_service("nginx") }).unwrap()
}

async fn until(newest_rx: &mut Newest, is_it: impl Fn(&List) -> bool) -> Arc<List> {
    let newest = newest_rx.wait_for(|list| list.as_deref().is_some_and(&is_it)).await.unwrap();
    newest.clone().unwrap()
}

/// The records of an answer, and whether there are more of them.
type Answered = (Vec<Vec<u8>>, bool);

/// The answer to a question, behind its length.
fn reply(question: &[u8], (records, truncated): &Answered) -> Vec<u8> {
    let (_, behind) = Name::from_message(question, 12).unwrap();
    let kind = &question[behind..behind + 2];
    let mut message = [&question[..2], &[0x84 | u8::from(*truncated) << 1, 0, 0, 1, 0]].concat();
    message.extend([u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    message.extend_from_slice(&question[12..behind + 4]);
    for data in records {
        message.extend([0xc0, 12]);
        message.extend_from_slice(kind);
        message.extend([0, 1, 0, 0, 0, 5, 0, u8::try_from(data.len()).unwrap()]);
        message.extend_from_slice(data);
    }
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
}

/// Answers, accepts subscriptions, and behind that of a member, which is known and told by then, says `then`.
async fn serve(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    mut answer: impl FnMut(&Name, u16) -> Answered,
    then: Vec<u8>,
) -> std::io::Result<()> {
    let mut stateful = 0;
    loop {
        let mut message = vec![0; io.read_u16().await?.into()];
        io.read_exact(&mut message).await?;
        if is_stateful(&message) {
            let id = u16::from_be_bytes([message[0], message[1]]);
            io.write_all(&response(id, 0, None, None)).await?;
            stateful += 1;
            // The service, its sets, a Keepalive, and the member.
            if stateful == 4 {
                io.write_all(&then).await?;
            }
            continue;
        }
        let (name, behind) = Name::from_message(&message, 12).unwrap();
        let kind = u16::from_be_bytes([message[behind], message[behind + 1]]);
        io.write_all(&reply(&message, &answer(&name, kind))).await?;
    }
}

fn srv(host: &str) -> Vec<u8> {
    let target = Name::from_text(&format!("{host}.nginx.default.svc.cluster.local")).unwrap();
    [&[0, 0, 0, 50, 0, 80][..], target.as_wire()].concat()
}

/// One address, which is that of `web-0`.
fn one_address(_: &Name, kind: u16) -> Answered {
    let records = match kind {
        rtype::A => vec![vec![10, 0, 0, 1]],
        rtype::PTR => vec![srv("web-0")[6..].to_vec()],
        _ => Vec::new(),
    };
    (records, false)
}

/// Listens, and serves each connection.
async fn listen(then: Vec<u8>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, one_address, then.clone()));
        }
    });
    Server { address, transport: Transport::PushTcp, name: None }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_marked_before_all_was_tried() {
    let sockets: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let servers = sockets.iter().map(|socket| socket.local_addr().unwrap().into()).collect();
    let (mut follower, mut newest_rx) = mk_follower(servers);
    let (members, missing) = (vec![super::list::tests::mk_peer("web-0", [10, 0, 0, 1])], Vec::new());
    let reading =
        Reading { members, missing, expected: None, authoritative: true, stale: None, settled: true };
    follower.tracker.take(reading, Way::Poll, "server").unwrap();
    let lost = Instant::now();
    follower.is_lost(Some(Trouble::NoPush("the server is away")));
    let marked = async {
        let marked = until(&mut newest_rx, |list| list.stale.is_some());
        let list = timeout(Duration::from_secs(600), marked).await.expect("a mark");
        (list.stale.as_ref().unwrap().to_string(), lost.elapsed())
    };
    // Virtual time: the first server is silent for 3 s, all of them in all ways for three times as long at least.
    let (result, (why, after)) = tokio::join!(follower.try_all(), marked);
    assert!(result.is_err());
    assert_eq!(why, "the server is away");
    assert!(after < Duration::from_secs(5), "{after:?}");
    assert!(lost.elapsed() >= Duration::from_secs(9), "{:?}", lost.elapsed());
}

#[tokio::test]
async fn while_one_server_is_left_alone_another_one_is_asked() {
    let first = listen(retry_delay(0, 3_600_000)).await;
    let second = listen(Vec::new()).await;
    let (follower, mut newest_rx) = mk_follower(vec![first, second.clone()]);
    let following = tokio::spawn(follower.run());
    let is_its = |list: &List| list.server == second.to_string() && list.stale.is_none();
    let list = timeout(PATIENCE, until(&mut newest_rx, is_its)).await.expect("the second one");
    assert_eq!((list.peers.len(), list.way), (1, Way::Push));
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn by_serial_a_service_that_outgrows_a_message_has_its_new_members() {
    let (ours, theirs) = duplex(1 << 16);
    let mut rounds = 0;
    let mut serial = 0;
    let answer = move |name: &Name, kind: u16| match kind {
        rtype::SOA => {
            serial += 1;
            (vec![[&[0, 0, 0, 0, 0, serial][..], &[0; 16]].concat()], false)
        }
        rtype::SRV => {
            rounds += 1;
            if rounds == 1 { (vec![srv("web-0")], false) } else { (Vec::new(), true) }
        }
        rtype::A if name.to_string().starts_with("nginx.") => {
            let count = if rounds == 1 { 1 } else { 3 };
            ((1..=count).map(|n| vec![10, 0, 0, n]).collect(), false)
        }
        rtype::A => (vec![vec![10, 0, 0, 1]], false),
        rtype::PTR => {
            let text = name.to_string();
            let ordinal: u8 = text.split('.').next().unwrap().parse().unwrap();
            (vec![srv(&format!("web-{}", ordinal - 1))[6..].to_vec()], false)
        }
        _ => (Vec::new(), false),
    };
    let server = tokio::spawn(async move { serve(theirs, answer, Vec::new()).await });
    let (mut follower, mut newest_rx) = mk_follower(vec!["127.0.0.1:1".parse().unwrap()]);
    let following = async {
        follower.ask_on(Asked::Stream(Connection::over(ours, "server")), Way::Serial).await;
    };
    let told = async {
        let first = until(&mut newest_rx, |list| list.peers.len() == 1).await;
        let more = until(&mut newest_rx, |list| list.peers.len() == 3).await;
        (first.peers[0].host.clone(), more.peers[2].host.clone())
    };
    tokio::select! {
        () = following => panic!("the new members are never told"),
        told = timeout(Duration::from_secs(600), told) => {
            assert_eq!(told.unwrap(), ("web-0".to_owned(), "web-2".to_owned()));
        }
    }
    server.abort();
}

/// Eight addresses that take connections and say nothing would be 24 s.
#[cfg(feature = "tls")]
#[tokio::test]
async fn addresses_that_swallow_everything_do_not_hold_push_up_for_minutes() {
    let swallowing = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = swallowing.local_addr().unwrap().port();
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server: Server = socket.local_addr().unwrap().into();
    let zone = tokio::spawn(async move {
        let mut octets = [0; 1500];
        let target = Name::from_text("ns.dns.cluster.local").unwrap();
        while let Ok((length, from)) = socket.recv_from(&mut octets).await {
            let question = &octets[..length];
            let (_, behind) = Name::from_message(question, 12).unwrap();
            let records = match u16::from_be_bytes([question[behind], question[behind + 1]]) {
                rtype::SRV => {
                    let port = port.to_be_bytes();
                    vec![[&[0, 0, 0, 0, port[0], port[1]][..], target.as_wire()].concat()]
                }
                rtype::A => vec![vec![127, 0, 0, 1]; 8],
                _ => Vec::new(),
            };
            socket.send_to(&reply(question, &(records, false))[2..], from).await.unwrap();
        }
    });
    let (follower, _newest_rx) = mk_follower(vec![server.clone()]);
    let trouble = follower.connect_push(&server).await.err().unwrap();
    assert_eq!(trouble.to_string(), format!("push of {server} does not answer within 10 s"));
    zone.abort();
}
