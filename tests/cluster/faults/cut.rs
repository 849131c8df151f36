//! The network between the server and the API server: connections reset, closed, stalled, forgotten, slow,
//! refused.

use std::time::{Duration, Instant};

use super::api::admin_token;
use super::asker::Asker;
use super::proxy::{Cut, Proxy};
use super::scene::Scene;
use super::{RIGHT, bare};
use crate::support::{ControlPlane, Rollcall, http_get, wait_for};

/// A connection that is dead without a word is noticed by then: the watches' own end is waited for.
const DEAD_NOTICED: Duration = Duration::from_secs(30);
/// How long a changed answer may take where everything drips.
const DRIPPED: Duration = Duration::from_secs(20);

/// The server under test behind a proxy, and the changes that it is told of.
struct Stage<'a> {
    proxy: Proxy,
    rollcall: Rollcall,
    scene: Scene<'a>,
    generation: u8,
    answers: usize,
}

impl<'a> Stage<'a> {
    fn new(plane: &'a ControlPlane) -> Self {
        let proxy = Proxy::start(plane.api_address());
        let kubeconfig = plane.folder().join("proxy-kubeconfig");
        plane.kubeconfig_for(&kubeconfig, proxy.address, &admin_token(plane));
        let scene = Scene::new(plane, "cut");
        let rollcall = Rollcall::start(&kubeconfig, &[]);
        scene.settle(rollcall.dns);
        Self { proxy, rollcall, scene, generation: 0, answers: 0 }
    }

    /// Something fails, all is changed, and the failure ends. From the moment that `heal` returns, the time
    /// until every answer is right is taken; until then nothing is answered that never was.
    fn act(
        &mut self,
        what: &str,
        limit: Duration,
        fail: impl FnOnce(&Proxy),
        heal: impl FnOnce(&Proxy, &Asker) -> Instant,
    ) {
        let next = self.generation + 1;
        let asker = Asker::start(self.rollcall.dns, self.scene.expectations(&[self.generation, next]));
        fail(&self.proxy);
        self.scene.turn(next);
        let over = heal(&self.proxy, &asker);
        let right = asker.right_within(limit).saturating_duration_since(over);
        assert_eq!(self.rollcall.get("/livez").0, 200);
        assert_eq!(self.rollcall.get("/readyz").0, 200);
        println!("{what}: right after {:.2} s", right.as_secs_f32());
        assert!(right <= limit, "{what}: right only after {right:?}");
        self.answers += asker.finish();
        self.generation = next;
    }
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn watches_cut_stalled_slow_and_refused() {
    let plane = bare("cut", &[]);
    let mut stage = Stage::new(&plane);
    let now = |_: &Proxy, _: &Asker| Instant::now();
    let pass = |proxy: &Proxy, asker: &Asker| {
        // Nobody could have told the server.
        asker.assert_unchanged();
        proxy.pass();
        Instant::now()
    };
    // Not a failure: what the others are compared with.
    stage.act("nothing fails", RIGHT, |_| (), now);
    for cut in [Cut::Reset, Cut::Close] {
        stage.act(&format!("cut ({cut:?}), then changes"), RIGHT, |proxy| proxy.cut(cut), now);
        let refused = format!("cut ({cut:?}) and refused while all changes");
        stage.act(&refused, RIGHT, |proxy| proxy.refuse(cut), pass);
    }
    stage.act("stalled while all changes", RIGHT, Proxy::stall, pass);
    stage.act("dripping", DRIPPED, |proxy| proxy.drip(200, Duration::from_millis(2)), now);
    let relist_dripping = |proxy: &Proxy| proxy.cut(Cut::Reset);
    stage.act("cut while it drips", DRIPPED, relist_dripping, |proxy, asker| {
        // It comes through as it is: the time is that of the slow connection.
        asker.right_within(DRIPPED);
        proxy.pass();
        Instant::now()
    });
    let taken = stage.proxy.taken();
    stage.act("connections dead without a word", DEAD_NOTICED, Proxy::forget, now);
    assert!(stage.proxy.taken() > taken, "it was never noticed, and yet all is right?");
    println!("{} answers, {} connections in all", stage.answers, stage.proxy.taken());
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn long_stall_is_noticed_and_told() {
    let plane = bare("stall", &[]);
    let mut stage = Stage::new(&plane);
    let stderr_before = stage.rollcall.stderr().len();
    let admin = stage.rollcall.admin;
    stage.act("a stall that is noticed", RIGHT, Proxy::stall, |proxy, asker| {
        let begin = Instant::now();
        wait_for("/readyz says degraded", DEAD_NOTICED + RIGHT, || {
            let (status, body) = http_get(admin, "/readyz");
            assert_eq!(status, 200, "{body}");
            body.contains("degraded").then_some(())
        });
        println!("a stall is told after {:.1} s", begin.elapsed().as_secs_f32());
        asker.assert_unchanged();
        proxy.pass();
        Instant::now()
    });
    assert!(stage.rollcall.stderr().len() > stderr_before, "nothing is logged of it");
}
