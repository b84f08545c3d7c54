// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are started here, and what becomes of guests in them. Their secrets never come here.

use std::net::IpAddr;
use std::time::Duration;

use super::account::Account;
use super::audit::Action;
use super::devices::Device;
use super::licence::{GuestsUnderE2ee, Organiser, may_start};
use super::{People, Refusal};

/// The setting's name.
const GUESTS: &str = "guests-under-e2ee";

/// How long a meeting is remembered.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Who asks for a meeting, and is known.
#[derive(Debug)]
pub(crate) enum Asker {
    /// Somebody who is signed in.
    Account(Account),
    /// A device, and who enrolled it.
    Device(Device, Account),
    /// Who holds the API key.
    Owner,
}

impl Asker {
    fn organiser(&self) -> Organiser {
        match self {
            Self::Account(account) => Organiser::Account {
                licensed: account.licensed,
            },
            Self::Device(_, owner) => Organiser::Device {
                licensed: owner.licensed,
            },
            Self::Owner => Organiser::OwnersBox,
        }
    }

    fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) | Self::Device(_, account) => Some(account),
            Self::Owner => None,
        }
    }
}

impl People {
    /// Starts a meeting in `room`, which nobody has used.
    ///
    /// # Errors
    /// When it takes a licence that is not there.
    pub(crate) async fn start_meeting(
        &self,
        asker: &Asker,
        room: &str,
        e2ee: bool,
    ) -> Result<(), Refusal> {
        may_start(asker.organiser(), e2ee)?;
        let mut work = self.store.begin().await?;
        let now = self.now();
        work.delete_meetings(now.saturating_sub(REMEMBERED.as_secs() as i64))
            .await?;
        let organiser = asker.account().map(|account| &account.id);
        work.insert_meeting(room, organiser, e2ee, now).await?;
        Ok(work.commit().await?)
    }

    /// What becomes of guests while end-to-end encryption is on.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn guests_under_e2ee(&self) -> Result<GuestsUnderE2ee, Refusal> {
        let mut work = self.store.begin().await?;
        let chosen = work.setting(GUESTS).await?;
        let chosen = chosen.as_deref().and_then(GuestsUnderE2ee::named);
        let has_accounts = work.has_accounts().await?;
        Ok(GuestsUnderE2ee::effective(chosen, has_accounts))
    }

    /// Chooses what becomes of them.
    pub(crate) async fn set_guests_under_e2ee(
        &self,
        admin: &Account,
        rule: GuestsUnderE2ee,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        let mut work = self.administer(admin).await?;
        work.set_setting(GUESTS, rule.name()).await?;
        let action = match rule {
            GuestsUnderE2ee::Allow => Action::GuestsAllowed,
            GuestsUnderE2ee::SignIn => Action::GuestsSignIn,
        };
        work.record(&self.own_deed(admin, action, address)).await?;
        Ok(work.commit().await?)
    }
}
