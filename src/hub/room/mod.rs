// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room as a pure state machine: what happened and what time it is in, what to do out.
//!
//! No socket, no clock and no randomness in here; the owner calls [`Room::arrive`] and [`Room::handle`], carries out the
//! [`Action`]s in order, and calls with [`Input::Tick`] when [`Room::deadline`] has come. Time is a [`Duration`] since
//! the room was opened.
//!
//! The room knows who is there, what they publish and who receives it. It never sees a packet: the media side
//! ([`crate::forward`]) gets [`Order`]s and answers with [`Report`]s.
//!
//! ```text
//! arrive ─► joined ─► active ─► left          lost connection: the member stays for RESUME, then leaves
//!           (answer)  (media connected)       no media within MEDIA_DUE: leaves
//! ```

mod action;
mod admin;
mod arrival;
mod data;
mod event;
mod member;
mod message;
mod publish;
mod speakers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use livekit_protocol::{self as proto, signal_request, signal_response};

use self::member::Member;
use self::message::{description, id, leave};
use self::speakers::Speakers;
use crate::token::Admission;

pub use self::action::{Action, Order, Subscription, Unwelcome, View};
pub use self::admin::{Denied, Told, Wish};
pub use self::event::{Broken, ConnectionId, Input, MemberId, Report, Section, Target, Visit};

/// How often a client says that it is alive.
const PING: Duration = Duration::from_secs(5);

/// A connection on which nothing was heard for so long is over.
const SILENCE: Duration = Duration::from_secs(15);

/// How long a member without signalling connection is kept, so that it can resume.
const RESUME: Duration = Duration::from_secs(15);

/// How long a member may take from its arrival until its media is connected.
const MEDIA_DUE: Duration = Duration::from_secs(20);

/// How long a room without members is kept, unless who made it said otherwise.
const EMPTY: Duration = Duration::from_secs(20);

/// How often members get a new token, with which they can come back.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// Tracks that one member may publish.
pub const MOST_TRACKS: usize = 20;

/// The longest metadata and attributes that a member may give itself, in bytes.
const LONGEST_METADATA: usize = 64 * 1024;

/// What draws the ids.
pub type Dice = Box<dyn FnMut() -> u64 + Send>;

/// A room and who is in it.
pub struct Room {
    name: String,
    sid: String,
    metadata: String,
    /// Milliseconds from 1970 until it was opened.
    opened_ms: i64,
    /// How many there may be at most.
    capacity: usize,
    /// How many there may be in this meeting.
    most_members: usize,
    members: BTreeMap<MemberId, Member>,
    speakers: Speakers,
    next_member: u64,
    empty_since: Option<Duration>,
    /// Whether the meeting was ended, and nobody has come since.
    over: bool,
    /// Whether anybody has been here.
    visited: bool,
    /// How long it is kept until somebody comes.
    unvisited_for: Duration,
    /// How long it is kept when everybody has left.
    departed_for: Duration,
    dice: Dice,
    actions: Vec<Action>,
}

impl Room {
    /// A room without anybody.
    ///
    /// `opened_ms`: milliseconds from 1970 until now.
    pub fn new(name: String, most_members: usize, opened_ms: i64, mut dice: Dice) -> Self {
        Self {
            name,
            sid: id("RM", &mut dice),
            metadata: String::new(),
            opened_ms,
            capacity: most_members,
            most_members,
            members: BTreeMap::new(),
            speakers: Speakers::default(),
            next_member: 1,
            empty_since: Some(Duration::ZERO),
            over: false,
            visited: false,
            unvisited_for: EMPTY,
            departed_for: EMPTY,
            dice,
            actions: Vec::new(),
        }
    }

    /// Somebody with a valid token comes.
    pub fn arrive(
        &mut self,
        connection: ConnectionId,
        admission: Admission,
        visit: Visit,
        now: Duration,
    ) -> Result<Vec<Action>, Unwelcome> {
        if let Some(sid) = &visit.resume {
            self.resume(connection, &admission, sid, now);
        } else {
            let again = self.by_identity(&admission.identity);
            if again.is_none() && self.members.len() >= self.most_members {
                return Err(Unwelcome::Full(self.most_members));
            }
            if let Some(older) = again {
                self.dismiss(older, proto::DisconnectReason::DuplicateIdentity);
            }
            self.join(connection, admission, visit, now);
        }
        Ok(self.settle(now))
    }

