//! The client: one thread that asks one question after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use super::super::client::{Client, Question, Said};
use super::history::Asked;
use super::judge::{Answer, Answers, Subject};

/// The services that are asked about.
#[derive(Debug)]
pub(in crate::faults) struct Plan {
    /// Their full names.
    pub(in crate::faults) owners: Vec<String>,
    /// Of each service its addresses, its SRV records, and each host, in this order.
    pub(in crate::faults) subjects: Vec<Subject>,
    per_service: usize,
}

impl Plan {
    /// `hosts` gives the host names of a service, as many in each.
    pub(in crate::faults) fn new<H: Iterator<Item = String>>(
        owners: Vec<String>,
        hosts: impl Fn(usize) -> H,
    ) -> Self {
        let of_service = |service| {
            let asked = [Asked::Service, Asked::Srv].into_iter().chain(hosts(service).map(Asked::Host));
            asked.map(move |asked| Subject { service, asked })
        };
        let subjects: Vec<Subject> = (0..owners.len()).flat_map(of_service).collect();
        let per_service = subjects.len() / owners.len();
        Self { owners, subjects, per_service }
    }

    /// The question, and whether its answer may be more than a datagram holds.
    fn question(&self, subject: &Subject) -> (Question, bool) {
        let owner = &self.owners[subject.service];
        match &subject.asked {
            Asked::Service => (Question::a(owner), false),
            Asked::Host(host) => (Question::a(&format!("{host}.{owner}")), false),
            Asked::Srv => (Question::new(owner, RecordType::SRV), true),
        }
    }

    /// A subject by chance: of ten questions three for addresses of a service, one for SRV records, six for a
    /// host.
    fn pick(&self, random: &mut Random) -> usize {
        let service = random.below(self.owners.len());
        let subject = match random.below(10) {
            0..=2 => 0,
            3 => 1,
            _ => 2 + random.below(self.per_service - 2),
        };
        service * self.per_service + subject
    }
}

/// Knuth's linear congruential generator: the same choices in each run.
#[derive(Debug)]
pub(in crate::faults) struct Random(pub(in crate::faults) u64);

impl Random {
    pub(in crate::faults) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// The running client.
#[derive(Debug)]
pub(in crate::faults) struct Asking {
    is_over: Arc<AtomicBool>,
    is_down: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Answer>, Answers)>,
}

/// Behind a question that was not answered: a closed port is known at once.
const UNANSWERED: Duration = Duration::from_millis(2);

impl Asking {
    /// Times are since `begin`; `pause` is behind each answer.
    pub(in crate::faults) fn start(
        server: SocketAddr,
        plan: Arc<Plan>,
        begin: Instant,
        pause: Duration,
    ) -> Self {
        let (is_over, is_down) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (over, down) = (Arc::clone(&is_over), Arc::clone(&is_down));
        let thread = thread::spawn(move || {
            let questions: Vec<_> = plan.subjects.iter().map(|subject| plan.question(subject)).collect();
            let mut client = Client::impatient(server, down);
            let (mut answers, mut numbers) = (Vec::new(), Answers::default());
            let mut random = Random(1);
            while !over.load(Ordering::Relaxed) {
                let subject = plan.pick(&mut random);
                let (question, is_large) = &questions[subject];
                let sent = begin.elapsed();
                let said = if *is_large { client.ask_tcp(question) } else { client.ask(question) };
                let received = begin.elapsed();
                let pause = if matches!(said, Said::Other(_)) { UNANSWERED } else { pause };
                answers.push(Answer { subject, sent, received, said: numbers.number(said) });
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
            }
            (answers, numbers)
        });
        Self { is_over, is_down, thread }
    }

    /// Whether the server is not there: an answer need not be waited for.
    pub(in crate::faults) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// Ends; all that was answered, in the order of the questions.
    pub(in crate::faults) fn finish(self) -> (Vec<Answer>, Answers) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
