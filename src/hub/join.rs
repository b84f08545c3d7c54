// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/meetings/ROOM/join`: a browser with the page asks for its way into a meeting.
//!
//! What it gets lets one participant under a name of the hub's making into one room, to send and receive, for a few
//! minutes. Who is signed in comes in as somebody with an account, and into the own meeting as who administers it;
//! everybody else as a guest. Whether guests may come in while end-to-end encryption is on, an admin chose. Where a meeting
//! has a waiting room, all but hosts are let in by one; who came by a host's link shows that he holds its key.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use roomseal_policy::RoomName;
use serde::{Deserialize, Serialize};

use crate::api::{Api, Claim, Hidden, Problem};
use crate::entry::{self, GUEST, Person, VALID};
use crate::guests::network;
use crate::hosts::{self, Unfit};
use crate::lobby::{Full as TooMany, Standing};
use crate::meeting::Building;
use crate::people::account::Account;
use crate::{api, pages, plugnmeet};

/// So many may come from one address at once: an office behind one address has a meeting at the full hour.
const AT_ONCE: u32 = 30;

/// Then one more each time that this has passed.
const EACH: Duration = Duration::from_secs(2);

/// Addresses that are remembered at a time.
const MOST_ADDRESSES: usize = 4096;

/// How often who waits asks again.
const AGAIN: Duration = Duration::from_secs(2);

/// The room that a path asks to join, checked by nobody yet.
pub(crate) fn room_of(path: &str) -> Option<&str> {
    let room = path.strip_prefix("/api/meetings/")?.strip_suffix("/join")?;
    (!room.contains('/')).then_some(room)
}

/// Answers a request to join `room` that came from `address`.
pub(crate) async fn answer(
    request: Request<Incoming>,
    room: &str,
    address: IpAddr,
    building: &Building,
) -> Response<Full<Bytes>> {
    match let_in(request, room, address, building).await {
        Ok(Answer::In(entry)) => api::respond(StatusCode::OK, &entry),
        Ok(Answer::Waits(waits)) => api::respond(StatusCode::ACCEPTED, &waits),
        Err(problem) => problem.into_response(),
    }
}

/// How often each address asks.
#[derive(Debug, Default)]
pub(crate) struct Joins(Mutex<HashMap<IpAddr, Instant>>);

impl Joins {
    /// Counts one request; if that is too many, how long to wait.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address);
        if known.len() >= MOST_ADDRESSES && !known.contains_key(&address) {
            known.retain(|_, free| *free > now);
            if known.len() >= MOST_ADDRESSES {
                return Err(EACH);
            }
        }
        // When all that it had at once is there again.
        let free = known.entry(address).or_insert(now);
        *free = (*free).max(now);
        let ahead = *free - now;
        let most = EACH * (AT_ONCE - 1);
        if ahead > most {
            return Err(ahead - most);
        }
        *free += EACH;
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What to be called.
    name: String,
    /// Of who waits already, or was admitted before.
    ticket: Option<Hidden>,
    /// That who has the ticket is a host, and waits for nobody; it names his place in the waiting room.
    host: Option<Claim>,
}

/// What a request to join is answered with.
enum Answer {
    In(Entry),
    Waits(Waits),
}

/// A place in the waiting room.
#[derive(Serialize)]
struct Waits {
    /// What hosts see of it.
    id: String,
    /// What to ask again with.
    ticket: String,
    /// Seconds until then.
    again: u64,
}

/// The way into a meeting.
#[derive(Serialize)]
struct Entry {
    /// Where to connect to.
    url: String,
    /// What to come with.
    token: String,
    /// What the hub calls whoever comes with it.
    identity: String,
    /// Seconds that the token is good for.
    valid: u64,
    /// Whether it administers the meeting.
    host: bool,
    /// Whether people wait until a host lets them in.
    waiting_room: bool,
}

