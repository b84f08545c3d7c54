// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may ask for what, and what they get.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use http_body_util::{BodyExt, Limited, channel::Channel};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::answer::{self, Body};
use super::gate::Gate;
use super::passes::{By, Pass, Standing};
use super::state::{self, Place, SignIn};
use super::{READING, assets, invitation};
use crate::control::{Control, Origin, Reply, Spoken, SpokenSecret};
use crate::password::PagePassword;
use crate::status::Publisher;

/// A line of chat, written in escapes, is the longest wish.
const LONGEST_WISH: usize = 6 * crate::session::LONGEST_LINE + 256;

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
    publisher: Publisher,
    control: Control,
    door: Door,
    watching: Arc<Semaphore>,
}

/// Whom this page is for.
enum Door {
    /// Whoever is at the box. Only scripts of this origin can read the token: a page of somebody else can send requests
    /// here, but not see answers.
    Box { token: String },
    /// Devices on the network that were paired.
    Network { gate: Arc<Gate>, names: Vec<String> },
}

/// Who asks.
struct Caller {
    origin: Origin,
    token: String,
    /// Of a paired device.
    pass: Option<Pass>,
}

/// What a page asks for first.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Session<'a> {
    /// Without it, the page has to be paired.
    token: Option<&'a str>,
    /// Whether it can also be let in by a password.
    password: bool,
}

/// What a device types to be paired.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    code: String,
}

/// The same, of who knows the password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    password: SpokenSecret,
}

impl Gate {
    /// Where the page of a device is, and what it can become there.
    fn place(&self, pass: &Pass) -> Option<Place> {
        let Standing { by, host } = self.standing(pass)?;
        Some(Place::Network(match (host, self.has_password(), by) {
            (true, ..) => SignIn::Done,
            (false, false, _) => SignIn::No,
            (false, true, By::Code) => SignIn::Offered,
            (false, true, By::Password) => SignIn::TakesCode,
        }))
    }
}

impl Desk {
    /// For whoever is at the box.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn at_the_box(
        address: SocketAddr,
        publisher: Publisher,
        control: Control,
    ) -> anyhow::Result<Self> {
        let mut token = [0; 32];
        getrandom::fill(&mut token).map_err(|error| anyhow!("no random bytes: {error}"))?;
        let token = hex::encode(token);
        Ok(Self::behind(
            Door::Box { token },
            address,
            publisher,
            control,
        ))
    }

    /// For paired devices, and for who knows the password.
    pub(super) fn on_the_network(
        address: SocketAddr,
        names: Vec<String>,
        password: Option<PagePassword>,
        publisher: Publisher,
        control: Control,
    ) -> Self {
        let gate = Arc::new(Gate::new(publisher.clone(), password));
        Self::behind(Door::Network { gate, names }, address, publisher, control)
    }

    fn behind(door: Door, address: SocketAddr, publisher: Publisher, control: Control) -> Self {
        Self {
            address,
            publisher,
            control,
            door,
            watching: Arc::new(Semaphore::new(MOST_WATCHING)),
        }
    }

    /// Whether the request was meant for this page: a foreign name that leads here is an attack on the visitor.
    /// `local` is the address of this machine that the visitor reached.
    fn is_addressed(&self, host: &str, local: IpAddr) -> bool {
        let port = self.address.port();
        // Browsers leave the usual port out.
        let usual = match self.door {
            Door::Box { .. } => 80,
            Door::Network { .. } => 443,
        };
        let bare = (port == usual).then_some(host);
        let Some(name) = host.strip_suffix(&format!(":{port}")).or(bare) else {
            return false;
        };
        match &self.door {
            // IPv6 addresses stand in brackets, and so does `self.address` when it is one.
            Door::Box { .. } => {
                name == "localhost" || format!("{name}:{port}") == self.address.to_string()
            }
            Door::Network { names, .. } => {
                let local = SocketAddr::new(local.to_canonical(), port).to_string();
                format!("{name}:{port}") == local
                    || names.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
        }
    }

    /// What the page calls itself, where a browser says who sent a request.
    fn origin_of(&self, host: &str) -> String {
        match self.door {
            Door::Box { .. } => format!("http://{host}"),
            Door::Network { .. } => format!("https://{host}"),
        }
    }

    /// Who asks, unless it is a device that is not paired.
    fn caller(&self, head: &Parts) -> Option<Caller> {
        match &self.door {
            Door::Box { token } => Some(Caller {
                origin: Origin::LocalPage,
                token: token.clone(),
                pass: None,
            }),
            Door::Network { gate, .. } => {
                let (pass, standing) = gate.admits(head)?;
                Some(Caller {
                    origin: if standing.host {
                        Origin::Host
                    } else {
                        Origin::Paired
                    },
                    token: pass.token(),
                    pass: Some(pass),
                })
            }
        }
    }

    /// Where the page is that `pass` belongs to; `None`: that device is not paired any more.
    fn place(&self, pass: Option<&Pass>) -> Option<Place> {
        match &self.door {
            Door::Box { .. } => Some(Place::Box),
            Door::Network { gate, .. } => gate.place(pass?),
        }
    }
}

