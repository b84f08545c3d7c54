// SPDX-License-Identifier: MIT OR Apache-2.0
//! One track on its way to one member: which of its packets go, and as what.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use str0m::format::{Codec, CodecSpec};
use str0m::media::{Mid, Pt};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};

use super::keyframe::Asking;
use super::line::Numbers;
use super::paced::{Pace, Paced};
use super::peer::Peer;
use super::picture::Pictures;
use super::rate::KEYS_EVERY;
use super::share::Share;
use super::temporal::{Frame, Pass, Thinning};
use crate::room::{Subscription, View};

/// A receiver on a slow link asks for a key frame to begin another layer with no more often than this.
const SWITCH_EVERY: Duration = Duration::from_secs(1);

/// A track on its way to the member.
pub(super) struct Line {
    pub(super) subscription: Subscription,
    pub(super) mid: Option<Mid>,
    /// The member answered, and takes it.
    pub(super) open: bool,
    numbers: Numbers,
    pictures: Pictures,
    /// The layer that is forwarded; `None` until a key frame has come.
    pub(super) layer: Option<u8>,
    /// The layer that it wants at most; `None` while it does not show the track.
    pub(super) most: Option<u8>,
    /// What the member's link carries of it; `None` while the link counts as fast.
    portion: Option<Portion>,
    thinning: Thinning,
    paced: Paced,
    /// Requests for key frames while the link is slow.
    asking: Asking,
    /// The same, for one with which another layer can begin.
    switching: Asking,
    /// What a payload type of the publisher is here, if the member takes it.
    types: HashMap<Pt, Option<Pt>>,
}

/// What a slow link carries of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    pub(super) share: Share,
    pub(super) pace: Pace,
}

/// A packet of a publisher, for everybody who receives it.
pub(super) struct Arrived<'a> {
    pub(super) packet: &'a RtpPacket,
    pub(super) codec: CodecSpec,
    pub(super) layer: u8,
    /// The layers that arrive at present, as bits.
    pub(super) layers: u8,
    pub(super) frame: Frame,
    pub(super) payload: Arc<[u8]>,
    pub(super) now: Duration,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The member does not get it.
    Dropped,
    /// The member does not get it, and needs a key frame.
    NeedsKeyFrame,
    /// On its way.
    Sent,
    /// On its way; a key frame that the member asked for earlier is still due.
    SentLacking,
    /// The member does not take this codec, which is told once.
    Unsupported,
}

impl Line {
    /// `dice`: any number.
    pub(super) fn new(subscription: Subscription, dice: u16) -> Self {
        let clock = if subscription.video { 90_000 } else { 48_000 };
        Self {
            numbers: Numbers::new(clock, dice),
            pictures: Pictures::default(),
            mid: None,
            open: false,
            layer: None,
            most: Some(2),
            portion: None,
            thinning: Thinning::default(),
            paced: Paced::default(),
            asking: Asking::every(KEYS_EVERY),
            switching: Asking::every(SWITCH_EVERY),
            types: HashMap::new(),
            subscription,
        }
    }

    /// Whether anything of it was ever sent.
    pub(super) fn has_begun(&self) -> bool {
        self.numbers.have_begun()
    }

    /// How the member shows it.
    pub(super) fn view(&mut self, view: View) {
        self.most = match view {
            View::Hidden => None,
            View::Layer(layer) => Some(layer),
        };
        if self.most.is_none() && self.subscription.video {
            self.layer = None;
            self.numbers.interrupt();
        }
    }

    /// What the member's link carries of it; `None` when the link counts as fast.
    pub(super) fn allow(&mut self, portion: Option<Portion>) {
        self.portion = portion;
        self.paced.set_pace(portion.map(|portion| portion.pace));
    }

    pub(super) fn share(&self) -> Share {
        self.portion.map_or(Share::Whole, |portion| portion.share)
    }

    /// The layer to forward, of those that arrive (as bits); `None` while the member does not show it.
    fn target(&self, layers: u8) -> Option<u8> {
        let most = match self.share() {
            Share::Whole => self.most?,
            Share::Layer(layer) => self.most?.min(layer),
            Share::Temporal(_) | Share::Keys => 0,
        };
        Some(best(layers, most))
    }

    /// The layer that the member wants at most of a video on its way.
    pub(super) fn wants_video(&self) -> Option<u8> {
        self.most.filter(|_| self.open && self.subscription.video)
    }

    pub(super) fn is_sound(&self) -> bool {
        self.open && !self.subscription.video
    }

    /// The member needs a key frame: of which layer one is to be asked for now. One that is for a slow link and comes too
    /// early, waits. `layers`: those that arrive, as bits.
    pub(super) fn needs_key_frame(&mut self, layers: u8, now: Duration) -> Option<u8> {
        if self.portion.is_none() {
            return self.layer.or(self.most);
        }
        let target = self.target(layers);
        let asking = if self.layer == target {
            &mut self.asking
        } else {
            &mut self.switching
        };
        target.filter(|_| asking.want(now))
    }

