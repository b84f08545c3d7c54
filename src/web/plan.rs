// SPDX-License-Identifier: MIT OR Apache-2.0
//! A meeting that an organiser plans: its secret, its keys and its links are made here, in the browser, and nowhere else.

use std::fmt;

use roomseal_e2ee::{Fresh, Secret};
use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, HostGrant, HostKey, HostName, HostNameError,
    KeyModel, KeySeed, Link, LinkSecret, MeetingKey, Origin, OriginError, PolicyNonce, Refusal,
    RoomCode, SecretSource, ServiceCertificateHash,
};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::code;
use crate::rooms::{self, Booking, Guest, NotBooked};

/// What an organiser wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Where the meeting is: what stands before `/j/` in its links.
    pub origin: String,
    /// What the host is called.
    pub host: String,
    /// Encryption is on from the start, before any host is there.
    pub sealed: bool,
    /// The room boxes that are to come.
    pub rooms: Vec<Guest>,
    /// The TLS certificate to expect there, where the service made it itself.
    pub certificate: Option<ServiceCertificateHash>,
}

/// A planned meeting.
#[derive(Serialize)]
pub struct Planned {
    /// Its room, which carries no secret.
    pub room: String,
    /// The name of its key: the hash of the public point, in base64url.
    pub meeting_key: String,
    /// The chain message of the policy that was signed in advance, which goes to everybody in the meeting.
    pub policy: Option<String>,
    /// Secret: who has it is a host.
    #[serde(serialize_with = "exposed")]
    pub host: Zeroizing<String>,
    /// Secret: who has it can read the meeting.
    #[serde(serialize_with = "exposed")]
    pub guest: Zeroizing<String>,
    /// The link for guests as a code for a camera, where it is short enough for one.
    pub code: Option<code::Drawn>,
    /// The link of the host for each room box, which nobody else can read.
    pub rooms: Vec<Booking>,
}

/// Why nothing was planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotPlanned {
    /// The name of the host.
    #[error("your name: {0}")]
    Host(#[from] HostNameError),
    /// Where the page comes from.
    #[error("no meeting can be at the address of this page: {0}")]
    Origin(#[from] OriginError),
    /// What was made does not fit together.
    #[error("the meeting cannot be made: {0}; try again")]
    Made(#[from] Refusal),
    /// A room box that was to come.
    #[error(transparent)]
    Room(#[from] NotBooked),
    /// A seed that is no key, twice in a row.
    #[error("the random numbers of this browser are no good; use another browser")]
    Random,
}

/// Makes a meeting of `seed`, which comes from the system's generator, new for each; `unix` is the time in seconds since
/// 1970, which people read in the policy.
///
/// # Errors
/// When the wish cannot be met, and what to do about it.
pub fn plan(wish: &Wish, seed: [u8; 32], unix: u64) -> Result<Planned, NotPlanned> {
    let origin: Origin = wish.origin.parse()?;
    let name: HostName = wish.host.parse()?;
    let mut fresh = Fresh::new(seed);
    let room = RoomCode::from_random(fresh.draw()).room();
    let secret = Zeroizing::new(fresh.draw::<32>());
    let meeting = MeetingKey::from_seed(&key_seed(&mut fresh)?);
    let announced = match wish.sealed {
        true => E2ee::On,
        false => E2ee::Off,
    };
    let source = SecretSource::Link(LinkSecret::new(secret.clone()));
    let guest = Link::guest(origin, room.clone(), source, meeting.hash(), announced);
    let guest = match wish.certificate {
        Some(hash) => guest.with_service_certificate(hash),
        None => guest,
    };
    let host_seed = key_seed(&mut fresh)?;
    let public = *HostKey::from_seed(&host_seed).public();
    let certificate = Certificate::issue(&meeting, &room, &public, &name);
    let grant = HostGrant::new(host_seed, certificate)?;
    let root = wish.sealed.then(|| {
        let nonce = fresh.draw();
        let decision = Decision {
            e2ee: E2ee::On,
            key: KeyModel::User,
            nonce: PolicyNonce::new(nonce),
            check: Check::new(Secret::new(*secret).check_value(&nonce)),
            at: unix,
        };
        Chain::start(&grant.host(), &decision)
    });
    let policy = root.as_ref().map(Chain::message);
    let guest = match root {
        Some(root) => guest.with_root(root)?,
        None => guest,
    };
    let host = guest.clone().for_host(grant)?.expose();
    let guest = guest.expose();
    let rooms = rooms::book(&wish.rooms, &room, &host, &mut fresh)?;
    Ok(Planned {
        room: room.as_str().to_owned(),
        meeting_key: meeting.hash().to_string(),
        policy,
        host,
        code: code::draw(&guest),
        guest,
        rooms,
    })
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The links are secret.
        write!(f, "Planned({})", self.room)
    }
}

pub(crate) fn exposed<S: Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// One in four thousand million seeds is no key; two in a row are a broken generator.
fn key_seed(fresh: &mut Fresh) -> Result<KeySeed, NotPlanned> {
    KeySeed::new(fresh.draw().into())
        .or_else(|_| KeySeed::new(fresh.draw().into()))
        .map_err(|_| NotPlanned::Random)
}
