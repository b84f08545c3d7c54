// SPDX-License-Identifier: MIT OR Apache-2.0
//! One peer connection, driven.

use std::time::{Duration, Instant};

use str0m::channel::ChannelId;
use str0m::media::Mid;
use str0m::net::{Protocol, Receive, TcpType, Transmit};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use super::{Addresses, Way};

/// How often the engine may say "now" in a row before it is left for later; it never does so twice without need.
const MOST_ROUNDS: usize = 16;

/// When the engine is asked for the rest, after all packets have left that were forwarded: it looks at each of its streams
/// whenever it is asked, which costs as much as a packet.
const REST: Duration = Duration::from_millis(5);

/// Reports of a client, in bytes, after which streams that have sent nothing are made anew.
const MOST_REPORTED: usize = 64 * 1024;

/// How long a connection may be without any sign of life.
const LOST: Duration = Duration::from_secs(20);

/// Addresses of a client at a time; those of its interfaces, over UDP and TCP.
const MOST_CHECKED: usize = 8;

/// An engine and what has to be known around it.
pub(super) struct Peer {
    pub(super) rtc: Rtc,
    /// When the engine wants to be asked again.
    pub(super) due: Instant,
    /// Packets that were forwarded since it was last asked.
    pub(super) forwarded: usize,
    /// Something else was done to it since then.
    pub(super) is_stirred: bool,
    /// Bytes of reports that came since [`Self::renew`] did something.
    reported: usize,
    /// The data channels by use.
    pub(super) reliable: Option<ChannelId>,
    pub(super) lossy: Option<ChannelId>,
    /// Since when it is without connection, after having had one.
    lost: Option<Instant>,
    addresses: Addresses,
    /// From where checks with the right password came, the newest first. A client whose own check has succeeded begins
    /// with DTLS at once. The engine takes that only after a check of ours has succeeded too, and a hello that is not
    /// taken costs the client its first timeout: a second (RFC 6347, 4.2.4.1). Who it is, DTLS itself finds out.
    checked: Vec<Way>,
    /// Under which name of ours clients ask for it.
    ufrag: String,
}

impl Peer {
    /// `addresses`: where packets for it arrive.
    pub(super) fn new(config: &RtcConfig, addresses: Addresses, now: Instant) -> Self {
        let mut rtc = config.clone().build(now);
        // The engine prefers what it was told first.
        let udp = Candidate::host(addresses.udp, "udp");
        let tcp = Candidate::builder()
            .tcp()
            .host(addresses.tcp)
            .tcptype(TcpType::Passive)
            .build();
        for candidate in [udp, tcp].into_iter().flatten() {
            rtc.add_local_candidate(candidate);
        }
        Self {
            rtc,
            due: now,
            forwarded: 0,
            is_stirred: false,
            reported: 0,
            reliable: None,
            lossy: None,
            lost: None,
            addresses,
            checked: Vec::new(),
            ufrag: String::new(),
        }
    }

    /// The name of ours in its ICE credentials, when it is another than last time.
    pub(super) fn new_ufrag(&mut self) -> Option<String> {
        let ufrag = self.rtc.direct_api().local_ice_credentials().ufrag;
        if self.ufrag == ufrag {
            return None;
        }
        self.ufrag.clone_from(&ufrag);
        Some(ufrag)
    }

