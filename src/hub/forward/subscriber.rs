// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one member receives: its subscriber connection, for which this side makes the offers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, MediaKind, Mid};

use super::adapt::Shown;
use super::link::Link;
use super::onward::{Arrived, Fate, Line};
use super::peer::Peer;
use super::sdp::{self, MOST_SECTIONS};
use super::share::Share;
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
    pub(super) lines: BTreeMap<String, Line>,
    pub(super) link: Link,
    /// What shares of the link were given to.
    pub(super) shown: Vec<Shown>,
    /// What they were before the last try to give more.
    pub(super) before: HashMap<String, Share>,
    /// Whether no video went for them.
    pub(super) gently: bool,
    /// Whether packets may wait for their turn.
    pub(super) paces: bool,
    /// How many bytes the engine had sent, and when.
    pub(super) sent: Option<(Duration, u64)>,
    /// Sections whose track is over, to be told with the next offer.
    over: Vec<Mid>,
    /// Those of them in which nothing was ever sent.
    unused: Vec<Mid>,
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

/// An offer to send.
pub(super) struct Offer {
    pub(super) sdp: String,
    pub(super) id: u32,
    pub(super) tracks: HashMap<String, String>,
}

impl Subscriber {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            lines: BTreeMap::new(),
            link: Link::default(),
            shown: Vec::new(),
            before: HashMap::new(),
            gently: false,
            paces: false,
            sent: None,
            over: Vec::new(),
            unused: Vec::new(),
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
        let line = Line::new(subscription, dice);
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
            self.unused.extend((!line.has_begun()).then_some(mid));
        }
    }

    /// Lets go of what the engine keeps for sections in which nothing was ever sent.
    pub(super) fn renew(&mut self) {
        let lines = self.lines.values().filter(|line| !line.has_begun());
        let unused = lines.filter_map(|line| line.mid);
        self.peer.renew(unused.chain(self.unused.iter().copied()));
    }

    pub(super) fn view(&mut self, sid: &str, view: View) {
        let Some(line) = self.lines.get_mut(sid) else {
            return;
        };
        line.view(view);
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

    /// What is in a section.
    pub(super) fn line_in(&mut self, mid: Mid) -> Option<&mut Line> {
        self.lines.values_mut().find(|line| line.mid == Some(mid))
    }

    /// Sends a packet on, if the member wants it and can do something with it.
    pub(super) fn forward(&mut self, sid: &str, arrived: &Arrived<'_>) -> Fate {
        match self.lines.get_mut(sid) {
            Some(line) => line.forward(&mut self.peer, arrived),
            None => Fate::Dropped,
        }
    }

    /// Sends packets whose turn has come. Whether there were any.
    pub(super) fn send_paced(&mut self, now: Duration) -> bool {
        let mut went = false;
        if self.paces {
            for line in self.lines.values_mut() {
                went |= line.send_paced(&mut self.peer, now);
            }
            self.paces = self.lines.values().any(Line::is_paced);
        }
        went
    }

    /// When [`Self::send_paced`] has something to send.
    pub(super) fn paced_due(&self) -> Option<Duration> {
        let lines = self.lines.values().filter(|_| self.paces);
        lines.filter_map(Line::paced_due).min()
    }

    /// Sends a message on a data channel. What is lossy is dropped when there is no room; what is reliable waits, within
    /// bounds.
    pub(super) fn send(&mut self, reliable: bool, message: &[u8]) -> Result<(), Broken> {
        if !reliable {
            self.peer.is_stirred = true;
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
        self.peer.is_stirred = true;
        let id = self.peer.reliable;
        let channel = id.and_then(|id| self.peer.rtc.channel(id));
        channel.is_some_and(|mut channel| channel.write(true, message).unwrap_or(false))
    }
}
