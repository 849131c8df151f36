//! The API: each path, each field, as docs/openapi.json describes them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Shown, cluster};
use crate::behaviour::asking::eventually;
use crate::behaviour::manifests::{nginx, stateful};
use crate::support::openapi::OpenApi;
use crate::support::scrape::{local, request_with};

fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[test]
fn every_path_answers_as_it_is_described() {
    let shown = Shown::local(&cluster());
    let mut api = OpenApi::read();
    let mut asked = BTreeSet::new();
    let mut get = |path: &str, target: &str| {
        asked.insert(path.to_owned());
        let answer = local(shown.admin, target);
        assert_eq!(answer.headers["content-type"], "application/json", "{target}");
        api.check(path, answer.code, &answer.body)
    };
    let sets = get("/api/v1/sets", "/api/v1/sets");
    let names: Vec<&str> =
        sets["sets"].as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lost", "web"]);
    let web = get("/api/v1/sets/{namespace}/{name}", "/api/v1/sets/default/web");
    let cells: Vec<(u64, &str, bool)> = web["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| {
            (cell["ordinal"].as_u64().unwrap(), cell["state"].as_str().unwrap(), cell["expected"] == true)
        })
        .collect();
    assert_eq!(
        cells,
        [
            (0, "ready", true),
            (1, "not ready", true),
            (2, "terminating", true),
            (3, "missing", true),
            (9, "terminating", false)
        ]
    );
    assert_eq!(at(&web, "/cells/0/addresses"), &serde_json::json!(["10.244.0.5", "fd00::5"]));
    assert_eq!(at(&web, "/cells/1/dns"), "web-1.nginx.default.svc.cluster.local");
    assert_eq!(
        (&web["ready"], &web["replicas"], &web["service_kind"]),
        (&1.into(), &4.into(), &"headless".into())
    );
    let lost = get("/api/v1/sets/{namespace}/{name}", "/api/v1/sets/default/lost");
    assert_eq!((&lost["service"], &lost["service_kind"]), (&"gone".into(), &Value::Null));
    get("/api/v1/sets/{namespace}/{name}", "/api/v1/sets/default/no");

    let services = get("/api/v1/services", "/api/v1/services?namespace=default&limit=9");
    let kinds: Vec<&str> =
        services["services"].as_array().unwrap().iter().map(|s| s["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["external-name", "headless", "cluster-ip"]);
    let service = get("/api/v1/services/{namespace}/{name}", "/api/v1/services/default/nginx");
    assert_eq!(
        [&service["ready"], &service["not_ready"], &service["terminating"]],
        [&2, &1, &2].map(|n: &i32| Value::from(*n)).each_ref()
    );
    get("/api/v1/services/{namespace}/{name}", "/api/v1/services/default/no");

    let explained = get("/api/v1/explain", "/api/v1/explain?name=web-0.nginx.default&type=SRV");
    assert_eq!((&explained["code"], &explained["answered"]), (&"NOERROR".into(), &true.into()));
    assert_eq!(at(&explained, "/answers/0/type"), "SRV");
    let absent = get("/api/v1/explain", "/api/v1/explain?name=web-1.nginx.default.svc.cluster.local");
    assert_eq!((&absent["code"], &absent["ttl"]), (&"NXDOMAIN".into(), &0.into()));
    assert_eq!(at(&absent, "/reasons/0/id"), "not-ready");
    let sentence = "web-1 is not ready: slice nginx-ipv4 has it at 10.244.0.6, ready=false";
    assert_eq!(
        (at(&absent, "/reasons/0/sentence"), at(&absent, "/reasons/0/code")),
        (&sentence.into(), &0.into())
    );
    // In the words that a client is told.
    // As a client asks, with RD=1: there is no upstream that its target is looked up at.
    let alias = get("/api/v1/explain", "/api/v1/explain?name=ext.default");
    assert_eq!(
        (at(&alias, "/answers/0/type"), at(&alias, "/reasons/0/id")),
        (&"CNAME".into(), &"alias-not-followed".into())
    );
    let foreign = get("/api/v1/explain", "/api/v1/explain?name=example.org.");
    assert_eq!(foreign["code"], "REFUSED");
    assert_eq!(at(&foreign, "/reasons/0/code"), 20);
    assert_eq!(at(&foreign, "/reasons/0/sentence"), "not within the zones served here");
    for bad in ["", "?name=a..b", "?name=a&type=NOPE", &format!("?name={}", "x".repeat(1025))] {
        let answer = get("/api/v1/explain", &format!("/api/v1/explain{bad}"));
        assert!(answer["error"].is_string());
    }
    for bad in ["limit=0", "limit=1001", "limit=x", "after=x"] {
        assert!(get("/api/v1/sets", &format!("/api/v1/sets?{bad}"))["error"].is_string());
        assert!(get("/api/v1/services", &format!("/api/v1/services?{bad}"))["error"].is_string());
    }

    let zone = get("/api/v1/zone", "/api/v1/zone");
    assert_eq!((&zone["zone"], at(&zone, "/objects/stateful_sets")), (&"cluster.local".into(), &2.into()));
    let health = get("/api/v1/health", "/api/v1/health");
    assert_eq!((&health["status"], &health["source"]), (&"ok".into(), &"manifests".into()));
    let changes = get("/api/v1/changes", "/api/v1/changes");
    assert_eq!((&changes["changes"], &changes["gap"]), (&serde_json::json!([]), &false.into()));
    assert_eq!(
        get("/api/v1/changes", "/api/v1/changes?limit=x")["error"],
        "limit is not a number from 1 to 1000"
    );

    // A change of each kind.
    shown.write(
        "web.yaml",
        &cluster()
            .replace("replicas: 4", "replicas: 5")
            .replace("ready: false, terminating: false", "ready: true, terminating: false"),
    );
    shown.write("more.yaml", &stateful("db", "db", 1));
    let set = eventually("the change of web", || {
        let changes = get("/api/v1/changes", "/api/v1/changes");
        let all = changes["changes"].as_array().unwrap().clone();
        let kinds: Vec<&str> = all.iter().map(|change| change["kind"].as_str().unwrap()).collect();
        let web = all.iter().find(|change| change["set"] == "web").cloned();
        web.filter(|_| kinds.contains(&"service")).ok_or(format!("{all:?}"))
    });
    assert_eq!(set["text"], "StatefulSet web: 4 → 5 replicas; web-1 is ready at 10.244.0.6");
    assert_eq!(set["replicas"][0]["from"], "not ready");
    assert!(set["took_ms"].as_f64().unwrap() > 0.0 && set["changed_at"].is_null());
    let turned = get("/api/v1/sets/{namespace}/{name}", "/api/v1/sets/default/web");
    assert_eq!(at(&turned, "/cells/1/since"), &set["published_at"]);
    let unknown = get("/api/v1/changes", "/api/v1/changes?after=other-7");
    assert_eq!(unknown["gap"], true);
    let none =
        get("/api/v1/changes", &format!("/api/v1/changes?after={}", unknown["last"].as_str().unwrap()));
    assert_eq!((&none["changes"], &none["gap"]), (&serde_json::json!([]), &false.into()));

    let openapi = local(shown.admin, "/api/v1/openapi.json");
    assert_eq!(serde_json::from_str::<Value>(&openapi.body).unwrap(), *api.document());
    // Watch is seen before an API server (tests/it/api/page.rs).
    let unseen = api.unseen(&[
        "Sets",
        "Set",
        "Cell",
        "Services",
        "Service",
        "Port",
        "Changes",
        "Change",
        "Turn",
        "Health",
        "Snapshot",
        "Zone",
        "Objects",
        "Explanation",
        "Reason",
        "Record",
        "Error",
    ]);
    let elsewhere =
        ["Sets.next", "Services.next", "Change.changed_at", "Health.stale_seconds", "Snapshot.written_at"];
    assert_eq!(
        unseen.iter().filter(|field| !elsewhere.contains(&field.as_str())).collect::<Vec<_>>(),
        [""; 0]
    );
    let others = ["/api/v1/events", "/api/v1/openapi.json"].map(str::to_owned);
    asked.extend(others);
    assert_eq!(asked, api.paths(), "each path is described and asked for");
    let nothing = local(shown.admin, "/api/v1/nothing");
    assert_eq!(nothing.code, 404);
    api.check_named("Error", &serde_json::from_str(&nothing.body).unwrap());
}

#[test]
fn pages_follow_each_other_and_an_answer_that_is_known_is_not_sent_again() {
    let all: Vec<String> = ["c", "a", "b"].iter().map(|name| stateful(name, name, 1)).collect();
    let shown = Shown::local(&crate::behaviour::manifests::documents(&all));
    let mut api = OpenApi::read();
    for (path, key) in [("/api/v1/sets", "sets"), ("/api/v1/services", "services")] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let answer = local(shown.admin, &format!("{path}?limit=2{after}"));
            let page = api.check(path, answer.code, &answer.body);
            assert_eq!(page["total"], 3);
            seen.extend(
                page[key].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={}", next.replace('/', "%2F"));
        }
        assert_eq!(seen, ["a", "b", "c"]);
    }
    assert_eq!(api.unseen(&["Sets", "Services"]), [""; 0]);
    let tag = local(shown.admin, "/api/v1/sets").headers["etag"].clone();
    let again = |tag: &str| {
        let headers = format!("host: {}\r\nif-none-match: \"x\", W/{tag}\r\n", shown.admin);
        request_with(shown.admin, "GET", "/api/v1/sets", &headers)
    };
    assert_eq!((again(&tag).code, again(&tag).body.as_str()), (304, ""));
    shown.write("d.yaml", &nginx(1));
    eventually("another answer", || {
        let answer = again(&tag);
        if answer.code == 200 && answer.headers["etag"] != tag {
            Ok(())
        } else {
            Err(answer.code.to_string())
        }
    });
}

#[test]
fn a_thousand_sets_are_a_page() {
    let all: Vec<String> =
        (0..1000).map(|n| stateful(&format!("s{n:04}"), &format!("w{n:04}"), 20)).collect();
    let shown = Shown::start(&crate::behaviour::manifests::documents(&all), "", "127.0.0.1:0");
    let start = std::time::Instant::now();
    let answer = local(shown.admin, "/api/v1/sets?limit=1000");
    let elapsed = start.elapsed();
    let sets: Value = serde_json::from_str(&answer.body).unwrap();
    let sets = sets["sets"].as_array().unwrap();
    let incomplete = sets.iter().find(|set| set["ready"] != 20);
    assert_eq!((sets.len(), incomplete), (1000, None));
    println!("1,000 sets of 20 in {elapsed:?}, {} octets of JSON", answer.body.len());
    let page = local(shown.admin, "/");
    assert_eq!(page.body.matches("data-set=").count(), 1000);
    println!("and as a page of {} octets", page.body.len());
}
