//! What differs between two configurations as typed, key by key: what a reload says.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::numbers::NUMBERS;
use super::typed::Typed;

/// The keys that a running server does not take over; docs/configuration.md says why of each.
pub const AT_NEXT_START: &[&str] = &[
    "zone",
    "listen",
    "admin",
    "source.manifests",
    "source.kubeconfig",
    "source.context",
    "source.pod_cidr",
    "source.service_cidr",
    "snapshot.path",
    "limits.udp_threads",
    "limits.udp_batch",
    "limits.udp_receive_buffer",
    "limits.udp_send_buffer",
    "limits.udp_pin",
    "limits.udp_busy_poll",
    "limits.admin_connections",
    "page.token_file",
    "page.hosts",
    "limits.page_streams",
    "limits.page_changes",
    "tls.certificate",
    "tls.key",
    "tls.min_version",
    "tls.reload",
    "limits.tls_handshake",
    "limits.encrypted_question",
    "limits.https_connections",
    "limits.https_connections_per_client",
    "limits.https_streams",
    "limits.https_idle",
    "limits.quic_connections",
    "limits.quic_connections_per_client",
    "limits.quic_streams",
    "limits.quic_idle",
];

/// A key with two values. No key holds a secret: tokens are in kubeconfigs, which are named here and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `limits.tcp_idle`.
    pub key: String,
    /// The value before, as in a file; or that it was not given.
    pub from: String,
    /// The value now.
    pub to: String,
}

impl Change {
    /// Whether only the next start takes it over.
    #[must_use]
    pub fn waits(&self) -> bool {
        AT_NEXT_START.contains(&self.key.as_str())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.key, self.from, self.to)
    }
}

/// Every key whose value differs, in the order of the alphabet.
#[must_use]
pub fn changes(old: &Typed, new: &Typed) -> Vec<Change> {
    let (old, new) = (flat(old), flat(new));
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    let mut changes: Vec<Change> = keys
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| {
            let text = |value: Option<&Value>| value.map_or_else(|| default(key), ToString::to_string);
            Change { key: key.clone(), from: text(old.get(key)), to: text(new.get(key)) }
        })
        .collect();
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    changes
}

fn default(key: &str) -> String {
    let number = NUMBERS.iter().find(|number| number.key == key);
    number.map_or_else(|| "the default".to_owned(), |number| format!("the default, {}", number.default))
}

/// The keys that are given, with their sections.
fn flat(typed: &Typed) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    // Of strings, numbers and lists of them: what serializes always.
    let Ok(Value::Object(top)) = serde_json::to_value(typed) else { return all };
    for (key, value) in top {
        match value {
            Value::Object(section) => {
                all.extend(section.into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => {
                all.insert(key, value);
            }
        }
    }
    all.retain(|_, value| !value.is_null());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(old: &str, new: &str) -> Vec<String> {
        let [old, new] = [old, new].map(|text| toml::from_str::<Typed>(text).unwrap());
        changes(&old, &new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_key_that_differs_is_said_once() {
        assert_eq!(said("", ""), [""; 0]);
        assert_eq!(
            said(
                "order = 'random'\nlisten = ['::1']\n[ttl]\npositive = 5\nnegative = 7",
                "order = 'rotate'\nlisten = ['::1']\nendpoint_pod_names = true\n[ttl]\nnegative = 7\nexpected = 3"
            ),
            [
                "endpoint_pod_names: the default → true",
                "order: \"random\" → \"rotate\"",
                "ttl.expected: the default, 0 → 3",
                "ttl.positive: 5 → the default, 5",
            ]
        );
    }

    #[test]
    fn a_line_break_in_a_value_makes_no_line() {
        assert_eq!(said("", "identity = \"a\\nb\""), ["identity: the default → \"a\\nb\""]);
    }

    #[test]
    fn what_waits_is_a_key() {
        let zone: Typed =
            toml::from_str("zone = 'a'\n[limits]\nudp_threads = 3\n[ttl]\nexpected = 4").unwrap();
        let waits: Vec<bool> = changes(&Typed::default(), &zone).iter().map(Change::waits).collect();
        assert_eq!(waits, [true, false, true]);
        for key in AT_NEXT_START {
            let (section, inner) = key.split_once('.').unwrap_or(("", key));
            let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
            let known = ["'x'", "3", "['x']", "true"]
                .iter()
                .any(|value| toml::from_str::<Typed>(&format!("{header}{inner} = {value}")).is_ok());
            assert!(known, "{key} is no key");
        }
    }
}
