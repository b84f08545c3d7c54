// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal invite`: one file that lets one guest in and opens the frames of the meeting.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use roomseal_panel::FileError;
use roomseal_service::livekit::{Mint, Token, TokenSource};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Failure;
use crate::config::{
    Config, Held, KeyFile, Overrides, RAW_KEY_ADVICE, RAW_KEY_PROBLEM, passphrase_key, raw_key,
};
use crate::secret::{self, Secret};

/// An invitation that is longer is none.
const LONGEST: u64 = 64 * 1024;

/// Arguments of `roomseal invite`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds a token and the meeting's key: give it only to whom you invite, over a channel you trust.
The guest joins with: roomseal guest --invite FILE

  roomseal invite --config roomseal.toml --out guest.invite")]
pub struct InviteArgs {
    /// Configuration of the box [default: /etc/roomseal/roomseal.toml if it is there]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File to write, mode 0600; must not be there yet
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Who the guest is for the service [default: guest- and random digits]
    #[arg(long, value_name = "ID")]
    guest_identity: Option<String>,
    /// Name of the guest
    #[arg(long, value_name = "NAME", default_value = "Guest")]
    guest_name: String,
    /// How long the token lets the guest in
    #[arg(long, value_name = "HOURS", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: u64,
    #[command(flatten)]
    overrides: Overrides,
}

/// What the file holds.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Invitation {
    roomseal_invitation: u8,
    url: String,
    #[serde(default)]
    insecure_lan: bool,
    name: String,
    token: String,
    #[serde(default)]
    key_index: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_key_hex: Option<String>,
}

impl InviteArgs {
    /// Writes the invitation and prints the line that uses it.
    ///
    /// # Errors
    /// When the configuration is faulty, has no API key, or the file cannot be written.
    pub fn run(&self) -> Result<(), Failure> {
        let config = Config::load(self.config.as_deref(), &self.overrides)?;
        let TokenSource::Minted(box_mint) = &config.service.tokens else {
            return Err(anyhow!(
                "the box has a token, and no API key to make one for a guest; whoever runs the service can make one"
            )
            .into());
        };
        let Some(room) = &config.service.room else {
            return Err(anyhow!(
                "no room is configured to invite to: name one with --room, or start a meeting and take its link \
                 (`roomseal start`, `roomseal link`)"
            )
            .into());
        };
        let identity = match &self.guest_identity {
            Some(identity) => identity.clone(),
            None => fresh_identity()?,
        };
        let mut mint = Mint::new(
            &box_mint.api_key,
            box_mint.api_secret.clone(),
            room,
            identity,
        );
        mint.name.clone_from(&self.guest_name);
        mint.ttl = Some(Duration::from_secs(self.hours * 3600));
        let token = mint.token().map_err(anyhow::Error::from)?;
        let (passphrase, raw_key_hex) = match &config.e2ee.shared_file {
            Some(KeyFile::Passphrase(file)) => (Some(text(file)?), None),
            Some(KeyFile::RawHex(file)) => (None, Some(text(file)?)),
            None => (None, None),
        };
        let invitation = Invitation {
            roomseal_invitation: 1,
            url: config.service.server.to_string(),
            insecure_lan: config.service.insecure_lan,
            name: self.guest_name.clone(),
            token: token.expose().to_owned(),
            key_index: config.e2ee.keys.index.into(),
            passphrase,
            raw_key_hex,
        };
        let body = toml::to_string(&invitation).context("the invitation cannot be written")?;
        let body = Zeroizing::new(format!(
            "# Roomseal invitation for one guest. Keep it secret: it opens the meeting.\n{body}"
        ));
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.out)
            .and_then(|mut file| file.write_all(body.as_bytes()))
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        println!("roomseal guest --invite {}", self.out.display());
        Ok(())
    }
}

impl Invitation {
    /// Puts what is not secret under the options, and gives the secrets.
    pub(super) fn fill(self, overrides: &mut Overrides) -> Result<Held, Failure> {
        overrides.url.get_or_insert(self.url);
        overrides.insecure_lan |= self.insecure_lan;
        overrides.name.get_or_insert(self.name);
        overrides.key_index.get_or_insert(self.key_index);
        let token = Token::parse(self.token).map_err(|error| anyhow!("the invitation: {error}"))?;
        overrides
            .identity
            .get_or_insert_with(|| token.claims().identity.clone());
        let key = match (self.passphrase, self.raw_key_hex) {
            (Some(passphrase), _) => Some(passphrase_key(&Secret::new(passphrase.into_bytes()))),
            (None, Some(hex)) => {
                Some(raw_key(&Secret::new(hex.into_bytes())).ok_or_else(|| {
                    FileError::whole(
                        "invitation",
                        Some("raw-key-hex"),
                        RAW_KEY_PROBLEM,
                        RAW_KEY_ADVICE,
                    )
                })?)
            }
            (None, None) => None,
        };
        Ok(Held {
            token: Some(token),
            key,
        })
    }
}

/// Reads an invitation from a file of mode 0600, or from standard input for `-`.
pub(super) fn read(file: &str) -> Result<Invitation, Failure> {
    let secret = if file == "-" {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize));
        std::io::stdin()
            .lock()
            .take(LONGEST)
            .read_to_end(&mut bytes)
            .context("cannot read the invitation from standard input")?;
        Secret::new(bytes.to_vec())
    } else {
        secret::read(file, Path::new("."))?
    };
    let Some(text) = secret.expose_text() else {
        return Err(anyhow!("{file} is no invitation; `roomseal invite` writes one").into());
    };
    let invitation: Invitation =
        toml::from_str(text).map_err(|error| FileError::from_toml(file, text, &error))?;
    if invitation.roomseal_invitation != 1 {
        return Err(
            anyhow!("{file} is an invitation of a newer version; update this program").into(),
        );
    }
    Ok(invitation)
}

/// `guest-` and eight random digits: nobody else's.
pub(super) fn fresh_identity() -> Result<String, Failure> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| anyhow!("no random bytes: {error}"))?;
    Ok(format!("guest-{}", hex::encode(random)))
}

fn text(file: &str) -> Result<String, Failure> {
    let secret = secret::read(file, Path::new("."))?;
    let text = secret.expose_text().ok_or_else(|| {
        anyhow!("the key in {file} is no text and cannot be written into an invitation")
    })?;
    Ok(text.to_owned())
}
