// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hosts tell the hub of end-to-end encryption (E2EE), and who may not be in a meeting while it is on.
//!
//! It decides who is let in, and nothing else: what is sealed is sealed by the members, who follow what they verified
//! themselves. A hub that was told nothing, or something wrong, lets others in; it opens no frame and turns no lamp green.
//!
//! Hosts tell it by the policy in the room's metadata, which only who administers the room can write, or by
//! `POST /api/meetings/ROOM/policy`. Meetings of Plug-N-Meet's API have no hosts who sign; it is on in them, or not, from
//! their beginning.

use livekit_protocol::participant_info::Kind;
use roomseal_policy::{Chain, E2ee, HostCheck, Intruder, Merged, RoomName, read_metadata};

use crate::engine::Engine;
use crate::entry::GUEST;
use crate::meeting::Building;
use crate::people::Refusal;
use crate::people::licence::{GuestsUnderE2ee, NotAllowed};
use crate::people::meetings::Meeting;
use crate::room::{Told, Wish};
use crate::token::Admission;

/// What the metadata of a room has said, verified as far as it goes: that all of it is of one meeting's hosts.
#[derive(Debug, Default)]
pub(crate) struct Heard(Option<Chain>);

impl Heard {
    /// Takes what the metadata says now. The same chain never goes back; none at all is none.
    pub(crate) fn hear(&mut self, metadata: &str, room: &str) {
        let message = read_metadata(metadata);
        let (Some(message), Ok(room)) = (message, room.parse::<RoomName>()) else {
            self.0 = None;
            return;
        };
        // What is known already is not verified again.
        match self.0.as_mut().map(|chain| chain.merge(&message)) {
            Some(Ok(Merged::Other(other))) => self.0 = Some(other),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                self.0 = Chain::begin(&message, &room, &HostCheck::FirstUse).ok();
            }
        }
    }

    /// The hosts' policies, as members send them to each other.
    pub(crate) fn message(&self) -> Option<String> {
        self.0.as_ref().map(Chain::message)
    }

    /// Whether E2EE is on; `None`: nobody said.
    pub(crate) fn e2ee(&self) -> Option<E2ee> {
        self.0.as_ref().map(|chain| chain.head().e2ee())
    }
}

/// Why somebody may not be in a meeting while E2EE is on. The texts are for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Without an account, where an admin wants guests to sign in.
    #[error(
        "this meeting is encrypted from end to end, and guests sign in for that here; sign in, and join again with \
         the same link"
    )]
    Guest,
    /// A program of the service or a gateway.
    #[error(
        "this meeting is encrypted from end to end, and {} is not let in: {}; ask a host to turn encryption off first",
        .0.name(), .0.reason()
    )]
    Program(Intruder),
}

/// Whether E2EE is on in a meeting; `None`: nobody said.
///
/// # Errors
/// When what is kept cannot be read.
pub(crate) async fn e2ee(building: &Building, room: &str) -> Result<Option<E2ee>, Refusal> {
    if let Some(said) = building.engine.e2ee(room) {
        return Ok(Some(said));
    }
    let meeting = building.api.people.meeting(room).await?;
    Ok(meeting.and_then(|meeting| match meeting.session {
        // Without hosts who could say so: it was decided when the meeting was made.
        Some(_) if meeting.e2ee => Some(E2ee::On),
        _ => meeting.said,
    }))
}

/// Whether hosts may say so of their meeting.
///
/// # Errors
/// When it turns on E2EE in a meeting that was started without a licence for it.
pub(crate) async fn may_turn(
    building: &Building,
    room: &str,
    said: Option<E2ee>,
) -> Result<(), Refusal> {
    let meeting = building.api.people.meeting(room).await?;
    if said == Some(E2ee::On) && meeting.is_some_and(|meeting| !meeting.e2ee) {
        return Err(NotAllowed::Unlicensed.into());
    }
    Ok(())
}

