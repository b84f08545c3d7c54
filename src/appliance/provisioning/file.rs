// SPDX-License-Identifier: MIT OR Apache-2.0
//! The provisioning file: a configuration that a person wrote on another machine, with the secrets in it.
//!
//! It is the configuration of the box, line for line, except that secrets may stand in it themselves: `api-secret = "…"`
//! in the place of `api-secret-file = "…"`. What is wrong is named by the line that the person wrote. The secrets go into
//! files of the box's own folder, and are taken out of the file that was brought once they are safe there; that one goes on
//! saying the rest, and may be changed and brought again.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use roomseal_panel::FileError;
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::{Folder, KeepError};
use crate::config::{Config, ConfigError, Overrides};

/// Stands where a secret stood.
const KEPT: &str = "kept on the box";

/// No provisioning file is longer.
const LONGEST: u64 = 256 * 1024;

/// The sample that is shipped.
pub const SAMPLE: &str = include_str!("../provisioning.sample.toml");

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    /// It says something that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It, or what is beside it, cannot be read.
    #[error("{}: cannot be read: {source}; check its name and who may read it", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The box cannot keep it.
    #[error("{0}")]
    Unkept(String),
    /// It is taken over, but its secrets could not be taken out of it.
    #[error("{}: taken over, but its secrets still stand in it: {source}; make it writable and do this again, or remove it", .path.display())]
    Uncleared {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What came of a file.
#[derive(Debug)]
pub struct Brought {
    /// The configuration.
    pub config: Config,
    /// Keys of the secrets that were moved out of the file now.
    pub moved: Vec<&'static str>,
    /// It says what holds already.
    pub is_known: bool,
}

/// Takes over the provisioning file `from` into `folder`.
///
/// # Errors
/// What is wrong, with the line in that file; nothing has changed then, except where the error says so.
pub fn bring(from: &Path, folder: &Folder) -> Result<Brought, BringError> {
    let unreadable = |source| BringError::Unreadable {
        path: from.to_owned(),
        source,
    };
    let text = read(from).map_err(unreadable)?;
    let shown = from.display().to_string();
    let inline: Inline = toml::from_str(&text)
        .map_err(|error| ConfigError::from(FileError::from_toml(&shown, &text, &error)))?;
    let secrets = inline.secrets();
    let mut files = Vec::new();
    let mut moved = Vec::new();
    for (key, name, value) in &secrets {
        let complain = |problem: &str, advice: &str| {
            ConfigError::from(FileError::at(&shown, &text, value.span(), problem, advice))
        };
        let secret = value.get_ref().trim();
        let kept = if secret == KEPT {
            let path = folder.config().with_file_name(name);
            let kept = std::fs::read_to_string(path);
            kept.map_err(|_| {
                complain("this secret is not kept on this box", "write it here again")
            })?
        } else if secret.is_empty() || secret.contains('\n') {
            return Err(complain("that is no secret", "write it on this line, in quotes").into());
        } else {
            moved.push(*key);
            secret.to_owned()
        };
        files.push((*name, Zeroizing::new(kept.into_bytes())));
    }
    if let Some(authority) = &inline.service.ca_file {
        let name = Path::new(authority.get_ref());
        let is_beside = name.file_name() == Some(name.as_os_str());
        if is_beside {
            let path = from.with_file_name(name);
            let pem = std::fs::read(&path).map_err(|error| {
                let problem = format!("cannot read {}: {error}", path.display());
                ConfigError::from(FileError::at(
                    &shown,
                    &text,
                    authority.span(),
                    problem,
                    "lay it beside this file",
                ))
            })?;
            files.push((authority.get_ref(), Zeroizing::new(pem)));
        }
    }
    let config = rewritten(&text, &secrets, |key, name| (format!("{key}-file"), name));
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, text)| (*name, text.as_slice()))
        .collect();
    if holds(folder, &config, &files) {
        let config = Config::load(Some(&folder.config()), &Overrides::default())?;
        clear(from, &text, &secrets, &moved)?;
        return Ok(Brought {
            config,
            moved,
            is_known: true,
        });
    }
    let checked = folder.keep(&config, &files, |path| {
        Config::load(Some(path), &Overrides::default()).map_err(|error| named(error, &shown))
    });
    let checked = checked.map_err(|error| match error {
        KeepError::Refused(error) => BringError::Config(error),
        disk @ KeepError::Disk { .. } => BringError::Unkept(disk.to_string()),
    })?;
    // Only now: who loses power before has the secrets in the file, and brings them again at the next start.
    clear(from, &text, &secrets, &moved)?;
    Ok(Brought {
        config: checked,
        moved,
        is_known: false,
    })
}

