// SPDX-License-Identifier: MIT OR Apache-2.0
//! Participants and tracks as the server describes them, in plain types.
//!
//! Everything here is the server's word and nobody else's: good for showing and for routing, never
//! for deciding whether something is sealed.

use std::collections::BTreeMap;

use livekit_protocol as proto;

use super::wording::harmless;

/// One participant of the room.
#[derive(Clone, Debug, PartialEq)]
pub struct Participant {
    /// Session id, `PA_...`; new at every full re-join.
    pub sid: String,
    /// The stable name the token was made for. As it came: see [`super::harmless`] before showing it.
    pub identity: String,
    /// The name to show, cleaned; empty when none was given.
    pub name: String,
    /// Person, recorder, gateway, ...
    pub kind: ParticipantKind,
    /// [`ParticipantState::Disconnected`] means that it has left.
    pub state: ParticipantState,
    /// Free text set by its token or itself, up to 512 KiB.
    pub metadata: String,
    /// Key/value pairs set by its token or itself.
    pub attributes: BTreeMap<String, String>,
    /// When it joined, in milliseconds since 1970; 0 when unknown.
    pub joined_at_ms: i64,
    /// Whether the token lets it publish anything.
    pub can_publish: bool,
    /// Whether the token lets it administer the room's participants' data about itself.
    pub can_update_metadata: bool,
    /// Counts up with every change of this participant.
    pub version: u32,
    /// What it publishes.
    pub tracks: Vec<Track>,
}

/// What sort of client a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParticipantKind {
    /// An automated participant.
    Agent,
    /// A gateway to another network.
    Bridge,
    /// A connector to a third party's service.
    Connector,
    /// A recorder or re-streamer.
    Egress,
    /// A stream that comes from outside.
    Ingress,
    /// A kind this version does not know, by its number.
    Other(i32),
    /// A telephone.
    Sip,
    /// A person's client.
    Standard,
}

impl ParticipantKind {
    /// Whether a person sits behind it (as far as the server says).
    pub fn is_person(self) -> bool {
        self == Self::Standard
    }
}

/// How far a participant's connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParticipantState {
    /// Media flows or can flow.
    Active,
    /// It has left.
    Disconnected,
    /// It has sent its first offer.
    Joined,
    /// Its signalling is connected.
    Joining,
}

/// One published track.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// `TR_...`.
    pub sid: String,
    /// Its name, chosen by the publisher, cleaned; may be empty.
    pub name: String,
    /// Sound or picture.
    pub kind: TrackKind,
    /// Camera, microphone, screen, ...
    pub source: TrackSource,
    /// For example `video/VP8`; empty until the first packet was seen.
    pub mime: String,
    /// Whether the publisher has muted it.
    pub muted: bool,
    /// Pixels; 0 for sound.
    pub width: u32,
    /// Pixels; 0 for sound.
    pub height: u32,
    /// What the publisher declared. A declaration, not a proof.
    pub encryption: Encryption,
    /// Whether it comes in more than one layer.
    pub simulcast: bool,
    /// The layers of a video, as far as they are known.
    pub layers: Vec<Layer>,
    /// Tracks with the same stream name belong together.
    pub stream: String,
    /// Whether redundant audio (RED) is off.
    pub disable_red: bool,
}

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    /// Sound.
    Audio,
    /// Neither: a data track or something this version does not know.
    Other(i32),
    /// Picture.
    Video,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackSource {
    /// A camera.
    Camera,
    /// A microphone.
    Microphone,
    /// A shared screen or window.
    ScreenShare,
    /// The sound of a shared screen.
    ScreenShareAudio,
    /// Not said.
    Unknown,
}

/// What a publisher declares about the frames of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// LiveKit's frame format, AES-GCM.
    Gcm,
    /// Clear frames.
    None,
    /// An encryption this version does not know, by its number.
    Other(i32),
}

/// A layer of a simulcast video, from the smallest to the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    /// Not wanted by anybody.
    Off,
    /// Smallest.
    Low,
    /// Middle.
    Medium,
    /// Largest; also the only layer of a track without simulcast.
    High,
}

/// One layer of a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which one.
    pub quality: Quality,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bits per second; 0 when unknown.
    pub bitrate: u32,
    /// The RTP stream id (`q`, `h`, `f`); empty when there is only one layer.
    pub rid: String,
}

impl From<proto::ParticipantInfo> for Participant {
    fn from(info: proto::ParticipantInfo) -> Self {
        let kind = match proto::participant_info::Kind::try_from(info.kind) {
            Ok(proto::participant_info::Kind::Standard) => ParticipantKind::Standard,
            Ok(proto::participant_info::Kind::Ingress) => ParticipantKind::Ingress,
            Ok(proto::participant_info::Kind::Egress) => ParticipantKind::Egress,
            Ok(proto::participant_info::Kind::Sip) => ParticipantKind::Sip,
            Ok(proto::participant_info::Kind::Agent) => ParticipantKind::Agent,
            Ok(proto::participant_info::Kind::Connector) => ParticipantKind::Connector,
            Ok(proto::participant_info::Kind::Bridge) => ParticipantKind::Bridge,
            Err(_) => ParticipantKind::Other(info.kind),
        };
        let state = match proto::participant_info::State::try_from(info.state) {
            Ok(proto::participant_info::State::Joining) => ParticipantState::Joining,
            Ok(proto::participant_info::State::Joined) => ParticipantState::Joined,
            Ok(proto::participant_info::State::Disconnected) => ParticipantState::Disconnected,
            // A state of the future is one in which the participant is there.
            Ok(proto::participant_info::State::Active) | Err(_) => ParticipantState::Active,
        };
        let permission = info.permission.unwrap_or_default();
        Self {
            kind,
            state,
            sid: info.sid,
            identity: info.identity,
            name: harmless(&info.name),
            metadata: info.metadata,
            attributes: info.attributes.into_iter().collect(),
            // Servers before 1.8 only send seconds.
            joined_at_ms: match info.joined_at_ms {
                0 => info.joined_at.saturating_mul(1000),
                ms => ms,
            },
            can_publish: permission.can_publish,
            can_update_metadata: permission.can_update_metadata,
            version: info.version,
            tracks: info.tracks.into_iter().map(Track::from).collect(),
        }
    }
}

