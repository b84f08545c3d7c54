// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the box goes: into meetings that somebody names, and into one that it makes.

use roomseal_e2ee::Secret;
use roomseal_policy::{E2ee, HostName, Link, SecretSource};
use roomseal_service::livekit::TokenSource;

use super::Setup;
use crate::config::RoomsealMeeting;
use crate::control::{Destination, Reply};
use crate::new_meeting::{self, NewMeeting};
use crate::status::{Connection, Publisher};

/// A host without a name that can be shown.
const NAMELESS: &str = "Host";

/// Why the box cannot go there, if so.
pub(super) fn out_of_reach(setup: &Setup, to: &Destination) -> Option<Reply> {
    let TokenSource::Given(token) = &setup.service.tokens else {
        return None;
    };
    let only = &token.claims().room;
    (to.room() != only).then(|| {
        Reply::NotNow(format!(
            "this box has a token for {only} and no other room; give it an api-key in [service], or start it with a \
             token for that room"
        ))
    })
}

/// The next membership is there.
pub(super) fn go(setup: &mut Setup, status: &Publisher, to: Destination) {
    if let TokenSource::Minted(mint) = &mut setup.service.tokens {
        to.room().clone_into(&mut mint.room);
    }
    let room = to.room().to_owned();
    setup.meeting = match to {
        Destination::Room(_) => None,
        Destination::Code(room) => Some(RoomsealMeeting {
            room,
            link: None,
            secret: None,
            entered: false,
            begin: E2ee::On,
            require_e2ee: setup.meetings.require_e2ee,
        }),
        Destination::Link(link) => Some(RoomsealMeeting {
            room: link.room().clone(),
            secret: secret_in(&link),
            entered: false,
            begin: link.announced(),
            link: Some(*link),
            require_e2ee: setup.meetings.require_e2ee,
        }),
    };
    status.update(|status| status.room = room);
    back(setup, status);
}

/// The next membership is where the last one was.
pub(super) fn back(setup: &mut Setup, status: &Publisher) {
    setup.asked = true;
    status.update(|status| {
        status.connection = Connection::Starting;
        status.hosted = setup.meeting.is_some();
        status.e2ee_required = setup.meeting.is_none() && setup.e2ee.required;
    });
}

/// Nobody sets up a box in passing that works.
pub(super) fn is_set_up() -> Reply {
    Reply::NotNow("this box is set up already; `roomseal provision` sets it up anew".to_owned())
}

/// A meeting that nobody has been in, with this box as its host.
pub(super) fn new(setup: &Setup) -> Result<Destination, Reply> {
    if let TokenSource::Given(token) = &setup.service.tokens {
        return Err(Reply::NotNow(format!(
            "this box cannot make meetings: it has a token for {} and no API key. Put api-key and api-secret-file into \
             [service], or join a meeting that somebody else made",
            token.claims().room
        )));
    }
    make(setup)
        .map(|link| Destination::Link(Box::new(link)))
        .map_err(|error| Reply::NotNow(format!("no meeting can be made: {error}")))
}

fn make(setup: &Setup) -> anyhow::Result<Link> {
    let origin = setup.meetings.origin.clone();
    let name = setup
        .name
        .trim()
        .parse::<HostName>()
        .or_else(|_| NAMELESS.parse())?;
    NewMeeting::make(
        origin,
        new_meeting::room()?,
        new_meeting::link_secret()?,
        E2ee::On,
    )?
    .host(&name)
}

fn secret_in(link: &Link) -> Option<Secret> {
    match link.secret() {
        SecretSource::Link(secret) => Some(Secret::new(*secret.expose())),
        SecretSource::Passphrase | SecretSource::Service => None,
    }
}
