// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where pictures and sound come from and go.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::{Origin, Text, pick};
use crate::config::file::{self, Given};
use crate::config::{
    Camera, CameraSetting, ConfigError, Microphone, MicrophoneSetting, Overrides, PictureLimit,
    Recording, Screen, ScreenSetting, VideoCodec,
};

impl Text<'_> {
    pub(super) fn camera(
        &self,
        file: file::CameraTable,
        over: &Overrides,
    ) -> Result<CameraSetting, ConfigError> {
        let (source, origin) = pick(over.camera.clone(), "--camera", file.source, || {
            Camera::Auto
        });
        let source = match source {
            Camera::File(path) => Camera::File(self.media_file(path, &origin)?),
            other => other,
        };
        let codec = match file.codec.map(Spanned::into_inner) {
            Some(file::Codec::H264) => Some(VideoCodec::H264),
            Some(file::Codec::Vp8) => Some(VideoCodec::Vp8),
            Some(file::Codec::Auto) | None => None,
        };
        let side = |value: Given<u32>| {
            self.within(
                value,
                |pixels| (16..=4096).contains(&pixels) && pixels.is_multiple_of(2),
                "write an even number from 16 to 4096",
            )
        };
        Ok(CameraSetting {
            source,
            codec,
            limit: PictureLimit {
                width: side(file.width)?,
                height: side(file.height)?,
                framerate: self.within(
                    file.framerate,
                    |fps| (1..=60).contains(&fps),
                    "write 1 to 60",
                )?,
                bitrate_kbps: self.within(
                    file.bitrate_kbps,
                    |rate| (30..=20_000).contains(&rate),
                    "write 30 to 20000",
                )?,
            },
        })
    }

    pub(super) fn microphone(
        &self,
        file: file::MicrophoneTable,
        over: &Overrides,
    ) -> Result<MicrophoneSetting, ConfigError> {
        let (source, origin) = pick(over.microphone.clone(), "--microphone", file.source, || {
            Microphone::Auto
        });
        let source = match source {
            Microphone::File(path) => Microphone::File(self.media_file(path, &origin)?),
            other => other,
        };
        let bitrate = self.within(
            file.bitrate_kbps,
            |rate| (6..=256).contains(&rate),
            "write 6 to 256",
        )?;
        Ok(MicrophoneSetting {
            source,
            bitrate_kbps: bitrate.unwrap_or(32),
            muted: file.muted,
        })
    }

    pub(super) fn screen(
        &self,
        file: file::ScreenTable,
        over: &Overrides,
    ) -> Result<ScreenSetting, ConfigError> {
        let (sink, _) = pick(over.screen.clone(), "--screen", file.sink, || Screen::Auto);
        Ok(ScreenSetting {
            sink,
            tiles: self.within(file.tiles, |tiles| (1..=6).contains(&tiles), "write 1 to 6")?,
        })
    }

    pub(super) fn recording(
        &self,
        file: file::RecordingTable,
        over: &Overrides,
    ) -> Result<Recording, ConfigError> {
        let origin = match (&over.snapshots, &file.snapshot_seconds) {
            (Some(_), _) => Origin::Option("--snapshots"),
            (None, Some(value)) => Origin::File(value.span()),
            (None, None) => Origin::Default,
        };
        let directory = match &over.record {
            Some(path) => Some(path.clone()),
            None => file.directory.map(|path| self.base.join(path.into_inner())),
        };
        let from_file = self.within(
            file.snapshot_seconds,
            |seconds| (1..=3600).contains(&seconds),
            "write 1 to 3600",
        )?;
        let snapshots = over.snapshots.or(from_file).map(Duration::from_secs);
        if snapshots.is_some() && directory.is_none() {
            return self.fail(
                &origin,
                "snapshots without a directory",
                "add directory to [recording] (--record)",
            );
        }
        Ok(Recording {
            directory,
            snapshots,
        })
    }

    /// A media file that is there; relative to the configuration if it was named there.
    fn media_file(&self, path: PathBuf, origin: &Origin) -> Result<PathBuf, ConfigError> {
        let path = match origin {
            Origin::File(_) => self.base.join(path),
            Origin::Default | Origin::Option(_) => path,
        };
        match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => Ok(path),
            Ok(_) => self.fail(
                origin,
                format!("{} is not a file", path.display()),
                "name a media file",
            ),
            Err(error) => self.fail(
                origin,
                format!("cannot read {}: {error}", path.display()),
                "name a media file that is there",
            ),
        }
    }
}
