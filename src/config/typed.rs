//! The configuration as typed: everything optional, nothing checked but its shape.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{ConfigError, Problem};
use super::numbers::NUMBERS;

/// What a file, the environment or the flags say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)] // docs/configuration.md
pub struct Typed {
    pub zone: Option<String>,
    pub listen: Option<Vec<String>>,
    pub admin: Option<String>,
    pub order: Option<String>,
    pub pods: Option<String>,
    pub endpoint_pod_names: Option<bool>,
    pub ptr: Option<String>,
    pub reverse: Option<Vec<String>>,
    pub ns: Option<Vec<String>>,
    pub identity: Option<String>,
    pub ttl: TypedTtl,
    pub hold: TypedHold,
    pub source: TypedSource,
    pub snapshot: TypedSnapshot,
    pub stale: TypedStale,
    pub explain: TypedExplain,
    pub upstream: TypedUpstream,
    pub log: TypedLog,
    pub dnstap: TypedDnstap,
    pub reload: TypedReload,
    pub tls: TypedTls,
    pub page: TypedPage,
    pub push: TypedPush,
    pub limits: TypedLimits,
}

/// `[ttl]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedTtl {
    pub positive: Option<u64>,
    pub negative: Option<u64>,
    pub expected: Option<u64>,
}

/// `[hold]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedHold {
    pub all: Option<bool>,
    pub longest: Option<u64>,
    pub questions: Option<u64>,
    pub questions_per_client: Option<u64>,
}

/// `[source]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedSource {
    pub manifests: Option<String>,
    pub kubeconfig: Option<String>,
    pub context: Option<String>,
    pub namespaces: Option<Vec<String>>,
    pub label_selector: Option<String>,
    pub pod_cidr: Option<Vec<String>>,
    pub service_cidr: Option<Vec<String>>,
}

/// `[snapshot]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedSnapshot {
    pub path: Option<String>,
    pub interval: Option<u64>,
}

/// `[stale]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedStale {
    pub max_age: Option<u64>,
    pub ttl_cap: Option<u64>,
}

/// `[explain]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedExplain {
    pub answers: Option<String>,
    pub full: Option<Vec<String>>,
    pub codes: Option<Vec<String>>,
    pub off: Option<Vec<String>>,
    pub set_interval: Option<u64>,
    pub sets_per_second: Option<u64>,
    pub pods_memory: Option<u64>,
}

/// `[upstream]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedUpstream {
    pub servers: Option<Vec<String>>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedLog {
    pub format: Option<String>,
    pub level: Option<String>,
    pub queries: Option<u64>,
}

/// `[dnstap]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedDnstap {
    pub socket: Option<String>,
    pub tcp: Option<String>,
}

/// `[reload]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedReload {
    pub follow: Option<bool>,
}

/// `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedTls {
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub min_version: Option<String>,
    pub reload: Option<u64>,
}

/// `[page]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedPage {
    pub token_file: Option<String>,
    pub hosts: Option<Vec<String>>,
}

/// `[push]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedPush {
    pub tls: Option<bool>,
    pub tcp: Option<bool>,
    pub name: Option<String>,
    pub port: Option<u64>,
    pub sessions: Option<u64>,
    pub subscriptions: Option<u64>,
    pub subscriptions_per_session: Option<u64>,
    pub subscriptions_per_client: Option<u64>,
    pub queue: Option<u64>,
    pub keepalive: Option<u64>,
    pub inactivity: Option<u64>,
    pub retry: Option<u64>,
}

