// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's own API: people and what they may do, as JSON over HTTP.
//!
//! What is refused is answered as `application/problem+json` (RFC 9457) and says what to do next. Who is signed in shows
//! it by a cookie that scripts cannot read; as browsers add it by themselves, whatever changes something needs a header
//! that no other site can send, and must not come from one.

mod accounts;
mod body;
mod certificate;
mod deeds;
mod description;
mod devices;
mod door;
mod features;
mod guard;
mod host;
mod meetings;
mod policy;
mod problem;
mod rooms;
mod schedule;
mod secret;
mod session;
mod waiting;

use std::net::IpAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Serialize;

pub(crate) use body::{Hidden, read};
pub(crate) use devices::called;
pub(crate) use guard::cookie;
pub use guard::{Origin, OriginError};
pub(crate) use host::Claim;
pub(crate) use problem::Problem;

use crate::meeting::Building;
use crate::people::account::Account;
use crate::people::{People, Refusal, SessionToken};
use crate::tls::Identity;
use crate::token::ApiKeys;

/// Below this everything here lies.
const PATH: &str = "/api/";

/// What answers.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) people: Arc<People>,
    pub(crate) keys: Arc<ApiKeys>,
    /// Where browsers find the hub, if that was said.
    pub(crate) origin: Option<Origin>,
    /// What the hub shows where it speaks TLS itself, and nothing else.
    pub(crate) tls: Option<Arc<Identity>>,
    /// What the machine is called beside its addresses; asked for over TLS.
    pub(crate) names: Vec<String>,
    /// Who says truly for whom it asks.
    pub(crate) proxies: Vec<IpAddr>,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    SetUp,
    SignIn,
    SignOut,
    Me,
    ChangePassword,
    Accounts,
    MakeAccount,
    ChangeAccount,
    DeleteAccount,
    Invite,
    Accept,
    Audit,
    StartMeeting,
    Policy,
    Deed,
    Secret,
    Door,
    BecomeHost,
    Waiting,
    Decide,
    Features,
    StartFeature,
    StopFeature,
    Schedule,
    Plans,
    Cancel,
    Calendar,
    InvitationText,
    Settings,
    ChangeSettings,
    PairingCode,
    Enrol,
    Devices,
    Revoke,
    Challenge,
    DeviceToken,
    ThisDevice,
    Rooms,
    Invited,
    Certificate,
    Description,
}

/// Method, path, what it does. In a path, `{…}` stands for one part.
const ROUTES: [(Method, &str, Act); 41] = [
    (Method::POST, "/api/set-up", Act::SetUp),
    (Method::POST, "/api/sign-in", Act::SignIn),
    (Method::POST, "/api/sign-out", Act::SignOut),
    (Method::GET, "/api/me", Act::Me),
    (Method::POST, "/api/me/password", Act::ChangePassword),
    (Method::GET, "/api/accounts", Act::Accounts),
    (Method::POST, "/api/accounts", Act::MakeAccount),
    (Method::PATCH, "/api/accounts/{id}", Act::ChangeAccount),
    (Method::DELETE, "/api/accounts/{id}", Act::DeleteAccount),
    (Method::POST, "/api/accounts/{id}/invitation", Act::Invite),
    (Method::POST, "/api/invitation/accept", Act::Accept),
    (Method::GET, "/api/audit", Act::Audit),
    (Method::POST, "/api/meetings", Act::StartMeeting),
    (Method::POST, "/api/meetings/{room}/policy", Act::Policy),
    (Method::POST, "/api/meetings/{room}/deed", Act::Deed),
    (Method::GET, "/api/meetings/{room}/secret", Act::Secret),
    (Method::GET, "/api/meetings/{room}/door", Act::Door),
    (Method::POST, "/api/meetings/{room}/host", Act::BecomeHost),
    (Method::GET, "/api/meetings/{room}/waiting", Act::Waiting),
    (
        Method::POST,
        "/api/meetings/{room}/waiting/{id}",
        Act::Decide,
    ),
    (Method::GET, "/api/meetings/{room}/features", Act::Features),
    (
        Method::POST,
        "/api/meetings/{room}/features/{feature}",
        Act::StartFeature,
    ),
    (
        Method::DELETE,
        "/api/meetings/{room}/features/{feature}",
        Act::StopFeature,
    ),
    (Method::GET, "/api/schedule", Act::Plans),
    (Method::POST, "/api/schedule", Act::Schedule),
    (Method::DELETE, "/api/schedule/{room}", Act::Cancel),
    (Method::GET, "/api/schedule/{room}/calendar", Act::Calendar),
    (
        Method::GET,
        "/api/schedule/{room}/invitation",
        Act::InvitationText,
    ),
    (Method::GET, "/api/settings", Act::Settings),
    (Method::PATCH, "/api/settings", Act::ChangeSettings),
    (Method::GET, "/api/devices", Act::Devices),
    (Method::POST, "/api/devices/code", Act::PairingCode),
    (Method::POST, "/api/devices/enrol", Act::Enrol),
    (Method::POST, "/api/devices/challenge", Act::Challenge),
    (Method::POST, "/api/devices/token", Act::DeviceToken),
    (Method::GET, "/api/devices/me", Act::ThisDevice),
    (Method::GET, "/api/devices/self/meetings", Act::Invited),
    (Method::DELETE, "/api/devices/{id}", Act::Revoke),
    (Method::GET, "/api/rooms", Act::Rooms),
    (Method::GET, "/api/certificate", Act::Certificate),
    (Method::GET, "/api/openapi.json", Act::Description),
];

