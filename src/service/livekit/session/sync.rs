// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both sides know of a session, and what a resume therefore repeats.

use std::collections::{BTreeMap, BTreeSet};

use livekit_protocol::{self as proto, signal_request};

use super::super::{
    participant::{Participant, ParticipantState, Quality},
    request::{DataState, TrackSettings, View, Wish},
};

#[derive(Debug)]
pub(super) struct Synced {
    pub(super) local_sid: String,
    /// Ping interval and time-out of the join; a resume does not repeat them.
    pub(super) pings: super::live::Pings,
    offer: Option<proto::SessionDescription>,
    answer: Option<proto::SessionDescription>,
    /// Published tracks by sid.
    published: BTreeMap<String, proto::TrackPublishedResponse>,
    /// Tracks we do not want although everything is subscribed by itself.
    unsubscribed: BTreeSet<String>,
    /// Tracks we want but do not show.
    hidden: BTreeSet<String>,
    data: DataState,
    /// The others by sid, as last told.
    others: BTreeMap<String, Participant>,
    /// The next update is the whole list: who is not in it left while we were away.
    await_whole_list: bool,
}

impl Synced {
    pub(super) fn new(
        local_sid: String,
        pings: super::live::Pings,
        others: &[Participant],
    ) -> Self {
        Self {
            local_sid,
            pings,
            offer: None,
            answer: None,
            published: BTreeMap::new(),
            unsubscribed: BTreeSet::new(),
            hidden: BTreeSet::new(),
            data: DataState::default(),
            others: others
                .iter()
                .map(|other| (other.sid.clone(), other.clone()))
                .collect(),
            await_whole_list: false,
        }
    }

    /// The connection is new but the session is not.
    pub(super) fn resumed(&mut self) {
        self.await_whole_list = true;
    }

    /// The server's newest offer.
    pub(super) fn offered(&mut self, offer: &proto::SessionDescription) {
        self.offer = Some(offer.clone());
        // An answer belongs to its offer.
        self.answer = None;
    }

    pub(super) fn published(&mut self, response: &proto::TrackPublishedResponse) {
        if let Some(track) = &response.track {
            self.published.insert(track.sid.clone(), response.clone());
        }
    }

    pub(super) fn unpublished(&mut self, sid: &str) {
        self.published.remove(sid);
    }

    /// Takes an update and gives back what changed, in plain types.
    pub(super) fn update(&mut self, update: proto::ParticipantUpdate) -> Vec<Participant> {
        let whole = std::mem::take(&mut self.await_whole_list)
            && update.participants.iter().any(|p| p.sid == self.local_sid);
        let before: Vec<(String, String)> = self
            .others
            .values()
            .map(|known| (known.sid.clone(), known.identity.clone()))
            .collect();
        let mut changed = Vec::new();
        let mut seen = BTreeSet::new();
        for participant in update.participants.into_iter().map(Participant::from) {
            seen.insert(participant.sid.clone());
            if participant.sid != self.local_sid {
                let known = self.others.get(&participant.sid);
                // Versions count up; an older one was overtaken on its way.
                if known.is_some_and(|known| known.version > participant.version) {
                    continue;
                }
                if participant.state == ParticipantState::Disconnected {
                    self.others.remove(&participant.sid);
                } else {
                    self.others
                        .insert(participant.sid.clone(), participant.clone());
                }
            }
            changed.push(participant);
        }
        if whole {
            let gone: Vec<String> = self
                .others
                .keys()
                .filter(|sid| !seen.contains(*sid))
                .cloned()
                .collect();
            for mut participant in gone.iter().filter_map(|sid| self.others.remove(sid)) {
                participant.state = ParticipantState::Disconnected;
                participant.tracks.clear();
                changed.push(participant);
            }
        }
        // Whoever joined anew is there under the same identity with another sid: the end of the
        // earlier session is told first, or not at all if the later one is known already.
        let (mut gone, here): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|participant| participant.state == ParticipantState::Disconnected);
        gone.retain(|gone| {
            !before
                .iter()
                .any(|(sid, identity)| *identity == gone.identity && *sid != gone.sid)
        });
        gone.extend(here);
        gone
    }

    /// The message for a request; remembers what a resume repeats.
    pub(super) fn message(&mut self, wish: Wish) -> Option<signal_request::Message> {
        use signal_request::Message as M;
        Some(match wish {
            Wish::AddTrack(track) => M::AddTrack(track.into()),
            Wish::Answer { sdp, id } => {
                let answer = description("answer", sdp, id);
                self.answer = Some(answer.clone());
                M::Answer(answer)
            }
            Wish::Offer { sdp, id } => M::Offer(description("offer", sdp, id)),
            Wish::Trickle {
                target,
                init_json,
                last,
            } => M::Trickle(proto::TrickleRequest {
                candidate_init: init_json,
                target: proto::SignalTarget::from(target) as i32,
                r#final: last,
            }),
            Wish::Mute { sid, muted } => {
                if let Some(track) = self.published.get_mut(&sid).and_then(|p| p.track.as_mut()) {
                    track.muted = muted;
                }
                M::Mute(proto::MuteTrackRequest { sid, muted })
            }
            Wish::Subscribe { sids, subscribe } => {
                for sid in &sids {
                    if subscribe {
                        self.unsubscribed.remove(sid);
                    } else {
                        self.unsubscribed.insert(sid.clone());
                    }
                }
                M::Subscription(proto::UpdateSubscription {
                    track_sids: sids,
                    subscribe,
                    participant_tracks: Vec::new(),
                })
            }
            Wish::Settings(settings) => {
                self.remember_view(&settings);
                M::TrackSetting(settings.into())
            }
            Wish::DataState(data) => {
                self.data = data;
                return None;
            }
            Wish::Unpublished { sid } => {
                self.unpublished(&sid);
                return None;
            }
            // These are about the connection and never get here.
            Wish::Leave | Wish::Rejoin { .. } | Wish::Resume { .. } => return None,
        })
    }

    /// What the server is told after a resume.
    pub(super) fn state(&self) -> proto::SyncState {
        proto::SyncState {
            answer: self.answer.clone(),
            offer: self.offer.clone(),
            // Everything else is subscribed by itself (`auto_subscribe=1`).
            subscription: Some(proto::UpdateSubscription {
                track_sids: self.unsubscribed.iter().cloned().collect(),
                subscribe: false,
                participant_tracks: Vec::new(),
            }),
            publish_tracks: self.published.values().cloned().collect(),
            data_channels: self
                .data
                .channels
                .iter()
                .map(|channel| proto::DataChannelInfo {
                    label: channel.label.clone(),
                    id: channel.id,
                    target: proto::SignalTarget::from(channel.target) as i32,
                })
                .collect(),
            track_sids_disabled: self.hidden.iter().cloned().collect(),
            datachannel_receive_states: self
                .data
                .received
                .iter()
                .map(|(sid, sequence)| proto::DataChannelReceiveState {
                    publisher_sid: sid.clone(),
                    last_seq: *sequence,
                })
                .collect(),
            ..Default::default()
        }
    }

    fn remember_view(&mut self, settings: &TrackSettings) {
        let hidden = matches!(settings.view, View::Hidden | View::Layer(Quality::Off));
        for sid in &settings.sids {
            if hidden {
                self.hidden.insert(sid.clone());
            } else {
                self.hidden.remove(sid);
            }
        }
    }
}

fn description(kind: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription {
        r#type: kind.into(),
        sdp,
        id,
        ..Default::default()
    }
}