/// `[limits]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs)]
pub struct TypedLimits {
    pub udp_threads: Option<u64>,
    pub udp_batch: Option<u64>,
    pub udp_receive_buffer: Option<u64>,
    pub udp_send_buffer: Option<u64>,
    pub udp_pin: Option<bool>,
    pub udp_busy_poll: Option<u64>,
    pub tcp_connections: Option<u64>,
    pub tcp_connections_per_client: Option<u64>,
    pub tcp_idle: Option<u64>,
    pub tcp_pipelined: Option<u64>,
    pub stream_memory: Option<u64>,
    pub tls_handshake: Option<u64>,
    pub encrypted_question: Option<u64>,
    pub https_connections: Option<u64>,
    pub https_connections_per_client: Option<u64>,
    pub https_streams: Option<u64>,
    pub https_idle: Option<u64>,
    pub quic_connections: Option<u64>,
    pub quic_connections_per_client: Option<u64>,
    pub quic_streams: Option<u64>,
    pub quic_idle: Option<u64>,
    pub upstream_in_flight: Option<u64>,
    pub upstream_timeout: Option<u64>,
    pub upstream_cache: Option<u64>,
    pub upstream_cache_size: Option<u64>,
    pub tap_queue: Option<u64>,
    pub manifest_size: Option<u64>,
    pub played_pods: Option<u64>,
    pub lameduck: Option<u64>,
    pub watch_timeout: Option<u64>,
    pub watch_silence: Option<u64>,
    pub relist: Option<u64>,
    pub list_page: Option<u64>,
    pub object_size: Option<u64>,
    pub admin_connections: Option<u64>,
    pub page_streams: Option<u64>,
    pub page_changes: Option<u64>,
}

/// How a value stands in the environment.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Bool,
    /// Separated by commas.
    List,
    /// Separated by spaces, for its items have commas.
    Words,
}

/// Every key that is not a number.
const KEYS: &[(&str, Form)] = &[
    ("zone", Form::Text),
    ("listen", Form::List),
    ("admin", Form::Text),
    ("order", Form::Text),
    ("pods", Form::Text),
    ("endpoint_pod_names", Form::Bool),
    ("ptr", Form::Text),
    ("reverse", Form::List),
    ("ns", Form::Words),
    ("identity", Form::Text),
    ("hold.all", Form::Bool),
    ("source.manifests", Form::Text),
    ("source.kubeconfig", Form::Text),
    ("source.context", Form::Text),
    ("source.namespaces", Form::List),
    ("source.label_selector", Form::Text),
    ("source.pod_cidr", Form::List),
    ("source.service_cidr", Form::List),
    ("snapshot.path", Form::Text),
    ("explain.answers", Form::Text),
    ("explain.full", Form::List),
    ("explain.codes", Form::List),
    ("explain.off", Form::List),
    ("upstream.servers", Form::List),
    ("log.format", Form::Text),
    ("log.level", Form::Text),
    ("dnstap.socket", Form::Text),
    ("dnstap.tcp", Form::Text),
    ("reload.follow", Form::Bool),
    ("tls.certificate", Form::Text),
    ("tls.key", Form::Text),
    ("tls.min_version", Form::Text),
    ("page.token_file", Form::Text),
    ("page.hosts", Form::List),
    ("push.tls", Form::Bool),
    ("push.tcp", Form::Bool),
    ("push.name", Form::Text),
    ("limits.udp_pin", Form::Bool),
];

