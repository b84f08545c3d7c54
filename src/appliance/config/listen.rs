// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the front-panel page listens.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// The port of the page unless the configuration names another.
const PORT: u16 = 8780;

/// The same on the network.
const NETWORK_PORT: u16 = 8443;

/// Where the front-panel page listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At an address of loopback; port 0 is any free one.
    At(SocketAddr),
    /// There is no page.
    None,
}

impl Network {
    /// Every network of this machine.
    pub fn everywhere() -> Self {
        Self::At(SocketAddr::from((Ipv4Addr::UNSPECIFIED, NETWORK_PORT)))
    }
}

/// Neither an address of loopback nor `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotListening {
    /// No address at all.
    #[error("not an address; write 127.0.0.1:{PORT}, another port, or none")]
    NoAddress,
    /// An address that others reach.
    #[error(
        "without TLS the page is served on this machine only; write 127.0.0.1:{PORT}, and for other devices set network (--panel-network)"
    )]
    NotLoopback,
}

/// Where the page is served over TLS, for devices that are paired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// At an address that they reach; port 0 is any free one.
    At(SocketAddr),
    /// Nowhere.
    #[default]
    None,
}

/// Neither an address nor `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address; write 0.0.0.0:8443 for every network of this machine, one of its addresses with a port, or none"
)]
pub struct NoNetwork;

impl Default for Listen {
    fn default() -> Self {
        Self::At(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)))
    }
}

impl FromStr for Listen {
    type Err = NotListening;

    fn from_str(text: &str) -> Result<Self, NotListening> {
        if text == "none" {
            return Ok(Self::None);
        }
        let address: SocketAddr = text.parse().map_err(|_| NotListening::NoAddress)?;
        if address.ip().is_loopback() {
            Ok(Self::At(address))
        } else {
            Err(NotListening::NotLoopback)
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        match text {
            "none" => Ok(Self::None),
            address => address.parse().map(Self::At).map_err(|_| NoNetwork),
        }
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_listens_on_loopback_or_not_at_all() {
        assert_eq!("none".parse(), Ok(Listen::None));
        for good in ["127.0.0.1:8780", "127.0.0.1:0", "[::1]:80"] {
            assert!(matches!(good.parse(), Ok(Listen::At(_))), "{good}");
        }
        for open in ["0.0.0.0:8780", "[::]:8780", "192.168.1.5:8780"] {
            assert_eq!(open.parse::<Listen>(), Err(NotListening::NotLoopback));
        }
        for bad in ["", "8780", "localhost:8780", "127.0.0.1"] {
            assert_eq!(bad.parse::<Listen>(), Err(NotListening::NoAddress));
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork));
        }
        assert_eq!("none".parse(), Ok(Network::None));
        for good in ["0.0.0.0:8443", "[::]:443", "192.168.1.5:8443"] {
            assert!(matches!(good.parse(), Ok(Network::At(_))), "{good}");
        }
    }
}
