// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rooms that can be booked, and what a box is booked for.

use hyper::StatusCode;
use serde_json::json;

use super::devices::bearer;
use super::{Answer, Api, Visitor, respond};
use crate::people::Refusal;

impl Api {
    pub(super) async fn rooms(&self, visitor: Visitor) -> Answer {
        self.asker(&visitor).await?;
        let rooms = self.people.rooms().await?;
        Ok(respond(StatusCode::OK, &json!({ "rooms": rooms })))
    }

    pub(super) async fn invited(&self, visitor: Visitor) -> Answer {
        let token = bearer(&visitor).ok_or(Refusal::Token)?;
        let (device, _) = self.people.device_of(token).await?;
        let meetings = self.people.invited(&device).await?;
        Ok(respond(StatusCode::OK, &json!({ "meetings": meetings })))
    }
}
