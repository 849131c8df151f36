//! From typed to resolved.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::encrypted::Encrypted;
use super::error::{ConfigError, Problem};
use super::log::{Log, LogFormat, filter};
use super::numbers::of;
use super::page::Page;
use super::typed::{Typed, TypedSnapshot, TypedSource};
use crate::model::{Label, Selector};
use crate::server::{DnstapAddress, EncryptedAddress, HoldLimits, TcpLimits, UdpSettings, UpstreamLimits};
use crate::source::kubernetes::{self, Access};
use crate::source::manifests;
use crate::wire::Name;
use crate::zone::{Discovery, Explain, Holding, Nameserver, Order, PodNames, PtrNames, Ttl};

/// The configuration, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // docs/configuration.md
pub struct Config {
    pub zone: Name,
    pub listen: Vec<SocketAddr>,
    pub encrypted: Encrypted,
    /// The operator named the addresses: one that cannot be bound is an error, even where the machine has no
    /// such family.
    pub listen_is_given: bool,
    pub order: Order,
    pub pods: PodNames,
    pub endpoint_pod_names: bool,
    pub ptr: PtrNames,
    pub reverse: Vec<IpNet>,
    /// A server without addresses in the zone gets those that are found at start.
    pub ns: Vec<Nameserver>,
    pub identity: Option<Box<str>>,
    pub ttl: Ttl,
    /// Which questions are kept open, and how many.
    pub holding: Holding,
    pub hold: HoldLimits,
    /// None: neither was named.
    pub cluster: Option<Cluster>,
    pub source: manifests::Options,
    pub kubernetes: kubernetes::Options,
    /// None: none is kept.
    pub snapshot: Option<Snapshot>,
    pub stale: Stale,
    /// Who is told why an answer is empty.
    pub explain: Explain,
    pub looks: Looks,
    pub upstream: Vec<SocketAddr>,
    pub upstream_limits: UpstreamLimits,
    /// None: nobody is to look for push notifications here.
    pub discovery: Option<Discovery>,
    pub udp: UdpSettings,
    pub tcp: TcpLimits,
    /// Octets that connections of every transport may hold together.
    pub stream_memory: usize,
    pub lameduck: Duration,
    pub admin: Admin,
    /// The operator named the address: one that cannot be bound is an error.
    pub admin_is_given: bool,
    pub admin_connections: usize,
    /// What is shown of the cluster there, and to whom.
    pub page: Page,
    pub log: Log,
    /// Nowhere, or the one reader.
    pub dnstap: Option<DnstapAddress>,
    pub tap_queue: usize,
    /// The file is read again when it changes.
    pub follow: bool,
    /// What all this was made of: what a reload compares, key by key.
    pub typed: Box<Typed>,
}

/// Where the cluster comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cluster {
    /// A file, a folder, or `-`.
    Manifests(String),
    /// An API server.
    Kubernetes(Access),
}

/// The cluster as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The file.
    pub path: PathBuf,
    /// The least time between two writes.
    pub interval: Duration,
}

/// How pods of sets that are not whole are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// How often.
    pub rate: kubernetes::Rate,
    /// The most octets of what they say.
    pub memory: usize,
}

/// How long the last known records are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// None is for ever.
    pub max_age: Option<Duration>,
    /// Seconds.
    pub ttl_cap: u16,
}

/// Where health is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admin {
    /// Nowhere.
    Off,
    /// At an address.
    At(SocketAddr),
    /// At every address of the machine, in both families where it has both.
    Everywhere(u16),
}

