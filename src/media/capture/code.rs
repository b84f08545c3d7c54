// SPDX-License-Identifier: MIT OR Apache-2.0

//! Looks for a QR code in what the camera sees, while somebody is asked for one.

use std::{
    fmt,
    sync::{
        Mutex,
        mpsc::{self, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::shared::lock;

/// Pictures are looked at this often: people hold a code still for a second, and looking costs as much as encoding.
const EVERY: Duration = Duration::from_millis(500);

/// Converting one picture takes some milliseconds; longer than this it never will be.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// Pictures are made no wider than this before they are looked at.
const WIDEST: i32 = 1280;

/// The text of a code that was held to the camera: perhaps a secret, so wiped when dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SeenCode(Zeroizing<String>);

impl SeenCode {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SeenCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeenCode(..)")
    }
}

/// A thread that looks at some of the pictures. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Looker {
    pictures: SyncSender<gst::Sample>,
    next: Mutex<Instant>,
}

impl Looker {
    /// Starts; `seen` is called on the thread.
    pub(super) fn start(seen: impl Fn(SeenCode) + Send + 'static) -> std::io::Result<Self> {
        let (pictures, inbox) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("code-reader".to_owned())
            .spawn(move || {
                for picture in inbox {
                    if let Some(code) = read(&picture) {
                        seen(code);
                    }
                }
            })?;
        Ok(Self {
            pictures,
            next: Mutex::new(Instant::now()),
        })
    }

    /// Takes a picture to look at, if it is time and the last one has been looked at. Never blocks.
    pub(super) fn offer(&self, picture: &gst::Sample) {
        let now = Instant::now();
        let mut next = lock(&self.next);
        if now >= *next && self.pictures.try_send(picture.clone()).is_ok() {
            *next = now + EVERY;
        }
    }
}

/// The text of the first code in a picture that can be read.
fn read(picture: &gst::Sample) -> Option<SeenCode> {
    let width = picture.caps()?.structure(0)?.get::<i32>("width").ok()?;
    let mut caps = gst::Caps::builder("video/x-raw").field("format", "GRAY8");
    if width > WIDEST {
        let height = picture.caps()?.structure(0)?.get::<i32>("height").ok()?;
        caps = caps
            .field("width", WIDEST)
            .field("height", (height * WIDEST / width) & !1);
    }
    let grey = gst_video::convert_sample(picture, &caps.build(), Some(PATIENCE)).ok()?;
    let info = gst_video::VideoInfo::from_caps(grey.caps()?).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(grey.buffer()?, &info).ok()?;
    let luma = frame.plane_data(0).ok()?;
    let stride = usize::try_from(*info.stride().first()?).ok()?;
    let (width, height) = (
        usize::try_from(info.width()).ok()?,
        usize::try_from(info.height()).ok()?,
    );
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
        luma.get(y * stride + x).copied().unwrap_or(255)
    });
    prepared
        .detect_grids()
        .into_iter()
        .find_map(|grid| grid.decode().ok())
        .map(|(_, text)| SeenCode(Zeroizing::new(text)))
}
