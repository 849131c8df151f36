//! Prints one dump of a made-up cluster, as `kubectl get ns,svc,endpointslices,sts -A -o json` (or `yaml`) does.
//!
//! Half of the services are headless and govern a StatefulSet, the others have a cluster IP and stand before pods
//! of a Deployment. Slices hold up to 100 endpoints, as the EndpointSlice controller makes them. The same
//! arguments print the same octets everywhere.

mod yaml;

use std::io::{self, BufWriter, Write};

use clap::{Parser, ValueEnum};
use serde_json::Value;

use rollcall_bench::cluster::{Cluster, Shape};

/// Print one dump of a made-up cluster.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many endpoints there are in all
    #[arg(long, default_value_t = 100_000)]
    endpoints: usize,
    /// How many endpoints a service has
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_service: u32,
    /// How the dump is written
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// What the services are
    #[arg(long, value_enum, default_value_t = Shape::Mixed)]
    shape: Shape,
    /// The same seed makes the same cluster
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print `NAME ADDRESS` of the last ready pod of a StatefulSet instead of the dump
    #[arg(long)]
    question: bool,
    /// Print so many questions for `load` instead of the dump: names of ready pods of StatefulSets, by chance
    #[arg(long, conflicts_with = "question", value_name = "COUNT")]
    questions: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let cluster = Cluster {
        endpoints: arguments.endpoints,
        per_service: arguments.per_service as usize,
        seed: arguments.seed,
        shape: arguments.shape,
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    if arguments.question {
        if let Some((name, address)) = cluster.question() {
            writeln!(out, "{name} {address}")?;
        }
    } else if let Some(count) = arguments.questions {
        cluster.names(count).try_for_each(|name| writeln!(out, "{name} A"))?;
    } else {
        match arguments.format {
            Format::Json => json(&cluster, &mut out)?,
            Format::Yaml => yaml(&cluster, &mut out)?,
        }
    }
    out.flush()
}

/// kubectl indents by four.
fn json(cluster: &Cluster, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\n    \"apiVersion\": \"v1\",\n    \"items\": [")?;
    let mut first = true;
    cluster.objects().try_for_each(|object: Value| {
        out.write_all(if first { b"\n" } else { b",\n" })?;
        first = false;
        let mut text = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        serde::Serialize::serialize(
            &object,
            &mut serde_json::Serializer::with_formatter(&mut text, indented),
        )?;
        let mut lines = text.split(|octet| *octet == b'\n');
        lines.next().map_or(Ok(()), |line| indent(out, line))?;
        lines.try_for_each(|line| out.write_all(b"\n").and_then(|()| indent(out, line)))
    })?;
    let end = if first { "" } else { "\n    " };
    write!(
        out,
        "{end}],\n    \"kind\": \"List\",\n    \"metadata\": {{\n        \"resourceVersion\": \"\"\n    }}\n}}\n"
    )
}

fn indent(out: &mut impl Write, line: &[u8]) -> io::Result<()> {
    out.write_all(b"        ")?;
    out.write_all(line)
}

fn yaml(cluster: &Cluster, out: &mut impl Write) -> io::Result<()> {
    let mut text = String::new();
    if cluster.endpoints == 0 {
        writeln!(out, "apiVersion: v1\nitems: []")?;
    } else {
        writeln!(out, "apiVersion: v1\nitems:")?;
    }
    cluster.objects().try_for_each(|object: Value| {
        text.clear();
        yaml::item(&object, &mut text);
        out.write_all(text.as_bytes())
    })?;
    writeln!(out, "kind: List\nmetadata:\n  resourceVersion: \"\"")
}
