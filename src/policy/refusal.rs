// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why something signed was not taken.

/// Why a certificate, policy, chain or vouch was not taken. Nothing of what was refused has any effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More text, policies or certificates than any honest sender has.
    #[error("it is longer than any that is allowed")]
    TooLong,
    /// Not the JSON that the message has to be.
    #[error("the message is not what this protocol sends")]
    NotAMessage,
    /// Not three base64url parts with dots between them.
    #[error("it is not a compact JWS")]
    NotJws,
    /// Another algorithm, another kind, or other bytes than the one header allowed.
    #[error("its header is not the one that is allowed here")]
    Header,
    /// The signed JSON does not have exactly the fields and values that it must have.
    #[error("its content is malformed")]
    Content,
    /// The signed JSON is well-formed, but not written in the one way that is allowed.
    #[error("its content is not in canonical form")]
    NotCanonical,
    /// The signature is not that of the key it should be.
    #[error("its signature does not verify")]
    Signature,
    /// Certified by another meeting key than the one that is known for this meeting.
    #[error("it belongs to another meeting")]
    OtherMeeting,
    /// Made for a room with another name.
    #[error("it belongs to another room")]
    OtherRoom,
    /// A policy or vouch whose host certificate does not come with it and is not known.
    #[error("it names a host without a certificate")]
    NoCertificate,
    /// The key is not the one in the certificate.
    #[error("the host key does not belong to the certificate")]
    NotThisHost,
    /// A policy whose predecessors do not come with it and are not known. Ask for the whole chain.
    #[error("it continues policies that are not known here")]
    Gap,
    /// Predecessors and epoch do not go together, or there are two roots.
    #[error("it does not fit into the order of policies")]
    Order,
    /// The chain has no room for more: start a new meeting.
    #[error("the meeting has seen too many switches: start a new one")]
    Full,
    /// A vouch for a policy that is not known here.
    #[error("it vouches for a policy that is not known here")]
    OtherPolicy,
    /// A vouch for somebody else's nonce, or for an earlier join.
    #[error("it vouches to somebody else")]
    OtherNonce,
}
