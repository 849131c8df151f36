//! What the page and the API say of a followed cluster: its watches, and since when a change has been on its way.

use serde_json::Value;

use super::fake::Api;
use super::objects::{SERVICES, SLICES, headless, slice};
use super::program::{Program, until};
use crate::support::openapi::OpenApi;
use crate::support::scrape::local;

#[test]
fn watches_are_shown_and_a_change_has_the_time_that_it_was_made_at() {
    let api = Api::start();
    api.put(SERVICES, headless("default", "web"));
    api.put(SLICES, slice("default", "web", &["10.0.0.1"]));
    let program = Program::ready(&api, &[], &[]);
    let mut described = OpenApi::read();
    let health = local(program.admin, "/api/v1/health");
    let health = described.check("/api/v1/health", health.code, &health.body);
    assert_eq!(health["source"], "kubernetes");
    let kinds: Vec<&str> =
        health["watches"].as_array().unwrap().iter().map(|watch| watch["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"Service") && kinds.contains(&"EndpointSlice"), "{kinds:?}");
    let unseen = described.unseen(&["Watch"]);
    assert_eq!(unseen, ["Watch.namespace"], "of all namespaces");
    assert!(local(program.admin, "/").body.contains("Watches of the API server"));

    let mut changed = slice("default", "web", &["10.0.0.2"]);
    let time = jiff::Timestamp::now() - jiff::Span::new().seconds(3);
    changed["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"] =
        time.to_string().into();
    api.put(SLICES, changed);
    let mut seen = Value::Null;
    until("the change", || {
        let changes = local(program.admin, "/api/v1/changes");
        let changes = described.check("/api/v1/changes", changes.code, &changes.body);
        seen = changes["changes"][0].clone();
        !seen.is_null()
    });
    assert_eq!(seen["kind"], "endpoints");
    assert!(seen["changed_at"].is_string() && seen["arrived_at"].is_string(), "{seen}");
    let took = seen["took_ms"].as_f64().unwrap();
    assert!((3000.0..20_000.0).contains(&took), "{took}");
}
