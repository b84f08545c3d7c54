// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of the page, part of the program: nothing on the disk can change them.

/// A file and its media type.
pub(super) type Asset = (&'static str, &'static [u8]);

/// What `path` names.
pub(super) fn find(path: &str) -> Option<Asset> {
    ASSETS
        .iter()
        .find(|(name, _)| *name == path)
        .map(|(_, asset)| *asset)
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($kind:expr, $file:literal) => {
        ($kind, include_bytes!(concat!("../../web/panel/", $file)))
    };
}

const ASSETS: &[(&str, Asset)] = &[
    ("/", asset!(HTML, "index.html")),
    ("/icon.svg", asset!(SVG, "icon.svg")),
    ("/look.css", (CSS, include_bytes!("../../web/look.css"))),
    ("/panel.css", asset!(CSS, "panel.css")),
    ("/panel.js", asset!(SCRIPT, "panel.js")),
    ("/booked.js", asset!(SCRIPT, "booked.js")),
    ("/chat.js", asset!(SCRIPT, "chat.js")),
    ("/connection.js", asset!(SCRIPT, "connection.js")),
    ("/draw.js", asset!(SCRIPT, "draw.js")),
    ("/host.js", asset!(SCRIPT, "host.js")),
    ("/invitation.js", asset!(SCRIPT, "invitation.js")),
    ("/meetings.js", asset!(SCRIPT, "meetings.js")),
    ("/page.js", asset!(SCRIPT, "page.js")),
    ("/pairing.js", asset!(SCRIPT, "pairing.js")),
    ("/setup.js", asset!(SCRIPT, "setup.js")),
    ("/sure.js", asset!(SCRIPT, "sure.js")),
    ("/words.js", asset!(SCRIPT, "words.js")),
];
