//! A large rollout, while a client asks without pause: every answer was true of some state between the
//! question's sending and its answer, and none is half a change.
//!
//! What was true is read from a record of its own: a watch of the EndpointSlices that has nothing to do with
//! the server (`recorder.rs`), turned into the states of each service (`history.rs`). `judge.rs` says what
//! "true between" means where two who watch are not told in the same moment, and holds each answer to it.

mod asking;
mod history;
mod judge;
mod recorder;
mod sets;
mod slices;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api::{SecondApi, admin_token};
use super::bare;
use super::client::{Client, Question};
use super::gone::Versions;
use super::proxy::{Cut, Proxy};
use crate::support::{ControlPlane, Namespace, Options, Rollcall, wait_until};
use asking::{Asking, Plan};
use history::{Asked, History};
use judge::{Service, Tolerance, Verdict};
use recorder::Recorder;
use sets::Sets;
use slices::Slices;

/// How long until the last answers are right when the last change is made.
const SETTLED: Duration = Duration::from_secs(60);
/// The EndpointSlice controller, whose own cache is behind while thousands of pods start, lets a service wait for
/// twice as long after each failure, at last for a quarter of an hour. A change of the Service ends that wait.
const NUDGE: Duration = Duration::from_secs(5);
/// Two cores for the control plane, the kubelets, the server and the client: each may have to wait its turn.
const TOLERANCE: Tolerance = Tolerance { behind: Duration::from_secs(2), ahead: Duration::from_secs(2) };

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn rollout_of_two_thousand_pods() {
    let plane = ControlPlane::start("rollout", Options::default());
    // CI with nothing cached has no time for all of them.
    let (count, pods) = if std::env::var_os("ROLLCALL_SMOKE").is_some() { (10, 20) } else { (50, 40) };
    println!("{count} sets of {pods} pods (50 of 40 without ROLLCALL_SMOKE)");
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

/// The services of a namespace that are asked about.
#[derive(Debug)]
struct Services<'a> {
    namespace: &'a Namespace<'a>,
    names: Vec<String>,
    plan: Arc<Plan>,
    /// The ready hosts of each, before and after all changes.
    hosts: usize,
}

impl<'a> Services<'a> {
    /// `hosts` gives the host names of a service.
    fn new<H: Iterator<Item = String>>(
        namespace: &'a Namespace<'a>,
        names: Vec<String>,
        hosts: impl Fn(usize) -> H,
    ) -> Self {
        let owners = names.iter().map(|name| namespace.full(name)).collect();
        let count = hosts(0).count();
        Self { namespace, names, plan: Arc::new(Plan::new(owners, hosts)), hosts: count }
    }

    /// Waits until every service is whole in the record, and the server answers what the record says.
    fn wait_settled(&self, recorder: &Recorder, server: SocketAddr) {
        let mut client = Client::new(server);
        let mut settled = 0;
        let (mut nudged, mut nudges) = (Instant::now(), 0);
        wait_until("record and server agree on every service", SETTLED, || {
            while let (Some(name), Some(owner)) = (self.names.get(settled), self.plan.owners.get(settled)) {
                let said = client.ask(&Question::a(owner));
                let histories = recorder.histories();
                let state = histories.get(name).and_then(|history: &History| history.states.last());
                let Some((_, state)) = state else { return Err(format!("{name} is not recorded")) };
                if state.hosts() != self.hosts && nudged.elapsed() > NUDGE {
                    (nudged, nudges) = (Instant::now(), nudges + 1);
                    let nudge = format!("rollcall.test/nudge={nudges}");
                    self.namespace.kubectl(&["annotate", "--overwrite", "service", name, &nudge]);
                }
                if state.hosts() != self.hosts || state.says(owner, &Asked::Service) != said {
                    return Err(format!("{name}: {} hosts, answered: {said}", state.hosts()));
                }
                settled += 1;
            }
            Ok(())
        });
    }
}

/// Makes changes while a client asks, and judges what it was answered.
fn observe(
    services: &Services<'_>,
    server: SocketAddr,
    tolerance: Tolerance,
    changes: impl FnOnce(),
) -> Verdict {
    let begin = Instant::now();
    let recorder = Recorder::start(services.namespace, begin);
    services.wait_settled(&recorder, server);
    let asking = Asking::start(server, Arc::clone(&services.plan), begin);
    let changing = Instant::now();
    changes();
    services.wait_settled(&recorder, server);
    let took = changing.elapsed();
    let (answers, mut numbers) = asking.finish();
    let mut histories = std::mem::take(&mut *recorder.histories());
    let judged: Vec<Service> = services
        .names
        .iter()
        .zip(&services.plan.owners)
        .map(|(name, owner)| Service {
            owner: owner.clone(),
            history: histories.remove(name).unwrap_or_default(),
        })
        .collect();
    let states: usize = judged.iter().map(|service| service.history.states.len()).sum();
    let subjects = &services.plan.subjects;
    let verdict = judge::judge(&judged, subjects, &answers, &mut numbers, tolerance);
    println!(
        "{} services of {} hosts, changed for {:.1} s: {} answers; {states} states, {} of them shown; \
         {} answers of a state that had ended before the question, by {:.3} s at most; at most {:.3} s \
         before the record",
        services.names.len(),
        services.hosts,
        took.as_secs_f32(),
        answers.len(),
        verdict.shown,
        verdict.behind_count,
        verdict.behind.as_secs_f32(),
        verdict.ahead.as_secs_f32(),
    );
    let wrong = || judge::describe(&verdict, &judged, subjects, &answers, &numbers);
    assert!(verdict.faults.is_empty(), "{}", wrong());
    verdict
}
