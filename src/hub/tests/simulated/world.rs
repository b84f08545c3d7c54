// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room of the hub with its media and clients that meet in it, in memory and on a clock of their own. Between them and
//! the code of the hub is nothing but what the network would do.

#![allow(dead_code, reason = "tests and fuzz targets use a part each")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use livekit_protocol::{self as proto};
use roomseal_hub::forward::{Addresses, Forwarder, Way, certificate};
use roomseal_hub::room::{Action, ConnectionId, Input, MemberId, Order, Room, Target, Visit};
use roomseal_hub::token::Admission;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::config::DtlsCert;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RtpWrite;
use str0m::{Candidate, Event, Input as Engine, Output, Rtc, RtcConfig};

static CERTIFICATE: LazyLock<DtlsCert> =
    LazyLock::new(|| certificate().expect("the system gives random bytes"));

/// Who says nothing for long is taken for gone.
const PING: Duration = Duration::from_secs(5);

/// A room takes so many.
const MOST: usize = 4;

/// A room, its media and its clients.
pub(crate) struct World {
    room: Room,
    forwarder: Forwarder,
    start: Instant,
    now: Duration,
    connections: u64,
    clients: Vec<Client>,
    /// What was done for nobody of them: connections that speak raw.
    raw: BTreeMap<ConnectionId, MemberId>,
    closed: Vec<ConnectionId>,
    ping: Duration,
    /// Which byte of each DTLS packet of the newest client is changed, and how (by exclusive or); such packets come twice.
    pub(crate) spoiled: Option<(usize, u8)>,
    /// How long packets wait before the hub gets to them.
    pub(crate) waiting: Duration,
}

/// Somebody who speaks the protocol well.
pub(crate) struct Client {
    connection: ConnectionId,
    member: Option<MemberId>,
    publisher: Link,
    subscriber: Link,
    pending: Option<SdpPendingOffer>,
    /// Its section for pictures.
    video: Option<Mid>,
    channel: Option<ChannelId>,
    /// Its publisher connection is up.
    pub(crate) is_connected: bool,
    /// Packets of others that arrived.
    pub(crate) received: usize,
}

struct Link {
    rtc: Rtc,
    here: SocketAddr,
    due: Instant,
}

impl Link {
    fn new(here: SocketAddr, now: Instant) -> Self {
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .enable_h264(true)
            .build(now);
        let candidate = Candidate::host(here, "udp").expect("it is an address");
        rtc.add_local_candidate(candidate);
        Self {
            rtc,
            here,
            due: now,
        }
    }

    fn candidate(&mut self, init: &str) {
        let init: serde_json::Value = serde_json::from_str(init).expect("the hub speaks JSON");
        let text = init["candidate"].as_str().expect("as WebRTC has it");
        if let Ok(candidate) = Candidate::from_sdp_string(text) {
            self.rtc.add_remote_candidate(candidate);
        }
    }

    fn drain(&mut self, now: Instant, mut event: impl FnMut(Event)) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        if now >= self.due {
            let _ = self.rtc.handle_input(Engine::Timeout(now));
        }
        while let Ok(output) = self.rtc.poll_output() {
            match output {
                Output::Transmit(packet) => packets.push(packet.contents.to_vec()),
                Output::Event(happened) => event(happened),
                Output::Timeout(at) => {
                    self.due = at;
                    break;
                }
            }
        }
        packets
    }
}

fn address(number: u64, target: Target) -> SocketAddr {
    let port = match target {
        Target::Publisher => 1000,
        Target::Subscriber => 2000,
    };
    let number = u8::try_from(number).unwrap_or(u8::MAX);
    SocketAddr::from(([192, 0, 2, number], port))
}

fn addresses() -> Addresses {
    let hub = |port| SocketAddr::from(([192, 0, 2, 1], port));
    Addresses {
        udp: hub(7882),
        tcp: hub(7881),
    }
}

