// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where pictures and sound come from and go, in the form that file and command line share: `kind` or `kind:detail`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Camera {
    /// What the board says.
    Auto,
    /// A media file, played in a loop.
    File(PathBuf),
    /// libcamera, by camera name where there are several.
    Libcamera(Option<String>),
    /// No camera.
    None,
    /// PipeWire, by target object where there are several.
    Pipewire(Option<String>),
    /// A test picture with a clock.
    Test,
    /// A V4L2 device; `None`: the first that captures.
    V4l2(Option<PathBuf>),
}

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Microphone {
    /// What the board says; the sound of the file where the camera is a file.
    Auto,
    /// An ALSA device; `None`: the default one.
    Alsa(Option<String>),
    /// A media file, played in a loop.
    File(PathBuf),
    /// No microphone.
    None,
    /// PipeWire, by target object where there are several.
    Pipewire(Option<String>),
    /// A test tone.
    Test,
}

/// Where sound goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// What the board says.
    Auto,
    /// An ALSA device; `None`: the default one.
    Alsa(Option<String>),
    /// A WAV file, for tests.
    File(PathBuf),
    /// No loudspeaker.
    None,
    /// PipeWire, by target object where there are several.
    Pipewire(Option<String>),
}

/// Where pictures go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screen {
    /// What the board says.
    Auto,
    /// A PNG file with what is on the screen, written anew twice a second.
    File(PathBuf),
    /// The kernel's display interface, without a desktop.
    Kms,
    /// No screen.
    None,
    /// A Wayland compositor.
    Wayland,
    /// A window on the desktop.
    Window,
}

/// A source or sink that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSource(String);

impl fmt::Display for UnknownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnknownSource {}

impl FromStr for Camera {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        const KINDS: &[&str] = &[
            "auto",
            "file:PATH",
            "libcamera[:NAME]",
            "none",
            "pipewire[:TARGET]",
            "test",
            "v4l2[:DEVICE]",
        ];
        Ok(match split(text) {
            ("auto", None) => Self::Auto,
            ("file", Some(path)) => Self::File(path.into()),
            ("libcamera", name) => Self::Libcamera(name.map(str::to_owned)),
            ("none", None) => Self::None,
            ("pipewire", target) => Self::Pipewire(target.map(str::to_owned)),
            ("test", None) => Self::Test,
            ("v4l2", device) => Self::V4l2(device.map(PathBuf::from)),
            (kind, _) => return Err(unknown(kind, KINDS)),
        })
    }
}

impl FromStr for Microphone {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        const KINDS: &[&str] = &[
            "alsa[:DEVICE]",
            "auto",
            "file:PATH",
            "none",
            "pipewire[:TARGET]",
            "test",
        ];
        Ok(match split(text) {
            ("alsa", device) => Self::Alsa(device.map(str::to_owned)),
            ("auto", None) => Self::Auto,
            ("file", Some(path)) => Self::File(path.into()),
            ("none", None) => Self::None,
            ("pipewire", target) => Self::Pipewire(target.map(str::to_owned)),
            ("test", None) => Self::Test,
            (kind, _) => return Err(unknown(kind, KINDS)),
        })
    }
}

impl FromStr for Speaker {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        const KINDS: &[&str] = &[
            "alsa[:DEVICE]",
            "auto",
            "file:PATH",
            "none",
            "pipewire[:TARGET]",
        ];
        Ok(match split(text) {
            ("alsa", device) => Self::Alsa(device.map(str::to_owned)),
            ("auto", None) => Self::Auto,
            ("file", Some(path)) => Self::File(path.into()),
            ("none", None) => Self::None,
            ("pipewire", target) => Self::Pipewire(target.map(str::to_owned)),
            (kind, _) => return Err(unknown(kind, KINDS)),
        })
    }
}

impl FromStr for Screen {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        const KINDS: &[&str] = &["auto", "file:PATH", "kms", "none", "wayland", "window"];
        Ok(match split(text) {
            ("auto", None) => Self::Auto,
            ("file", Some(path)) => Self::File(path.into()),
            ("kms", None) => Self::Kms,
            ("none", None) => Self::None,
            ("wayland", None) => Self::Wayland,
            ("window", None) => Self::Window,
            (kind, _) => return Err(unknown(kind, KINDS)),
        })
    }
}

macro_rules! deserialize_from_text {
    ($($name:ty),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

deserialize_from_text!(Camera, Microphone, Screen, Speaker);

/// `kind:detail`; an empty detail counts as none.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((kind, detail)) => (kind, Some(detail).filter(|detail| !detail.is_empty())),
        None => (text, None),
    }
}

fn unknown(kind: &str, kinds: &[&str]) -> UnknownSource {
    let plain = |known: &&str| {
        known
            .split(['[', ':'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let names: Vec<String> = kinds.iter().map(plain).collect();
    let meant = roomseal_panel::file_error::closest(kind, names.iter().map(String::as_str));
    let form = meant
        .and_then(|meant| names.iter().position(|name| name == meant))
        .map(|at| kinds[at]);
    UnknownSource(match form {
        Some(form) => format!("not a source or sink; did you mean `{form}`?"),
        None => format!("not a source or sink; write one of {}", kinds.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn kinds_take_their_detail_behind_a_colon() {
        assert_eq!(
            "v4l2:/dev/video2".parse(),
            Ok(Camera::V4l2(Some("/dev/video2".into())))
        );
        assert_eq!("v4l2".parse(), Ok(Camera::V4l2(None)));
        assert_eq!("file:/a:b.mkv".parse(), Ok(Camera::File("/a:b.mkv".into())));
        assert_eq!(
            "alsa:hw:1,0".parse(),
            Ok(Microphone::Alsa(Some("hw:1,0".into())))
        );
        assert_eq!("none".parse(), Ok(Speaker::None));
    }

    #[test]
    fn an_unknown_kind_gets_the_nearest_or_the_list() {
        let near = "v4l".parse::<Camera>().unwrap_err().to_string();
        assert!(near.contains("did you mean `v4l2[:DEVICE]`?"), "{near}");
        let far = "projector".parse::<Screen>().unwrap_err().to_string();
        assert!(far.contains("kms, none, wayland, window"), "{far}");
        let bare = "file".parse::<Camera>().unwrap_err().to_string();
        assert!(bare.contains("file:PATH"), "{bare}");
    }
}
