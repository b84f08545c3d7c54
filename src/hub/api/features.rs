// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a meeting can have beside its members, and what end-to-end encryption (E2EE) switches off of it.

use hyper::body::Body as _;
use hyper::{StatusCode, header};
use roomseal_policy::{E2ee, Feature, RoomName};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::room_of;
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, nothing, respond};
use crate::engine::{Engine, Start};
use crate::hosts;
use crate::meeting::Building;
use crate::people::Refusal;

/// Each feature with its name in the API, and whether it is part of this hub at all.
const NAMES: [(&str, Feature, bool); 11] = [
    ("cloud-recording", Feature::CloudRecording, true),
    ("stream-out", Feature::StreamOut, true),
    ("live-transcription", Feature::LiveTranscription, true),
    ("captions", Feature::Captions, true),
    ("assistants", Feature::Assistants, true),
    ("phone-dial-in", Feature::PhoneDialIn, true),
    ("sip", Feature::SipH323, true),
    ("h323", Feature::SipH323, false),
    ("breakout-rooms", Feature::BreakoutRooms, false),
    ("notes", Feature::Notes, false),
    ("whiteboard", Feature::Whiteboard, false),
];

/// How it stands with a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum State {
    /// A host may start it.
    #[serde(rename = "available")]
    Available,
    /// E2EE is on, or nobody has said that it is off.
    #[serde(rename = "off: E2EE")]
    OffE2ee,
    /// The engine has nothing that does it.
    #[serde(rename = "not configured")]
    NotConfigured,
    /// Whatever the engine, it is not part of this hub.
    #[serde(rename = "not offered")]
    NotOffered,
}

impl State {
    /// `done`: what the engine does.
    fn of(
        name: &str,
        feature: Feature,
        offered: bool,
        e2ee: Option<E2ee>,
        done: &[String],
    ) -> Self {
        match () {
            () if !offered => Self::NotOffered,
            () if !feature.is_allowed(e2ee) => Self::OffE2ee,
            () if done.iter().any(|it| it == name) => Self::Available,
            () => Self::NotConfigured,
        }
    }
}

impl Api {
    pub(super) async fn features(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        self.participant(&visitor, &room)?;
        let e2ee = hosts::e2ee(&visitor.building, room.as_str()).await?;
        let done = done(&visitor.building, room.as_str(), e2ee).await?;
        let features = NAMES.map(|(name, feature, offered)| {
            let state = State::of(name, feature, offered, e2ee, &done);
            let reason = (state == State::OffE2ee).then(|| why(feature, e2ee));
            json!({ "name": name, "called": feature.name(), "state": state, "reason": reason })
        });
        let all = json!({ "e2ee": e2ee, "features": features });
        Ok(respond(StatusCode::OK, &all))
    }

    pub(super) async fn start_feature(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        self.administrator(&visitor, &room).await?;
        let asked = visitor.part(5);
        let found = NAMES.into_iter().find(|(name, _, _)| *name == asked);
        let (name, feature, offered) = found.ok_or(Refusal::NoSuch("feature"))?;
        let e2ee = hosts::e2ee(&visitor.building, room.as_str()).await?;
        let done = done(&visitor.building, room.as_str(), e2ee).await?;
        let called = feature.name();
        let (kind, what) = match State::of(name, feature, offered, e2ee, &done) {
            State::Available => return start(visitor, &room, name).await,
            // With E2EE it could not be had either way.
            State::OffE2ee | State::NotOffered if !feature.is_allowed(e2ee) => {
                ("off-e2ee", format!("{called}: {}", why(feature, e2ee)))
            }
            State::NotOffered => (
                "not-offered",
                format!("{called}: this hub does not have it; use another program for it"),
            ),
            _ => (
                "not-configured",
                format!("{called}: nothing is set up here that does it; ask who runs the hub"),
            ),
        };
        Err(Problem::new(StatusCode::CONFLICT, kind, what))
    }
}

