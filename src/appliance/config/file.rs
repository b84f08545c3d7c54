// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shape of the configuration file, before anything in it is believed.

use serde::Deserialize;
use toml::Spanned;

use super::LogFormat;
use super::listen::{Listen, Network};
use super::source::{Camera, Microphone, Screen, Speaker};

/// A value with its place, if it is given.
pub(super) type Given<T> = Option<Spanned<T>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    #[serde(rename = "box")]
    pub(super) device: Device,
    pub(super) service: Service,
    pub(super) e2ee: E2ee,
    pub(super) meeting: Meeting,
    pub(super) camera: CameraTable,
    pub(super) microphone: MicrophoneTable,
    pub(super) speaker: SpeakerTable,
    pub(super) screen: ScreenTable,
    pub(super) recording: RecordingTable,
    #[serde(rename = "panel-page")]
    pub(super) panel_page: PanelPageTable,
    pub(super) log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Device {
    pub(super) name: Given<String>,
    pub(super) board: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Service {
    pub(super) url: Given<String>,
    pub(super) room: Given<String>,
    pub(super) identity: Given<String>,
    pub(super) token_file: Given<String>,
    pub(super) api_key: Given<String>,
    pub(super) api_secret_file: Given<String>,
    #[serde(alias = "insecure_lan")]
    pub(super) insecure_lan: bool,
    pub(super) ca_file: Given<String>,
    pub(super) certificate_sha256: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct E2ee {
    pub(super) required: Given<bool>,
    pub(super) passphrase_file: Given<String>,
    pub(super) raw_key_hex_file: Given<String>,
    pub(super) key_index: Given<u8>,
    pub(super) participant: Vec<Participant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Participant {
    pub(super) identity: Spanned<String>,
    #[serde(default)]
    pub(super) passphrase_file: Given<String>,
    #[serde(default)]
    pub(super) raw_key_hex_file: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Meeting {
    pub(super) link_file: Given<String>,
    pub(super) passphrase_file: Given<String>,
    pub(super) begin: Given<Begin>,
    pub(super) require_e2ee: bool,
    pub(super) link_origin: Given<String>,
    pub(super) button_starts: Given<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Begin {
    On,
    Off,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct CameraTable {
    pub(super) source: Given<Camera>,
    pub(super) codec: Given<Codec>,
    pub(super) width: Given<u32>,
    pub(super) height: Given<u32>,
    pub(super) framerate: Given<u32>,
    pub(super) bitrate_kbps: Given<u32>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Codec {
    Auto,
    H264,
    Vp8,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct MicrophoneTable {
    pub(super) source: Given<Microphone>,
    pub(super) bitrate_kbps: Given<u32>,
    pub(super) muted: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct SpeakerTable {
    pub(super) sink: Given<Speaker>,
    pub(super) echo_cancellation: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScreenTable {
    pub(super) sink: Given<Screen>,
    pub(super) tiles: Given<u32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct RecordingTable {
    pub(super) directory: Given<String>,
    pub(super) snapshot_seconds: Given<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct PanelPageTable {
    pub(super) listen: Given<Listen>,
    pub(super) network: Given<Network>,
    pub(super) names: Vec<Spanned<String>>,
    pub(super) certificate_file: Given<String>,
    pub(super) key_file: Given<String>,
    pub(super) password_file: Given<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogTable {
    pub(super) level: Given<Level>,
    pub(super) format: Option<LogFormat>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
