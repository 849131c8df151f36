//! The API server's side: the objects, the measured change, and the other changes that go on.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use kube::Client;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use rollcall_bench::api::{connect, create};
use rollcall_bench::replay;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

const NAMESPACE: &str = "bench-change";
const SERVICES: &str = "/api/v1/namespaces/bench-change/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/bench-change/endpointslices";
/// Other changes under way at once, at most: more would wait in the API server's queues and not in ours.
const UNDER_WAY: usize = 64;
/// The other changes are sent in bunches, this far apart.
const TICK: Duration = Duration::from_millis(10);

/// The API server, for the measured changes.
pub(super) struct Cluster {
    runtime: Runtime,
    client: Client,
    slices: Request,
}

impl Cluster {
    /// Makes the namespace, the probe, and the services for the other changes.
    pub(super) fn prepare(kubeconfig: &Path, services: usize) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = connect(kubeconfig, &runtime)?;
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        runtime.block_on(async {
            create(&client, "/api/v1/namespaces", &namespace).await?;
            let probe = vec![endpoint("probe-0", replay::address(0))];
            create(&client, SERVICES, &service("probe")).await?;
            create(&client, SLICES, &slice("probe", &probe)).await?;
            for index in 0..services {
                let name = other(index);
                create(&client, SERVICES, &service(&name)).await?;
                create(&client, SLICES, &slice(&name, &endpoints(index, 0))).await?;
            }
            anyhow::Ok(())
        })?;
        Ok(Self { runtime, client, slices: Request::new(SLICES) })
    }

    /// Gives the probe another address; when that was sent, and when the API server had acknowledged it.
    pub(super) fn change_probe(&self, address: Ipv4Addr) -> anyhow::Result<(Instant, Instant)> {
        let sent = Instant::now();
        let patch = Patch::Merge(json!({ "endpoints": [endpoint("probe-0", address)] }));
        let request = self.slices.patch("probe", &PatchParams::default(), &patch)?;
        self.runtime.block_on(self.client.request_text(request)).context("the change of the probe")?;
        Ok((sent, Instant::now()))
    }
}

fn service(name: &str) -> Value {
    // Without a selector: its slices are ours alone, also where there is a controller.
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": name },
        "spec": { "clusterIP": "None", "ports": [{ "name": "http", "port": 80 }] },
    })
}

fn slice(service: &str, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": service,
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "rollcall-bench",
            },
        },
        "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }],
        "endpoints": endpoints,
    })
}

fn endpoint(host: &str, address: Ipv4Addr) -> Value {
    json!({ "addresses": [address], "hostname": host, "conditions": { "ready": true } })
}

fn other(index: usize) -> String {
    format!("other-{index}")
}

/// Ten endpoints, of which each change gives the first another address.
fn endpoints(service: usize, change: u32) -> Vec<Value> {
    let third = u8::try_from(service % 250).unwrap_or_default();
    let address = |number: u32, octet| match number {
        0 => Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 128, 0, 0)) + change),
        _ => Ipv4Addr::new(10, 100, third, octet),
    };
    (0..10)
        .map(|number| endpoint(&format!("{}-{number}", other(service)), address(number.into(), number)))
        .collect()
}

/// Changes to other services, at a rate, until they are stopped.
pub(super) struct OtherChanges {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<f64>>>,
}

impl OtherChanges {
    /// None at a rate of 0.
    pub(super) fn start(kubeconfig: &Path, services: usize, rate: u32) -> anyhow::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        if rate == 0 {
            return Ok(Self { is_over, thread: None });
        }
        // Of its own: the acknowledgement of the measured change must not wait for these.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = connect(kubeconfig, &runtime)?;
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || runtime.block_on(change_others(client, services, rate, &over)));
        Ok(Self { is_over, thread: Some(thread) })
    }

    /// Stops them; how many a second were acknowledged.
    pub(super) fn stop(self) -> anyhow::Result<f64> {
        self.is_over.store(true, Ordering::Relaxed);
        match self.thread.map(JoinHandle::join) {
            None => Ok(0.0),
            Some(Ok(reached)) => reached,
            Some(Err(_)) => Err(anyhow!("the thread of the other changes panicked")),
        }
    }
}

async fn change_others(
    client: Client,
    services: usize,
    rate: u32,
    is_over: &AtomicBool,
) -> anyhow::Result<f64> {
    let slots = Arc::new(Semaphore::new(UNDER_WAY));
    let done = Arc::new(AtomicU32::new(0));
    let failure = Arc::new(std::sync::Mutex::new(None));
    let mut ticks = tokio::time::interval(TICK);
    // A rate that is not reached is told, not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begin = Instant::now();
    let (mut owed, mut change) = (0.0, 0);
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        owed += f64::from(rate) * TICK.as_secs_f64();
        while owed >= 1.0 {
            owed -= 1.0;
            change += 1;
            let slot = Arc::clone(&slots).acquire_owned().await?;
            let (client, done, failure) = (client.clone(), Arc::clone(&done), Arc::clone(&failure));
            let service = usize::try_from(change)? % services;
            let patch = Patch::Merge(json!({ "endpoints": endpoints(service, change) }));
            let request = Request::new(SLICES).patch(&other(service), &PatchParams::default(), &patch)?;
            tokio::spawn(async move {
                match client.request_text(request).await {
                    Ok(_) => drop(done.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => *failure.lock().unwrap_or_else(|e| e.into_inner()) = Some(error),
                }
                drop(slot);
            });
        }
    }
    let reached = f64::from(done.load(Ordering::Relaxed)) / begin.elapsed().as_secs_f64();
    let _all = slots.acquire_many(u32::try_from(UNDER_WAY)?).await?;
    match failure.lock().unwrap_or_else(|e| e.into_inner()).take() {
        Some(error) => Err(anyhow!(error).context("one of the other changes")),
        None => Ok(reached),
    }
}
