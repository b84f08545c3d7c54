// SPDX-License-Identifier: MIT OR Apache-2.0

//! Names of strangers, made fit to be drawn and to be file names.
//!
//! A participant chooses its own name, and a service may choose identities. Neither may format
//! text, reverse the reading direction of what stands beside it, break a line, pile up marks over
//! half the screen, or leave the recording directory.

use std::{fmt::Write as _, path::Path};

/// Letters of a name that are shown anywhere.
pub const LONGEST_NAME: usize = 40;

/// Combining marks kept per letter; legitimate scripts stack few, abuse stacks dozens.
const MOST_MARKS: usize = 3;

/// The most characters of an identity that go into a file name. A character takes at most three
/// bytes there, and file systems allow 255 with our endings.
const MOST_FILE_CHARACTERS: usize = 64;

/// `name` on one line of at most `columns` letters (ideographs and emoji take two), without
/// control, direction and invisible characters. Empty when nothing is left.
pub fn plain(name: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut marks = 0;
    let mut used = 0;
    // Where to cut when what follows does not fit: before the last column.
    let mut room_for_dots = 0;
    for character in name.chars() {
        let character = if character.is_whitespace() {
            // Line and paragraph separators are white space too.
            if out.is_empty() || out.ends_with(' ') {
                continue;
            }
            ' '
        } else {
            character
        };
        if is_hidden(character) {
            continue;
        }
        let mark = is_mark(character);
        marks = if mark { marks + 1 } else { 0 };
        if marks > MOST_MARKS {
            continue;
        }
        if !mark {
            used += if is_wide(character) { 2 } else { 1 };
        }
        if used > columns {
            if character == ' ' {
                // A name may well end here.
                continue;
            }
            out.truncate(room_for_dots);
            out.truncate(out.trim_end().len());
            if columns > 0 {
                out.push('…');
            }
            return out;
        }
        out.push(character);
        if used < columns {
            room_for_dots = out.len();
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// `text` with everything escaped that means something in Pango markup.
pub fn markup(text: &str) -> String {
    gst::glib::markup_escape_text(text).into()
}

/// A file name for what `identity` sent: letters, digits, `-`, `_` and `.` stay, every other
/// character becomes `%` and hexadecimal digits, so that two identities never share a file.
pub fn file_stem(identity: &str) -> String {
    let mut stem = String::new();
    let mut cut = false;
    for (count, character) in identity.chars().enumerate() {
        if count == MOST_FILE_CHARACTERS {
            cut = true;
            break;
        }
        // A leading dot would hide the file, or name a directory.
        let plain = character.is_ascii_alphanumeric()
            || character == '_'
            || (matches!(character, '-' | '.') && count > 0);
        if plain {
            stem.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                write!(stem, "%{byte:02x}").expect("a String takes everything");
            }
        }
    }
    if cut || stem.len() > 3 * MOST_FILE_CHARACTERS {
        // What was cut off may be what tells two identities apart.
        stem.truncate(2 * MOST_FILE_CHARACTERS);
        write!(stem, "~{:016x}", fingerprint(identity)).expect("a String takes everything");
    }
    if stem.is_empty() {
        stem.push('%');
    }
    debug_assert_eq!(Path::new(&stem).components().count(), 1);
    stem
}

/// The first half of SHA-256, enough to keep long identities apart.
fn fingerprint(identity: &str) -> u64 {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(identity.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

/// Characters that draw nothing themselves, or change how their neighbours are drawn. The joiners
/// U+200C and U+200D stay: Persian, Indian scripts and emoji need them.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            u32::from(character),
            0x00ad                      // soft hyphen
                | 0x034f                // combining grapheme joiner
                | 0x061c                // Arabic letter mark
                | 0x115f..=0x1160       // Hangul fillers
                | 0x17b4..=0x17b5       // Khmer inherent vowels
                | 0x180b..=0x180f       // Mongolian selectors
                | 0x200b                // zero width space
                | 0x200e..=0x200f       // direction marks
                | 0x202a..=0x202e       // direction embeddings and overrides
                | 0x2060..=0x206f       // word joiner, isolates, deprecated formats
                | 0x3164                // Hangul filler
                | 0xe000..=0xf8ff       // private use: drawn as whatever a font likes
                | 0xfeff                // byte order mark
                | 0xfff0..=0xfffb       // annotations
                | 0xffa0                // half-width Hangul filler
                | 0xfffe..=0xffff
                | 0xe0000..=0x10_ffff   // tags, selectors, private planes
        )
}

/// Characters drawn about as wide as they are high.
fn is_wide(character: char) -> bool {
    matches!(
        u32::from(character),
        0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0x1f300..=0x1faff
            | 0x20000..=0x3fffd
    )
}

/// Marks that are drawn over or under the letter before them.
fn is_mark(character: char) -> bool {
    matches!(
        u32::from(character),
        0x0300..=0x036f
            | 0x0483..=0x0489
            | 0x0591..=0x05bd
            | 0x0610..=0x061a
            | 0x064b..=0x065f
            | 0x0e31
            | 0x0e34..=0x0e3a
            | 0x0e47..=0x0e4e
            | 0x1ab0..=0x1aff
            | 0x1dc0..=0x1dff
            | 0x20d0..=0x20ff
            | 0xfe00..=0xfe0f
            | 0xfe20..=0xfe2f
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(
            markup(&plain("<b>A&B</b> \"x\"", 40)),
            "&lt;b&gt;A&amp;B&lt;/b&gt; &quot;x&quot;"
        );
    }

    #[test]
    fn control_direction_and_invisible_characters_are_removed() {
        assert_eq!(
            plain("a\u{202e}b\u{2066}c\u{200b}d\u{7}\u{feff}e\u{e0041}", 40),
            "abcde"
        );
        assert_eq!(
            plain("line\none\r\n\ttwo\u{2028}three", 40),
            "line one two three"
        );
        assert_eq!(plain(" \u{200e} ", 40), "");
    }

    #[test]
    fn long_names_are_cut_with_an_ellipsis() {
        assert_eq!(plain("abcdef", 6), "abcdef");
        assert_eq!(plain("abcdefg", 6), "abcde…");
        assert_eq!(plain("abcdef  ", 6), "abcdef");
        assert_eq!(plain(&"é".repeat(10_000), 12).chars().count(), 12);
        assert_eq!(plain("山田太郎", 8), "山田太郎");
        assert_eq!(plain("山田太郎", 7), "山田太…");
        assert_eq!(plain("山田太郎", 6), "山田…");
        assert_eq!(plain("abc", 0), "");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("Z{}algo", "\u{0301}".repeat(50));
        assert_eq!(plain(&piled, 40), format!("Z{}algo", "\u{0301}".repeat(3)));
    }

    #[test]
    fn ordinary_names_of_many_scripts_stay_as_they_are() {
        for name in [
            "Zoë O’Neill",
            "محمد",
            "नमस्ते",
            "山田太郎",
            "Łukasz",
            "👩‍💻 Ann",
        ] {
            assert_eq!(plain(name, 40), name);
        }
    }

    #[test]
    fn file_stems_stay_in_their_directory_and_apart() {
        let identities = [
            "alice",
            "Alice",
            "../../etc/passwd",
            "..",
            ".",
            "",
            "%",
            "a/b",
            "a%2fb",
            "a b",
            "-rf",
            "nul\0byte",
            "é",
        ];
        let mut seen = HashSet::new();
        for identity in identities {
            let stem = file_stem(identity);
            assert!(!stem.contains(['/', '\0', ' ']), "{stem}");
            assert!(!stem.starts_with(['.', '-']), "{stem}");
            assert!(seen.insert(stem.clone()), "{identity:?} shares {stem}");
        }
        let long = file_stem(&"é".repeat(300));
        assert!(long.len() < 180, "{long}");
        assert_ne!(long, file_stem(&"é".repeat(301)));
    }
}
