// SPDX-License-Identifier: MIT OR Apache-2.0
//! The board file: what a piece of hardware is called, how much media it carries, and where its buttons and lamps are.

pub mod panel;

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::file_error::FileError;

use self::panel::{ButtonTable, LampTable, MuteLampTable, Panel};

/// Where installed board files lie: `<here>/<id>/board.toml`.
pub const INSTALLED: &str = "/usr/share/roomseal/board";

const SIM: &str = include_str!("../../board/sim/board.toml");

/// A board as its file describes it, every value checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name of the board's directory and the word after `--board`.
    pub id: String,
    /// How people call it.
    pub name: String,
    /// What the board can carry.
    pub media: Media,
    /// Its buttons and lamps.
    pub panel: Panel,
}

/// The media budget of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Video encoders by GStreamer element name, best first; never empty.
    pub encoders: Vec<String>,
    /// The most this board encodes as VP8.
    pub vp8: EncodeSize,
    /// The most this board encodes as H.264.
    pub h264: EncodeSize,
    /// What is shown of the others.
    pub tiles: Tiles,
    /// Participants of a meeting service on this board; 0: it carries none.
    pub hub_participants: u32,
    /// What `auto` means in the configuration.
    pub auto: Auto,
}

/// The largest picture stream a board encodes with one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EncodeSize {
    /// Pixels, even.
    pub width: u32,
    /// Pixels, even.
    pub height: u32,
    /// Frames per second.
    pub framerate: u32,
    /// Kilobits per second.
    pub bitrate_kbps: u32,
}

/// How many remote people are decoded and shown, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiles {
    /// 1 to 6.
    pub count: u32,
    /// Pixels of one tile, even.
    pub width: u32,
    /// Pixels of one tile, even.
    pub height: u32,
}

/// The sources and sinks that `auto` stands for on a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auto {
    /// Where pictures come from.
    pub camera: AutoCamera,
    /// Where sound comes from.
    pub microphone: AutoMicrophone,
    /// Where sound goes.
    pub speaker: AutoSpeaker,
    /// Where pictures go.
    pub screen: AutoScreen,
}

/// A kind of camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoCamera {
    /// libcamera, as on the camera connector of a Raspberry Pi.
    Libcamera,
    /// No camera.
    None,
    /// A PipeWire source.
    Pipewire,
    /// A test picture with a clock.
    Test,
    /// A V4L2 device, as of a USB camera.
    V4l2,
}

/// A kind of microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoMicrophone {
    /// An ALSA device.
    Alsa,
    /// No microphone.
    None,
    /// A PipeWire source.
    Pipewire,
    /// A test tone.
    Test,
}

/// A kind of loudspeaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoSpeaker {
    /// An ALSA device.
    Alsa,
    /// No loudspeaker.
    None,
    /// A PipeWire sink.
    Pipewire,
}

/// A kind of screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AutoScreen {
    /// The kernel's display interface, without a desktop.
    Kms,
    /// No screen.
    None,
    /// A Wayland compositor.
    Wayland,
    /// A window on the desktop.
    Window,
}

