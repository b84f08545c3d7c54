// SPDX-License-Identifier: MIT OR Apache-2.0
//! From file and command line to a checked [`Config`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomseal_e2ee::{FrameKey, KeyIndex, Passphrase, RawKey};
use roomseal_panel::FileError;
use roomseal_service::livekit::{
    self, CertificateHash, Mint, Plaintext, ServerUrl, Token, TokenSource, Trust,
};
use toml::Spanned;

use super::file::{self, File, Given};
use super::{
    Camera, CameraSetting, Config, ConfigError, E2ee, KeyFile, Keys, Log, LogFormat, Microphone,
    MicrophoneSetting, Overrides, PictureLimit, Recording, Screen, ScreenSetting, Service, Speaker,
    SpeakerSetting, VideoCodec,
};
use crate::secret::{self, Secret};

/// Shorter ones are guessed from one recorded frame.
const SHORTEST_GOOD_PASSPHRASE: usize = 12;
const SHORTEST_RAW_KEY: usize = 16;

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

/// What opens the door of the service.
enum Access {
    ApiKey {
        key: String,
        secret: livekit::Secret,
    },
    Token(Token),
}

/// Where a value comes from, to complain about it there.
#[derive(Clone)]
enum Origin {
    Default,
    File(Range<usize>),
    Option(&'static str),
}

pub(super) fn resolve(text: &Text<'_>, over: &Overrides) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text.text)
        .map_err(|error| FileError::from_toml(text.path, text.text, &error))?;
    let mut warnings = Vec::new();
    let (name, origin) = pick(over.name.clone(), "--name", file.device.name, || {
        "Roomseal".to_owned()
    });
    text.label(&name, &origin, 64)?;
    let (board, _) = pick(over.board.clone(), "--board", file.device.board, || {
        "sim".to_owned()
    });
    let service = text.service(&name, file.service, over, &mut warnings)?;
    let e2ee = text.e2ee(file.e2ee, over, &service.identity, &mut warnings)?;
    let camera = text.camera(file.camera, over)?;
    let microphone = text.microphone(file.microphone, over)?;
    let (speaker, _) = pick(over.speaker.clone(), "--speaker", file.speaker.sink, || {
        Speaker::Auto
    });
    let screen = text.screen(file.screen, over)?;
    let recording = text.recording(file.recording, over)?;
    Ok(Config {
        name,
        board,
        service,
        e2ee,
        camera,
        microphone,
        speaker: SpeakerSetting {
            sink: speaker,
            echo_cancellation: file.speaker.echo_cancellation.unwrap_or(true),
        },
        screen,
        recording,
        log: log(file.log, over),
        warnings,
    })
}

impl Text<'_> {
    fn service(
        &self,
        name: &str,
        file: file::Service,
        over: &Overrides,
        warnings: &mut Vec<String>,
    ) -> Result<Service, ConfigError> {
        let insecure_lan = file.insecure_lan || over.insecure_lan;
        let plaintext = if insecure_lan {
            Plaintext::AllowedOnLan
        } else {
            Plaintext::LoopbackOnly
        };
        let (url, origin) = self.required(over.url.clone(), "--url", file.url, "url")?;
        let server = self.told(&origin, ServerUrl::parse(&url, plaintext))?;
        // One way in given on the command line replaces both ways of the file.
        let given =
            over.token_file.is_some() || over.api_key.is_some() || over.api_secret_file.is_some();
        let access = if given {
            self.access(
                option(&over.token_file, "--token-file"),
                option(&over.api_key, "--api-key"),
                option(&over.api_secret_file, "--api-secret-file"),
            )?
        } else {
            self.access(
                located(file.token_file),
                located(file.api_key),
                located(file.api_secret_file),
            )?
        };
        let (identity, origin) = pick(over.identity.clone(), "--identity", file.identity, || {
            "roomseal".to_owned()
        });
        self.label(&identity, &origin, 256)?;
        let (tokens, room, identity) = match access {
            Access::ApiKey { key, secret } => {
                let (room, origin) =
                    self.required(over.room.clone(), "--room", file.room, "room")?;
                self.label(&room, &origin, 256)?;
                let mut mint = Mint::new(key, secret, &room, &identity);
                mint.name = name.to_owned();
                (TokenSource::Minted(Box::new(mint)), room, identity)
            }
            Access::Token(token) => {
                let claims = token.claims().clone();
                let asked = over.room.clone().or(file.room.map(Spanned::into_inner));
                if let Some(asked) = asked.filter(|asked| *asked != claims.room) {
                    warnings.push(format!(
                        "the token is for room `{}`, not for `{asked}`: the token decides",
                        claims.room
                    ));
                }
                let ago = token.expired(std::time::SystemTime::now());
                if let Some(ago) = ago {
                    warnings.push(format!(
                        "the token expired {} s ago: ask for a new one, or set the clock",
                        ago.as_secs()
                    ));
                }
                (TokenSource::Given(token), claims.room, claims.identity)
            }
        };
        Ok(Service {
            server,
            trust: self.trust(file.ca_file, file.certificate_sha256, over)?,
            tokens,
            room,
            identity,
            insecure_lan,
        })
    }

