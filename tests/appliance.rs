// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `roomseal` binary as people run it, watched through its status socket.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use roomseal_appliance::status::socket::Answer;
use roomseal_appliance::status::{Connection, Participant, RemoteTrack, Status};
use tempfile::TempDir;

use crate::livekit::Server;
use crate::network::Namespace;
use crate::places;
use crate::process::Running;

/// How a box or guest is started: `Start::new("run")`, then what differs from a plain member with the passphrase
/// [`PASSPHRASE`].
#[derive(Debug)]
pub struct Start<'a> {
    command: &'a str,
    identity: &'a str,
    passphrase: Option<&'a str>,
    namespace: Option<&'a Namespace>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    token: Option<String>,
    api_key: Option<(&'a str, &'a str)>,
    board: Option<&'a Path>,
}

/// What members of a test meeting share.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A running box or guest; dropping it kills it.
#[derive(Debug)]
pub struct Appliance {
    /// Its process, for lines and signals.
    pub process: Running,
    identity: String,
    seen: Arc<Seen>,
    folder: TempDir,
}

#[derive(Debug, Default)]
struct Seen {
    statuses: Mutex<Vec<(Instant, Status)>>,
    changed: Condvar,
}

impl<'a> Start<'a> {
    /// A member of the meeting called `identity`; `command` is `run` (the box) or `guest`.
    pub fn new(command: &'a str, identity: &'a str) -> Self {
        Self {
            command,
            identity,
            passphrase: Some(PASSPHRASE),
            namespace: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            token: None,
            api_key: None,
            board: None,
        }
    }

    /// With another passphrase.
    #[must_use]
    pub fn passphrase(mut self, passphrase: &'a str) -> Self {
        self.passphrase = Some(passphrase);
        self
    }

