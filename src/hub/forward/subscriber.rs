// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one member receives: its subscriber connection, for which this side makes the offers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::format::{Codec, CodecSpec};
use str0m::media::{Direction, MediaKind, Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};

use super::line::Numbers;
use super::peer::Peer;
use super::picture::Pictures;
use super::sdp::{self, MOST_SECTIONS};
use crate::room::{Broken, Subscription, View};

/// How long a client may think about an offer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that may wait for a client on its reliable channel, beyond what the engine holds.
const MOST_WAITING: usize = 4 << 20;

/// Sections that are no longer used stay in the description. With so many the client shall begin anew.
const MOST_USED: usize = MOST_SECTIONS * 3 / 4;

pub(super) struct Subscriber {
    pub(super) peer: Peer,
    /// What it receives, by sid of the track.
    lines: BTreeMap<String, Line>,
    /// Sections whose track is over, to be told with the next offer.
    over: Vec<Mid>,
    pending: Option<Pending>,
    /// Whether there is something to offer.
    stale: bool,
    restart: bool,
    /// Whether an offer was answered: until then, each is the first.
    answered: bool,
    offers: u32,
    used: usize,
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
}

struct Pending {
    offer: SdpPendingOffer,
    id: u32,
    since: Instant,
}

/// A track on its way to the member.
struct Line {
    subscription: Subscription,
    mid: Option<Mid>,
    /// The member answered, and takes it.
    open: bool,
    numbers: Numbers,
    pictures: Pictures,
    /// The layer that is forwarded; `None` until a key frame has come.
    layer: Option<u8>,
    /// The layer that it wants at most; `None` while it does not show the track.
    most: Option<u8>,
    /// What a payload type of the publisher is here, if the member takes it.
    types: HashMap<Pt, Option<Pt>>,
}

/// An offer to send.
pub(super) struct Offer {
    pub(super) sdp: String,
    pub(super) id: u32,
    pub(super) tracks: HashMap<String, String>,
}

/// A packet of a publisher, for everybody who receives it.
pub(super) struct Arrived<'a> {
    pub(super) packet: &'a RtpPacket,
    pub(super) codec: CodecSpec,
    pub(super) layer: u8,
    /// The layers that arrive at present, as bits.
    pub(super) layers: u8,
    /// Whether a key frame begins with it, where that can be seen.
    pub(super) key: Option<bool>,
    pub(super) payload: Arc<[u8]>,
    pub(super) now: Duration,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The member does not get it.
    Dropped,
    /// The member gets nothing until a key frame comes.
    NeedsKeyFrame,
    /// On its way.
    Sent,
    /// The member does not take this codec, which is told once.
    Unsupported,
}

impl Subscriber {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            lines: BTreeMap::new(),
            over: Vec::new(),
            pending: None,
            stale: true,
            restart: false,
            answered: false,
            offers: 0,
            used: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    pub(super) fn subscribe(&mut self, subscription: Subscription, dice: u16) {
        let clock = if subscription.video { 90_000 } else { 48_000 };
        let line = Line {
            numbers: Numbers::new(clock, dice),
            pictures: Pictures::default(),
            mid: None,
            open: false,
            layer: None,
            most: Some(2),
            types: HashMap::new(),
            subscription,
        };
        self.lines.insert(line.subscription.sid.clone(), line);
        self.stale = true;
    }

    pub(super) fn unsubscribe(&mut self, sid: &str) {
        let Some(line) = self.lines.remove(sid) else {
            return;
        };
        if let Some(mid) = line.mid {
            self.over.push(mid);
            self.stale = true;
        }
    }

    pub(super) fn view(&mut self, sid: &str, view: View) {
        let Some(line) = self.lines.get_mut(sid) else {
            return;
        };
        line.most = match view {
            View::Hidden => None,
            View::Layer(layer) => Some(layer),
        };
        if line.most.is_none() && line.subscription.video {
            line.layer = None;
            line.numbers.interrupt();
        }
    }

    pub(super) fn restart(&mut self) {
        // An offer on its way was lost with the connection, or its answer was.
        if let Some(pending) = self.pending.take() {
            drop(pending);
            for line in self.lines.values_mut().filter(|line| !line.open) {
                line.mid = None;
            }
        }
        self.restart = true;
        self.stale = true;
    }

