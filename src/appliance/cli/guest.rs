// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal guest`: a participant without camera, microphone, screen and loudspeaker, who tells what arrives.

use std::path::PathBuf;
use std::time::Duration;

use roomseal_panel::Board;

use super::{Begin, Failure, Prepared, invite};
use crate::config::{
    Camera, Config, ConfigError, Held, Listen, Microphone, Overrides, Screen, Speaker,
};

/// Arguments of `roomseal guest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Says who is there, and for every track whether it verifies and why not. Examples:

  roomseal guest --invite guest.invite --record recordings --snapshots 2

  roomseal guest --url ws://127.0.0.1:7880 --room lobby --api-key devkey \\
      --api-secret-file api-secret --passphrase-file passphrase

Without a key it joins all the same, and opens nothing.")]
pub struct GuestArgs {
    /// Invitation that `roomseal invite` wrote (mode 0600); - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub invite: Option<String>,
    /// Send this media file in a loop, pictures and sound
    #[arg(long, value_name = "CLIP", conflicts_with_all = ["camera", "microphone"])]
    pub publish: Option<PathBuf>,
    /// Leave after this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub duration: Option<u64>,
    /// Directory of board files
    #[arg(long, value_name = "DIR", default_value = roomseal_panel::board::INSTALLED)]
    pub board_dir: PathBuf,
    /// Answer `roomseal status --socket FILE` here
    #[arg(long, value_name = "FILE")]
    pub status_socket: Option<PathBuf>,
    /// Options over the invitation.
    #[command(flatten)]
    pub overrides: Overrides,
}

impl GuestArgs {
    /// Reads and checks everything. The configuration of the box on the same machine is not read.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn prepare(&self) -> Result<Prepared, Failure> {
        let mut overrides = self.overrides.clone();
        let mut held = Held::default();
        if let Some(file) = &self.invite {
            held = invite::read(file)?.fill(&mut overrides)?;
        }
        if let Some(clip) = &self.publish {
            overrides.camera = Some(Camera::File(clip.clone()));
            overrides.microphone = Some(Microphone::File(clip.clone()));
        }
        overrides.camera.get_or_insert(Camera::None);
        overrides.microphone.get_or_insert(Microphone::None);
        overrides.speaker.get_or_insert(Speaker::None);
        overrides.screen.get_or_insert(Screen::None);
        overrides.panel_page.get_or_insert(Listen::None);
        if overrides.identity.is_none() {
            overrides.identity = Some(invite::fresh_identity()?);
        }
        overrides.name.get_or_insert_with(|| "Guest".to_owned());
        let config = Config::invited(&overrides, &held)?;
        if config.service.room.is_none() {
            return Err(ConfigError::Missing {
                place: "command line".to_owned(),
                key: "room",
                option: "--room, or --link-file",
            }
            .into());
        }
        let board = Board::load(&config.board, &self.board_dir)?;
        Ok(Prepared {
            housing: config.housing(),
            begin: Begin::Meet(Box::new(config)),
            board,
            status_socket: self.status_socket.clone(),
            status_socket_required: self.status_socket.is_some(),
            duration: self.duration.map(Duration::from_secs),
            waits: false,
            panel: None,
        })
    }
}
