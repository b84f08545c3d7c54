// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's certificate: the files that it comes from, and that they are read again when somebody renews them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use roomseal_hub::{Identity, Issuer};
use tokio::signal::unix::{SignalKind, signal};

use crate::page::{grouped, made};
use crate::secret;

/// The file of a self-made one, in the data folder.
const KEPT: &str = "hub.pem";

/// How soon a renewed certificate is shown when nobody sends the signal.
const LOOK: Duration = Duration::from_secs(60);

/// Where the certificate comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// From files of the user: the certificate with its issuers, and the private key (or `credential:NAME`).
    Given {
        /// The certificate.
        chain: PathBuf,
        /// The private key.
        key: String,
    },
    /// From a file of the hub's own.
    Own {
        /// Certificate and private key.
        file: PathBuf,
        /// What it is made for.
        names: Vec<String>,
    },
}

impl Source {
    /// One that the hub makes for itself and keeps in `data`.
    pub(super) fn own(data: &Path, names: Vec<String>) -> Self {
        let file = data.join(KEPT);
        Self::Own { file, names }
    }

    /// Reads it; makes it first, where it is the hub's own and there is none yet.
    pub(super) fn identity(&self) -> anyhow::Result<Identity> {
        let issuer = match self {
            Self::Given { .. } => Issuer::Authority,
            Self::Own { file, names } => {
                if !file.exists() {
                    let pem = made(names, "Roomseal hub").context("no certificate can be made")?;
                    secret::keep(file, &pem).with_context(|| {
                        format!("cannot write {}: make its folder writable", file.display())
                    })?;
                }
                Issuer::Hub
            }
        };
        let (chain, key) = self.read()?;
        Identity::new(&chain, key.expose(), issuer).map_err(|error| self.unfit(&error))
    }

    /// Says what boxes and browsers have to know of it.
    pub(super) fn introduce(&self, identity: &Identity) {
        let hash = grouped(&identity.hash());
        match self {
            Self::Given { chain, .. } => {
                tracing::info!("TLS with the certificate in {}", chain.display());
            }
            Self::Own { .. } => tracing::info!(
                "TLS with a self-made certificate; its SHA-256 is {hash}: compare it in browsers, give it to boxes as \
                 certificate-sha256, and to links by `roomseal new-meeting --certificate-sha256`"
            ),
        }
    }

    /// Shows the certificate as it is in the files now, whenever it changes or the signal SIGHUP comes.
    pub(super) async fn keep_up(&self, identity: &Identity) -> anyhow::Error {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return error.into(),
        };
        // What is wrong is said once.
        let mut said = String::new();
        loop {
            tokio::select! {
                _ = hangup.recv() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let renewed = self.read().and_then(|(chain, key)| {
                let replaced = identity.replace(&chain, key.expose());
                replaced.map_err(|error| self.unfit(&error))
            });
            match renewed {
                Ok(is_other) => {
                    said.clear();
                    if is_other {
                        tracing::info!(
                            "another certificate is shown from now on; its SHA-256 is {}",
                            grouped(&identity.hash())
                        );
                    }
                }
                Err(error) if said != error.to_string() => {
                    said = error.to_string();
                    tracing::warn!("the certificate stays as it was: {said}");
                }
                Err(_) => {}
            }
        }
    }

    fn read(&self) -> anyhow::Result<(Vec<u8>, secret::Secret)> {
        let secret = |reference: &str| {
            secret::read(reference, Path::new(""))
                .map_err(|error| anyhow!("{error}; {}", error.advice()))
        };
        match self {
            Self::Given { chain, key } => {
                let certificates = std::fs::read(chain).with_context(|| {
                    format!(
                        "cannot read {}: name a PEM file with --tls-certificate",
                        chain.display()
                    )
                })?;
                Ok((certificates, secret(key)?))
            }
            Self::Own { file, .. } => {
                let both = secret(&file.display().to_string())?;
                Ok((both.expose().to_vec(), both))
            }
        }
    }

    fn unfit(&self, error: &roomseal_hub::IdentityError) -> anyhow::Error {
        match self {
            Self::Given { chain, .. } => anyhow!(
                "{}: {error}; name a PEM file with the certificate, then its issuers (--tls-certificate), and one with its \
                 private key (--tls-key)",
                chain.display()
            ),
            Self::Own { file, .. } => anyhow!(
                "{}: {error}; remove it and start again: the hub makes another, with another SHA-256",
                file.display()
            ),
        }
    }
}

/// Without a certificate, the signal that asks to read it again asks for nothing.
pub(super) async fn nothing_to_read() -> anyhow::Error {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => loop {
            hangup.recv().await;
        },
        Err(error) => error.into(),
    }
}
