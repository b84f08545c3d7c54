// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a LiveKit server says by itself, as its configuration has it say: signed by that server, taken by the hub.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use roomseal_policy::E2ee;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::harness::SOON;
use super::hosts::{Meeting, left};
use super::*;

/// Stands between the server and a hub, whose address nobody knows before it is there, and remembers what went by.
#[derive(Clone)]
struct Post {
    address: SocketAddr,
    hub: Arc<OnceLock<SocketAddr>>,
    /// Which event it was, and the status that it was answered with.
    passed: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Post {
    async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let post = Self {
            address: listener.local_addr().unwrap(),
            hub: Arc::default(),
            passed: Arc::default(),
        };
        let at_work = post.clone();
        tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let post = at_work.clone();
                // What is lost is missing in what passed.
                tokio::spawn(async move { post.pass(server).await });
            }
        });
        post
    }

    /// Hands one message to the hub, and its answer back.
    async fn pass(&self, mut server: TcpStream) -> std::io::Result<()> {
        let mut message = Vec::new();
        let (head, body) = loop {
            if server.read_buf(&mut message).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&message);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let is_it = name.eq_ignore_ascii_case("content-length");
                is_it.then(|| value.parse::<usize>().unwrap())
            });
            if length.is_none_or(|length| body.len() >= length) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let event = serde_json::from_str::<Value>(&body).unwrap()["event"].clone();
        let Some(hub) = self.hub.get() else {
            return Ok(());
        };
        let mut hub = TcpStream::connect(hub).await?;
        let request = format!("{head}\r\nConnection: close\r\n\r\n{body}");
        hub.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        hub.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let event = event.as_str().unwrap().to_owned();
        self.note(event, status);
        server.write_all(answer.as_bytes()).await
    }

    fn note(&self, event: String, status: u16) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.push((event, status));
    }

    fn passed(&self) -> Vec<(String, u16)> {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        passed.clone()
    }

    /// Waits until the hub has answered this event.
    async fn answered(&self, event: &str) {
        let began = Instant::now();
        while !self.passed().iter().any(|(it, _)| it == event) {
            assert!(began.elapsed() < SOON, "{event}: {:?}", self.passed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn what_the_server_says_by_itself_is_taken_and_has_the_hub_look_at_once() {
    let post = Post::open().await;
    let url = format!("http://{}/api/livekit/webhook", post.address);
    let office = Office::holding(Held::that_says(&url), None, None).await;
    post.hub.set(office.address).unwrap();
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    assert_eq!(meeting.say(&office, E2ee::On).await.status, 200);
    let _host = Client::connect(office.address, &meeting.token)
        .await
        .unwrap();
    post.answered("room_started").await;
    let tap = async |number: u8| {
        let token = meeting.token_for(&format!("tap-{number}"), "egress");
        let mut tap = Client::connect(office.address, &token).await.unwrap();
        left(&mut tap).await;
    };
    tap(0).await;
    // By itself the hub looks each second, and has just looked: so each of these would stay for about a second. But the
    // server says of each that it is gone, and the next is there when the hub looks for that.
    let began = Instant::now();
    for number in 1..=5 {
        tap(number).await;
    }
    let took = began.elapsed();
    println!("five programs were there for {took:?} in all");
    assert!(took < Duration::from_secs(3), "{took:?}");
    // What a server says of who leaves before its media came.
    post.answered("participant_connection_aborted").await;
    for (event, status) in post.passed() {
        assert_eq!(status, 204, "{event}");
    }
}
