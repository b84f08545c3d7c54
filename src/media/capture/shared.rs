// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the threads of a capture share, and what any of them may do with it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    mpsc::Sender,
};

use gst::prelude::*;
use roomseal_e2ee::Codec;

use super::{
    CaptureError, OnEvent, STREAM,
    control::Control,
    event::CaptureEvent,
    line::{AUDIO_BITRATE, Line},
    track::{Sealing, Track},
};
use crate::{
    budget::{EncodeBudget, MediaBudget},
    encoder::{EncoderVerdict, Encoders},
    transport::{LocalTrackId, MediaKind, PublishTrack},
};

/// What the threads of a capture share.
pub(super) struct Inner {
    pub(super) tracks: Vec<Arc<Track>>,
    pub(super) budget: MediaBudget,
    pub(super) encoders: Encoders,
    pub(super) on_event: OnEvent,
    pub(super) control: Sender<Control>,
    pub(super) sealing: Mutex<Sealing>,
    pub(super) video: Mutex<VideoChoice>,
    pub(super) echo: Mutex<Echo>,
    /// Held while a line is built, so that there are never two of one track.
    pub(super) building: Mutex<()>,
    pub(super) serial: AtomicU64,
    pub(super) next_local: AtomicU32,
    pub(super) stopped: AtomicBool,
}

/// Taking the loudspeaker out of the microphone's signal.
#[derive(Debug)]
pub(super) struct Echo {
    /// Name of the probe before the loudspeaker; `None` if there is nothing to take out, or it
    /// cannot be done.
    pub(super) probe: Option<String>,
    /// Whether the line in use does it.
    pub(super) active: bool,
}

/// What is announced about the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct VideoChoice {
    pub(super) codec: Codec,
    pub(super) size: Option<(u32, u32)>,
    pub(super) limits: EncodeBudget,
    /// What the network gives, in bit/s.
    pub(super) available: u32,
}

impl Inner {
    pub(super) fn track(&self, local: LocalTrackId) -> Option<&Arc<Track>> {
        self.tracks.iter().find(|track| track.local() == local)
    }

    pub(super) fn track_of(&self, kind: MediaKind) -> Option<&Arc<Track>> {
        self.tracks.iter().find(|track| track.kind == kind)
    }

    /// Tells the control thread, which is gone only when the capture stops.
    pub(super) fn send(&self, word: Control) {
        let _ = self.control.send(word);
    }

    pub(super) fn tell(&self, event: CaptureEvent) {
        (self.on_event)(event);
    }

    pub(super) fn video_codec(&self) -> Codec {
        lock(&self.video).codec
    }

    pub(super) fn codec_of(&self, track: &Track) -> Codec {
        match track.kind {
            MediaKind::Audio => Codec::Opus,
            MediaKind::Video => self.video_codec(),
        }
    }

    pub(super) fn announcement(&self, track: &Track) -> PublishTrack {
        self.announcement_with(track, self.codec_of(track))
    }

    /// What a track is or would be with this codec.
    pub(super) fn announcement_with(&self, track: &Track, codec: Codec) -> PublishTrack {
        let (size, framerate) = match track.kind {
            MediaKind::Audio => (None, None),
            MediaKind::Video => {
                let video = *lock(&self.video);
                let budget = self.budget.encode(codec);
                let most = (budget.width, budget.height);
                // The size in use says nothing about that of another codec, whose budget differs.
                let size = video.size.filter(|_| codec == video.codec).unwrap_or(most);
                (Some(size), Some(budget.framerate))
            }
        };
        PublishTrack {
            local: track.local(),
            codec,
            stream: STREAM.to_owned(),
            size,
            framerate,
        }
    }

    pub(super) fn verdicts(&self) -> Vec<EncoderVerdict> {
        let taken = self
            .track_of(MediaKind::Video)
            .and_then(|track| track.running());
        self.encoders.verdicts(taken.map(|(_, encoder, _)| encoder))
    }

    pub(super) fn tell_encoders(&self) {
        if self.track_of(MediaKind::Video).is_some() {
            self.tell(CaptureEvent::Encoders(self.verdicts()));
        }
    }

    pub(super) fn resized(&self, width: u32, height: u32) {
        let Some(track) = self.track_of(MediaKind::Video) else {
            return;
        };
        let before = self.announcement(track);
        lock(&self.video).size = Some((width, height));
        let after = self.announcement(track);
        if before != after {
            self.tell(CaptureEvent::TrackChanged(after));
        }
    }

    pub(super) fn set_limits(&self, limits: EncodeBudget) {
        lock(&self.video).limits = limits;
        if let Some(track) = self.track_of(MediaKind::Video) {
            track.set_limits(limits);
        }
        self.share_bitrate();
    }

    /// Sound never gives way: what is left is the picture's.
    pub(super) fn share_bitrate(&self) {
        let video = *lock(&self.video);
        let Some(track) = self.track_of(MediaKind::Video) else {
            return;
        };
        let sound = if self.track_of(MediaKind::Audio).is_some() {
            AUDIO_BITRATE
        } else {
            0
        };
        track.set_bitrate(picture_share(video.available, sound, video.limits.bitrate));
    }

