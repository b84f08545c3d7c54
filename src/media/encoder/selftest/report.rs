// SPDX-License-Identifier: MIT OR Apache-2.0

//! The report of the self-test, as data and as text.

use std::fmt;

use serde::Serialize;

use crate::encoder::sps::Sps;

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
