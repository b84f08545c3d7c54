// SPDX-License-Identifier: MIT OR Apache-2.0
//! What keeps a connection alive, and what ends it: pings, silence, garbage.

use super::*;

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