    /// The next offer, if one is due and the last one is answered.
    pub(super) fn offer(&mut self, now: Instant) -> Result<Option<Offer>, Broken> {
        if !self.stale || self.pending.is_some() {
            return Ok(None);
        }
        self.stale = false;
        let first = !self.answered;
        let mut changes = self.peer.rtc.sdp_api();
        if first {
            self.peer.reliable = Some(changes.add_channel("_reliable".into()));
            self.peer.lossy = Some(changes.add_channel_with_config(ChannelConfig {
                label: "_lossy".into(),
                ordered: false,
                reliability: Reliability::MaxRetransmits { retransmits: 0 },
                ..ChannelConfig::default()
            }));
        }
        for mid in self.over.drain(..) {
            changes.set_direction(mid, Direction::Inactive);
        }
        for line in self.lines.values_mut().filter(|line| line.mid.is_none()) {
            let kind = if line.subscription.video {
                MediaKind::Video
            } else {
                MediaKind::Audio
            };
            self.used += 1;
            line.mid = Some(changes.add_media(
                kind,
                Direction::SendOnly,
                Some(line.subscription.stream.clone()),
                Some(line.subscription.sid.clone()),
                None,
            ));
        }
        if std::mem::take(&mut self.restart) && !first {
            changes.ice_restart(true);
        }
        if self.used > MOST_USED {
            return Err(Broken::Description);
        }
        let Some((offer, pending)) = changes.apply() else {
            return Ok(None);
        };
        self.offers += 1;
        self.pending = Some(Pending {
            offer: pending,
            id: self.offers,
            since: now,
        });
        let tracks = self.lines.iter();
        let tracks = tracks.filter_map(|(sid, line)| Some((line.mid?.to_string(), sid.clone())));
        Ok(Some(Offer {
            sdp: offer.to_sdp_string(),
            id: self.offers,
            tracks: tracks.collect(),
        }))
    }

    /// Takes the answer to the offer `id`. An answer to an earlier one is late and means nothing.
    pub(super) fn answer(&mut self, sdp: &str, id: u32) -> Result<(), Broken> {
        // Clients of older protocols do not number their answers.
        let Some(pending) = self.pending.take_if(|p| id == 0 || p.id == id) else {
            return Ok(());
        };
        let answer = sdp::tame(sdp)
            .and_then(|sdp| SdpAnswer::from_sdp_string(&sdp).ok())
            .ok_or(Broken::Description)?;
        let accepted = self.peer.rtc.sdp_api().accept_answer(pending.offer, answer);
        if let Err(error) = accepted {
            tracing::debug!(%error, "the answer of a client makes no sense");
            return Err(Broken::Description);
        }
        self.answered = true;
        for line in self.lines.values_mut() {
            let media = line.mid.and_then(|mid| self.peer.rtc.media(mid));
            line.open = media.is_some_and(|media| media.direction().is_sending());
        }
        Ok(())
    }

