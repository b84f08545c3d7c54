// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asks a server why it refused a connection: `GET /rtc/validate`, one small HTTP/1.1 exchange.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{address::ServerUrl, token::Token};

/// The longest answer that is read, in bytes; an explanation is one line.
const LONGEST: u64 = 16 * 1024;

/// An HTTP answer, as far as an explanation needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The text, uncleaned: the server may have repeated the token in it.
    pub(super) body: String,
}

/// Sends the request over an open connection and reads the answer to the end.
pub(super) async fn ask<S>(
    stream: &mut S,
    server: &ServerUrl,
    token: &Token,
) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request(server, token).as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    parse(&answer)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not an HTTP answer"))
}

/// The request; zeroized because of the token in it.
fn request(server: &ServerUrl, token: &Token) -> zeroize::Zeroizing<String> {
    let url = server.join("/rtc/validate", &[]);
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    zeroize::Zeroizing::new(format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        url.path(),
        token.expose()
    ))
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut words = head.lines().next()?.split_ascii_whitespace();
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.parse().ok()?;
    // A body in chunks comes from a proxy; its page is no explanation.
    let chunked = head
        .lines()
        .any(|line| line.to_ascii_lowercase().starts_with("transfer-encoding:"));
    Some(Answer {
        status,
        body: if chunked {
            String::new()
        } else {
            body.to_owned()
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(u16, String)> {
        parse(text.as_bytes()).map(|answer| (answer.status, answer.body))
    }

    #[test]
    fn status_and_text_of_an_answer_are_read() {
        assert_eq!(
            parsed("HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nnope!"),
            Some((401, "nope!".into()))
        );
        assert_eq!(
            parsed("HTTP/1.0 200 OK\r\n\r\n"),
            Some((200, String::new()))
        );
        assert_eq!(parsed("HTTP/1.1 204\r\nA: b"), Some((204, String::new())));
    }

    #[test]
    fn a_page_in_chunks_is_left_out() {
        assert_eq!(
            parsed("HTTP/1.1 502 Bad\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            Some((502, String::new()))
        );
    }

    #[test]
    fn what_is_no_http_is_no_answer() {
        for text in [
            "",
            "\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2",
            "HTTP/1.1",
            "HTTP/1.1 abc",
            "HTTP/2 200",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parse(&[0xff; 300]), None);
    }
}
