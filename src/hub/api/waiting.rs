// SPDX-License-Identifier: MIT OR Apache-2.0
//! The waiting room as hosts see it: who waits, and who is let in.

use std::time::Instant;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::policy::room_of;
use super::{Answer, Api, Visitor, body, nothing, respond};
use crate::people::Refusal;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    admit: bool,
}

impl Api {
    pub(super) async fn waiting(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        self.administrator(&visitor, &room).await?;
        let lobby = &visitor.building.lobby;
        let waiting = lobby.waiting(room.as_str(), Instant::now());
        Ok(respond(StatusCode::OK, &json!({ "waiting": waiting })))
    }

    pub(super) async fn decide(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        self.administrator(&visitor, &room).await?;
        let id = visitor.part(5).to_owned();
        let building = visitor.building;
        let Decision { admit } = body::read(visitor.request).await?;
        let now = Instant::now();
        if !building.lobby.decide(room.as_str(), &id, admit, now) {
            return Err(Refusal::NoSuch("person waiting").into());
        }
        tracing::info!(room = %room, admit, "a host decides about somebody who waits");
        Ok(nothing())
    }
}
