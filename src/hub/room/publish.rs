// SPDX-License-Identifier: MIT OR Apache-2.0
//! What members publish, and who receives it.

use livekit_protocol::{self as proto, request_response, signal_response};

use super::member::{Member, Pending, Track};
use super::{MOST_TRACKS, MemberId, Order, Room, Section, Subscription, View, Whom};

/// The longest name that a track may have, in bytes.
const LONGEST_LABEL: usize = 256;

impl Room {
    /// A member declares a track that its next offer will carry.
    pub(super) fn add_track(&mut self, id: MemberId, request: proto::AddTrackRequest) {
        let sid = super::message::id("TR", &mut self.dice);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let refusal = if !member.may_publish(request.source) {
            Some((
                request_response::Reason::NotAllowed,
                "the token does not allow publishing this",
            ))
        } else if member.tracks.len() + member.pending.len() >= MOST_TRACKS
            || request.cid.len() > LONGEST_LABEL
            || request.name.len() > LONGEST_LABEL
            || request.stream.len() > LONGEST_LABEL
            || request.layers.len() > 3
        {
            Some((
                request_response::Reason::LimitExceeded,
                "too many tracks, or too long names",
            ))
        } else {
            None
        };
        if let Some((reason, message)) = refusal {
            let response = proto::RequestResponse {
                reason: reason as i32,
                message: message.into(),
                request: Some(request_response::Request::AddTrack(request)),
                ..Default::default()
            };
            self.send(id, signal_response::Message::RequestResponse(response));
            return;
        }
        let cid = request.cid.clone();
        let info = track_info(sid, request);
        member.pending.retain(|pending| pending.cid != cid);
        member.pending.push(Pending {
            cid: cid.clone(),
            info: info.clone(),
        });
        let published = proto::TrackPublishedResponse {
            cid,
            track: Some(info),
        };
        self.send(id, signal_response::Message::TrackPublished(published));
    }

    /// Which declared track is which section of an offer that was accepted, and which tracks are over.
    pub(super) fn sections(&mut self, id: MemberId, sections: &[Section]) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let mut over = Vec::new();
        let mut begun = Vec::new();
        for section in sections {
            let bound = member
                .tracks
                .iter()
                .position(|track| track.mid == section.mid);
            if let Some(place) = bound {
                let track = &member.tracks[place];
                let replaced = member
                    .pending
                    .iter()
                    .any(|pending| pending.cid != track.cid && section.cids.contains(&pending.cid));
                if section.sending && !replaced {
                    continue;
                }
                over.push(member.tracks.remove(place).info.sid);
            }
            if !section.sending {
                continue;
            }
            let kind = kind_of(section.video);
            let named = member
                .pending
                .iter()
                .position(|p| p.info.r#type == kind && section.cids.contains(&p.cid));
            // Clients that cannot name their tracks publish one of a kind at a time.
            let place = named.or_else(|| member.pending.iter().position(|p| p.info.r#type == kind));
            let Some(place) = place else { continue };
            let Pending { cid, mut info } = member.pending.remove(place);
            info.mid.clone_from(&section.mid);
            if let Some(mime) = section.mime {
                info.mime_type = mime.into();
                for codec in info.codecs.iter_mut().take(1) {
                    codec.mime_type = mime.into();
                }
            }
            begun.push(info.sid.clone());
            member.tracks.push(Track {
                mid: section.mid.clone(),
                cid,
                info,
            });
        }
        if over.is_empty() && begun.is_empty() {
            return;
        }
        member.version += 1;
        let bound: Vec<(String, String)> = member
            .tracks
            .iter()
            .filter(|track| begun.contains(&track.info.sid))
            .map(|track| (track.mid.clone(), track.info.sid.clone()))
            .collect();
        for sid in over {
            self.release(sid);
        }
        for (mid, sid) in bound {
            self.order(Order::Bind(id, mid, sid));
        }
        // First the news of the track, then the track.
        self.announce(id, Whom::Everybody);
        for sid in begun {
            self.offer_to_all(id, &sid);
        }
    }

    fn offer_to_all(&mut self, publisher: MemberId, sid: &str) {
        let Some(subscription) = self
            .members
            .get(&publisher)
            .filter(|member| !member.admission.hidden)
            .and_then(|member| subscription(member, sid))
        else {
            return;
        };
        let wanting: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(id, m)| **id != publisher && m.auto_subscribe && m.admission.can_subscribe)
            .map(|(id, _)| *id)
            .collect();
        for id in wanting {
            self.subscribe(id, subscription.clone());
        }
    }

    /// Everything that the others publish.
    pub(super) fn subscriptions_for(&self, id: MemberId) -> Vec<Subscription> {
        let others = self.members.iter();
        others
            .filter(|(other, member)| **other != id && !member.admission.hidden)
            .flat_map(|(_, member)| {
                let tracks = member.tracks.iter();
                tracks.filter_map(|track| subscription(member, &track.info.sid))
            })
            .collect()
    }

    /// Lets a member receive everything, if that is what it wants.
    pub(super) fn subscribe_to_all(&mut self, id: MemberId) {
        if !self.members.get(&id).is_some_and(|m| m.auto_subscribe) {
            return;
        }
        for subscription in self.subscriptions_for(id) {
            self.subscribe(id, subscription);
        }
    }

    pub(super) fn subscribe(&mut self, id: MemberId, subscription: Subscription) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if member.admission.can_subscribe && member.receives.insert(subscription.sid.clone()) {
            self.order(Order::Subscribe(id, subscription));
        }
    }

