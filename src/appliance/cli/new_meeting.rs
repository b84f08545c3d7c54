// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal new-meeting`: the secret, the keys and the links of a meeting, made on this machine and nowhere else.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use roomseal_policy::{
    Certificate, E2ee, HostGrant, HostKey, HostName, KeySeed, Link, LinkSecret, MeetingKey,
    MeetingPassphrase, Origin, RoomName, SecretSource, UnusableSeed,
};
use zeroize::Zeroizing;

use super::Failure;

/// Arguments of `roomseal new-meeting`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes host.link and guest.link (mode 0600). Whoever has the guest link can read the meeting; whoever has the host link
can also turn encryption on and off. The meeting's own key is not kept: who shall be a host needs a host link from here.

  roomseal new-meeting --room lobby --origin https://meet.example.org --into meeting
  roomseal run --link-file meeting/host.link
  roomseal guest --link-file meeting/guest.link")]
pub struct NewMeetingArgs {
    /// Room: lower-case letters, digits and hyphens
    #[arg(long)]
    pub room: String,
    /// Where the meeting is: what stands before /j/ in its links
    #[arg(long, value_name = "URL")]
    pub origin: String,
    /// Directory for the links; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Names of the hosts, one host link each
    #[arg(long = "host", value_name = "NAME", default_value = "Host")]
    pub hosts: Vec<String>,
    /// Do not announce the meeting as sealed: a guest alone with the host then believes that encryption is off
    #[arg(long)]
    pub announce_off: bool,
    /// Six words instead of a secret in the link, to be told to people; written to the file passphrase
    #[arg(long)]
    pub passphrase: bool,
}

impl NewMeetingArgs {
    /// Makes the meeting.
    ///
    /// # Errors
    /// A name that no room or host can have, or a file that is there already or cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        let room: RoomName = self.room.parse().map_err(|error| usage(&error))?;
        let origin: Origin = self.origin.parse().map_err(|error| usage(&error))?;
        let meeting = MeetingKey::from_seed(&seed()?);
        let passphrase = self
            .passphrase
            .then(|| {
                let mut failed = false;
                let made =
                    MeetingPassphrase::generate(|bytes| failed |= getrandom::fill(bytes).is_err());
                match made {
                    Ok(made) if !failed => Ok(made),
                    _ => Err(anyhow!("no random bytes: is /dev/urandom there?")),
                }
            })
            .transpose()?;
        let secret = match &passphrase {
            Some(_) => SecretSource::Passphrase,
            None => SecretSource::Link(LinkSecret::new(random()?)),
        };
        let announced = if self.announce_off {
            E2ee::Off
        } else {
            E2ee::On
        };
        let guest = Link::guest(origin, room.clone(), secret, meeting.hash(), announced);
        std::fs::create_dir_all(&self.into)
            .with_context(|| format!("cannot make {}", self.into.display()))?;
        for (number, name) in self.hosts.iter().enumerate() {
            let name: HostName = name.parse().map_err(|error| usage(&error))?;
            let seed = seed()?;
            let key = HostKey::from_seed(&seed);
            let certificate = Certificate::issue(&meeting, &room, key.public(), &name);
            let link = HostGrant::new(seed, certificate)
                .and_then(|grant| guest.clone().for_host(grant))
                .map_err(anyhow::Error::from)?;
            let file = match number {
                0 => "host.link".to_owned(),
                more => format!("host-{}.link", more + 1),
            };
            self.write(
                &file,
                &link.expose(),
                &format!("for the host {}", name.as_str()),
            )?;
        }
        self.write("guest.link", &guest.expose(), "for guests")?;
        if let Some(passphrase) = passphrase {
            self.write("passphrase", passphrase.expose(), "to be told to everybody")?;
        }
        println!("meeting {}", guest.address());
        Ok(())
    }

    fn write(&self, name: &str, secret: &str, what: &str) -> Result<(), Failure> {
        let path = self.into.join(name);
        let mut file = create(&path).with_context(|| {
            format!(
                "cannot write {}: name another directory with --into",
                path.display()
            )
        })?;
        writeln!(file, "{secret}").with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: {what}", path.display());
        Ok(())
    }
}

/// A new file: an old link is never overwritten, somebody may be in its meeting.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn random() -> Result<Zeroizing<[u8; 32]>, anyhow::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(bytes)
}

/// One in four thousand million seeds is no key; two in a row are a broken generator.
fn seed() -> Result<KeySeed, anyhow::Error> {
    KeySeed::new(random()?)
        .or_else(|UnusableSeed| KeySeed::new(random().unwrap_or_default()))
        .map_err(anyhow::Error::from)
}
