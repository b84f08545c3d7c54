// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the service's words to the meeting's, and from the meeting's report to the status.

use std::time::Instant;

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

/// What the views show of a report; `clear_at` says when a track was last played clear.
pub fn participants(
    report: &Report,
    clear_at: impl Fn(&str) -> Option<Instant>,
) -> Vec<status::Participant> {
    report
        .participants
        .iter()
        .map(|participant| status::Participant {
            identity: participant.identity.clone(),
            name: participant.name.clone(),
            kind: participant.kind.word().to_owned(),
            standing: None,
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
                    clear_at: clear_at(&track.sid).map(status::moment),
                })
                .collect(),
        })
        .collect()
}

/// What people would like to hear of a change: who came and went, and how tracks stand that stood otherwise.
pub fn news(before: &[status::Participant], after: &[status::Participant]) -> Vec<String> {
    let find = |among: &[status::Participant], identity: &str| {
        among
            .iter()
            .position(|participant| participant.identity == identity)
    };
    let mut news = Vec::new();
    for participant in after {
        let name = called(participant);
        let Some(known) = find(before, &participant.identity) else {
            news.push(format!("{name} came"));
            continue;
        };
        for track in &participant.tracks {
            let stood = before[known].tracks.iter().find(|old| old.sid == track.sid);
            // Pauses are no news; a verdict is.
            let telling = matches!(
                track.verification.as_str(),
                "verified" | "refused" | "clear"
            );
            if telling && stood.is_none_or(|old| old.verification != track.verification) {
                news.push(format!("{name}, {}: {}", track.source, track.text));
            }
        }
    }
    for participant in before {
        if find(after, &participant.identity).is_none() {
            news.push(format!("{} left", called(participant)));
        }
    }
    news
}

fn called(participant: &status::Participant) -> &str {
    if participant.name.trim().is_empty() {
        &participant.identity
    } else {
        &participant.name
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn person(identity: &str, verification: &str) -> status::Participant {
        status::Participant {
            identity: identity.to_owned(),
            name: String::new(),
            kind: "person".to_owned(),
            standing: None,
            tracks: vec![status::RemoteTrack {
                sid: identity.to_owned(),
                source: "camera".to_owned(),
                muted: false,
                verification: verification.to_owned(),
                text: verification.to_owned(),
                opened: 0,
                refused: 0,
                clear_at: None,
            }],
        }
    }

    #[test]
    fn who_comes_and_goes_and_what_verifies_is_news_and_a_pause_is_not() {
        let (waiting, verified) = (person("alice", "waiting"), person("alice", "verified"));
        let silent = person("alice", "silent");
        assert_eq!(news(&[], std::slice::from_ref(&waiting)), ["alice came"]);
        assert_eq!(
            news(
                std::slice::from_ref(&waiting),
                std::slice::from_ref(&verified)
            ),
            ["alice, camera: verified"]
        );
        assert!(
            news(
                std::slice::from_ref(&verified),
                std::slice::from_ref(&silent)
            )
            .is_empty()
        );
        assert_eq!(news(&[verified], &[]), ["alice left"]);
    }
}
