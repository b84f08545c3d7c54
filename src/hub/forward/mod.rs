// SPDX-License-Identifier: MIT OR Apache-2.0
//! The media of a room: packets of publishers to those who receive them, unopened.
//!
//! Two peer connections per member, as LiveKit's clients have them: one on which the member offers what it publishes,
//! one on which this side offers what the member receives. The engine ([`str0m`]) does ICE, DTLS, SRTP, retransmission
//! and SCTP for both, and leaves payloads alone. Nothing here knows a clock or a socket: packets, time and [`Order`]s go
//! in, packets, [`Report`]s and [`Route`]s come out.
//!
//! ICE is full, not lite: clients on libnice (GStreamer) keep a connection alive by indications that need no answer, for
//! which a lite agent would take them for dead after a while. What we check is only ever an address from which a packet
//! with the right password came.

mod adapt;
mod address;
mod keyframe;
mod left;
mod line;
mod link;
mod onward;
mod paced;
mod passing;
mod peer;
mod picture;
mod rate;
mod sdp;
mod share;
mod source;
mod subscriber;
mod temporal;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::{DtlsCert, DtlsVersion};
use str0m::media::Mid;
use str0m::net::Transmit;
use str0m::{Event, RtcConfig};

use self::adapt::INTERVAL;
use self::address::candidates;
pub use self::address::{Addresses, Way};
use self::peer::Peer;
use self::source::Source;
use self::subscriber::Subscriber;
use crate::room::{Broken, MemberId, Order, Report, Target};

/// The largest data message that is passed on, in bytes; clients send at most 64 KiB.
const LARGEST_DATA: usize = 96 * 1024;

/// One of a member's peer connections.
pub type PeerId = (MemberId, Target);

/// The media of a room.
pub struct Forwarder {
    config: RtcConfig,
    addresses: Addresses,
    start: Instant,
    members: BTreeMap<MemberId, Media>,
    /// Published tracks by sid.
    sources: HashMap<String, Source>,
    /// Which track a section of a publisher carries.
    bound: HashMap<(MemberId, Mid), String>,
    dice: crate::room::Dice,
    reports: VecDeque<(MemberId, Report)>,
    /// Connections to which something was done, and which have not been asked yet what there is to send.
    touched: BTreeSet<PeerId>,
    transmits: Vec<Transmit>,
    routes: Vec<Route>,
}

/// A change in which packets are whose.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// Whoever asks for this ICE name means this peer.
    Name(String, PeerId),
    /// What comes this way is this peer's.
    Way(Way, PeerId),
    /// The member is no longer there.
    Gone(MemberId),
}

struct Media {
    publisher: Peer,
    subscriber: Subscriber,
}

