// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /?access_token=…`: the link that integrations send people to. It leads to the page of the meeting.
//!
//! The token leaves the address at once: it goes into a cookie that scripts cannot read and that goes to this meeting's
//! part of the API alone.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use roomseal_policy::RoomName;

use super::token::Claims;
use crate::api::{self, Api, Problem};
use crate::entry::{Person, since_1970};
use crate::token::ApiKeys;

/// As Plug-N-Meet's own page calls it.
const COOKIE: &str = "pnm_access_token";

/// Whether a request follows such a link.
pub(crate) fn is_link(request: &Request<Incoming>) -> bool {
    request.uri().path() == "/" && token_in(request).is_some()
}

/// Answers one that [`is_link`].
pub(crate) fn enter(request: &Request<Incoming>, api: &Api) -> Response<Full<Bytes>> {
    let token = token_in(request).unwrap_or_default();
    let Some(claims) = read(&token, &api.keys) else {
        let what = "this link is damaged or too old; open the meeting again from where you got it";
        return Problem::new(StatusCode::UNAUTHORIZED, "token", what).into_response();
    };
    let mut response = api::nothing();
    *response.status_mut() = StatusCode::SEE_OTHER;
    let room = &claims.room_id;
    let left = claims.exp.saturating_sub(since_1970().as_secs());
    let secure = if api.is_secure() { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={token}; Path=/api/meetings/{room}/; HttpOnly; SameSite=Strict; Max-Age={left}{secure}"
    );
    for (name, value) in [
        (header::LOCATION, format!("/j/{room}")),
        (header::SET_COOKIE, cookie),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ] {
        let value = HeaderValue::from_str(&value);
        let value = value.expect("names of rooms and tokens are plain ASCII");
        response.headers_mut().insert(name, value);
    }
    response
}

/// Who came to a meeting by such a link, if anybody did.
pub(crate) fn cookie<'a>(
    headers: &HeaderMap,
    room: &'a RoomName,
    keys: &ApiKeys,
) -> Option<Person<'a>> {
    let token = api::cookie(headers, COOKIE)?;
    let claims = read(token, keys).filter(|claims| claims.room_id == room.as_str())?;
    Some(Person {
        room: room.as_str(),
        identity: claims.user_id,
        name: claims.name,
        is_host: claims.is_admin,
        by_hub: false,
    })
}

fn read(token: &str, keys: &ApiKeys) -> Option<Claims> {
    let claims: Claims = keys.read(token).ok()?;
    let now = since_1970().as_secs();
    let is_good = (claims.nbf..claims.exp).contains(&now) && !claims.is_hidden;
    let room = claims.room_id.parse::<RoomName>();
    (is_good && room.is_ok()).then_some(claims)
}

fn token_in(request: &Request<Incoming>) -> Option<String> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let (_, token) = pairs.find(|(key, _)| key == "access_token")?;
    Some(token.into_owned())
}