    fn access(
        &self,
        token: Option<(String, Origin)>,
        key: Option<(String, Origin)>,
        secret: Option<(String, Origin)>,
    ) -> Result<Access, ConfigError> {
        match (token, key, secret) {
            (Some((reference, origin)), None, None) => {
                let secret = self.secret(&reference, &origin)?;
                let text = self.text_of(&secret, &origin)?;
                Ok(Access::Token(self.told(&origin, Token::parse(text))?))
            }
            (None, Some((key, origin)), Some((reference, secret_origin))) => {
                self.label(&key, &origin, 256)?;
                let secret = self.secret(&reference, &secret_origin)?;
                let text = self.text_of(&secret, &secret_origin)?;
                Ok(Access::ApiKey {
                    key,
                    secret: livekit::Secret::new(text),
                })
            }
            (Some((_, origin)), _, _) => self.fail(
                &origin,
                "two ways in are given, a token and an API key",
                "keep one of them",
            ),
            (None, Some((_, origin)), None) => self.fail(
                &origin,
                "an API key without its secret",
                "add api-secret-file (--api-secret-file)",
            ),
            (None, None, Some((_, origin))) => self.fail(
                &origin,
                "an API secret without its key",
                "add api-key (--api-key)",
            ),
            (None, None, None) => match self.held.and_then(|held| held.token.clone()) {
                Some(token) => Ok(Access::Token(token)),
                None => Err(ConfigError::Missing {
                    place: self.path.to_owned(),
                    key: "token-file, or api-key with api-secret-file,",
                    option: "--token-file, or --api-key with --api-secret-file",
                }),
            },
        }
    }

    fn trust(
        &self,
        ca_file: Given<String>,
        certificate: Given<String>,
        over: &Overrides,
    ) -> Result<Trust, ConfigError> {
        let ca_file = match &over.ca_file {
            Some(path) => Some((path.clone(), Origin::Option("--ca-file"))),
            None => located(ca_file).map(|(path, origin)| (self.base.join(path), origin)),
        };
        if let Some((path, origin)) = &ca_file
            && let Err(error) = std::fs::File::open(path)
        {
            return self.fail(
                origin,
                format!("cannot read {}: {error}", path.display()),
                "name a PEM file",
            );
        }
        let certificate = option(&over.certificate_sha256, "--certificate-sha256")
            .or_else(|| located(certificate))
            .map(|(text, origin)| self.told(&origin, text.parse::<CertificateHash>()))
            .transpose()?;
        Ok(Trust {
            extra_authorities: ca_file.map(|(path, _)| path),
            certificate,
        })
    }

