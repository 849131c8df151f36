//! Which service, and whom to ask.

use std::path::PathBuf;
use std::time::Duration;

use super::place::{Place, Surroundings};
use super::way::Server;
use crate::wire::NameError;

/// The zone where nothing says another one.
pub(super) const DEFAULT_ZONE: &str = "cluster.local";

/// What to follow. Whatever is not set is found in the pod ([`Surroundings`]) by [`Options::complete`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The governing service: the headless service that the peers' names are below.
    pub service: Option<String>,
    /// Its namespace.
    pub namespace: Option<String>,
    /// The cluster domain.
    pub zone: Option<String>,
    /// Whom to ask, the first that answers.
    pub servers: Vec<Server>,
    /// Authorities of TLS, in PEM; those of the system and of the cluster otherwise.
    pub authorities: Option<PathBuf>,
    /// How often the serial is asked for where push is not to be had; half to three halves of it. 1 s by default,
    /// 100 ms at least.
    pub interval: Duration,
}

/// What is missing, or wrong.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Neither flag nor environment names it.
    #[error("which service? --service or SERVICE_NAME says so")]
    NoService,
    /// Nothing in the pod says it.
    #[error(
        "which namespace? --namespace or POD_NAMESPACE says so; neither the service account nor /etc/resolv.conf does"
    )]
    NoNamespace,
    /// resolv.conf has none.
    #[error("which server? --server says so; /etc/resolv.conf has none")]
    NoServer,
    /// They are no labels.
    #[error("`{service}.{namespace}.svc.{zone}` {error}")]
    Name {
        /// As given.
        service: String,
        /// As given.
        namespace: String,
        /// As given.
        zone: String,
        /// Why not.
        #[source]
        error: NameError,
    },
    /// The certificates cannot be read.
    #[error("{0}")]
    Tls(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            service: None,
            namespace: None,
            zone: None,
            servers: Vec::new(),
            authorities: None,
            interval: Duration::from_secs(1),
        }
    }
}

impl Options {
    /// Of a service, everything else as the pod has it.
    #[must_use]
    pub fn of_service(service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..Self::default() }
    }

    /// Fills in what is not set.
    #[must_use]
    pub fn complete(mut self, surroundings: &Surroundings) -> Self {
        self.service = self.service.or_else(|| surroundings.service.clone());
        self.namespace = self.namespace.or_else(|| surroundings.namespace.clone());
        self.zone = self.zone.or_else(|| surroundings.zone.clone());
        if self.servers.is_empty() {
            self.servers = surroundings.servers.iter().map(|server| Server::from(*server)).collect();
        }
        self
    }

    /// The names to follow.
    pub(super) fn place(&self) -> Result<Place, OptionsError> {
        let service = self.service.as_deref().ok_or(OptionsError::NoService)?;
        let namespace = self.namespace.as_deref().ok_or(OptionsError::NoNamespace)?;
        let zone = self.zone.as_deref().unwrap_or(DEFAULT_ZONE);
        if self.servers.is_empty() {
            return Err(OptionsError::NoServer);
        }
        Place::new(service, namespace, zone).map_err(|error| OptionsError::Name {
            service: service.to_owned(),
            namespace: namespace.to_owned(),
            zone: zone.to_owned(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_wins_over_what_the_pod_has() {
        let pod = Surroundings {
            service: Some("nginx".to_owned()),
            namespace: Some("shop".to_owned()),
            host: None,
            zone: Some("example.org".to_owned()),
            servers: vec!["10.96.0.10:53".parse().unwrap()],
        };
        let place = Options::default().complete(&pod).place().unwrap();
        assert_eq!(place.service.to_string(), "nginx.shop.svc.example.org.");
        let options = Options { namespace: Some("other".to_owned()), ..Options::of_service("db") };
        let options = options.complete(&pod);
        assert_eq!(options.place().unwrap().service.to_string(), "db.other.svc.example.org.");
        assert_eq!(options.servers, [Server::from(pod.servers[0])]);
    }

    #[test]
    fn what_is_missing_is_said() {
        let nowhere = Surroundings::default();
        let error = |options: Options| options.complete(&nowhere).place().unwrap_err();
        assert!(matches!(error(Options::default()), OptionsError::NoService));
        assert!(matches!(error(Options::of_service("db")), OptionsError::NoNamespace));
        let options = Options { namespace: Some("shop".to_owned()), ..Options::of_service("db") };
        assert!(matches!(error(options.clone()), OptionsError::NoServer));
        let servers = vec!["10.96.0.10".parse().unwrap()];
        let place = Options { servers: servers.clone(), ..options.clone() }.place().unwrap();
        assert_eq!(place.service.to_string(), "db.shop.svc.cluster.local.");
        let error = error(Options { servers, service: Some("d b".to_owned()), ..options });
        assert!(matches!(error, OptionsError::Name { .. }), "{error}");
    }
}
