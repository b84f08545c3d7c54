// SPDX-License-Identifier: MIT OR Apache-2.0

//! The newest picture of each track as a PNG file.
//!
//! `IDENTITY-camera.png` is replaced each time, in one step: whoever looks at it sees a whole
//! picture, the last one or this one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use gst_video::prelude::*;

use crate::present::{EventSink, PresentError, PresentEvent};

/// A picture to keep.
#[derive(Debug)]
pub(crate) struct Picture {
    /// Name of its file, without ending.
    pub(crate) stem: String,
    /// The decoded picture.
    pub(crate) sample: gst::Sample,
}

/// Writes pictures on a thread of its own: compressing one takes longer than showing it may wait.
#[derive(Debug)]
pub(crate) struct Snapshots {
    sender: Option<SyncSender<Vec<Picture>>>,
    thread: Option<JoinHandle<()>>,
}

impl Snapshots {
    /// Starts the thread; files go to `directory`, which is made if it is not there.
    pub(crate) fn start(directory: &Path, events: EventSink) -> Result<Self, PresentError> {
        super::prepare(directory)?;
        let (sender, receiver) = mpsc::sync_channel::<Vec<Picture>>(1);
        let directory = directory.to_owned();
        let thread = std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || {
                for picture in receiver.into_iter().flatten() {
                    if let Err(error) = write(&directory, &picture) {
                        events(PresentEvent::RecordingFailed {
                            reason: super::describe(&directory, &error),
                        });
                        return;
                    }
                }
            })
            .map_err(|error| PresentError::Thread {
                reason: error.to_string(),
            })?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Writes these pictures, unless the last ones are still being written.
    pub(crate) fn keep(&self, pictures: Vec<Picture>) {
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(pictures);
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(directory: &Path, picture: &Picture) -> io::Result<()> {
    let Some((width, height, pixels)) = rgb(&picture.sample) else {
        tracing::warn!(picture = picture.stem, "the picture cannot be converted");
        return Ok(());
    };
    let path = directory.join(format!("{}.png", picture.stem));
    let part: PathBuf = directory.join(format!(".{}.part", picture.stem));
    let mut file = BufWriter::new(File::create(&part)?);
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .map_err(io::Error::from)?;
    file.flush()?;
    drop(file);
    fs::rename(&part, &path)
}

/// The pixels of a picture in any format, row by row without padding.
fn rgb(sample: &gst::Sample) -> Option<(u32, u32, Vec<u8>)> {
    let from = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let (width, height) = (from.width(), from.height());
    let to = gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, width, height)
        .fps(from.fps())
        .build()
        .ok()?;
    let converter = gst_video::VideoConverter::new(&from, &to, None).ok()?;
    let input = gst_video::VideoFrame::from_buffer_readable(sample.buffer_owned()?, &from).ok()?;
    let buffer = gst::Buffer::with_size(to.size()).ok()?;
    let mut output = gst_video::VideoFrame::from_buffer_writable(buffer, &to).ok()?;
    converter.frame(&input, &mut output);
    let stride = usize::try_from(output.plane_stride()[0]).ok()?;
    let data = output.plane_data(0).ok()?;
    let row = width as usize * 3;
    let pixels = data
        .chunks(stride)
        .take(height as usize)
        .flat_map(|line| &line[..row])
        .copied()
        .collect();
    Some((width, height, pixels))
}
