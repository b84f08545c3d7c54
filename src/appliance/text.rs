// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text from others, made safe to show: names come from the service and may hold anything.

/// `text` without control characters, so that it can neither move a cursor nor start a line.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_mischief(c) { '\u{fffd}' } else { c })
        .collect()
}

/// `text` as [`plain`], cut to at most `width` characters.
pub fn short(text: &str, width: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= width {
        return text;
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Controls, and the invisible characters that reorder what follows them on a screen.
fn is_mischief(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_direction_marks_are_replaced() {
        assert_eq!(
            plain("a\x1b[2Jb\r\nc\u{202e}d"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d"
        );
        assert_eq!(plain("Zoë 會議"), "Zoë 會議");
    }

    #[test]
    fn long_names_are_cut_by_characters() {
        assert_eq!(short("ääääää", 4), "äää…");
        assert_eq!(short("ää", 4), "ää");
    }
}
