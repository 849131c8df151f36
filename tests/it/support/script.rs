//! Reads a script of `tests/cases`; the form is described in `tests/cases/README.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::query::Query;

/// A script: one cluster, one configuration, the cases that hold for them.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    /// The file.
    pub(crate) path: PathBuf,
    /// `cluster:`, the manifests, relative to the script.
    pub(crate) cluster: PathBuf,
    /// `config:`, as TOML.
    pub(crate) config: String,
    /// `upstream:`, what a resolver behind the server knows; without it there is none.
    pub(crate) upstream: Vec<String>,
    /// `listen:`, addresses to bind.
    pub(crate) listen: Vec<String>,
    /// `only: rollcall (reason)`.
    pub(crate) only_rollcall: Option<String>,
    /// Never empty.
    pub(crate) cases: Vec<Case>,
}

/// A title, where it is demanded, and what shows it.
#[derive(Debug)]
pub(crate) struct Case {
    /// The comment above.
    pub(crate) title: String,
    /// Behind `# source:`.
    pub(crate) source: String,
    /// Never empty.
    pub(crate) exchanges: Vec<Exchange>,
}

/// Questions that have the same answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Never empty, each with its line.
    pub(crate) queries: Vec<(usize, Query)>,
    /// The whole answer.
    pub(crate) expected: Expected,
}

/// What must come back.
#[derive(Debug, Default, Clone)]
pub(crate) struct Expected {
    /// `;; no reply`.
    pub(crate) silence: bool,
    /// `;; status:`.
    pub(crate) status: String,
    /// `;; flags:`, in dig's order.
    pub(crate) flags: Vec<String>,
    /// `;; QUESTION`; None where it is the one that was asked.
    pub(crate) question: Option<Vec<String>>,
    /// Answer, authority, additional.
    pub(crate) sections: [Section; 3],
    /// `;; OPT:`.
    pub(crate) opt: Option<String>,
    /// `;; EDE:`, with the text where the script has one.
    pub(crate) ede: Vec<(u16, Option<String>)>,
}

/// The records of a section and how they are held against the answer's.
#[derive(Debug, Default, Clone)]
pub(crate) struct Section {
    /// How.
    pub(crate) mode: Mode,
    /// `owner ttl class type data`, one space between the words.
    pub(crate) records: Vec<String>,
}

/// How a section's records are compared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All, in any order.
    #[default]
    Whole,
    /// `(in order)`.
    InOrder,
    /// `(N of these)`: so many, each at most once.
    Some(usize),
    /// `(at least N of these)`.
    AtLeast(usize),
    /// `(rotating)`: asked as often as there are records, each answer starts one further.
    Rotating,
    /// `(shuffled)`: asked many times, the order changes beyond a rotation.
    Shuffled,
}

impl Suite {
    /// Reads a script from its file.
    ///
    /// # Errors
    /// With `file:line`, for a line that is not understood and for a script without a case.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut suite = Self::parse(&text, &path.display().to_string())?;
        let folder = path.parent().context("a script is in a folder")?;
        suite.cluster = folder.join(&suite.cluster);
        suite.path = path.to_path_buf();
        ensure!(suite.cluster.exists(), "{}: no such cluster: {}", path.display(), suite.cluster.display());
        Ok(suite)
    }

    /// Reads the text of a script; `file` is for messages.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        let mut reader = Reader::default();
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while at < lines.len() {
            let number = at + 1;
            let mut line = lines[at].to_string();
            while line.starts_with('$') && line.ends_with('\\') && at + 1 < lines.len() {
                at += 1;
                line.pop();
                line.push_str(lines[at].trim());
            }
            reader.line(number, line.trim_end()).with_context(|| format!("{file}:{number}"))?;
            at += 1;
        }
        reader.finish().with_context(|| file.to_string())
    }
}

#[derive(Default)]
struct Reader {
    suite: Suite,
    /// The comment that is being read: its text, its source.
    comment: Option<(Vec<String>, Option<String>)>,
    /// The key whose value is the indented lines below it.
    block: Option<Block>,
    place: Place,
}

/// A header of several lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Config,
    Upstream,
}