impl Forwarder {
    /// The media of a new room. `certificate`: see [`certificate`].
    pub fn new(
        addresses: Addresses,
        certificate: DtlsCert,
        now: Instant,
        dice: crate::room::Dice,
    ) -> Self {
        let config = RtcConfig::new()
            // Frames stay as they came: sealed, and cut into packets by who sealed them.
            .set_rtp_mode(true)
            .set_dtls_cert(certificate)
            // Chromium refuses to be asked for its certificate in 1.3.
            .set_dtls_version(DtlsVersion::Dtls12)
            .clear_codecs()
            // No RED: what it repeats cannot be told apart once it is sealed.
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_h264(true);
        Self {
            config,
            addresses,
            start: now,
            members: BTreeMap::new(),
            sources: HashMap::new(),
            bound: HashMap::new(),
            dice,
            reports: VecDeque::new(),
            touched: BTreeSet::new(),
            transmits: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Carries out what the room wants.
    pub fn order(&mut self, order: Order, now: Instant) {
        match order {
            Order::Open(id) => self.open(id, now),
            Order::Close(id) => self.close(id, now),
            Order::Offer(id, sdp, number) => self.accept_offer(id, &sdp, number, now),
            Order::Answer(id, sdp, number) => {
                let Some(media) = self.members.get_mut(&id) else {
                    return;
                };
                if let Err(broken) = media.subscriber.answer(&sdp, number) {
                    self.reports.push_back((id, Report::Broken(broken)));
                }
                self.pump((id, Target::Subscriber), now);
            }
            Order::Bind(member, mid, sid) => {
                let mid = Mid::from(mid.as_str());
                self.bound.insert((member, mid), sid.clone());
                self.sources.insert(sid, Source::new(member, mid));
            }
            Order::Release(sid) => self.release(&sid),
            Order::Subscribe(id, subscription) => {
                let Some(source) = self.sources.get_mut(&subscription.sid) else {
                    return;
                };
                if let Some(media) = self.members.get_mut(&id) {
                    source.sinks.insert(id);
                    let first = (self.dice)() as u16;
                    media.subscriber.subscribe(subscription, first);
                }
            }
            Order::Unsubscribe(id, sid) => {
                if let Some(source) = self.sources.get_mut(&sid) {
                    source.sinks.remove(&id);
                }
                if let Some(media) = self.members.get_mut(&id) {
                    media.subscriber.unsubscribe(&sid);
                }
            }
            Order::View(id, sid, view) => {
                if let Some(media) = self.members.get_mut(&id) {
                    media.subscriber.view(&sid, view);
                }
            }
            Order::Restart(id) => {
                if let Some(media) = self.members.get_mut(&id) {
                    media.subscriber.restart();
                }
            }
            Order::Data {
                to,
                reliable,
                packet,
            } => {
                for id in to {
                    let Some(media) = self.members.get_mut(&id) else {
                        continue;
                    };
                    if let Err(broken) = media.subscriber.send(reliable, &packet) {
                        self.reports.push_back((id, Report::Broken(broken)));
                    }
                    self.pump((id, Target::Subscriber), now);
                }
            }
        }
    }

    /// Makes the offers that the orders so far led to.
    pub fn offer(&mut self, now: Instant) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            let Some(media) = self.members.get_mut(&id) else {
                continue;
            };
            match media.subscriber.offer(now) {
                Ok(None) => continue,
                Ok(Some(offer)) => {
                    let report = Report::Offer {
                        sdp: sdp::bare(&offer.sdp),
                        id: offer.id,
                        candidates: candidates(self.addresses),
                        tracks: offer.tracks,
                    };
                    self.reports.push_back((id, report));
                }
                Err(broken) => self.reports.push_back((id, Report::Broken(broken))),
            }
            self.pump((id, Target::Subscriber), now);
        }
    }

    /// Takes a packet that came this `way` for `peer`. What it leads to goes on with [`Self::flush`], which costs as much
    /// after a row of packets as after one.
    pub fn receive(&mut self, peer: PeerId, way: Way, packet: &[u8], now: Instant) {
        let Some(connection) = self.peer(peer) else {
            return;
        };
        if connection.receive(way, packet, now) {
            self.routes.push(Route::Way(way, peer));
            self.listen(peer, now);
        }
    }