    /// A member says which tracks it wants.
    pub(super) fn update_subscription(&mut self, id: MemberId, update: proto::UpdateSubscription) {
        let by_participant = update.participant_tracks.into_iter();
        let sids = by_participant
            .flat_map(|tracks| tracks.track_sids)
            .chain(update.track_sids);
        let sids: std::collections::BTreeSet<String> = sids.collect();
        if update.subscribe {
            let mut wanted = self.subscriptions_for(id);
            wanted.retain(|subscription| sids.contains(&subscription.sid));
            for subscription in wanted {
                self.subscribe(id, subscription);
            }
            return;
        }
        for sid in sids {
            let member = self.members.get_mut(&id);
            if member.is_some_and(|member| member.receives.remove(&sid)) {
                self.order(Order::Unsubscribe(id, sid));
            }
        }
    }

    /// A member says how it shows tracks.
    pub(super) fn view(&mut self, id: MemberId, settings: proto::UpdateTrackSettings) {
        for sid in settings.track_sids {
            let Some(track) = self.track(&sid) else {
                continue;
            };
            let view = if settings.disabled {
                View::Hidden
            } else if settings.width > 0 {
                View::Layer(layer_for(track, settings.width.max(settings.height)))
            } else {
                View::Layer(settings.quality.clamp(0, 2) as u8)
            };
            let receives = self
                .members
                .get(&id)
                .is_some_and(|m| m.receives.contains(&sid));
            if receives {
                self.order(Order::View(id, sid, view));
            }
        }
    }