/// Answers one request that reached the address `local` of this machine.
pub(super) async fn answer(
    desk: &Arc<Desk>,
    local: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Some(host) = host(&head).filter(|host| desk.is_addressed(host, local)) else {
        return answer::text(
            StatusCode::MISDIRECTED_REQUEST,
            "this is not the address of this page; use the one that the box shows",
        );
    };
    let caller = desk.caller(&head);
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/api/session") => {
            let token = caller.as_ref().map(|caller| caller.token.as_str());
            let password = match &desk.door {
                Door::Box { .. } => false,
                Door::Network { gate, .. } => gate.has_password(),
            };
            answer::json(StatusCode::OK, &Session { token, password })
        }
        (&Method::GET, "/api/state" | "/api/events") | (&Method::POST, _) => {
            match (caller, &desk.door) {
                (Some(caller), _) => paired(desk, &head, host, body, caller).await,
                (None, Door::Network { gate, .. }) if head.method == Method::POST => {
                    unpaired(desk, gate, &head, host, body).await
                }
                (None, _) => not_paired(),
            }
        }
        (&Method::GET, path) => match assets::find(path) {
            Some((kind, bytes)) => answer::bytes(StatusCode::OK, kind, Bytes::from_static(bytes)),
            None => answer::text(StatusCode::NOT_FOUND, "there is nothing here"),
        },
        _ => answer::text(StatusCode::METHOD_NOT_ALLOWED, "not understood"),
    }
}

