// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host certificates: the meeting key's word that a key is a host's.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::{CertificateHash, MeetingKeyHash, sha256};
use crate::jws::{self, Kind, Unverified};
use crate::key::{HostKey, MeetingKey, PublicKey};
use crate::refusal::Refusal;
use crate::room::RoomName;

/// What a member knows about who may be a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// The link named the meeting key.
    Link(MeetingKeyHash),
    /// Joined without a link and nothing seen yet: the first valid policy decides.
    FirstUse,
    /// Joined without a link; this key came with the first valid policy. Shown as "host not checked".
    Pinned(MeetingKeyHash),
}

impl HostCheck {
    /// Whether the hosts are those that the link promised.
    pub fn is_checked(&self) -> bool {
        matches!(self, Self::Link(_))
    }

    pub(crate) fn admits(&self, meeting: &MeetingKeyHash) -> bool {
        match self {
            Self::Link(known) | Self::Pinned(known) => known == meeting,
            Self::FirstUse => true,
        }
    }
}

/// What a host is called on everybody's screen: 1 to 64 characters, none of which can disturb the text around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// Why a text cannot be a host's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostNameError {
    /// Nothing there.
    #[error("the host's name is empty")]
    Empty,
    /// More than 64 characters.
    #[error("the host's name has {0} characters: shorten it to 64")]
    TooLong(usize),
    /// Control characters, line breaks, marks that turn the direction of text, or space at an end.
    #[error("the host's name has an invisible character or space at an end: remove it")]
    Invisible,
}

impl HostName {
    /// The longest name, in characters.
    pub const MAX_CHARS: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        // A name may stand beside "turned E2EE off": it must not be able to re-order or hide those words.
        let invisible = |c: char| {
            c.is_control()
                || matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
        };
        match text.chars().count() {
            0 => Err(HostNameError::Empty),
            length if length > Self::MAX_CHARS => Err(HostNameError::TooLong(length)),
            _ if text.trim() != text || text.contains(invisible) => Err(HostNameError::Invisible),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A verified host certificate.
///
/// JWS (`typ` `roomseal-certificate`) by the meeting key over
/// `{"v":1,"meeting":<its point>,"room":…,"host":<the host's point>,"name":…}`. It carries the meeting's point because a
/// link has room for its hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    text: String,
    hash: CertificateHash,
    meeting: PublicKey,
    room: RoomName,
    host: PublicKey,
    name: HostName,
}

impl Certificate {
    /// Makes somebody a host of `room`.
    pub fn issue(meeting: &MeetingKey, room: &RoomName, host: &PublicKey, name: &HostName) -> Self {
        let payload = canonical::write(&Content {
            v: 1,
            meeting: *meeting.public(),
            room: room.as_str().into(),
            host: *host,
            name: name.as_str().into(),
        });
        Self {
            text: jws::sign(Kind::Certificate, payload.as_bytes(), meeting.signer()),
            hash: CertificateHash::new(sha256(payload.as_bytes())),
            meeting: *meeting.public(),
            room: room.clone(),
            host: *host,
            name: name.clone(),
        }
    }

    /// Reads and verifies one.
    ///
    /// # Errors
    /// Whatever is not as it must be; then nothing of it counts.
    pub fn verify(text: &str, room: &RoomName, check: &HostCheck) -> Result<Self, Refusal> {
        let unverified = Unverified::read(Kind::Certificate, text)?;
        let content: Content = canonical::read(&unverified.payload)?;
        let invalid = |_| Refusal::Content;
        if content.v != 1 {
            return Err(Refusal::Content);
        }
        if !check.admits(&content.meeting.meeting_hash()) {
            return Err(Refusal::OtherMeeting);
        }
        if content.room != room.as_str() {
            return Err(Refusal::OtherRoom);
        }
        unverified.verify(&content.meeting)?;
        Ok(Self {
            text: text.into(),
            hash: CertificateHash::new(sha256(&unverified.payload)),
            meeting: content.meeting,
            room: room.clone(),
            host: content.host,
            name: content.name.parse().map_err(invalid)?,
        })
    }

    /// Which certificate a text would be; nobody has vouched for it yet.
    pub(crate) fn peek(text: &str) -> Result<CertificateHash, Refusal> {
        let unverified = Unverified::read(Kind::Certificate, text)?;
        Ok(CertificateHash::new(sha256(&unverified.payload)))
    }

    /// The JWS.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What policies name it by.
    pub fn hash(&self) -> CertificateHash {
        self.hash
    }

    /// The meeting key that signed it.
    pub fn meeting(&self) -> MeetingKeyHash {
        self.meeting.meeting_hash()
    }

    /// The room it holds in.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// The key that signs this host's policies and vouches.
    pub fn host(&self) -> &PublicKey {
        &self.host
    }

    /// What to call this host.
    pub fn name(&self) -> &HostName {
        &self.name
    }
}

/// A host: a key with the certificate that belongs to it.
#[derive(Debug)]
pub struct Host {
    key: HostKey,
    certificate: Certificate,
}

impl Host {
    /// Puts the two together.
    ///
    /// # Errors
    /// The certificate is for another key.
    pub fn new(key: HostKey, certificate: Certificate) -> Result<Self, Refusal> {
        if key.public() == certificate.host() {
            Ok(Self { key, certificate })
        } else {
            Err(Refusal::NotThisHost)
        }
    }

    /// The host's certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn key(&self) -> &HostKey {
        &self.key
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u8,
    meeting: PublicKey,
    room: String,
    host: PublicKey,
    name: String,
}
