// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tokens with which the hub itself lets people into meetings.
//!
//! Each lets one participant into one room for a few minutes. Nothing in it is secret for the meeting's members: what
//! they seal stays sealed for who has no link.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::people::draw;
use crate::token::{Admission, ApiKeys};

/// How long after its making a token lets somebody in; who is in gets new ones to come back with.
pub(crate) const VALID: Duration = Duration::from_secs(5 * 60);

/// What the identities of people without an account begin with. Nobody else gets one that does.
pub(crate) const GUEST: &str = "guest-";

/// The longest name that somebody may give, in characters.
const LONGEST_NAME: usize = 64;

/// Somebody who is let in.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    pub(crate) room: &'a str,
    /// The stable name of the participant.
    pub(crate) identity: String,
    /// The name to show.
    pub(crate) name: String,
    /// Whether it may administer the room. Nobody may be hidden, nor go to other rooms.
    pub(crate) is_host: bool,
    /// Whether it may do so by the hub alone, which then looks at what it asks for.
    pub(crate) by_hub: bool,
}

impl Person<'_> {
    /// What the token says; `None` when there is no key to sign it with.
    pub(crate) fn token(&self, keys: &ApiKeys) -> Option<String> {
        let admission = Admission {
            api_key: keys.first()?.to_owned(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            kind: String::new(),
            room: self.room.to_owned(),
            can_publish: true,
            can_publish_sources: ["camera", "microphone", "screen_share", "screen_share_audio"]
                .map(str::to_owned)
                .to_vec(),
            can_publish_data: true,
            can_subscribe: true,
            can_update_own_metadata: false,
            room_admin: self.is_host,
            by_hub: self.by_hub,
            hidden: false,
            recorder: false,
            agent: false,
        };
        keys.issue(&admission, since_1970(), VALID)
    }
}

/// An identity that nobody chose, so that nobody takes another's place.
pub(crate) fn drawn(beginning: &str) -> String {
    let mut random = [0; 12];
    draw(&mut random);
    format!("{beginning}{}", Base64UrlUnpadded::encode_string(&random))
}

/// The name of a session: a random UUID (RFC 9562, version 4).
pub(crate) fn uuid() -> String {
    let mut random = [0; 16];
    draw(&mut random);
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// A name that does not look like something else to others.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn called(name: &str) -> Result<String, &'static str> {
    let name = name.trim();
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match name.chars().count() {
        0 => Err("the name is empty; choose another"),
        length if length > LONGEST_NAME => {
            Err("the name is longer than 64 characters; choose another")
        }
        _ if name.chars().any(|c| c.is_control() || turns(c)) => {
            Err("the name has characters that do not show; choose another")
        }
        _ => Ok(name.to_owned()),
    }
}

/// The time since 1970, by the clock of this machine.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_looks_like() {
        assert_eq!(called("  Zoë 王 ").as_deref(), Ok("Zoë 王"));
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", " \t", "a\nb", "a\u{202e}b", &long] {
            assert!(called(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn no_two_identities_are_drawn_alike() {
        let identities: std::collections::BTreeSet<_> = (0..100).map(|_| drawn(GUEST)).collect();
        assert_eq!(identities.len(), 100);
        assert!(identities.iter().all(|it| it.starts_with(GUEST)));
    }
}