    /// A member mutes a track of its own.
    pub(super) fn mute(&mut self, id: MemberId, sid: &str, muted: bool) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let tracks = member.tracks.iter_mut().map(|track| &mut track.info);
        let pending = member.pending.iter_mut().map(|pending| &mut pending.info);
        let Some(info) = tracks.chain(pending).find(|info| info.sid == *sid) else {
            return;
        };
        if std::mem::replace(&mut info.muted, muted) != muted {
            member.version += 1;
            self.announce(id, Whom::Others);
        }
    }

    /// What a section really carries is known with its first packet.
    pub(super) fn flowing(&mut self, id: MemberId, mid: &str, mime: &str) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let Some(track) = member.tracks.iter_mut().find(|track| track.mid == *mid) else {
            return;
        };
        tracing::info!(mime, "a track flows");
        if track.info.mime_type == *mime {
            return;
        }
        track.info.mime_type = mime.into();
        if let Some(codec) = track.info.codecs.first_mut() {
            codec.mime_type = mime.into();
        }
        member.version += 1;
        self.announce(id, Whom::Everybody);
    }

    /// A member changes what others are told of it.
    pub(super) fn update_metadata(
        &mut self,
        id: MemberId,
        update: proto::UpdateParticipantMetadata,
    ) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let reason = if !member.admission.can_update_own_metadata {
            request_response::Reason::NotAllowed
        } else if member.describe(update.name, update.metadata, update.attributes) {
            request_response::Reason::Ok
        } else {
            request_response::Reason::LimitExceeded
        };
        let response = proto::RequestResponse {
            request_id: update.request_id,
            reason: reason as i32,
            ..Default::default()
        };
        self.send(id, signal_response::Message::RequestResponse(response));
        if reason == request_response::Reason::Ok {
            self.announce(id, Whom::Everybody);
        }
    }

    fn track(&self, sid: &str) -> Option<&proto::TrackInfo> {
        let mut tracks = self.members.values().flat_map(|member| &member.tracks);
        tracks.find(|track| track.info.sid == *sid).map(|t| &t.info)
    }

    pub(super) fn release(&mut self, sid: String) {
        for member in self.members.values_mut() {
            member.receives.remove(&sid);
        }
        self.order(Order::Release(sid));
    }
}

fn subscription(member: &Member, sid: &str) -> Option<Subscription> {
    let track = member.tracks.iter().find(|track| track.info.sid == *sid)?;
    // What belongs together plays together: clients take it for one stream.
    let name = match proto::TrackSource::try_from(track.info.source) {
        _ if !track.info.stream.is_empty() => track.info.stream.as_str(),
        Ok(proto::TrackSource::Camera | proto::TrackSource::Microphone) => "camera",
        Ok(proto::TrackSource::ScreenShare | proto::TrackSource::ScreenShareAudio) => {
            "screen_share"
        }
        _ => "",
    };
    Some(Subscription {
        sid: sid.into(),
        stream: format!("{}|{name}", member.sid),
        video: track.info.r#type == proto::TrackType::Video as i32,
    })
}

/// The smallest layer that fills so many pixels.
fn layer_for(track: &proto::TrackInfo, pixels: u32) -> u8 {
    let layers = track.codecs.first().map(|codec| codec.layers.as_slice());
    let fitting = layers.unwrap_or_default().iter();
    fitting
        .filter(|layer| layer.width.max(layer.height) >= pixels)
        .map(|layer| layer.quality.clamp(0, 2) as u8)
        .min()
        .unwrap_or(2)
}

fn kind_of(video: bool) -> i32 {
    if video {
        proto::TrackType::Video as i32
    } else {
        proto::TrackType::Audio as i32
    }
}

fn track_info(sid: String, request: proto::AddTrackRequest) -> proto::TrackInfo {
    let first = request.simulcast_codecs.first();
    let mime = match first
        .map(|codec| codec.codec.to_ascii_lowercase())
        .as_deref()
    {
        Some("vp8") => "video/VP8",
        Some("h264") => "video/H264",
        _ if request.r#type == proto::TrackType::Audio as i32 => "audio/opus",
        _ => "",
    };
    let mut layers = request.layers;
    if layers.is_empty() {
        layers.extend(first.into_iter().flat_map(|codec| codec.layers.clone()));
        layers.truncate(3);
    }
    let codec = proto::SimulcastCodecInfo {
        mime_type: mime.into(),
        cid: request.cid,
        layers: layers.clone(),
        ..Default::default()
    };
    #[allow(
        deprecated,
        reason = "clients of both kinds are about: those that read these, and those that read `codecs`"
    )]
    proto::TrackInfo {
        sid,
        r#type: request.r#type,
        name: request.name,
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        disable_dtx: request.disable_dtx,
        stereo: request.stereo,
        source: request.source,
        layers,
        mime_type: mime.into(),
        codecs: vec![codec],
        // Sound is forwarded as it comes; nothing is made redundant here.
        disable_red: true,
        encryption: request.encryption,
        stream: request.stream,
        ..Default::default()
    }
}
