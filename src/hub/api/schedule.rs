// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are scheduled.
//!
//! They are made in the organiser's browser: room, secret, keys, and a first policy signed in advance. Of these the room,
//! the name of the meeting's key and the policy come here, which go to everybody in the meeting anyway; and for rooms that
//! are booked the host link, sealed to the key of each.

use hyper::{HeaderMap, Response, StatusCode};
use roomseal_policy::{Chain, E2ee, HostCheck, KeyModel, MeetingKeyHash, RoomName};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::policy::room_of;
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, meetings, nothing, respond, with_type};
use crate::calendar::Event;
use crate::pages;
use crate::people::Refusal;
use crate::people::bookings::{self, Booked, Booking};
use crate::people::meetings::{Meeting, Plan};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Schedule {
    room: String,
    title: String,
    /// Seconds since 1970, as is the end.
    starts: i64,
    ends: i64,
    e2ee: Option<bool>,
    key_model: Option<KeyModel>,
    meeting_key: String,
    policy: Option<Box<RawValue>>,
    waiting_room: Option<bool>,
    #[serde(default)]
    rooms: Vec<Booking>,
}

/// The longest request, in bytes: all the rooms that can be booked, and everything else.
const LONGEST: usize = bookings::MOST * (bookings::LONGEST + 256) + 16 * 1024;

impl Api {
    pub(super) async fn schedule(&self, visitor: Visitor) -> Answer {
        let asker = self.asker(&visitor).await?;
        let site = self.place(visitor.request.headers());
        let asked: Schedule = body::read_of(visitor.request, LONGEST).await?;
        let invalid = |what: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", what);
        let room = asked.room.parse::<RoomName>();
        let room = room.map_err(|error| invalid(&format!("room: {error}")))?;
        let key = meetings::meeting_key(&asked.meeting_key)?;
        let e2ee = asked.e2ee.unwrap_or(true);
        let policy = asked.policy.map(|policy| policy.get().to_owned());
        let said = policy.as_deref().map(|text| signed(text, &room, &key));
        let said = said.transpose()?;
        if said == Some(E2ee::On) && !e2ee {
            return Err(invalid(
                "e2ee: the policy turns encryption on; send true, or another policy",
            ));
        }
        let plan = Plan {
            starts: asked.starts,
            ends: asked.ends,
        };
        let meeting = Meeting {
            meeting_key: Some(key),
            policy,
            said,
            waiting_room: asked.waiting_room.unwrap_or(false),
            ..Meeting::new(&room, e2ee, asked.key_model.unwrap_or(KeyModel::User))
        };
        let (meeting, rooms) = self
            .people
            .schedule(&asker, meeting, &asked.title, plan, &asked.rooms)
            .await?;
        Ok(respond(
            StatusCode::CREATED,
            &shown(&meeting, &rooms, &site),
        ))
    }

    pub(super) async fn plans(&self, visitor: Visitor) -> Answer {
        let asker = self.asker(&visitor).await?;
        let site = self.place(visitor.request.headers());
        let meetings = self.people.plans(&asker).await?;
        let booked = self.people.booked(&asker).await?;
        let meetings: Vec<_> = meetings
            .iter()
            .map(|it| shown(it, booked.get(&it.room).map_or(&[], Vec::as_slice), &site))
            .collect();
        Ok(respond(StatusCode::OK, &json!({ "meetings": meetings })))
    }

    pub(super) async fn cancel(&self, visitor: Visitor) -> Answer {
        let asker = self.asker(&visitor).await?;
        self.people.cancel(&asker, visitor.part(3)).await?;
        Ok(nothing())
    }

    pub(super) async fn calendar(&self, visitor: Visitor) -> Answer {
        let text = self.event(&visitor, |event| event.icalendar()).await?;
        Ok(text_of(
            "text/calendar; charset=utf-8; method=PUBLISH",
            text,
        ))
    }

    pub(super) async fn invitation_text(&self, visitor: Visitor) -> Answer {
        let text = self.event(&visitor, |event| event.text()).await?;
        Ok(text_of("text/plain; charset=utf-8", text))
    }

    async fn event(
        &self,
        visitor: &Visitor,
        write: impl Fn(Event<'_>) -> String,
    ) -> Result<String, Problem> {
        let asker = self.asker(visitor).await?;
        let room = room_of(visitor)?;
        let meeting = self.people.plan(&asker, room.as_str()).await?;
        let Some(plan) = &meeting.plan else {
            return Err(Refusal::NoSuch("scheduled meeting").into());
        };
        let site = self.place(visitor.request.headers());
        let address = address(&site, &meeting.room);
        let (_, host) = site.split_once("://").unwrap_or_default();
        Ok(write(Event {
            title: meeting.title.as_deref().unwrap_or_default(),
            address: &address,
            uid: &format!("{}@{host}", meeting.room),
            made: meeting.made,
            starts: plan.starts,
            ends: plan.ends,
        }))
    }

    /// Where browsers find the hub: at its name, or where it was asked just now.
    fn place(&self, headers: &HeaderMap) -> String {
        match &self.origin {
            Some(origin) => origin.as_str().to_owned(),
            None => {
                let host = pages::host(headers).unwrap_or_default();
                self.site(host).unwrap_or_default()
            }
        }
    }
}

/// The link to a meeting, without what is secret.
fn address(site: &str, room: &str) -> String {
    format!("{site}/j/{room}")
}

fn shown(meeting: &Meeting, rooms: &[Booked], site: &str) -> Value {
    let plan = meeting.plan.as_ref();
    let policy = meeting.policy.as_deref();
    let policy = policy.and_then(|text| RawValue::from_string(text.to_owned()).ok());
    json!({
            "room": meeting.room,
            "title": meeting.title,
            "starts": plan.map(|plan| plan.starts),
            "ends": plan.map(|plan| plan.ends),
            "e2ee": meeting.e2ee,
            "key_model": meeting.key_model,
            "meeting_key": meeting.meeting_key,
        "waiting_room": meeting.waiting_room,
            "policy": policy,
            "address": address(site, &meeting.room),
        "rooms": rooms,
    })
}

/// What a policy says that was signed in advance by a host of this meeting.
fn signed(text: &str, room: &RoomName, key: &str) -> Result<E2ee, Problem> {
    let key: MeetingKeyHash = key.parse().expect("its form was checked");
    let chain = Chain::begin(text, room, &HostCheck::Link(key)).map_err(|refusal| {
        let what = format!("the policy is not taken: {refusal}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "policy", what)
    })?;
    Ok(chain.head().e2ee())
}

fn text_of(kind: &'static str, text: String) -> Response<http_body_util::Full<hyper::body::Bytes>> {
    with_type(StatusCode::OK, kind, text.into_bytes())
}
