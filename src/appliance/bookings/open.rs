// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what the hub says to an invitation: opened with the box's key, and refused where it leads elsewhere.

use roomseal_e2ee::envelope::{self, DeviceKey, OpenError};
use roomseal_policy::{E2ee, Link, LinkError};
use roomseal_service::hub::{Booking, Hub};

use super::Invitation;
use crate::status::Booked;
use crate::text::short;

/// The longest title and name that are shown, in characters.
const LONGEST: usize = 200;

/// Why a booking is none. Says nothing of what was sealed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Useless {
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
    /// What is in it is no link.
    #[error("what is sealed in it is no link of a meeting: {0}")]
    Link(#[from] LinkError),
    /// The hub says another room than the link.
    #[error("its link leads to another room")]
    Room,
    /// The link is for another hub.
    #[error("its link leads to {0}, and this box is enrolled elsewhere")]
    Hub(String),
    /// The link makes nobody a host.
    #[error("its link is one for guests")]
    Guest,
    /// It ends before it begins.
    #[error("it ends before it begins")]
    Times,
}

/// Opens what is sealed in `booking`, which `hub` gave, unless that was done before.
pub(super) fn open(
    hub: &Hub,
    key: &DeviceKey,
    booking: &Booking,
    before: Option<&Invitation>,
) -> Result<Invitation, Useless> {
    if booking.ends <= booking.starts {
        return Err(Useless::Times);
    }
    let link = match before {
        Some(before) => before.link.clone(),
        None => Link::parse(&envelope::open(key, &booking.room, &booking.sealed)?)?,
    };
    if link.room().as_str() != booking.room {
        return Err(Useless::Room);
    }
    if !is_at(&link, hub) {
        let host = short(link.origin().host(), LONGEST);
        return Err(Useless::Hub(format!("{host}:{}", link.origin().port())));
    }
    if link.host().is_none() {
        return Err(Useless::Guest);
    }
    let shown = Booked {
        room: booking.room.clone(),
        title: short(&booking.title, LONGEST),
        starts: booking.starts,
        ends: booking.ends,
        organiser: organiser(booking),
        hub: hub.name(),
        // The hub's word on it would be worth nothing.
        e2ee: link.announced() == E2ee::On,
        waiting_room: booking.waiting_room,
    };
    let sealed = booking.sealed.clone();
    Ok(Invitation {
        shown,
        link,
        sealed,
    })
}

/// Which booking it is, for people.
pub(super) fn called(booking: &Booking) -> String {
    format!(
        "\"{}\" by {}",
        short(&booking.title, 60),
        short(&organiser(booking), 40)
    )
}

/// Who booked; accounts may be gone.
fn organiser(booking: &Booking) -> String {
    match booking.organiser.trim() {
        "" => "somebody".to_owned(),
        name => short(name, LONGEST),
    }
}

fn is_at(link: &Link, hub: &Hub) -> bool {
    let (origin, server) = (link.origin(), &hub.server);
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    origin.is_tls() == server.is_encrypted()
        && host.eq_ignore_ascii_case(server.host())
        && origin.port() == server.port()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use roomseal_service::livekit::Trust;
    use zeroize::Zeroizing;

    use super::super::tests::host_link;
    use super::*;
    use crate::enrolment::address;

    const HERE: &str = "https://meet.example.org";

    fn key(fill: u8) -> DeviceKey {
        DeviceKey::from_seed(&[fill; 32]).unwrap()
    }

    fn hub() -> Hub {
        Hub {
            server: address(HERE, false).unwrap(),
            trust: Trust::default(),
        }
    }

    fn sealed(to: &DeviceKey, room: &str, link: &str) -> Booking {
        let random = Zeroizing::new([9; 32]);
        Booking {
            room: room.to_owned(),
            title: "Budget\u{202e}".to_owned(),
            starts: 100,
            ends: 200,
            e2ee: false,
            waiting_room: true,
            organiser: "Ada\u{7}a".to_owned(),
            sealed: envelope::seal(to.public(), room, link, &random).unwrap(),
        }
    }

    fn opened(booking: &Booking) -> Result<Booked, Useless> {
        open(&hub(), &key(1), booking, None).map(|one| one.shown)
    }

    #[test]
    fn what_opens_is_shown_without_mischief_and_as_its_link_says() {
        let link = host_link(HERE, "budget");
        let shown = opened(&sealed(&key(1), "budget", &link.expose())).unwrap();
        assert_eq!(shown.title, "Budget\u{fffd}");
        assert_eq!(shown.organiser, "Ada\u{fffd}a");
        assert_eq!(shown.hub, "meet.example.org");
        assert!(shown.e2ee, "the link announces it, whatever the hub says");
    }

    #[test]
    fn what_is_for_another_box_room_or_hub_is_refused() {
        let link = host_link(HERE, "budget");
        let unauthentic = Err(Useless::Sealed(OpenError::Unauthentic));
        assert_eq!(
            opened(&sealed(&key(2), "budget", &link.expose())),
            unauthentic
        );
        // The hub moves it into another room, where it was sealed for this one.
        let mut moved = sealed(&key(1), "budget", &link.expose());
        moved.room = "other".to_owned();
        assert_eq!(opened(&moved), unauthentic);
        let other = sealed(&key(1), "other", &link.expose());
        assert_eq!(opened(&other), Err(Useless::Room));
        for elsewhere in ["https://mallory.example", "https://meet.example.org:8443"] {
            let link = host_link(elsewhere, "budget");
            let refused = opened(&sealed(&key(1), "budget", &link.expose()));
            assert!(matches!(refused, Err(Useless::Hub(_))), "{refused:?}");
        }
        let guests = link.for_guests();
        let refused = opened(&sealed(&key(1), "budget", &guests.expose()));
        assert_eq!(refused, Err(Useless::Guest));
        let refused = opened(&sealed(
            &key(1),
            "budget",
            "https://meet.example.org/j/budget",
        ));
        assert!(matches!(refused, Err(Useless::Link(_))), "{refused:?}");
        let mut endless = sealed(&key(1), "budget", &link.expose());
        endless.ends = endless.starts;
        assert_eq!(opened(&endless), Err(Useless::Times));
    }
}
