// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the box goes: into meetings that somebody names, and into one that it makes.

use roomseal_e2ee::Secret;
use roomseal_policy::{E2ee, HostName, Link, SecretSource, ServiceCertificateHash};
use roomseal_service::livekit::{CertificateHash, Config as ServiceConfig, ServerUrl, TokenSource};

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

impl Setup {
    /// How the service is reached for the meeting of the moment: where the configuration names no certificate, the
    /// link's counts (PROTOCOL §1), if the link is of this service.
    pub(super) fn reached(&self) -> ServiceConfig {
        let mut service = self.service.clone();
        let link = self
            .meeting
            .as_ref()
            .and_then(|meeting| meeting.link.as_ref());
        if let Some(link) = link.filter(|link| is_same_place(link, &service.server))
            && let Some(hash) = link.service_certificate()
        {
            let hash = CertificateHash::new(*hash.as_bytes());
            service.trust.certificate.get_or_insert(hash);
        }
        service
    }
}

/// Whether a link leads to this service, or a box to where its links lead.
fn is_same_place(link: &Link, server: &ServerUrl) -> bool {
    let host = link
        .origin()
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    link.origin().is_tls()
        && server.is_encrypted()
        && host.eq_ignore_ascii_case(server.host())
        && link.origin().port() == server.port()
}

/// The meeting that the box is booked for in `room`; without one, that which runs or begins next and is not `here`. Also
/// what it is called, for who asked.
pub(super) fn booked(
    setup: &Setup,
    room: Option<&str>,
    here: Option<&str>,
) -> Result<(Destination, String), Reply> {
    let bookings = &setup.bookings;
    let found = match room {
        Some(room) => bookings.of(room),
        None => bookings.next(here),
    };
    let found = found.ok_or_else(|| {
        let text = match room {
            Some(_) => "this box is not booked for that, or not any more; look at `roomseal status`",
            None => {
                "this box is booked for nothing that runs or begins within half an hour; `roomseal status` shows what it \
                 is booked for"
            }
        };
        Reply::NotNow(text.to_owned())
    })?;
    let called = bookings.called(&found.shown);
    Ok((Destination::Link(Box::new(found.link)), called))
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
    let meeting = NewMeeting::make(
        origin,
        new_meeting::room()?,
        new_meeting::link_secret()?,
        E2ee::On,
    )?;
    // Who comes by the link shall believe the same certificate.
    let pinned = setup.service.trust.certificate;
    let pinned = pinned.map(|hash| ServiceCertificateHash::new(*hash.as_bytes()));
    let meeting = match pinned.filter(|_| is_same_place(meeting.guest(), &setup.service.server)) {
        Some(hash) => meeting.with_service_certificate(hash),
        None => meeting,
    };
    meeting.host(&name)
}

fn secret_in(link: &Link) -> Option<Secret> {
    match link.secret() {
        SecretSource::Link(secret) => Some(Secret::new(*secret.expose())),
        SecretSource::Passphrase | SecretSource::Service => None,
    }
}
