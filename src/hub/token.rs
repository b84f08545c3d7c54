// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access tokens: JSON Web Tokens signed with HMAC-SHA256 by who holds an API key (LiveKit's `AccessToken`).
//!
//! Only this one algorithm is known, so no header of a token can choose another.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use livekit_protocol::participant_info::Kind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The longest text taken for a token, in bytes.
const LONGEST: usize = 16 * 1024;

/// The longest identity, and the longest name of a room, in bytes.
pub const LONGEST_NAME: usize = 256;

/// How far the clock of who made a token may be off.
const LEEWAY: Duration = Duration::from_secs(60);

/// The keys that tokens may be signed with.
pub struct ApiKeys {
    keys: BTreeMap<String, Zeroizing<String>>,
    first: Option<String>,
}

impl ApiKeys {
    /// Keys by name. With the first of them is signed what the hub makes.
    pub fn new(keys: impl IntoIterator<Item = (String, Zeroizing<String>)>) -> Self {
        let mut keys = keys.into_iter().peekable();
        Self {
            first: keys.peek().map(|(name, _)| name.clone()),
            keys: keys.collect(),
        }
    }

    /// Reads a token that somebody came with.
    ///
    /// `now`: time since 1970.
    pub fn admit(&self, token: &str, now: Duration) -> Result<Admission, Refusal> {
        let claims = self.verify(token, now)?;
        let video = claims.video;
        if !video.room_join || video.room.is_empty() {
            return Err(Refusal::NoPermission);
        }
        if claims.sub.is_empty()
            || claims.sub.len() > LONGEST_NAME
            || video.room.len() > LONGEST_NAME
        {
            return Err(Refusal::Names);
        }
        let can_publish = video.can_publish.unwrap_or(true);
        Ok(Admission {
            api_key: claims.iss,
            identity: claims.sub,
            name: claims.name,
            metadata: claims.metadata,
            attributes: claims.attributes,
            kind: claims.kind,
            room: video.room,
            can_publish,
            can_publish_sources: video.can_publish_sources,
            can_publish_data: video.can_publish_data.unwrap_or(can_publish),
            can_subscribe: video.can_subscribe.unwrap_or(true),
            can_update_own_metadata: video.can_update_own_metadata.unwrap_or(false),
            room_admin: video.room_admin || claims.host,
            by_hub: claims.host && !video.room_admin,
            hidden: video.hidden,
            recorder: video.recorder,
            agent: video.agent,
        })
    }

    /// Reads a token that somebody asks for something beside a session with.
    ///
    /// `now`: time since 1970.
    ///
    /// # Errors
    /// When it is not valid. One that allows nothing is valid too.
    pub fn authorize(&self, token: &str, now: Duration) -> Result<Authority, Refusal> {
        let claims = self.verify(token, now)?;
        let video = claims.video;
        let administers = (video.room_admin || claims.host) && !video.room.is_empty();
        Ok(Authority {
            create: video.room_create,
            list: video.room_list,
            administers: administers.then_some(video.room),
        })
    }

    /// Whether the holder of a key signed these bytes: `signature` is the lower-case hex of their HMAC-SHA256. Takes as
    /// long whatever is wrong.
    pub fn has_signed(&self, key: &str, bytes: &[u8], signature: &str) -> bool {
        let known = self.keys.get(key);
        let key = known.map_or("", |key| key.as_str());
        let mut mac = empty_mac(key);
        mac.update(bytes);
        let expected = mac.finalize().into_bytes();
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        let is_right = expected.as_bytes().ct_eq(signature.as_bytes());
        known.is_some() & bool::from(is_right)
    }

    /// Makes a token that says something else than who is admitted. `None` when the key is not known.
    pub(crate) fn sign(&self, key: &str, claims: &impl Serialize) -> Option<String> {
        let key = self.keys.get(key)?;
        let header = write(&Header {
            alg: "HS256".into(),
        });
        let signed = format!("{header}.{}", write(claims));
        let signature = mac(key, &signed).finalize().into_bytes();
        let signature = Base64UrlUnpadded::encode_string(&signature);
        Some(format!("{signed}.{signature}"))
    }

    fn verify(&self, token: &str, now: Duration) -> Result<Claims, Refusal> {
        let claims: Claims = self.read(token)?;
        // Only now is what it says about time its maker's word.
        let now = now.as_secs();
        if claims.exp.saturating_add(LEEWAY.as_secs()) < now {
            return Err(Refusal::Expired);
        }
        if claims.nbf > now.saturating_add(LEEWAY.as_secs()) {
            return Err(Refusal::NotYet);
        }
        Ok(claims)
    }