impl World {
    /// Nobody is there.
    pub(crate) fn new() -> Self {
        let dice = || {
            let mut drawn = 0x9e37_79b9_7f4a_7c15_u64;
            Box::new(move || {
                // Numbers that differ; nothing here depends on their being hard to guess.
                drawn = drawn
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                drawn
            })
        };
        let start = Instant::now();
        Self {
            room: Room::new("room".into(), MOST, 1_000_000, dice()),
            forwarder: Forwarder::new(addresses(), CERTIFICATE.clone(), start, dice()),
            start,
            now: Duration::ZERO,
            connections: 1,
            clients: Vec::new(),
            raw: BTreeMap::new(),
            closed: Vec::new(),
            ping: PING,
            spoiled: None,
            waiting: Duration::ZERO,
        }
    }

    fn time(&self) -> Instant {
        self.start + self.now
    }

    /// Somebody comes who says whatever there is to say; the number of the connection.
    pub(crate) fn come(&mut self, identity: &str, resume: Option<String>) -> Option<ConnectionId> {
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let visit = Visit {
            auto_subscribe: true,
            resume,
            client_protocol: 1,
        };
        let actions = self.room.arrive(id, admission(identity), visit, self.now);
        self.carry_out(actions.ok()?);
        Some(id)
    }

    /// Somebody comes who publishes sound and pictures, and receives what others publish.
    pub(crate) fn join(&mut self, identity: &str) -> usize {
        let number = self.connections + 1;
        let now = self.time();
        let link = |target| Link::new(address(number, target), now);
        self.clients.push(Client {
            connection: ConnectionId(number),
            member: None,
            publisher: link(Target::Publisher),
            subscriber: link(Target::Subscriber),
            pending: None,
            video: None,
            channel: None,
            is_connected: false,
            received: 0,
        });
        let index = self.clients.len() - 1;
        self.come(identity, None).expect("there is room");
        for (cid, kind) in [
            ("mic", proto::TrackType::Audio),
            ("cam", proto::TrackType::Video),
        ] {
            let add = proto::AddTrackRequest {
                cid: cid.into(),
                r#type: kind.into(),
                width: 640,
                height: 360,
                ..Default::default()
            };
            self.say(ConnectionId(number), Ask::AddTrack(add));
        }
        let client = &mut self.clients[index];
        let mut changes = client.publisher.rtc.sdp_api();
        let mut add = |kind, cid: &str| {
            let (stream, track) = (Some("stream".to_owned()), Some(cid.to_owned()));
            changes.add_media(kind, Direction::SendOnly, stream, track, None)
        };
        add(MediaKind::Audio, "mic");
        client.video = Some(add(MediaKind::Video, "cam"));
        client.channel = Some(changes.add_channel_with_config(ChannelConfig {
            label: "_reliable".into(),
            ordered: true,
            reliability: Reliability::Reliable,
            ..Default::default()
        }));
        let (offer, pending) = changes.apply().expect("something has changed");
        client.pending = Some(pending);
        let offer = proto::SessionDescription {
            r#type: "offer".into(),
            sdp: offer.to_sdp_string(),
            id: 1,
            ..Default::default()
        };
        self.say(ConnectionId(number), Ask::Offer(offer));
        index
    }

    /// A client.
    pub(crate) fn client(&self, index: usize) -> &Client {
        &self.clients[index]
    }

    /// Whether the hub has ended a connection.
    pub(crate) fn is_closed(&self, connection: ConnectionId) -> bool {
        self.closed.contains(&connection)
    }

    /// Whether the hub has ended a client's connection.
    pub(crate) fn is_put_out(&self, index: usize) -> bool {
        self.is_closed(self.clients[index].connection)
    }

    /// A connection says something.
    pub(crate) fn say(&mut self, connection: ConnectionId, message: Ask) {
        let input = Input::Signal(connection, Box::new(message));
        let actions = self.room.handle(input, self.now);
        self.carry_out(actions);
    }

    /// A connection breaks.
    pub(crate) fn leave(&mut self, connection: ConnectionId) {
        let actions = self.room.handle(Input::Gone(connection), self.now);
        self.carry_out(actions);
    }

    /// A packet arrives for the member of a connection that speaks raw.
    pub(crate) fn packet(&mut self, connection: ConnectionId, target: Target, bytes: &[u8]) {
        if let Some(member) = self.raw.get(&connection) {
            let way = Way {
                protocol: Protocol::Udp,
                address: address(connection.0, target),
            };
            let now = self.time();
            self.forwarder.receive((*member, target), way, bytes, now);
            while self.forwarder.flush(now) {}
            self.carry_out(Vec::new());
        }
    }

