//! Counts what answering allocates: after one round of every question, nothing, or the exit code is 1.
//!
//! Each row is checked to be the reply that it says: a row that is REFUSED would count nothing and prove nothing.
//! The last rows are the whole UDP thread, from receive to send, in this process; without and with somebody who is shown
//! each question and its reply.

mod counting;

use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rollcall::config::{Config, Typed};
use rollcall::run::offline;
use rollcall::server::{Queue, Reply, Responder, Tap, Transport, UdpServer, UdpSettings, bind};
use rollcall::wire::{Name, class, rcode, rtype};
use rollcall::zone::Reader;

/// Times that each question is counted.
const TIMES: u64 = 1000;
/// The zone with one of everything is the fuzz target's.
const CLUSTER: &str = include_str!("../../../../tests/fuzz/cluster.yaml");
const CONFIGURATION: &str = include_str!("../../../../tests/fuzz/cluster.toml");

/// A question, and what its reply must be for the row to mean anything.
struct Row {
    what: &'static str,
    name: &'static str,
    rtype: u16,
    class: u16,
    /// Of the OPT record.
    payload: Option<u16>,
    transport: Transport,
    code: u16,
    /// Records of answer and additional section (OPT included): at least so many.
    answers: u16,
    additional: u16,
    truncated: bool,
}

impl Row {
    const fn new(what: &'static str, name: &'static str, rtype: u16, answers: u16) -> Self {
        Self {
            what,
            name,
            rtype,
            class: class::IN,
            payload: None,
            transport: Transport::Udp,
            code: rcode::NOERROR,
            answers,
            additional: 0,
            truncated: false,
        }
    }

    const fn edns(self, payload: u16) -> Self {
        Self { payload: Some(payload), additional: 1, ..self }
    }

    const fn glue(self, additional: u16) -> Self {
        Self { additional, ..self }
    }

    const fn code(self, code: u16) -> Self {
        Self { code, ..self }
    }

    const fn truncated(self) -> Self {
        Self { truncated: true, ..self }
    }

    const fn tcp(self) -> Self {
        Self { transport: Transport::Tcp, ..self }
    }
}

const NODATA: u16 = 0;

const ROWS: &[Row] = &[
    Row::new("A of a replica", "web-0.nginx.default.svc.cluster.local", rtype::A, 1),
    Row::new("A of a replica, mixed case, EDNS", "wEb-0.NGINX.default.svc.cluster.local", rtype::A, 1)
        .edns(1232),
    Row::new("A of a headless service", "nginx.default.svc.cluster.local", rtype::A, 3),
    Row::new("A of a cluster IP", "public.default.svc.cluster.local", rtype::A, 1).edns(4096),
    Row::new("AAAA of a headless service", "nginx.default.svc.cluster.local", rtype::AAAA, 3),
    Row::new("SRV of a port with glue", "_web._tcp.nginx.default.svc.cluster.local", rtype::SRV, 3).glue(6),
    Row::new("SRV of a service with glue, EDNS", "nginx.default.svc.cluster.local", rtype::SRV, 9)
        .edns(1232)
        .glue(7),
    Row::new("SRV of a replica's port", "_web._tcp.web-1.nginx.default.svc.cluster.local", rtype::SRV, 1)
        .glue(2),
    Row::new("ANY", "public.default.svc.cluster.local", rtype::ANY, 1),
    Row::new("CNAME chain", "one.shop.svc.cluster.local", rtype::A, 5),
    Row::new("CNAME circle", "circle.shop.svc.cluster.local", rtype::A, 2),
    Row::new("PTR of an endpoint", "2.0.244.10.in-addr.arpa", rtype::PTR, 1),
    Row::new(
        "PTR of an IPv6 endpoint",
        "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa",
        rtype::PTR,
        1,
    ),
    Row::new("TXT dns-version", "dns-version.cluster.local", rtype::TXT, 1),
    Row::new("SOA", "cluster.local", rtype::SOA, 1),
    Row::new("NS with glue", "cluster.local", rtype::NS, 2).glue(2),
    Row::new("pod name", "10-1-2-3.default.pod.cluster.local", rtype::A, 1),
    Row::new("NXDOMAIN", "gone.default.svc.cluster.local", rtype::A, 0).code(rcode::NXDOMAIN),
    Row::new("NXDOMAIN of an expected replica", "standby-1.standby.default.svc.cluster.local", rtype::A, 0)
        .code(rcode::NXDOMAIN)
        .edns(1232),
    Row::new("NXDOMAIN of a pod name", "10-9-9-9.default.pod.cluster.local", rtype::A, 0)
        .code(rcode::NXDOMAIN),
    Row::new("NXDOMAIN of an address", "9.9.9.10.in-addr.arpa", rtype::PTR, 0).code(rcode::NXDOMAIN),
    Row::new("NODATA", "web-0.nginx.default.svc.cluster.local", rtype::TXT, NODATA),
    Row::new("empty non-terminal", "_tcp.nginx.default.svc.cluster.local", rtype::A, NODATA),
    Row::new("empty non-terminal, namespace", "kube-system.svc.cluster.local", rtype::A, NODATA),
    Row::new("empty non-terminal, reverse", "244.10.in-addr.arpa", rtype::PTR, NODATA),
    Row::new("REFUSED, with its reason", "www.example.org", rtype::A, 0).code(rcode::REFUSED).edns(1232),
    Row::new("REFUSED, a namespace left out", "a.elsewhere.svc.cluster.local", rtype::A, 0)
        .code(rcode::REFUSED),
    Row { class: class::CH, ..Row::new("identity, class CH", "id.server", rtype::TXT, 1) },
    Row::new("truncated A", "many.default.svc.cluster.local", rtype::A, 20).truncated(),
    Row::new("truncated SRV, EDNS", "_a._tcp.many.default.svc.cluster.local", rtype::SRV, 10)
        .edns(1232)
        .truncated(),
    Row::new("400 SRV with glue over TCP", "many.default.svc.cluster.local", rtype::SRV, 400).tcp().glue(100),
];

