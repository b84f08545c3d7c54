// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's certificate: it can be exchanged while the hub runs, so that nobody has to come by when it is renewed.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

/// Who answers for the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// An authority that browsers believe: they are told to come over TLS alone from now on.
    Authority,
    /// The hub itself. Whoever knows the certificate's [hash](Identity::hash) can check it.
    Hub,
}

/// What the hub shows to who connects: certificate and private key.
pub struct Identity {
    shown: Arc<Shown>,
    provider: CryptoProvider,
    issuer: Issuer,
    pub(crate) config: Arc<ServerConfig>,
}

/// Why a certificate cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("it is no PEM file: {0}")]
    Pem(String),
    /// There is none.
    #[error("there is no certificate in it")]
    NoCertificate,
    /// What was read of the key is not repeated.
    #[error("there is no private key for it")]
    NoKey,
    /// The one is not for the other.
    #[error("certificate and private key do not belong together")]
    Apart,
}

impl Identity {
    /// Reads the certificate, then those of its issuers, and the private key, all as PEM.
    ///
    /// # Errors
    /// When one of them cannot be read, or they do not belong together.
    pub fn new(chain: &[u8], key: &[u8], issuer: Issuer) -> Result<Self, IdentityError> {
        let provider = ring::default_provider();
        let shown = Shown(RwLock::new(read(chain, key, &provider)?));
        let shown = Arc::new(shown);
        // What can do WebRTC as meetings need it speaks TLS 1.3.
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider.clone()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring has the cipher suites of TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as Arc<dyn ResolvesServerCert>);
        // A WebSocket upgrade needs HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            shown,
            provider,
            issuer,
            config: Arc::new(config),
        })
    }

    /// Shows another certificate to who connects from now on; says whether it is another. Connections go on.
    ///
    /// # Errors
    /// As [`Identity::new`]; then the one that was shown is shown further.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<bool, IdentityError> {
        let next = read(chain, key, &self.provider)?;
        let mut shown = self.shown.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = shown.cert != next.cert;
        *shown = next;
        Ok(is_other)
    }

    /// SHA-256 of the certificate (DER).
    pub fn hash(&self) -> [u8; 32] {
        let shown = self.shown.now();
        let first = shown.cert.first().map_or(&[][..], |it| it.as_ref());
        Sha256::digest(first).into()
    }

    /// Who answers for it.
    pub fn issuer(&self) -> Issuer {
        self.issuer
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.issuer)
    }
}

fn read(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Pem(error.to_string()))?;
    if chain.is_empty() {
        return Err(IdentityError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
    let pair = CertifiedKey::from_der(chain, key, provider).map_err(|_| IdentityError::Apart)?;
    Ok(Arc::new(pair))
}

struct Shown(RwLock<Arc<CertifiedKey>>);

impl Shown {
    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}
