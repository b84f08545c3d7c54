// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a real server lets a client not in, told so that somebody can do something about it.

use std::time::Duration;

use livekit_token::{AccessToken, VideoGrants};
use roomseal_service::livekit::{Error, Mint, Reason, Secret, Token, TokenSource};

use super::{
    client::{Guest, KEY, SECRET, config, mint},
    fake::{Fake, read_head},
    server::Server,
};

async fn refused(address: &str, token: Token) -> Error {
    let mut guest = Guest::connect(config(address, TokenSource::Given(token)));
    let (reason, will_retry) = guest.disconnected().await;
    let Reason::Connect(error) = reason else {
        panic!("{reason:?}");
    };
    assert!(!will_retry, "{error}");
    guest.ended().await;
    assert!(
        !error.to_string().contains("eyJ"),
        "the token is in: {error}"
    );
    error
}

#[tokio::test]
async fn an_expired_token_is_called_expired_with_its_age() {
    let server = Server::start().await;
    // Signed with the test key: {"exp":1700000000,"iss":"APItest","nbf":1690000000,"sub":"box",
    // "video":{"roomJoin":true,"room":"atrium"}}.
    let token = Token::parse(concat!(
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.",
        "eyJleHAiOjE3MDAwMDAwMDAsImlzcyI6IkFQSXRlc3QiLCJuYmYiOjE2OTAwMDAwMDAsInN1YiI6ImJveCIsInZpZGVvIjp7InJvb21Kb2luIjp0cnVlLCJyb29tIjoiYXRyaXVtIn19.",
        "vzViqh4T8S1p9WjSn0_Ve5yc2p7eYEA9HOSkAIObQxk"
    ))
    .unwrap();
    let error = refused(&server.address(), token).await;
    let text = error.to_string();
    assert!(text.contains("the token expired"), "{text}");
    assert!(text.contains("days ago"), "{text}");
    assert!(text.contains("make a new one"), "{text}");
}

#[tokio::test]
async fn a_token_of_another_servers_key_says_so() {
    let server = Server::start().await;
    let other = Mint::new("APIother", Secret::new(SECRET), "atrium", "box");
    let text = refused(&server.address(), other.token().unwrap())
        .await
        .to_string();
    assert!(text.contains("does not know the API key"), "{text}");
}

#[tokio::test]
async fn a_token_with_a_wrong_signature_is_refused_without_being_shown() {
    let server = Server::start().await;
    let other = Mint::new(
        KEY,
        Secret::new("not the secret of this server"),
        "atrium",
        "box",
    );
    let error = refused(&server.address(), other.token().unwrap()).await;
    assert!(matches!(error, Error::TokenRefused { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("eyJ"));
}

#[tokio::test]
async fn a_token_that_may_not_join_says_what_is_missing() {
    let server = Server::start().await;
    let jwt = AccessToken::with_api_key(KEY, SECRET)
        .with_identity("box")
        .with_grants(VideoGrants {
            room: "atrium".into(),
            ..Default::default()
        })
        .to_jwt()
        .unwrap();
    let token = Token::parse(jwt).unwrap();
    let text = refused(&server.address(), token).await.to_string();
    assert!(text.contains("roomJoin"), "{text}");
}

#[tokio::test]
async fn a_minted_token_with_a_wrong_secret_stops_the_client() {
    let server = Server::start().await;
    let wrong = Mint::new(
        KEY,
        Secret::new("not the secret of this server"),
        "atrium",
        "box",
    );
    let tokens = TokenSource::Minted(Box::new(wrong));
    let mut guest = Guest::connect(config(&server.address(), tokens));
    let (reason, will_retry) = guest.disconnected().await;
    assert!(
        matches!(reason, Reason::Connect(Error::TokenRefused { .. })),
        "{reason:?}"
    );
    assert!(!will_retry);
}

#[tokio::test]
async fn a_minted_token_that_is_too_old_at_birth_blames_the_clock_and_is_tried_again() {
    let fake = Fake::http(
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\ninvalid token: eyJx.eyJy.z, error: \
         go-jose/go-jose/jwt: validation failed, token is expired (exp)",
    )
    .await;
    let mut guest = Guest::new(&fake.address(), "atrium", "box");
    let (reason, will_retry) = guest.disconnected().await;
    assert!(will_retry);
    assert!(reason.to_string().contains("clock"), "{reason}");
    assert!(!reason.to_string().contains("eyJ"), "{reason}");
}

#[tokio::test]
async fn a_room_that_must_be_made_first_is_named() {
    let fake = Fake::http(
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nrequested room does not exist",
    )
    .await;
    let mut guest = Guest::new(&fake.address(), "atrium", "box");
    let (reason, _) = guest.disconnected().await;
    assert_eq!(reason, Reason::Connect(Error::RoomNotFound));
}

#[tokio::test]
async fn another_kind_of_server_is_told_from_a_livekit_server() {
    for answer in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot found",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>Welcome to nginx!</html>",
        "HTTP/1.1 301 Moved\r\nLocation: https://example.org/\r\nConnection: close\r\n\r\n",
    ] {
        let fake = Fake::http(answer).await;
        let mut guest = Guest::new(&fake.address(), "atrium", "box");
        let (reason, will_retry) = guest.disconnected().await;
        let text = reason.to_string();
        assert!(text.contains("not a LiveKit server"), "{answer}: {text}");
        assert!(text.contains("/rtc"), "{text}");
        assert!(will_retry);
    }
}

#[tokio::test]
async fn a_proxy_that_loses_the_upgrade_is_recognised() {
    let fake = Fake::tcp(|_, mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        let answer: &[u8] = if head.starts_with("GET /rtc/validate ") {
            assert!(head.contains("Authorization: Bearer eyJ"), "{head}");
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsuccess"
        } else {
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        };
        let _ = stream.write_all(answer).await;
    })
    .await;
    let mut guest = Guest::new(&fake.address(), "atrium", "box");
    let (reason, _) = guest.disconnected().await;
    assert!(
        reason.to_string().contains("Upgrade: websocket"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up_in_time() {
    let fake = Fake::tcp(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let start = std::time::Instant::now();
    let mut guest = Guest::new(&fake.address(), "atrium", "box");
    let (reason, will_retry) = guest.disconnected().await;
    assert!(
        matches!(reason, Reason::Connect(Error::Timeout { .. })),
        "{reason:?}"
    );
    assert!(will_retry);
    assert!(start.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    // RFC 6761 6.4: no resolver knows a name under `invalid`.
    let address = "wss://meet.roomseal.invalid";
    let mut guest = Guest::new(address, "atrium", "box");
    let (reason, will_retry) = guest.disconnected().await;
    assert!(will_retry);
    let text = reason.to_string();
    // A machine without any resolver may need longer than an attempt takes.
    assert!(
        text.contains("cannot find meet.roomseal.invalid") || text.contains("did not answer"),
        "{text}"
    );
}

#[tokio::test]
async fn an_unreadable_token_never_reaches_a_server() {
    let error = Token::parse("not a token").unwrap_err();
    assert!(error.is_final());
    let mut mint = mint("atrium", "box");
    mint.identity.clear();
    let tokens = TokenSource::Minted(Box::new(mint));
    let mut guest = Guest::connect(config("ws://127.0.0.1:1", tokens));
    let (reason, will_retry) = guest.disconnected().await;
    assert!(!will_retry);
    assert!(reason.to_string().contains("no identity"), "{reason}");
}
