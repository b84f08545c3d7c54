// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificate of the page on the network: one that was configured, or one that the box makes for itself and keeps.
//!
//! A self-made certificate is believed by nobody's browser. What makes it good is its SHA-256, which the box shows and a
//! person compares once. So it is made once and kept: key and certificate in one file, for its owner only.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::{self, SecretError};

/// The file of the self-made one, in the state directory.
const KEPT: &str = "page.pem";

/// The TLS side of the page.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// SHA-256 of the certificate, in groups as browsers show it.
    pub(super) fingerprint: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Neither systemd nor the user has a place for it.
    #[error(
        "no directory to keep the page's certificate in: set STATE_DIRECTORY or HOME, or configure certificate-file"
    )]
    NoPlace,
    /// It cannot be kept.
    #[error("cannot keep the page's certificate in {}: {source}; make its directory writable", .path.display())]
    Unkept {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is kept so that others read it, or not to be read at all.
    #[error("{0}; {advice}", advice = .0.advice())]
    Secret(#[from] SecretError),
    /// What lies there is no certificate with its key.
    #[error("{}: {problem}; {advice}", .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
    /// None can be made.
    #[error("the page's certificate cannot be made: {0}")]
    Unmade(#[from] rcgen::Error),
}

const MAKE_ANEW: &str =
    "remove it and start again: the box makes another, and shows another fingerprint";
const LOOK_AT_IT: &str =
    "name a PEM file with the certificate, then its issuers, and one with its private key";

impl Identity {
    /// The one that was configured, from PEM files of certificates and of the key.
    ///
    /// # Errors
    /// When one cannot be read, others can read the key, or they do not belong together.
    pub fn configured(certificates: &Path, key: &Path) -> Result<Self, CertificateError> {
        let unreadable = |source| {
            CertificateError::Secret(SecretError::Unreadable {
                path: certificates.to_owned(),
                source,
            })
        };
        let chain = std::fs::read(certificates).map_err(unreadable)?;
        let secret = secret::read(&key.display().to_string(), Path::new("."))?;
        Self::of(&chain, secret.expose()).map_err(|problem| CertificateError::Broken {
            path: certificates.to_owned(),
            problem,
            advice: LOOK_AT_IT,
        })
    }

    /// The one of this box, made for `names` when there is none yet.
    ///
    /// # Errors
    /// When it cannot be made, kept or read.
    pub fn own(directory: Option<&Path>, names: &[String]) -> Result<Self, CertificateError> {
        let path = directory.ok_or(CertificateError::NoPlace)?.join(KEPT);
        if !path.exists() {
            let unkept = |source| CertificateError::Unkept {
                path: path.clone(),
                source,
            };
            secret::keep(&path, &made(names, "Roomseal box")?).map_err(unkept)?;
        }
        let kept = secret::read(&path.display().to_string(), Path::new("."))?;
        Self::of(kept.expose(), kept.expose()).map_err(|problem| CertificateError::Broken {
            path,
            problem,
            advice: MAKE_ANEW,
        })
    }

    fn of(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("it is no PEM file ({error})"))?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let fingerprint = grouped(&Sha256::digest(first.as_ref()));
        // What it says of a key is not repeated.
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| "there is no private key for it")?;
        // Every browser since 2018 speaks TLS 1.3.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has the cipher suites of TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|_| "certificate and private key do not belong together".to_owned())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            fingerprint,
        })
    }
}

/// Where the box keeps what survives a restart: systemd's state directory, or the user's.
pub fn state_directory() -> Option<PathBuf> {
    let systemd = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let user = || {
        std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/state")))
            .map(|state| state.join("roomseal"))
    };
    systemd.or_else(user)
}

/// What this machine is called where no configuration says more, and `address` if it is a single one.
pub fn own_names(address: IpAddr) -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let mut names = Vec::new();
    if !name.is_empty() && name.chars().all(plain) {
        if !name.contains('.') {
            names.push(format!("{name}.local"));
        }
        names.push(name);
    }
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    names
}

/// A new key and certificate, as PEM; `called` is for people.
pub(crate) fn made(names: &[String], called: &str) -> Result<Zeroizing<String>, rcgen::Error> {
    let key = rcgen::KeyPair::generate()?;
    let mut wanted = rcgen::CertificateParams::new(names)?;
    wanted.distinguished_name = rcgen::DistinguishedName::new();
    wanted
        .distinguished_name
        .push(rcgen::DnType::CommonName, called);
    let certificate = wanted.self_signed(&key)?;
    let secret = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new(format!("{}{}", *secret, certificate.pem())))
}

/// `AB:CD:…`, as browsers and openssl show it.
pub(crate) fn grouped(hash: &[u8]) -> String {
    let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names() -> Vec<String> {
        vec!["box.local".to_owned(), "192.0.2.7".to_owned()]
    }

    #[test]
    fn a_box_makes_its_certificate_once_and_keeps_it_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state/roomseal");
        let first = Identity::own(Some(&state), &names()).unwrap();
        assert_eq!(first.fingerprint.len(), 32 * 3 - 1);
        let again = Identity::own(Some(&state), &names()).unwrap();
        assert_eq!(first.fingerprint, again.fingerprint);
        let file = state.join(KEPT);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(&state).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        std::fs::remove_file(&file).unwrap();
        let other = Identity::own(Some(&state), &names()).unwrap();
        assert_ne!(first.fingerprint, other.fingerprint);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_damaged_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        Identity::own(Some(folder.path()), &names()).unwrap();
        let file = folder.path().join(KEPT);
        let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode));
        mode(0o644).unwrap();
        let refused = |state: &Path| Identity::own(Some(state), &names()).unwrap_err();
        let open = refused(folder.path()).to_string();
        assert!(open.contains("chmod 600"), "{open}");
        mode(0o600).unwrap();
        let pem = std::fs::read_to_string(&file).unwrap();
        let (_, certificate) = pem.split_once("-----END PRIVATE KEY-----").unwrap();
        for damaged in [&pem[..pem.len() / 2], certificate, "nonsense"] {
            std::fs::write(&file, damaged).unwrap();
            let broken = refused(folder.path()).to_string();
            assert!(broken.contains("remove it and start again"), "{broken}");
        }
        let nowhere = Identity::own(None, &names()).unwrap_err().to_string();
        assert!(nowhere.contains("STATE_DIRECTORY"), "{nowhere}");
    }

    #[test]
    fn a_configured_certificate_needs_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            path
        };
        let one = write("one.pem", &made(&names(), "box").unwrap());
        let other = write("other.pem", &made(&names(), "box").unwrap());
        Identity::configured(&one, &one).unwrap();
        let mixed = Identity::configured(&one, &other).unwrap_err().to_string();
        assert!(mixed.contains("do not belong together"), "{mixed}");
        let gone = Identity::configured(&folder.path().join("gone"), &one).unwrap_err();
        assert!(gone.to_string().contains("check the path"), "{gone}");
    }

    #[test]
    fn a_machine_is_known_by_its_name_and_by_the_one_address_that_it_was_given() {
        let any = own_names("0.0.0.0".parse().unwrap());
        assert!(!any.contains(&"0.0.0.0".to_owned()), "{any:?}");
        let one = own_names("192.0.2.7".parse().unwrap());
        assert_eq!(one.last().map(String::as_str), Some("192.0.2.7"));
        assert_eq!(one.len(), any.len() + 1);
    }
}
