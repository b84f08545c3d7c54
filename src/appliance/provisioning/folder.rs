// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a box keeps what it was set up with.
//!
//! Each set-up is a folder of its own with `roomseal.toml` and its secrets; the link `current` leads to the one that holds.
//! It is written beside the old one, brought to the disk, checked, and then the link is exchanged in one step: who loses
//! power at any moment has the old one or the new one, and never half of each.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The link to the set-up that holds.
const CURRENT: &str = "current";
/// The same, before it holds.
const NEXT: &str = "current.new";
/// What the folders of set-ups begin with.
const SET_UP: &str = "set-up-";
/// The configuration in each.
const CONFIG: &str = "roomseal.toml";

/// The folder that a box keeps its set-up in.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// Why a set-up is not kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError<E> {
    /// It is none.
    #[error(transparent)]
    Refused(E),
    /// The disk does not take it.
    #[error("cannot keep it in {}: {source}; make that folder writable, with some space", .path.display())]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Folder {
    /// `path`, which need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration that holds, if there is one.
    pub fn config(&self) -> PathBuf {
        self.0.join(CURRENT).join(CONFIG)
    }

    /// Whether the box was set up.
    pub fn is_set_up(&self) -> bool {
        self.config().exists()
    }

    /// Which set-up holds; another has another.
    pub fn current(&self) -> Option<PathBuf> {
        std::fs::read_link(self.0.join(CURRENT)).ok()
    }

    /// Keeps `config` with its `secrets` (name and text), in the place of what was kept before, unless `check` refuses the
    /// configuration at the path that it is given.
    ///
    /// # Errors
    /// What `check` or the disk says; then nothing has changed.
    pub fn keep<T, E>(
        &self,
        config: &str,
        secrets: &[(&str, &[u8])],
        check: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, KeepError<E>> {
        self.keep_on(&mut Disk, config, secrets, check)
    }

    fn keep_on<T, E>(
        &self,
        disk: &mut impl Steps,
        config: &str,
        secrets: &[(&str, &[u8])],
        check: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, KeepError<E>> {
        let failed = |source| KeepError::Disk {
            path: self.0.clone(),
            source,
        };
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| failed(io::Error::other(error)))?;
        let name = format!("{SET_UP}{}", hex::encode(random));
        let fresh = self.0.join(&name);
        let kept = self
            .write(disk, &fresh, config, secrets)
            .map_err(failed)
            .and_then(|()| check(&fresh.join(CONFIG)).map_err(KeepError::Refused))
            .and_then(|checked| self.exchange(disk, &name).map_err(failed).map(|()| checked));
        match &kept {
            Ok(_) => self.clear(disk, &name),
            // Unless the link leads there already: what follows it is only to bring it to the disk.
            Err(_) if self.current().as_deref() != Some(Path::new(&name)) => {
                let _ = disk.remove(&fresh);
            }
            Err(_) => {}
        }
        kept
    }

    fn write(
        &self,
        disk: &mut impl Steps,
        fresh: &Path,
        config: &str,
        secrets: &[(&str, &[u8])],
    ) -> io::Result<()> {
        disk.make(&self.0)?;
        disk.make(fresh)?;
        for (name, text) in secrets {
            disk.write(&fresh.join(name), text)?;
        }
        disk.write(&fresh.join(CONFIG), config.as_bytes())?;
        disk.sync(fresh)
    }

    fn exchange(&self, disk: &mut impl Steps, name: &str) -> io::Result<()> {
        disk.link(name, &self.0.join(NEXT))?;
        disk.rename(&self.0.join(NEXT), &self.0.join(CURRENT))?;
        disk.sync(&self.0)
    }

    /// Removes set-ups that hold no more, with their secrets. What cannot be removed now is removed next time.
    fn clear(&self, disk: &mut impl Steps, holds: &str) {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let old = name.to_str().is_some_and(|name| name.starts_with(SET_UP));
            if old && name != holds {
                let _ = disk.remove(&entry.path());
            }
        }
    }
}

/// What is done to a disk, step by step.
trait Steps {
    /// Makes a folder for its owner only, unless it is there.
    fn make(&mut self, folder: &Path) -> io::Result<()>;
    /// Writes a file for its owner only, and brings it to the disk.
    fn write(&mut self, file: &Path, text: &[u8]) -> io::Result<()>;
    /// Brings the names in a folder to the disk.
    fn sync(&mut self, folder: &Path) -> io::Result<()>;
    /// Makes a link, over an old one.
    fn link(&mut self, to: &str, link: &Path) -> io::Result<()>;
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a folder with all that is in it.
    fn remove(&mut self, folder: &Path) -> io::Result<()>;
}

struct Disk;

