// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signalling messages to bytes and back (`livekit_rtc.proto`, binary WebSocket frames).

use livekit_protocol::{self as proto, signal_request, signal_response};
use prost::Message as _;

use super::event::{
    Description, Garbage, IceServer, LeaveReason, LinkGrade, LinkQuality, RoomInfo, Speaker,
    StreamState, SubscriptionError, Target, WantedLayers,
};
use super::{participant::Quality, secret::Secret};

/// The largest message that is accepted, in bytes. Participant metadata may be 512 KiB each, so a
/// join into a large room may be some MiB; nothing that a meeting needs is larger than this.
pub(super) const MAX_MESSAGE: usize = 8 << 20;

/// The protocol version we advertise. 13 brings `LeaveRequest.action`; 17 is the packet trailer and
/// 18 pre-negotiated data channels, neither of which we want.
pub(super) const PROTOCOL: &str = "16";

/// Decodes one binary frame. `None` is a message of a newer protocol, to be ignored.
pub(super) fn decode(frame: &[u8]) -> Result<Option<signal_response::Message>, Garbage> {
    if frame.is_empty() {
        return Err(Garbage::Undecodable);
    }
    proto::SignalResponse::decode(frame)
        .map(|response| response.message)
        .map_err(|_| Garbage::Undecodable)
}

/// Encodes one request.
pub(super) fn encode(message: signal_request::Message) -> Vec<u8> {
    proto::SignalRequest {
        message: Some(message),
    }
    .encode_to_vec()
}

impl From<proto::SessionDescription> for Description {
    fn from(description: proto::SessionDescription) -> Self {
        Self {
            sdp: description.sdp,
            id: description.id,
            mid_to_track: description.mid_to_track_id.into_iter().collect(),
        }
    }
}

impl From<proto::IceServer> for IceServer {
    fn from(server: proto::IceServer) -> Self {
        Self {
            urls: server.urls,
            username: server.username,
            credential: Secret::new(server.credential),
        }
    }
}

impl From<proto::Room> for RoomInfo {
    fn from(room: proto::Room) -> Self {
        Self {
            sid: room.sid,
            name: room.name,
            metadata: room.metadata,
            participants: room.num_participants,
            recording: room.active_recording,
        }
    }
}

impl From<proto::SpeakerInfo> for Speaker {
    fn from(speaker: proto::SpeakerInfo) -> Self {
        Self {
            participant_sid: speaker.sid,
            // NaN would poison every comparison downstream.
            level: if speaker.level.is_nan() {
                0.0
            } else {
                speaker.level.clamp(0.0, 1.0)
            },
            active: speaker.active,
        }
    }
}

impl From<proto::ConnectionQualityInfo> for LinkQuality {
    fn from(info: proto::ConnectionQualityInfo) -> Self {
        Self {
            participant_sid: info.participant_sid,
            grade: match proto::ConnectionQuality::try_from(info.quality) {
                Ok(proto::ConnectionQuality::Poor) => LinkGrade::Poor,
                Ok(proto::ConnectionQuality::Good) | Err(_) => LinkGrade::Good,
                Ok(proto::ConnectionQuality::Excellent) => LinkGrade::Excellent,
                Ok(proto::ConnectionQuality::Lost) => LinkGrade::Lost,
            },
        }
    }
}

impl From<proto::StreamStateInfo> for StreamState {
    fn from(info: proto::StreamStateInfo) -> Self {
        Self {
            participant_sid: info.participant_sid,
            track_sid: info.track_sid,
            paused: info.state == proto::StreamState::Paused as i32,
        }
    }
}

/// Which layers are wanted, from the list per codec or the older flat one.
pub(super) fn wanted_layers(update: proto::SubscribedQualityUpdate) -> Vec<WantedLayers> {
    let layers = |qualities: Vec<proto::SubscribedQuality>| {
        qualities
            .into_iter()
            .map(|wanted| (Quality::from_wire(wanted.quality), wanted.enabled))
            .collect()
    };
    if update.subscribed_codecs.is_empty() {
        // Servers before 1.0 know one codec per track.
        #[allow(deprecated)]
        let flat = update.subscribed_qualities;
        vec![WantedLayers {
            codec: String::new(),
            layers: layers(flat),
        }]
    } else {
        update
            .subscribed_codecs
            .into_iter()
            .map(|codec| WantedLayers {
                codec: codec.codec,
                layers: layers(codec.qualities),
            })
            .collect()
    }
}

