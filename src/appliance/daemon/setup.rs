// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what people configured and what the board affords to what each room is started with.

use std::path::{Path, PathBuf};

use roomseal_media::budget::{EncodeBudget, MediaBudget};
use roomseal_media::call::CallConfig;
use roomseal_media::capture::{AudioSource, CaptureConfig, VideoSource};
use roomseal_media::present::{self, Display, ECHO_PROBE, PresentConfig, RecordConfig};
use roomseal_panel::Board;
use roomseal_panel::board::{AutoCamera, AutoMicrophone, AutoScreen, AutoSpeaker};
use roomseal_service::livekit::{Client, Config as ServiceConfig};

use crate::config::{
    Camera, Config, Housing, Microphone, PictureLimit, Screen, Speaker, VideoCodec,
};

/// The first camera that the kernel made, unless the configuration names another.
const FIRST_CAMERA: &str = "/dev/video0";

/// How the meeting service is reached.
pub(super) fn service(config: &Config) -> ServiceConfig {
    let service = &config.service;
    ServiceConfig {
        server: service.server.clone(),
        trust: service.trust.clone(),
        tokens: service.tokens.clone(),
        client: Client::default(),
    }
}

/// What a box shows that is in no meeting and never was.
pub(super) fn screen_alone(housing: &Housing, board: &Board) -> PresentConfig {
    PresentConfig {
        display: display(&housing.screen.sink, board),
        ..PresentConfig::default()
    }
}

/// What is captured and presented.
pub(super) fn call(config: &Config, board: &Board) -> CallConfig {
    let speaker = speaker(config, board);
    let echo_probe = (config.speaker.echo_cancellation && speaker != present::Speaker::None)
        .then(|| ECHO_PROBE.to_owned());
    let budget = budget(board, config.camera.limit);
    let tiles = config
        .screen
        .tiles
        .unwrap_or(board.media.tiles.count)
        .min(board.media.tiles.count);
    CallConfig {
        capture: CaptureConfig {
            video: video(config, board),
            audio: audio(config, board),
            encoders: encoders(board, config.camera.codec),
            encoder_cache: cache_directory().map(|directory| directory.join("encoders.json")),
            budget,
            echo_probe,
            ..CaptureConfig::default()
        },
        present: PresentConfig {
            display: display(&config.screen.sink, board),
            speaker,
            header: crate::screen::Screen::header(PresentConfig::default().size),
            max_tiles: usize::try_from(tiles).unwrap_or(usize::MAX),
            recording: recording(config),
            ..PresentConfig::default()
        },
    }
}

fn video(config: &Config, board: &Board) -> VideoSource {
    let v4l2 = |device: Option<PathBuf>| VideoSource::V4l2 {
        device: device.unwrap_or_else(|| FIRST_CAMERA.into()),
    };
    match &config.camera.source {
        Camera::Auto => match board.media.auto.camera {
            AutoCamera::Libcamera => VideoSource::LibCamera { camera: None },
            AutoCamera::None => VideoSource::None,
            AutoCamera::Pipewire => pipewire(None),
            AutoCamera::Test => VideoSource::TestPattern,
            AutoCamera::V4l2 => v4l2(None),
        },
        Camera::File(path) => VideoSource::File(path.clone()),
        Camera::Libcamera(camera) => VideoSource::LibCamera {
            camera: camera.clone(),
        },
        Camera::None => VideoSource::None,
        Camera::Pipewire(target) => pipewire(target.as_deref()),
        Camera::Test => VideoSource::TestPattern,
        Camera::V4l2(device) => v4l2(device.clone()),
    }
}

/// Capture knows PipeWire only for sound; a picture from it is described to GStreamer.
fn pipewire(target: Option<&str>) -> VideoSource {
    VideoSource::Custom(match target {
        Some(target) => format!("pipewiresrc target-object={}", quoted(target)),
        None => "pipewiresrc".into(),
    })
}

/// As one word of a `gst-launch-1.0` description.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