async fn let_in(
    request: Request<Incoming>,
    room: &str,
    address: IpAddr,
    building: &Building,
) -> Result<Answer, Problem> {
    if request.method() != Method::POST {
        return Err(Problem::method("POST"));
    }
    let url = place(request.headers(), &building.api)?;
    let room = RoomName::from_str(room)
        .map_err(|error| Problem::new(StatusCode::NOT_FOUND, "no-room", error.to_string()))?;
    let headers = request.headers().clone();
    let wish: Wish = api::read(request).await?;
    let now = Instant::now();
    let waits = wish.ticket.as_ref();
    let waits = waits.and_then(|ticket| building.lobby.ask(room.as_str(), &ticket.0, now));
    // Who waits asks again and again.
    if waits.is_none() {
        building.joins.take(address, now).map_err(too_often)?;
    }
    let account = building.api.account(&headers).await?;
    let account = account.as_ref();
    let meeting = building.api.people.meeting(room.as_str()).await?;
    // What its hosts wrote there since the hub looked last counts already.
    building.engine.look_at(room.as_str()).await?;
    let organiser = meeting
        .as_ref()
        .and_then(|meeting| meeting.organiser.as_ref());
    let is_host = account.is_some_and(|account| organiser == Some(&account.id));
    let is_invited = plugnmeet::cookie(&headers, &room, &building.keys).is_some();
    if !is_invited && meeting.as_ref().is_some_and(|it| it.session.is_some()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not-invited",
            "everybody enters this meeting by a link of his own; open it again from where you got yours",
        ));
    }
    let mut person = person(&wish.name, is_host, &room, &headers, account, building).await?;
    person.by_hub = hosts::by_hub(building, meeting.as_ref());
    let waiting_room = meeting.is_some_and(|meeting| meeting.waiting_room);
    if let (Some((shown, _)), Some(claim)) = (&waits, &wish.host) {
        let (people, hub) = (&building.api.people, api::called(&headers));
        people.attempt(address)?;
        let shows = building
            .api
            .is_host(claim, &room, &shown.id, &hub, building);
        shows.await?;
        people.was_right(address);
        building.lobby.decide(room.as_str(), &shown.id, true, now);
        person.is_host = true;
    }
    if !person.is_host && waiting_room {
        match (waits, wish.ticket) {
            // Under the name that the host saw.
            (Some((shown, Standing::Admitted)), _) => person.name = shown.name,
            (Some((_, Standing::Refused)), _) => {
                let what = "a host did not let you in; ask who invited you";
                return Err(Problem::new(StatusCode::FORBIDDEN, "refused", what));
            }
            (Some((shown, Standing::Waits)), Some(ticket)) => {
                return Ok(Answer::Waits(Waits::new(shown.id, &ticket.0)));
            }
            _ => {
                let (lobby, name) = (&building.lobby, &person.name);
                let knocked = lobby.knock(room.as_str(), name, account.is_some(), now);
                let ticket = knocked.map_err(|TooMany| {
                    Problem::wait(
                        "waiting-room-full",
                        "too many wait already; try again later",
                        30,
                    )
                })?;
                tracing::info!(room = %room, "a browser waits to be let in");
                return Ok(Answer::Waits(Waits::new(ticket.id, &ticket.text)));
            }
        }
    }
    Ok(Answer::In(entry_of(&person, url, waiting_room, building)?))
}

impl Waits {
    fn new(id: String, ticket: &str) -> Self {
        Self {
            id,
            ticket: ticket.to_owned(),
            again: AGAIN.as_secs(),
        }
    }
}

