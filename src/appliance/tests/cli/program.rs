// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running the built program in a directory of its own.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A directory with files, in which the program runs.
pub(crate) struct Place(tempfile::TempDir);

/// A process that is killed when the test ends.
pub(crate) struct Running(pub(crate) Child);

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Running {
    /// Starts `command` in `place`, with nothing of the environment and nothing to read.
    pub(crate) fn start(command: &mut Command, place: &Place) -> Self {
        command
            .current_dir(place.path())
            .env_clear()
            .stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that was stopped can still be killed; one that ended needs no killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file that only its owner reads.
    pub(crate) fn secret(&self, name: &str, content: &str) -> PathBuf {
        self.file(name, content, 0o600)
    }

    pub(crate) fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Runs `roomseal` with `arguments` here, with nothing of the environment but what it needs.
    pub(crate) fn roomseal(&self, arguments: &[&str], input: &[u8]) -> Ran {
        self.run(
            Command::new(env!("CARGO_BIN_EXE_roomseal")).args(arguments),
            input,
        )
    }

    pub(crate) fn run(&self, command: &mut Command, input: &[u8]) -> Ran {
        let mut child = command
            .current_dir(self.path())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // Beside the reading, so that neither waits for the other; who ends early does not read all of it.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output: Output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            // Ended by a signal: a number no test expects.
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// Fails without output on standard output, with one plain line that holds `part`.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, part: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert!(self.err.contains(part), "no `{part}` in {}", self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        if code != 2 {
            assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        }
    }
}
