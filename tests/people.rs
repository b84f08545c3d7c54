// SPDX-License-Identifier: MIT OR Apache-2.0
//! People with accounts at a hub, who ask it for things as programs and pages do.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::livekit::Server;

/// Of everybody here; made up.
pub const PASSWORD: &str = "correct horse battery";

/// What an answer takes at most on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

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
        let cookie = answer.cookie();
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
        let headers = format!("{}{more}", self.headers);
        let answer = match self.server.authority() {
            Some(file) => {
                let url = format!("{}{path}", self.server.site());
                exchange_over_tls(&file, method, &url, &headers, body)
            }
            None => exchange(self.server.address(), method, path, &headers, body),
        };
        answer.expect("the hub answers")
    }
}

impl Answer {
    /// Name and value of the cookie that it sets.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let set = self.headers.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then_some(value)
        });
        set.and_then(|set| set.split(';').next())
    }
}

/// Sends one request with these `headers`, whole lines, and reads its answer.
///
/// # Errors
/// When there is no hub, or none any more before it has answered.
pub(crate) fn exchange(
    hub: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&hub, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {hub}\r\nConnection: close\r\nRoomseal-Request: 1\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    read(&answer)
}

/// The same of a hub whose certificate is believed by the one in the file `authority`.
fn exchange_over_tls(
    authority: &Path,
    method: &str,
    url: &str,
    headers: &str,
    body: &str,
) -> io::Result<Answer> {
    let mut curl = Command::new("/usr/bin/curl");
    curl.args(["-sSi", "--max-time", &PATIENCE.as_secs().to_string()])
        .arg("--cacert")
        .arg(authority)
        .args([
            "-H",
            "Roomseal-Request: 1",
            "-H",
            "Content-Type: application/json",
        ])
        .args(["-X", method, "--data-binary", body]);
    for header in headers.lines() {
        curl.args(["-H", header]);
    }
    let ran = curl.arg(url).output()?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        return Err(io::Error::other(said));
    }
    read(&String::from_utf8_lossy(&ran.stdout))
}

/// What HTTP answered.
fn read(answer: &str) -> io::Result<Answer> {
    let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (headers, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = headers.get(9..12).and_then(|status| status.parse().ok());
    Ok(Answer {
        status: status.ok_or_else(broken)?,
        headers: headers.to_owned(),
        body: if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(body).map_err(|_| broken())?
        },
    })
}
