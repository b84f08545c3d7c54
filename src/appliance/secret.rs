// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets come from files that only their owner reads, or from systemd credentials; never from argv or environment.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// More than any passphrase, key or token; a wrong file (a recording, a device) is refused before it is read.
const LONGEST: u64 = 64 * 1024;

/// Bytes that are wiped when dropped and never shown.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes bytes into keeping.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes. Every caller hands them to what must have them, and to nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text, if they are text.
    pub fn expose_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The bytes that this secret spells in hexadecimal digits.
    pub fn decode_hex(&self) -> Option<Self> {
        let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
            self.0
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect(),
        );
        if digits.is_empty() {
            return None;
        }
        hex::decode(&*digits).ok().map(Self::new)
    }
}

impl Clone for Secret {
    /// Tokens and API secrets are needed at every re-join; each copy wipes itself.
    fn clone(&self) -> Self {
        Self::new(self.0.to_vec())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file is empty.
    #[error("the file {} is empty", .0.display())]
    Empty(PathBuf),
    /// `credential:NAME` without systemd.
    #[error("`credential:{0}` names a systemd credential, and $CREDENTIALS_DIRECTORY is not set")]
    NoCredentials(String),
    /// A credential name with a path in it.
    #[error("`credential:{0}` is not a plain name")]
    CredentialName(String),
    /// Somebody else could have read or written it.
    #[error("others can read or write {} (mode {mode:04o})", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns it.
    #[error("{} belongs to another user", .0.display())]
    Owner(PathBuf),
    /// Not a regular file, or too long to be a secret.
    #[error("{} is not a file that holds a secret", .0.display())]
    Strange(PathBuf),
    /// The system refuses to read it.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SecretError {
    /// What to do next.
    pub fn advice(&self) -> String {
        match self {
            Self::Empty(_) => "write the secret into it, on one line".to_owned(),
            Self::NoCredentials(name) => format!(
                "run under systemd with LoadCredential={name}:…, or name a file of mode 0600"
            ),
            Self::CredentialName(_) => "write the name as in LoadCredential=".to_owned(),
            Self::Open { path, .. } => format!("run: chmod 600 {}", path.display()),
            Self::Owner(path) => format!("run: chown $(id -u) {}", path.display()),
            Self::Strange(_) => "name a regular file of at most 64 KiB".to_owned(),
            Self::Unreadable { .. } => "check the path and who may read it".to_owned(),
        }
    }
}

/// Reads a secret from `reference`: a path (relative to `base`), or `credential:NAME`.
///
/// White space at both ends is not part of the secret: editors and `echo` end lines.
///
/// # Errors
/// When the file is absent, empty, not a file, or open to others.
pub fn read(reference: &str, base: &Path) -> Result<Secret, SecretError> {
    if let Some(name) = reference.strip_prefix("credential:") {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(SecretError::CredentialName(name.to_owned()));
        }
        let dir = std::env::var_os("CREDENTIALS_DIRECTORY")
            .ok_or_else(|| SecretError::NoCredentials(name.to_owned()))?;
        // systemd guards this directory itself, and sets modes there that are its own affair.
        return read_file(&Path::new(&dir).join(name), false);
    }
    // A message shows the path as it was written.
    let path = match base.to_str() {
        Some("" | ".") => PathBuf::from(reference),
        _ => base.join(reference),
    };
    read_file(&path, true)
}

fn read_file(path: &Path, guarded: bool) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // The type is looked at before opening: opening a FIFO would wait for a writer.
    let before = std::fs::metadata(path).map_err(unreadable)?;
    if !before.is_file() {
        return Err(SecretError::Strange(path.to_owned()));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that what is checked is what is read.
    let meta = file.metadata().map_err(unreadable)?;
    if !meta.is_file() || meta.len() > LONGEST {
        return Err(SecretError::Strange(path.to_owned()));
    }
    if guarded {
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Open {
                path: path.to_owned(),
                mode,
            });
        }
        let me = rustix::process::geteuid();
        if meta.uid() != me.as_raw() && meta.uid() != 0 {
            return Err(SecretError::Owner(path.to_owned()));
        }
    }
    // Sized up front: a vector that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 1));
    file.by_ref()
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    Ok(Secret::new(trimmed.to_vec()))
}

/// Writes `text` to `path` for its owner only, in the place of what was there. Whole or not at all: who loses power
/// meanwhile finds what was there before.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn keep(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut half = path.as_os_str().to_owned();
    half.push(".new");
    // Left behind by a start that did not get further.
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&half)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&half, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_private_file_is_read_without_its_line_end() {
        let (dir, _) = file("mypassword\n", 0o600);
        let secret = read("secret", dir.path()).unwrap();
        assert_eq!(secret.expose(), b"mypassword");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_helps() {
        let (_dir, path) = file("mypassword", 0o644);
        let error = read(path.to_str().unwrap(), Path::new("/")).unwrap_err();
        assert!(matches!(error, SecretError::Open { mode: 0o644, .. }));
        assert!(error.advice().contains("chmod 600"), "{}", error.advice());
    }

    #[test]
    fn an_empty_file_and_a_directory_are_refused() {
        let (dir, path) = file(" \n", 0o600);
        assert!(matches!(
            read(path.to_str().unwrap(), Path::new("/")),
            Err(SecretError::Empty(_))
        ));
        assert!(matches!(
            read(dir.path().to_str().unwrap(), Path::new("/")),
            Err(SecretError::Strange(_))
        ));
    }

    #[test]
    fn a_credential_name_cannot_be_a_path() {
        assert!(matches!(
            read("credential:../x", Path::new("/")),
            Err(SecretError::CredentialName(_))
        ));
    }

    #[test]
    fn debug_output_holds_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", Secret::new(b"word".to_vec())), "Secret(…)");
    }

    #[test]
    fn hexadecimal_digits_may_be_spaced() {
        let secret = Secret::new(b"00 0F\nff".to_vec());
        assert_eq!(secret.decode_hex().unwrap().expose(), [0, 15, 255]);
        assert!(Secret::new(b"0g".to_vec()).decode_hex().is_none());
        assert!(Secret::new(b"  ".to_vec()).decode_hex().is_none());
    }
}
