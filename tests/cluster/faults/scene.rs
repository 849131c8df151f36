//! Some hand-made services, and how they look in each generation: what changes, comes, goes and stays.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::rr::RecordType;

use super::RIGHT;
use super::asker::{Asker, Expectation};
use super::client::{Question, Said};
use crate::support::{ControlPlane, Namespace};

/// What there is, in one generation. Even and odd ones take turns.
///
/// - `steady` never changes; `moving` has other addresses in each generation.
/// - `shrinking` has an endpoint less in the odd ones, and `halting` one that is not ready.
/// - `even` and `odd` are there in the generations of their name only.
fn services(generation: u8) -> Vec<(&'static str, Vec<Ipv4Addr>)> {
    let addresses = |third, count: u8| (1..=count).map(|n| Ipv4Addr::new(10, 9, third, n)).collect();
    let is_odd = generation % 2 == 1;
    vec![
        ("steady", addresses(0, 3)),
        ("moving", addresses(100 + generation, 2)),
        ("shrinking", addresses(1, if is_odd { 2 } else { 3 })),
        ("halting", addresses(2, 2)),
        ("even", addresses(3, if is_odd { 0 } else { 2 })),
        ("odd", addresses(4, if is_odd { 2 } else { 0 })),
    ]
}

/// How many of `halting`'s endpoints are ready.
fn ready(generation: u8) -> usize {
    if generation % 2 == 1 { 1 } else { 2 }
}

/// The services in a namespace of their own.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    namespace: Namespace<'a>,
}

impl<'a> Scene<'a> {
    /// In generation 0.
    pub(super) fn new(plane: &'a ControlPlane, test: &str) -> Self {
        let scene = Self { namespace: plane.namespace(test) };
        scene.turn(0);
        scene
    }

    /// Makes the changes to this generation; they are acknowledged when it returns.
    pub(super) fn turn(&self, generation: u8) {
        let mut yaml = String::new();
        for (name, addresses) in services(generation) {
            if addresses.is_empty() {
                self.namespace.kubectl(&["delete", "--ignore-not-found", "service,endpointslice", name]);
                continue;
            }
            let ready = if name == "halting" { ready(generation) } else { addresses.len() };
            yaml += &service(name);
            yaml += &slice(name, &addresses, ready);
        }
        self.namespace.apply(&yaml);
    }

    /// Waits until a server that may know nothing of it yet knows generation 0.
    pub(super) fn settle(&self, server: SocketAddr) {
        self.settle_in(server, 0);
    }

    /// The same of another generation.
    pub(super) fn settle_in(&self, server: SocketAddr, generation: u8) {
        let mut expectations = self.expectations(&[generation]);
        expectations.iter_mut().for_each(|expectation| expectation.begin_with(Said::Absent));
        Asker::start(server, expectations).right_within(RIGHT);
    }

    /// What is asked, and what is answered in each of these generations, one after the other.
    pub(super) fn expectations(&self, generations: &[u8]) -> Vec<Expectation> {
        let mut expectations = Vec::new();
        for (index, (name, _)) in services(0).into_iter().enumerate() {
            let steps: Vec<_> = generations
                .iter()
                .map(|&generation| {
                    let mut addresses = services(generation).swap_remove(index).1;
                    if name == "halting" {
                        addresses.truncate(ready(generation));
                    }
                    addresses
                })
                .collect();
            let owner = self.namespace.full(name);
            let all = steps.iter().map(|addresses| said(addresses)).collect();
            expectations.push(Expectation::new(Question::new(&owner, RecordType::A), all));
            for host in 0..services(0)[index].1.len().max(2) {
                let of_host =
                    |addresses: &Vec<Ipv4Addr>| said(addresses.get(host..=host).unwrap_or_default());
                let question = Question::new(&format!("{name}-{host}.{owner}"), RecordType::A);
                expectations.push(Expectation::new(question, steps.iter().map(of_host).collect()));
            }
        }
        expectations
    }
}

fn said(addresses: &[Ipv4Addr]) -> Said {
    if addresses.is_empty() { Said::Absent } else { Said::addresses(addresses) }
}

/// A headless service without a selector: its slices are the test's alone.
pub(super) fn service(name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{clusterIP: None, ports: [{{name: http, port: 80}}]}}
---
"
    )
}

/// Its slice, of the same name; the hosts are `name-0` and on, the first ones are ready.
pub(super) fn slice(name: &str, addresses: &[Ipv4Addr], ready: usize) -> String {
    let mut yaml = format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}
  labels: {{kubernetes.io/service-name: {name}, endpointslice.kubernetes.io/managed-by: rollcall-tests}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints:
"
    );
    for (index, address) in addresses.iter().enumerate() {
        let is_ready = index < ready;
        yaml += &format!(
            "- {{addresses: [{address}], hostname: {name}-{index}, conditions: {{ready: {is_ready}}}}}\n"
        );
    }
    yaml + "---\n"
}