/// What the page asks of the box.
async fn paired(
    desk: &Arc<Desk>,
    head: &Parts,
    host: &str,
    body: Incoming,
    caller: Caller,
) -> Response<Body> {
    if head.method == Method::GET {
        return match head.uri.path() {
            "/api/events" => events(desk, caller.pass),
            _ => {
                let Some(place) = desk.place(caller.pass.as_ref()) else {
                    return not_paired();
                };
                let fresh = desk.publisher.renewals().is_fresh();
                let state = state::of(&desk.publisher.watch().borrow(), fresh, place);
                answer::json(StatusCode::OK, &state)
            }
        };
    }
    if let Some(refusal) = foreign(desk, head, host).or_else(|| untold(head, &caller.token)) {
        return refusal;
    }
    match (head.uri.path(), &desk.door) {
        ("/api/wish", _) => wish(desk, body, caller.origin).await,
        ("/api/invitation", Door::Box { .. }) => invite(desk),
        ("/api/invitation", Door::Network { .. }) => answer::text(
            StatusCode::FORBIDDEN,
            "the invitation holds the key of the meeting, so it is shown at the box only",
        ),
        ("/api/sign-in", Door::Network { gate, .. }) => {
            let known = match read(body).await {
                Ok(bytes) => serde_json::from_slice::<Known>(&bytes),
                Err(refusal) => return refusal,
            };
            match (known, &caller.pass) {
                (Ok(known), Some(pass)) => {
                    answer::json(StatusCode::OK, &gate.sign_in(pass, known.password).await)
                }
                _ => answer::text(StatusCode::BAD_REQUEST, "not understood"),
            }
        }
        ("/api/part", Door::Network { gate, .. }) => {
            if let Some(pass) = &caller.pass {
                gate.part(pass);
            }
            let done = Reply::Done("this device is not paired any more".to_owned());
            answer::with_cookie(answer::json(StatusCode::OK, &done), &Pass::no_cookie())
        }
        _ => answer::text(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

/// What a device may ask before it is paired: to be paired, or let in.
async fn unpaired(
    desk: &Desk,
    gate: &Gate,
    head: &Parts,
    host: &str,
    body: Incoming,
) -> Response<Body> {
    if let Some(refusal) = foreign(desk, head, host) {
        return refusal;
    }
    match head.uri.path() {
        "/api/code" => answer::json(StatusCode::OK, &gate.show_code()),
        "/api/pair" => {
            let typed = match read(body).await {
                Ok(bytes) => serde_json::from_slice::<Typed>(&bytes),
                Err(refusal) => return refusal,
            };
            match typed {
                Ok(typed) => admitted(gate.pair(&typed.code)),
                Err(_) => answer::text(StatusCode::BAD_REQUEST, "not understood"),
            }
        }
        "/api/password" => {
            let known = match read(body).await {
                Ok(bytes) => serde_json::from_slice::<Known>(&bytes),
                Err(refusal) => return refusal,
            };
            match known {
                Ok(known) => admitted(gate.enter(known.password).await),
                Err(_) => answer::text(StatusCode::BAD_REQUEST, "not understood"),
            }
        }
        _ => not_paired(),
    }
}

/// Hands out the pass of a device that was let in, or says why it was not.
fn admitted(pass: Result<Pass, Reply>) -> Response<Body> {
    match pass {
        Ok(pass) => {
            let done = Reply::Done("this device is paired".to_owned());
            answer::with_cookie(answer::json(StatusCode::OK, &done), &pass.cookie())
        }
        Err(reply) => answer::json(StatusCode::OK, &reply),
    }
}

fn not_paired() -> Response<Body> {
    answer::text(
        StatusCode::UNAUTHORIZED,
        "this device is not paired with the box; open the page and type the code that the box shows",
    )
}

/// What the visitor's browser believes to talk to. Two such headers are one too many.
fn host(head: &Parts) -> Option<&str> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then_some(host)
}

/// Why a command is not even looked at: it does not come from this page.
fn foreign(desk: &Desk, head: &Parts, host: &str) -> Option<Response<Body>> {
    let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let why = if text(&header::ORIGIN) != Some(desk.origin_of(host).as_str()) {
        "commands come from this page only; open it and press there"
    } else if text(&header::CONTENT_TYPE) != Some("application/json") {
        "a command is one JSON object"
    } else {
        return None;
    };
    Some(answer::text(StatusCode::FORBIDDEN, why))
}

/// The same: whoever sent it was not told the token.
fn untold(head: &Parts, token: &str) -> Option<Response<Body>> {
    let told = head.headers.get(TOKEN).map(|value| value.as_bytes());
    (told != Some(token.as_bytes())).then(|| {
        answer::text(
            StatusCode::FORBIDDEN,
            "this page is of an earlier start of the box; reload it",
        )
    })
}

/// A body, wiped when dropped.
async fn read(body: Incoming) -> Result<Zeroizing<Vec<u8>>, Response<Body>> {
    let reading = tokio::time::timeout(READING, Limited::new(body, LONGEST_WISH).collect());
    match reading.await {
        Ok(Ok(read)) => Ok(Zeroizing::new(read.to_bytes().to_vec())),
        // Too long, too slow, or broken off: nobody waits for the answer.
        _ => Err(answer::text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a command is short and quick",
        )),
    }
}

async fn wish(desk: &Desk, body: Incoming, origin: Origin) -> Response<Body> {
    let bytes = match read(body).await {
        Ok(bytes) => bytes,
        Err(refusal) => return refusal,
    };
    let Ok(wish) = serde_json::from_slice::<Spoken>(&bytes) else {
        return answer::text(StatusCode::BAD_REQUEST, "not understood");
    };
    // Deriving a key takes its time.
    let reply = match tokio::task::spawn_blocking(move || wish.understand()).await {
        Ok(Ok(command)) => desk.control.order(origin, command).await,
        Ok(Err(error)) => Reply::NotNow(error.to_string()),
        Err(_) => Reply::NotNow("the box is stopping; start it again".to_owned()),
    };
    answer::json(StatusCode::OK, &reply)
}

/// The guest link, drawn.
fn invite(desk: &Desk) -> Response<Body> {
    let link = desk.publisher.invitation();
    match link.as_ref().and_then(invitation::draw) {
        Some(drawn) => answer::json(StatusCode::OK, &drawn),
        None => answer::text(
            StatusCode::NOT_FOUND,
            "the box is in no meeting that has a link",
        ),
    }
}

/// The state now, and after every change; ends when the device is not paired any more.
fn events(desk: &Arc<Desk>, pass: Option<Pass>) -> Response<Body> {
    let Ok(seat) = Arc::clone(&desk.watching).try_acquire_owned() else {
        return answer::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many pages watch this box; close one",
        );
    };
    let (mut sender, channel) = Channel::new(1);
    let mut status = desk.publisher.watch();
    let renewals = desk.publisher.renewals();
    let desk = Arc::clone(desk);
    tokio::spawn(async move {
        let _seat = seat;
        while let Some(place) = desk.place(pass.as_ref()) {
            let fresh = renewals.is_fresh();
            let state = state::of(&status.borrow_and_update(), fresh, place);
            let Ok(state) = serde_json::to_string(&state) else {
                return;
            };
            // JSON has no line ends of its own, so this is one event.
            let event = Bytes::from(format!("data: {state}\n\n"));
            if sender.send_data(event).await.is_err() {
                return;
            }
            tokio::time::sleep(EVERY).await;
            // Somebody signing in, or out, is a change as well.
            while desk.place(pass.as_ref()) == Some(place) {
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
