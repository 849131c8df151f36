//! What an API server, or what stands in front of it, says instead of what was asked for: 429, 500 and their
//! like, 410, 401, bodies that break off in the middle, streams that go silent.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::api::write_kubeconfig;
use super::asker::Asker;
use super::gateway::{Asked, Deed, Gateway};
use super::scene::Scene;
use super::{RIGHT, bare, is_long};
use crate::support::{ControlPlane, Rollcall, wait_until};

/// How long a failure lasts, at the least: long enough for several tries.
const LASTS: Duration = Duration::from_secs(3);
/// How soon the server says that it is stale.
const NOTICED: Duration = Duration::from_secs(10);
/// The most requests of a kind in a second, the first ones behind a failure aside: nobody may hammer an API server
/// that is in trouble.
const HAMMERING: f32 = 5.0;

/// The server under test behind a gateway, and the changes that it is told of.
struct Stage<'a> {
    gateway: Gateway,
    rollcall: Rollcall,
    scene: Scene<'a>,
    generation: u8,
}

impl<'a> Stage<'a> {
    fn new(plane: &'a ControlPlane, name: &str) -> Self {
        let gateway = Gateway::of(plane);
        let kubeconfig = plane.folder().join("gateway-kubeconfig");
        kubeconfig_for(&kubeconfig, &gateway, "token: first");
        let scene = Scene::new(plane, name);
        let rollcall = Rollcall::start(&kubeconfig, &[]);
        scene.settle(rollcall.dns);
        Self { gateway, rollcall, scene, generation: 0 }
    }

    /// From now on there are these failures, and every stream is cut; all is changed, and what is answered stays
    /// as it is until `heal` has ended them. Then everything is right soon.
    fn fail(
        &mut self,
        what: &str,
        rule: impl FnMut(&Asked) -> Deed + Send + 'static,
        limit: Duration,
        heal: impl FnOnce(&Gateway),
    ) {
        let next = self.generation + 1;
        let asker = Asker::start(self.rollcall.dns, self.scene.expectations(&[self.generation, next]));
        let begun = Instant::now();
        self.gateway.rule(rule);
        self.gateway.cut();
        self.scene.turn(next);
        wait_until("/readyz says degraded, and that it serves", NOTICED, || {
            match self.rollcall.get("/readyz") {
                (200, body) if body.contains("degraded") => Ok(()),
                other => Err(other),
            }
        });
        std::thread::sleep(LASTS.saturating_sub(begun.elapsed()));
        asker.assert_unchanged();
        assert_eq!(self.rollcall.get("/livez").0, 200);
        let asked = self.gateway.asked_since(begun).len();
        let lasted = begun.elapsed();
        heal(&self.gateway);
        let healed = Instant::now();
        let right = asker.right_within(limit).saturating_duration_since(healed);
        self.is_followed_again();
        let answers = asker.finish();
        println!(
            "{what}: {asked} requests in {:.1} s, right {:.2} s after it; {answers} answers",
            lasted.as_secs_f32(),
            right.as_secs_f32()
        );
        // Two kinds are needed, three more are followed.
        let most = 5.0 * (3.0 + HAMMERING * lasted.as_secs_f32());
        assert!(f32::from(u16::try_from(asked).unwrap()) <= most, "{what}: {asked} requests in {lasted:?}");
        self.generation = next;
    }

    fn is_followed_again(&self) {
        wait_until("/readyz says nothing of degraded", RIGHT + NOTICED, || {
            match self.rollcall.get("/readyz") {
                (200, body) if !body.contains("degraded") => Ok(()),
                other => Err(other),
            }
        });
    }

    /// Something that heals by itself fails while all is changed.
    fn pass_through(
        &mut self,
        what: &str,
        rule: impl FnMut(&Asked) -> Deed + Send + 'static,
        limit: Duration,
    ) {
        let next = self.generation + 1;
        let asker = Asker::start(self.rollcall.dns, self.scene.expectations(&[self.generation, next]));
        let begun = Instant::now();
        self.gateway.rule(rule);
        self.gateway.cut();
        self.scene.turn(next);
        asker.right_within(limit);
        let right = begun.elapsed();
        let answers = asker.finish();
        self.gateway.always(Deed::Pass);
        self.is_followed_again();
        let asked = self.gateway.asked_since(begun).len();
        println!("{what}: right after {:.1} s, {asked} requests; {answers} answers", right.as_secs_f32());
        self.generation = next;
    }
}

/// A kubeconfig for the gateway, with a user of these words.
pub(super) fn kubeconfig_for(file: &Path, gateway: &Gateway, user: &str) {
    write_kubeconfig(file, &format!("server: \"http://{}\"", gateway.address), user);
}

