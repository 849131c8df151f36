//! A Corefile as a tree: server blocks, their plugins, and what stands in those. CoreDNS reads it as Caddy reads its own
//! file: words with white space between them, a `{` at a line's end opens, `#` begins a comment.

use std::collections::HashMap;

/// Why a text is no Corefile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CorefileError {
    /// A `{` without its `}`.
    #[error("line {0}: what opens here is not closed")]
    Open(u64),
    /// A `}` too many.
    #[error("line {0}: nothing is open that this could close")]
    Close(u64),
    /// Blocks in blocks in blocks.
    #[error("line {0}: blocks are nested too deep")]
    Deep(u64),
}

/// A line: a plugin, or an option of one, with what stands in its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) words: Vec<String>,
    pub(super) body: Vec<Self>,
}

impl Line {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn arguments(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The option of this name.
    pub(super) fn option(&self, name: &str) -> Option<&Self> {
        self.body.iter().find(|line| line.name() == name)
    }
}

/// Nobody nests deeper than a plugin's option; a hostile text could.
const DEEPEST: usize = 16;

/// The server blocks, with snippets put where they are imported.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, CorefileError> {
    let lines: Vec<(u64, Vec<String>)> = (1..).zip(text.lines().map(words)).collect();
    let mut lines = joined(lines).into_iter().filter(|(_, words)| !words.is_empty());
    let blocks = body(&mut lines, None, 0)?;
    let mut snippets = HashMap::new();
    let mut servers = Vec::new();
    for block in blocks {
        match block.name().strip_prefix('(').and_then(|name| name.strip_suffix(')')) {
            Some(name) => {
                snippets.insert(name.to_owned(), block.body);
            }
            None => servers.push(block),
        }
    }
    for server in &mut servers {
        server.body = imported(std::mem::take(&mut server.body), &snippets);
    }
    // One server may go without braces: its first line is its address, the rest its plugins.
    if servers.len() > 1 && servers[0].body.is_empty() && servers.iter().skip(1).any(|line| !is_address(line))
    {
        let mut rest = servers.split_off(1);
        servers[0].body.append(&mut rest);
    }
    Ok(servers)
}

/// Whether a line without braces begins a server, as `.:53` does, and is no plugin.
fn is_address(line: &Line) -> bool {
    line.name().contains(['.', ':'])
}

/// The words of a line, without its comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, end) = match rest.strip_prefix('"') {
            Some(quoted) => match quoted.find('"') {
                Some(end) => (&quoted[..end], end + 2),
                None => (quoted, rest.len()),
            },
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (&rest[..end], end)
            }
        };
        words.push(word.to_owned());
        rest = rest[end..].trim_start();
    }
    words
}

/// Addresses go on in the next line behind a comma.
fn joined(lines: Vec<(u64, Vec<String>)>) -> Vec<(u64, Vec<String>)> {
    let mut joined: Vec<(u64, Vec<String>)> = Vec::new();
    for (number, words) in lines {
        match joined.last_mut() {
            Some((_, before)) if before.last().is_some_and(|word| word.ends_with(',')) => {
                before.extend(words);
            }
            _ => joined.push((number, words)),
        }
    }
    joined
}

fn body(
    lines: &mut impl Iterator<Item = (u64, Vec<String>)>,
    opened: Option<u64>,
    depth: usize,
) -> Result<Vec<Line>, CorefileError> {
    let mut body = Vec::new();
    while let Some((number, mut words)) = lines.next() {
        if words[0] == "}" {
            return if opened.is_some() { Ok(body) } else { Err(CorefileError::Close(number)) };
        }
        let opens = words.last().is_some_and(|word| word == "{");
        if opens {
            words.pop();
            if depth == DEEPEST {
                return Err(CorefileError::Deep(number));
            }
        }
        // A brace by itself belongs to the line before it.
        let inner =
            if opens { self::body(lines, Some(number), depth + 1)? } else { one_line(&mut words, number) };
        match body.last_mut() {
            Some(Line { body, .. }) if words.is_empty() => *body = inner,
            _ => body.push(Line { number, words, body: inner }),
        }
    }
    opened.map_or(Ok(body), |number| Err(CorefileError::Open(number)))
}

/// `name { option value }` in one line.
fn one_line(words: &mut Vec<String>, number: u64) -> Vec<Line> {
    let Some(open) = words.iter().position(|word| word == "{") else { return Vec::new() };
    let mut inner = words.split_off(open);
    inner.retain(|word| word != "{" && word != "}");
    if inner.is_empty() { Vec::new() } else { vec![Line { number, words: inner, body: Vec::new() }] }
}

/// Snippets import no snippets here: CoreDNS's do, one level of it is what is met.
fn imported(body: Vec<Line>, snippets: &HashMap<String, Vec<Line>>) -> Vec<Line> {
    body.into_iter()
        .flat_map(|line| match (line.name(), line.arguments()) {
            ("import", [name, ..]) => snippets.get(name).cloned().unwrap_or_default(),
            _ => vec![line],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name arguments{option; option}` of each line.
    fn text(lines: &[Line]) -> String {
        let line = |line: &Line| {
            let body = if line.body.is_empty() { String::new() } else { format!("{{{}}}", text(&line.body)) };
            format!("{}:{}{body}", line.number, line.words.join(" "))
        };
        lines.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn blocks_comments_snippets_and_quotes() {
        for (corefile, tree) in [
            (
                ".:53 {\n  errors # why\n  cache 30 {\n    denial 9984 5\n  }\n}\n",
                "1:.:53{2:errors; 3:cache 30{4:denial 9984 5}}",
            ),
            ("a.org,\nb.org {\n  log\n}\n", "1:a.org, b.org{3:log}"),
            (".:53\nerrors\ncache 30\n", "1:.:53{2:errors; 3:cache 30}"),
            ("(s) {\n cache 5\n}\na:1 {\n import s\n}", "4:a:1{2:cache 5}"),
            (". {\n errors\n {\n  consolidate 30s \"x y\"\n }\n}", "1:.{2:errors{4:consolidate 30s x y}}"),
            (". {\n cache { denial 1 }\n}", "1:.{2:cache{2:denial 1}}"),
            ("a { log }\nb { errors }", "1:a{1:log}; 2:b{2:errors}"),
            ("# nothing\n", ""),
        ] {
            assert_eq!(parse(corefile).map(|lines| text(&lines)).as_deref(), Ok(tree), "{corefile}");
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        assert_eq!(parse(". {\n cache {\n }\n"), Err(CorefileError::Open(1)));
        assert_eq!(parse("}\n"), Err(CorefileError::Close(1)));
        assert_eq!(parse(&"a {\n".repeat(100)), Err(CorefileError::Deep(17)));
    }
}