fn main() -> anyhow::Result<ExitCode> {
    let mut clean = true;
    println!("allocations a query, of {TIMES} each, after one round\n");
    println!("{:<36} {:>8} {:>8} {:>8}", "", "rotate", "ordinal", "random");
    let readers = ["rotate", "ordinal", "random"].map(zone);
    let [rotate, ordinal, random] = readers;
    let readers = [rotate?, ordinal?, random?];
    let mut responders = readers.clone().map(|reader| Responder::reserved(reader, 1));
    let mut out = vec![0; 65535];
    for responder in &mut responders {
        for row in ROWS {
            check(row, responder, &mut out).with_context(|| format!("the row `{}`", row.what))?;
        }
    }
    for row in ROWS {
        let packet = packet(row)?;
        let counts = responders.each_mut().map(|responder| {
            let before = counting::own();
            for _ in 0..TIMES {
                responder.respond(&packet, row.transport, &mut out);
            }
            counting::own() - before
        });
        clean &= counts == [0; 3];
        println!("{:<36} {:>8} {:>8} {:>8}", row.what, each(counts[0]), each(counts[1]), each(counts[2]));
    }
    println!();
    // Nobody takes what the queue holds: it has room for all of the questions.
    let queue = Queue::new(1, 1 << 16, Arc::default());
    for (what, watchers) in [("the whole UDP thread", vec![]), ("the same, watched", vec![queue])] {
        let tap = Tap::default();
        tap.set(watchers);
        let (counted, asked) = whole_thread(&readers[0], &tap)?;
        clean &= counted == 0;
        println!("{what:<36} {:>8}   ({counted} of {asked} queries)", each(counted * TIMES / asked));
    }
    println!("{}", if clean { "no query allocates" } else { "FAILED: a query allocates" });
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn each(count: u64) -> String {
    if count.is_multiple_of(TIMES) {
        format!("{}", count / TIMES)
    } else {
        format!("{}.{:03}", count / TIMES, count % TIMES)
    }
}

fn zone(order: &str) -> anyhow::Result<Reader> {
    let folder = tempfile::tempdir().context("a folder for the manifests")?;
    let file = folder.path().join("rollcall.toml");
    std::fs::write(folder.path().join("cluster.yaml"), CLUSTER)?;
    std::fs::write(&file, format!("order = \"{order}\"\n{CONFIGURATION}"))?;
    let offline = offline::load(&Config::resolve(Typed::from_file(&file)?)?)?;
    ensure!(offline.problems.is_empty(), "problems of the zone: {:?}", offline.problems);
    Ok(offline.reader)
}

fn packet(row: &Row) -> anyhow::Result<Vec<u8>> {
    let mut packet = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(row.payload.is_some())];
    // As typed, upper case and all.
    for label in row.name.split('.') {
        packet.push(u8::try_from(label.len())?);
        packet.extend(label.as_bytes());
    }
    ensure!(Name::from_text(row.name).is_ok(), "not a name");
    packet.push(0);
    packet.extend(row.rtype.to_be_bytes());
    packet.extend(row.class.to_be_bytes());
    if let Some(payload) = row.payload {
        packet.extend([0, 0, 41]);
        packet.extend(payload.to_be_bytes());
        packet.extend([0; 6]);
    }
    Ok(packet)
}

fn check(row: &Row, responder: &mut Responder, out: &mut [u8]) -> anyhow::Result<()> {
    let Reply::Send(length) = responder.respond(&packet(row)?, row.transport, out) else {
        anyhow::bail!("no reply");
    };
    ensure!(length >= 12, "no header");
    let word = |at: usize| u16::from_be_bytes([out[at], out[at + 1]]);
    let (code, truncated) = (u16::from(out[3] & 15), out[2] & 2 > 0);
    ensure!(code == row.code, "code {code}, not {}", row.code);
    ensure!(truncated == row.truncated, "TC is {truncated}");
    ensure!(word(6) >= row.answers && (row.answers > 0 || word(6) == 0), "{} answers", word(6));
    ensure!(word(10) >= row.additional, "{} additional records", word(10));
    Ok(())
}

/// Allocations of a UDP thread that answers, and how many queries it answered.
fn whole_thread(reader: &Reader, tap: &Tap) -> anyhow::Result<(u64, u64)> {
    let settings = UdpSettings::default();
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), &settings)?;
    let server = UdpServer::start(listener.udp, &settings, reader, None, None, tap)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.connect(listener.address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let over_udp = ROWS.iter().filter(|row| row.transport == Transport::Udp);
    let packets = over_udp.map(packet).collect::<anyhow::Result<Vec<_>>>()?;
    let mut reply = [0; 1500];
    let mut before = 0;
    let mut asked = 0;
    for round in 0..=100 {
        if round == 1 {
            before = counting::others();
        }
        // A batch at a time, as the thread takes them.
        for packet in &packets {
            socket.send(packet)?;
        }
        for _ in &packets {
            socket.recv(&mut reply).context("a reply is missing")?;
        }
        asked += if round > 0 { packets.len() as u64 } else { 0 };
    }
    let counted = counting::others() - before;
    server.stop();
    Ok((counted, asked))
}
