// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whose a packet is: many connections share one UDP port, and one TCP port.
//!
//! A connection begins with a STUN request that names it; the room checks its password. From then on the way that a
//! packet comes tells.
//! Everything else, and everything beyond what one connection may send, is dropped before it costs anything.

use std::collections::HashMap;
use std::time::Duration;

use str0m::ice::StunMessage;

use crate::bucket::Bucket;
use crate::forward::{PeerId, Route, Way};

/// Ways that one connection may use; a phone between two networks has a few.
const MOST_WAYS: usize = 8;

/// Packets that one connection may send in a second: four large videos with sound.
const PACKETS: u32 = 4000;

/// Bytes that one connection may send in a second: 40 Mbit/s.
const BYTES: u32 = 5_000_000;

/// Number of a room.
pub(crate) type RoomNumber = u64;

/// Whose packets are whose.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    names: HashMap<String, (RoomNumber, PeerId)>,
    ways: HashMap<Way, (RoomNumber, PeerId)>,
    peers: HashMap<(RoomNumber, PeerId), Known>,
}

#[derive(Debug)]
struct Known {
    ways: Vec<Way>,
    packets: Bucket,
    bytes: Bucket,
}

impl Routes {
    /// Whose this packet is; `None` when it is nobody's, or too much.
    pub(crate) fn of(
        &mut self,
        way: Way,
        packet: &[u8],
        now: Duration,
    ) -> Option<(RoomNumber, PeerId)> {
        // RFC 7983: below 4 is STUN.
        let named = packet.first().is_some_and(|first| *first < 4);
        let owner = match self.ways.get(&way) {
            // On a known way whose owner is gone, or which another connection now uses, a request tells.
            Some(owner) if !named => *owner,
            known => {
                let known = known.copied();
                let asked = self.named(packet);
                // Answers name nobody, and can only be meant for whose way it is.
                asked.or(known)?
            }
        };
        let peer = self.peers.get_mut(&owner)?;
        let size = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        (peer.packets.take(1, now) && peer.bytes.take(size, now)).then_some(owner)
    }

    fn named(&self, packet: &[u8]) -> Option<(RoomNumber, PeerId)> {
        let message = StunMessage::parse(packet).ok()?;
        let (local, _) = message.split_username()?;
        self.names.get(local).copied()
    }

    /// Takes a change.
    pub(crate) fn change(&mut self, room: RoomNumber, route: Route, now: Duration) {
        match route {
            Route::Name(name, peer) => {
                self.names.insert(name, (room, peer));
                self.peers.entry((room, peer)).or_insert_with(|| Known {
                    ways: Vec::new(),
                    packets: Bucket::new(PACKETS, now),
                    bytes: Bucket::new(BYTES, now),
                });
            }
            Route::Way(way, peer) => self.bind(room, way, peer),
            Route::Gone(member) => self.remove(|owner| owner.0 == room && owner.1.0 == member),
        }
    }

    /// Everybody of a room is gone.
    pub(crate) fn close(&mut self, room: RoomNumber) {
        self.remove(|owner| owner.0 == room);
    }

    fn bind(&mut self, room: RoomNumber, way: Way, peer: PeerId) {
        let owner = (room, peer);
        if self.ways.get(&way) == Some(&owner) {
            return;
        }
        let Some(known) = self.peers.get_mut(&owner) else {
            return;
        };
        let oldest = (known.ways.len() >= MOST_WAYS).then(|| known.ways.remove(0));
        known.ways.push(way);
        if let Some(oldest) = oldest {
            self.ways.remove(&oldest);
        }
        let before = self.ways.insert(way, owner);
        if let Some(before) = before.and_then(|before| self.peers.get_mut(&before)) {
            before.ways.retain(|known| *known != way);
        }
    }

    fn remove(&mut self, gone: impl Fn(&(RoomNumber, PeerId)) -> bool) {
        self.names.retain(|_, owner| !gone(owner));
        self.ways.retain(|_, owner| !gone(owner));
        self.peers.retain(|owner, _| !gone(owner));
    }
}

#[cfg(test)]
mod tests {
    use str0m::net::Protocol;

    use super::*;
    use crate::room::{MemberId, Target};

    fn way(port: u16) -> Way {
        Way {
            protocol: Protocol::Udp,
            address: ([127, 0, 0, 1], port).into(),
        }
    }

    fn peer(member: u64) -> PeerId {
        (MemberId(member), Target::Publisher)
    }

