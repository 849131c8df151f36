//! A large rollout, while a client asks without pause: every answer was true of some state between the
//! question's sending and its answer, and none is half a change.
//!
//! Who knows what was true, and holds each answer to it, is `../oracle`.

mod sets;
mod slices;

use std::time::Duration;

use super::api::{SecondApi, admin_token};
use super::gone::Versions;
use super::oracle::{TOLERANCE, Tolerance, observe};
use super::proxy::{Cut, Proxy};
use super::{bare, is_long};
use crate::support::{ControlPlane, Options, Rollcall};
use sets::Sets;
pub(super) use slices::Slices;

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn rollout_of_many_pods() {
    let plane = ControlPlane::start("rollout", Options::default());
    let is_smoke = std::env::var_os("ROLLCALL_SMOKE").is_some();
    let (count, pods) = match (is_long(), is_smoke) {
        (true, _) => (50, 40),
        (false, true) => (10, 20),
        (false, false) => (20, 40),
    };
    println!(
        "{count} sets of {pods} pods (50 of 40 with ROLLCALL_LONG, 10 of 20 with ROLLCALL_SMOKE, else 20 of 40)"
    );
    let sets = Sets::create(plane.namespace("rollout"), count, pods);
    let rollcall = Rollcall::start(plane.kubeconfig(), &[]);
    let verdict = observe(&sets.services(), rollcall.dns, TOLERANCE, || sets.restart(&mut || ()));
    // Otherwise the client saw little of what it is here to see.
    let wanted = count * pods / 2;
    assert!(verdict.shown > wanted, "only {} states were shown", verdict.shown);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn watches_cut_in_the_middle_of_a_rollout() {
    let plane = ControlPlane::shared();
    let sets = Sets::create(plane.namespace("cut-rollout"), 4, 20);
    let proxy = Proxy::start(plane.api_address());
    let kubeconfig = plane.folder().join("cut-rollout-kubeconfig");
    plane.kubeconfig_for(&kubeconfig, proxy.address, &admin_token(plane));
    let rollcall = Rollcall::start(&kubeconfig, &[]);
    // Nothing is known for as long as the connection is away, and for what it takes to make one again.
    let tolerance = Tolerance { behind: Duration::from_secs(5), ..TOLERANCE };
    let (mut cuts, mut seen) = (0, 0);
    let mut disturb = || {
        // Each time that it is back: the next one.
        if proxy.taken() > seen {
            seen = proxy.taken();
            match cuts % 3 {
                0 => proxy.cut(Cut::Reset),
                1 => proxy.cut(Cut::Close),
                _ => {
                    proxy.refuse(Cut::Reset);
                    proxy.pass();
                }
            }
            cuts += 1;
        }
    };
    let verdict = observe(&sets.services(), rollcall.dns, tolerance, || sets.restart(&mut disturb));
    println!("{cuts} cuts");
    assert!(cuts >= 10, "only {cuts} cuts");
    assert!(verdict.shown > 4 * 5, "only {} states were shown", verdict.shown);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn listed_anew_in_the_middle_of_a_rollout() {
    let plane = ControlPlane::shared();
    let sets = Sets::create(plane.namespace("gone-rollout"), 4, 30);
    let mut api = SecondApi::new(plane);
    api.start();
    let rollcall = Rollcall::start(api.kubeconfig(), &[]);
    // The pods do not wait while it is away, and nothing is known of them.
    let tolerance = Tolerance { behind: Duration::from_secs(20), ..TOLERANCE };
    let mut restarts = 0;
    let mut disturb = || {
        if restarts < 2 {
            let seen = Versions::of(&api);
            api.kill();
            api.start();
            // A fresh API server knows nothing of what was before it, as after a compaction.
            seen.assert_gone(&api);
            restarts += 1;
        }
    };
    let verdict = observe(&sets.services(), rollcall.dns, tolerance, || sets.restart(&mut disturb));
    assert_eq!(restarts, 2, "the rollout was over before");
    assert!(verdict.shown > 4 * 5, "only {} states were shown", verdict.shown);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn endpoints_move_between_slices() {
    let plane = bare("slices", &[]);
    let slices = Slices::create(plane.namespace("slices"));
    let rollcall = Rollcall::start(plane.kubeconfig(), &[]);
    let verdict = observe(&slices.services(), rollcall.dns, TOLERANCE, || slices.shuffle());
    assert!(verdict.shown > slices::MOVES / 2, "only {} states were shown", verdict.shown);
}
