//! `rollcall explain`: why a name is answered as it is.

mod text;

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Args, ValueEnum};

use super::colour::{Colour, plain};
use super::flags::SourceFlags;
use crate::config::ConfigError;
use crate::explain::{Explanation, Question, QuestionError};
use crate::run::explaining;
use crate::run::remote::{AddressError, RemoteError, Server};

/// The server, or the cluster, was not reached.
const UNREACHED: u8 = 3;
/// The command line itself, as clap has it.
const USAGE: u8 = 2;

/// Say why a name is answered as it is: the way from the question to the answer, and what to do.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 there are records, 1 there are none, 2 bad command line (or no name), 3 the server or the cluster cannot be asked.\nWithout --manifests, --kubeconfig, --context and --config a running server is asked, by its\nadmin address.\n\n  rollcall explain web-2.nginx\n  rollcall explain _web._tcp.nginx.shop SRV --kubeconfig ~/.kube/config\n  rollcall explain 10.244.0.7 --manifests ./manifests --output json | jq -r '.reasons[].sentence'",
    mut_args(of_explain)
)]
pub(super) struct Explain {
    /// The name, whole or short (a pod's search path completes it), or an address
    #[arg(value_name = "NAME")]
    name: String,

    /// The type of record [default: PTR of an address, SRV of _port._protocol, else A]
    #[arg(value_name = "TYPE")]
    rtype: Option<String>,

    /// Ask a server that runs, at its admin address (HOST:PORT or http://HOST:PORT) [default: 127.0.0.1:9153]
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["config", "manifests", "kubeconfig", "context"])]
    server: Option<String>,

    /// The token of the server's page and API
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// How to print it
    #[arg(long, short = 'o', value_name = "FORM", value_enum, default_value = "text")]
    output: Output,

    #[command(flatten)]
    source: SourceFlags,
}

/// Flags that would do nothing: a server that runs has its own cluster, loaded by its own configuration.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: of no use for a server that runs; leave it out, or name a cluster to read (--manifests, --kubeconfig, --context, --config)",
    .0.join(", ")
)]
struct OfNoServer(Vec<&'static str>);

/// What the flags of a source mean here, where it is not what they mean for `serve`.
fn of_explain(flag: Arg) -> Arg {
    let (help, more) = match flag.get_id().as_str() {
        "config" => (
            "Explain the cluster of this configuration (TOML); config/rollcall.toml explains every key",
            "Where neither it nor a flag names a cluster: that of the files that KUBECONFIG names, else of the service account \
             of the pod; as `kubectl rollcall` what kubectl would take. Flags win over the environment \
             (`ROLLCALL_TTL_POSITIVE` for `[ttl] positive`), the environment wins over the file.",
        ),
        "manifests" => (
            "Explain the cluster of manifests: a file, a folder, or - for standard input",
            "YAML or JSON, as `kubectl get ns,svc,endpointslices,sts,pods -A -o yaml` prints it, or plain Service and \
             StatefulSet manifests: StatefulSets that have no pods in the input are played, ready at once. With claims and \
             events (`pvc,events`) more can be said of pods that wait.",
        ),
        "kubeconfig" => (
            "Explain the cluster of this kubeconfig, read once with your credentials",
            "Without --manifests, --kubeconfig, --context and --config no cluster is read and a running server is asked \
             (--server), as `kubectl rollcall` too and whatever KUBECONFIG says.",
        ),
        "namespaces" => (
            "The namespace of the pod that asks: its search path completes short names [default: default]",
            "Where a cluster is read also: only objects of this namespace, or of these (comma list; the first is that of the \
             pod); names in other namespaces are REFUSED.",
        ),
        "label_selector" | "pod_cidr" | "service_cidr" | "zone" => {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            return flag.help(format!("{help}; not with a running server"));
        }
        _ => return flag,
    };
    flag.help(help).long_help(format!("{help}\n\n{more}"))
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// Lines for people, in colour on a terminal (NO_COLOR turns it off)
    Text,
    /// One object; docs/explain.md has each field
    Json,
}

impl Explain {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let explained = match self.explained() {
            Ok(explained) => explained,
            Err(error) => {
                let text = format!("rollcall: {}", crate::source::chain(error.as_ref()));
                // Of a configuration each line tells of another key; what the lines hold may be a server's words.
                let lines: Vec<String> = text.lines().map(plain).collect();
                crate::run::say_error(&lines.join("\n"));
                let is_usage = error.is::<QuestionError>()
                    || error.is::<ConfigError>()
                    || error.is::<AddressError>()
                    || error.is::<OfNoServer>()
                    || matches!(error.downcast_ref(), Some(RemoteError::Refused(_, 400, _)));
                return Ok(ExitCode::from(if is_usage { USAGE } else { UNREACHED }));
            }
        };
        let mut out = BufWriter::new(std::io::stdout().lock());
        match self.output {
            Output::Text => text::write(&mut out, &explained, Colour::of_stdout())?,
            Output::Json => {
                serde_json::to_writer_pretty(&mut out, &explained)?;
                writeln!(out)?;
            }
        }
        out.flush()?;
        Ok(if explained.answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn explained(&self) -> anyhow::Result<Explanation> {
        let namespace = self.source.namespace().unwrap_or("default").to_owned();
        let question = Question { typed: self.name.clone(), rtype: self.rtype.clone(), namespace };
        if self.server.is_none() && self.source.names_a_source() {
            let config = self.source.resolve_around(self.source.typed())?;
            return explaining::from_source(&config, &question);
        }
        let of_no_server = self.source.of_a_cluster_that_is_read();
        if !of_no_server.is_empty() {
            return Err(OfNoServer(of_no_server).into());
        }
        let server = self.server.as_deref().unwrap_or("127.0.0.1:9153");
        explaining::from_server(&Server::new(server, self.token_file.clone())?, &question)
    }
}
