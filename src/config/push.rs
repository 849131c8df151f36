//! `[push]`: DNS Push Notifications.

use super::encrypted::Encrypted;
use super::resolve::Resolver;
use super::typed::TypedPush;
use crate::server::PushLimits;
use crate::wire::Name;
use crate::zone::{Discovery, Nameserver};

impl Resolver {
    pub(super) fn push(&mut self, push: &TypedPush) -> PushLimits {
        let milliseconds = |seconds: u32| seconds.saturating_mul(1000);
        PushLimits {
            tls: push.tls.unwrap_or(true),
            tcp: push.tcp.unwrap_or_default(),
            sessions: self.number("push.sessions", push.sessions),
            subscriptions: self.number("push.subscriptions", push.subscriptions),
            per_session: self.number("push.subscriptions_per_session", push.subscriptions_per_session),
            per_client: self.number("push.subscriptions_per_client", push.subscriptions_per_client),
            queue: self.number::<usize>("push.queue", push.queue) << 10,
            keepalive: milliseconds(self.number("push.keepalive", push.keepalive)),
            inactivity: milliseconds(self.number("push.inactivity", push.inactivity)),
            retry: self.number("push.retry", push.retry),
        }
    }

    /// What the SRV record says, where subscriptions are to be had over TLS: clients that find it speak TLS (RFC 8765,
    /// section 6.1). The first name server, unless another name is given.
    pub(super) fn discovery(
        &mut self,
        push: &TypedPush,
        encrypted: &Encrypted,
        servers: &[Nameserver],
    ) -> Option<Discovery> {
        let port = self.number("push.port", push.port);
        let named = push
            .name
            .as_deref()
            .map(|text| Name::from_text(text).map_err(|error| self.say("push.name", error.to_string())).ok());
        let target = named.unwrap_or_else(|| servers.first().map(|server| server.name.clone()))?;
        (push.tls.unwrap_or(true) && encrypted.has_tls()).then_some(Discovery { target, port })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    fn resolve(text: &str) -> Result<Config, ConfigError> {
        Config::resolve(toml::from_str(text).unwrap())
    }

    #[test]
    fn over_tls_alone_and_nowhere_without_it() {
        let config = resolve("").unwrap();
        assert_eq!((config.tcp.push.tls, config.tcp.push.tcp, config.discovery), (true, false, None));
        let config = resolve("[push]\ntls = false\ntcp = true\nqueue = 4\nkeepalive = 10\n").unwrap();
        assert_eq!((config.tcp.push.tls, config.tcp.push.tcp), (false, true));
        assert_eq!((config.tcp.push.queue, config.tcp.push.keepalive), (4096, 10_000));
    }

    #[test]
    #[cfg(feature = "tls")]
    fn the_record_names_the_first_name_server_or_what_is_given() {
        const TLS: &str = "listen = ['tls://127.0.0.1']\n";
        const FILES: &str = "[tls]\ncertificate = 'c'\nkey = 'k'\n";
        let discovery = |push: &str| {
            let config = resolve(&format!("{TLS}{FILES}{push}")).unwrap();
            config.discovery.map(|discovery| format!("{} {}", discovery.target, discovery.port))
        };
        assert_eq!(discovery("").as_deref(), Some("ns.dns.cluster.local. 853"));
        let given = discovery("[push]\nname = 'push.example.org'\nport = 8853\n");
        assert_eq!(given.as_deref(), Some("push.example.org. 8853"));
        assert_eq!(discovery("[push]\ntls = false\n"), None);
        let ConfigError::Invalid(problems) =
            resolve("[push]\nname = 'a b'\nport = 0\nqueue = 0\n").unwrap_err()
        else {
            panic!("another error")
        };
        let keys: Vec<String> = problems.into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["push.queue", "push.port", "push.name"]);
    }
}
