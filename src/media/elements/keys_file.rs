// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys from a file, for `gst-launch-1.0` and tests; the box itself hands keys over in memory.
//!
//! ```text
//! # 0600, owned by the user who runs the pipeline
//! key-index = 0                      # 0 to 15; 0 when left out
//! passphrase = "correct horse"       # derived like a LiveKit passphrase (PBKDF2)
//!
//! key-index = 1
//! raw-key-hex = "000102030405060708090a0b0c0d0e0f"   # 16 bytes or more, derived by HKDF
//! ```
//!
//! `key-index` goes with the secret on the line below it. `frameencrypt` seals with the last key,
//! `framedecrypt` opens with all of them. Inside the quotes only `\"` and `\\` are escapes.
//!
//! No error quotes the file: whatever stands on a wrong line may be the secret.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use roomseal_e2ee::{FrameKey, KeyIndex, Passphrase, RawKey};
use zeroize::Zeroizing;

/// Reads and derives all keys of a file; takes some ten milliseconds per passphrase.
///
/// # Errors
///
/// [`KeysFileError`] when others may read the file, or a line is not as described above.
pub(super) fn read(path: &Path) -> Result<Vec<(KeyIndex, FrameKey)>, KeysFileError> {
    let failed = |problem| KeysFileError {
        path: path.to_owned(),
        problem,
    };
    let text = read_private(path).map_err(failed)?;
    let text = std::str::from_utf8(&text).map_err(|_| failed(Problem::NotText))?;
    parse(text).map_err(failed)
}

/// Why a keys file was refused.
#[derive(Debug, thiserror::Error)]
#[error("keys file {}: {problem}", path.display())]
pub(super) struct KeysFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read ({0}): give a file that exists and that you may read")]
    Read(#[from] io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("others may read it (mode {mode:04o}): run chmod 600 on it")]
    Readable { mode: u32 },
    #[error("belongs to user {owner}: it must be your own")]
    Owner { owner: u32 },
    #[error("is longer than {MAX_LEN} bytes: a keys file is a few lines")]
    TooLong,
    #[error("is not UTF-8 text")]
    NotText,
    #[error("has no key: write passphrase = \"...\" or raw-key-hex = \"...\"")]
    NoKey,
    #[error("line {line}: {what}")]
    Line { line: usize, what: &'static str },
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let file = File::open(path)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Problem::NotAFile);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Problem::Readable { mode });
    }
    let owner = metadata.uid();
    if owner != rustix::process::geteuid().as_raw() {
        return Err(Problem::Owner { owner });
    }
    // Room for all of it at once: a vector that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_LEN + 64));
    file.take(MAX_LEN as u64 + 1).read_to_end(&mut text)?;
    if text.len() > MAX_LEN {
        return Err(Problem::TooLong);
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Vec<(KeyIndex, FrameKey)>, Problem> {
    let mut keys: Vec<(KeyIndex, FrameKey)> = Vec::new();
    let mut index = KeyIndex::default();
    for (number, line) in text.lines().enumerate() {
        let at = |what| Problem::Line {
            line: number + 1,
            what,
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| at(EXPECTED))?;
        let value = value.trim();
        let key = match name.trim() {
            "key-index" => {
                index = parse_index(value).ok_or_else(|| at(WRONG_INDEX))?;
                continue;
            }
            "passphrase" => {
                let passphrase = parse_string(value).ok_or_else(|| at(WRONG_STRING))?;
                if passphrase.is_empty() {
                    return Err(at("the passphrase is empty"));
                }
                FrameKey::from_passphrase(&Passphrase::new(passphrase.as_bytes()))
            }
            "raw-key-hex" => {
                let digits = parse_string(value).ok_or_else(|| at(WRONG_STRING))?;
                let bytes = hex::decode(digits.as_bytes()).map_err(|_| at(WRONG_HEX))?;
                if bytes.len() < MIN_RAW_KEY {
                    return Err(at(WRONG_HEX));
                }
                FrameKey::from_raw_key(&RawKey::new(bytes))
            }
            _ => return Err(at(EXPECTED)),
        };
        if keys.iter().any(|(taken, _)| *taken == index) {
            return Err(at(
                "this key index already has a key: give another key-index",
            ));
        }
        keys.push((index, key));
    }
    if keys.is_empty() {
        return Err(Problem::NoKey);
    }
    Ok(keys)
}

fn parse_index(value: &str) -> Option<KeyIndex> {
    let value = value.split('#').next()?.trim();
    KeyIndex::try_from(value.parse::<u8>().ok()?).ok()
}

/// What stands between double quotes; only a comment may follow.
fn parse_string(value: &str) -> Option<Zeroizing<String>> {
    let mut characters = value.strip_prefix('"')?.chars();
    let mut string = Zeroizing::new(String::with_capacity(value.len()));
    loop {
        match characters.next()? {
            '"' => break,
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => string.push(escaped),
                _ => return None,
            },
            other => string.push(other),
        }
    }
    let rest = characters.as_str().trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(string)
}

