// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /api/meetings/ROOM/secret`: the secret of a meeting that the hub makes it for, to who was admitted to it.

use std::time::Instant;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hyper::StatusCode;
use hyper::body::Bytes;
use livekit_protocol::participant_info::Kind;
use roomseal_policy::KeyModel;
use zeroize::Zeroizing;

use super::policy::room_of;
use super::problem::Problem;
use super::{Answer, Api, Visitor, with_type};
use crate::engine::Unfulfilled;
use crate::join::too_often;
use crate::room::Wish;

impl Api {
    pub(super) async fn secret(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        let admission = self.participant(&visitor, &room)?;
        let building = visitor.building;
        let limited = building.joins.take(visitor.address, Instant::now());
        limited.map_err(too_often)?;
        let meeting = self.people.meeting(room.as_str()).await?;
        if meeting.is_none_or(|meeting| meeting.key_model != KeyModel::Server) {
            return Err(Problem::new(StatusCode::NOT_FOUND, "no-secret", NONE));
        }
        // A valid token alone is not enough: a host may have put its owner out. Nor is it for programs and gateways.
        let is_person = admission.participant_kind() == Kind::Standard;
        let identity = admission.identity;
        let out = || Problem::new(StatusCode::FORBIDDEN, "not-admitted", OUT);
        if !is_person {
            return Err(out());
        }
        let asked = building.engine.ask(room.as_str(), Wish::ShowOne(identity));
        match asked.await {
            Ok(_) => {}
            Err(Unfulfilled::NoRoom | Unfulfilled::Denied(_)) => return Err(out()),
            Err(error) => return Err(error.into()),
        }
        let session = building.engine.session(room.as_str()).await?;
        let secret = building.secrets.of(&session);
        let mut text = Zeroizing::new([0; 43]);
        let text =
            Base64UrlUnpadded::encode(&*secret, &mut *text).expect("32 bytes are 43 characters");
        let body = Zeroizing::new([b"{\"secret\":\"", text.as_bytes(), b"\"}"].concat());
        Ok(with_type(
            StatusCode::OK,
            "application/json",
            // Wiped when it was sent.
            Bytes::from_owner(body),
        ))
    }
}

const NONE: &str = "the hub has no secret of this meeting: the people in it hold it; take it from the link or the \
                    passphrase that you were given";

const OUT: &str = "this is for who is in the meeting; join it first, with the same token";
