//! The sentences: one for each reason, for somebody who looks at an answer and wonders.

use std::fmt;

use super::Reason;
use crate::records::Dashed;

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Awaited { name, set, replicas, waits_for } => write!(
                f,
                "{name} does not exist yet: StatefulSet {set} wants {replicas} and waits for {set}-{waits_for}"
            ),
            Self::NoAddress { name, service, set, replicas } => write!(
                f,
                "{name} has no address yet: StatefulSet {set} wants {replicas}, but no slice of Service {service} has it"
            ),
            Self::NotReady { name, slice, address } => {
                write!(f, "{name} is not ready: slice {slice} has it at {address}, ready=false")
            }
            Self::Terminating { name, slice, address } => {
                write!(f, "{name} is terminating: slice {slice} has it at {address}, terminating=true")
            }
            Self::PodPending { name, message } => write!(f, "{name} is Pending: {message}"),
            Self::PodUnscheduled { name } => {
                write!(f, "{name} is Pending: it has no node yet and does not say why")
            }
            Self::ClaimNotBound { name, claim, class, message } => {
                write!(f, "{name} is Pending: claim {claim} is not bound ")?;
                match class {
                    "" => f.write_str("(no storageClass)")?,
                    class => write!(f, "(storageClass {class})")?,
                }
                if message.is_empty() { Ok(()) } else { write!(f, "; {message}") }
            }
            Self::PodWaiting { name, reason, detail } => write!(f, "{name} waits in {reason}: {detail}"),
            Self::PodNotReady { name, since, message } => {
                write!(f, "{name} is not ready since {since}: {message}")
            }
            Self::NodeSilent { name, since, node } => {
                write!(f, "{name} is not ready since {since}: its node {node} does not answer")
            }
            Self::PodTerminating { name, since, finalizer, node, silent } => {
                write!(f, "{name} is terminating")?;
                if !since.is_empty() {
                    write!(f, " since {since}")?;
                }
                match (finalizer, node, silent) {
                    ("", "", _) => Ok(()),
                    ("", node, true) => write!(f, ", its node {node} does not answer"),
                    ("", node, false) => write!(f, ", its node {node} has not ended it in its time"),
                    (finalizer, ..) => write!(f, ", its finalizer {finalizer} keeps it"),
                }
            }
            Self::CalledByAddress { name, service, subdomain, address } => write!(
                f,
                "Service {service} selects {name}, but its subdomain is {subdomain}: it is called {} here",
                Dashed(address)
            ),
            Self::NoneReady { service, endpoints: 1, slice, address } => write!(
                f,
                "the one endpoint of Service {service} is not ready: slice {slice} has it at {address}, ready=false"
            ),
            Self::NoneReady { service, endpoints, slice, address } => write!(
                f,
                "none of the {endpoints} endpoints of Service {service} is ready: slice {slice} has {address} with ready=false"
            ),
            Self::NoEndpoints { service } => write!(
                f,
                "Service {service} has no endpoints: its selector matches no pod, or none that has an address yet"
            ),
            Self::ScaledToZero { service, set } => {
                write!(f, "Service {service} has no endpoints: StatefulSet {set} has replicas 0")
            }
            Self::GoverningServiceMissing { service, namespace, set } => write!(
                f,
                "no Service {service} in namespace {namespace}; StatefulSet {set} names it as its serviceName"
            ),
            Self::BadExternalName { service, target } => {
                write!(f, "the externalName of Service {service} is no DNS name: {target}")
            }
            Self::BeyondReplicas { name, set, first: 0, end } => {
                write!(f, "{name} does not exist: StatefulSet {set} has replicas {end}")
            }
            Self::BeyondReplicas { name, set, first, end } => {
                let replicas = end.saturating_sub(first.into());
                write!(
                    f,
                    "{name} does not exist: StatefulSet {set} has replicas {replicas}, from ordinal {first} on"
                )
            }
            Self::SimilarService { asked, similar } => {
                write!(f, "no such service {asked}; did you mean {similar}?")
            }
            Self::Stale { since } => {
                write!(f, "as it was known at {since}: the API server has not answered since")
            }
            Self::StaleSnapshot { since } => {
                write!(f, "served from a snapshot of {since}: the API server does not answer")
            }
            _ => f.write_str(self.constant().unwrap_or_default()),
        }
    }
}

impl Reason<'_> {
    /// The sentence, where there is no name to be told: most answers of the hot path are these.
    #[must_use]
    pub fn constant(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchService => "no such Service in this namespace",
            Self::NoSuchNamespace => "no such namespace, and no Service in it",
            Self::NoSuchHost => "no endpoint of this Service has this name",
            Self::BelowHost => "nothing is below the name of an endpoint but its ports, as _port._protocol",
            Self::NoSuchPort => "no endpoint of this Service has a port of this name and protocol",
            Self::BelowAlias => "the Service is an ExternalName: there is nothing below its name",
            Self::NoSuchName => {
                "the cluster's domain has no such name: those of Services end in svc and the domain"
            }
            Self::NoSuchSet => "no StatefulSet names this Service as its serviceName",
            Self::NoPodNames => "names of pods are switched off here (pods = \"disabled\")",
            Self::NotAnAddress => {
                "the name of a pod is its address with dashes, in a namespace that is known: 10-244-0-7.default.pod"
            }
            Self::NoSuchPod => "no pod of this namespace has this address",
            Self::UnknownAddress => "no Service and no ready endpoint has this address",
            Self::OnlyBelow => "nothing stands at this name itself, but at names below it",
            Self::NoIpv4 => "there is no A record here: every address of this name is IPv6",
            Self::NoIpv6 => "there is no AAAA record here: every address of this name is IPv4",
            Self::NoPorts => "there is no SRV record here: neither Service nor slice has a port",
            Self::NoSuchType => "the name exists, and has no record of this type",
            Self::NamedByAddress => {
                "these pods are called by their addresses: their subdomain is not the name of this Service"
            }
            Self::AliasCut => "the chain of aliases is a circle, or longer than 8 links, and ends here",
            Self::AliasLeftOut => "the alias leads into a namespace that is not served here",
            Self::AliasNotFollowed => {
                "the alias leads out of the cluster's domain, and no upstream is configured to follow it"
            }
            Self::OutsideZones => "not within the zones served here",
            Self::NamespaceLeftOut => {
                "this server is configured not to serve the namespace, or cannot list it"
            }
            Self::TransferRefused => "zone transfers are not served",
            Self::OtherClass => "only class IN is served",
            Self::NotSynchronised => "the cluster is not known yet",
            Self::PodsNotKnown => "the pods of the cluster are not known yet",
            Self::TooOld => "what is known of the cluster is older than stale.max_age",
            Self::UpstreamFailed => "the upstream did not answer for the external name",
            // These say more, above.
            Self::Awaited { .. }
            | Self::NoAddress { .. }
            | Self::NotReady { .. }
            | Self::Terminating { .. }
            | Self::PodPending { .. }
            | Self::PodUnscheduled { .. }
            | Self::ClaimNotBound { .. }
            | Self::PodWaiting { .. }
            | Self::PodNotReady { .. }
            | Self::NodeSilent { .. }
            | Self::PodTerminating { .. }
            | Self::CalledByAddress { .. }
            | Self::NoneReady { .. }
            | Self::NoEndpoints { .. }
            | Self::ScaledToZero { .. }
            | Self::GoverningServiceMissing { .. }
            | Self::BadExternalName { .. }
            | Self::BeyondReplicas { .. }
            | Self::SimilarService { .. }
            | Self::Stale { .. }
            | Self::StaleSnapshot { .. } => return None,
        })
    }
}
