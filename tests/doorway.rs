// SPDX-License-Identifier: MIT OR Apache-2.0
//! Serves the join page as it was built, and lets everybody who asks into a room of a meeting service.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use crate::livekit::Server;
use crate::places;

/// The server of the page; it stays open as long as the process.
#[derive(Debug)]
pub struct Doorway {
    address: SocketAddr,
}

/// Nobody has an account here, and everybody has a link.
const AT_THE_DOOR: &str =
    r#"{"key":"link","name":null,"signed_in":false,"accounts":false,"guests":"allow"}"#;

struct Behind {
    files: PathBuf,
    policy: String,
    /// What everybody gets who asks to join.
    pass: String,
}

impl Doorway {
    /// Lets one person, called `identity`, into `room` of `server`.
    pub fn to(server: &Server, identity: &str, room: &str) -> Self {
        Self::with_token(&server.url(), &server.token(identity, room))
    }

    /// Lets one person in by `token`, at the service that is reached at `url`.
    pub fn with_token(url: &str, token: &str) -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let behind = Arc::new(Behind {
            files: places::provided("web"),
            // What the page needs and no more. WebAssembly has a word of its own; scripts and styles in the page have none.
            policy: format!(
                "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src data:; \
                 worker-src 'self'; connect-src 'self' {url} {}; media-src 'self' blob:; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'",
                url.replacen("ws", "http", 1)
            ),
            pass: serde_json::json!({"url": url, "token": token}).to_string(),
        });
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let behind = Arc::clone(&behind);
                // A browser that goes away in the middle is its own business.
                thread::spawn(move || behind.serve(client));
            }
        });
        Self { address }
    }

    /// Where the page of `link` is here: the same room and the same secrets.
    pub fn page_of(&self, link: &str) -> String {
        places::page_at(&format!("http://{}", self.address), link)
    }
}

impl Behind {
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next(), words.next().unwrap_or_default());
        let (status, kind, body) = match method {
            Some("POST") if path.ends_with("/join") => {
                ("200 OK", "application/json", self.pass.clone().into_bytes())
            }
            Some("GET") if path.starts_with("/api/") && path.ends_with("/door") => {
                ("200 OK", "application/json", AT_THE_DOOR.into())
            }
            Some("GET") => self.file(path),
            _ => ("405 Method Not Allowed", "text/plain", Vec::new()),
        };
        write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
             Content-Security-Policy: {}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n",
            body.len(),
            self.policy
        )?;
        client.write_all(&body)
    }

    fn file(&self, path: &str) -> (&'static str, &'static str, Vec<u8>) {
        let name = match path.strip_prefix("/join/") {
            Some(name) if !name.contains('/') => name,
            _ if path.starts_with("/j/") => "index.html",
            _ => "",
        };
        let kind = match name.rsplit('.').next() {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js" | "mjs") => "text/javascript; charset=utf-8",
            Some("wasm") => "application/wasm",
            _ => return ("404 Not Found", "text/plain", Vec::new()),
        };
        match std::fs::read(self.files.join(name)) {
            Ok(body) => ("200 OK", kind, body),
            Err(_) => ("404 Not Found", "text/plain", Vec::new()),
        }
    }
}