impl Typed {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or holds a key or a type that is not known.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(read)?;
        let mut typed: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let manifests = typed.source.manifests.as_mut().filter(|manifests| *manifests != "-");
        let own = [
            typed.source.kubeconfig.as_mut(),
            typed.snapshot.path.as_mut(),
            typed.dnstap.socket.as_mut(),
            typed.tls.certificate.as_mut(),
            typed.tls.key.as_mut(),
            typed.page.token_file.as_mut(),
        ];
        for path in manifests.into_iter().chain(own.into_iter().flatten()) {
            let absolute: PathBuf = folder.join(&*path);
            *path = absolute.to_string_lossy().into_owned();
        }
        Ok(typed)
    }

    /// Reads `ROLLCALL_TTL_POSITIVE` and the like. Other variables that begin with `ROLLCALL_` are passed over:
    /// Kubernetes sets `ROLLCALL_SERVICE_HOST` and more in every pod beside a Service of that name.
    ///
    /// # Errors
    /// When a value has not the type of its key; all of them are listed.
    pub fn from_env(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut table = toml::Table::new();
        let mut problems = Vec::new();
        for (name, text) in variables {
            let Some(key) = key_of(&name) else { continue };
            match value(key, &text) {
                Ok(value) => insert(&mut table, key, value),
                Err(wanted) => {
                    problems.push(Problem { key: name, message: format!("`{text}` is not {wanted}") });
                }
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::Invalid(problems));
        }
        // The table is made of known keys with the right types.
        table
            .try_into()
            .map_err(|source: toml::de::Error| ConfigError::Environment { source: Box::new(source) })
    }

    /// This, and where it says nothing `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            zone: self.zone.or(other.zone),
            listen: self.listen.or(other.listen),
            admin: self.admin.or(other.admin),
            order: self.order.or(other.order),
            pods: self.pods.or(other.pods),
            endpoint_pod_names: self.endpoint_pod_names.or(other.endpoint_pod_names),
            ptr: self.ptr.or(other.ptr),
            reverse: self.reverse.or(other.reverse),
            ns: self.ns.or(other.ns),
            identity: self.identity.or(other.identity),
            ttl: TypedTtl {
                positive: self.ttl.positive.or(other.ttl.positive),
                negative: self.ttl.negative.or(other.ttl.negative),
                expected: self.ttl.expected.or(other.ttl.expected),
            },
            hold: TypedHold {
                all: self.hold.all.or(other.hold.all),
                longest: self.hold.longest.or(other.hold.longest),
                questions: self.hold.questions.or(other.hold.questions),
                questions_per_client: self.hold.questions_per_client.or(other.hold.questions_per_client),
            },
            // Who names manifests, which are read from their own files, means no snapshot of an API server's cluster.
            snapshot: TypedSnapshot {
                path: self.snapshot.path.or(other.snapshot.path.filter(|_| self.source.manifests.is_none())),
                interval: self.snapshot.interval.or(other.snapshot.interval),
            },
            stale: TypedStale {
                max_age: self.stale.max_age.or(other.stale.max_age),
                ttl_cap: self.stale.ttl_cap.or(other.stale.ttl_cap),
            },
            explain: TypedExplain {
                answers: self.explain.answers.or(other.explain.answers),
                full: self.explain.full.or(other.explain.full),
                codes: self.explain.codes.or(other.explain.codes),
                off: self.explain.off.or(other.explain.off),
                set_interval: self.explain.set_interval.or(other.explain.set_interval),
                sets_per_second: self.explain.sets_per_second.or(other.explain.sets_per_second),
                pods_memory: self.explain.pods_memory.or(other.explain.pods_memory),
            },
            source: self.source.or(other.source),
            upstream: TypedUpstream { servers: self.upstream.servers.or(other.upstream.servers) },
            log: TypedLog {
                format: self.log.format.or(other.log.format),
                level: self.log.level.or(other.log.level),
                queries: self.log.queries.or(other.log.queries),
            },
            dnstap: self.dnstap.or(other.dnstap),
            reload: TypedReload { follow: self.reload.follow.or(other.reload.follow) },
            tls: TypedTls {
                certificate: self.tls.certificate.or(other.tls.certificate),
                key: self.tls.key.or(other.tls.key),
                min_version: self.tls.min_version.or(other.tls.min_version),
                reload: self.tls.reload.or(other.tls.reload),
            },
            page: TypedPage {
                token_file: self.page.token_file.or(other.page.token_file),
                hosts: self.page.hosts.or(other.page.hosts),
            },
            push: self.push.or(other.push),
            limits: self.limits.or(other.limits),
        }
    }
}

impl TypedPush {
    fn or(self, other: Self) -> Self {
        Self {
            tls: self.tls.or(other.tls),
            tcp: self.tcp.or(other.tcp),
            name: self.name.or(other.name),
            port: self.port.or(other.port),
            sessions: self.sessions.or(other.sessions),
            subscriptions: self.subscriptions.or(other.subscriptions),
            subscriptions_per_session: self.subscriptions_per_session.or(other.subscriptions_per_session),
            subscriptions_per_client: self.subscriptions_per_client.or(other.subscriptions_per_client),
            queue: self.queue.or(other.queue),
            keepalive: self.keepalive.or(other.keepalive),
            inactivity: self.inactivity.or(other.inactivity),
            retry: self.retry.or(other.retry),
        }
    }
}

