// SPDX-License-Identifier: MIT OR Apache-2.0
//! From file and command line to a checked [`Config`].

mod keys;
mod media;
mod meeting;
mod page;
mod service;

use std::ops::Range;
use std::path::Path;

use roomseal_e2ee::FrameKey;
use roomseal_panel::FileError;
use roomseal_service::livekit::Token;
use toml::Spanned;

use super::file::{self, File, Given};
use super::{
    Config, ConfigError, E2ee, Housing, Log, LogFormat, Meetings, Network, Overrides, Speaker,
    SpeakerSetting,
};
use crate::secret::{self, Secret};

pub(crate) use keys::{RAW_KEY_ADVICE, RAW_KEY_PROBLEM, passphrase_key, raw_key};

/// The name of a box that has none.
const NAME: &str = "Roomseal";
/// In bytes.
const LONGEST_NAME: usize = 64;
/// The board of a box that says nothing else.
const BOARD: &str = "sim";

/// The file that is being resolved.
pub(super) struct Text<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    /// Where relative paths in the file start.
    pub(super) base: &'a Path,
    /// Secrets that an invitation brought; those of options and file stand over them.
    pub(super) held: Option<&'a Held>,
}

/// Secrets that are no files.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) token: Option<Token>,
    pub(crate) key: Option<FrameKey>,
}

/// Where a value comes from, to complain about it there.
#[derive(Clone)]
enum Origin {
    Default,
    File(Range<usize>),
    Option(&'static str),
}

pub(super) fn resolve(text: &Text<'_>, over: &Overrides) -> Result<Config, ConfigError> {
    let mut file: File = toml::from_str(text.text)
        .map_err(|error| FileError::from_toml(text.path, text.text, &error))?;
    let mut warnings = Vec::new();
    let (name, origin) = pick(over.name.clone(), "--name", file.device.name, || {
        NAME.to_owned()
    });
    text.label(&name, &origin, LONGEST_NAME)?;
    let (board, _) = pick(over.board.clone(), "--board", file.device.board, || {
        BOARD.to_owned()
    });
    let mut over = over.clone();
    let require_e2ee = file.meeting.require_e2ee;
    let link_origin = file.meeting.link_origin.take();
    let button_starts = file.meeting.button_starts.take();
    let meeting = text.meeting(file.meeting, &file.e2ee, &mut over, &mut warnings)?;
    let over = &over;
    let service = text.service(&name, file.service, over, &mut warnings)?;
    let e2ee = match (&meeting, &service.room) {
        // Keys come from the meeting, and what is required there is the host's decision. In a foreign room that
        // somebody enters later, nothing leaves before it has a key.
        (Some(_), _) => E2ee {
            required: true,
            ..E2ee::default()
        },
        (None, Some(_)) => text.e2ee(file.e2ee, over, &service.identity, &mut warnings)?,
        // What is missing for a foreign room is no trouble for a box that waits outside.
        (None, None) => text.e2ee(file.e2ee, over, &service.identity, &mut Vec::new())?,
    };
    let meetings = Meetings {
        origin: text.origin(link_origin, &service.server)?,
        button_starts: button_starts.is_none_or(Spanned::into_inner),
        require_e2ee,
    };
    let camera = text.camera(file.camera, over)?;
    let microphone = text.microphone(file.microphone, over)?;
    let (speaker, _) = pick(over.speaker.clone(), "--speaker", file.speaker.sink, || {
        Speaker::Auto
    });
    let screen = text.screen(file.screen, over)?;
    let recording = text.recording(file.recording, over)?;
    let panel_page = text.panel_page(file.panel_page, over)?;
    Ok(Config {
        name,
        board,
        service,
        e2ee,
        meeting,
        meetings,
        camera,
        microphone,
        speaker: SpeakerSetting {
            sink: speaker,
            echo_cancellation: file.speaker.echo_cancellation.unwrap_or(true),
        },
        screen,
        recording,
        panel_page,
        log: log(file.log, over),
        warnings,
    })
}

/// What a box has before it is set up.
pub(super) fn housing(over: &Overrides) -> Result<Housing, ConfigError> {
    let text = Text {
        path: "command line",
        text: "",
        base: Path::new("."),
        held: None,
    };
    let mut over = over.clone();
    over.panel_network.get_or_insert(Network::everywhere());
    let over = &over;
    let file = File::default();
    let (name, origin) = pick(over.name.clone(), "--name", None, || NAME.to_owned());
    text.label(&name, &origin, LONGEST_NAME)?;
    let (board, _) = pick(over.board.clone(), "--board", None, || BOARD.to_owned());
    Ok(Housing {
        name,
        board,
        screen: text.screen(file.screen, over)?,
        panel_page: text.panel_page(file.panel_page, over)?,
        log: log(file.log, over),
    })
}

impl Text<'_> {
    /// The reference to a secret, as it reads from the working directory.
    fn rooted(&self, reference: String, origin: &Origin) -> String {
        match origin {
            Origin::File(_) if !reference.starts_with("credential:") => {
                self.base.join(reference).display().to_string()
            }
            _ => reference,
        }
    }

