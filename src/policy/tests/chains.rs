// SPDX-License-Identifier: MIT OR Apache-2.0
//! Chains as they grow, part and come together.

use roomseal_policy::{Chain, E2ee, HostCheck, Merged, MessageKind, Refusal};

use crate::people::{decide, host, meeting, room};

fn link() -> HostCheck {
    HostCheck::Link(meeting().hash())
}

#[test]
fn a_press_reaches_a_member_as_one_message() {
    let alice = host(1);
    let mut hers = Chain::start(&alice, &decide(E2ee::Off, 1));
    assert_eq!(MessageKind::of(&hers.message()), MessageKind::Chain);
    let mut mine = Chain::begin(&hers.message(), &room(), &link()).unwrap();
    assert_eq!(mine, hers);

    let press = hers.press(&alice, &decide(E2ee::On, 2)).unwrap();
    assert_eq!(mine.merge(&press), Ok(Merged::Extended));
    assert_eq!(mine, hers);
    assert_eq!(mine.head().e2ee(), E2ee::On);
    assert_eq!(mine.head().epoch().value(), 2);
    assert_eq!(mine.head().prev(), [mine.root().hash()]);
    assert_eq!(mine.host_of(mine.head()).unwrap().name().as_str(), "Host 1");
    assert_eq!(mine.merge(&press), Ok(Merged::Same));
}

#[test]
fn an_off_ends_only_the_on_that_its_host_had_seen() {
    let (alice, bob) = (host(1), host(2));
    let root = Chain::start(&alice, &decide(E2ee::Off, 1));
    let (mut hers, mut his) = (root.clone(), root.clone());
    hers.press(&alice, &decide(E2ee::On, 2)).unwrap();
    // Kept apart by the service, Bob turns on and off, again and again.
    for nonce in 3..9 {
        his.press(
            &bob,
            &decide(if nonce % 2 == 1 { E2ee::On } else { E2ee::Off }, nonce),
        )
        .unwrap();
    }
    assert_eq!(his.head().e2ee(), E2ee::Off);
    assert!(his.head().epoch() > hers.head().epoch());

    let on = hers.head().hash();
    assert_eq!(hers.merge(&his.message()), Ok(Merged::ForkLost));
    assert_eq!(hers.head().hash(), on);
    assert_eq!(his.merge(&hers.message()), Ok(Merged::ForkWon));
    assert_eq!(his, hers);

    // Who has seen both can end it.
    his.press(&bob, &decide(E2ee::Off, 9)).unwrap();
    assert_eq!(his.head().prev().len(), 2);
    assert_eq!(hers.merge(&his.message()), Ok(Merged::Extended));
    assert_eq!(hers.head().e2ee(), E2ee::Off);
}

#[test]
fn a_part_without_its_predecessors_changes_nothing() {
    let alice = host(1);
    let mut hers = Chain::start(&alice, &decide(E2ee::Off, 1));
    let mut mine = hers.clone();
    hers.press(&alice, &decide(E2ee::On, 2)).unwrap();
    let late = hers.press(&alice, &decide(E2ee::Off, 3)).unwrap();
    let before = mine.clone();
    assert_eq!(mine.merge(&late), Err(Refusal::Gap));
    assert_eq!(mine, before);
    assert_eq!(Chain::begin(&late, &room(), &link()), Err(Refusal::Gap));
}
