//! The names that a command, an argument or a variable speaks of.
//!
//! A text is a shell's, a program's own list, a URL: no grammar fits all. What counts as a name is therefore narrow, a
//! word made like the names that a headless service gives, so that `mysql -h 127.0.0.1` is not taken for the Service mysql.

/// A replica's or a Service's name that a text speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spoken {
    /// `web-0.nginx`: the StatefulSet's name and the ordinal.
    Replica(u32),
    /// `$(POD_NAME).nginx`: some pod, the pod itself most likely.
    Some,
    /// `nginx.default.svc`, or `nginx` where only a host can stand.
    Service,
}

/// Programs and options behind which a word is a host.
const BEFORE_HOST: &[&str] =
    &["nslookup", "dig", "host", "hosts", "ahosts", "ahostsv4", "ahostsv6", "ping", "-h", "--host", "-H"];

fn is_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

/// The words that could be host names, each with what stands in front of it.
fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end + text[end..].find(is_host)?;
        end = start + text[start..].find(|c| !is_host(c)).unwrap_or(text.len() - start);
        Some((&text[..start], text[start..end].trim_end_matches('.')))
    })
}

/// What a text speaks of a Service of this namespace, and of a StatefulSet's replicas under it.
pub(super) fn spoken(text: &str, namespace: &str, service: &str, set: &str) -> Vec<Spoken> {
    let mut found = Vec::new();
    if !text.contains(service) {
        return found;
    }
    for (before, word) in words(text) {
        let mut labels = word.split('.');
        let first = labels.next().unwrap_or_default();
        let rest: Vec<&str> = labels.collect();
        // What follows the Service's name: nothing, its namespace, or `svc` behind that.
        let is_below = |rest: &[&str]| {
            rest.is_empty() || rest[0] == namespace && rest.get(1).is_none_or(|label| *label == "svc")
        };
        if rest.first() == Some(&service) && is_below(&rest[1..]) {
            let ordinal = first.strip_prefix(set).and_then(|end| end.strip_prefix('-'));
            if let Some(Ok(ordinal)) = ordinal.map(str::parse) {
                found.push(Spoken::Replica(ordinal));
            } else if first.is_empty() && before.ends_with([')', '}'])
                || before.ends_with('$') && first.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            {
                found.push(Spoken::Some);
            }
        } else if first == service {
            let is_url = before.ends_with("://") || before.ends_with('@');
            let previous =
                before.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '='));
            let is_argument = before.len() > previous.len()
                && previous
                    .rsplit(char::is_whitespace)
                    .next()
                    .is_some_and(|word| BEFORE_HOST.contains(&word));
            if !rest.is_empty() && is_below(&rest) || rest.is_empty() && (is_url || is_argument) {
                found.push(Spoken::Service);
            }
        }
    }
    found
}

/// The SRV names that a text speaks of: `_port._protocol`, and the labels behind them.
pub(super) fn srv_names(text: &str) -> impl Iterator<Item = (&str, &str, Vec<&str>)> {
    words(text).filter_map(|(_, word)| {
        let mut labels = word.split('.');
        let port = labels.next()?.strip_prefix('_').filter(|port| !port.is_empty())?;
        let protocol = labels.next()?.strip_prefix('_')?;
        let is_protocol = ["tcp", "udp", "sctp"].iter().any(|p| p.eq_ignore_ascii_case(protocol));
        let rest: Vec<&str> = labels.collect();
        (is_protocol && !rest.is_empty()).then_some((port, protocol, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Spoken> {
        spoken(text, "shop", "db", "mysql")
    }

    #[test]
    fn replicas_and_services_are_seen_where_they_are_hosts() {
        use Spoken::{Replica, Service, Some};
        for (text, seen) in [
            ("mysql-0.db", vec![Replica(0)]),
            ("http://mysql-12.db.shop.svc.cluster.local:80/x", vec![Replica(12)]),
            ("0@mysql-0.db:9093,1@mysql-1.db:9093", vec![Replica(0), Replica(1)]),
            ("mysql-0.db.", vec![Replica(0)]),
            ("$(hostname).db", vec![Some]),
            ("${POD_NAME}.db.shop.svc", vec![Some]),
            ("$HOSTNAME.db", vec![Some]),
            ("nslookup db", vec![Service]),
            ("until getent hosts db; do sleep 1; done", vec![Service]),
            ("mysqladmin -h db ping", vec![Service]),
            ("--host=db", vec![Service]),
            ("redis://db:6379", vec![Service]),
            ("db.shop.svc.cluster.local", vec![Service]),
            ("db.shop", vec![Service]),
        ] {
            assert_eq!(of(text), seen, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_them_is_not() {
        for text in [
            "db -h 127.0.0.1",
            "db",
            "/var/lib/db",
            "file.db",
            "/etc/x.db",
            "other-0.db",
            "mysql-0.other",
            "mysql-0.db.elsewhere",
            "mysql-0.db.shop.example.org",
            "db.example.org",
            "SELECT db.shop_items",
            "mysql-x.db",
            "$(cat file.db)",
            "_mysql._tcp.db",
            "ä.db",
        ] {
            assert_eq!(of(text), [], "{text}");
        }
    }

    #[test]
    fn srv_names_are_seen() {
        let of = |text| srv_names(text).collect::<Vec<_>>();
        assert_eq!(
            of("--store=dnssrv+_grpc._tcp.thanos.monitoring.svc"),
            [("grpc", "tcp", vec!["thanos", "monitoring", "svc"])]
        );
        assert_eq!(of("dig SRV _web._TCP.nginx."), [("web", "TCP", vec!["nginx"])]);
        assert!(of("_a._b.c a._tcp.b _tcp.x _grpc._tcp").is_empty());
    }
}
