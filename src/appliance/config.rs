// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration: a TOML file, then the command line over it, checked into [`Config`] before anything starts.
//!
//! Every key is explained in `roomseal.sample.toml`. Secrets stand in files of their own ([`crate::secret`]).

mod file;
mod listen;
mod overrides;
mod resolve;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use roomseal_e2ee::{FrameKey, KeyIndex, KeyRing};
use roomseal_panel::FileError;
use roomseal_policy::{self as policy, KeyModel, Link, Origin, RoomName, SecretSource};
use roomseal_service::livekit::{self, ServerUrl, TokenSource, Trust};

use crate::password::PagePassword;

pub use listen::{Listen, Network, NoNetwork, NotListening};
pub use overrides::Overrides;
pub(crate) use resolve::{Held, RAW_KEY_ADVICE, RAW_KEY_PROBLEM, passphrase_key, raw_key};
pub use source::{Camera, Microphone, Screen, Speaker};

/// Where the configuration lies unless `--config` says otherwise.
pub const INSTALLED: &str = "/etc/roomseal/roomseal.toml";

/// The sample that is shipped: every key, with its default.
pub const SAMPLE: &str = include_str!("roomseal.sample.toml");

/// Everything the box needs to know, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name others see.
    pub name: String,
    /// The board's id, for [`roomseal_panel::Board::load`].
    pub board: String,
    /// The meeting service.
    pub service: Service,
    /// Keys, and what they are required for, in a foreign room.
    pub e2ee: E2ee,
    /// The Roomseal meeting, if this is one.
    pub meeting: Option<RoomsealMeeting>,
    /// How the box makes and enters meetings that people ask for.
    pub meetings: Meetings,
    /// Pictures in.
    pub camera: CameraSetting,
    /// Sound in.
    pub microphone: MicrophoneSetting,
    /// Sound out.
    pub speaker: SpeakerSetting,
    /// Pictures out.
    pub screen: ScreenSetting,
    /// What is kept of the others.
    pub recording: Recording,
    /// The front-panel page.
    pub panel_page: PanelPage,
    /// What is logged.
    pub log: Log,
    /// What is allowed and unwise, in words for the person who wrote the file.
    pub warnings: Vec<String>,
}

/// What of a box does not depend on its meetings: it is there before the box is set up, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Housing {
    /// The name others see.
    pub name: String,
    /// The board's id.
    pub board: String,
    /// Pictures out.
    pub screen: ScreenSetting,
    /// The front-panel page.
    pub panel_page: PanelPage,
    /// What is logged.
    pub log: Log,
}

/// The meeting service and how to get in.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its address.
    pub server: ServerUrl,
    /// Whom to believe that it is the service.
    pub trust: Trust,
    /// What opens the door.
    pub tokens: TokenSource,
    /// The room to enter at the start; the token's word where there is a token. `None`: the box waits outside.
    pub room: Option<String>,
    /// This participant, unique in the room; the token's word where there is a token.
    pub identity: String,
    /// The user allows signalling without TLS on the LAN; every status view says so.
    pub insecure_lan: bool,
}

impl Service {
    /// What the signalling client needs.
    pub fn signalling(&self) -> livekit::Config {
        livekit::Config {
            server: self.server.clone(),
            trust: self.trust.clone(),
            tokens: self.tokens.clone(),
            client: livekit::Client::default(),
        }
    }
}

/// Keys, and what they are required for (a foreign room: keys by the app).
#[derive(Clone, Debug, Default)]
pub struct E2ee {
    /// `true`: send sealed only, play only what opens. `false`: send clear, play both.
    pub required: bool,
    /// Keys by participant.
    pub keys: Keys,
    /// Where the shared key came from, to pass it on in an invitation.
    pub shared_file: Option<KeyFile>,
}

/// A reference to the file (or systemd credential) of a key, from the working directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// A passphrase.
    Passphrase(String),
    /// A raw key in hexadecimal digits.
    RawHex(String),
}

/// The keys of a foreign room, derived as LiveKit derives them.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The index that own frames carry.
    pub index: KeyIndex,
    /// The key of everybody without one of their own.
    pub shared: Option<FrameKey>,
    /// Keys of single participants, by identity.
    pub participants: BTreeMap<String, FrameKey>,
}

impl Keys {
    /// The key that `identity` seals with.
    pub fn of(&self, identity: &str) -> Option<&FrameKey> {
        self.participants.get(identity).or(self.shared.as_ref())
    }

    /// The ring that opens frames of `identity`.
    pub fn ring(&self, identity: &str) -> KeyRing {
        let mut ring = KeyRing::new();
        if let Some(key) = self.of(identity) {
            ring.set(self.index, key.clone());
        }
        ring
    }

    /// Whether there is any key at all.
    pub fn is_empty(&self) -> bool {
        self.shared.is_none() && self.participants.is_empty()
    }
}

/// A Roomseal meeting, by its link or by its room code.
#[derive(Clone, Debug)]
pub struct RoomsealMeeting {
    /// Its room.
    pub room: RoomName,
    /// The invitation; `None`: only the room is known, and who may be a host is not checked.
    pub link: Option<Link>,
    /// The secret of link or passphrase; `None` as long as nobody has given it.
    pub secret: Option<roomseal_e2ee::Secret>,
    /// Somebody has given it in place of the one that the link would have had, or of the service's.
    pub entered: bool,
    /// Whether a host that finds nobody there begins with encryption on.
    pub begin: policy::E2ee,
    /// Stay sealed, and play sealed only, also while the host has encryption off.
    pub require_e2ee: bool,
}