/// Who asks, if he may be in this meeting as it is now.
async fn person<'a>(
    name: &str,
    is_host: bool,
    room: &'a RoomName,
    headers: &HeaderMap,
    account: Option<&Account>,
    building: &Building,
) -> Result<Person<'a>, Problem> {
    let name = entry::called(name)
        .map_err(|what| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", what))?;
    // Who was sent here by the link of an integration is who that says.
    if let Some(person) = plugnmeet::cookie(headers, room, &building.keys) {
        return Ok(person);
    }
    let identity = match account {
        // With several browsers, each is one participant.
        Some(account) => entry::drawn(&format!("account-{}-", account.id.as_str())),
        None if hosts::keeps_guests_out(building, room.as_str()).await? => {
            let what = Unfit::Guest.to_string();
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "sign-in", what));
        }
        None => entry::drawn(GUEST),
    };
    Ok(Person {
        room: room.as_str(),
        identity,
        name,
        is_host,
        by_hub: false,
    })
}

fn entry_of(
    person: &Person<'_>,
    url: String,
    waiting_room: bool,
    building: &Building,
) -> Result<Entry, Problem> {
    let token = person.token(&building.keys).ok_or_else(Problem::no_key)?;
    let (room, identity) = (person.room, person.identity.clone());
    tracing::info!(room, identity, "a browser is let in");
    let url = building.engine.url().map_or(url, str::to_owned);
    Ok(Entry {
        url,
        token,
        identity,
        valid: VALID.as_secs(),
        host: person.is_host,
        waiting_room,
    })
}

pub(crate) fn too_often(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let what = format!("too many ask from your address at once; try again in {seconds} s");
    Problem::wait("too-many", what, seconds)
}

/// Where who asks connects to: where they asked. Pages of other places may not ask in somebody's browser.
fn place(headers: &HeaderMap, api: &Api) -> Result<String, Problem> {
    let host = pages::host(headers).ok_or_else(|| {
        let what = "the request does not say which host it is for; send the header Host";
        Problem::new(StatusCode::BAD_REQUEST, "no-host", what)
    })?;
    let Some(origin) = headers.get(header::ORIGIN) else {
        // No browser. Without TLS it may come by a proxy, and whatever that spoke with it.
        let site = api.site(host);
        let is_secure = api.is_tls() || site.is_some_and(|site| site.starts_with("https:"));
        let scheme = if is_secure { "wss" } else { "ws" };
        return Ok(format!("{scheme}://{host}"));
    };
    let origin = origin.to_str().unwrap_or_default();
    let scheme = match origin.split_once("://") {
        Some(("http", from)) if from == host && !api.is_tls() => "ws",
        Some(("https", from)) if from == host => "wss",
        _ => {
            let what = "only the page of this hub joins its meetings";
            return Err(Problem::new(StatusCode::FORBIDDEN, "other-site", what));
        }
    };
    Ok(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn an_address_joins_so_often_and_others_are_let_in_all_the_same() {
        let joins = Joins::default();
        let now = Instant::now();
        let (greedy, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let let_in = (0..1000)
            .filter(|_| joins.take(greedy.into(), now).is_ok())
            .count();
        assert_eq!(let_in, AT_ONCE as usize);
        assert_eq!(joins.take(greedy.into(), now), Err(EACH));
        assert_eq!(joins.take(other.into(), now), Ok(()));
        assert_eq!(joins.take(greedy.into(), now + EACH), Ok(()));
        assert!(joins.take(greedy.into(), now + EACH).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address_and_too_many_are_forgotten_in_time() {
        let joins = Joins::default();
        let now = Instant::now();
        let host = |network: u128, host: u128| {
            IpAddr::from(Ipv6Addr::from((0x2001_0db8 << 96) + (network << 64) + host))
        };
        let of_one = (0..1000)
            .filter(|at| joins.take(host(0, *at), now).is_ok())
            .count();
        assert_eq!(of_one, AT_ONCE as usize);
        let networks = (1..10_000)
            .filter(|at| joins.take(host(*at, 1), now).is_ok())
            .count();
        assert_eq!(networks, MOST_ADDRESSES - 1);
        assert_eq!(joins.take(host(10_001, 1), now + EACH), Ok(()));
        // Who came too often is not forgotten with the others.
        assert_eq!(joins.0.lock().expect("nobody panicked").len(), 2);
    }
}
