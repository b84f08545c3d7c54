// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room of the hub with its media and clients that meet in it, in memory and on a clock of their own. Between them and
//! the code of the hub is nothing but what the network would do.

#![allow(dead_code, reason = "tests and fuzz targets use a part each")]

#[path = "net.rs"]
mod net;

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
use str0m::media::{
    Direction, KeyframeRequestKind, MediaKind, Mid, Rid, Simulcast, SimulcastLayer,
};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpPacket, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input as Engine, Output, Rtc, RtcConfig};

pub(crate) use net::Net;

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
    /// Who comes from here on tells nothing of the packets that arrive (no transport-wide congestion control).
    pub(crate) silent: bool,
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
    /// Its sections for sound and for pictures.
    audio: Option<Mid>,
    video: Option<Mid>,
    channel: Option<ChannelId>,
    /// Its publisher connection is up.
    pub(crate) is_connected: bool,
    /// Packets of others that arrived.
    pub(crate) received: usize,
    /// The same, one by one.
    pub(crate) got: Vec<Got>,
    /// Key frames that it was asked for, by layer.
    pub(crate) asked: Vec<Option<Rid>>,
    /// The network on the way to it.
    pub(crate) net: Net,
}

/// A packet that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) at: Duration,
    pub(crate) ssrc: Ssrc,
    pub(crate) number: u64,
    pub(crate) payload: Vec<u8>,
}

impl Got {
    fn new(packet: &RtpPacket, at: Duration) -> Self {
        Self {
            at,
            ssrc: packet.header.ssrc,
            number: *packet.seq_no,
            payload: packet.payload.to_vec(),
        }
    }
}

struct Link {
    rtc: Rtc,
    here: SocketAddr,
    due: Instant,
}