    /// Reads what the holder of one of the keys signed. When that holds is for who asks to look at.
    pub(crate) fn read<T: DeserializeOwned>(&self, token: &str) -> Result<T, Refusal> {
        if token.len() > LONGEST {
            return Err(Refusal::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header: Header = read(header)?;
        if header.alg != "HS256" {
            return Err(Refusal::Algorithm);
        }
        let Issuer { iss } = read(claims)?;
        let key = self.keys.get(&iss).ok_or(Refusal::UnknownKey)?;
        let signature = Base64UrlUnpadded::decode_vec(signature).map_err(|_| Refusal::Malformed)?;
        mac(key, signed)
            .verify_slice(&signature)
            .map_err(|_| Refusal::Signature)?;
        read(claims)
    }

    /// The name of a key to sign with; `None` when there is none.
    pub fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }

    /// Makes a token that says what `admission` says, valid from `now` (time since 1970) for `valid`. `None` when its
    /// key is not known.
    pub fn issue(&self, admission: &Admission, now: Duration, valid: Duration) -> Option<String> {
        let claims = Claims {
            exp: (now + valid).as_secs(),
            iss: admission.api_key.clone(),
            nbf: now.as_secs(),
            sub: admission.identity.clone(),
            name: admission.name.clone(),
            kind: admission.kind.clone(),
            metadata: admission.metadata.clone(),
            attributes: admission.attributes.clone(),
            host: admission.room_admin && admission.by_hub,
            video: Grants {
                room_join: true,
                room: admission.room.clone(),
                room_admin: admission.room_admin && !admission.by_hub,
                // Nobody needs either for a session.
                room_create: false,
                room_list: false,
                can_publish: Some(admission.can_publish),
                can_publish_sources: admission.can_publish_sources.clone(),
                can_publish_data: Some(admission.can_publish_data),
                can_subscribe: Some(admission.can_subscribe),
                can_update_own_metadata: Some(admission.can_update_own_metadata),
                hidden: admission.hidden,
                recorder: admission.recorder,
                agent: admission.agent,
            },
        };
        self.sign(&admission.api_key, &claims)
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// Who may come in, and what for: what a valid token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Name of the key that signed it.
    pub api_key: String,
    /// The stable name of the participant.
    pub identity: String,
    /// The name to show.
    pub name: String,
    /// Free text for everybody in the room.
    pub metadata: String,
    /// Key/value pairs for everybody in the room.
    pub attributes: BTreeMap<String, String>,
    /// `standard` (or empty), `egress`, `ingress`, `sip`, `agent`, ...
    pub kind: String,
    /// The room it is for.
    pub room: String,
    /// Whether tracks may be published.
    pub can_publish: bool,
    /// Sources that may be published, by name; empty for all.
    pub can_publish_sources: Vec<String>,
    /// Whether data may be sent.
    pub can_publish_data: bool,
    /// Whether tracks of others may be received.
    pub can_subscribe: bool,
    /// Whether it may change its own name, metadata and attributes.
    pub can_update_own_metadata: bool,
    /// Whether it may administer the room.
    pub room_admin: bool,
    /// Whether it may do so by the hub alone: no LiveKit server knows of this grant.
    pub by_hub: bool,
    /// Whether others are not told of it.
    pub hidden: bool,
    /// Whether it records.
    pub recorder: bool,
    /// Whether it is an agent.
    pub agent: bool,
}

impl Admission {
    /// What comes in with it.
    pub(crate) fn participant_kind(&self) -> Kind {
        match self.kind.as_str() {
            "egress" => Kind::Egress,
            "ingress" => Kind::Ingress,
            "sip" => Kind::Sip,
            "agent" => Kind::Agent,
            "connector" => Kind::Connector,
            "bridge" => Kind::Bridge,
            // The two older ways to say it.
            _ if self.agent => Kind::Agent,
            _ if self.recorder => Kind::Egress,
            _ => Kind::Standard,
        }
    }
}

/// What a valid token allows beside a session (LiveKit's grants of the same names).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// `roomCreate`: rooms may be made and ended.
    pub create: bool,
    /// `roomList`: rooms may be listed.
    pub list: bool,
    /// `roomAdmin`: the room that may be administered.
    pub administers: Option<String>,
}

/// Why a token lets nobody in. The texts are what clients are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is signed in a way that is not taken.
    #[error("the token is not signed with HS256; make it with the server's API key and secret")]
    Algorithm,
    /// Its time is over.
    #[error("token expired; make a new one")]
    Expired,
    /// It is no such token.
    #[error("this is no access token")]
    Malformed,
    /// Its identity is missing or too long, or its room's name is.
    #[error("the token's identity or room is missing or longer than 256 bytes")]
    Names,
    /// It does not allow to join a room.
    #[error("permission denied: the token does not allow joining a room (roomJoin)")]
    NoPermission,
    /// Its time has not begun.
    #[error("token is not valid yet; check the clocks")]
    NotYet,
    /// The key it names did not sign it.
    #[error("invalid token: its signature is wrong; make it with the API key's own secret")]
    Signature,
    /// It names a key that is none of ours.
    #[error("invalid API key: this server does not know it")]
    UnknownKey,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
}

/// Who signed, whatever else a token says.
#[derive(Deserialize)]
struct Issuer {
    iss: String,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: u64,
    iss: String,
    #[serde(default)]
    nbf: u64,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    host: bool,
    #[serde(default)]
    video: Grants,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Grants {
    room_join: bool,
    room: String,
    room_admin: bool,
    room_create: bool,
    room_list: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_publish: Option<bool>,
    can_publish_sources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_publish_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_subscribe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    can_update_own_metadata: Option<bool>,
    hidden: bool,
    recorder: bool,
    agent: bool,
}

fn mac(key: &str, text: &str) -> Hmac<Sha256> {
    let mut mac = empty_mac(key);
    mac.update(text.as_bytes());
    mac
}

fn empty_mac(key: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length")
}

fn read<'a, T: Deserialize<'a>>(part: &str) -> Result<T, Refusal> {
    let json = Base64UrlUnpadded::decode_vec(part).map_err(|_| Refusal::Malformed)?;
    let mut reader = serde_json::Deserializer::from_reader(json.as_slice());
    let value = T::deserialize(&mut reader).map_err(|_| Refusal::Malformed)?;
    reader.end().map_err(|_| Refusal::Malformed)?;
    Ok(value)
}

fn write(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("strings, numbers and flags always serialize");
    Base64UrlUnpadded::encode_string(&json)
}

#[cfg(test)]
mod tests;
