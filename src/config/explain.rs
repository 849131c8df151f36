//! `[explain]`: who is told why an answer is empty.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::resolve::Resolver;
use super::typed::TypedExplain;
use crate::zone::{Answers, Explain};

/// Sentences name pods, sets and addresses. Where only a cluster and its operators come from they are told (RFC 1918,
/// RFC 4193, RFC 6598 which clouds give to pods, loopback and link-local), elsewhere codes.
const PRIVATE: &[&str] = &[
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// More prefixes than this are looked through too slowly for each empty answer.
const MOST: usize = 256;

impl Resolver {
    pub(super) fn explain(&mut self, typed: TypedExplain) -> Explain {
        let levels = [("off", Answers::Off), ("codes", Answers::Codes), ("full", Answers::Full)];
        let others = if typed.answers.is_some() {
            self.choice("explain.answers", typed.answers, &levels)
        } else {
            Answers::Codes
        };
        let private = || PRIVATE.iter().map(|text| (*text).to_owned()).collect();
        let lists = [
            ("explain.full", Answers::Full, typed.full.unwrap_or_else(private)),
            ("explain.codes", Answers::Codes, typed.codes.unwrap_or_default()),
            ("explain.off", Answers::Off, typed.off.unwrap_or_default()),
        ];
        let mut known: BTreeMap<IpNet, &str> = BTreeMap::new();
        let mut prefixes = Vec::new();
        for (key, answers, texts) in lists {
            for prefix in self.all(key, &texts, prefix) {
                if let Some(other) = known.insert(prefix, key).filter(|other| *other != key) {
                    self.say(key, format!("`{prefix}` stands in {other} as well"));
                }
                prefixes.push((prefix, answers));
            }
        }
        if prefixes.len() > MOST {
            self.say("explain", format!("{} prefixes: at most {MOST} are looked through", prefixes.len()));
        }
        Explain::new(others, prefixes)
    }
}

/// `10.0.0.0/8`, or an address.
fn prefix(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let net = text.parse::<IpNet>().or_else(|_| address());
    net.map(|net| net.trunc()).map_err(|_| format!("`{text}` is not a prefix (10.0.0.0/8) or an address"))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Typed};
    use crate::zone::Answers;

    fn told(text: &str, client: &str) -> Answers {
        let typed: Typed = toml::from_str(text).unwrap();
        Config::resolve(typed).unwrap().explain.answers_for(Some(client.parse().unwrap()))
    }

    #[test]
    fn who_is_private_is_told_all_by_default_and_others_codes() {
        for client in ["127.0.0.1", "::1", "10.244.0.7", "172.31.0.1", "100.64.0.1", "fd00::1", "fe80::1"] {
            assert_eq!(told("", client), Answers::Full, "{client}");
        }
        for client in ["192.0.2.1", "2001:db8::1", "172.32.0.1", "8.8.8.8"] {
            assert_eq!(told("", client), Answers::Codes, "{client}");
        }
    }

    #[test]
    fn the_longest_prefix_and_then_answers() {
        let text =
            "[explain]\nanswers = 'off'\nfull = ['10.0.0.0/8']\ncodes = ['10.9.0.0/16']\noff = ['10.9.9.9']";
        assert_eq!(told(text, "10.1.1.1"), Answers::Full);
        assert_eq!(told(text, "10.9.1.1"), Answers::Codes);
        assert_eq!((told(text, "10.9.9.9"), told(text, "127.0.0.1")), (Answers::Off, Answers::Off));
    }

    #[test]
    fn what_is_no_prefix_or_stands_twice_is_said() {
        let error = |text: &str| Config::resolve(toml::from_str(text).unwrap()).unwrap_err().to_string();
        let said = error("[explain]\nanswers = 'some'\noff = ['x', '10.0.0.0/8']");
        for part in [
            "explain.answers: `some` is not one of",
            "explain.off: `x`",
            "`10.0.0.0/8` stands in explain.full",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let many: Vec<String> = (0..=256).map(|n| format!("'10.{}.{}.0/24'", n / 256, n % 256)).collect();
        assert!(error(&format!("[explain]\nfull = [{}]", many.join(","))).contains("at most 256"));
    }
}