impl Link {
    fn new(here: SocketAddr, silent: bool, now: Instant) -> Self {
        let mut config = RtcConfig::new();
        if silent {
            config = config
                .clear_extension_map()
                .set_extension(1, Extension::AudioLevel)
                .set_extension(4, Extension::RtpMid);
        }
        let mut rtc = config
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

    fn take(&mut self, packet: &[u8], now: Instant) {
        let hub = addresses().udp;
        if let Ok(packet) = Receive::new(Protocol::Udp, hub, self.here, packet) {
            let _ = self.rtc.handle_input(Engine::Receive(now, packet));
            self.due = now;
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
            silent: false,
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
        self.join_with(identity, &[])
    }

    /// The same, with pictures in these layers.
    pub(crate) fn join_with(&mut self, identity: &str, layers: &[&str]) -> usize {
        let number = self.connections + 1;
        let now = self.time();
        let silent = self.silent;
        let link = |target| Link::new(address(number, target), silent, now);
        self.clients.push(Client {
            connection: ConnectionId(number),
            member: None,
            publisher: link(Target::Publisher),
            subscriber: link(Target::Subscriber),
            pending: None,
            audio: None,
            video: None,
            channel: None,
            is_connected: false,
            received: 0,
            got: Vec::new(),
            asked: Vec::new(),
            net: Net::default(),
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
        let simulcast = (!layers.is_empty()).then(|| Simulcast {
            send: layers.iter().map(|rid| SimulcastLayer::new(rid)).collect(),
            recv: Vec::new(),
        });
        let mut add = |kind, cid: &str, simulcast| {
            let (stream, track) = (Some("stream".to_owned()), Some(cid.to_owned()));
            changes.add_media(kind, Direction::SendOnly, stream, track, simulcast)
        };
        client.audio = Some(add(MediaKind::Audio, "mic", None));
        client.video = Some(add(MediaKind::Video, "cam", simulcast));
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

    /// A packet arrives that claims to come from a client, over this connection of it.
    pub(crate) fn forge(&mut self, index: usize, target: Target, bytes: &[u8]) {
        let client = &self.clients[index];
        let link = match target {
            Target::Publisher => &client.publisher,
            Target::Subscriber => &client.subscriber,
        };
        let way = Way {
            protocol: Protocol::Udp,
            address: link.here,
        };
        if let Some(member) = client.member {
            let now = self.time();
            self.forwarder.receive((member, target), way, bytes, now);
            self.carry_out(Vec::new());
        }
    }

    /// The network on the way to a client.
    pub(crate) fn net(&mut self, index: usize) -> &mut Net {
        &mut self.clients[index].net
    }

    /// The time that has passed.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// What a client was asked for since the last time.
    pub(crate) fn take_asked(&mut self, index: usize) -> Vec<Option<Rid>> {
        std::mem::take(&mut self.clients[index].asked)
    }

    /// A client asks for a key frame of what it receives with this source number.
    pub(crate) fn ask(&mut self, index: usize, ssrc: Ssrc) {
        let link = &mut self.clients[index].subscriber;
        let mut api = link.rtc.direct_api();
        if let Some(stream) = api.stream_rx(&ssrc) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
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
        let video = self.clients[index].video;
        self.rtp(index, video, None, (number, time, marker), payload);
    }

    /// The same, of one layer.
    pub(crate) fn layer(
        &mut self,
        index: usize,
        rid: &str,
        place: (u64, u32, bool),
        payload: &[u8],
    ) {
        let video = self.clients[index].video;
        self.rtp(index, video, Some(rid.into()), place, payload);
    }

    /// A client sends a packet of its sound.
    pub(crate) fn sound(&mut self, index: usize, number: u64, time: u32, payload: &[u8]) {
        let audio = self.clients[index].audio;
        self.rtp(index, audio, None, (number, time, false), payload);
    }

    fn rtp(
        &mut self,
        index: usize,
        mid: Option<Mid>,
        rid: Option<Rid>,
        (number, time, marker): (u64, u32, bool),
        payload: &[u8],
    ) {
        let now = self.time();
        let client = &mut self.clients[index];
        let Some(mid) = mid else { return };
        client.publisher.due = now;
        let rtc = &mut client.publisher.rtc;
        let format = rtc
            .media(mid)
            .and_then(|media| media.remote_pts().first().copied());
        let mut api = rtc.direct_api();
        if let (Some(format), Some(stream)) = (format, api.stream_tx_by_mid(mid, rid)) {
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
        let nets = self.clients.iter().filter_map(|it| it.net.due());
        let nets = nets.map(|due| self.start + due);
        let room = self.room.deadline().map(|due| self.start + due);
        let ping = [self.start + self.ping];
        let hub = self
            .forwarder
            .deadline()
            .into_iter()
            .chain(room)
            .chain(ping);
        links.chain(nets).chain(hub).min().unwrap_or(self.start)
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
                let (got, asked, passed) = (&mut client.got, &mut client.asked, self.now);
                for (target, link) in [
                    (Target::Publisher, &mut client.publisher),
                    (Target::Subscriber, &mut client.subscriber),
                ] {
                    let packets = link.drain(now, |event| match (target, event) {
                        (Target::Publisher, Event::Connected) => *up = true,
                        (Target::Publisher, Event::KeyframeRequest(it)) => asked.push(it.rid),
                        (Target::Subscriber, Event::RtpPacket(packet)) => {
                            *received += 1;
                            got.push(Got::new(&packet, passed));
                        }
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
            for client in &mut self.clients {
                if client.publisher.here == packet.destination {
                    went = true;
                    client.publisher.take(&packet.contents, now);
                } else if client.subscriber.here == packet.destination {
                    client.net.send(packet.contents.to_vec(), self.now);
                }
            }
        }
        for client in &mut self.clients {
            // One at a time: the engine gives each one out before it takes the next.
            if let Some(packet) = client.net.arrive(self.now) {
                went = true;
                client.subscriber.take(&packet, now);
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