    /// Whether the member takes too long to answer.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| now >= pending.since + PATIENCE)
    }

    /// When [`Self::is_stuck`] may become true.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.as_ref();
        pending.map(|pending| pending.since + PATIENCE)
    }

    /// The track in a section.
    pub(super) fn track_in(&self, mid: Mid) -> Option<(&str, Option<u8>)> {
        let line = self.lines.values().find(|line| line.mid == Some(mid))?;
        Some((&line.subscription.sid, line.layer.or(line.most)))
    }

    /// Sends a packet on, if the member wants it and can do something with it.
    pub(super) fn forward(&mut self, sid: &str, arrived: &Arrived<'_>) -> Fate {
        let Some(line) = self.lines.get_mut(sid).filter(|line| line.open) else {
            return Fate::Dropped;
        };
        let (Some(mid), Some(most)) = (line.mid, line.most) else {
            return Fate::Dropped;
        };
        let from = arrived.packet.header.payload_type;
        let mapped = match line.types.get(&from) {
            Some(mapped) => *mapped,
            None => {
                let mapped = matching(&self.peer, mid, &arrived.codec);
                line.types.insert(from, mapped);
                if mapped.is_none() {
                    return Fate::Unsupported;
                }
                mapped
            }
        };
        let Some(to) = mapped else {
            return Fate::Dropped;
        };
        if line.layer != Some(arrived.layer) {
            if line.subscription.video {
                if arrived.layer != best(arrived.layers, most) {
                    return Fate::Dropped;
                }
                if arrived.key == Some(false) {
                    return Fate::NeedsKeyFrame;
                }
            }
            line.layer = Some(arrived.layer);
        }
        let header = &arrived.packet.header;
        let Some((number, time)) = line.numbers.of(
            arrived.layer,
            *arrived.packet.seq_no,
            header.timestamp,
            arrived.now,
        ) else {
            return Fate::Dropped;
        };
        let patch = (arrived.codec.codec == Codec::Vp8)
            .then(|| line.pictures.of(arrived.layer, &arrived.payload))
            .flatten();
        let mut api = self.peer.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else {
            return Fate::Dropped;
        };
        let extensions = ExtensionValues {
            audio_level: header.ext_vals.audio_level,
            voice_activity: header.ext_vals.voice_activity,
            video_orientation: header.ext_vals.video_orientation,
            ..ExtensionValues::default()
        };
        let mut packet = RtpWrite::new(
            to,
            number.into(),
            time,
            arrived.packet.timestamp,
            Arc::clone(&arrived.payload),
        )
        .marker(header.marker)
        .ext_vals(extensions)
        .nackable(line.subscription.video);
        if let Some(patch) = patch {
            packet = packet.vp8_patch(patch);
        }
        stream.write_rtp(packet);
        Fate::Sent
    }

    /// Sends a message on a data channel. What is lossy is dropped when there is no room; what is reliable waits, within
    /// bounds.
    pub(super) fn send(&mut self, reliable: bool, message: &[u8]) -> Result<(), Broken> {
        if !reliable {
            let id = self.peer.lossy;
            if let Some(mut channel) = id.and_then(|id| self.peer.rtc.channel(id)) {
                let _dropped_when_full = channel.write(true, message);
            }
            return Ok(());
        }
        if self.waiting.is_empty() && self.write(message) {
            return Ok(());
        }
        if self.waiting_bytes + message.len() > MOST_WAITING {
            return Err(Broken::Slow);
        }
        self.waiting_bytes += message.len();
        self.waiting.push_back(message.to_vec());
        Ok(())
    }

    /// Sends one message that waited. Whether there was one and it went.
    pub(super) fn send_waiting(&mut self) -> bool {
        let Some(message) = self.waiting.pop_front() else {
            return false;
        };
        if self.write(&message) {
            self.waiting_bytes -= message.len();
            return true;
        }
        self.waiting.push_front(message);
        false
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn write(&mut self, message: &[u8]) -> bool {
        let id = self.peer.reliable;
        let channel = id.and_then(|id| self.peer.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(true, message).unwrap_or(false))
    }
}

/// The best layer of those that arrive (as bits) that is no larger than `most`; failing that, the smallest.
fn best(layers: u8, most: u8) -> u8 {
    let fits = (0..=most).rev().find(|layer| layers & (1 << layer) != 0);
    fits.unwrap_or_else(|| (0..8).find(|layer| layers & (1 << layer) != 0).unwrap_or(0))
}

/// The payload type that the member agreed to for this codec.
fn matching(peer: &Peer, mid: Mid, codec: &CodecSpec) -> Option<Pt> {
    let media = peer.rtc.media(mid)?;
    let agreed = peer.rtc.codec_config().params().iter();
    let same: Vec<_> = agreed
        .filter(|params| {
            params.spec().codec == codec.codec && media.remote_pts().contains(&params.pt())
        })
        .collect();
    let exact = same.iter().find(|params| params.spec() == *codec);
    let alike = same
        .iter()
        .find(|params| params.spec().format.packetization_mode == codec.format.packetization_mode);
    exact.or(alike).or(same.first()).map(|params| params.pt())
}

#[cfg(test)]
mod tests {
    use super::best;

    #[test]
    fn the_best_layer_is_the_largest_that_arrives_and_is_wanted() {
        assert_eq!(best(0b111, 2), 2);
        assert_eq!(best(0b111, 1), 1);
        assert_eq!(best(0b101, 1), 0);
        // Without layers there is only one, which counts as the largest.
        assert_eq!(best(0b100, 0), 2);
    }
}
