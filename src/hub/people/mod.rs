// SPDX-License-Identifier: MIT OR Apache-2.0
//! The people of a hub: their accounts, how they sign in, and what happened.
//!
//! Rules are here; what they are kept in is in `store`, and how they are asked for over HTTP in the hub's `api`.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod bookings;
mod code;
mod codes;
mod devices;
pub mod licence;
mod limits;
pub(crate) mod meetings;
mod password;
mod proof;
mod refusal;
mod roll;
mod schedule;
mod set_up;
mod sign_in;
mod store;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use account::Account;
use audit::{Action, Deed};
pub(crate) use code::{draw, draw_token, hash};
use devices::Challenges;
pub(crate) use devices::{Enrolment, TOKEN as DEVICE_TOKEN};
use limits::Limits;
pub(crate) use meetings::Asker;
use password::Passwords;
pub(crate) use proof::{DeviceKey, Kind as Proven};
pub use refusal::Refusal;
pub(crate) use roll::{Change, Invitation, NewAccount};
pub(crate) use set_up::Choice;
pub use set_up::SetUpCode;
use set_up::SetUpFile;
pub(crate) use sign_in::{SESSION, SessionToken};
use store::Store;
pub use store::StoreError;

/// What time it is: since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Clock {
    /// A clock that says what `now` returns, the time since 1970.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(|| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
        })
    }

    /// The time since 1970.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}

/// The people of a hub.
#[derive(Debug)]
pub struct People {
    store: Store,
    passwords: Passwords,
    limits: Mutex<Limits>,
    challenges: Challenges,
    clock: Clock,
    /// Where the code for the first admin is shown; `None`: only by who asks for it.
    set_up_file: Option<SetUpFile>,
}

impl People {
    /// The people who are kept in this folder, which only its owner may look into. It is made if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be used, others may look into it, or another hub uses it.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, Refusal> {
        let store = Store::open(folder).await?;
        Self::new(store, clock, Some(SetUpFile::new(folder))).await
    }

    /// Nobody yet; all is forgotten with the process.
    ///
    /// # Errors
    /// When memory is short.
    pub async fn in_memory(clock: Clock) -> Result<Self, Refusal> {
        Self::new(Store::in_memory().await?, clock, None).await
    }

    async fn new(
        store: Store,
        clock: Clock,
        set_up_file: Option<SetUpFile>,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            store,
            passwords: Passwords::new().await?,
            limits: Mutex::default(),
            challenges: Challenges::new(),
            clock,
            set_up_file,
        })
    }

    /// Seconds since 1970.
    fn now(&self) -> i64 {
        i64::try_from(self.clock.now().as_secs()).unwrap_or(i64::MAX)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        // They stay what they are if somebody panics.
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a try at something that only who holds a key can do, before it is known whether it is right.
    ///
    /// # Errors
    /// When too many from this address were wrong.
    pub(crate) fn attempt(&self, address: IpAddr) -> Result<(), Refusal> {
        let limited = self.limits().take_of(address, self.clock.now());
        limited.map_err(Refusal::TooMany)
    }

    /// The last try of this address was right.
    pub(crate) fn was_right(&self, address: IpAddr) {
        self.limits().right_of(address);
    }

    /// What `account` does for itself.
    fn own_deed<'a>(&self, account: &'a Account, action: Action, address: IpAddr) -> Deed<'a> {
        Deed {
            at: self.now(),
            actor: Some(account.into()),
            action,
            subject: None,
            address,
        }
    }
}
