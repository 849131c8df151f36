//! The first client of a scope: made before, or waited for like an API server that is away.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::mpsc;

use super::answer::Api;
use super::failure::Failure;
use super::follow::Follow;
use super::trouble::Trouble;
use super::watches::Watch;
use super::{Clients, Event, Options, Scope, Update};
use crate::source::chain;

/// Between two tries. All scopes wait for as long, so that they ask together and share one.
const WAIT: Duration = Duration::from_secs(3);

/// A scope that is to be followed.
pub(super) struct Connect {
    pub(super) clients: Clients,
    pub(super) watch: Arc<Watch>,
    pub(super) options: Options,
    pub(super) number: usize,
    pub(super) scope: Scope,
    pub(super) updates: mpsc::Sender<Update>,
}

impl Connect {
    /// Follows it until nobody listens any more.
    pub(super) async fn run(self, client: Option<Client>) {
        let mut trouble = Trouble::default();
        let client = match client {
            Some(client) => client,
            None => match self.client(&mut trouble).await {
                Some(client) => client,
                None => return,
            },
        };
        let Self { clients, watch, options, number, scope, updates } = self;
        let api = Arc::new(Api::new(client));
        Follow { clients, api, watch, options, number, scope, updates }.run(trouble).await;
    }

    /// A client, however long it takes; None when nobody listens any more.
    async fn client(&self, trouble: &mut Trouble) -> Option<Client> {
        loop {
            let error = match self.clients.client().await {
                Ok(client) => return Some(client),
                Err(error) => error,
            };
            let failure = Failure::ended(chain(&error));
            self.watch.fails(failure.cause);
            if trouble.is_news(&failure, &self.scope) {
                let (message, forbidden, unheard) = (failure.to_string(), false, Duration::ZERO);
                let event = Event::Trouble { message, forbidden, unheard };
                let arrived = std::time::Instant::now();
                let update = Update { scope: self.number, event, arrived, triggered: None };
                self.updates.send(update).await.ok()?;
            }
            tokio::time::sleep(WAIT).await;
        }
    }
}
