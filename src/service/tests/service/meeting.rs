// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client does in a room of a real livekit-server.

use std::time::{Duration, Instant};

use roomseal_service::livekit::{
    AddTrack, Admin, Encryption, Error, Event, LeaveReason, MediaTrouble, ParticipantKind,
    ParticipantState, Reason, Target, TokenSource, TrackKind, TrackSource,
};

use super::{
    client::{Guest, config, mint},
    network::Network,
    server::Server,
};

fn camera(cid: &str) -> AddTrack {
    AddTrack {
        cid: cid.into(),
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
        codecs: Vec::new(),
    }
}

#[tokio::test]
async fn a_client_joins_and_is_told_what_media_needs() {
    let server = Server::start().await;
    let mut mint = mint("atrium", "box-1");
    mint.name = "The box".into();
    mint.attributes.insert("floor".into(), "2".into());
    let tokens = TokenSource::Minted(Box::new(mint));
    let mut guest = Guest::connect(config(&server.address(), tokens));
    let info = guest.joined().await;
    assert_eq!(info.join, 1);
    assert_eq!(info.room.name, "atrium");
    assert_eq!(info.local.identity, "box-1");
    assert_eq!(info.local.name, "The box");
    assert_eq!(info.local.attributes["floor"], "2");
    assert_eq!(info.local.kind, ParticipantKind::Standard);
    assert!(info.local.sid.starts_with("PA_"));
    assert!(!info.sif_trailer.is_empty());
    assert!(info.subscriber_primary);
    assert!(info.others.is_empty());
    assert_eq!(info.server_version, "1.13.5");
    assert!(info.publish_codecs.contains(&"video/VP8".to_owned()));
    assert_eq!(info.ping_interval, Duration::from_secs(5));
    // The subscriber connection is offered without being asked for, with candidates.
    let offer = guest
        .wait_for(|event| match event {
            Event::Offer(offer) => Some(offer.clone()),
            _ => None,
        })
        .await;
    assert!(offer.sdp.contains("m=application"), "{}", offer.sdp);
    guest
        .wait_for(|event| match event {
            Event::Trickle {
                target: Target::Subscriber,
                init_json,
                ..
            } => init_json.contains("candidate:").then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn two_clients_see_each_other_come_and_go() {
    let server = Server::start().await;
    let (mut alice, info) = Guest::join(&server.address(), "atrium", "alice").await;
    let alice_sid = info.local.sid;
    let (bob, info) = Guest::join(&server.address(), "atrium", "bob").await;
    assert_eq!(info.others.len(), 1);
    assert_eq!(info.others[0].identity, "alice");
    assert_eq!(info.others[0].sid, alice_sid);
    let (_elsewhere, info) = Guest::join(&server.address(), "cellar", "carol").await;
    assert!(info.others.is_empty());
    let bob_is = |wanted: ParticipantState| {
        move |event: &Event| match event {
            Event::Participants(changed) => changed
                .iter()
                .find(|p| p.identity == "bob" && p.state == wanted)
                .map(|p| p.sid.clone()),
            _ => None,
        }
    };
    let came = alice.wait_for(bob_is(ParticipantState::Joined)).await;
    bob.handle.leave();
    let gone = alice.wait_for(bob_is(ParticipantState::Disconnected)).await;
    assert_eq!(came, gone);
}

#[tokio::test]
async fn a_track_is_published_as_sealed() {
    let server = Server::start().await;
    let (mut guest, _) = Guest::join(&server.address(), "atrium", "box").await;
    guest.handle.add_track(camera("cid-1"));
    let track = guest
        .wait_for(|event| match event {
            Event::TrackPublished { cid, track } if cid == "cid-1" => Some(track.clone()),
            _ => None,
        })
        .await;
    assert!(track.sid.starts_with("TR_"));
    assert_eq!(track.encryption, Encryption::Gcm);
    assert_eq!(track.kind, TrackKind::Video);
    assert_eq!(track.source, TrackSource::Camera);
    assert!(track.disable_red);
    assert_eq!((track.width, track.height), (1280, 720));
}

#[tokio::test]
async fn leaving_ends_the_session_and_the_others_are_told() {
    let server = Server::start().await;
    let (mut alice, _) = Guest::join(&server.address(), "atrium", "alice").await;
    let (mut bob, _) = Guest::join(&server.address(), "atrium", "bob").await;
    bob.handle.leave();
    assert_eq!(bob.disconnected().await, (Reason::Left, false));
    assert!(bob.ended().await.is_empty());
    assert!(bob.handle.is_closed());
    alice
        .wait_for(|event| match event {
            Event::Participants(changed) => changed
                .iter()
                .any(|p| p.identity == "bob" && p.state == ParticipantState::Disconnected)
                .then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn a_client_that_nobody_holds_any_more_leaves() {
    let server = Server::start().await;
    let (mut alice, _) = Guest::join(&server.address(), "atrium", "alice").await;
    let (bob, _) = Guest::join(&server.address(), "atrium", "bob").await;
    drop(bob);
    alice
        .wait_for(|event| match event {
            Event::Participants(changed) => changed
                .iter()
                .any(|p| p.identity == "bob" && p.state == ParticipantState::Disconnected)
                .then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn the_older_of_two_clients_with_one_identity_stops_for_good() {
    let server = Server::start().await;
    let (mut first, _) = Guest::join(&server.address(), "atrium", "box").await;
    let (_second, _) = Guest::join(&server.address(), "atrium", "box").await;
    let (reason, will_retry) = first.disconnected().await;
    assert_eq!(reason, Reason::Server(LeaveReason::DuplicateIdentity));
    assert!(reason.to_string().contains("its own identity"), "{reason}");
    assert!(!will_retry);
    first.ended().await;
}

#[tokio::test]
async fn a_removed_client_does_not_come_back() {
    let server = Server::start().await;
    let (mut guest, _) = Guest::join(&server.address(), "atrium", "box").await;
    let json = r#"{"room": "atrium", "identity": "box"}"#;
    server.administer("atrium", "RemoveParticipant", json).await;
    let (reason, will_retry) = guest.disconnected().await;
    assert_eq!(reason, Reason::Server(LeaveReason::Removed));
    assert!(!will_retry);
    guest.ended().await;
}

#[tokio::test]
async fn the_rooms_metadata_is_told() {
    let server = Server::start().await;
    let (mut guest, _) = Guest::join(&server.address(), "atrium", "box").await;
    let json = r#"{"room": "atrium", "metadata": "agenda"}"#;
    server
        .administer("atrium", "UpdateRoomMetadata", json)
        .await;
    guest
        .wait_for(|event| match event {
            Event::Room(room) => (room.metadata == "agenda").then_some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn who_has_the_api_key_administers_the_room() {
    let server = Server::start().await;
    let admin = Admin::new(&config(
        &server.address(),
        TokenSource::Minted(Box::new(mint("atrium", "box"))),
    ))
    .unwrap();
    let (mut boxed, _) = Guest::join(&server.address(), "atrium", "box").await;
    let (mut guest, _) = Guest::join(&server.address(), "atrium", "guest").await;
    admin.update_metadata("agenda".into()).await.unwrap();
    boxed
        .wait_for(|event| match event {
            Event::Room(room) => (room.metadata == "agenda").then_some(()),
            _ => None,
        })
        .await;
    admin.remove("guest".into()).await.unwrap();
    let (reason, _) = guest.disconnected().await;
    assert_eq!(reason, Reason::Server(LeaveReason::Removed));
    let nobody = admin.remove("nobody".into()).await.unwrap_err();
    assert!(
        matches!(nobody, Error::Http { status: 404, .. }),
        "{nobody}"
    );
    admin.end_room().await.unwrap();
    let (reason, will_retry) = boxed.disconnected().await;
    assert_eq!(reason, Reason::Server(LeaveReason::RoomDeleted));
    assert!(!will_retry);
}

#[tokio::test]
async fn a_session_goes_on_over_a_new_connection() {
    let server = Server::start().await;
    let network = Network::before(server.port()).await;
    let (mut guest, info) = Guest::join(&network.address(), "atrium", "box").await;
    guest.handle.add_track(camera("cid-1"));
    guest
        .wait_for(|event| matches!(event, Event::TrackPublished { .. }).then_some(()))
        .await;
    network.cut();
    guest
        .wait_for(|event| matches!(event, Event::Resumed(_)).then_some(()))
        .await;
    // The same participant, and the server restarts the subscriber's ICE.
    guest
        .wait_for(|event| match event {
            Event::Participants(changed) => changed
                .iter()
                .any(|p| p.sid == info.local.sid)
                .then_some(()),
            _ => None,
        })
        .await;
    // A track published before is known after.
    guest.handle.add_track(camera("cid-2"));
    guest
        .wait_for(|event| match event {
            Event::TrackPublished { cid, .. } => (cid == "cid-2").then_some(()),
            _ => None,
        })
        .await;
    let seen = guest.seen();
    assert!(!seen.contains(&Event::RestartMedia), "{seen:#?}");
}

#[tokio::test]
async fn a_new_connection_asked_for_replaces_the_old_one_before_that_closes() {
    let server = Server::start().await;
    let (mut guest, info) = Guest::join(&server.address(), "atrium", "box").await;
    // Without media the server ends a session as soon as its last connection closes.
    guest.handle.resume(MediaTrouble::Subscriber);
    guest
        .wait_for(|event| matches!(event, Event::Resumed(_)).then_some(()))
        .await;
    guest
        .wait_for(|event| match event {
            Event::Participants(changed) => changed
                .iter()
                .any(|p| p.sid == info.local.sid)
                .then_some(()),
            _ => None,
        })
        .await;
    let seen = guest.seen();
    assert!(!seen.contains(&Event::RestartMedia), "{seen:#?}");
}

#[tokio::test]
async fn a_new_session_is_joined_when_asked_for() {
    let server = Server::start().await;
    let (mut guest, first) = Guest::join(&server.address(), "atrium", "box").await;
    guest.handle.rejoin("the fingerprint is wrong");
    let second = guest.joined().await;
    assert_eq!(second.join, 2);
    assert_ne!(first.local.sid, second.local.sid);
    let seen = guest.seen();
    let restart = seen.iter().position(|e| *e == Event::RestartMedia);
    let joined = seen.len() - 1;
    assert!(restart.is_some_and(|restart| restart < joined), "{seen:#?}");
}

#[tokio::test]
async fn after_a_restart_of_the_server_the_client_is_back_within_five_seconds() {
    let mut server = Server::start().await;
    let (mut guest, first) = Guest::join(&server.address(), "atrium", "box").await;
    server.kill().await;
    guest
        .wait_for(|event| match event {
            Event::Disconnected { reason, will_retry } => {
                assert!(will_retry);
                let text = reason.to_string();
                assert!(text.contains("is the server running?"), "{text}");
                Some(())
            }
            _ => None,
        })
        .await;
    server.restart().await;
    let back = Instant::now();
    let second = guest.joined().await;
    assert!(
        back.elapsed() < Duration::from_secs(5),
        "{:?}",
        back.elapsed()
    );
    assert_eq!(second.join, 2);
    assert_ne!(first.local.sid, second.local.sid);
    // A resume was tried first, which a new server knows nothing of.
    let seen = guest.seen();
    let unknown = |event: &Event| {
        matches!(
            event,
            Event::Reconnecting {
                reason: Reason::Server(LeaveReason::StateMismatch),
                resume: false
            }
        )
    };
    assert!(seen.iter().any(unknown), "{seen:#?}");
    assert!(seen.contains(&Event::RestartMedia), "{seen:#?}");
}

#[tokio::test]
async fn a_client_that_starts_before_its_server_waits_for_it() {
    let mut server = Server::start().await;
    server.kill().await;
    let mut guest = Guest::new(&server.address(), "atrium", "box");
    let (reason, will_retry) = guest.disconnected().await;
    assert!(will_retry);
    let expected = format!(
        "cannot connect to 127.0.0.1:{} (connection refused): is the server running?",
        server.port()
    );
    assert_eq!(reason.to_string(), expected);
    server.restart().await;
    guest.joined().await;
}
