// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the session can be asked for.

use livekit_protocol as proto;

use super::{
    event::Target,
    participant::{Encryption, Layer, Quality, TrackKind, TrackSource},
};

/// A track to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct AddTrack {
    /// Client id: the track id in the `msid` of the publisher's offer.
    pub cid: String,
    /// Sound or picture.
    pub kind: TrackKind,
    /// Camera, microphone, screen, ...
    pub source: TrackSource,
    /// Name shown to others.
    pub name: String,
    /// Pixels; 0 for sound.
    pub width: u32,
    /// Pixels; 0 for sound.
    pub height: u32,
    /// Layers of a video; a video without simulcast has one, of quality `High`.
    pub layers: Vec<Layer>,
    /// Whether it starts muted.
    pub muted: bool,
    /// Switches redundant audio off; needed for sealed tracks, harmless for video.
    pub disable_red: bool,
    /// What to declare.
    pub encryption: Encryption,
    /// Groups tracks; empty lets the server group by source.
    pub stream: String,
    /// Codecs by short name (`h264`): first the one that is sent, then those that could be sent
    /// instead. When a subscriber accepts only one of the latter, the server asks for it in
    /// [`super::Event::SubscribedQuality`]. Empty: what the first packet shows, and nothing else.
    pub codecs: Vec<String>,
}

/// How a subscribed video shall be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSettings {
    /// Which tracks.
    pub sids: Vec<String>,
    /// How.
    pub view: View,
    /// 1 is the most important when bandwidth is short; 0 leaves it to the server.
    pub priority: u32,
}

/// How large a subscribed video is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// In a tile of this many pixels: the smallest layer that fills it.
    Fit {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// Not shown: send nothing.
    Hidden,
    /// A layer by name.
    Layer(Quality),
}

/// What the media side knows and a resume needs: which data channels there are and how far each
/// publisher's reliable packets were received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataState {
    /// Open data channels.
    pub channels: Vec<DataChannel>,
    /// Publisher's sid and the last sequence number received; see [`super::data::Dedupe`].
    pub received: Vec<(String, u32)>,
}

/// One data channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataChannel {
    /// `_reliable` or `_lossy`.
    pub label: String,
    /// SCTP stream id.
    pub id: u32,
    /// On which peer connection.
    pub target: Target,
}

/// What failed on the media side, in the protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaTrouble {
    /// The publisher connection.
    Publisher,
    /// The subscriber connection.
    Subscriber,
}

/// A request on its way from a [`super::Handle`] to the session.
#[derive(Debug)]
pub(super) struct Request {
    /// The join it belongs to; `None` for any.
    pub(super) join: Option<u64>,
    pub(super) what: Wish,
}

#[derive(Debug)]
pub(super) enum Wish {
    AddTrack(AddTrack),
    Answer {
        sdp: String,
        id: u32,
    },
    DataState(DataState),
    Leave,
    Mute {
        sid: String,
        muted: bool,
    },
    Offer {
        sdp: String,
        id: u32,
    },
    Rejoin {
        why: String,
    },
    Resume {
        trouble: MediaTrouble,
    },
    Settings(TrackSettings),
    Subscribe {
        sids: Vec<String>,
        subscribe: bool,
    },
    Trickle {
        target: Target,
        init_json: String,
        last: bool,
    },
    Unpublished {
        sid: String,
    },
}

impl Wish {
    /// What it is, in words.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AddTrack(_) => "publishing a track",
            Self::Answer { .. } => "an answer",
            Self::DataState(_) => "the state of the data channels",
            Self::Leave => "leaving",
            Self::Mute { .. } => "muting a track",
            Self::Offer { .. } => "an offer",
            Self::Rejoin { .. } => "joining anew",
            Self::Resume { .. } => "a new connection",
            Self::Settings(_) => "how a track is shown",
            Self::Subscribe { .. } => "subscribing to a track",
            Self::Trickle { .. } => "an ICE candidate",
            Self::Unpublished { .. } => "the end of a track",
        }
    }
}

impl From<AddTrack> for proto::AddTrackRequest {
    fn from(track: AddTrack) -> Self {
        let codecs = track.codecs.into_iter().enumerate();
        let simulcast_codecs = codecs.map(|(place, codec)| proto::SimulcastCodec {
            codec,
            // Only what is sent has a section in the offer.
            cid: if place == 0 {
                track.cid.clone()
            } else {
                String::new()
            },
            ..Default::default()
        });
        Self {
            simulcast_codecs: simulcast_codecs.collect(),
            cid: track.cid,
            name: track.name,
            r#type: track.kind.into(),
            width: track.width,
            height: track.height,
            muted: track.muted,
            source: proto::TrackSource::from(track.source) as i32,
            layers: track.layers.into_iter().map(Into::into).collect(),
            disable_red: track.disable_red,
            encryption: track.encryption.into(),
            stream: track.stream,
            ..Default::default()
        }
    }
}

impl From<TrackSettings> for proto::UpdateTrackSettings {
    fn from(settings: TrackSettings) -> Self {
        let mut update = Self {
            track_sids: settings.sids,
            priority: settings.priority,
            // The protocol's default is the smallest layer; ours is the best.
            quality: proto::VideoQuality::High as i32,
            ..Default::default()
        };
        match settings.view {
            View::Fit { width, height } => {
                update.width = width;
                update.height = height;
            }
            View::Hidden | View::Layer(Quality::Off) => update.disabled = true,
            View::Layer(quality) => update.quality = proto::VideoQuality::from(quality) as i32,
        }
        update
    }
}

impl From<Target> for proto::SignalTarget {
    fn from(target: Target) -> Self {
        match target {
            Target::Publisher => Self::Publisher,
            Target::Subscriber => Self::Subscriber,
        }
    }
}

impl From<MediaTrouble> for proto::ReconnectReason {
    fn from(trouble: MediaTrouble) -> Self {
        match trouble {
            MediaTrouble::Publisher => Self::RrPublisherFailed,
            MediaTrouble::Subscriber => Self::RrSubscriberFailed,
        }
    }
}
