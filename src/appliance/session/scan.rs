// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between meetings: the camera, opened for a minute to read the code of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roomseal_media::capture::{
    AudioSource, Capture, CaptureConfig, CaptureEvent, SeenCode, VideoSource,
};
use tokio::sync::mpsc;

use super::Setup;
use crate::control::Reply;

/// Long enough to fetch a phone with the code on it.
const LONG: Duration = Duration::from_secs(60);

/// Whether a code is being looked for.
pub(super) struct Scan {
    open: Option<(Capture, Instant)>,
    seen: mpsc::UnboundedSender<SeenCode>,
}

impl Scan {
    /// Not yet; what is seen will come out of the receiver.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<SeenCode>) {
        let (seen, codes) = mpsc::unbounded_channel();
        (Self { open: None, seen }, codes)
    }

    /// Opens the camera; nothing of what it sees leaves the box.
    pub(super) async fn begin(&mut self, setup: &Setup) -> Reply {
        let config = CaptureConfig {
            audio: AudioSource::None,
            echo_probe: None,
            ..setup.call.capture.clone()
        };
        if config.video == VideoSource::None {
            return Reply::NotNow(
                "this box has no camera to read a code with: `roomseal join --link` takes the link"
                    .into(),
            );
        }
        self.end().await;
        let seen = self.seen.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let capture = Capture::start(
                config,
                Arc::new(|_, _| {}),
                Arc::new(move |event| {
                    if let CaptureEvent::CodeSeen(code) = event {
                        // Between two meetings nobody listens.
                        let _ = seen.send(code);
                    }
                }),
            )?;
            capture.look_for_code(true);
            Ok::<_, roomseal_media::capture::CaptureError>(capture)
        });
        match opened.await {
            Ok(Ok(capture)) => {
                self.open = Some((capture, Instant::now() + LONG));
                Reply::Done(format!(
                    "hold the code of the meeting to the camera within {} s",
                    LONG.as_secs()
                ))
            }
            Ok(Err(error)) => Reply::NotNow(format!("the camera cannot be opened: {error}")),
            Err(_) => Reply::NotNow("the box is stopping; start it again".into()),
        }
    }

    /// Whether somebody may hold a code to the camera now.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closes the camera when its time is over.
    pub(super) async fn tick(&mut self) {
        if self
            .open
            .as_ref()
            .is_some_and(|(_, until)| Instant::now() >= *until)
        {
            self.end().await;
        }
    }

    /// Closes the camera.
    pub(super) async fn end(&mut self) {
        if let Some((capture, _)) = self.open.take() {
            // The runtime is going down where this fails.
            let _ = tokio::task::spawn_blocking(move || drop(capture)).await;
        }
    }
}
