//! What must be answered at one moment of a scenario, by every server and every client.
//!
//! A scenario holds the moment, for readiness and deletion are its to decide; so a fact may be waited for,
//! but once it is there it must stay. rollcall is right as of the last slice it received, so the wait there
//! is for the controllers; CoreDNS in front of it is right within the TTL of what it remembers.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::ask::{Answer, ask, reverse_name};
use super::clients::{ClientQuestion, ask_clients};
use super::coredns::shared_stub;
use super::namespace::Namespace;
use super::pod_network::{Place, PodNetwork};
use super::rollcall::shared_rollcall;
use super::wait::wait_until;
use super::why::{Why, check_explained, check_whys, owned};

/// For the controllers to write what happened, on a busy machine.
const CONTROLLERS: Duration = Duration::from_secs(20);
/// rollcall's TTL, positive and negative, as it is unless configured.
const TTL: Duration = Duration::from_secs(5);
/// CoreDNS counts in whole seconds, and the machine is busy.
const SLACK: Duration = Duration::from_secs(2);

/// The facts of a moment.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    namespace: &'a Namespace<'a>,
    title: &'a str,
    facts: Vec<Fact>,
}

#[derive(Debug, Clone)]
enum Fact {
    /// The name has these addresses and no others; for a family without one it is there without data.
    Addresses { short: String, addresses: BTreeSet<IpAddr> },
    /// There is no such name, and a sentence with these words says why.
    Absent { short: String, why: Vec<String> },
    /// There is more to say about these records than that they are there.
    Surprising { short: String, record_type: RecordType, why: Vec<String> },
    /// There is nothing to say about these records.
    Whole { short: String, record_type: RecordType },
    /// The name's SRV records: port and target; each target has these addresses in Additional.
    Services { short: String, port: u16, targets: BTreeSet<(String, IpAddr)> },
    /// The address is these names'.
    Pointers { address: IpAddr, names: BTreeSet<String> },
    /// Nothing has this address.
    Unnamed { address: IpAddr },
}

impl<'a> Moment<'a> {
    /// A moment without facts.
    pub(crate) fn new(namespace: &'a Namespace<'a>, title: &'a str) -> Self {
        Self { namespace, title, facts: Vec::new() }
    }

    /// `short` (`web-0.nginx`) has exactly these addresses.
    pub(crate) fn has(mut self, short: &str, addresses: &[IpAddr]) -> Self {
        let addresses = addresses.iter().copied().collect();
        self.facts.push(Fact::Addresses { short: short.to_owned(), addresses });
        self
    }

    /// There is no name `short`, and the sentence that says why has these words in it; `one|other` is either.
    pub(crate) fn lacks(mut self, short: &str, why: &[&str]) -> Self {
        assert!(!why.is_empty(), "why is there no {short}?");
        self.facts.push(Fact::Absent { short: short.to_owned(), why: owned(why) });
        self
    }

    /// The records of `short` come with a sentence that has these words in it.
    pub(crate) fn surprises(mut self, short: &str, record_type: RecordType, why: &[&str]) -> Self {
        self.facts.push(Fact::Surprising { short: short.to_owned(), record_type, why: owned(why) });
        self
    }

    /// The SRV records of `short` are `port` at exactly these targets (short names too), with these
    /// addresses.
    pub(crate) fn serves(mut self, short: &str, port: u16, targets: &[(&str, &[IpAddr])]) -> Self {
        assert!(!targets.is_empty(), "any failure would do: say lacks()");
        let full = |target: &str| self.namespace.full(target);
        let targets = targets.iter().flat_map(|(t, all)| all.iter().map(move |address| (full(t), *address)));
        let fact = Fact::Services { short: short.to_owned(), port, targets: targets.collect() };
        self.facts.push(fact);
        self
    }

    /// The records of `short` come without a word: nothing about them is odd.
    pub(crate) fn whole(mut self, short: &str, record_type: RecordType) -> Self {
        self.facts.push(Fact::Whole { short: short.to_owned(), record_type });
        self
    }

    /// The reverse name of the address leads to exactly these names.
    pub(crate) fn points(mut self, address: IpAddr, names: &[&str]) -> Self {
        let names = names.iter().map(|name| self.namespace.full(name)).collect();
        self.facts.push(Fact::Pointers { address, names });
        self
    }

    /// The address is nobody's.
    pub(crate) fn nobody(mut self, address: IpAddr) -> Self {
        self.facts.push(Fact::Unnamed { address });
        self
    }

