//! The objects: a StatefulSet of each size with its headless service, in a namespace of its own, and no controller.
//!
//! That a peer comes or goes is a word in an EndpointSlice, `ready`, as the EndpointSlice controller writes it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use kube::Client;
use rollcall_bench::api::{connect, create};
use rollcall_bench::clock;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// The service, and its StatefulSet. With short names the SRV records of a thousand peers fit in the 64 KiB of a message.
pub(super) const SERVICE: &str = "db";
/// The cluster domain.
pub(super) const ZONE: &str = "cluster.local";
/// As the EndpointSlice controller has it by default (`--max-endpoints-per-slice`).
const PER_SLICE: usize = 100;

/// The namespace of the StatefulSet of a size.
pub(super) fn namespace(size: usize) -> String {
    format!("peers-{size}")
}

#[derive(Debug, Args)]
pub(super) struct Prepare {
    /// The API server's administrator
    #[arg(long)]
    kubeconfig: PathBuf,
    /// How many peers each StatefulSet has
    #[arg(long, value_delimiter = ',')]
    sizes: Vec<usize>,
}

impl Prepare {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Sets { runtime, client } = Sets::open(&self.kubeconfig)?;
        runtime.block_on(async {
            for &size in &self.sizes {
                let namespace = namespace(size);
                let metadata = json!({ "name": namespace });
                let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
                create(&client, "/api/v1/namespaces", &object).await?;
                create(&client, &format!("/api/v1/namespaces/{namespace}/services"), &service()).await?;
                for number in 0..size.div_ceil(PER_SLICE) {
                    create(&client, &slices(size), &slice(size, number)).await?;
                }
                let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets");
                create(&client, &path, &set(size)).await?;
            }
            anyhow::Ok(())
        })
    }
}

/// The API server, for changes.
pub(super) struct Sets {
    runtime: Runtime,
    client: Client,
}

impl Sets {
    pub(super) fn open(kubeconfig: &Path) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = connect(kubeconfig, &runtime)?;
        Ok(Self { runtime, client })
    }

    /// Has the last peer of a StatefulSet come or go; when the API server had acknowledged it, as `clock` has it.
    pub(super) fn set_last(&self, size: usize, is_ready: bool) -> anyhow::Result<u64> {
        let last = size - 1;
        let path = format!("{}/{}", slices(size), slice_name(last / PER_SLICE));
        let place = format!("/endpoints/{}/conditions/ready", last % PER_SLICE);
        let patch = json!([{ "op": "replace", "path": place, "value": is_ready }]);
        let request = http::Request::patch(path)
            .header("content-type", "application/json-patch+json")
            .body(serde_json::to_vec(&patch)?)?;
        self.runtime.block_on(self.client.request_text(request)).context("the change of a slice")?;
        Ok(clock::now()?)
    }
}

fn slices(size: usize) -> String {
    format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace(size))
}

fn slice_name(number: usize) -> String {
    format!("{SERVICE}-{number}")
}

fn service() -> Value {
    // Without a selector: its slices are ours alone.
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": SERVICE },
        "spec": { "clusterIP": "None", "ports": [{ "name": SERVICE, "port": 5432 }] },
    })
}

fn slice(size: usize, number: usize) -> Value {
    let from = number * PER_SLICE;
    let endpoint = |peer: usize| {
        let [.., third, fourth] = u32::try_from(peer).unwrap_or_default().to_be_bytes();
        json!({
            "addresses": [Ipv4Addr::new(10, 64, third, fourth)],
            "hostname": format!("{SERVICE}-{peer}"),
            "conditions": { "ready": true },
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": slice_name(number),
            "labels": {
                "kubernetes.io/service-name": SERVICE,
                "endpointslice.kubernetes.io/managed-by": "rollcall-bench",
            },
        },
        "ports": [{ "name": SERVICE, "port": 5432, "protocol": "TCP" }],
        "endpoints": (from..size.min(from + PER_SLICE)).map(endpoint).collect::<Vec<_>>(),
    })
}

fn set(size: usize) -> Value {
    let labels = json!({ "app": SERVICE });
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": SERVICE },
        "spec": {
            "serviceName": SERVICE, "replicas": size, "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": SERVICE, "image": SERVICE }] },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_as_many_endpoints_as_peers() {
        for size in [3_usize, 100, 250] {
            let slices: Vec<Value> =
                (0..size.div_ceil(PER_SLICE)).map(|number| slice(size, number)).collect();
            let count = |slice: &Value| slice["endpoints"].as_array().unwrap().len();
            assert_eq!(slices.iter().map(count).sum::<usize>(), size);
            let last = slices.last().unwrap()["endpoints"].as_array().unwrap().last().unwrap();
            assert_eq!(last["hostname"], format!("db-{}", size - 1));
        }
    }

    #[test]
    fn the_srv_records_of_a_thousand_peers_fit_in_a_message() {
        let target = format!("{SERVICE}-999.{SERVICE}.{}.svc.{ZONE}", namespace(1000)).len() + 2;
        assert!(12 + 1000 * (18 + target) < 65_535 - 100, "{target}");
    }
}
