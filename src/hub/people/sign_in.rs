// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signing in and out.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::account::{self, Account};
use super::audit::Action;
use super::store::Work;
use super::{People, Refusal, code};

/// How long somebody stays signed in: a working day.
pub(crate) const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// What the cookie of a session holds.
#[derive(Clone)]
pub(crate) struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// What somebody came with.
    pub(crate) fn read(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Only for the cookie.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    fn hash(&self) -> String {
        code::hash(&self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

impl People {
    /// Signs somebody in.
    ///
    /// # Errors
    /// When name and password do not fit, after as long a time whether there is such an account or not; when too many were
    /// wrong before; when the account is disabled.
    pub(crate) async fn sign_in(
        &self,
        typed: &str,
        password: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<(Account, SessionToken), Refusal> {
        let name = account::name(typed)?;
        let taken = self.limits().take(&name, address, self.clock.now());
        taken.map_err(Refusal::TooMany)?;
        let mut work = self.store.begin().await?;
        let found = work.account_named(&name).await?;
        drop(work);
        let kept = found.as_ref().and_then(|(_, hash)| hash.clone());
        let is_right = self.passwords.is(password, kept.clone()).await?;
        let mut work = self.store.begin().await?;
        let Some((account, _)) = found.filter(|_| is_right) else {
            if let Some((account, _)) = work.account_named(&name).await? {
                let mut deed = self.own_deed(&account, Action::SignInRefused, address);
                deed.subject = deed.actor.take();
                work.record(&deed).await?;
                work.commit().await?;
            }
            return Err(Refusal::Credentials);
        };
        self.limits().right(&name, address);
        // It may have changed while the password was looked at.
        let now = work.account_named(&name).await?;
        let unchanged = now.filter(|(now, hash)| now.id == account.id && *hash == kept);
        let (account, _) = unchanged.ok_or(Refusal::Credentials)?;
        if account.disabled {
            return Err(Refusal::Disabled);
        }
        let token = self.open_session(&mut work, &account).await?;
        let deed = self.own_deed(&account, Action::SignIn, address);
        work.record(&deed).await?;
        work.commit().await?;
        Ok((account, token))
    }

    /// Who is signed in with this token.
    ///
    /// # Errors
    /// When nobody is, or no longer.
    pub(crate) async fn signed_in(&self, token: &SessionToken) -> Result<Account, Refusal> {
        let mut work = self.store.begin().await?;
        let account = work.session(&token.hash(), self.now()).await?;
        account.ok_or(Refusal::NotSignedIn)
    }

    /// Ends a session. One that is over already is none the worse.
    ///
    /// # Errors
    /// When nothing can be kept.
    pub(crate) async fn sign_out(
        &self,
        token: &SessionToken,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let mut work = self.store.begin().await?;
        let hash = token.hash();
        if let Some(account) = work.session(&hash, self.now()).await? {
            work.delete_session(&hash).await?;
            let deed = self.own_deed(&account, Action::SignOut, address);
            work.record(&deed).await?;
        }
        Ok(work.commit().await?)
    }

    /// Changes the own password. All sessions end; the answer is a new one.
    ///
    /// # Errors
    /// When the old one is wrong, or was too often, or the new one is too short.
    pub(crate) async fn change_password(
        &self,
        account: &Account,
        old: Zeroizing<String>,
        new: Zeroizing<String>,
        address: IpAddr,
    ) -> Result<SessionToken, Refusal> {
        let name = &account.name;
        let taken = self.limits().take(name, address, self.clock.now());
        taken.map_err(Refusal::TooMany)?;
        let mut work = self.store.begin().await?;
        let found = work.account_named(name).await?;
        drop(work);
        let kept = found.and_then(|(_, hash)| hash);
        if !self.passwords.is(old, kept.clone()).await? {
            return Err(Refusal::Credentials);
        }
        self.limits().right(name, address);
        let hash = self.passwords.hash(new).await?;
        let mut work = self.store.begin().await?;
        // Of two changes at once, the first holds.
        let now = work.account_named(name).await?;
        let unchanged = now.is_some_and(|(now, hash)| now.id == account.id && hash == kept);
        if !unchanged {
            return Err(Refusal::Credentials);
        }
        work.set_password(&account.id, &hash).await?;
        work.delete_sessions(&account.id).await?;
        let token = self.open_session(&mut work, account).await?;
        let deed = self.own_deed(account, Action::PasswordChanged, address);
        work.record(&deed).await?;
        work.commit().await?;
        Ok(token)
    }

    pub(super) async fn open_session(
        &self,
        work: &mut Work,
        account: &Account,
    ) -> Result<SessionToken, Refusal> {
        let token = SessionToken(Zeroizing::new(code::draw_token()));
        let now = self.now();
        let expires = now.saturating_add(SESSION.as_secs() as i64);
        work.insert_session(&token.hash(), &account.id, now, expires)
            .await?;
        Ok(token)
    }
}
