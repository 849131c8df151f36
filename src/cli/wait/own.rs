//! Our own addresses: as they are given, as the pod has them, or as the interfaces do.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::Context as _;

/// The addresses that are ours, of one family or both: those that are given, else those of `POD_IPS` and `POD_IP`
/// (comma lists, as the downward API writes `status.podIPs`), else those of all interfaces but loopback.
pub(super) fn addresses(
    given: &[IpAddr],
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<BTreeSet<IpAddr>> {
    let mut found: BTreeSet<IpAddr> = given.iter().copied().collect();
    if found.is_empty() {
        for key in ["POD_IPS", "POD_IP"] {
            for word in variable(key).unwrap_or_default().split(',').map(str::trim) {
                if !word.is_empty() {
                    found.insert(word.parse().with_context(|| format!("{key}: `{word}` is no address"))?);
                }
            }
        }
    }
    if found.is_empty() {
        let interfaces = if_addrs::get_if_addrs().context("the interfaces' addresses")?;
        found.extend(
            interfaces.iter().filter(|interface| !interface.is_loopback()).map(if_addrs::Interface::ip),
        );
    }
    if found.is_empty() {
        anyhow::bail!("which addresses are ours? --address or POD_IP says so; no interface has one");
    }
    Ok(found.iter().map(IpAddr::to_canonical).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(given: &[&str], pairs: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
        let given: Vec<IpAddr> = given.iter().map(|text| text.parse().unwrap()).collect();
        let variable =
            |key: &str| pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        Ok(addresses(&given, variable)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_flag_wins_over_the_pod_and_that_over_interfaces() {
        let pod = [("POD_IP", "10.0.0.2"), ("POD_IPS", "10.0.0.2, fd00::2")];
        assert_eq!(found(&["10.0.0.1", "::ffff:10.0.0.9"], &pod).unwrap(), ["10.0.0.1", "10.0.0.9"]);
        assert_eq!(found(&[], &pod).unwrap(), ["10.0.0.2", "fd00::2"]);
        assert_eq!(found(&[], &pod[..1]).unwrap(), ["10.0.0.2"]);
        let wrong = found(&[], &[("POD_IP", "web-0")]).unwrap_err();
        assert!(wrong.to_string().contains("POD_IP: `web-0`"), "{wrong}");
        // A machine may have none but loopback's, which are nobody's name.
        if let Ok(interfaces) = found(&[], &[("POD_IP", "")]) {
            assert!(!interfaces.iter().any(|text| text == "127.0.0.1" || text == "::1"), "{interfaces:?}");
        }
    }
}
