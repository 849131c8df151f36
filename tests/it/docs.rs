//! The docs say what the code does: tables that are made from it, configurations that it accepts.

use std::path::{Path, PathBuf};

use rollcall::config::{AT_NEXT_START, Config, NUMBERS, Typed};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

fn numbers() -> String {
    let mut table =
        String::from("| key | default | from | to | unit | reload | |\n|---|---|---|---|---|---|---|\n");
    for number in NUMBERS {
        let (section, key) = number.key.split_once('.').unwrap();
        table.push_str(&format!(
            "| `[{section}] {key}` | {} | {} | {} | {} | {} | {} |\n",
            number.default,
            number.min,
            number.max,
            number.unit,
            if AT_NEXT_START.contains(&number.key) { "next start" } else { "yes" },
            number.what
        ));
    }
    table
}

/// `ROLLCALL_WRITE_DOCS=1 cargo test --test it docs` writes the table anew.
#[test]
fn the_table_of_numbers_is_the_codes() {
    const START: &str = "<!-- numbers: made from src/config/numbers.rs; `cargo test` compares -->\n";
    const END: &str = "<!-- end of numbers -->";
    let path = root().join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(START).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    if std::env::var_os("ROLLCALL_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{START}{}{END}{after}", numbers())).unwrap();
        return;
    }
    assert_eq!(table, numbers(), "docs/configuration.md is not what src/config/numbers.rs says");
}

#[test]
fn each_key_that_needs_a_restart_has_its_reason() {
    let text = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let reload = text.split("\n## Reload\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = reload.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut keys: Vec<&str> =
        rows.flat_map(|keys| keys.split('`').filter(|part| !part.contains([',', ' ']))).collect();
    keys.retain(|key| !key.is_empty());
    keys.sort_unstable();
    let mut wanted = AT_NEXT_START.to_vec();
    wanted.sort_unstable();
    assert_eq!(keys, wanted, "docs/configuration.md, Reload");
}

#[test]
fn the_configurations_that_we_ship_are_accepted() {
    for file in ["config/demo.toml", "config/rollcall.toml"] {
        let typed = Typed::from_file(&root().join(file)).unwrap();
        Config::resolve(typed).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

#[test]
fn the_production_configuration_says_every_number_with_its_default() {
    let text = std::fs::read_to_string(root().join("config/rollcall.toml")).unwrap();
    let table: toml::Table = toml::from_str(&text).unwrap();
    for number in NUMBERS {
        let (section, key) = number.key.split_once('.').unwrap();
        let value = table.get(section).and_then(|section| section.get(key)).and_then(toml::Value::as_integer);
        assert_eq!(value, i64::try_from(number.default).ok(), "config/rollcall.toml: {}", number.key);
    }
}

#[test]
fn the_readme_begins_with_the_two_commands() {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = text.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<&str> = block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["cargo run --release -- serve --config config/demo.toml", "cargo test"]);
}
