// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions: who is signed in.

use sqlx::query;

use super::{StoreError, Work, accounts};
use crate::people::account::{Account, AccountId};

/// Sessions of one account; the oldest end first.
const MOST: i64 = 50;

impl Work {
    /// Keeps a session by the hash of its token, and forgets those that are over.
    pub(crate) async fn insert_session(
        &mut self,
        hash: &str,
        account: &AccountId,
        now: i64,
        expires: i64,
    ) -> Result<(), StoreError> {
        query("DELETE FROM session WHERE expires <= $1")
            .bind(now)
            .execute(&mut *self.0)
            .await?;
        query(
            "DELETE FROM session WHERE account = $1 AND hash NOT IN \
             (SELECT hash FROM session WHERE account = $1 ORDER BY made DESC LIMIT $2)",
        )
        .bind(account.as_str())
        .bind(MOST - 1)
        .execute(&mut *self.0)
        .await?;
        query("INSERT INTO session (hash, account, made, expires) VALUES ($1, $2, $3, $4)")
            .bind(hash)
            .bind(account.as_str())
            .bind(now)
            .bind(expires)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Whose session that is, as long as it lasts and the account may sign in.
    pub(crate) async fn session(
        &mut self,
        hash: &str,
        now: i64,
    ) -> Result<Option<Account>, StoreError> {
        let row = query(
            "SELECT id, name, display_name, role, licensed, disabled, password IS NOT NULL AS joined, \
             account.made AS made FROM session JOIN account ON account.id = session.account \
             WHERE hash = $1 AND expires > $2 AND NOT disabled",
        )
        .bind(hash)
        .bind(now)
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(row.as_ref().map(accounts::read).transpose()?)
    }

    pub(crate) async fn delete_session(&mut self, hash: &str) -> Result<(), StoreError> {
        query("DELETE FROM session WHERE hash = $1")
            .bind(hash)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Ends all sessions of an account.
    pub(crate) async fn delete_sessions(&mut self, account: &AccountId) -> Result<(), StoreError> {
        query("DELETE FROM session WHERE account = $1")
            .bind(account.as_str())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}
