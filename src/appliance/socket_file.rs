// SPDX-License-Identifier: MIT OR Apache-2.0
//! The place in the file system where a Unix socket is bound.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Makes the directory of `path`, and removes the socket that a killed process left there.
///
/// # Errors
/// When something `answers` there, told as `busy`; when a file that is no socket has the name; or when the path cannot be
/// used.
pub(crate) fn make_way(
    path: &Path,
    answers: impl FnOnce(&Path) -> bool,
    busy: &'static str,
) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            if answers(path) {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, busy));
            }
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name that is not a socket; move it away",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
