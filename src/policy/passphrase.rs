// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passphrases that people say to each other.
//!
//! A passphrase can be guessed by who has recorded a sealed frame, as fast as he can compute, so what is made here has
//! 77.5 bits and what people make up has a least length. No key is made here.

use alloc::string::String;
use core::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::words::{LIST_LEN, word, word_list};

/// A passphrase, as its bytes go into the derivation of the secret.
///
/// However it was typed, one spelling is used: Unicode NFC; white space at the ends removed, and one space between words;
/// six or more words of the EFF's list in lower case, because phones begin a line with a capital. Everything else is kept
/// as typed. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MeetingPassphrase(Zeroizing<String>);

/// Why a text will not do as a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// Fewer than 12 characters.
    #[error(
        "the passphrase has {0} characters and needs 12: take six words that are made for you, or a longer one"
    )]
    TooShort(usize),
    /// More than 256 characters.
    #[error("the passphrase has {0} characters: shorten it to 256")]
    TooLong(usize),
    /// A control character; such a text was hardly typed.
    #[error("the passphrase has a control character in it: type it anew")]
    Control,
}

/// The random source gives no usable numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source of randomness is broken: it gives the same number again and again")]
pub struct BrokenRandomness;

impl MeetingPassphrase {
    /// The fewest characters, counted after normalisation.
    pub const LEAST_CHARS: usize = 12;
    /// The most.
    pub const MOST_CHARS: usize = 256;
    /// How many words a generated one has: 6 × log₂ 7776 = 77.5 bits.
    pub const WORDS: usize = 6;

    /// Takes what somebody typed.
    ///
    /// # Errors
    /// Too short, too long, or not text that can be typed.
    pub fn new(typed: &str) -> Result<Self, PassphraseError> {
        // A bound before the work: NFC leaves at least a quarter of the characters.
        let long = typed.chars().take(4 * Self::MOST_CHARS).count();
        if long == 4 * Self::MOST_CHARS {
            return Err(PassphraseError::TooLong(typed.chars().count()));
        }
        let composed: Zeroizing<String> = Zeroizing::new(typed.nfc().collect());
        let mut text = Zeroizing::new(String::with_capacity(composed.len()));
        for word in composed.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        if text.contains(char::is_control) {
            return Err(PassphraseError::Control);
        }
        if is_made_of_words(&text) {
            text.make_ascii_lowercase();
        }
        match text.chars().count() {
            length if length < Self::LEAST_CHARS => Err(PassphraseError::TooShort(length)),
            length if length > Self::MOST_CHARS => Err(PassphraseError::TooLong(length)),
            _ => Ok(Self(text)),
        }
    }

    /// Makes six words of the EFF's large list. `random` fills what it is given with random bytes.
    ///
    /// # Errors
    /// The bytes are not random.
    pub fn generate(mut random: impl FnMut(&mut [u8])) -> Result<Self, BrokenRandomness> {
        let mut text = Zeroizing::new(String::with_capacity(Self::WORDS * 10));
        for _ in 0..Self::WORDS {
            let index = draw(&mut random)?;
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word(index));
        }
        Ok(Self(text))
    }

    /// The text, to be shown once to who makes the meeting and to be stretched into the secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MeetingPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeetingPassphrase(..)")
    }
}

/// An index into the list, each as likely as any other: 13 bits, drawn again where they point beyond its end.
fn draw(random: &mut impl FnMut(&mut [u8])) -> Result<usize, BrokenRandomness> {
    let mut bytes = Zeroizing::new([0; 2]);
    // One draw in twenty fails; that all of these do happens once in 2¹³³ words.
    for _ in 0..31 {
        random(&mut *bytes);
        let index = usize::from(u16::from_be_bytes(*bytes) & 0x1FFF);
        if index < LIST_LEN {
            return Ok(index);
        }
    }
    Err(BrokenRandomness)
}

