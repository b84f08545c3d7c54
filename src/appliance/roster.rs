// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the service's words to the meeting's, and from the meeting's report to the status.

use roomseal_meeting::{Declared, Kind, Medium, Participant, Report, Source, Track};
use roomseal_service::livekit::{
    self, Encryption, ParticipantKind, ParticipantState, TrackKind, TrackSource,
};

use crate::status;

/// What the service says about a participant.
pub fn participant(said: &livekit::Participant) -> Participant {
    Participant {
        identity: said.identity.clone(),
        name: said.name.clone(),
        kind: kind(said.kind),
        present: said.state != ParticipantState::Disconnected,
        tracks: said.tracks.iter().map(track).collect(),
    }
}

/// What the views show of a report.
pub fn participants(report: &Report) -> Vec<status::Participant> {
    report
        .participants
        .iter()
        .map(|participant| status::Participant {
            identity: participant.identity.clone(),
            name: participant.name.clone(),
            kind: participant.kind.word().to_owned(),
            tracks: participant
                .tracks
                .iter()
                .map(|track| status::RemoteTrack {
                    sid: track.sid.clone(),
                    source: track.source.word().to_owned(),
                    muted: track.muted,
                    verification: track.verification.word().to_owned(),
                    text: track.text.clone(),
                    opened: track.opened,
                    refused: track.refused,
                })
                .collect(),
        })
        .collect()
}

fn track(said: &livekit::Track) -> Track {
    Track {
        sid: said.sid.clone(),
        source: match said.source {
            TrackSource::Camera => Source::Camera,
            TrackSource::Microphone => Source::Microphone,
            TrackSource::ScreenShare => Source::Screen,
            TrackSource::ScreenShareAudio => Source::ScreenSound,
            TrackSource::Unknown => Source::Other,
        },
        medium: match said.kind {
            TrackKind::Audio => Medium::Sound,
            TrackKind::Video => Medium::Picture,
            TrackKind::Other(_) => Medium::Other,
        },
        muted: said.muted,
        declared: match said.encryption {
            Encryption::Gcm => Declared::Sealed,
            Encryption::None => Declared::Clear,
            Encryption::Other(_) => Declared::Other,
        },
    }
}

fn kind(said: ParticipantKind) -> Kind {
    match said {
        ParticipantKind::Agent => Kind::Agent,
        ParticipantKind::Bridge | ParticipantKind::Connector => Kind::Bridge,
        ParticipantKind::Egress => Kind::Egress,
        ParticipantKind::Ingress => Kind::Ingress,
        ParticipantKind::Other(_) => Kind::Other,
        ParticipantKind::Sip => Kind::Sip,
        ParticipantKind::Standard => Kind::Person,
    }
}
