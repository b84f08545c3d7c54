// SPDX-License-Identifier: MIT OR Apache-2.0
//! The people of a hub, as they ask it over HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::livekit::Server;

/// Of every account here.
pub const PASSWORD: &str = "correct horse battery";

/// What an answer takes at most on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody with a browser.
#[derive(Clone, Debug)]
pub struct Visitor {
    hub: SocketAddr,
    /// Name and value, once signed in.
    pub cookie: Option<String>,
    from: Ipv4Addr,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// `null` where there is none.
    pub body: Value,
}

impl Visitor {
    /// Somebody without an account, at an address of one's own that ends in `number`.
    pub fn of(server: &Server, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            hub: SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())),
            cookie: None,
            from: Ipv4Addr::new(198, 18, high, low),
        }
    }

    /// The first admin of a hub that keeps its people, called `ada`.
    pub fn first_admin(server: &Server) -> Self {
        let mut admin = Self::of(server, 0);
        let asked = json!({"code": server.set_up_code(), "name": "ada", "password": PASSWORD});
        let answer = admin.post("/api/set-up", &asked).expect("the hub answers");
        assert_eq!(answer.status, 201, "{answer:?}");
        admin
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When there is no hub, or none any more.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask("GET", path, None)
    }

    /// Wants something done.
    ///
    /// # Errors
    /// When there is no hub, or none any more.
    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<Answer> {
        self.ask("POST", path, Some(body))
    }

    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        let body = body.map_or(String::new(), Value::to_string);
        let cookie = self.cookie.as_ref();
        let cookie = cookie.map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
        let mut stream = TcpStream::connect_timeout(&self.hub, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nRoomseal-Request: 1\r\nX-Forwarded-For: {}\r\n{cookie}\
             Connection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.hub,
            self.from,
            body.len()
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        let cookie = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let value = value.split(';').next()?;
            name.eq_ignore_ascii_case("set-cookie")
                .then(|| value.to_owned())
        });
        if cookie.is_some() {
            self.cookie = cookie;
        }
        Ok(Answer {
            status: status.ok_or_else(broken)?,
            body: if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(body).map_err(|_| broken())?
            },
        })
    }
}
