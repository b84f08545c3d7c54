// SPDX-License-Identifier: MIT OR Apache-2.0
//! A participant that costs little: it publishes and subscribes as LiveKit's clients do, sends made-up frames, and notes
//! when each packet of the others arrives. Nothing is encoded, decoded or sealed: a forwarder looks at none of it.

use std::collections::BTreeSet;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use livekit_protocol::{self as proto};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use prost::Message as _;
use serde_json::Value;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::tally::Tally;

/// Of a picture in packets of [`PACKET`]: 480 kbit/s at 15 pictures a second.
const PACKETS: u64 = 4;
const PICTURE: Duration = Duration::from_nanos(1_000_000_000 / 15);
const PACKET: usize = 1000;
/// 40 kbit/s.
const SOUND: Duration = Duration::from_millis(20);
const SOUND_PACKET: usize = 100;
/// Of one participant, pictures and sound.
pub(crate) const PACKETS_A_SECOND: f64 = 15.0 * PACKETS as f64 + 50.0;
/// Clients are taken for dead without.
const PING: Duration = Duration::from_secs(5);

/// One peer connection with the socket of its own.
struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    /// The same, for sending without asking the runtime, which knows of a new socket only later that it takes packets.
    out: std::net::UdpSocket,
    here: SocketAddr,
    due: Instant,
}

impl Peer {
    fn new() -> Self {
        let out = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        out.set_nonblocking(true).unwrap();
        setsockopt(&out, sockopt::ReceiveTimestampns, &true).unwrap();
        let socket = UdpSocket::from_std(out.try_clone().unwrap()).unwrap();
        let here = socket.local_addr().unwrap();
        let now = Instant::now();
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(here, "udp").unwrap());
        Self {
            rtc,
            socket,
            out,
            here,
            due: now,
        }
    }

    /// Lets time pass, and sends what there is to send.
    fn drive(&mut self, mut event: impl FnMut(Event)) {
        let now = Instant::now();
        if now >= self.due {
            self.rtc.handle_input(Input::Timeout(now)).unwrap();
        }
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(packet) => {
                    // A full socket loses packets, as a network does.
                    let _ = self.out.send_to(&packet.contents, packet.destination);
                }
                Output::Event(happened) => event(happened),
                Output::Timeout(at) => {
                    self.due = at;
                    return;
                }
            }
        }
    }

    /// Takes one packet from the socket, if there is one.
    fn take(&mut self, buffer: &mut [u8]) -> bool {
        let received = self.socket.try_io(Interest::READABLE, || {
            receive(&self.socket, buffer).map_err(Into::into)
        });
        let Ok((length, from, at)) = received else {
            return false;
        };
        if let Ok(packet) = Receive::new(Protocol::Udp, from, self.here, &buffer[..length]) {
            let input = Input::Receive(at, packet);
            if self.rtc.accepts(&input) {
                self.rtc.handle_input(input).unwrap();
            }
        }
        true
    }

    fn candidate(&mut self, init: &str) {
        let init: Value = serde_json::from_str(init).unwrap();
        let text = init["candidate"].as_str().unwrap_or_default();
        // TCP and other families are not for here.
        if let Ok(candidate) = Candidate::from_sdp_string(text) {
            self.rtc.add_remote_candidate(candidate);
        }
    }
}

/// A packet: its length, where it came from, and when the kernel had it. How long it lies there until this process, which
/// is all participants, gets to it, says nothing of who forwarded it.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> nix::Result<(usize, SocketAddr, Instant)> {
    let mut space = cmsg_space!(TimeSpec);
    let mut buffer = [IoSliceMut::new(buffer)];
    let socket = socket.as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrIn>(socket, &mut buffer, Some(&mut space), flags)?;
    let from = SocketAddr::V4(message.address.ok_or(Errno::EDESTADDRREQ)?.into());
    let had = message.cmsgs()?.find_map(|with| match with {
        ControlMessageOwned::ScmTimestampns(had) => Some(Duration::from(had)),
        _ => None,
    });
    let had = UNIX_EPOCH + had.ok_or(Errno::ENODATA)?;
    let lay = SystemTime::now().duration_since(had).unwrap_or_default();
    Ok((message.bytes, from, Instant::now() - lay))
}

