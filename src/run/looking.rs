//! Between the driver, which knows the sets that are not whole, and those who ask for their pods.

use std::collections::BTreeMap;

use tracing::error;

use super::served::Served;
use crate::source::kubernetes::{Asking, Clients, LookCounters, Rate, SetName, Told};

/// Looks at pods for what is served.
pub(super) struct Looking {
    clients: Clients,
    counters: LookCounters,
    rate: Rate,
    /// None before anything is wanted.
    asking: Option<Asking>,
    told: Vec<Told>,
    is_over: bool,
}

impl Looking {
    pub(super) fn new(clients: Clients, rate: Rate, counters: LookCounters) -> Self {
        Self { clients, counters, rate, asking: None, told: Vec::new(), is_over: false }
    }

    /// Waits until pods say something. May be cancelled.
    pub(super) async fn changed(&mut self) {
        match &mut self.asking {
            Some(asking) => match asking.told().await {
                Some(told) => self.told.push(told),
                None => self.is_over = true,
            },
            None => std::future::pending().await,
        }
    }

    /// Takes it, to be published.
    pub(super) fn take(&mut self, served: &mut Served) {
        if let Some(asking) = &mut self.asking {
            self.told.extend(std::iter::from_fn(|| asking.more()));
        }
        let most = served.config.looks.memory;
        for Told { set, pods } in self.told.drain(..) {
            if !served.driver.put_pods(&set, pods, most) {
                self.counters.left_out();
            }
        }
    }

    /// Takes over a configuration, before what it makes is published. Where nobody is asked about from now on, what is
    /// known is forgotten: it would be told until the sets are whole.
    pub(super) fn heed(&mut self, served: &mut Served) {
        let looks = &served.config.looks;
        if looks.rate.sets > 0 || self.rate.sets == 0 {
            return;
        }
        let most = looks.memory;
        self.told.clear();
        for set in self.asking.iter().flat_map(|asking| asking.all_wanted().into_keys()) {
            served.driver.put_pods(&set, Vec::new(), most);
        }
    }

    /// Says whose pods are wanted by now.
    pub(super) fn want(&mut self, served: &mut Served) {
        let rate = served.config.looks.rate;
        if self.is_over || rate != self.rate {
            if std::mem::take(&mut self.is_over) {
                error!("asking for pods ended in a panic: starting anew");
            }
            self.rate = rate;
            let all = self.asking.take().map(|asking| asking.all_wanted());
            self.pass_on(all.unwrap_or_default());
        }
        self.pass_on(served.driver.take_wanted());
    }

    fn pass_on(&mut self, wanted: BTreeMap<SetName, Option<Vec<u64>>>) {
        if wanted.is_empty() {
            return;
        }
        let (clients, counters) = (&self.clients, &self.counters);
        let start = || Asking::start(clients.clone(), self.rate, counters.clone());
        self.asking.get_or_insert_with(start).want(wanted);
    }
}
