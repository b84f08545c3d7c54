// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coming back: what is repeated, what is forgotten, what has changed meanwhile.

use super::*;

#[test]
fn a_resume_repeats_what_was_agreed() {
    let mut table = Table::joined();
    table.server(offer(4));
    table.wish(Wish::Answer {
        sdp: "v=0 answer".into(),
        id: 4,
    });
    table.server(published("cam", "TR_cam"));
    table.server(published("mic", "TR_mic"));
    table.wish(Wish::Mute {
        sid: "TR_cam".into(),
        muted: true,
    });
    table.wish(Wish::Unpublished {
        sid: "TR_mic".into(),
    });
    table.wish(Wish::Subscribe {
        sids: vec!["TR_x".into(), "TR_y".into()],
        subscribe: false,
    });
    table.wish(Wish::Subscribe {
        sids: vec!["TR_y".into()],
        subscribe: true,
    });
    table.wish(Wish::Settings(TrackSettings {
        sids: vec!["TR_z".into()],
        view: View::Hidden,
        priority: 0,
    }));
    table.wish(Wish::DataState(DataState {
        channels: Vec::new(),
        received: vec![("PA_a".into(), 12)],
    }));
    lose_and_reopen(&mut table);
    let actions = table.server(reconnect());
    let [signal_request::Message::SyncState(state)] = sent(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(state.offer.as_ref().unwrap().id, 4);
    assert_eq!(state.answer.as_ref().unwrap().sdp, "v=0 answer");
    assert_eq!(state.publish_tracks.len(), 1);
    let track = state.publish_tracks[0].track.as_ref().unwrap();
    assert!(track.muted && track.sid == "TR_cam");
    let subscription = state.subscription.as_ref().unwrap();
    assert!(!subscription.subscribe);
    assert_eq!(subscription.track_sids, ["TR_x"]);
    assert_eq!(state.track_sids_disabled, ["TR_z"]);
    assert_eq!(state.datachannel_receive_states[0].last_seq, 12);
    assert!(matches!(
        events(&actions)[..],
        [Event::Resumed(ResumeInfo {
            last_reliable_sequence: 9,
            ..
        })]
    ));
}

#[test]
fn an_old_answer_is_not_claimed_for_a_new_offer() {
    let mut table = Table::joined();
    table.server(offer(1));
    table.wish(Wish::Answer {
        sdp: "v=0 answer".into(),
        id: 1,
    });
    table.server(offer(2));
    lose_and_reopen(&mut table);
    let actions = table.server(reconnect());
    let [signal_request::Message::SyncState(state)] = sent(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(state.offer.as_ref().unwrap().id, 2);
    assert_eq!(state.answer, None);
}

#[test]
fn what_is_asked_for_while_away_is_sent_after_a_resume_but_old_descriptions_are_not() {
    let mut table = Table::joined();
    table.input(Input::Closed(Reason::Broken("reset".into())));
    table.wish(Wish::Mute {
        sid: "TR_cam".into(),
        muted: true,
    });
    table.wish(Wish::Offer {
        sdp: "old".into(),
        id: 1,
    });
    table.wish(Wish::Trickle {
        target: Target::Publisher,
        init_json: "{}".into(),
        last: false,
    });
    table.wait();
    table.input(Input::Opened);
    let actions = table.server(reconnect());
    assert!(matches!(
        sent(&actions)[..],
        [
            signal_request::Message::SyncState(_),
            signal_request::Message::Mute(_)
        ]
    ));
}

#[test]
fn a_resume_the_server_knows_nothing_of_becomes_a_join_with_new_media() {
    let mut table = Table::joined();
    lose_and_reopen(&mut table);
    let actions = table.server(leave(
        proto::leave_request::Action::Reconnect,
        proto::DisconnectReason::StateMismatch,
    ));
    assert!(matches!(
        events(&actions)[..],
        [
            Event::Reconnecting {
                reason: Reason::Server(LeaveReason::StateMismatch),
                resume: false
            },
            Event::RestartMedia
        ]
    ));
    let actions = table.wait();
    assert_eq!(purpose(&actions), Some(&Purpose::Join));
    table.input(Input::Opened);
    let actions = table.server(join());
    assert!(matches!(events(&actions)[..], [Event::Joined(info)] if info.join == 2));
}

#[test]
fn a_resume_answered_with_a_join_restarts_media_first() {
    let mut table = Table::joined();
    lose_and_reopen(&mut table);
    let actions = table.server(join());
    assert!(matches!(
        events(&actions)[..],
        [Event::RestartMedia, Event::Joined(_)]
    ));
}

#[test]
fn after_a_long_absence_a_new_session_is_joined_and_it_never_gives_up() {
    let mut table = Table::joined();
    table.input(Input::Closed(Reason::Broken("reset".into())));
    let lost = table.now;
    let mut restarted = None;
    let mut longest = Duration::ZERO;
    let mut last_attempt = lost;
    while table.now - lost < Duration::from_secs(600) {
        let actions = table.wait();
        let wanted = if restarted.is_some() {
            matches!(purpose(&actions), Some(Purpose::Join))
        } else {
            matches!(purpose(&actions), Some(Purpose::Resume { .. }))
        };
        assert!(wanted, "{actions:?}");
        longest = longest.max(table.now - last_attempt);
        table.now += Duration::from_secs(4);
        last_attempt = table.now;
        let actions = table.input(Input::OpenFailed(unreachable()));
        if events(&actions).contains(&&Event::RestartMedia) {
            assert_eq!(restarted, None, "media restarted twice");
            restarted = Some(table.now - lost);
        }
    }
    let restarted = restarted.unwrap();
    assert!(restarted >= RESUME_WINDOW && restarted < RESUME_WINDOW + Duration::from_secs(7));
    assert!(longest <= Duration::from_secs(2), "{longest:?}");
}

#[test]
fn who_left_while_we_were_away_is_told_after_the_resume() {
    let mut table = Table::joined();
    lose_and_reopen(&mut table);
    table.server(reconnect());
    let actions = table.server(signal_response::Message::Update(proto::ParticipantUpdate {
        participants: vec![person("PA_me", 3), person("PA_b", 2), person("PA_c", 1)],
    }));
    let [Event::Participants(changed)] = events(&actions)[..] else {
        panic!("{actions:?}");
    };
    let left: Vec<_> = changed
        .iter()
        .filter(|p| p.state == ParticipantState::Disconnected)
        .map(|p| p.sid.as_str())
        .collect();
    assert_eq!(left, ["PA_a"]);
    assert_eq!(changed.len(), 4);
}

#[test]
fn who_joined_anew_does_not_go_with_the_session_before() {
    let mut table = Table::joined();
    lose_and_reopen(&mut table);
    table.server(reconnect());
    let mut anew = person("PA_z", 1);
    anew.identity = person("PA_a", 1).identity;
    let update =
        |participants| signal_response::Message::Update(proto::ParticipantUpdate { participants });
    let whole = vec![person("PA_me", 3), person("PA_b", 2), anew];
    let actions = table.server(update(whole));
    let [Event::Participants(changed)] = events(&actions)[..] else {
        panic!("{actions:?}");
    };
    let told: Vec<_> = changed
        .iter()
        .map(|p| (p.sid.as_str(), p.state == ParticipantState::Disconnected))
        .collect();
    assert_eq!(told[0], ("PA_a", true));
    assert!(told.contains(&("PA_z", false)));

    // Told once more, and late: whoever has this identity now is here.
    let mut old = person("PA_a", 9);
    old.state = proto::participant_info::State::Disconnected as i32;
    assert_eq!(events(&table.server(update(vec![old]))).len(), 0);
}

#[test]
fn an_update_that_was_overtaken_is_ignored() {
    let mut table = Table::joined();
    let update = |version| {
        signal_response::Message::Update(proto::ParticipantUpdate {
            participants: vec![person("PA_a", version)],
        })
    };
    assert_eq!(events(&table.server(update(5))).len(), 1);
    assert_eq!(events(&table.server(update(4))).len(), 0);
    assert_eq!(events(&table.server(update(6))).len(), 1);
}

#[test]
fn failed_media_gets_a_new_connection() {
    let mut table = Table::joined();
    table.wish(Wish::Resume {
        trouble: MediaTrouble::Subscriber,
    });
    let actions = table.wait();
    assert!(matches!(
        purpose(&actions),
        Some(Purpose::Resume {
            cause: proto::ReconnectReason::RrSubscriberFailed,
            ..
        })
    ));
    // Asked for again meanwhile, nothing changes.
    assert_eq!(
        table.wish(Wish::Resume {
            trouble: MediaTrouble::Publisher
        }),
        []
    );
}

#[test]
fn media_that_cannot_go_on_turns_a_resume_into_a_join() {
    let rejoin = || Wish::Rejoin { why: "test".into() };
    let to_each_phase: [fn(&mut Table); 3] = [
        |table| drop(table.input(Input::Closed(Reason::Oversized))),
        |table| {
            table.input(Input::Closed(Reason::Oversized));
            table.wait();
        },
        lose_and_reopen,
    ];
    for to_phase in to_each_phase {
        let mut table = Table::joined();
        to_phase(&mut table);
        let actions = table.wish(rejoin());
        assert!(actions.contains(&Action::Close));
        assert!(events(&actions).contains(&&Event::RestartMedia));
        assert_eq!(purpose(&table.wait()), Some(&Purpose::Join));
        // Once is enough.
        assert_eq!(table.wish(rejoin()), []);
    }
}

#[test]
fn what_is_asked_for_while_away_is_bounded() {
    let mut table = Table::joined();
    table.input(Input::Closed(Reason::Broken("reset".into())));
    let mut refused = 0;
    for _ in 0..QUEUE + 10 {
        let actions = table.wish(Wish::Mute {
            sid: "TR_x".into(),
            muted: true,
        });
        refused += events(&actions).len();
    }
    assert_eq!(refused, 10);
    table.wait();
    table.input(Input::Opened);
    assert_eq!(sent(&table.server(reconnect())).len(), 1 + QUEUE);
}

#[test]
fn a_connection_that_held_starts_the_count_anew() {
    let mut table = Table::new();
    table.input(Input::Start);
    for _ in 0..6 {
        table.input(Input::OpenFailed(unreachable()));
        table.wait();
    }
    table.input(Input::Opened);
    table.server(join());
    for _ in 0..4 {
        table.wait();
        table.server(signal_response::Message::PongResp(proto::Pong::default()));
    }
    table.input(Input::Closed(Reason::Broken("reset".into())));
    let lost = table.now;
    let actions = table.wait();
    assert_eq!(events(&actions), [&Event::Connecting { attempt: 1 }]);
    assert!(table.now - lost <= Duration::from_millis(200));
}
