// SPDX-License-Identifier: MIT OR Apache-2.0
//! Media over UDP: one socket for all rooms.
//!
//! A picture is several packets of one size, to each receiver in turn. The kernel takes such a row in one call and cuts it
//! into packets itself (`UDP_SEGMENT`, udp(7), since Linux 4.18): most of what a packet costs is the way through the
//! kernel. What does not fit into the socket is lost, as on any other link.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use str0m::net::Transmit;
use tokio::net::UdpSocket;

/// Packets in a row: with more, the kernel refuses on some links (`UDP_MAX_SEGMENTS` was 64 for long).
const MOST: usize = 32;

/// Bytes in a row: those of one datagram at most, without the headers of IPv6 and UDP.
const MOST_BYTES: usize = 65_535 - 48;

/// The socket for media.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    /// The kernel cuts rows into packets.
    takes_rows: AtomicBool,
}

impl Datagrams {
    /// Takes the address.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind(address).await?,
            takes_rows: AtomicBool::new(true),
        })
    }

    /// Where packets arrive.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits for a packet: its length, and where it came from.
    pub(crate) async fn receive(&self, packet: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(packet).await
    }

    /// Sends a [row](rows) of packets.
    pub(crate) fn send(&self, row: &[Transmit]) {
        if row.len() > 1 && self.takes_rows.load(Ordering::Relaxed) {
            match self.hand_over(row) {
                // Without checksums made by the network card there is no cutting either.
                Err(Errno::EIO | Errno::ENOPROTOOPT) => {
                    tracing::info!("packets leave one by one: this network takes no rows of them");
                    self.takes_rows.store(false, Ordering::Relaxed);
                }
                // Where the way to one client is too narrow for these packets as a row.
                Err(Errno::EINVAL | Errno::EMSGSIZE) => {}
                Ok(()) | Err(_) => return,
            }
        }
        for packet in row {
            let _lost = self.hand_over(std::slice::from_ref(packet));
        }
    }

    /// Past the runtime: that one packet found no room says nothing of the next one.
    fn hand_over(&self, row: &[Transmit]) -> Result<(), Errno> {
        let Some(first) = row.first() else {
            return Ok(());
        };
        let to = SockaddrStorage::from(first.destination);
        let packets: Vec<_> = row.iter().map(|it| IoSlice::new(&it.contents)).collect();
        let size = first.contents.len() as u16;
        let cut = [ControlMessage::UdpGsoSegments(&size)];
        let cut = if row.len() > 1 { cut.as_slice() } else { &[] };
        let flags = MsgFlags::MSG_DONTWAIT;
        sendmsg(self.socket.as_raw_fd(), &packets, cut, flags, Some(&to)).map(drop)
    }
}

/// Packets as they can be handed to the kernel: each row to one receiver, of one size but for a shorter last one.
pub(crate) fn rows(mut transmits: &[Transmit]) -> impl Iterator<Item = &[Transmit]> {
    std::iter::from_fn(move || {
        let (row, rest) = transmits.split_at(length(transmits)?);
        transmits = rest;
        Some(row)
    })
}

/// Of the first row.
fn length(transmits: &[Transmit]) -> Option<usize> {
    let first = transmits.first()?;
    let size = first.contents.len();
    let most = MOST.min(MOST_BYTES / size.max(1)).max(1);
    let belongs = |it: &&Transmit| {
        it.proto == first.proto && it.destination == first.destination && it.contents.len() <= size
    };
    let alike = transmits.iter().take(most).take_while(belongs);
    let full = alike.clone().take_while(|it| it.contents.len() == size);
    Some(alike.count().min(full.count() + 1))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use str0m::net::Protocol;
    use tokio::time::timeout;

    use super::*;

    fn packet(to: SocketAddr, size: usize) -> Transmit {
        Transmit {
            proto: Protocol::Udp,
            source: to,
            destination: to,
            contents: vec![7; size].into(),
        }
    }

    fn lengths(transmits: &[Transmit]) -> Vec<usize> {
        rows(transmits).map(<[Transmit]>::len).collect()
    }

    #[test]
    fn a_row_is_of_one_size_but_for_a_shorter_last_packet() {
        let [ann, bob] = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        let to = |address, sizes: &[usize]| -> Vec<_> {
            sizes.iter().map(|size| packet(address, *size)).collect()
        };
        assert!(lengths(&[]).is_empty());
        assert_eq!(lengths(&to(ann, &[100])), [1]);
        assert_eq!(lengths(&to(ann, &[100, 100, 40])), [3]);
        assert_eq!(lengths(&to(ann, &[100, 40, 40, 100])), [2, 1, 1]);
        assert_eq!(lengths(&to(ann, &[40, 100, 100])), [1, 2]);
        let mut both = to(ann, &[100, 100]);
        both.extend(to(bob, &[100, 100]));
        assert_eq!(lengths(&both), [2, 2]);
        let mut ways = to(ann, &[100, 100]);
        ways[1].proto = Protocol::Tcp;
        assert_eq!(lengths(&ways), [1, 1]);
        // Nothing is in two rows or in none, however many they are and however large.
        assert_eq!(lengths(&to(ann, &[100; 70])), [32, 32, 6]);
        assert_eq!(lengths(&to(ann, &[20_000; 4])), [3, 1]);
        assert_eq!(lengths(&to(ann, &[65_507; 2])), [1, 1]);
    }

    #[tokio::test]
    async fn packets_arrive_one_by_one_whether_or_not_the_kernel_cuts_rows() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let hub = Datagrams::bind(here).await.expect("loopback has room");
        let client = UdpSocket::bind(here).await.expect("loopback has room");
        let to = client.local_addr().expect("it is bound");
        for takes_rows in [true, false] {
            hub.takes_rows.store(takes_rows, Ordering::Relaxed);
            let mut sent: Vec<_> = [900, 900, 900, 31].map(|size| packet(to, size)).into();
            for (number, packet) in sent.iter_mut().enumerate() {
                packet.contents = vec![number as u8; packet.contents.len()].into();
            }
            rows(&sent).for_each(|row| hub.send(row));
            for packet in &sent {
                let mut bytes = [0; 2000];
                let arrived = timeout(Duration::from_secs(5), client.recv(&mut bytes)).await;
                let length = arrived.expect("it arrives").expect("loopback works");
                assert_eq!(bytes[..length], packet.contents[..]);
            }
            assert_eq!(hub.takes_rows.load(Ordering::Relaxed), takes_rows);
        }
        // What came one by one did not leave so because the kernel refused the row.
        let row = [900, 900, 31].map(|size| packet(to, size));
        assert_eq!(hub.hand_over(&row), Ok(()));
    }
}
