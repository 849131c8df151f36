//! Objects that an API server listed, as `kubectl get -o json` would have printed them: judged as a dump is.

use std::collections::HashSet;

use serde_json::Value;

use super::files::{Loaded, Options};
use super::item::{Item, item};
use super::play::Player;
use super::states::states;
use crate::source::Problem;

/// Collects them, each made slim as it comes.
#[derive(Debug, Default)]
pub struct Listed {
    items: Vec<Item>,
    problems: Vec<Problem>,
    seen: HashSet<[String; 3]>,
}

impl Listed {
    /// Takes one. Another one of its kind and name is the same, listed again.
    pub fn add(&mut self, value: Value) {
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.seen.insert([text("/kind"), text("/metadata/namespace"), text("/metadata/name")]) {
            return;
        }
        match item(value) {
            Ok((item, beside)) => {
                self.items.extend(item);
                self.problems.extend(beside);
            }
            Err(problem) => self.problems.push(*problem),
        }
    }

    /// The cluster that they make.
    #[must_use]
    pub fn finish(self, options: &Options) -> Loaded {
        let items: Vec<&Item> = self.items.iter().collect();
        let (objects, played) = Player::new(options).play(&items, options);
        let mut problems = self.problems;
        problems.extend(played);
        Loaded { objects, pods: states(&items, options), problems }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Object, Selector};
    use serde_json::json;

    #[test]
    fn they_are_judged_as_a_dump_is_and_taken_once() {
        let options = Options {
            pod_cidr: vec![],
            service_cidr: vec![],
            namespaces: None,
            selector: Selector::default(),
            max_file: 1 << 20,
            max_played: 100,
        };
        let mut listed = Listed::default();
        let service = |name: &str, port: u32| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "n", "uid": "1"},
                   "spec": {"clusterIP": "None", "ports": [{"port": port}]}})
        };
        for value in [service("a", 80), service("a", 80), service("b", 70000)] {
            listed.add(value);
        }
        let loaded = listed.finish(&options);
        let said: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["Service n/b: spec.ports[0].port: is not a port from 1 to 65535"]);
        assert!(
            matches!(loaded.objects.as_slice(), [Object::Service(service)] if service.key.name.as_str() == "a")
        );
    }
}
