// SPDX-License-Identifier: MIT OR Apache-2.0

//! All voices to one loudspeaker.

use gst::prelude::*;

use super::chime;
use super::config::{PresentConfig, PresentError, Speaker};
use super::pipeline::{Running, build_error, chain, count_from, make, source};
use crate::clock;

/// Name of the `webrtcechoprobe` before the loudspeaker. The echo canceller of the microphone
/// finds it by this name, in whatever pipeline it is; there is one per process.
pub const ECHO_PROBE: &str = "roomseal-echo-probe";

/// Samples per second of the mix. The echo canceller needs the microphone at the same rate.
pub const MIX_RATE: i32 = 48_000;

/// Pieces of sound that may wait for the mixer: half a second.
const MOST_WAITING: u64 = 25;

/// The chime's input; tracks have higher numbers.
const CHIME: u64 = 0;

/// Samples of the chime in one piece, 40 ms: all of it may wait at once.
const CHIME_PART: usize = 1_920;

/// The mixer at work.
#[derive(Debug)]
pub(super) struct Mixer {
    /// Before `running`, which must still be there when inputs go.
    inputs: Vec<Input>,
    mixer: gst::Element,
    pipeline: gst::Pipeline,
    delay: gst::ClockTime,
    begin: gst::ClockTime,
    _running: Running,
}

/// Inputs are used again and never removed: taking one out of a running mixer can stall it.
#[derive(Debug)]
struct Input {
    source: gst_app::AppSrc,
    used_by: Option<u64>,
}

impl Mixer {
    /// Starts playing (silence, at first); `None` when no sound is wanted.
    pub(super) fn start(
        config: &PresentConfig,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<Option<Self>, PresentError> {
        let what = "speaker";
        let Some(sink) = speaker(&config.speaker)? else {
            return Ok(None);
        };
        let pipeline = gst::Pipeline::new();
        let delay = gst::ClockTime::try_from(config.playout_delay)
            .map_err(|error| build_error(what, &error))?;
        crate::plugins::require(&["audiomixer"]).map_err(|error| build_error(what, &error))?;
        let mixer = gst::ElementFactory::make("audiomixer")
            // It plays on when a voice, or every voice, falls silent.
            .property("force-live", true)
            .property("ignore-inactive-pads", true)
            // Inputs come while it runs, when it is too late to learn that they are delayed.
            .property("min-upstream-latency", delay)
            .build()
            .map_err(|error| build_error(what, &error))?;
        let filter = make(what, "capsfilter")?;
        filter.set_property("caps", caps());
        let convert = make(what, "audioconvert")?;
        let resample = make(what, "audioresample")?;
        if config.speaker.is_room() {
            crate::plugins::require(&["webrtcechoprobe"])
                .map_err(|error| build_error(what, &error))?;
            let probe = gst::ElementFactory::make("webrtcechoprobe")
                .name(ECHO_PROBE)
                .build()
                .map_err(|error| build_error(what, &error))?;
            chain(
                what,
                &pipeline,
                &[&mixer, &filter, &probe, &convert, &resample, &sink],
            )?;
        } else {
            chain(
                what,
                &pipeline,
                &[&mixer, &filter, &convert, &resample, &sink],
            )?;
        }
        let begin = clock::now();
        let running = Running::start_at(begin, pipeline.clone(), what, failed)?;
        Ok(Some(Self {
            inputs: Vec::new(),
            mixer,
            pipeline,
            delay,
            begin,
            _running: running,
        }))
    }

    /// An input for the sound of one track, which has format [`caps`]; always the same one.
    pub(super) fn input(&mut self, track: u64) -> Result<gst_app::AppSrc, PresentError> {
        let inputs = &mut self.inputs;
        let place = inputs
            .iter()
            .position(|input| input.used_by == Some(track))
            .or_else(|| inputs.iter().position(|input| input.used_by.is_none()));
        if let Some(place) = place {
            inputs[place].used_by = Some(track);
            return Ok(inputs[place].source.clone());
        }
        let what = "speaker";
        let source = source(MOST_WAITING);
        source.set_caps(Some(&caps()));
        count_from(&source, self.begin);
        source.set_min_latency(i64::try_from(self.delay.nseconds()).unwrap_or(i64::MAX));
        self.pipeline
            .add(&source)
            .and_then(|()| source.link(&self.mixer))
            .and_then(|()| source.sync_state_with_parent())
            .map_err(|error| build_error(what, &error))?;
        self.inputs.push(Input {
            source: source.clone(),
            used_by: Some(track),
        });
        Ok(source)
    }

    /// Plays the chime, beside whatever else is heard.
    pub(super) fn chime(&mut self) -> Result<(), PresentError> {
        let input = self.input(CHIME)?;
        let now = clock::now();
        let mut at = gst::ClockTime::ZERO;
        for part in chime::samples().chunks(CHIME_PART) {
            let bytes: Vec<u8> = part
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect();
            let length = gst::ClockTime::SECOND
                .mul_div_floor(part.len() as u64, MIX_RATE.unsigned_abs().into())
                .unwrap_or_default();
            let mut buffer = gst::Buffer::from_mut_slice(bytes);
            if let Some(buffer) = buffer.get_mut() {
                buffer.set_pts(now + at);
                buffer.set_duration(length);
            }
            at += length;
            if let Err(error) = input.push_buffer(buffer) {
                return Err(build_error("speaker", &error));
            }
        }
        Ok(())
    }

    /// Gives the input of a track back.
    pub(super) fn release(&mut self, track: u64) {
        for input in &mut self.inputs {
            if input.used_by == Some(track) {
                input.used_by = None;
            }
        }
    }
}

impl Speaker {
    /// Whether its sound can reach our microphone.
    pub fn is_room(&self) -> bool {
        matches!(self, Self::Alsa { .. } | Self::PipeWire { .. })
    }
}

/// Format of everything that is mixed: mono, as the echo canceller takes it.
pub(super) fn caps() -> gst::Caps {
    gst_audio::AudioCapsBuilder::new_interleaved()
        .format(gst_audio::AUDIO_FORMAT_S16)
        .rate(MIX_RATE)
        .channels(1)
        .build()
}

/// The sink, not yet in any pipeline.
pub(super) fn speaker(speaker: &Speaker) -> Result<Option<gst::Element>, PresentError> {
    let what = "speaker";
    let sink = match speaker {
        Speaker::None => return Ok(None),
        Speaker::Alsa { device } => {
            let sink = make(what, "alsasink")?;
            if let Some(device) = device {
                sink.set_property("device", device);
            }
            // The defaults of 200 ms are for films.
            sink.set_property("buffer-time", 60_000i64);
            sink.set_property("latency-time", 10_000i64);
            sink
        }
        Speaker::PipeWire { target } => {
            let sink = make(what, "pipewiresink")?;
            if let Some(target) = target {
                sink.set_property("target-object", target);
            }
            sink
        }
        Speaker::Elements(description) => gst::parse::bin_from_description(description, true)
            .map_err(|error| build_error(what, &error))?
            .upcast(),
    };
    Ok(Some(sink))
}
