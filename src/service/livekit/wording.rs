// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words for people: times, and a foreign server's text made harmless.

use std::{fmt, time::Duration};

/// The longest foreign text that is shown, in characters.
const SHOWN: usize = 200;

/// A length of time in the past, as people say it: `3 min ago`.
pub(super) struct Ago(pub(super) Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            s @ 0..=119 => write!(f, "{s} s ago"),
            s @ 120..=7199 => write!(f, "{} min ago", s / 60),
            s @ 7200..=172_799 => write!(f, "{} h ago", s / 3600),
            s => write!(f, "{} days ago", s / 86_400),
        }
    }
}

/// A foreign text fit to be shown: one line, printable, short, without tokens. For names, identities
/// and messages that others chose.
///
/// A LiveKit server repeats the whole token in its answer to a bad one, so every word that looks
/// like one is taken out, not only ours.
pub fn harmless(text: &str) -> String {
    let line: String = text
        .chars()
        .take(16 * 1024)
        .map(|c| {
            if c.is_control() || is_invisible(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    let mut shown = String::new();
    for word in line.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        if looks_like_token(word) {
            shown.push_str("[token]");
        } else {
            shown.push_str(word);
        }
    }
    match shown.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &shown[..end]),
        None => shown,
    }
}

/// The same in brackets with a space before, or nothing when there is nothing to say.
pub(super) fn in_brackets(text: &str) -> String {
    match harmless(text) {
        text if text.is_empty() => text,
        text => format!(" ({text})"),
    }
}

/// Characters that change how their neighbours are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// JSON in base64url starts with `eyJ`; and nothing a person wants to read has 40 letters without a
/// space and two dots in it.
fn looks_like_token(word: &str) -> bool {
    word.contains("eyJ") || (word.len() >= 40 && word.matches('.').count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_a_servers_answer_is_not_shown() {
        let text =
            "invalid token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl, error: expired";
        assert_eq!(harmless(text), "invalid token: [token] error: expired");
    }

    #[test]
    fn control_and_direction_characters_are_taken_out() {
        assert_eq!(harmless("a\u{1b}[31mb\n\n\u{202e}c"), "a [31mb c");
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let shown = harmless(&"ä ".repeat(500));
        assert_eq!(shown.chars().count(), SHOWN + 3);
        assert!(shown.ends_with("..."));
    }

    #[test]
    fn times_in_the_past_are_said_in_the_unit_that_fits() {
        let said = |secs| Ago(Duration::from_secs(secs)).to_string();
        assert_eq!(said(59), "59 s ago");
        assert_eq!(said(185), "3 min ago");
        assert_eq!(said(3 * 3600), "3 h ago");
        assert_eq!(said(3 * 86_400), "3 days ago");
    }
}
