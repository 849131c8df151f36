//! What all connections may hold together: strangers who take all of it take nothing from those who ask as people do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::asking::{eventually, query};
use super::manifests::{NGINX, documents, endpoints, nginx};
use super::metrics::Counting;
use super::tcp::{Connection, framed};

const HELD: &str = "rollcall_stream_memory_bytes";
const REFUSED: &str = "rollcall_tcp_refused_total{transport=\"tcp\",reason=\"memory\"}";

/// One that writes so many octets of a question of 64 KiB, and no more.
fn unfinished(counting: &Counting, octets: usize) -> TcpStream {
    let mut stream = TcpStream::connect(counting.process.address()).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // It may be cut off while it writes.
    let _ = stream.write_all(&[[0xff; 2].as_slice(), &vec![0; octets]].concat());
    stream
}

/// One that asks for large answers until the server takes no more, and reads none.
fn deaf(counting: &Counting) -> TcpStream {
    let mut stream = TcpStream::connect(counting.process.address()).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let question = framed(&query("-t SRV many.default.svc.cluster.local").bytes);
    for _ in 0..40 {
        if stream.write_all(&question.repeat(10)).is_err() {
            break;
        }
    }
    stream
}

fn held_again(counting: &Counting, wanted: impl Fn(f64) -> bool, what: &str) {
    eventually(what, || {
        let held = counting.scrape().value(HELD);
        if wanted(held) { Ok(()) } else { Err(held.to_string()) }
    });
}

#[test]
fn strangers_who_hold_all_of_it_harm_nobody_and_give_it_back() {
    let counting =
        Counting::start(&documents(&[nginx(5), endpoints("many", 700)]), "[limits]\nstream_memory = 1\n");
    let limit = f64::from(1 << 20);
    assert_eq!(counting.scrape().value("rollcall_stream_memory_limit_bytes").to_bits(), limit.to_bits());
    let ask_well = |what: &str| {
        let start = Instant::now();
        for _ in 0..20 {
            let mut client = Connection::open(counting.process.address());
            let small = query(&format!("-t A web-3.{NGINX}")).bytes;
            assert_eq!(client.ask(&small).status, "NOERROR");
            // Many at one time, whose answers are read behind all of them.
            client.write(&framed(&small).repeat(300));
            assert!((0..300).all(|_| client.read().is_some()), "{what}");
            // A large one, which is taken at once.
            let large = query("-t SRV many.default.svc.cluster.local").bytes;
            assert_eq!(client.ask(&large).sections[0].len(), 700, "{what}");
        }
        start.elapsed()
    };
    // Compared with themselves: the machine may be busy with more than this.
    let before = ask_well("before");
    let most = 4 * before + Duration::from_secs(5);
    assert_eq!(counting.scrape().value(HELD).to_bits(), 0);

    // Some hold half of a question, and others, who come too late, are cut off.
    let strangers: Vec<TcpStream> = (0..60).map(|_| unfinished(&counting, 40_000)).collect();
    eventually("those for whom there is no room", || {
        let scrape = counting.scrape();
        let (held, refused) = (scrape.value(HELD), scrape.value(REFUSED));
        // As many as have room, each with 16 KiB or more.
        if held > limit * 0.75 && held <= limit && refused >= 20.0 {
            Ok(())
        } else {
            Err(format!("{held} {refused}"))
        }
    });
    assert!(ask_well("beside unfinished questions") < most);
    drop(strangers);
    held_again(&counting, |held| held.to_bits() == 0, "all of it given back");

    let strangers: Vec<TcpStream> = (0..30).map(|_| deaf(&counting)).collect();
    held_again(&counting, |held| held > limit * 0.75 && held <= limit, "replies that nobody takes");
    assert!(ask_well("beside untaken replies") < most);
    drop(strangers);
    held_again(&counting, |held| held.to_bits() == 0, "all of it given back");
    assert!(ask_well("behind all of them") < most);
}

#[test]
fn what_is_no_question_again_and_again_ends_a_connection() {
    let counting = Counting::start(&nginx(1), "");
    let small = query(&format!("-t A web-0.{NGINX}")).bytes;
    let (mut silent, mut odd) = (small.clone(), small.clone());
    // A response, which is met by silence; no question at all, which is a format error.
    silent[2] |= 0x80;
    odd[5] = 0;
    let mut client = Connection::open(counting.process.address());
    for _ in 0..10 {
        // With a question among them it goes on.
        client.write(&[framed(&silent).repeat(2), framed(&odd), framed(&small)].concat());
        assert!((0..2).all(|_| client.read().is_some()));
    }
    let garbage = "rollcall_tcp_refused_total{transport=\"tcp\",reason=\"garbage\"}";
    assert_eq!(counting.scrape().value(garbage).to_bits(), 0);
    client.write(&[framed(&odd).repeat(3), framed(&silent)].concat());
    // What is due is written before.
    assert!((0..3).all(|_| client.read().is_some()) && client.is_closed());
    eventually("the count", || {
        let count = counting.scrape().value(garbage);
        if count.to_bits() == 1_f64.to_bits() { Ok(()) } else { Err(count.to_string()) }
    });
}

/// On one thread of the runtime: who pipelines without end has a turn like everybody else.
#[test]
fn who_pipelines_without_end_keeps_nobody_waiting() {
    let counting = Counting::start(&nginx(1), "");
    let small = query(&format!("-t A web-0.{NGINX}")).bytes;
    let (over, server) = (std::sync::atomic::AtomicBool::new(false), counting.process.address());
    let over = &over;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let small = &small;
            scope.spawn(move || {
                let many = framed(small).repeat(400);
                let mut writer = TcpStream::connect(server).unwrap();
                writer.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
                let mut reader = writer.try_clone().unwrap();
                reader.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                std::thread::scope(|both| {
                    both.spawn(|| {
                        let mut taken = vec![0; 1 << 16];
                        while !over.load(std::sync::atomic::Ordering::Relaxed) {
                            // No octets for a while are no end.
                            if reader.read(&mut taken).is_ok_and(|length| length == 0) {
                                break;
                            }
                        }
                    });
                    // A write that is cut short by its time would put the lengths in disorder.
                    while !over.load(std::sync::atomic::Ordering::Relaxed) && writer.write_all(&many).is_ok()
                    {
                    }
                });
            });
        }
        let mut client = Connection::open(counting.process.address());
        let mut took: Vec<Duration> = (0..400)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(client.ask(&small).status, "NOERROR");
                start.elapsed()
            })
            .collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        took.sort();
        println!("median {:?}, 99th {:?}, most {:?}", took[200], took[396], took[399]);
        // Some milliseconds beside four that never stop; a turn without an end is hundreds.
        assert!(took[200] < Duration::from_millis(150), "{:?}", took[200]);
    });
}