/// Whether hosts of a meeting administer it by the hub alone: where they could write metadata without the hub, those of a
/// meeting without licence for E2EE may not.
pub(crate) fn by_hub(building: &Building, meeting: Option<&Meeting>) -> bool {
    !building.engine.sees_metadata_first() && meeting.is_some_and(|meeting| !meeting.e2ee)
}

/// What metadata that is about to be written says.
pub(crate) fn said_in(metadata: &str, room: &str) -> Option<E2ee> {
    let mut heard = Heard::default();
    heard.hear(metadata, room);
    heard.e2ee()
}

/// Does what follows from the hosts' policies as they are now: keeps them, and puts out who may not stay.
///
/// # Errors
/// When nothing can be kept.
pub(crate) async fn follow(
    building: &Building,
    room: &str,
    policy: &str,
    said: E2ee,
) -> Result<(), Refusal> {
    let kept = building.api.people.hosts_say(room, policy, said).await;
    clear(building, room).await;
    if let (Engine::LiveKit(livekit), E2ee::Off) = (&building.engine, said) {
        livekit.invite_again(room).await;
    }
    kept
}

/// Whether guests are asked to sign in before they join this meeting, as it is now.
///
/// # Errors
/// When what is kept cannot be read.
pub(crate) async fn keeps_guests_out(building: &Building, room: &str) -> Result<bool, Refusal> {
    let on = e2ee(building, room).await? == Some(E2ee::On);
    Ok(on && !rule(building).await?.may_stay(true, false))
}

/// Why somebody with this token would not be let in if E2EE were on, or not stay; `None` when nothing speaks against it.
///
/// # Errors
/// When what is kept cannot be read.
pub(crate) async fn unfit(
    building: &Building,
    admission: &Admission,
) -> Result<Option<Unfit>, Refusal> {
    let kind = admission.participant_kind();
    // Boxes, and people with accounts, come in also while nothing can be looked up.
    if judge(&admission.identity, kind, GuestsUnderE2ee::SignIn).is_none() {
        return Ok(None);
    }
    let rule = rule(building).await?;
    Ok(judge(&admission.identity, kind, rule))
}

/// Puts out who may not be in a meeting while E2EE is on, if it is.
pub(crate) async fn clear(building: &Building, room: &str) {
    // Where what is kept cannot be read, it was not kept that it is off.
    if e2ee(building, room)
        .await
        .is_ok_and(|said| said != Some(E2ee::On))
    {
        return;
    }
    let rule = rule(building).await.unwrap_or_else(|error| {
        tracing::error!(%error, "what admins chose for guests cannot be read: they are put out");
        GuestsUnderE2ee::SignIn
    });
    let Ok(Told::Participants(participants)) = building.engine.ask(room, Wish::ShowAll).await
    else {
        return;
    };
    // Programs have nobody to work for.
    let is_empty = participants.is_empty();
    let mut programs_came = false;
    for participant in participants {
        let Some(why) = judge(&participant.identity, participant.kind(), rule) else {
            continue;
        };
        programs_came |= matches!(why, Unfit::Program(_));
        let identity = participant.identity;
        tracing::info!(room, identity, %why, "encryption is on, and a participant is put out");
        // Who has left meanwhile is out.
        let _ = building.engine.ask(room, Wish::Remove(identity)).await;
    }
    if let Engine::LiveKit(livekit) = &building.engine
        && !is_empty
        && (programs_came || !livekit.is_swept(room))
    {
        livekit.sweep(room).await;
    }
}

async fn rule(building: &Building) -> Result<GuestsUnderE2ee, Refusal> {
    building.api.people.guests_under_e2ee().await
}

fn judge(identity: &str, kind: Kind, rule: GuestsUnderE2ee) -> Option<Unfit> {
    if let Some(program) = Intruder::of_livekit_kind(kind as i32) {
        return Some(Unfit::Program(program));
    }
    let stays = rule.may_stay(true, !identity.starts_with(GUEST));
    (!stays).then_some(Unfit::Guest)
}
