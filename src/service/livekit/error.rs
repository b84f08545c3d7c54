// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a connection could not be made, and what to do about it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::wording::Ago;

/// Why a connection to the server could not be made. The text says what to do next and holds no
/// secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The hash of a certificate in the configuration is none.
    #[error(
        "this is not the SHA-256 hash of a certificate: it has 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them"
    )]
    BadCertificateHash,
    /// The address in the configuration is not one of a meeting service.
    #[error(
        "{url:?} is not the address of a meeting service ({reason}): write it like wss://meet.example.org"
    )]
    BadUrl {
        /// The address as given, without user or password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate is not the pinned one.
    #[error(
        "the certificate of {host} has the SHA-256 hash {seen}, not the expected one: somebody may be intercepting the connection, or the server has a new certificate; compare the hash at the server before taking it over"
    )]
    CertificateHash {
        /// Name in the address.
        host: String,
        /// Lower-case hexadecimal SHA-256 of the certificate that was shown.
        seen: String,
    },
    /// A file with certificates cannot be used.
    #[error("cannot use the certificates in {}: {reason}", path.display())]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// This device's clock is wrong.
    #[error(
        "the server does not take a token that was made a moment ago ({reason}): the clock of this device or of the server is wrong; it will be tried again"
    )]
    Clock {
        /// The server's words, cleaned and shortened.
        reason: String,
    },
    /// Nobody listens, or the network does not lead there.
    #[error("cannot connect to {address} ({reason}): is the server running?")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// The system's words.
        reason: String,
    },
    /// Another answer of the HTTP server than a WebSocket.
    #[error(
        "the server answered with HTTP {status} instead of opening a connection{detail}: look into the log of the server or the proxy before it"
    )]
    Http {
        /// HTTP status.
        status: u16,
        /// The server's words in brackets, cleaned and shortened; may be empty.
        detail: String,
    },
    /// The service makes the secret of this meeting, and does not give it.
    #[error(
        "the service gives no secret of this meeting ({reason}): ask whoever runs it, or the host for a link with a secret"
    )]
    NoMeetingSecret {
        /// Why, as far as it is known.
        reason: String,
    },
    /// The connection broke while it was being opened.
    #[error("the connection to {host} broke while it was being opened ({reason})")]
    Interrupted {
        /// Name in the address.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The HTTP server speaks no LiveKit.
    #[error(
        "this is not a LiveKit server (HTTP {status} for {path}): check the address; it is the one that clients use, without /rtc"
    )]
    NotLiveKit {
        /// HTTP status.
        status: u16,
        /// The path asked for.
        path: String,
    },
    /// Unencrypted signalling beyond this machine.
    #[error(
        "{url} is not encrypted: use wss:// or https://, or set `insecure_lan = true` if everybody on this network may read and change who meets whom"
    )]
    PlaintextRefused {
        /// The address.
        url: String,
    },
    /// The name of the server is unknown.
    #[error(
        "cannot find {host} ({reason}): check the name and whether this network has a DNS server"
    )]
    Resolve {
        /// Name in the address.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// The room does not exist and the server makes none by itself.
    #[error(
        "the room does not exist on the server and is not made automatically: create it first, or check the room's name in the token"
    )]
    RoomNotFound,
    /// The server is at its limit.
    #[error(
        "the server has reached its limit of rooms or participants (HTTP 503{detail}): it will be tried again"
    )]
    ServerFull {
        /// The server's words in brackets, cleaned and shortened; may be empty.
        detail: String,
    },
    /// Nothing answered in time.
    #[error("{host} did not answer within {} s: check the network, or whether a firewall is in between", waited.as_secs())]
    Timeout {
        /// Name in the address.
        host: String,
        /// For how long it was waited.
        waited: Duration,
    },
    /// TLS failed.
    #[error("cannot trust the connection to {host} ({reason}): {advice}")]
    Tls {
        /// Name in the address.
        host: String,
        /// The TLS library's words.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// No token can be made with this configuration.
    #[error("cannot make a token ({reason}): set API key, API secret, room and identity")]
    TokenSource {
        /// What is missing.
        reason: String,
    },
    /// The text given as a token is none.
    #[error(
        "this is not an access token ({reason}): paste the whole token, three parts with dots in between"
    )]
    TokenMalformed {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The server does not take the token.
    #[error("the server refused the token (401: {reason}): {advice}")]
    TokenRefused {
        /// Why, as far as it is known.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The token is fine but something in between does not pass WebSockets on.
    #[error(
        "the server accepts the token, but no WebSocket could be opened (HTTP {status}): a proxy in between must pass on `Upgrade: websocket` for /rtc"
    )]
    UpgradeFailed {
        /// HTTP status of the upgrade.
        status: u16,
    },
}

impl Error {
    /// Whether trying again with the same configuration cannot help.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::BadCertificateHash
                | Self::BadUrl { .. }
                | Self::CertificateFile { .. }
                | Self::PlaintextRefused { .. }
                | Self::TokenMalformed { .. }
                | Self::TokenRefused { .. }
                | Self::TokenSource { .. }
        )
    }

    /// A refused token, with the age of its expiry when that is the reason.
    pub(super) fn token_expired(ago: Duration) -> Self {
        Self::TokenRefused {
            reason: format!("the token expired {}", Ago(ago)),
            advice: "make a new one, and check this device's clock if it should still be valid",
        }
    }
}
