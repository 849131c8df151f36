//! Makes `generate`'s cluster in an API server, as fast as that takes it.
//!
//! Requests are under way on as many connections as there are requests, namespaces before what is in them. An object
//! goes in as `generate` prints it, less what only the API server gives (`resourceVersion`, `uid`, `creationTimestamp`,
//! `status`); cluster IPs are named, so that none has to be found. What a busy API server could not finish is asked for
//! again. The line in the end says how busy this program was: where that is far from a whole core, it is the API server
//! that was waited for.
//!
//! With `--etcd` the objects are put into its store instead, whole, as it would have done: for each cluster IP that it
//! gives, Kubernetes 1.34 goes through all that it gave before, and 50,000 of them take it an hour.

mod etcd;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use clap::Parser;
use kube::Client;
use rollcall_bench::api::connect;
use rollcall_bench::cluster::{Cluster, Kind, Shape};
use rollcall_bench::processor_seconds;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Times that an object is asked for, and the wait before the second.
const TRIES: u32 = 6;
const WAIT: Duration = Duration::from_millis(200);

/// Make a made-up cluster's objects in an API server.
#[derive(Debug, Parser)]
struct Arguments {
    /// The API server's administrator
    #[arg(long, required_unless_present = "etcd")]
    kubeconfig: Option<PathBuf>,
    /// The client address of its etcd, to put the objects there
    #[arg(long)]
    etcd: Option<SocketAddr>,
    /// How many endpoints there are in the end
    #[arg(long)]
    endpoints: usize,
    /// How many are there already, made with the same arguments; a multiple of those of a service
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// How many endpoints a service has
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    per_service: u32,
    /// What the services are
    #[arg(long, value_enum, default_value_t = Shape::Mixed)]
    shape: Shape,
    /// The same seed makes the same cluster
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests under way at one time
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=4096))]
    under_way: u32,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let cluster = Cluster {
        endpoints: arguments.endpoints,
        per_service: arguments.per_service as usize,
        seed: arguments.seed,
        shape: arguments.shape,
    };
    ensure!(arguments.from.is_multiple_of(cluster.per_service), "--from is not a number of whole services");
    let begin = Instant::now();
    let mut counts = BTreeMap::new();
    let again = Arc::new(AtomicU32::new(0));
    if let Some(etcd) = arguments.etcd {
        let mut store = etcd::Store::connect(etcd)?;
        for kind in Kind::ALL {
            counts.insert(plural(kind), store.put_all(kind, cluster.objects_of(kind, arguments.from))?);
        }
    } else {
        let kubeconfig = arguments.kubeconfig.context("give --kubeconfig or --etcd")?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = connect(&kubeconfig, &runtime)?;
        runtime.block_on(async {
            for kind in Kind::ALL {
                let objects = cluster.objects_of(kind, arguments.from);
                let made = create_all(&client, arguments.under_way, kind, objects, &again).await?;
                counts.insert(plural(kind), made);
            }
            anyhow::Ok(())
        })?;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let total: u32 = counts.values().sum();
    let own = processor_seconds(std::process::id())?;
    for (kind, count) in counts {
        print!("{kind}={count} ");
    }
    println!(
        "seconds={seconds:.1} objects_s={:.0} again={} busy_percent={:.0}",
        f64::from(total) / seconds,
        again.load(Ordering::Relaxed),
        own / seconds * 100.0
    );
    Ok(())
}

/// Makes all of them; the first that cannot be made ends it. Gives how many.
async fn create_all(
    client: &Client,
    under_way: u32,
    kind: Kind,
    objects: impl Iterator<Item = Value>,
    again: &Arc<AtomicU32>,
) -> anyhow::Result<u32> {
    let slots = Arc::new(Semaphore::new(under_way as usize));
    let failure: Arc<Mutex<Option<anyhow::Error>>> = Arc::default();
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut tasks = JoinSet::new();
    let mut count = 0;
    for object in objects {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        while tasks.try_join_next().is_some() {}
        if let Some(failure) = failed() {
            return Err(failure);
        }
        let (client, failure, again) = (client.clone(), Arc::clone(&failure), Arc::clone(again));
        tasks.spawn(async move {
            if let Err(error) = create(&client, kind, object, &again).await {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            drop(slot);
        });
        count += 1;
    }
    while tasks.join_next().await.is_some() {}
    failed().map_or(Ok(count), Err)
}

async fn create(client: &Client, kind: Kind, mut object: Value, again: &AtomicU32) -> anyhow::Result<()> {
    strip(&mut object)?;
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    // What is known to be right is not read a second time for unknown fields.
    let path = format!("{}?fieldValidation=Ignore", path(kind, namespace));
    let mut tries = 0;
    loop {
        tries += 1;
        let request = http::Request::post(&path).header(http::header::CONTENT_TYPE, "application/json");
        let error = match client.request_text(request.body(serde_json::to_vec(&object)?)?).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match &error {
            // It was made, and the answer was lost.
            kube::Error::Api(status) if status.code == 409 && tries > 1 => return Ok(()),
            // A request that the API server gave up, or its own store did, leaves its address behind: any other will do.
            kube::Error::Api(status) if status.message.contains("already allocated") => {
                for key in ["clusterIP", "clusterIPs"] {
                    object["spec"].as_object_mut().map(|spec| spec.remove(key));
                }
            }
            kube::Error::Api(status) if (400..429).contains(&status.code) => tries = TRIES,
            _ => {}
        }
        if tries >= TRIES {
            return Err(anyhow!(error).context(format!("an object of {path}")));
        }
        again.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(WAIT * tries).await;
    }
}

/// Takes away what the API server gives.
fn strip(object: &mut Value) -> anyhow::Result<()> {
    let metadata = object["metadata"].as_object_mut().context("an object without metadata")?;
    for given in ["resourceVersion", "uid", "creationTimestamp", "generation"] {
        metadata.remove(given);
    }
    object.as_object_mut().map(|object| object.remove("status"));
    Ok(())
}

fn path(kind: Kind, namespace: &str) -> String {
    let plural = plural(kind);
    match kind {
        Kind::Namespace => "/api/v1/namespaces".to_owned(),
        Kind::Service => format!("/api/v1/namespaces/{namespace}/{plural}"),
        Kind::EndpointSlice => format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/{plural}"),
        Kind::StatefulSet => format!("/apis/apps/v1/namespaces/{namespace}/{plural}"),
    }
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Namespace => "namespaces",
        Kind::Service => "services",
        Kind::EndpointSlice => "endpointslices",
        Kind::StatefulSet => "statefulsets",
    }
}