    /// A STUN binding request for `name` (RFC 8489 §5, §14.3); its password is none of this module's business.
    fn request(name: &str) -> Vec<u8> {
        let username = format!("{name}:theirs");
        let padded = username.len().next_multiple_of(4);
        // USERNAME, PRIORITY, and a MESSAGE-INTEGRITY of zeros.
        let length = 4 + padded + 8 + 4 + 20;
        let mut packet = vec![0x00, 0x01];
        packet.extend((length as u16).to_be_bytes());
        packet.extend([0x21, 0x12, 0xa4, 0x42]);
        packet.extend([7; 12]);
        packet.extend([0x00, 0x06]);
        packet.extend((username.len() as u16).to_be_bytes());
        packet.extend(username.as_bytes());
        packet.resize(20 + 4 + padded, 0);
        packet.extend([0x00, 0x24, 0x00, 4, 0, 0, 0, 1]);
        packet.extend([0x00, 0x08, 0x00, 20]);
        packet.extend([0; 20]);
        packet
    }

    const RTP: [u8; 20] = [0x80; 20];
    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_request_names_its_connection_and_then_the_address_does() {
        let mut routes = Routes::default();
        routes.change(1, Route::Name("ann".into(), peer(1)), NOW);
        routes.change(2, Route::Name("bob".into(), peer(1)), NOW);
        assert_eq!(routes.of(way(5), &RTP, NOW), None);
        assert_eq!(routes.of(way(5), &request("eve"), NOW), None);
        assert_eq!(routes.of(way(5), &request("bob"), NOW), Some((2, peer(1))));
        // The room has not checked the password yet.
        assert_eq!(routes.of(way(5), &RTP, NOW), None);
        routes.change(2, Route::Way(way(5), peer(1)), NOW);
        assert_eq!(routes.of(way(5), &RTP, NOW), Some((2, peer(1))));
        // The same address, used by another connection.
        assert_eq!(routes.of(way(5), &request("ann"), NOW), Some((1, peer(1))));
    }

    #[test]
    fn the_same_port_over_tcp_is_another_way() {
        let mut routes = Routes::default();
        routes.change(1, Route::Name("ann".into(), peer(1)), NOW);
        routes.change(1, Route::Way(way(5), peer(1)), NOW);
        let tcp = Way {
            protocol: Protocol::Tcp,
            ..way(5)
        };
        assert_eq!(routes.of(tcp, &RTP, NOW), None);
        assert_eq!(routes.of(way(5), &RTP, NOW), Some((1, peer(1))));
    }

    #[test]
    fn who_is_gone_gets_nothing_any_more() {
        let mut routes = Routes::default();
        routes.change(1, Route::Name("ann".into(), peer(1)), NOW);
        routes.change(1, Route::Way(way(5), peer(1)), NOW);
        routes.change(1, Route::Gone(MemberId(1)), NOW);
        assert_eq!(routes.of(way(5), &RTP, NOW), None);
        assert_eq!(routes.of(way(5), &request("ann"), NOW), None);
        routes.change(1, Route::Name("bob".into(), peer(2)), NOW);
        routes.close(1);
        assert_eq!(routes.of(way(5), &request("bob"), NOW), None);
        assert!(routes.names.is_empty() && routes.ways.is_empty() && routes.peers.is_empty());
    }

    #[test]
    fn one_connection_uses_so_many_ways_and_no_more() {
        let mut routes = Routes::default();
        routes.change(1, Route::Name("ann".into(), peer(1)), NOW);
        for port in 1..=100 {
            routes.change(1, Route::Way(way(port), peer(1)), NOW);
        }
        assert_eq!(routes.ways.len(), MOST_WAYS);
        assert_eq!(routes.of(way(1), &RTP, NOW), None);
        assert_eq!(routes.of(way(100), &RTP, NOW), Some((1, peer(1))));
    }

    #[test]
    fn a_flood_of_one_connection_leaves_the_others_alone() {
        let mut routes = Routes::default();
        for (room, name) in [(1, "ann"), (2, "bob")] {
            routes.change(room, Route::Name(name.into(), peer(1)), NOW);
            let port = room as u16;
            routes.change(room, Route::Way(way(port), peer(1)), NOW);
        }
        let through = (0..1_000_000)
            .filter(|_| routes.of(way(1), &RTP, NOW).is_some())
            .count();
        assert_eq!(through, PACKETS as usize);
        assert!(routes.of(way(2), &RTP, NOW).is_some());
        let later = NOW + Duration::from_millis(500);
        assert!(routes.of(way(1), &RTP, later).is_some());
    }
}
