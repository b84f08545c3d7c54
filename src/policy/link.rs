// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invitation links.
//!
//! ```text
//! https://HOST[:PORT]/j/ROOM#k=SECRET&h=HASH&m=on                 guest, secret in the link
//! https://HOST[:PORT]/j/ROOM#p=1&h=HASH&m=on                      guest, secret from a passphrase
//! https://HOST[:PORT]/j/ROOM#h=HASH&m=off                         guest, secret kept by the service
//! https://HOST[:PORT]/j/ROOM#k=SECRET&h=HASH&m=on&s=SEED&c=CERT   host
//! ```
//!
//! `t=HASH`, before `s`, names the TLS certificate of a service that made its own. `r=POLICY&b=CERT`, after it, is the
//! first policy, signed in advance, with the certificate of who signed it: members begin sealed before a host is there.
//!
//! A field that this version does not know is refused, not skipped: fields say what the meeting demands of who joins, and
//! a box that skips one would join on weaker terms than the host announced.

use alloc::format;
use alloc::string::String;
use core::fmt;

use zeroize::Zeroizing;

use crate::base64url;
use crate::certificate::{Certificate, Host, HostCheck};
use crate::chain::Chain;
use crate::digest::{MeetingKeyHash, ServiceCertificateHash};
use crate::key::{HostKey, KeySeed};
use crate::message::ChainMessage;
use crate::policy::E2ee;
use crate::refusal::Refusal;
use crate::room::{RoomName, RoomNameError};

mod origin;
pub use origin::{Origin, OriginError};

/// The 32 random bytes that all members of a meeting share. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct LinkSecret(Zeroizing<[u8; 32]>);

impl LinkSecret {
    /// Takes 32 random bytes.
    pub fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to derive keys from.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecret(..)")
    }
}

/// Where who has this link takes the meeting's secret from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// From the link (`k`).
    Link(LinkSecret),
    /// From a passphrase that people were told otherwise (`p=1`).
    Passphrase,
    /// From the service, after admission: the link has neither `k` nor `p`.
    Service,
}

/// What makes a host link one: the seed of a host key, and its certificate for this room and meeting.
#[derive(Clone, Debug)]
pub struct HostGrant {
    seed: KeySeed,
    certificate: Certificate,
}

impl HostGrant {
    /// Puts the two together.
    ///
    /// # Errors
    /// The certificate is for another key.
    pub fn new(seed: KeySeed, certificate: Certificate) -> Result<Self, Refusal> {
        if HostKey::from_seed(&seed).public() == certificate.host() {
            Ok(Self { seed, certificate })
        } else {
            Err(Refusal::NotThisHost)
        }
    }

    /// The host that one is with this link.
    pub fn host(&self) -> Host {
        let key = HostKey::from_seed(&self.seed);
        Host::new(key, self.certificate.clone()).expect("key and certificate were compared")
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

/// An invitation to a meeting.
#[derive(Clone, Debug)]
pub struct Link {
    origin: Origin,
    room: RoomName,
    secret: SecretSource,
    meeting: MeetingKeyHash,
    announced: E2ee,
    service_certificate: Option<ServiceCertificateHash>,
    /// A single policy, for this room and meeting, that says on.
    root: Option<Chain>,
    /// Only in a host link, and only made for this room and meeting.
    host: Option<HostGrant>,
}

/// A field of the fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The secret.
    K,
    /// Passphrase.
    P,
    /// Meeting key hash.
    H,
    /// Announced as.
    M,
    /// TLS certificate hash.
    T,
    /// Policy signed in advance.
    R,
    /// The certificate of who signed it.
    B,
    /// Host key seed.
    S,
    /// Host certificate.
    C,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::K => "k (the secret)",
            Self::P => "p (passphrase)",
            Self::H => "h (the meeting key's hash)",
            Self::M => "m (announced on or off)",
            Self::T => "t (the service's certificate)",
            Self::R => "r (the policy signed in advance)",
            Self::B => "b (the certificate of who signed it)",
            Self::S => "s (the host's seed)",
            Self::C => "c (the host's certificate)",
        })
    }
}

