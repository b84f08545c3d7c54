// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an encoder really does: ten seconds of it, measured.
//!
//! The report is what an owner of hardware we have not got can send us: what the stream says about
//! itself (SPS, VUI, slice type), how long a forced key frame takes, whether a new bitrate is
//! followed, and the frame rate that comes out. It holds no picture unless a recording is asked for.

mod recording;
mod report;

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use roomseal_e2ee::Codec;

pub use report::{EncoderReport, Measured, Report};

use self::recording::{Frame, Recording, keep, record, stepped};
pub use super::sps::{Sps, Vui};
use super::{Encoders, Model, codec_name, sps};
use crate::{
    budget::{EncodeBudget, MediaBudget},
    plugins::{InitError, gst_init},
};

/// What to test, and how long.
#[derive(Clone, Debug)]
pub struct SelftestOptions {
    /// One encoder by its element's name; `None` tests each that exists.
    pub encoder: Option<String>,
    /// The board's order of preference; empty is [`super::DEFAULT_ORDER`].
    pub order: Vec<String>,
    /// Size, rate and bitrate for each codec.
    pub budget: MediaBudget,
    /// Length of each recording.
    pub length: Duration,
    /// Folder to leave the recordings in (`<encoder>.h264`, `<encoder>.ivf`); `None` keeps none.
    pub recordings: Option<PathBuf>,
}

impl Default for SelftestOptions {
    fn default() -> Self {
        Self {
            encoder: None,
            order: Vec::new(),
            budget: MediaBudget::default(),
            length: Duration::from_secs(10),
            recordings: None,
        }
    }
}

