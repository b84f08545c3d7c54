// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address of a server, with unencrypted ones refused where they would matter.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use super::error::Error;

/// The address of a meeting service: encrypted, or on this machine, or allowed to be neither.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl {
    url: Url,
    host: String,
    port: u16,
}

/// Whether an unencrypted connection beyond this machine is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// `insecure_lan = true`: everybody on the way can read and change the signalling.
    AllowedOnLan,
    /// Only on the loopback interface.
    #[default]
    LoopbackOnly,
}

impl ServerUrl {
    /// Reads `wss://`, `https://`, `ws://` or `http://` with a host, a port and perhaps a path.
    pub fn parse(text: &str, plaintext: Plaintext) -> Result<Self, Error> {
        let text = text.trim();
        let parsed = Url::parse(text);
        // A password may have been written into it: the error must not repeat it.
        let shown = match &parsed {
            Ok(url) => without_credentials(url),
            Err(_) => text.rsplit('@').next().unwrap_or_default().to_owned(),
        };
        let bad = |reason: &str| Error::BadUrl {
            url: shown.clone(),
            reason: reason.to_owned(),
        };
        let mut url = parsed.map_err(|e| bad(&e.to_string()))?;
        let (scheme, default_port) = match url.scheme() {
            "wss" | "https" => ("wss", 443),
            "ws" | "http" => ("ws", 80),
            other => return Err(bad(&format!("{other}:// is not spoken here"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("user and password do not belong into it; use a token"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("nothing may follow the path; a token is set apart"));
        }
        let port = url.port().unwrap_or(default_port);
        let host = match url.host() {
            None => return Err(bad("it has no host")),
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
        };
        // Between these special schemes the change is always allowed.
        url.set_scheme(scheme)
            .map_err(|()| bad("its scheme cannot be used"))?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let server = Self { url, host, port };
        if plaintext == Plaintext::LoopbackOnly && !server.is_encrypted() && !server.is_loopback() {
            return Err(Error::PlaintextRefused {
                url: server.to_string(),
            });
        }
        Ok(server)
    }

    /// Whether TLS is used.
    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "wss"
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            // RFC 6761 6.3: resolvers must answer it with a loopback address.
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host, and port where it does not go without saying: what requests call the server.
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The address with `path` after its own path and `query` after that, as WebSocket (`ws`,
    /// `wss`) address.
    pub(crate) fn join(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

fn without_credentials(url: &Url) -> String {
    let mut url = url.clone();
    // Addresses that cannot carry them refuse; then there is nothing to take out.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    // A failed unwrap is a failed test.
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> Result<ServerUrl, Error> {
        ServerUrl::parse(text, Plaintext::LoopbackOnly)
    }

    #[test]
    fn http_and_ws_addresses_mean_the_same() {
        assert_eq!(
            parse("https://meet.example.org").unwrap(),
            parse("wss://meet.example.org/").unwrap()
        );
        assert_eq!(parse("https://meet.example.org").unwrap().port(), 443);
        assert_eq!(
            parse("ws://127.0.0.1:7880").unwrap().to_string(),
            "ws://127.0.0.1:7880"
        );
    }

    #[test]
    fn a_path_before_the_service_is_kept() {
        let server = parse("https://example.org/meet/").unwrap();
        let url = server.join("/rtc", &[("protocol", "16"), ("version", "1 & 2")]);
        assert_eq!(
            url.as_str(),
            "wss://example.org/meet/rtc?protocol=16&version=1+%26+2"
        );
    }

    #[test]
    fn plaintext_is_refused_beyond_this_machine() {
        for text in [
            "ws://192.168.1.5:7880",
            "http://meet.local",
            "ws://[fe80::1]:7880",
            "ws://128.0.0.1",
        ] {
            assert!(
                matches!(parse(text), Err(Error::PlaintextRefused { .. })),
                "{text}"
            );
            assert!(ServerUrl::parse(text, Plaintext::AllowedOnLan).is_ok());
        }
        for text in [
            "ws://127.9.9.9:7880",
            "http://localhost:7880",
            "ws://[::1]:7880",
            "ws://[::ffff:127.0.0.1]",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        // A name that only starts like this machine's is another machine.
        assert!(parse("ws://localhost.example.org").is_err());
        assert!(parse("ws://127.0.0.1.example.org").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_a_password() {
        for text in [
            "",
            "meet.example.org",
            "ftp://x",
            "wss://",
            "wss://user:hunter2@x",
            "wss://x?access_token=hunter2",
            "://me:hunter2@x",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, Error::BadUrl { .. }), "{text}: {error:?}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