/// Why a text is no invitation. No error repeats anything of the fragment, which is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Longer than any link.
    #[error("this is too long for an invitation link: copy the link alone")]
    TooLong,
    /// Scheme, host or port.
    #[error("in the invitation link, {0}")]
    Origin(OriginError),
    /// Not `/j/ROOM`.
    #[error(
        "an invitation link goes on with /j/ and the room after the host: copy it again, from its beginning"
    )]
    Path,
    /// The room.
    #[error("in the invitation link, {0}")]
    Room(RoomNameError),
    /// Something from `?` on.
    #[error(
        "the invitation link has a part that begins with '?', which none has: copy it from where it was made"
    )]
    Query,
    /// Nothing after the room.
    #[error("the invitation link ends before its '#': copy all of it, with the part after '#'")]
    NoFragment,
    /// A field must be there and is not.
    #[error("the invitation link lacks its field {0}: copy all of it, or ask for a new one")]
    Missing(Field),
    /// A field is there twice.
    #[error("the invitation link has its field {0} twice: ask for a new one")]
    Twice(Field),
    /// A field with a value that it cannot have.
    #[error("the invitation link's field {0} is damaged: copy all of it, or ask for a new one")]
    Damaged(Field),
    /// `k` and `p`.
    #[error(
        "the invitation link has a secret (k) and asks for a passphrase (p): ask for a new one"
    )]
    TwoSecrets,
    /// Counted from 1.
    #[error(
        "the invitation link's field number {0} is not known to this version: update, or ask for another link"
    )]
    Unknown(usize),
    /// A certificate that is not for this room, meeting or seed, or not signed.
    #[error(
        "the invitation link's host certificate (c) does not fit: {0}; ask for a new host link"
    )]
    Certificate(Refusal),
    /// A policy signed in advance that is none: not for this room or meeting, not signed by a host, no root, or off.
    #[error(
        "the invitation link's policy signed in advance (r) does not fit: {0}; ask for a new link"
    )]
    Root(Refusal),
}

impl Link {
    /// The longest text that is read.
    pub const MOST_TEXT: usize = 4096;

    /// A guest link.
    pub fn guest(
        origin: Origin,
        room: RoomName,
        secret: SecretSource,
        meeting: MeetingKeyHash,
        announced: E2ee,
    ) -> Self {
        Self {
            origin,
            room,
            secret,
            meeting,
            announced,
            service_certificate: None,
            root: None,
            host: None,
        }
    }

    /// The same invitation to a service that made its TLS certificate itself.
    pub fn with_service_certificate(self, hash: ServiceCertificateHash) -> Self {
        Self {
            service_certificate: Some(hash),
            ..self
        }
    }

    /// The same invitation with a first policy that a host signed in advance.
    ///
    /// # Errors
    /// It is for another room or meeting, more than a root, or the root or the invitation does not say on.
    pub fn with_root(self, root: Chain) -> Result<Self, Refusal> {
        if *root.room() != self.room {
            return Err(Refusal::OtherRoom);
        }
        if root.meeting() != self.meeting {
            return Err(Refusal::OtherMeeting);
        }
        let on = [self.announced, root.root().e2ee()] == [E2ee::On; 2];
        if !on || root.policies().len() != 1 {
            return Err(Refusal::Order);
        }
        Ok(Self {
            root: Some(root),
            ..self
        })
    }

    /// The same invitation for a host.
    ///
    /// # Errors
    /// The certificate is for another room or meeting.
    pub fn for_host(self, grant: HostGrant) -> Result<Self, Refusal> {
        if *grant.certificate.room() != self.room {
            return Err(Refusal::OtherRoom);
        }
        if grant.certificate.meeting() != self.meeting {
            return Err(Refusal::OtherMeeting);
        }
        Ok(Self {
            host: Some(grant),
            ..self
        })
    }

