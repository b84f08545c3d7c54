// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host asks the meeting service to do to others.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::certificate::{Certificate, Host, HostCheck};
use crate::digest::CertificateHash;
use crate::jws::{self, Kind, Unverified};
use crate::refusal::Refusal;
use crate::room::RoomName;

/// The longest name of a service, in bytes.
const LONGEST: usize = 128;

/// What a host asks the meeting service to do.
///
/// JWS (`typ` `roomseal-deed`) by a host key over `{"v":1,"do":…,"to":…,"by":…}`; `by` is the hash of the host's
/// certificate, which comes along and stands for room and meeting. It names its object as the service does for one stay
/// (LiveKit's `sid`), so it is of no use a second time. Members never obey one: it is between the host and the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What to do.
    pub act: Act,
    /// What to do it to: a track, a participant, or the room, by its `sid`.
    pub to: String,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// End the meeting for everybody.
    End,
    /// Mute a track.
    Mute,
    /// Put a participant out.
    Remove,
}

impl Deed {
    /// Signs it; the host's certificate goes with it.
    pub fn sign(&self, host: &Host) -> String {
        let payload = canonical::write(&Content {
            v: 1,
            act: self.act,
            to: self.to.clone(),
            by: host.certificate().hash(),
        });
        jws::sign(Kind::Deed, payload.as_bytes(), host.key().signer())
    }

    /// Reads one and verifies that a host of this room asks for it; gives the host too.
    ///
    /// # Errors
    /// Anything else.
    pub fn verify(
        deed: &str,
        certificate: &str,
        room: &RoomName,
        check: &HostCheck,
    ) -> Result<(Self, Certificate), Refusal> {
        let unverified = Unverified::read(Kind::Deed, deed)?;
        let content: Content = canonical::read(&unverified.payload)?;
        if content.v != 1 || content.to.is_empty() || content.to.len() > LONGEST {
            return Err(Refusal::Content);
        }
        let host = Certificate::verify(certificate, room, check)?;
        if content.by != host.hash() {
            return Err(Refusal::NoCertificate);
        }
        unverified.verify(host.host())?;
        let deed = Self {
            act: content.act,
            to: content.to,
        };
        Ok((deed, host))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    v: u8,
    #[serde(rename = "do")]
    act: Act,
    to: String,
    by: CertificateHash,
}
