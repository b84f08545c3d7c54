// SPDX-License-Identifier: MIT OR Apache-2.0
//! What camera, microphone, encoders and outputs say, as troubles that people read.

use roomseal_media::capture::{AUDIO, CaptureEvent, SourceState};
use roomseal_media::present::PresentEvent;

use super::Session;
use crate::status::LocalTrack;

impl Session<'_> {
    pub(super) fn capture(&mut self, event: CaptureEvent) {
        match event {
            CaptureEvent::SourceState { local, state } => {
                let about = if local == AUDIO {
                    "microphone"
                } else {
                    "camera"
                };
                let trouble = match &state {
                    SourceState::Running => None,
                    state => Some(state.to_string()),
                };
                match &trouble {
                    Some(text) => tracing::warn!("{about}: {text}"),
                    None => tracing::info!("{about}: running"),
                }
                self.status.trouble(about, trouble);
            }
            CaptureEvent::Encoders(verdicts) => {
                for verdict in &verdicts {
                    tracing::info!(encoder = %verdict.name, taken = verdict.taken, "{}", verdict.reason);
                }
                self.encoders = verdicts
                    .into_iter()
                    .map(|verdict| (verdict.name.to_string(), verdict.reason))
                    .collect();
                self.status.trouble("encoder", None);
            }
            CaptureEvent::NoEncoder { reason } => {
                tracing::error!("{reason}");
                self.status.trouble("encoder", Some(reason));
            }
            // Told where it was decided; the call has adapted the tiles.
            CaptureEvent::Limits(_) => {}
            CaptureEvent::CodeSeen(code) => self.code_seen(&code),
            CaptureEvent::CodecPreferred { codec } => {
                self.codec.prefer(codec);
                self.choose_codec();
            }
            CaptureEvent::TrackChanged(track) => self.publishing.changed(track),
        }
    }

    pub(super) fn presented(&self, event: PresentEvent) {
        match event {
            // The call sees to them.
            PresentEvent::KeyFrameWanted { .. } | PresentEvent::FirstPassed { .. } => {}
            PresentEvent::TrackState { sid, state } => tracing::info!(%sid, "{state}"),
            PresentEvent::DecoderFailed { sid, reason } => {
                tracing::warn!(%sid, reason, "a decoder gave up and was replaced");
            }
            PresentEvent::OutputFailed { output, reason } => {
                tracing::error!(%output, reason, "output failed");
                self.status.trouble(&output.to_string(), Some(reason));
            }
            PresentEvent::OutputWorks { output } => self.status.trouble(&output.to_string(), None),
            PresentEvent::RecordingStarted { path, .. } => {
                tracing::info!(path = %path.display(), "recording");
            }
            PresentEvent::RecordingFinished { path, .. } => {
                tracing::info!(path = %path.display(), "recorded");
            }
            PresentEvent::RecordingFailed { reason } => {
                tracing::error!(reason, "nothing is recorded any more");
                self.status.trouble("recording", Some(reason));
            }
        }
    }

    /// A microphone that somebody switched off elsewhere is not heard, and nothing here is to blame.
    pub(super) fn tell_of_switch(&self, tracks: &[LocalTrack]) {
        let off = tracks
            .iter()
            .any(|track| track.switched_off == Some(true) && !track.muted);
        let trouble = off.then(|| {
            "it is off at its own switch, so nobody hears this box: mute and unmute here, or turn it on with alsamixer"
                .to_owned()
        });
        self.status.trouble("microphone's switch", trouble);
    }
}
