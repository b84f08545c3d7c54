// SPDX-License-Identifier: MIT OR Apache-2.0
//! The audit log.

use sqlx::query;

use super::{StoreError, Work};
use crate::people::audit::Deed;

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
}
