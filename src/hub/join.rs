// SPDX-License-Identifier: MIT OR Apache-2.0
//! `POST /api/meetings/ROOM/join`: a browser with the page asks for its way into a meeting.
//!
//! What it gets lets one participant under a name of the hub's making into one room, to send and receive, for a few
//! minutes. Nothing in it is secret for the meeting's members: what they seal stays sealed for who has no link.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use roomseal_policy::RoomName;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::meeting::Building;
use crate::pages;
use crate::token::Admission;

/// How long after its making a token lets somebody in; who is in gets new ones to come back with.
const VALID: Duration = Duration::from_secs(5 * 60);

/// The longest name that somebody may give, in characters.
const LONGEST_NAME: usize = 64;

/// The longest request, in bytes.
const LONGEST: usize = 4096;

/// How long a request may take to arrive.
const READING: Duration = Duration::from_secs(10);

/// So many may come from one address at once: an office behind one address has a meeting at the full hour.
const AT_ONCE: u32 = 30;

/// Then one more each time that this has passed.
const EACH: Duration = Duration::from_secs(2);

/// Addresses that are remembered at a time.
const MOST_ADDRESSES: usize = 4096;

/// The room that a path asks to join, checked by nobody yet.
pub(crate) fn room_of(path: &str) -> Option<&str> {
    let room = path.strip_prefix("/api/meetings/")?.strip_suffix("/join")?;
    (!room.contains('/')).then_some(room)
}

/// Answers a request to join `room` that came from `address`.
pub(crate) async fn answer<B>(
    request: Request<B>,
    room: &str,
    address: IpAddr,
    building: &Building,
) -> Response<Full<Bytes>>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    match let_in(request, room, address, building).await {
        Ok(entry) => {
            let body = serde_json::to_vec(&entry).expect("strings and numbers always serialize");
            respond(StatusCode::OK, "application/json", body)
        }
        Err(problem) => problem.into(),
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

/// What one line gives to one customer: a whole network of IPv6, of which it may choose any address.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(long) => match long.to_ipv4_mapped() {
            Some(short) => short.into(),
            None => Ipv6Addr::from(u128::from(long) & !u128::from(u64::MAX)).into(),
        },
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// What to be called.
    name: String,
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
}

async fn let_in<B>(
    request: Request<B>,
    room: &str,
    address: IpAddr,
    building: &Building,
) -> Result<Entry, Problem>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    if request.method() != Method::POST {
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "send a POST with a name",
        ));
    }
    let url = place(request.headers())?;
    building
        .joins
        .take(address, Instant::now())
        .map_err(Problem::later)?;
    let room = RoomName::from_str(room)
        .map_err(|error| Problem::new(StatusCode::NOT_FOUND, error.to_string()))?;
    // Forms of other pages can send text, but not this.
    let json = |value: &HeaderValue| {
        let kind = value.to_str().unwrap_or_default();
        kind.split(';').next().map(str::trim) == Some("application/json")
    };
    if !request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(json)
    {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send application/json",
        ));
    }
    let body = timeout(
        READING,
        Limited::new(request.into_body(), LONGEST).collect(),
    )
    .await;
    let body = body.ok().and_then(Result::ok).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("the request did not arrive whole, or is longer than {LONGEST} bytes"),
        )
    })?;
    let wish: Wish = serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("send {{\"name\": \"…\"}}: {error}"),
        )
    })?;
    let name = called(&wish.name)?;
    let admission = guest(building, &room, name)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let token = building
        .keys
        .issue(&admission, now, VALID)
        .ok_or_else(Problem::no_key)?;
    tracing::info!(room = %room, identity = admission.identity, "a browser is let in");
    Ok(Entry {
        url,
        token,
        identity: admission.identity,
        valid: VALID.as_secs(),
    })
}

/// What a guest may do, who may be anybody that has the name of the room: send and receive, and nothing to others.
fn guest(building: &Building, room: &RoomName, name: String) -> Result<Admission, Problem> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|_| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "this machine has no random numbers yet; try again in a minute",
        )
    })?;
    Ok(Admission {
        api_key: building
            .keys
            .first()
            .ok_or_else(Problem::no_key)?
            .to_owned(),
        // Nobody chooses it, so nobody takes another's place.
        identity: format!("guest-{}", Base64UrlUnpadded::encode_string(&random)),
        name,
        metadata: String::new(),
        attributes: BTreeMap::new(),
        kind: String::new(),
        room: room.as_str().to_owned(),
        can_publish: true,
        can_publish_sources: ["camera", "microphone", "screen_share", "screen_share_audio"]
            .map(str::to_owned)
            .to_vec(),
        can_publish_data: true,
        can_subscribe: true,
        can_update_own_metadata: false,
        room_admin: false,
        hidden: false,
        recorder: false,
        agent: false,
    })
}

/// A name that does not look like something else to others.
fn called(name: &str) -> Result<String, Problem> {
    let name = name.trim();
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let what = match name.chars().count() {
        0 => "is empty",
        length if length > LONGEST_NAME => "is longer than 64 characters",
        _ if name.chars().any(|c| c.is_control() || turns(c)) => "has characters that do not show",
        _ => return Ok(name.to_owned()),
    };
    let what = format!("the name {what}; choose another");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, what))
}

/// Where who asks connects to: where they asked. Pages of other places may not ask in somebody's browser.
fn place(headers: &HeaderMap) -> Result<String, Problem> {
    let host = pages::host(headers).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "the request does not say which host it is for",
        )
    })?;
    let Some(origin) = headers.get(header::ORIGIN) else {
        // No browser.
        return Ok(format!("ws://{host}"));
    };
    let origin = origin.to_str().unwrap_or_default();
    let scheme = match origin.split_once("://") {
        Some(("http", from)) if from == host => "ws",
        Some(("https", from)) if from == host => "wss",
        _ => {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "only the page of this hub joins its meetings",
            ));
        }
    };
    Ok(format!("{scheme}://{host}"))
}

/// Why something is not done, as RFC 9457 says it.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
    wait: Option<Duration>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            wait: None,
        }
    }

    fn no_key() -> Self {
        let detail = "this hub has no key to make tokens with: start it with --api-key";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    fn later(wait: Duration) -> Self {
        let seconds = wait.as_secs() + 1;
        Self {
            wait: Some(Duration::from_secs(seconds)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("too many join from your address at once; try again in {seconds} s"),
            )
        }
    }
}

impl From<Problem> for Response<Full<Bytes>> {
    fn from(problem: Problem) -> Self {
        let Problem {
            status,
            detail,
            wait,
        } = problem;
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
        });
        let mut response = respond(
            status,
            "application/problem+json",
            body.to_string().into_bytes(),
        );
        let headers = response.headers_mut();
        if let Some(wait) = wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

fn respond(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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

    #[test]
    fn a_name_is_what_it_looks_like() {
        let taken = |name: &str| called(name).map_err(|problem| problem.status);
        assert_eq!(taken("  Zoë 王 ").as_deref(), Ok("Zoë 王"));
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", " \t", "a\nb", "a\u{202e}b", &long] {
            assert_eq!(
                taken(name),
                Err(StatusCode::UNPROCESSABLE_ENTITY),
                "{name:?}"
            );
        }
    }
}
