// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers that send what no server should: named, counted, survived. All of them are fakes.

use std::time::Duration;

use livekit_protocol::{self as proto, signal_request, signal_response};
use roomseal_service::livekit::{Event, Garbage, Handle, Reason, Target, TokenSource};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{
    client::{Guest, config, mint},
    fake::{Fake, Peer, bytes, join},
};

#[tokio::test]
async fn the_token_travels_in_a_header_and_never_in_the_address() {
    let (asked, mut requests) = mpsc::unbounded_channel();
    let fake = Fake::websocket(move |_, mut peer| {
        let asked = asked.clone();
        async move {
            asked
                .send((peer.asked.clone(), peer.authorization.clone()))
                .unwrap();
            peer.join().await;
            peer.listen().await;
        }
    })
    .await;
    let (mut guest, _) = Guest::join(&fake.address(), "atrium", "box").await;
    let (address, authorization) = requests.recv().await.unwrap();
    assert!(authorization.starts_with("Bearer eyJ"));
    let jwt = authorization.trim_start_matches("Bearer ");
    assert!(
        !address.contains(jwt) && !address.contains("access_token"),
        "{address}"
    );
    for wanted in [
        "/rtc?",
        "protocol=16",
        "sdk=other",
        "auto_subscribe=1",
        "adaptive_stream=0",
    ] {
        assert!(address.contains(wanted), "{wanted} is not in {address}");
    }
    assert!(!address.contains("reconnect"), "{address}");
    guest
        .handle
        .resume(roomseal_service::livekit::MediaTrouble::Publisher);
    let (address, _) = requests.recv().await.unwrap();
    for wanted in ["reconnect=1", "sid=PA_box", "reconnect_reason=2"] {
        assert!(address.contains(wanted), "{wanted} is not in {address}");
    }
    guest.joined().await;
}

#[tokio::test]
async fn garbage_is_named_and_the_session_goes_on() {
    let fake = Fake::websocket(|_, mut peer| async move {
        peer.join().await;
        peer.send(Message::text("{\"join\": {}}")).await;
        peer.send(Message::binary(vec![0x0a, 0x7f])).await;
        peer.send(Message::binary(Vec::new())).await;
        // A message of the future is no garbage.
        peer.send(Message::binary(vec![0x9a, 0x06, 0x03, 1, 2, 3]))
            .await;
        peer.say(signal_response::Message::TrackSubscribed(
            proto::TrackSubscribed {
                track_sid: "TR_after".into(),
            },
        ))
        .await;
        peer.listen().await;
    })
    .await;
    let (mut guest, _) = Guest::join(&fake.address(), "atrium", "box").await;
    guest
        .wait_for(|event| matches!(event, Event::TrackSubscribed { .. }).then_some(()))
        .await;
    let garbage: Vec<_> = guest
        .seen()
        .iter()
        .filter_map(|event| match event {
            Event::Garbage { what, count } => Some((*what, *count)),
            _ => None,
        })
        .collect();
    assert_eq!(
        garbage,
        [
            (Garbage::Text, 1),
            (Garbage::Undecodable, 2),
            (Garbage::Undecodable, 3)
        ]
    );
}

