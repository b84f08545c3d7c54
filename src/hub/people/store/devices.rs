// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices, and their tokens.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query};

use super::{StoreError, Work};
use crate::people::account::AccountId;
use crate::people::devices::Device;

const COLUMNS: &str = "id, account, name, public_key, made";

impl Work {
    pub(crate) async fn insert_device(&mut self, device: &Device) -> Result<(), StoreError> {
        query(
            "INSERT INTO device (id, account, name, public_key, made) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(device.id.as_str())
        .bind(device.account.as_str())
        .bind(&device.name)
        .bind(&device.key)
        .bind(device.made)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    pub(crate) async fn device(&mut self, id: &str) -> Result<Option<Device>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM device WHERE id = $1");
        let row = query(&text).bind(id).fetch_optional(&mut *self.0).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    pub(crate) async fn device_of_key(&mut self, key: &str) -> Result<Option<Device>, StoreError> {
        let text = format!("SELECT {COLUMNS} FROM device WHERE public_key = $1");
        let row = query(&text).bind(key).fetch_optional(&mut *self.0).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Those of an account, or all, the oldest first.
    pub(crate) async fn devices(
        &mut self,
        of: Option<&AccountId>,
    ) -> Result<Vec<Device>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM device WHERE account = COALESCE($1, account) ORDER BY made, id"
        );
        let of = of.map(AccountId::as_str);
        let rows = query(&text).bind(of).fetch_all(&mut *self.0).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// With its tokens.
    pub(crate) async fn delete_device(&mut self, id: &str) -> Result<(), StoreError> {
        query("DELETE FROM device WHERE id = $1")
            .bind(id)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Keeps a token by its hash, and forgets those that are over.
    pub(crate) async fn insert_device_token(
        &mut self,
        hash: &str,
        device: &str,
        now: i64,
        expires: i64,
    ) -> Result<(), StoreError> {
        query("DELETE FROM device_token WHERE expires <= $1")
            .bind(now)
            .execute(&mut *self.0)
            .await?;
        query("INSERT INTO device_token (hash, device, expires) VALUES ($1, $2, $3)")
            .bind(hash)
            .bind(device)
            .bind(expires)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Whose token that is, as long as it is good.
    pub(crate) async fn device_of_token(
        &mut self,
        hash: &str,
        now: i64,
    ) -> Result<Option<Device>, StoreError> {
        let row = query(
            "SELECT device.id AS id, account, name, public_key, made FROM device_token \
             JOIN device ON device.id = device_token.device WHERE hash = $1 AND expires > $2",
        )
        .bind(hash)
        .bind(now)
        .fetch_optional(&mut *self.0)
        .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Whether a challenge was answered before; from now on it was. Those that are too old anyway are forgotten.
    pub(crate) async fn answer_once(
        &mut self,
        hash: &str,
        now: i64,
        expires: i64,
    ) -> Result<bool, StoreError> {
        query("DELETE FROM answered WHERE expires <= $1")
            .bind(now)
            .execute(&mut *self.0)
            .await?;
        let known = query("SELECT 1 FROM answered WHERE hash = $1")
            .bind(hash)
            .fetch_optional(&mut *self.0)
            .await?;
        if known.is_some() {
            return Ok(false);
        }
        query("INSERT INTO answered (hash, expires) VALUES ($1, $2)")
            .bind(hash)
            .bind(expires)
            .execute(&mut *self.0)
            .await?;
        Ok(true)
    }
}

fn read(row: &SqliteRow) -> Result<Device, sqlx::Error> {
    Ok(Device {
        id: row.try_get("id")?,
        account: AccountId::kept(row.try_get("account")?),
        name: row.try_get("name")?,
        key: row.try_get("public_key")?,
        made: row.try_get("made")?,
    })
}