    /// The same invitation for a guest: what a host may pass on.
    pub fn for_guests(&self) -> Self {
        Self {
            host: None,
            ..self.clone()
        }
    }

    /// Reads a link; white space around it does not matter.
    ///
    /// # Errors
    /// Names the part or field that is wrong, and never its value.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        if text.len() > Self::MOST_TEXT {
            return Err(LinkError::TooLong);
        }
        let (address, fragment) = match text.split_once('#') {
            Some((address, fragment)) => (address, Some(fragment)),
            None => (text, None),
        };
        let (origin, path) = Origin::split(address).map_err(LinkError::Origin)?;
        if path.contains('?') {
            return Err(LinkError::Query);
        }
        let room = path.strip_prefix("/j/").ok_or(LinkError::Path)?;
        let room: RoomName = room.parse().map_err(LinkError::Room)?;
        let fragment = fragment.filter(|fragment| !fragment.is_empty());
        Fields::read(fragment.ok_or(LinkError::NoFragment)?)?.link(origin, room)
    }

    /// The service that the meeting is on.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its room there.
    pub fn room(&self) -> &RoomName {
        &self.room
    }

    /// Where the secret comes from.
    pub fn secret(&self) -> &SecretSource {
        &self.secret
    }

    /// What the meeting was announced as (`m`). With `on`, `off` holds only after a host has vouched for it.
    pub fn announced(&self) -> E2ee {
        self.announced
    }

    /// The TLS certificate to expect (`t`), where the service made its own.
    pub fn service_certificate(&self) -> Option<ServiceCertificateHash> {
        self.service_certificate
    }

    /// The first policy, if it was signed in advance: a chain of it alone.
    pub fn root(&self) -> Option<&Chain> {
        self.root.as_ref()
    }

    /// The grant in a host link.
    pub fn host(&self) -> Option<&HostGrant> {
        self.host.as_ref()
    }

    /// Which meeting key (`h`) certifies the hosts.
    pub fn host_check(&self) -> HostCheck {
        HostCheck::Link(self.meeting)
    }

    /// The address without the fragment: all of the link that anybody but its reader may see.
    pub fn address(&self) -> String {
        format!("{}/j/{}", self.origin, self.room)
    }

    /// The whole link. Whoever has it can read the meeting; with a grant in it, also switch E2EE.
    pub fn expose(&self) -> Zeroizing<String> {
        // Room for all of it, so that no part of the secret stays behind in a smaller allocation.
        let mut text = Zeroizing::new(String::with_capacity(Self::MOST_TEXT));
        let mut add = |part: &str| text.push_str(part);
        add(&self.address());
        match &self.secret {
            SecretSource::Link(secret) => {
                add("#k=");
                add(&Zeroizing::new(base64url::encode(secret.expose())));
                add("&h=");
            }
            SecretSource::Passphrase => add("#p=1&h="),
            SecretSource::Service => add("#h="),
        }
        add(&base64url::encode(self.meeting.as_bytes()));
        add(match self.announced {
            E2ee::On => "&m=on",
            E2ee::Off => "&m=off",
        });
        if let Some(hash) = &self.service_certificate {
            add("&t=");
            add(&base64url::encode(hash.as_bytes()));
        }
        if let Some(root) = &self.root {
            add("&r=");
            add(root.root().text());
            add("&b=");
            let by = root.host_of(root.root());
            add(by
                .expect("a chain has the certificates of its hosts")
                .text());
        }
        if let Some(grant) = &self.host {
            add("&s=");
            add(&Zeroizing::new(base64url::encode(grant.seed.expose())));
            add("&c=");
            add(grant.certificate.text());
        }
        text
    }
}