/// Why there is no report at all. What goes wrong with one encoder stands in the report.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// GStreamer is not there.
    #[error(transparent)]
    GStreamer(#[from] InitError),
    /// A recording cannot be written.
    #[error("cannot write the recording {}: {source}. Choose another folder", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Tests the encoders one after the other. Blocks for `length` per encoder.
///
/// # Errors
///
/// [`SelftestError`]; a broken encoder is no error but part of the report.
pub fn run(options: &SelftestOptions) -> Result<Report, SelftestError> {
    gst_init()?;
    let order: Vec<String> = match &options.encoder {
        Some(name) => vec![name.clone()],
        None => options.order.clone(),
    };
    let encoders = Encoders::new(&order, None, options.budget);
    let mut reports = Vec::new();
    for verdict in encoders.verdicts(None) {
        let found = super::model(&verdict.name)
            .filter(|_| gst::ElementFactory::find(&verdict.name).is_some());
        let outcome = match found {
            Some(model) => {
                let budget = options.budget.encode(model.codec());
                match record(model, &budget, options.length) {
                    Ok(recording) => {
                        if let Some(folder) = &options.recordings {
                            keep(folder, model, &budget, &recording)?;
                        }
                        measure(model, &budget, &recording)
                    }
                    Err(reason) => Err(reason),
                }
            }
            None => Err(verdict.reason),
        };
        reports.push(EncoderReport {
            name: verdict.name,
            outcome,
        });
    }
    Ok(Report {
        gstreamer: gst::version_string().to_string(),
        kernel: super::cache::kernel_release(),
        encoders: reports,
    })
}

fn measure(
    model: &dyn Model,
    budget: &EncodeBudget,
    recording: &Recording,
) -> Result<Measured, String> {
    let frames = &recording.frames;
    let first = frames.first().ok_or("gave no frame")?;
    let length = recording.ended - recording.begun;
    let forced = frames
        .iter()
        .find(|frame| frame.key && frame.at >= recording.key_frame_asked)
        .map(|frame| frame.at - recording.key_frame_asked)
        .filter(|delay| *delay <= Duration::from_secs(2));
    let warm = recording.begun + length / 10;
    // Rate control needs a moment to follow.
    let followed = recording.stepped + length / 10;
    let mut measured = Measured {
        codec: codec_name(model.codec()),
        input: (budget.width, budget.height, budget.framerate),
        frames: frames.len(),
        fps: rate(
            frames.iter().filter(|frame| frame.at >= warm).count(),
            recording.ended - warm,
        ),
        first_frame_ms: millis(first.at - recording.begun),
        key_frames: frames.iter().filter(|frame| frame.key).count(),
        forced_key_frame_ms: forced.map(millis),
        bitrate_before: (budget.bitrate, bitrate(frames, warm, recording.stepped)),
        bitrate_after: (
            stepped(budget.bitrate),
            bitrate(frames, followed, recording.ended),
        ),
        sps: None,
        sps_hex: None,
        nal_types: Vec::new(),
        first_slice_byte: None,
        slice_types: (None, None),
    };
    if model.codec() == Codec::H264 {
        let nals = sps::nal_units(&first.bytes);
        let first_slice = |frame: &Frame| {
            sps::nal_units(&frame.bytes)
                .into_iter()
                .find_map(sps::slice_type)
        };
        let set = nals
            .iter()
            .find(|nal| nal.first().is_some_and(|header| header & 0x1F == 7));
        measured.sps = set.and_then(|nal| sps::parse(nal));
        measured.sps_hex = set.map(hex::encode);
        measured.nal_types = nals
            .iter()
            .filter_map(|nal| nal.first())
            .map(|header| header & 0x1F)
            .collect();
        measured.first_slice_byte = nals
            .iter()
            .find(|nal| {
                nal.first()
                    .is_some_and(|header| matches!(header & 0x1F, 1 | 5))
            })
            .and_then(|nal| nal.get(1))
            .copied();
        measured.slice_types = (
            first_slice(first),
            frames.iter().find(|frame| !frame.key).and_then(first_slice),
        );
    }
    Ok(measured)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn rate(count: usize, over: Duration) -> f64 {
    let count = u32::try_from(count).map_or(f64::MAX, f64::from);
    count / over.as_secs_f64().max(f64::EPSILON)
}

/// Bit/s of the frames between two moments, without key frames, which come when asked for.
fn bitrate(frames: &[Frame], from: Instant, to: Instant) -> u32 {
    let bytes: usize = frames
        .iter()
        .filter(|frame| frame.at >= from && frame.at < to && !frame.key)
        .map(|frame| frame.bytes.len())
        .sum();
    let bits = u128::try_from(bytes * 8).unwrap_or(u128::MAX);
    let ms = to.saturating_duration_since(from).as_millis().max(1);
    u32::try_from(bits * 1_000 / ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const SMALL: EncodeBudget = EncodeBudget {
        width: 320,
        height: 180,
        framerate: 15,
        bitrate: 400_000,
    };

    fn options(encoder: &str) -> SelftestOptions {
        SelftestOptions {
            encoder: Some(encoder.to_owned()),
            budget: MediaBudget {
                vp8: SMALL,
                h264: SMALL,
                ..MediaBudget::default()
            },
            length: Duration::from_secs(4),
            ..SelftestOptions::default()
        }
    }

    #[test]
    fn the_report_on_a_working_encoder_has_every_field() {
        let folder = tempfile::tempdir().unwrap();
        let options = SelftestOptions {
            recordings: Some(folder.path().to_owned()),
            ..options("x264enc")
        };
        let report = run(&options).unwrap();
        let measured = report.encoders[0].outcome.as_ref().unwrap();
        let sps = measured.sps.as_ref().unwrap();
        assert_eq!((sps.profile_idc, sps.width, sps.height), (66, 320, 180));
        assert_eq!(
            measured.slice_types.0.map(|slice| slice % 5),
            Some(2),
            "an I slice"
        );
        assert_eq!(
            measured.slice_types.1.map(|slice| slice % 5),
            Some(0),
            "a P slice"
        );
        assert!(measured.forced_key_frame_ms.is_some() && measured.key_frames >= 2);
        let words = report.to_string();
        assert!(
            words.contains("profile 66") && words.contains("forced key frame  after"),
            "{words}"
        );
        assert!(
            serde_json::to_string(&report)
                .unwrap()
                .contains("\"profile_idc\":66")
        );
        assert!(
            fs::metadata(folder.path().join("x264enc.h264"))
                .unwrap()
                .len()
                > 10_000
        );
    }

    #[test]
    fn an_encoder_that_is_not_there_is_reported_and_not_an_error() {
        let report = run(&options("nosuchenc")).unwrap();
        assert!(
            report.encoders[0]
                .outcome
                .as_ref()
                .unwrap_err()
                .starts_with("unknown")
        );
        assert!(!report.passed());
    }
}
