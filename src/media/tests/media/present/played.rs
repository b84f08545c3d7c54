// SPDX-License-Identifier: MIT OR Apache-2.0

//! What comes out, as a player, a listener and an onlooker find it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use gst::prelude::*;
use gstroomseal::present::layout::Size;

use super::meeting::SCREEN;

/// What a player makes of a recording.
pub(super) struct Played {
    /// Tracks of pictures.
    pub(super) videos: usize,
    pub(super) pictures: usize,
    pub(super) size: (i32, i32),
    pub(super) sound: Vec<f64>,
    pub(super) first_picture: gst::ClockTime,
    pub(super) first_sound: gst::ClockTime,
    pub(super) length: Option<gst::ClockTime>,
    pub(super) seekable: bool,
}

impl Played {
    pub(super) fn of(path: &Path) -> Self {
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("filesrc")
            .property("location", path.to_str().unwrap())
            .build()
            .unwrap();
        let decoder = gst::ElementFactory::make("decodebin").build().unwrap();
        pipeline.add_many([&source, &decoder]).unwrap();
        source.link(&decoder).unwrap();
        let sinks: Arc<Mutex<Vec<(bool, gst_app::AppSink)>>> = Arc::default();
        {
            let (pipeline, sinks) = (pipeline.downgrade(), Arc::clone(&sinks));
            decoder.connect_pad_added(move |_, pad| {
                let pipeline = pipeline.upgrade().unwrap();
                let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
                let video = caps.structure(0).unwrap().name() == "video/x-raw";
                let convert = if video {
                    "videoconvert"
                } else {
                    "audioconvert"
                };
                let convert = gst::ElementFactory::make(convert).build().unwrap();
                let sink = gst_app::AppSink::builder().sync(false).build();
                if !video {
                    let mono = "audio/x-raw,format=S16LE,channels=1";
                    sink.set_caps(Some(&mono.parse().unwrap()));
                }
                pipeline.add_many([&convert, sink.upcast_ref()]).unwrap();
                convert.link(&sink).unwrap();
                pad.link(&convert.static_pad("sink").unwrap()).unwrap();
                sink.sync_state_with_parent().unwrap();
                convert.sync_state_with_parent().unwrap();
                sinks.lock().unwrap().push((video, sink));
            });
        }
        pipeline.set_state(gst::State::Playing).unwrap();
        let (outcome, ..) = pipeline.state(gst::ClockTime::from_seconds(20));
        outcome.unwrap_or_else(|_| panic!("{} does not play", path.display()));
        let length = pipeline.query_duration::<gst::ClockTime>();
        let mut query = gst::query::Seeking::new(gst::Format::Time);
        let seekable = pipeline.query(&mut query) && query.result().0;
        let mut played = Self {
            videos: 0,
            pictures: 0,
            size: (0, 0),
            sound: Vec::new(),
            first_picture: gst::ClockTime::ZERO,
            first_sound: gst::ClockTime::ZERO,
            length,
            seekable,
        };
        let sinks = std::mem::take(&mut *sinks.lock().unwrap());
        // Both at once, or the demuxer would wait for the one that is not read.
        std::thread::scope(|scope| {
            let readers: Vec<_> = sinks
                .iter()
                .map(|(video, sink)| {
                    scope.spawn(move || {
                        let samples: Vec<gst::Sample> =
                            std::iter::from_fn(|| sink.pull_sample().ok()).collect();
                        (*video, samples)
                    })
                })
                .collect();
            for reader in readers {
                let (video, samples) = reader.join().unwrap();
                let first = samples
                    .first()
                    .and_then(|sample| sample.buffer()?.pts())
                    .unwrap_or_default();
                if video {
                    played.videos += 1;
                    played.pictures = samples.len();
                    played.first_picture = first;
                    if let Some(sample) = samples.first() {
                        let caps = sample.caps().unwrap().structure(0).unwrap();
                        played.size = (caps.get("width").unwrap(), caps.get("height").unwrap());
                    }
                } else {
                    played.first_sound = first;
                    for sample in samples {
                        let data = sample.buffer().unwrap().map_readable().unwrap();
                        let values = data.chunks_exact(2);
                        played.sound.extend(
                            values.map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))),
                        );
                    }
                }
            }
        });
        pipeline.set_state(gst::State::Null).unwrap();
        played
    }
}

/// What a file of raw samples holds.
pub(super) fn samples(path: &Path) -> Vec<f64> {
    std::fs::read(path)
        .unwrap_or_default()
        .chunks_exact(2)
        .map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])))
        .collect()
}

/// Power at one frequency (Goertzel), for 48 000 samples per second.
pub(super) fn power(samples: &[f64], hertz: u32) -> f64 {
    let turn = std::f64::consts::TAU * f64::from(hertz) / 48_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let angle = turn * index as f64;
        re += sample * angle.cos();
        im += sample * angle.sin();
    }
    re.hypot(im) / samples.len() as f64
}

/// The newest whole picture in a file of raw RGB pictures.
pub(super) fn last_picture(path: &Path) -> Option<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    let one = u64::from(SCREEN.width * SCREEN.height * 3);
    let whole = file.metadata().ok()?.len() / one;
    file.seek(SeekFrom::Start(whole.checked_sub(1)? * one))
        .ok()?;
    let mut picture = vec![0; one as usize];
    file.read_exact(&mut picture).ok()?;
    Some(picture)
}

pub(super) fn pixel(picture: &[u8], size: Size, x: u32, y: u32) -> [u8; 3] {
    let at = ((y * size.width + x) * 3) as usize;
    [picture[at], picture[at + 1], picture[at + 2]]
}

pub(super) fn is_red([red, green, blue]: [u8; 3]) -> bool {
    red > 200 && green < 60 && blue < 60
}

pub(super) fn read_png(path: &PathBuf) -> (Size, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let size = Size {
        width: info.width,
        height: info.height,
    };
    (size, pixels)
}

pub(super) fn entries(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}
