// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wishes as programs write them: one JSON object, the same on the socket and from the page.

use std::fmt;

use roomseal_policy::{Link, LinkError, RoomCode};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{Command, Destination, Key, Medium, Switch};
use crate::config::{RAW_KEY_ADVICE, raw_key};
use crate::provisioning::Answers;
use crate::secret::Secret;
use crate::session::LONGEST_LINE;

/// No passphrase is longer.
const LONGEST_SECRET: usize = 1024;
/// No room's name is longer; the same as in the configuration.
const LONGEST_ROOM: usize = 256;

/// `{"do":"mute","what":"microphone","to":"on"}`, `{"do":"leave"}`, `{"do":"start"}`, `{"do":"end"}`, `{"do":"join"}`,
/// `{"do":"join","room":"lobby"}`, `{"do":"join","link":"https://…"}`, `{"do":"guest-link"}`,
/// `{"do":"invitation","to":"on"}`, `{"do":"scan"}`, `{"do":"set-up","name":"Board room","url":"wss://…"}`,
/// `{"do":"key","passphrase":"…"}`, `{"do":"key","raw-hex":"…"}`, `{"do":"key","link":"https://…"}`,
/// `{"do":"e2ee","to":"on"}`, `{"do":"booked"}`, `{"do":"booked","room":"k3f-9ab-x2c"}` or `{"do":"chat","line":"hello"}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
pub enum Spoken {
    /// Enter a meeting that the box is booked for.
    Booked {
        /// Its room; without one, the meeting that runs or begins next.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<String>,
    },
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
    /// End the meeting for everybody.
    End {},
    /// Hand out the link for guests.
    GuestLink {},
    /// Show the code for guests on the box's own screen, or no longer.
    Invitation {
        /// What is to be.
        to: OnOff,
    },
    /// Enter the room.
    Join {
        /// A Roomseal meeting by its link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<SpokenSecret>,
        /// Another room than last time, or a room code (`k3f-9ab-x2c`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room: Option<String>,
    },
    /// The key of the room, one of three.
    #[serde(rename_all = "kebab-case")]
    Key {
        /// The link of a Roomseal meeting.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<SpokenSecret>,
        /// A passphrase, as people tell it each other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passphrase: Option<SpokenSecret>,
        /// At least 16 bytes in hexadecimal digits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw_hex: Option<SpokenSecret>,
    },
    /// Leave the room. With braces, so that unknown fields are refused here too.
    Leave {},
    /// Open the camera for a minute and enter the meeting of the code that is held to it.
    Scan {},
    /// Set a box up that is not set up yet; what is left out is not answered.
    #[serde(rename_all = "kebab-case")]
    SetUp {
        /// What the box is called.
        #[serde(default)]
        name: String,
        /// Address of the meeting service.
        #[serde(default)]
        url: String,
        /// API key of the service.
        #[serde(default)]
        api_key: String,
        /// Its secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        api_secret: Option<SpokenSecret>,
        /// A token in the place of both.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<SpokenSecret>,
        /// A room to enter at once.
        #[serde(default)]
        room: String,
        /// SHA-256 of the service's certificate.
        #[serde(default)]
        certificate_sha256: String,
    },
    /// Make a meeting at once and enter it.
    Start {},
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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SpokenSecret(String);

/// Why a wish cannot be one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misspoken {
    /// None or several kinds of key, or nothing in them.
    #[error(
        "give either a passphrase, a link or a raw key; none may be empty, and no passphrase longer than \
         {LONGEST_SECRET} characters"
    )]
    Key,
    /// No link of a meeting.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Not hexadecimal, or too short.
    #[error("that is no raw key; {RAW_KEY_ADVICE}")]
    RawKey,
    /// Empty or endless.
    #[error("write a line of 1 to {LONGEST_LINE} bytes")]
    Line,
    /// A link and a room.
    #[error("give either a link or a room")]
    TwoPlaces,
    /// A link where only the name of a room may stand.
    #[error(
        "a link is secret, and is not given as a room: `roomseal join --link` asks for it unseen"
    )]
    LinkAsRoom,
    /// Empty, endless or invisible.
    #[error("that is no room's name; write 1 to {LONGEST_ROOM} visible characters")]
    Room,
}

