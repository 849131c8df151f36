//! Reads single objects on demand, with the credentials of whoever asks: for `explain`, which tells more of one name than
//! the watches know.

use std::time::Duration;

use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use super::access::{Access, AccessError, Clients};
use crate::model::is_object_name;
use crate::source::chain;

/// Somebody waits at a terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// An API server to ask.
pub struct Reading(Client);

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no such object.
    #[error("there is none")]
    Missing,
    /// Who asks may not, in the API server's words.
    #[error("{0}")]
    Forbidden(String),
    /// There is no answer, or none that helps.
    #[error("{0}")]
    Failed(String),
}

#[derive(Deserialize)]
struct List {
    items: Option<Vec<Value>>,
}

/// A kind by its place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Readable {
    Service,
    EndpointSlice,
    StatefulSet,
    Pod,
    Claim,
    Event,
}

impl Readable {
    /// As the API calls several of them.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::StatefulSet => "statefulsets",
            Self::Pod => "pods",
            Self::Claim => "persistentvolumeclaims",
            Self::Event => "events",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::StatefulSet => "StatefulSet",
            Self::Pod => "Pod",
            Self::Claim => "PersistentVolumeClaim",
            Self::Event => "Event",
        }
    }

    fn path(self, namespace: &str) -> String {
        let group = match self {
            Self::Service | Self::Pod | Self::Claim | Self::Event => "/api/v1",
            Self::EndpointSlice => "/apis/discovery.k8s.io/v1",
            Self::StatefulSet => "/apis/apps/v1",
        };
        format!("{group}/namespaces/{namespace}/{}", self.plural())
    }
}

impl Reading {
    /// Reads by this access.
    ///
    /// # Errors
    /// When the kubeconfig or the service account cannot be used.
    pub async fn start(access: &Access) -> Result<Self, AccessError> {
        Ok(Self(Clients::new(access.clone()).client().await?))
    }

    /// Reads one object. No object has a name that would need escapes in a path, or lead to another one (`web-0/proxy`):
    /// of such a name nothing is asked.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, of: Readable, namespace: &str, name: &str) -> Result<Value, Unreadable> {
        if !is_object_name(name) {
            return Err(Unreadable::Missing);
        }
        self.ask(format!("{}/{name}", of.path(namespace))).await
    }

    /// Lists those that a selector has: `labelSelector=a%3Db`, escaped.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn list(
        &self,
        of: Readable,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<Value>, Unreadable> {
        let list: List = self.ask(format!("{}?{selector}&limit=500", of.path(namespace))).await?;
        let mut items = list.items.unwrap_or_default();
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            // The items of a list go without what the list is of.
            item.insert("kind".to_owned(), of.kind().into());
        }
        Ok(items)
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, path: String) -> Result<T, Unreadable> {
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|error| Unreadable::Failed(error.to_string()))?;
        match tokio::time::timeout(PATIENCE, self.0.request(request)).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(kube::Error::Api(status))) => Err(match status.code {
                404 => Unreadable::Missing,
                401 | 403 => Unreadable::Forbidden(status.message.clone()),
                _ => Unreadable::Failed(status.message.clone()),
            }),
            Ok(Err(error)) => Err(Unreadable::Failed(chain(&error))),
            Err(_) => Err(Unreadable::Failed(format!("nothing after {} s", PATIENCE.as_secs()))),
        }
    }
}