    /// Takes an input and says what to do now.
    pub fn handle(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Signal(connection, message) => {
                if let Some(member) = self.by_connection(connection) {
                    if let Some(member) = self.members.get_mut(&member) {
                        member.heard = now;
                    }
                    self.signal(member, connection, *message, now);
                }
            }
            Input::Gone(connection) => {
                let member = self.by_connection(connection);
                if let Some(member) = member.and_then(|id| self.members.get_mut(&id)) {
                    member.connection = None;
                    member.lost = now;
                }
            }
            Input::Media(member, report) => {
                if self.members.contains_key(&member) {
                    self.report(member, report, now);
                }
            }
            Input::Tick => self.tick(now),
        }
        self.settle(now)
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let members = self.members.values().map(Member::deadline);
        let empty = self.empty_since.map(|since| since + self.patience());
        members.chain(empty).chain(self.speakers.deadline()).min()
    }

    /// How long it is kept without anybody.
    fn patience(&self) -> Duration {
        if self.over {
            Duration::ZERO
        } else if self.visited {
            self.departed_for
        } else {
            self.unvisited_for
        }
    }

    /// The text that who administers it wrote for everybody.
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// How many are there.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    fn settle(&mut self, now: Duration) -> Vec<Action> {
        if !self.members.is_empty() {
            self.empty_since = None;
        } else if self.empty_since.is_none() {
            self.empty_since = Some(now);
        }
        std::mem::take(&mut self.actions)
    }

    fn signal(
        &mut self,
        id: MemberId,
        connection: ConnectionId,
        message: signal_request::Message,
        now: Duration,
    ) {
        use signal_request::Message as M;
        match message {
            M::Offer(offer) => self.order(Order::Offer(id, offer.sdp, offer.id)),
            M::Answer(answer) => self.order(Order::Answer(id, answer.sdp, answer.id)),
            M::AddTrack(request) => self.add_track(id, request),
            M::Mute(mute) => self.mute(id, &mute.sid, mute.muted),
            M::Subscription(update) => self.update_subscription(id, update),
            M::TrackSetting(settings) => self.view(id, settings),
            M::UpdateMetadata(update) => self.update_metadata(id, update),
            M::Leave(_) => self.remove(id, proto::DisconnectReason::ClientInitiated),
            M::Ping(_) => {
                let pong = signal_response::Message::Pong(self.unix_ms(now));
                self.actions.push(Action::Send(connection, Box::new(pong)));
            }
            M::PingReq(ping) => {
                let pong = signal_response::Message::PongResp(proto::Pong {
                    last_ping_timestamp: ping.timestamp,
                    timestamp: self.unix_ms(now),
                });
                self.actions.push(Action::Send(connection, Box::new(pong)));
            }
            // Candidates of clients are not needed: they are the ones who check, and so show where they are. What
            // else there is, is about features that were not offered.
            _ => {}
        }
    }

    fn report(&mut self, id: MemberId, report: Report, now: Duration) {
        match report {
            Report::Answered {
                sdp,
                id: number,
                candidates,
                sections,
            } => {
                let answer = description("answer", sdp, number, HashMap::new());
                self.send(id, signal_response::Message::Answer(answer));
                self.trickle(id, proto::SignalTarget::Publisher, &candidates);
                self.sections(id, &sections);
            }
            Report::Offer {
                sdp,
                id: number,
                candidates,
                tracks,
            } => {
                let offer = description("offer", sdp, number, tracks);
                self.send(id, signal_response::Message::Offer(offer));
                self.trickle(id, proto::SignalTarget::Subscriber, &candidates);
            }
            Report::Connected(target) => self.connected(id, target),
            Report::Data { reliable, packet } => self.data(id, reliable, &packet),
            Report::Loudness(level) => {
                let unheard = |member: &Member| !member.hears_itself_muted();
                if self.members.get(&id).is_some_and(unheard) {
                    self.speakers.heard(id, level, now);
                }
            }
            Report::Flowing { mid, mime } => self.flowing(id, &mid, &mime),
            Report::Unsupported { sid } => {
                let response = proto::SubscriptionResponse {
                    track_sid: sid,
                    err: proto::SubscriptionError::SeCodecUnsupported as i32,
                };
                self.send(id, signal_response::Message::SubscriptionResponse(response));
            }
            Report::Broken(why) => {
                tracing::info!(member = ?id, %why, "media with a participant cannot go on");
                let reason = match why {
                    Broken::Description | Broken::Slow => proto::DisconnectReason::StateMismatch,
                    Broken::Silent => proto::DisconnectReason::ConnectionTimeout,
                };
                self.send_away(id, reason, proto::leave_request::Action::Reconnect);
            }
        }
    }

    /// Says where media arrives. Only ever after a description and never in one, so that a client knows the password by
    /// the time it knows the address.
    fn trickle(&mut self, id: MemberId, target: proto::SignalTarget, candidates: &[String]) {
        for (number, candidate) in (1..).zip(candidates) {
            let trickle = proto::TrickleRequest {
                candidate_init: format!(
                    "{{\"candidate\":\"{candidate}\",\"sdpMid\":\"\",\"sdpMLineIndex\":0}}"
                ),
                target: target as i32,
                r#final: number == candidates.len(),
            };
            self.send(id, signal_response::Message::Trickle(trickle));
        }
    }

    fn connected(&mut self, id: MemberId, target: Target) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if target == member.primary && !member.active {
            member.active = true;
            member.version += 1;
            self.announce(id, Whom::Everybody);
        }
    }

    fn tick(&mut self, now: Duration) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            match member.connection {
                Some(connection) if now >= member.heard + SILENCE => {
                    member.connection = None;
                    member.lost = now;
                    self.actions.push(Action::Close(connection));
                }
                Some(connection) if now >= member.renewed + RENEWAL => {
                    member.renewed = now;
                    let admission = Box::new(member.admission.clone());
                    self.actions.push(Action::Renew(connection, admission));
                }
                Some(_) => {}
                None if now >= member.lost + RESUME => {
                    self.remove(id, proto::DisconnectReason::SignalClose);
                    continue;
                }
                None => {}
            }
            let late = self
                .members
                .get(&id)
                .is_some_and(|member| !member.active && now >= member.arrived + MEDIA_DUE);
            if late {
                self.send_away(
                    id,
                    proto::DisconnectReason::JoinFailure,
                    proto::leave_request::Action::Reconnect,
                );
            }
        }
        self.tell_speakers(now);
        let patience = self.patience();
        if self
            .empty_since
            .is_some_and(|since| now >= since + patience)
        {
            self.actions.push(Action::End);
        }
    }

    fn tell_speakers(&mut self, now: Duration) {
        let changed = self.speakers.changed(now);
        if changed.is_empty() {
            return;
        }
        let speakers: Vec<proto::SpeakerInfo> = changed
            .into_iter()
            .filter_map(|(id, level)| {
                Some(proto::SpeakerInfo {
                    sid: self.members.get(&id)?.sid.clone(),
                    level: level.unwrap_or_default(),
                    active: level.is_some(),
                })
            })
            .collect();
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids {
            let changed = proto::SpeakersChanged {
                speakers: speakers.clone(),
            };
            self.send(id, signal_response::Message::SpeakersChanged(changed));
        }
    }

    /// Ends a session for good.
    fn dismiss(&mut self, id: MemberId, reason: proto::DisconnectReason) {
        self.send_away(id, reason, proto::leave_request::Action::Disconnect);
    }

    fn send_away(
        &mut self,
        id: MemberId,
        reason: proto::DisconnectReason,
        action: proto::leave_request::Action,
    ) {
        self.send(id, leave(reason, action));
        self.remove(id, reason);
    }

    /// Takes a member out and tells the others.
    fn remove(&mut self, id: MemberId, reason: proto::DisconnectReason) {
        let Some(mut member) = self.members.remove(&id) else {
            return;
        };
        self.speakers.forget(id);
        if let Some(connection) = member.connection.take() {
            self.actions.push(Action::Close(connection));
        }
        for track in std::mem::take(&mut member.tracks) {
            self.order(Order::Release(track.info.sid));
        }
        self.order(Order::Close(id));
        if member.admission.hidden {
            return;
        }
        member.version += 1;
        let info = proto::ParticipantInfo {
            state: proto::participant_info::State::Disconnected as i32,
            disconnect_reason: reason as i32,
            ..member.info()
        };
        self.tell(None, info);
    }

    /// Tells how a member is now.
    fn announce(&mut self, id: MemberId, whom: Whom) {
        let Some(member) = self.members.get(&id) else {
            return;
        };
        let info = member.info();
        let hidden = member.admission.hidden;
        if matches!(whom, Whom::Everybody) {
            let update = proto::ParticipantUpdate {
                participants: vec![info.clone()],
            };
            self.send(id, signal_response::Message::Update(update));
        }
        if !hidden {
            self.tell(Some(id), info);
        }
    }

    fn tell(&mut self, except: Option<MemberId>, info: proto::ParticipantInfo) {
        let ids: Vec<MemberId> = self.members.keys().copied().collect();
        for id in ids.into_iter().filter(|id| Some(*id) != except) {
            let update = proto::ParticipantUpdate {
                participants: vec![info.clone()],
            };
            self.send(id, signal_response::Message::Update(update));
        }
    }

    fn send(&mut self, id: MemberId, message: signal_response::Message) {
        let connection = self.members.get(&id).and_then(|member| member.connection);
        if let Some(connection) = connection {
            self.actions
                .push(Action::Send(connection, Box::new(message)));
        }
    }

    fn order(&mut self, order: Order) {
        self.actions.push(Action::Media(order));
    }

    fn visible(&self) -> impl Iterator<Item = &Member> {
        self.members
            .values()
            .filter(|member| !member.admission.hidden)
    }

    fn by_connection(&self, connection: ConnectionId) -> Option<MemberId> {
        let mut members = self.members.iter();
        members
            .find(|(_, member)| member.connection == Some(connection))
            .map(|(id, _)| *id)
    }

    fn by_identity(&self, identity: &str) -> Option<MemberId> {
        let mut members = self.members.iter();
        members
            .find(|(_, member)| member.admission.identity == identity)
            .map(|(id, _)| *id)
    }

    fn unix_ms(&self, now: Duration) -> i64 {
        self.opened_ms
            .saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("name", &self.name)
            .field("members", &self.members.len())
            .finish_non_exhaustive()
    }
}

/// Who is told about a member.
#[derive(Clone, Copy)]
enum Whom {
    Everybody,
    Others,
}
