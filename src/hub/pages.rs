// SPDX-License-Identifier: MIT OR Apache-2.0
//! The join page, and the one on which meetings are planned, as they were built; read once at start: a file that changes
//! underneath never meets another of its build.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest as _, Sha256};

/// Below this, a meeting's name makes the page of that meeting.
const MEETINGS: &str = "/j/";

/// Below this are the parts of the page.
const PARTS: &str = "/join/";

/// The page itself.
const INDEX: &str = "index.html";

/// Where meetings are planned, and the page for it.
const PLANNING: &str = "/plan";
const PLAN: &str = "plan.html";

/// What the page cannot do without.
const NEEDED: [&str; 3] = [INDEX, "core.wasm", "worker.js"];

/// The longest part; the client of LiveKit is a tenth of it.
const LONGEST: u64 = 16 * 1024 * 1024;

/// What a browser may do beside showing it.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), speaker-selection=(self), geolocation=()";

/// The join page.
pub struct Pages {
    files: BTreeMap<String, File>,
}

struct File {
    kind: &'static str,
    plain: Bytes,
    /// The same for browsers that take gzip: what `NAME.gz` holds.
    packed: Option<Bytes>,
    /// Names the content.
    tag: HeaderValue,
}

/// Why there is no join page.
#[derive(Debug, thiserror::Error)]
pub enum PagesError {
    /// A part is missing or cannot be read.
    #[error(
        "{}: {source}; name the folder of the join page with --pages (`.ci/web` builds it into .cache/web)",
        file.display()
    )]
    Part {
        /// Which.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Pages {
    /// Reads all parts of the page from `folder`.
    ///
    /// # Errors
    /// When one that is needed is missing, or one cannot be read.
    pub fn open(folder: &Path) -> Result<Self, PagesError> {
        let failed = |file: &Path| {
            let file = file.to_owned();
            |source| PagesError::Part { file, source }
        };
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if let Some(kind) = kind(name) {
                let plain = read(&path).map_err(failed(&path))?;
                let packed = folder.join(format!("{name}.gz"));
                let packed = match read(&packed) {
                    Ok(packed) => Some(packed),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(failed(&packed)(error)),
                };
                files.insert(name.to_owned(), File::new(kind, plain, packed));
            }
        }
        for name in NEEDED {
            if !files.contains_key(name) {
                let missing = io::Error::from(io::ErrorKind::NotFound);
                return Err(failed(&folder.join(name))(missing));
            }
        }
        Ok(Self { files })
    }

    fn file(&self, path: &str) -> Option<&File> {
        if path == PLANNING {
            return self.files.get(PLAN);
        }
        match (path.strip_prefix(MEETINGS), path.strip_prefix(PARTS)) {
            // Whether the room is one, the page says: it has the whole link.
            (Some(room), _) if !room.is_empty() && !room.contains('/') => self.files.get(INDEX),
            (_, Some(name)) if ![INDEX, PLAN].contains(&name) => self.files.get(name),
            _ => None,
        }
    }
}

/// Whether a path is for [`answer`].
pub(crate) fn is_one(path: &str) -> bool {
    path == PLANNING || path.starts_with(MEETINGS) || path.starts_with(PARTS)
}

/// Answers a request for the page or a part of it.
///
/// `elsewhere`: where the page may connect to beside the hub, after a space each.
pub(crate) fn answer<B>(
    request: &Request<B>,
    pages: Option<&Pages>,
    elsewhere: &str,
) -> Response<Full<Bytes>> {
    let headers = request.headers();
    let mut response = match (request.method(), pages) {
        (&Method::GET | &Method::HEAD, Some(pages)) => match pages.file(request.uri().path()) {
            Some(file) => file.answer(headers),
            None => say(
                StatusCode::NOT_FOUND,
                "There is nothing here. Open the whole link of the meeting, as it was sent to you.",
            ),
        },
        (&Method::GET | &Method::HEAD, None) => say(
            StatusCode::SERVICE_UNAVAILABLE,
            "This hub has no join page. Who runs it builds the page with .ci/web, or installs it, and starts the hub \
             with --pages FOLDER.",
        ),
        _ => say(StatusCode::METHOD_NOT_ALLOWED, "Only GET is answered here."),
    };
    guard(response.headers_mut(), headers, elsewhere);
    response
}

/// Where a client says that it reached us, when that is a plain `name:port`.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some(host)
}

impl File {
    fn new(kind: &'static str, plain: Bytes, packed: Option<Bytes>) -> Self {
        let digest = Base64UrlUnpadded::encode_string(&Sha256::digest(&plain));
        Self {
            kind,
            plain,
            packed,
            tag: HeaderValue::from_str(&format!("\"{digest}\""))
                .expect("letters, digits and quotes make a header"),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        // Weak or listed tags are not what a browser sends back here; then the content is sent again.
        if headers.get(header::IF_NONE_MATCH) == Some(&self.tag) {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
                .headers_mut()
                .insert(header::ETAG, self.tag.clone());
            return response;
        }
        let packed = self.packed.as_ref().filter(|_| takes_gzip(headers));
        let mut response = Response::new(Full::new(packed.unwrap_or(&self.plain).clone()));
        let out = response.headers_mut();
        if packed.is_some() {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        out.insert(header::ETAG, self.tag.clone());
        response
    }
}

/// What is said with everything: what the page may load and do, and that nobody frames it or learns where it was.
fn guard(out: &mut HeaderMap, asked: &HeaderMap, elsewhere: &str) {
    // Not every browser takes 'self' for the WebSocket of the same place.
    let here = host(asked).map_or(String::new(), |host| format!(" ws://{host} wss://{host}"));
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
         worker-src 'self'; connect-src 'self'{here}{elsewhere}; media-src 'self' blob:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).expect("plain names and ports make a header");
    out.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in [
        // The tag tells whether it is still the same, so nobody is left with half of an old page.
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ] {
        out.insert(name, HeaderValue::from_static(value));
    }
}

fn kind(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "wasm" => "application/wasm",
        _ => return None,
    })
}

fn read(path: &Path) -> io::Result<Bytes> {
    if std::fs::metadata(path)?.len() > LONGEST {
        return Err(io::Error::other("it is too long for a part of the page"));
    }
    std::fs::read(path).map(Bytes::from)
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let taken = headers.get(header::ACCEPT_ENCODING);
    let taken = taken
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    taken.split(',').any(|coding| coding.trim() == "gzip")
}

fn say(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}
