// SPDX-License-Identifier: MIT OR Apache-2.0
//! A way to one server that is led to another: clients lose the connection, come again, and are somewhere else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The way; it stays open as long as the process.
#[derive(Debug)]
pub struct Crossing {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Port on this machine.
    target: u16,
    open: Vec<TcpStream>,
}

impl Crossing {
    /// A way to the server at `target` of this machine.
    pub fn to(target: u16) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let open = Vec::new();
        let state = Arc::new(Mutex::new(State { target, open }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = {
                    let mut state = lock(&shared);
                    state.open.extend(client.try_clone());
                    state.target
                };
                thread::spawn(move || forward(client, target, &[]));
            }
        });
        Self { address, state }
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Cuts every connection; who comes again gets to the server at `target`.
    pub fn lead_to(&self, target: u16) {
        let mut state = lock(&self.state);
        state.target = target;
        for client in state.open.drain(..) {
            // One that has ended is cut already.
            let _ = client.shutdown(Shutdown::Both);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries what a client says, of which `head` was read already, to the server at `port` of this machine, and back.
pub(crate) fn forward(mut client: TcpStream, port: u16, head: &[u8]) {
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return;
    };
    let (Ok(mut from), Ok(mut to)) = (client.try_clone(), server.try_clone()) else {
        return;
    };
    if server.write_all(head).is_err() {
        return;
    }
    let back = thread::spawn(move || carry(&mut server, &mut client));
    carry(&mut from, &mut to);
    // Its panic, if any, was printed.
    let _ = back.join();
}

/// Either side may end it; the other is told.
fn carry(from: &mut TcpStream, to: &mut TcpStream) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