/// What the engine does of all this in a room. The hub's own forwards packets, and that is all.
async fn done(building: &Building, room: &str, e2ee: Option<E2ee>) -> Result<Vec<String>, Problem> {
    match &building.engine {
        Engine::LiveKit(livekit) if e2ee == Some(E2ee::Off) => Ok(livekit.offers(room).await?),
        _ => Ok(Vec::new()),
    }
}

/// Has the engine start what it does.
async fn start(visitor: Visitor, room: &RoomName, name: &str) -> Answer {
    let building = visitor.building.clone();
    let Engine::LiveKit(livekit) = &building.engine else {
        return Err(Start::NotSetUp.into());
    };
    let has_body = visitor.request.headers().contains_key(header::CONTENT_TYPE)
        && !visitor.request.body().is_end_stream();
    let asked = if has_body {
        body::read(visitor.request).await?
    } else {
        Asked::default()
    };
    let started = livekit.start(room.as_str(), name, asked.to.as_deref());
    let (id, pin) = started.await?;
    tracing::info!(room = %room, feature = name, "a host starts a feature");
    let answer = json!({ "name": name, "id": id, "pin": pin });
    Ok(respond(StatusCode::CREATED, &answer))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Where to: the address of a stream, or a number.
    to: Option<String>,
}

impl From<Start> for Problem {
    fn from(error: Start) -> Self {
        let text = error.to_string();
        match error {
            Start::Ask(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text),
            Start::NotSetUp => Self::new(StatusCode::CONFLICT, "not-configured", text),
            Start::Call(error) => error.into(),
        }
    }
}

impl Api {
    pub(super) async fn stop_feature(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        self.administrator(&visitor, &room).await?;
        let asked = visitor.part(5);
        let found = NAMES.into_iter().find(|(name, _, _)| *name == asked);
        let (name, _, _) = found.ok_or(Refusal::NoSuch("feature"))?;
        let ran = match &visitor.building.engine {
            Engine::LiveKit(livekit) => livekit.stop(room.as_str(), name).await?,
            Engine::Embedded(_) => false,
        };
        if !ran {
            let what = "this does not run in the meeting; look at what does";
            return Err(Problem::new(StatusCode::NOT_FOUND, "not-running", what));
        }
        tracing::info!(room = %room, feature = name, "a host stops a feature");
        Ok(nothing())
    }
}

fn why(feature: Feature, e2ee: Option<E2ee>) -> String {
    let first = match e2ee {
        Some(_) => "the meeting is encrypted from end to end",
        None => "no host has said yet that the meeting is not encrypted",
    };
    format!(
        "{first}, and {}; a host can turn encryption off",
        feature.reason()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_that_encryption_switches_off_has_a_name() {
        for feature in Feature::ALL {
            assert!(
                NAMES.iter().any(|(_, named, _)| *named == feature),
                "{feature:?}"
            );
        }
    }

    #[test]
    fn a_state_is_what_encryption_and_engine_leave() {
        let none: &[String] = &[];
        let some = ["cloud-recording".to_owned()];
        let of =
            |e2ee, done| State::of("cloud-recording", Feature::CloudRecording, true, e2ee, done);
        let recording = |e2ee| of(e2ee, none);
        for (e2ee, state) in [
            (None, State::OffE2ee),
            (Some(E2ee::On), State::OffE2ee),
            (Some(E2ee::Off), State::Available),
        ] {
            assert_eq!(of(e2ee, &some), state);
        }
        assert_eq!(recording(None), State::OffE2ee);
        assert_eq!(recording(Some(E2ee::On)), State::OffE2ee);
        assert_eq!(recording(Some(E2ee::Off)), State::NotConfigured);
        for e2ee in [None, Some(E2ee::On), Some(E2ee::Off)] {
            let notes = State::of("notes", Feature::Notes, false, e2ee, none);
            assert_eq!(notes, State::NotOffered);
        }
    }
}
