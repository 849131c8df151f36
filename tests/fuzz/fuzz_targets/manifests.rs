//! Any text as a manifest, the whole way to answers: nothing panics, a second reading gives the same, and every
//! line of the master file is what the server answers.

#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData};
use libfuzzer_sys::fuzz_target;
use rollcall::config::Config;
use rollcall::run::offline;
use rollcall::server::{Reply, Responder, Transport};
use rollcall::source::manifests::{Input, Manifests, Progress};
use rollcall::zone::{MasterFile, Part};
use rollcall_fuzz::{configuration, folder, question};

/// Few played pods and short lines: a text that says a billion replicas must not be the slow one.
const CONFIGURATION: &str = r#"
ttl = { positive = 1, negative = 2, expected = 3 }
order = "ordinal"
pods = "verified"
[source]
manifests = "fuzzed.yaml"
[limits]
played_pods = 50
"#;
/// Lines of a zone that are asked for.
const ASKED: usize = 200;

thread_local! {
    static PLACE: (Config, PathBuf, RefCell<Vec<u8>>) = {
        let folder = folder();
        let config = configuration(&folder, CONFIGURATION);
        (config, folder.join("fuzzed.yaml"), RefCell::new(vec![0; 65535]))
    };
}

fuzz_target!(|text: &[u8]| {
    PLACE.with(|(config, file, buffer)| {
        std::fs::write(file, text).expect("the file is written");
        let mut manifests = Manifests::new(Input::Path(file.clone()), config.source.clone());
        let loaded = manifests.load(&Progress::default()).expect("the file is there");
        let again = manifests.load(&Progress::default()).expect("the file is there");
        assert_eq!(loaded.objects, again.objects);
        // Each problem is said in a sentence.
        assert!(loaded.problems.iter().all(|problem| !problem.to_string().is_empty()));
        let offline = offline::load(config).expect("the file is there");
        let mut zone = Vec::new();
        for part in [Part::Cluster, Part::Reverse] {
            MasterFile::new(&offline.reader, part).write(&mut zone).expect("memory is written to");
        }
        let zone = String::from_utf8(zone).expect("a master file is text");
        let mut responder = Responder::new(offline.reader);
        // The first lines and the last: apex, services and pointers.
        let lines: Vec<&str> = zone.lines().collect();
        let (front, back) = lines.split_at(lines.len().min(ASKED / 2));
        for line in front.iter().chain(back.iter().rev().take(ASKED / 2)) {
            is_answered(line, &mut responder, &mut buffer.borrow_mut());
        }
    });
});

fn is_answered(line: &str, responder: &mut Responder, buffer: &mut [u8]) {
    let fields: Vec<&str> = line.split('\t').collect();
    let [owner, ttl, "IN", rtype, data] = fields[..] else { panic!("not a record: {line:?}") };
    let number = match rtype {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        other => panic!("{other} is never served"),
    };
    let name = Name::from_ascii(owner).expect("an owner is a name");
    let reply = responder.respond(&question(&name, number), Transport::Tcp, buffer);
    let Reply::Send(length) = reply else { panic!("{line:?}: {reply:?}") };
    let message = Message::from_vec(&buffer[..length]).expect("a message");
    assert_eq!(message.metadata.response_code, ResponseCode::NoError, "{line:?}");
    let has = message.answers.iter().any(|record| {
        let is_same = said(&record.data).is_none_or(|said| said == data);
        u16::from(record.record_type()) == number && record.ttl.to_string() == ttl && is_same
    });
    assert!(has || message.metadata.truncation, "{line:?} is not in {:?}", message.answers);
}

/// A record's data as a master file has it; None for what is not compared. Names as octets: hickory-proto prints
/// those that begin with `xn--` as the letters they stand for.
fn said(data: &RData) -> Option<String> {
    Some(match data {
        RData::A(address) => address.to_string(),
        RData::AAAA(address) => address.to_string(),
        RData::CNAME(name) => name.0.to_ascii(),
        RData::NS(name) => name.0.to_ascii(),
        RData::PTR(name) => name.0.to_ascii(),
        RData::SRV(srv) => format!("{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.to_ascii()),
        _ => return None,
    })
}
