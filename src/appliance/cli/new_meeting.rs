// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal new-meeting`: the secret, the keys and the links of a meeting, made on this machine and nowhere else.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use roomseal_e2ee::Secret;
use roomseal_policy::{
    E2ee, HostGrant, HostName, MeetingPassphrase, Origin, RoomName, SecretSource,
    ServiceCertificateHash,
};
use roomseal_service::livekit::CertificateHash;
use zeroize::Zeroizing;

use super::Failure;
use crate::new_meeting::{self, NewMeeting};
use crate::secret;

/// The file with the meeting's own key, where it is kept.
pub(super) const KEY_FILE: &str = "meeting.key";
/// The file with the link for guests.
pub(super) const GUEST_FILE: &str = "guest.link";

/// Arguments of `roomseal new-meeting`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes host.link and guest.link (mode 0600). Whoever has the guest link can read the meeting; whoever has the host link
can also turn encryption on and off. Unless --keep-key is given, the meeting's own key is not kept, and nobody becomes a
host later; with it, `roomseal new-host` makes further host links.

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
    /// SHA-256 of the certificate of a service that made its own (64 hex digits), as it shows at its start: boxes and guests
    /// that come by these links then believe this one
    #[arg(long, value_name = "HEX")]
    pub certificate_sha256: Option<String>,
    /// Directory for the links; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// Names of the hosts, one host link each
    #[arg(long = "host", value_name = "NAME", default_value = "Host")]
    pub hosts: Vec<String>,
    /// Do not announce the meeting as sealed: a guest alone with the host then believes that encryption is off
    #[arg(long)]
    pub announce_off: bool,
    /// Have the first host sign in advance that encryption is on: guests can begin before any host is there. Makes the
    /// links about 900 characters longer
    #[arg(long, conflicts_with = "announce_off")]
    pub signed_in_advance: bool,
    /// Keep the meeting's own key in the file meeting.key, to make further hosts. Whoever has it can make himself one
    #[arg(long)]
    pub keep_key: bool,
    /// Six words instead of a secret in the link, to be told to people; written to the file passphrase
    #[arg(long)]
    pub passphrase: bool,
    /// The same with words of your own, from a file (mode 0600); 12 characters at least
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    pub passphrase_file: Option<String>,
    /// Show the link for guests here, as text and as a code for a camera. Only on a terminal: whoever has it can read
    /// the meeting
    #[arg(long)]
    pub show: bool,
}

impl NewMeetingArgs {
    /// Makes the meeting.
    ///
    /// # Errors
    /// A name that no room or host can have, or a file that is there already or cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
        if self.show && !io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "--show is for a terminal, and standard output is none: read guest.link instead"
                    .to_owned(),
            ));
        }
        let room: RoomName = self.room.parse().map_err(|error| usage(&error))?;
        let origin: Origin = self.origin.parse().map_err(|error| usage(&error))?;
        let passphrase = self.words()?;
        let secret = match &passphrase {
            Some(_) => SecretSource::Passphrase,
            None => new_meeting::link_secret()?,
        };
        let announced = if self.announce_off {
            E2ee::Off
        } else {
            E2ee::On
        };
        let certificate = self
            .certificate_sha256
            .as_deref()
            .map(str::parse::<CertificateHash>);
        let certificate = certificate
            .transpose()
            .map_err(|error| Failure::Usage(format!("--certificate-sha256: {error}")))?;
        if certificate.is_some() && !origin.is_tls() {
            return Err(Failure::Usage(format!(
                "--certificate-sha256 with --origin {origin}, which is reached without TLS: write https://"
            )));
        }
        let mut meeting = NewMeeting::make(origin, room, secret, announced)?;
        if let Some(hash) = certificate {
            let hash = ServiceCertificateHash::new(*hash.as_bytes());
            meeting = meeting.with_service_certificate(hash);
        }
        let hosts = self.hosts.iter().map(|name| {
            let name: HostName = name.parse().map_err(|error| usage(&error))?;
            Ok(meeting.grant(&name)?)
        });
        let hosts = hosts.collect::<Result<Vec<_>, Failure>>()?;
        if let Some(first) = hosts.first().filter(|_| self.signed_in_advance) {
            let secret = match (meeting.guest().secret(), &passphrase) {
                (SecretSource::Link(secret), _) => Secret::new(*secret.expose()),
                (_, words) => {
                    let words = words.as_ref().map(MeetingPassphrase::expose);
                    let room = meeting.guest().room().as_str();
                    Secret::from_passphrase(words.unwrap_or_default().as_bytes(), room)
                }
            };
            meeting.sign_in_advance(&first.host(), &secret)?;
        }
        std::fs::create_dir_all(&self.into)
            .with_context(|| format!("cannot make {}", self.into.display()))?;
        for (number, grant) in (1..).zip(hosts) {
            write_host(&self.into, &meeting, grant, number)?;
        }
        let guest = meeting.guest().expose();
        write(&self.into, GUEST_FILE, &guest, "for guests")?;
        if let Some(passphrase) = passphrase {
            let what = "to be told to everybody";
            write(&self.into, "passphrase", passphrase.expose(), what)?;
        }
        if self.keep_key {
            let hex = Zeroizing::new(hex::encode(meeting.seed().expose()));
            write(&self.into, KEY_FILE, &hex, "to make further hosts with")?;
        }
        println!("meeting {}", meeting.guest().address());
        if self.show {
            println!("\n{}\n{}", *guest, *code(&guest)?);
        }
        Ok(())
    }

    /// The passphrase, if there is to be one.
    fn words(&self) -> Result<Option<MeetingPassphrase>, Failure> {
        let Some(file) = &self.passphrase_file else {
            return Ok(match self.passphrase {
                true => Some(new_meeting::passphrase()?),
                false => None,
            });
        };
        let own = secret::read(file, Path::new("."))?;
        let words = MeetingPassphrase::new(own.expose_text().unwrap_or_default())
            .map_err(anyhow::Error::from)?;
        Ok(Some(words))
    }
}

/// A link as a code of half blocks, light on the dark ground that most terminals have, with the margin that a camera wants.
fn code(link: &str) -> anyhow::Result<Zeroizing<String>> {
    let code = QrCode::with_error_correction_level(link, EcLevel::L)
        .context("the link is too long for a code: leave --show out")?;
    let drawn = code
        .render::<Dense1x2>()
        // What the crate calls light is what it leaves out.
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Ok(Zeroizing::new(drawn))
}

/// Writes the link of the host with this number, counted from 1.
pub(super) fn write_host(
    into: &Path,
    meeting: &NewMeeting,
    grant: HostGrant,
    number: usize,
) -> Result<(), Failure> {
    let what = format!("for the host {}", grant.certificate().name().as_str());
    let link = meeting.link_of(grant)?;
    write(into, &host_file(number), &link.expose(), &what)
}

/// What the file of the host with this number is called.
pub(super) fn host_file(number: usize) -> String {
    match number {
        1 => "host.link".to_owned(),
        number => format!("host-{number}.link"),
    }
}

fn write(into: &Path, name: &str, secret: &str, what: &str) -> Result<(), Failure> {
    let path = into.join(name);
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

/// A new file: an old link is never overwritten, somebody may be in its meeting.
fn create(path: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