impl From<proto::TrackInfo> for Track {
    fn from(info: proto::TrackInfo) -> Self {
        // The track's own list is deprecated in favour of one per codec, but servers still fill in
        // either.
        #[allow(deprecated)]
        let (simulcast, own_layers) = (info.simulcast, info.layers);
        let layers: Vec<Layer> = if own_layers.is_empty() {
            info.codecs
                .into_iter()
                .next()
                .map(|codec| codec.layers)
                .unwrap_or_default()
        } else {
            own_layers
        }
        .into_iter()
        .map(Layer::from)
        .collect();
        Self {
            sid: info.sid,
            name: harmless(&info.name),
            kind: match proto::TrackType::try_from(info.r#type) {
                Ok(proto::TrackType::Audio) => TrackKind::Audio,
                Ok(proto::TrackType::Video) => TrackKind::Video,
                Ok(proto::TrackType::Data) | Err(_) => TrackKind::Other(info.r#type),
            },
            source: match proto::TrackSource::try_from(info.source) {
                Ok(proto::TrackSource::Camera) => TrackSource::Camera,
                Ok(proto::TrackSource::Microphone) => TrackSource::Microphone,
                Ok(proto::TrackSource::ScreenShare) => TrackSource::ScreenShare,
                Ok(proto::TrackSource::ScreenShareAudio) => TrackSource::ScreenShareAudio,
                Ok(proto::TrackSource::Unknown) | Err(_) => TrackSource::Unknown,
            },
            mime: info.mime_type,
            muted: info.muted,
            width: info.width,
            height: info.height,
            encryption: match proto::encryption::Type::try_from(info.encryption) {
                Ok(proto::encryption::Type::Gcm) => Encryption::Gcm,
                Ok(proto::encryption::Type::None) => Encryption::None,
                Ok(proto::encryption::Type::Custom) | Err(_) => Encryption::Other(info.encryption),
            },
            simulcast: simulcast || layers.len() > 1,
            layers,
            stream: info.stream,
            disable_red: info.disable_red,
        }
    }
}

impl From<TrackSource> for proto::TrackSource {
    fn from(source: TrackSource) -> Self {
        match source {
            TrackSource::Camera => Self::Camera,
            TrackSource::Microphone => Self::Microphone,
            TrackSource::ScreenShare => Self::ScreenShare,
            TrackSource::ScreenShareAudio => Self::ScreenShareAudio,
            TrackSource::Unknown => Self::Unknown,
        }
    }
}

impl From<TrackKind> for i32 {
    fn from(kind: TrackKind) -> Self {
        match kind {
            TrackKind::Audio => proto::TrackType::Audio as Self,
            TrackKind::Video => proto::TrackType::Video as Self,
            TrackKind::Other(number) => number,
        }
    }
}

impl From<Encryption> for i32 {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Gcm => proto::encryption::Type::Gcm as Self,
            Encryption::None => proto::encryption::Type::None as Self,
            Encryption::Other(number) => number,
        }
    }
}

impl From<proto::VideoLayer> for Layer {
    fn from(layer: proto::VideoLayer) -> Self {
        Self {
            quality: Quality::from_wire(layer.quality),
            width: layer.width,
            height: layer.height,
            bitrate: layer.bitrate,
            rid: layer.rid,
        }
    }
}

impl From<Layer> for proto::VideoLayer {
    fn from(layer: Layer) -> Self {
        let quality = proto::VideoQuality::from(layer.quality);
        Self {
            quality: quality as i32,
            width: layer.width,
            height: layer.height,
            bitrate: layer.bitrate,
            spatial_layer: match quality {
                proto::VideoQuality::Medium => 1,
                proto::VideoQuality::High => 2,
                proto::VideoQuality::Low | proto::VideoQuality::Off => 0,
            },
            rid: layer.rid,
            ..Default::default()
        }
    }
}

impl Quality {
    /// A quality of the future is one that somebody wants: never stop sending because of it.
    pub(super) fn from_wire(quality: i32) -> Self {
        match proto::VideoQuality::try_from(quality) {
            Ok(proto::VideoQuality::Low) => Self::Low,
            Ok(proto::VideoQuality::Medium) => Self::Medium,
            Ok(proto::VideoQuality::High) | Err(_) => Self::High,
            Ok(proto::VideoQuality::Off) => Self::Off,
        }
    }
}

impl From<Quality> for proto::VideoQuality {
    fn from(quality: Quality) -> Self {
        match quality {
            Quality::Off => Self::Off,
            Quality::Low => Self::Low,
            Quality::Medium => Self::Medium,
            Quality::High => Self::High,
        }
    }
}
