// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who comes, who comes back, and who is taken for gone.

use super::*;

#[test]
fn who_joins_is_told_who_is_there_and_the_others_are_told_of_the_newcomer() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let bob = world.arrive(admission("bob"), all()).unwrap();
    let join = world.joined(bob);
    assert_eq!(join.participant.unwrap().identity, "bob");
    assert_eq!(join.other_participants[0].identity, "ann");
    assert_eq!(join.other_participants[0].state, ACTIVE);
    assert_eq!(join.room.unwrap().num_participants, 2);
    assert_eq!(world.updates(ann), [("bob".into(), JOINED, vec![])]);
    let member = world.opened();
    world.report(member, Report::Connected(Target::Publisher));
    assert_eq!(world.updates(ann), []);
    world.report(member, Report::Connected(Target::Subscriber));
    assert_eq!(world.updates(ann), [("bob".into(), ACTIVE, vec![])]);
}

#[test]
fn the_older_of_two_with_the_same_identity_is_sent_away() {
    let mut world = World::new();
    let (older, older_id, _) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let newer = world.arrive(admission("ann"), all()).unwrap();
    let disconnect = proto::leave_request::Action::Disconnect as i32;
    assert_eq!(
        world.left(older),
        Some((proto::DisconnectReason::DuplicateIdentity, disconnect))
    );
    assert!(world.done.contains(&Action::Close(older)));
    assert!(world.orders().contains(&&Order::Close(older_id)));
    assert_eq!(
        world.updates(bob),
        [
            ("ann".into(), DISCONNECTED, vec![]),
            ("ann".into(), JOINED, vec![])
        ]
    );
    let others = world.joined(newer).other_participants;
    assert_eq!(others.len(), 1);
}

#[test]
fn a_full_room_takes_nobody_but_who_comes_again() {
    let mut world = World::new();
    for identity in ["ann", "bob", "cem"] {
        world.enter(identity);
    }
    assert_eq!(world.arrive(admission("dee"), all()), None);
    assert!(world.arrive(admission("ann"), all()).is_some());
    assert_eq!(world.room.count(), 3);
}

#[test]
fn a_member_that_lost_its_connection_goes_on_where_it_was() {
    let mut world = World::new();
    let (ann, ann_id, sid) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    world.publish(ann, ann_id, proto::TrackSource::Camera, "0");
    world.done = world.room.handle(Input::Gone(ann), world.now);
    assert!(world.done.is_empty(), "nobody is told: {:?}", world.done);
    world.pass(RESUME - Duration::from_secs(1));
    assert_eq!(world.updates(bob), []);
    let again = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert!(matches!(world.said(again)[0], Say::Reconnect(_)));
    let told: Vec<_> = world
        .updates(again)
        .into_iter()
        .map(|(who, ..)| who)
        .collect();
    assert_eq!(told, ["bob", "ann"]);
    assert_eq!(world.orders(), [&Order::Restart(ann_id)]);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.room.count(), 2);
}

#[test]
fn a_new_connection_takes_over_from_one_that_is_still_open() {
    let mut world = World::new();
    let (older, _, sid) = world.enter("ann");
    let newer = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert!(world.done.contains(&Action::Close(older)));
    // Its end means nothing any more, nor what it still says.
    world.done = world.room.handle(Input::Gone(older), world.now);
    world.ask(older, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.room.count(), 1);
    world.ask(newer, Ask::Leave(proto::LeaveRequest::default()));
    assert_eq!(world.room.count(), 0);
}

#[test]
fn who_comes_back_too_late_or_as_somebody_else_has_to_join_anew() {
    let mut world = World::new();
    let (ann, _, sid) = world.enter("ann");
    let (bob, _, _) = world.enter("bob");
    let thief = world.arrive(admission("eve"), resume(&sid)).unwrap();
    let reconnect = proto::leave_request::Action::Reconnect as i32;
    let mismatch = Some((proto::DisconnectReason::StateMismatch, reconnect));
    assert_eq!(world.left(thief), mismatch);
    assert!(world.done.contains(&Action::Close(thief)));

    world.room.handle(Input::Gone(ann), world.now);
    for _ in 0..5 {
        world.pass(Duration::from_secs(4));
        world.ask(bob, Ask::Ping(1));
    }
    assert_eq!(world.room.count(), 1);
    let late = world.arrive(admission("ann"), resume(&sid)).unwrap();
    assert_eq!(world.left(late), mismatch);
}

#[test]
fn a_silent_connection_is_closed_and_then_its_member_leaves() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    world.pass(SILENCE - Duration::from_millis(1));
    assert!(world.done.is_empty());
    world.ask(ann, Ask::Ping(1));
    assert!(matches!(world.said(ann)[0], Say::Pong(ms) if *ms == 1_014_999));
    world.pass(SILENCE);
    assert_eq!(world.done, [Action::Close(ann)]);
    world.pass(RESUME);
    assert_eq!(world.room.count(), 0);
    world.pass(EMPTY);
    assert_eq!(world.done.last(), Some(&Action::End));
}

#[test]
fn whose_media_never_connects_is_told_to_try_again() {
    let mut world = World::new();
    let ann = world.arrive(admission("ann"), all()).unwrap();
    for _ in 0..6 {
        world.pass(Duration::from_secs(4));
        if world.room.count() == 0 {
            break;
        }
        world.ask(ann, Ask::Ping(1));
    }
    let reconnect = proto::leave_request::Action::Reconnect as i32;
    assert_eq!(
        world.left(ann),
        Some((proto::DisconnectReason::JoinFailure, reconnect))
    );
    assert_eq!(world.now, Duration::from_secs(20));
}

#[test]
fn a_token_is_renewed_before_it_is_needed() {
    let mut world = World::new();
    let (ann, _, _) = world.enter("ann");
    let mut renewals = 0;
    for _ in 0..61 {
        world.pass(Duration::from_secs(10));
        renewals += world
            .done
            .iter()
            .filter(|action| matches!(action, Action::Renew(to, _) if *to == ann))
            .count();
        world.ask(ann, Ask::Ping(0));
    }
    assert_eq!(renewals, 2);
}
