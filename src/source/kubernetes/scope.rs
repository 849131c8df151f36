//! What one list and watch is about: a kind, in the whole cluster or in one namespace.

use std::fmt;

use super::Options;
use super::decode::called;
use crate::cluster::Kind;
use crate::model::Label;

/// A kind, in the whole cluster or in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The kind.
    pub kind: Kind,
    /// None is the whole cluster.
    pub namespace: Option<Label>,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", called(self.kind))?;
        match &self.namespace {
            Some(namespace) => write!(f, " of namespace {namespace}"),
            None => Ok(()),
        }
    }
}

impl Scope {
    /// All that is followed. With a filter nothing is asked of the whole cluster: the account may be one of a
    /// namespace (a Role), and the filter's namespaces are known by their being named.
    pub(super) fn all(options: &Options) -> Vec<Self> {
        let mut kinds = vec![Kind::Service, Kind::EndpointSlice, Kind::StatefulSet];
        if options.pods {
            kinds.push(Kind::Pod);
        }
        let Some(namespaces) = &options.namespaces else {
            kinds.push(Kind::Namespace);
            return kinds.into_iter().map(|kind| Self { kind, namespace: None }).collect();
        };
        let mut labels: Vec<Label> = namespaces.iter().filter_map(|name| Label::new(name).ok()).collect();
        labels.sort();
        labels.dedup();
        let of = |namespace: &Label| {
            let namespace = namespace.clone();
            kinds.iter().map(move |kind| Self { kind: *kind, namespace: Some(namespace.clone()) })
        };
        labels.iter().flat_map(of).collect()
    }

    /// Whether nothing can be denied before it was listed; without the others a name is denied for longer than
    /// it need be, or not at all.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        matches!(self.kind, Kind::Service | Kind::EndpointSlice)
    }

    /// What goes without it, for the log.
    pub(super) fn without(&self, forbidden: bool) -> &'static str {
        match self.kind {
            _ if !forbidden => "",
            Kind::StatefulSet => {
                "; without it replicas that are not ready get the negative TTL instead of the expected one"
            }
            Kind::Namespace => "; without it a namespace is known by its Services only",
            Kind::Pod => "; without it names of pods are SERVFAIL",
            Kind::Service | Kind::EndpointSlice => "; without it nothing can be answered",
        }
    }

    pub(super) fn path(&self) -> String {
        let (group, plural) = match self.kind {
            Kind::Namespace => ("/api/v1", "namespaces"),
            Kind::Service => ("/api/v1", "services"),
            Kind::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
            Kind::StatefulSet => ("/apis/apps/v1", "statefulsets"),
            Kind::Pod => ("/api/v1", "pods"),
        };
        match &self.namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
            None => format!("{group}/{plural}"),
        }
    }

    pub(super) fn label_selector(&self, options: &Options) -> Option<String> {
        let text = (self.kind == Kind::Service).then(|| options.selector.to_string());
        text.filter(|text| !text.is_empty())
    }

    /// A pod that has ended keeps its address in its status while another pod has it already.
    pub(super) fn field_selector(&self) -> Option<String> {
        (self.kind == Kind::Pod).then(|| "status.phase!=Succeeded,status.phase!=Failed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Selector;
    use std::time::Duration;

    fn mk_options(namespaces: Option<&[&str]>, pods: bool) -> Options {
        Options {
            namespaces: namespaces.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            selector: "app in (a, b),!c".parse::<Selector>().unwrap(),
            pods,
            watch_timeout: Duration::from_secs(20),
            watch_silence: Duration::from_secs(90),
            relist: None,
            page: 500,
            max_object: 1 << 20,
        }
    }

    #[test]
    fn the_whole_cluster() {
        let options = mk_options(None, false);
        let paths: Vec<String> = Scope::all(&options).iter().map(Scope::path).collect();
        assert_eq!(
            paths,
            [
                "/api/v1/services",
                "/apis/discovery.k8s.io/v1/endpointslices",
                "/apis/apps/v1/statefulsets",
                "/api/v1/namespaces",
            ]
        );
        let selectors: Vec<_> = Scope::all(&options).iter().map(|s| s.label_selector(&options)).collect();
        assert_eq!(selectors, [Some("app in (a,b),!c".to_owned()), None, None, None]);
    }

    #[test]
    fn a_filter_asks_nothing_of_the_whole_cluster() {
        let scopes = Scope::all(&mk_options(Some(&["b", "a", "b"]), true));
        assert_eq!(scopes.len(), 8);
        assert!(scopes.iter().all(|scope| scope.namespace.is_some()));
        assert_eq!(scopes[3].path(), "/api/v1/namespaces/a/pods");
        assert_eq!(scopes[4].to_string(), "Services of namespace b");
    }
}
