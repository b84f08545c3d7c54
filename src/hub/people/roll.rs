// SPDX-License-Identifier: MIT OR Apache-2.0
//! What admins do with accounts, and how their owners come in: by a code, so that nobody ever knows another's password.

use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::account::{self, Account, AccountId, Role};
use super::audit::{Action, Deed, KeptDeed};
use super::sign_in::SessionToken;
use super::store::{Purpose, Work};
use super::{People, Refusal};

/// How long an invitation is good: a week.
const GOOD: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Lines of the audit log at a time.
const MOST_DEEDS: i64 = 500;

/// An account to be made.
#[derive(Debug)]
pub(crate) struct NewAccount {
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) role: Role,
    pub(crate) licensed: bool,
}

/// What is to be different about an account.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) display_name: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) licensed: Option<bool>,
    pub(crate) disabled: Option<bool>,
}

/// With this the owner of an account chooses a password, once.
#[derive(Debug)]
pub(crate) struct Invitation {
    /// Only for that owner.
    pub(crate) code: Zeroizing<String>,
    /// Seconds since 1970.
    pub(crate) expires: i64,
}

impl People {
    /// All accounts, by name.
    pub(crate) async fn accounts(&self, admin: &Account) -> Result<Vec<Account>, Refusal> {
        Ok(self.administer(admin).await?.accounts().await?)
    }

    /// Makes an account, and the invitation of its owner.
    pub(crate) async fn make_account(
        &self,
        admin: &Account,
        new: NewAccount,
        address: IpAddr,
    ) -> Result<(Account, Invitation), Refusal> {
        let mut work = self.administer(admin).await?;
        let account = Account {
            id: AccountId::draw(),
            name: account::name(&new.name)?,
            display_name: account::display_name(&new.display_name)?,
            role: new.role,
            licensed: new.licensed,
            disabled: false,
            joined: false,
            made: self.now(),
        };
        if work.account_named(&account.name).await?.is_some() {
            return Err(Refusal::NameTaken);
        }
        work.insert_account(&account).await?;
        let mut actions = vec![Action::AccountMade];
        if account.role == Role::Admin {
            actions.push(Action::MadeAdmin);
        }
        if account.licensed {
            actions.push(Action::LicenceGiven);
        }
        self.tell(&mut work, admin, &account, &actions, address)
            .await?;
        let invitation = self.invitation(&mut work, &account).await?;
        work.commit().await?;
        Ok((account, invitation))
    }

    /// A new invitation to an account, in the place of an earlier one. Its password is good until the invitation is
    /// accepted.
    pub(crate) async fn invite(
        &self,
        admin: &Account,
        id: &AccountId,
        address: IpAddr,
    ) -> Result<Invitation, Refusal> {
        let mut work = self.administer(admin).await?;
        let account = work.account(id).await?.ok_or(Refusal::NoSuch("account"))?;
        self.tell(&mut work, admin, &account, &[Action::Invited], address)
            .await?;
        let invitation = self.invitation(&mut work, &account).await?;
        work.commit().await?;
        Ok(invitation)
    }

