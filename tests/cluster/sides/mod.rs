//! Side by side with CoreDNS: thousands of questions, asked of kubeadm's Corefile with its `kubernetes`
//! plugin, of the same CoreDNS with our stub, and of rollcall itself, all over the same API server.
//!
//! A difference is a fault unless docs/differences.md lists it; so is a row of it that no question shows any
//! more. `generate` and `peculiar` make the objects, `questions` the questions, from fixed seeds; `ask`
//! carries them, `reply` and `compare` hold the answers against each other, `rows` knows what each row of the
//! document covers.

mod ask;
mod compare;
mod generate;
mod listed;
mod objects;
mod peculiar;
mod place;
mod questions;
mod random;
mod reply;
mod report;
mod rows;
mod tests;
mod upstream;
mod workloads;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::{
    ControlPlane, CoreDns, NAME_SERVER, Namespace, Rollcall, free_port, kubeadm_corefile, make_authority,
    make_named, shipped_corefile, wait_until, work_folder,
};
use ask::{Client, Question};
use generate::{SENTINEL, at_cluster_ips, world};
use objects::World;
use report::Report;
use rows::Via;

/// Other numbers ask other questions of other objects; these make every row of the document seen.
const WORLD_SEED: u64 = 4;
const QUESTIONS_SEED: u64 = 5;

/// The four servers; each follows the objects from before the first of them is there.
struct Servers {
    kubeadm: CoreDns,
    rollcall: Rollcall,
    stub: CoreDns,
    _upstream: CoreDns,
}

impl Servers {
    fn start(plane: &ControlPlane, namespace: &str) -> Self {
        let back = format!("packet-4.{namespace}.svc.cluster.local");
        let upstream = CoreDns::start(&upstream::corefile(work_folder(), &back));
        // kubeadm's Corefile, whole, but for addresses: of its ports, of the API server, of the node's
        // resolver.
        let kubeadm = CoreDns::start(&kubeadm_corefile(plane, upstream.dns));
        let mut command = Rollcall::command(plane.kubeconfig(), &[]);
        command.env("ROLLCALL_PODS", "insecure").env("ROLLCALL_UPSTREAM_SERVERS", upstream.dns.to_string());
        // For the name that says where push is to be had.
        let keys = work_folder().join("sides");
        std::fs::create_dir(&keys).unwrap();
        make_authority(&keys, "ca");
        make_named(&keys, "ca", "names", &format!("DNS:{NAME_SERVER}"));
        command.args(["--listen", &format!("tls://127.0.0.1:{}", free_port())]);
        command.env("ROLLCALL_TLS_CERTIFICATE", keys.join("names.crt"));
        command.env("ROLLCALL_TLS_KEY", keys.join("names.key"));
        let rollcall = Rollcall::launch(&command);
        rollcall.ready();
        let stub = CoreDns::start(&shipped_corefile("Corefile.stub", rollcall.dns, upstream.dns));
        Self { kubeadm, rollcall, stub, _upstream: upstream }
    }

    /// Waits until each has seen the last object of each kind.
    fn wait_until_seen(&self, world: &World) {
        let sentinel = Question::plain(&format!("{SENTINEL}.{}.svc.cluster.local", world.namespaces[0]), "A");
        for server in [self.kubeadm.dns, self.rollcall.dns, self.stub.dns] {
            wait_for_answer(server, &sentinel);
        }
        // CoreDNS knows no sets; rollcall says of the last one's replicas how long they may be denied.
        let set = world.sets.last().unwrap();
        let replica = format!("{}-0.{}.{}.svc.cluster.local", set.name, set.service, set.namespace);
        let question = Question::plain(&replica, "A");
        wait_until("rollcall knows the last StatefulSet", SEEN, || {
            let reply = Client::new(self.rollcall.dns).ask_udp(&question);
            if reply.authorities().iter().any(|soa| soa.ttl == 0) { Ok(()) } else { Err(reply.to_string()) }
        });
    }
}

/// How long an object may take from kubectl to an answer, on a machine that does other things.
const SEEN: Duration = Duration::from_secs(30);

fn wait_for_answer(server: SocketAddr, question: &Question) {
    wait_until("the last Service and the last EndpointSlice are seen", SEEN, || {
        let reply = Client::new(server).ask_udp(question);
        if reply.answers().is_empty() { Err(reply.to_string()) } else { Ok(()) }
    });
}

/// Applies everything, the slices at the clusterIPs once those are known, the sentinel's slice last.
fn apply(plane: &ControlPlane, world: &mut World, played: &Namespace<'_>) {
    world.manifests().iter().for_each(|list| plane.apply(list));
    workloads::play(played, world);
    let services = plane.kubectl(&["get", "services", "--all-namespaces", "--output=json"]);
    world.learn_cluster_ips(&serde_json::from_str(&services).unwrap());
    let late = World { slices: at_cluster_ips(world), ..World::default() };
    late.manifests().iter().for_each(|list| plane.apply(list));
    world.slices.extend(late.slices);
}

#[test]
#[ignore = "needs the real control plane: tests/cluster/run.sh"]
fn every_answer_is_coredns_or_a_listed_difference() {
    let plane = ControlPlane::shared();
    let namespaces: [Namespace<'_>; 4] =
        ["sides-a", "sides-b", "sides-c", "sides-empty"].map(|n| plane.namespace(n));
    let names: Vec<String> = namespaces.iter().map(|namespace| namespace.name().to_string()).collect();
    let mut world = world(&names, WORLD_SEED);
    let servers = Servers::start(plane, &names[0]);
    apply(plane, &mut world, &namespaces[1]);
    servers.wait_until_seen(&world);

    let questions = questions::questions(&world, QUESTIONS_SEED);
    let begun = Instant::now();
    let mut report = Report::default();
    for ours in [(Via::Stub, servers.stub.dns), (Via::Direct, servers.rollcall.dns)] {
        report.ask(&world, &questions, servers.kubeadm.dns, ours);
    }
    let (services, slices) = (world.services.len(), world.slices.len());
    println!("{services} services, {slices} slices; {:.1} s of asking", begun.elapsed().as_secs_f32());
    report.judge();
}