fn audio(config: &Config, board: &Board) -> AudioSource {
    let alsa = |device: Option<String>| AudioSource::Alsa {
        device: device.unwrap_or_else(|| "default".into()),
    };
    match &config.microphone.source {
        Microphone::Auto => match (&config.camera.source, board.media.auto.microphone) {
            // The sound that belongs to the picture.
            (Camera::File(path), _) => AudioSource::File(path.clone()),
            (_, AutoMicrophone::Alsa) => alsa(None),
            (_, AutoMicrophone::None) => AudioSource::None,
            (_, AutoMicrophone::Pipewire) => AudioSource::PipeWire { target: None },
            (_, AutoMicrophone::Test) => AudioSource::TestTone,
        },
        Microphone::Alsa(device) => alsa(device.clone()),
        Microphone::File(path) => AudioSource::File(path.clone()),
        Microphone::None => AudioSource::None,
        Microphone::Pipewire(target) => AudioSource::PipeWire {
            target: target.clone(),
        },
        Microphone::Test => AudioSource::TestTone,
    }
}

fn speaker(config: &Config, board: &Board) -> present::Speaker {
    match &config.speaker.sink {
        Speaker::Auto => match board.media.auto.speaker {
            AutoSpeaker::Alsa => present::Speaker::Alsa { device: None },
            AutoSpeaker::None => present::Speaker::None,
            AutoSpeaker::Pipewire => present::Speaker::PipeWire { target: None },
        },
        Speaker::Alsa(device) => present::Speaker::Alsa {
            device: device.clone(),
        },
        Speaker::File(path) => present::Speaker::Elements(format!(
            "wavenc ! filesink location={}",
            quoted(&path.display().to_string())
        )),
        Speaker::None => present::Speaker::None,
        Speaker::Pipewire(target) => present::Speaker::PipeWire {
            target: target.clone(),
        },
    }
}

fn display(sink: &Screen, board: &Board) -> Display {
    let kms = Display::Kms {
        connector: None,
        driver: None,
    };
    match sink {
        Screen::Auto => match board.media.auto.screen {
            AutoScreen::Kms => kms,
            AutoScreen::None => Display::None,
            AutoScreen::Wayland => Display::Wayland,
            AutoScreen::Window => Display::Window,
        },
        Screen::File(path) => Display::Elements(format!(
            "videorate drop-only=true ! video/x-raw,framerate=2/1 ! videoconvert ! pngenc ! multifilesink location={}",
            quoted(&path.display().to_string())
        )),
        Screen::Kms => kms,
        Screen::None => Display::None,
        Screen::Wayland => Display::Wayland,
        Screen::Window => Display::Window,
    }
}

fn recording(config: &Config) -> Option<RecordConfig> {
    let directory = config.recording.directory.clone()?;
    Some(RecordConfig {
        directory,
        streams: true,
        snapshot_every: config.recording.snapshots,
    })
}

/// The board's encoders, best first, of the codec that was asked for.
fn encoders(board: &Board, codec: Option<VideoCodec>) -> Vec<String> {
    let vp8 = |name: &str| name.contains("vp8");
    board
        .media
        .encoders
        .iter()
        .filter(|name| match codec {
            Some(VideoCodec::Vp8) => vp8(name),
            Some(VideoCodec::H264) => !vp8(name),
            None => true,
        })
        .cloned()
        .collect()
}

/// The board's budget, or less where the configuration says so.
fn budget(board: &Board, limit: PictureLimit) -> MediaBudget {
    let most = crate::budget::of(board);
    let limited = |most: EncodeBudget| EncodeBudget {
        width: limit.width.map_or(most.width, |w| w.min(most.width)),
        height: limit.height.map_or(most.height, |h| h.min(most.height)),
        framerate: limit
            .framerate
            .map_or(most.framerate, |f| f.min(most.framerate)),
        bitrate: limit
            .bitrate_kbps
            .map_or(most.bitrate, |b| (b * 1000).min(most.bitrate)),
    };
    MediaBudget {
        vp8: limited(most.vp8),
        h264: limited(most.h264),
        ..most
    }
}

/// Where findings survive a restart: systemd's cache directory, or the user's.
fn cache_directory() -> Option<PathBuf> {
    let systemd = std::env::var_os("CACHE_DIRECTORY").map(PathBuf::from);
    let user = || {
        std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .map(|cache| cache.join("roomseal"))
    };
    systemd.or_else(user)
}