impl Config {
    /// Checks everything and fills in the defaults.
    ///
    /// # Errors
    /// With every value that cannot be used.
    pub fn resolve(typed: Typed) -> Result<Self, ConfigError> {
        let mut r = Resolver { problems: Vec::new() };
        let as_typed = Box::new(typed.clone());
        let zone = r.one("zone", typed.zone.as_deref().unwrap_or("cluster.local"), |text| {
            Name::from_text(text).map_err(|error| error.to_string()).and_then(|zone| {
                if zone.label_count() == 0 {
                    Err("the root cannot be the cluster domain".to_owned())
                } else {
                    Ok(zone)
                }
            })
        });
        let zone = zone.unwrap_or_else(placeholder);
        let listen_is_given = typed.listen.is_some();
        let listen = typed.listen.unwrap_or_else(|| vec!["0.0.0.0:53".into(), "[::]:53".into()]);
        if listen.is_empty() {
            r.say("listen", "is empty: give at least one address");
        }
        let (encrypted, listen): (Vec<String>, Vec<String>) =
            listen.into_iter().partition(|text| EncryptedAddress::is_meant(text));
        let (limits, ttl) = (&typed.limits, &typed.ttl);
        let lameduck = limits.lameduck.or(typed.source.manifests.as_ref().map(|_| 0));
        let default_ns = vec![format!("ns.dns.{zone}")];
        let admin_is_given = typed.admin.is_some();
        let admin = r.one("admin", typed.admin.as_deref().unwrap_or("127.0.0.1:9153"), admin);
        let cluster = r.cluster(&typed.source);
        let snapshot = r.snapshot(typed.snapshot, cluster.as_ref());
        let max_age: u64 = r.number("stale.max_age", typed.stale.max_age);
        let namespaces = r.namespaces(typed.source.namespaces);
        let selector = typed.source.label_selector.unwrap_or_default();
        let selector = r.one("source.label_selector", &selector, parse::<Selector>).unwrap_or_default();
        let servers = r.servers(&typed.ns.unwrap_or(default_ns), &zone);
        let encrypted = r.encrypted(&encrypted, &typed.tls, limits);
        let (holding, hold) = r.hold(&typed.hold);
        let config = Self {
            listen: r.all("listen", &listen, |text| address(text, 53)),
            listen_is_given,
            order: r.choice(
                "order",
                typed.order,
                &[("rotate", Order::Rotate), ("ordinal", Order::Ordinal), ("random", Order::Random)],
            ),
            pods: r.choice(
                "pods",
                typed.pods.clone(),
                &[
                    ("disabled", PodNames::Disabled),
                    ("insecure", PodNames::Insecure),
                    ("verified", PodNames::Verified),
                ],
            ),
            endpoint_pod_names: typed.endpoint_pod_names.unwrap_or_default(),
            ptr: r.choice("ptr", typed.ptr, &[("all", PtrNames::All), ("governing", PtrNames::Governing)]),
            reverse: r.all(
                "reverse",
                &texts(typed.reverse, &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]),
                reverse,
            ),
            identity: r
                .one::<Box<str>>("identity", typed.identity.as_deref().unwrap_or_default(), |text| {
                    if text.len() > 255 {
                        Err("is longer than 255 octets".to_owned())
                    } else {
                        Ok(text.into())
                    }
                })
                .filter(|text| !text.is_empty()),
            ttl: Ttl {
                positive: r.number("ttl.positive", ttl.positive),
                negative: r.number("ttl.negative", ttl.negative),
                expected: r.number("ttl.expected", ttl.expected),
            },
            holding,
            hold,
            source: manifests::Options {
                pod_cidr: r.all(
                    "source.pod_cidr",
                    &texts(typed.source.pod_cidr, &["10.244.0.0/16", "fd00:10:244::/64"]),
                    parse,
                ),
                service_cidr: r.all(
                    "source.service_cidr",
                    &texts(typed.source.service_cidr, &["10.96.0.0/16", "fd00:10:96::/112"]),
                    parse,
                ),
                namespaces: namespaces.clone(),
                selector: selector.clone(),
                max_file: r.number::<u64>("limits.manifest_size", limits.manifest_size) << 20,
                max_played: r.number("limits.played_pods", limits.played_pods),
            },
            cluster,
            kubernetes: kubernetes::Options {
                namespaces,
                selector,
                pods: typed.pods.as_deref() == Some("verified"),
                watch_timeout: Duration::from_secs(r.number("limits.watch_timeout", limits.watch_timeout)),
                watch_silence: Duration::from_secs(r.number("limits.watch_silence", limits.watch_silence)),
                relist: Some(r.number("limits.relist", limits.relist))
                    .filter(|seconds| *seconds > 0)
                    .map(Duration::from_secs),
                page: r.number("limits.list_page", limits.list_page),
                max_object: r.number::<usize>("limits.object_size", limits.object_size) << 20,
            },
            snapshot,
            stale: Stale {
                max_age: Some(max_age).filter(|seconds| *seconds > 0).map(Duration::from_secs),
                ttl_cap: r.number("stale.ttl_cap", typed.stale.ttl_cap),
            },
            looks: Looks {
                rate: kubernetes::Rate {
                    interval: Duration::from_secs(
                        r.number("explain.set_interval", typed.explain.set_interval),
                    ),
                    sets: r.number("explain.sets_per_second", typed.explain.sets_per_second),
                },
                memory: r.number::<usize>("explain.pods_memory", typed.explain.pods_memory) << 20,
            },
            explain: r.explain(typed.explain),
            upstream: r.all("upstream.servers", &typed.upstream.servers.unwrap_or_default(), |text| {
                address(text, 53)
            }),
            upstream_limits: UpstreamLimits {
                in_flight: r.number("limits.upstream_in_flight", limits.upstream_in_flight),
                timeout: Duration::from_millis(r.number("limits.upstream_timeout", limits.upstream_timeout)),
                cache: r.number("limits.upstream_cache", limits.upstream_cache),
                cache_size: r.number::<usize>("limits.upstream_cache_size", limits.upstream_cache_size) << 20,
            },
            udp: UdpSettings {
                threads: r.number("limits.udp_threads", limits.udp_threads),
                batch: r.number("limits.udp_batch", limits.udp_batch),
                receive_buffer: r.number::<usize>("limits.udp_receive_buffer", limits.udp_receive_buffer)
                    << 10,
                send_buffer: r.number::<usize>("limits.udp_send_buffer", limits.udp_send_buffer) << 10,
                pin: limits.udp_pin.unwrap_or_default(),
                busy_poll: r.number("limits.udp_busy_poll", limits.udp_busy_poll),
            },
            tcp: TcpLimits {
                connections: r.number("limits.tcp_connections", limits.tcp_connections),
                per_client: r.number("limits.tcp_connections_per_client", limits.tcp_connections_per_client),
                idle: Duration::from_secs(r.number("limits.tcp_idle", limits.tcp_idle)),
                pipelined: r.number("limits.tcp_pipelined", limits.tcp_pipelined),
                push: r.push(&typed.push),
            },
            stream_memory: r.number::<usize>("limits.stream_memory", limits.stream_memory) << 20,
            lameduck: Duration::from_secs(r.number("limits.lameduck", lameduck)),
            admin: admin.unwrap_or(Admin::Off),
            admin_is_given,
            admin_connections: r.number("limits.admin_connections", limits.admin_connections),
            page: r.page(typed.page, limits),
            log: Log {
                format: r.choice(
                    "log.format",
                    typed.log.format,
                    &[("text", LogFormat::Text), ("json", LogFormat::Json)],
                ),
                level: r
                    .one("log.level", typed.log.level.as_deref().unwrap_or("info"), filter)
                    .unwrap_or_default(),
                queries: r.number("log.queries", typed.log.queries),
            },
            dnstap: r.dnstap(typed.dnstap.socket, typed.dnstap.tcp),
            tap_queue: r.number("limits.tap_queue", limits.tap_queue),
            follow: typed.reload.follow.unwrap_or(true),
            discovery: r.discovery(&typed.push, &encrypted, &servers),
            encrypted,
            ns: servers,
            typed: as_typed,
            zone,
        };
        if r.problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(r.problems)) }
    }
}

