// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first admin: whoever reads a code at the hub itself.
//!
//! The code is good for half an hour, five tries and one admin. As long as there is no admin who can sign in, a new one
//! follows; nobody outside can end that, or use up more than the tries of the present one.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::account::{self, Account, AccountId, Role};
use super::audit::Action;
use super::code::Code;
use super::sign_in::SessionToken;
use super::store::{Purpose, StoreError};
use super::{People, Refusal};

/// How long a code is good.
const GOOD: Duration = Duration::from_secs(30 * 60);

/// The code that makes its reader the first admin.
#[derive(Debug)]
pub struct SetUpCode {
    code: Code,
    file: Option<PathBuf>,
}

impl SetUpCode {
    /// How long it is good; then comes the next.
    pub const GOOD: Duration = GOOD;

    /// As it is typed. Only for who stands at the hub.
    pub fn expose(&self) -> Zeroizing<String> {
        self.code.expose()
    }

    /// The file (mode 0600) that it is in as well, until it is used.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

/// The file with the code, for programs that show it, such as the box.
#[derive(Debug)]
pub(super) struct SetUpFile(PathBuf);

impl SetUpFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("set-up-code"))
    }

    /// As a whole or not at all: who reads it never finds half a code.
    fn write(&self, code: &Code) -> io::Result<()> {
        let new = self.0.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(code.expose().as_bytes())?;
        file.write_all(b"\n")?;
        fs::rename(&new, &self.0)
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// What the first admin chooses.
pub(crate) struct Choice {
    pub(crate) code: Zeroizing<String>,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) password: Zeroizing<String>,
}

impl People {
    /// A code for the first admin, in the place of any earlier one; `None` when there is an admin.
    ///
    /// # Errors
    /// When nothing can be kept.
    pub async fn set_up_code(&self) -> Result<Option<SetUpCode>, Refusal> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| StoreError::Folder { path, source }
        };
        let mut work = self.store.begin().await?;
        if work.admins().await? > 0 {
            if let Some(file) = &self.set_up_file {
                file.remove().map_err(failed(&file.0))?;
            }
            return Ok(None);
        }
        let (code, _) = self
            .give_code(&mut work, Purpose::SetUp, None, GOOD)
            .await?;
        work.commit().await?;
        if let Some(file) = &self.set_up_file {
            file.write(&code).map_err(failed(&file.0))?;
        }
        let file = self.set_up_file.as_ref().map(|file| file.0.clone());
        Ok(Some(SetUpCode { code, file }))
    }

    /// Makes the first admin, and signs it in.
    ///
    /// # Errors
    /// When the code is not right, there is an admin already, or what was chosen cannot be.
    pub(crate) async fn set_up(
        &self,
        choice: Choice,
        address: IpAddr,
    ) -> Result<(Account, SessionToken), Refusal> {
        let name = account::name(&choice.name)?;
        let display_name = account::display_name(&choice.display_name)?;
        let now = self.clock.now();
        let limited = self.limits().take_of(address, now);
        limited.map_err(Refusal::TooMany)?;
        let hash = self.passwords.hash(choice.password).await?;
        let mut work = self.store.begin().await?;
        if work.admins().await? > 0 {
            return Err(Refusal::SetUp);
        }
        let mut work = self.take_code(work, Purpose::SetUp, &choice.code).await?.0;
        self.limits().right_of(address);
        let account = Account {
            id: AccountId::draw(),
            name,
            display_name,
            role: Role::Admin,
            licensed: true,
            disabled: false,
            joined: true,
            made: self.now(),
        };
        work.insert_account(&account).await?;
        work.set_password(&account.id, &hash).await?;
        let token = self.open_session(&mut work, &account).await?;
        let deed = self.own_deed(&account, Action::SetUp, address);
        work.record(&deed).await?;
        work.commit().await?;
        if let Some(file) = &self.set_up_file
            && let Err(error) = file.remove()
        {
            // It is good for nothing any more.
            tracing::warn!(%error, "the file with the used code stays: remove {}", file.0.display());
        }
        tracing::info!(account = account.name, "the hub is set up");
        Ok((account, token))
    }
}
