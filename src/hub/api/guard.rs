// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door: from where a request may come, and by which cookie its sender is known.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use url::Url;

use super::Api;
use super::problem::Problem;
use crate::people::{SESSION, SessionToken};

/// A header that pages of other sites cannot send without asking first, and nobody answers them yes.
const MARK: &str = "roomseal-request";

/// Where browsers find a hub, as in `https://meet.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As browsers write it.
    text: String,
    /// As it stands in the header `Host`.
    host: String,
    is_secure: bool,
}

/// A text that is no origin of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// There is more, or less, than scheme, host and port.
    #[error("an origin is scheme, host and port alone, as in https://meet.example.org")]
    Form,
    /// Passwords would be sent without TLS.
    #[error("beyond this machine, people sign in over TLS only: the origin begins with https://")]
    Clear,
}

impl Origin {
    /// Reads one.
    ///
    /// # Errors
    /// When it is more or less than an origin, or one without TLS beyond this machine.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::Form)?;
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let host = url.host_str().filter(|host| is_bare && !host.is_empty());
        let host = host.ok_or(OriginError::Form)?;
        let is_secure = match url.scheme() {
            "https" => true,
            "http" if is_here(host) => false,
            "http" => return Err(OriginError::Clear),
            _ => return Err(OriginError::Form),
        };
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self {
            text: url.origin().ascii_serialization(),
            host,
            is_secure,
        })
    }

    /// As browsers write it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether a host, without port, is this machine whoever asks.
fn is_here(host: &str) -> bool {
    let address = bare(host).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// An address of IPv6 without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Api {
    /// Lets a request in, and says from where it comes.
    ///
    /// # Errors
    /// When it comes from the page of another site, without TLS from another machine, or under another name.
    pub(super) fn guard(
        &self,
        request: &Request<Incoming>,
        peer: IpAddr,
    ) -> Result<IpAddr, Problem> {
        let headers = request.headers();
        let address = self.admit(headers, peer);
        let address = address.map_err(|what| Problem::new(StatusCode::FORBIDDEN, "clear", what))?;
        let host = headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        // A name that anybody can point here would make its pages those of this site.
        let Some(site) = self.site(host) else {
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "this hub has another name; ask for it by its address, or by what --origin says",
            ));
        };
        if request.method() != Method::GET {
            self.is_own(headers, &site)?;
        }
        Ok(address)
    }

    /// From where a request comes that is answered over TLS only, except on this machine.
    ///
    /// # Errors
    /// What to do, when it came in clear.
    pub(crate) fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<IpAddr, &'static str> {
        if self.is_tls() || self.is_believed(peer) {
            Ok(self.address(headers, peer))
        } else {
            Err(
                "from other machines this is answered over TLS only; start the hub with a certificate \
                 (--tls-certificate), or with --origin https://… and --trusted-proxy, the address of a proxy that has one",
            )
        }
    }

    /// From where a request comes: what a proxy says of it, or its connection.
    pub(crate) fn address(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        if self.is_believed(peer) {
            forwarded_for(headers).unwrap_or(peer)
        } else {
            peer
        }
    }

    /// Whether it is this machine, or a proxy that was named.
    fn is_believed(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.proxies.contains(&peer)
    }

    /// Whether the hub itself speaks TLS, and nothing else.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a browser that asks for `host` comes through the proxy in front of the hub.
    pub(super) fn is_origin(&self, host: &str) -> bool {
        let own = self.origin.as_ref();
        own.is_some_and(|own| own.host.eq_ignore_ascii_case(host))
    }

    /// Whether browsers reach it over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_tls() || self.origin.as_ref().is_some_and(|origin| origin.is_secure)
    }

    /// Where a browser that asks for `host` finds the hub, if it is called so.
    pub(crate) fn site(&self, host: &str) -> Option<String> {
        if let Some(own) = self.origin.as_ref().filter(|_| self.is_origin(host)) {
            return Some(own.text.clone());
        }
        let name = without_port(host);
        // What is an address, nobody can point elsewhere.
        let is_address = |host: &str| bare(host).parse::<IpAddr>().is_ok();
        let is_named = |host: &str| {
            self.names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
        };
        if self.is_tls() && (is_here(name) || is_address(name) || is_named(name)) {
            return Some(format!("https://{host}"));
        }
        is_here(name).then(|| format!("http://{host}"))
    }

    /// Whether what changes something comes from a page of the hub, or from no page.
    fn is_own(&self, headers: &HeaderMap, site: &str) -> Result<(), Problem> {
        let says = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        let from = says("sec-fetch-site");
        let is_same_site = from.is_none_or(|from| from == b"same-origin");
        let is_same_origin = says("origin").is_none_or(|origin| {
            let own = self.origin.as_ref().map(|own| own.text.as_bytes());
            own == Some(origin) || origin == site.as_bytes()
        });
        if !is_same_site || !is_same_origin {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "other-site",
                "this came from a page of another site; use the hub's own pages",
            ));
        }
        if says(MARK).is_none() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "no-mark",
                "send the header Roomseal-Request: 1, which pages of other sites cannot",
            ));
        }
        Ok(())
    }

    /// What the session's cookie holds.
    pub(super) fn token(&self, headers: &HeaderMap) -> Option<SessionToken> {
        cookie(headers, self.cookie()).map(SessionToken::read)
    }

    /// The header that keeps a session in a browser; `None`: that ends it there.
    pub(super) fn set_cookie(&self, token: Option<&SessionToken>) -> HeaderValue {
        let (value, age) = match token {
            Some(token) => (token.expose(), SESSION.as_secs()),
            None => ("", 0),
        };
        let name = self.cookie();
        let secure = if self.is_secure() { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}");
        let mut header = HeaderValue::from_str(&text).expect("tokens are base64url");
        header.set_sensitive(true);
        header
    }

    /// Browsers take the first name from this host over TLS alone.
    fn cookie(&self) -> &'static str {
        if self.is_secure() {
            "__Host-roomseal"
        } else {
            "roomseal"
        }
    }
}

