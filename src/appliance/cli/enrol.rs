// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal enrol`: makes this box a room that can be booked at a hub.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use roomseal_policy::DeviceKey;
use roomseal_service::hub::{Error, Hub};
use roomseal_service::livekit::{self, CertificateHash, Trust};
use zeroize::Zeroizing;

use super::order::typed;
use super::{Failure, wait_for};
use crate::enrolment::{Enrolment, EnrolmentError, Place, address, words};
use crate::page;
use crate::text::plain;

/// Arguments of `roomseal enrol`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Somebody with an account at the hub asks there for a pairing code, good for ten minutes. It is asked for here without being
shown, or read from a pipe; never give it as an argument. The box makes a key of its own, or takes the one that it has, and
shows it in words: who books this room for the first time compares them with what the page shows.

  roomseal enrol --hub https://meet.example.org --name \"Board room\"
  roomseal enrol --show
  roomseal enrol --forget

A running box asks its hub from then on what it is booked for; it needs no restart.")]
pub struct EnrolArgs {
    /// Address of the hub, as its page has it
    #[arg(long, value_name = "URL")]
    hub: Option<String>,
    /// What the room is called for who books it [default: as before, or as this machine]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// SHA-256 of the hub's certificate, where that is self-made
    #[arg(long, value_name = "HEX")]
    certificate_sha256: Option<CertificateHash>,
    /// PEM file with authorities to trust besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Allow a hub without TLS beyond this machine: who is on the way reads and changes what is booked
    #[arg(long)]
    insecure_lan: bool,
    /// Show where this box is enrolled, and the words of its key
    #[arg(long, conflicts_with_all = ["hub", "name", "certificate_sha256", "ca_file", "insecure_lan", "forget"])]
    show: bool,
    /// Delete the enrolment and the key
    #[arg(long, conflicts_with_all = ["hub", "name", "certificate_sha256", "ca_file", "insecure_lan"])]
    forget: bool,
    /// Folder that the box keeps it in [default: $STATE_DIRECTORY, /var/lib/roomseal if it is there, or the user's own]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl EnrolArgs {
    /// Enrols, shows, or forgets.
    ///
    /// # Errors
    /// When something is missing, the hub cannot be reached, or it refuses.
    pub fn run(&self) -> Result<(), Failure> {
        let place = self.state.as_deref().map(Place::at);
        let place = place.or_else(Place::of_machine).ok_or_else(|| {
            Failure::Usage("no folder to keep it in: name one with --state".to_owned())
        })?;
        place.check_owner()?;
        if self.show {
            return show(&place);
        }
        if self.forget {
            return forget(&place);
        }
        self.enrol(&place)
    }

    fn enrol(&self, place: &Place) -> Result<(), Failure> {
        let before = place.enrolment().map_err(kept)?;
        let hub = match &self.hub {
            Some(hub) => hub.clone(),
            None => asked(
                "Address of the hub, like https://meet.example.org: ",
                "--hub",
            )?,
        };
        let server = address(&hub, self.insecure_lan).map_err(|error| self.unfit(error))?;
        let hub = Hub {
            server,
            trust: Trust {
                // It is read again from wherever the box runs.
                extra_authorities: self
                    .ca_file
                    .as_deref()
                    .map(std::path::absolute)
                    .transpose()
                    .context("this folder has no path")?,
                certificate: self.certificate_sha256,
            },
        };
        let usual = before.as_ref().map(|before| before.device.name.clone());
        let name = self.called(usual)?;
        let code = typed("Pairing code (asked for at the hub): ", "code")?;
        let code = code.expose_text();
        let code = code.ok_or_else(|| anyhow!("that is no code; nothing has changed"))?;

        let key = match place.key().map_err(kept)? {
            Some(key) => key,
            // Kept before the hub hears of it: an enrolled key that is lost could only be taken out.
            None => place.make_key()?,
        };
        let enrolled = wait_for(hub.enrol(&key, code, &name))?;
        let device = enrolled.map_err(|error| refused(&hub, &error))?;
        let enrolment = Enrolment {
            hub,
            insecure_lan: self.insecure_lan,
            device,
        };
        place.keep_enrolment(&enrolment).with_context(|| {
            format!(
                "{} has enrolled this box, and that cannot be kept: take it out there",
                enrolment.hub_name()
            )
        })?;
        print!("{}", said(&enrolment, &key));
        if before.is_some() {
            println!("The key is the one that this box had already.");
        }
        if let Some(before) = before.filter(|before| before.hub_name() != enrolment.hub_name()) {
            println!(
                "It was enrolled at {} before, which still lists it: have it taken out there.",
                before.hub_name()
            );
        }
        Ok(())
    }

