//! The lints: that each has its page and each page its lint, that what a page shows is found, and that sound manifests
//! are not spoken of.

mod charts;
mod odd;
mod pages;
mod shipped;

use std::path::Path;

use rollcall::config::{Config, Typed, TypedSource};
use rollcall::run::linting::{Checked, Linting, check};

/// What `rollcall check` gives for a file or folder, and a Corefile.
fn checked(manifests: &Path, corefile: Option<&Path>) -> Checked {
    let manifests = Some(manifests.to_str().unwrap().to_owned());
    let typed = Typed { source: TypedSource { manifests, ..TypedSource::default() }, ..Typed::default() };
    let linting = Linting { corefile: corefile.map(Into::into), ..Linting::default() };
    check(&Config::resolve(typed).unwrap(), &linting).unwrap()
}

/// The same of texts.
fn checked_text(yaml: &str, corefile: Option<&str>) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    checked(&write("web.yaml", yaml), corefile.map(|text| write("Corefile", text)).as_deref())
}

/// The ids that were found, each with its object.
fn found(checked: &Checked) -> Vec<(&'static str, String)> {
    checked.findings.iter().map(|finding| (finding.lint.id, finding.object.to_string())).collect()
}
