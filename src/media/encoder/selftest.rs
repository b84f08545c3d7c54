// SPDX-License-Identifier: MIT OR Apache-2.0

//! What an encoder really does: ten seconds of it, measured.
//!
//! The report is what an owner of hardware we have not got can send us: what the stream says about
//! itself (SPS, VUI, slice type), how long a forced key frame takes, whether a new bitrate is
//! followed, and the frame rate that comes out. It holds no picture unless a recording is asked for.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use gst::prelude::*;
use roomseal_e2ee::Codec;
use serde::Serialize;

use super::{
    Encoders, Model, chain, codec_name, force_key_frame, raw_caps,
    sps::{self, Sps},
};
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

/// The report on every encoder tested.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of GStreamer.
    pub gstreamer: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// One entry per candidate, in the board's order.
    pub encoders: Vec<EncoderReport>,
}

impl Report {
    /// Whether at least one encoder did all it has to do in a call.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.encoders
            .iter()
            .any(|report| report.outcome.as_ref().is_ok_and(Measured::usable))
    }
}

/// The report on one encoder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderReport {
    /// The element's name.
    pub name: String,
    /// What was measured, or why nothing was.
    pub outcome: Result<Measured, String>,
}

/// What ten seconds showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The codec's name.
    pub codec: &'static str,
    /// Width, height and frame rate of the pictures fed in.
    pub input: (u32, u32, u32),
    /// Frames that came out.
    pub frames: usize,
    /// Frames per second that came out, without the first second.
    pub fps: f64,
    /// From start to the first frame, in milliseconds.
    pub first_frame_ms: u64,
    /// Key frames that came out, forced ones included.
    pub key_frames: usize,
    /// From the request to the key frame, in milliseconds; `None` if none came within two seconds.
    pub forced_key_frame_ms: Option<u64>,
    /// Bitrate asked for and measured, in bit/s, before the step.
    pub bitrate_before: (u32, u32),
    /// Bitrate asked for and measured, in bit/s, after the step.
    pub bitrate_after: (u32, u32),
    /// H.264: the first sequence parameter set.
    pub sps: Option<Sps>,
    /// H.264: the first sequence parameter set as it is, in hexadecimal.
    pub sps_hex: Option<String>,
    /// H.264: types of the NAL units of the first frame.
    pub nal_types: Vec<u8>,
    /// H.264: the byte after the header of the first slice, which stays clear when sealed.
    pub first_slice_byte: Option<u8>,
    /// H.264: `slice_type` of the first slice of the first frame and of the first other frame.
    pub slice_types: (Option<u32>, Option<u32>),
}

impl Measured {
    /// Fast enough, and answers to a key-frame request: what a call cannot do without.
    #[must_use]
    pub fn usable(&self) -> bool {
        self.forced_key_frame_ms.is_some() && self.fps >= 0.8 * f64::from(self.input.2)
    }
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

#[derive(Debug)]
struct Frame {
    at: Instant,
    key: bool,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Recording {
    begun: Instant,
    key_frame_asked: Instant,
    stepped: Instant,
    ended: Instant,
    frames: Vec<Frame>,
}

/// The bitrate after the step: low enough to show, high enough for every encoder to follow.
fn stepped(bps: u32) -> u32 {
    bps / 2
}

fn record(model: &dyn Model, budget: &EncodeBudget, length: Duration) -> Result<Recording, String> {
    let pipeline = gst::Pipeline::new();
    let (send, receive) = mpsc::channel();
    let outcome = play(&pipeline, model, budget, length, send, &receive);
    // Only a refusal to stop could fail here, and nothing is left to be done about it.
    let _ = pipeline.set_state(gst::State::Null);
    outcome
}

fn play(
    pipeline: &gst::Pipeline,
    model: &dyn Model,
    budget: &EncodeBudget,
    length: Duration,
    send: Sender<Frame>,
    receive: &Receiver<Frame>,
) -> Result<Recording, String> {
    let words = |error: gst::glib::BoolError| error.message.to_string();
    let source = gst::ElementFactory::make("videotestsrc")
        .property("is-live", true)
        // Fine rings that move: enough detail for the bitrate, not the quantiser, to be the limit.
        .property_from_str("pattern", "zone-plate")
        .property("kx2", 20_i32)
        .property("ky2", 20_i32)
        .property("kt", 3_i32)
        .build()
        .map_err(words)?;
    let filter = gst::ElementFactory::make("capsfilter")
        .property("caps", raw_caps(model, budget))
        .build()
        .map_err(words)?;
    let queue = gst::ElementFactory::make("queue")
        .property("max-size-buffers", 2_u32)
        .property_from_str("leaky", "downstream")
        .build()
        .map_err(words)?;
    let chain = chain(model, budget).map_err(words)?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_callbacks(
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                let buffer = sample.buffer().ok_or(gst::FlowError::Error)?;
                let bytes = buffer
                    .map_readable()
                    .map_err(|_| gst::FlowError::Error)?
                    .to_vec();
                let key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
                // Once the recording is over nobody listens, and the frame is not needed.
                let _ = send.send(Frame {
                    at: Instant::now(),
                    key,
                    bytes,
                });
                Ok(gst::FlowSuccess::Ok)
            })
            .build(),
    );