/// What the next line may belong to.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Between answers.
    #[default]
    Outside,
    /// Directly below a `$` line.
    Asked,
    /// Below `;;` lines that take no records.
    Answer,
    /// Below `;; QUESTION`.
    Question,
    /// Below the title of a section.
    Section(usize),
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        if let Some(block) = self.block.filter(|_| line.starts_with("  ")) {
            match block {
                Block::Config => self.suite.config.extend([line.trim_start(), "\n"]),
                Block::Upstream => self.suite.upstream.push(line.trim_start().to_string()),
            }
            return Ok(());
        }
        self.block = None;
        if line.is_empty() {
            ensure!(self.place != Place::Asked, "a question without an answer");
            self.place = Place::Outside;
            self.comment = None;
        } else if let Some(text) = line.strip_prefix('#') {
            ensure!(self.place != Place::Asked, "a question without an answer");
            self.place = Place::Outside;
            self.comment(text.trim())?;
        } else if let Some(text) = line.strip_prefix("$ ") {
            self.question(number, text)?;
        } else if let Some(text) = line.strip_prefix(";; ") {
            self.answer(text)?;
        } else if self.place == Place::Outside {
            self.header(line)?;
        } else {
            self.record(line)?;
        }
        Ok(())
    }

    fn comment(&mut self, text: &str) -> Result<()> {
        let (lines, source) = self.comment.get_or_insert_default();
        if let Some(text) = text.strip_prefix("source:") {
            ensure!(source.is_none() && !text.trim().is_empty(), "one `source:`, and not an empty one");
            *source = Some(text.trim().to_string());
        } else {
            ensure!(source.is_none(), "`source:` is the last line of a case's comment");
            lines.push(text.to_string());
        }
        Ok(())
    }

    fn header(&mut self, line: &str) -> Result<()> {
        ensure!(self.suite.cases.is_empty(), "`{line}` is not understood here");
        let (key, value) = line.split_once(':').context("neither a header, a question nor an answer")?;
        let value = value.trim();
        match key {
            "cluster" if self.suite.cluster.as_os_str().is_empty() => self.suite.cluster = value.into(),
            "config" if value.is_empty() => self.block = Some(Block::Config),
            "upstream" if value.is_empty() => self.block = Some(Block::Upstream),
            "listen" => self.suite.listen.push(value.into()),
            "only" => {
                let reason = value.strip_prefix("rollcall (").and_then(|rest| rest.strip_suffix(')'));
                self.suite.only_rollcall = Some(reason.context("write `only: rollcall (reason)`")?.into());
            }
            _ => bail!("`{line}` is not a header"),
        }
        Ok(())
    }

    fn question(&mut self, number: usize, text: &str) -> Result<()> {
        let query = Query::parse(text)?;
        if let Some((title, source)) = self.comment.take() {
            let source = source.context("a case's comment ends with `# source: ...`")?;
            ensure!(!title.is_empty(), "a case has a title above its source");
            self.suite.cases.push(Case { title: title.join(" "), source, exchanges: Vec::new() });
        }
        let case = self.suite.cases.last_mut().context("a question without a title and a source above it")?;
        match (self.place, case.exchanges.last_mut()) {
            (Place::Asked, Some(exchange)) => exchange.queries.push((number, query)),
            _ => {
                let queries = vec![(number, query)];
                case.exchanges.push(Exchange { queries, expected: Expected::default() });
            }
        }
        self.place = Place::Asked;
        Ok(())
    }

    fn expected(&mut self) -> Result<&mut Expected> {
        ensure!(self.place != Place::Outside, "an answer without a question");
        let case = self.suite.cases.last_mut().context("an answer without a question")?;
        Ok(&mut case.exchanges.last_mut().context("an answer without a question")?.expected)
    }

    fn answer(&mut self, text: &str) -> Result<()> {
        let expected = self.expected()?;
        let mut place = Place::Answer;
        if text == "no reply" {
            expected.silence = true;
        } else if let Some(status) = text.strip_prefix("status: ") {
            ensure!(expected.status.is_empty(), "a second status");
            expected.status = status.into();
        } else if let Some(flags) = text.strip_prefix("flags: ") {
            ensure!(expected.flags.is_empty(), "a second line of flags");
            expected.flags = flags.split_whitespace().map(str::to_string).collect();
        } else if let Some(opt) = text.strip_prefix("OPT: ") {
            ensure!(expected.opt.is_none(), "a second OPT");
            expected.opt = Some(opt.into());
        } else if let Some(ede) = text.strip_prefix("EDE: ") {
            let (code, text) = ede.split_once(' ').map_or((ede, None), |(code, text)| (code, Some(text)));
            let text =
                text.map(|t| t.strip_prefix('(').and_then(|t| t.strip_suffix(')')).context("write `(text)`"));
            expected.ede.push((code.parse()?, text.transpose()?.map(str::to_string)));
        } else if text == "QUESTION: none" || text == "QUESTION" {
            ensure!(expected.question.is_none(), "a second question section");
            expected.question = Some(Vec::new());
            place = if text == "QUESTION" { Place::Question } else { Place::Answer };
        } else {
            let (title, mode) =
                text.split_once(' ').map_or((text, None), |(title, mode)| (title, Some(mode)));
            let index = ["ANSWER", "AUTHORITY", "ADDITIONAL"].iter().position(|t| *t == title);
            let index = index.with_context(|| format!("`;; {text}` is not understood"))?;
            let section = &mut expected.sections[index];
            ensure!(section.records.is_empty(), "a second {title}");
            section.mode = mode.map(mode_of).transpose()?.unwrap_or_default();
            place = Place::Section(index);
        }
        self.place = place;
        Ok(())
    }

    fn record(&mut self, line: &str) -> Result<()> {
        let place = self.place;
        let expected = self.expected()?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match place {
            Place::Question => {
                ensure!(words.len() == 3 && words[0].ends_with('.'), "`{line}` is not `name. class type`");
                expected.question.get_or_insert_default().push(words.join(" "));
            }
            Place::Section(index) => {
                let shape = words.len() >= 5 && words[0].ends_with('.') && words[1].parse::<u32>().is_ok();
                ensure!(
                    shape && ["IN", "CH"].contains(&words[2]),
                    "`{line}` is not `owner. ttl class type data`"
                );
                expected.sections[index].records.extend(expand(&words.join(" "))?);
            }
            _ => bail!("`{line}` is not understood here"),
        }
        Ok(())
    }

    fn finish(self) -> Result<Suite> {
        ensure!(self.place != Place::Asked, "the last question has no answer");
        ensure!(!self.suite.cluster.as_os_str().is_empty(), "no `cluster:`");
        ensure!(!self.suite.cases.is_empty(), "a script without a case");
        for exchange in self.suite.cases.iter().flat_map(|case| &case.exchanges) {
            let (line, query) = exchange.queries.first().context("an answer without a question")?;
            let check = || -> Result<()> {
                let expected = &exchange.expected;
                if expected.silence {
                    let bare =
                        expected.status.is_empty() && expected.flags.is_empty() && expected.opt.is_none();
                    ensure!(bare && expected.question.is_none(), "silence has no answer");
                    return Ok(());
                }
                ensure!(
                    !expected.status.is_empty() && !expected.flags.is_empty(),
                    "an answer has status and flags"
                );
                let known = query.question.is_some() || expected.question.is_some();
                ensure!(known, "the answer to this one says its `;; QUESTION`");
                ensure!(expected.ede.is_empty() || expected.opt.is_some(), "an EDE is in an OPT");
                for section in &expected.sections {
                    let empty = section.mode != Mode::Whole && section.records.is_empty();
                    ensure!(!empty, "an empty section has no order");
                }
                Ok(())
            };
            check().with_context(|| format!("the question of line {line}"))?;
        }
        Ok(self.suite)
    }
}

