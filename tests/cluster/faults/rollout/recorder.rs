//! The record of what the API server told: a watch of its own over the EndpointSlices of one namespace, by
//! kubectl.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::history::{Event, History};
use crate::support::{Namespace, program};

type Histories = BTreeMap<String, History>;

/// A running watch; ends with its value.
#[derive(Debug)]
pub(super) struct Recorder {
    child: Child,
    histories: Arc<Mutex<Histories>>,
}

impl Recorder {
    /// Begins with all slices as they are; times are since `begin`.
    pub(super) fn start(namespace: &Namespace<'_>, begin: Instant) -> Self {
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace.name());
        let mut child = Command::new(program("kubectl"))
            .arg("--kubeconfig")
            .arg(namespace.plane().kubeconfig())
            .args(["get", "--raw", &format!("{path}?watch=1&timeoutSeconds=3600")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl");
        let lines = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap()).lines();
        let (line_tx, line_rx) = channel();
        // The moment is that of arrival: reading what was said takes time, and is another thread's.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line_tx.send((begin.elapsed(), line)).is_err() {
                    return;
                }
            }
        });
        let histories = Arc::default();
        let kept = Arc::clone(&histories);
        thread::spawn(move || keep(&line_rx, &kept));
        Self { child, histories }
    }

    /// By service, as far as they are known.
    pub(super) fn histories(&self) -> MutexGuard<'_, Histories> {
        self.histories.lock().unwrap()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(line_rx: &Receiver<(Duration, String)>, histories: &Mutex<Histories>) {
    for (at, line) in line_rx {
        if let Some(event) = Event::read(at, &line) {
            histories.lock().unwrap().entry(event.service.clone()).or_default().apply(&event);
        }
    }
}
