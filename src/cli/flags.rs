//! Flags that several subcommands share, and how they become a configuration.

use std::path::PathBuf;

use clap::Args;

use crate::config::{Config, Typed, TypedSource};

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

impl SourceFlags {
    /// What the flags say, as typed.
    pub(super) fn typed(&self) -> Typed {
        let source = TypedSource {
            manifests: self.manifests.clone(),
            namespaces: self.namespaces.clone(),
            label_selector: self.label_selector.clone(),
            pod_cidr: self.pod_cidr.clone(),
            service_cidr: self.service_cidr.clone(),
        };
        Typed { zone: self.zone.clone(), source, ..Typed::default() }
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
}
