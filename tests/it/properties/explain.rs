//! What `explain` tells never contradicts the answer given at the same serial: over generated clusters and questions.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hickory_proto::rr::RData;
use proptest::prelude::*;
use rollcall::explain::{Beside, CachingKind, Explanation, Question, State, StepId, Verdict, explain};
use rollcall::model::{Object, TtlOverrides};
use rollcall::reasons::Line;
use rollcall::server::Transport;
use rollcall::zone::Reader;

use super::message::{Manner, decode, ensure, packet};
use super::reasons::replicas;
use super::served::{Asked, Served, records_settings};
use super::{Case, case, run, zone as zones};
use crate::generate::Question as Asking;
use crate::oracle::{World, current, qtype};

#[test]
fn no_explanation_contradicts_its_answer() {
    let seen = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    run("explanations", zones().prop_flat_map(case), |case| {
        let mut served = Served::of(&case.cluster, &case.settings, case.variant);
        let cluster = current(&case.cluster);
        let world = World::new(&cluster, &case.settings);
        let below = |name: &String| Asking { name: case.settings.zone.below(name), rtype: qtype::A };
        let replicas = replicas(&cluster);
        let of_replicas = replicas.iter().map(below).filter(|asking| asking.name.is_legal());
        let generated = case.questions.iter().map(|(seed, _)| seed.question(&world, &case.settings.zone));
        for question in generated.chain(of_replicas).collect::<Vec<_>>() {
            holds(&mut served, case, &cluster, &question, &mut seen.borrow_mut())
                .map_err(|why| format!("{question:?}: {why}"))?;
        }
        Ok(())
    });
    let seen = seen.into_inner();
    println!("{seen:?}");
    for what in ["NOERROR", "NXDOMAIN", "REFUSED", "Positive", "Negative", "Expected", "fix", "Good", "Bad"] {
        assert!(seen.contains_key(what), "{what} was never seen: {seen:?}");
    }
}

fn explained(served: &Served, case: &Case, question: &Asking) -> Result<Explanation, String> {
    let typed = match question.name.to_string() {
        text if text.ends_with('.') => text,
        text => format!("{text}."),
    };
    let question =
        Question { typed, rtype: Some(format!("TYPE{}", question.rtype)), namespace: "default".into() };
    let settings = records_settings(&case.settings);
    let reader: &Reader = served.reader();
    let (index, beside) = (served.driver().index(), &Beside::default());
    let state = State { index, reader, settings: &settings, beside, now: SystemTime::UNIX_EPOCH };
    explain(&state, &question).map_err(|error| error.to_string())
}

