//! Hand-made services of several slices each, whose endpoints move from one slice to another, as a controller
//! moves them; some are made anew at the same time, with another address and UID under the same name.

use std::fmt::Write as _;

use super::super::oracle::{Random, Services};
use super::super::scene::service;
use crate::support::Namespace;

/// How many moves there are; each is two changes, one a slice.
pub(super) const MOVES: usize = 120;
const SERVICES: usize = 3;
const SLICES: usize = 4;
const HOSTS: usize = 24;

/// By service and host: the slice, and how often the host was made anew.
type Places = Vec<Vec<(usize, u8)>>;

/// The services.
#[derive(Debug)]
pub(in crate::faults) struct Slices<'a> {
    namespace: Namespace<'a>,
}

impl<'a> Slices<'a> {
    pub(in crate::faults) fn create(namespace: Namespace<'a>) -> Self {
        let places = first_places();
        let mut yaml = String::new();
        for index in 0..SERVICES {
            yaml += &service(&name(index));
            (0..SLICES).for_each(|slice| yaml += &manifest(&places, index, slice));
        }
        namespace.apply(&yaml);
        Self { namespace }
    }

    /// What is asked about.
    pub(in crate::faults) fn services(&self) -> Services<'_> {
        let hosts = |service| (0..HOSTS).map(move |host| format!("{}-{host}", name(service)));
        Services::new(&self.namespace, (0..SERVICES).map(name).collect(), hosts)
    }

    /// Moves endpoints about, some [`MOVES`] times.
    pub(in crate::faults) fn shuffle(&self) {
        let mut moves = 0;
        self.shuffle_while(|| {
            moves += 1;
            moves <= MOVES
        });
    }

    /// The same for as long as it is said; gives how many moves there were. Every second endpoint is in no slice
    /// for a moment, the others are in two.
    pub(in crate::faults) fn shuffle_while(&self, mut goes_on: impl FnMut() -> bool) -> usize {
        let (mut places, mut random) = (first_places(), Random(7));
        let mut turn = 0;
        while goes_on() {
            let (service, host) = (random.below(SERVICES), random.below(HOSTS));
            let (from, anew) = places[service][host];
            let to = (from + 1 + random.below(SLICES - 1)) % SLICES;
            // Every third is another pod from then on.
            places[service][host] = (to, anew + u8::from(turn % 3 == 0));
            let (left, entered) = (manifest(&places, service, from), manifest(&places, service, to));
            let yaml = if turn % 2 == 0 { left + &entered } else { entered + &left };
            self.namespace.apply(&yaml);
            turn += 1;
        }
        turn
    }
}

/// The name of a service.
fn name(service: usize) -> String {
    format!("spread-{service}")
}

fn first_places() -> Places {
    vec![(0..HOSTS).map(|host| (host % SLICES, 0)).collect(); SERVICES]
}

fn manifest(places: &Places, service: usize, slice: usize) -> String {
    let name = name(service);
    let mut yaml = format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-{slice}
  labels: {{kubernetes.io/service-name: {name}, endpointslice.kubernetes.io/managed-by: rollcall-tests}}
addressType: IPv4
ports: [{{name: http, port: 80, protocol: TCP}}]
endpoints:
"
    );
    let here = places[service].iter().enumerate().filter(|(_, (place, _))| *place == slice);
    for (host, (_, anew)) in here {
        let pod = format!("{name}-{host}");
        let _ = write!(
            yaml,
            "- addresses: [10.{}.{anew}.{host}]
  hostname: {pod}
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: {pod}, uid: {pod}-{anew}}}
",
            100 + service
        );
    }
    yaml + "---\n"
}
