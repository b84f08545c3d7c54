// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong in a TOML file that people write, where, and what to do about it.
//!
//! Values are never repeated: a secret typed into the wrong place must not end up in a journal.

use std::fmt;
use std::ops::Range;

/// A complaint about one place in a file.
///
/// Shown as `path:line:column: [section] key: problem; advice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The file as the user named it.
    pub path: String,
    /// Line, counted from 1; 0 when the complaint is about the file as a whole.
    pub line: usize,
    /// Column in characters, counted from 1; 0 when the complaint is about the file as a whole.
    pub column: usize,
    /// The key with its section, `[e2ee] passphrase-file`, where one can be named.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do next.
    pub advice: String,
}

impl FileError {
    /// A complaint about the place `span` (byte offsets) of `text`.
    pub fn at(
        path: &str,
        text: &str,
        span: Range<usize>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (line, column) = line_and_column(text, span.start);
        Self {
            path: path.to_owned(),
            line,
            column,
            key: key_at(text, span.start),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// A complaint about the file as a whole, such as a key that is absent.
    pub fn whole(
        path: &str,
        key: Option<&str>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line: 0,
            column: 0,
            key: key.map(str::to_owned),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// Puts the parser's complaint into words for the person who wrote the file.
    pub fn from_toml(path: &str, text: &str, error: &toml::de::Error) -> Self {
        let (problem, advice) = explain(error.message());
        match error.span() {
            Some(span) if !text.is_empty() => Self::at(path, text, span, problem, advice),
            _ => Self::whole(path, None, problem, advice),
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}; {}", self.problem, self.advice)
    }
}

impl std::error::Error for FileError {}

/// The known name closest to what was typed, if one is close enough to be meant.
pub fn closest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let typed = fold(typed);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&typed, &fold(name)), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Problem and advice for a message of serde or of the TOML parser.
fn explain(message: &str) -> (String, String) {
    let first_line = message.lines().next().unwrap_or_default();
    let quoted: Vec<&str> = first_line.split('`').skip(1).step_by(2).collect();
    if first_line.starts_with("unknown field") || first_line.starts_with("unknown variant") {
        let what = if first_line.starts_with("unknown field") {
            "key"
        } else {
            "value"
        };
        let Some((typed, known)) = quoted.split_first() else {
            return (format!("unknown {what}"), "remove it".to_owned());
        };
        let advice = match closest(typed, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => "remove it".to_owned(),
            None => format!("known here: {}", known.join(", ")),
        };
        // A value may be a secret in the wrong place; a key is what the user has to find.
        let problem = if what == "key" {
            format!("unknown key `{typed}`")
        } else {
            "unknown value".to_owned()
        };
        return (problem, advice);
    }
    if first_line.starts_with("missing field") {
        let name = quoted.first().copied().unwrap_or("?");
        return (
            format!("the key `{name}` is missing"),
            format!("add a line `{name} = …`"),
        );
    }
    if let Some(rest) = first_line
        .strip_prefix("invalid type: ")
        .or_else(|| first_line.strip_prefix("invalid value: "))
    {
        // `string "what was typed", expected u16`: the middle is the user's value.
        let kind = rest.split([' ', ',']).next().unwrap_or("value");
        let expected = rest.rsplit_once("expected ").map_or("another", |(_, e)| e);
        return (
            format!("found {}", people_word(kind)),
            format!("write {}", people_word(expected)),
        );
    }
    if first_line.starts_with("duplicate") {
        return (
            first_line.to_owned(),
            "keep one of them and remove the other".to_owned(),
        );
    }
    match first_line.split_once("; ") {
        // Our own messages carry their advice.
        Some((problem, advice)) => (problem.to_owned(), advice.to_owned()),
        None => (
            format!("not valid TOML here ({first_line})"),
            "strings need quotes, sections look like [name], a key stands before `=`".to_owned(),
        ),
    }
}

/// Serde's words for types, in words of the sample file.
fn people_word(serde: &str) -> String {
    match serde {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of suitable size".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "integer" => "a whole number".to_owned(),
        "a string" | "string" | "str" => "a text in quotes".to_owned(),
        "a boolean" | "boolean" => "true or false".to_owned(),
        "floating" | "f32" | "f64" => "a number".to_owned(),
        "a sequence" | "sequence" => "a list in [ ]".to_owned(),
        "map" | "a map" => "a section".to_owned(),
        other if other.starts_with("struct ") => "a section".to_owned(),
        other => other.to_owned(),
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = before(text, offset);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// `[section] key` of the line that holds `offset`, read from the text alone.
fn key_at(text: &str, offset: usize) -> Option<String> {
    let before = before(text, offset);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text[start..].lines().next().unwrap_or_default().trim();
    let section = text[..start]
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| line.starts_with('['))
        .map(header);
    if line.starts_with('[') {
        return Some(header(line));
    }
    let key = line.split_once('=').map(|(key, _)| key.trim());
    match (section, key) {
        (Some(section), Some(key)) => Some(format!("{section} {key}")),
        (None, Some(key)) => Some(key.to_owned()),
        (section, None) => section,
    }
}

/// The `[…]` of a section line, without a comment behind it.
fn header(line: &str) -> String {
    line.find(']')
        .map_or(line, |end| {
            let end = if line[end..].starts_with("]]") {
                end + 2
            } else {
                end + 1
            };
            &line[..end]
        })
        .to_owned()
}

/// `text` up to `offset`, or to the character boundary before it.
fn before(text: &str, offset: usize) -> &str {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    #[allow(dead_code, reason = "only parsed")]
    struct Sample {
        passphrase_file: String,
        rounds: Option<u16>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct File {
        e2ee: Sample,
    }

    fn complaint(text: &str) -> String {
        let error = toml::from_str::<File>(text).expect_err("the text is faulty");
        FileError::from_toml("box.toml", text, &error).to_string()
    }

    #[test]
    fn a_typo_is_placed_and_the_right_key_is_suggested() {
        assert_eq!(
            complaint("[e2ee]\n  passprase-file = \"x\"\n"),
            "box.toml:2:3: [e2ee] passprase-file: unknown key `passprase-file`; did you mean `passphrase-file`?"
        );
    }

    #[test]
    fn a_wrong_type_is_explained_without_repeating_the_value() {
        let text = "[e2ee]\npassphrase-file = \"f\"\nrounds = \"correct horse\"\n";
        let shown = complaint(text);
        assert_eq!(
            shown,
            "box.toml:3:10: [e2ee] rounds: found a text in quotes; write a whole number of suitable size"
        );
    }

    #[test]
    fn a_missing_key_names_its_section() {
        assert_eq!(
            complaint("[e2ee]\nrounds = 1\n"),
            "box.toml:1:1: [e2ee]: the key `passphrase-file` is missing; add a line `passphrase-file = …`"
        );
    }

    #[test]
    fn broken_syntax_is_placed() {
        let shown = complaint("[e2ee]\npassphrase-file = secret words\n");
        assert!(shown.starts_with("box.toml:2:"), "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn snake_case_is_close_to_kebab_case() {
        let known = ["passphrase-file", "required"];
        assert_eq!(closest("PASSPHRASE_FILE", known), Some("passphrase-file"));
        assert_eq!(closest("colour", known), None);
    }

    #[test]
    fn an_offset_inside_a_character_does_not_panic() {
        let error = FileError::at("f", "ä = 1", 1..2, "p", "a");
        assert_eq!((error.line, error.column), (1, 1));
    }
}