/// The values as they stand in the fragment.
#[derive(Default)]
struct Fields<'a> {
    k: Option<&'a str>,
    p: Option<&'a str>,
    h: Option<&'a str>,
    m: Option<&'a str>,
    t: Option<&'a str>,
    r: Option<&'a str>,
    b: Option<&'a str>,
    s: Option<&'a str>,
    c: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(fragment: &'a str) -> Result<Self, LinkError> {
        let mut fields = Self::default();
        for (number, part) in (1..).zip(fragment.split('&')) {
            let (key, value) = part.split_once('=').ok_or(LinkError::Unknown(number))?;
            let (field, place) = match key {
                "k" => (Field::K, &mut fields.k),
                "p" => (Field::P, &mut fields.p),
                "h" => (Field::H, &mut fields.h),
                "m" => (Field::M, &mut fields.m),
                "t" => (Field::T, &mut fields.t),
                "r" => (Field::R, &mut fields.r),
                "b" => (Field::B, &mut fields.b),
                "s" => (Field::S, &mut fields.s),
                "c" => (Field::C, &mut fields.c),
                _ => return Err(LinkError::Unknown(number)),
            };
            if place.replace(value).is_some() {
                return Err(LinkError::Twice(field));
            }
        }
        Ok(fields)
    }

    fn link(&self, origin: Origin, room: RoomName) -> Result<Link, LinkError> {
        let secret = match (self.k, self.p) {
            (Some(k), None) => SecretSource::Link(LinkSecret(secret_bytes(k, Field::K)?)),
            (None, Some("1")) => SecretSource::Passphrase,
            (None, Some(_)) => return Err(LinkError::Damaged(Field::P)),
            (None, None) => SecretSource::Service,
            (Some(_), Some(_)) => return Err(LinkError::TwoSecrets),
        };
        let meeting = self.h.ok_or(LinkError::Missing(Field::H))?;
        let meeting = meeting.parse().map_err(|_| LinkError::Damaged(Field::H))?;
        let announced = match self.m {
            Some("on") => E2ee::On,
            Some("off") => E2ee::Off,
            Some(_) => return Err(LinkError::Damaged(Field::M)),
            None => return Err(LinkError::Missing(Field::M)),
        };
        let mut link = Link::guest(origin, room, secret, meeting, announced);
        if let Some(t) = self.t {
            link.service_certificate = Some(t.parse().map_err(|_| LinkError::Damaged(Field::T))?);
        }
        match (self.r, self.b) {
            (None, None) => {}
            (Some(root), Some(by)) => {
                let message = ChainMessage::text_of(by, root);
                let root = Chain::begin(&message, &link.room, &link.host_check());
                link = root
                    .and_then(|root| link.with_root(root))
                    .map_err(LinkError::Root)?;
            }
            (None, Some(_)) => return Err(LinkError::Missing(Field::R)),
            (Some(_), None) => return Err(LinkError::Missing(Field::B)),
        }
        let (s, c) = match (self.s, self.c) {
            (None, None) => return Ok(link),
            (Some(s), Some(c)) => (s, c),
            (None, Some(_)) => return Err(LinkError::Missing(Field::S)),
            (Some(_), None) => return Err(LinkError::Missing(Field::C)),
        };
        let seed =
            KeySeed::new(secret_bytes(s, Field::S)?).map_err(|_| LinkError::Damaged(Field::S))?;
        let certificate = Certificate::verify(c, &link.room, &link.host_check());
        link.host = Some(
            certificate
                .and_then(|certificate| HostGrant::new(seed, certificate))
                .map_err(LinkError::Certificate)?,
        );
        Ok(link)
    }
}

fn secret_bytes(text: &str, field: Field) -> Result<Zeroizing<[u8; 32]>, LinkError> {
    let mut bytes = Zeroizing::new([0; 32]);
    base64url::decode_into(text, &mut bytes).map_err(|_| LinkError::Damaged(field))?;
    Ok(bytes)
}