    let mut elements = vec![source, filter, queue];
    elements.extend(chain.elements);
    elements.push(sink.upcast());
    pipeline.add_many(&elements).map_err(words)?;
    gst::Element::link_many(&elements).map_err(words)?;
    let bus = pipeline.bus().ok_or("the pipeline has no bus")?;

    let begun = Instant::now();
    let started = pipeline.set_state(gst::State::Playing);
    let mut frames = Vec::new();
    let mut collect = |until: Instant| -> Result<(), String> {
        loop {
            if let Some(message) = bus.pop_filtered(&[gst::MessageType::Error])
                && let gst::MessageView::Error(error) = message.view()
            {
                return Err(error.error().message().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            match receive.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok(frame) => frames.push(frame),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err("stopped by itself".to_owned()),
            }
        }
    };
    collect(begun + length * 4 / 10)?;
    let key_frame_asked = Instant::now();
    force_key_frame(&chain.encoder);
    collect(begun + length * 5 / 10)?;
    let step = Instant::now();
    model.set_bitrate(&chain.encoder, stepped(budget.bitrate));
    collect(begun + length)?;
    if frames.is_empty() {
        return Err(match started {
            Ok(_) => format!("gave no frame in {} s", length.as_secs()),
            Err(_) => "does not start".to_owned(),
        });
    }
    Ok(Recording {
        begun,
        key_frame_asked,
        stepped: step,
        ended: Instant::now(),
        frames,
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

/// Writes the stream so that a player can show it: Annex B as it is, VP8 in IVF.
fn keep(
    folder: &Path,
    model: &dyn Model,
    budget: &EncodeBudget,
    recording: &Recording,
) -> Result<(), SelftestError> {
    let extension = if model.codec() == Codec::H264 {
        "h264"
    } else {
        "ivf"
    };
    let path = folder.join(model.name()).with_extension(extension);
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::File::create(&path))
        .and_then(|file| {
            let mut file = io::BufWriter::new(file);
            if model.codec() == Codec::Vp8 {
                file.write_all(&ivf_header(budget))?;
            }
            for frame in &recording.frames {
                if model.codec() == Codec::Vp8 {
                    let length = u32::try_from(frame.bytes.len()).map_err(io::Error::other)?;
                    file.write_all(&length.to_le_bytes())?;
                    file.write_all(&millis(frame.at - recording.begun).to_le_bytes())?;
                }
                file.write_all(&frame.bytes)?;
            }
            file.flush()
        });
    written.map_err(|source| SelftestError::Recording { path, source })
}

/// The file header of IVF: time stamps in milliseconds, number of frames unknown.
fn ivf_header(budget: &EncodeBudget) -> [u8; 32] {
    let mut header = *b"DKIF\0\0\x20\0VP80\0\0\0\0\xE8\x03\0\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    let size = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX).to_le_bytes();
    header[12..14].copy_from_slice(&size(budget.width));
    header[14..16].copy_from_slice(&size(budget.height));
    header
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, kernel {}", self.gstreamer, self.kernel)?;
        for encoder in &self.encoders {
            match &encoder.outcome {
                Ok(measured) => write!(f, "\n{}\n{measured}", encoder.name)?,
                Err(reason) => write!(f, "\n{}\n  not tested: {reason}\n", encoder.name)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height, framerate) = self.input;
        writeln!(
            f,
            "  codec             {} {width}x{height} at {framerate}/s",
            self.codec
        )?;
        writeln!(
            f,
            "  frames            {} ({:.1}/s), {} key",
            self.frames, self.fps, self.key_frames
        )?;
        writeln!(f, "  first frame       after {} ms", self.first_frame_ms)?;
        match self.forced_key_frame_ms {
            Some(ms) => writeln!(f, "  forced key frame  after {ms} ms")?,
            None => writeln!(f, "  forced key frame  NONE within 2 s")?,
        }
        let kbit = |bps: u32| bps / 1_000;
        let ((asked, got), (asked_after, got_after)) = (self.bitrate_before, self.bitrate_after);
        writeln!(
            f,
            "  bitrate           asked {} got {}, then asked {} got {} kbit/s",
            kbit(asked),
            kbit(got),
            kbit(asked_after),
            kbit(got_after)
        )?;
        if let Some(sps) = &self.sps {
            writeln!(
                f,
                "  SPS               profile {} constraints {:#04x} level {} poc {} refs {} {}x{}",
                sps.profile_idc,
                sps.constraint_flags,
                sps.level_idc,
                sps.pic_order_cnt_type,
                sps.max_num_ref_frames,
                sps.width,
                sps.height
            )?;
            match &sps.vui {
                Some(vui) => writeln!(
                    f,
                    "  VUI               range {:?} colour {:?} timing {:?} reorder {:?}",
                    vui.full_range, vui.colour, vui.timing, vui.reorder
                )?,
                None => writeln!(f, "  VUI               none")?,
            }
        }
        if let Some(hex) = &self.sps_hex {
            writeln!(f, "  SPS bytes         {hex}")?;
        }
        if !self.nal_types.is_empty() {
            writeln!(f, "  first frame NALs  {:?}", self.nal_types)?;
            writeln!(
                f,
                "  slice types       key {:?} other {:?}, first slice byte {}",
                self.slice_types.0,
                self.slice_types.1,
                self.first_slice_byte
                    .map_or_else(|| "none".to_owned(), |byte| format!("{byte:#04x}"))
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

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
