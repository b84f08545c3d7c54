// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same thing in the words of the service, of media, of the meeting and of the status.

use roomseal_e2ee::{Codec, OpenCounters};
use roomseal_media::call::{Member, Played};
use roomseal_media::capture::TrackStats;
use roomseal_media::elements::{DecryptCounters, OpenMode, OpenRules, SealMode};
use roomseal_media::encoder::codec_name;
use roomseal_media::present::{Person, TrackSource};
use roomseal_media::transport::{self, MediaKind, PublishTrack, RemoteOffer};
use roomseal_meeting::{self as meeting, Medium, Requirement, Sending, Source};
use roomseal_service::livekit as service;

use super::codec::CodecChoice;
use crate::status;

pub(super) fn target(target: service::Target) -> transport::Target {
    match target {
        service::Target::Publisher => transport::Target::Publisher,
        service::Target::Subscriber => transport::Target::Subscriber,
    }
}

pub(super) fn service_target(target: transport::Target) -> service::Target {
    match target {
        transport::Target::Publisher => service::Target::Publisher,
        transport::Target::Subscriber => service::Target::Subscriber,
    }
}

pub(super) fn ice_server(server: &service::IceServer) -> transport::IceServer {
    transport::IceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.expose().to_owned(),
    }
}

pub(super) fn offer(offer: service::Description) -> RemoteOffer {
    RemoteOffer {
        sdp: offer.sdp,
        id: offer.id,
        mid_to_track: offer.mid_to_track.into_iter().collect(),
    }
}

pub(super) fn add_track(
    cid: String,
    track: &PublishTrack,
    alternatives: &[Codec],
    encryption: service::Encryption,
    muted: bool,
) -> service::AddTrack {
    let (width, height) = track.size.unwrap_or_default();
    let (kind, source, name) = match track.kind() {
        MediaKind::Audio => (
            service::TrackKind::Audio,
            service::TrackSource::Microphone,
            "microphone",
        ),
        MediaKind::Video => (
            service::TrackKind::Video,
            service::TrackSource::Camera,
            "camera",
        ),
    };
    service::AddTrack {
        cid,
        kind,
        source,
        name: name.into(),
        width,
        height,
        // One for pictures: a service takes nobody to want a track without layers.
        layers: track
            .size
            .map(|(width, height)| service::Layer {
                quality: service::Quality::High,
                width,
                height,
                bitrate: 0,
                rid: String::new(),
            })
            .into_iter()
            .collect(),
        muted,
        // Redundant audio would put two frames into one, of which only one could be sealed.
        disable_red: true,
        encryption,
        stream: track.stream.clone(),
        codecs: CodecChoice::declared(track.codec, alternatives),
    }
}

pub(super) fn requirement(declared: service::Encryption) -> Requirement {
    match declared {
        service::Encryption::Gcm => Requirement::Sealed,
        _ => Requirement::Open,
    }
}

pub(super) fn play(play: meeting::Play) -> Played {
    Played {
        sid: play.sid,
        identity: play.identity,
        name: play.called,
        source: match (play.source, play.medium) {
            (Source::Camera, _) => TrackSource::Camera,
            (Source::Microphone, _) => TrackSource::Microphone,
            (Source::Screen, _) => TrackSource::Screen,
            (Source::ScreenSound, _) => TrackSource::ScreenAudio,
            (Source::Other, Medium::Sound) => TrackSource::Microphone,
            (Source::Other, Medium::Picture | Medium::Other) => TrackSource::Camera,
        },
        mode: match play.rules {
            // What a frame has to show is not known to the element before it has the rules.
            Some(_) => OpenMode::Hold,
            None => open_mode(play.opening),
        },
    }
}

pub(super) fn rules(rules: meeting::Rules) -> OpenRules {
    OpenRules {
        mode: open_mode(rules.opening),
        keys: rules.keys,
        iv_prefix: rules.iv_prefix,
        iv_floor: rules.iv_floor,
        confirmed: rules.confirmed,
    }
}

fn open_mode(opening: meeting::Opening) -> OpenMode {
    match opening {
        meeting::Opening::AllowClear => OpenMode::AllowClear,
        meeting::Opening::Grace => OpenMode::Grace,
        meeting::Opening::Required => OpenMode::Require,
    }
}

/// What the element counted, in the meeting's terms: a clear frame is clear whether it was played or not.
pub(super) fn counters(counted: &DecryptCounters) -> OpenCounters {
    OpenCounters {
        clear: counted.frames.clear + counted.passed_clear,
        ..counted.frames
    }
}

pub(super) fn mode(sending: Sending) -> SealMode {
    match sending {
        Sending::Clear => SealMode::Clear,
        Sending::Sealed => SealMode::Seal,
        Sending::NothingAlone
        | Sending::NothingOutside
        | Sending::NothingSwitching
        | Sending::NothingUnvouched
        | Sending::NothingWithoutKey
        | Sending::NothingYet => SealMode::Hold,
    }
}

pub(super) fn member(report: &meeting::ParticipantReport) -> Member {
    Member {
        person: Person {
            identity: report.identity.clone(),
            name: if report.name.trim().is_empty() {
                report.identity.clone()
            } else {
                report.name.clone()
            },
        },
        tracks: report
            .tracks
            .iter()
            .filter(|track| track.source != Source::Other)
            .count(),
    }
}

pub(super) fn local_track(
    stats: &TrackStats,
    track: Option<&PublishTrack>,
    why: Option<&str>,
    sending: Sending,
    before: &[status::LocalTrack],
) -> status::LocalTrack {
    let encoder = stats.encoder.as_deref().unwrap_or("none");
    // What was handed on and not sealed was clear, whatever the elements say.
    let clear = stats.clear.max(stats.frames.saturating_sub(stats.sealed));
    let source = match MediaKind::from(stats.codec) {
        MediaKind::Audio => "microphone",
        MediaKind::Video => "camera",
    };
    let more_clear = before
        .iter()
        .any(|before| before.source == source && clear > before.clear);
    status::LocalTrack {
        source: source.into(),
        codec: codec_name(stats.codec).into(),
        encoder: match why {
            Some(why) => format!("{encoder} ({why})"),
            None => encoder.to_owned(),
        },
        format: track
            .and_then(|track| track.size)
            .map(|(width, height)| format!("{width}x{height}"))
            .unwrap_or_default(),
        muted: stats.muted,
        switched_off: stats.switched_off,
        sealed: stats.sealed,
        dropped: stats.dropped,
        clear,
        leaves: match sending {
            // Whatever was decided: this is what left.
            _ if more_clear => "clear",
            Sending::Clear if clear > 0 => "clear",
            Sending::Sealed if stats.sealed > 0 => "sealed",
            _ => "nothing",
        }
        .into(),
        clear_at: stats.clear_at.map(status::moment),
    }
}
