//! Holds an answer against the script's, whole, and shows where they differ.

use super::query::Query;
use super::reply::Reply;
use super::script::{Expected, Mode, Section};

const TITLES: [&str; 3] = ["ANSWER", "AUTHORITY", "ADDITIONAL"];

/// What is wrong with this reply, a line each; nothing where it is as written.
pub(crate) fn differences(query: &Query, udp: bool, expected: &Expected, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut text = |what: &str, want: &str, got: &str| {
        if want != got {
            wrong.push(format!("- {what}: {want}"));
            wrong.push(format!("+ {what}: {got}"));
        }
    };
    text(";; status", &expected.status, &reply.status);
    text(";; flags", &expected.flags.join(" "), &reply.flags.join(" "));
    let id = query.bytes.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
    text(";; id", &id.to_string(), &reply.id.to_string());
    let opcode = query.bytes.get(2).map_or(0, |flags| flags >> 3 & 15);
    text(";; opcode", &opcode.to_string(), &reply.opcode.to_string());
    let none = || "none".to_string();
    text(";; OPT", &expected.opt.clone().unwrap_or_else(none), &reply.opt.clone().unwrap_or_else(none));
    let asked = || query.question.iter().cloned().collect();
    let question = expected.question.clone().unwrap_or_else(asked);
    if question != reply.question {
        wrong.extend(question.iter().map(|q| format!("- ;; QUESTION {q}")));
        wrong.extend(reply.question.iter().map(|q| format!("+ ;; QUESTION {q}")));
    }
    for ((title, section), records) in TITLES.iter().zip(&expected.sections).zip(&reply.sections) {
        wrong.extend(section_differences(title, section, records));
    }
    wrong.extend(ede_differences(&expected.ede, &reply.ede));
    if !reply.other_options.is_empty() {
        wrong.push(format!("+ EDNS options {:?}", reply.other_options));
    }
    if udp && reply.size > query.limit {
        wrong.push(format!("+ {} octets over UDP, where {} are allowed", reply.size, query.limit));
    }
    wrong
}

/// What is wrong with the order of several answers to one question, all of which hold the same records.
pub(crate) fn order_differences(title: &str, mode: Mode, answers: &[Vec<String>]) -> Vec<String> {
    let step = |pair: &[Vec<String>]| {
        let mut further = pair[0].clone();
        further.rotate_left(1);
        further == pair[1]
    };
    match mode {
        Mode::Rotating => {
            let starts = answers.windows(2).enumerate().filter(|(_, pair)| !step(pair));
            starts.map(|(i, pair)| stuck(title, i, pair)).collect()
        }
        Mode::Shuffled => {
            let rotated = |answer: &Vec<String>| {
                let doubled: Vec<_> = answers[0].iter().chain(&answers[0]).collect();
                doubled.windows(answer.len()).any(|turn| turn.iter().copied().eq(answer))
            };
            if answers.iter().all(rotated) {
                vec![format!(
                    "- ;; {title}: {} answers, and none beyond a rotation of the first",
                    answers.len()
                )]
            } else {
                Vec::new()
            }
        }
        Mode::Whole | Mode::InOrder | Mode::Some(_) | Mode::AtLeast(_) => Vec::new(),
    }
}

fn stuck(title: &str, index: usize, pair: &[Vec<String>]) -> String {
    let [first, second] = [&pair[0], &pair[1]].map(|answer| answer.join("\n    "));
    let (i, j) = (index + 1, index + 2);
    format!("- ;; {title}: answer {j} starts one further than answer {i}\n+   {first}\n  then\n    {second}")
}

fn section_differences(title: &str, section: &Section, got: &[String]) -> Vec<String> {
    let want = &section.records;
    let mut missing: Vec<&String> = want.iter().collect();
    let mut unexpected = Vec::new();
    for record in got {
        match missing.iter().position(|wanted| is_same(wanted, record)) {
            Some(at) => {
                missing.remove(at);
            }
            None => unexpected.push(record),
        }
    }
    let mut wrong: Vec<String> = unexpected.iter().map(|r| format!("+ ;; {title}  {r}")).collect();
    let count = |least: bool, number: usize| {
        let least = if least { "at least " } else { "" };
        format!("- ;; {title}: {least}{number} of {}\n+ ;; {title}: {}", want.len(), got.len())
    };
    match section.mode {
        Mode::Some(number) if number != got.len() => wrong.push(count(false, number)),
        Mode::AtLeast(number) if number > got.len() => wrong.push(count(true, number)),
        Mode::Some(_) | Mode::AtLeast(_) => {}
        Mode::InOrder if missing.is_empty() && unexpected.is_empty() => {
            if !want.iter().zip(got).all(|(w, g)| is_same(w, g)) {
                wrong.push(format!("- ;; {title}, in this order:"));
                wrong.extend(want.iter().map(|r| format!("-   {r}")));
                wrong.extend(got.iter().map(|r| format!("+   {r}")));
            }
        }
        Mode::Whole | Mode::InOrder | Mode::Rotating | Mode::Shuffled => {
            wrong.extend(missing.iter().map(|r| format!("- ;; {title}  {r}")));
        }
    }
    wrong
}

/// Same, but for the word SERIAL, which stands for any serial of a SOA record.
fn is_same(want: &str, got: &str) -> bool {
    if want == got {
        return true;
    }
    let (want, got): (Vec<_>, Vec<_>) = (want.split(' ').collect(), got.split(' ').collect());
    let serial = want.get(6) == Some(&"SERIAL") && want.get(3) == Some(&"SOA");
    serial && want.len() == got.len() && want.iter().zip(&got).enumerate().all(|(i, (w, g))| i == 6 || w == g)
}

fn ede_differences(want: &[(u16, Option<String>)], got: &[(u16, String)]) -> Vec<String> {
    let same = |(w, text): &(u16, Option<String>), (g, got): &(u16, String)| {
        w == g && text.as_ref().is_none_or(|text| text == got)
    };
    if want.len() == got.len() && want.iter().zip(got).all(|(w, g)| same(w, g)) {
        return Vec::new();
    }
    let wanted = want.iter().map(|(code, text)| match text {
        Some(text) => format!("- ;; EDE: {code} ({text})"),
        None => format!("- ;; EDE: {code}"),
    });
    wanted.chain(got.iter().map(|(code, text)| format!("+ ;; EDE: {code} ({text})"))).collect()
}
