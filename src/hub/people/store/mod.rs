// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where people are kept, and the only place that speaks SQL.
//!
//! Everything happens in a [`Work`]: all of it or nothing, together with its line in the audit log. The statements are
//! those that SQLite and PostgreSQL share (numbered places, no upserts, no functions of one of them); what has to differ
//! is in the migration that is named after its database, and in [`Store::open`].

mod accounts;
mod bookings;
mod codes;
mod deeds;
mod devices;
mod meetings;
mod sessions;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Pool, Transaction};

pub(crate) use codes::{KeptCode, Purpose};

/// The database that is carried along.
type Database = sqlx::Sqlite;

/// Its file in the data folder.
const FILE: &str = "people.sqlite";

/// Held by the one hub that uses a data folder.
const LOCK: &str = "lock";

/// How long somebody waits for the others.
const WAITING: Duration = Duration::from_secs(5);

/// Each exactly once, in this order; one that was released is never changed.
const MIGRATIONS: [(&str, &str); 7] = [
    ("people", include_str!("migrations/1_people.sql")),
    (
        "append only",
        include_str!("migrations/2_append_only_sqlite.sql"),
    ),
    ("meetings", include_str!("migrations/3_meetings.sql")),
    ("devices", include_str!("migrations/4_devices.sql")),
    ("plans", include_str!("migrations/5_plans.sql")),
    (
        "waiting rooms",
        include_str!("migrations/6_waiting_rooms.sql"),
    ),
    ("bookings", include_str!("migrations/7_bookings.sql")),
];

/// Why nothing can be kept, or found again.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database fails.
    #[error("the database of people fails: {0}; is the disk full, or its folder not writable?")]
    Database(#[from] sqlx::Error),
    /// The database is of another version.
    #[error("the database of people cannot be brought up to date: {0}; is it of a newer version?")]
    Migration(#[from] MigrateError),
    /// The data folder cannot be used.
    #[error("cannot use {} for data: {source}; name another with --data", .path.display())]
    Folder {
        /// What cannot be used.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than its owner may look into the data folder.
    #[error("others may look into {} (mode {mode:04o}); run: chmod {} {}",
        .path.display(), if path.is_dir() { "700" } else { "600" }, .path.display())]
    Open {
        /// What they may read or write.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another hub uses the data folder.
    #[error("another hub uses {}: stop it, or name another folder with --data", .0.display())]
    Taken(PathBuf),
}

/// Where people are kept.
#[derive(Debug)]
pub(crate) struct Store {
    pool: Pool<Database>,
    /// Held as long as the database is open.
    _lock: Option<File>,
}

impl Store {
    /// Opens the database in a folder, which only its owner may look into; both are made if they are not there.
    pub(crate) async fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| StoreError::Folder { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed(folder))?;
        is_private(folder)?;
        let lock = folder.join(LOCK);
        let lock = private_file(&lock).map_err(failed(&lock))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Taken(folder.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(folder)(source)),
        }
        // Made before SQLite does, for its mode; the files beside it get the same.
        let file = folder.join(FILE);
        private_file(&file).map_err(failed(&file))?;
        is_private(&file)?;
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .journal_mode(SqliteJournalMode::Wal)
            // What was answered is still there after a power cut.
            .synchronous(SqliteSynchronous::Full);
        Self::connect(options, Some(lock)).await
    }

    /// A database that ends with the process.
    pub(crate) async fn in_memory() -> Result<Self, StoreError> {
        Self::connect(SqliteConnectOptions::new().in_memory(true), None).await
    }

    async fn connect(
        options: SqliteConnectOptions,
        lock: Option<File>,
    ) -> Result<Self, StoreError> {
        // One connection, which is never given up: what is in memory is in it, and writers need not try again.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(WAITING)
            .connect_with(options.foreign_keys(true))
            .await?;
        let migrations = (1..).zip(MIGRATIONS).map(|(version, (description, sql))| {
            let kind = MigrationType::Simple;
            Migration::new(version, description.into(), kind, sql.into(), false)
        });
        let migrator = Migrator {
            migrations: migrations.collect(),
            ..Migrator::DEFAULT
        };
        migrator.run(&pool).await?;
        Ok(Self { pool, _lock: lock })
    }

    /// Begins something.
    pub(crate) async fn begin(&self) -> Result<Work, StoreError> {
        Ok(Work(self.pool.begin().await?))
    }
}

/// Something that happens as a whole, or, dropped without [`commit`](Self::commit), not at all.
#[derive(Debug)]
pub(crate) struct Work(Transaction<'static, Database>);

impl Work {
    /// It has happened.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

/// Opens a file of mode 0600, made if it is not there.
fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options.open(path)
}

fn is_private(path: &Path) -> Result<(), StoreError> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.mode() & 0o7777,
        Err(source) => {
            return Err(StoreError::Folder {
                path: path.to_owned(),
                source,
            });
        }
    };
    if mode & 0o077 != 0 {
        return Err(StoreError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}
