// SPDX-License-Identifier: MIT OR Apache-2.0
//! The status socket: one JSON object per line, both ways, on a Unix socket that only the box's user reaches.
//!
//! `{"ask":"status"}` is answered with one line `{"status":{…}}`; `{"ask":"watch"}` with such a line now and after every
//! change. `{"update":"begin"}` has the box show that it is being updated for as long as the connection stands
//! ([`Updating`]). A wish, as [`Spoken`] writes it, is answered with what came of it: `{"reply":{"done":"…"}}`. What is not understood is answered with `{"error":"…"}`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::{Publisher, Status, Update};
use crate::control::{self, Command, Control, Origin, Reply, Spoken};
use crate::socket_file;
use crate::supervise::Stop;

/// No question and no wish is longer; more is not read.
const LONGEST_QUESTION: usize = 8192;
/// Views at once; one more is turned away, so that a loop in a script cannot exhaust the box.
const MOST_VIEWS: usize = 16;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask", deny_unknown_fields)]
pub enum Question {
    /// The status, once.
    Status,
    /// The status, now and after every change.
    Watch,
}

/// What somebody says who installs an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "update", deny_unknown_fields)]
pub enum Updating {
    /// It is to begin.
    Begin {},
    /// It goes on.
    Goes(Update),
    /// It has ended.
    Ended {
        /// What came of it.
        text: String,
    },
}

/// All that may stand on a line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Asking {
    Question(Question),
    Updating(Updating),
    Wish(Spoken),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Why there is no answer.
    Error(String),
    /// What came of a wish.
    Reply(Reply),
    /// The status.
    Status(Box<Status>),
}

/// Where the socket lies: systemd's runtime directory, the user's, or `None`.
pub fn default_path() -> Option<PathBuf> {
    // RUNTIME_DIRECTORY may name several, separated by colons; the unit has one.
    let systemd = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    let user = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("roomseal"));
    let root = rustix::process::geteuid()
        .is_root()
        .then(|| PathBuf::from("/run/roomseal"));
    systemd.or(user).or(root).map(|dir| dir.join("status.sock"))
}

