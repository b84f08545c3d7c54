// SPDX-License-Identifier: MIT OR Apache-2.0
//! Becoming the first admin, signing in and out.

use hyper::header;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use super::body::{self, Hidden};
use super::{Answer, Api, Visitor, nothing, respond};
use crate::people::Choice;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetUp {
    code: Hidden,
    name: String,
    display_name: Option<String>,
    password: Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    name: String,
    password: Hidden,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangePassword {
    old: Hidden,
    new: Hidden,
}

impl Api {
    pub(super) async fn set_up(&self, visitor: Visitor) -> Answer {
        let address = visitor.address;
        let asked: SetUp = body::read(visitor.request).await?;
        let choice = Choice {
            code: asked.code.0,
            display_name: asked.display_name.unwrap_or_else(|| asked.name.clone()),
            name: asked.name,
            password: asked.password.0,
        };
        let (account, token) = self.people.set_up(choice, address).await?;
        let mut response = respond(StatusCode::CREATED, &account);
        let cookie = self.set_cookie(Some(&token));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }

    pub(super) async fn sign_in(&self, visitor: Visitor) -> Answer {
        let address = visitor.address;
        let SignIn { name, password } = body::read(visitor.request).await?;
        let signed_in = self.people.sign_in(&name, password.0, address).await?;
        let (account, token) = signed_in;
        let mut response = respond(StatusCode::OK, &account);
        let cookie = self.set_cookie(Some(&token));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }

    pub(super) async fn sign_out(&self, visitor: Visitor) -> Answer {
        if let Some(token) = self.token(visitor.request.headers()) {
            self.people.sign_out(&token, visitor.address).await?;
        }
        let mut response: Response<_> = nothing();
        let cookie = self.set_cookie(None);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }

    pub(super) async fn me(&self, visitor: Visitor) -> Answer {
        let (account, _) = self.signed_in(&visitor).await?;
        Ok(respond(StatusCode::OK, &account))
    }

    pub(super) async fn change_password(&self, visitor: Visitor) -> Answer {
        let (account, _) = self.signed_in(&visitor).await?;
        let address = visitor.address;
        let ChangePassword { old, new } = body::read(visitor.request).await?;
        let people = &self.people;
        let token = people.change_password(&account, old.0, new.0, address);
        let token = token.await?;
        let mut response = nothing();
        let cookie = self.set_cookie(Some(&token));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }
}