    /// A packet arrives that claims to come from a client, over its publisher connection.
    pub(crate) fn forge(&mut self, index: usize, bytes: &[u8]) {
        let client = &self.clients[index];
        let way = Way {
            protocol: Protocol::Udp,
            address: client.publisher.here,
        };
        if let Some(member) = client.member {
            let now = self.time();
            self.forwarder
                .receive((member, Target::Publisher), way, bytes, now);
            self.carry_out(Vec::new());
        }
    }

    /// A client sends a packet of its pictures, with this number, time and content.
    pub(crate) fn picture(
        &mut self,
        index: usize,
        number: u64,
        time: u32,
        marker: bool,
        payload: &[u8],
    ) {
        let now = self.time();
        let client = &mut self.clients[index];
        let Some(mid) = client.video else { return };
        let rtc = &mut client.publisher.rtc;
        let format = rtc
            .media(mid)
            .and_then(|media| media.remote_pts().first().copied());
        let mut api = rtc.direct_api();
        if let (Some(format), Some(stream)) = (format, api.stream_tx_by_mid(mid, None)) {
            let packet = RtpWrite::new(format, number.into(), time, now, payload);
            stream.write_rtp(packet.marker(marker));
        }
    }

    /// A client sends a message on its reliable channel.
    pub(crate) fn message(&mut self, index: usize, bytes: &[u8]) {
        let client = &mut self.clients[index];
        let channel = client
            .channel
            .and_then(|id| client.publisher.rtc.channel(id));
        if let Some(mut channel) = channel {
            let _full = channel.write(true, bytes);
        }
    }

