// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/meetings/ROOM/deed`: a host of a meeting mutes somebody, puts somebody out, or ends it for everybody.
//!
//! Hosts prove themselves by the key in their link, deed by deed: no token that a browser has allows anything over others.

use std::time::Instant;

use hyper::StatusCode;
use roomseal_policy::{Act, Deed, HostCheck};
use serde::Deserialize;
use serde_json::json;

use super::policy::{UNKNOWN, room_of};
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, respond};
use crate::engine::{Engine, Unfulfilled};
use crate::join::too_often;
use crate::room::{Told, Wish};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The host's certificate.
    certificate: String,
    /// What the host signed.
    deed: String,
}

impl Api {
    pub(super) async fn deed(&self, visitor: Visitor) -> Answer {
        let building = visitor.building.clone();
        let room = room_of(&visitor)?;
        // Signatures are verified, which takes a while.
        let limited = building.joins.take(visitor.address, Instant::now());
        limited.map_err(too_often)?;
        let asked: Asked = body::read(visitor.request).await?;
        let known = self.meeting_key(&room, &building).await?;
        let known =
            known.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "hosts-unknown", UNKNOWN))?;
        let check = HostCheck::Link(known);
        let (deed, host) =
            Deed::verify(&asked.deed, &asked.certificate, &room, &check).map_err(|refusal| {
                let what = format!("only hosts of this meeting may do that: {refusal}");
                Problem::new(StatusCode::FORBIDDEN, "not-host", what)
            })?;
        let engine = &building.engine;
        let wish = wish(engine, room.as_str(), &deed).await?.ok_or_else(gone)?;
        engine.ask(room.as_str(), wish).await?;
        let name = host.name().as_str();
        tracing::info!(room = %room, host = name, act = ?deed.act, to = deed.to, "a host acts");
        Ok(respond(StatusCode::OK, &json!({ "do": deed.act })))
    }
}

/// What the room is asked; `None` where what the deed is about is not there any more.
async fn wish(engine: &Engine, room: &str, deed: &Deed) -> Result<Option<Wish>, Unfulfilled> {
    if deed.act == Act::End {
        let Told::Room(room) = engine.ask(room, Wish::Show).await? else {
            return Ok(None);
        };
        return Ok((room.sid == deed.to).then_some(Wish::End));
    }
    let Told::Participants(people) = engine.ask(room, Wish::ShowAll).await? else {
        return Ok(None);
    };
    let mut people = people.into_iter();
    Ok(match deed.act {
        Act::Remove => {
            let found = people.find(|one| one.sid == deed.to);
            found.map(|found| Wish::Remove(found.identity))
        }
        _ => {
            let found = people.find(|one| one.tracks.iter().any(|track| track.sid == deed.to));
            found.map(|found| Wish::Mute {
                identity: found.identity,
                track: deed.to.clone(),
                muted: true,
            })
        }
    })
}

fn gone() -> Problem {
    Unfulfilled::NoRoom.into()
}
