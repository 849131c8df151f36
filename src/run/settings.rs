//! What the configuration says to each layer, in the layer's own words.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;

use crate::config::Config;
use crate::server::reachable;
use crate::{records, zone};

/// To `records`.
pub(super) fn for_records(config: &Config) -> records::Settings {
    records::Settings { zone: config.zone.clone(), endpoint_pod_names: config.endpoint_pod_names }
}

/// To `zone`; `own` are the addresses that name servers without any of their own are at.
pub(super) fn for_zone(config: &Config, own: &[IpAddr]) -> zone::Settings {
    let nameservers = config.ns.iter().map(|server| {
        let mut server = server.clone();
        if server.addresses.is_empty() && server.name.is_within(&config.zone) {
            server.addresses = own.to_vec();
        }
        server
    });
    zone::Settings {
        zone: config.zone.clone(),
        ttl: config.ttl,
        order: config.order,
        pods: config.pods,
        ptr: config.ptr,
        reverse: config.reverse.clone(),
        nameservers: nameservers.collect(),
        identity: config.identity.clone(),
        namespaces: config
            .source
            .namespaces
            .as_ref()
            .map(|names| names.iter().map(|name| name.as_str().into()).collect()),
        upstream: !config.upstream.is_empty(),
        explain: config.explain.clone(),
        discovery: config.discovery.clone(),
        holding: config.holding,
    }
}

/// The addresses that a name server of ours is reached at, of those that it listens on: those that are not
/// loopback, or where there are only such ones, those (a demo on 127.0.0.1 is reached there and nowhere else).
pub(super) fn own_addresses(listen: &[SocketAddr]) -> anyhow::Result<Vec<IpAddr>> {
    let mut all = Vec::new();
    for address in listen {
        all.extend(reachable(*address).context("cannot list the machine's addresses")?);
    }
    all.sort_unstable();
    all.dedup();
    let outside: Vec<IpAddr> = all.iter().copied().filter(|address| !address.is_loopback()).collect();
    Ok(if outside.is_empty() { all } else { outside })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_only_where_there_is_nothing_else() {
        let own = |texts: &[&str]| -> Vec<String> {
            let listen: Vec<SocketAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            own_addresses(&listen).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(own(&["127.0.0.1:53", "10.0.0.1:53", "[::1]:53", "10.0.0.1:5300"]), ["10.0.0.1"]);
        assert_eq!(own(&["[::1]:53", "127.0.0.1:53"]), ["127.0.0.1", "::1"]);
        assert!(!own(&["0.0.0.0:53"]).is_empty(), "a machine has an address, if only its loopback");
    }
}
