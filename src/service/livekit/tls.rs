// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom to trust: the platform's authorities, further ones from a file, or one certificate by hash.

use std::{
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

use super::error::Error;

/// What makes a server's certificate good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM file with authorities to trust besides the platform's.
    pub extra_authorities: Option<PathBuf>,
    /// If set, exactly this certificate is good and no authority is asked: for a box that made its
    /// own.
    pub certificate: Option<CertificateHash>,
}

/// SHA-256 of a certificate (DER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateHash([u8; 32]);

impl CertificateHash {
    /// Takes the bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl FromStr for CertificateHash {
    type Err = Error;

    /// 64 hexadecimal digits, with or without colons, as `openssl x509 -fingerprint -sha256` prints
    /// them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: String = text
            .trim()
            .trim_start_matches("sha256:")
            .chars()
            .filter(|c| *c != ':')
            .collect();
        hex::decode(&digits)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(Error::BadCertificateHash)
    }
}

impl fmt::Display for CertificateHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The TLS side of one connection attempt. Made anew for each, so that a changed file or an updated
/// system counts at once.
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    /// The hash of the certificate that was shown, if it was not the expected one.
    wrong: Arc<Mutex<Option<CertificateHash>>>,
}

impl Tls {
    /// Reads certificates from disk: not to be called where that may not wait.
    pub(super) fn load(trust: &Trust) -> Result<Self, Error> {
        // Named, because a process-wide default would depend on what else is linked in.
        let provider = Arc::new(ring::default_provider());
        let wrong = Arc::default();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of TLS 1.2 and 1.3");
        let mut config = match trust.certificate {
            Some(expected) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(ByHash {
                    expected,
                    provider,
                    wrong: Arc::clone(&wrong),
                }))
                .with_no_client_auth(),
            None => builder
                .with_root_certificates(authorities(trust)?)
                .with_no_client_auth(),
        };
        // A WebSocket upgrade needs HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            wrong,
        })
    }

    /// Why a handshake failed, in words.
    pub(super) fn explain(&self, host: &str, error: &std::io::Error) -> Error {
        let wrong = match self.wrong.lock() {
            Ok(wrong) => *wrong,
            // Whoever panicked had at most not written it yet.
            Err(poisoned) => *poisoned.into_inner(),
        };
        if let Some(seen) = wrong {
            return Error::CertificateHash {
                host: host.into(),
                seen: seen.to_string(),
            };
        }
        use rustls::CertificateError as C;
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let advice = match inner {
            Some(rustls::Error::InvalidCertificate(certificate)) => match certificate {
                C::Expired | C::ExpiredContext { .. } => {
                    "renew the certificate of the server, or set the clock of this device"
                }
                C::NotValidYet | C::NotValidYetContext { .. } => {
                    "set the clock of this device; it is behind the certificate's first day"
                }
                C::NotValidForName | C::NotValidForNameContext { .. } => {
                    "use the name the certificate was made for"
                }
                C::UnknownIssuer => {
                    "name the file with the server's authority in the configuration, or pin the certificate by its hash"
                }
                _ => "check the certificate of the server",
            },
            Some(rustls::Error::InvalidMessage(_)) => {
                "the port speaks something else than TLS; check the port, or whether http:// was meant"
            }
            Some(_) => "check the TLS settings of the server",
            None => {
                return Error::Interrupted {
                    host: host.into(),
                    reason: error.to_string(),
                };
            }
        };
        Error::Tls {
            host: host.into(),
            reason: error.to_string(),
            advice,
        }
    }
}

fn authorities(trust: &Trust) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    // Single bad files among the platform's are common and no reason to stop.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &trust.extra_authorities {
        let unusable = |reason: String| Error::CertificateFile {
            path: path.clone(),
            reason,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| unusable(e.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is no PEM certificate in it".into()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|e| unusable(e.to_string()))?;
        }
    }
    Ok(roots)
}

/// Accepts one certificate, whoever signed it and whatever name or date it bears: the hash came
/// over a better channel than any authority has.
#[derive(Debug)]
struct ByHash {
    expected: CertificateHash,
    provider: Arc<CryptoProvider>,
    wrong: Arc<Mutex<Option<CertificateHash>>>,
}

impl ServerCertVerifier for ByHash {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = CertificateHash::of(end_entity);
        if seen == self.expected {
            return Ok(ServerCertVerified::assertion());
        }
        if let Ok(mut wrong) = self.wrong.lock() {
            *wrong = Some(seen);
        }
        Err(rustls::CertificateError::ApplicationVerificationFailure.into())
    }

    // That the server has the certificate's key is checked as always.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    // A failed unwrap is a failed test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_hash_is_read_as_openssl_prints_it() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        let hash: CertificateHash = plain.parse().unwrap();
        assert_eq!(colons.parse::<CertificateHash>().unwrap(), hash);
        assert_eq!(
            format!("sha256:{plain}")
                .parse::<CertificateHash>()
                .unwrap(),
            hash
        );
        assert_eq!(hash.to_string(), plain);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in [
            "",
            "ab",
            "xyz",
            &"ab".repeat(31),
            &"ab".repeat(33),
            &"ä".repeat(64),
        ] {
            assert!(text.parse::<CertificateHash>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let trust = Trust {
            extra_authorities: Some(file.path().to_owned()),
            certificate: None,
        };
        let error = Tls::load(&trust).err().unwrap().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
