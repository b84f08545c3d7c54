// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where this box can be booked: the hub that it is enrolled at, and the key by which it is known there.
//!
//! Two files in the state folder, for their owner only: `device.key`, which is made once, and `device.json`, which says
//! whose device it is. The key stays when the box is enrolled anew, so that who booked it knows it again.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::anyhow;
use roomseal_policy::{DeviceKey, KeySeed, key_words};
use roomseal_service::hub::{Enrolled, Hub};
use roomseal_service::livekit::{CertificateHash, Plaintext, ServerUrl, Trust};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret::{self, SecretError};

/// Whose device this is.
const RECORD: &str = "device.json";

/// The key, in hexadecimal digits.
const KEY: &str = "device.key";

/// Where systemd has the box keep what it is to remember.
const INSTALLED: &str = "/var/lib/roomseal";

/// The folder that an enrolment is kept in.
#[derive(Clone, Debug)]
pub struct Place(PathBuf);

/// An enrolment, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// The hub.
    pub hub: Hub,
    /// Signalling without TLS beyond this machine was allowed.
    pub insecure_lan: bool,
    /// What the hub calls the box.
    pub device: Enrolled,
}

/// A kept enrolment, by which it is seen whether another has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(SystemTime, u64);

/// Why there is no enrolment where one should be.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// One of the files cannot be read, or others can read it.
    #[error("{0}; {advice}", advice = .0.advice())]
    Secret(#[from] SecretError),
    /// One of the files holds something else.
    #[error(
        "{} is damaged ({problem}): `roomseal enrol --forget` and `roomseal enrol` make another",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; holds nothing of a key.
        problem: String,
    },
}

/// `device.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Record {
    hub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure_lan: bool,
    device: String,
    name: String,
}

impl Place {
    /// This folder.
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Where a box that runs as this process does keeps things; `None` where there is no place for that.
    pub fn own() -> Option<Self> {
        crate::page::state_directory().map(Self)
    }

    /// Where the box of this machine keeps things, for who asks from a shell.
    pub fn of_machine() -> Option<Self> {
        let installed = Path::new(INSTALLED);
        if std::env::var_os("STATE_DIRECTORY").is_none() && installed.is_dir() {
            return Some(Self::at(installed));
        }
        Self::own()
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Whether this process is of the user that the box runs as, whose folder it is. Nobody else, root neither, writes
    /// there: the box could not read it, and could lead root's hand elsewhere.
    ///
    /// # Errors
    /// When it is another's.
    pub fn check_owner(&self) -> anyhow::Result<()> {
        let me = rustix::process::geteuid().as_raw();
        match std::fs::metadata(&self.0) {
            Ok(folder) if folder.uid() != me => Err(anyhow!(
                "{} belongs to another user: run this as the user of the box (sudo -u roomseal), or name another folder \
                 with --state",
                self.0.display()
            )),
            // It will be made, or cannot be and that is said.
            _ => Ok(()),
        }
    }

    /// Which enrolment is kept; `None` when there is none.
    pub fn mark(&self) -> Option<Mark> {
        let meta = std::fs::metadata(self.0.join(RECORD)).ok()?;
        Some(Mark(meta.modified().ok()?, meta.ino()))
    }

    /// The enrolment that is kept, if one is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn enrolment(&self) -> Result<Option<Enrolment>, EnrolmentError> {
        let Some(text) = self.read(RECORD)? else {
            return Ok(None);
        };
        let damaged = |problem: String| EnrolmentError::Damaged {
            path: self.0.join(RECORD),
            problem,
        };
        let record: Record =
            serde_json::from_slice(text.expose()).map_err(|error| damaged(error.to_string()))?;
        record.understand().map(Some).map_err(damaged)
    }

