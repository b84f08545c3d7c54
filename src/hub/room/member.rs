// SPDX-License-Identifier: MIT OR Apache-2.0
//! One participant of a room.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use livekit_protocol as proto;

use super::{ConnectionId, LONGEST_METADATA, MEDIA_DUE, RENEWAL, RESUME, SILENCE, Target, Visit};
use crate::token::Admission;

/// A participant from its arrival until it leaves.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) sid: String,
    pub(super) admission: Admission,
    pub(super) auto_subscribe: bool,
    pub(super) client_protocol: i32,
    /// Its signalling; `None` while it may still resume.
    pub(super) connection: Option<ConnectionId>,
    /// When something was heard on the connection.
    pub(super) heard: Duration,
    /// When the connection was lost, if it is.
    pub(super) lost: Duration,
    pub(super) arrived: Duration,
    pub(super) renewed: Duration,
    joined_ms: i64,
    /// By which of its peer connections it counts as connected.
    pub(super) primary: Target,
    /// Whether its media is, or was, connected.
    pub(super) active: bool,
    /// Counts up with every change that is told.
    pub(super) version: u32,
    /// Declared, but in no offer yet.
    pub(super) pending: Vec<Pending>,
    pub(super) tracks: Vec<Track>,
    /// Tracks of others that it receives.
    pub(super) receives: BTreeSet<String>,
}

/// A track that the member declared.
#[derive(Debug)]
pub(super) struct Pending {
    /// What the client calls it.
    pub(super) cid: String,
    pub(super) info: proto::TrackInfo,
}

/// A track that the member sends.
#[derive(Debug)]
pub(super) struct Track {
    /// The section of its publisher connection.
    pub(super) mid: String,
    pub(super) cid: String,
    pub(super) info: proto::TrackInfo,
}

impl Member {
    pub(super) fn new(
        sid: String,
        admission: Admission,
        visit: Visit,
        connection: ConnectionId,
        joined_ms: i64,
        now: Duration,
    ) -> Self {
        Self {
            sid,
            // Clients that may not receive anything connect by what they send.
            primary: if admission.can_subscribe {
                Target::Subscriber
            } else {
                Target::Publisher
            },
            admission,
            auto_subscribe: visit.auto_subscribe,
            client_protocol: visit.client_protocol,
            connection: Some(connection),
            heard: now,
            lost: now,
            arrived: now,
            renewed: now,
            joined_ms,
            active: false,
            version: 1,
            pending: Vec::new(),
            tracks: Vec::new(),
            receives: BTreeSet::new(),
        }
    }

    /// When something has to be done about it.
    pub(super) fn deadline(&self) -> Duration {
        let signalling = match self.connection {
            Some(_) => (self.heard + SILENCE).min(self.renewed + RENEWAL),
            None => self.lost + RESUME,
        };
        if self.active {
            signalling
        } else {
            signalling.min(self.arrived + MEDIA_DUE)
        }
    }

    /// As others are told of it.
    pub(super) fn info(&self) -> proto::ParticipantInfo {
        let state = if self.active {
            proto::participant_info::State::Active
        } else {
            proto::participant_info::State::Joined
        };
        proto::ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.admission.identity.clone(),
            name: self.admission.name.clone(),
            state: state as i32,
            tracks: self.tracks.iter().map(|track| track.info.clone()).collect(),
            metadata: self.admission.metadata.clone(),
            attributes: self.admission.attributes.clone().into_iter().collect(),
            joined_at: self.joined_ms / 1000,
            joined_at_ms: self.joined_ms,
            version: self.version,
            permission: Some(self.permission()),
            is_publisher: !self.tracks.is_empty(),
            kind: self.admission.participant_kind() as i32,
            client_protocol: self.client_protocol,
            ..Default::default()
        }
    }

    /// Takes what others are told of it from now on, where that is not empty; an attribute that is empty is taken
    /// away. `false`, and nothing changes, when it is too long.
    pub(super) fn describe(
        &mut self,
        name: String,
        metadata: String,
        attributes: HashMap<String, String>,
    ) -> bool {
        let pairs = attributes.iter();
        let size = pairs.map(|(k, v)| k.len() + v.len()).sum::<usize>();
        if size + name.len() + metadata.len() > LONGEST_METADATA {
            return false;
        }
        if !name.is_empty() {
            self.admission.name = name;
        }
        if !metadata.is_empty() {
            self.admission.metadata = metadata;
        }
        for (key, value) in attributes {
            if value.is_empty() {
                self.admission.attributes.remove(&key);
            } else {
                self.admission.attributes.insert(key, value);
            }
        }
        self.version += 1;
        true
    }

    /// Takes what it may do from now on. Whether others see it stays as it was when it came.
    pub(super) fn permit(&mut self, permission: &proto::ParticipantPermission) {
        let sources = permission.can_publish_sources.iter();
        self.admission.can_publish_sources = sources
            .filter_map(|from| source_name(*from).map(str::to_owned))
            .collect();
        // Only sources that are not known were allowed, which is none.
        let none = !permission.can_publish_sources.is_empty()
            && self.admission.can_publish_sources.is_empty();
        self.admission.can_publish = permission.can_publish && !none;
        self.admission.can_publish_data = permission.can_publish_data;
        self.admission.can_subscribe = permission.can_subscribe;
        self.admission.can_update_own_metadata = permission.can_update_metadata;
        self.version += 1;
    }

    fn permission(&self) -> proto::ParticipantPermission {
        let sources = self.admission.can_publish_sources.iter();
        proto::ParticipantPermission {
            can_subscribe: self.admission.can_subscribe,
            can_publish: self.admission.can_publish,
            can_publish_data: self.admission.can_publish_data,
            can_publish_sources: sources.filter_map(|name| source(name)).collect(),
            hidden: self.admission.hidden,
            can_update_metadata: self.admission.can_update_own_metadata,
            ..Default::default()
        }
    }

    /// Whether the token lets it publish from this source.
    pub(super) fn may_publish(&self, from: i32) -> bool {
        let sources = &self.admission.can_publish_sources;
        self.admission.can_publish
            && (sources.is_empty() || sources.iter().any(|name| source(name) == Some(from)))
    }

    /// Whether every microphone of it is muted: what still arrives is no speech.
    pub(super) fn hears_itself_muted(&self) -> bool {
        self.tracks
            .iter()
            .filter(|track| track.info.r#type == proto::TrackType::Audio as i32)
            .all(|track| track.info.muted)
    }
}

/// Sources by their names in a token.
const SOURCES: [(&str, proto::TrackSource); 4] = [
    ("camera", proto::TrackSource::Camera),
    ("microphone", proto::TrackSource::Microphone),
    ("screen_share", proto::TrackSource::ScreenShare),
    ("screen_share_audio", proto::TrackSource::ScreenShareAudio),
];

fn source(name: &str) -> Option<i32> {
    let mut sources = SOURCES.into_iter();
    let found = sources.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, source)| source as i32)
}

fn source_name(from: i32) -> Option<&'static str> {
    let mut sources = SOURCES.into_iter();
    let found = sources.find(|(_, source)| *source as i32 == from);
    found.map(|(name, _)| name)
}
