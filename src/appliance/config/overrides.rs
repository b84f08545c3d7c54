// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of the command line that stand over the configuration file.

use std::path::PathBuf;

use super::listen::{Listen, Network};
use super::source::{Camera, Microphone, Screen, Speaker};

/// Options of the command line that stand over the configuration file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Meeting service, like wss://meet.example.org (ws:// only on this machine, or with --insecure-lan)
    #[arg(long, value_name = "URL", help_heading = "Meeting")]
    pub url: Option<String>,
    /// Room to join
    #[arg(long, help_heading = "Meeting")]
    pub room: Option<String>,
    /// Who this is for the service; has to be unique in the room
    #[arg(long, value_name = "ID", help_heading = "Meeting")]
    pub identity: Option<String>,
    /// Name that others see
    #[arg(long, help_heading = "Meeting")]
    pub name: Option<String>,
    /// File (mode 0600) with a LiveKit token
    #[arg(long, value_name = "FILE", help_heading = "Meeting", conflicts_with_all = ["api_key", "api_secret_file"])]
    pub token_file: Option<String>,
    /// API key of the service; tokens are then made here
    #[arg(long, value_name = "KEY", help_heading = "Meeting")]
    pub api_key: Option<String>,
    /// File (mode 0600) with the secret of that API key
    #[arg(long, value_name = "FILE", help_heading = "Meeting")]
    pub api_secret_file: Option<String>,
    /// Allow ws:// beyond this machine; every status view shows it
    #[arg(long, help_heading = "Meeting")]
    pub insecure_lan: bool,
    /// PEM file of certificate authorities to believe beside those of the system
    #[arg(long, value_name = "FILE", help_heading = "Meeting")]
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the service's certificate (64 hex digits); then only this one is believed
    #[arg(long, value_name = "HEX", help_heading = "Meeting")]
    pub certificate_sha256: Option<String>,
    /// File (mode 0600) with the link of a Roomseal meeting
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Keys",
        conflicts_with_all = ["key_hex_file", "key_index", "no_e2ee"]
    )]
    pub link_file: Option<String>,
    /// File (mode 0600) with the passphrase of the meeting
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Keys",
        conflicts_with = "key_hex_file"
    )]
    pub passphrase_file: Option<String>,
    /// File (mode 0600) with the raw key of the meeting in hexadecimal digits
    #[arg(long, value_name = "FILE", help_heading = "Keys")]
    pub key_hex_file: Option<String>,
    /// Index of the key in LiveKit's key ring, 0 to 15
    #[arg(long, value_name = "N", help_heading = "Keys", value_parser = clap::value_parser!(u8).range(0..=15))]
    pub key_index: Option<u8>,
    /// Send clear and play clear: end-to-end encryption is not required
    #[arg(long, help_heading = "Keys")]
    pub no_e2ee: bool,
    /// Where pictures come from.
    #[arg(
        help = "Where pictures come from: auto, test, none, file:PATH, v4l2[:DEVICE], libcamera[:NAME], pipewire[:TARGET]",
        long,
        value_name = "SOURCE",
        help_heading = "Media"
    )]
    pub camera: Option<Camera>,
    /// Where sound comes from.
    #[arg(
        help = "Where sound comes from: auto, test, none, file:PATH, alsa[:DEVICE], pipewire[:TARGET]",
        long,
        value_name = "SOURCE",
        help_heading = "Media"
    )]
    pub microphone: Option<Microphone>,
    /// Where sound goes.
    #[arg(
        help = "Where sound goes: auto, none, file:PATH (WAV), alsa[:DEVICE], pipewire[:TARGET]",
        long,
        value_name = "SINK",
        help_heading = "Media"
    )]
    pub speaker: Option<Speaker>,
    /// Where pictures go: auto, none, kms, wayland, window, file:PATH (a PNG)
    #[arg(long, value_name = "SINK", help_heading = "Media")]
    pub screen: Option<Screen>,
    /// Directory for one MKV recording per remote participant
    #[arg(long, value_name = "DIR", help_heading = "Media")]
    pub record: Option<PathBuf>,
    /// Write a PNG of each remote picture this often (needs --record)
    #[arg(long, value_name = "SECONDS", help_heading = "Media", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub snapshots: Option<u64>,
    /// Where the front-panel page listens: 127.0.0.1:PORT, or none
    #[arg(long, value_name = "ADDRESS", help_heading = "Other")]
    pub panel_page: Option<Listen>,
    /// Where the page is served over TLS for paired devices, like 0.0.0.0:8443, or none
    #[arg(long, value_name = "ADDRESS", help_heading = "Other")]
    pub panel_network: Option<Network>,
    /// File (mode 0600) that `roomseal page-password` wrote, for the page on the network
    #[arg(long, value_name = "FILE", help_heading = "Other")]
    pub panel_password_file: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", help_heading = "Other")]
    pub log_level: Option<tracing::Level>,
    /// Id of the board
    #[arg(long, value_name = "ID", help_heading = "Other")]
    pub board: Option<String>,
}
