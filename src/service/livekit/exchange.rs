// SPDX-License-Identifier: MIT OR Apache-2.0
//! One small HTTP/1.1 exchange with a server, over a connection of its own.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use zeroize::Zeroizing;

use super::{address::ServerUrl, token::Token};

/// The longest answer that is read, in bytes; an explanation is one line.
const LONGEST: u64 = 16 * 1024;

/// An HTTP answer.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The text, uncleaned: the server may have repeated the token in it, or it is a secret.
    pub(super) body: Zeroizing<String>,
}

/// Asks for `path` and reads the answer to the end.
pub(super) async fn get<S>(
    stream: &mut S,
    server: &ServerUrl,
    path: &str,
    token: &Token,
) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    exchange(stream, request("GET", server, path, token, None)).await
}

/// Sends a protobuf message to `path` and reads the answer to the end.
pub(super) async fn post<S>(
    stream: &mut S,
    server: &ServerUrl,
    path: &str,
    token: &Token,
    message: &[u8],
) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    exchange(stream, request("POST", server, path, token, Some(message))).await
}

async fn exchange<S>(stream: &mut S, request: Zeroizing<Vec<u8>>) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&request).await?;
    stream.flush().await?;
    // Room for all of it, so that no part of a secret stays behind in a smaller allocation.
    let mut answer = Zeroizing::new(Vec::with_capacity(LONGEST as usize + 32));
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    parse(&answer)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not an HTTP answer"))
}

/// The request; zeroized because of the token in it.
fn request(
    method: &str,
    server: &ServerUrl,
    path: &str,
    token: &Token,
    message: Option<&[u8]>,
) -> Zeroizing<Vec<u8>> {
    let url = server.join(path, &[]);
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let content = message.map_or(String::new(), |message| {
        format!(
            "Content-Type: application/protobuf\r\nContent-Length: {}\r\n",
            message.len()
        )
    });
    let mut request = Zeroizing::new(format!(
        "{method} {} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n{content}Connection: close\r\n\r\n",
        url.path(),
        token.expose()
    ).into_bytes());
    request.extend_from_slice(message.unwrap_or_default());
    request
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
        body: Zeroizing::new(if chunked {
            String::new()
        } else {
            body.to_owned()
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(u16, String)> {
        parse(text.as_bytes()).map(|answer| (answer.status, answer.body.to_string()))
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
        assert!(parse(&[0xff; 300]).is_none());
    }
}