/// Stands in for a zone that is wrong, so that the other keys are checked all the same.
fn placeholder() -> Name {
    Name::from_text("invalid").unwrap_or_else(|_| unreachable!("a label is a name"))
}

fn texts(given: Option<Vec<String>>, default: &[&str]) -> Vec<String> {
    given.unwrap_or_else(|| default.iter().map(|text| (*text).to_owned()).collect())
}

fn parse<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port));
    text.parse().or(bare).map_err(|_| format!("`{text}` is not an address and port (127.0.0.1:53, [::1]:53)"))
}

/// `off`, an address, or `:9153` for every address of the machine.
fn admin(text: &str) -> Result<Admin, String> {
    if text == "off" {
        return Ok(Admin::Off);
    }
    if let Some(port) = text.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(Admin::Everywhere(port));
    }
    let not_one =
        |_| format!("`{text}` is not an address and port (127.0.0.1:9153), a port (:9153) or `off`");
    address(text, 9153).map(Admin::At).map_err(not_one)
}

fn reverse(text: &str) -> Result<IpNet, String> {
    let net: IpNet = parse(text)?;
    let bounds = if net.addr().is_ipv4() { 8..=24 } else { 4..=124 };
    if bounds.contains(&net.prefix_len()) {
        return Ok(net.trunc());
    }
    Err(format!("`{text}`: the length of a reverse prefix is 8 to 24 for IPv4 and 4 to 124 for IPv6"))
}