    pub(super) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// A number that no track had before.
    pub(super) fn next_number(&self) -> LocalTrackId {
        LocalTrackId(self.next_local.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn build_audio(&self) -> Result<(), CaptureError> {
        let Some(track) = self.track_of(MediaKind::Audio) else {
            return Ok(());
        };
        let _alone = lock(&self.building);
        self.take_sound(track)
    }

    /// Sends the sound under another number from now on.
    pub(super) fn renew_audio(&self, number: LocalTrackId) -> Result<(), CaptureError> {
        let track = self
            .track_of(MediaKind::Audio)
            .ok_or(CaptureError::NoTrack)?;
        let _alone = lock(&self.building);
        let before = track.local();
        track.renumber(number);
        self.take_sound(track).or_else(|error| {
            track.renumber(before);
            self.take_sound(track)?;
            Err(error)
        })
    }

    /// Only under the lock `building`.
    fn take_sound(&self, track: &Track) -> Result<(), CaptureError> {
        let failed = |reason: String| CaptureError::Line {
            encoder: "opusenc",
            reason,
        };
        let probe = {
            let mut echo = lock(&self.echo);
            let probe = echo.probe.clone().filter(|probe| probe_exists(probe));
            echo.active = probe.is_some();
            probe
        };
        let line = Line::audio(&track.outlet(), self.next_serial(), probe.as_deref())
            .map_err(|error| failed(error.message.to_string()))?;
        self.install(track, line)
            .map_err(|error| failed(error.to_string()))
    }

    /// Echo cancelling is off from now on.
    pub(super) fn give_up_echo(&self, reason: &str) {
        if lock(&self.echo).probe.take().is_some() {
            tracing::warn!(reason, "sound goes on without echo cancelling");
        }
    }

    /// Whether the echo could be cancelled now and is not: the loudspeaker's pipeline may come
    /// later than ours.
    pub(super) fn echo_probe_appeared(&self) -> bool {
        let echo = lock(&self.echo);
        !echo.active && echo.probe.as_deref().is_some_and(probe_exists)
    }

    /// Builds the line with the best encoder for a codec, or for any.
    pub(super) fn build_video(&self, codec: Option<Codec>) -> Result<(), CaptureError> {
        let Some(track) = self.track_of(MediaKind::Video) else {
            return Ok(());
        };
        let _alone = lock(&self.building);
        self.take_picture(track, codec)
    }

    /// Sends the picture as planned from now on: another number, perhaps another codec.
    pub(super) fn renew_video(&self, planned: &PublishTrack) -> Result<(), CaptureError> {
        let track = self
            .track_of(MediaKind::Video)
            .ok_or(CaptureError::NoTrack)?;
        let _alone = lock(&self.building);
        // Without an encoder for it nothing is touched.
        self.encoders.pick(Some(planned.codec))?;
        let (number, codec) = (track.local(), self.video_codec());
        self.set_video(track, planned.local, planned.codec);
        self.take_picture(track, Some(planned.codec))
            .or_else(|error| {
                self.set_video(track, number, codec);
                self.take_picture(track, Some(codec))?;
                Err(error)
            })
    }

    fn set_video(&self, track: &Track, number: LocalTrackId, codec: Codec) {
        track.renumber(number);
        let mut video = lock(&self.video);
        if video.codec != codec {
            video.codec = codec;
            video.size = None;
        }
    }

    /// Only under the lock `building`.
    fn take_picture(&self, track: &Track, codec: Option<Codec>) -> Result<(), CaptureError> {
        loop {
            let model = self.encoders.pick(codec)?;
            let budget = self.budget.encode(model.codec());
            if self.video_codec() != model.codec() {
                self.set_video(track, self.next_number(), model.codec());
            }
            let built = Line::video(&track.outlet(), self.next_serial(), model, &budget)
                .map_err(|error| error.message.to_string())
                .and_then(|line| {
                    self.install(track, line)
                        .map_err(|_| "it does not start".to_owned())
                });
            match built {
                Ok(()) => {
                    tracing::info!(encoder = model.name(), "takes the picture");
                    return Ok(());
                }
                Err(reason) => {
                    tracing::warn!(encoder = model.name(), reason, "cannot take the picture");
                    self.encoders.give_up(model.name(), &reason);
                }
            }
        }
    }

    /// Puts a line in the place of the last one.
    pub(super) fn install(&self, track: &Track, line: Line) -> Result<(), gst::StateChangeError> {
        track.remove_line();
        // Until it is in its place no other key or mode is set, which it would miss.
        let sealing = lock(&self.sealing);
        track.install(line, &sealing)
    }
}

/// Whether a `webrtcechoprobe` of this name is at work somewhere in the process. Only `webrtcdsp`
/// can find one, and it refuses to start without; so one is started for nothing else.
fn probe_exists(name: &str) -> bool {
    let Ok(canceller) = gst::ElementFactory::make("webrtcdsp")
        .property("probe", name)
        .build()
    else {
        return false;
    };
    let found = canceller.set_state(gst::State::Paused).is_ok();
    // Nothing is left to be done about an element that refuses to stop.
    let _ = canceller.set_state(gst::State::Null);
    found
}

/// The picture's part of what the network gives: all but the sound's, within the budget, and never
/// so little that an encoder refuses.
fn picture_share(available: u32, sound: u32, budget: u32) -> u32 {
    const LEAST: u32 = 50_000;
    available
        .saturating_sub(sound)
        .clamp(LEAST, budget.max(LEAST))
}

/// Every value behind these locks is replaced as a whole: a panic leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::picture_share;

    #[test]
    fn sound_takes_its_part_first() {
        assert_eq!(picture_share(500_000, 32_000, 1_500_000), 468_000);
    }

    #[test]
    fn the_picture_never_gets_more_than_its_budget_nor_nothing() {
        assert_eq!(picture_share(u32::MAX, 32_000, 1_500_000), 1_500_000);
        assert_eq!(picture_share(10_000, 32_000, 1_500_000), 50_000);
    }
}
