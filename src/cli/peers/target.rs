//! The process that is told of a new file by a signal.

use std::path::PathBuf;
use std::str::FromStr;

use rustix::process::{Pid, Signal, kill_process};

/// Whom, and which signal: `PID[:SIGNAL]` or `PIDFILE[:SIGNAL]`; HUP where none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    process: Process,
    signal: Signal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Process {
    Id(Pid),
    /// Read each time: a process that was restarted has another number.
    File(PathBuf),
}

/// Why a signal was not sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0} holds no process's number")]
    NoNumber(PathBuf),
    #[error("cannot send a signal to process {0}")]
    Send(i32, #[source] rustix::io::Errno),
}

const SIGNALS: &[(&str, Signal)] = &[
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("WINCH", Signal::WINCH),
];

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (process, signal) = match text.rsplit_once(':') {
            Some((process, name)) => {
                let name = name.to_ascii_uppercase();
                let name = name.strip_prefix("SIG").unwrap_or(&name);
                let signal = SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, signal)| *signal);
                let names = || SIGNALS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                (process, signal.ok_or_else(|| format!("behind the colon stands one of {}", names()))?)
            }
            None => (text, Signal::HUP),
        };
        let process = match process.parse::<i32>() {
            Ok(id) => Process::Id(pid(id).ok_or("a process's number is positive")?),
            Err(_) if process.is_empty() => {
                return Err("PID or PIDFILE, and behind a colon the signal".to_owned());
            }
            Err(_) => Process::File(process.into()),
        };
        Ok(Self { process, signal })
    }
}

/// 0 and negative numbers are groups of processes, our own among them.
fn pid(id: i32) -> Option<Pid> {
    Some(id).filter(|id| *id > 0).and_then(Pid::from_raw)
}

impl Target {
    pub(super) fn send(&self) -> Result<(), TargetError> {
        let process = match &self.process {
            Process::Id(process) => *process,
            Process::File(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|error| TargetError::Read(path.clone(), error))?;
                let id = text.split_whitespace().next().and_then(|word| word.parse().ok()).and_then(pid);
                id.ok_or_else(|| TargetError::NoNumber(path.clone()))?
            }
        };
        let number = process.as_raw_nonzero().get();
        kill_process(process, self.signal).map_err(|error| TargetError::Send(number, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_a_file_and_a_signal() {
        let target = |text: &str| text.parse::<Target>().unwrap();
        assert_eq!(target("7").signal, Signal::HUP);
        assert_eq!(target("7:usr1"), Target { process: Process::Id(pid(7).unwrap()), signal: Signal::USR1 });
        let file = Process::File("/run/app.pid".into());
        assert_eq!(target("/run/app.pid:SIGTERM"), Target { process: file, signal: Signal::TERM });
        for text in ["", "0", "-1", "-1:HUP", ":HUP", "7:KILLER", "7:", "/run/x:9"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_is_read_each_time() {
        use std::os::unix::process::ExitStatusExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let target: Target = format!("{}:TERM", path.display()).parse().unwrap();
        assert!(matches!(target.send(), Err(TargetError::Read(..))));
        for text in ["", "0", "-1", "x"] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(target.send(), Err(TargetError::NoNumber(_))), "{text}");
        }
        for _ in 0..2 {
            let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
            std::fs::write(&path, format!("{}\n", child.id())).unwrap();
            target.send().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(15));
        }
    }
}
