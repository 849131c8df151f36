//! `rollcall serve`.

use std::process::ExitCode;

use clap::Args;

use super::flags::SourceFlags;
use crate::config::{Config, LogFormat, Typed, TypedLog, TypedSnapshot, TypedTls};
use crate::run;

/// Answer questions over UDP and TCP, TLS, HTTPS and QUIC.
#[derive(Debug, Args)]
#[command(
    after_help = "Prints `listening udp+tcp ADDRESS` (or tls, https, quic) for each address and `ready` once it answers from a complete cluster, on standard error. SIGTERM answers on for `[limits] lameduck` and ends; SIGHUP reads configuration and manifests again, as a change of either does.\n\n  rollcall serve --config config/demo.toml\n  rollcall serve --kubeconfig ~/.kube/config --listen 127.0.0.1:5300\n  kubectl get ns,svc,endpointslices,sts,pods -A -o yaml |\n    rollcall serve --manifests - --listen 127.0.0.1:5300\n  rollcall serve --manifests m --listen tls://127.0.0.1:8853 --tls-certificate tls.crt --tls-key tls.key"
)]
pub(super) struct Serve {
    #[command(flatten)]
    source: SourceFlags,

    /// Listen here, UDP and TCP; may be repeated, replaces the file's list; port 0 takes a free one
    /// [default: 0.0.0.0:53 and [::]:53]
    ///
    /// tls://ADDRESS (port 853), https://ADDRESS[/PATH] (port 443, /dns-query) and quic://ADDRESS (port 853) listen for
    /// DNS over TLS, HTTPS and QUIC, with the certificate of `--tls-certificate` or `[tls]`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Vec<String>>,

    /// Tell health and metrics here over HTTP (/livez, /readyz, /metrics), and show the page: ADDRESS:PORT, :PORT for every
    /// address, or off [default: 127.0.0.1:9153]
    ///
    /// The page at / and the API at /api/v1/ are shown on loopback, elsewhere with the token of `[page] token_file`.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,

    /// The certificate of tls://, https:// and quic:// (PEM, the server's own first); a new one is taken as it comes
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<String>,

    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,

    /// Keep the cluster of an API server in this file, and serve it from there at a start without the API server
    ///
    /// Written whole or not at all, at most each `[snapshot] interval`; docs/outages.md has the rules.
    #[arg(long, value_name = "FILE", conflicts_with = "manifests")]
    snapshot: Option<String>,

    /// The log's form on standard error: text, or json, an object a line [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
}

impl Serve {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        run::init_logging(self.early_format());
        let source = self.source.clone();
        let flags = Typed {
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            snapshot: TypedSnapshot { path: self.snapshot.clone(), ..TypedSnapshot::default() },
            log: TypedLog { format: self.log_format.clone(), ..TypedLog::default() },
            tls: TypedTls {
                certificate: self.tls_certificate.clone(),
                key: self.tls_key.clone(),
                ..TypedTls::default()
            },
            ..source.typed()
        };
        // Called again at each reload, for the file may have changed; flags and environment stay, and win.
        let configure = {
            let source = source.clone();
            move || -> anyhow::Result<Config> { source.resolve_around(flags.clone()) }
        };
        run::serve(configure, source.config.as_deref())?;
        Ok(ExitCode::SUCCESS)
    }

    /// The form of what is said before there is a configuration, which may be wrong itself.
    fn early_format(&self) -> LogFormat {
        let environment = || std::env::var("ROLLCALL_LOG_FORMAT").ok();
        match self.log_format.clone().or_else(environment).as_deref() {
            Some("json") => LogFormat::Json,
            _ => LogFormat::Text,
        }
    }
}
