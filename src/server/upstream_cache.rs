//! What the upstream said and may be said again for a while: bounded by answers and by octets, whoever asks for what.
//!
//! hickory-resolver's own cache is bounded by answers alone, and one of 64 KiB is a megabyte there: its records are kept
//! apart. Here an answer is kept as it would be sent.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{RData, Record};

use super::upstream::Said;

/// The longest that an answer is kept, whatever it says.
const LONGEST: u32 = 86_400;
/// Octets of an answer's keeping, beside its own and its name's: the map's, the order's and the allocator's.
const KEEPING: usize = 256;

/// Answers by question.
pub(super) struct Answers {
    most: u64,
    most_octets: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_question: HashMap<Arc<Query>, Answer>,
    /// Each once, the next to go in front.
    order: VecDeque<Arc<Query>>,
    octets: usize,
}

struct Answer {
    message: Box<[u8]>,
    since: Instant,
    until: Instant,
    /// Asked for again, since it came or since it was spared.
    used: bool,
}

impl Answers {
    pub(super) fn new(most: u64, most_octets: usize) -> Self {
        Self { most, most_octets, kept: Mutex::default() }
    }

    /// What is remembered of a question, its times to live less the time since.
    pub(super) fn get(&self, question: &Query, now: Instant) -> Option<Said> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is over keeps its place, where the next answer comes.
        let answer = kept.by_question.get_mut(question).filter(|answer| now < answer.until)?;
        answer.used = true;
        let (message, age) = (answer.message.clone(), now.saturating_duration_since(answer.since));
        drop(kept);
        let message = Message::from_vec(&message).ok()?;
        let age = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        let aged = |mut record: Record| {
            record.ttl = record.ttl.saturating_sub(age);
            record
        };
        Some(Said {
            code: message.metadata.response_code,
            answers: message.answers.into_iter().map(aged).collect(),
            soa: message.authorities.into_iter().next().map(aged),
        })
    }

    /// Remembers an answer for as long as all of it may be.
    pub(super) fn insert(&self, question: Query, said: &Said, now: Instant) {
        let Some(until) = ttl(said).and_then(|ttl| now.checked_add(ttl)) else { return };
        let mut message = Message::response(0, hickory_proto::op::OpCode::Query);
        message.metadata.response_code = said.code;
        message.answers.clone_from(&said.answers);
        message.authorities.extend(said.soa.clone());
        let Ok(message) = message.to_vec() else { return };
        let answer = Answer { message: message.into(), since: now, until, used: false };
        if self.most == 0 || weight(&question, &answer) > self.most_octets {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(question, answer);
        while kept.by_question.len() as u64 > self.most || kept.octets > self.most_octets {
            if !kept.evict() {
                break;
            }
        }
    }

    /// Answers and octets that are kept.
    pub(super) fn counts(&self) -> (usize, usize) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.by_question.len(), kept.octets)
    }
}

impl Kept {
    fn insert(&mut self, question: Query, answer: Answer) {
        self.octets += weight(&question, &answer);
        if let Some(before) = self.by_question.get_mut(&question) {
            self.octets -= weight(&question, before);
            *before = answer;
        } else {
            let question = Arc::new(question);
            self.order.push_back(Arc::clone(&question));
            self.by_question.insert(question, answer);
        }
    }

    /// Lets one go: the first that nobody asked for again. Who asks for a thousand types of a name takes no room from the
    /// answers that are of use.
    fn evict(&mut self) -> bool {
        while let Some(question) = self.order.pop_front() {
            match self.by_question.get_mut(&*question) {
                Some(answer) if answer.used => {
                    answer.used = false;
                    self.order.push_back(question);
                }
                _ => {
                    let gone = self.by_question.remove(&*question);
                    self.octets -= gone.map_or(0, |answer| weight(&question, &answer));
                    return true;
                }
            }
        }
        false
    }
}

fn weight(question: &Query, answer: &Answer) -> usize {
    answer.message.len() + question.name().len() + KEEPING
}

