// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where picture and sound come from, and how the pipelines are set up.

use std::{fmt, path::PathBuf, time::Duration};

use crate::budget::MediaBudget;

/// Where the picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoSource {
    /// A camera behind the kernel's video interface, e.g. `/dev/video0` or a stable name below
    /// `/dev/v4l/by-id`. Motion JPEG where raw pictures are not quick enough.
    V4l2 {
        /// The device node.
        device: PathBuf,
    },
    /// A camera on the board's ribbon connector.
    LibCamera {
        /// The camera's name as libcamera lists it; `None` is the first.
        camera: Option<String>,
    },
    /// Colour bars with a running clock.
    TestPattern,
    /// The picture of a media file, again and again.
    File(PathBuf),
    /// Anything else that GStreamer can describe: a `gst-launch-1.0` description of a bin whose one
    /// free end gives raw pictures at their own pace.
    Custom(String),
    /// No picture: the track is not published.
    None,
}

/// Where the sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioSource {
    /// An ALSA capture device, e.g. `default` or `plughw:1`.
    Alsa {
        /// The device's name.
        device: String,
    },
    /// PipeWire.
    PipeWire {
        /// Name or serial of the node to record; `None` leaves it to the session manager.
        target: Option<String>,
    },
    /// A quiet tone of 440 Hz, interrupted every second so that a lag can be heard.
    TestTone,
    /// The sound of a media file, again and again. With the same file as [`VideoSource::File`] both
    /// stay in step.
    File(PathBuf),
    /// Anything else that GStreamer can describe: a `gst-launch-1.0` description of a bin whose one
    /// free end gives raw sound at its own pace.
    Custom(String),
    /// No sound: the track is not published.
    None,
}

impl fmt::Display for VideoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4l2 { device } => write!(f, "camera {}", device.display()),
            Self::LibCamera { camera: Some(name) } => write!(f, "camera {name}"),
            Self::LibCamera { camera: None } => f.write_str("camera on the ribbon connector"),
            Self::TestPattern => f.write_str("test pattern"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Custom(_) => f.write_str("video source of the configuration"),
            Self::None => f.write_str("no video"),
        }
    }
}

impl fmt::Display for AudioSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alsa { device } => write!(f, "microphone {device} (ALSA)"),
            Self::PipeWire {
                target: Some(target),
            } => write!(f, "microphone {target} (PipeWire)"),
            Self::PipeWire { target: None } => f.write_str("microphone (PipeWire)"),
            Self::TestTone => f.write_str("test tone"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Custom(_) => f.write_str("audio source of the configuration"),
            Self::None => f.write_str("no audio"),
        }
    }
}

/// Everything a capture needs to know at start.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// Where the picture comes from.
    pub video: VideoSource,
    /// Where the sound comes from.
    pub audio: AudioSource,
    /// What the board affords.
    pub budget: MediaBudget,
    /// Encoders in the board's order of preference; empty is [`crate::encoder::DEFAULT_ORDER`].
    pub encoders: Vec<String>,
    /// File that keeps what was found out about the encoders, e.g.
    /// `/var/cache/roomseal/encoders.json`; `None` finds out at every start.
    pub encoder_cache: Option<PathBuf>,
    /// Name of the `webrtcechoprobe` before the loudspeaker; `None` where no loudspeaker is used
    /// or it cancels its own echo.
    pub echo_probe: Option<String>,
    /// How long a present, unmuted source may give nothing before it is rebuilt.
    pub stall_after: Duration,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            video: VideoSource::TestPattern,
            audio: AudioSource::TestTone,
            budget: MediaBudget::default(),
            encoders: Vec::new(),
            encoder_cache: None,
            echo_probe: None,
            stall_after: Duration::from_secs(5),
        }
    }
}
