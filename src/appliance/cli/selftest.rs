// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal selftest`: what a part of this machine really does, for people and for reports from hardware.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Subcommand;
use roomseal_media::encoder::selftest::{self, SelftestOptions};
use roomseal_panel::Board;

use super::Failure;
use crate::config::Log;
use crate::logging;

/// Arguments of `roomseal selftest`.
#[derive(Debug, clap::Args)]
pub struct SelftestArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Record some seconds with every video encoder of the board and measure it
    Encoder(EncoderArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints SPS and VUI, slice types, the delay of a forced key frame, and what a bit-rate step does: what we need to know
about hardware we have not got. Ends with 1 when no encoder does what a call needs.

  roomseal selftest encoder --board sim --json > report.json")]
struct EncoderArgs {
    /// Id of the board
    #[arg(long, value_name = "ID", default_value = "sim")]
    board: String,
    /// Directory of board files
    #[arg(long, value_name = "DIR", default_value = roomseal_panel::board::INSTALLED)]
    board_dir: PathBuf,
    /// Only this encoder, by its element's name
    #[arg(long, value_name = "ELEMENT")]
    encoder: Option<String>,
    /// How long each encoder records
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(4..=600))]
    seconds: u64,
    /// Keep the recordings in this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl SelftestArgs {
    /// Tests and prints the report.
    ///
    /// # Errors
    /// When the test cannot be made, or nothing passes.
    pub fn run(&self) -> Result<(), Failure> {
        logging::start(&Log::default());
        match &self.part {
            Part::Encoder(args) => args.run(),
        }
    }
}

impl EncoderArgs {
    fn run(&self) -> Result<(), Failure> {
        let board = Board::load(&self.board, &self.board_dir)?;
        let report = selftest::run(&SelftestOptions {
            encoder: self.encoder.clone(),
            order: board.media.encoders.clone(),
            budget: crate::budget::of(&board),
            length: Duration::from_secs(self.seconds),
            recordings: self.out.clone(),
        })
        .map_err(anyhow::Error::from)?;
        if self.json {
            let text = serde_json::to_string(&report).context("the report cannot be written")?;
            println!("{text}");
        } else {
            print!("{report}");
        }
        if report.passed() {
            Ok(())
        } else {
            Err(anyhow!("no encoder does what a call needs; the report says why").into())
        }
    }
}
