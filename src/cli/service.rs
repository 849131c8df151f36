//! Flags of `peers` and `wait`: which service, and whom to ask.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::peers::duration;
use crate::peers::{Options, Server, Surroundings};

/// Servers where the command line names none; peer-finder has no flag for them.
pub(super) const SERVER: &str = "ROLLCALL_SERVER";

/// A service, and where it is asked for. What is not given is found in the pod.
#[derive(Debug, Clone, Args)]
pub(super) struct ServiceFlags {
    /// The governing (headless) service of the peers [default: SERVICE_NAME]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,

    /// Its namespace [default: POD_NAMESPACE, else that of the service account, else as /etc/resolv.conf has it]
    #[arg(long, short = 'n', value_name = "NAME")]
    namespace: Option<String>,

    /// The cluster domain [default: as /etc/resolv.conf has it, else cluster.local]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,

    /// Ask here, the first that answers; may be repeated, or a comma list [default: the name servers of /etc/resolv.conf]
    ///
    /// ADDRESS[:PORT] is asked over UDP and TCP, and where its zone names a server of push over TLS
    /// (_dns-push-tls._tcp.ZONE) that one is subscribed at. tls://ADDRESS[:PORT][#NAME] (port 853) is subscribed at over
    /// TLS, push+tcp://ADDRESS[:PORT] (port 53) over TCP.
    #[arg(long, value_name = "ADDR", env = SERVER, value_delimiter = ',')]
    server: Vec<Server>,

    /// Trust these authorities of TLS (PEM) [default: SSL_CERT_FILE, else those of the system and of the cluster]
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// How often the serial is asked for where there is no push: half to three halves of this
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    interval: Duration,

    /// Our own host name, as peers know us [default: POD_NAME, HOSTNAME, /etc/hostname]
    #[arg(long = "self", value_name = "HOST")]
    own: Option<String>,
}

impl ServiceFlags {
    /// What to follow, with what the pod has where the flags say nothing.
    pub(super) fn options(&self, pod: &Surroundings) -> Options {
        let options = Options {
            service: self.service.clone(),
            namespace: self.namespace.clone(),
            zone: self.zone.clone(),
            servers: self.server.clone(),
            authorities: self.tls_ca.clone(),
            interval: self.interval,
        };
        options.complete(pod)
    }

    /// Our own host name.
    pub(super) fn own(&self, pod: &Surroundings) -> Option<String> {
        self.own.clone().or_else(|| pod.host.clone())
    }
}
