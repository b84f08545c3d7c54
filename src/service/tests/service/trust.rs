// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which certificates are good. The server is a fake with a real TLS stack.

use std::{path::PathBuf, sync::Arc};

use rcgen::CertifiedKey;
use roomseal_service::livekit::{
    CertificateHash, Config, Error, Plaintext, Reason, ServerUrl, TokenSource, Trust,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::{
    client::{Guest, config, mint},
    fake::{Fake, Peer},
};

/// A fake server with a certificate that it made itself for `name`.
struct Sealed {
    fake: Fake,
    pem: String,
    hash: CertificateHash,
}

impl Sealed {
    async fn start(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let fake = Fake::tcp(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                // A client that does not trust us breaks off.
                if let Ok(stream) = acceptor.accept(stream).await
                    && let Some(mut peer) = Peer::accept(stream).await
                {
                    peer.join().await;
                    peer.listen().await;
                }
            }
        })
        .await;
        let digest = Sha256::digest(cert.der());
        Self {
            fake,
            pem: cert.pem(),
            hash: hex::encode(digest).parse().unwrap(),
        }
    }

    fn config(&self, trust: Trust) -> Config {
        let tokens = TokenSource::Minted(Box::new(mint("atrium", "box")));
        let address = format!("https://127.0.0.1:{}", self.fake.port());
        Config {
            trust,
            ..config(&address, tokens)
        }
    }
}

async fn refused(config: Config) -> Error {
    let (reason, _) = Guest::connect(config).disconnected().await;
    match reason {
        Reason::Connect(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_refused_with_what_to_do() {
    let server = Sealed::start("127.0.0.1").await;
    let error = refused(server.config(Trust::default())).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("pin the certificate"), "{error}");
    assert!(!error.is_final());
}

#[tokio::test]
async fn a_pinned_certificate_is_good_whatever_its_name() {
    let server = Sealed::start("box.invalid").await;
    let trust = Trust {
        certificate: Some(server.hash),
        ..Default::default()
    };
    Guest::connect(server.config(trust)).joined().await;
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused_and_its_hash_told() {
    let server = Sealed::start("127.0.0.1").await;
    let other = Sealed::start("127.0.0.1").await;
    let trust = Trust {
        certificate: Some(other.hash),
        ..Default::default()
    };
    let error = refused(server.config(trust)).await;
    let expected = Error::CertificateHash {
        host: "127.0.0.1".into(),
        seen: server.hash.to_string(),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn an_authority_from_a_file_is_trusted_for_its_names_only() {
    let directory = tempfile::tempdir().unwrap();
    for (name, good) in [("127.0.0.1", true), ("elsewhere.invalid", false)] {
        let server = Sealed::start(name).await;
        let path: PathBuf = directory.path().join(name);
        std::fs::write(&path, &server.pem).unwrap();
        let trust = Trust {
            extra_authorities: Some(path),
            ..Default::default()
        };
        if good {
            Guest::connect(server.config(trust)).joined().await;
        } else {
            let error = refused(server.config(trust)).await;
            let text = error.to_string();
            assert!(
                text.contains("use the name the certificate was made for"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_authority_file_is_named_and_final() {
    let server = Sealed::start("127.0.0.1").await;
    let trust = Trust {
        extra_authorities: Some("/nonexistent/authority.pem".into()),
        ..Default::default()
    };
    let error = refused(server.config(trust)).await;
    assert!(error.is_final());
    assert!(
        error.to_string().contains("/nonexistent/authority.pem"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_without_tls_is_told() {
    // As an HTTP server answers a greeting that is no request.
    let fake = Fake::tcp(|_, mut stream| async move {
        let mut greeting = [0; 5];
        let _ = stream.read_exact(&mut greeting).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let tokens = TokenSource::Minted(Box::new(mint("atrium", "box")));
    let address = format!("wss://127.0.0.1:{}", fake.port());
    let error = refused(config(&address, tokens)).await;
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.to_string().contains("check the port"), "{error}");
}

#[test]
fn an_address_without_tls_is_refused_unless_allowed() {
    let error = ServerUrl::parse("ws://192.0.2.1:7880", Plaintext::LoopbackOnly).unwrap_err();
    assert!(error.to_string().contains("insecure_lan = true"), "{error}");
    let server = ServerUrl::parse("ws://192.0.2.1:7880", Plaintext::AllowedOnLan).unwrap();
    assert!(!server.is_encrypted());
}
