//! The page as the server renders it.

use std::collections::BTreeSet;

use super::{Shown, cluster};
use crate::support::scrape::local;

#[test]
fn a_row_has_its_cells_and_the_page_all_of_its_parts() {
    let shown = Shown::local(&cluster());
    let page = local(shown.admin, "/");
    assert_eq!((page.code, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    for part in [
        "data-set=\"default/web\"",
        "1 of 4 ready",
        "<b>0</b><span class=\"vh\"> ready</span><code>10.244.0.5</code><code>fd00::5</code>",
        "<b>1</b> not ready",
        "<b>2</b> terminating",
        "<b>3</b> missing",
        "<b>9</b> terminating, not wanted",
        "<p class=\"why\">web-1 is not ready: slice nginx-ipv4 has it at 10.244.0.6, ready=false</p>",
        "<p class=\"why\">no Service gone in namespace default; StatefulSet lost names it as its serviceName</p>",
        "Service gone is not there",
        "name=\"name\"",
        "Last changes",
        "Health",
    ] {
        assert!(page.body.contains(part), "no {part} in {}", page.body);
    }
    // Nothing of elsewhere, and nothing that the policy would have to allow.
    for never in ["<script>", "style=", "onclick", "http://", "https://"] {
        assert!(!page.body.contains(never), "{never}");
    }
}

#[test]
fn everything_that_a_page_names_is_there() {
    let shown = Shown::local(&cluster());
    let mut seen = BTreeSet::new();
    let mut left = vec!["/".to_owned()];
    while let Some(path) = left.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = local(shown.admin, &path);
        assert_eq!(answer.code, 200, "{path}");
        if path.starts_with("/assets/") {
            assert!(answer.headers["cache-control"].contains("immutable"));
            continue;
        }
        let named = ["href=\"", "src=\""]
            .into_iter()
            .flat_map(|key| answer.body.split(key).skip(1).collect::<Vec<_>>());
        let paths = named.filter_map(|rest| rest.split('"').next()).filter(|path| path.starts_with('/'));
        left.extend(paths.map(|path| path.replace("&amp;", "&")));
    }
    for wanted in
        ["/sets/default/web", "/sets/default/lost", "/explain?name=web-1.nginx.default.svc.cluster.local."]
    {
        assert!(seen.contains(wanted), "{wanted} is not among {seen:?}");
    }
    assert_eq!(seen.iter().filter(|path| path.starts_with("/assets/")).count(), 3);
}

#[test]
fn a_set_and_a_name_have_pages_of_their_own() {
    let shown = Shown::local(&cluster());
    let set = local(shown.admin, "/sets/default/web").body;
    assert!(set.contains("<tr id=\"web-2\">") && set.contains("nginx-ipv4, nginx-ipv6"), "{set}");
    let answered = local(shown.admin, "/explain?name=nginx.default&type=AAAA").body;
    assert!(
        answered.contains("<code>fd00::5</code>") && answered.contains("<option selected>AAAA"),
        "{answered}"
    );
    let absent = local(shown.admin, "/explain?name=web-3.nginx.default").body;
    for part in ["NXDOMAIN</strong>: the name does not exist", "<p class=\"why\">web-3 "] {
        assert!(absent.contains(part), "{absent}");
    }
    let refused = local(shown.admin, "/explain?name=example.org.").body;
    assert!(refused.contains("not within the zones served here"), "{refused}");
    let nonsense = local(shown.admin, "/explain?name=%3Cscript%3E..%22x&type=%3Cb%3E");
    assert_eq!(nonsense.code, 400);
    assert!(!nonsense.body.contains("<script>") && !nonsense.body.contains("<b>"), "{}", nonsense.body);
    assert_eq!(local(shown.admin, "/sets/default/no").code, 404);
    let empty = local(shown.admin, "/?namespace=no").body;
    assert!(empty.contains("There is none."), "{empty}");
}

#[test]
fn the_script_is_given_the_parts_that_changed() {
    let shown = Shown::local(&cluster());
    let live = local(shown.admin, "/live?roomy=true&set=default/web&set=default%2Fno&set=x").body;
    for part in [
        "id=\"numbers\"",
        "id=\"changes\"",
        "id=\"health\"",
        "data-set=\"default/web\"",
        "hidden data-set=\"default/no\"",
    ] {
        assert!(live.contains(part), "no {part} in {live}");
    }
    let page = local(shown.admin, "/").body;
    let row = |text: &str| {
        let start = text.find("<li class=\"set\" data-set=\"default/web\"").unwrap();
        text[start..].split("</div>").nth(1).unwrap().split("</ol>").next().unwrap().to_owned()
    };
    assert_eq!(row(&page), row(&live), "a row is the same in both");
}
