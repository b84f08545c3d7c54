// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wishes as programs write them: one JSON object, the same on the socket and from the page.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{Command, Medium, Switch};
use crate::config::{RAW_KEY_ADVICE, passphrase_key, raw_key};
use crate::secret::Secret;
use crate::session::LONGEST_LINE;

/// No passphrase is longer.
const LONGEST_SECRET: usize = 1024;
/// No room's name is longer; the same as in the configuration.
const LONGEST_ROOM: usize = 256;

/// `{"do":"mute","what":"microphone","to":"on"}`, `{"do":"leave"}`, `{"do":"join"}`, `{"do":"join","room":"lobby"}`,
/// `{"do":"key","passphrase":"…"}`, `{"do":"key","raw-hex":"…"}`, `{"do":"e2ee","to":"on"}` or `{"do":"chat","line":"hello"}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
pub enum Spoken {
    /// Write to everybody in the room.
    Chat {
        /// What.
        line: String,
    },
    /// Turn end-to-end encryption on or off for everybody.
    E2ee {
        /// What is to be.
        to: OnOff,
    },
    /// Enter the room.
    Join {
        /// Another room than last time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<String>,
    },
    /// The key of the room, one of two.
    #[serde(rename_all = "kebab-case")]
    Key {
        /// A passphrase, as the application takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passphrase: Option<SpokenSecret>,
        /// At least 16 bytes in hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw_hex: Option<SpokenSecret>,
    },
    /// Leave the room. With braces, so that unknown fields are refused here too.
    Leave {},
    /// Mute or unmute.
    Mute {
        /// Which source.
        #[serde(default = "microphone")]
        what: Medium,
        /// What is to be.
        to: Switch,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnOff {
    /// Off.
    Off,
    /// On.
    On,
}

/// A secret in a wish: wiped when dropped, never shown.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpokenSecret(String);

/// Why a wish cannot be one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misspoken {
    /// Neither or both kinds of key, or nothing in them.
    #[error(
        "give either a passphrase or a raw key; neither may be empty or longer than {LONGEST_SECRET} characters"
    )]
    Key,
    /// Not hexadecimal, or too short.
    #[error("that is no raw key; {RAW_KEY_ADVICE}")]
    RawKey,
    /// Empty or endless.
    #[error("write a line of 1 to {LONGEST_LINE} bytes")]
    Line,
    /// Empty, endless or invisible.
    #[error("that is no room's name; write 1 to {LONGEST_ROOM} visible characters")]
    Room,
}

impl Spoken {
    /// Checks it. Deriving a key from a passphrase takes a tenth of a second: not for a thread that others wait for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn understand(self) -> Result<Command, Misspoken> {
        Ok(match self {
            Self::Chat { line } if line.trim().is_empty() || line.len() > LONGEST_LINE => {
                return Err(Misspoken::Line);
            }
            Self::Chat { line } => Command::Chat(line),
            Self::E2ee { to } => Command::E2ee {
                on: to == OnOff::On,
            },
            Self::Join { room } => Command::Join {
                room: room.map(named).transpose()?,
            },
            Self::Key {
                passphrase: Some(passphrase),
                raw_hex: None,
            } => Command::Key(passphrase_key(&passphrase.take()?)),
            Self::Key {
                passphrase: None,
                raw_hex: Some(digits),
            } => Command::Key(raw_key(&digits.take()?).ok_or(Misspoken::RawKey)?),
            Self::Key { .. } => return Err(Misspoken::Key),
            Self::Leave {} => Command::Leave,
            Self::Mute { what, to } => Command::Mute { what, to },
        })
    }
}

impl SpokenSecret {
    /// Takes a secret into a wish; `None` when it is no text.
    pub fn new(secret: &Secret) -> Option<Self> {
        secret.expose_text().map(|text| Self(text.to_owned()))
    }

    /// White space at both ends is not part of it, as in a file.
    fn take(&self) -> Result<Secret, Misspoken> {
        let text = self.0.trim();
        if text.is_empty() || text.len() > LONGEST_SECRET {
            return Err(Misspoken::Key);
        }
        Ok(Secret::new(text.as_bytes().to_vec()))
    }
}

impl Drop for SpokenSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SpokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpokenSecret(…)")
    }
}

/// One line as it goes over a socket, wiped when dropped.
pub(crate) fn line(spoken: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // Sized up front: a vector that grows leaves copies behind. Escapes make a character six times as long.
    let mut line = Zeroizing::new(Vec::with_capacity(6 * LONGEST_SECRET + 256));
    serde_json::to_writer(&mut *line, spoken)?;
    line.push(b'\n');
    Ok(line)
}

fn named(room: String) -> Result<String, Misspoken> {
    let fits =
        !room.trim().is_empty() && room.len() <= LONGEST_ROOM && crate::text::plain(&room) == room;
    if fits { Ok(room) } else { Err(Misspoken::Room) }
}

fn microphone() -> Medium {
    Medium::Microphone
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn understood(json: &str) -> Result<Command, Misspoken> {
        serde_json::from_str::<Spoken>(json).unwrap().understand()
    }

    #[test]
    fn a_wish_reads_as_it_is_written() {
        let mute = understood(r#"{"do":"mute","to":"toggle"}"#).unwrap();
        assert!(matches!(
            mute,
            Command::Mute {
                what: Medium::Microphone,
                to: Switch::Toggle
            }
        ));
        let join = understood(r#"{"do":"join","room":"lobby"}"#).unwrap();
        assert!(matches!(join, Command::Join { room: Some(room) } if room == "lobby"));
        assert!(serde_json::from_str::<Spoken>(r#"{"do":"leave","now":true}"#).is_err());
        assert!(serde_json::from_str::<Spoken>(r#"{"do":"reboot"}"#).is_err());
    }

    #[test]
    fn a_key_is_one_of_two_and_never_shown() {
        let spoken: Spoken =
            serde_json::from_str(r#"{"do":"key","passphrase":"open sesame"}"#).unwrap();
        assert!(!format!("{spoken:?}").contains("sesame"), "{spoken:?}");
        let command = spoken.understand().unwrap();
        assert!(!format!("{command:?}").contains("sesame"), "{command:?}");

        let refused = |json| understood(json).unwrap_err();
        assert_eq!(refused(r#"{"do":"key"}"#), Misspoken::Key);
        assert_eq!(refused(r#"{"do":"key","passphrase":"  "}"#), Misspoken::Key);
        let both = r#"{"do":"key","passphrase":"open sesame","raw-hex":"00"}"#;
        assert_eq!(refused(both), Misspoken::Key);
        assert_eq!(
            refused(r#"{"do":"key","raw-hex":"00ff"}"#),
            Misspoken::RawKey
        );
    }

    #[test]
    fn a_room_cannot_be_named_invisibly() {
        for room in ["", "   ", "a\u{202e}b", &"x".repeat(257)] {
            let join = Spoken::Join {
                room: Some(room.to_owned()),
            };
            assert_eq!(join.understand().unwrap_err(), Misspoken::Room, "{room:?}");
        }
    }

    #[test]
    fn the_line_of_a_secret_never_moves_in_memory() {
        let hardest = "\u{1}".repeat(LONGEST_SECRET);
        let secret = SpokenSecret::new(&Secret::new(hardest.into_bytes())).unwrap();
        let spoken = Spoken::Key {
            passphrase: Some(secret),
            raw_hex: None,
        };
        let line = line(&spoken).unwrap();
        assert!(line.len() <= 6 * LONGEST_SECRET + 256, "{}", line.len());
    }
}