    /// Takes what one of those connections has to say to which something was done; whether there was one. What it has to
    /// send can go out before the next one is asked.
    pub fn flush(&mut self, now: Instant) -> bool {
        let Some(peer) = self.touched.pop_first() else {
            return false;
        };
        self.listen(peer, now);
        true
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            for target in [Target::Publisher, Target::Subscriber] {
                let due = self.peer((id, target)).is_some_and(|peer| peer.due <= now);
                if due {
                    self.pump((id, target), now);
                }
            }
            let since = self.since(now);
            let media = self.members.get_mut(&id);
            if media.is_some_and(|media| media.subscriber.send_paced(since)) {
                self.pump((id, Target::Subscriber), now);
            }
            let Some(media) = self.members.get_mut(&id) else {
                continue;
            };
            if media.publisher.is_lost(now) || media.subscriber.peer.is_lost(now) {
                self.reports.push_back((id, Report::Broken(Broken::Silent)));
            } else if media.subscriber.is_stuck(now) {
                self.reports
                    .push_back((id, Report::Broken(Broken::Description)));
            }
        }
        let since = self.since(now);
        let mut asked = Vec::new();
        for source in self.sources.values_mut() {
            for layer in &mut source.layers {
                if layer.asking.take(since) {
                    asked.push((source.member, source.mid, layer.rid));
                }
            }
        }
        for (member, mid, rid) in asked {
            if self.ask_for_key_frame(member, mid, rid) {
                self.pump((member, Target::Publisher), now);
            }
        }
    }

    /// When [`Self::tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let members = self.members.values().flat_map(|media| {
            let peers = [media.publisher.deadline(), media.subscriber.peer.deadline()];
            let paced = media.subscriber.paced_due().map(|due| self.start + due);
            let subscriber = media.subscriber.deadline().into_iter().chain(paced);
            peers.into_iter().chain(subscriber)
        });
        let layers = self.sources.values().flat_map(|source| &source.layers);
        let asking = layers.filter_map(|layer| Some(self.start + layer.asking.due()?));
        members.chain(asking).min()
    }

    /// What there is to tell the room.
    pub fn report(&mut self) -> Option<(MemberId, Report)> {
        self.reports.pop_front()
    }

    /// Packets to send.
    pub fn transmits(&mut self) -> std::vec::Drain<'_, Transmit> {
        self.transmits.drain(..)
    }

    /// Changes in whose packets are whose.
    pub fn routes(&mut self) -> std::vec::Drain<'_, Route> {
        self.routes.drain(..)
    }

    fn open(&mut self, id: MemberId, now: Instant) {
        // What is heard of packets on their way to a member decides what it is sent.
        let receiving = self.config.clone().set_stats_interval(Some(INTERVAL));
        let peer = |config| Peer::new(config, self.addresses, now);
        let media = Media {
            publisher: peer(&self.config),
            subscriber: Subscriber::new(peer(&receiving)),
        };
        self.members.insert(id, media);
        for target in [Target::Publisher, Target::Subscriber] {
            self.pump((id, target), now);
        }
    }

    fn close(&mut self, id: MemberId, now: Instant) {
        let Some(mut media) = self.members.remove(&id) else {
            return;
        };
        for source in self.sources.values_mut() {
            source.sinks.remove(&id);
        }
        // The other side learns it at once instead of by silence.
        for peer in [&mut media.publisher, &mut media.subscriber.peer] {
            if peer.rtc.close().is_ok() {
                peer.drain(now, &mut self.transmits, drop);
            }
        }
        self.routes.push(Route::Gone(id));
    }

    fn release(&mut self, sid: &str) {
        let Some(source) = self.sources.remove(sid) else {
            return;
        };
        self.bound.remove(&(source.member, source.mid));
        for id in source.sinks {
            if let Some(media) = self.members.get_mut(&id) {
                media.subscriber.unsubscribe(sid);
            }
        }
    }

    fn accept_offer(&mut self, id: MemberId, text: &str, number: u32, now: Instant) {
        let Some(media) = self.members.get_mut(&id) else {
            return;
        };
        let tame = sdp::tame(text);
        let answer = tame.as_ref().and_then(|tame| {
            let offer = SdpOffer::from_sdp_string(tame)
                .inspect_err(
                    |error| tracing::debug!(%error, "the offer of a client makes no sense"),
                )
                .ok()?;
            let api = media.publisher.rtc.sdp_api();
            api.accept_offer(offer)
                .inspect_err(|error| tracing::debug!(%error, "the offer of a client is refused"))
                .ok()
        });
        let report = match (answer, &tame) {
            (Some(answer), Some(tame)) => Report::Answered {
                sdp: sdp::bare(&answer.to_sdp_string()),
                id: number,
                candidates: candidates(self.addresses),
                sections: sdp::sections(tame),
            },
            _ => Report::Broken(Broken::Description),
        };
        self.reports.push_back((id, report));
        self.pump((id, Target::Publisher), now);
    }

    /// Takes everything that a connection has to say, and everything that this leads to.
    fn pump(&mut self, peer: PeerId, now: Instant) {
        self.listen(peer, now);
        // Only descriptions change it.
        if let Some(name) = self.peer(peer).and_then(Peer::new_ufrag) {
            self.routes.push(Route::Name(name, peer));
        }
        while self.flush(now) {}
    }

    /// Takes everything that a connection has to say; others to which this does something are touched.
    fn listen(&mut self, peer: PeerId, now: Instant) {
        let mut events = VecDeque::new();
        self.drain(peer, now, &mut events);
        while let Some((peer, event)) = events.pop_front() {
            let touched = self.event(peer, event, now);
            self.touched.extend(touched);
        }
    }

    fn drain(&mut self, peer: PeerId, now: Instant, events: &mut VecDeque<(PeerId, Event)>) {
        let Some(media) = self.members.get_mut(&peer.0) else {
            return;
        };
        let connection = match peer.1 {
            Target::Publisher => &mut media.publisher,
            Target::Subscriber => &mut media.subscriber.peer,
        };
        connection.drain(now, &mut self.transmits, |event| {
            events.push_back((peer, event));
        });
        if peer.1 == Target::Subscriber && media.subscriber.has_waiting() {
            while media.subscriber.send_waiting() {
                media
                    .subscriber
                    .peer
                    .drain(now, &mut self.transmits, |event| {
                        events.push_back((peer, event));
                    });
            }
        }
    }

    /// Whom something was done to.
    fn event(&mut self, peer: PeerId, event: Event, now: Instant) -> Vec<PeerId> {
        let (id, target) = peer;
        match event {
            Event::Connected => {
                self.reports.push_back((id, Report::Connected(target)));
                Vec::new()
            }
            Event::RtpPacket(packet) if target == Target::Publisher => {
                self.packet(id, &packet, now)
            }
            Event::KeyframeRequest(request) if target == Target::Subscriber => {
                self.wanted(id, request.mid, now)
            }
            Event::PeerStats(stats) if target == Target::Subscriber => {
                let since = self.since(now);
                let Some(media) = self.members.get_mut(&id) else {
                    return Vec::new();
                };
                media.subscriber.renew();
                if media.subscriber.adapt(&stats, &self.sources, since) {
                    let room = media.subscriber.link.room();
                    let shares = media.subscriber.shares();
                    tracing::debug!(member = ?id, ?room, ?shares, "what the link of a participant carries");
                }
                Vec::new()
            }
            Event::ChannelData(data) if target == Target::Publisher => {
                let Some(media) = self.members.get(&id) else {
                    return Vec::new();
                };
                let reliable = media.publisher.reliable == Some(data.id);
                let known = reliable || media.publisher.lossy == Some(data.id);
                if known && data.data.len() <= LARGEST_DATA {
                    let packet = data.data;
                    self.reports
                        .push_back((id, Report::Data { reliable, packet }));
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn peer(&mut self, (id, target): PeerId) -> Option<&mut Peer> {
        let media = self.members.get_mut(&id)?;
        Some(match target {
            Target::Publisher => &mut media.publisher,
            Target::Subscriber => &mut media.subscriber.peer,
        })
    }

    fn since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("members", &self.members.len())
            .field("tracks", &self.sources.len())
            .finish_non_exhaustive()
    }
}

/// The certificate that all connections of a process show; their fingerprints bind it to them.
///
/// # Errors
/// When the system gives no random bytes.
pub fn certificate() -> Result<DtlsCert, CertificateError> {
    str0m::crypto::from_feature_flags()
        .dtls_provider
        .generate_certificate()
        .ok_or(CertificateError)
}

/// There is no certificate for media.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no certificate for media could be made: the system gives no random bytes")]
pub struct CertificateError;