    /// The key that is kept, if one is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self) -> Result<Option<DeviceKey>, EnrolmentError> {
        let Some(text) = self.read(KEY)? else {
            return Ok(None);
        };
        let seed = text.decode_hex().and_then(|bytes| {
            let mut seed = Zeroizing::new([0; 32]);
            (bytes.expose().len() == seed.len()).then(|| seed.copy_from_slice(bytes.expose()))?;
            KeySeed::new(seed).ok()
        });
        let seed = seed.ok_or_else(|| EnrolmentError::Damaged {
            path: self.0.join(KEY),
            problem: "it holds no key of P-256".to_owned(),
        })?;
        Ok(Some(DeviceKey::from_seed(seed)))
    }

    /// Makes a key and keeps it, in the place of one that was there.
    ///
    /// # Errors
    /// When there are no random bytes, or nothing can be written.
    pub fn make_key(&self) -> anyhow::Result<DeviceKey> {
        let seed = crate::new_meeting::seed()?;
        let digits = Zeroizing::new(hex::encode(seed.expose()));
        self.keep(KEY, &digits)
            .map_err(|error| self.unkept(&error))?;
        Ok(DeviceKey::from_seed(seed))
    }

    /// Keeps an enrolment, in the place of one that was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_enrolment(&self, enrolment: &Enrolment) -> anyhow::Result<()> {
        let record = serde_json::to_string_pretty(&Record::of(enrolment))?;
        self.keep(RECORD, &record)
            .map_err(|error| self.unkept(&error))
    }

    /// Deletes enrolment and key; whether there was anything.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn forget(&self) -> anyhow::Result<bool> {
        let mut was = false;
        for name in [RECORD, KEY] {
            match std::fs::remove_file(self.0.join(name)) {
                Ok(()) => was = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.unkept(&error)),
            }
        }
        Ok(was)
    }

    fn read(&self, name: &str) -> Result<Option<secret::Secret>, EnrolmentError> {
        match secret::read(name, &self.0) {
            Ok(secret) => Ok(Some(secret)),
            Err(SecretError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn keep(&self, name: &str, text: &str) -> io::Result<()> {
        let line = Zeroizing::new(format!("{text}\n"));
        secret::keep(&self.0.join(name), &line)
    }

    fn unkept(&self, error: &io::Error) -> anyhow::Error {
        anyhow!(
            "cannot write in {}: {error}; run this as the user of the box (sudo -u roomseal), or name another folder \
             with --state",
            self.0.display()
        )
    }
}

impl Enrolment {
    /// The hub as people read it.
    pub fn hub_name(&self) -> String {
        self.hub.name()
    }
}

/// The words of a device's key, as who books the box compares them.
pub fn words(key: &DeviceKey) -> String {
    key_words(key.public().as_bytes()).join(" ")
}

/// The address of a hub: over TLS, or on this machine, or allowed to be neither.
///
/// # Errors
/// When it is none.
pub fn address(
    text: &str,
    insecure_lan: bool,
) -> Result<ServerUrl, roomseal_service::livekit::Error> {
    let plaintext = if insecure_lan {
        Plaintext::AllowedOnLan
    } else {
        Plaintext::LoopbackOnly
    };
    ServerUrl::parse(text, plaintext)
}

impl Record {
    fn of(enrolment: &Enrolment) -> Self {
        let Hub { server, trust } = &enrolment.hub;
        let scheme = if server.is_encrypted() {
            "https"
        } else {
            "http"
        };
        Self {
            hub: format!("{scheme}://{}", server.authority()),
            certificate_sha256: trust.certificate.map(|hash| hash.to_string()),
            ca_file: trust.extra_authorities.clone(),
            insecure_lan: enrolment.insecure_lan,
            device: enrolment.device.id.clone(),
            name: enrolment.device.name.clone(),
        }
    }

    fn understand(self) -> Result<Enrolment, String> {
        let server = address(&self.hub, self.insecure_lan).map_err(|error| error.to_string())?;
        let certificate = self.certificate_sha256;
        let certificate = certificate.map(|text| text.parse::<CertificateHash>());
        let certificate = certificate.transpose().map_err(|error| error.to_string())?;
        Ok(Enrolment {
            hub: Hub {
                server,
                trust: Trust {
                    extra_authorities: self.ca_file,
                    certificate,
                },
            },
            insecure_lan: self.insecure_lan,
            device: Enrolled {
                id: self.device,
                name: self.name,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn enrolment() -> Enrolment {
        Enrolment {
            hub: Hub {
                server: address("https://meet.example.org:8443", false).unwrap(),
                trust: Trust {
                    extra_authorities: None,
                    certificate: Some(CertificateHash::new([7; 32])),
                },
            },
            insecure_lan: false,
            device: Enrolled {
                id: "abc".to_owned(),
                name: "Board room".to_owned(),
            },
        }
    }

    #[test]
    fn enrolment_and_key_are_kept_for_the_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(&folder.path().join("state"));
        assert!(place.enrolment().unwrap().is_none() && place.key().unwrap().is_none());
        assert_eq!(place.mark(), None);
        let made = place.make_key().unwrap();
        place.keep_enrolment(&enrolment()).unwrap();
        assert_eq!(place.enrolment().unwrap(), Some(enrolment()));
        let read = place.key().unwrap().unwrap();
        assert_eq!(read.public(), made.public());
        assert_eq!(words(&read), words(&made));
        for name in [RECORD, KEY] {
            let mode = std::fs::metadata(place.folder().join(name)).unwrap();
            assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
        }
        let before = place.mark().unwrap();
        place.keep_enrolment(&enrolment()).unwrap();
        assert_ne!(place.mark(), Some(before), "another has taken its place");
        assert!(place.forget().unwrap() && !place.forget().unwrap());
        assert!(place.key().unwrap().is_none());
    }

    #[test]
    fn what_is_damaged_is_named_and_nothing_of_a_key_is_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(folder.path());
        let half = "0123456789abcdef";
        secret::keep(&folder.path().join(KEY), half).unwrap();
        let error = place.key().unwrap_err().to_string();
        assert!(
            error.contains("device.key") && !error.contains("0123"),
            "{error}"
        );
        for text in [
            "{",
            r#"{"hub":"http://192.0.2.7","device":"a","name":"b"}"#,
            r#"{"hub":"https://meet.example.org","certificate-sha256":"00","device":"a","name":"b"}"#,
        ] {
            secret::keep(&folder.path().join(RECORD), text).unwrap();
            let error = place.enrolment().unwrap_err().to_string();
            assert!(error.contains("device.json"), "{error}");
        }
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path().join(KEY), open).unwrap();
        let error = place.key().unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