    /// The name: as told, else typed, else as before or as the machine is called.
    fn called(&self, usual: Option<String>) -> Result<String, Failure> {
        let machine = || page::own_names(std::net::Ipv4Addr::UNSPECIFIED.into()).pop();
        let usual = usual.or_else(machine).unwrap_or_else(|| "Room".to_owned());
        match &self.name {
            Some(name) => Ok(name.clone()),
            None if io::stdin().is_terminal() => {
                let typed = line(&format!("Name of the room [{}]: ", plain(&usual)))?;
                Ok(if typed.is_empty() { usual } else { typed })
            }
            None => Ok(usual),
        }
    }

    fn unfit(&self, error: livekit::Error) -> Failure {
        match error {
            livekit::Error::PlaintextRefused { .. } => Failure::Usage(
                "--hub is not encrypted: write https://, or add --insecure-lan if everybody on this network may read \
                 and change what is booked"
                    .to_owned(),
            ),
            error => Failure::Usage(format!("--hub: {error}")),
        }
    }
}

fn show(place: &Place) -> Result<(), Failure> {
    let enrolment = place.enrolment().map_err(kept)?;
    let key = place.key().map_err(kept)?;
    match (enrolment, key) {
        (Some(enrolment), Some(key)) => {
            print!("{}", said(&enrolment, &key));
            Ok(())
        }
        _ => Err(anyhow!(
            "this box is not enrolled at a hub, by what lies in {}; `roomseal enrol` does that",
            place.folder().display()
        )
        .into()),
    }
}

fn forget(place: &Place) -> Result<(), Failure> {
    // What is damaged is forgotten all the same.
    let hub = place.enrolment().ok().flatten();
    let hub = hub.map(|enrolment| enrolment.hub_name());
    if !place.forget()? {
        return Err(anyhow!("nothing was kept in {}", place.folder().display()).into());
    }
    println!("enrolment and key are deleted; this box is booked for nothing any more");
    if let Some(hub) = hub {
        println!(
            "{} still lists it: have who enrolled it, or an admin, take it out there",
            plain(&hub)
        );
    }
    Ok(())
}

/// Where the box is enrolled, for people.
fn said(enrolment: &Enrolment, key: &DeviceKey) -> String {
    let lan = match enrolment.insecure_lan {
        true => "The line to the hub is NOT PROTECTED (--insecure-lan).\n",
        false => "",
    };
    format!(
        "enrolled at {} as {}\nwords of its key: {}\n{lan}When somebody books this room for the first time, the page shows \
         these words: they have to be the same.\n",
        enrolment.hub_name(),
        plain(&enrolment.device.name),
        words(key)
    )
}

/// A line that is typed, where there is somebody who types.
fn asked(prompt: &str, option: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "{option} is missing, and nobody is here to be asked"
        )));
    }
    line(prompt)
}

fn line(prompt: &str) -> Result<String, Failure> {
    eprint!("{prompt}");
    io::stderr()
        .flush()
        .context("the terminal cannot be written")?;
    let mut typed = Zeroizing::new(String::new());
    io::stdin()
        .read_line(&mut typed)
        .context("standard input cannot be read")?;
    Ok(typed.trim().to_owned())
}

fn kept(error: EnrolmentError) -> Failure {
    match error {
        EnrolmentError::Secret(error) => error.into(),
        damaged @ EnrolmentError::Damaged { .. } => anyhow!(damaged).into(),
    }
}

/// What a hub's refusal means for who enrols.
fn refused(hub: &Hub, error: &Error) -> Failure {
    let name = hub.name();
    let advice = match error.kind() {
        Some("code") => format!(
            "{name} does not take this code: it is wrong, used, or older than ten minutes; ask for a new one there"
        ),
        Some("proof") => format!(
            "{name} does not take the signature of this box: name the hub as it is named on its own page, and ask for a new code"
        ),
        Some("key-taken") => format!(
            "{name} has a device with this key already: take that one out there and enrol again, or make another key with \
             `roomseal enrol --forget`"
        ),
        Some("disabled") => {
            format!("the account that the code is from is disabled: ask an admin of {name}")
        }
        Some("too-many") => {
            let wait = error.wait().map_or(60, |wait| wait.as_secs());
            format!("too many wrong codes: wait {wait} s, ask {name} for a new code, and try again")
        }
        Some("invalid") => format!("{name} does not take this: {error}"),
        _ => match error {
            Error::NotAHub => format!("{name}: {error}; check the address with --hub"),
            other => format!("{other}; nothing has changed"),
        },
    };
    anyhow!("{advice}").into()
}
