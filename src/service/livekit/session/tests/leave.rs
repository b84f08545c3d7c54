// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ends of a session: told by the server, wished for here, or by a token.

use super::*;

#[test]
fn what_the_server_means_for_good_is_for_good() {
    use proto::DisconnectReason as R;
    for (reason, last) in [
        (R::DuplicateIdentity, LeaveReason::DuplicateIdentity),
        (R::ParticipantRemoved, LeaveReason::Removed),
        (R::RoomDeleted, LeaveReason::RoomDeleted),
        (R::RoomClosed, LeaveReason::RoomClosed),
    ] {
        let mut table = Table::joined();
        let actions = table.server(leave(proto::leave_request::Action::Disconnect, reason));
        assert_eq!(
            events(&actions),
            [&Event::Disconnected {
                reason: Reason::Server(last),
                will_retry: false
            }]
        );
        assert_eq!(actions.last(), Some(&Action::Finish));
        assert_eq!(table.session.deadline(), None);
        assert_eq!(table.pass(Duration::from_secs(60)), []);
        assert_eq!(table.server(offer(1)), []);
    }
}

#[test]
fn a_server_that_stops_is_waited_for() {
    use proto::{DisconnectReason as R, leave_request::Action as A};
    for (action, reason) in [
        (A::Disconnect, R::ServerShutdown),
        (A::Reconnect, R::Migration),
        (A::Disconnect, R::UnknownReason),
    ] {
        let mut table = Table::joined();
        let actions = table.server(leave(action, reason));
        assert!(matches!(
            events(&actions)[..],
            [
                Event::Reconnecting { resume: false, .. },
                Event::RestartMedia
            ]
        ));
        assert_eq!(purpose(&table.wait()), Some(&Purpose::Join));
    }
    let mut table = Table::joined();
    let actions = table.server(leave(A::Resume, R::Migration));
    assert!(matches!(
        events(&actions)[..],
        [Event::Reconnecting { resume: true, .. }]
    ));
}

#[test]
fn a_refused_token_ends_the_session_unless_it_was_the_servers_older_one() {
    let mut table = Table::new();
    table.input(Input::Start);
    let actions = table.input(Input::OpenFailed(refused()));
    assert!(matches!(
        events(&actions)[..],
        [Event::Disconnected {
            will_retry: false,
            ..
        }]
    ));

    let mut table = Table::joined();
    let actions = table.server(signal_response::Message::RefreshToken(token()));
    assert_eq!(events(&actions), [&Event::TokenRefreshed]);
    table.input(Input::Closed(Reason::Broken("reset".into())));
    let actions = table.wait();
    assert!(matches!(actions.last(), Some(Action::Connect(_, Some(_)))));
    let actions = table.input(Input::OpenFailed(refused()));
    assert_eq!(events(&actions), Vec::<&Event>::new());
    let actions = table.wait();
    assert!(matches!(actions.last(), Some(Action::Connect(_, None))));
    let actions = table.input(Input::OpenFailed(refused()));
    assert!(actions.contains(&Action::Finish));
}

#[test]
fn a_new_token_that_is_none_is_garbage_and_not_used() {
    let mut table = Table::joined();
    let actions = table.server(signal_response::Message::RefreshToken(
        "x\r\nHost: evil".into(),
    ));
    assert!(matches!(events(&actions)[..], [Event::Garbage { .. }]));
    assert_eq!(table.session.refreshed, None);
}

#[test]
fn leaving_says_goodbye_and_ends() {
    let mut table = Table::joined();
    let actions = table.wish(Wish::Leave);
    assert!(matches!(
        actions[..],
        [
            Action::Send(_),
            Action::Emit(Event::Disconnected {
                reason: Reason::Left,
                will_retry: false
            }),
            Action::Finish
        ]
    ));
    assert!(matches!(
        sent(&actions)[..],
        [signal_request::Message::Leave(_)]
    ));
    assert_eq!(table.wish(Wish::Leave), []);
}

#[test]
fn leaving_works_in_every_phase() {
    let to_each_phase: [fn(&mut Table); 4] = [
        |table| drop(table.input(Input::Start)),
        |table| {
            table.input(Input::Start);
            table.input(Input::Opened);
        },
        |table| {
            table.input(Input::Start);
            table.input(Input::OpenFailed(unreachable()));
        },
        |table| {
            *table = Table::joined();
            lose_and_reopen(table);
        },
    ];
    for to_phase in to_each_phase {
        let mut table = Table::new();
        to_phase(&mut table);
        let actions = table.wish(Wish::Leave);
        assert_eq!(actions.last(), Some(&Action::Finish), "{actions:?}");
    }
}

#[test]
fn the_last_words_of_an_old_join_do_not_reach_the_next_except_goodbye() {
    let mut table = Table::joined();
    table.wish(Wish::Rejoin { why: "test".into() });
    table.wait();
    table.input(Input::Opened);
    table.server(join());
    let offer_of = |join| {
        Input::Request(Request {
            join,
            what: Wish::Offer {
                sdp: "v=0".into(),
                id: 1,
            },
        })
    };
    assert_eq!(table.input(offer_of(Some(1))), []);
    assert_eq!(table.input(offer_of(Some(2))).len(), 1);
    assert_eq!(table.input(offer_of(None)).len(), 1);
    let leave = Request {
        join: Some(1),
        what: Wish::Leave,
    };
    assert!(table.input(Input::Request(leave)).contains(&Action::Finish));
}

#[test]
fn being_moved_to_another_room_joins_it_with_the_servers_token() {
    let mut table = Table::joined();
    let actions = table.server(signal_response::Message::RoomMoved(
        proto::RoomMovedResponse {
            token: token(),
            ..Default::default()
        },
    ));
    assert!(matches!(
        events(&actions)[..],
        [
            Event::Reconnecting {
                reason: Reason::Server(LeaveReason::Moved),
                resume: false
            },
            Event::RestartMedia
        ]
    ));
    assert!(matches!(
        table.wait().last(),
        Some(Action::Connect(Purpose::Join, Some(_)))
    ));
}
