//! A command that is run for a list: by a shell, or as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Child, ExitStatus, Stdio};
use std::str::FromStr;

/// The most octets of a variable: Linux takes 128 KiB of one string (execve(2), MAX_ARG_STRLEN), the name included.
const MOST: usize = 120_000;

/// A command, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// By this shell: `sh -c`, or what peer-finder takes.
    Shell(&'static str, String),
    /// A program and its arguments, without a shell: `["/bin/reload", "--now"]`.
    Argv(Vec<String>),
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        if !text.trim_start().starts_with('[') {
            return Ok(Self::Shell("sh", text.to_owned()));
        }
        match serde_json::from_str::<Vec<String>>(text) {
            Ok(argv) if argv.first().is_some_and(|program| !program.is_empty()) => Ok(Self::Argv(argv)),
            Ok(_) => Err("names no program".to_owned()),
            Err(error) => Err(format!("begins with [ and is no JSON array of words: {error}")),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(_, line) => f.write_str(line),
            Self::Argv(argv) => f.write_str(&argv.join(" ")),
        }
    }
}

/// Why a command did not do what it was run for.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("cannot be started")]
    Start(#[source] std::io::Error),
    #[error("cannot be waited for")]
    Wait(#[source] std::io::Error),
    #[error("ended with {0}")]
    Failed(ExitStatus),
}

impl CommandError {
    /// The exit code to pass on: that of a command that failed, 1 of one that was killed or never ran.
    pub(super) fn code(&self) -> u8 {
        let code = if let Self::Failed(status) = self { status.code() } else { None };
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }
}

/// What a command is given: a text on its standard input, and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) input: String,
    pub(super) variables: BTreeMap<&'static str, String>,
}

impl Given {
    /// Sets a variable where it is not too long for one: the standard input has all of it.
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        if name.len() + value.len() < MOST {
            self.variables.insert(name, value);
        }
    }
}

impl Command {
    /// Runs it to its end, and blocks for as long.
    ///
    /// What it prints goes to our standard error: our standard output has events, and nothing else.
    pub(super) fn run(&self, given: &Given) -> Result<(), CommandError> {
        let mut child = self.start(given).map_err(CommandError::Start)?;
        if let Some(mut stdin) = child.stdin.take() {
            let input = given.input.clone();
            // A command that does not read it holds up nobody: it ends, and so does the pipe.
            std::thread::spawn(move || {
                let _ = stdin.write_all(input.as_bytes());
            });
        }
        let status = child.wait().map_err(CommandError::Wait)?;
        if status.success() { Ok(()) } else { Err(CommandError::Failed(status)) }
    }

    fn start(&self, given: &Given) -> std::io::Result<Child> {
        let mut command = match self {
            Self::Shell(shell, line) => {
                let mut command = std::process::Command::new(shell);
                command.args(["-c", line]);
                command
            }
            Self::Argv(argv) => {
                let (program, rest) = argv.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
                let mut command = std::process::Command::new(program);
                command.args(rest);
                command
            }
        };
        let stderr = std::io::stderr().as_fd().try_clone_to_owned()?;
        command.stdin(Stdio::piped()).stdout(Stdio::from(stderr)).envs(&given.variables).spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, given: &Given) -> Result<(), CommandError> {
        text.parse::<Command>().unwrap().run(given)
    }

    #[test]
    fn a_line_is_the_shells_and_a_list_is_nobodys() {
        let argv = |words: &[&str]| Ok(Command::Argv(words.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!("a 'b c' | d".parse(), Ok(Command::Shell("sh", "a 'b c' | d".to_owned())));
        assert_eq!(r#" ["a", "b c"]"#.parse(), argv(&["a", "b c"]));
        for text in ["", " ", "[]", r#"[""]"#, "[a]", r#"["a"] b"#] {
            assert!(text.parse::<Command>().is_err(), "{text}");
        }
    }

    #[test]
    fn it_reads_the_list_and_has_the_variables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut given = Given { input: "web-0\nweb-1\n".to_owned(), variables: BTreeMap::new() };
        given.set("ROLLCALL_ADDED", "web-1".to_owned());
        given.set("ROLLCALL_PEERS", "x".repeat(MOST));
        let line = format!("(cat; echo \"$ROLLCALL_ADDED/${{ROLLCALL_PEERS-unset}}\") > {}", path.display());
        run(&line, &given).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "web-0\nweb-1\nweb-1/unset\n");
    }

    #[test]
    fn its_exit_code_is_ours() {
        let given = Given { input: "x".repeat(1 << 20), ..Given::default() };
        assert!(run("true", &given).is_ok(), "it need not read");
        assert_eq!(run("exit 7", &given).unwrap_err().code(), 7);
        assert_eq!(run("kill -9 $$", &given).unwrap_err().code(), 1);
        assert!(matches!(run(r#"["/no/such/program"]"#, &given), Err(CommandError::Start(_))));
    }
}
