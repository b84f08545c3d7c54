// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accounts.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query, query_scalar};

use super::{StoreError, Work};
use crate::people::account::{Account, AccountId, Role};

const COLUMNS: &str =
    "id, name, display_name, role, licensed, disabled, password IS NOT NULL AS joined, made";

impl Work {
    pub(crate) async fn account(&mut self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM account WHERE id = $1");
        let row = query(&text).bind(id.as_str()).fetch_optional(&mut *self.0);
        Ok(row.await?.as_ref().map(read).transpose()?)
    }

    /// All, by name.
    pub(crate) async fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM account ORDER BY name");
        let rows = query(&text).fetch_all(&mut *self.0).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// With the hash of the password, if there is one.
    pub(crate) async fn account_named(
        &mut self,
        name: &str,
    ) -> Result<Option<(Account, Option<String>)>, StoreError> {
        let text = format!("SELECT {COLUMNS}, password FROM account WHERE name = $1");
        let row = query(&text).bind(name).fetch_optional(&mut *self.0).await?;
        Ok(match row {
            Some(row) => Some((read(&row)?, row.try_get("password")?)),
            None => None,
        })
    }

    pub(crate) async fn insert_account(&mut self, account: &Account) -> Result<(), StoreError> {
        query(
            "INSERT INTO account (id, name, display_name, role, licensed, disabled, password, made) \
             VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)",
        )
        .bind(account.id.as_str())
        .bind(&account.name)
        .bind(&account.display_name)
        .bind(account.role.name())
        .bind(account.licensed)
        .bind(account.disabled)
        .bind(account.made)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// Changes what can change.
    pub(crate) async fn update_account(&mut self, account: &Account) -> Result<(), StoreError> {
        query(
            "UPDATE account SET display_name = $1, role = $2, licensed = $3, disabled = $4 \
             WHERE id = $5",
        )
        .bind(&account.display_name)
        .bind(account.role.name())
        .bind(account.licensed)
        .bind(account.disabled)
        .bind(account.id.as_str())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// With its sessions, codes and devices.
    pub(crate) async fn delete_account(&mut self, id: &AccountId) -> Result<(), StoreError> {
        query("DELETE FROM account WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    pub(crate) async fn set_password(
        &mut self,
        id: &AccountId,
        hash: &str,
    ) -> Result<(), StoreError> {
        query("UPDATE account SET password = $1 WHERE id = $2")
            .bind(hash)
            .bind(id.as_str())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Admins who can sign in.
    pub(crate) async fn admins(&mut self) -> Result<i64, StoreError> {
        let text = "SELECT COUNT(*) FROM account \
                    WHERE role = 'admin' AND NOT disabled AND password IS NOT NULL";
        Ok(query_scalar(text).fetch_one(&mut *self.0).await?)
    }
}

pub(super) fn read(row: &SqliteRow) -> Result<Account, sqlx::Error> {
    let role: &str = row.try_get("role")?;
    Ok(Account {
        id: AccountId::kept(row.try_get("id")?),
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        role: Role::named(role).ok_or_else(|| sqlx::Error::Decode("role".into()))?,
        licensed: row.try_get("licensed")?,
        disabled: row.try_get("disabled")?,
        joined: row.try_get("joined")?,
        made: row.try_get("made")?,
    })
}
