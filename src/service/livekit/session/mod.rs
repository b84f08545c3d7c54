// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session as a pure state machine: what happened and what time it is in, what to do out.
//!
//! No socket, no clock, no randomness in here. The driver calls [`Session::handle`] with every
//! input and carries out the [`Action`]s in order, and calls it with [`Input::Tick`] when
//! [`Session::deadline`] has come. Time is a [`Duration`] since any fixed moment.
//!
//! ```text
//!            ┌────────── back-off ◄──────────┐
//!            ▼                               │ refused, timed out
//!  start ─► connecting ─► opening ─► live ───┤ lost: resume, then join anew
//!            (TCP..WS)   (join or    (pings) └─► ended: left, removed, token refused
//!                         reconnect)
//! ```
//!
//! A *resume* keeps the session (and media) over a new WebSocket; a *join* starts a new one. A
//! resume is tried first, once the server says no or [`RESUME_WINDOW`] has passed it is a join.

mod live;
mod sync;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use livekit_protocol::{self as proto, signal_request, signal_response};

use self::{
    live::{Live, Pings},
    sync::Synced,
};
use super::{
    backoff::Backoff,
    error::Error,
    event::{Event, Garbage, JoinInfo, LeaveReason, Reason, ResumeInfo},
    participant::Participant,
    request::{Request, Wish},
    token::Token,
    wire,
    wording::harmless,
};

/// How long the server may take from the open WebSocket to its first message.
const FIRST_MESSAGE: Duration = Duration::from_secs(4);

/// For how long a lost session is worth asking for: the server forgets a participant about 21 s
/// after its media stopped (tried).
const RESUME_WINDOW: Duration = Duration::from_secs(20);

/// How long a connection must hold until the back-off starts small again.
const STABLE: Duration = Duration::from_secs(10);

/// So many messages that make no sense end a connection.
pub(super) const GARBAGE_LIMIT: u32 = 16;

/// Requests kept while a resume is on its way.
const QUEUE: usize = 128;

/// What happened.
#[derive(Debug)]
pub(super) enum Input {
    /// Begin.
    Start,
    /// The WebSocket asked for is open.
    Opened,
    /// It could not be opened.
    OpenFailed(Error),
    /// A binary frame.
    Frame(Vec<u8>),
    /// A text frame.
    Text,
    /// The WebSocket is closed or broken.
    Closed(Reason),
    /// Somebody wants something.
    Request(Request),
    /// The deadline has come.
    Tick,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Open a WebSocket; answer with [`Input::Opened`] or [`Input::OpenFailed`].
    Connect(Purpose, Option<Token>),
    /// Send on the open WebSocket.
    Send(Box<signal_request::Message>),
    /// Drop the WebSocket or the attempt; nothing more is expected of it.
    Close,
    /// Stop listening to the WebSocket and drop any attempt, but keep the WebSocket open until the
    /// next one is, [`Action::Close`] or [`Action::Finish`].
    Park,
    /// Tell the owner.
    Emit(Event),
    /// All is over: send what is left, close, end.
    Finish,
}

/// What a WebSocket is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Join,
    Resume {
        sid: String,
        cause: proto::ReconnectReason,
    },
}

#[derive(Debug)]
enum Phase {
    /// Waiting for the next attempt.
    Waiting { until: Duration, purpose: Purpose },
    /// The driver is opening a WebSocket.
    Connecting { purpose: Purpose },
    /// It is open; the first message is awaited.
    Opening { purpose: Purpose, until: Duration },
    /// In the room.
    Live(Live),
    /// Nothing more happens.
    Ended,
}

#[derive(Debug)]
pub(super) struct Session {
    phase: Phase,
    backoff: Backoff,
    /// Attempts since the last stable connection.
    attempts: u32,
    /// Counts joins, see [`JoinInfo::join`].
    joins: u64,
    /// The newest token the server gave, better than our own as long as it is valid.
    refreshed: Option<Token>,
    /// Whether the attempt under way uses `refreshed`.
    used_refreshed: bool,
    /// What a resume tells the server; there is one from join to loss.
    synced: Option<Synced>,
    /// When the connection was lost that a resume wants back.
    lost_at: Duration,
    queue: VecDeque<Wish>,
    actions: Vec<Action>,
}

