//! The layers import each other as docs/architecture.md draws them, and every file is reached by a `mod`.

use std::path::{Path, PathBuf};

/// What each layer may import. `cli` and `run` may import all.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &[]),
    ("records", &["model", "wire"]),
    ("reasons", &["model", "records"]),
    ("zone", &["reasons", "records", "wire"]),
    ("cluster", &["model"]),
    ("explain", &["cluster", "model", "reasons", "records", "wire", "zone"]),
    ("source", &["model", "cluster"]),
    ("server", &["reasons", "zone", "wire"]),
    ("admin", &["cluster", "explain", "zone"]),
    ("lints", &[]),
    ("watch", &[]),
    ("peers", &["model", "wire"]),
    ("config", &["admin", "model", "source", "server", "wire", "zone"]),
    (
        "run",
        &[
            "admin", "cluster", "config", "explain", "lints", "model", "reasons", "records", "server",
            "source", "watch", "wire", "zone",
        ],
    ),
    (
        "cli",
        &[
            "admin", "cluster", "config", "explain", "lints", "model", "peers", "reasons", "records", "run",
            "server", "source", "watch", "wire", "zone",
        ],
    ),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The code without comments: links in docs may point anywhere.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The layers that a file's code names, by `crate::layer` or by climbing out of its own with `super`.
fn imported(relative: &Path, code: &str) -> Vec<String> {
    let mut imported = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            imported.extend(group.split(',').map(|part| first_word(part.trim())));
        } else {
            imported.push(first_word(rest));
        }
    }
    // `src/zone/mod.rs` leaves its layer by one `super`, `src/zone/answer.rs` by two.
    let is_root = relative.file_name().is_some_and(|name| name == "mod.rs");
    let depth = relative.components().count() - usize::from(is_root);
    if code.contains(&"super::".repeat(depth)) {
        imported.push(format!("{} out of its layer", "super::".repeat(depth)));
    }
    imported.retain(|layer| !layer.is_empty());
    imported
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every import that no arrow allows.
fn wrong_arrows(relative: &Path, text: &str) -> Vec<String> {
    let layer = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{}: `{layer}` is no layer of docs/architecture.md", relative.display())];
    };
    imported(relative, &code(text))
        .into_iter()
        .filter(|other| other != layer && !allowed.contains(&other.as_str()))
        .map(|other| format!("{}: {layer} may not import {other}", relative.display()))
        .collect()
}

#[test]
fn layers_import_along_the_arrows() {
    let source = source();
    let mut wrong = Vec::new();
    for file in files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        if relative.components().count() > 1 {
            wrong.extend(wrong_arrows(relative, &std::fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_upward_import_is_seen() {
    let seen = |file: &str, text: &str| !wrong_arrows(Path::new(file), text).is_empty();
    assert!(seen("zone/store.rs", "use crate::cluster::Index;"));
    assert!(seen("server/udp.rs", "use crate::{zone::Reader, cluster::Index};"));
    assert!(seen("wire/name.rs", "fn f() -> super::super::model::Label { todo() }"));
    assert!(seen("model/mod.rs", "use super::wire::Name;"));
    assert!(seen("nowhere/mod.rs", ""));
    assert!(!seen(
        "zone/store.rs",
        "//! see crate::cluster::Index\nuse crate::wire::Name;\nuse super::entry::Entry;"
    ));
}

#[test]
fn every_file_is_reached_by_a_mod() {
    let source = source();
    for file in files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let stem = relative.file_stem().unwrap().to_str().unwrap();
        let folder = relative.parent().unwrap();
        let (name, parent) = match stem {
            "lib" | "main" => continue,
            "mod" => {
                let parent = folder.parent().unwrap();
                (folder.file_name().unwrap().to_str().unwrap(), parent)
            }
            _ => (stem, folder),
        };
        let root =
            if parent == Path::new("") { source.join("lib.rs") } else { source.join(parent).join("mod.rs") };
        let text = std::fs::read_to_string(&root).unwrap();
        let declared = [format!("mod {name};"), format!("pub mod {name};")];
        let reached = text.lines().any(|line| declared.iter().any(|d| line.trim() == d));
        assert!(reached, "no `mod {name};` in {}: {} is dead", root.display(), relative.display());
    }
}

#[test]
fn unsafe_code_is_in_one_file() {
    for file in files(&source()) {
        let text = code(&std::fs::read_to_string(&file).unwrap());
        let unsafe_code =
            text.contains("unsafe {") || text.contains("unsafe fn") || text.contains("unsafe impl");
        assert!(!unsafe_code || file.ends_with("server/socket.rs"), "{}", file.display());
    }
}