fn is_made_of_words(text: &str) -> bool {
    let mut count = 0;
    for word in text.split(' ') {
        if !word_list().any(|listed| listed.eq_ignore_ascii_case(word)) {
            return false;
        }
        count += 1;
    }
    count >= MeetingPassphrase::WORDS
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_list_is_the_one_that_the_eff_published() {
        // The published file has the dice before each word: 11111 to 66666.
        let mut published = String::new();
        for (index, word) in word_list().enumerate() {
            for place in [1296, 216, 36, 6, 1] {
                published.push_str(&(index / place % 6 + 1).to_string());
            }
            published.push('\t');
            published.push_str(word);
            published.push('\n');
        }
        assert_eq!(word_list().count(), LIST_LEN);
        assert_eq!(
            hex::encode(Sha256::digest(published)),
            "addd35536511597a02fa0a9ff1e5284677b8883b83e986e43f15a3db996b903e"
        );
    }

    #[test]
    fn every_word_is_as_likely_as_any_other() {
        let mut drawn = std::vec![0_u8; LIST_LEN];
        let mut again = 0;
        for number in 0..=u16::MAX {
            let mut calls = 0;
            let mut random = |bytes: &mut [u8]| {
                calls += 1;
                // Where the first number is refused, the second gives word 0.
                bytes.copy_from_slice(&if calls == 1 {
                    number.to_be_bytes()
                } else {
                    [0, 0]
                });
            };
            let index = draw(&mut random).unwrap();
            if calls == 1 {
                drawn[index] += 1
            } else {
                again += 1
            }
        }
        assert!(drawn.iter().all(|times| *times == 8));
        assert_eq!(again, (8192 - LIST_LEN) * 8);
    }

    #[test]
    fn a_generated_passphrase_has_six_words_and_is_accepted_as_typed() {
        let mut counter = 0_u16;
        let made = MeetingPassphrase::generate(|bytes| {
            bytes.copy_from_slice(&counter.to_be_bytes());
            counter += 1555;
        })
        .unwrap();
        assert_eq!(made.expose().split(' ').count(), 6);
        assert_eq!(
            made.expose().split(' ').collect::<Vec<_>>()[..2],
            ["abacus", "dating"]
        );
        assert_eq!(MeetingPassphrase::new(made.expose()), Ok(made.clone()));
        let phone = std::format!(
            "  {}\u{3000}\n",
            made.expose().to_uppercase().replace(' ', "  ")
        );
        assert_eq!(MeetingPassphrase::new(&phone), Ok(made));
    }

    #[test]
    fn a_source_that_repeats_itself_is_noticed_where_it_gives_no_word() {
        assert_eq!(
            MeetingPassphrase::generate(|bytes| bytes.fill(0xFF)),
            Err(BrokenRandomness)
        );
    }

    #[test]
    fn one_spelling_stands_for_all_ways_to_type_it() {
        let composed = MeetingPassphrase::new("Gr\u{fc}\u{df}e aus K\u{f6}ln").unwrap();
        assert_eq!(composed.expose(), "Gr\u{fc}\u{df}e aus K\u{f6}ln");
        assert_eq!(
            MeetingPassphrase::new("Gru\u{308}\u{df}e aus  Ko\u{308}ln "),
            Ok(composed)
        );
        // Not six words of the list, so the case is the writer's.
        assert_eq!(
            MeetingPassphrase::new("Correct Horse").unwrap().expose(),
            "Correct Horse"
        );
    }

    #[test]
    fn length_counts_what_is_left_after_normalisation() {
        assert_eq!(
            MeetingPassphrase::new("       elevenchars"),
            Err(PassphraseError::TooShort(11))
        );
        assert_eq!(
            MeetingPassphrase::new("a\u{308}lfzeichenx"),
            Err(PassphraseError::TooShort(11))
        );
        assert!(MeetingPassphrase::new("twelve chars").is_ok());
        assert!(MeetingPassphrase::new(&"x".repeat(256)).is_ok());
        assert_eq!(
            MeetingPassphrase::new(&"x".repeat(257)),
            Err(PassphraseError::TooLong(257))
        );
        assert_eq!(
            MeetingPassphrase::new(&"x".repeat(9999)),
            Err(PassphraseError::TooLong(9999))
        );
        assert_eq!(
            MeetingPassphrase::new("with a \u{7} bell in"),
            Err(PassphraseError::Control)
        );
        assert_eq!(
            MeetingPassphrase::new(""),
            Err(PassphraseError::TooShort(0))
        );
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        let secret = MeetingPassphrase::new("twelve chars").unwrap();
        assert_eq!(std::format!("{secret:?}"), "MeetingPassphrase(..)");
    }
}
