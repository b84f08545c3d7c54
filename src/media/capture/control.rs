// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a capture decides by itself while it runs: another encoder when one breaks or a better one
//! is proved, less when the board cannot keep up, key frames that had to wait.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use roomseal_e2ee::Codec;

use super::{event::CaptureEvent, shared::Inner};
use crate::{budget::Ladder, clock, transport::MediaKind};

/// How often put-off key frames are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often the load is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait before a track without a line is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the control thread is told.
#[derive(Debug)]
pub(super) enum Control {
    /// A line's pipeline broke.
    LineFailed {
        serial: u64,
        element: String,
        reason: String,
    },
    /// Pictures of another size are encoded from now on.
    Size {
        width: u32,
        height: u32,
    },
    /// Another encoder was taken, from outside.
    EncoderTaken,
    /// All encoders have been tried.
    Proved,
    /// Something else than our encoder is too much for the board.
    Overrun,
    Stop,
}

pub(super) fn run(inner: &Arc<Inner>, inbox: &Receiver<Control>) {
    let mut state = State::new(inner);
    loop {
        match inbox.recv_timeout(TICK) {
            Ok(Control::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Control::LineFailed {
                serial,
                element,
                reason,
            }) => {
                state.line_failed(serial, &element, &reason);
            }
            Ok(Control::Size { width, height }) => inner.resized(width, height),
            Ok(Control::EncoderTaken) => state.encoder_taken(),
            Ok(Control::Proved) => state.proved(),
            Ok(Control::Overrun) => state.overrun_elsewhere = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        state.tick(clock::now().into());
    }
}

struct State<'a> {
    inner: &'a Arc<Inner>,
    ladder: Ladder,
    looked: Duration,
    /// Pictures offered and encoded at the last look.
    load: (u64, u64),
    overrun_elsewhere: bool,
    retry_at: Option<Duration>,
    /// The codec that was last told to be the best.
    preferred: Codec,
}

impl<'a> State<'a> {
    fn new(inner: &'a Arc<Inner>) -> Self {
        let budget = inner.budget;
        Self {
            inner,
            ladder: Ladder::new(budget.encode(inner.video_codec()), budget.tiles),
            looked: clock::now().into(),
            load: (0, 0),
            overrun_elsewhere: false,
            retry_at: None,
            preferred: inner.video_codec(),
        }
    }

    fn tick(&mut self, now: Duration) {
        for track in &self.inner.tracks {
            track.serve_key_frame(now);
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            for track in &self.inner.tracks {
                if track.running().is_none() {
                    self.rebuild(track.kind);
                }
            }
        }
        if now - self.looked.min(now) < LOOK {
            return;
        }
        self.looked = now;
        if self.inner.echo_probe_appeared() {
            tracing::info!("the loudspeaker is there: its echo is cancelled from now on");
            self.rebuild(MediaKind::Audio);
        }
        let overrun = self.overrun() | std::mem::take(&mut self.overrun_elsewhere);
        for track in &self.inner.tracks {
            track.measure(now);
        }
        if let Some(limits) = self.ladder.observe(overrun, now) {
            tracing::info!(?limits, overrun, "what the board can afford changed");
            self.inner.set_limits(limits.encode);
            self.inner.tell(CaptureEvent::Limits(limits));
        }
    }

    /// Whether the encoder got pictures in the last second that it did not get to.
    fn overrun(&mut self) -> bool {
        let Some(track) = self.inner.track_of(MediaKind::Video) else {
            return false;
        };
        let (offered, encoded) = track.load();
        let (new, done) = (
            offered.saturating_sub(self.load.0),
            encoded.saturating_sub(self.load.1),
        );
        self.load = (offered, encoded);
        // Two may be on their way at either end of the second, and one in ten is no emergency.
        new > 5 && (done + 2) * 10 < new * 9
    }

    fn line_failed(&mut self, serial: u64, element: &str, reason: &str) {
        let broken = self.inner.tracks.iter().find_map(|track| {
            let (_, encoder, running) = track.running()?;
            (running == serial).then_some((track, encoder))
        });
        // Usually the last words of a line that was replaced.
        let Some((track, encoder)) = broken else {
            return;
        };
        tracing::warn!(encoder, element, reason, "an encoding pipeline broke");
        if element.starts_with("webrtcdsp") {
            // Sound with an echo is better than none.
            self.inner.give_up_echo(reason);
        } else if track.kind == MediaKind::Video {
            self.inner.encoders.give_up(encoder, reason);
        }
        track.remove_line();
        self.rebuild(track.kind);
        self.tell_preferred();
    }

    fn rebuild(&mut self, kind: MediaKind) {
        let rebuilt = match kind {
            MediaKind::Audio => self.inner.build_audio().map_err(|error| error.to_string()),
            MediaKind::Video => {
                // The codec is announced: another one only from outside.
                let codec = self.inner.video_codec();
                self.inner
                    .build_video(Some(codec))
                    .map_err(|error| error.to_string())
            }
        };
        if let Err(reason) = rebuilt {
            self.retry_at = Some(Duration::from(clock::now()) + RETRY);
            self.inner.tell(CaptureEvent::NoEncoder { reason });
        }
        self.encoder_taken();
    }

    /// Another encoder may have another budget.
    fn encoder_taken(&mut self) {
        let budget = self.inner.budget;
        self.ladder
            .set_budget(budget.encode(self.inner.video_codec()), budget.tiles);
        self.inner.set_limits(self.ladder.limits().encode);
        self.inner.tell_encoders();
    }

    fn proved(&mut self) {
        let taken = self
            .inner
            .track_of(MediaKind::Video)
            .and_then(|track| track.running());
        let better = taken.is_some_and(|(codec, encoder, _)| {
            let best = self.inner.encoders.pick(Some(codec));
            best.is_ok_and(|best| best.name() != encoder)
        });
        if better {
            self.rebuild(MediaKind::Video);
        } else {
            self.inner.tell_encoders();
        }
        self.tell_preferred();
    }

    /// Says so when another codec than before has the best encoder.
    fn tell_preferred(&mut self) {
        if self.inner.track_of(MediaKind::Video).is_none() {
            return;
        }
        if let Ok(best) = self.inner.encoders.pick(None)
            && best.codec() != self.preferred
        {
            self.preferred = best.codec();
            self.inner.tell(CaptureEvent::CodecPreferred {
                codec: self.preferred,
            });
        }
    }
}