impl Spoken {
    /// Checks it. The curve arithmetic of a host's link takes its time: not for a thread that others wait for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn understand(self) -> Result<Command, Misspoken> {
        Ok(match self {
            Self::Booked { room } => Command::Booked { room },
            Self::Chat { line } if line.trim().is_empty() || line.len() > LONGEST_LINE => {
                return Err(Misspoken::Line);
            }
            Self::Chat { line } => Command::Chat(line),
            Self::E2ee { to } => Command::E2ee {
                on: to == OnOff::On,
            },
            Self::End {} => Command::End,
            Self::GuestLink {} => Command::GuestLink,
            Self::Invitation { to } => Command::Invitation {
                shown: to == OnOff::On,
            },
            Self::Join { link, room } => Command::Join {
                to: match (link, room) {
                    (None, None) => None,
                    (Some(link), None) => Some(Destination::Link(Box::new(Link::parse(&link.0)?))),
                    (None, Some(room)) => Some(named(room)?),
                    (Some(_), Some(_)) => return Err(Misspoken::TwoPlaces),
                },
            },
            Self::Key {
                link,
                passphrase,
                raw_hex,
            } => Command::Key(match (link, passphrase, raw_hex) {
                (Some(link), None, None) => Key::Link(Box::new(Link::parse(&link.0)?)),
                (None, Some(passphrase), None) => Key::Passphrase(passphrase.take()?),
                (None, None, Some(digits)) => {
                    Key::Raw(raw_key(&digits.take()?).ok_or(Misspoken::RawKey)?)
                }
                _ => return Err(Misspoken::Key),
            }),
            Self::Leave {} => Command::Leave,
            Self::Scan {} => Command::Scan,
            Self::SetUp {
                name,
                url,
                api_key,
                api_secret,
                token,
                room,
                certificate_sha256,
            } => Command::SetUp(Box::new(Answers {
                name,
                url,
                api_key,
                api_secret,
                token,
                room,
                certificate_sha256,
            })),
            Self::Start {} => Command::Start,
            Self::Mute { what, to } => Command::Mute { what, to },
        })
    }
}

impl SpokenSecret {
    /// Takes a secret into a wish; `None` when it is no text.
    pub fn new(secret: &Secret) -> Option<Self> {
        secret.expose_text().map(|text| Self(text.to_owned()))
    }

    /// The link for guests, to hand out.
    pub(crate) fn link(link: &Link) -> Self {
        Self(std::mem::take(&mut *link.for_guests().expose()))
    }

    /// The text; whoever calls it gives it to who is to have it, and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
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

fn named(room: String) -> Result<Destination, Misspoken> {
    let fits =
        !room.trim().is_empty() && room.len() <= LONGEST_ROOM && crate::text::plain(&room) == room;
    match code(&room) {
        _ if !fits => Err(Misspoken::Room),
        _ if room.contains("://") => Err(Misspoken::LinkAsRoom),
        Some(code) => Ok(Destination::Code(code.room())),
        None => Ok(Destination::Room(room)),
    }
}

/// Nine symbols alone could as well be a word; in three groups of three they are a code.
fn code(text: &str) -> Option<RoomCode> {
    let mut groups = text.trim().split([' ', '-']);
    let grouped = groups.by_ref().take(3).all(|group| group.len() == 3) && groups.next().is_none();
    grouped.then(|| text.parse().ok()).flatten()
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
        assert!(
            matches!(join, Command::Join { to: Some(Destination::Room(room)) } if room == "lobby")
        );
        for typed in ["k3f-9ab-x2c", "K3F 9AB X2C"] {
            let join = understood(&format!(r#"{{"do":"join","room":"{typed}"}}"#)).unwrap();
            assert!(
                matches!(&join, Command::Join { to: Some(Destination::Code(room)) } if room.as_str() == "k3f-9ab-x2c"),
                "{join:?}"
            );
        }
        // Nine letters are a word.
        let join = understood(r#"{"do":"join","room":"boardroom"}"#).unwrap();
        assert!(matches!(
            join,
            Command::Join {
                to: Some(Destination::Room(_))
            }
        ));
        let secret = understood(r#"{"do":"join","room":"https://meet.example.org/j/a#k=b"}"#);
        assert_eq!(secret.unwrap_err(), Misspoken::LinkAsRoom);
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
        let cut = r#"{"do":"key","link":"https://meet.example.org/j/lobby"}"#;
        assert_eq!(refused(cut), Misspoken::Link(LinkError::NoFragment));
    }

    #[test]
    fn a_room_cannot_be_named_invisibly() {
        for room in ["", "   ", "a\u{202e}b", &"x".repeat(257)] {
            let join = Spoken::Join {
                link: None,
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
            link: None,
            passphrase: Some(secret),
            raw_hex: None,
        };
        let line = line(&spoken).unwrap();
        assert!(line.len() <= 6 * LONGEST_SECRET + 256, "{}", line.len());
    }
}