    /// Without any key.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.passphrase = None;
        self
    }

    /// With a token of one's own, whether or not it is any good.
    #[must_use]
    pub fn token(mut self, token: String) -> Self {
        self.token = Some(token);
        self
    }

    /// With the API key of `server` in the place of a token; the room comes from a link.
    #[must_use]
    pub fn api_key(mut self, server: &Server) -> Self {
        self.api_key = Some(server.api_key());
        self
    }

    /// Without a room and without a key, with the API key of `server`: a box that waits for somebody who wants a meeting.
    pub fn wait_outside(mut self, server: &Server) -> Appliance {
        self.api_key = Some(server.api_key());
        self.passphrase = None;
        let outside = self.join_at(&server.url(), "", "");
        outside.wait_for("box that waits", Duration::from_secs(20), |status| {
            matches!(status.connection, Connection::Left { .. }).then_some(())
        });
        outside
    }

    /// On the board that lies in the folder `board`, which has its name; else it is the simulated one.
    #[must_use]
    pub fn board(mut self, board: &'a Path) -> Self {
        self.board = Some(board);
        self
    }

    /// Inside a namespace.
    #[must_use]
    pub fn inside(mut self, namespace: &'a Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// With more options.
    #[must_use]
    pub fn with<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sends `file` in a loop, pictures and sound.
    #[must_use]
    pub fn playing(self, file: &Path) -> Self {
        self.with(["--camera".to_owned(), format!("file:{}", file.display())])
    }

    /// Has GStreamer write its log for `categories` into [`Appliance::gst_log`].
    #[must_use]
    pub fn gst_debug(mut self, categories: &str) -> Self {
        self.environment
            .push(("GST_DEBUG".to_owned(), categories.to_owned()));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it in `room` of `server`.
    pub fn join(self, server: &Server, room: &str) -> Appliance {
        let token = server.token(self.identity, room);
        self.join_at(&server.url(), &token, room)
    }

    /// Starts it at any address, with a token for `room`.
    pub fn join_at(self, url: &str, token: &str, room: &str) -> Appliance {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let box_program = places::built("roomseal");
        let mut command = match self.namespace {
            Some(namespace) => namespace.command(&box_program),
            None => Command::new(&box_program),
        };
        let (id, boards) = match self.board.map(|board| (board.file_name(), board.parent())) {
            Some((Some(id), Some(boards))) => (id, Some(boards)),
            _ => ("sim".as_ref(), None),
        };
        command.arg(self.command).arg("--board").arg(id);
        if let Some(boards) = boards {
            command.arg("--board-dir").arg(boards);
        }
        command.args(["--url", url, "--identity", self.identity]);
        match self.api_key {
            Some((key, text)) => {
                command.args(["--api-key", key, "--api-secret-file"]);
                command.arg(secret(folder.path(), "api-secret", text));
            }
            None => {
                command.args(["--room", room, "--token-file"]);
                command.arg(secret(
                    folder.path(),
                    "token",
                    self.token.as_deref().unwrap_or(token),
                ));
            }
        }
        if let Some(passphrase) = self.passphrase {
            command
                .arg("--passphrase-file")
                .arg(secret(folder.path(), "passphrase", passphrase));
        }
        self.run(command, folder)
    }

    /// Starts a box that keeps what it is set up with in `state`; as long as nothing is there, it waits for that.
    pub fn provisioned(self, state: &Path) -> Appliance {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new(places::built("roomseal"));
        command.arg(self.command).args(["--board", "sim"]);
        command.arg("--provisioned").arg(state);
        command.env("STATE_DIRECTORY", state);
        self.run(command, folder)
    }

    fn run(self, mut command: Command, folder: TempDir) -> Appliance {
        let socket = folder.path().join("status.sock");
        command.arg("--status-socket").arg(&socket);
        if self.namespace.is_some() {
            // The addresses of namespaces are not loopback; there is no TLS in front of a test's server.
            command.arg("--insecure-lan");
        }
        command.args(&self.arguments);
        command
            .env("NO_COLOR", "1")
            .env("GST_DEBUG_NO_COLOR", "1")
            .env("GST_DEBUG_FILE", folder.path().join("gst.log"));
        for (key, value) in &self.environment {
            command.env(key, value);
        }
        let process = Running::start(&format!("{} ({})", self.identity, self.command), &command);
        let seen = Arc::new(Seen::default());
        watch(socket, Arc::clone(&seen), process.id());
        Appliance {
            process,
            identity: self.identity.to_owned(),
            seen,
            folder,
        }
    }
}

impl Appliance {
    /// Who it is in the room.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Where its temporary files lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What GStreamer logged, where [`Start::gst_debug`] asked for it.
    pub fn gst_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("gst.log")).unwrap_or_default()
    }

    /// Waits for a status from which `find` makes something; panics after `within` with the last one.
    pub fn wait_for<T>(
        &self,
        what: &str,
        within: Duration,
        find: impl Fn(&Status) -> Option<T>,
    ) -> T {
        self.wait_since(
            Instant::now() - Duration::from_secs(3600),
            what,
            within,
            find,
        )
    }

    /// As [`Appliance::wait_for`], but only the status at `since` and those after it count.
    pub fn wait_since<T>(
        &self,
        since: Instant,
        what: &str,
        within: Duration,
        find: impl Fn(&Status) -> Option<T>,
    ) -> T {
        self.moment_since(since, what, within, find).1
    }

    /// As [`Appliance::wait_since`]; also says when the status came.
    pub fn moment_since<T>(
        &self,
        since: Instant,
        what: &str,
        within: Duration,
        find: impl Fn(&Status) -> Option<T>,
    ) -> (Instant, T) {
        let deadline = Instant::now() + within;
        let mut statuses = self
            .seen
            .statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut looked = statuses.partition_point(|(at, _)| *at < since);
        loop {
            while let Some((at, status)) = statuses.get(looked) {
                if let Some(found) = find(status) {
                    return (*at, found);
                }
                looked += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last = statuses.last().map(|(_, status)| status.clone());
                drop(statuses);
                panic!(
                    "{}: no {what} within {within:?}. Its last status: {last:#?}",
                    self.identity
                );
            }
            statuses = self
                .seen
                .changed
                .wait_timeout(statuses, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until it is in the room.
    pub fn wait_until_joined(&self) {
        self.wait_for("entry into the room", Duration::from_secs(20), |s| {
            (s.connection == Connection::Joined).then_some(())
        });
    }

    /// Waits for a remote track that `accept` takes, and returns it.
    pub fn wait_for_track(
        &self,
        what: &str,
        of: &str,
        source: &str,
        within: Duration,
        accept: impl Fn(&RemoteTrack) -> bool,
    ) -> RemoteTrack {
        self.wait_for(what, within, |status| {
            track(status, of, source).filter(|t| accept(t))
        })
    }

    /// Presses Ctrl-C; does it end soon, and without an error?
    pub fn interrupt_cleanly(&mut self) -> bool {
        self.process.interrupt(Duration::from_secs(10)).success()
    }

    /// The newest status.
    pub fn status(&self) -> Status {
        self.wait_for("status at all", Duration::from_secs(10), |_| Some(()));
        let statuses = self
            .seen
            .statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        statuses.last().expect("one has come").1.clone()
    }

    /// The longest time since `since` in which nothing more of a track was opened, by the statuses up to now.
    pub fn longest_gap(&self, since: Instant, of: &str, source: &str) -> Duration {
        let (mut grown, mut longest, mut before) = (since, Duration::ZERO, None);
        for (at, status) in self.statuses() {
            let opened = track(&status, of, source).map(|t| (t.sid, t.opened));
            if opened.is_some() && opened != before && at >= since {
                longest = longest.max(at - grown);
                grown = at;
            }
            before = opened.or(before);
        }
        longest.max(grown.elapsed())
    }

    /// Every status so far, with when it came.
    pub fn statuses(&self) -> Vec<(Instant, Status)> {
        self.seen
            .statuses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Somebody else in a status.
pub fn participant<'s>(status: &'s Status, identity: &str) -> Option<&'s Participant> {
    status.participants.iter().find(|p| p.identity == identity)
}

/// A track of somebody else in a status, by where it comes from (`camera`, `microphone`).
pub fn track(status: &Status, of: &str, source: &str) -> Option<RemoteTrack> {
    participant(status, of)?
        .tracks
        .iter()
        .find(|t| t.source == source)
        .cloned()
}

/// Writes a secret as the box wants it: for its owner only.
pub fn secret(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    let mut out = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .expect("a secret can be written");
    out.write_all(text.as_bytes())
        .expect("a secret can be written");
    file
}

/// Runs a command of `roomseal` that ends by itself, with `input`; returns status, output and errors.
pub fn roomseal<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> std::process::Output {
    use std::process::Stdio;
    let mut child = Command::new(places::built("roomseal"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the box can be started");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_vec();
    // Beside the reading, so that neither waits for the other; a child that does not read ends the writing.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the box ends");
    writer.join().expect("writing does not panic");
    output
}

/// Collects every status; ends when the process does.
fn watch(socket: PathBuf, seen: Arc<Seen>, process: u32) {
    thread::spawn(move || {
        let alive = || Path::new(&format!("/proc/{process}")).exists();
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(_) if alive() => thread::sleep(Duration::from_millis(20)),
                Err(_) => return,
            }
        };
        let mut question = stream.try_clone().expect("a socket can be cloned");
        if question.write_all(b"{\"ask\":\"watch\"}\n").is_err() {
            return;
        }
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { break };
            if let Ok(Answer::Status(status)) = serde_json::from_str(&line) {
                seen.statuses
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((Instant::now(), *status));
                seen.changed.notify_all();
            }
        }
        // Nothing depends on it: the other end is gone.
        let _ = question.shutdown(Shutdown::Both);
    });
}
