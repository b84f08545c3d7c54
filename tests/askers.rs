// SPDX-License-Identifier: MIT OR Apache-2.0
//! People with accounts at a hub, who ask it for things as programs and pages do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::livekit::Server;

/// Of everybody here; made up.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody who asks a hub.
#[derive(Debug)]
pub struct Asker<'a> {
    server: &'a Server,
    /// Lines of HTTP that go with everything.
    headers: String,
}

/// What a hub answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Names and values, a line each.
    pub headers: String,
    /// JSON; `null` where there is none.
    pub body: Value,
}

impl<'a> Asker<'a> {
    /// Somebody whom the hub does not know.
    pub fn stranger(server: &'a Server) -> Self {
        Self {
            server,
            headers: String::new(),
        }
    }

    /// The first admin of a hub that keeps people, signed in as `name`.
    pub fn admin(server: &'a Server, name: &str) -> Self {
        let code = server.set_up_code();
        let asked = json!({ "code": code.trim(), "name": name, "password": PASSWORD });
        let made = Self::stranger(server).post("/api/set-up", &asked);
        assert_eq!(made.status, 201, "{made:?}");
        Self::stranger(server).with_cookie(&made)
    }

    /// As who holds a token.
    pub fn bearing(server: &'a Server, token: &str) -> Self {
        Self {
            server,
            headers: format!("Authorization: Bearer {token}\r\n"),
        }
    }

    /// Has an admin make an account; its owner has the password of everybody here, and is signed in.
    pub fn invite(&self, name: &str, licensed: bool) -> Self {
        let code = self.invitation(name, licensed);
        let asked = json!({ "code": code, "password": PASSWORD });
        let accepted = Self::stranger(self.server).post("/api/invitation/accept", &asked);
        assert_eq!(accepted.status, 200, "{accepted:?}");
        Self::stranger(self.server).with_cookie(&accepted)
    }

    /// Has an admin make an account; gives the code with which its owner chooses a password.
    pub fn invitation(&self, name: &str, licensed: bool) -> String {
        let asked = json!({ "name": name, "licensed": licensed });
        let made = self.post("/api/accounts", &asked);
        assert_eq!(made.status, 201, "{made:?}");
        let code = made.body["invitation"]["code"].as_str();
        code.expect("an invitation has a code").to_owned()
    }

    fn with_cookie(self, answer: &Answer) -> Self {
        let set = answer.headers.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then_some(value)
        });
        let cookie = set.and_then(|set| set.split(';').next());
        let cookie = cookie.expect("who is signed in gets a cookie");
        Self {
            headers: format!("Cookie: {cookie}\r\n"),
            ..self
        }
    }

    /// Looks at something.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", "")
    }

    /// Has something done.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, "", &body.to_string())
    }

    /// Sends anything, with more lines of HTTP.
    pub fn send(&self, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let address = self.server.url().replacen("ws://", "", 1);
        let mut stream = TcpStream::connect(&address).expect("the hub listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nRoomseal-Request: 1\r\n{}{more}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        )
        .expect("the hub reads");
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        read.expect("the hub answers in text");
        let (headers, body) = answer.split_once("\r\n\r\n").expect("this is HTTP");
        let status = headers.get(9..12).and_then(|status| status.parse().ok());
        Answer {
            status: status.expect("HTTP begins with a status"),
            headers: headers.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }
}