#[tokio::test]
async fn a_server_gone_mad_is_left_and_tried_again() {
    let fake = Fake::websocket(|number, mut peer| async move {
        peer.join().await;
        if number == 0 {
            while peer.send(Message::binary(vec![0xff; 64])).await {}
        }
        peer.listen().await;
    })
    .await;
    let (mut guest, _) = Guest::join(&fake.address(), "atrium", "box").await;
    let reason = guest
        .wait_for(|event| match event {
            Event::Reconnecting { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert!(matches!(reason, Reason::Garbage(_)), "{reason:?}");
    guest.joined().await;
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let fake = Fake::websocket(|number, mut peer| async move {
        peer.join().await;
        if number == 0 {
            peer.send(Message::binary(vec![0; 9 << 20])).await;
        }
        peer.listen().await;
    })
    .await;
    let (mut guest, _) = Guest::join(&fake.address(), "atrium", "box").await;
    let reason = guest
        .wait_for(|event| match event {
            Event::Reconnecting { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await;
    assert_eq!(reason, Reason::Oversized);
    guest.joined().await;
}

#[tokio::test]
async fn a_large_room_is_not_oversized() {
    let fake = Fake::websocket(|_, mut peer| async move {
        let signal_response::Message::Join(mut join) = join("PA_box") else {
            return;
        };
        // Ten people with as much metadata as a server allows.
        for number in 0..10 {
            join.other_participants.push(proto::ParticipantInfo {
                sid: format!("PA_{number}"),
                metadata: "x".repeat(512 * 1024),
                ..Default::default()
            });
        }
        peer.say(signal_response::Message::Join(join)).await;
        peer.listen().await;
    })
    .await;
    let (_guest, info) = Guest::join(&fake.address(), "atrium", "box").await;
    assert_eq!(info.others.len(), 10);
}

#[tokio::test]
async fn a_server_that_opens_and_says_nothing_is_given_up() {
    let fake = Fake::websocket(|number, mut peer| async move {
        if number > 0 {
            peer.join().await;
        }
        peer.listen().await;
    })
    .await;
    let mut guest = Guest::new(&fake.address(), "atrium", "box");
    let (reason, will_retry) = guest.disconnected().await;
    assert!(matches!(reason, Reason::NoJoin(_)), "{reason:?}");
    assert!(will_retry);
    guest.joined().await;
}

#[tokio::test]
async fn a_server_that_breaks_off_every_join_is_not_hammered() {
    let (joined, mut joins) = mpsc::unbounded_channel();
    let fake = Fake::websocket(move |number, mut peer| {
        let joined = joined.clone();
        async move {
            joined.send((number, std::time::Instant::now())).unwrap();
            peer.join().await;
            peer.say(signal_response::Message::Leave(proto::LeaveRequest {
                action: proto::leave_request::Action::Reconnect as i32,
                ..Default::default()
            }))
            .await;
            peer.listen().await;
        }
    })
    .await;
    let _guest = Guest::new(&fake.address(), "atrium", "box");
    let mut times = Vec::new();
    while times.len() < 5 {
        times.push(joins.recv().await.unwrap().1);
    }
    let first = times[1] - times[0];
    let last = times[4] - times[3];
    assert!(last > 2 * first, "{first:?} {last:?}");
}

#[tokio::test]
async fn a_flood_waits_at_the_server_while_nobody_takes_the_events() {
    let (sent, mut progress) = mpsc::unbounded_channel();
    let fake = Fake::websocket(move |_, mut peer| {
        let sent = sent.clone();
        async move {
            peer.join().await;
            let update = signal_response::Message::Trickle(proto::TrickleRequest {
                candidate_init: "x".repeat(100_000),
                ..Default::default()
            });
            let frame = bytes(update);
            while peer.send(Message::binary(frame.clone())).await {
                sent.send(true).unwrap();
            }
            sent.send(false).unwrap();
        }
    })
    .await;
    let guest = Guest::new(&fake.address(), "atrium", "box");
    // The server gets stuck once both sides' buffers are full.
    let mut frames = 0;
    while let Ok(Some(_)) = tokio::time::timeout(Duration::from_secs(1), progress.recv()).await {
        frames += 1;
        assert!(frames < 2000, "nothing holds the flood back");
    }
    // A request still gets through at once, and so does the end.
    guest.handle.leave();
    drop(guest);
    while progress.recv().await != Some(false) {}
}

#[tokio::test]
async fn a_peer_that_takes_nothing_does_not_stop_the_session() {
    let fake = Fake::websocket(|_, mut peer: Peer<_>| async move {
        peer.join().await;
        // Reads nothing any more.
        std::future::pending::<()>().await;
    })
    .await;
    let (mut guest, _) = Guest::join(&fake.address(), "atrium", "box").await;
    let handle: Handle = guest.handle.clone();
    for _ in 0..2000 {
        handle.trickle(Target::Publisher, "x".repeat(100_000), false);
    }
    handle.leave();
    assert_eq!(guest.disconnected().await, (Reason::Left, false));
    guest.ended().await;
}

#[tokio::test]
async fn requests_arrive_in_the_order_they_were_made() {
    let (heard, mut requests) = mpsc::unbounded_channel();
    let fake = Fake::websocket(move |_, mut peer| {
        let heard = heard.clone();
        async move {
            peer.join().await;
            while let Some(message) = peer.hear().await {
                heard.send(message).unwrap();
            }
        }
    })
    .await;
    let (guest, info) = Guest::join(&fake.address(), "atrium", "box").await;
    let handle = guest.handle.for_join(info.join);
    handle.answer("v=0 a".into(), 3);
    handle.offer("v=0 o".into(), 1);
    handle.mute("TR_1".into(), true);
    handle.update_subscription(vec!["TR_2".into()], false);
    guest
        .handle
        .for_join(info.join + 1)
        .mute("TR_wrong".into(), true);
    handle.leave();
    let mut names = Vec::new();
    while let Some(message) = requests.recv().await {
        use signal_request::Message as M;
        names.push(match message {
            // The first ping goes out by itself.
            M::PingReq(_) => continue,
            M::Answer(answer) => format!("answer {}", answer.id),
            M::Offer(offer) => format!("offer {}", offer.id),
            M::Mute(mute) => format!("mute {}", mute.sid),
            M::Subscription(subscription) => format!("subscribe {}", subscription.subscribe),
            M::Leave(_) => "leave".into(),
            other => format!("{other:?}"),
        });
        if names.last().is_some_and(|name| name == "leave") {
            break;
        }
    }
    assert_eq!(
        names,
        [
            "answer 3",
            "offer 1",
            "mute TR_1",
            "subscribe false",
            "leave"
        ]
    );
}

#[tokio::test]
async fn what_speaks_no_http_is_survived() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2p1\r\n",
        "\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 999999 Nonsense\r\n\r\n",
        "",
    ] {
        let fake = Fake::http(answer).await;
        let tokens = TokenSource::Minted(Box::new(mint("atrium", "box")));
        let mut guest = Guest::connect(config(&fake.address(), tokens));
        let (reason, will_retry) = guest.disconnected().await;
        assert!(will_retry, "{answer}: {reason}");
        assert!(matches!(reason, Reason::Connect(_)), "{answer}: {reason:?}");
    }
}
