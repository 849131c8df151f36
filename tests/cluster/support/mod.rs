//! What the cluster tests share: a real control plane, rollcall and CoreDNS over it, and ways to ask them.

mod ask;
mod clients;
mod control_plane;
mod coredns;
mod credentials;
mod explain;
mod kubelet;
mod moment;
mod named_network;
mod namespace;
mod pod_network;
mod processes;
mod programs;
mod recorder;
mod rollcall;
mod wait;
mod why;

pub(crate) use ask::{Answer, ask, ask_tcp, reverse_name};
pub(crate) use clients::{ask_clients, lookup_go};
pub(crate) use control_plane::{ControlPlane, Options};
pub(crate) use coredns::{CoreDns, kubeadm_corefile, shared_stub, shared_upstream, shipped_corefile};
pub(crate) use credentials::{make_authority, make_client, make_named, make_serving};
pub(crate) use explain::{Explained, explain};
pub(crate) use kubelet::{Kubelet, with_kubelet};
pub(crate) use moment::Moment;
pub(crate) use named_network::{NAME_SERVER, NamedNetwork};
pub(crate) use namespace::Namespace;
pub(crate) use pod_network::PodNetwork;
pub(crate) use processes::{Process, after_the_end, free_port};
pub(crate) use programs::{pictures_folder, program, repository, rollcall_program, work_folder};
pub(crate) use recorder::{Recorder, State};
pub(crate) use rollcall::{Rollcall, http_get, shared_rollcall};
pub(crate) use wait::{wait_for, wait_until};
pub(crate) use why::{Why, check_whys};
