// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal page-password`: the password of the page on the network, kept as a hash.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};

use super::Failure;
use super::order::typed;
use crate::password::PagePassword;
use crate::secret;

/// Arguments of `roomseal page-password`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The password is asked for twice without being shown, or read from a pipe; never give it as an argument, where every user
of this machine sees it. The file (mode 0600) gets its Argon2id hash. Name it as password-file in [panel-page] or with
--panel-password-file, and start the box anew.

Who knows the password may use the page on the network without a pairing code. Who was paired by a code and knows the
password can sign in as host there: such a device may also turn encryption off and end the meeting.")]
pub struct PagePasswordArgs {
    /// File to write; a password that is in it is replaced
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
}

impl PagePasswordArgs {
    /// Writes the file.
    ///
    /// # Errors
    /// When no password is given, it is too short or mistyped, or the file cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let first = typed("New password of the page: ", "password")?;
        if io::stdin().is_terminal() {
            let again = typed("The same again: ", "password")?;
            if first.expose() != again.expose() {
                return Err(anyhow!("these are two passwords; nothing has changed").into());
            }
        }
        let text = first.expose_text();
        let text = text.ok_or_else(|| anyhow!("that is no text; nothing has changed"))?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let password = PagePassword::new(text, salt).map_err(anyhow::Error::from)?;
        secret::keep(&self.out, &format!("{}\n", password.expose()))
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        println!(
            "{}: name it as password-file in [panel-page], and start the box anew",
            self.out.display()
        );
        Ok(())
    }
}