impl Session {
    /// `seed`: for the jitter.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            phase: Phase::Ended,
            backoff: Backoff::new(seed),
            attempts: 0,
            joins: 0,
            refreshed: None,
            used_refreshed: false,
            synced: None,
            lost_at: Duration::ZERO,
            queue: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    /// Takes an input and says what to do now.
    pub(super) fn handle(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Start => self.connect(Purpose::Join),
            Input::Opened => self.opened(now),
            Input::OpenFailed(error) => self.open_failed(error, now),
            Input::Frame(frame) => self.frame(&frame, now),
            Input::Text => self.garbage(Garbage::Text, now),
            Input::Closed(reason) => self.lost(reason, now),
            Input::Request(request) => self.request(request, now),
            Input::Tick => self.tick(now),
        }
        std::mem::take(&mut self.actions)
    }

    /// When [`Input::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Waiting { until, .. } | Phase::Opening { until, .. } => Some(*until),
            Phase::Live(live) => Some(live.deadline()),
            // The driver bounds the time of an attempt.
            Phase::Connecting { .. } | Phase::Ended => None,
        }
    }

    fn emit(&mut self, event: Event) {
        self.actions.push(Action::Emit(event));
    }

    fn connect(&mut self, purpose: Purpose) {
        self.attempts = self.attempts.saturating_add(1);
        self.used_refreshed = self.refreshed.is_some();
        self.emit(Event::Connecting {
            attempt: self.attempts,
        });
        self.actions
            .push(Action::Connect(purpose.clone(), self.refreshed.clone()));
        self.phase = Phase::Connecting { purpose };
    }

    fn opened(&mut self, now: Duration) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Connecting { purpose } => {
                self.phase = Phase::Opening {
                    purpose,
                    until: now + FIRST_MESSAGE,
                };
            }
            other => self.phase = other,
        }
    }

    fn open_failed(&mut self, error: Error, now: Duration) {
        let Phase::Connecting { purpose } = &self.phase else {
            return;
        };
        let purpose = purpose.clone();
        if matches!(error, Error::TokenRefused { .. }) && self.used_refreshed {
            // The server's own token has become too old while we were away: ours may still do.
            self.refreshed = None;
            self.wait(purpose, now);
            return;
        }
        if error.is_final() {
            self.end(Reason::Connect(error));
            return;
        }
        self.emit(Event::Disconnected {
            reason: Reason::Connect(error),
            will_retry: true,
        });
        self.wait(purpose, now);
    }

    /// Waits for the next attempt; a resume that has waited for too long becomes a join.
    fn wait(&mut self, purpose: Purpose, now: Duration) {
        let until = now + self.backoff.next();
        let stale = now.saturating_sub(self.lost_at) >= RESUME_WINDOW;
        if matches!(purpose, Purpose::Resume { .. }) && stale {
            self.actions.push(Action::Close);
            self.emit(Event::RestartMedia);
            self.forget();
            self.phase = Phase::Waiting {
                until,
                purpose: Purpose::Join,
            };
        } else {
            self.phase = Phase::Waiting { until, purpose };
        }
    }

    fn tick(&mut self, now: Duration) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match &mut self.phase {
            Phase::Waiting { purpose, .. } => {
                let purpose = purpose.clone();
                self.connect(purpose);
            }
            Phase::Opening { .. } => self.lost(Reason::NoJoin(FIRST_MESSAGE), now),
            Phase::Live(live) => {
                if now.saturating_sub(live.since) >= STABLE {
                    self.backoff.reset();
                    self.attempts = 0;
                }
                if let Some(silence) = live.silence(now) {
                    self.lost(Reason::Silent(silence), now);
                } else if let Some(ping) = live.ping(now) {
                    self.actions.push(send(ping));
                }
            }
            Phase::Connecting { .. } | Phase::Ended => {}
        }
    }

    /// The connection is gone; the session may go on.
    fn lost(&mut self, reason: Reason, now: Duration) {
        match &self.phase {
            Phase::Opening { purpose, .. } => {
                let purpose = purpose.clone();
                self.actions.push(match purpose {
                    Purpose::Join => Action::Close,
                    Purpose::Resume { .. } => Action::Park,
                });
                self.emit(Event::Disconnected {
                    reason,
                    will_retry: true,
                });
                self.wait(purpose, now);
            }
            Phase::Live(_) => {
                self.resume(reason, proto::ReconnectReason::RrSignalDisconnected, now);
            }
            // An attempt reports its own end.
            Phase::Connecting { .. } | Phase::Waiting { .. } | Phase::Ended => {}
        }
    }

    fn resume(&mut self, reason: Reason, cause: proto::ReconnectReason, now: Duration) {
        let Some(sid) = self.synced.as_ref().map(|synced| synced.local_sid.clone()) else {
            self.rejoin(reason, now);
            return;
        };
        self.actions.push(Action::Park);
        self.lost_at = now;
        self.emit(Event::Reconnecting {
            reason,
            resume: true,
        });
        self.wait(Purpose::Resume { sid, cause }, now);
    }

    /// The session is gone: begin anew.
    fn rejoin(&mut self, reason: Reason, now: Duration) {
        self.actions.push(Action::Close);
        self.emit(Event::Reconnecting {
            reason,
            resume: false,
        });
        if self.synced.is_some() {
            self.emit(Event::RestartMedia);
        }
        self.forget();
        self.wait(Purpose::Join, now);
    }

    /// What belonged to the session that is over. What was asked of it makes no sense in the next.
    fn forget(&mut self) {
        self.synced = None;
        self.queue.clear();
    }

    fn end(&mut self, reason: Reason) {
        self.emit(Event::Disconnected {
            reason,
            will_retry: false,
        });
        self.forget();
        self.actions.push(Action::Finish);
        self.phase = Phase::Ended;
    }

    fn frame(&mut self, frame: &[u8], now: Duration) {
        match wire::decode(frame) {
            Ok(message) => {
                if let Phase::Live(live) = &mut self.phase {
                    live.heard(now);
                }
                if let Some(message) = message {
                    self.message(message, now);
                }
            }
            Err(garbage) => self.garbage(garbage, now),
        }
    }

    /// Counts, tells, and gives up on a server that sends nothing else.
    fn garbage(&mut self, what: Garbage, now: Duration) {
        let count = match &mut self.phase {
            Phase::Live(live) => {
                live.garbage = live.garbage.saturating_add(1);
                live.garbage
            }
            // Before the first message there is nothing to wait for after garbage.
            Phase::Opening { .. } => GARBAGE_LIMIT,
            Phase::Connecting { .. } | Phase::Waiting { .. } | Phase::Ended => return,
        };
        self.emit(Event::Garbage { what, count });
        if count >= GARBAGE_LIMIT {
            self.lost(Reason::Garbage(count), now);
        }
    }

    fn message(&mut self, message: signal_response::Message, now: Duration) {
        match &self.phase {
            Phase::Opening { purpose, .. } => {
                let purpose = purpose.clone();
                self.first_message(purpose, message, now);
            }
            Phase::Live(_) => self.live_message(message, now),
            Phase::Connecting { .. } | Phase::Waiting { .. } | Phase::Ended => {}
        }
    }

    fn first_message(
        &mut self,
        purpose: Purpose,
        message: signal_response::Message,
        now: Duration,
    ) {
        match (purpose, message) {
            (Purpose::Join, signal_response::Message::Join(join)) => self.joined(join, now),
            (Purpose::Resume { .. }, signal_response::Message::Reconnect(response)) => {
                self.resumed(response, now);
            }
            // The server no longer knew us and made a new session at once.
            (Purpose::Resume { .. }, signal_response::Message::Join(join)) => {
                self.emit(Event::RestartMedia);
                self.forget();
                self.joined(join, now);
            }
            (_, signal_response::Message::Leave(leave)) => self.leave(&leave, now),
            // Updates may overtake the answer.
            (_, _) => {}
        }
    }

    fn joined(&mut self, join: proto::JoinResponse, now: Duration) {
        let Some(local) = join.participant.filter(|local| !local.sid.is_empty()) else {
            self.garbage(
                Garbage::Misplaced("a join that does not say who we are"),
                now,
            );
            return;
        };
        let pings = Pings::new(join.ping_interval, join.ping_timeout);
        let server = join.server_info.unwrap_or_default();
        let others: Vec<Participant> = join
            .other_participants
            .into_iter()
            .map(Participant::from)
            .collect();
        self.joins += 1;
        self.synced = Some(Synced::new(local.sid.clone(), pings, &others));
        self.emit(Event::Joined(Box::new(JoinInfo {
            join: self.joins,
            room: join.room.unwrap_or_default().into(),
            local: local.into(),
            others,
            ice_servers: join.ice_servers.into_iter().map(Into::into).collect(),
            sif_trailer: join.sif_trailer,
            subscriber_primary: join.subscriber_primary,
            ping_interval: pings.interval,
            ping_timeout: pings.timeout,
            // The older fields are what servers before 1.2 send.
            server_version: harmless(&first_of(server.version, join.server_version)),
            server_region: harmless(&first_of(server.region, join.server_region)),
            publish_codecs: join
                .enabled_publish_codecs
                .into_iter()
                .map(|codec| codec.mime)
                .collect(),
            fast_publish: join.fast_publish,
        })));
        self.phase = Phase::Live(Live::new(pings, now));
    }

    fn resumed(&mut self, response: proto::ReconnectResponse, now: Duration) {
        let Some(synced) = &mut self.synced else {
            return;
        };
        synced.resumed();
        let state = synced.state();
        self.phase = Phase::Live(Live::new(synced.pings, now));
        self.actions
            .push(send(signal_request::Message::SyncState(state)));
        self.emit(Event::Resumed(ResumeInfo {
            ice_servers: response.ice_servers.into_iter().map(Into::into).collect(),
            last_reliable_sequence: response.last_message_seq,
        }));
        for wish in std::mem::take(&mut self.queue) {
            self.send(wish);
        }
    }

    fn leave(&mut self, leave: &proto::LeaveRequest, now: Duration) {
        use proto::leave_request::Action as A;
        let reason = wire::leave_reason(leave.reason);
        let action = A::try_from(leave.action).unwrap_or(A::Reconnect);
        match action {
            A::Resume => self.resume(
                Reason::Server(reason),
                proto::ReconnectReason::RrUnknown,
                now,
            ),
            A::Disconnect if reason.is_final() => self.end(Reason::Server(reason)),
            A::Disconnect | A::Reconnect => self.rejoin(Reason::Server(reason), now),
        }
    }

    fn moved(&mut self, moved: proto::RoomMovedResponse, now: Duration) {
        if let Ok(token) = Token::parse(moved.token) {
            self.refreshed = Some(token);
        }
        self.rejoin(Reason::Server(LeaveReason::Moved), now);
    }

    fn request(&mut self, request: Request, now: Duration) {
        // Whoever wants to go means it, whichever join was the last they heard of.
        let goes = matches!(request.what, Wish::Leave);
        if !goes && request.join.is_some_and(|join| join != self.joins) {
            return;
        }
        match (request.what, &self.phase) {
            (_, Phase::Ended) => {}
            (Wish::Leave, phase) => {
                if matches!(phase, Phase::Live(_)) {
                    self.actions
                        .push(send(signal_request::Message::Leave(proto::LeaveRequest {
                            reason: proto::DisconnectReason::ClientInitiated as i32,
                            action: proto::leave_request::Action::Disconnect as i32,
                            ..Default::default()
                        })));
                }
                self.end(Reason::Left);
            }
            (Wish::Resume { trouble }, Phase::Live(_)) => {
                let which = match trouble {
                    super::request::MediaTrouble::Publisher => "the sending side failed",
                    super::request::MediaTrouble::Subscriber => "the receiving side failed",
                };
                self.resume(Reason::Media(which.into()), trouble.into(), now);
            }
            // A resume under way is no use to media that cannot go on.
            (Wish::Rejoin { why }, _) if self.synced.is_some() => {
                self.rejoin(Reason::Media(why), now);
            }
            (Wish::Rejoin { .. } | Wish::Resume { .. }, _) => {}
            (wish, Phase::Live(_)) => self.send(wish),
            (wish, _) => self.keep(wish),
        }
    }

    /// Sends a request and remembers what a resume has to repeat.
    fn send(&mut self, wish: Wish) {
        let Some(synced) = &mut self.synced else {
            return;
        };
        if let Some(message) = synced.message(wish) {
            self.actions.push(send(message));
        }
    }

    /// Keeps what still makes sense after a resume. Descriptions and candidates do not: ICE starts
    /// anew then.
    fn keep(&mut self, wish: Wish) {
        if matches!(
            wish,
            Wish::Answer { .. } | Wish::Offer { .. } | Wish::Trickle { .. }
        ) || self.synced.is_none()
        {
            return;
        }
        if self.queue.len() == QUEUE {
            let dropped = self.queue.pop_front();
            self.emit(Event::RequestRefused {
                request: dropped.as_ref().map_or("", Wish::name).into(),
                reason: "QUEUE_FULL".into(),
                message: "too much was asked for while there was no connection".into(),
            });
        }
        self.queue.push_back(wish);
    }
}

fn send(message: signal_request::Message) -> Action {
    Action::Send(Box::new(message))
}

fn first_of(new: String, old: String) -> String {
    if new.is_empty() { old } else { new }
}
