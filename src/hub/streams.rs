// SPDX-License-Identifier: MIT OR Apache-2.0
//! Media over TCP, for clients whose network lets no UDP through (RFC 6544): they connect to one port, and each packet
//! has its length in front (RFC 4571 §2).
//!
//! What does not fit into the queue of a connection is lost, as on any other link.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use str0m::net::Protocol;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::engine::Embedded;
use crate::forward::Way;
use crate::guests::{self, Crowd};
use crate::serve::DATAGRAM;

/// Connections at a time.
const MOST_STREAMS: usize = 512;

/// Packets that may wait for a client: half a second of a large picture.
const WAITING: usize = 128;

/// Packets that are written in one go.
const BATCH: usize = 32;

/// How long clients may be silent.
const PATIENCE: Patience = Patience {
    opening: Duration::from_secs(10),
    silence: Duration::from_secs(60),
};

/// How long a client may take nothing of what it is sent.
const WRITING: Duration = Duration::from_secs(10);

/// So many packets that are nobody's, before the first that is somebody's, end a connection.
const MOST_GARBAGE: usize = 16;

/// The connections, by where they come from.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>);

impl Streams {
    /// Sends a packet, if there is a connection to there that can take it.
    pub(crate) fn send(&self, to: SocketAddr, packet: Vec<u8>) {
        if let Some(stream) = self.lock().get(&to) {
            let _ = stream.try_send(packet);
        }
    }

    fn open(&self, peer: SocketAddr) -> mpsc::Receiver<Vec<u8>> {
        let (sender, outgoing) = mpsc::channel(WAITING);
        self.lock().insert(peer, sender);
        outgoing
    }