/// A track on its way out.
struct Outgoing {
    mid: Mid,
    every: Duration,
    next: Instant,
    sequence: u64,
    picture: u16,
    time: u32,
}

impl Outgoing {
    fn new(mid: Mid, every: Duration) -> Self {
        Self {
            mid,
            every,
            next: Instant::now(),
            sequence: 1,
            picture: 0,
            time: 0,
        }
    }
}

/// A participant.
pub(crate) struct Member {
    number: usize,
    signalling: WebSocketStream<TcpStream>,
    publisher: Peer,
    subscriber: Peer,
    pending: Option<SdpPendingOffer>,
    video: Outgoing,
    audio: Outgoing,
    is_key_wanted: bool,
    is_connected: bool,
    heard: BTreeSet<Ssrc>,
    tally: Arc<Tally>,
}

impl Member {
    /// Joins at `service` with `token`, and publishes.
    pub(crate) async fn join(
        number: usize,
        service: SocketAddr,
        token: &str,
        tally: Arc<Tally>,
    ) -> Self {
        let url = format!("ws://{service}/rtc?protocol=15&auto_subscribe=1&access_token={token}");
        let stream = TcpStream::connect(service).await.unwrap();
        let (signalling, _) = client_async(url, stream).await.unwrap();
        let mut publisher = Peer::new();
        let mut changes = publisher.rtc.sdp_api();
        let mut add = |kind, track: &str| {
            let (stream, track) = (Some("stream".to_owned()), Some(track.to_owned()));
            changes.add_media(kind, Direction::SendOnly, stream, track, None)
        };
        let audio = Outgoing::new(add(MediaKind::Audio, "microphone"), SOUND);
        let video = Outgoing::new(add(MediaKind::Video, "camera"), PICTURE);
        let (offer, pending) = changes.apply().unwrap();
        let mut member = Self {
            number,
            signalling,
            publisher,
            subscriber: Peer::new(),
            pending: Some(pending),
            video,
            audio,
            is_key_wanted: true,
            is_connected: false,
            heard: BTreeSet::new(),
            tally,
        };
        for (cid, kind, source) in [
            (
                "microphone",
                proto::TrackType::Audio,
                proto::TrackSource::Microphone,
            ),
            (
                "camera",
                proto::TrackType::Video,
                proto::TrackSource::Camera,
            ),
        ] {
            let add = proto::AddTrackRequest {
                cid: cid.to_owned(),
                name: cid.to_owned(),
                r#type: kind.into(),
                source: source.into(),
                width: 640,
                height: 360,
                disable_red: true,
                ..Default::default()
            };
            member.ask(Ask::AddTrack(add)).await;
        }
        let offer = proto::SessionDescription {
            r#type: "offer".into(),
            sdp: offer.to_sdp_string(),
            id: 1,
            ..Default::default()
        };
        member.ask(Ask::Offer(offer)).await;
        member
    }

    async fn ask(&mut self, message: Ask) {
        let request = proto::SignalRequest {
            message: Some(message),
        };
        let message = Message::binary(request.encode_to_vec());
        self.signalling.send(message).await.unwrap();
    }

