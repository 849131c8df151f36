//! `[page]`: who may see the page and the API, and how much of them there is.

use super::resolve::Resolver;
use super::typed::{TypedLimits, TypedPage};
use crate::admin::Access;

/// What is to be known of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // docs/configuration.md
pub struct Page {
    pub access: Access,
    pub streams: usize,
    pub changes: usize,
}

impl Resolver {
    pub(super) fn page(&mut self, typed: TypedPage, limits: &TypedLimits) -> Page {
        let hosts = self.all("page.hosts", &typed.hosts.unwrap_or_default(), host);
        Page {
            // An empty one is none: so the environment can take back what a file says.
            access: Access {
                token_file: typed.token_file.filter(|path| !path.is_empty()).map(Into::into),
                hosts,
            },
            streams: self.number("limits.page_streams", limits.page_streams),
            changes: self.number("limits.page_changes", limits.page_changes),
        }
    }
}

/// As `Host` has it, without a port: whatever port leads here.
fn host(text: &str) -> Result<String, String> {
    let of_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    let of_address = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_address = of_address.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    if is_address || (!text.is_empty() && text.bytes().all(of_name)) {
        return Ok(text.trim_end_matches('.').to_ascii_lowercase());
    }
    Err(format!("`{text}` is not a name or an address without a port (dns.example.org, 10.0.0.1, [fd00::1])"))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    #[test]
    fn names_are_checked_and_the_token_is_a_file() {
        let resolve = |text: &str| Config::resolve(toml::from_str(text).unwrap()).map(|config| config.page);
        let page = resolve("").unwrap();
        assert_eq!(
            (page.access.token_file, page.access.hosts.len(), page.streams, page.changes),
            (None, 0, 16, 1024)
        );
        let page = resolve("[page]\ntoken_file = 't'\nhosts = ['DNS.example.org.', '[fd00::1]', '10.0.0.1']")
            .unwrap();
        assert_eq!(page.access.hosts, ["dns.example.org", "[fd00::1]", "10.0.0.1"]);
        assert_eq!(page.access.token_file.as_deref(), Some("t".as_ref()));
        assert_eq!(resolve("[page]\ntoken_file = ''").unwrap().access.token_file, None);
        for bad in ["", "a:80", "http://a", "[fd00::1", "a b"] {
            let ConfigError::Invalid(problems) = resolve(&format!("[page]\nhosts = ['{bad}']")).unwrap_err()
            else {
                panic!("another error")
            };
            assert_eq!(problems[0].key, "page.hosts");
        }
    }
}