/// Whether a path is of this API.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with(PATH)
}

/// Answers a request, from `peer`, to a path that [`owns`] says is here.
pub(crate) async fn answer(
    request: Request<Incoming>,
    peer: IpAddr,
    building: Arc<Building>,
) -> Response<Full<Bytes>> {
    let api = &building.api;
    let answered = api.answer(request, peer, Arc::clone(&building)).await;
    answered.unwrap_or_else(Problem::into_response)
}

type Answer = Result<Response<Full<Bytes>>, Problem>;

/// Somebody who asks, and is not turned away at the door.
struct Visitor {
    request: Request<Incoming>,
    /// From where, as well as that can be told.
    address: IpAddr,
    /// Where the rooms are.
    building: Arc<Building>,
}

impl Visitor {
    /// A part of the path; `/api/…` begins with 1.
    fn part(&self, number: usize) -> &str {
        let path = self.request.uri().path();
        path.split('/').nth(number).unwrap_or_default()
    }
}

impl Api {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        building: Arc<Building>,
    ) -> Answer {
        let path = request.uri().path();
        let mut methods = Vec::new();
        let mut act = None;
        for (method, pattern, found) in ROUTES.iter() {
            if fits(pattern, path) {
                methods.push(method.as_str());
                if method == request.method() {
                    act = Some(*found);
                }
            }
        }
        if methods.is_empty() {
            return Err(Problem::no_such_path());
        }
        let act = act.ok_or_else(|| Problem::method(&methods.join(", ")))?;
        let address = self.guard(&request, peer)?;
        let visitor = Visitor {
            request,
            address,
            building,
        };
        match act {
            Act::SetUp => self.set_up(visitor).await,
            Act::SignIn => self.sign_in(visitor).await,
            Act::SignOut => self.sign_out(visitor).await,
            Act::Me => self.me(visitor).await,
            Act::ChangePassword => self.change_password(visitor).await,
            Act::Accounts => self.accounts(visitor).await,
            Act::MakeAccount => self.make_account(visitor).await,
            Act::ChangeAccount => self.change_account(visitor).await,
            Act::DeleteAccount => self.delete_account(visitor).await,
            Act::Invite => self.invite(visitor).await,
            Act::Accept => self.accept(visitor).await,
            Act::Audit => self.audit(visitor).await,
            Act::StartMeeting => self.start_meeting(visitor).await,
            Act::Policy => self.policy(visitor).await,
            Act::Deed => self.deed(visitor).await,
            Act::Secret => self.secret(visitor).await,
            Act::Door => self.door(visitor).await,
            Act::BecomeHost => self.become_host(visitor).await,
            Act::Waiting => self.waiting(visitor).await,
            Act::Decide => self.decide(visitor).await,
            Act::Features => self.features(visitor).await,
            Act::StartFeature => self.start_feature(visitor).await,
            Act::StopFeature => self.stop_feature(visitor).await,
            Act::Schedule => self.schedule(visitor).await,
            Act::Plans => self.plans(visitor).await,
            Act::Cancel => self.cancel(visitor).await,
            Act::Calendar => self.calendar(visitor).await,
            Act::InvitationText => self.invitation_text(visitor).await,
            Act::Settings => self.settings().await,
            Act::ChangeSettings => self.change_settings(visitor).await,
            Act::PairingCode => self.pairing_code(visitor).await,
            Act::Enrol => self.enrol(visitor).await,
            Act::Devices => self.devices(visitor).await,
            Act::Revoke => self.revoke(visitor).await,
            Act::Challenge => self.challenge(visitor).await,
            Act::DeviceToken => self.device_token(visitor).await,
            Act::ThisDevice => self.this_device(visitor).await,
            Act::Rooms => self.rooms(visitor).await,
            Act::Invited => self.invited(visitor).await,
            Act::Certificate => self.certificate(&visitor),
            Act::Description => self.description(),
        }
    }

    /// Who is signed in, if anybody is.
    pub(crate) async fn account(&self, headers: &HeaderMap) -> Result<Option<Account>, Problem> {
        let Some(token) = self.token(headers) else {
            return Ok(None);
        };
        match self.people.signed_in(&token).await {
            Ok(account) => Ok(Some(account)),
            Err(Refusal::NotSignedIn) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Who is signed in.
    async fn signed_in(&self, visitor: &Visitor) -> Result<(Account, SessionToken), Problem> {
        let token = self
            .token(visitor.request.headers())
            .ok_or(Refusal::NotSignedIn)?;
        Ok((self.people.signed_in(&token).await?, token))
    }
}

/// Whether a path is of this kind.
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|wanted| match parts.next() {
        Some(part) => wanted == part || (wanted.starts_with('{') && !part.is_empty()),
        None => false,
    }) && parts.next().is_none()
}

pub(crate) fn respond(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("strings, numbers and flags always serialize");
    with_type(status, "application/json", body)
}

pub(crate) fn nothing() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    seal(&mut response);
    response
}

fn with_type(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    seal(&mut response);
    response
}

/// What every answer says: it is for whom it was given to, and no page.
fn seal(response: &mut Response<Full<Bytes>>) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_part_by_part() {
        assert!(fits("/api/me", "/api/me"));
        assert!(fits("/api/accounts/{id}", "/api/accounts/7"));
        for path in [
            "/api/accounts",
            "/api/accounts/",
            "/api/accounts/7/",
            "/api/accounts/7/x",
        ] {
            assert!(!fits("/api/accounts/{id}", path), "{path}");
        }
    }
}