    /// Holds the facts against rollcall, against CoreDNS with the stub in front of it, and against what real
    /// clients make of both.
    ///
    /// # Panics
    /// Naming the moment and the question, when a fact does not hold in time.
    pub(crate) fn check(&self) {
        let begun = Instant::now();
        let (rollcall, admin) = (shared_rollcall().dns, shared_rollcall().admin);
        self.wait_for_facts("rollcall", rollcall, CONTROLLERS);
        let direct = begun.elapsed();
        // Beyond CoreDNS' cache nothing of it is passed on: docs/reasons.md.
        let whys: Vec<Why> = self.facts.iter().flat_map(|fact| fact.whys(self.namespace)).collect();
        check_whys(self.title, rollcall, &whys);
        check_explained(self.title, admin, &whys);
        let told = begun.elapsed() - direct;
        let stub = shared_stub().dns;
        self.wait_for_facts("CoreDNS with the stub", stub, TTL + SLACK);
        let behind = begun.elapsed() - direct - told;
        let network = PodNetwork::shared();
        let wrong = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for (server, place) in [("rollcall", &network.direct), ("CoreDNS with the stub", &network.stub)] {
                let wrong = &wrong;
                scope.spawn(move || {
                    let found = self.ask_clients(place);
                    wrong.lock().unwrap().extend(found.into_iter().map(|line| format!("{server}: {line}")));
                });
            }
        });
        let wrong = wrong.into_inner().unwrap();
        assert!(wrong.is_empty(), "{}:\n{}", self.title, wrong.join("\n"));
        println!(
            "{} — {}: right after {} ms directly, {} ms more behind CoreDNS; {} answers and why in {} ms; clients {} ms",
            self.namespace.name(),
            self.title,
            direct.as_millis(),
            behind.as_millis(),
            whys.len(),
            told.as_millis(),
            (begun.elapsed() - direct - told - behind).as_millis(),
        );
    }

    fn wait_for_facts(&self, server: &str, address: SocketAddr, limit: Duration) {
        let deadline = Instant::now() + limit;
        for fact in &self.facts {
            let what = format!("{}: {server}: {fact}", self.title);
            let left = deadline.saturating_duration_since(Instant::now());
            wait_until(&what, left, || fact.holds(self.namespace, address));
        }
        // What was right first has to be right still, now that the last one is.
        for fact in &self.facts {
            if let Err(answer) = fact.holds(self.namespace, address) {
                panic!("{}: {server}: {fact}: it was so, and is not any more: {answer:#?}", self.title);
            }
        }
    }

    fn ask_clients(&self, place: &Place) -> Vec<String> {
        let expected: Vec<(ClientQuestion, Expected)> =
            self.facts.iter().flat_map(|fact| fact.for_clients(self.namespace)).collect();
        let questions: Vec<ClientQuestion> = expected.iter().map(|(question, _)| question.clone()).collect();
        let answers = ask_clients(place, self.namespace.name(), &questions);
        let wrong = expected.iter().filter_map(|(question, expected)| {
            let answer = answers.get(question).map_or("nothing", String::as_str);
            let (client, record_type, name) = question;
            let line = format!("{client} {record_type} {name}: {answer}, not {expected:?}");
            (!expected.accepts(answer)).then_some(line)
        });
        wrong.collect()
    }
}

/// What a client may say, in ask.sh's normal form.
#[derive(Debug)]
enum Expected {
    /// These words, all of them.
    Words(BTreeSet<String>),
    /// One of these words: the client shows one, whichever comes first.
    One(BTreeSet<String>),
}

impl Expected {
    fn accepts(&self, answer: &str) -> bool {
        let words: BTreeSet<String> = answer.split_whitespace().map(str::to_owned).collect();
        match self {
            Self::Words(expected) => words == *expected,
            Self::One(expected) => words.len() == 1 && words.is_subset(expected),
        }
    }
}

impl Fact {
    /// Whether a server says so; else what it says.
    fn holds(&self, namespace: &Namespace<'_>, server: SocketAddr) -> Result<(), Box<Answer>> {
        let yes = |answer: Answer, right: bool| if right { Ok(()) } else { Err(Box::new(answer)) };
        match self {
            Self::Addresses { short, addresses } => {
                for (record_type, ipv6) in [(RecordType::A, false), (RecordType::AAAA, true)] {
                    let answer = ask(server, &namespace.full(short), record_type);
                    let wanted = of_family(addresses, ipv6);
                    let right = answer.rcode == ResponseCode::NoError && answer.addresses() == wanted;
                    yes(answer, right)?;
                }
                Ok(())
            }
            Self::Absent { short, .. } => {
                let answer = ask(server, &namespace.full(short), RecordType::A);
                let right = answer.rcode == ResponseCode::NXDomain;
                yes(answer, right)
            }
            Self::Surprising { short, record_type, .. } | Self::Whole { short, record_type } => {
                let answer = ask(server, &namespace.full(short), *record_type);
                let right = !answer.answers.is_empty();
                yes(answer, right)
            }
            Self::Services { short, port, targets } => {
                let answer = ask(server, &namespace.full(short), RecordType::SRV);
                let wanted = targets.iter().map(|(target, _)| (target.clone(), *port)).collect();
                let right = answer.services() == wanted && answer.glue() == *targets;
                yes(answer, right)
            }
            Self::Pointers { address, names } => {
                let answer = ask(server, &reverse_name(*address), RecordType::PTR);
                let right = answer.pointers() == *names;
                yes(answer, right)
            }
            Self::Unnamed { address } => {
                let answer = ask(server, &reverse_name(*address), RecordType::PTR);
                let right = answer.rcode == ResponseCode::NXDomain;
                yes(answer, right)
            }
        }
    }

