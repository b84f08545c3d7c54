// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal run`: the box in its meeting.

use std::path::{Path, PathBuf};

use roomseal_panel::Board;

use super::{Begin, Failure, PanelPlaces, Prepared, Unprovisioned};
use crate::config::{Config, Housing, Overrides};
use crate::lamp;
use crate::provisioning::Folder;
use crate::status::socket;

/// Arguments of `roomseal run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Options stand over the configuration file. Without a file, they have to say enough:

  roomseal run --url ws://127.0.0.1:7880 --room lobby --api-key devkey \\
      --api-secret-file api-secret --passphrase-file passphrase --camera file:clip.mp4")]
pub struct RunArgs {
    /// Configuration file [default: /etc/roomseal/roomseal.toml if it is there]
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of a box that is set up on its page or by `roomseal provision`; as long as nothing is in it, the box waits for that
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    pub provisioned: Option<PathBuf>,
    /// Directory of board files
    #[arg(long, value_name = "DIR", default_value = roomseal_panel::board::INSTALLED)]
    pub board_dir: PathBuf,
    /// Unix socket for `roomseal status` [default: in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/roomseal]
    #[arg(long, value_name = "FILE")]
    pub status_socket: Option<PathBuf>,
    /// Socket of `roomseal lamp` [default: lamp.sock in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/roomseal]
    #[arg(long, value_name = "FILE")]
    pub lamp_socket: Option<PathBuf>,
    /// Start `roomseal lamp` as well, and end it with the box: for a PC, where it is no service of its own
    #[arg(long)]
    pub with_lamp: bool,
    /// Folder of the simulated panel [default: panel in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/roomseal]
    #[arg(long, value_name = "DIR")]
    pub panel_dir: Option<PathBuf>,
    /// Options over the file.
    #[command(flatten)]
    pub overrides: Overrides,
}

impl RunArgs {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn prepare(&self) -> Result<Prepared, Failure> {
        let (housing, begin) = self.begin()?;
        let board = Board::load(&housing.board, &self.board_dir)?;
        Ok(Prepared {
            housing,
            begin,
            board,
            status_socket: self.status_socket.clone().or_else(socket::default_path),
            status_socket_required: self.status_socket.is_some(),
            duration: None,
            waits: true,
            panel: Some(PanelPlaces {
                lamp: self.lamp_socket.clone().or_else(lamp::default_path),
                start_lamp: self.with_lamp.then(|| self.board_dir.clone()),
                simulated: self.panel_dir.clone().or_else(lamp::default_panel),
            }),
        })
    }
}

impl RunArgs {
    /// The configuration, or what there is without one.
    fn begin(&self) -> Result<(Housing, Begin), Failure> {
        let folder = self.provisioned.as_deref().map(Folder::at);
        let config = match folder {
            Some(folder) if !folder.is_set_up() => {
                let housing = Housing::before_set_up(&self.overrides)?;
                let overrides = self.overrides.clone();
                return Ok((
                    housing,
                    Begin::SetUp(Box::new(Unprovisioned { folder, overrides })),
                ));
            }
            Some(folder) => Some(folder.config()),
            None => self.config.clone(),
        };
        let config = Config::load(config.as_deref(), &self.overrides)?;
        Ok((config.housing(), Begin::Meet(Box::new(config))))
    }
}

/// Configuration and board, checked.
pub(super) fn load(
    config: Option<&Path>,
    board_dir: &Path,
    overrides: &Overrides,
) -> Result<(Config, Board), Failure> {
    let config = Config::load(config, overrides)?;
    let board = Board::load(&config.board, board_dir)?;
    Ok((config, board))
}