/// The listening socket; removes its file when dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds `path`, making its directory, and taking over what a killed daemon left there.
    ///
    /// # Errors
    /// When another daemon answers there, or the path cannot be used.
    pub fn bind(path: &Path) -> io::Result<Self> {
        socket_file::make_way(
            path,
            |path| std::os::unix::net::UnixStream::connect(path).is_ok(),
            "another roomseal answers on this socket; stop it, or give --status-socket",
        )?;
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Answers until asked to stop.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(
        self,
        publisher: Publisher,
        control: Control,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let mut views = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.asked() => return Ok(()),
                Some(_) = views.join_next(), if !views.is_empty() => {}
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted?;
                    if views.len() < MOST_VIEWS {
                        views.spawn(answer(stream, publisher.clone(), control.clone()));
                    }
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be gone already, with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One view; an error means that it went away, which is its right.
async fn answer(mut stream: UnixStream, publisher: Publisher, control: Control) -> io::Result<()> {
    if !is_ours(&stream) {
        return Ok(());
    }
    let mut status = publisher.watch();
    // Ends with the connection, however that ends.
    let mut shown = None;
    let (reader, mut writer) = stream.split();
    let mut lines = SecretLines::new(reader);
    while let Some(line) = lines.next().await? {
        // A wish may hold a secret; it is wiped with the line.
        let wish = match serde_json::from_slice(line) {
            Ok(Asking::Question(Question::Status)) => {
                let now = Box::new(status.borrow_and_update().clone());
                write(&mut writer, &Answer::Status(now)).await?;
                continue;
            }
            Ok(Asking::Question(Question::Watch)) => loop {
                let now = Box::new(status.borrow_and_update().clone());
                write(&mut writer, &Answer::Status(now)).await?;
                if status.changed().await.is_err() {
                    return Ok(());
                }
            },
            Ok(Asking::Updating(updating)) => {
                let answer = shown_update(updating, &mut shown, &publisher, &control).await;
                write(&mut writer, &answer).await?;
                continue;
            }
            Ok(Asking::Wish(wish)) => wish,
            Err(_) => {
                let reason = r#"not understood; ask {"ask":"status"} or {"ask":"watch"}, or give an order like {"do":"mute","to":"on"}"#;
                write(&mut writer, &Answer::Error(reason.to_owned())).await?;
                continue;
            }
        };
        // Deriving a key takes its time.
        let understood = tokio::task::spawn_blocking(move || wish.understand())
            .await
            .map_err(io::Error::other)?;
        let answer = match understood {
            Ok(command) => Answer::Reply(control.order(Origin::CommandLine, command).await),
            Err(error) => Answer::Error(error.to_string()),
        };
        write(&mut writer, &answer).await?;
    }
    Ok(())
}

/// The update that one connection has the box show.
struct ShownUpdate(Publisher);

impl Drop for ShownUpdate {
    fn drop(&mut self) {
        self.0.updated();
    }
}

/// Has the box show an update for as long as `shown` is kept.
async fn shown_update(
    updating: Updating,
    shown: &mut Option<ShownUpdate>,
    publisher: &Publisher,
    control: &Control,
) -> Answer {
    let done = |text: &str| Answer::Reply(Reply::Done(text.to_owned()));
    match (updating, shown.take()) {
        (Updating::Begin {}, None) => {
            let reply = control.order(Origin::CommandLine, Command::Update).await;
            if matches!(reply, Reply::Done(_)) {
                *shown = Some(ShownUpdate(publisher.clone()));
            }
            Answer::Reply(reply)
        }
        (Updating::Goes(update), Some(held)) => {
            *shown = Some(held);
            publisher.update(|status| status.updating = Some(update));
            done("shown")
        }
        (Updating::Ended { text }, Some(_held)) => {
            publisher.happened(&text);
            done("noted")
        }
        (Updating::Begin {}, held @ Some(_)) => {
            *shown = held;
            Answer::Error("this update has begun already".to_owned())
        }
        (Updating::Goes(_) | Updating::Ended { .. }, None) => {
            Answer::Error(r#"no update has begun here; say {"update":"begin"}"#.to_owned())
        }
    }
}

/// The socket's mode says the same; a directory that is shared by mistake does not change who may command.
fn is_ours(stream: &UnixStream) -> bool {
    let me = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| peer.uid() == me || peer.uid() == 0)
}

/// Lines of at most [`LONGEST_QUESTION`] bytes in one place that is wiped.
struct SecretLines<R> {
    reader: R,
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes of the buffer that are in use.
    filled: usize,
    /// Length of the line that was given last, with its end.
    given: usize,
}

impl<R: AsyncReadExt + Unpin> SecretLines<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Zeroizing::new(vec![0; LONGEST_QUESTION]),
            filled: 0,
            given: 0,
        }
    }

    /// The next line without its end; `None` at the end, or when a line does not end in time.
    async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.given..self.filled, 0);
        self.filled -= self.given;
        self.given = 0;
        loop {
            let end = self.buffer[..self.filled]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(end) = end {
                self.given = end + 1;
                return Ok(Some(&self.buffer[..end]));
            }
            if self.filled == self.buffer.len() {
                return Ok(None);
            }
            let read = self.reader.read(&mut self.buffer[self.filled..]).await?;
            if read == 0 {
                return Ok(None);
            }
            self.filled += read;
        }
    }
}

async fn write(to: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    if matches!(answer, Answer::Reply(_)) {
        // It may be a link, which is wiped like the key of a wish.
        return to.write_all(&control::line(answer)?).await;
    }
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    to.write_all(&line).await
}

/// A question that was put to a daemon; answers are read one by one.
#[derive(Debug)]
pub struct Asked(tokio::io::Lines<BufReader<UnixStream>>);

impl Asked {
    /// Puts `question` to the daemon behind `path`.
    ///
    /// # Errors
    /// When no daemon is there.
    pub async fn ask(path: &Path, question: Question) -> io::Result<Self> {
        Self::say(path, &question).await
    }

    /// Tells a wish to the daemon behind `path`; the answer is an [`Answer::Reply`] or an [`Answer::Error`].
    ///
    /// # Errors
    /// When no daemon is there.
    pub async fn wish(path: &Path, wish: &Spoken) -> io::Result<Self> {
        Self::say(path, wish).await
    }