impl TypedSource {
    /// Who names an API server means no manifests, and the other way round.
    fn or(self, other: Self) -> Self {
        let (here, live) = (self.manifests.is_some(), self.kubeconfig.is_some() || self.context.is_some());
        Self {
            manifests: self.manifests.or(other.manifests.filter(|_| !live)),
            kubeconfig: self.kubeconfig.or(other.kubeconfig.filter(|_| !here)),
            context: self.context.or(other.context.filter(|_| !here)),
            namespaces: self.namespaces.or(other.namespaces),
            label_selector: self.label_selector.or(other.label_selector),
            pod_cidr: self.pod_cidr.or(other.pod_cidr),
            service_cidr: self.service_cidr.or(other.service_cidr),
        }
    }
}

impl TypedDnstap {
    /// Who names one place means no other.
    fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }
}

impl TypedLimits {
    fn or(self, other: Self) -> Self {
        Self {
            udp_threads: self.udp_threads.or(other.udp_threads),
            udp_batch: self.udp_batch.or(other.udp_batch),
            udp_receive_buffer: self.udp_receive_buffer.or(other.udp_receive_buffer),
            udp_send_buffer: self.udp_send_buffer.or(other.udp_send_buffer),
            udp_pin: self.udp_pin.or(other.udp_pin),
            udp_busy_poll: self.udp_busy_poll.or(other.udp_busy_poll),
            tcp_connections: self.tcp_connections.or(other.tcp_connections),
            tcp_connections_per_client: self.tcp_connections_per_client.or(other.tcp_connections_per_client),
            tcp_idle: self.tcp_idle.or(other.tcp_idle),
            tcp_pipelined: self.tcp_pipelined.or(other.tcp_pipelined),
            stream_memory: self.stream_memory.or(other.stream_memory),
            tls_handshake: self.tls_handshake.or(other.tls_handshake),
            encrypted_question: self.encrypted_question.or(other.encrypted_question),
            https_connections: self.https_connections.or(other.https_connections),
            https_connections_per_client: self
                .https_connections_per_client
                .or(other.https_connections_per_client),
            https_streams: self.https_streams.or(other.https_streams),
            https_idle: self.https_idle.or(other.https_idle),
            quic_connections: self.quic_connections.or(other.quic_connections),
            quic_connections_per_client: self
                .quic_connections_per_client
                .or(other.quic_connections_per_client),
            quic_streams: self.quic_streams.or(other.quic_streams),
            quic_idle: self.quic_idle.or(other.quic_idle),
            upstream_in_flight: self.upstream_in_flight.or(other.upstream_in_flight),
            upstream_timeout: self.upstream_timeout.or(other.upstream_timeout),
            upstream_cache: self.upstream_cache.or(other.upstream_cache),
            upstream_cache_size: self.upstream_cache_size.or(other.upstream_cache_size),
            tap_queue: self.tap_queue.or(other.tap_queue),
            manifest_size: self.manifest_size.or(other.manifest_size),
            played_pods: self.played_pods.or(other.played_pods),
            lameduck: self.lameduck.or(other.lameduck),
            watch_timeout: self.watch_timeout.or(other.watch_timeout),
            watch_silence: self.watch_silence.or(other.watch_silence),
            relist: self.relist.or(other.relist),
            list_page: self.list_page.or(other.list_page),
            object_size: self.object_size.or(other.object_size),
            admin_connections: self.admin_connections.or(other.admin_connections),
            page_streams: self.page_streams.or(other.page_streams),
            page_changes: self.page_changes.or(other.page_changes),
        }
    }
}

fn key_of(variable: &str) -> Option<&'static str> {
    let keys = KEYS.iter().map(|(key, _)| *key).chain(NUMBERS.iter().map(|number| number.key));
    let rest = variable.strip_prefix("ROLLCALL_")?;
    keys.into_iter()
        .find(|key| key.replace('.', "_").eq_ignore_ascii_case(rest) && rest == rest.to_ascii_uppercase())
}

fn value(key: &str, text: &str) -> Result<toml::Value, &'static str> {
    let list = |parts: &mut dyn Iterator<Item = &str>| {
        let parts = parts.map(str::trim).filter(|part| !part.is_empty());
        toml::Value::Array(parts.map(|part| toml::Value::String(part.to_owned())).collect())
    };
    match KEYS.iter().find(|(other, _)| *other == key).map(|(_, form)| form) {
        Some(Form::Text) => Ok(toml::Value::String(text.to_owned())),
        Some(Form::Bool) => text.parse().map(toml::Value::Boolean).map_err(|_| "true or false"),
        Some(Form::List) => Ok(list(&mut text.split(','))),
        Some(Form::Words) => Ok(list(&mut text.split_whitespace())),
        None => {
            text.trim().parse().ok().filter(|n| *n >= 0).map(toml::Value::Integer).ok_or("a whole number")
        }
    }
}

