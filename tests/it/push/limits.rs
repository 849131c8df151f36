//! What clients may hold, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rollcall::server::PushLimits;

use super::{A, LIMITS, Pushing, SRV, headless, slice, slice_of};
use crate::support::push::{Client, RETRY_DELAY, UNSUBSCRIBE, message, subscribe};
use crate::support::wait::eventually;

const WEB: &str = "web.default.svc.cluster.local";

#[test]
fn subscriptions_and_sessions_have_their_limits() {
    let limits = PushLimits { sessions: 2, subscriptions: 3, per_session: 2, ..LIMITS };
    let pushing = Pushing::with(limits);
    let (mut first, mut second, mut third) = (pushing.client(), pushing.client(), pushing.client());
    assert_eq!(first.subscribe(1, WEB, A), 0);
    assert_eq!(first.subscribe(2, WEB, SRV), 0);
    assert_eq!(first.subscribe(3, "other.default.svc.cluster.local", A), 5, "two a session");
    assert_eq!(second.subscribe(1, WEB, A), 0);
    let later = |client: &mut Client, id: u16| {
        client.send(&subscribe(id, WEB, SRV));
        let response = client.next();
        assert_eq!((response.id, response.rcode, response.types()), (id, 2, vec![RETRY_DELAY]));
    };
    later(&mut second, 2);
    later(&mut third, 1);
    // What is given back is there again; and a reload changes how many there are.
    first.send(&message(0, &[(UNSUBSCRIBE, &[0, 2])]));
    pushing.until("one is gone", |counts| counts.subscriptions == 2);
    assert_eq!(second.subscribe(3, WEB, SRV), 0);
    later(&mut third, 2);
    drop(first);
    pushing.until("a session is gone", |counts| counts.sessions == 1);
    assert_eq!(third.subscribe(3, WEB, A), 0);
    pushing.set_limits(PushLimits { sessions: 3, subscriptions: 9, ..limits });
    assert_eq!(pushing.client().subscribe(1, WEB, A), 0);
}

#[test]
fn one_client_does_not_take_what_there_is_for_all() {
    let pushing = Pushing::with(PushLimits { subscriptions: 100, per_client: 3, ..LIMITS });
    let (mut first, mut second) = (pushing.client(), pushing.client());
    assert_eq!(
        (first.subscribe(1, WEB, A), first.subscribe(2, WEB, SRV), second.subscribe(1, WEB, A)),
        (0, 0, 0)
    );
    second.send(&subscribe(2, WEB, SRV));
    let response = second.next();
    assert_eq!((response.rcode, response.types()), (5, vec![RETRY_DELAY]), "REFUSED");
    assert_eq!(pushing.counts().refused_per_client, 1);
    // Another one has what is left, and what is given back is there again.
    let mut other = pushing.client_at("127.0.0.2");
    assert_eq!((other.subscribe(1, WEB, A), other.subscribe(2, WEB, SRV)), (0, 0));
    drop(first);
    pushing.until("a session is gone", |counts| counts.sessions == 2);
    assert_eq!(second.subscribe(2, WEB, SRV), 0);
}

