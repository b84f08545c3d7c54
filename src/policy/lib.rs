// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invitation links, host certificates, the signed policy and its order, what E2EE switches off.
//!
//! Pure: randomness and time are arguments, texts come in and go out. Knows no media key: the `check` of a policy is made
//! and compared where keys are. What is written and why is in `src/meeting/PROTOCOL.md` ("Links", "Hosts", "Policies"),
//! and `tests/vectors` holds examples that an implementation of its own made.
//!
//! A meeting is made, a host presses, a guest follows:
//!
//! ```
//! use roomseal_policy::*;
//! use zeroize::Zeroizing;
//!
//! # let random = |fill: u8| Zeroizing::new([fill; 32]);
//! // Whoever makes the meeting has its key, and certifies the first host: himself.
//! let room: RoomName = "board-room".parse()?;
//! let meeting = MeetingKey::from_seed(&KeySeed::new(random(1))?); // 32 random bytes
//! let seed = KeySeed::new(random(2))?;
//! let key = HostKey::from_seed(&seed);
//! let certificate = Certificate::issue(&meeting, &room, key.public(), &"Alice".parse()?);
//! let secret = SecretSource::Link(LinkSecret::new(random(3)));
//! let invitation =
//!     Link::guest("https://meet.example.org".parse()?, room, secret, meeting.hash(), E2ee::Off);
//! let host_link = invitation.clone().for_host(HostGrant::new(seed, certificate)?)?.expose();
//!
//! // The host's device, which was given the host link.
//! let link = Link::parse(&host_link)?;
//! let host = link.host().expect("it is a host link").host();
//! let decide = |e2ee, fill| Decision {
//!     e2ee,
//!     key: KeyModel::User,
//!     nonce: PolicyNonce::new([fill; 16]), // random
//!     check: Check::new([0; 16]),          // from the secret and the nonce
//!     at: 1_795_320_000,
//! };
//! let mut hers = Chain::start(&host, &decide(E2ee::Off, 4));
//!
//! // A guest, who was given the guest link, hears of it.
//! let link = Link::parse(&invitation.expose())?;
//! let mut his = Chain::begin(&hers.message(), link.room(), &link.host_check())?;
//! let press = hers.press(&host, &decide(E2ee::On, 5))?;
//! assert_eq!(his.merge(&press)?, Merged::Extended);
//! assert_eq!(his.head().e2ee(), E2ee::On);
//! assert_eq!(his.host_of(his.head()).expect("it was verified").name().as_str(), "Alice");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod base64url;
mod canonical;
mod certificate;
mod chain;
mod deed;
mod device;
mod digest;
mod features;
mod host_code;
mod host_entry;
mod jws;
mod key;
mod key_words;
mod link;
mod message;
mod metadata;
mod passphrase;
mod policy;
mod refusal;
mod room;
mod vouch;
mod words;

pub use certificate::{Certificate, Host, HostCheck, HostName, HostNameError};
pub use chain::{Chain, Merged, Relation};
pub use deed::{Act, Deed};
pub use device::DeviceKey;
pub use digest::{
    CertificateHash, Check, MeetingKeyHash, MemberNonce, NotAValue, PolicyHash, PolicyNonce,
    ServiceCertificateHash,
};
pub use features::{Feature, Intruder};
pub use host_code::HostCode;
pub use host_entry::HostEntry;
pub use key::{HostKey, KeySeed, MeetingKey, PublicKey, UnusableSeed};
pub use key_words::{KEY_WORDS, key_words};
pub use link::{Field, HostGrant, Link, LinkError, LinkSecret, Origin, OriginError, SecretSource};
pub use message::MessageKind;
pub use metadata::{NotOurs, read_metadata, write_metadata};
pub use passphrase::{BrokenRandomness, MeetingPassphrase, PassphraseError};
pub use policy::{Decision, E2ee, Epoch, KeyModel, Policy};
pub use refusal::Refusal;
pub use room::{NotARoomCode, RoomCode, RoomName, RoomNameError};
pub use vouch::Vouch;
