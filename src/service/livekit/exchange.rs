// SPDX-License-Identifier: MIT OR Apache-2.0
//! One small HTTP/1.1 exchange with a server, over a connection of its own.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use zeroize::Zeroizing;

use super::{address::ServerUrl, token::Token};

/// The longest answer that is read where none is expected to be long, in bytes; an explanation is one line.
pub(crate) const LONGEST: u64 = 16 * 1024;

/// What is asked of a server.
pub(crate) struct Question<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// The token that goes with it, if one does.
    pub(crate) bearer: Option<&'a str>,
    /// Media type and bytes.
    pub(crate) content: Option<(&'static str, &'a [u8])>,
    /// The longest answer that is read, in bytes, with its head.
    pub(crate) longest: u64,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The text, uncleaned: the server may have repeated the token in it, or it is a secret.
    pub(crate) body: Zeroizing<String>,
    /// Nothing of the text is missing, as far as the server says how much there is.
    pub(crate) whole: bool,
    /// The server's clock, as it writes it.
    pub(crate) date: Option<String>,
    /// In how many seconds the server wants to be asked again.
    pub(crate) retry_after: Option<u64>,
}

impl Answer {
    /// One of which nothing is known but status and text.
    pub(crate) fn of(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: Zeroizing::new(body.into()),
            whole: true,
            date: None,
            retry_after: None,
        }
    }
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
    let question = Question {
        method: "GET",
        path,
        bearer: Some(token.expose()),
        content: None,
        longest: LONGEST,
    };
    ask(stream, server, &question).await
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
    let question = Question {
        method: "POST",
        path,
        bearer: Some(token.expose()),
        content: Some(("application/protobuf", message)),
        longest: LONGEST,
    };
    ask(stream, server, &question).await
}

/// Asks, and reads the answer to the end.
pub(crate) async fn ask<S>(
    stream: &mut S,
    server: &ServerUrl,
    question: &Question<'_>,
) -> std::io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&request(server, question)).await?;
    stream.flush().await?;
    // Room for all of it, so that no part of a secret stays behind in a smaller allocation.
    let room = usize::try_from(question.longest).unwrap_or(usize::MAX);
    let mut answer = Zeroizing::new(Vec::with_capacity(room.saturating_add(32)));
    match stream.take(question.longest).read_to_end(&mut answer).await {
        Ok(_) => {}
        // Not every server says good-bye in TLS. What is missing shows in the length.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error),
    }
    parse(&answer)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "not an HTTP answer"))
}

/// The request; zeroized because of the token in it.
fn request(server: &ServerUrl, question: &Question<'_>) -> Zeroizing<Vec<u8>> {
    let url = server.join(question.path, &[]);
    let bearer = question.bearer.map_or_else(Zeroizing::default, |token| {
        Zeroizing::new(format!("Authorization: Bearer {token}\r\n"))
    });
    let content = question.content.map_or(String::new(), |(kind, content)| {
        format!(
            "Content-Type: {kind}\r\nContent-Length: {}\r\n",
            content.len()
        )
    });
    // The hub asks for its own header, which pages of other sites cannot send; other servers do not mind.
    let head = Zeroizing::new(format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\nRoomseal-Request: 1\r\n{}{content}Connection: close\r\n\r\n",
        question.method,
        url.path(),
        server.authority(),
        *bearer,
    ));
    let content = question.content.map_or(&[][..], |(_, content)| content);
    let mut request = Zeroizing::new(Vec::with_capacity(head.len() + content.len()));
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(content);
    request
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let ends = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = match ends {
        Some(at) => (&answer[..at], &answer[at + 4..]),
        None => (answer, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut words = head.lines().next()?.split_ascii_whitespace();
    if !words.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let status = words.next()?.parse().ok()?;
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let is_chunked = header("transfer-encoding").is_some();
    let (bytes, whole) = if is_chunked {
        unchunked(body)
    } else {
        let length = header("content-length").and_then(|length| length.parse().ok());
        let whole = length.is_none_or(|length: usize| body.len() >= length);
        let end = length.map_or(body.len(), |length| length.min(body.len()));
        (Zeroizing::new(body[..end].to_vec()), whole)
    };
    Some(Answer {
        status,
        body: Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()),
        whole: whole && ends.is_some(),
        date: header("date").map(str::to_owned),
        retry_after: header("retry-after").and_then(|seconds| seconds.parse().ok()),
    })
}

/// What a proxy sent in chunks (RFC 9112 7.1), put together, and whether the last one came.
fn unchunked(mut body: &[u8]) -> (Zeroizing<Vec<u8>>, bool) {
    let mut bytes = Zeroizing::new(Vec::with_capacity(body.len()));
    loop {
        let Some(at) = body.windows(2).position(|two| two == b"\r\n") else {
            return (bytes, false);
        };
        let size = std::str::from_utf8(&body[..at]).ok();
        // Extensions may follow the size.
        let size = size.and_then(|line| line.split(';').next());
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let rest = &body[at + 2..];
        match size {
            Some(0) => return (bytes, true),
            Some(size) if rest.len() >= size.saturating_add(2) => {
                bytes.extend_from_slice(&rest[..size]);
                body = &rest[size + 2..];
            }
            _ => return (bytes, false),
        }
    }
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
    fn what_comes_in_chunks_is_put_together_and_what_is_missing_is_known() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let parsed = |body: &str| {
            let answer = parse(format!("{head}{body}").as_bytes());
            answer.map(|answer| (answer.body.to_string(), answer.whole))
        };
        let all = "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        assert_eq!(parsed(all), Some(("hello world".into(), true)));
        let cut = "5\r\nhello\r\n6\r\n wor";
        assert_eq!(parsed(cut), Some(("hello".into(), false)));
        for damaged in ["", "zz\r\nhello", "ffffffffffffffff\r\nhello\r\n"] {
            assert_eq!(parsed(damaged), Some((String::new(), false)), "{damaged}");
        }
    }

    #[test]
    fn a_text_that_was_cut_short_is_not_whole() {
        for (text, whole) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", false),
            ("HTTP/1.1 200 OK\r\n\r\nhello", true),
            ("HTTP/1.1 200 OK\r\nContent-Le", false),
        ] {
            let answer = parse(text.as_bytes());
            assert_eq!(answer.map(|answer| answer.whole), Some(whole), "{text}");
        }
    }

    #[test]
    fn the_clock_of_a_server_is_read() {
        let answer = parse(
            b"HTTP/1.1 429 No\r\ndate: Mon, 23 Nov 2026 01:00:00 GMT\r\nRetry-After: 7\r\n\r\n",
        );
        let answer = answer.map(|answer| (answer.date, answer.retry_after));
        let date = "Mon, 23 Nov 2026 01:00:00 GMT".to_owned();
        assert_eq!(answer, Some((Some(date), Some(7))));
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