const MAX_LEN: usize = 4096;
/// AES-128 deserves no less.
const MIN_RAW_KEY: usize = 16;
const EXPECTED: &str = "expected key-index = , passphrase = or raw-key-hex =";
const WRONG_INDEX: &str = "a key index is a number from 0 to 15";
const WRONG_STRING: &str =
    "put the value in double quotes; only \\\" and \\\\ may be escaped in it";
const WRONG_HEX: &str = "a raw key is an even number of hex digits, 32 or more";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn passphrases_and_raw_keys_take_the_index_above_them() {
        let keys = parse(concat!(
            "# a comment\n\n",
            "passphrase = \"a \\\"quoted\\\" # word\" # and a comment\n",
            "key-index = 7 # the next epoch\n",
            "  raw-key-hex=\"000102030405060708090a0b0c0d0e0f\"\n",
        ))
        .unwrap();
        let indices: Vec<u8> = keys.iter().map(|(index, _)| u8::from(*index)).collect();
        assert_eq!(indices, [0, 7]);
        assert_eq!(
            *parse_string("\"a \\\"quoted\\\" # word\" # and a comment").unwrap(),
            "a \"quoted\" # word"
        );
    }

    #[test]
    fn a_wrong_line_is_named_and_never_quoted() {
        for (text, expected) in [
            ("", "has no key"),
            ("hunter2", "line 1: expected"),
            ("\nhunter2 = \"x\"", "line 2: expected"),
            (
                "passphrase = hunter2",
                "line 1: put the value in double quotes",
            ),
            (
                "passphrase = \"hunter2",
                "line 1: put the value in double quotes",
            ),
            (
                "passphrase = \"a\" hunter2",
                "line 1: put the value in double quotes",
            ),
            (
                "passphrase = \"\\hunter2\"",
                "line 1: put the value in double quotes",
            ),
            ("passphrase = \"\"", "line 1: the passphrase is empty"),
            (
                "key-index = 16",
                "line 1: a key index is a number from 0 to 15",
            ),
            (
                "key-index = -1",
                "line 1: a key index is a number from 0 to 15",
            ),
            ("raw-key-hex = \"hunter2\"", "line 1: a raw key is"),
            ("raw-key-hex = \"0011\"", "line 1: a raw key is"),
            (
                "passphrase = \"a\"\npassphrase = \"hunter2\"",
                "line 2: this key index already has a key",
            ),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(expected), "{text:?}: {refusal}");
            assert!(!refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("room.keys");
        fs::write(&path, "passphrase = \"a\"\n").unwrap();
        for mode in [0o644, 0o640, 0o602, 0o610] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).unwrap().len(), 1);
        }
    }

    #[test]
    fn what_is_no_keys_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("room.keys");
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");

        fs::write(&path, vec![b'#'; MAX_LEN + 1]).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");

        fs::write(&path, [0xFF, 0xFE]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("not UTF-8"), "{error}");

        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let error = read(directory.path()).unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
    }
}