    /// Sends a packet on, if the member wants it and can do something with it.
    pub(super) fn forward(&mut self, peer: &mut Peer, arrived: &Arrived<'_>) -> Fate {
        let Some(mid) = self.mid.filter(|_| self.open && self.most.is_some()) else {
            return Fate::Dropped;
        };
        let from = arrived.packet.header.payload_type;
        let mapped = match self.types.get(&from) {
            Some(mapped) => *mapped,
            None => {
                let mapped = matching(peer, mid, &arrived.codec);
                self.types.insert(from, mapped);
                if mapped.is_none() {
                    return Fate::Unsupported;
                }
                mapped
            }
        };
        let Some(to) = mapped else {
            return Fate::Dropped;
        };
        if self.subscription.video {
            let choice = self.choose(arrived);
            if choice != Fate::Sent {
                return choice;
            }
        }
        self.layer = Some(arrived.layer);
        let Some(packet) = self.dress(to, arrived) else {
            return Fate::Dropped;
        };
        if self.paced.is_needed() {
            self.paced.push(packet, arrived.payload.len());
            self.send_paced(peer, arrived.now);
        } else if !write(peer, mid, packet) {
            return Fate::Dropped;
        }
        if arrived.frame.begins_key == Some(true) {
            self.asking.forget();
        } else if self.portion.is_some() && self.asking.take(arrived.now) {
            return Fate::SentLacking;
        }
        Fate::Sent
    }

    /// Whether a packet of a video goes.
    fn choose(&mut self, arrived: &Arrived<'_>) -> Fate {
        let Some(target) = self.target(arrived.layers) else {
            return Fate::Dropped;
        };
        let is_wanted = arrived.layer == target;
        if self.layer != Some(arrived.layer) {
            if !is_wanted {
                return Fate::Dropped;
            }
            if arrived.frame.begins_key == Some(false) {
                return self.lacks_key_frame(arrived);
            }
            self.thinning = Thinning::default();
            self.switching.forget();
        }
        let Some(portion) = self.portion else {
            return self.thin(Share::Whole, arrived);
        };
        if is_wanted {
            return self.thin(portion.share, arrived);
        }
        if arrived.layer > target {
            // What fills the queue of the link gives way before the smaller layer begins.
            self.layer = None;
            self.numbers.interrupt();
            self.pictures.interrupt();
            return Fate::Dropped;
        }
        self.thin(Share::Whole, arrived)
    }

    /// Whether a packet of the layer that is forwarded goes.
    fn thin(&mut self, share: Share, arrived: &Arrived<'_>) -> Fate {
        if self.thinning.is_whole() && share >= Share::Layer(0) {
            return Fate::Sent;
        }
        let sequence = *arrived.packet.seq_no;
        let room = self.paced.has_room();
        match self.thinning.of(share, &arrived.frame, sequence, room) {
            Pass::Goes => Fate::Sent,
            Pass::GoesAnew => {
                self.numbers.interrupt();
                self.pictures.interrupt();
                Fate::Sent
            }
            Pass::Spared => {
                self.numbers.leave_out(arrived.layer, sequence);
                self.pictures.leave_out(arrived.layer, &arrived.payload);
                Fate::Dropped
            }
            // Key frames are all that this one gets: they do not come by themselves.
            Pass::Cut if share == Share::Keys && room => self.lacks_key_frame(arrived),
            Pass::Cut => Fate::Dropped,
            Pass::NeedsKeyFrame => self.lacks_key_frame(arrived),
        }
    }

    fn lacks_key_frame(&mut self, arrived: &Arrived<'_>) -> Fate {
        if self.portion.is_none() || self.needs_key_frame(arrived.layers, arrived.now).is_some() {
            Fate::NeedsKeyFrame
        } else {
            Fate::Dropped
        }
    }

    /// The packet as the member gets it.
    fn dress(&mut self, to: Pt, arrived: &Arrived<'_>) -> Option<RtpWrite> {
        let header = &arrived.packet.header;
        let (number, time) = self.numbers.of(
            arrived.layer,
            *arrived.packet.seq_no,
            header.timestamp,
            arrived.now,
        )?;
        let patch = (arrived.codec.codec == Codec::Vp8)
            .then(|| self.pictures.of(arrived.layer, &arrived.payload))
            .flatten();
        let extensions = ExtensionValues {
            audio_level: header.ext_vals.audio_level,
            voice_activity: header.ext_vals.voice_activity,
            video_orientation: header.ext_vals.video_orientation,
            ..ExtensionValues::default()
        };
        let packet = RtpWrite::new(
            to,
            number.into(),
            time,
            arrived.packet.timestamp,
            Arc::clone(&arrived.payload),
        )
        .marker(header.marker)
        .ext_vals(extensions)
        .nackable(self.subscription.video);
        Some(match patch {
            Some(patch) => packet.vp8_patch(patch),
            None => packet,
        })
    }

    /// Sends packets whose turn has come. Whether there were any.
    pub(super) fn send_paced(&mut self, peer: &mut Peer, now: Duration) -> bool {
        let Some(mid) = self.mid else {
            return false;
        };
        let mut went = false;
        while let Some(packet) = self.paced.pop(now) {
            went |= write(peer, mid, packet);
        }
        went
    }

    /// Whether packets may wait for their turn.
    pub(super) fn is_paced(&self) -> bool {
        self.paced.is_needed()
    }

    /// When [`Self::send_paced`] has something to send.
    pub(super) fn paced_due(&self) -> Option<Duration> {
        self.paced.due()
    }
}

fn write(peer: &mut Peer, mid: Mid, packet: RtpWrite) -> bool {
    let mut api = peer.rtc.direct_api();
    let Some(stream) = api.stream_tx_by_mid(mid, None) else {
        return false;
    };
    stream.write_rtp(packet);
    peer.forwarded += 1;
    true
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
