//! What can be wrong with a configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// One thing that is wrong, by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `limits.tcp_idle`, or the variable.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is no TOML, or says something unknown.
    #[error("{} is not a configuration", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and what.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The environment says something that does not fit together.
    #[error("the environment is not a configuration")]
    Environment {
        /// What.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Values that cannot be used.
    #[error("the configuration has {} error(s):{}", .0.len(), list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