    /// Chooses the password of the account that this code is for, and signs its owner in. Other sessions end.
    ///
    /// # Errors
    /// When the code is not right, the password is too short, or the account is disabled.
    pub(crate) async fn accept(
        &self,
        code: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<(Account, SessionToken), Refusal> {
        let limited = self.limits().take_of(address, self.clock.now());
        limited.map_err(Refusal::TooMany)?;
        let hash = self.passwords.hash(password).await?;
        let work = self.store.begin().await?;
        let (mut work, id) = self.take_code(work, Purpose::Invitation, code).await?;
        self.limits().right_of(address);
        let account = match id {
            Some(id) => work.account(&id).await?,
            None => None,
        };
        let account = account.ok_or(Refusal::Code)?;
        if account.disabled {
            return Err(Refusal::Disabled);
        }
        work.set_password(&account.id, &hash).await?;
        work.delete_sessions(&account.id).await?;
        let token = self.open_session(&mut work, &account).await?;
        let deed = self.own_deed(&account, Action::InvitationAccepted, address);
        work.record(&deed).await?;
        work.commit().await?;
        let joined = true;
        Ok((Account { joined, ..account }, token))
    }

    /// Changes an account. Who is disabled is signed out everywhere.
    ///
    /// # Errors
    /// When nobody could administer the hub afterwards.
    pub(crate) async fn change_account(
        &self,
        admin: &Account,
        id: &AccountId,
        change: Change,
        address: IpAddr,
    ) -> Result<Account, Refusal> {
        let mut work = self.administer(admin).await?;
        let before = work.account(id).await?.ok_or(Refusal::NoSuch("account"))?;
        let mut account = before.clone();
        let mut actions = Vec::new();
        if let Some(typed) = change.display_name {
            account.display_name = account::display_name(&typed)?;
        }
        if let Some(role) = change.role.filter(|role| *role != account.role) {
            account.role = role;
            actions.push(match role {
                Role::Admin => Action::MadeAdmin,
                Role::User => Action::MadeUser,
            });
        }
        if let Some(licensed) = change.licensed.filter(|it| *it != account.licensed) {
            account.licensed = licensed;
            actions.push(if licensed {
                Action::LicenceGiven
            } else {
                Action::LicenceTaken
            });
        }
        if let Some(disabled) = change.disabled.filter(|it| *it != account.disabled) {
            account.disabled = disabled;
            actions.push(if disabled {
                Action::AccountDisabled
            } else {
                Action::AccountEnabled
            });
            work.delete_sessions(id).await?;
        }
        work.update_account(&account).await?;
        if work.admins().await? == 0 {
            return Err(Refusal::LastAdmin);
        }
        self.tell(&mut work, admin, &account, &actions, address)
            .await?;
        work.commit().await?;
        Ok(account)
    }

    /// Deletes an account, with all that belongs to it.
    ///
    /// # Errors
    /// When nobody could administer the hub afterwards.
    pub(crate) async fn delete_account(
        &self,
        admin: &Account,
        id: &AccountId,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let mut work = self.administer(admin).await?;
        let account = work.account(id).await?.ok_or(Refusal::NoSuch("account"))?;
        work.delete_account(id).await?;
        if work.admins().await? == 0 {
            return Err(Refusal::LastAdmin);
        }
        let actions = [Action::AccountDeleted];
        self.tell(&mut work, admin, &account, &actions, address)
            .await?;
        Ok(work.commit().await?)
    }

    /// What happened, the newest first, before the line `before`.
    pub(crate) async fn deeds(
        &self,
        admin: &Account,
        before: Option<i64>,
        most: Option<i64>,
    ) -> Result<Vec<KeptDeed>, Refusal> {
        let mut work = self.administer(admin).await?;
        let most = most.unwrap_or(100).clamp(1, MOST_DEEDS);
        Ok(work.deeds(before.unwrap_or(i64::MAX), most).await?)
    }

    /// Begins what only admins may. It is looked at again here: who was one a moment ago may be none any more.
    pub(super) async fn administer(&self, admin: &Account) -> Result<Work, Refusal> {
        let mut work = self.store.begin().await?;
        let now = work.account(&admin.id).await?;
        let is_admin = now.is_some_and(|now| now.role == Role::Admin && !now.disabled);
        if is_admin {
            Ok(work)
        } else {
            Err(Refusal::NotAdmin)
        }
    }

    async fn invitation(&self, work: &mut Work, account: &Account) -> Result<Invitation, Refusal> {
        let of = Some(&account.id);
        let given = self.give_code(work, Purpose::Invitation, of, GOOD).await?;
        let (code, expires) = given;
        let code = code.expose();
        Ok(Invitation { code, expires })
    }

    async fn tell(
        &self,
        work: &mut Work,
        admin: &Account,
        account: &Account,
        actions: &[Action],
        address: IpAddr,
    ) -> Result<(), Refusal> {
        for action in actions {
            let deed = Deed {
                subject: Some(account.into()),
                ..self.own_deed(admin, *action, address)
            };
            work.record(&deed).await?;
        }
        Ok(())
    }
}