fn mode_of(text: &str) -> Result<Mode> {
    let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')).context("write `(how)`")?;
    Ok(match inner {
        "in order" => Mode::InOrder,
        "rotating" => Mode::Rotating,
        "shuffled" => Mode::Shuffled,
        _ => {
            let number =
                inner.strip_suffix(" of these").with_context(|| format!("`{text}` is not understood"))?;
            match number.strip_prefix("at least ") {
                Some(number) => Mode::AtLeast(number.parse()?),
                None => Mode::Some(number.parse()?),
            }
        }
    })
}

/// `{1..60}` as in a shell, but all braces of a line step together; used in scripts and in `.yaml.in` clusters.
///
/// # Errors
/// For a range that runs backwards or is too long, and for two different ranges in one line.
pub(crate) fn expand(line: &str) -> Result<Vec<String>> {
    let Some((brace, from, to)) = line.split('{').skip(1).find_map(range) else {
        return Ok(vec![line.to_string()]);
    };
    ensure!(from <= to && to - from < 10_000, "{brace} is not a range");
    let lines: Vec<String> = (from..=to).map(|n| line.replace(&brace, &n.to_string())).collect();
    let another = lines.first().is_some_and(|line| line.split('{').skip(1).any(|rest| range(rest).is_some()));
    ensure!(!another, "the braces of a line are all the same");
    Ok(lines)
}

/// The range at the start of what follows an opening brace.
fn range(rest: &str) -> Option<(String, u32, u32)> {
    let (range, _) = rest.split_once('}')?;
    let (from, to) = range.split_once("..")?;
    Some((format!("{{{range}}}"), from.parse().ok()?, to.parse().ok()?))
}
