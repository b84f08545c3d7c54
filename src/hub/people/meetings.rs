// SPDX-License-Identifier: MIT OR Apache-2.0
//! Meetings that are started here, and what becomes of guests in them. Their secrets never come here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use roomseal_policy::{E2ee, KeyModel, RoomName};
use serde::Serialize;

use super::account::{Account, AccountId};
use super::audit::Action;
use super::devices::Device;
use super::licence::{GuestsUnderE2ee, Organiser, may_start};
use super::store::Work;
use super::{People, Refusal};

/// The setting's name.
const GUESTS: &str = "guests-under-e2ee";

/// How long a meeting is remembered.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A meeting as it is kept. Nothing in it is secret.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) room: String,
    /// None: the owner's box, or an account that is gone.
    pub(crate) organiser: Option<AccountId>,
    /// Whether end-to-end encryption may be turned on in it.
    pub(crate) e2ee: bool,
    pub(crate) key_model: KeyModel,
    /// Whether people wait until a host lets them in.
    pub(crate) waiting_room: bool,
    /// When it was made, in seconds since 1970.
    pub(crate) made: i64,
    /// SHA-256 of the meeting's key in base64url, by which its hosts are known.
    pub(crate) meeting_key: Option<String>,
    /// The hosts' policies as one message.
    pub(crate) policy: Option<String>,
    /// Whether the last of these turns end-to-end encryption on.
    pub(crate) said: Option<E2ee>,
    /// What it is called, where it was given a name.
    pub(crate) title: Option<String>,
    /// When it is to be, where that is scheduled: seconds since 1970.
    pub(crate) plan: Option<Plan>,
    /// Of one that was made by the API of Plug-N-Meet.
    pub(crate) session: Option<String>,
}

impl Meeting {
    /// One in `room`, whose hosts have said nothing yet.
    pub(crate) fn new(room: &RoomName, e2ee: bool, key_model: KeyModel) -> Self {
        Self {
            room: room.as_str().to_owned(),
            organiser: None,
            e2ee,
            key_model,
            waiting_room: false,
            made: 0,
            meeting_key: None,
            policy: None,
            said: None,
            title: None,
            plan: None,
            session: None,
        }
    }
}

/// When a meeting is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// Seconds since 1970, as is the end.
    pub(crate) starts: i64,
    pub(crate) ends: i64,
}

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

    pub(super) fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) | Self::Device(_, account) => Some(account),
            Self::Owner => None,
        }
    }
}

impl People {
    /// Keeps a meeting that somebody starts or schedules, in a room that no other known meeting has.
    ///
    /// # Errors
    /// When it takes a licence that is not there, or the room is taken.
    pub(crate) async fn start_meeting(
        &self,
        asker: &Asker,
        meeting: Meeting,
    ) -> Result<Meeting, Refusal> {
        let mut work = self.store.begin().await?;
        let meeting = self.begin_meeting(&mut work, asker, meeting).await?;
        work.commit().await?;
        Ok(meeting)
    }

    /// The same as a part of something more.
    pub(super) async fn begin_meeting(
        &self,
        work: &mut Work,
        asker: &Asker,
        meeting: Meeting,
    ) -> Result<Meeting, Refusal> {
        may_start(asker.organiser(), meeting.e2ee)?;
        let now = self.now();
        work.delete_meetings(now.saturating_sub(REMEMBERED.as_secs() as i64))
            .await?;
        if work.meeting(&meeting.room).await?.is_some() {
            return Err(Refusal::RoomTaken);
        }
        let meeting = Meeting {
            organiser: asker.account().map(|account| account.id.clone()),
            made: now,
            ..meeting
        };
        work.insert_meeting(&meeting).await?;
        Ok(meeting)
    }

    /// What is known of the meeting in a room.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn meeting(&self, room: &str) -> Result<Option<Meeting>, Refusal> {
        Ok(self.store.begin().await?.meeting(room).await?)
    }

    /// The rooms of meetings in which end-to-end encryption is on, as far as anybody said.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn sealed_rooms(&self) -> Result<BTreeSet<String>, Refusal> {
        Ok(self.store.begin().await?.sealed_rooms().await?)
    }

    /// Keeps what the hosts of a meeting say now, if the meeting is known.
    ///
    /// # Errors
    /// When nothing can be kept.
    pub(crate) async fn hosts_say(
        &self,
        room: &str,
        policy: &str,
        said: E2ee,
    ) -> Result<(), Refusal> {
        let mut work = self.store.begin().await?;
        work.set_policy(room, policy, said).await?;
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

    /// Whether anybody has an account.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    pub(crate) async fn has_accounts(&self) -> Result<bool, Refusal> {
        Ok(self.store.begin().await?.has_accounts().await?)
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