fn insert(table: &mut toml::Table, key: &str, value: toml::Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, key)) => {
            let section = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(key.to_owned(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Result<Typed, ConfigError> {
        Typed::from_env(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn every_key_has_a_variable_and_a_field() {
        for (key, form) in KEYS {
            let text = if matches!(form, Form::Bool) { "true" } else { "x" };
            let name = format!("ROLLCALL_{}", key.replace('.', "_").to_ascii_uppercase());
            assert_ne!(env(&[(&name, text)]).unwrap(), Typed::default(), "{name}");
        }
        for number in NUMBERS {
            let name = format!("ROLLCALL_{}", number.key.replace('.', "_").to_ascii_uppercase());
            assert_ne!(env(&[(&name, "7")]).unwrap(), Typed::default(), "{name}");
        }
    }

    #[test]
    fn what_kubernetes_sets_beside_a_service_is_no_configuration() {
        let set = [
            ("ROLLCALL_SERVICE_HOST", "10.96.0.5"),
            ("ROLLCALL_PORT", "udp://10.96.0.5:53"),
            ("ROLLCALL_PORT_53_UDP_PROTO", "udp"),
        ];
        assert_eq!(env(&set).unwrap(), Typed::default());
    }

    #[test]
    fn a_wrong_type_names_its_variable() {
        let error =
            env(&[("ROLLCALL_TTL_POSITIVE", "5s"), ("ROLLCALL_ENDPOINT_POD_NAMES", "yes")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ROLLCALL_TTL_POSITIVE: `5s` is not a whole number"), "{text}");
        assert!(text.contains("ROLLCALL_ENDPOINT_POD_NAMES: `yes` is not true or false"), "{text}");
    }

    #[test]
    fn the_first_word_wins() {
        let flags = Typed { zone: Some("a".into()), ..Typed::default() };
        let file: Typed = toml::from_str("zone = 'b'\norder = 'random'\n[limits]\ntcp_idle = 3").unwrap();
        let both = flags.or(file);
        assert_eq!(
            (both.zone.as_deref(), both.order.as_deref(), both.limits.tcp_idle),
            (Some("a"), Some("random"), Some(3))
        );
    }

    #[test]
    fn a_flag_for_one_source_drops_the_other_of_the_file() {
        let live = Typed {
            source: TypedSource { context: Some("c".into()), ..TypedSource::default() },
            ..Typed::default()
        };
        let file: Typed = toml::from_str("[source]\nmanifests = 'm'\nnamespaces = ['a']").unwrap();
        let both = live.or(file).source;
        assert_eq!((both.manifests, both.context.as_deref()), (None, Some("c")));
        assert_eq!(both.namespaces.map(|names| names.len()), Some(1));
        let here = Typed {
            source: TypedSource { manifests: Some("m".into()), ..TypedSource::default() },
            ..Typed::default()
        };
        let file: Typed = toml::from_str("[source]\nkubeconfig = 'k'\ncontext = 'c'").unwrap();
        let both = here.or(file).source;
        assert_eq!((both.manifests.as_deref(), both.kubeconfig, both.context), (Some("m"), None, None));
    }

    #[test]
    fn a_flag_for_manifests_drops_the_snapshot_of_the_file() {
        let file = || toml::from_str::<Typed>("[snapshot]\npath = 's'\ninterval = 3").unwrap();
        let source = TypedSource { manifests: Some("m".into()), ..TypedSource::default() };
        let both = Typed { source, ..Typed::default() }.or(file()).snapshot;
        assert_eq!((both.path, both.interval), (None, Some(3)));
        assert_eq!(Typed::default().or(file()).snapshot.path.as_deref(), Some("s"));
    }

    #[test]
    fn unknown_keys_are_errors() {
        assert!(toml::from_str::<Typed>("zones = 'b'").unwrap_err().to_string().contains("zones"));
        assert!(toml::from_str::<Typed>("[limits]\ntcp = 3").is_err());
    }
}