    fn secret(&self, reference: &str, origin: &Origin) -> Result<Secret, ConfigError> {
        let base = match origin {
            Origin::File(_) => self.base,
            Origin::Default | Origin::Option(_) => Path::new("."),
        };
        secret::read(reference, base)
            .or_else(|error| self.fail(origin, error.to_string(), error.advice()))
    }

    /// A name, room or identity: not empty, not endless, nothing invisible.
    fn label(&self, text: &str, origin: &Origin, longest: usize) -> Result<(), ConfigError> {
        if text.trim().is_empty() {
            return self.fail(origin, "it is empty", "write at least one character");
        }
        if text.len() > longest {
            return self.fail(
                origin,
                "it is too long",
                format!("write at most {longest} bytes"),
            );
        }
        if crate::text::plain(text) != text {
            return self.fail(origin, "it holds control characters", "remove them");
        }
        Ok(())
    }

    fn within<T: Copy>(
        &self,
        value: Given<T>,
        allowed: impl Fn(T) -> bool,
        advice: &str,
    ) -> Result<Option<T>, ConfigError> {
        match value {
            Some(value) if !allowed(*value.get_ref()) => {
                self.fail(&Origin::File(value.span()), "out of range", advice)
            }
            value => Ok(value.map(Spanned::into_inner)),
        }
    }

    fn required(
        &self,
        over: Option<String>,
        option: &'static str,
        file: Given<String>,
        key: &'static str,
    ) -> Result<(String, Origin), ConfigError> {
        match over {
            Some(value) => Ok((value, Origin::Option(option))),
            None => located(file).ok_or_else(|| ConfigError::Missing {
                place: self.path.to_owned(),
                key,
                option,
            }),
        }
    }

    /// The word of somebody else's check, at the place it is about. What it advises stands behind its last colon.
    fn told<T>(
        &self,
        origin: &Origin,
        result: Result<T, impl std::fmt::Display>,
    ) -> Result<T, ConfigError> {
        result.or_else(|error| {
            let text = error.to_string();
            let (problem, advice) = text
                .rsplit_once(": ")
                .unwrap_or((&text, "see roomseal check-config --print-sample"));
            self.fail(origin, problem, advice)
        })
    }

    fn text_of<'s>(&self, secret: &'s Secret, origin: &Origin) -> Result<&'s str, ConfigError> {
        match secret.expose_text() {
            Some(text) => Ok(text),
            None => self.fail(
                origin,
                "the file holds no text",
                "write the secret as plain text",
            ),
        }
    }

    fn fail<R>(
        &self,
        origin: &Origin,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Result<R, ConfigError> {
        Err(match origin {
            Origin::Option(option) => ConfigError::Option {
                option,
                problem: problem.into(),
                advice: advice.into(),
            },
            Origin::File(span) => {
                FileError::at(self.path, self.text, span.clone(), problem, advice).into()
            }
            Origin::Default => FileError::whole(self.path, None, problem, advice).into(),
        })
    }
}

fn pick<T>(
    over: Option<T>,
    option: &'static str,
    file: Given<T>,
    default: impl FnOnce() -> T,
) -> (T, Origin) {
    match (over, file) {
        (Some(value), _) => (value, Origin::Option(option)),
        (None, Some(value)) => {
            let origin = Origin::File(value.span());
            (value.into_inner(), origin)
        }
        (None, None) => (default(), Origin::Default),
    }
}

fn located<T>(value: Given<T>) -> Option<(T, Origin)> {
    value.map(|value| {
        let origin = Origin::File(value.span());
        (value.into_inner(), origin)
    })
}

fn option(value: &Option<String>, name: &'static str) -> Option<(String, Origin)> {
    value.clone().map(|value| (value, Origin::Option(name)))
}

fn log(file: file::LogTable, over: &Overrides) -> Log {
    let from_file = file.level.map(|level| match level.into_inner() {
        file::Level::Error => tracing::Level::ERROR,
        file::Level::Warn => tracing::Level::WARN,
        file::Level::Info => tracing::Level::INFO,
        file::Level::Debug => tracing::Level::DEBUG,
        file::Level::Trace => tracing::Level::TRACE,
    });
    Log {
        level: over.log_level.or(from_file).unwrap_or(tracing::Level::INFO),
        format: file.format.unwrap_or(LogFormat::Auto),
    }
}
