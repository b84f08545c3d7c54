// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scheme, host and port of the service in a link.

use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// `https://host[:port]`, in lower case and without the port that goes without saying.
///
/// `http://` is read too, for a service on this machine or on a LAN without certificates; who connects refuses it where
/// [`is_tls`](Self::is_tls) and [`is_loopback`](Self::is_loopback) are both false, unless its owner allowed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    /// A DNS name, an IPv4 address, or an IPv6 address in brackets.
    host: String,
    port: Option<u16>,
}

/// Why a text does not begin with scheme, host and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Neither `https://` nor `http://`.
    #[error("the beginning is missing: it starts with https://")]
    Scheme,
    /// No host, or one with characters that no host has.
    #[error(
        "the host is damaged: it is a name like meet.example.org, or an address ([...] around one of IPv6)"
    )]
    Host,
    /// Not 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Something before `@`.
    #[error("there is a user name before the host, which an invitation never has: do not use it")]
    User,
}

impl Origin {
    /// Whether it is `https://`.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the host is this machine, by its name or its address.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            // RFC 6761 §6.3: resolvers must answer it with a loopback address.
            Err(_) => self.host == "localhost",
        }
    }

    /// The host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it goes without saying.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(default_port(self.tls))
    }

    /// Takes the origin off the beginning of an address.
    pub(super) fn split(address: &str) -> Result<(Self, &str), OriginError> {
        let after = |scheme: &str| {
            let begins = address
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme));
            begins.then(|| &address[scheme.len()..])
        };
        let (tls, rest) = match (after("https://"), after("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(OriginError::Scheme),
        };
        let (authority, path) =
            rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(OriginError::User);
        }
        // In an IPv6 address, only a colon after the bracket begins the port.
        let end_of_host = match authority.strip_prefix('[') {
            Some(_) => authority.find(']').ok_or(OriginError::Host)? + 1,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at(end_of_host);
        let port = match port {
            "" => None,
            port => Some(port.strip_prefix(':').ok_or(OriginError::Host)?),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err(OriginError::Host);
        }
        let port = match port {
            None => None,
            Some(digits) if digits.is_empty() || digits.contains(|c: char| !c.is_ascii_digit()) => {
                return Err(OriginError::Port);
            }
            Some(digits) => match digits.parse() {
                Ok(0) | Err(_) => return Err(OriginError::Port),
                Ok(port) => Some(port).filter(|port| *port != default_port(tls)),
            },
        };
        let host = read_host(host).ok_or(OriginError::Host)?;
        Ok((Self { tls, host, port }, path))
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match Self::split(text.trim())? {
            (origin, "" | "/") => Ok(origin),
            _ => Err(OriginError::Host),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn read_host(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(alloc::format!("[{address}]"));
    }
    // Names in other scripts come as their ASCII form (xn--…), which is what a service is asked for.
    let label = |label: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.len() <= 253 && text.split('.').all(label);
    // What ends in a number is an address or nothing (WHATWG URL §3.5): 127.1 is no name.
    let numeric = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    let address = text.parse::<Ipv4Addr>().is_ok();
    (name && (address || !numeric)).then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        for (text, one) in [
            ("https://Meet.Example.ORG", "https://meet.example.org"),
            ("HTTPS://meet.example.org:443/", "https://meet.example.org"),
            ("https://meet.example.org:80", "https://meet.example.org:80"),
            ("http://127.0.0.1:7880", "http://127.0.0.1:7880"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("https://[FD00:0::1]:7443", "https://[fd00::1]:7443"),
            (
                "https://xn--bcher-kva.example",
                "https://xn--bcher-kva.example",
            ),
            ("https://box", "https://box"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), one);
            assert_eq!(one.parse(), Ok(origin));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("meet.example.org", OriginError::Scheme),
            ("wss://meet.example.org", OriginError::Scheme),
            ("https:/meet.example.org", OriginError::Scheme),
            ("https://", OriginError::Host),
            ("https://:443", OriginError::Host),
            ("https://meet..org", OriginError::Host),
            ("https://-meet.org", OriginError::Host),
            ("https://b\u{fc}cher.example", OriginError::Host),
            ("https://127.1", OriginError::Host),
            ("https://1.2.3.256", OriginError::Host),
            ("https://[::1", OriginError::Host),
            ("https://[::1]x", OriginError::Host),
            ("https://::1", OriginError::Host),
            ("https://a:b", OriginError::Port),
            ("https://a:", OriginError::Port),
            ("https://a:0", OriginError::Port),
            ("https://a:65536", OriginError::Port),
            ("https://a:+80", OriginError::Port),
            ("https://meet.example.org@evil.example", OriginError::User),
            ("https://a\\b", OriginError::Host),
            ("https://a/b", OriginError::Host),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(why), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (text, loopback) in [
            ("http://localhost:7880", true),
            ("http://127.8.0.1", true),
            ("http://[::1]", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://192.0.2.1", false),
            ("http://localhost.example", false),
            ("http://[fe80::1]", false),
        ] {
            assert_eq!(
                text.parse::<Origin>().unwrap().is_loopback(),
                loopback,
                "{text}"
            );
        }
    }
}
