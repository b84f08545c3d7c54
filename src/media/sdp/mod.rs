// SPDX-License-Identifier: MIT OR Apache-2.0

//! Session descriptions: what may reach `webrtcbin`, and what we make of what it writes.
//!
//! `webrtcbin` 1.22 ends the process on some offers, answers only the first codec, cannot turn an
//! inactive section back on and never looks at fingerprints. Everything a service sends therefore
//! goes through [`accept_offer`] or [`accept_answer`] first, and everything `webrtcbin` writes is
//! adapted before it is sent. All of this is pure text: no GStreamer, no panic on any input.

mod accept;
mod candidate;
mod fingerprint;
mod model;
#[cfg(test)]
mod mutation_tests;
mod publisher;
mod reduce;
mod subscriber;

pub use accept::{Accepted, Known, accept_answer, accept_offer};
pub use candidate::{RemoteCandidate, local_candidate_json, parse_remote_candidate};
pub use fingerprint::{Fingerprint, certificate_fingerprint};
pub use model::{Description, Direction, Line, Section, SectionKind};
pub use publisher::{number_retransmissions, publisher_answer, publisher_offer};
pub use subscriber::{open_directions, send_inactive, widen_answer};

/// What was wrong with a session description or candidate of a service.
///
/// `section` counts media sections from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpRefused {
    /// The section is in no BUNDLE group, or there is not exactly one.
    #[error("section {section} is not bundled with the others")]
    Bundle {
        /// The section.
        section: usize,
    },
    /// A candidate that is none.
    #[error("an ICE candidate is malformed: {what}")]
    Candidate {
        /// What is malformed.
        what: &'static str,
    },
    /// Sections are on different ice-ufrag, ice-pwd.
    #[error("section {section} has other ICE credentials than the first")]
    CredentialsDiffer {
        /// The section.
        section: usize,
    },
    /// Two sections have the same `mid`.
    #[error("section {section} repeats the mid of another section")]
    DuplicateMid {
        /// The section.
        section: usize,
    },
    /// The fingerprint is not the one of the connection that stands, or sections differ.
    #[error("section {section} has another fingerprint than the connection has")]
    FingerprintDiffers {
        /// The section.
        section: usize,
    },
    /// The fingerprint is not SHA-256 or not 32 bytes in hexadecimal.
    #[error("section {section} has a fingerprint that is not well-formed SHA-256")]
    FingerprintMalformed {
        /// The section.
        section: usize,
    },
    /// There is no fingerprint.
    #[error("section {section} has no fingerprint")]
    FingerprintMissing {
        /// The section.
        section: usize,
    },
    /// A section is of another kind than the section at this place was.
    #[error("section {section} changed its kind")]
    KindChanged {
        /// The section.
        section: usize,
    },
    /// A line that is no line of a session description.
    #[error("line {line} is malformed: {what}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is malformed.
        what: &'static str,
    },
    /// There is no usable ice-ufrag or ice-pwd.
    #[error("section {section} has no well-formed ICE credentials")]
    IceCredentials {
        /// The section.
        section: usize,
    },
    /// An attribute has a value that it cannot have.
    #[error("section {section} has a malformed {attribute}")]
    Malformed {
        /// The section.
        section: usize,
        /// The attribute.
        attribute: &'static str,
    },
    /// A section has another `mid` than the section at this place had.
    #[error("section {section} changed its mid")]
    MidChanged {
        /// The section.
        section: usize,
    },
    /// There is no well-formed `mid`.
    #[error("section {section} has no well-formed mid")]
    MidMissing {
        /// The section.
        section: usize,
    },
    /// There is no media section at all.
    #[error("there is no media section")]
    NoSection,
    /// The transport protocol is none of WebRTC's.
    #[error("section {section} uses a protocol that is not WebRTC's")]
    Protocol {
        /// The section.
        section: usize,
    },
    /// The service refuses a section of ours.
    #[error("the service rejected section {section}")]
    Rejected {
        /// The section.
        section: usize,
    },
    /// There are fewer sections than before, or another number than in our offer.
    #[error("there are {found} media sections where {expected} were expected")]
    SectionCount {
        /// How many there are.
        found: usize,
        /// How many there should be (at least).
        expected: usize,
    },
    /// Some part is longer than any real session description.
    #[error("{what} exceeds the limit of {limit}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// The greatest value.
        limit: usize,
    },
}
