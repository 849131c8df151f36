//! Templates of files: the part of mustache that a list of peers needs.
//!
//! `{{name}}` is a value, `{{#peers}}…{{/peers}}` is repeated for each peer, `{{#last}}…{{/last}}` and
//! `{{^last}}…{{/last}}` stand where something is so, or not. A tag of a section that has a line for itself leaves none.
//! What is not known is an error when the template is read, and not an empty word in a configuration.

use crate::peers::Peer;

use super::told::Of;

/// Values that a whole list has, and values and conditions of a peer.
const OF_LIST: &[&str] = &["service", "namespace", "self", "count", "quorum"];
const OF_PEER: &[&str] = &["name", "host", "ordinal", "address", "addresses", "port", "ports", "index"];
const CONDITIONS: &[&str] = &["is_self", "first", "last", "ready"];

/// A template that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
    /// For each peer.
    Peers(Vec<Part>),
    /// Where something is so, or with false where it is not.
    If(String, bool, Vec<Part>),
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("line {0}: `{{{{` without `}}}}`")]
    Open(usize),
    #[error("line {0}: `{{{{{1}}}}}` means nothing here; there is {2}")]
    Unknown(usize, String, String),
    #[error("line {0}: `{{{{/{1}}}}}` ends nothing that is open")]
    Unopened(usize, String),
    #[error("`{{{{#{0}}}}}` is not ended")]
    Unended(String),
}

/// A section that is read: its tag, whether it is `#`, and what stands in it so far.
type Section = (String, bool, Vec<Part>);

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let (mut open, mut parts, mut rest): (Vec<Section>, Vec<Part>, &str) = (Vec::new(), Vec::new(), text);
        while let Some((before, tagged)) = rest.split_once("{{") {
            let line = text[..text.len() - tagged.len()].lines().count();
            let (tag, behind) = tagged.split_once("}}").ok_or(TemplateError::Open(line))?;
            let (sigil, name) = tag.split_at(tag.find(|c| !"#^/".contains(c)).unwrap_or(tag.len()));
            let name = name.trim();
            let (before, behind) =
                if sigil.is_empty() { (before, behind) } else { alone(text, before, behind, tag.len() + 4) };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let in_peers = open.iter().any(|(name, ..)| name == "peers");
            match sigil {
                "" => {
                    known(line, name, &[OF_LIST, if in_peers { OF_PEER } else { &[] }])?;
                    parts.push(Part::Value(name.to_owned()));
                }
                "#" | "^" => {
                    let is_peers: &[&str] = if sigil == "#" && !in_peers { &["peers"] } else { &[] };
                    let of_peer: &[&str] = if in_peers { CONDITIONS } else { &[] };
                    let values: &[&str] = if in_peers { &["ordinal", "port", "address"] } else { &["self"] };
                    known(line, name, &[is_peers, of_peer, values])?;
                    open.push((name.to_owned(), sigil == "#", std::mem::take(&mut parts)));
                }
                _ => match open.pop() {
                    Some((opened, is, outer)) if sigil == "/" && opened == name => {
                        let inner = std::mem::replace(&mut parts, outer);
                        parts.push(if name == "peers" {
                            Part::Peers(inner)
                        } else {
                            Part::If(opened, is, inner)
                        });
                    }
                    _ => return Err(TemplateError::Unopened(line, name.to_owned())),
                },
            }
            rest = behind;
        }
        if let Some((name, ..)) = open.pop() {
            return Err(TemplateError::Unended(name));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    pub(super) fn render(&self, of: &Of, peers: &[Peer]) -> String {
        let mut out = String::new();
        write(&self.0, of, peers, None, &mut out);
        out
    }
}

/// What stands before and behind a tag, without its line where it has one for itself.
fn alone<'t>(text: &'t str, before: &'t str, behind: &'t str, tag: usize) -> (&'t str, &'t str) {
    let at = text.len() - behind.len() - tag;
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = behind.find('\n').unwrap_or(behind.len());
    if !text[line..at].trim().is_empty() || !behind[..end].trim().is_empty() {
        return (before, behind);
    }
    let before = &before[..before.rfind('\n').map_or(0, |newline| newline + 1)];
    (before, behind.get(end + 1..).unwrap_or_default())
}

fn known(line: usize, name: &str, lists: &[&[&str]]) -> Result<(), TemplateError> {
    if lists.iter().any(|list| list.contains(&name)) {
        return Ok(());
    }
    Err(TemplateError::Unknown(line, name.to_owned(), lists.concat().join(", ")))
}

