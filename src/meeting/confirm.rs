// SPDX-License-Identifier: MIT OR Apache-2.0
//! Confirms: what each member says about itself, in a form that only members can make.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use roomseal_e2ee::{ConfirmKey, PREFIX_LEN, Secret};
use roomseal_policy::{MemberNonce, PolicyHash};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::roster::Source;

/// Bytes in base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes<const N: usize>(pub [u8; N]);

/// New at every join of a member.
pub type Instance = Bytes<16>;

/// What all IVs of one track, or of a member's data packets, begin with.
pub type IvPrefix = Bytes<PREFIX_LEN>;

/// What a member says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Confirm {
    pub(crate) v: u8,
    /// Grows with every confirm of one instance.
    pub(crate) seq: u64,
    pub(crate) identity: String,
    pub(crate) instance: Instance,
    /// Which policy it follows.
    pub(crate) policy: Option<PolicyHash>,
    /// What others are to echo.
    pub(crate) nonce: MemberNonce,
    /// It wants an answer at once.
    pub(crate) ask: bool,
    /// Whom it hears, with the newest nonce of each.
    pub(crate) heard: BTreeMap<String, MemberNonce>,
    /// What it publishes.
    pub(crate) tracks: Vec<NamedTrack>,
    /// Of its data packets.
    pub(crate) data: Option<IvPrefix>,
    /// A host's: encryption goes off soon.
    pub(crate) ending: Option<Ending>,
    /// A host's: the countdown of that identity with that number is cancelled.
    pub(crate) stay: Option<Stay>,
}

/// A track as its sender names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedTrack {
    pub(crate) sid: String,
    pub(crate) source: Source,
    pub(crate) iv: IvPrefix,
    /// No frame that is sent after this confirm has a lower counter.
    pub(crate) from: u32,
}

/// A countdown to `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ending {
    pub(crate) id: u64,
    /// Milliseconds left when it was said.
    pub(crate) left: u64,
}

/// A countdown that a host ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stay {
    pub(crate) identity: String,
    pub(crate) id: u64,
}

/// `{"t":"confirm","v":1,"confirm":<the JSON above>,"mac":<HMAC of exactly these bytes>}`, both in base64url.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    t: String,
    v: u8,
    confirm: String,
    mac: Bytes<32>,
}

impl Confirm {
    /// The message, authenticated.
    pub(crate) fn write(&self, secret: &Secret) -> String {
        let confirm = to_json(self);
        let mac = key(secret, self.policy.as_ref()).tag(confirm.as_bytes());
        to_json(&Envelope {
            t: KIND.into(),
            v: 1,
            confirm: Base64UrlUnpadded::encode_string(confirm.as_bytes()),
            mac: Bytes(mac),
        })
    }

    /// Reads a message of `from` (as the service says) and gives what is in it if a member made it.
    ///
    /// The policy that the sender names chooses the key, so its word on which one it follows is proven too, known here
    /// or not.
    pub(crate) fn read(text: &str, from: &str, secret: &Secret) -> Option<Self> {
        if text.len() > MOST_TEXT {
            return None;
        }
        let envelope: Envelope = serde_json::from_str(text).ok()?;
        if envelope.t != KIND || envelope.v != 1 {
            return None;
        }
        let bytes = Base64UrlUnpadded::decode_vec(&envelope.confirm).ok()?;
        let confirm: Self = serde_json::from_slice(&bytes).ok()?;
        let whole = confirm.v == 1
            && confirm.identity == from
            && confirm.tracks.len() <= MOST_TRACKS
            && confirm.heard.len() <= MOST_HEARD;
        let key = key(secret, confirm.policy.as_ref());
        (whole && key.verifies(&bytes, &envelope.mac.0)).then_some(confirm)
    }
}

/// A member that follows no policy yet authenticates with the epoch key of 32 zero bytes, which are no policy's hash.
fn key(secret: &Secret, policy: Option<&PolicyHash>) -> ConfirmKey {
    let policy = policy.map_or(&[0; 32], PolicyHash::as_bytes);
    secret.epoch_key(policy).confirm_key()
}

fn to_json(content: &impl Serialize) -> String {
    serde_json::to_string(content)
        .expect("structs of strings, numbers and maps with text as keys always have a JSON form")
}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        match Base64UrlUnpadded::decode(&text, &mut bytes) {
            Ok(decoded) if decoded.len() == N => Ok(Self(bytes)),
            _ => Err(de::Error::custom("not the base64url text of so many bytes")),
        }
    }
}

pub(crate) const KIND: &str = "confirm";
/// As many as of one participant in the roster.
const MOST_TRACKS: usize = 32;
/// With more members than this, each hears only so many.
pub(crate) const MOST_HEARD: usize = 200;
const MOST_TEXT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn confirm() -> Confirm {
        Confirm {
            v: 1,
            seq: 4,
            identity: "alice".into(),
            instance: Bytes([1; 16]),
            policy: Some(PolicyHash::new([7; 32])),
            nonce: MemberNonce::new([2; 16]),
            ask: false,
            heard: BTreeMap::from([("box".into(), MemberNonce::new([3; 16]))]),
            tracks: alloc::vec![NamedTrack {
                sid: "TR_1".into(),
                source: Source::Camera,
                iv: Bytes([4; 8]),
                from: 5,
            }],
            data: None,
            ending: None,
            stay: None,
        }
    }

    #[test]
    fn what_a_member_wrote_is_read_and_nothing_else() {
        let secret = Secret::new([9; 32]);
        let text = confirm().write(&secret);
        assert_eq!(Confirm::read(&text, "alice", &secret), Some(confirm()));
        // Another secret, another sender, one bit, another policy under the same tag.
        assert_eq!(Confirm::read(&text, "alice", &Secret::new([8; 32])), None);
        assert_eq!(Confirm::read(&text, "carol", &secret), None);
        let mut envelope: Envelope = serde_json::from_str(&text).expect("it was written here");
        envelope.mac.0[0] ^= 1;
        assert_eq!(Confirm::read(&to_json(&envelope), "alice", &secret), None);
        envelope.mac.0[0] ^= 1;
        let other = to_json(&Confirm {
            policy: None,
            ..confirm()
        });
        envelope.confirm = Base64UrlUnpadded::encode_string(other.as_bytes());
        assert_eq!(Confirm::read(&to_json(&envelope), "alice", &secret), None);
    }

    #[test]
    fn confirms_are_those_of_the_vectors() {
        #[derive(Deserialize)]
        struct Vectors {
            secret: String,
            confirms: Vec<Vector>,
        }
        #[derive(Deserialize)]
        struct Vector {
            from: String,
            message: String,
            json: String,
        }
        let vectors: Vectors = serde_json::from_str(include_str!("tests/vectors/confirms.json"))
            .expect("the file is in the form that is read here");
        assert_eq!(vectors.confirms.len(), 3);
        assert!(vectors.secret.starts_with("000102"));
        let secret = Secret::new(core::array::from_fn(|at| at as u8));
        for vector in vectors.confirms {
            let confirm = Confirm::read(&vector.message, &vector.from, &secret);
            let confirm = confirm.expect("a separate implementation made it");
            assert_eq!(to_json(&confirm), vector.json);
            assert_eq!(confirm.write(&secret), vector.message);
        }
    }
}