pub(super) fn subscription_error(error: i32) -> SubscriptionError {
    match proto::SubscriptionError::try_from(error) {
        Ok(proto::SubscriptionError::SeCodecUnsupported) => SubscriptionError::CodecUnsupported,
        Ok(proto::SubscriptionError::SeTrackNotfound) => SubscriptionError::TrackNotFound,
        Ok(proto::SubscriptionError::SeUnknown) | Err(_) => SubscriptionError::Unknown,
    }
}

pub(super) fn target(target: i32) -> Option<Target> {
    match proto::SignalTarget::try_from(target) {
        Ok(proto::SignalTarget::Publisher) => Some(Target::Publisher),
        Ok(proto::SignalTarget::Subscriber) => Some(Target::Subscriber),
        Err(_) => None,
    }
}

pub(super) fn leave_reason(reason: i32) -> LeaveReason {
    use proto::DisconnectReason as R;
    match R::try_from(reason) {
        Ok(R::ClientInitiated) => LeaveReason::WeLeft,
        Ok(R::DuplicateIdentity) => LeaveReason::DuplicateIdentity,
        Ok(R::ServerShutdown) => LeaveReason::Shutdown,
        Ok(R::ParticipantRemoved) => LeaveReason::Removed,
        Ok(R::RoomDeleted) => LeaveReason::RoomDeleted,
        Ok(R::StateMismatch) => LeaveReason::StateMismatch,
        Ok(R::JoinFailure) => LeaveReason::JoinFailure,
        Ok(R::Migration) => LeaveReason::Migration,
        Ok(R::SignalClose | R::ConnectionTimeout) => LeaveReason::Timeout,
        Ok(R::RoomClosed) => LeaveReason::RoomClosed,
        Ok(R::MediaFailure) => LeaveReason::MediaFailure,
        Ok(
            R::UnknownReason
            | R::UserUnavailable
            | R::UserRejected
            | R::SipTrunkFailure
            | R::AgentError,
        )
        | Err(_) => LeaveReason::Other(reason),
    }
}

/// What a refused request was, in words.
pub(super) fn refused_request(request: Option<&proto::request_response::Request>) -> &'static str {
    use proto::request_response::Request as R;
    match request {
        Some(R::Trickle(_)) => "ICE candidate",
        Some(R::AddTrack(_)) => "publishing a track",
        Some(R::Mute(_)) => "muting a track",
        Some(R::UpdateMetadata(_)) => "changing our metadata",
        Some(R::UpdateAudioTrack(_) | R::UpdateVideoTrack(_)) => "changing a track",
        Some(R::PublishDataTrack(_) | R::UnpublishDataTrack(_)) => "a data track",
        None => "a request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_newer_protocol_is_ignored() {
        // Field 99, length-delimited, three bytes.
        assert_eq!(decode(&[0x9a, 0x06, 0x03, 1, 2, 3]), Ok(None));
    }

    #[test]
    fn no_bytes_and_broken_bytes_are_garbage() {
        assert_eq!(decode(&[]), Err(Garbage::Undecodable));
        // A join of 127 bytes of which none follow.
        assert_eq!(decode(&[0x0a, 0x7f]), Err(Garbage::Undecodable));
        // A refresh token that is not UTF-8.
        assert_eq!(decode(&[0x82, 0x01, 0x01, 0xff]), Err(Garbage::Undecodable));
    }

    #[test]
    fn random_bytes_never_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut frame = [0_u8; 64];
        for length in (1..=64).cycle().take(20_000) {
            for byte in &mut frame[..length] {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state as u8;
            }
            let _ = decode(&frame[..length]);
        }
    }

    #[test]
    fn a_nan_level_becomes_silence() {
        let speaker = Speaker::from(proto::SpeakerInfo {
            sid: "PA_x".into(),
            level: f32::NAN,
            active: true,
        });
        assert_eq!(speaker.level, 0.0);
    }

    #[test]
    fn every_leave_reason_says_something() {
        for number in -1..40 {
            let reason = leave_reason(number);
            assert!(
                !super::super::event::Reason::Server(reason)
                    .to_string()
                    .is_empty()
            );
        }
        assert!(leave_reason(2).is_final());
        assert!(!leave_reason(3).is_final());
        assert!(!leave_reason(77).is_final());
    }
}