/// Everything is done, but not at once, and others are not kept waiting for it.
#[test]
fn who_asks_without_end_is_taken_at_a_pace() {
    const TIMES: u16 = 6000;
    let pushing = Pushing::start();
    let (mut busy, mut other) = (pushing.client(), pushing.client_at("127.0.0.2"));
    let all: Vec<u8> = (1..=TIMES)
        .flat_map(|id| [subscribe(id, WEB, A), message(0, &[(UNSUBSCRIBE, &id.to_be_bytes())])].concat())
        .collect();
    let mut writer = busy.writer();
    let start = Instant::now();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &all).unwrap());
    for id in 1..=TIMES {
        let response = busy.next();
        assert_eq!((response.id, response.rcode), (id, 0));
        if id == 1 {
            assert_eq!(other.subscribe(1, WEB, SRV), 0);
        }
    }
    writing.join().unwrap();
    pushing.until("all is undone", |counts| (counts.sessions, counts.subscriptions) == (2, 1));
    // 8,000 at once and 2,000 a second: 12,000 take 2 s at least, and longer where the machine is slow.
    assert!(start.elapsed() > std::time::Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn what_subscribers_wait_for_is_of_the_memory_of_all_connections() {
    const OTHER: &str = "other.default.svc.cluster.local";
    let mut pushing = Pushing::with_memory(5 << 18);
    let addresses: Vec<std::net::IpAddr> =
        (0..20_000_u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()).collect();
    for name in ["web", "other"] {
        pushing.apply([headless(name), slice_of(name, &addresses)]);
    }
    let held = |pushing: &Pushing| pushing.memory.counts().0;
    assert_eq!(held(&pushing), 0);
    let (mut client, mut second) = (pushing.client(), pushing.client());
    assert_eq!(client.subscribe(1, WEB, A), 0);
    let mut told = 0;
    while told < addresses.len() {
        told += client.changes().len();
    }
    // The records, and the messages of 16 octets for each.
    let of_web = held(&pushing);
    assert!(of_web > 20_000 * (16 + 20), "{of_web}");
    // There is no room for as much again.
    second.send(&subscribe(1, OTHER, A));
    let response = second.next();
    assert_eq!((response.rcode, response.types()), (2, vec![RETRY_DELAY]), "SERVFAIL");
    assert_eq!((pushing.counts().refused_memory, pushing.counts().subscriptions), (1, 1));
    eventually("what was refused is held by nobody", || {
        if held(&pushing) == of_web { Ok(()) } else { Err(held(&pushing).to_string()) }
    });
    // A change of what somebody waits for has as much as it needs, and gives back what was.
    pushing.apply([slice("web", &["10.99.99.99"])]);
    let mut changes = 0;
    while changes < addresses.len() + 1 {
        changes += client.changes().len();
    }
    eventually("what was told is given back", || {
        if held(&pushing) < 1 << 12 { Ok(()) } else { Err(held(&pushing).to_string()) }
    });
    assert_eq!(second.subscribe(2, OTHER, A), 0);
    drop((client, second));
    eventually("nothing is held", || match held(&pushing) {
        0 => Ok(()),
        octets => Err(octets.to_string()),
    });
}

#[test]
fn who_does_not_read_is_sent_away_and_holds_nobody_up() {
    let mut pushing = Pushing::with(PushLimits { queue: 1 << 14, ..LIMITS });
    let addresses = |third: u32| -> Vec<std::net::IpAddr> {
        (0..4000_u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0000 | third << 16 | n).into()).collect()
    };
    pushing.apply([headless("web"), slice("web", &["10.0.0.1"])]);
    let (mut slow, mut quick) = (pushing.client(), pushing.client());
    assert_eq!(slow.subscribe(1, WEB, A), 0);
    assert_eq!(quick.subscribe(1, WEB, A), 0);
    let mut expected = quick.changes().len();
    let seen = Arc::new(AtomicUsize::new(expected));
    let counting = Arc::clone(&seen);
    let reading = std::thread::spawn(move || {
        let mut is_last = false;
        while !is_last {
            let changes = quick.changes();
            is_last = changes.iter().any(|change| change.data == [10, 99, 99, 99]);
            counting.fetch_add(changes.len(), Ordering::Relaxed);
        }
    });
    // Far more than the kernel holds for who does not read; the other one is waited for.
    for round in 1..200 {
        pushing.apply([slice_of("web", &addresses(round))]);
        expected += if round == 1 { 4001 } else { 8000 };
        eventually("who reads is told all", || {
            let seen = seen.load(Ordering::Relaxed);
            if seen == expected { Ok(()) } else { Err(format!("{seen} of {expected}")) }
        });
        if pushing.counts().slow > 0 {
            break;
        }
    }
    assert_eq!((pushing.counts().slow, pushing.counts().sessions), (1, 2));
    pushing.apply([slice("web", &["10.99.99.99"])]);
    reading.join().unwrap();
    // What the kernel holds, and behind it the goodbye.
    let goodbye = loop {
        let message = slow.next();
        if !message.is_push() {
            break message;
        }
    };
    assert_eq!((goodbye.rcode, goodbye.types()), (2, vec![RETRY_DELAY]));
    drop(slow);
    pushing.until("it is gone", |counts| counts.sessions == 0);
}

/// What a client asks for at once is written before it is asked for more: it reads, and is no slow client.
#[test]
fn who_asks_for_much_at_once_is_told_all_of_it() {
    let mut pushing = Pushing::with(PushLimits { queue: 1 << 12, ..LIMITS });
    let addresses: Vec<std::net::IpAddr> =
        (0..4000_u32).map(|n| std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()).collect();
    let names: Vec<String> = (0..8).map(|n| format!("web-{n}.default.svc.cluster.local")).collect();
    for name in &names {
        let name = name.split('.').next().unwrap();
        pushing.apply([super::headless(name), slice_of(name, &addresses)]);
    }
    let mut client = pushing.client();
    let all: Vec<Vec<u8>> = (1..).zip(&names).map(|(id, name)| subscribe(id, name, A)).collect();
    client.send(&all.concat());
    let (mut taken, mut records) = (0, 0);
    while records < names.len() * addresses.len() {
        let message = client.next();
        if message.is_push() {
            records += message.changes().len();
        } else {
            assert_eq!((message.is_response, message.rcode), (true, 0), "{message:?}");
            taken += 1;
        }
    }
    assert_eq!((taken, pushing.counts().slow), (names.len(), 0));
}

/// 300 by default, else as many as `ROLLCALL_SUBSCRIBERS` says; each needs two open files of this process.
#[test]
fn many_subscribers_of_one_name_are_served_from_one_encoding() {
    let count = std::env::var("ROLLCALL_SUBSCRIBERS").map_or(300, |text| text.parse::<usize>().unwrap());
    let mut pushing =
        Pushing::with(PushLimits { sessions: count, subscriptions: count, per_client: count, ..LIMITS });
    pushing.apply([headless("web"), slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.3"])]);
    let mut clients: Vec<Client> = (0..count).map(|_| pushing.client()).collect();
    for client in &mut clients {
        client.send(&subscribe(1, WEB, A));
    }
    for client in &mut clients {
        assert_eq!(client.next().rcode, 0);
        assert_eq!(client.changes().len(), 3);
    }
    let counts = pushing.counts();
    assert_eq!((counts.subscriptions, counts.messages), (count as u64, count as u64));
    assert_eq!(counts.encoded, 1, "what is there is written once for all of them");
    let start = Instant::now();
    pushing.apply([slice("web", &["10.0.0.1", "10.0.0.2", "10.0.0.4"])]);
    let published = start.elapsed();
    for client in &mut clients {
        assert_eq!(client.changes().len(), 2);
    }
    let counts = pushing.counts();
    assert_eq!((counts.messages, counts.encoded), (2 * count as u64, 2));
    println!("{count} subscribers: published in {published:?}, all told within {:?}", start.elapsed());
}
