// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/meetings/ROOM/host`: who came by a host's link shows that he holds the host's key, and administers the
//! meeting from then on, with an account or without.
//!
//! What is signed names room, identity and hub. As the identity is drawn anew each time that somebody joins, and who asks
//! shows the token with it, a proof is good for nobody else and nowhere else.

use base64ct::{Base64UrlUnpadded, Encoding as _};
use hyper::StatusCode;
use livekit_protocol::participant_info::Kind;
use roomseal_policy::{Certificate, HostCheck, RoomName};
use serde::Deserialize;
use serde_json::json;

use super::devices::called;
use super::policy::{UNKNOWN, room_of};
use super::problem::Problem;
use super::{Answer, Api, Visitor, body, respond};
use crate::entry::{Person, VALID};
use crate::hosts;
use crate::meeting::Building;
use crate::people::{DeviceKey, Proven, Refusal};

/// That somebody is a host.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claim {
    /// The meeting key's word that a key is a host's; `c` in his link.
    certificate: String,
    /// The JWS by that key.
    proof: String,
}

/// What the proof says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entering {
    room: String,
    identity: String,
    hub: String,
}

impl Api {
    pub(super) async fn become_host(&self, visitor: Visitor) -> Answer {
        let room = room_of(&visitor)?;
        let admission = self.participant(&visitor, &room)?;
        let is_person = admission.participant_kind() == Kind::Standard && !admission.hidden;
        let building = visitor.building.clone();
        let (address, hub) = (visitor.address, called(visitor.request.headers()));
        self.people.attempt(address)?;
        let claim: Claim = body::read(visitor.request).await?;
        if !is_person {
            return Err(Refusal::Proof.into());
        }
        let identity = &admission.identity;
        self.is_host(&claim, &room, identity, &hub, &building)
            .await?;
        self.people.was_right(address);
        let person = Person {
            room: room.as_str(),
            identity: admission.identity,
            name: admission.name,
            is_host: true,
            by_hub: hosts::by_hub(
                &building,
                self.people.meeting(room.as_str()).await?.as_ref(),
            ),
        };
        let token = person.token(&self.keys).ok_or_else(Problem::no_key)?;
        tracing::info!(room = %room, identity = person.identity, "a host shows his key");
        let entry = json!({
            "token": token,
            "identity": person.identity,
            "valid": VALID.as_secs(),
        });
        Ok(respond(StatusCode::OK, &entry))
    }

    /// Sees to it that who is called `identity` holds the key of a host of this meeting.
    ///
    /// # Errors
    /// When the hub knows no hosts of it, or the claim is none of theirs for this name, room and hub.
    pub(crate) async fn is_host(
        &self,
        claim: &Claim,
        room: &RoomName,
        identity: &str,
        hub: &str,
        building: &Building,
    ) -> Result<(), Problem> {
        let known = self.meeting_key(room, building).await?;
        let known =
            known.ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "hosts-unknown", UNKNOWN))?;
        let certificate = Certificate::verify(&claim.certificate, room, &HostCheck::Link(known));
        let certificate = certificate.map_err(|refusal| {
            let what = format!("the host's certificate is not taken: {refusal}");
            Problem::new(StatusCode::FORBIDDEN, "proof", what)
        })?;
        let key = Base64UrlUnpadded::encode_string(certificate.host().as_bytes());
        let key = DeviceKey::read(&key).ok_or(Refusal::Proof)?;
        let proof = key.open::<Entering>(Proven::HostEntry, &claim.proof);
        let fits = |proof: &Entering| {
            proof.room == room.as_str() && proof.identity == identity && proof.hub == hub
        };
        match proof.is_some_and(|proof| fits(&proof)) {
            true => Ok(()),
            false => Err(Refusal::Proof.into()),
        }
    }
}
