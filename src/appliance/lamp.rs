// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lamp is a process of its own: it owns the lines, shows what the box renews, and goes dark when the box stops
//! doing so, whatever became of it.
//!
//! [`process::run`] is `roomseal lamp`; [`Renewals`] is held by the session of the box. Between them is a Unix socket of
//! type SOCK_SEQPACKET. The box sends [`Renewal`](roomseal_panel::lamp::Renewal)s; the lamp sends a text each time
//! something changes: empty if every line does as it is told, else what is wrong, for people. Only root, the user of
//! the lamp process and users named to it are listened to, and one box at a time.

pub mod child;
mod lines;
pub mod process;
mod renewals;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

use crate::status::socket;

pub use renewals::Renewals;

/// Longest text from the lamp; what is longer is cut.
const LONGEST_TEXT: usize = 1000;

/// Where the lamp listens unless told otherwise: beside the status socket.
pub fn default_path() -> Option<PathBuf> {
    socket::default_path().map(|path| path.with_file_name("lamp.sock"))
}

/// Where the simulated panel is unless told otherwise: beside the status socket.
pub fn default_panel() -> Option<PathBuf> {
    socket::default_path().map(|path| path.with_file_name("panel"))
}

fn new_socket() -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?)
}

/// Never waits, not even for a lamp that does not answer.
fn reach(path: &Path) -> io::Result<OwnedFd> {
    let socket = new_socket()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn put(socket: impl AsFd, packet: &[u8]) -> io::Result<()> {
    send(socket, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?;
    Ok(())
}
