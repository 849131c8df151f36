//! Whatever is away: the last list stays, and nothing is missed when it is back.

use super::relay::{Cutting, Manner, Relay};
use super::{Cluster, Follower, PATIENCE, PUSH, hosts};
use crate::behaviour::asking::eventually;

/// How often something is done that may be overtaken by another thing on a machine that has no time for it.
const TRIES: usize = 5;

/// Killed, changed, and started again.
fn survives_a_restart(mut cluster: Cluster, way: &str) {
    let server = cluster.server();
    let mut follower = Follower::start(&server, &["--interval", "100ms"]);
    assert_eq!(follower.next()["way"], way);
    cluster.kill();
    let stale = follower.next();
    assert_eq!((stale["event"].as_str(), hosts(&stale)), (Some("stale"), vec!["web-0", "web-1", "web-2"]));
    assert!(stale["stale"].as_str().unwrap().contains(&cluster.address.to_string()), "{stale:#?}");
    // What is as it was is told to be followed again.
    cluster.start();
    let fresh = follower.until(|event| event["stale"].is_null());
    assert_eq!((fresh["event"].as_str(), hosts(&fresh).len()), (Some("fresh"), 3), "{fresh:#?}");
    // What has changed meanwhile is told.
    cluster.kill();
    follower.until(|event| event["event"] == "stale");
    cluster.scale(4);
    cluster.start();
    let change = follower.until(|event| event["stale"].is_null());
    assert_eq!((change["event"].as_str(), hosts(&change).len()), (Some("change"), 4), "{change:#?}");
    follower.never_empty();
    // And what changes from then on is, too.
    cluster.scale(1);
    follower.until_hosts(&["web-0"]);
    follower.never_empty();
}

#[test]
fn a_server_that_is_killed_and_comes_back_by_push() {
    survives_a_restart(Cluster::new(3, PUSH), "push");
}

#[test]
fn a_server_that_is_killed_and_comes_back_by_the_serial() {
    survives_a_restart(Cluster::new(3, ""), "serial");
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let mut cluster = Cluster::new(2, PUSH);
    cluster.kill();
    let mut follower = Follower::start(&cluster.server(), &[]);
    follower.hears_nothing();
    cluster.start();
    let start = follower.next();
    assert_eq!((start["event"].as_str(), hosts(&start).len()), (Some("start"), 2));
}

#[test]
fn no_answer_of_an_outage_empties_the_list() {
    let cluster = Cluster::new(2, "");
    let relay = Relay::start(cluster.address);
    let mut follower = Follower::start(&relay.address.to_string(), &["--interval", "100ms"]);
    assert_eq!(follower.next()["way"], "poll");
    for (manner, why) in [
        (Manner::Failing, "answers SERVFAIL"),
        (Manner::Hearsay, "nobody is there, without authority"),
        (Manner::Stale, "nobody is there, from stale data"),
        (Manner::Dark, "does not answer"),
    ] {
        // Where the machine has no time for them, what is said of any of them is that there is no answer in time.
        let is_told = (0..TRIES).any(|_| {
            relay.behave(manner);
            let stale = follower.until(|event| !event["stale"].is_null());
            assert_eq!(hosts(&stale), ["web-0", "web-1"], "{manner:?}");
            let said = stale["stale"].as_str().unwrap();
            let is_told = said.contains(why);
            assert!(is_told || said.contains("does not answer"), "{manner:?}: {said}");
            follower.hears_nothing();
            relay.behave(Manner::Honest);
            let fresh = follower.until(|event| event["stale"].is_null());
            assert_eq!(hosts(&fresh), ["web-0", "web-1"], "{manner:?}: {fresh:#?}");
            is_told
        });
        assert!(is_told, "{manner:?} is not told: {:#?}", follower.seen);
    }
    follower.never_empty();
    // The same server says with authority that nobody is there, and is believed.
    cluster.scale(0);
    follower.until_hosts(&[]);
}

#[test]
fn a_server_that_ends_asks_to_be_left_alone_and_is_come_back_to() {
    let mut cluster = Cluster::new(3, PUSH);
    let mut follower = Follower::start(&cluster.server(), &[]);
    assert_eq!(follower.next()["way"], "push");
    let mut ending = cluster.process.take().unwrap();
    ending.signal("TERM");
    assert_eq!(ending.end(PATIENCE).0, 0);
    let stale = follower.until(|event| event["event"] == "stale");
    assert!(stale["stale"].as_str().unwrap().contains("asks to come back in"), "{stale:#?}");
    cluster.scale(2);
    cluster.start();
    follower.until(|event| event["stale"].is_null() && hosts(event) == ["web-0", "web-1"]);
    follower.never_empty();
}

/// A server that takes every connection and keeps none is come back to ever later.
#[test]
fn connections_that_are_always_lost_are_not_made_without_end() {
    let cluster = Cluster::new(2, PUSH);
    let cutting = Cutting::start(cluster.address);
    let mut follower = Follower::start(&format!("push+tcp://{}", cutting.address), &[]);
    assert_eq!(hosts(&follower.next()), ["web-0", "web-1"]);
    eventually("it comes back", || match cutting.connections() {
        few @ 0..=2 => Err(format!("{few} connections")),
        _ => Ok(()),
    });
    std::thread::sleep(std::time::Duration::from_secs(8));
    // Some ten more, twice as many where a second way is tried; one each 200 ms are forty.
    let connections = cutting.connections();
    assert!(connections <= 28, "{connections}");
    follower.never_empty();
}

#[test]
fn a_peers_process_that_is_told_to_end_does() {
    let cluster = Cluster::new(1, PUSH);
    let mut follower = Follower::start(&cluster.server(), &[]);
    follower.next();
    assert_eq!(follower.terminate(), 0);
}
