// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks for secrets in whatever a process left behind, in every form in which somebody might have written them.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;

/// So many bytes of a secret in a row are too many already.
const WINDOW: usize = 8;

/// As [`WINDOW`], for base64, which turns three bytes into four characters.
const WINDOW_BASE64: usize = 9;

/// Every form is found by its first bytes.
const PREFIX: usize = 8;

/// How much of a stream is looked at in one go.
const CHUNK: usize = 1 << 20;

/// Finds secrets.
#[derive(Default)]
pub struct Scanner {
    patterns: Vec<Pattern>,
    /// Patterns by their first bytes.
    prefixes: HashMap<u64, Vec<usize>>,
    /// Which prefixes may be in there, by a coarse hash: most text is dismissed by one look.
    coarse: Vec<bool>,
    longest: usize,
}

struct Pattern {
    secret: &'static str,
    form: &'static str,
    bytes: Vec<u8>,
}

/// A secret that was found.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leak {
    /// What it is called.
    pub secret: &'static str,
    /// How it was written.
    pub form: &'static str,
}

impl Scanner {
    /// Looks for `secrets`: name and bytes.
    pub fn new(secrets: &[(&'static str, Vec<u8>)]) -> Self {
        let mut scanner = Self {
            coarse: vec![false; COARSE],
            ..Self::default()
        };
        for (secret, bytes) in secrets {
            for (form, write) in FORMS {
                let size = if form.starts_with("base64") {
                    WINDOW_BASE64
                } else {
                    WINDOW
                };
                assert!(bytes.len() >= size, "{secret} is too short to be found");
                for window in bytes.windows(size) {
                    scanner.look_for(secret, form, write(window));
                }
            }
        }
        scanner
    }

    fn look_for(&mut self, secret: &'static str, form: &'static str, bytes: Vec<u8>) {
        let prefix = prefix(&bytes);
        self.coarse[coarse(prefix)] = true;
        self.longest = self.longest.max(bytes.len());
        self.prefixes
            .entry(prefix)
            .or_default()
            .push(self.patterns.len());
        self.patterns.push(Pattern {
            secret,
            form,
            bytes,
        });
    }

    /// All that `text` gives away, each once.
    pub fn scan(&self, text: &[u8]) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for at in 0..text.len().saturating_sub(PREFIX - 1) {
            let prefix = prefix(&text[at..]);
            if !self.coarse[coarse(prefix)] {
                continue;
            }
            for pattern in self.prefixes.get(&prefix).into_iter().flatten() {
                let Pattern {
                    secret,
                    form,
                    bytes,
                } = &self.patterns[*pattern];
                let leak = Leak { secret, form };
                if text[at..].starts_with(bytes) && !leaks.contains(&leak) {
                    leaks.push(leak);
                }
            }
        }
        leaks
    }

    /// The same for a long stream; also says how long it was.
    pub fn scan_stream(&self, mut stream: impl Read) -> (Vec<Leak>, u64) {
        let (mut leaks, mut length) = (Vec::new(), 0);
        let mut held = Vec::new();
        loop {
            let kept = held.len();
            let read = stream.by_ref().take(CHUNK as u64).read_to_end(&mut held);
            let read = read.expect("what is scanned can be read");
            length += read as u64;
            for leak in self.scan(&held) {
                if !leaks.contains(&leak) {
                    leaks.push(leak);
                }
            }
            if read == 0 {
                return (leaks, length);
            }
            // What ends in the next piece begins in this one.
            let overlap = self.longest.min(kept + read);
            held.drain(..held.len() - overlap);
        }
    }

    /// Every form of every secret, to be planted.
    pub fn forms<'a>(
        secrets: &'a [(&'static str, Vec<u8>)],
    ) -> impl Iterator<Item = (Leak, Vec<u8>)> + 'a {
        secrets.iter().flat_map(|(secret, bytes)| {
            FORMS
                .iter()
                .map(move |(form, write)| (Leak { secret, form }, write(bytes)))
        })
    }
}

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scanner({} patterns)", self.patterns.len())
    }
}

impl fmt::Debug for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.secret, self.form)
    }
}

const COARSE: usize = 1 << 18;

fn coarse(prefix: u64) -> usize {
    // Fibonacci hashing: the upper bits of the product depend on all bits.
    (prefix.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - COARSE.trailing_zeros())) as usize
}

