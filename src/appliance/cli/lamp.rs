// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal lamp`: the process that owns the lamps.

use std::path::PathBuf;

use anyhow::anyhow;
use roomseal_panel::Board;
use roomseal_panel::drive::Places;

use super::Failure;
use crate::config::Log;
use crate::{lamp, logging};

/// Arguments of `roomseal lamp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The lamps burn only while the box renews what they show: 1.5 s after the last renewal they are dark, also if the box
hangs, was stopped or killed. Run this as a service of its own; where it is killed itself, `roomseal lamp --off`
darkens what it left.")]
pub struct LampArgs {
    /// Board, as in the configuration
    #[arg(long, value_name = "ID")]
    board: String,
    /// Directory of board files
    #[arg(long, value_name = "DIR", default_value = roomseal_panel::board::INSTALLED)]
    board_dir: PathBuf,
    /// Where the box finds this process [default: lamp.sock in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/roomseal]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// Folder of the simulated panel [default: panel in $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR/roomseal]
    #[arg(long, value_name = "DIR")]
    panel_dir: Option<PathBuf>,
    /// Number of a user, besides root and the own one, whose box is listened to (may be repeated)
    #[arg(long, value_name = "UID")]
    user: Vec<u32>,
    /// Darken every lamp and end
    #[arg(long)]
    off: bool,
    /// End when standard input ends
    #[arg(long, hide = true)]
    with_input: bool,
}

impl LampArgs {
    /// Owns the lamps until a signal comes.
    ///
    /// # Errors
    /// When the board is faulty or the socket cannot be had.
    pub fn run(self) -> Result<(), Failure> {
        let board = Board::load(&self.board, &self.board_dir)?;
        logging::start(&Log {
            // Beside the box on one terminal, only what goes wrong is worth a line.
            level: if self.with_input {
                tracing::Level::WARN
            } else {
                tracing::Level::INFO
            },
            ..Log::default()
        });
        let places = Places::linux(self.panel_dir.or_else(lamp::default_panel));
        if self.off {
            return Ok(lamp::process::off(&board, places)?);
        }
        let socket = self.socket.or_else(lamp::default_path).ok_or_else(|| {
            anyhow!("no place for a socket: set XDG_RUNTIME_DIR, or name one with --socket")
        })?;
        Ok(lamp::process::run(lamp::process::Setup {
            board,
            places,
            socket,
            users: self.user,
            with_input: self.with_input,
        })?)
    }
}
