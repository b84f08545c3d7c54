// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is shown where, and what the presentation reports.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use roomseal_e2ee::{Codec, Verdict};

use super::layout::{MOST_TILES, Size};
use crate::elements::framedecrypt::{DecryptCounters, OpenMode};

/// How to present a meeting.
#[derive(Clone, Debug)]
pub struct PresentConfig {
    /// Where pictures go.
    pub display: Display,
    /// Where sound goes.
    pub speaker: Speaker,
    /// Size of the composed picture.
    pub size: Size,
    /// Composed pictures per second.
    pub framerate: u32,
    /// So many pixels at the top show nobody: they are for what is drawn over the picture
    /// ([`super::Present::set_overlay`]).
    pub header: u32,
    /// How many participants are shown at once, at most [`MOST_TILES`].
    pub max_tiles: usize,
    /// How long after its time stamp a frame is played, so that late ones still are in time and
    /// picture and sound stay together.
    pub playout_delay: Duration,
    /// Where to record to, if at all.
    pub recording: Option<RecordConfig>,
}

impl Default for PresentConfig {
    /// Opens frames, shows and plays nothing.
    fn default() -> Self {
        Self {
            display: Display::None,
            speaker: Speaker::None,
            size: Size {
                width: 1280,
                height: 720,
            },
            framerate: 30,
            header: 0,
            max_tiles: MOST_TILES,
            playout_delay: Duration::from_millis(120),
            recording: None,
        }
    }
}

/// Where the composed picture goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Display {
    /// Nowhere: no picture is decoded for display.
    None,
    /// The whole screen, without a desktop (`kmssink`).
    Kms {
        /// Number of the connector to use; the first connected one without it.
        connector: Option<i32>,
        /// Name of the kernel driver; probed without it.
        driver: Option<String>,
    },
    /// The whole screen of a Wayland compositor (`waylandsink`).
    Wayland,
    /// A window of whatever desktop there is (`autovideosink`).
    Window,
    /// Elements in the syntax of `gst-launch-1.0` that take raw video, for instance
    /// `vp8enc deadline=1 ! matroskamux ! filesink location=meeting.mkv`.
    Elements(String),
}

/// Where the mixed sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Nowhere: no sound is decoded.
    None,
    /// An ALSA device (`alsasink`).
    Alsa {
        /// Its ALSA name, for instance `plughw:CARD=Device`; the default device without it.
        device: Option<String>,
    },
    /// PipeWire (`pipewiresink`).
    PipeWire {
        /// Name or serial of the node to play to; the default one without it.
        target: Option<String>,
    },
    /// Elements in the syntax of `gst-launch-1.0` that take raw audio, for instance
    /// `wavenc ! filesink location=meeting.wav`.
    Elements(String),
}

/// What to keep of a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordConfig {
    /// Directory of the files; it is made when it is not there.
    pub directory: PathBuf,
    /// Write what each participant sends to Matroska files, as it was encoded.
    pub streams: bool,
    /// Write the newest picture of each video track to a PNG file this often.
    pub snapshot_every: Option<Duration>,
}

/// A remote track to present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteTrackSpec {
    /// Identifier the service gave it (`TR_...`).
    pub sid: String,
    /// Identity of the participant who sends it.
    pub identity: String,
    /// Name of that participant, as it wants to be shown; untrusted.
    pub name: String,
    /// Codec of its frames; also says whether it is audio or video.
    pub codec: Codec,
    /// What it shows or carries.
    pub source: TrackSource,
    /// Which of its frames may be played.
    pub mode: OpenMode,
    /// Bytes by which frames of the server itself end (`sif_trailer` of the join response).
    pub sif_trailer: Vec<u8>,
}

/// What a track shows or carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackSource {
    /// A face.
    Camera,
    /// A voice.
    Microphone,
    /// A shared screen.
    Screen,
    /// The sound of a shared screen.
    ScreenAudio,
}

impl fmt::Display for TrackSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Screen => "screen",
            Self::ScreenAudio => "screen-audio",
        })
    }
}

/// Someone in the room, ourselves apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Identity of the participant.
    pub identity: String,
    /// Its name, as it wants to be shown; untrusted.
    pub name: String,
}