/// Asks and has it explained, and holds one against the other and against the objects.
fn holds(
    served: &mut Served,
    case: &Case,
    cluster: &[Object],
    question: &Asking,
    seen: &mut BTreeMap<String, u32>,
) -> Result<(), String> {
    let told = explained(served, case, question)?;
    let manner = Manner { id: 0, rd: true, cd: false, edns: Some((1232, false)) };
    let reply = match served.ask(&packet(question, manner), Transport::Tcp) {
        Asked::Reply(reply) | Asked::Chase { reply, .. } => reply,
        Asked::Silence => return Err("silence".into()),
    };
    let reply = decode(&reply)?;

    // The answer, whole.
    let code = reply.metadata.response_code;
    ensure(told.code == code_name(code), || format!("{} for {code:?}", told.code))?;
    let flag = |name: &str| told.flags.iter().any(|flag| flag == name);
    ensure(flag("aa") == reply.metadata.authoritative && flag("tc") == reply.metadata.truncation, || {
        format!("{:?} for {:?}", told.flags, reply.metadata)
    })?;
    let sections = [
        ("answer", &told.answers, &reply.answers),
        ("authority", &told.authority, &reply.authorities),
        ("additional", &told.additional, &reply.additionals),
    ];
    for (name, said, given) in sections {
        // A name that points into the question has the question's letters (RFC 4343, section 4), and which ones
        // do depends on the order: beyond 16,383 octets nothing can be pointed at (RFC 1035, section 4.1.4).
        let line = |name: &str, rest: String| format!("{} {rest}", name.to_ascii_lowercase());
        let mut said: Vec<_> =
            said.iter().map(|r| line(&r.name, format!("{} {} {}", r.ttl, r.rtype, r.data))).collect();
        let mut given: Vec<_> = given
            .iter()
            .map(|r| line(&r.name.to_ascii(), format!("{} {} {}", r.ttl, r.record_type(), data(&r.data))))
            .collect();
        // Where they rotate, each answer begins with another one.
        said.sort();
        given.sort();
        ensure(said == given, || format!("{name}: {said:?} for {given:?}"))?;
    }
    ensure(told.serial == served.reader().serial(), || format!("serial {}", told.serial))?;
    let rtype = hickory_proto::rr::RecordType::from(question.rtype);
    let is_asked = |r: &hickory_proto::rr::Record| rtype == r.record_type() || question.rtype == qtype::ANY;
    let leads_out = told.reasons.iter().any(|said| said.id == "alias-not-followed")
        || told.steps.iter().any(|step| step.found.contains("the upstream is asked"));
    let has = u16::from(code) == 0 && (leads_out || reply.answers.iter().any(is_asked));
    ensure(told.answered == has, || format!("answered={} for {reply:?}", told.answered))?;

    // The reasons, as the answer itself says them.
    let said: Vec<(u16, String)> =
        told.reasons.iter().map(|said| (said.code, Line::of(&said.sentence).as_str().to_owned())).collect();
    let given = extended(&reply);
    ensure(said == given, || format!("{said:?} for {given:?}"))?;
    ensure(told.fixes.iter().all(|fix| told.reasons.iter().any(|said| said.id == fix.reason)), || {
        format!("a fix for no reason: {:?}", told.fixes)
    })?;

    steps(&told)?;
    caching(&told, case, cluster)?;
    let words = told.steps.iter().map(|step| format!("{:?}", step.verdict));
    let kind = format!("{:?}", told.caching.kind);
    let fixes = told.fixes.first().map(|_| "fix".to_owned());
    for word in words.chain([told.code.clone(), kind]).chain(fixes) {
        *seen.entry(word).or_default() += 1;
    }
    Ok(())
}

/// As dig writes it: the strings of a TXT record, of which none needs an escape here, in quotes.
fn data(data: &RData) -> String {
    let RData::TXT(text) = data else { return data.to_string() };
    let strings = text.txt_data.iter().map(|string| format!("\"{}\"", String::from_utf8_lossy(string)));
    strings.collect::<Vec<_>>().join(" ")
}

/// Extended DNS Errors (RFC 8914).
fn extended(reply: &hickory_proto::op::Message) -> Vec<(u16, String)> {
    use hickory_proto::rr::rdata::opt::EdnsOption;

    let options = reply.edns.as_ref().map(|edns| edns.options().as_ref()).unwrap_or_default();
    let errors = options.iter().filter_map(|(_, option)| match option {
        EdnsOption::Unknown(15, data) => {
            let (code, text) = data.split_first_chunk::<2>()?;
            Some((u16::from_be_bytes(*code), String::from_utf8_lossy(text).into_owned()))
        }
        _ => None,
    });
    errors.collect()
}