/// Why there is no board.
#[derive(Debug, thiserror::Error)]
pub enum BoardError {
    /// The id holds characters that no board directory has.
    #[error(
        "board `{id}`: not a board name; it is made of a-z, 0-9 and -, like `sim` or `rpi4` (`--board`, or `board` in [box])"
    )]
    Id {
        /// What was asked for.
        id: String,
    },
    /// No file for this id in any place.
    #[error("board `{id}`: no file {}; known boards: {}", .looked.display(), .known.join(", "))]
    NotFound {
        /// What was asked for.
        id: String,
        /// The file that would describe it.
        looked: PathBuf,
        /// Ids that are there.
        known: Vec<String>,
    },
    /// The file is there and cannot be read.
    #[error("{}: cannot read the board file: {source}; check its permissions", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file says something that cannot be.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Board {
    /// The board `id` from `dir/<id>/board.toml`; the simulated board is built in and needs no file.
    ///
    /// # Errors
    /// When the id is no name, no file is there, or the file is faulty: each says where and what to do.
    pub fn load(id: &str, dir: &Path) -> Result<Self, BoardError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || !id.chars().all(plain) {
            return Err(BoardError::Id { id: id.to_owned() });
        }
        let path = dir.join(id).join("board.toml");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let board = Self::parse(&path.display().to_string(), &text)?;
                if board.id != id {
                    return Err(FileError::whole(
                        &path.display().to_string(),
                        Some("id"),
                        format!("the file says `{}`, its directory `{id}`", board.id),
                        "make both the same",
                    )
                    .into());
                }
                Ok(board)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && id == "sim" => Ok(Self::sim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BoardError::NotFound {
                id: id.to_owned(),
                looked: path,
                known: known(dir),
            }),
            Err(source) => Err(BoardError::Unreadable { path, source }),
        }
    }

    /// The simulated board that is built in.
    pub fn sim() -> Self {
        Self::parse("board/sim/board.toml (built in)", SIM)
            .expect("the built-in board file is parsed by a test")
    }

    /// A board from the text of its file; `path` is for messages.
    ///
    /// # Errors
    /// The first thing in the file that cannot be, with its place.
    pub fn parse(path: &str, text: &str) -> Result<Self, FileError> {
        let file: File =
            toml::from_str(text).map_err(|error| FileError::from_toml(path, text, &error))?;
        let check = Check { path, text };
        let media = file.media;
        if media.encoders.get_ref().is_empty() {
            return check.fail(
                &media.encoders,
                "no encoder",
                "name at least one, like vp8enc",
            );
        }
        let element = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some(odd) = media
            .encoders
            .get_ref()
            .iter()
            .find(|name| name.is_empty() || !name.chars().all(element))
        {
            return check.fail(
                &media.encoders,
                format!("`{odd}` is no element name"),
                "write names as gst-inspect-1.0 shows them, like vp8enc",
            );
        }
        check.encode(&media.encode.vp8)?;
        check.encode(&media.encode.h264)?;
        let tiles = media.tiles.get_ref();
        if !(1..=6).contains(&tiles.count) {
            return check.fail(&media.tiles, "count is out of range", "write 1 to 6");
        }
        if !picture_side(tiles.width) || !picture_side(tiles.height) {
            return check.fail(&media.tiles, "no tile size", PICTURE_ADVICE);
        }
        let mut check = panel::Check::new(path, text);
        let button = file.button.map(|table| check.button(table)).transpose()?;
        let mute_button = file.mute_button;
        let mute_button = mute_button.map(|table| check.button(table)).transpose()?;
        let lamp = file.lamp.map(|table| check.lamp(table)).transpose()?;
        let mute_lamp = file.mute_lamp;
        let mute_lamp = mute_lamp.map(|table| check.mute_lamp(table)).transpose()?;
        Ok(Self {
            id: file.id,
            name: file.name,
            panel: Panel {
                button,
                mute_button,
                lamp,
                mute_lamp,
            },
            media: Media {
                encoders: media.encoders.into_inner(),
                vp8: media.encode.vp8.into_inner(),
                h264: media.encode.h264.into_inner(),
                tiles: *tiles,
                hub_participants: media.hub.participants,
                auto: media.auto,
            },
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    id: String,
    name: String,
    media: MediaTable,
    button: Option<ButtonTable>,
    mute_button: Option<ButtonTable>,
    lamp: Option<LampTable>,
    mute_lamp: Option<MuteLampTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MediaTable {
    encoders: Spanned<Vec<String>>,
    encode: EncodeTable,
    tiles: Spanned<Tiles>,
    hub: HubTable,
    auto: Auto,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodeTable {
    vp8: Spanned<EncodeSize>,
    h264: Spanned<EncodeSize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HubTable {
    participants: u32,
}

struct Check<'a> {
    path: &'a str,
    text: &'a str,
}

impl Check<'_> {
    fn encode(&self, size: &Spanned<EncodeSize>) -> Result<(), FileError> {
        let value = size.get_ref();
        if !picture_side(value.width) || !picture_side(value.height) {
            return self.fail(size, "no picture size", PICTURE_ADVICE);
        }
        if !(1..=60).contains(&value.framerate) {
            return self.fail(size, "framerate is out of range", "write 1 to 60");
        }
        if !(30..=20_000).contains(&value.bitrate_kbps) {
            return self.fail(size, "bitrate-kbps is out of range", "write 30 to 20000");
        }
        Ok(())
    }

    fn fail<T, R>(
        &self,
        at: &Spanned<T>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Result<R, FileError> {
        Err(FileError::at(
            self.path,
            self.text,
            at.span(),
            problem,
            advice,
        ))
    }
}

/// Chroma is shared by 2×2 pixels, so sides are even; no codec here goes beyond 4096.
fn picture_side(pixels: u32) -> bool {
    (16..=4096).contains(&pixels) && pixels.is_multiple_of(2)
}

const PICTURE_ADVICE: &str = "width and height are even numbers from 16 to 4096";

fn known(dir: &Path) -> Vec<String> {
    let mut ids: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("board.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .chain(["sim".to_owned()])
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn sim_with(from: &str, to: &str) -> String {
        assert!(SIM.contains(from), "the sample changed: {from}");
        Board::parse("board.toml", &SIM.replacen(from, to, 1))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_built_in_board_is_valid() {
        let board = Board::sim();
        assert_eq!(board.id, "sim");
        assert_eq!(board.media.vp8.width, 640);
        assert_eq!(board.media.auto.camera, AutoCamera::Test);
    }

    #[test]
    fn every_shipped_board_file_is_valid_and_named_like_its_directory() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../board");
        let mut seen = 0;
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            if entry.path().join("board.toml").is_file() {
                Board::load(entry.file_name().to_str().unwrap(), &dir).unwrap();
                seen += 1;
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn a_typo_in_a_board_file_is_placed_and_corrected() {
        assert_eq!(
            sim_with("bitrate-kbps", "bitrate-kpbs"),
            "board.toml:21:1: [media.encode.vp8] bitrate-kpbs: unknown key `bitrate-kpbs`; did you mean `bitrate-kbps`?"
        );
    }

    #[test]
    fn values_that_cannot_be_are_refused_with_their_place() {
        for (from, to, part) in [
            (
                "[\"vp8enc\", \"x264enc\", \"openh264enc\"]",
                "[]",
                "no encoder",
            ),
            ("\"vp8enc\"", "\"vp8enc ! fakesink\"", "is no element name"),
            ("width = 640", "width = 641", "no picture size"),
            (
                "framerate = 25",
                "framerate = 0",
                "framerate is out of range",
            ),
            (
                "bitrate-kbps = 900",
                "bitrate-kbps = 9",
                "bitrate-kbps is out of range",
            ),
            ("count = 6", "count = 7", "count is out of range"),
            (
                "camera = \"test\"",
                "camera = \"tests\"",
                "did you mean `test`?",
            ),
            ("participants = 8", "participants = -1", "participants"),
        ] {
            let shown = sim_with(from, to);
            assert!(shown.contains(part), "{to}: {shown}");
            assert!(shown.starts_with("board.toml:"), "{to}: {shown}");
        }
    }

    #[test]
    fn a_file_that_breaks_off_anywhere_is_refused_with_its_name() {
        for (end, _) in SIM.char_indices() {
            if let Err(error) = Board::parse("board.toml", &SIM[..end]) {
                assert!(
                    error.to_string().starts_with("board.toml"),
                    "{end}: {error}"
                );
            }
        }
    }

    #[test]
    fn a_board_that_is_not_there_lists_those_that_are() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        std::fs::write(dir.path().join("mine/board.toml"), SIM).unwrap();
        let shown = Board::load("rpi9", dir.path()).unwrap_err().to_string();
        assert!(shown.contains("rpi9/board.toml"), "{shown}");
        assert!(shown.contains("mine, sim"), "{shown}");
    }

    #[test]
    fn a_file_under_another_id_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("mine")).unwrap();
        std::fs::write(dir.path().join("mine/board.toml"), SIM).unwrap();
        let shown = Board::load("mine", dir.path()).unwrap_err().to_string();
        assert!(shown.contains("the file says `sim`"), "{shown}");
    }

    #[test]
    fn an_id_cannot_leave_the_board_directory() {
        assert!(matches!(
            Board::load("../etc", Path::new(INSTALLED)),
            Err(BoardError::Id { .. })
        ));
    }
}
