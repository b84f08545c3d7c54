// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invitation links, host certificates, the signed policy and its order, what E2EE switches off.
//!
//! Pure: randomness and time are arguments, texts come in and go out. Knows no media key: the `check` of a policy is made
//! and compared where keys are.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod base64url;
mod canonical;
mod certificate;
mod chain;
mod digest;
mod features;
mod host_code;
mod jws;
mod key;
mod link;
mod message;
mod metadata;
mod passphrase;
mod policy;
mod refusal;
mod room;
mod vouch;

pub use certificate::{Certificate, Host, HostCheck, HostName, HostNameError};
pub use chain::{Chain, Merged, Relation};
pub use digest::{
    CertificateHash, Check, MeetingKeyHash, MemberNonce, NotAValue, PolicyHash, PolicyNonce,
    ServiceCertificateHash,
};
pub use features::{Feature, Intruder};
pub use host_code::HostCode;
pub use key::{HostKey, KeySeed, MeetingKey, PublicKey, UnusableSeed};
pub use link::{Field, HostGrant, Link, LinkError, LinkSecret, Origin, OriginError, SecretSource};
pub use message::MessageKind;
pub use metadata::{NotOurs, read_metadata, write_metadata};
pub use passphrase::{BrokenRandomness, MeetingPassphrase, PassphraseError};
pub use policy::{Decision, E2ee, Epoch, KeyModel, Policy};
pub use refusal::Refusal;
pub use room::{NotARoomCode, RoomCode, RoomName, RoomNameError};
pub use vouch::Vouch;
