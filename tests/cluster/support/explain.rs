//! `rollcall explain`, run as people run it.

use std::process::Output;

use serde_json::Value;

use super::programs::{rollcall_command, rollcall_program};

/// Runs it with these arguments.
pub(crate) fn explain(arguments: &[&str]) -> Output {
    rollcall_command(&rollcall_program()).arg("explain").args(arguments).output().expect("rollcall starts")
}

/// What it prints with `--output json`, and the code it exits with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explained {
    pub(crate) exit_code: Option<i32>,
    pub(crate) document: Value,
}

impl Explained {
    /// Runs it with these arguments; its standard error where it has nothing to print.
    pub(crate) fn of(arguments: &[&str]) -> Result<Self, String> {
        let output = explain(&[arguments, &["--output", "json"]].concat());
        let document = serde_json::from_slice(&output.stdout).map_err(|error| {
            format!("{error}, exit {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        })?;
        Ok(Self { exit_code: output.status.code(), document })
    }

    /// What was found at the step of this id, with what was looked at; None where the way has no such step.
    pub(crate) fn step(&self, id: &str) -> Option<(&str, &str)> {
        let step = self.document["steps"].as_array()?.iter().find(|step| step["id"] == id)?;
        Some((step["looked_at"].as_str()?, step["found"].as_str()?))
    }
}

/// The code and the sentence of each reason of an explanation, of the command or of the API.
pub(super) fn reasons(document: &Value) -> Vec<(u16, String)> {
    let reasons = document["reasons"].as_array().into_iter().flatten().map(|reason| {
        let code = reason["code"].as_u64().and_then(|code| code.try_into().ok());
        (code.unwrap_or(u16::MAX), reason["sentence"].as_str().unwrap_or_default().to_owned())
    });
    reasons.collect()
}
