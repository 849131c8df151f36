//! peer-finder's command line: called by its name, or with its flags, `peers` is what it was.
//!
//! peer-finder is written in Go: flags have one dash or two, and their value behind `=` or as the next word. Charts call
//! it by its name or path; with our binary under that name nothing else of them changes.

use std::ffi::OsStr;
use std::path::Path;

use super::command::Command;

/// The name that charts call.
const NAME: &str = "peer-finder";
const USAGE: &str = "usage: peer-finder -service NAME [-ns NAMESPACE] [-domain ZONE] [-on-start SCRIPT] [-on-change SCRIPT]\n\n  -service    the governing service of the peers\n  -ns         its namespace; else POD_NAMESPACE, else the pod's own\n  -domain     the cluster domain; else as /etc/resolv.conf has it\n  -on-start   run once with the peers on standard input, a name a line; on-change where there is none\n  -on-change  run for each change\n\nThe flags of peer-finder; `rollcall peers --help` has more.";

/// The flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Finder {
    pub(super) service: String,
    pub(super) namespace: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) on_start: Option<Command>,
    pub(super) on_change: Option<Command>,
}

/// Its arguments, where it was called as peer-finder or with flags of one dash.
pub(super) fn arguments<A: AsRef<OsStr>>(all: &[A]) -> Option<&[A]> {
    let is_named =
        all.first().is_some_and(|program| Path::new(program.as_ref()).file_name() == Some(OsStr::new(NAME)));
    if is_named {
        return all.get(1..);
    }
    let rest = all.get(2..).filter(|_| all.get(1).is_some_and(|command| command.as_ref() == "peers"))?;
    let is_ours = |argument: &A| {
        let argument = argument.as_ref().to_string_lossy();
        let flag = argument.strip_prefix('-').map(|flag| flag.split('=').next().unwrap_or_default());
        matches!(flag, Some("service" | "ns" | "domain" | "on-start" | "on-change"))
    };
    rest.iter().any(is_ours).then_some(rest)
}

/// The arguments as text.
///
/// # Errors
/// What is no text, with the usage.
pub(super) fn texts<A: AsRef<OsStr>>(arguments: &[A]) -> Result<Vec<String>, String> {
    let text = |argument: &A| {
        let argument = argument.as_ref();
        let text = argument.to_str().map(str::to_owned);
        text.ok_or_else(|| format!("invalid UTF-8 in an argument: {argument:?}\n{USAGE}"))
    };
    arguments.iter().map(text).collect()
}

impl Finder {
    /// Reads its flags as Go's `flag` does.
    ///
    /// # Errors
    /// What is wrong, with the usage.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let wrong = |what: &str| format!("{what}\n{USAGE}");
        let (mut finder, mut rest) = (Self::default(), arguments.iter());
        while let Some(argument) = rest.next() {
            let flag =
                argument.strip_prefix('-').ok_or_else(|| wrong(&format!("unexpected `{argument}`")))?;
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (flag, value) = match flag.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (flag, None),
            };
            if !matches!(flag, "service" | "ns" | "domain" | "on-start" | "on-change") {
                return Err(wrong(&format!("flag provided but not defined: -{flag}")));
            }
            let value = value.or_else(|| rest.next().cloned());
            let value = value.ok_or_else(|| wrong(&format!("flag needs an argument: -{flag}")))?;
            let value = Some(value).filter(|value| !value.is_empty());
            // A script's line is a shell's whatever it begins with; bash where there is one, for that is what ran it.
            let command = |value: Option<String>| value.map(|line| Command::Shell(shell(), line));
            match flag {
                "service" => finder.service = value.unwrap_or_default(),
                "ns" => finder.namespace = value,
                "domain" => finder.domain = value,
                "on-start" => finder.on_start = command(value),
                _ => finder.on_change = command(value),
            }
        }
        if finder.service.is_empty() || (finder.on_start.is_none() && finder.on_change.is_none()) {
            return Err(wrong("incomplete: -service, and -on-start or -on-change or both"));
        }
        Ok(finder)
    }
}

fn shell() -> &'static str {
    let is_there = |folder: &str| Path::new(folder).join("bash").exists();
    let path = std::env::var("PATH").unwrap_or_default();
    if path.split(':').any(is_there) { "bash" } else { "sh" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn it_goes_by_the_name_or_by_the_flags() {
        for (line, expected) in [
            ("peer-finder -service=db", Some("-service=db")),
            ("/opt/peer-finder --service db", Some("--service db")),
            ("rollcall peers -service db -on-start x", Some("-service db -on-start x")),
            ("rollcall peers --once -ns=shop", Some("--once -ns=shop")),
            ("rollcall peers --service db --on-change x", None),
            ("rollcall serve -service db", None),
            ("peer-finder/rollcall peers", None),
        ] {
            let all = words(line);
            assert_eq!(arguments(&all).map(|arguments| arguments.join(" ")).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn flags_are_read_as_go_does() {
        let finder = |line: &str| Finder::parse(&words(line));
        let line = |line: &str| Some(Command::Shell(shell(), line.to_owned()));
        let expected = Finder {
            service: "db".to_owned(),
            namespace: Some("shop".to_owned()),
            domain: Some("cluster.local".to_owned()),
            on_start: line("/a.sh"),
            on_change: line("[x]"),
        };
        let text = "-service=db --ns shop -domain cluster.local -on-start=/a.sh --on-change [x]";
        assert_eq!(finder(text), Ok(expected));
        let first = finder("-service db -on-start= -on-change x").unwrap();
        assert_eq!(
            (first.on_start, first.on_change),
            (None, line("x")),
            "an empty flag is one that is not there"
        );
        for (line, error) in [
            ("-service db", "incomplete"),
            ("-on-start x", "incomplete"),
            ("-service db -on-start", "flag needs an argument: -on-start"),
            ("-service db -once", "flag provided but not defined: -once"),
            ("db", "unexpected `db`"),
        ] {
            let message = finder(line).unwrap_err();
            assert!(message.starts_with(error) && message.contains("usage:"), "{message}");
        }
    }
}