pub(super) struct Resolver {
    problems: Vec<Problem>,
}

impl Resolver {
    pub(super) fn say(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), message: message.into() });
    }

    pub(super) fn one<T>(
        &mut self,
        key: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text).map_err(|message| self.say(key, message)).ok()
    }

    pub(super) fn all<T>(
        &mut self,
        key: &str,
        texts: &[String],
        mut parse: impl FnMut(&str) -> Result<T, String>,
    ) -> Vec<T> {
        texts.iter().filter_map(|text| self.one(key, text, &mut parse)).collect()
    }

    pub(super) fn choice<T: Copy + Default>(
        &mut self,
        key: &str,
        text: Option<String>,
        choices: &[(&str, T)],
    ) -> T {
        let Some(text) = text else { return T::default() };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return *choice;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.say(key, format!("`{text}` is not one of {}", names.join(", ")));
        T::default()
    }

    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, key: &str, given: Option<u64>) -> T {
        let number = of(key);
        let value = given.unwrap_or(number.default);
        if (number.min..=number.max).contains(&value) {
            return T::try_from(value).unwrap_or_default();
        }
        let unit = if number.unit.is_empty() { String::new() } else { format!(" {}", number.unit) };
        self.say(key, format!("{value} is not from {} to {}{unit}", number.min, number.max));
        T::default()
    }

    fn cluster(&mut self, typed: &TypedSource) -> Option<Cluster> {
        let live = typed.kubeconfig.is_some() || typed.context.is_some();
        match &typed.manifests {
            Some(_) if live => {
                self.say("source.manifests", "there is a kubeconfig or context as well: give one of the two");
                None
            }
            Some(manifests) => Some(Cluster::Manifests(manifests.clone())),
            None => live.then(|| {
                let file = typed.kubeconfig.as_ref().map(PathBuf::from);
                Cluster::Kubernetes(Access::Kubeconfig { file, context: typed.context.clone() })
            }),
        }
    }

    fn dnstap(&mut self, socket: Option<String>, tcp: Option<String>) -> Option<DnstapAddress> {
        // An empty one is none: so the environment can take back what a file says.
        let [socket, tcp] = [socket, tcp].map(|text| text.filter(|text| !text.is_empty()));
        match (socket, tcp) {
            (Some(_), Some(_)) => {
                self.say("dnstap.socket", "there is an address as well (dnstap.tcp): give one of the two");
                None
            }
            (Some(socket), None) => Some(DnstapAddress::Socket(PathBuf::from(socket))),
            (None, tcp) => self.one("dnstap.tcp", &tcp?, |text| address(text, 6000)).map(DnstapAddress::Tcp),
        }
    }

    fn snapshot(&mut self, typed: TypedSnapshot, cluster: Option<&Cluster>) -> Option<Snapshot> {
        let interval = Duration::from_secs(self.number("snapshot.interval", typed.interval));
        let path = typed.path.filter(|path| !path.is_empty())?;
        if let Some(Cluster::Manifests(_)) = cluster {
            self.say(
                "snapshot.path",
                "is for an API server's cluster; manifests are read from their own files: give one of the two",
            );
        }
        Some(Snapshot { path: path.into(), interval })
    }

    fn namespaces(&mut self, names: Option<Vec<String>>) -> Option<Vec<String>> {
        let names = names.filter(|names| !names.is_empty())?;
        for name in &names {
            if let Err(error) = Label::new(name) {
                self.say("source.namespaces", format!("`{name}` {error}"));
            }
        }
        Some(names)
    }

    /// `name` or `name=address,address`.
    fn servers(&mut self, texts: &[String], zone: &Name) -> Vec<Nameserver> {
        if texts.is_empty() {
            self.say("ns", "is empty: a zone has at least one name server");
        }
        let mut seen = Vec::new();
        self.all("ns", texts, |text| {
            let (name, addresses) = text.split_once('=').unwrap_or((text, ""));
            let name = Name::from_text(name).map_err(|error| format!("`{name}` {error}"))?;
            if name.label_count() == 0 {
                return Err(format!("`{text}` has no name"));
            }
            if seen.contains(&name) {
                return Err(format!("`{name}` is there twice"));
            }
            seen.push(name.clone());
            let addresses = addresses.split(',').filter(|a| !a.is_empty());
            let addresses: Vec<IpAddr> = addresses.map(parse).collect::<Result<_, _>>()?;
            if !addresses.is_empty() && !name.is_within(zone) {
                return Err(format!("`{name}` is not within {zone}: its addresses are not ours to give"));
            }
            let below = |label: &[u8]| Name::under(&[label], zone).is_ok_and(|taken| name.is_within(&taken));
            if name == *zone || below(b"svc") || below(b"pod") || below(b"dns-version") {
                return Err(format!("`{name}` is a name of the cluster's own"));
            }
            Ok(Nameserver { name, addresses })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Config, ConfigError> {
        Config::resolve(toml::from_str(text).unwrap())
    }

    #[test]
    fn the_defaults_hold() {
        let config = resolve("").unwrap();
        assert_eq!(config.listen.len(), 2);
        assert_eq!(config.ns[0].name.to_string(), "ns.dns.cluster.local.");
        assert_eq!(config.lameduck, Duration::from_secs(5));
        assert_eq!(resolve("[source]\nmanifests = 'x'").unwrap().lameduck, Duration::ZERO);
        assert_eq!(config.ttl, Ttl { positive: 5, negative: 5, expected: 0 });
    }

    #[test]
    fn every_error_is_said_at_once() {
        let text = "zone = 'a..b'\nlisten = ['x', '1.2.3.4:5']\norder = 'up'\nreverse = ['10.0.0.0/25']\nns = ['ns.svc.cluster.local']\n[ttl]\npositive = 3601\n[source]\npod_cidr = ['10.0.0.0']\nlabel_selector = '=x'\nnamespaces = ['UP']\n[limits]\ntcp_idle = 0\n";
        let ConfigError::Invalid(problems) = resolve(text).unwrap_err() else { panic!("another error") };
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        for key in [
            "zone",
            "listen",
            "order",
            "reverse",
            "ttl.positive",
            "source.pod_cidr",
            "source.label_selector",
            "source.namespaces",
            "limits.tcp_idle",
        ] {
            assert!(keys.contains(&key), "{key} is not among {keys:?}");
        }
        assert_eq!(
            problems.iter().find(|p| p.key == "limits.tcp_idle").unwrap().message,
            "0 is not from 1 to 3600 s"
        );
    }

    #[test]
    fn name_servers() {
        let ns = |text: &str| resolve(&format!("ns = ['{text}']")).map(|config| config.ns[0].clone());
        assert_eq!(ns("a.cluster.local=10.0.0.1,fd00::1").unwrap().addresses.len(), 2);
        assert_eq!(ns("ns.example.org").unwrap().addresses.len(), 0);
        for bad in
            ["ns.example.org=10.0.0.1", "x.svc.cluster.local", "cluster.local", "a.cluster.local=x", ""]
        {
            assert!(ns(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_admin_address() {
        let admin = |text: &str| resolve(&format!("admin = '{text}'")).map(|config| config.admin);
        assert_eq!(admin("off").unwrap(), Admin::Off);
        assert_eq!(admin(":0").unwrap(), Admin::Everywhere(0));
        assert_eq!(admin("[::1]:80").unwrap(), Admin::At("[::1]:80".parse().unwrap()));
        assert_eq!(admin("::1").unwrap(), Admin::At("[::1]:9153".parse().unwrap()));
        for bad in ["", ":", ":x", ":70000", "on", "localhost:1"] {
            assert!(admin(bad).is_err(), "{bad}");
        }
        let config = resolve("").unwrap();
        assert_eq!(
            (config.admin, config.admin_is_given),
            (Admin::At("127.0.0.1:9153".parse().unwrap()), false)
        );
    }

    #[test]
    fn one_source() {
        let cluster = |text: &str| resolve(&format!("[source]\n{text}")).map(|config| config.cluster);
        assert_eq!(cluster("").unwrap(), None);
        assert_eq!(cluster("manifests = 'm'").unwrap(), Some(Cluster::Manifests("m".into())));
        let access = Access::Kubeconfig { file: Some("k".into()), context: Some("c".into()) };
        assert_eq!(cluster("kubeconfig = 'k'\ncontext = 'c'").unwrap(), Some(Cluster::Kubernetes(access)));
        assert!(cluster("manifests = 'm'\ncontext = 'c'").is_err());
    }

    #[test]
    fn dnstap_has_one_reader() {
        let dnstap = |text: &str| resolve(&format!("[dnstap]\n{text}")).map(|config| config.dnstap);
        assert_eq!(dnstap("").unwrap(), None);
        assert_eq!(dnstap("socket = ''").unwrap(), None);
        assert_eq!(dnstap("socket = '/s'").unwrap(), Some(DnstapAddress::Socket("/s".into())));
        assert_eq!(dnstap("tcp = '::1'").unwrap(), Some(DnstapAddress::Tcp("[::1]:6000".parse().unwrap())));
        assert!(dnstap("tcp = 'localhost'").is_err());
        assert!(dnstap("tcp = '::1'\nsocket = '/s'").is_err());
    }

    #[test]
    fn a_snapshot_is_an_api_servers() {
        let snapshot = |text: &str| resolve(text).map(|config| config.snapshot);
        assert_eq!(snapshot("").unwrap(), None);
        assert_eq!(snapshot("[snapshot]\npath = ''").unwrap(), None);
        let kept =
            snapshot("[snapshot]\npath = 's'\ninterval = 3\n[source]\nkubeconfig = 'k'").unwrap().unwrap();
        assert_eq!((kept.path, kept.interval), ("s".into(), Duration::from_secs(3)));
        let error = snapshot("[snapshot]\npath = 's'\n[source]\nmanifests = 'm'").unwrap_err().to_string();
        assert!(error.contains("snapshot.path: is for an API server's cluster"), "{error}");
    }

    #[test]
    fn no_age_is_for_ever() {
        assert_eq!(resolve("[stale]\nmax_age = 0").unwrap().stale.max_age, None);
        let stale = resolve("").unwrap().stale;
        assert_eq!((stale.max_age, stale.ttl_cap), (Some(Duration::from_secs(3 * 86_400)), 30));
        assert_eq!(resolve("[limits]\nrelist = 0").unwrap().kubernetes.relist, None);
    }

    #[test]
    fn a_bare_address_is_at_port_53() {
        assert_eq!(
            resolve("listen = ['127.0.0.1', '::1', '[::1]:5300']")
                .unwrap()
                .listen
                .iter()
                .map(SocketAddr::port)
                .collect::<Vec<_>>(),
            [53, 53, 5300]
        );
    }
}