fn write(parts: &[Part], of: &Of, peers: &[Peer], at: Option<usize>, out: &mut String) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(name) => out.push_str(&value(name, of, peers, at)),
            Part::Peers(inner) => (0..peers.len()).for_each(|at| write(inner, of, peers, Some(at), out)),
            Part::If(name, wanted, inner) => {
                let is = match (name.as_str(), at.and_then(|at| Some((at, peers.get(at)?)))) {
                    ("is_self", Some((_, peer))) => of.is_own(peer),
                    ("first", Some((at, _))) => at == 0,
                    ("last", Some((at, _))) => at + 1 == peers.len(),
                    ("ready", Some((_, peer))) => peer.ready,
                    (name, _) => !value(name, of, peers, at).is_empty(),
                };
                if is == *wanted {
                    write(inner, of, peers, at, out);
                }
            }
        }
    }
}

fn value(name: &str, of: &Of, peers: &[Peer], at: Option<usize>) -> String {
    fn joined<T: ToString>(values: &[T]) -> String {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
    let peer = at.and_then(|at| peers.get(at));
    match (name, peer) {
        ("service", _) => of.service.clone(),
        ("namespace", _) => of.namespace.clone(),
        ("self", _) => of.own.clone().unwrap_or_default(),
        ("count", _) => peers.len().to_string(),
        ("quorum", _) => (peers.len() / 2 + 1).to_string(),
        ("index", _) => at.map(|at| at.to_string()).unwrap_or_default(),
        ("name", Some(peer)) => peer.name.clone(),
        ("host", Some(peer)) => peer.host.clone(),
        ("ordinal", Some(peer)) => peer.ordinal.map(|ordinal| ordinal.to_string()).unwrap_or_default(),
        ("address", Some(peer)) => joined(peer.addresses.get(..1).unwrap_or_default()),
        ("addresses", Some(peer)) => joined(&peer.addresses),
        ("port", Some(peer)) => joined(peer.ports.get(..1).unwrap_or_default()),
        ("ports", Some(peer)) => joined(&peer.ports),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, TemplateError> {
        let peer = |ordinal: u64, addresses: &[&str]| Peer {
            name: format!("web-{ordinal}.nginx"),
            host: format!("web-{ordinal}"),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ports: vec![80, 443],
            ready: true,
            ordinal: Some(ordinal),
        };
        let of =
            Of { service: "nginx".to_owned(), namespace: "shop".to_owned(), own: Some("web-1".to_owned()) };
        let peers = [peer(0, &["10.0.0.1"]), peer(1, &["10.0.0.2", "fd00::2"]), peer(2, &[])];
        Ok(Template::parse(template)?.render(&of, &peers))
    }

    #[test]
    fn values_and_peers() {
        assert_eq!(render("{{service}}.{{ namespace }} {{count}} {{quorum}}").unwrap(), "nginx.shop 3 2");
        let line = "{{#peers}}{{host}}=http://{{name}}:{{port}}{{^last}},{{/last}}{{/peers}}";
        let expected = "web-0=http://web-0.nginx:80,web-1=http://web-1.nginx:80,web-2=http://web-2.nginx:80";
        assert_eq!(render(line).unwrap(), expected);
        assert_eq!(
            render("{{#peers}}[{{index}} {{addresses}}]{{/peers}}").unwrap(),
            "[0 10.0.0.1][1 10.0.0.2 fd00::2][2 ]"
        );
        let others = "{{self}}:{{#peers}}{{^is_self}}{{#address}} {{host}}{{/address}}{{/is_self}}{{/peers}}";
        assert_eq!(render(others).unwrap(), "web-1: web-0");
    }

    #[test]
    fn a_tag_that_has_a_line_for_itself_leaves_none() {
        let text = "members:\n  {{#peers}}\n  - {{host}}\n    {{#is_self}}\n    # me\n    {{/is_self}}\n  {{/peers}}\nend\n";
        assert_eq!(render(text).unwrap(), "members:\n  - web-0\n  - web-1\n    # me\n  - web-2\nend\n");
        assert_eq!(render("{{#peers}}\n{{ordinal}}\n{{/peers}}").unwrap(), "0\n1\n2\n");
        assert_eq!(render("a {{#self}}\nb{{/self}}").unwrap(), "a \nb");
    }

    #[test]
    fn what_means_nothing_is_an_error_with_its_line() {
        for (template, line) in [
            ("{{name}}", "line 1: `{{name}}` means nothing here"),
            ("\n{{#peers}}\n{{adress}}{{/peers}}", "line 3: `{{adress}}`"),
            ("{{#peers}}{{#peers}}{{/peers}}{{/peers}}", "line 1: `{{peers}}`"),
            ("{{#last}}{{/last}}", "line 1: `{{last}}`"),
            ("a\n{{/peers}}", "line 2: `{{/peers}}` ends nothing"),
            ("{{#peers}}{{#last}}{{/peers}}", "line 1: `{{/peers}}` ends nothing"),
            ("{{#peers}}", "`{{#peers}}` is not ended"),
            ("{{service", "line 1: `{{` without `}}`"),
        ] {
            let error = render(template).unwrap_err().to_string();
            assert!(error.starts_with(line), "{error}");
        }
    }
}