/// Writes `text` in the place of `file`: whoever loses power has the old text or the new one.
///
/// # Errors
/// When the disk does not take it; then the old one is there.
pub fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = (|| {
        let mut out = File::create(&fresh)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    written
}

/// The secrets that may stand in a provisioning file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Inline {
    service: Service,
    e2ee: E2ee,
    meeting: Meeting,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Service {
    api_secret: Option<Spanned<String>>,
    token: Option<Spanned<String>>,
    ca_file: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct E2ee {
    passphrase: Option<Spanned<String>>,
    raw_key_hex: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Meeting {
    link: Option<Spanned<String>>,
    passphrase: Option<Spanned<String>>,
}

/// Key, name of the file that it goes into, and where it stands.
type Placed<'i> = (&'static str, &'static str, &'i Spanned<String>);

impl Inline {
    fn secrets(&self) -> Vec<Placed<'_>> {
        let mut secrets: Vec<Placed<'_>> = [
            ("api-secret", "api-secret", &self.service.api_secret),
            ("token", "token", &self.service.token),
            ("passphrase", "room.passphrase", &self.e2ee.passphrase),
            ("raw-key-hex", "room.key", &self.e2ee.raw_key_hex),
            ("link", "meeting.link", &self.meeting.link),
            ("passphrase", "meeting.passphrase", &self.meeting.passphrase),
        ]
        .into_iter()
        .filter_map(|(key, name, value)| Some((key, name, value.as_ref()?)))
        .collect();
        secrets.sort_by_key(|(_, _, value)| value.span().start);
        secrets
    }
}

fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    if std::fs::metadata(file)?.len() > LONGEST {
        return Err(io::Error::other("it is too long to be a configuration"));
    }
    std::fs::read_to_string(file).map(Zeroizing::new)
}

/// The text with other keys and values for the secrets, and each of its lines where it was.
fn rewritten(
    text: &str,
    secrets: &[Placed<'_>],
    change: impl Fn(&'static str, &'static str) -> (String, &'static str),
) -> String {
    let mut out = String::new();
    let mut from = 0;
    for (key, name, value) in secrets {
        let Range { start, end } = value.span();
        let (new_key, new_value) = change(key, name);
        // Between the key and its value stand a quote, an equals sign and spaces, and nothing else.
        let before = &text[from..start];
        let at = before.rfind(key).unwrap_or(before.len());
        out.push_str(&before[..at]);
        out.push_str(&new_key);
        out.push_str(before.get(at + key.len()..).unwrap_or_default());
        out.push('"');
        out.push_str(new_value);
        out.push('"');
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// Takes the secrets out of the file.
fn clear(
    from: &Path,
    text: &str,
    secrets: &[Placed<'_>],
    moved: &[&str],
) -> Result<(), BringError> {
    if moved.is_empty() {
        return Ok(());
    }
    let clean = rewritten(text, secrets, |key, _| (key.to_owned(), KEPT));
    replace(from, &clean).map_err(|source| BringError::Uncleared {
        path: from.to_owned(),
        source,
    })
}

/// Whether that is what `folder` holds already.
fn holds(folder: &Folder, config: &str, files: &[(&str, &[u8])]) -> bool {
    let path = folder.config();
    let same = |name: &str, text: &[u8]| {
        std::fs::read(path.with_file_name(name)).is_ok_and(|held| held == text)
    };
    std::fs::read_to_string(&path).is_ok_and(|held| held == config)
        && files.iter().all(|(name, text)| same(name, text))
}

/// A complaint about the box's own copy, by the name of the file that the person wrote.
fn named(error: ConfigError, shown: &str) -> ConfigError {
    match error {
        ConfigError::File(mut error) => {
            shown.clone_into(&mut error.path);
            error.into()
        }
        ConfigError::Missing { key, option, .. } => ConfigError::Missing {
            place: shown.to_owned(),
            key,
            option,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn secrets_are_replaced_where_they_stand_however_they_are_written() {
        let text = "# a comment with api-secret\n[service]\nurl = \"x\"\n\"api-secret\"   = 'planted' # mine\n\
                    [e2ee]\npassphrase=\"planted too\"\nmeeting = 1\n";
        let inline: Inline = toml::from_str(text).unwrap();
        let out = rewritten(text, &inline.secrets(), |key, name| {
            (format!("{key}-file"), name)
        });
        assert_eq!(
            out,
            "# a comment with api-secret\n[service]\nurl = \"x\"\n\"api-secret-file\"   = \"api-secret\" # mine\n\
             [e2ee]\npassphrase-file=\"room.passphrase\"\nmeeting = 1\n"
        );
        let dotted = "service.token = \"planted\"\n";
        let inline: Inline = toml::from_str(dotted).unwrap();
        let out = rewritten(dotted, &inline.secrets(), |key, _| (key.to_owned(), KEPT));
        assert_eq!(out, "service.token = \"kept on the box\"\n");
    }

    #[test]
    fn what_is_replaced_is_there_whole_or_as_before() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a");
        replace(&file, "one").unwrap();
        replace(&file, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        // A folder of that name is in the way.
        std::fs::create_dir(place.path().join("b.new")).unwrap();
        std::fs::write(place.path().join("b"), "old").unwrap();
        assert!(replace(&place.path().join("b"), "new").is_err());
        assert_eq!(
            std::fs::read_to_string(place.path().join("b")).unwrap(),
            "old"
        );
    }
}
