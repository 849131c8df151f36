//! Lists once, whole, as the API writes objects: for `check`, which looks at more of them than what is served.

use std::time::Duration;

use kube::api::{ListParams, Request};
use serde::Deserialize;
use serde_json::Value;

use super::access::{Access, AccessError, Clients};
use super::answer::Api;
use super::failure::{Cause, Failure};
use super::lists::{LIST_HEAD_PATIENCE, LIST_PATIENCE, MAX_PAGE};

/// A kind by its place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    /// `apps/v1`.
    pub version: &'static str,
    /// `StatefulSet`.
    pub kind: &'static str,
    /// `statefulsets`.
    pub plural: &'static str,
}

/// Why a kind could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The account may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no answer, or none that helps.
    #[error("{0}")]
    Failed(String),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure.cause {
            Cause::Forbidden => Self::Forbidden(failure.to_string()),
            _ => Self::Failed(failure.to_string()),
        }
    }
}

/// An API server to ask.
pub struct Inspection {
    api: Api,
    page: u32,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default)]
    r#continue: String,
}

impl Resource {
    fn path(self, namespace: Option<&str>) -> String {
        let Self { version, plural, .. } = self;
        let group =
            if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
        match namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }
}

impl Inspection {
    /// Takes as many objects a page as the watches do.
    ///
    /// # Errors
    /// When the kubeconfig or the service account cannot be used.
    pub async fn start(access: &Access, page: u32) -> Result<Self, AccessError> {
        Ok(Self { api: Api::json(Clients::new(access.clone()).client().await?), page })
    }

    /// Lists all of a kind, in a namespace or in the cluster. A list that has to begin anew gives objects again.
    ///
    /// # Errors
    /// When they cannot be listed; some may have been given by then.
    pub async fn list(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        mut each: impl FnMut(Value),
    ) -> Result<(), Refusal> {
        let mut params = ListParams { limit: Some(self.page), ..ListParams::default() };
        loop {
            let request =
                Request::new(resource.path(namespace)).list(&params).map_err(Failure::of_request)?;
            let page = match self.page(request).await {
                // The pages took longer than the server keeps what they are of: all of it in one.
                Err(failure) if failure.cause == Cause::Gone && params.limit.is_some() => {
                    (params.limit, params.continue_token) = (None, None);
                    continue;
                }
                page => page?,
            };
            for mut item in page.items.unwrap_or_default() {
                // The items of a list go without what the list is of.
                if let Some(fields) = item.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), resource.version.into());
                    fields.insert("kind".to_owned(), resource.kind.into());
                }
                each(item);
            }
            params.continue_token = Some(page.metadata.r#continue).filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(&self, request: http::Request<Vec<u8>>) -> Result<Page, Failure> {
        const PATIENCE: Duration = LIST_HEAD_PATIENCE;
        let page = self.api.page(request, PATIENCE, (MAX_PAGE, LIST_PATIENCE)).await?;
        serde_json::from_slice(page.octets()).map_err(|error| Failure::of_page(&error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let sets = Resource { version: "apps/v1", kind: "StatefulSet", plural: "statefulsets" };
        let pods = Resource { version: "v1", kind: "Pod", plural: "pods" };
        assert_eq!(sets.path(None), "/apis/apps/v1/statefulsets");
        assert_eq!(pods.path(Some("a")), "/api/v1/namespaces/a/pods");
    }
}