    /// Takes part, for ever.
    pub(crate) async fn take_part(mut self) {
        let mut buffer = vec![0; 2000];
        let mut ping = Instant::now() + PING;
        loop {
            self.send();
            let (is_key_wanted, is_connected) = (&mut self.is_key_wanted, &mut self.is_connected);
            self.publisher.drive(|event| match event {
                Event::KeyframeRequest(_) => *is_key_wanted = true,
                Event::Connected => *is_connected = true,
                _ => {}
            });
            let (heard, tally, number) = (&mut self.heard, &self.tally, self.number);
            self.subscriber.drive(|event| {
                if let Event::RtpPacket(packet) = event
                    && let Some(stamp) = packet.payload.last_chunk::<8>()
                {
                    if heard.insert(packet.header.ssrc) {
                        tally.another_stream(number);
                    }
                    let sent = u64::from_be_bytes(*stamp);
                    tally.arrived(sent, packet.timestamp, packet.payload.len());
                }
            });
            if Instant::now() >= ping {
                ping += PING;
                self.ask(Ask::Ping(1)).await;
            }
            let next = self.video.next.min(self.audio.next);
            let due = self.publisher.due.min(self.subscriber.due).min(next);
            tokio::select! {
                said = self.signalling.next() => match said {
                    Some(Ok(Message::Binary(bytes))) => {
                        let said = proto::SignalResponse::decode(bytes).unwrap();
                        self.hear(said.message.unwrap()).await;
                    }
                    Some(Ok(Message::Ping(_))) => {}
                    said => panic!("the service ended the connection: {said:?}"),
                },
                _ = self.publisher.socket.readable() => {
                    self.publisher.take(&mut buffer);
                }
                _ = self.subscriber.socket.readable() => {
                    self.subscriber.take(&mut buffer);
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
        }
    }

    async fn hear(&mut self, said: Say) {
        match said {
            Say::Answer(answer) => {
                let pending = self.pending.take().expect("one offer, one answer");
                let answer = SdpAnswer::from_sdp_string(&answer.sdp).unwrap();
                let changes = self.publisher.rtc.sdp_api();
                changes.accept_answer(pending, answer).unwrap();
            }
            Say::Offer(offer) => {
                let sdp = SdpOffer::from_sdp_string(&offer.sdp).unwrap();
                let answer = self.subscriber.rtc.sdp_api().accept_offer(sdp).unwrap();
                let answer = proto::SessionDescription {
                    r#type: "answer".into(),
                    sdp: answer.to_sdp_string(),
                    id: offer.id,
                    ..Default::default()
                };
                self.ask(Ask::Answer(answer)).await;
            }
            Say::Trickle(trickle) => match trickle.target() {
                proto::SignalTarget::Publisher => self.publisher.candidate(&trickle.candidate_init),
                proto::SignalTarget::Subscriber => {
                    self.subscriber.candidate(&trickle.candidate_init);
                }
            },
            Say::Leave(leave) => panic!("put out: {leave:?}"),
            _ => {}
        }
    }

    /// Sends what is due of the own tracks.
    fn send(&mut self) {
        let now = Instant::now();
        // Little, until everybody is connected: this client does not repeat what it lost of a DTLS handshake.
        let slower = if self.tally.is_gathering() { 10 } else { 1 };
        if now >= self.audio.next {
            self.audio.next += self.audio.every * slower;
            self.audio.time = self.audio.time.wrapping_add(960);
            if self.is_connected {
                self.packet(false, true, vec![0x5a; SOUND_PACKET]);
            }
        }
        if now >= self.video.next {
            self.video.next += self.video.every * slower;
            self.video.time = self.video.time.wrapping_add(6000);
            self.video.picture = (self.video.picture + 1) & 0x7fff;
            if self.is_connected {
                let is_key = std::mem::take(&mut self.is_key_wanted);
                for number in 0..PACKETS {
                    let mut payload = vec![0x5a; PACKET];
                    // RFC 7741, 4.2: a descriptor with a picture number of 15 bits, then the frame's own header.
                    let first = if number == 0 { 0x90 } else { 0x80 };
                    let [high, low] = (self.video.picture | 0x8000).to_be_bytes();
                    payload[..4].copy_from_slice(&[first, 0x80, high, low]);
                    if number == 0 {
                        let head = [
                            u8::from(!is_key),
                            0,
                            0,
                            0x9d,
                            0x01,
                            0x2a,
                            0x80,
                            0x02,
                            0x68,
                            0x01,
                        ];
                        payload[4..14].copy_from_slice(&head);
                    }
                    self.packet(true, number + 1 == PACKETS, payload);
                }
            }
        }
    }

    fn packet(&mut self, is_video: bool, marker: bool, mut payload: Vec<u8>) {
        let track = if is_video {
            &mut self.video
        } else {
            &mut self.audio
        };
        let pts = self
            .publisher
            .rtc
            .media(track.mid)
            .map(|media| media.remote_pts().to_vec());
        let Some(&pt) = pts.as_deref().and_then(<[_]>::first) else {
            return;
        };
        let mut api = self.publisher.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(track.mid, None) else {
            return;
        };
        let stamp = payload.len() - 8;
        payload[stamp..].copy_from_slice(&self.tally.now().to_be_bytes());
        let sequence = SeqNo::from(track.sequence);
        track.sequence += 1;
        let packet = RtpWrite::new(pt, sequence, track.time, Instant::now(), payload);
        stream.write_rtp(packet.marker(marker).nackable(is_video));
    }
}
