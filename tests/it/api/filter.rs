//! Namespaces and labels that are left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fake::{Answer, Api};
use super::objects::{PODS, SERVICES, SETS, SLICES, headless, name, of, slice};
use super::program::{Program, until};

fn put(api: &Api, namespace: &str, service: &str, address: &str) {
    api.put(&of(namespace, SERVICES), headless(namespace, service));
    api.put(&of(namespace, SLICES), slice(namespace, service, &[address]));
}

#[test]
fn a_filter_asks_for_its_namespaces_only() {
    let api = Api::start();
    put(&api, "a", "web", "10.0.0.1");
    put(&api, "b", "web", "10.0.0.2");
    let mut program = Program::ready(&api, &["-n", "a,b"], &[("ROLLCALL_PODS", "verified")]);
    assert_eq!(program.addresses(&name("a", "web")), "10.0.0.1");
    assert_eq!(program.addresses(&name("b", "web")), "10.0.0.2");
    assert_eq!(program.addresses(&name("c", "web")), "REFUSED");
    let mut wanted: Vec<String> =
        ["a", "b"].iter().flat_map(|n| [SERVICES, SLICES, SETS, PODS].map(|path| of(n, path))).collect();
    wanted.sort();
    let asked = || {
        let mut paths: Vec<String> = api.all_requests().into_iter().map(|request| request.path).collect();
        paths.sort();
        paths.dedup();
        paths
    };
    until("all are asked for", || asked() == wanted);
    put(&api, "b", "late", "10.0.0.3");
    program.until_addresses(&name("b", "late"), "10.0.0.3");
    assert_eq!(asked(), wanted);
    program.is_well();
}

#[test]
fn a_namespaced_role_denies_what_it_lists_and_no_more() {
    let api = Api::start();
    put(&api, "a", "web", "10.0.0.1");
    let forbidden = Answer::status(403, "Forbidden");
    api.always(&of("a", SETS), forbidden);
    let program = Program::ready(&api, &["-n", "a"], &[]);
    assert_eq!(program.status(&name("a", "none")), "NXDOMAIN");
    assert_eq!(program.status(&name("b", "none")), "REFUSED");
    program.until_readyz(200, &["StatefulSets of namespace a", "403"]);
}

#[test]
fn a_namespace_that_may_not_be_seen_keeps_no_other_waiting() {
    let api = Api::start();
    put(&api, "a", "web", "10.0.0.1");
    put(&api, "b", "web", "10.0.0.2");
    let granted = Arc::new(AtomicBool::new(false));
    let of_rule = Arc::clone(&granted);
    api.rule(&of("b", SLICES), move |_| {
        (!of_rule.load(Ordering::Relaxed)).then(|| Answer::status(403, "Forbidden"))
    });
    let mut program = Program::ready(&api, &["-n", "a,b"], &[]);
    let steady = program.steady(&name("a", "web"), "10.0.0.1");
    assert_eq!(program.status(&name("a", "none")), "NXDOMAIN");
    for service in ["web", "none"] {
        assert_eq!(program.status(&name("b", service)), "REFUSED", "it is not known");
    }
    program.until_readyz(200, &["degraded", "EndpointSlices of namespace b", "403"]);
    granted.store(true, Ordering::Relaxed);
    program.until_addresses(&name("b", "web"), "10.0.0.2");
    assert_eq!(program.status(&name("b", "none")), "NXDOMAIN");
    program.until_readyz(200, &["ok"]);
    steady.held();
    program.is_well();
}

#[test]
fn a_label_selector_is_for_services_only() {
    let api = Api::start();
    api.put_service("a", &["10.0.0.1"]);
    api.rule(SLICES, |request| request.is_streamed().then(|| Answer::status(422, "Invalid")));
    let program = Program::ready(&api, &["--label-selector", "app in (x, y),tier!=back , !old,new"], &[]);
    program.until_addresses(&name("default", "a"), "10.0.0.1");
    until("the watch behind the list", || api.asked(SLICES).len() == 3);
    for path in [SERVICES, SLICES] {
        api.end_watches(path);
    }
    until("every kind of request", || api.asked(SERVICES).len() >= 2 && api.asked(SLICES).len() >= 4);
    for request in api.all_requests() {
        let selector = request.parameter("labelSelector");
        if request.path == SERVICES {
            // Of the API's own grammar: words, `in (…)`, `!=`, `!`, between commas.
            assert_eq!(selector, "app in (x,y),tier!=back,!old,new");
        } else {
            assert!(!request.query.contains_key("labelSelector"), "{request:?}");
        }
    }
}

