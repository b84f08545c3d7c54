// SPDX-License-Identifier: MIT OR Apache-2.0
//! The audit log.

use sqlx::{Row as _, query};

use super::{StoreError, Work};
use crate::people::audit::{Deed, KeptDeed, KeptName};

impl Work {
    /// Adds a line. It stays if what it tells of happens.
    pub(crate) async fn record(&mut self, deed: &Deed<'_>) -> Result<(), StoreError> {
        let actor = deed.actor;
        let subject = deed.subject;
        query(
            "INSERT INTO deed (id, at, actor, actor_name, action, subject, subject_name, address) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, $6, $7 FROM deed",
        )
        .bind(deed.at)
        .bind(actor.map(|actor| actor.id.as_str()))
        .bind(actor.map(|actor| actor.name))
        .bind(deed.action.name())
        .bind(subject.map(|subject| subject.id.as_str()))
        .bind(subject.map(|subject| subject.name))
        .bind(deed.address.to_string())
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }

    /// The newest lines before one, the newest first.
    pub(crate) async fn deeds(
        &mut self,
        before: i64,
        most: i64,
    ) -> Result<Vec<KeptDeed>, StoreError> {
        let rows = query(
            "SELECT id, at, actor, actor_name, action, subject, subject_name, address FROM deed \
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before)
        .bind(most)
        .fetch_all(&mut *self.0)
        .await?;
        let named = |id: Option<String>, name: Option<String>| {
            id.zip(name).map(|(id, name)| KeptName { id, name })
        };
        let deeds = rows.into_iter().map(|row| {
            Ok(KeptDeed {
                id: row.try_get("id")?,
                at: row.try_get("at")?,
                actor: named(row.try_get("actor")?, row.try_get("actor_name")?),
                action: row.try_get("action")?,
                subject: named(row.try_get("subject")?, row.try_get("subject_name")?),
                address: row.try_get("address")?,
            })
        });
        Ok(deeds.collect::<Result<_, sqlx::Error>>()?)
    }
}
