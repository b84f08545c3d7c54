// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a raw picture or block of sound goes through between its source and the encoder: time on
//! the shared clock, frame rate, size. Pure, apart from GStreamer's plain types.

use std::time::Duration;

use crate::{
    budget::{EncodeBudget, even},
    encoder::pixels,
};

/// Lets pictures through at no more than a rate, evenly.
#[derive(Clone, Debug, Default)]
pub(super) struct Pacer {
    due: Option<Duration>,
}

impl Pacer {
    /// Whether the picture of time `pts` is wanted at `framerate` pictures per second.
    pub(super) fn wants(&mut self, pts: Duration, framerate: u32) -> bool {
        let interval = Duration::from_secs(1) / framerate.max(1);
        let Some(due) = self.due else {
            self.due = Some(pts + interval);
            return true;
        };
        // A camera at just this rate must not lose pictures to its jitter.
        if pts + interval / 2 < due {
            return false;
        }
        let next = due + interval;
        // After a pause, or from a slower source, count anew instead of catching up.
        self.due = Some(if next < pts + interval / 2 {
            pts + interval
        } else {
            next
        });
        true
    }
}

/// The time a buffer counts as captured at: what its source says, unless that cannot be true. Some
/// drivers tell the time of day, and a device without a clock runs ahead of all others; a track
/// that once went to the future would drop everything until then.
pub(super) fn plausible(said: gst::ClockTime, now: gst::ClockTime) -> gst::ClockTime {
    const ODD: gst::ClockTime = gst::ClockTime::from_seconds(2);
    if said > now + ODD || said + ODD < now {
        now
    } else {
        said
    }
}

/// The size to encode pictures of a source at: within the budget, never larger than they are, the
/// shape kept, even.
pub(super) fn fit(source: PictureShape, budget: &EncodeBudget) -> (u32, u32) {
    let PictureShape {
        width,
        height,
        pixel_aspect: (n, d),
    } = source;
    // Square pixels by narrowing the longer side's direction, never by inventing pixels.
    let (mut w, mut h) = (f64::from(width), f64::from(height));
    let aspect = f64::from(n.max(1)) / f64::from(d.max(1));
    if aspect > 1.0 {
        h /= aspect;
    } else {
        w *= aspect;
    }
    let scale = (f64::from(budget.width) / w)
        .min(f64::from(budget.height) / h)
        .min(1.0);
    w *= scale;
    h *= scale;
    // Both are positive and at most the budget: the conversion cuts nothing off but fractions.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let round = |side: f64| even((side + 0.5) as u32);
    (round(w), round(h))
}

/// Size of a picture in pixels, and the shape of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PictureShape {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixel_aspect: (u32, u32),
}

impl PictureShape {
    /// Read from raw video caps.
    pub(super) fn of(caps: &gst::CapsRef) -> Option<Self> {
        let structure = caps.structure(0)?;
        let side = |name| {
            structure
                .get::<i32>(name)
                .ok()
                .and_then(|side| u32::try_from(side).ok())
                .filter(|&s| s > 0)
        };
        let aspect = structure
            .get::<gst::Fraction>("pixel-aspect-ratio")
            .map_or((1, 1), |par| {
                (par.numer().unsigned_abs(), par.denom().unsigned_abs())
            });
        Some(Self {
            width: side("width")?,
            height: side("height")?,
            pixel_aspect: aspect,
        })
    }
}

/// The same caps, with the rate the encoder is to reckon with: many cameras and files do not say
/// theirs, or vary.
pub(super) fn with_framerate(caps: &gst::CapsRef, framerate: u32) -> gst::Caps {
    let mut caps = caps.to_owned();
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        let source = structure
            .get::<gst::Fraction>("framerate")
            .ok()
            .filter(|rate| rate.numer() > 0 && rate.numer() / rate.denom() < pixels(framerate))
            .unwrap_or_else(|| gst::Fraction::new(pixels(framerate), 1));
        structure.set("framerate", source);
    }
    caps
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: EncodeBudget = EncodeBudget {
        width: 1280,
        height: 720,
        framerate: 30,
        bitrate: 1_000_000,
    };

    fn shape(width: u32, height: u32, pixel_aspect: (u32, u32)) -> PictureShape {
        PictureShape {
            width,
            height,
            pixel_aspect,
        }
    }

    fn through(source_fps: f64, framerate: u32) -> usize {
        let mut pacer = Pacer::default();
        (0..u32::try_from((source_fps * 10.0) as i64).unwrap_or(0))
            .filter(|&n| {
                pacer.wants(
                    Duration::from_secs_f64(f64::from(n) / source_fps),
                    framerate,
                )
            })
            .count()
    }

    #[test]
    fn ten_seconds_of_any_source_give_the_wanted_rate() {
        for (source, framerate, expected) in [
            (30.0, 30, 300),
            (60.0, 30, 300),
            (30.0, 15, 150),
            (30.0, 20, 200),
            (25.0, 30, 250),
            (29.97, 30, 299),
        ] {
            let got = through(source, framerate);
            assert!(
                got.abs_diff(expected) <= 2,
                "{source} to {framerate}: {got}"
            );
        }
    }

    #[test]
    fn jitter_loses_no_picture() {
        let mut pacer = Pacer::default();
        let kept = (0..300_u64)
            .filter(|n| {
                let jitter = if n % 2 == 0 { 0 } else { 8 };
                pacer.wants(Duration::from_millis(n * 1_000 / 30 + jitter), 30)
            })
            .count();
        assert_eq!(kept, 300);
    }

    #[test]
    fn after_a_pause_there_is_no_burst() {
        let mut pacer = Pacer::default();
        assert!(pacer.wants(Duration::ZERO, 10));
        assert!(pacer.wants(Duration::from_secs(5), 10));
        assert!(!pacer.wants(Duration::from_millis(5_030), 10));
        assert!(pacer.wants(Duration::from_millis(5_100), 10));
    }

    #[test]
    fn a_source_whose_clock_cannot_be_right_gets_the_time_of_arrival() {
        let seconds = gst::ClockTime::from_seconds;
        let now = seconds(100);
        assert_eq!(plausible(seconds(99), now), seconds(99));
        assert_eq!(plausible(seconds(1_795_309_190), now), now);
        assert_eq!(plausible(seconds(3), now), now);
        assert_eq!(plausible(seconds(0), seconds(1)), seconds(0));
    }

    #[test]
    fn pictures_shrink_into_the_budget_and_keep_their_shape() {
        assert_eq!(fit(shape(1920, 1080, (1, 1)), &BUDGET), (1280, 720));
        assert_eq!(fit(shape(1600, 1200, (1, 1)), &BUDGET), (960, 720));
        assert_eq!(fit(shape(720, 1280, (1, 1)), &BUDGET), (404, 720));
    }

    #[test]
    fn small_pictures_stay_small() {
        assert_eq!(fit(shape(352, 288, (1, 1)), &BUDGET), (352, 288));
        assert_eq!(fit(shape(175, 143, (1, 1)), &BUDGET), (174, 142));
    }

    #[test]
    fn pixels_become_square() {
        assert_eq!(fit(shape(720, 576, (16, 15)), &BUDGET), (720, 540));
        assert_eq!(fit(shape(720, 480, (8, 9)), &BUDGET), (640, 480));
    }
}
