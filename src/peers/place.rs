//! Where a service is, and what a pod knows of where it is itself: its environment and its files.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::wire::{Name, NameError};

/// The port of DNS (RFC 1035, section 4.2).
pub(super) const DNS_PORT: u16 = 53;

/// The names that belong to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `<svc>.<ns>.svc.<zone>`
    pub(super) service: Name,
    /// `<svc>.<ns>._statefulset.<zone>`: how many peers there should be.
    pub(super) sets: Name,
    pub(super) zone: Name,
}

impl Place {
    pub(super) fn new(service: &str, namespace: &str, zone: &str) -> Result<Self, NameError> {
        let zone = Name::from_text(zone)?;
        let below =
            |middle: &str| Name::under(&[service.as_bytes(), namespace.as_bytes(), middle.as_bytes()], &zone);
        Ok(Self { service: below("svc")?, sets: below("_statefulset")?, zone })
    }
}

/// What a process in a pod finds out without being told: read once, where a flag is missing.
///
/// | | from |
/// |---|---|
/// | service | `SERVICE_NAME` |
/// | namespace | `POD_NAMESPACE`, the service account's file, the search list of resolv.conf |
/// | its own host name | `POD_NAME`, `HOSTNAME`, `/etc/hostname` |
/// | zone | the search list of resolv.conf: what stands behind `svc` |
/// | name servers | resolv.conf |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The governing service.
    pub service: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's host name, which is its name below the service.
    pub host: Option<String>,
    /// The cluster domain, without its final dot.
    pub zone: Option<String>,
    /// The name servers, in their order.
    pub servers: Vec<SocketAddr>,
}

impl Surroundings {
    /// Of this process.
    #[must_use]
    pub fn of_this_pod() -> Self {
        Self::read(|key| std::env::var(key).ok(), Path::new("/"))
    }

    /// Of an environment and a file system; what is empty is not there.
    fn read(variable: impl Fn(&str) -> Option<String>, root: &Path) -> Self {
        let variable =
            |key: &str| variable(key).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let file = |path: &str| {
            let text = std::fs::read_to_string(root.join(PathBuf::from(path))).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let resolver = file("etc/resolv.conf").map(|text| Resolver::read(&text)).unwrap_or_default();
        let account = || file("var/run/secrets/kubernetes.io/serviceaccount/namespace");
        let host = variable("POD_NAME").or_else(|| variable("HOSTNAME")).or_else(|| file("etc/hostname"));
        Self {
            service: variable("SERVICE_NAME"),
            namespace: variable("POD_NAMESPACE").or_else(account).or(resolver.namespace),
            // A pod that has set its whole name as its host name says the first label of it.
            host: host.map(|host| host.split('.').next().unwrap_or_default().to_owned()),
            zone: resolver.zone,
            servers: resolver.servers,
        }
    }
}

/// What resolv.conf says of a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
struct Resolver {
    namespace: Option<String>,
    zone: Option<String>,
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// Reads resolv.conf(5). kubelet writes `search NS.svc.ZONE svc.ZONE ZONE`; of several lists the last counts.
    fn read(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    resolver.servers.extend(address.map(|address| SocketAddr::new(address, DNS_PORT)));
                }
                Some("search") => {
                    (resolver.namespace, resolver.zone) = (None, None);
                    let domains: Vec<&str> = words.map(|word| word.trim_end_matches('.')).collect();
                    resolver.domains(&domains);
                }
                _ => {}
            }
        }
        resolver
    }

    fn domains(&mut self, domains: &[&str]) {
        for domain in domains {
            if let Some(zone) = domain.strip_prefix("svc.") {
                self.zone.get_or_insert_with(|| zone.to_owned());
            } else if let Some((namespace, zone)) = domain.split_once(".svc.")
                && !namespace.contains('.')
            {
                self.namespace.get_or_insert_with(|| namespace.to_owned());
                self.zone.get_or_insert_with(|| zone.to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_service() {
        let place = Place::new("nginx", "shop", "cluster.local").unwrap();
        assert_eq!(place.service.to_string(), "nginx.shop.svc.cluster.local.");
        assert_eq!(place.sets.to_string(), "nginx.shop._statefulset.cluster.local.");
        assert_eq!(Place::new("", "shop", "cluster.local"), Err(NameError::EmptyLabel));
        assert!(Place::new("nginx.shop", "shop", "cluster.local").is_err(), "a dot is no part of a label");
    }

    #[test]
    fn what_kubelet_writes() {
        let text = "search shop.svc.example.org svc.example.org example.org\nnameserver 10.96.0.10\nnameserver fd00::a # second\noptions ndots:5\n";
        let resolver = Resolver::read(text);
        assert_eq!(resolver.namespace.as_deref(), Some("shop"));
        assert_eq!(resolver.zone.as_deref(), Some("example.org"));
        let servers = ["10.96.0.10:53", "[fd00::a]:53"].map(|server| server.parse().unwrap());
        assert_eq!(resolver.servers, servers);
        // A host's, with nothing of a cluster in it.
        let resolver = Resolver::read("domain lan\nsearch lan a.b.svc.other\nnameserver here\n");
        assert_eq!(resolver, Resolver::default());
    }

    #[test]
    fn the_environment_wins_over_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("etc/resolv.conf", "search third.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\n");
        let read = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let variable =
                move |key: &str| pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            Surroundings::read(variable, folder.path())
        };
        assert_eq!(read(&[]).namespace.as_deref(), Some("third"));
        write("var/run/secrets/kubernetes.io/serviceaccount/namespace", "second");
        write("etc/hostname", "web-2\n");
        let found = read(&[]);
        assert_eq!((found.namespace.as_deref(), found.host.as_deref()), (Some("second"), Some("web-2")));
        let found =
            read(&[("POD_NAMESPACE", "first"), ("HOSTNAME", "web-1.nginx.first"), ("SERVICE_NAME", "nginx")]);
        assert_eq!((found.namespace.as_deref(), found.host.as_deref()), (Some("first"), Some("web-1")));
        assert_eq!((found.service.as_deref(), found.zone.as_deref()), (Some("nginx"), Some("cluster.local")));
        let found = read(&[("POD_NAME", "web-0"), ("HOSTNAME", "web-1"), ("POD_NAMESPACE", "")]);
        assert_eq!((found.namespace.as_deref(), found.host.as_deref()), (Some("second"), Some("web-0")));
    }
}
