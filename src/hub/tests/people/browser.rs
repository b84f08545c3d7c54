// SPDX-License-Identifier: MIT OR Apache-2.0
//! What asks: it keeps the cookie that it is given, and sends what pages of the hub send.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::harness::SOON;

#[derive(Clone)]
pub(crate) struct Browser {
    hub: SocketAddr,
    /// Name and value.
    pub(crate) cookie: Option<String>,
    /// Headers beside the cookie, each with its line end.
    pub(crate) headers: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// `null` when there is none.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (given, value) = line.split_once(": ")?;
            given.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Browser {
    pub(crate) fn new(hub: SocketAddr) -> Self {
        Self {
            hub,
            cookie: None,
            headers: format!("Host: {hub}\r\nRoomseal-Request: 1\r\n"),
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        let kind = "Content-Type: application/json\r\n";
        let kind = if body.is_some() { kind } else { "" };
        self.send(method, path, kind, &body.unwrap_or_default())
            .await
    }

    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        more: &str,
        body: &str,
    ) -> Answer {
        let cookie = self.cookie.as_ref();
        let cookie = cookie.map_or(String::new(), |cookie| format!("Cookie: a=b; {cookie}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{}{cookie}{more}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        );
        let mut stream = TcpStream::connect(self.hub).await.unwrap();
        // Who is refused early need not have sent everything.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut text = Vec::new();
        let read = timeout(SOON, stream.read_to_end(&mut text)).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{read:?}: {text:?}"));
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_str(body).unwrap()
            },
        };
        if let Some(cookie) = answer.header("set-cookie") {
            let cookie = cookie.split(';').next().unwrap();
            self.cookie = (!cookie.ends_with('=')).then(|| cookie.to_owned());
        }
        answer
    }
}
