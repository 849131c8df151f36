//! Generated clusters, questions and packets: the real code against the oracle, and against the wire's rules.
//!
//! `ROLLCALL_CLUSTERS` sets how many clusters each test makes (50 questions each), `ROLLCALL_PACKETS` how many
//! packets; `PROPTEST_RNG_SEED` repeats a run.

mod check;
mod explain;
mod freshness;
mod kept;
mod message;
mod packets;
mod reasons;
mod regressions;
mod served;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use rollcall::model::Object;
use rollcall::zone::Order;

use self::message::Manner;
use self::served::{Served, Variant};
use crate::generate::{QuestionSeed, ZONES, cluster, object, question_seed, settings};
use crate::oracle::{Expected, OracleSettings, World, apply, current, rcode, same_object};

/// Questions a cluster.
const QUESTIONS: usize = 50;

#[test]
fn every_answer_is_the_oracles() {
    let tally = RefCell::new(Tally::default());
    run("answers", zone().prop_flat_map(case), |case| {
        let mut served = Served::of(&case.cluster, &case.settings, case.variant);
        case.ask_all(&mut served, &current(&case.cluster), &mut tally.borrow_mut())
    });
    tally.into_inner().has_everything();
}

#[test]
fn a_truncated_answer_is_a_truthful_part() {
    run("truncated answers", zone().prop_flat_map(case), |case| {
        let mut served = Served::of(&case.cluster, &case.settings, case.variant);
        let cluster = current(&case.cluster);
        let world = World::new(&cluster, &case.settings);
        for (seed, manner) in &case.questions {
            let question = seed.question(&world, &case.settings.zone);
            check::truncated_answer(&mut served, &question, *manner)
                .map_err(|why| format!("{question:?} {manner:?}: {why}"))?;
        }
        Ok(())
    });
}

#[test]
fn any_history_ends_in_the_same_answers() {
    let strategy = zone().prop_flat_map(|zone| (case(zone), settings(zone), vec(step(zone), 0..60)));
    run("histories", strategy, |(case, before, steps)| {
        // Half of the histories begin with other settings, and a reload at their end.
        let reload = steps.len() % 2 == 0;
        let mut served = Served::new(if reload { before } else { &case.settings }, case.variant);
        let mut cluster = current(&case.cluster);
        case.cluster.iter().for_each(|object| served.apply(object));
        for step in steps {
            take(step, &mut served, &mut cluster, &case.settings);
        }
        if reload {
            served.set_settings(&case.settings, case.variant);
        }
        served.publish();
        case.ask_all(&mut served, &cluster, &mut Tally::default())
    });
}

/// A cluster, what it is served with, and what is asked.
struct Case {
    /// In order of application.
    cluster: Vec<Object>,
    settings: OracleSettings,
    variant: Variant,
    questions: Vec<(QuestionSeed, Manner)>,
}

impl Case {
    /// Every answer about the cluster, which may be another than the case's, is the oracle's.
    fn ask_all(&self, served: &mut Served, cluster: &[Object], tally: &mut Tally) -> Result<(), String> {
        let world = World::new(cluster, &self.settings);
        for (seed, manner) in &self.questions {
            let question = seed.question(&world, &self.settings.zone);
            let expected = check::whole_answer(served, &world, self.variant, &question, *manner)
                .map_err(|why| format!("{question:?} {manner:?}: {why}"))?;
            tally.add(&expected);
        }
        Ok(())
    }
}

/// How often each kind of answer was seen: questions that all get NXDOMAIN would prove nothing.
#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    const KINDS: [&str; 6] = ["data", "glue", "NODATA", "NXDOMAIN", "REFUSED", "leads outside"];

    fn add(&mut self, expected: &Expected) {
        let kind = match expected.rcode {
            _ if expected.chase => "leads outside",
            rcode::REFUSED => "REFUSED",
            rcode::NXDOMAIN => "NXDOMAIN",
            _ if expected.answer.is_empty() => "NODATA",
            _ if expected.additional.is_empty() => "data",
            _ => "glue",
        };
        *self.0.entry(kind).or_default() += 1;
    }

    fn has_everything(&self) {
        println!("{self:?}");
        assert!(
            Self::KINDS.iter().all(|kind| self.0.contains_key(kind)),
            "a kind of answer was never asked for"
        );
    }
}

/// An object a line, and no question: the one that matters is in the message of the failure.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}\n{:?}", self.settings, self.variant)?;
        self.cluster.iter().try_for_each(|object| writeln!(f, "{object:?}"))
    }
}