    /// What of its answers is told: why each empty one is empty, and nothing of one that is whole.
    fn whys(&self, namespace: &Namespace<'_>) -> Vec<Why> {
        match self {
            Self::Addresses { short, addresses } => [RecordType::A, RecordType::AAAA]
                .map(|record_type| {
                    let (name, ipv6) = (namespace.full(short), record_type == RecordType::AAAA);
                    if of_family(addresses, ipv6).is_empty() {
                        Why::empty(name, record_type)
                    } else {
                        Why::nothing(name, record_type)
                    }
                })
                .into(),
            Self::Absent { short, why } => vec![Why::absent(namespace.full(short), RecordType::A, why)],
            Self::Surprising { short, record_type, why } => {
                vec![Why::surprising(namespace.full(short), *record_type, why)]
            }
            Self::Whole { short, record_type } => vec![Why::nothing(namespace.full(short), *record_type)],
            // Whether the targets' names surprise the scenario says.
            Self::Services { .. } => Vec::new(),
            Self::Pointers { address, .. } => vec![Why::nothing(reverse_name(*address), RecordType::PTR)],
            Self::Unnamed { address } => {
                vec![Why::absent(
                    reverse_name(*address),
                    RecordType::PTR,
                    &["no Service and no", "has this address"],
                )]
            }
        }
    }

    /// The questions to clients, and what each must say.
    fn for_clients(&self, namespace: &Namespace<'_>) -> Vec<(ClientQuestion, Expected)> {
        let mut all = Vec::new();
        let mut expect = |clients: &[&'static str], record_type, name: &str, words: &BTreeSet<String>| {
            for client in clients {
                let one = *client == "ping" || *client == "getent" && record_type == "PTR";
                let words = words.clone();
                let expected = if one { Expected::One(words) } else { Expected::Words(words) };
                all.push(((*client, record_type, name.to_owned()), expected));
            }
        };
        let says = |word: &str| BTreeSet::from([word.to_owned()]);
        match self {
            Self::Addresses { short, addresses } => {
                let full = namespace.full(short);
                for (record_type, ipv6) in [("A", false), ("AAAA", true)] {
                    let words: BTreeSet<String> =
                        of_family(addresses, ipv6).iter().map(IpAddr::to_string).collect();
                    if words.is_empty() {
                        expect(&["node"], record_type, &full, &says("NODATA"));
                        continue;
                    }
                    // busybox's nslookup does not search dotted short names: full ones with it.
                    expect(&["dig", "nslookup", "go", "node"], record_type, &full, &words);
                    expect(&["getent", "go", "node-lookup"], record_type, short, &words);
                    if !ipv6 {
                        expect(&["ping"], record_type, short, &words);
                    }
                }
            }
            Self::Absent { short, .. } => {
                let full = namespace.full(short);
                expect(&["dig", "nslookup", "node"], "A", &full, &says("NXDOMAIN"));
                expect(&["go"], "A", &full, &says("NONE"));
                expect(&["getent", "ping"], "A", short, &says("NONE"));
            }
            Self::Services { short, port, targets } => {
                let words = targets.iter().map(|(target, _)| format!("{port}:{target}")).collect();
                expect(&["dig", "nslookup", "go", "node"], "SRV", &namespace.full(short), &words);
            }
            Self::Pointers { address, names } => {
                expect(&["dig", "getent"], "PTR", &address.to_string(), names);
            }
            Self::Unnamed { address } => {
                expect(&["dig"], "PTR", &address.to_string(), &says("NXDOMAIN"));
                expect(&["getent"], "PTR", &address.to_string(), &says("NONE"));
            }
            Self::Surprising { .. } | Self::Whole { .. } => {}
        }
        all
    }
}

fn of_family(addresses: &BTreeSet<IpAddr>, ipv6: bool) -> BTreeSet<IpAddr> {
    addresses.iter().copied().filter(|address| address.is_ipv6() == ipv6).collect()
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { short, addresses } => write!(f, "{short} has {addresses:?}"),
            Self::Absent { short, .. } => write!(f, "{short} is not there"),
            Self::Surprising { short, record_type, .. } | Self::Whole { short, record_type } => {
                write!(f, "{short} has a {record_type} record")
            }
            Self::Services { short, port, targets } => write!(f, "SRV of {short}: {port} at {targets:?}"),
            Self::Pointers { address, names } => write!(f, "{address} is {names:?}"),
            Self::Unnamed { address } => write!(f, "{address} is nobody's"),
        }
    }
}
