// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings, and what admins chose.

use sqlx::{Row as _, query, query_scalar};

use super::{StoreError, Work};
use crate::people::account::AccountId;

impl Work {
    pub(crate) async fn insert_meeting(
        &mut self,
        room: &str,
        organiser: Option<&AccountId>,
        e2ee: bool,
        now: i64,
    ) -> Result<(), StoreError> {
        query("INSERT INTO meeting (room, organiser, e2ee, made) VALUES ($1, $2, $3, $4)")
            .bind(room)
            .bind(organiser.map(AccountId::as_str))
            .bind(e2ee)
            .bind(now)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Forgets meetings that were made before.
    pub(crate) async fn delete_meetings(&mut self, before: i64) -> Result<(), StoreError> {
        query("DELETE FROM meeting WHERE made < $1")
            .bind(before)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    pub(crate) async fn has_accounts(&mut self) -> Result<bool, StoreError> {
        let count: i64 = query_scalar("SELECT COUNT(*) FROM account WHERE password IS NOT NULL")
            .fetch_one(&mut *self.0)
            .await?;
        Ok(count > 0)
    }

    pub(crate) async fn setting(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let row = query("SELECT value FROM setting WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.map(|row| row.try_get("value")).transpose()?)
    }

    pub(crate) async fn set_setting(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        query("DELETE FROM setting WHERE name = $1")
            .bind(name)
            .execute(&mut *self.0)
            .await?;
        query("INSERT INTO setting (name, value) VALUES ($1, $2)")
            .bind(name)
            .bind(value)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}
