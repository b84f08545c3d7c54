// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where packets arrive, and where they come from.

use std::net::SocketAddr;

use str0m::net::Protocol;

/// Where packets arrive, as clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Over UDP.
    pub udp: SocketAddr,
    /// Over TCP: clients connect (RFC 6544).
    pub tcp: SocketAddr,
}

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Over what; only UDP and TCP are spoken.
    pub protocol: Protocol,
    /// The address of the other side.
    pub address: SocketAddr,
}

/// Where media arrives, as ICE candidates (RFC 8839 §5.1, RFC 6544 §4.5). TCP is for who cannot have UDP.
pub(super) fn candidates(addresses: Addresses) -> Vec<String> {
    let Addresses { udp, tcp } = addresses;
    vec![
        format!(
            "candidate:1 1 udp 2130706431 {} {} typ host",
            udp.ip(),
            udp.port()
        ),
        format!(
            "candidate:2 1 tcp 1520435199 {} {} typ host tcptype passive",
            tcp.ip(),
            tcp.port()
        ),
    ]
}