impl Steps for Disk {
    fn make(&mut self, folder: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).recursive(true).create(folder)
    }

    fn write(&mut self, file: &Path, text: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)?;
        out.write_all(text)?;
        out.sync_all()
    }

    fn sync(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn link(&mut self, to: &str, link: &Path) -> io::Result<()> {
        match std::fs::remove_file(link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(to, link)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&mut self, folder: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(folder)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::convert::Infallible;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A disk whose power goes after so many steps: nothing more is done, not even clearing up.
    struct Cut {
        left: usize,
        done: Vec<String>,
    }

    impl Cut {
        fn after(left: usize) -> Self {
            Self {
                left,
                done: Vec::new(),
            }
        }

        fn step(
            &mut self,
            what: &str,
            on: &Path,
            act: impl FnOnce(&mut Disk) -> io::Result<()>,
        ) -> io::Result<()> {
            if self.left == 0 {
                return Err(io::Error::other("the power is gone"));
            }
            self.left -= 1;
            let name = on.file_name().unwrap().to_str().unwrap();
            let name = if name.starts_with(SET_UP) {
                "set-up"
            } else {
                name
            };
            self.done.push(format!("{what} {name}"));
            act(&mut Disk)
        }
    }

    impl Steps for Cut {
        fn make(&mut self, folder: &Path) -> io::Result<()> {
            self.step("make", folder, |disk| disk.make(folder))
        }
        fn write(&mut self, file: &Path, text: &[u8]) -> io::Result<()> {
            self.step("write", file, |disk| disk.write(file, text))
        }
        fn sync(&mut self, folder: &Path) -> io::Result<()> {
            self.step("sync", folder, |disk| disk.sync(folder))
        }
        fn link(&mut self, to: &str, link: &Path) -> io::Result<()> {
            self.step("link", link, |disk| disk.link(to, link))
        }
        fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
            self.step("rename to", to, |disk| disk.rename(from, to))
        }
        fn remove(&mut self, folder: &Path) -> io::Result<()> {
            self.step("remove", folder, |disk| disk.remove(folder))
        }
    }

    fn good(_: &Path) -> Result<(), Infallible> {
        Ok(())
    }

    /// What a box would be started with.
    fn read(folder: &Folder) -> (String, String) {
        let text = |name| std::fs::read_to_string(folder.config().with_file_name(name)).unwrap();
        (text(CONFIG), text("secret"))
    }

    #[test]
    fn what_is_kept_is_on_the_disk_before_it_holds() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(&place.path().join("state"));
        let mut disk = Cut::after(usize::MAX);
        folder
            .keep_on(&mut disk, "one", &[("secret", b"1")], good)
            .unwrap();
        assert_eq!(
            disk.done,
            [
                "make state",
                "make set-up",
                "write secret",
                "write roomseal.toml",
                "sync set-up",
                "link current.new",
                "rename to current",
                "sync state",
            ]
        );
        for path in [
            folder.config(),
            folder.config().with_file_name("secret"),
            folder.path().to_owned(),
            folder.path().join(CURRENT),
        ] {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", path.display());
        }
    }

    #[test]
    fn who_loses_power_at_any_step_has_the_old_set_up_or_the_new_one() {
        let mut held_new = 0;
        for steps in 0..16 {
            let place = tempfile::tempdir().unwrap();
            let folder = Folder::at(place.path());
            folder.keep("one", &[("secret", b"1")], good).unwrap();
            let mut disk = Cut::after(steps);
            let _ = folder.keep_on(&mut disk, "two", &[("secret", b"2")], good);
            let (config, secret) = read(&folder);
            match config.as_str() {
                "one" => assert_eq!(secret, "1", "{:?}", disk.done),
                "two" => {
                    assert_eq!(secret, "2", "{:?}", disk.done);
                    held_new += 1;
                }
                other => panic!("{other} after {:?}", disk.done),
            }
            // The next one clears away what was left.
            folder.keep("three", &[("secret", b"3")], good).unwrap();
            assert_eq!(read(&folder), ("three".to_owned(), "3".to_owned()));
            let left = std::fs::read_dir(place.path()).unwrap().count();
            assert_eq!(left, 2, "after {:?}", disk.done);
        }
        assert!((1..16).contains(&held_new), "{held_new}");
    }

    #[test]
    fn what_is_refused_changes_nothing_and_stays_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::at(place.path());
        let no = |path: &Path| -> Result<(), String> {
            assert_eq!(std::fs::read_to_string(path).unwrap(), "bad");
            Err("no".to_owned())
        };
        let refused = folder.keep("bad", &[("secret", b"planted")], no);
        assert!(matches!(refused, Err(KeepError::Refused(why)) if why == "no"));
        assert!(!folder.is_set_up());
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        folder.keep("one", &[("secret", b"1")], good).unwrap();
        let before = folder.current();
        assert!(folder.keep("bad", &[], no).is_err());
        assert_eq!(folder.current(), before);
        assert_eq!(read(&folder), ("one".to_owned(), "1".to_owned()));
    }
}