    async fn say(path: &Path, what: &impl Serialize) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(&control::line(what)?).await?;
        Ok(Self(BufReader::new(stream).lines()))
    }

    /// Says more on the same connection, about an update that began on it.
    ///
    /// # Errors
    /// When the daemon is gone.
    pub async fn tell(&mut self, update: &Updating) -> io::Result<()> {
        let line = control::line(update)?;
        self.0.get_mut().get_mut().write_all(&line).await
    }

    /// Begins an update at the daemon behind `path`, which lasts as long as this.
    ///
    /// # Errors
    /// When no daemon is there.
    pub async fn update(path: &Path) -> io::Result<Self> {
        Self::say(path, &Updating::Begin {}).await
    }

    /// The next answer; `None` when the daemon closed.
    ///
    /// # Errors
    /// When the line breaks off or is no answer.
    pub async fn next(&mut self) -> io::Result<Option<Answer>> {
        match self.0.next_line().await? {
            Some(line) => Ok(Some(serde_json::from_str(&line)?)),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::status::Publisher;
    use crate::supervise::Supervisor;

    async fn served(path: &Path, publisher: &Publisher) -> Supervisor {
        let mut supervisor = Supervisor::new();
        let socket = Socket::bind(path).unwrap();
        let (control, mut orders) = control::channel();
        let serving = socket.serve(publisher.clone(), control, supervisor.stop());
        supervisor.task("status", serving);
        tokio::spawn(async move {
            while let Some(order) = orders.next().await {
                let done = Reply::Done(format!("{:?} {:?}", order.origin, order.command));
                order.answer(done);
            }
        });
        supervisor
    }

    fn room(answer: Option<Answer>) -> String {
        match answer {
            Some(Answer::Status(status)) => status.room,
            other => panic!("no status: {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_view_gets_the_status_and_every_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/status.sock");
        let publisher = Publisher::new(Status::default());
        let supervisor = served(&path, &publisher).await;

        let mut asked = Asked::ask(&path, Question::Watch).await.unwrap();
        assert_eq!(room(asked.next().await.unwrap()), "");
        publisher.update(|status| status.room = "lobby".to_owned());
        assert_eq!(room(asked.next().await.unwrap()), "lobby");

        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        supervisor.stop().ask();
        supervisor.run().await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_wish_is_answered_with_what_came_of_it_and_its_secret_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let publisher = Publisher::new(Status::default());
        let _supervisor = served(&path, &publisher).await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let wishes = b"{\"do\":\"leave\"}\n{\"do\":\"key\",\"passphrase\":\"open sesame\"}\n{\"do\":\"key\"}\n";
        stream.write_all(wishes).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut next = async || lines.next_line().await.unwrap().unwrap();
        assert_eq!(next().await, r#"{"reply":{"done":"CommandLine Leave"}}"#);
        let key = next().await;
        assert!(key.contains("Key(") && !key.contains("sesame"), "{key}");
        let wrong = next().await;
        assert!(
            wrong.contains("either a passphrase, a link or a raw key"),
            "{wrong}"
        );
    }

    #[tokio::test]
    async fn a_line_without_end_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let publisher = Publisher::new(Status::default());
        let _supervisor = served(&path, &publisher).await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let _ = stream.write_all(&vec![b'x'; 4 * LONGEST_QUESTION]).await;
        let mut rest = Vec::new();
        // Closed, with or without a reset: more than a line's worth was never read.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn garbage_is_answered_with_what_can_be_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let publisher = Publisher::new(Status::default());
        let _supervisor = served(&path, &publisher).await;
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"\xff{{nonsense\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.contains("not understood"), "{line}");
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(b"{\"ask\":\"secrets\"}\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.contains("not understood"), "{line}");
    }

    #[tokio::test]
    async fn a_second_daemon_is_refused_and_a_stale_socket_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.sock");
        let first = Socket::bind(&path).unwrap();
        let refused = Socket::bind(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        // As after SIGKILL: the file stays, nobody listens.
        let stale = dir.path().join("stale.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
        assert!(stale.exists());
        drop(Socket::bind(&stale).unwrap());
        drop(first);
        std::fs::write(&path, "mine").unwrap();
        assert!(Socket::bind(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
