// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal lamp`: one loop that waits for nothing but the next thing to do.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use roomseal_panel::Board;
use roomseal_panel::drive::{Places, clock};
use roomseal_panel::lamp::{Lamp, RENEW_EVERY, Renewal};
use rustix::net::{RecvFlags, SocketAddrUnix, bind, listen, recv};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::lines::Lines;
use super::{LONGEST_TEXT, new_socket, put, reach};
use crate::{socket_file, supervise};

/// What a lamp process is made of.
#[derive(Debug)]
pub struct Setup {
    /// Whose lamps.
    pub board: Board,
    /// Where things are that are no lines of a chip.
    pub places: Places,
    /// Where to listen.
    pub socket: PathBuf,
    /// Users besides root and our own whose box is listened to.
    pub users: Vec<u32>,
    /// End with standard input: whoever started this holds the other end.
    pub with_input: bool,
}

/// The box that is being listened to.
struct Client {
    /// Of packets, not a stream, in spite of the name of its type: it is read by [`recv`] alone.
    socket: UnixStream,
    process: Option<i32>,
    /// What it was told last.
    told: Option<String>,
}

/// The listening socket; removes its file when dropped.
struct Listening {
    socket: UnixListener,
    path: PathBuf,
}

/// Shows what a box renews until a signal comes; dark before, after, and whenever it has nothing fresh to show.
///
/// # Errors
/// When the socket cannot be had. Lines that cannot be had are tried again, and the box is told.
pub fn run(setup: Setup) -> Result<(), anyhow::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the system gives no event loop")?;
    let result = runtime.block_on(burn(setup));
    // Nobody waits for a line on standard input.
    runtime.shutdown_background();
    result
}

/// Darkens every lamp of `board`, whoever lit it.
///
/// # Errors
/// The first line that cannot be had.
pub fn off(board: &Board, places: Places) -> Result<(), anyhow::Error> {
    let mut lines = Lines::new(&board.panel, places);
    lines.show(
        &Lamp::default().lit(Duration::ZERO),
        Duration::ZERO,
        Duration::ZERO,
    );
    match lines.trouble() {
        trouble if trouble.is_empty() => Ok(()),
        trouble => Err(anyhow::anyhow!(trouble)),
    }
}

async fn burn(setup: Setup) -> Result<(), anyhow::Error> {
    let mut lines = Lines::new(&setup.board.panel, setup.places);
    if !lines.any() {
        tracing::info!(board = setup.board.id, "this board has no lamp");
        return Ok(());
    }
    let listening = Listening::bind(&setup.socket, !setup.users.is_empty())
        .with_context(|| format!("cannot listen on {}", setup.socket.display()))?;
    let mut ends = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ];
    let mut lamp = Lamp::default();
    let mut client: Option<Client> = None;
    tracing::info!(
        board = setup.board.id,
        socket = %setup.socket.display(),
        "the lamp waits for the box"
    );
    supervise::ready();
    let watchdog = sd_notify::watchdog_enabled();
    let mut input = setup.with_input.then(end_of_input).transpose()?;
    // Said once, not for every packet of a flood.
    let mut refusing = false;
    loop {
        // First of all, whatever came: what is too old goes dark here, in every round.
        let now = clock::boot();
        let lit = lamp.lit(now);
        lines.show(&lit, lamp.left(now), now);
        tell(&mut client, &lines.trouble());
        supervise::alive();
        let sleep = [lit.stays, lines.again(now), watchdog.map(|every| every / 3)];
        let sleep = sleep.into_iter().flatten().min();
        tokio::select! {
            biased;
            () = any(&mut ends) => break,
            () = ended(&mut input) => break,
            () = rest(sleep) => {}
            accepted = listening.accept() => {
                if let Some(new) = admit(accepted, &setup.users) {
                    if client.is_some() && lamp.burns(clock::boot()) {
                        // Whoever is renewing keeps the lamp; one that hangs has lost it by now.
                        let _ = put(&new.socket, b"!the lamp belongs to another box that is running on this machine");
                        tracing::warn!(process = new.process, "a second box wants the lamp");
                    } else {
                        lamp.darken();
                        client = Some(new);
                    }
                }
            }
            packet = packet(client.as_ref()) => {
                match packet.map(|renewal| lamp.renew(renewal, clock::boot())) {
                    Ok(Ok(())) => refusing = false,
                    // Late is as good as never; the next one may be better.
                    Ok(Err(refused)) if !refusing => {
                        tracing::warn!("a verdict was not shown: {refused}");
                        refusing = true;
                    }
                    Ok(Err(_)) => {}
                    Err(why) => {
                        lamp.darken();
                        tracing::info!("dark: {why}");
                        client = None;
                    }
                }
            }
        }
    }
    tracing::info!("dark: asked to stop");
    // Lines go dark as they are dropped.
    drop(lines);
    Ok(())
}

