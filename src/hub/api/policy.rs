// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/meetings/ROOM/policy`: a host who cannot write the room's metadata says what holds.

use std::time::Instant;

use hyper::StatusCode;
use roomseal_policy::{
    Chain, E2ee, HostCheck, MeetingKeyHash, Merged, RoomName, read_metadata, write_metadata,
};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::devices::bearer;
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, respond};
use crate::engine::Unfulfilled;
use crate::entry::since_1970;
use crate::hosts;
use crate::join::too_often;
use crate::meeting::Building;
use crate::people::Refusal;
use crate::room::Wish;
use crate::token::Admission;

/// The longest message, in bytes: that of hundreds of presses.
const LONGEST: usize = 256 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    /// The policies, as members send them to each other.
    policy: Box<RawValue>,
}

impl Api {
    pub(super) async fn policy(&self, visitor: Visitor) -> Answer {
        let building = visitor.building.clone();
        let room: RoomName = room_of(&visitor)?;
        let admission = self.participant(&visitor, &room)?;
        // Signatures are verified, which takes a while.
        let limited = building.joins.take(visitor.address, Instant::now());
        limited.map_err(too_often)?;
        let said: Say = body::read_of(visitor.request, LONGEST).await?;
        let metadata = building.engine.metadata(room.as_str()).await?;
        let chain = self
            .verified(&room, &building, &metadata, said.policy.get(), &admission)
            .await?;
        let e2ee = chain.head().e2ee();
        hosts::may_turn(&building, room.as_str(), Some(e2ee)).await?;
        // Where the metadata is somebody else's, members have it from each other alone.
        if let Ok(metadata) = write_metadata(&metadata, &chain) {
            let written = building.engine.ask(room.as_str(), Wish::Metadata(metadata));
            // Where nobody is, there is nobody to tell.
            if let Err(error) = written.await
                && !matches!(error, Unfulfilled::NoRoom)
            {
                tracing::warn!(room = %room, %error, "a policy does not get into the metadata");
            }
        }
        hosts::follow(&building, room.as_str(), &chain.message(), e2ee).await?;
        tracing::info!(room = %room, on = (e2ee == E2ee::On), "a host says whether encryption is on");
        Ok(respond(StatusCode::OK, &json!({ "e2ee": e2ee })))
    }

    /// Who came with a token for this room.
    pub(super) fn participant(
        &self,
        visitor: &Visitor,
        room: &RoomName,
    ) -> Result<Admission, Problem> {
        let token = bearer(visitor).ok_or(Refusal::Token)?;
        let admission = self.keys.admit(token, since_1970());
        let admission = admission.ok().filter(|it| it.room == room.as_str());
        Ok(admission.ok_or(Refusal::Token)?)
    }

    /// Sees to it that who came administers this room: by the token, or because who is signed in organised it. A LiveKit
    /// server makes tokens anew without what is in them for the hub alone.
    pub(super) async fn administrator(
        &self,
        visitor: &Visitor,
        room: &RoomName,
    ) -> Result<(), Problem> {
        if self.participant(visitor, room)?.room_admin {
            return Ok(());
        }
        if let Some(account) = self.account(visitor.request.headers()).await? {
            let meeting = self.people.meeting(room.as_str()).await?;
            if meeting.is_some_and(|meeting| meeting.organiser == Some(account.id)) {
                return Ok(());
            }
        }
        let what = "this is for who administers the meeting; ask a host";
        Err(Problem::new(StatusCode::FORBIDDEN, "not-host", what))
    }

    /// By which key the hosts of a meeting are known: the one it was started with, or that of the policies that its host
    /// wrote into the room's metadata.
    pub(super) async fn meeting_key(
        &self,
        room: &RoomName,
        building: &Building,
    ) -> Result<Option<MeetingKeyHash>, Problem> {
        let meeting = self.people.meeting(room.as_str()).await?;
        let key = meeting.and_then(|meeting| meeting.meeting_key);
        if let Some(key) = key.and_then(|key| key.parse().ok()) {
            return Ok(Some(key));
        }
        let policies = read_metadata(&building.engine.metadata(room.as_str()).await?);
        let chain = policies.and_then(|it| Chain::begin(&it, room, &HostCheck::FirstUse).ok());
        Ok(chain.map(|chain| chain.meeting()))
    }

    /// What is known of the meeting's policies with this message taken in, if hosts of this meeting signed all of it.
    async fn verified(
        &self,
        room: &RoomName,
        building: &Building,
        metadata: &str,
        message: &str,
        admission: &Admission,
    ) -> Result<Chain, Problem> {
        let check = match self.meeting_key(room, building).await? {
            Some(key) => HostCheck::Link(key),
            None => HostCheck::FirstUse,
        };
        let refused = |refusal: roomseal_policy::Refusal| {
            let what = format!("the policy is not taken: {refusal}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "policy", what)
        };
        let known = read_metadata(metadata);
        let known = known.and_then(|known| Chain::begin(&known, room, &check).ok());
        let Some(mut chain) = known else {
            // The first word is that of who started the meeting, or of hosts by its key.
            if check == HostCheck::FirstUse && !admission.room_admin {
                return Err(Problem::new(
                    StatusCode::FORBIDDEN,
                    "hosts-unknown",
                    UNKNOWN,
                ));
            }
            return Chain::begin(message, room, &check).map_err(refused);
        };
        match chain.merge(message).map_err(refused)? {
            Merged::Other(other) => Ok(other),
            _ => Ok(chain),
        }
    }
}

pub(super) const UNKNOWN: &str = "the hub does not know the hosts of this meeting yet; name meeting_key when the meeting is \
                       started, or say it first with the token of who started it";

/// The room that the path names: `/api/meetings/{room}/…`.
pub(super) fn room_of(visitor: &Visitor) -> Result<RoomName, Problem> {
    let room = visitor.part(3).parse();
    room.map_err(|error: roomseal_policy::RoomNameError| {
        Problem::new(StatusCode::NOT_FOUND, "no-room", error.to_string())
    })
}
