// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of rooms, and short codes to type at another box.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// The name of a room: 1 to 64 ASCII letters, digits, `-`, `_`, `.`, beginning with a letter or digit.
///
/// Such a name is the same in a path, a token, a hash and on a screen, with nothing to escape or to normalise. Upper and
/// lower case differ, as they do for LiveKit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(String);

/// Why a text is not the name of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoomNameError {
    /// Nothing there.
    #[error("the room name is empty")]
    Empty,
    /// More than 64 characters.
    #[error("the room name has {0} characters: shorten it to 64")]
    TooLong(usize),
    /// A character that cannot stand in a name, or cannot begin one.
    #[error("the room name has {0:?} in it: use letters a-z and digits, and - _ . after the first")]
    Character(char),
}

impl RoomName {
    /// The longest name.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, RoomNameError> {
        for (at, character) in text.chars().enumerate() {
            let fits = character.is_ascii_alphanumeric()
                || (at > 0 && matches!(character, '-' | '_' | '.'));
            if !fits {
                return Err(RoomNameError::Character(character));
            }
        }
        match text.len() {
            0 => Err(RoomNameError::Empty),
            length if length > Self::MAX_LEN => Err(RoomNameError::TooLong(length)),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an instant meeting's room, made to be read aloud and typed: `k3f-9ab-x2c`.
///
/// It names a room and nothing more. There is no secret in it: who comes with a code alone is asked for link, QR or
/// passphrase when E2EE needs one. 45 random bits keep two meetings apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomCode([u8; 9]);

/// The text is not a room code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a room code: it has nine letters and digits, like k3f-9ab-x2c")]
pub struct NotARoomCode;

impl RoomCode {
    /// Makes a code of 6 random bytes, of which 45 bits are used.
    pub fn from_random(random: [u8; 6]) -> Self {
        let mut bits = random
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        Self(core::array::from_fn(|_| {
            let symbol = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
            symbol
        }))
    }

    /// The room it stands for.
    pub fn room(&self) -> RoomName {
        RoomName(alloc::format!("{self}"))
    }
}

impl FromStr for RoomCode {
    type Err = NotARoomCode;

    /// Reads a code as people type it: any case, with or without spaces and hyphens, `o` for `0`, `i` and `l` for `1`.
    fn from_str(text: &str) -> Result<Self, NotARoomCode> {
        let mut code = [0; 9];
        let mut typed = text
            .bytes()
            .filter(|byte| !matches!(byte, b' ' | b'-'))
            .map(|byte| match byte.to_ascii_lowercase() {
                b'o' => b'0',
                b'i' | b'l' => b'1',
                other => other,
            });
        for place in &mut code {
            *place = typed
                .next()
                .filter(|byte| ALPHABET.contains(byte))
                .ok_or(NotARoomCode)?;
        }
        typed.next().map_or(Ok(Self(code)), |_| Err(NotARoomCode))
    }
}

impl fmt::Display for RoomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, symbol) in self.0.iter().enumerate() {
            let hyphen = if at > 0 && at % 3 == 0 { "-" } else { "" };
            write!(f, "{hyphen}{}", char::from(*symbol))?;
        }
        Ok(())
    }
}

/// Crockford's base 32: no `i`, `l`, `o`, which are taken for digits, and no `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_that_would_need_escaping_are_refused() {
        for good in ["lobby", "A", "7", "team.weekly_2-b", &"a".repeat(64)] {
            assert_eq!(
                good.parse::<RoomName>().map(|n| n.to_string()).as_deref(),
                Ok(good)
            );
        }
        let bad = [
            ("", RoomNameError::Empty),
            ("..", RoomNameError::Character('.')),
            ("-a", RoomNameError::Character('-')),
            ("a/b", RoomNameError::Character('/')),
            ("a b", RoomNameError::Character(' ')),
            ("a%20", RoomNameError::Character('%')),
            ("raum\u{e4}", RoomNameError::Character('\u{e4}')),
            (&"a".repeat(65), RoomNameError::TooLong(65)),
        ];
        for (text, why) in bad {
            assert_eq!(text.parse::<RoomName>(), Err(why), "{text}");
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = RoomCode::from_random([0x12, 0x34, 0x56, 0x78, 0x9A, 0xBC]);
        let text = code.to_string();
        assert_eq!(text.len(), 11);
        assert_eq!(text.parse(), Ok(code.clone()));
        assert_eq!(
            text.to_uppercase().replace('-', " ").parse(),
            Ok(code.clone())
        );
        assert_eq!(code.room().as_str(), text);
        assert_eq!(
            "oIl-000-000"
                .parse::<RoomCode>()
                .map(|c| c.to_string())
                .as_deref(),
            Ok("011-000-000")
        );
        for bad in [
            "",
            "k3f-9ab-x2",
            "k3f-9ab-x2cc",
            "k3f-9ab-x2u",
            "k3f/9ab-x2c",
            "\u{212A}3f-9ab-x2",
        ] {
            assert_eq!(bad.parse::<RoomCode>(), Err(NotARoomCode), "{bad}");
        }
    }

    #[test]
    fn every_bit_that_is_used_changes_the_code() {
        let zero = RoomCode::from_random([0; 6]);
        for bit in 3..48 {
            let mut random = [0; 6];
            random[bit / 8] = 0x80 >> (bit % 8);
            assert_ne!(RoomCode::from_random(random), zero, "bit {bit}");
        }
    }
}
