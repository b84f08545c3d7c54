// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a page waits for, and what it asks the service to do.

use std::time::Duration;

use roomseal_policy::{Deed, E2ee, Link};
use roomseal_web::{Act, Core, Start, Told};

use crate::meeting::{ROOM, World, links};

fn remove() -> Told {
    Told::Deed {
        act: Act::Remove,
        to: "PA_mallory".into(),
    }
}

#[test]
fn what_a_host_asks_of_the_service_is_signed_and_a_guest_is_told_who_may() {
    let mut world = World::new(E2ee::Off);
    assert_eq!(world.tell(0, remove()), None);
    let link = Link::parse(&links(E2ee::Off).1).unwrap();
    let (certificate, deed) = &world.sides[0].deeds[0];
    let (deed, host) = Deed::verify(deed, certificate, link.room(), &link.host_check()).unwrap();
    assert_eq!((deed.act, deed.to.as_str()), (Act::Remove, "PA_mallory"));
    assert_eq!(host.name().as_str(), "Hanna");

    let refused = world.tell(1, remove());
    assert!(refused.unwrap().contains("only hosts"));
    assert!(world.sides[1].deeds.is_empty());
}

#[test]
fn a_page_that_has_no_passphrase_says_that_it_waits_for_it_also_where_no_policy_is_known() {
    let (_, link) = links(E2ee::On);
    let (before, rest) = link.split_once("#k=").unwrap();
    let (_, rest) = rest.split_once('&').unwrap();
    let start = Start {
        link: &format!("{before}#p=1&{rest}"),
        seed: [1; 32],
        unix: 0,
    };
    let mut core = Core::new(&start).unwrap();
    assert_eq!(core.room(), ROOM);
    let now = Duration::from_secs(1);
    let joined = Told::Joined {
        me: "guest".into(),
        others: Vec::new(),
        metadata: "not for us to write".into(),
    };
    core.handle(joined, now);
    let view = core.view(now);
    assert_eq!((view.shield, view.asks), ("connecting", Some("passphrase")));
    let reasons: Vec<&str> = view.reasons.iter().map(|it| it.text.as_str()).collect();
    assert!(
        reasons[0].contains("this browser has no key") && reasons[0].contains("passphrase"),
        "{reasons:?}"
    );
}
