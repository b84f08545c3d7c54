// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether this machine still has the addresses that the connections were made from.
//!
//! libnice looks for addresses once and binds its sockets to them. When all of them have gone (a
//! cable in another socket, a new lease) ICE can start anew as often as it likes.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, UdpSocket},
    sync::Mutex,
};

use super::shared::lock;

/// Addresses of this machine that connections were made from.
#[derive(Default)]
pub(super) struct Addresses(Mutex<BTreeSet<IpAddr>>);

impl Addresses {
    /// Learns one from a candidate of ours.
    pub(super) fn learn(&self, candidate: &str) {
        lock(&self.0).extend(own_address(candidate));
    }

    /// Whether there were some and none of them is here any more.
    pub(super) fn are_gone(&self) -> bool {
        let addresses = lock(&self.0);
        !addresses.is_empty() && !addresses.iter().any(|address| is_here(*address))
    }
}

/// The address of a candidate of type host (RFC 8839, 5.1), unless it is good for one link only.
fn own_address(candidate: &str) -> Option<IpAddr> {
    let words: Vec<&str> = candidate.split(' ').collect();
    let [_, _, _, _, address, _, "typ", "host", ..] = words[..] else {
        return None;
    };
    let address = address.parse().ok()?;
    let one_link = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    (!one_link).then_some(address)
}

fn is_here(address: IpAddr) -> bool {
    // Whatever else may be wrong, such as too many open files, says nothing about the address.
    UdpSocket::bind((address, 0))
        .err()
        .is_none_or(|error| error.kind() != io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "candidate:1 1 UDP 2015363327 127.0.0.1 50000 typ host";
    /// TEST-NET-1: nobody has it.
    const ELSEWHERE: &str = "candidate:2 1 UDP 2015363327 192.0.2.7 50000 typ host";

    #[test]
    fn addresses_are_gone_when_none_is_left() {
        let addresses = Addresses::default();
        assert!(!addresses.are_gone(), "there were none");
        addresses.learn(ELSEWHERE);
        assert!(addresses.are_gone());
        addresses.learn(HERE);
        assert!(!addresses.are_gone());
    }

    #[test]
    fn only_addresses_of_our_own_that_reach_beyond_a_link_count() {
        for candidate in [
            "candidate:3 1 UDP 1 192.0.2.9 1 typ relay raddr 192.0.2.7 rport 9",
            "candidate:4 1 UDP 1 fe80::1 1 typ host",
            "candidate:5 1 UDP 1 box.local 1 typ host",
            "",
        ] {
            assert_eq!(own_address(candidate), None, "{candidate}");
        }
    }
}
