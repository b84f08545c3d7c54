// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may ask for what, and what they get.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use http_body_util::{BodyExt, Limited, channel::Channel};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use zeroize::Zeroizing;

use super::answer::{self, Body};
use super::{READING, assets, state};
use crate::control::{Control, Origin, Reply, Spoken};
use crate::status::{Renewals, Status};

/// A wish with the longest key is shorter.
const LONGEST_WISH: usize = 8 * 1024;

/// Pages that watch at once, so that some connections stay free for commands.
const MOST_WATCHING: usize = 16;

/// Counters move all the time; a page that is drawn more often cannot be read.
const EVERY: Duration = Duration::from_millis(250);

/// So often something is sent, so that both sides notice when the other is gone.
const ALIVE: Duration = Duration::from_secs(1);

/// The token that proves a command to come from this page.
const TOKEN: HeaderName = HeaderName::from_static("x-roomseal-token");

/// What answers are made of.
pub(super) struct Desk {
    address: SocketAddr,
    status: watch::Receiver<Status>,
    renewals: Renewals,
    control: Control,
    /// Only scripts of this origin can read it: a page of somebody else can send requests here, but not see answers.
    token: String,
    watching: Arc<Semaphore>,
}

/// What a page asks for first.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Session<'a> {
    token: &'a str,
}

impl Desk {
    pub(super) fn new(
        address: SocketAddr,
        status: watch::Receiver<Status>,
        renewals: Renewals,
        control: Control,
    ) -> anyhow::Result<Self> {
        let mut token = [0; 32];
        getrandom::fill(&mut token).map_err(|error| anyhow!("no random bytes: {error}"))?;
        Ok(Self {
            address,
            status,
            renewals,
            control,
            token: hex::encode(token),
            watching: Arc::new(Semaphore::new(MOST_WATCHING)),
        })
    }

    /// Whether the request was meant for this page: a foreign name that leads here is an attack on the visitor.
    fn is_addressed(&self, host: &str) -> bool {
        let port = self.address.port();
        // Browsers leave the usual port out.
        let usual = (port == 80).then_some(host);
        let Some(name) = host.strip_suffix(&format!(":{port}")).or(usual) else {
            return false;
        };
        // IPv6 addresses stand in brackets, and so does `self.address` when it is one.
        name == "localhost" || format!("{name}:{port}") == self.address.to_string()
    }
}

/// Answers one request.
pub(super) async fn answer(desk: &Desk, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Some(host) = host(&head).filter(|host| desk.is_addressed(host)) else {
        return answer::text(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the address of this page; use the one that the box shows",
        );
    };
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/api/session") => {
            answer::json(StatusCode::OK, &Session { token: &desk.token })
        }
        (&Method::GET, "/api/state") => {
            let state = state::of(&desk.status.borrow(), desk.renewals.is_fresh());
            answer::json(StatusCode::OK, &state)
        }
        (&Method::GET, "/api/events") => events(desk),
        (&Method::POST, "/api/wish") => match refused(desk, &head, host) {
            Some(refusal) => refusal,
            None => wish(desk, body).await,
        },
        (&Method::GET, path) => match assets::find(path) {
            Some((kind, bytes)) => answer::bytes(StatusCode::OK, kind, Bytes::from_static(bytes)),
            None => answer::text(StatusCode::NOT_FOUND, "there is nothing here"),
        },
        _ => answer::text(StatusCode::METHOD_NOT_ALLOWED, "not understood"),
    }
}

/// What the visitor's browser believes to talk to. Two such headers are one too many.
fn host(head: &Parts) -> Option<&str> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Why a command is not even looked at.
fn refused(desk: &Desk, head: &Parts, host: &str) -> Option<Response<Body>> {
    let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let own = format!("http://{host}");
    let why = if text(&header::ORIGIN) != Some(own.as_str()) {
        "commands come from this page only; open it and press there"
    } else if text(&TOKEN) != Some(desk.token.as_str()) {
        "this page is of an earlier start of the box; reload it"
    } else if text(&header::CONTENT_TYPE) != Some("application/json") {
        "a command is one JSON object"
    } else {
        return None;
    };
    Some(answer::text(StatusCode::FORBIDDEN, why))
}

async fn wish(desk: &Desk, body: Incoming) -> Response<Body> {
    let reading = tokio::time::timeout(READING, Limited::new(body, LONGEST_WISH).collect());
    // Too long, too slow, or broken off: nobody waits for the answer.
    let Ok(Ok(read)) = reading.await else {
        return answer::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a command is short and quick",
        );
    };
    let bytes = Zeroizing::new(read.to_bytes().to_vec());
    let Ok(wish) = serde_json::from_slice::<Spoken>(&bytes) else {
        return answer::text(StatusCode::BAD_REQUEST, "not understood");
    };
    // Deriving a key takes its time.
    let reply = match tokio::task::spawn_blocking(move || wish.understand()).await {
        Ok(Ok(command)) => desk.control.order(Origin::LocalPage, command).await,
        Ok(Err(error)) => Reply::NotNow(error.to_string()),
        Err(_) => Reply::NotNow("the box is stopping; start it again".to_owned()),
    };
    answer::json(StatusCode::OK, &reply)
}

/// The state now, and after every change.
fn events(desk: &Desk) -> Response<Body> {
    let Ok(place) = Arc::clone(&desk.watching).try_acquire_owned() else {
        return answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages watch this box; close one",
        );
    };
    let (mut sender, channel) = Channel::new(1);
    let mut status = desk.status.clone();
    let renewals = desk.renewals.clone();
    tokio::spawn(async move {
        let _place = place;
        loop {
            let fresh = renewals.is_fresh();
            let state = serde_json::to_string(&state::of(&status.borrow_and_update(), fresh));
            let Ok(state) = state else { return };
            // JSON has no line ends of its own, so this is one event.
            let event = Bytes::from(format!("data: {state}\n\n"));
            if sender.send_data(event).await.is_err() {
                return;
            }
            tokio::time::sleep(EVERY).await;
            loop {
                match tokio::time::timeout(ALIVE, status.changed()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return,
                    // Nothing changed but the age of the verdict.
                    Err(_) if renewals.is_fresh() != fresh => break,
                    Err(_) => {
                        let alive = Bytes::from_static(b"event: alive\ndata:\n\n");
                        if sender.send_data(alive).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    });
    answer::events(channel)
}
