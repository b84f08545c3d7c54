// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal new-host`: whoever keeps a meeting's own key makes somebody else a host of it.

use std::path::PathBuf;

use anyhow::anyhow;
use roomseal_policy::{HostNameError, KeySeed, Link};
use zeroize::Zeroizing;

use super::Failure;
use super::new_meeting::{GUEST_FILE, KEY_FILE, host_file, write_host};
use crate::new_meeting::NewMeeting;
use crate::secret::{self, Secret};

/// Arguments of `roomseal new-host`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The directory is the one that `roomseal new-meeting --keep-key` wrote. Nobody who is in the meeting needs to be told: a
host's certificate comes with what the host decides.

  roomseal new-host --meeting meeting --host Carol
  roomseal run --link-file meeting/host-2.link")]
pub struct NewHostArgs {
    /// Directory of the meeting, with its key and its guest link
    #[arg(long, value_name = "DIR")]
    pub meeting: PathBuf,
    /// Names of the new hosts, one host link each
    #[arg(long = "host", value_name = "NAME", required = true)]
    pub hosts: Vec<String>,
}

impl NewHostArgs {
    /// Writes the links.
    ///
    /// # Errors
    /// A name that no host can have; a file that is not there, is not what it should be, or cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let key = secret::read(KEY_FILE, &self.meeting)?;
        let key = seed(&key).ok_or_else(|| {
            anyhow!(
                "{} holds no meeting's key: take the one that `roomseal new-meeting --keep-key` wrote",
                self.meeting.join(KEY_FILE).display()
            )
        })?;
        let guest = secret::read(GUEST_FILE, &self.meeting)?;
        let guest = Link::parse(guest.expose_text().unwrap_or_default())
            .map_err(|error| anyhow!("{}: {error}", self.meeting.join(GUEST_FILE).display()))?;
        let meeting = NewMeeting::kept(key, guest)?;
        for name in &self.hosts {
            let name = name
                .parse()
                .map_err(|error: HostNameError| Failure::Usage(error.to_string()))?;
            let grant = meeting.grant(&name)?;
            let free = (1..)
                .find(|number| !self.meeting.join(host_file(*number)).exists())
                .unwrap_or(usize::MAX);
            write_host(&self.meeting, &meeting, grant, free)?;
        }
        Ok(())
    }
}

/// The meeting's key from its file: 64 hexadecimal digits.
fn seed(file: &Secret) -> Option<KeySeed> {
    let bytes = file.decode_hex()?;
    let bytes: [u8; 32] = bytes.expose().try_into().ok()?;
    KeySeed::new(Zeroizing::new(bytes)).ok()
}