impl Listening {
    /// Binds `path`, making its directory, and taking over what a killed lamp left there. `others`: also for other
    /// users, who are then looked at one by one.
    fn bind(path: &Path, others: bool) -> io::Result<Self> {
        socket_file::make_way(
            path,
            |path| reach(path).is_ok(),
            "another lamp process answers there; stop it, or give --socket",
        )?;
        let socket = new_socket()?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        let mode = if others { 0o666 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        listen(&socket, 4)?;
        Ok(Self {
            socket: UnixListener::from_std(socket.into())?,
            path: path.to_owned(),
        })
    }

    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.socket.accept().await?.0)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may be gone already, with its directory.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The box on the other end, if it is one that may speak.
fn admit(accepted: io::Result<UnixStream>, users: &[u32]) -> Option<Client> {
    let admitted = accepted.and_then(|socket| {
        let peer = socket.peer_cred()?;
        let user = peer.uid();
        let own = rustix::process::geteuid().as_raw();
        if user != 0 && user != own && !users.contains(&user) {
            return Err(io::Error::other(format!(
                "user {user} may not; name it with --user if its box is meant"
            )));
        }
        Ok(Client {
            socket,
            process: peer.pid(),
            told: None,
        })
    });
    admitted
        .inspect_err(|error| tracing::warn!("somebody was turned away: {error}"))
        .ok()
}

/// The next renewal; never, if there is nobody.
async fn packet(client: Option<&Client>) -> Result<Renewal, String> {
    let Some(client) = client else {
        return std::future::pending().await;
    };
    // One byte more than fits is enough to see that it does not.
    let mut bytes = [0; Renewal::LENGTH + 1];
    let read = client
        .socket
        .async_io(Interest::READABLE, || {
            Ok(recv(&client.socket, &mut bytes[..], RecvFlags::DONTWAIT)?.0)
        })
        .await;
    match read {
        Ok(0) => Err("the box has gone".to_owned()),
        Ok(length) => Renewal::from_bytes(&bytes[..length]).map_err(|error| error.to_string()),
        Err(error) => Err(format!("the box cannot be heard: {error}")),
    }
}

/// Says what is wrong with the lines, if it has not been said.
fn tell(client: &mut Option<Client>, trouble: &str) {
    let Some(client) = client else { return };
    if client.told.as_deref() == Some(trouble) {
        return;
    }
    let mut text = format!("!{trouble}");
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    // A box that does not read is shown all the same; it is told as soon as it does.
    if put(&client.socket, text.as_bytes()).is_ok() {
        client.told = Some(trouble.to_owned());
    }
}

async fn any(ends: &mut [Signal; 3]) {
    let [a, b, c] = ends;
    tokio::select! {
        _ = a.recv() => {}
        _ = b.recv() => {}
        _ = c.recv() => {}
    }
}

/// Comes when standard input ends: a thread reads it, as nothing else can wait for a pipe or a terminal alike.
fn end_of_input() -> Result<oneshot::Receiver<()>, anyhow::Error> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("lamp-input".into())
        .spawn(move || {
            // An error is an end as well.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            let _ = ended.send(());
        })
        .context("the system gives no threads")?;
    Ok(end)
}

async fn ended(input: &mut Option<oneshot::Receiver<()>>) {
    match input {
        // Also when its thread has gone.
        Some(input) => drop(input.await),
        None => std::future::pending().await,
    }
}

async fn rest(sleep: Option<Duration>) {
    match sleep {
        Some(sleep) => tokio::time::sleep(sleep.max(Duration::from_millis(1))).await,
        // Nothing burns and nothing is awaited but a box.
        None => tokio::time::sleep(RENEW_EVERY * 40).await,
    }
}
