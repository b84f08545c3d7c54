// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets from who sends a track to those who receive it, and requests for key frames back.

use std::sync::Arc;
use std::time::Instant;

use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::rtp::RtpPacket;

use super::onward::{Arrived, Fate};
use super::source::{layer_of, mime};
use super::temporal::Frame;
use super::{Forwarder, PeerId};
use crate::room::{MemberId, Report, Target};

impl Forwarder {
    /// A packet goes to everybody who receives its track.
    pub(super) fn packet(
        &mut self,
        from: MemberId,
        packet: &RtpPacket,
        now: Instant,
    ) -> Vec<PeerId> {
        let since = self.since(now);
        let Self {
            members,
            sources,
            bound,
            reports,
            ..
        } = self;
        let Some(publisher) = members.get_mut(&from).map(|media| &mut media.publisher) else {
            return Vec::new();
        };
        let mut api = publisher.rtc.direct_api();
        let Some((mid, rid)) = api
            .stream_rx(&packet.header.ssrc)
            .map(|stream| (stream.mid(), stream.rid()))
        else {
            return Vec::new();
        };
        let pt = packet.header.payload_type;
        let Some(codec) = publisher
            .rtc
            .codec_config()
            .find(|params| params.pt() == pt)
            .map(str0m::format::PayloadParams::spec)
        else {
            return Vec::new();
        };
        let Some((sid, source)) = bound
            .get(&(from, mid))
            .and_then(|sid| Some((sid, sources.get_mut(sid)?)))
        else {
            return Vec::new();
        };
        if source.codec != Some(codec.codec) {
            source.codec = Some(codec.codec);
            if let Some(mime) = mime(codec.codec) {
                let flowing = Report::Flowing {
                    mid: mid.to_string(),
                    mime: mime.into(),
                };
                reports.push_back((from, flowing));
            }
        }
        if let Some(level) = packet.header.ext_vals.audio_level {
            reports.push_back((from, Report::Loudness(level.unsigned_abs())));
        }
        // Padding that probes the bandwidth.
        if packet.payload.is_empty() {
            return Vec::new();
        }
        let layer = layer_of(rid);
        let place = &mut source.layers[usize::from(layer)];
        place.rid = rid;
        place.seen = Some(since);
        let frame = Frame::of(codec.codec, &packet.payload, packet.header.timestamp);
        place.rate.count(packet.payload.len(), &frame, since);
        let layers = source.arriving(since);
        let arrived = Arrived {
            packet,
            codec,
            layer,
            layers,
            frame,
            payload: Arc::clone(&packet.payload),
            now: since,
        };
        let mut touched = Vec::with_capacity(source.sinks.len());
        let mut ask = false;
        for sink in &source.sinks {
            let Some(media) = members.get_mut(sink) else {
                continue;
            };
            match media.subscriber.forward(sid, &arrived) {
                Fate::Sent => touched.push((*sink, Target::Subscriber)),
                Fate::SentLacking => {
                    touched.push((*sink, Target::Subscriber));
                    ask = true;
                }
                Fate::NeedsKeyFrame => ask = true,
                Fate::Unsupported => {
                    let unsupported = Report::Unsupported { sid: sid.clone() };
                    reports.push_back((*sink, unsupported));
                }
                Fate::Dropped => {}
            }
        }
        if ask
            && source.layers[usize::from(layer)].asking.want(since)
            && self.ask_for_key_frame(from, mid, rid)
        {
            touched.push((from, Target::Publisher));
        }
        touched
    }

    /// A member needs a key frame of what it receives in a section.
    pub(super) fn wanted(&mut self, by: MemberId, mid: Mid, now: Instant) -> Vec<PeerId> {
        let since = self.since(now);
        let media = self.members.get_mut(&by);
        let line = media.and_then(|media| media.subscriber.line_in(mid));
        let Some((line, source)) = line.and_then(|line| {
            let source = self.sources.get_mut(&line.subscription.sid)?;
            Some((line, source))
        }) else {
            return Vec::new();
        };
        let layer = line.needs_key_frame(source.arriving(since), since);
        let Some(layer) = layer.and_then(|layer| source.layers.get_mut(usize::from(layer))) else {
            return Vec::new();
        };
        let (member, mid, rid) = (source.member, source.mid, layer.rid);
        if layer.asking.want(since) && self.ask_for_key_frame(member, mid, rid) {
            return vec![(member, Target::Publisher)];
        }
        Vec::new()
    }

    pub(super) fn ask_for_key_frame(
        &mut self,
        member: MemberId,
        mid: Mid,
        rid: Option<Rid>,
    ) -> bool {
        let Some(media) = self.members.get_mut(&member) else {
            return false;
        };
        let mut api = media.publisher.rtc.direct_api();
        let Some(stream) = api.stream_rx_by_mid(mid, rid) else {
            return false;
        };
        stream.request_keyframe(KeyframeRequestKind::Pli);
        true
    }
}
