// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody with a browser at a hub that may be gone: what keeps a cookie, and comes from an address of one's own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::livekit::Server;
use crate::people::{Answer, PASSWORD, exchange};

/// Somebody with a browser.
#[derive(Clone, Debug)]
pub struct Visitor {
    hub: SocketAddr,
    /// Name and value, once signed in.
    pub cookie: Option<String>,
    from: Ipv4Addr,
}

impl Visitor {
    /// Somebody without an account, at an address of one's own that ends in `number`.
    pub fn of(server: &Server, number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self {
            hub: server.address(),
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
        let headers = format!("X-Forwarded-For: {}\r\n{cookie}", self.from);
        let answer = exchange(self.hub, method, path, &headers, &body)?;
        if let Some(cookie) = answer.cookie() {
            self.cookie = Some(cookie.to_owned());
        }
        Ok(answer)
    }
}