/// How a track fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackState {
    /// Nothing has arrived yet.
    Waiting,
    /// Its frames open.
    Verified,
    /// Its frames are clear, and may be.
    Clear,
    /// Its frames are not looked at: the mode says hold.
    Held,
    /// Its frames do not open, for this reason; nothing of it is played or recorded.
    CannotOpen(Verdict),
}

impl fmt::Display for TrackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::Waiting => return f.write_str("waiting"),
            Self::Verified => return f.write_str("sealed"),
            Self::Clear => return f.write_str("not encrypted"),
            Self::Held => return f.write_str("held back"),
            Self::CannotOpen(Verdict::Clear) => "not encrypted",
            Self::CannotOpen(Verdict::NoKey) => "no key",
            Self::CannotOpen(Verdict::Loss) => "too much is lost on the way",
            Self::CannotOpen(Verdict::Altered) => "altered on the way",
            Self::CannotOpen(Verdict::OtherKey | Verdict::Unverified) => "other key, or altered",
            Self::CannotOpen(Verdict::Replayed) => "replayed",
            Self::CannotOpen(_) => "not what it should be",
        };
        write!(f, "cannot open: {reason}")
    }
}

/// What one track has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackStats {
    /// What became of its frames.
    pub frames: DecryptCounters,
    /// Where it stands.
    pub state: TrackState,
    /// Pictures, or packets of sound, decoded.
    pub decoded: u64,
    /// Size of the newest decoded picture.
    pub size: Option<Size>,
    /// When a frame was last played clear.
    pub passed_clear_at: Option<Instant>,
    /// Time since a frame last opened.
    pub opened_ago: Option<Duration>,
    /// How often its decoder had to be replaced.
    pub decoder_restarts: u64,
    /// Opened frames that were not decoded or recorded, because a part before them was missing.
    pub skipped: u64,
}

/// What the presentation tells its call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresentEvent {
    /// The sender of this track should send a key frame. Sent at most twice a second per track.
    KeyFrameWanted {
        /// The track.
        sid: String,
    },
    /// A frame of a track opened or passed as clear, the first by the keys or rules that it has now.
    /// Told at once.
    FirstPassed {
        /// The track.
        sid: String,
    },
    /// The state of a track changed.
    TrackState {
        /// The track.
        sid: String,
        /// Its new state.
        state: TrackState,
    },
    /// A decoder gave up on what it was given; a new one takes over.
    DecoderFailed {
        /// The track.
        sid: String,
        /// What GStreamer said.
        reason: String,
    },
    /// Pictures or sound cannot be played at the moment; it is tried again by itself.
    OutputFailed {
        /// Which of the two.
        output: Output,
        /// What GStreamer said.
        reason: String,
    },
    /// Pictures or sound are played again.
    OutputWorks {
        /// Which of the two.
        output: Output,
    },
    /// A file was begun.
    RecordingStarted {
        /// Identity of the participant in it.
        identity: String,
        /// The file.
        path: PathBuf,
    },
    /// A file was finished.
    RecordingFinished {
        /// Identity of the participant in it.
        identity: String,
        /// The file.
        path: PathBuf,
    },
    /// Nothing is recorded any more; the meeting goes on.
    RecordingFailed {
        /// Why, and what to do.
        reason: String,
    },
}

/// One of the two ways in which a meeting is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Output {
    /// Pictures.
    Display,
    /// Sound.
    Speaker,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Display => "display",
            Self::Speaker => "speaker",
        })
    }
}

/// What went wrong with a call of this module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentError {
    /// GStreamer does not start.
    #[error(transparent)]
    Init(#[from] crate::plugins::InitError),
    /// An element is missing or does not take its settings.
    #[error("the {what} cannot be built: {reason}")]
    Build {
        /// What was to be built.
        what: String,
        /// What GStreamer said.
        reason: String,
    },
    /// A track of this name is there already.
    #[error("track {sid} is presented already: remove it first")]
    TrackExists {
        /// The track.
        sid: String,
    },
    /// The recording directory cannot be used.
    #[error("cannot record to {directory}: {reason}; make it writable or choose another directory")]
    Directory {
        /// The directory.
        directory: String,
        /// What the system said.
        reason: String,
    },
    /// The process cannot start a thread.
    #[error("cannot start a thread: {reason}")]
    Thread {
        /// What the system said.
        reason: String,
    },
}