    fn close(&self, peer: SocketAddr) {
        self.lock().remove(&peer);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>> {
        // Every change is a single one, so that a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes connections and hands what comes over them to the rooms.
pub(crate) async fn listen(listener: TcpListener, embedded: Arc<Embedded>) -> Infallible {
    let crowd = Crowd {
        most: MOST_STREAMS,
        what: "media",
        guests: Arc::default(),
        proxies: Vec::new(),
    };
    guests::welcome(listener, crowd, |stream, peer, place| {
        let embedded = Arc::clone(&embedded);
        async move {
            carry(stream, peer, &embedded).await;
            drop(place);
        }
    })
    .await
}

/// Carries packets both ways until one side ends it.
async fn carry(mut stream: TcpStream, peer: SocketAddr, embedded: &Embedded) {
    // Packets are small and each is awaited.
    let _ = stream.set_nodelay(true);
    let outgoing = embedded.streams.open(peer);
    let way = Way {
        protocol: Protocol::Tcp,
        address: peer,
    };
    let (read, write) = stream.split();
    let ended = tokio::select! {
        ended = receive(BufReader::new(read), PATIENCE, |packet| embedded.switch.pass(way, packet)) => ended,
        ended = transmit(write, outgoing) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection for media ended early");
    }
    // Before the port can be another's.
    embedded.streams.close(peer);
}

/// How long a client may be silent.
#[derive(Clone, Copy)]
struct Patience {
    /// Until its first packet that is somebody's: clients connect because they have one.
    opening: Duration,
    /// Between packets: connections that are in use are checked every few seconds.
    silence: Duration,
}

/// Reads packets until the client ends it. `pass` says whether a packet is somebody's.
async fn receive(
    mut stream: impl AsyncRead + Unpin,
    patience: Patience,
    mut pass: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    let opening = Instant::now() + patience.opening;
    let mut packet = Vec::with_capacity(DATAGRAM);
    let mut garbage = Some(0);
    loop {
        let deadline = match garbage {
            Some(_) => opening,
            None => Instant::now() + patience.silence,
        };
        match timeout_at(deadline, read_packet(&mut stream, &mut packet)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        }
        let taken = pass(&packet);
        garbage = match garbage {
            Some(count) if !taken && count + 1 >= MOST_GARBAGE => {
                tracing::debug!("a connection for media that carries none is cut off");
                return Ok(());
            }
            Some(count) if !taken => Some(count + 1),
            _ => None,
        };
    }
}

/// Reads one packet. One that is longer than any that makes sense is left empty.
async fn read_packet(
    stream: &mut (impl AsyncRead + Unpin),
    packet: &mut Vec<u8>,
) -> io::Result<()> {
    let length = stream.read_u16().await?;
    packet.clear();
    let mut body = stream.take(u64::from(length));
    if usize::from(length) > DATAGRAM {
        let skipped = tokio::io::copy(&mut body, &mut tokio::io::sink()).await?;
        return complete(skipped, length);
    }
    let read = body.read_to_end(packet).await?;
    complete(read as u64, length)
}

fn complete(read: u64, length: u16) -> io::Result<()> {
    if read < u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

async fn transmit(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut packets = Vec::with_capacity(BATCH);
    let mut bytes = Vec::new();
    while outgoing.recv_many(&mut packets, BATCH).await > 0 {
        bytes.clear();
        for packet in packets.drain(..) {
            // Nothing that is sent comes near to this.
            let Ok(length) = u16::try_from(packet.len()) else {
                continue;
            };
            bytes.extend(length.to_be_bytes());
            bytes.extend(packet);
        }
        timeout(WRITING, stream.write_all(&bytes))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_found_by_their_lengths_and_what_is_too_long_is_left_out() {
        let mut bytes = vec![0, 3, b'a', b'b', b'c', 0, 0];
        bytes.extend(u16::MAX.to_be_bytes());
        bytes.extend([7; u16::MAX as usize]);
        bytes.extend([0, 1, b'd', 0, 2, b'e']);
        let mut stream = bytes.as_slice();
        let mut packet = Vec::new();
        for expected in [&b"abc"[..], b"", b"", b"d"] {
            read_packet(&mut stream, &mut packet).await.expect("whole");
            assert_eq!(packet, expected);
        }
        // The last is cut off.
        let error = read_packet(&mut stream, &mut packet).await;
        let error = error.expect_err("not whole").kind();
        assert_eq!(error, io::ErrorKind::UnexpectedEof);
    }

    /// Ends by itself although the client does not; gives what was passed.
    async fn passed(patience: Patience, bytes: &[u8]) -> Vec<u8> {
        let (mut client, stream) = tokio::io::duplex(100);
        client.write_all(bytes).await.expect("there is room");
        let mut passed = Vec::new();
        let pass = |packet: &[u8]| {
            passed.extend(packet);
            true
        };
        let ended = timeout(Duration::from_secs(20), receive(stream, patience, pass)).await;
        ended.expect("nobody waits for ever").expect("just ended");
        drop(client);
        passed
    }

    #[tokio::test]
    async fn who_is_silent_is_not_waited_for_before_nor_after_the_first_packet_of_use() {
        let long = Duration::from_secs(3600);
        let no_opening = Patience {
            opening: Duration::ZERO,
            silence: long,
        };
        assert_eq!(passed(no_opening, b"").await, b"");
        let no_silence = Patience {
            opening: long,
            silence: Duration::ZERO,
        };
        let packets = [0, 1, b'a', 0, 1, b'b'];
        assert_eq!(passed(no_silence, &packets).await, b"ab");
    }

    #[tokio::test]
    async fn only_so_much_that_is_nobodys_is_read() {
        let patient = Patience {
            opening: Duration::from_secs(3600),
            silence: Duration::from_secs(3600),
        };
        let bytes = [0_u8, 0].repeat(100);
        let mut seen = 0;
        let nobodys = |_: &[u8]| {
            seen += 1;
            false
        };
        receive(bytes.as_slice(), patient, nobodys)
            .await
            .expect("just ended");
        assert_eq!(seen, MOST_GARBAGE);
        // After the first that is somebody's everything may be.
        let mut seen = 0;
        let first = |_: &[u8]| {
            seen += 1;
            seen == 1
        };
        receive(bytes.as_slice(), patient, first)
            .await
            .expect("just ended");
        assert_eq!(seen, 100);
    }

    #[tokio::test]
    async fn each_packet_is_sent_with_its_length_in_front() {
        let (sender, outgoing) = mpsc::channel(4);
        for packet in [&b"abc"[..], b"", b"d"] {
            sender.try_send(packet.to_vec()).expect("there is room");
        }
        drop(sender);
        let mut sent = Vec::new();
        transmit(&mut sent, outgoing)
            .await
            .expect("memory takes everything");
        assert_eq!(sent, [0, 3, b'a', b'b', b'c', 0, 0, 0, 1, b'd']);
    }

    #[test]
    fn what_a_client_does_not_take_is_lost_and_no_more_than_that() {
        let streams = Streams::default();
        let peer = SocketAddr::from(([192, 0, 2, 1], 5));
        streams.send(peer, vec![1]);
        let mut outgoing = streams.open(peer);
        for _ in 0..10 * WAITING {
            streams.send(peer, vec![2]);
        }
        let mut waiting = 0;
        while outgoing.try_recv().is_ok() {
            waiting += 1;
        }
        assert_eq!(waiting, WAITING);
        streams.close(peer);
        streams.send(peer, vec![3]);
        assert!(outgoing.try_recv().is_err());
    }
}