/// What a cookie holds.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter();
    let mut cookies = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'));
    cookies.find_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// For whom a proxy asks.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back()?;
    // What was there before, anybody may have written.
    let address = forwarded.to_str().ok()?.rsplit(',').next()?;
    address.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = Origin::parse("https://Meet.example.org/").expect("good");
        assert_eq!(origin.as_str(), "https://meet.example.org");
        assert_eq!(origin.host, "meet.example.org");
        let origin = Origin::parse("https://meet.example.org:8443").expect("good");
        assert_eq!(origin.as_str(), "https://meet.example.org:8443");
        assert_eq!(origin.host, "meet.example.org:8443");
        assert!(
            !Origin::parse("http://127.0.0.1:7880")
                .expect("good")
                .is_secure
        );
        assert!(Origin::parse("http://[::1]:7880").is_ok());
        let clear = Err(OriginError::Clear);
        assert_eq!(Origin::parse("http://meet.example.org"), clear);
        for text in [
            "",
            "meet.example.org",
            "https://",
            "https://meet.example.org/x",
            "https://meet.example.org?x",
            "https://meet.example.org#x",
            "https://ann@meet.example.org",
            "ftp://meet.example.org",
        ] {
            assert_eq!(Origin::parse(text), Err(OriginError::Form), "{text}");
        }
    }

    #[test]
    fn only_the_last_address_that_a_proxy_wrote_is_the_one_it_asks_for() {
        let mut headers = HeaderMap::new();
        assert_eq!(forwarded_for(&headers), None);
        for value in ["198.51.100.1, 203.0.113.5", "nonsense"] {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        assert_eq!(forwarded_for(&headers), None);
        headers.append(
            "x-forwarded-for",
            HeaderValue::from_static("x, 203.0.113.5"),
        );
        let there = IpAddr::from([203, 0, 113, 5]);
        assert_eq!(forwarded_for(&headers), Some(there));
    }
}
