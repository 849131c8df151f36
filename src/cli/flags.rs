//! Flags that several subcommands share, and how they become a configuration.

use std::path::PathBuf;

use clap::Args;

use super::plugin;
use crate::config::{Cluster, Config, Typed, TypedSource};
use crate::source::kubernetes::Access;

/// Where the configuration and the cluster come from.
#[derive(Debug, Clone, Args)]
pub(super) struct SourceFlags {
    /// Configuration file (TOML); config/rollcall.toml explains every key
    ///
    /// Flags win over the environment (`ROLLCALL_TTL_POSITIVE` for `[ttl] positive`), the environment wins over
    /// the file.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Take the cluster from manifests: a file, a folder, or - for standard input
    ///
    /// YAML or JSON, as `kubectl get ns,svc,endpointslices,sts,pods -A -o yaml` prints it, or plain Service and
    /// StatefulSet manifests: StatefulSets that have no pods in the input are played, ready at once. A file or
    /// folder is followed while it changes; a bad edit keeps the last good state.
    #[arg(long, value_name = "PATH")]
    manifests: Option<String>,

    /// Take the cluster from the API server of this kubeconfig
    ///
    /// Without any source: the files that KUBECONFIG names, else the service account of the pod; as `kubectl rollcall`
    /// what kubectl would take. `check` asks no cluster that its `--config` does not name.
    #[arg(long, value_name = "FILE", conflicts_with = "manifests")]
    kubeconfig: Option<String>,

    /// The context of the kubeconfig (of ~/.kube/config, where none is named) [default: its current one]
    #[arg(long, value_name = "NAME", conflicts_with = "manifests")]
    context: Option<String>,

    /// Only objects of these namespaces (comma list); names in other namespaces are REFUSED
    #[arg(long = "namespace", short = 'n', value_name = "NAME", value_delimiter = ',')]
    namespaces: Option<Vec<String>>,

    /// Only Services with these labels, as in `kubectl -l`
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    label_selector: Option<String>,

    /// Prefixes for the addresses of played pods, one a family (comma list)
    /// [default: 10.244.0.0/16,fd00:10:244::/64]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pod_cidr: Option<Vec<String>>,

    /// Prefixes for missing clusterIPs, one a family (comma list) [default: 10.96.0.0/16,fd00:10:96::/112]
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    service_cidr: Option<Vec<String>>,

    /// The cluster domain [default: cluster.local]
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
}

/// The cluster that the surroundings name, where nothing else does.
fn around() -> Option<Cluster> {
    let kubeconfig = std::env::var_os("KUBECONFIG").is_some_and(|files| !files.is_empty());
    // kubectl takes ~/.kube/config where nothing is set, and this one too as its plugin.
    let access = if kubeconfig || plugin::is_called() {
        Access::Kubeconfig { file: None, context: None }
    } else if Access::is_in_cluster() {
        Access::InCluster
    } else {
        return None;
    };
    Some(Cluster::Kubernetes(access))
}

impl SourceFlags {
    /// What the flags say, as typed.
    pub(super) fn typed(&self) -> Typed {
        let source = TypedSource {
            manifests: self.manifests.clone(),
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
            namespaces: self.namespaces.clone(),
            label_selector: self.label_selector.clone(),
            pod_cidr: self.pod_cidr.clone(),
            service_cidr: self.service_cidr.clone(),
        };
        Typed { zone: self.zone.clone(), source, ..Typed::default() }
    }

    /// Whether a flag names a cluster, or a file that may.
    pub(super) fn names_a_source(&self) -> bool {
        self.config.is_some()
            || self.manifests.is_some()
            || self.kubeconfig.is_some()
            || self.context.is_some()
    }

    /// The flags that were given and say how a cluster is read: of one that a server has read they say nothing.
    pub(super) fn of_a_cluster_that_is_read(&self) -> Vec<&'static str> {
        let given = [
            ("--label-selector", self.label_selector.is_some()),
            ("--pod-cidr", self.pod_cidr.is_some()),
            ("--service-cidr", self.service_cidr.is_some()),
            ("--zone", self.zone.is_some()),
        ];
        given.into_iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| flag).collect()
    }

    /// The first of the namespaces.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespaces.as_ref()?.first().map(String::as_str)
    }

    /// The configuration of flags, environment and file.
    pub(super) fn resolve(&self, flags: Typed) -> anyhow::Result<Config> {
        let file = self.config.as_deref().map(Typed::from_file).transpose()?.unwrap_or_default();
        let env = Typed::from_env(std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 is not ours: every key and every value of ours is.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))?;
        Ok(Config::resolve(flags.or(env).or(file))?)
    }

    /// The same, and where no cluster is named the one of the surroundings: `KUBECONFIG`, or the pod's account.
    pub(super) fn resolve_around(&self, flags: Typed) -> anyhow::Result<Config> {
        let mut config = self.resolve(flags)?;
        config.cluster = config.cluster.or_else(around);
        Ok(config)
    }
}
