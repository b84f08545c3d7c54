// SPDX-License-Identifier: MIT OR Apache-2.0
//! A track as it arrives, in layers.

use std::collections::BTreeSet;
use std::time::Duration;

use str0m::format::Codec;
use str0m::media::{Mid, Rid};

use super::keyframe::Asking;
use super::rate::Rate;
use super::share::Offered;
use crate::room::MemberId;

/// A layer of which nothing came for so long has ended.
const LAYER_ENDS: Duration = Duration::from_secs(2);

/// A track as it arrives.
pub(super) struct Source {
    pub(super) member: MemberId,
    pub(super) mid: Mid,
    pub(super) sinks: BTreeSet<MemberId>,
    pub(super) layers: [Layer; 3],
    /// What was told of it.
    pub(super) codec: Option<Codec>,
}

/// One layer of a track.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) rid: Option<Rid>,
    pub(super) seen: Option<Duration>,
    pub(super) asking: Asking,
    pub(super) rate: Rate,
}

impl Source {
    /// A track of which nothing has come yet.
    pub(super) fn new(member: MemberId, mid: Mid) -> Self {
        Self {
            member,
            mid,
            sinks: BTreeSet::new(),
            layers: Default::default(),
            codec: None,
        }
    }

    /// The layers that arrive at present, as bits.
    pub(super) fn arriving(&self, now: Duration) -> u8 {
        let layers = self.layers.iter().enumerate();
        let arriving = layers.filter(|(_, layer)| {
            let seen = layer.seen;
            seen.is_some_and(|seen| now.saturating_sub(seen) < LAYER_ENDS)
        });
        arriving.fold(0, |bits, (place, _)| bits | 1 << place)
    }

    /// The layers that arrive at present, the smallest first.
    pub(super) fn offered(&self, now: Duration) -> Vec<Offered> {
        let arriving = self.arriving(now);
        let layers = (0..).zip(&self.layers);
        let arriving = layers.filter(|(place, _)| arriving & (1 << place) != 0);
        arriving
            .map(|(place, layer)| layer.rate.offered(place))
            .collect()
    }

    /// Bits per second of all layers.
    pub(super) fn rate(&self) -> u64 {
        self.layers.iter().map(|layer| layer.rate.total()).sum()
    }
}

/// Which layer a stream is: LiveKit's clients call them `q`, `h` and `f`; what has no name is alone, and the largest.
pub(super) fn layer_of(rid: Option<Rid>) -> u8 {
    match rid.as_deref() {
        Some("q") => 0,
        Some("h") => 1,
        _ => 2,
    }
}

pub(super) fn mime(codec: Codec) -> Option<&'static str> {
    Some(match codec {
        Codec::Opus => "audio/opus",
        Codec::Vp8 => "video/VP8",
        Codec::H264 => "video/H264",
        _ => return None,
    })
}
