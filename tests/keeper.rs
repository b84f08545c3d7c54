// SPDX-License-Identifier: MIT OR Apache-2.0
//! A FAKE of a meeting service that makes and keeps the secret of its meetings: a real `livekit-server`, and before it
//! something that answers one question itself. No such service exists yet; what it has to answer is in
//! `src/meeting/PROTOCOL.md`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::crossing;

/// The fake; it stops answering with the process.
#[derive(Debug)]
pub struct FakeKeeper {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one answer, in the form in which it is given.
    secret: String,
    /// Tokens of whom it admitted.
    admitted: Vec<String>,
    /// Status codes that were answered.
    answered: Vec<u16>,
}

impl FakeKeeper {
    /// Starts one before the server at `port` of this machine, for a single meeting with this secret (base64url).
    pub fn before(port: u16, room: &str, secret: &str) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let kept = Arc::new(Mutex::new(Kept {
            secret: secret.to_owned(),
            ..Kept::default()
        }));
        let (shared, path) = (Arc::clone(&kept), format!("/api/meetings/{room}/secret"));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (kept, path) = (Arc::clone(&shared), path.clone());
                thread::spawn(move || serve(client, port, &path, &kept));
            }
        });
        Self { address, kept }
    }

    /// Where clients connect to, for signalling and for the secret.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Whoever has this token gets the secret from now on.
    pub fn admit(&self, token: &str) {
        lock(&self.kept).admitted.push(token.to_owned());
    }

    /// The status codes that were answered so far.
    pub fn answered(&self) -> Vec<u16> {
        lock(&self.kept).answered.clone()
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut client: TcpStream, port: u16, path: &str, kept: &Mutex<Kept>) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => head.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    if !text.starts_with("GET /api/meetings/") {
        crossing::forward(client, port, &head);
        return;
    }
    let mut kept = lock(kept);
    let bearer = |line: &str| {
        line.strip_prefix("Authorization: Bearer ")
            .map(str::to_owned)
    };
    let token = text.lines().find_map(bearer).unwrap_or_default();
    let (status, body) = if !text.starts_with(&format!("GET {path} HTTP/1.1\r\n")) {
        (404, "no such meeting".to_owned())
    } else if kept.admitted.contains(&token) {
        (200, kept.secret.clone())
    } else {
        (403, "not admitted yet".to_owned())
    };
    kept.answered.push(status);
    // Whoever asked may have gone.
    let _ = write!(
        client,
        "HTTP/1.1 {status} .\r\nCache-Control: no-store\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
