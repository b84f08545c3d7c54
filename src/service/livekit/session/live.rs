// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection that is up: pings, silence, and the server's messages.

use std::time::Duration;

use livekit_protocol::{self as proto, signal_request, signal_response};

use super::super::{
    event::{Event, Garbage},
    token::Token,
    wire, wording,
};
use super::Session;

/// When to ask and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pings {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

impl Pings {
    /// From the server's seconds. A server may say nonsense: never ask more than once a second or
    /// less than twice a minute, never give up before two pings went unanswered.
    pub(super) fn new(interval: i32, timeout: i32) -> Self {
        let seconds = |value: i32, default: u64, least: u64, most: u64| {
            let value = u64::try_from(value).unwrap_or(0);
            Duration::from_secs(if value == 0 {
                default
            } else {
                value.clamp(least, most)
            })
        };
        let interval = seconds(interval, 5, 1, 30);
        let timeout = seconds(timeout, 15, 3, 90).max(2 * interval);
        Self { interval, timeout }
    }
}

#[derive(Debug)]
pub(super) struct Live {
    pub(super) pings: Pings,
    /// When this connection came up.
    pub(super) since: Duration,
    /// Messages without sense so far.
    pub(super) garbage: u32,
    last_heard: Duration,
    next_ping: Duration,
    /// Round trip in milliseconds, as last measured.
    rtt: i64,
}

impl Live {
    pub(super) fn new(pings: Pings, now: Duration) -> Self {
        Self {
            pings,
            since: now,
            garbage: 0,
            last_heard: now,
            // The first at once: it measures the round trip, and a resume must prove itself.
            next_ping: now,
            rtt: 0,
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.next_ping.min(self.last_heard + self.pings.timeout)
    }

    /// Something sensible came.
    pub(super) fn heard(&mut self, now: Duration) {
        self.last_heard = now;
    }

    /// For how long nothing came, if that is too long.
    pub(super) fn silence(&self, now: Duration) -> Option<Duration> {
        let silence = now.saturating_sub(self.last_heard);
        (silence >= self.pings.timeout).then_some(silence)
    }

    /// The ping that is due.
    pub(super) fn ping(&mut self, now: Duration) -> Option<signal_request::Message> {
        if now < self.next_ping {
            return None;
        }
        self.next_ping = now + self.pings.interval;
        Some(signal_request::Message::PingReq(proto::Ping {
            timestamp: millis(now),
            rtt: self.rtt,
        }))
    }

    fn pong(&mut self, pong: proto::Pong, now: Duration) {
        // The server repeats our own clock's time; believe it within reason.
        let rtt = millis(now).saturating_sub(pong.last_ping_timestamp);
        if (0..=60_000).contains(&rtt) {
            self.rtt = rtt;
        }
    }
}

impl Session {
    /// A message while the connection is up.
    pub(super) fn live_message(&mut self, message: signal_response::Message, now: Duration) {
        use signal_response::Message as M;
        let (super::Phase::Live(live), Some(synced)) = (&mut self.phase, &mut self.synced) else {
            return;
        };
        match message {
            M::Offer(offer) if offer.sdp.is_empty() => {
                self.garbage(Garbage::Misplaced("an offer without a description"), now);
            }
            M::Offer(offer) => {
                synced.offered(&offer);
                self.emit(Event::Offer(offer.into()));
            }
            M::Answer(answer) if answer.sdp.is_empty() => {
                self.garbage(Garbage::Misplaced("an answer without a description"), now);
            }
            M::Answer(answer) => self.emit(Event::Answer(answer.into())),
            M::Trickle(trickle) => match wire::target(trickle.target) {
                Some(target) => self.emit(Event::Trickle {
                    target,
                    init_json: trickle.candidate_init,
                    last: trickle.r#final,
                }),
                None => self.garbage(
                    Garbage::Misplaced("an ICE candidate for neither connection"),
                    now,
                ),
            },
            M::Update(update) => {
                let changed = synced.update(update);
                if !changed.is_empty() {
                    self.emit(Event::Participants(changed));
                }
            }
            M::TrackPublished(response) => {
                synced.published(&response);
                match response.track {
                    Some(track) if !track.sid.is_empty() => self.emit(Event::TrackPublished {
                        cid: response.cid,
                        track: track.into(),
                    }),
                    _ => self.garbage(Garbage::Misplaced("a published track without an id"), now),
                }
            }
            M::TrackUnpublished(response) => {
                synced.unpublished(&response.track_sid);
                self.emit(Event::TrackUnpublished {
                    sid: response.track_sid,
                });
            }
            M::TrackSubscribed(subscribed) => self.emit(Event::TrackSubscribed {
                sid: subscribed.track_sid,
            }),
            M::Leave(leave) => self.leave(&leave, now),
            M::Mute(mute) => self.emit(Event::Mute {
                sid: mute.sid,
                muted: mute.muted,
            }),
            M::SpeakersChanged(changed) => self.emit(Event::Speakers(
                changed.speakers.into_iter().map(Into::into).collect(),
            )),
            M::RoomUpdate(update) => {
                if let Some(room) = update.room {
                    self.emit(Event::Room(room.into()));
                }
            }
            M::ConnectionQuality(update) => self.emit(Event::Quality(
                update.updates.into_iter().map(Into::into).collect(),
            )),
            M::StreamStateUpdate(update) => self.emit(Event::StreamState(
                update.stream_states.into_iter().map(Into::into).collect(),
            )),
            M::SubscribedQualityUpdate(update) => self.emit(Event::SubscribedQuality {
                sid: update.track_sid.clone(),
                codecs: wire::wanted_layers(update),
            }),
            M::SubscriptionPermissionUpdate(update) => self.emit(Event::SubscriptionPermission {
                participant_sid: update.participant_sid,
                track_sid: update.track_sid,
                allowed: update.allowed,
            }),
            M::SubscriptionResponse(response) => self.emit(Event::SubscriptionError {
                sid: response.track_sid,
                error: wire::subscription_error(response.err),
            }),
            M::RefreshToken(text) => match Token::parse(text) {
                Ok(token) => {
                    self.refreshed = Some(token);
                    self.emit(Event::TokenRefreshed);
                }
                Err(_) => self.garbage(Garbage::Misplaced("a new token that is none"), now),
            },
            M::PongResp(pong) => live.pong(pong, now),
            M::RequestResponse(response) => self.request_response(response),
            M::RoomMoved(moved) => self.moved(moved, now),
            M::Join(_) => {
                self.garbage(Garbage::Misplaced("a join in the middle of a session"), now);
            }
            M::Reconnect(_) => {
                self.garbage(
                    Garbage::Misplaced("a resume in the middle of a session"),
                    now,
                );
            }
            // The older pong, and what belongs to features that are not asked for.
            M::Pong(_)
            | M::MediaSectionsRequirement(_)
            | M::SubscribedAudioCodecUpdate(_)
            | M::PublishDataTrackResponse(_)
            | M::UnpublishDataTrackResponse(_)
            | M::DataTrackSubscriberHandles(_)
            | M::StoreDataBlobResponse(_)
            | M::GetDataBlobResponse(_) => {}
        }
    }

    fn request_response(&mut self, response: proto::RequestResponse) {
        use proto::request_response::Reason;
        let reason = Reason::try_from(response.reason);
        if matches!(reason, Ok(Reason::Ok | Reason::Queued)) {
            return;
        }
        self.emit(Event::RequestRefused {
            request: wire::refused_request(response.request.as_ref()).into(),
            reason: reason
                .map_or("UNKNOWN", |reason| reason.as_str_name())
                .into(),
            message: wording::harmless(&response.message),
        });
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