    /// Takes a packet. Whether it really is from the other side of this connection.
    pub(super) fn receive(&mut self, way: Way, packet: &[u8], now: Instant) -> bool {
        let here = match way.protocol {
            Protocol::Tcp => self.addresses.tcp,
            _ => self.addresses.udp,
        };
        let Ok(receive) = Receive::new(way.protocol, way.address, here, packet) else {
            return false;
        };
        // An engine that is over takes no packet: its DTLS may be in no state to.
        if !self.rtc.is_alive() {
            return false;
        }
        let input = Input::Receive(now, receive);
        if self.rtc.accepts(&input) {
            self.note(way, packet);
        } else if !(is_dtls(packet) && self.checked.contains(&way)) {
            return false;
        }
        self.is_stirred = true;
        self.reported += if is_rtcp(packet) { packet.len() } else { 0 };
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%error, "a packet of a client makes no sense");
            self.end(now);
        }
        true
    }

    /// Notes from where a check with the right password came.
    fn note(&mut self, way: Way, packet: &[u8]) {
        if is_stun(packet) && !self.checked.contains(&way) {
            self.checked.truncate(MOST_CHECKED - 1);
            self.checked.insert(0, way);
        }
    }

    /// Takes what the engine has to send and to say, until it waits for something. When nothing was done to it but to
    /// forward packets, until they have left.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        transmits: &mut Vec<Transmit>,
        mut event: impl FnMut(Event),
    ) {
        let mut rounds = 0;
        let is_stirred = std::mem::take(&mut self.is_stirred) || self.due <= now;
        let mut forwarded = std::mem::take(&mut self.forwarded);
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let is_last = is_rtp(&transmit.contents) && forwarded == 1;
                    forwarded -= usize::from(is_rtp(&transmit.contents)).min(forwarded);
                    transmits.push(transmit);
                    if is_last && !is_stirred {
                        self.due = now + REST;
                        break;
                    }
                }
                Ok(Output::Event(happened)) => {
                    self.watch(&happened, now);
                    event(happened);
                }
                Ok(Output::Timeout(at)) => {
                    self.due = at;
                    rounds += 1;
                    if at > now || rounds > MOST_ROUNDS || !self.rtc.is_alive() {
                        break;
                    }
                    if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                        self.rtc.disconnect();
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "a peer connection failed");
                    self.end(now);
                    break;
                }
            }
        }
        // What is over says "now" for ever.
        if !self.rtc.is_alive() {
            self.end(now);
        }
    }

    /// Makes streams anew that have sent `nothing`, when there were many reports. The engine keeps each report on a stream
    /// until it sums them up, which it does not for such a stream: nobody has anything to report of one, and who does it
    /// all the same would fill the memory.
    pub(super) fn renew(&mut self, nothing: impl Iterator<Item = Mid>) {
        if self.reported < MOST_REPORTED {
            return;
        }
        self.reported = 0;
        let mut api = self.rtc.direct_api();
        for mid in nothing {
            let stream = api.stream_tx_by_mid(mid, None);
            if let Some((first, resent)) = stream.map(|stream| (stream.ssrc(), stream.rtx())) {
                api.remove_stream_tx(first);
                api.declare_stream_tx(first, resent, mid, None);
            }
        }
    }

    /// Nothing goes on with it; its member learns that when it has been without connection for too long.
    fn end(&mut self, now: Instant) {
        self.rtc.disconnect();
        self.lost.get_or_insert(now);
        self.due = now + LOST;
    }

    fn watch(&mut self, event: &Event, now: Instant) {
        match event {
            Event::IceConnectionStateChange(state) => {
                if state.is_disconnected() {
                    self.lost.get_or_insert(now);
                } else if state.is_connected() {
                    self.lost = None;
                }
            }
            Event::ChannelOpen(id, label) => match label.as_str() {
                "_reliable" => self.reliable = Some(*id),
                "_lossy" => self.lossy = Some(*id),
                _ => {}
            },
            _ => {}
        }
    }

    /// Whether it has been without connection for too long.
    pub(super) fn is_lost(&self, now: Instant) -> bool {
        self.lost.is_some_and(|lost| now >= lost + LOST)
    }

    /// When it is to be looked at again.
    pub(super) fn deadline(&self) -> Instant {
        match self.lost {
            Some(lost) => self.due.min(lost + LOST),
            None => self.due,
        }
    }
}

/// Whether it is one of ICE's (RFC 7983, 7).
fn is_stun(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(0..=3))
}

/// Whether it is one of RTP (RFC 7983, 7), not of RTCP.
fn is_rtp(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(128..=191)) && !is_rtcp(packet)
}

/// Whether it is one of RTCP (RFC 5761, 4).
fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [128..=191, 192..=223, ..])
}

/// Whether it is one of DTLS (RFC 7983, 7).
fn is_dtls(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(20..=63))
}
