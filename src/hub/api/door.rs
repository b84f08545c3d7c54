// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /api/meetings/ROOM/door`: what the join page has to know of a meeting before anybody joins it.
//!
//! It says the same of a room that nobody has heard of as of one whose people hold its link: there is nothing to find.

use hyper::StatusCode;
use roomseal_policy::KeyModel;
use serde::Serialize;

use super::policy::room_of;
use super::{Answer, Api, Visitor, respond};
use crate::people::licence::GuestsUnderE2ee;
use crate::people::meetings::Meeting;
use crate::{hosts, plugnmeet};

/// What is said at the door.
#[derive(Serialize)]
struct Door {
    /// Where the meeting's key comes from.
    key: Key,
    /// Who asks, where that is known already.
    name: Option<String>,
    /// Whether who asks has an account here and is signed in.
    signed_in: bool,
    /// Whether anybody has an account here.
    accounts: bool,
    /// What becomes of guests now.
    guests: GuestsUnderE2ee,
}

/// Where the key of a meeting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Key {
    /// From the part of its link after `#`.
    Link,
    /// There is none: the meeting was made without end-to-end encryption.
    None,
    /// From people, who tell it each other and type it.
    People,
    /// From the hub, which makes it.
    Service,
}

impl Api {
    pub(super) async fn door(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        let headers = visitor.request.headers();
        let account = self.account(headers).await?;
        let invited = plugnmeet::cookie(headers, &room, &self.keys);
        let building = &visitor.building;
        let keeps_out = hosts::keeps_guests_out(building, room.as_str()).await?;
        let meeting = self.people.meeting(room.as_str()).await?;
        let signed_in = account.is_some();
        let door = Door {
            key: key(meeting.as_ref()),
            name: invited
                .map(|person| person.name)
                .or_else(|| account.map(|account| account.display_name)),
            signed_in,
            accounts: self.people.has_accounts().await?,
            guests: match keeps_out {
                true => GuestsUnderE2ee::SignIn,
                false => GuestsUnderE2ee::Allow,
            },
        };
        Ok(respond(StatusCode::OK, &door))
    }
}

/// Meetings that have a link have it from who made them. Those of Plug-N-Meet's API have none.
fn key(meeting: Option<&Meeting>) -> Key {
    let Some(meeting) = meeting.filter(|meeting| meeting.session.is_some()) else {
        return Key::Link;
    };
    match (meeting.e2ee, meeting.key_model) {
        (false, _) => Key::None,
        (true, KeyModel::Server) => Key::Service,
        (true, KeyModel::User) => Key::People,
    }
}
