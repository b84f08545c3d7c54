// SPDX-License-Identifier: MIT OR Apache-2.0
// A failed unwrap is a failed test.
#![allow(clippy::unwrap_used)]

use prost::Message as _;

use super::super::{
    Secret,
    event::{LeaveReason, Target},
    participant::{Encryption, ParticipantState, TrackKind, TrackSource},
    request::{AddTrack, DataState, MediaTrouble, TrackSettings, View},
    token::Mint,
};
use super::*;

/// A session with its clock, and a server's side to play.
struct Table {
    session: Session,
    now: Duration,
}

impl Table {
    fn new() -> Self {
        Self {
            session: Session::new(7),
            now: Duration::from_secs(100),
        }
    }

    /// A session that has joined.
    fn joined() -> Self {
        let mut table = Self::new();
        table.input(Input::Start);
        table.input(Input::Opened);
        let actions = table.server(join());
        assert!(matches!(events(&actions)[..], [Event::Joined(_)]));
        table
    }

    fn input(&mut self, input: Input) -> Vec<Action> {
        self.session.handle(input, self.now)
    }

    fn server(&mut self, message: signal_response::Message) -> Vec<Action> {
        let frame = proto::SignalResponse {
            message: Some(message),
        };
        self.input(Input::Frame(frame.encode_to_vec()))
    }

    fn wish(&mut self, what: Wish) -> Vec<Action> {
        self.input(Input::Request(Request { join: None, what }))
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.input(Input::Tick)
    }

    /// Lets time pass until the session does something by itself.
    fn wait(&mut self) -> Vec<Action> {
        self.now = self.session.deadline().expect("something to wait for");
        self.input(Input::Tick)
    }
}

fn events(actions: &[Action]) -> Vec<&Event> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Emit(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn sent(actions: &[Action]) -> Vec<&signal_request::Message> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(message) => Some(&**message),
            _ => None,
        })
        .collect()
}

fn purpose(actions: &[Action]) -> Option<&Purpose> {
    actions.iter().find_map(|action| match action {
        Action::Connect(purpose, _) => Some(purpose),
        _ => None,
    })
}

fn person(sid: &str, version: u32) -> proto::ParticipantInfo {
    proto::ParticipantInfo {
        sid: sid.into(),
        identity: format!("id of {sid}"),
        state: proto::participant_info::State::Active as i32,
        version,
        ..Default::default()
    }
}

fn join() -> signal_response::Message {
    signal_response::Message::Join(proto::JoinResponse {
        room: Some(proto::Room {
            name: "atrium".into(),
            ..Default::default()
        }),
        participant: Some(person("PA_me", 0)),
        other_participants: vec![person("PA_a", 1), person("PA_b", 1)],
        ping_interval: 5,
        ping_timeout: 15,
        sif_trailer: b"trailer".to_vec(),
        subscriber_primary: true,
        ..Default::default()
    })
}

fn reconnect() -> signal_response::Message {
    signal_response::Message::Reconnect(proto::ReconnectResponse {
        last_message_seq: 9,
        ..Default::default()
    })
}

fn leave(
    action: proto::leave_request::Action,
    reason: proto::DisconnectReason,
) -> signal_response::Message {
    signal_response::Message::Leave(proto::LeaveRequest {
        action: action as i32,
        reason: reason as i32,
        ..Default::default()
    })
}

fn offer(id: u32) -> signal_response::Message {
    signal_response::Message::Offer(proto::SessionDescription {
        r#type: "offer".into(),
        sdp: "v=0".into(),
        id,
        ..Default::default()
    })
}

fn refused() -> Error {
    Error::TokenRefused {
        reason: "no".into(),
        advice: "do something",
    }
}

fn unreachable() -> Error {
    Error::Timeout {
        host: "x".into(),
        waited: Duration::from_secs(4),
    }
}

fn token() -> String {
    Mint::new("key", Secret::new("a secret"), "atrium", "box")
        .token()
        .unwrap()
        .expose()
        .to_owned()
}

fn published(cid: &str, sid: &str) -> signal_response::Message {
    signal_response::Message::TrackPublished(proto::TrackPublishedResponse {
        cid: cid.into(),
        track: Some(proto::TrackInfo {
            sid: sid.into(),
            ..Default::default()
        }),
    })
}

/// Loses the connection and brings the session back to where the server speaks first.
fn lose_and_reopen(table: &mut Table) {
    let actions = table.input(Input::Closed(Reason::Broken("reset".into())));
    assert!(actions.contains(&Action::Park));
    assert!(matches!(
        events(&actions)[..],
        [Event::Reconnecting { resume: true, .. }]
    ));
    let actions = table.wait();
    assert!(matches!(purpose(&actions), Some(Purpose::Resume { sid, .. }) if sid == "PA_me"));
    table.input(Input::Opened);
}

