// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub as clients find it on the network: who is let in, and what floods and garbage do to others.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod admin;
#[path = "../harness/mod.rs"]
mod harness;
mod page;
mod tcp;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures_util::SinkExt as _;
use livekit_protocol::signal_request::Message as Ask;
use livekit_protocol::signal_response::Message as Say;
use livekit_protocol::{self as proto};
use livekit_token::{AccessToken, VideoGrants};
use prost::Message as _;
use roomseal_hub::forward::Addresses;
use roomseal_hub::people::{Clock, People};
use roomseal_hub::{Config, Hub, Pages};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use harness::{Client, SECRET, SOON, bind, config};

/// A hub on loopback: where signalling and media go.
async fn hub() -> (SocketAddr, Addresses) {
    hub_with(None).await
}

async fn hub_with(pages: Option<Pages>) -> (SocketAddr, Addresses) {
    let people = Arc::new(People::in_memory(Clock::system()).await.unwrap());
    let hub = bind(people, pages, None).await;
    let (signalling, media) = (hub.address().unwrap(), hub.media().unwrap());
    tokio::spawn(hub.serve());
    (signalling, media)
}

fn token(identity: &str, room: &str) -> String {
    AccessToken::with_api_key("key", SECRET)
        .with_identity(identity)
        .with_grants(VideoGrants {
            room_join: true,
            room: room.into(),
            can_update_own_metadata: Some(true),
            ..VideoGrants::default()
        })
        .to_jwt()
        .unwrap()
}

/// The status line and the body of an answer.
async fn get(hub: SocketAddr, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(hub).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, body.to_owned())
}

async fn join(hub: SocketAddr, identity: &str, room: &str) -> Result<Client, u16> {
    Client::connect(hub, &token(identity, room)).await
}

#[tokio::test]
async fn a_token_that_is_refused_is_answered_with_the_reason() {
    let (hub, _) = hub().await;
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let good = token("ann", "room");
    assert_eq!(
        get(hub, "/rtc/validate", &bearer(&good)).await,
        (200, "success".into())
    );
    let path = format!("/rtc/validate?access_token={good}");
    assert_eq!(get(hub, &path, "").await.0, 200);
    let forged = AccessToken::with_api_key("key", "guessed")
        .with_identity("ann")
        .to_jwt()
        .unwrap();
    let (status, body) = get(hub, "/rtc/validate", &bearer(&forged)).await;
    assert_eq!(status, 401);
    assert!(body.contains("signature"), "{body}");
    assert_eq!(get(hub, "/rtc", &bearer(&forged)).await.0, 401);
    assert_eq!(get(hub, "/rtc", "").await.0, 401);
    // A valid token is not enough: this is for WebSockets.
    assert_eq!(get(hub, "/rtc", &bearer(&good)).await.0, 400);
    // Clients that try the newer protocol first go on with this one.
    assert_eq!(get(hub, "/rtc/v1", &bearer(&good)).await.0, 404);
    assert_eq!(get(hub, "/", "").await, (200, "OK".into()));
}

#[tokio::test]
async fn a_full_room_and_a_full_hub_say_so() {
    let (hub, _) = hub().await;
    let mut members = Vec::new();
    for identity in ["ann", "bob", "cem"] {
        members.push(join(hub, identity, "one").await.unwrap());
    }
    assert_eq!(join(hub, "dee", "one").await.err(), Some(503));
    members.push(join(hub, "dee", "two").await.unwrap());
    assert_eq!(join(hub, "eve", "three").await.err(), Some(503));
    for member in &mut members {
        member.is_served().await;
    }
}

#[tokio::test]
async fn the_older_of_two_with_the_same_identity_is_told_and_cut_off() {
    let (hub, _) = hub().await;
    let mut older = join(hub, "ann", "room").await.unwrap();
    let mut newer = join(hub, "ann", "room").await.unwrap();
    let reason = older
        .hear(|say| match say {
            Say::Leave(leave) => Some(leave.reason()),
            _ => None,
        })
        .await;
    assert_eq!(reason, proto::DisconnectReason::DuplicateIdentity);
    assert!(older.ends().await);
    newer.is_served().await;
}

#[tokio::test]
async fn who_sends_garbage_is_cut_off_and_the_others_go_on() {
    let (hub, media) = hub().await;
    let mut ann = join(hub, "ann", "room").await.unwrap();
    let mut eve = join(hub, "eve", "room").await.unwrap();
    for _ in 0..100 {
        let _ = eve.socket.send(Message::binary(vec![0xff; 1000])).await;
    }
    assert!(eve.ends().await);
    ann.is_served().await;

    // A message larger than any that makes sense.
    let mut eve = join(hub, "eve", "room").await.unwrap();
    let _ = eve.socket.send(Message::binary(vec![0; 4 << 20])).await;
    assert!(eve.ends().await);
    ann.is_served().await;

    // Descriptions that are none.
    let mut eve = join(hub, "eve", "room").await.unwrap();
    let offer = proto::SessionDescription {
        r#type: "offer".into(),
        sdp: "v=0\r\nm=video 9 nonsense\r\n".into(),
        ..Default::default()
    };
    eve.ask(Ask::Offer(offer)).await;
    let reason = eve
        .hear(|say| match say {
            Say::Leave(leave) => Some(leave.reason()),
            _ => None,
        })
        .await;
    assert_eq!(reason, proto::DisconnectReason::StateMismatch);
    ann.is_served().await;

    // Packets from nowhere, of every kind that RFC 7983 tells apart.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    for first in 0..=255 {
        for length in [1, 12, 20, 1500] {
            let mut packet = vec![first; length];
            packet[0] = first;
            socket.send_to(&packet, media.udp).await.unwrap();
        }
    }
    ann.is_served().await;
}

#[tokio::test]
async fn who_does_not_take_what_it_is_sent_holds_nobody_up() {
    let (hub, _) = hub().await;
    let mut ann = join(hub, "ann", "room").await.unwrap();
    let mut slow = join(hub, "slow", "room").await.unwrap();
    slow.is_served().await;
    // Each is told to everybody; together they are more than sockets and queues hold.
    for number in 0..400 {
        let update = proto::UpdateParticipantMetadata {
            metadata: format!("{number:060000}"),
            request_id: number,
            ..Default::default()
        };
        ann.ask(Ask::UpdateMetadata(update)).await;
        ann.hear(|say| match say {
            Say::RequestResponse(response) if response.request_id == number => Some(()),
            _ => None,
        })
        .await;
    }
    ann.is_served().await;
    assert!(slow.ends().await, "what was queued is all it gets");
}

#[tokio::test]
async fn a_proxy_that_was_named_carries_more_connections_than_one_address_may() {
    let here = Ipv4Addr::LOCALHOST.into();
    for (proxies, most) in [(Vec::new(), 64), (vec![here], 80)] {
        let people = Arc::new(People::in_memory(Clock::system()).await.unwrap());
        let hub = Hub::bind(Config {
            proxies,
            ..config(people)
        });
        let hub = hub.await.unwrap();
        let address = hub.address().unwrap();
        tokio::spawn(hub.serve());
        let mut held = Vec::new();
        for _ in 0..80 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Who is not let in may be cut off before it has said anything.
            let _ = stream
                .write_all(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n")
                .await;
            let mut answer = [0; 12];
            let read = timeout(SOON, stream.read_exact(&mut answer)).await.unwrap();
            if read.is_ok() && answer == *b"HTTP/1.1 200" {
                held.push(stream);
            }
        }
        assert_eq!(held.len(), most);
    }
}
