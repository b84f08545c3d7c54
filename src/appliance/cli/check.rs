// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal check-config`: what the box would do, without doing it.

use std::path::PathBuf;

use roomseal_service::livekit::TokenSource;

use super::{Failure, run};
use crate::config::{Config, Overrides, SAMPLE};
use crate::text::plain;

/// Arguments of `roomseal check-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 3 and file:line:column of the first fault. A commented sample of all keys:

  roomseal check-config --print-sample > roomseal.toml")]
pub struct CheckArgs {
    /// Configuration file [default: /etc/roomseal/roomseal.toml if it is there]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of board files
    #[arg(long, value_name = "DIR", default_value = roomseal_panel::board::INSTALLED)]
    board_dir: PathBuf,
    /// Print the commented sample instead
    #[arg(long)]
    print_sample: bool,
    #[command(flatten)]
    overrides: Overrides,
}

impl CheckArgs {
    /// Checks, and says what was understood.
    ///
    /// # Errors
    /// The first fault.
    pub fn run(&self) -> Result<(), Failure> {
        if self.print_sample {
            print!("{SAMPLE}");
            return Ok(());
        }
        let (config, board) = run::load(self.config.as_deref(), &self.board_dir, &self.overrides)?;
        print!("{}", summary(&config));
        println!("board: {} ({})", plain(&board.name), board.id);
        for warning in &config.warnings {
            println!("warning: {}", plain(warning));
        }
        println!("the configuration is good");
        Ok(())
    }
}

/// What was understood, without secrets.
fn summary(config: &Config) -> String {
    let service = &config.service;
    let access = match &service.tokens {
        TokenSource::Given(_) => "a token".to_owned(),
        TokenSource::Minted(mint) => format!("the API key {}", plain(&mint.api_key)),
    };
    let keys = match (
        &config.e2ee.keys.shared,
        config.e2ee.keys.participants.len(),
    ) {
        (None, 0) => "no key".to_owned(),
        (Some(_), 0) => "one key for all".to_owned(),
        (None, own) => format!("{own} participants with keys of their own"),
        (Some(_), own) => format!("one key for all but {own} with keys of their own"),
    };
    let required = if config.e2ee.required {
        "required"
    } else {
        "NOT REQUIRED"
    };
    let lan = if service.insecure_lan {
        " (signalling NOT PROTECTED on the network: insecure-lan)"
    } else {
        ""
    };
    let room = match &service.room {
        Some(room) => format!("room {}", plain(room)),
        None => "no room before somebody asks for it,".to_owned(),
    };
    format!(
        "joins: {room} at {}{lan} as {} ({}), with {access}\nend-to-end encryption: {required}, {keys}, key index {}\n",
        service.server,
        plain(&service.identity),
        plain(&config.name),
        config.e2ee.keys.index,
    )
}