#[test]
fn a_join_says_everything_the_owner_needs() {
    let mut table = Table::new();
    let actions = table.input(Input::Start);
    assert_eq!(events(&actions), [&Event::Connecting { attempt: 1 }]);
    assert_eq!(purpose(&actions), Some(&Purpose::Join));
    table.input(Input::Opened);
    let actions = table.server(join());
    let [Event::Joined(info)] = events(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(info.join, 1);
    assert_eq!(info.room.name, "atrium");
    assert_eq!(info.local.sid, "PA_me");
    assert_eq!(info.others.len(), 2);
    assert_eq!(info.sif_trailer, b"trailer");
    assert_eq!(info.ping_interval, Duration::from_secs(5));
}

#[test]
fn pings_go_out_at_the_interval_and_silence_ends_the_connection() {
    let mut table = Table::joined();
    let start = table.now;
    let mut pings = 0;
    let actions = loop {
        let actions = table.wait();
        match sent(&actions)[..] {
            [signal_request::Message::PingReq(_)] => pings += 1,
            _ => break actions,
        }
    };
    assert_eq!(pings, 3);
    assert_eq!(table.now - start, Duration::from_secs(15));
    assert!(matches!(
        events(&actions)[..],
        [Event::Reconnecting {
            reason: Reason::Silent(_),
            resume: true
        }]
    ));
}

#[test]
fn pongs_keep_the_connection_and_measure_the_round_trip() {
    let mut table = Table::joined();
    let mut rtt = 0;
    for _ in 0..20 {
        let actions = table.wait();
        let [signal_request::Message::PingReq(ping)] = sent(&actions)[..] else {
            panic!("{actions:?}");
        };
        rtt = ping.rtt;
        let last_ping_timestamp = ping.timestamp;
        table.now += Duration::from_millis(30);
        let pong = proto::Pong {
            last_ping_timestamp,
            timestamp: 0,
        };
        table.server(signal_response::Message::PongResp(pong));
    }
    assert_eq!(rtt, 30);
}

#[test]
fn garbage_does_not_keep_a_connection_alive() {
    let mut table = Table::joined();
    for _ in 0..4 {
        table.now += Duration::from_secs(4);
        table.input(Input::Frame(vec![0x0a, 0x7f]));
    }
    let actions = table.input(Input::Tick);
    assert!(matches!(events(&actions)[..], [Event::Reconnecting { .. }]));
}

#[test]
fn absurd_ping_times_are_made_sensible() {
    for (interval, timeout) in [
        (0, 0),
        (-5, -9),
        (i32::MAX, i32::MAX),
        (i32::MIN, 1),
        (1, 0),
        (30, 1),
    ] {
        let pings = Pings::new(interval, timeout);
        assert!(pings.interval >= Duration::from_secs(1), "{interval}");
        assert!(pings.interval <= Duration::from_secs(30), "{interval}");
        assert!(pings.timeout >= 2 * pings.interval, "{interval} {timeout}");
        assert!(pings.timeout <= Duration::from_secs(90), "{timeout}");
    }
}

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
fn garbage_is_counted_and_too_much_of_it_ends_the_connection() {
    let mut table = Table::joined();
    for expected in 1..GARBAGE_LIMIT {
        let actions = if expected % 2 == 0 {
            table.input(Input::Text)
        } else {
            table.input(Input::Frame(vec![0x0a, 0x7f]))
        };
        assert!(
            matches!(events(&actions)[..], [Event::Garbage { count, .. }] if *count == expected),
            "{actions:?}"
        );
    }
    let actions = table.input(Input::Text);
    assert!(matches!(
        events(&actions)[..],
        [
            Event::Garbage { .. },
            Event::Reconnecting {
                reason: Reason::Garbage(GARBAGE_LIMIT),
                ..
            }
        ]
    ));
}

#[test]
fn a_server_that_only_sends_garbage_is_tried_ever_more_slowly() {
    let mut table = Table::new();
    table.input(Input::Start);
    let mut waits = Vec::new();
    for _ in 0..8 {
        table.input(Input::Opened);
        let actions = table.input(Input::Frame(Vec::new()));
        assert!(actions.contains(&Action::Close), "{actions:?}");
        let before = table.now;
        table.wait();
        waits.push(table.now - before);
    }
    assert!(waits[7] > waits[0] * 4, "{waits:?}");
}

#[test]
fn a_join_without_a_participant_is_no_join() {
    let mut table = Table::new();
    table.input(Input::Start);
    table.input(Input::Opened);
    let actions = table.server(signal_response::Message::Join(
        proto::JoinResponse::default(),
    ));
    assert!(actions.contains(&Action::Close));
    assert!(
        !events(&actions)
            .iter()
            .any(|e| matches!(e, Event::Joined(_)))
    );
}

#[test]
fn a_server_that_opens_and_says_nothing_is_left() {
    let mut table = Table::new();
    table.input(Input::Start);
    table.input(Input::Opened);
    let actions = table.wait();
    assert!(matches!(
        events(&actions)[..],
        [Event::Disconnected {
            reason: Reason::NoJoin(_),
            will_retry: true
        }]
    ));
}

#[test]
fn messages_without_sense_are_named_and_change_nothing() {
    let mut table = Table::joined();
    for message in [
        offer(0).without_sdp(),
        signal_response::Message::Answer(proto::SessionDescription::default()),
        signal_response::Message::TrackPublished(proto::TrackPublishedResponse::default()),
        signal_response::Message::Trickle(proto::TrickleRequest {
            target: 77,
            ..Default::default()
        }),
        join(),
        reconnect(),
    ] {
        let actions = table.server(message.clone());
        assert!(
            matches!(events(&actions)[..], [Event::Garbage { .. }]),
            "{message:?}: {actions:?}"
        );
        assert_eq!(actions.len(), 1);
    }
}

trait WithoutSdp {
    fn without_sdp(self) -> Self;
}

impl WithoutSdp for signal_response::Message {
    fn without_sdp(self) -> Self {
        match self {
            Self::Offer(mut offer) => {
                offer.sdp.clear();
                Self::Offer(offer)
            }
            other => other,
        }
    }
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
fn a_sealed_track_is_declared_as_such_and_with_the_codecs_it_could_have() {
    let mut table = Table::joined();
    let actions = table.wish(Wish::AddTrack(AddTrack {
        cid: "cam".into(),
        kind: TrackKind::Video,
        source: TrackSource::Camera,
        name: "camera".into(),
        width: 1280,
        height: 720,
        layers: Vec::new(),
        muted: false,
        disable_red: true,
        encryption: Encryption::Gcm,
        stream: "camera".into(),
        codecs: vec!["h264".into(), "vp8".into()],
    }));
    let [signal_request::Message::AddTrack(request)] = sent(&actions)[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(request.encryption, 1);
    assert!(request.disable_red);
    assert_eq!((request.r#type, request.source), (1, 1));
    // What could be sent instead has no section yet.
    let codecs: Vec<_> = request
        .simulcast_codecs
        .iter()
        .map(|codec| (codec.codec.as_str(), codec.cid.as_str()))
        .collect();
    assert_eq!(codecs, [("h264", "cam"), ("vp8", "")]);
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

#[test]
fn no_sequence_of_messages_panics() {
    // Every message with its fields at odds, in every phase, in an arbitrary order.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 33) as usize % below
    };
    let messages = [
        join(),
        reconnect(),
        offer(u32::MAX),
        published("", ""),
        signal_response::Message::Join(proto::JoinResponse {
            participant: Some(person("PA_me", u32::MAX)),
            ping_interval: i32::MIN,
            ping_timeout: i32::MAX,
            ..Default::default()
        }),
        signal_response::Message::Update(proto::ParticipantUpdate {
            participants: vec![person("", 0), person("PA_me", 0), person("PA_a", u32::MAX)],
        }),
        signal_response::Message::PongResp(proto::Pong {
            last_ping_timestamp: i64::MIN,
            timestamp: i64::MAX,
        }),
        signal_response::Message::RoomMoved(proto::RoomMovedResponse::default()),
        signal_response::Message::RefreshToken(String::new()),
        signal_response::Message::SubscribedQualityUpdate(proto::SubscribedQualityUpdate::default()),
        signal_response::Message::RequestResponse(proto::RequestResponse {
            reason: 99,
            ..Default::default()
        }),
        leave(
            proto::leave_request::Action::Resume,
            proto::DisconnectReason::Migration,
        ),
        leave(
            proto::leave_request::Action::Reconnect,
            proto::DisconnectReason::Migration,
        ),
        signal_response::Message::Leave(proto::LeaveRequest {
            action: 99,
            reason: -1,
            ..Default::default()
        }),
    ];
    let mut table = Table::new();
    table.input(Input::Start);
    for _ in 0..50_000 {
        table.now += Duration::from_millis(next(3000) as u64);
        let _ = match next(8) {
            0 => table.input(Input::Opened),
            1 => table.input(Input::OpenFailed(unreachable())),
            2 => table.input(Input::Closed(Reason::Oversized)),
            3 => table.input(Input::Text),
            4 => table.input(Input::Tick),
            _ => table.server(messages[next(messages.len())].clone()),
        };
        assert!(!matches!(table.session.phase, Phase::Ended));
    }
}