#[test]
fn another_filter_on_sighup() {
    let api = Api::start();
    for (namespace, address) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        put(&api, namespace, "web", address);
    }
    let granted = Arc::new(AtomicBool::new(false));
    let of_rule = Arc::clone(&granted);
    api.rule(&of("c", SLICES), move |_| {
        (!of_rule.load(Ordering::Relaxed)).then(|| Answer::status(500, "InternalError"))
    });
    let filter = |names: &str| format!("[source]\nnamespaces = [{names}]\n");
    let mut program = Program::ready(&api, &[], &[("config", &filter("'a', 'b'"))]);
    let [a, b, c] = ["a", "b", "c"].map(|namespace| name(namespace, "web"));
    assert_eq!(program.addresses(&a), "10.0.0.1");
    assert_eq!(program.addresses(&c), "REFUSED");
    let steady = [program.steady(&b, "10.0.0.2"), program.steady(&name("b", "none"), "NXDOMAIN")];
    let waits = program.steady(&c, "REFUSED");
    std::fs::write(program.folder.path().join("rollcall.toml"), filter("'b', 'c'")).unwrap();
    program.signal("HUP");
    until("the new namespace is asked for", || api.asked(&of("c", SLICES)).len() >= 3);
    program.until_addresses(&a, "REFUSED");
    let refused = program.steady(&a, "REFUSED");
    until("its Services are there", || api.asked(&of("c", SERVICES)).len() == 1);
    program.until_readyz(200, &["EndpointSlices of namespace c"]);
    // What is denied must be listed first.
    assert_eq!(program.status(&name("c", "none")), "REFUSED");
    put(&api, "b", "late", "10.0.0.7");
    waits.held();
    granted.store(true, Ordering::Relaxed);
    program.until_addresses(&c, "10.0.0.3");
    assert_eq!(program.status(&name("c", "none")), "NXDOMAIN");
    program.until_addresses(&name("b", "late"), "10.0.0.7");
    steady.into_iter().for_each(super::program::Steady::held);
    refused.held();
    program.until_readyz(200, &["ok"]);
    program.is_well();
}

#[test]
fn from_a_filter_to_the_whole_cluster() {
    let api = Api::start();
    for path in [of("b", SERVICES), SERVICES.to_owned()] {
        api.put(&path, headless("b", "web"));
    }
    for path in [of("b", SLICES), SLICES.to_owned()] {
        api.put(&path, slice("b", "web", &["10.0.0.2"]));
    }
    api.put_service("a", &["10.0.0.1"]);
    let mut program = Program::ready(&api, &[], &[("config", "[source]\nnamespaces = ['b']\n")]);
    let b = program.steady(&name("b", "web"), "10.0.0.2");
    assert_eq!(program.addresses(&name("default", "a")), "REFUSED");
    std::fs::write(program.folder.path().join("rollcall.toml"), "").unwrap();
    program.signal("HUP");
    program.until_addresses(&name("default", "a"), "10.0.0.1");
    assert_eq!(program.status(&name("nowhere", "a")), "NXDOMAIN");
    b.held();
    program.is_well();
}

#[test]
fn a_filter_that_goes_and_comes_back_denies_nothing_before_it_is_listed() {
    let api = Api::start();
    put(&api, "a", "web", "10.0.0.1");
    for path in [SERVICES, SLICES, SETS] {
        api.always(&of("c", path), Answer::status(403, "Forbidden"));
    }
    let away = Arc::new(AtomicBool::new(false));
    let of_rule = Arc::clone(&away);
    api.rule(&of("a", SLICES), move |_| {
        of_rule.load(Ordering::Relaxed).then(|| Answer::status(500, "InternalError"))
    });
    let filter = |program: &Program, name: &str| {
        let text = format!("[source]\nnamespaces = ['{name}']\n");
        std::fs::write(program.folder.path().join("rollcall.toml"), text).unwrap();
        program.signal("HUP");
    };
    let mut program = Program::ready(&api, &[], &[("config", "[source]\nnamespaces = ['a']\n")]);
    assert_eq!(program.status(&name("a", "none")), "NXDOMAIN");
    // Somebody wrote another one's name, which the account may not see, and mends it.
    filter(&program, "c");
    program.until_readyz(200, &["Services of namespace c", "EndpointSlices of namespace c", "403"]);
    program.until_addresses(&name("a", "web"), "REFUSED");
    away.store(true, Ordering::Relaxed);
    let asked = api.asked(&of("a", SLICES)).len();
    filter(&program, "a");
    until("the slices are asked for again", || api.asked(&of("a", SLICES)).len() >= asked + 3);
    for service in ["web", "none"] {
        assert_eq!(program.status(&name("a", service)), "REFUSED", "it is not known");
    }
    away.store(false, Ordering::Relaxed);
    program.until_addresses(&name("a", "web"), "10.0.0.1");
    assert_eq!(program.status(&name("a", "none")), "NXDOMAIN");
    program.is_well();
}

#[test]
fn a_limit_that_is_changed_makes_nothing_unknown() {
    let api = Api::start();
    api.put_service("web", &["10.0.0.1"]);
    let pod = serde_json::json!({
        "metadata": {"name": "web-0", "namespace": "default", "uid": "1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]},
    });
    api.put(PODS, pod);
    let mut program = Program::ready(&api, &[], &[("config", "pods = 'verified'\n")]);
    let verified = "10-0-0-1.default.pod.cluster.local";
    program.until_addresses(verified, "10.0.0.1");
    let steady = [program.steady(verified, "10.0.0.1"), program.steady(&name("default", "web"), "10.0.0.1")];
    // The API server is away when somebody turns a knob.
    for path in [PODS, SERVICES, SLICES, SETS] {
        api.always(path, Answer::status(500, "InternalError"));
    }
    let asked = api.asked(PODS).len();
    let text = "pods = 'verified'\n[limits]\nwatch_timeout = 15\n";
    std::fs::write(program.folder.path().join("rollcall.toml"), text).unwrap();
    program.signal("HUP");
    until("pods are asked for again", || api.asked(PODS).len() >= asked + 2);
    steady.into_iter().for_each(super::program::Steady::held);
    program.is_well();
}