fn prefix(bytes: &[u8]) -> u64 {
    let first = bytes.first_chunk::<PREFIX>();
    u64::from_ne_bytes(*first.expect("nothing shorter is looked for or at"))
}

type Write = fn(&[u8]) -> Vec<u8>;

const FORMS: [(&str, Write); 14] = [
    ("raw bytes", <[u8]>::to_vec),
    ("hex", |s| list(s, "", |b| format!("{b:02x}"))),
    ("upper-case hex", |s| list(s, "", |b| format!("{b:02X}"))),
    ("spaced hex", |s| list(s, " ", |b| format!("{b:02x}"))),
    ("hex with colons", |s| list(s, ":", |b| format!("{b:02x}"))),
    ("upper-case hex with colons", |s| {
        list(s, ":", |b| format!("{b:02X}"))
    }),
    ("list of hex", |s| list(s, ", ", |b| format!("0x{b:02x}"))),
    ("list of decimals", |s| list(s, ", ", u8::to_string)),
    ("decimals with commas", |s| list(s, ",", u8::to_string)),
    ("decimals with spaces", |s| list(s, " ", u8::to_string)),
    ("Rust escapes", |s| {
        s.escape_ascii().to_string().into_bytes()
    }),
    // As GStreamer writes strings into structures.
    ("octal escapes", |s| {
        list(s, "", |b| {
            if b.is_ascii_alphanumeric() {
                char::from(*b).to_string()
            } else {
                format!("\\{b:03o}")
            }
        })
    }),
    ("base64", |s| base64(s, b"+/")),
    ("base64url", |s| base64(s, b"-_")),
];

fn list(secret: &[u8], separator: &str, write: fn(&u8) -> String) -> Vec<u8> {
    let written: Vec<String> = secret.iter().map(write).collect();
    written.join(separator).into_bytes()
}

/// Without padding, and without a last character that would depend on what follows.
fn base64(secret: &[u8], last: &[u8; 2]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*last)
        .collect();
    let word = |c: &[u8]| c.iter().fold(0, |word, b| word << 8 | usize::from(*b));
    let characters = secret.chunks_exact(3).flat_map(|chunk| {
        let word = word(chunk);
        [18, 12, 6, 0].map(|shift| alphabet[word >> shift & 63])
    });
    characters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("key", (0..16).map(|n| n * 15 + 3).collect()),
            ("passphrase", b"zx kelp Quern + 7 vats".to_vec()),
        ]
    }

    #[test]
    fn every_form_of_every_secret_is_found_wherever_it_stands_in_a_long_stream() {
        let scanner = Scanner::new(&secrets());
        let (mut everything, mut planted) = (vec![b'.'; 3 * CHUNK], Vec::new());
        let places = (0..3).cycle();
        for ((n, (leak, text)), place) in (0..).zip(Scanner::forms(&secrets())).zip(places) {
            // At the beginning, across the border of two pieces, at the very end.
            let mut stream = vec![b'.'; 2 * CHUNK];
            let at = [0, CHUNK - n % text.len().min(8), 2 * CHUNK - text.len()][place];
            stream[at..at + text.len()].copy_from_slice(&text);
            let (found, length) = scanner.scan_stream(&stream[..]);
            assert!(found.contains(&leak), "{leak:?} at {at}: {found:?}");
            assert_eq!(length, 2 * CHUNK as u64);
            let at = (n + 1) * 1009;
            everything[at..at + text.len()].copy_from_slice(&text);
            planted.push(leak);
        }
        let (found, _) = scanner.scan_stream(&everything[..]);
        assert!(planted.iter().all(|leak| found.contains(leak)));
    }

    #[test]
    fn half_a_secret_is_found_and_other_text_is_not() {
        let scanner = Scanner::new(&secrets());
        let half = format!("key: {:?}", &secrets()[0].1[4..12]);
        assert_eq!(scanner.scan(half.as_bytes()).len(), 1);
        let base64 = base64(&secrets()[0].1[2..], b"+/");
        assert_eq!(scanner.scan(&base64).len(), 2, "in both alphabets alike");
        let other = include_bytes!("leak.rs");
        assert_eq!(scanner.scan(&other[..2000]), []);
    }
}