/// No step says the contrary of the answer.
fn steps(told: &Explanation) -> Result<(), String> {
    let of = |id: StepId, verdict: Verdict| {
        told.steps.iter().find(move |step| step.id == id && step.verdict == verdict)
    };
    let is_there = told.code == "NOERROR";
    let contradiction = |what: &str| Err(format!("{what} beside {}: {:#?}", told.code, told.steps));
    let is_chain = told.answers.iter().any(|record| record.rtype == "CNAME");
    if told.answered != of(StepId::Records, Verdict::Good).is_some() {
        return contradiction("records");
    }
    // Of a chain of aliases the steps are about its first link, and the code about its last.
    if is_chain {
        return Ok(());
    }
    let of_service = told.steps.iter().any(|step| step.id == StepId::Service);
    if is_there && of_service {
        for id in [StepId::Zone, StepId::Namespace, StepId::Service] {
            if of(id, Verdict::Bad).is_some() {
                return contradiction(id.as_str());
            }
        }
    }
    let name = told.name.to_ascii_lowercase();
    let service = told.steps.iter().find(|step| step.id == StepId::Service);
    let service = service.and_then(|step| step.looked_at.strip_prefix("Service ")?.split_once('/'));
    let host = |looked_at: &str| {
        service.is_some_and(|(namespace, service)| {
            name.starts_with(&format!("{looked_at}.{service}.{namespace}.svc."))
        })
    };
    let published = told
        .steps
        .iter()
        .find(|step| step.id == StepId::Endpoint && step.verdict == Verdict::Good && host(&step.looked_at));
    if published.is_some() && !is_there && of_service {
        return contradiction("an endpoint that is published");
    }
    let is_headless =
        told.steps.iter().any(|step| step.facts.get("kind").is_some_and(|kind| kind == "headless"));
    if is_headless && is_there && of(StepId::Slices, Verdict::Bad).is_some() {
        return contradiction("slices without a ready endpoint");
    }
    Ok(())
}

/// The kind that is said is the one whose time the answer has.
fn caching(told: &Explanation, case: &Case, cluster: &[Object]) -> Result<(), String> {
    let caching = &told.caching;
    let is_chain = told.answers.iter().any(|record| record.rtype == "CNAME");
    let kind = match told.code.as_str() {
        "NOERROR" if told.authority.iter().any(|record| record.rtype == "SOA") => CachingKind::Negative,
        "NOERROR" => CachingKind::Positive,
        "NXDOMAIN" => caching.kind,
        _ => CachingKind::None,
    };
    ensure(caching.kind == kind, || format!("{caching:?} for {}", told.code))?;
    let soa = told.authority.iter().find(|record| record.rtype == "SOA").map(|record| record.ttl);
    ensure(caching.soa_ttl == soa, || format!("{caching:?} for an SOA of {soa:?}"))?;
    if let (Some(ttl), Some(minimum)) = (caching.soa_ttl, caching.soa_minimum) {
        let least = told.answers.iter().map(|record| record.ttl).chain([ttl.min(minimum)]).min();
        ensure(caching.seconds == least, || format!("{caching:?}"))?;
    }
    if told.code != "NXDOMAIN" || is_chain || case.settings.negative == case.settings.expected {
        return Ok(());
    }
    let own = overrides(told, case, cluster);
    let wanted = match caching.kind {
        CachingKind::Expected => own.expected.map_or(case.settings.expected, u32::from),
        CachingKind::Negative => own.negative.map_or(case.settings.negative, u32::from),
        other => return Err(format!("NXDOMAIN is remembered as {other:?}")),
    };
    ensure(soa == Some(wanted), || {
        format!("{:?} is {wanted}, and the SOA has {soa:?}: {:#?}", caching.kind, told.steps)
    })
}

/// The annotations of the Service that a name is about.
fn overrides(told: &Explanation, case: &Case, cluster: &[Object]) -> TtlOverrides {
    let name = told.name.to_ascii_lowercase();
    let suffix = format!(".svc.{}", case.settings.zone.to_string().trim_end_matches('.'));
    let Some(front) = name.trim_end_matches('.').strip_suffix(&suffix) else {
        return TtlOverrides::default();
    };
    let labels: Vec<&str> = front.split('.').collect();
    let [.., service, namespace] = labels.as_slice() else { return TtlOverrides::default() };
    let found = cluster.iter().find_map(|object| match object {
        Object::Service(own)
            if own.key.name.as_str() == *service && own.key.namespace.as_str() == *namespace =>
        {
            Some(own.ttl)
        }
        _ => None,
    });
    found.unwrap_or_default()
}

/// A response code as people write it.
fn code_name(code: hickory_proto::op::ResponseCode) -> String {
    match u16::from(code) {
        0 => "NOERROR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        5 => "REFUSED",
        other => return other.to_string(),
    }
    .to_owned()
}
