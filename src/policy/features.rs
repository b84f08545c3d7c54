// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a meeting cannot have while it is sealed.
//!
//! Each of these needs somebody in the middle who reads the media, or keeps what people write where the service reads it.
//! A service refuses them while the policy is `on` or not known; a client does not only hide them.

use crate::policy::E2ee;

/// A feature of the service that ends where E2EE begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// The service records.
    CloudRecording,
    /// The service sends the meeting on to an audience, by RTMP or otherwise.
    StreamOut,
    /// The service writes down what is said.
    LiveTranscription,
    /// The service writes under the picture what is said.
    Captions,
    /// A program listens and answers.
    Assistants,
    /// Telephones call in.
    PhoneDialIn,
    /// Room systems of other makers call in, by SIP or H.323.
    SipH323,
    /// The service moves people into rooms aside.
    BreakoutRooms,
    /// Notes that the service keeps.
    Notes,
    /// A board that the service keeps.
    Whiteboard,
}

impl Feature {
    /// All of them, in the order in which they are listed to people.
    pub const ALL: [Self; 10] = [
        Self::CloudRecording,
        Self::StreamOut,
        Self::LiveTranscription,
        Self::Captions,
        Self::Assistants,
        Self::PhoneDialIn,
        Self::SipH323,
        Self::BreakoutRooms,
        Self::Notes,
        Self::Whiteboard,
    ];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudRecording => "cloud recording",
            Self::StreamOut => "streaming to an audience",
            Self::LiveTranscription => "live transcription",
            Self::Captions => "captions",
            Self::Assistants => "AI assistants",
            Self::PhoneDialIn => "telephone dial-in",
            Self::SipH323 => "SIP and H.323 room systems",
            Self::BreakoutRooms => "breakout rooms",
            Self::Notes => "shared notes",
            Self::Whiteboard => "whiteboard",
        }
    }

    /// Why it cannot be had together with E2EE.
    pub fn reason(self) -> &'static str {
        match self {
            Self::CloudRecording | Self::StreamOut => {
                "the service would have to see and hear the meeting"
            }
            Self::LiveTranscription | Self::Captions | Self::Assistants => {
                "a program at the service would have to hear the meeting"
            }
            Self::PhoneDialIn | Self::SipH323 => {
                "such a device cannot seal, so a gateway would open the meeting for it"
            }
            Self::BreakoutRooms => {
                "the keys hold for one room, and the service would choose who meets in another"
            }
            Self::Notes | Self::Whiteboard => {
                "the service keeps what is written there and can read it"
            }
        }
    }

    /// Whether it may be used under this policy. `None`: no policy is known.
    pub fn is_allowed(self, e2ee: Option<E2ee>) -> bool {
        e2ee == Some(E2ee::Off)
    }
}

/// A participant that is a program of the service or a gateway. While E2EE is on it is removed, and people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Intruder {
    /// Brings a stream into the room.
    Ingress,
    /// Records or sends on.
    Egress,
    /// A telephone or room system.
    Sip,
    /// An automated participant.
    Agent,
    /// Connects another messenger or telephone service.
    Connector,
    /// Connects a camera or another network.
    Bridge,
}

impl Intruder {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ingress,
        Self::Egress,
        Self::Sip,
        Self::Agent,
        Self::Connector,
        Self::Bridge,
    ];

    /// What a participant of this kind (`ParticipantInfo.Kind` of LiveKit's protocol) is; `None` for a person's client
    /// and for kinds that came later.
    pub fn of_livekit_kind(kind: i32) -> Option<Self> {
        Some(match kind {
            1 => Self::Ingress,
            2 => Self::Egress,
            3 => Self::Sip,
            4 => Self::Agent,
            7 => Self::Connector,
            8 => Self::Bridge,
            _ => return None,
        })
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "a stream from outside",
            Self::Egress => "a recorder",
            Self::Sip => "a telephone or room system",
            Self::Agent => "an automated participant",
            Self::Connector => "a connection to another service",
            Self::Bridge => "a gateway",
        }
    }

    /// Why it is removed.
    pub fn reason(self) -> &'static str {
        "it cannot hold the meeting's key without giving it to the service"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_known_policy_nothing_is_allowed_that_e2ee_forbids() {
        for feature in Feature::ALL {
            assert!(!feature.is_allowed(None));
            assert!(!feature.is_allowed(Some(E2ee::On)));
            assert!(feature.is_allowed(Some(E2ee::Off)));
            assert!(!feature.name().is_empty() && !feature.reason().is_empty());
        }
    }

    #[test]
    fn a_person_is_no_intruder() {
        assert_eq!(Intruder::of_livekit_kind(0), None);
        for intruder in Intruder::ALL {
            let kinds = (0..16).filter(|kind| Intruder::of_livekit_kind(*kind) == Some(intruder));
            assert_eq!(kinds.count(), 1, "{intruder:?}");
        }
    }
}
