// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a LiveKit server is: over TLS, or on this machine, or allowed to be neither.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use url::{Host, Url};

/// The address of a LiveKit server, as `wss://livekit.example.org`.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveKitUrl {
    /// With the scheme `ws` or `wss`, and no slash at its end.
    text: String,
    path: String,
    host: String,
    port: u16,
    is_secure: bool,
}

/// A text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveKitUrlError {
    /// It is something else.
    #[error(
        "write scheme, host and port alone, as in wss://livekit.example.org; key and secret are set apart"
    )]
    Form,
    /// Tokens would be sent without TLS.
    #[error(
        "beyond this machine the LiveKit server is reached over TLS: write wss://, or add --insecure-lan on a network \
         that you trust"
    )]
    Clear,
}

impl LiveKitUrl {
    /// Sees to it that it is reached over TLS, unless it is on this machine or `insecure_lan` allows otherwise.
    ///
    /// # Errors
    /// When it is not.
    pub fn encrypted(self, insecure_lan: bool) -> Result<Self, LiveKitUrlError> {
        if self.is_secure || insecure_lan || self.is_here() {
            Ok(self)
        } else {
            Err(LiveKitUrlError::Clear)
        }
    }

    /// As clients are told of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Name or address, without brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the header `Host`.
    pub(super) fn authority(&self) -> &str {
        let rest = self.text.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }

    /// The path of something below this address.
    pub(super) fn below(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }

    /// Where a page connects to, as its content-security-policy names it: signalling, and the questions that LiveKit's
    /// client asks when that fails.
    pub(super) fn sources(&self) -> String {
        let (signalling, questions) = if self.is_secure {
            ("wss", "https")
        } else {
            ("ws", "http")
        };
        let authority = self.authority();
        format!("{signalling}://{authority} {questions}://{authority}")
    }

    fn is_here(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            // RFC 6761 6.3: resolvers must answer it with a loopback address.
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl FromStr for LiveKitUrl {
    type Err = LiveKitUrlError;

    fn from_str(text: &str) -> Result<Self, LiveKitUrlError> {
        let mut url = Url::parse(text.trim()).map_err(|_| LiveKitUrlError::Form)?;
        let (scheme, usual) = match url.scheme() {
            "wss" | "https" => ("wss", 443),
            "ws" | "http" => ("ws", 80),
            _ => return Err(LiveKitUrlError::Form),
        };
        let has_more = url.query().is_some() || url.fragment().is_some();
        if has_more || !url.username().is_empty() || url.password().is_some() {
            return Err(LiveKitUrlError::Form);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(LiveKitUrlError::Form),
        };
        let port = url.port().unwrap_or(usual);
        // Between these schemes the change is always allowed.
        url.set_scheme(scheme).map_err(|()| LiveKitUrlError::Form)?;
        Ok(Self {
            text: url.as_str().trim_end_matches('/').to_owned(),
            path: url.path().trim_end_matches('/').to_owned(),
            host,
            port,
            is_secure: scheme == "wss",
        })
    }
}

impl fmt::Display for LiveKitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for LiveKitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveKitUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LiveKitUrl, LiveKitUrlError> {
        text.parse::<LiveKitUrl>()?.encrypted(false)
    }

    #[test]
    fn it_is_reached_over_tls_or_on_this_machine() {
        for text in [
            "ws://192.0.2.1:7880",
            "http://livekit.example.org",
            "ws://localhost.example.org",
        ] {
            assert_eq!(read(text), Err(LiveKitUrlError::Clear), "{text}");
            let url = text.parse::<LiveKitUrl>().expect("it is an address");
            assert!(url.encrypted(true).is_ok());
        }
        for text in [
            "ws://127.0.0.1:7880",
            "http://localhost:7880",
            "ws://[::1]:7880",
            "wss://a.example.org",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "livekit.example.org",
            "ftp://a",
            "wss://",
            "wss://key:secret@a",
            "wss://a?access_token=x",
            "wss://a#x",
        ] {
            assert_eq!(read(text), Err(LiveKitUrlError::Form), "{text}");
        }
    }

    #[test]
    fn pages_may_connect_to_exactly_this_server() {
        let url = read("https://livekit.example.org:8443/below/").expect("good");
        assert_eq!(url.as_str(), "wss://livekit.example.org:8443/below");
        assert_eq!(url.below("/twirp/x"), "/below/twirp/x");
        assert_eq!((url.host(), url.port()), ("livekit.example.org", 8443));
        assert_eq!(
            url.sources(),
            "wss://livekit.example.org:8443 https://livekit.example.org:8443"
        );
        let url = read("ws://127.0.0.1:7880").expect("good");
        assert_eq!(url.sources(), "ws://127.0.0.1:7880 http://127.0.0.1:7880");
    }
}