/// For how long an answer may be remembered (RFC 2308, section 5, for those that say no); None is not at all.
fn ttl(said: &Said) -> Option<Duration> {
    let soa = said.soa.as_ref().map(|soa| match &soa.data {
        RData::SOA(data) => soa.ttl.min(data.minimum),
        _ => 0,
    });
    // Nothing says for how long a no without SOA holds.
    if said.code != ResponseCode::NoError && soa.is_none() {
        return None;
    }
    let seconds = said.answers.iter().map(|record| record.ttl).chain(soa).min()?.min(LONGEST);
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::str::FromStr as _;

    use hickory_proto::rr::rdata::{A, SOA};
    use hickory_proto::rr::{Name, RecordType};

    use super::*;

    fn mk_question(name: &str) -> Query {
        Query::query(Name::from_str(name).unwrap(), RecordType::A)
    }

    fn mk_said(name: &str, records: u32, ttl: u32) -> Said {
        let name = Name::from_str(name).unwrap();
        let a = |n: u32| Record::from_rdata(name.clone(), ttl, RData::A(A(Ipv4Addr::from_bits(n))));
        Said { code: ResponseCode::NoError, answers: (0..records).map(a).collect(), soa: None }
    }

    #[test]
    fn an_answer_is_said_again_while_it_lives_and_its_times_run() {
        let (answers, now) = (Answers::new(10, 1 << 20), Instant::now());
        let question = mk_question("www.example.org.");
        answers.insert(question.clone(), &mk_said("www.example.org.", 3, 30), now);
        let later = |seconds| now + Duration::from_secs(seconds);
        let said = answers.get(&mk_question("WWW.example.org."), later(12)).unwrap();
        assert_eq!(said.answers.len(), 3);
        assert!(said.answers.iter().all(|record| record.ttl == 18));
        assert!(answers.get(&question, later(30)).is_none());
        assert!(answers.get(&mk_question("w.example.org."), now).is_none());
        // The next one takes its place.
        answers.insert(question.clone(), &mk_said("www.example.org.", 1, 30), later(30));
        assert_eq!(answers.get(&question, later(31)).unwrap().answers.len(), 1);
        assert_eq!(answers.counts().0, 1);
        assert_eq!(answers.kept.lock().unwrap().order.len(), 1);
    }

    #[test]
    fn a_no_lives_as_its_soa_says_and_without_one_not_at_all() {
        let (answers, now) = (Answers::new(10, 1 << 20), Instant::now());
        let question = mk_question("no.example.org.");
        let mut said = Said { code: ResponseCode::NXDomain, answers: Vec::new(), soa: None };
        answers.insert(question.clone(), &said, now);
        assert!(answers.get(&question, now).is_none());
        let zone = Name::from_str("example.org.").unwrap();
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, 20);
        said.soa = Some(Record::from_rdata(zone, 300, RData::SOA(soa)));
        answers.insert(question.clone(), &said, now);
        let again = answers.get(&question, now + Duration::from_secs(19)).unwrap();
        assert_eq!((again.code, again.soa.unwrap().ttl), (ResponseCode::NXDomain, 281));
        assert!(answers.get(&question, now + Duration::from_secs(20)).is_none());
        // Nor does one that may not be remembered.
        answers.insert(mk_question("zero.example.org."), &mk_said("zero.example.org.", 1, 0), now);
        assert_eq!(answers.counts().0, 1);
    }

    #[test]
    fn neither_many_answers_nor_large_ones_take_more_than_there_is() {
        let now = Instant::now();
        let few = Answers::new(3, 1 << 20);
        for index in 0..100 {
            let name = format!("n{index}.example.org.");
            few.insert(mk_question(&name), &mk_said(&name, 1, 30), now);
            // One is of use.
            assert!(few.get(&mk_question("n0.example.org."), now).is_some(), "{index}");
        }
        assert_eq!(few.counts().0, 3);
        assert!(few.get(&mk_question("n99.example.org."), now).is_some());

        let most = 64 << 10;
        let small = Answers::new(1000, most);
        for index in 0..100 {
            let name = format!("n{index}.example.org.");
            small.insert(mk_question(&name), &mk_said(&name, 500, 30), now);
            assert!(small.counts().1 <= most);
        }
        let (count, octets) = small.counts();
        assert!((4..9).contains(&count) && octets > most / 2, "{count} {octets}");
        // One that is larger than all of it is not kept, and takes nothing away.
        small.insert(mk_question("big.example.org."), &mk_said("big.example.org.", 4500, 30), now);
        assert_eq!(small.counts(), (count, octets));
        Answers::new(0, most).insert(mk_question("a."), &mk_said("a.", 1, 30), now);
        assert_eq!(Answers::new(0, most).counts(), (0, 0));
    }
}