    /// Lets time pass, and everybody say what there is to say.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.exchange();
            let due = self.due().saturating_duration_since(self.start);
            if due >= until {
                break;
            }
            // An engine that says "now" again and again is asked again a little later.
            self.now = due.max(self.now + Duration::from_micros(100));
            let now = self.time();
            self.forwarder.tick(now);
            let actions = self.room.handle(Input::Tick, self.now);
            self.carry_out(actions);
            if self.now >= self.ping {
                self.ping = self.now + PING;
                let clients: Vec<_> = self.clients.iter().map(|it| it.connection).collect();
                for client in clients {
                    self.say(client, Ask::Ping(1));
                }
            }
        }
        self.now = until;
        self.exchange();
    }

    fn due(&self) -> Instant {
        let links = self
            .clients
            .iter()
            .flat_map(|it| [it.publisher.due, it.subscriber.due]);
        let room = self.room.deadline().map(|due| self.start + due);
        let ping = [self.start + self.ping];
        let hub = self
            .forwarder
            .deadline()
            .into_iter()
            .chain(room)
            .chain(ping);
        links.chain(hub).min().unwrap_or(self.start)
    }

    /// Until nobody has anything more to say at this moment.
    fn exchange(&mut self) {
        loop {
            let now = self.time();
            let mut sent = Vec::new();
            for client in &mut self.clients {
                let Some(member) = client.member else {
                    continue;
                };
                let (up, received) = (&mut client.is_connected, &mut client.received);
                for (target, link) in [
                    (Target::Publisher, &mut client.publisher),
                    (Target::Subscriber, &mut client.subscriber),
                ] {
                    let packets = link.drain(now, |event| match (target, event) {
                        (Target::Publisher, Event::Connected) => *up = true,
                        (Target::Subscriber, Event::RtpPacket(_)) => *received += 1,
                        _ => {}
                    });
                    let from = |packet| ((member, target), link.here, packet);
                    sent.extend(packets.into_iter().map(from));
                }
            }
            let is_quiet = sent.is_empty();
            let newest = self.clients.last().and_then(|it| it.member);
            for (peer, address, mut packet) in sent {
                let mut is_spoiled = false;
                if let Some((at, change)) = self.spoiled.filter(|_| Some(peer.0) == newest)
                    && matches!(packet.first(), Some(20..=63))
                    && let Some(byte) = packet.get_mut(at)
                {
                    *byte ^= change;
                    is_spoiled = true;
                }
                let way = Way {
                    protocol: Protocol::Udp,
                    address,
                };
                for _ in 0..1 + usize::from(is_spoiled) {
                    self.forwarder
                        .receive(peer, way, &packet, now - self.waiting);
                }
            }
            while self.forwarder.flush(now) {}
            if !self.carry_out(Vec::new()) && is_quiet {
                return;
            }
        }
    }

    /// Does what the room wants, and what that leads to; whether any packet went to a client.
    fn carry_out(&mut self, actions: Vec<Action>) -> bool {
        let mut actions = VecDeque::from(actions);
        let now = self.time();
        loop {
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Send(to, message) => {
                        if let Some(ask) = self.hear(to, *message) {
                            let input = Input::Signal(to, Box::new(ask));
                            actions.extend(self.room.handle(input, self.now));
                        }
                    }
                    Action::Renew(..) | Action::End => {}
                    Action::Close(connection) => self.closed.push(connection),
                    Action::Media(order) => {
                        if let Order::Open(member) = order {
                            let newest = ConnectionId(self.connections);
                            let client = self.clients.iter_mut().find(|it| it.connection == newest);
                            match client {
                                Some(client) => client.member = Some(member),
                                None => drop(self.raw.insert(newest, member)),
                            }
                        }
                        self.forwarder.order(order, now);
                    }
                }
            }
            self.forwarder.offer(now);
            let Some((member, report)) = self.forwarder.report() else {
                break;
            };
            actions.extend(self.room.handle(Input::Media(member, report), self.now));
        }
        self.forwarder.routes();
        let mut went = false;
        let transmits: Vec<_> = self.forwarder.transmits().collect();
        for packet in transmits {
            let links = self
                .clients
                .iter_mut()
                .flat_map(|it| [&mut it.publisher, &mut it.subscriber]);
            let to = links
                .into_iter()
                .find(|link| link.here == packet.destination);
            let hub = addresses().udp;
            if let Some(link) = to
                && let Ok(packet) = Receive::new(Protocol::Udp, hub, link.here, &packet.contents)
            {
                went = true;
                let _ = link.rtc.handle_input(Engine::Receive(now, packet));
                link.due = now;
            }
        }
        went
    }

    /// A client hears the hub; what it answers.
    fn hear(&mut self, to: ConnectionId, message: Say) -> Option<Ask> {
        let client = self.clients.iter_mut().find(|it| it.connection == to)?;
        match message {
            Say::Answer(answer) => {
                let answer =
                    SdpAnswer::from_sdp_string(&answer.sdp).expect("the hub's SDP is sound");
                let pending = client.pending.take().expect("one offer, one answer");
                let changes = client.publisher.rtc.sdp_api();
                changes
                    .accept_answer(pending, answer)
                    .expect("it fits the offer");
                None
            }
            Say::Offer(offer) => {
                let sdp = SdpOffer::from_sdp_string(&offer.sdp).expect("the hub's SDP is sound");
                let changes = client.subscriber.rtc.sdp_api();
                let answer = changes.accept_offer(sdp).expect("it can be answered");
                Some(Ask::Answer(proto::SessionDescription {
                    r#type: "answer".into(),
                    sdp: answer.to_sdp_string(),
                    id: offer.id,
                    ..Default::default()
                }))
            }
            Say::Trickle(trickle) => {
                match trickle.target() {
                    proto::SignalTarget::Publisher => &mut client.publisher,
                    proto::SignalTarget::Subscriber => &mut client.subscriber,
                }
                .candidate(&trickle.candidate_init);
                None
            }
            _ => None,
        }
    }
}

fn admission(identity: &str) -> Admission {
    Admission {
        api_key: "key".into(),
        identity: identity.into(),
        name: identity.into(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        kind: String::new(),
        room: "room".into(),
        can_publish: true,
        can_publish_sources: Vec::new(),
        can_publish_data: true,
        can_subscribe: true,
        can_update_own_metadata: true,
        room_admin: false,
        by_hub: false,
        hidden: false,
        recorder: false,
        agent: false,
    }
}
