// SPDX-License-Identifier: MIT OR Apache-2.0
//! Enrolling devices, taking them out, and how they show who they are.

use hyper::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::body::{self, Hidden};
use super::{Answer, Api, Visitor, nothing, respond};
use crate::people::{DEVICE_TOKEN, Enrolment, Refusal};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrol {
    code: Hidden,
    name: String,
    key: String,
    proof: Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Challenge {
    device: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    device: String,
    answer: Hidden,
}

impl Api {
    pub(super) async fn pairing_code(&self, visitor: Visitor) -> Answer {
        let (account, _) = self.signed_in(&visitor).await?;
        let given = self.people.pairing_code(&account).await?;
        let given = json!({ "code": given.code.as_str(), "expires": given.expires });
        Ok(respond(StatusCode::CREATED, &given))
    }

    pub(super) async fn enrol(&self, visitor: Visitor) -> Answer {
        let (address, hub) = (visitor.address, called(visitor.request.headers()));
        let asked: Enrol = body::read(visitor.request).await?;
        let enrolment = Enrolment {
            code: &asked.code.0,
            name: &asked.name,
            key: &asked.key,
            proof: &asked.proof.0,
        };
        let device = self.people.enrol(enrolment, &hub, address).await?;
        Ok(respond(StatusCode::CREATED, &device))
    }

    pub(super) async fn devices(&self, visitor: Visitor) -> Answer {
        let (account, _) = self.signed_in(&visitor).await?;
        let devices = self.people.devices(&account).await?;
        Ok(respond(StatusCode::OK, &json!({ "devices": devices })))
    }

    pub(super) async fn revoke(&self, visitor: Visitor) -> Answer {
        let (account, _) = self.signed_in(&visitor).await?;
        let (id, address) = (visitor.part(3), visitor.address);
        self.people.revoke(&account, id, address).await?;
        Ok(nothing())
    }

    pub(super) async fn challenge(&self, visitor: Visitor) -> Answer {
        let Challenge { device } = body::read(visitor.request).await?;
        let (challenge, expires) = self.people.challenge(&device);
        let made = json!({ "challenge": challenge, "expires": expires });
        Ok(respond(StatusCode::OK, &made))
    }

    pub(super) async fn device_token(&self, visitor: Visitor) -> Answer {
        let (address, hub) = (visitor.address, called(visitor.request.headers()));
        let Token { device, answer } = body::read(visitor.request).await?;
        let people = &self.people;
        let token = people
            .device_token(&device, &answer.0, &hub, address)
            .await?;
        let given = json!({ "token": token.as_str(), "valid": DEVICE_TOKEN.as_secs() });
        Ok(respond(StatusCode::OK, &given))
    }

    pub(super) async fn this_device(&self, visitor: Visitor) -> Answer {
        let token = bearer(&visitor).ok_or(Refusal::Token)?;
        let (device, account) = self.people.device_of(token).await?;
        let licensed = account.licensed;
        let shown = json!({ "device": device, "licensed": licensed });
        Ok(respond(StatusCode::OK, &shown))
    }
}

/// The token that somebody came with.
pub(super) fn bearer(visitor: &Visitor) -> Option<&str> {
    let bearer = visitor.request.headers().get(header::AUTHORIZATION)?;
    bearer.to_str().ok()?.strip_prefix("Bearer ")
}

/// What the hub is called by who asks, which is one of its names: a signature that names another is for another.
pub(crate) fn called(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    host.unwrap_or_default().to_ascii_lowercase()
}