fn pass(gateway: &Gateway) {
    gateway.always(Deed::Pass);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn refusals() {
    let plane = bare("refusals", &[]);
    let mut stage = Stage::new(&plane, "refusals");
    // As priority and fairness refuses: no Status, the wait in the head.
    let busy = Deed::Say(429, Some(1), "text/plain", "Too many requests, please try again later.\n");
    let page = Deed::Say(502, None, "text/html", "<html>\n<body>\nBad Gateway\nready\n</body>\n</html>\n");
    let refusals = [
        ("429 with Retry-After", busy),
        ("500", Deed::Refuse(500, "InternalError")),
        ("503", Deed::Refuse(503, "ServiceUnavailable")),
        ("504", Deed::Refuse(504, "Timeout")),
        ("a page instead of a Status", page),
        ("200 and a page", Deed::Say(200, None, "text/html", "<html>log in</html>\n")),
        ("200 and nothing", Deed::Say(200, None, "application/json", "")),
        ("401", Deed::Refuse(401, "Unauthorized")),
        ("403", Deed::Refuse(403, "Forbidden")),
        ("connections closed instead of answers", Deed::Hang),
    ];
    for (what, deed) in refusals {
        stage.fail(what, move |_| deed.clone(), RIGHT + NOTICED, pass);
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn retry_after_is_heeded() {
    let plane = bare("busy", &[]);
    let mut stage = Stage::new(&plane, "busy");
    let seconds = 4;
    let begun = Instant::now();
    let busy = Deed::Say(429, Some(seconds), "text/plain", "Too many requests, please try again later.\n");
    // What was asked to wait is right a wait later.
    let limit = RIGHT + NOTICED + Duration::from_secs(seconds.into());
    stage.fail("429, to be asked 4 s later", move |_| busy.clone(), limit, pass);
    let asked = stage.gateway.asked_since(begun);
    for kind in ["services", "endpointslices"] {
        let of_kind: Vec<_> = asked.iter().filter(|asked| asked.kind == kind).collect();
        let waits = of_kind.windows(2).map(|pair| pair[1].at - pair[0].at);
        let shortest = waits.min().unwrap_or_default();
        assert!(shortest >= Duration::from_secs(seconds.into()), "{kind}: asked again after {shortest:?}");
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn versions_that_are_gone() {
    let plane = bare("gone-http", &[]);
    let mut stage = Stage::new(&plane, "gone-http");
    for deed in [
        Deed::Refuse(410, "Expired"),
        Deed::Event(410, "Expired"),
        Deed::Refuse(410, "Gone"),
        Deed::Event(410, "Gone"),
        // What a server says of a version of another one: a restored etcd.
        Deed::Refuse(400, "BadRequest"),
    ] {
        let what = format!("a watch answered {deed:?}");
        let rule = move |asked: &Asked| if asked.goes_on { deed.clone() } else { Deed::Pass };
        stage.pass_through(&what, rule, RIGHT + NOTICED);
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn bodies_that_break_off() {
    let plane = bare("broken", &[]);
    let mut stage = Stage::new(&plane, "broken");
    // Within a length or a brace, an object, between two, within the last.
    let octets: &[usize] = if is_long() {
        &[0, 1, 2, 5, 17, 60, 150, 400, 777, 1200, 2500, 4100]
    } else {
        &[0, 2, 60, 777, 2500]
    };
    for json in [false, true] {
        for what in ["lists", "watches"] {
            // Each kind's answers break off one octet count after the other; then they are whole.
            let mut broken = std::collections::HashMap::<String, usize>::new();
            let rule = move |asked: &Asked| {
                if asked.goes_on != (what == "watches") {
                    // A list is made for the asking only of a version that is gone.
                    return match (what, broken.get(&asked.kind).copied().unwrap_or_default()) {
                        ("lists", broken) if broken < octets.len() => Deed::Event(410, "Expired"),
                        _ if json => Deed::Json,
                        _ => Deed::Pass,
                    };
                }
                let broken = broken.entry(asked.kind.clone()).or_default();
                let deed = match octets.get(*broken) {
                    Some(octets) => Deed::Cut { octets: *octets, json },
                    None if json => Deed::Json,
                    None => Deed::Pass,
                };
                *broken += 1;
                deed
            };
            let encoding = if json { "JSON" } else { "protobuf" };
            // Each try waits for some three seconds at the most.
            let limit = RIGHT + Duration::from_secs(8) * u32::try_from(octets.len()).unwrap();
            stage.pass_through(&format!("{what} in {encoding} that break off"), rule, limit);
        }
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn streams_that_go_silent() {
    let plane = bare("hush", &[]);
    let mut stage = Stage::new(&plane, "hush");
    let mut silent = std::collections::HashMap::<String, usize>::new();
    let rule = move |asked: &Asked| {
        let count = silent.entry(asked.kind.clone()).or_default();
        *count += 1;
        // A watch begins, and then says nothing, not even that it lives.
        if *count == 1 { Deed::Hush(0) } else { Deed::Pass }
    };
    // The watch's own end, its grace, and what a try takes.
    stage.pass_through("streams that go silent", rule, Duration::from_secs(45));
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn token_that_has_expired() {
    let plane = bare("token", &[]);
    let mut stage = Stage::new(&plane, "token");
    let kubeconfig = plane.folder().join("gateway-kubeconfig");
    let rule = |asked: &Asked| {
        if asked.token == "second" { Deed::Pass } else { Deed::Refuse(401, "Unauthorized") }
    };
    // Written while it asks; the gateway goes on as it is.
    stage.fail("a token that has expired", rule, RIGHT + NOTICED, |gateway| {
        kubeconfig_for(&kubeconfig, gateway, "token: second");
    });
    // The same by a file of its own, which the kubeconfig names.
    let file = plane.folder().join("token");
    fs::write(&file, "second").unwrap();
    kubeconfig_for(&kubeconfig, &stage.gateway, &format!("tokenFile: {}", file.display()));
    let rule = |asked: &Asked| {
        if asked.token == "third" { Deed::Pass } else { Deed::Refuse(401, "Unauthorized") }
    };
    stage.fail("a token file whose token has expired", rule, RIGHT + NOTICED, |_| {
        fs::write(&file, "third").unwrap();
    });
}
