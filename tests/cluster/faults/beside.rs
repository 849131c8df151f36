//! Lists beside the watches, on a real API server: whatever changes meanwhile, a watch that lives has lost nothing.

use std::time::{Duration, Instant};

use super::bare;
use super::scene::Scene;
use crate::support::Rollcall;

/// Comparisons of each kind that are waited for.
const COMPARISONS: u64 = 5;
/// Each takes two seconds and a bookmark: what takes so long does not happen.
const PATIENCE: Duration = Duration::from_secs(150);
const KINDS: [&str; 2] = ["Service", "EndpointSlice"];

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn lists_beside_the_watches_find_no_difference_under_changes() {
    let plane = bare("beside", &[]);
    let scene = Scene::new(&plane, "beside");
    let mut command = Rollcall::command(plane.kubeconfig(), &[]);
    command.env("ROLLCALL_LIMITS_RELIST", "2").env("ROLLCALL_LIMITS_WATCH_TIMEOUT", "5");
    let rollcall = Rollcall::launch(&command);
    rollcall.ready();
    let (began, mut generation) = (Instant::now(), 0);
    while KINDS.iter().any(|kind| counted(&rollcall, "relists", kind) < COMPARISONS) {
        assert!(began.elapsed() < PATIENCE, "{}", rollcall.stderr());
        generation = (generation + 1) % 100;
        scene.turn(generation);
    }
    for kind in KINDS {
        let (relists, differences) =
            (counted(&rollcall, "relists", kind), counted(&rollcall, "relist_differences", kind));
        assert_eq!(differences, 0, "{kind}: {}", rollcall.stderr());
        println!("{kind}: {relists} lists beside the watch, {differences} differences");
    }
    println!("{:.0} s of changes", began.elapsed().as_secs_f32());
    // None was given up for want of a bookmark, which would have listed everything anew.
    assert!(!rollcall.stderr().contains("far behind"), "{}", rollcall.stderr());
    scene.settle_in(rollcall.dns, generation);
}

fn counted(rollcall: &Rollcall, what: &str, kind: &str) -> u64 {
    let (code, body) = rollcall.get("/metrics");
    assert_eq!(code, 200, "{body}");
    let sample = format!("rollcall_{what}_total{{kind=\"{kind}\"}} ");
    let value = body.lines().find_map(|line| line.strip_prefix(&sample));
    value.unwrap_or_else(|| panic!("no {sample} in\n{body}")).parse().unwrap()
}
