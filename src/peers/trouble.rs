//! Why a server's word cannot be had, or not be taken.

use std::io;
use std::time::Duration;

use crate::wire::record::ReplyError;

/// Why peers are not known just now. The last list stays what it was.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// Nobody is connected to, or no longer.
    #[error("{server}: {error}")]
    Io {
        /// Who was asked.
        server: String,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// Nothing came.
    #[error("{server} does not answer within {} s", patience.as_secs_f32())]
    Silent {
        /// Who was asked.
        server: String,
        /// For how long.
        patience: Duration,
    },
    /// What came cannot be read.
    #[error("{server}: its message {error}")]
    Malformed {
        /// Who was asked.
        server: String,
        /// Why not.
        #[source]
        error: ReplyError,
    },
    /// An answer with another code than NOERROR and NXDOMAIN.
    #[error("{server} answers {} of {name}{}", code(*rcode), why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Refused {
        /// Who was asked.
        server: String,
        /// RCODE.
        rcode: u16,
        /// What was asked for.
        name: String,
        /// Its Extended DNS Error.
        why: Option<String>,
    },
    /// It wants to be left alone for a while (RFC 8490, section 6.6.1).
    #[error("{server} asks to come back in {} ms", delay.as_millis())]
    Delayed {
        /// Who said so.
        server: String,
        /// For how long.
        delay: Duration,
    },
    /// Not said by whom the zone is of, or said of what was known once: no list is emptied for that.
    #[error("{server} says that nobody is there, {}", if *stale { "from stale data" } else { "without authority" })]
    Hearsay {
        /// Who said so.
        server: String,
        /// With an Extended DNS Error that its data are stale (RFC 8914).
        stale: bool,
    },
    /// The service is of type ExternalName.
    #[error("{name} is an alias (ExternalName) and has no peers")]
    Alias {
        /// The service's name.
        name: String,
    },
    /// More addresses than a message holds.
    #[error("{server}: the addresses of {name} do not fit into a message")]
    TooMany {
        /// Who was asked.
        server: String,
        /// The service's name.
        name: String,
    },
    /// More than is taken of any server (docs/peers.md has the bounds).
    #[error("{server} says more {what} than are taken")]
    TooMuch {
        /// Who was asked.
        server: String,
        /// What there is too much of.
        what: &'static str,
    },
    /// It is answered from what the server knew last.
    #[error("{server} answers from stale data{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Stale {
        /// Who said so.
        server: String,
        /// Its words.
        why: Option<String>,
    },
    /// Push is not to be had.
    #[error("{0}")]
    NoPush(&'static str),
    /// Certificates.
    #[error("TLS: {0}")]
    Tls(String),
}

impl Trouble {
    /// How much it tells of several: what a server says more than that it is away, and that more than that it has no push.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::NoPush(_) => 0,
            Self::Io { .. } | Self::Silent { .. } | Self::Tls(_) => 1,
            _ => 2,
        }
    }
}

impl PartialEq for Trouble {
    /// As they read.
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Trouble {}

/// The name of a response code, as dig prints it.
fn code(rcode: u16) -> String {
    use crate::wire::rcode;
    match rcode {
        rcode::FORMERR => "FORMERR".to_owned(),
        rcode::SERVFAIL => "SERVFAIL".to_owned(),
        rcode::NOTIMP => "NOTIMP".to_owned(),
        rcode::REFUSED => "REFUSED".to_owned(),
        rcode::NOTAUTH => "NOTAUTH".to_owned(),
        rcode::DSOTYPENI => "DSOTYPENI".to_owned(),
        other => format!("RCODE {other}"),
    }
}