    /// The word of the service's own checks, at the place it is about.
    fn told<T>(
        &self,
        origin: &Origin,
        result: Result<T, livekit::Error>,
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

    fn e2ee(
        &self,
        file: file::E2ee,
        over: &Overrides,
        me: &str,
        warnings: &mut Vec<String>,
    ) -> Result<E2ee, ConfigError> {
        let (index, origin) = pick(over.key_index, "--key-index", file.key_index, || 0);
        let Ok(index) = KeyIndex::try_from(index) else {
            return self.fail(&origin, "not a key index", "write 0 to 15");
        };
        let shared = if over.passphrase_file.is_some() || over.key_hex_file.is_some() {
            (
                option(&over.passphrase_file, "--passphrase-file"),
                option(&over.key_hex_file, "--key-hex-file"),
            )
        } else {
            (
                located(file.passphrase_file),
                located(file.raw_key_hex_file),
            )
        };
        let mut keys = Keys {
            index,
            shared: self
                .key(shared.0.clone(), shared.1.clone(), warnings)?
                .or_else(|| self.held.and_then(|held| held.key.clone())),
            participants: std::collections::BTreeMap::new(),
        };
        for participant in file.participant {
            let origin = Origin::File(participant.identity.span());
            let identity = participant.identity.into_inner();
            self.label(&identity, &origin, 256)?;
            let key = self.key(
                located(participant.passphrase_file),
                located(participant.raw_key_hex_file),
                warnings,
            )?;
            let Some(key) = key else {
                return self.fail(
                    &origin,
                    "a participant without key",
                    "add passphrase-file or raw-key-hex-file to this block",
                );
            };
            if keys.participants.insert(identity, key).is_some() {
                return self.fail(
                    &origin,
                    "the same identity twice",
                    "remove one of the blocks",
                );
            }
        }
        let required = match (over.no_e2ee, file.required) {
            (true, _) => false,
            (false, Some(required)) => required.into_inner(),
            (false, None) => true,
        };
        if required && keys.is_empty() {
            warnings.push(
                "no key: this box will see who is there, and neither send nor open anything; add passphrase-file or \
                 raw-key-hex-file to [e2ee] (--passphrase-file, --key-hex-file)"
                    .to_owned(),
            );
        } else if required && keys.of(me).is_none() {
            warnings.push(format!(
                "no key for this box itself (identity `{me}`): it will send nothing; add passphrase-file to [e2ee], or a block for `{me}`"
            ));
        }
        if !required {
            warnings.push(
                "end-to-end encryption is not required: pictures and sound leave clear for the service"
                    .to_owned(),
            );
        }
        let shared_file = match shared {
            (Some((reference, origin)), _) => {
                Some(KeyFile::Passphrase(self.rooted(reference, &origin)))
            }
            (None, Some((reference, origin))) => {
                Some(KeyFile::RawHex(self.rooted(reference, &origin)))
            }
            (None, None) => None,
        };
        Ok(E2ee {
            required,
            keys,
            shared_file,
        })
    }

    fn key(
        &self,
        passphrase: Option<(String, Origin)>,
        raw: Option<(String, Origin)>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<FrameKey>, ConfigError> {
        match (passphrase, raw) {
            (Some((reference, origin)), None) => {
                let secret = self.secret(&reference, &origin)?;
                if secret.expose().len() < SHORTEST_GOOD_PASSPHRASE {
                    warnings.push(format!(
                        "the passphrase in {reference} is shorter than {SHORTEST_GOOD_PASSPHRASE} characters: it can be guessed from one recorded frame"
                    ));
                }
                Ok(Some(passphrase_key(&secret)))
            }
            (None, Some((reference, origin))) => {
                let secret = self.secret(&reference, &origin)?;
                match raw_key(&secret) {
                    Some(key) => Ok(Some(key)),
                    None => self.fail(&origin, RAW_KEY_PROBLEM, RAW_KEY_ADVICE),
                }
            }
            (Some(_), Some((_, origin))) => self.fail(
                &origin,
                "a passphrase and a raw key at once",
                "keep one: their keys differ even for the same bytes",
            ),
            (None, None) => Ok(None),
        }
    }

    fn camera(
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

    fn microphone(
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

    fn screen(
        &self,
        file: file::ScreenTable,
        over: &Overrides,
    ) -> Result<ScreenSetting, ConfigError> {
        let (sink, _) = pick(over.screen, "--screen", file.sink, || Screen::Auto);
        Ok(ScreenSetting {
            sink,
            tiles: self.within(file.tiles, |tiles| (1..=6).contains(&tiles), "write 1 to 6")?,
        })
    }

    fn recording(
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

/// What is wrong with a raw key file.
pub(crate) const RAW_KEY_PROBLEM: &str = "the file holds no raw key";
/// What a raw key file has to hold.
pub(crate) const RAW_KEY_ADVICE: &str =
    "write at least 16 bytes as hexadecimal digits, for example: openssl rand -hex 32";

/// The key that LiveKit derives from a passphrase.
pub(crate) fn passphrase_key(secret: &Secret) -> FrameKey {
    FrameKey::from_passphrase(&Passphrase::new(secret.expose()))
}

/// The key that LiveKit derives from raw bytes, given in hexadecimal digits.
pub(crate) fn raw_key(secret: &Secret) -> Option<FrameKey> {
    let bytes = secret.decode_hex()?;
    (bytes.expose().len() >= SHORTEST_RAW_KEY)
        .then(|| FrameKey::from_raw_key(&RawKey::new(bytes.expose().to_vec())))
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