impl RoomsealMeeting {
    /// Who has the secret: the service, where the link leaves it to it and nobody has given another.
    pub fn key_model(&self) -> KeyModel {
        match self.link.as_ref().map(Link::secret) {
            Some(SecretSource::Service) if !self.entered => KeyModel::Server,
            None
            | Some(SecretSource::Link(_) | SecretSource::Passphrase | SecretSource::Service) => {
                KeyModel::User
            }
        }
    }
}

/// How the box makes and enters meetings that people ask for.
#[derive(Clone, Debug)]
pub struct Meetings {
    /// What stands before `/j/` in the links that are made here.
    pub origin: Origin,
    /// A press outside of a meeting makes one.
    pub button_starts: bool,
    /// Stay sealed, and play sealed only, also while the host has encryption off.
    pub require_e2ee: bool,
}

/// Pictures in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraSetting {
    /// Where they come from.
    pub source: Camera,
    /// The codec to send; `None`: what the board does best and everybody decodes.
    pub codec: Option<VideoCodec>,
    /// Less than the board's budget allows; `None`: the budget.
    pub limit: PictureLimit,
}

/// A video codec that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    /// H.264, constrained baseline.
    H264,
    /// VP8.
    Vp8,
}

/// Upper limits below the board's media budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureLimit {
    /// Pixels, even.
    pub width: Option<u32>,
    /// Pixels, even.
    pub height: Option<u32>,
    /// Frames per second.
    pub framerate: Option<u32>,
    /// Kilobits per second.
    pub bitrate_kbps: Option<u32>,
}

/// Sound in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicrophoneSetting {
    /// Where it comes from.
    pub source: Microphone,
    /// Kilobits per second.
    pub bitrate_kbps: u32,
    /// Start muted.
    pub muted: bool,
}

/// Sound out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerSetting {
    /// Where it goes.
    pub sink: Speaker,
    /// Take the loudspeaker out of what the microphone hears.
    pub echo_cancellation: bool,
}

/// Pictures out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScreenSetting {
    /// Where they go.
    pub sink: Screen,
    /// Fewer tiles than the board affords; `None`: as many as it affords.
    pub tiles: Option<u32>,
}

/// What is kept of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// A directory for one MKV per remote participant; `None`: nothing is recorded.
    pub directory: Option<PathBuf>,
    /// A PNG of each remote picture this often; needs a directory.
    pub snapshots: Option<Duration>,
}

/// The front-panel page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelPage {
    /// Where it listens.
    pub listen: Listen,
    /// Whether that was asked for: then the box does not start without it.
    pub required: bool,
    /// Where it listens for devices on the network, over TLS.
    pub network: Network,
    /// Names that the box is reached by there, beside its own.
    pub names: Vec<String>,
    /// The certificate to show there; `None`: one that the box makes for itself.
    pub certificate: Option<CertificateFiles>,
    /// What signs in there beside pairing codes.
    pub password: Option<PagePassword>,
}

/// A TLS certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM: the certificate, then its issuers.
    pub certificate: PathBuf,
    /// PEM: its private key, for its owner only.
    pub key: PathBuf,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Everything from this level up.
    pub level: tracing::Level,
    /// How a line looks.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: tracing::Level::INFO,
            format: LogFormat::Auto,
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `journal` when standard error goes to journald, otherwise `text`.
    Auto,
    /// With journald's priority prefix.
    Journal,
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file says something that cannot be.
    #[error(transparent)]
    File(#[from] FileError),
    /// An option of the command line says something that cannot be.
    #[error("{option}: {problem}; {advice}")]
    Option {
        /// The option as typed.
        option: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do next.
        advice: String,
    },
    /// The file cannot be read.
    #[error("{}: cannot read the configuration: {source}; name a file with --config", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A setting without default is given nowhere.
    #[error("{place}: {key} is missing; add it to [service] in the file, or give {option}")]
    Missing {
        /// The file, or what stands in its place.
        place: String,
        /// Its key in `[service]`.
        key: &'static str,
        /// The option that does the same.
        option: &'static str,
    },
}

impl Housing {
    /// Of a box that is not set up yet, as the command line has it. Unless it says otherwise, the page is on every network
    /// of this machine: who is to answer there has nothing but a telephone.
    ///
    /// # Errors
    /// What is wrong with an option.
    pub fn before_set_up(overrides: &Overrides) -> Result<Self, ConfigError> {
        resolve::housing(overrides)
    }
}

impl Config {
    /// What of it does not depend on meetings.
    pub fn housing(&self) -> Housing {
        Housing {
            name: self.name.clone(),
            board: self.board.clone(),
            screen: self.screen.clone(),
            panel_page: self.panel_page.clone(),
            log: self.log,
        }
    }

    /// Reads `path` and puts the command line over it. Without a path, the installed file is read if it is there;
    /// if not, the command line alone has to say enough.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and what to do.
    pub fn load(path: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let installed = Path::new(INSTALLED);
        let path = match path {
            Some(path) => path,
            None if installed.exists() => installed,
            None => {
                return resolve::resolve(
                    &resolve::Text {
                        path: "command line",
                        text: "",
                        base: Path::new("."),
                        held: None,
                    },
                    overrides,
                );
            }
        };
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&path.display().to_string(), &text, base, overrides)
    }

    /// What the command line alone says, with the secrets an invitation brought.
    pub(crate) fn invited(overrides: &Overrides, held: &Held) -> Result<Self, ConfigError> {
        resolve::resolve(
            &resolve::Text {
                path: "invitation",
                text: "",
                base: Path::new("."),
                held: Some(held),
            },
            overrides,
        )
    }

    /// Checks the text of a configuration file; relative paths in it start at `base`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(
        path: &str,
        text: &str,
        base: &Path,
        overrides: &Overrides,
    ) -> Result<Self, ConfigError> {
        resolve::resolve(
            &resolve::Text {
                path,
                text,
                base,
                held: None,
            },
            overrides,
        )
    }
}
