// SPDX-License-Identifier: MIT OR Apache-2.0

//! One clock and one base time for every pipeline of the process.
//!
//! Frames cross from the capture pipeline to the publisher's, and from the subscriber's to the
//! presentation pipeline, as plain buffers. Their time stamps only mean the same thing on both
//! sides when all pipelines count from the same moment on the same clock.

use std::sync::LazyLock;

use gst::prelude::*;

/// The moment from which all pipelines of the process count, on the system clock.
///
/// Taken once, so that two pipelines started minutes apart still agree.
static BASE_TIME: LazyLock<gst::ClockTime> = LazyLock::new(|| gst::SystemClock::obtain().time());

/// Makes `pipeline` run on the system clock from the shared base time.
///
/// Call before the pipeline leaves `NULL`. Buffer time stamps then are [`now`] at the moment the
/// buffer was captured or received.
pub fn join(pipeline: &gst::Pipeline) {
    let clock = gst::SystemClock::obtain();
    // Without this the pipeline would choose a clock of its own, for instance a sound card's.
    pipeline.use_clock(Some(&clock));
    // NONE keeps the pipeline from replacing the base time when it goes to PLAYING.
    pipeline.set_start_time(gst::ClockTime::NONE);
    pipeline.set_base_time(*BASE_TIME);
}

/// The running time of every joined pipeline: nanoseconds since the shared base time.
pub fn now() -> gst::ClockTime {
    let base = *BASE_TIME;
    gst::SystemClock::obtain().time().saturating_sub(base)
}

/// The shared time of what a pipeline that counts from a base time of its own calls `running`.
///
/// `None` before the shared base time, which only a pipeline older than the process would reach.
pub fn shared(running: gst::ClockTime, base: gst::ClockTime) -> Option<gst::ClockTime> {
    (running + base).checked_sub(*BASE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pipelines_count_from_the_same_moment() {
        gst::init().expect("GStreamer is installed where tests run");
        let one = gst::Pipeline::new();
        let two = gst::Pipeline::new();
        join(&one);
        let before = now();
        join(&two);
        assert_eq!(one.base_time(), two.base_time());
        assert_eq!(one.start_time(), None);
        assert!(now() >= before);
    }
}
