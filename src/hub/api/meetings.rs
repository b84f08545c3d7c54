// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting a meeting, and what becomes of guests.
//!
//! The hub makes the room and the way into it. The meeting's secret and its keys are made where the meeting is started,
//! and never come here.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::{StatusCode, header};
use roomseal_policy::RoomCode;
use serde::Deserialize;
use serde_json::json;

use super::devices::bearer;
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, respond};
use crate::people::licence::GuestsUnderE2ee;
use crate::people::{Asker, Refusal, draw};
use crate::token::Admission;

/// How long after its making a token lets somebody in; who is in gets new ones to come back with.
const VALID: Duration = Duration::from_secs(5 * 60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    /// Whether end-to-end encryption may be turned on in it.
    e2ee: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    guests_under_e2ee: GuestsUnderE2ee,
}

impl Api {
    pub(super) async fn start_meeting(&self, visitor: Visitor) -> Answer {
        let asker = self.asker(&visitor).await?;
        let Start { e2ee } = body::read(visitor).await?;
        let e2ee = e2ee.unwrap_or(true);
        let mut random = [0; 6];
        draw(&mut random);
        let room = RoomCode::from_random(random).room();
        self.people
            .start_meeting(&asker, room.as_str(), e2ee)
            .await?;
        let admission = self.host(&asker, room.as_str())?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let token = self.keys.issue(&admission, now, VALID);
        let token = token.ok_or_else(Problem::no_key)?;
        let started = json!({
            "room": room.as_str(),
            "e2ee": e2ee,
            "identity": admission.identity,
            "token": token,
            "valid": VALID.as_secs(),
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
        let Settings { guests_under_e2ee } = body::read(visitor).await?;
        let people = &self.people;
        people
            .set_guests_under_e2ee(&admin, guests_under_e2ee, address)
            .await?;
        self.settings().await
    }

    /// Who asks: by a token that the API key signed, by that of a device, or by a session.
    async fn asker(&self, visitor: &Visitor) -> Result<Asker, Problem> {
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
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        match self.keys.authorize(token, now) {
            Ok(authority) if authority.create => Ok(Asker::Owner),
            _ => Err(Refusal::Token.into()),
        }
    }

    /// What the host of a meeting may do: be in it, and administer it. Neither other rooms nor being hidden.
    fn host(&self, asker: &Asker, room: &str) -> Result<Admission, Problem> {
        let (identity, name) = match asker {
            Asker::Account(account) => (
                format!("account-{}", account.id.as_str()),
                account.display_name.clone(),
            ),
            Asker::Device(device, _) => (format!("device-{}", device.id), device.name.clone()),
            Asker::Owner => {
                let mut random = [0; 12];
                draw(&mut random);
                (format!("box-{}", base64(&random)), "Box".to_owned())
            }
        };
        Ok(Admission {
            api_key: self.keys.first().ok_or_else(Problem::no_key)?.to_owned(),
            identity,
            name,
            metadata: String::new(),
            attributes: BTreeMap::new(),
            kind: String::new(),
            room: room.to_owned(),
            can_publish: true,
            can_publish_sources: ["camera", "microphone", "screen_share", "screen_share_audio"]
                .map(str::to_owned)
                .to_vec(),
            can_publish_data: true,
            can_subscribe: true,
            can_update_own_metadata: false,
            room_admin: true,
            hidden: false,
            recorder: false,
            agent: false,
        })
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    Base64UrlUnpadded::encode_string(bytes)
}
