// SPDX-License-Identifier: MIT OR Apache-2.0
//! One-time codes.

use sqlx::{Row as _, query};

use super::{StoreError, Work};
use crate::people::account::AccountId;

/// What a code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To become the first admin.
    SetUp,
    /// To choose the password of an account.
    Invitation,
    /// To enrol a device of an account.
    Pairing,
}

impl Purpose {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Invitation => "invitation",
            Self::Pairing => "pairing",
        }
    }
}

/// A code as it is kept: nobody can tell it from this.
#[derive(Debug)]
pub(crate) struct KeptCode {
    pub(crate) selector: String,
    pub(crate) hash: String,
    pub(crate) account: Option<AccountId>,
    pub(crate) expires: i64,
    /// How often it may still be tried.
    pub(crate) tries: i64,
}

impl Work {
    pub(crate) async fn insert_code(
        &mut self,
        purpose: Purpose,
        code: &KeptCode,
    ) -> Result<(), StoreError> {
        query(
            "INSERT INTO code (selector, hash, purpose, account, expires, tries) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&code.selector)
        .bind(&code.hash)
        .bind(purpose.name())
        .bind(code.account.as_ref().map(AccountId::as_str))
        .bind(code.expires)
        .bind(code.tries)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// Whether there is a code that begins so.
    pub(crate) async fn is_selector_taken(&mut self, selector: &str) -> Result<bool, StoreError> {
        let row = query("SELECT 1 FROM code WHERE selector = $1")
            .bind(selector)
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    pub(crate) async fn code(
        &mut self,
        purpose: Purpose,
        selector: &str,
    ) -> Result<Option<KeptCode>, StoreError> {
        let text =
            "SELECT hash, account, expires, tries FROM code WHERE selector = $1 AND purpose = $2";
        let row = query(text)
            .bind(selector)
            .bind(purpose.name())
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(KeptCode {
            selector: selector.to_owned(),
            hash: row.try_get("hash")?,
            account: row
                .try_get::<Option<String>, _>("account")?
                .map(AccountId::kept),
            expires: row.try_get("expires")?,
            tries: row.try_get("tries")?,
        }))
    }

    /// It was tried.
    pub(crate) async fn spend_try(&mut self, selector: &str) -> Result<(), StoreError> {
        query("UPDATE code SET tries = tries - 1 WHERE selector = $1")
            .bind(selector)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_code(&mut self, selector: &str) -> Result<(), StoreError> {
        query("DELETE FROM code WHERE selector = $1")
            .bind(selector)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Takes back what was given out for a purpose, and forgets what is over.
    pub(crate) async fn delete_codes(
        &mut self,
        purpose: Purpose,
        account: Option<&AccountId>,
        now: i64,
    ) -> Result<(), StoreError> {
        query(
            "DELETE FROM code WHERE expires <= $1 OR \
             (purpose = $2 AND COALESCE(account, '') = COALESCE($3, ''))",
        )
        .bind(now)
        .bind(purpose.name())
        .bind(account.map(AccountId::as_str))
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }
}
