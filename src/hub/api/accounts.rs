// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts, for admins; and accepting an invitation.

use hyper::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::body::{self, Hidden};
use super::problem::Problem;
use super::{Answer, Api, Visitor, nothing, respond};
use crate::people::account::{Account, AccountId, Role};
use crate::people::{Change, Invitation, NewAccount, Refusal};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    name: String,
    display_name: Option<String>,
    role: Option<Role>,
    licensed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeAccount {
    display_name: Option<String>,
    role: Option<Role>,
    licensed: Option<bool>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    code: Hidden,
    password: Hidden,
}

#[derive(Serialize)]
struct Invited<'a> {
    code: &'a str,
    expires: i64,
}

impl<'a> From<&'a Invitation> for Invited<'a> {
    fn from(invitation: &'a Invitation) -> Self {
        Self {
            code: &invitation.code,
            expires: invitation.expires,
        }
    }
}

impl Api {
    pub(super) async fn accounts(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let accounts = self.people.accounts(&admin).await?;
        Ok(respond(StatusCode::OK, &json!({ "accounts": accounts })))
    }

    pub(super) async fn make_account(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let address = visitor.address;
        let asked: Make = body::read(visitor.request).await?;
        let new = NewAccount {
            display_name: asked.display_name.unwrap_or_else(|| asked.name.clone()),
            name: asked.name,
            role: asked.role.unwrap_or(Role::User),
            licensed: asked.licensed.unwrap_or(false),
        };
        #[derive(Serialize)]
        struct Made<'a> {
            account: &'a Account,
            invitation: Invited<'a>,
        }
        let made = self.people.make_account(&admin, new, address).await?;
        let (account, invitation) = &made;
        let made = Made {
            account,
            invitation: invitation.into(),
        };
        Ok(respond(StatusCode::CREATED, &made))
    }

    pub(super) async fn change_account(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let (address, id) = (visitor.address, account_of(&visitor));
        let asked: ChangeAccount = body::read(visitor.request).await?;
        let change = Change {
            display_name: asked.display_name,
            role: asked.role,
            licensed: asked.licensed,
            disabled: asked.disabled,
        };
        let account = self.people.change_account(&admin, &id, change, address);
        Ok(respond(StatusCode::OK, &account.await?))
    }

    pub(super) async fn delete_account(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let id = account_of(&visitor);
        let address = visitor.address;
        self.people.delete_account(&admin, &id, address).await?;
        Ok(nothing())
    }

    pub(super) async fn invite(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let id = account_of(&visitor);
        let invitation = self.people.invite(&admin, &id, visitor.address).await?;
        Ok(respond(StatusCode::CREATED, &Invited::from(&invitation)))
    }

    pub(super) async fn accept(&self, visitor: Visitor) -> Answer {
        let address = visitor.address;
        let Accept { code, password } = body::read(visitor.request).await?;
        let accepted = self.people.accept(&code.0, password.0, address).await?;
        let (account, token) = accepted;
        let mut response = respond(StatusCode::OK, &account);
        let cookie = self.set_cookie(Some(&token));
        response.headers_mut().insert(header::SET_COOKIE, cookie);
        Ok(response)
    }

    pub(super) async fn audit(&self, visitor: Visitor) -> Answer {
        let (admin, _) = self.signed_in(&visitor).await?;
        let (mut before, mut most) = (None, None);
        let query = visitor.request.uri().query().unwrap_or_default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match &*key {
                "before" => &mut before,
                "most" => &mut most,
                _ => return Err(unknown_query()),
            };
            *place = Some(value.parse().map_err(|_| unknown_query())?);
        }
        let deeds = self.people.deeds(&admin, before, most).await?;
        Ok(respond(StatusCode::OK, &json!({ "deeds": deeds })))
    }
}

fn unknown_query() -> Problem {
    Refusal::Invalid("query: only before (an id) and most (a number) are known here").into()
}

/// The account that the path names: `/api/accounts/{id}…`.
fn account_of(visitor: &Visitor) -> AccountId {
    AccountId::kept(visitor.part(3).to_owned())
}
