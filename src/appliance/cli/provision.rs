// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal provision`: takes over what a person wrote on the boot partition.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::Failure;
use crate::provisioning::{self, BringError, Brought, Folder};
use crate::text::plain;

/// Arguments of `roomseal provision`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is a configuration in which secrets may stand themselves. All of it is checked before anything changes; its secrets
are moved to the box's own folder (mode 0600) and taken out of the file. What came of it is written beside it, into a file that
ends in .result.txt. Without such a file, nothing is done: a box that is not set up waits for somebody at its page.

  roomseal provision --print-sample > roomseal.toml
  roomseal provision --from /boot/firmware/roomseal.toml --state /var/lib/roomseal")]
pub struct ProvisionArgs {
    /// The file
    #[arg(long, value_name = "FILE", required_unless_present = "print_sample")]
    from: Option<PathBuf>,
    /// Folder that the box keeps its configuration in, as `roomseal run --provisioned` has it
    #[arg(long, value_name = "DIR", required_unless_present = "print_sample")]
    state: Option<PathBuf>,
    /// Print the commented sample instead
    #[arg(long)]
    print_sample: bool,
}

impl ProvisionArgs {
    /// Takes it over.
    ///
    /// # Errors
    /// What is wrong with it, by its line; then nothing has changed.
    pub fn run(&self) -> Result<(), Failure> {
        if self.print_sample {
            print!("{}", provisioning::SAMPLE);
            return Ok(());
        }
        let (Some(from), Some(state)) = (&self.from, &self.state) else {
            return Err(Failure::Usage("give both --from and --state".to_owned()));
        };
        if !from.exists() {
            println!("{}: there is none, so nothing was done", from.display());
            return Ok(());
        }
        let brought = provisioning::bring(from, &Folder::at(state));
        let text = match &brought {
            Ok(brought) => good(brought),
            Err(error) => format!("NOT taken over, nothing has changed:\n{error}\n"),
        };
        // Who carries the card back reads it there; the answer below is for the journal.
        if let Err(error) = write_result(from, &text) {
            eprintln!(
                "roomseal: the result cannot be written beside {}: {error}",
                from.display()
            );
        }
        match brought {
            Ok(_) => {
                print!("{text}");
                Ok(())
            }
            Err(BringError::Config(error)) => Err(error.into()),
            Err(error) => Err(anyhow!("{error}").into()),
        }
    }
}

/// What was taken over, without secrets.
fn good(brought: &Brought) -> String {
    let config = &brought.config;
    let mut text = if brought.is_known {
        "known already, nothing has changed:\n".to_owned()
    } else {
        "taken over:\n".to_owned()
    };
    let server = &config.service.server;
    let lines = [
        format!("name: {}", plain(&config.name)),
        format!("board: {}", plain(&config.board)),
        format!("meeting service: {}:{}", server.host(), server.port()),
    ];
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    for key in &brought.moved {
        text.push_str(&format!(
            "moved to the box and taken out of the file: {key}\n"
        ));
    }
    for warning in &config.warnings {
        text.push_str(&format!("warning: {}\n", plain(warning)));
    }
    text
}

/// Unless it says that already: a card is not written at every start.
fn write_result(from: &Path, text: &str) -> std::io::Result<()> {
    let file = from.with_extension("result.txt");
    if std::fs::read_to_string(&file).is_ok_and(|before| before == text) {
        return Ok(());
    }
    provisioning::replace(&file, text)
}
