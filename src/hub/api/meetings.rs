// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a meeting, and what becomes of guests.
//!
//! The hub makes the room and the way into it. The meeting's secret and its keys are made where the meeting is started,
//! and never come here.

use hyper::{StatusCode, header};
use roomseal_policy::{KeyModel, MeetingKeyHash, RoomCode, RoomName};
use serde::Deserialize;
use serde_json::json;

use super::devices::bearer;
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, respond};
use crate::entry::{self, Person, VALID, since_1970};
use crate::hosts;
use crate::people::licence::GuestsUnderE2ee;
use crate::people::meetings::Meeting;
use crate::people::{Asker, Refusal, draw};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    /// Whether end-to-end encryption may be turned on in it.
    e2ee: Option<bool>,
    /// Who knows the secret.
    key_model: Option<KeyModel>,
    /// By which key its hosts are known.
    meeting_key: Option<String>,
    /// Whether people wait until a host lets them in.
    waiting_room: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    guests_under_e2ee: GuestsUnderE2ee,
}

impl Api {
    pub(super) async fn start_meeting(&self, visitor: Visitor) -> Answer {
        let asker = self.asker(&visitor).await?;
        let building = visitor.building.clone();
        let asked: Start = body::read(visitor.request).await?;
        let e2ee = asked.e2ee.unwrap_or(true);
        let key_model = asked.key_model.unwrap_or(KeyModel::User);
        let meeting_key = asked.meeting_key.as_deref().map(meeting_key).transpose()?;
        let mut random = [0; 6];
        draw(&mut random);
        let room = RoomCode::from_random(random).room();
        let meeting = Meeting {
            meeting_key,
            waiting_room: asked.waiting_room.unwrap_or(false),
            ..Meeting::new(&room, e2ee, key_model)
        };
        let meeting = self.people.start_meeting(&asker, meeting).await?;
        let mut host = Self::host(&asker, &room);
        host.by_hub = hosts::by_hub(&building, Some(&meeting));
        let token = host.token(&self.keys).ok_or_else(Problem::no_key)?;
        let started = json!({
            "room": room.as_str(),
            "e2ee": e2ee,
            "key_model": key_model,
            "identity": host.identity,
            "token": token,
            "valid": VALID.as_secs(),
            "url": building.engine.url(),
        });
        Ok(respond(StatusCode::CREATED, &started))
    }

    pub(super) async fn settings(&self) -> Answer {
        let rule = self.people.guests_under_e2ee().await?;
        let settings = json!({ "guests_under_e2ee": rule });
        Ok(respond(StatusCode::OK, &settings))
    }

    pub(super) async fn change_settings(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let address = visitor.address;
        let Settings { guests_under_e2ee } = body::read(visitor.request).await?;
        let people = &self.people;
        people
            .set_guests_under_e2ee(&admin, guests_under_e2ee, address)
            .await?;
        self.settings().await
    }

    /// Who asks: by a token that the API key signed, by that of a device, or by a session.
    pub(super) async fn asker(&self, visitor: &Visitor) -> Result<Asker, Problem> {
        if !visitor
            .request
            .headers()
            .contains_key(header::AUTHORIZATION)
        {
            let (account, _) = self.signed_in(visitor).await?;
            return Ok(Asker::Account(account));
        }
        let token = bearer(visitor).ok_or(Refusal::Token)?;
        // Those of devices have no parts.
        if !token.contains('.') {
            let (device, owner) = self.people.device_of(token).await?;
            return Ok(Asker::Device(device, owner));
        }
        match self.keys.authorize(token, since_1970()) {
            Ok(authority) if authority.create => Ok(Asker::Owner),
            _ => Err(Refusal::Token.into()),
        }
    }

    /// The host of a meeting.
    fn host<'a>(asker: &Asker, room: &'a RoomName) -> Person<'a> {
        let (identity, name) = match asker {
            Asker::Account(account) => (
                format!("account-{}", account.id.as_str()),
                account.display_name.clone(),
            ),
            Asker::Device(device, _) => (format!("device-{}", device.id), device.name.clone()),
            Asker::Owner => (entry::drawn("box-"), "Box".to_owned()),
        };
        Person {
            room: room.as_str(),
            identity,
            name,
            is_host: true,
            by_hub: false,
        }
    }
}

/// What hosts are known by, checked for its form.
pub(super) fn meeting_key(text: &str) -> Result<String, Problem> {
    let hash: MeetingKeyHash = text.parse().map_err(|_| {
        Refusal::Invalid(
            "meeting_key: send the SHA-256 of the meeting's compressed public key, in base64url",
        )
    })?;
    Ok(hash.to_string())
}
