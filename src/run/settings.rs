//! What the configuration says to each layer, in the layer's own words.

use std::net::IpAddr;

use crate::config::Config;
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
    }
}

/// The addresses that a name server of ours is reached at: those that are not loopback, or where there are only
/// such ones, those (a demo on 127.0.0.1 is reached there and nowhere else).
pub(super) fn own_addresses(reachable: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = reachable.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    let outside: Vec<IpAddr> = all.iter().copied().filter(|address| !address.is_loopback()).collect();
    if outside.is_empty() { all } else { outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_only_where_there_is_nothing_else() {
        let own = |texts: &[&str]| -> Vec<String> {
            own_addresses(texts.iter().map(|t| t.parse().unwrap())).iter().map(ToString::to_string).collect()
        };
        assert_eq!(own(&["127.0.0.1", "10.0.0.1", "::1", "10.0.0.1"]), ["10.0.0.1"]);
        assert_eq!(own(&["::1", "127.0.0.1"]), ["127.0.0.1", "::1"]);
    }
}