fn case(zone: &'static str) -> impl Strategy<Value = Case> {
    (cluster(zone), settings(zone), variant(), questions()).prop_map(
        |(cluster, settings, variant, questions)| Case {
            cluster: served_namespaces(cluster, &settings),
            settings,
            variant,
            questions,
        },
    )
}

/// One change of the cluster.
#[derive(Debug, Clone)]
enum Step {
    Apply(Object),
    /// Of an object that is there.
    Delete(Index),
    /// Of one that is not.
    DeleteUnknown(Object),
    /// The objects that are there, again.
    ApplyAgain(Index),
    /// As a new list from the API server: what is there but for one, and something else.
    Reset(Index, Object),
    Publish,
}

fn step(zone: &'static str) -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => object(zone).prop_map(Step::Apply),
        5 => any::<Index>().prop_map(Step::Delete),
        1 => object(zone).prop_map(Step::DeleteUnknown),
        1 => any::<Index>().prop_map(Step::ApplyAgain),
        1 => (any::<Index>(), object(zone)).prop_map(|(index, object)| Step::Reset(index, object)),
        3 => Just(Step::Publish),
    ]
}

fn take(step: &Step, served: &mut Served, cluster: &mut Vec<Object>, settings: &OracleSettings) {
    let is_served = |object: &Object| !served_namespaces(vec![object.clone()], settings).is_empty();
    match step {
        Step::Apply(object) if is_served(object) => {
            served.apply(object);
            apply(cluster, object);
        }
        Step::Delete(index) if !cluster.is_empty() => {
            let gone = cluster.remove(index.index(cluster.len()));
            served.delete(&gone);
        }
        Step::DeleteUnknown(object) if !cluster.iter().any(|other| same_object(other, object)) => {
            served.delete(object);
        }
        Step::ApplyAgain(index) if !cluster.is_empty() => {
            served.apply(index.get(cluster));
        }
        Step::Reset(index, object) if !cluster.is_empty() && is_served(object) => {
            cluster.remove(index.index(cluster.len()));
            apply(cluster, object);
            served.reset(cluster);
        }
        Step::Publish => served.publish(),
        _ => {}
    }
}

/// What a source with the filter of the settings lets through.
fn served_namespaces(cluster: Vec<Object>, settings: &OracleSettings) -> Vec<Object> {
    let Some(namespaces) = &settings.namespaces else { return cluster };
    let namespace = |object: &Object| match object {
        Object::Namespace(o) => o.name.to_string(),
        Object::Service(o) => o.key.namespace.to_string(),
        Object::EndpointSlice(o) => o.service.namespace.to_string(),
        Object::StatefulSet(o) => o.namespace.to_string(),
        Object::Pod(o) => o.namespace.to_string(),
    };
    cluster.into_iter().filter(|object| namespaces.contains(&namespace(object))).collect()
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(ZONES[0]), 1 => Just(ZONES[1])]
}

fn variant() -> impl Strategy<Value = Variant> {
    let order = select(vec![Order::Rotate, Order::Ordinal, Order::Random]);
    (order, any::<bool>()).prop_map(|(order, upstream)| Variant { order, upstream })
}

fn questions() -> impl Strategy<Value = Vec<(QuestionSeed, Manner)>> {
    let size = prop_oneof![
        2 => Just(512),
        2 => Just(1232),
        1 => select(vec![0, 511, 4096, 65535]),
        2 => 512..=1232_u16,
    ];
    let edns = proptest::option::of((size, any::<bool>()));
    let manner = (any::<u16>(), any::<bool>(), any::<bool>(), edns).prop_map(|(id, rd, cd, edns)| Manner {
        id,
        rd,
        cd,
        edns,
    });
    vec((question_seed(), manner), QUESTIONS)
}

/// Holds a property for as many cases as the environment asks for, and says how many.
fn run<S: Strategy>(what: &str, strategy: S, holds: impl Fn(&S::Value) -> Result<(), String>) {
    let cases = u32::try_from(count("ROLLCALL_CLUSTERS", 200)).unwrap();
    // Enough for a case that a person can read, few enough for a minute.
    let max_shrink_iters = u32::try_from(count("PROPTEST_MAX_SHRINK_ITERS", 1500)).unwrap();
    let mut config = Config { cases, failure_persistence: None, max_shrink_iters, ..Config::default() };
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => random_seed(),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    let result = TestRunner::new(config).run(&strategy, |case| holds(&case).map_err(TestCaseError::fail));
    println!("{what}: {cases} clusters with {QUESTIONS} questions each, PROPTEST_RNG_SEED={seed}");
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, case)) => {
            panic!("{why}\nin the smallest case:\n{case:?}\nPROPTEST_RNG_SEED={seed}")
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// A number from the environment.
fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A seed that differs from run to run, so that every run looks elsewhere.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
