// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files of one participant, one after the other.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roomseal_e2ee::Codec;

use super::mkv::{TrackFormat, Writer};
use super::{Frame, Track};
use crate::present::frame::{h264, vp8};
use crate::present::{EventSink, PresentEvent, label};

/// A first file waits this long for the tracks that were announced.
const PATIENCE: Duration = Duration::from_secs(3);

/// After this long without a frame what has been collected is written.
const SILENCE: Duration = Duration::from_secs(1);

/// Frames kept while it waits: three seconds of four busy tracks.
const MOST_PENDING: usize = 1_000;

/// Everything about one participant's recording.
pub(super) struct Participant {
    identity: String,
    stem: String,
    tracks: Vec<Recorded>,
    announced: usize,
    pending: Vec<Frame>,
    pending_since: Option<Instant>,
    number: u32,
    file: Option<Segment>,
}

struct Recorded {
    id: u64,
    track: Track,
    /// Known from the first key frame on; sound has only one.
    format: Option<TrackFormat>,
    /// A frame of it has come.
    heard: bool,
}

/// A file being written.
struct Segment {
    path: PathBuf,
    writer: Writer<File>,
    /// Tracks by their number in the file, and whether a first frame has been written.
    tracks: Vec<(u64, bool)>,
    begin: gst::ClockTime,
    written: Instant,
}

impl Participant {
    pub(super) fn new(identity: &str) -> Self {
        Self {
            identity: identity.to_owned(),
            stem: label::file_stem(identity),
            tracks: Vec::new(),
            announced: 0,
            pending: Vec::new(),
            pending_since: None,
            number: 0,
            file: None,
        }
    }

    pub(super) fn announced(&mut self, tracks: usize) {
        self.announced = tracks;
    }

    pub(super) fn add(&mut self, id: u64, track: Track) {
        let format = (track.codec == Codec::Opus).then_some(TrackFormat::Opus);
        self.tracks.push(Recorded {
            id,
            track,
            format,
            heard: false,
        });
    }

    /// Whether nothing is left of it.
    pub(super) fn is_gone(&self) -> bool {
        self.tracks.is_empty()
    }

    /// A track is gone; the file ends with the last one.
    pub(super) fn ended(
        &mut self,
        id: u64,
        directory: &Path,
        events: &EventSink,
    ) -> io::Result<()> {
        if self.tracks.iter().all(|recorded| recorded.id == id) {
            self.finish(directory, events)?;
        }
        self.tracks.retain(|recorded| recorded.id != id);
        Ok(())
    }

    pub(super) fn frame(
        &mut self,
        frame: Frame,
        now: Instant,
        directory: &Path,
        events: &EventSink,
    ) -> io::Result<()> {
        let Some(recorded) = self
            .tracks
            .iter_mut()
            .find(|recorded| recorded.id == frame.track)
        else {
            return Ok(());
        };
        let another = recorded.learn(&frame);
        if recorded.format.is_none() {
            // H.264 without parameter sets: no file can say how to decode it.
            return Ok(());
        }
        let in_file = self
            .file
            .as_ref()
            .is_some_and(|file| file.tracks.iter().any(|(id, _)| *id == frame.track));
        match &mut self.file {
            Some(file) if in_file && !another => file.write(&self.tracks, &frame),
            Some(_) => {
                // A new track, or a new codec: the old file cannot have it.
                self.close(events)?;
                let id = frame.track;
                self.open(&[&frame], directory, events)?;
                for other in self.tracks.iter().filter(|other| other.id != id) {
                    if other.track.codec != Codec::Opus {
                        (other.track.want_key_frame)();
                    }
                }
                self.write(&frame)
            }
            None => {
                self.pending_since.get_or_insert(now);
                self.pending.push(frame);
                self.tick(now, directory, events)
            }
        }
    }

    /// Opens the first file once its tracks are there or have been waited for long enough.
    pub(super) fn tick(
        &mut self,
        now: Instant,
        directory: &Path,
        events: &EventSink,
    ) -> io::Result<()> {
        if let Some(file) = &mut self.file
            && now.duration_since(file.written) >= SILENCE
        {
            // Nobody speaks and nothing moves: what was said last should be on disk.
            file.written = now;
            file.writer.flush()?;
        }
        let Some(since) = self.pending_since else {
            return Ok(());
        };
        let complete = self.tracks.len() >= self.announced
            && self.tracks.iter().all(|recorded| recorded.heard);
        // Of tracks that nobody announced the second may be on its way while the first is heard.
        let known = self.announced > 0 && complete;
        if !known && now.duration_since(since) < PATIENCE && self.pending.len() < MOST_PENDING {
            return Ok(());
        }
        self.begin(directory, events)
    }

    /// Opens the first file with what has been kept for it.
    fn begin(&mut self, directory: &Path, events: &EventSink) -> io::Result<()> {
        self.pending_since = None;
        let pending = std::mem::take(&mut self.pending);
        self.open(&pending.iter().collect::<Vec<_>>(), directory, events)?;
        for frame in &pending {
            self.write(frame)?;
        }
        Ok(())
    }

    /// Writes what is there and ends the file.
    pub(super) fn finish(&mut self, directory: &Path, events: &EventSink) -> io::Result<()> {
        if self.pending_since.is_some() {
            self.begin(directory, events)?;
        }
        self.close(events)
    }

    fn close(&mut self, events: &EventSink) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        file.writer.finish()?;
        events(PresentEvent::RecordingFinished {
            identity: self.identity.clone(),
            path: file.path,
        });
        Ok(())
    }

    /// Begins the next file, for every track whose format is known. It counts time from the
    /// earliest of `first`.
    fn open(&mut self, first: &[&Frame], directory: &Path, events: &EventSink) -> io::Result<()> {
        let Some(begin) = first.iter().filter_map(|frame| frame.buffer.pts()).min() else {
            return Ok(());
        };
        let (tracks, formats): (Vec<(u64, bool)>, Vec<TrackFormat>) = self
            .tracks
            .iter()
            .enumerate()
            .filter(|(place, recorded)| {
                let brings = first.iter().any(|frame| frame.track == recorded.id);
                brings || !self.is_replaced(*place)
            })
            .filter_map(|(_, recorded)| Some(((recorded.id, false), recorded.format.clone()?)))
            .unzip();
        let name = self
            .tracks
            .first()
            .map_or_else(String::new, |recorded| recorded.track.name.clone());
        let (path, file) = self.create(directory)?;
        let writer = Writer::new(file, &name, &formats)?;
        events(PresentEvent::RecordingStarted {
            identity: self.identity.clone(),
            path: path.clone(),
        });
        self.file = Some(Segment {
            path,
            writer,
            tracks,
            begin,
            written: Instant::now(),
        });
        Ok(())
    }

    /// Whether a later track shows or carries the same: a camera that is published anew, say. Players
    /// show the first of two, and from the one that was replaced nothing more comes.
    fn is_replaced(&self, place: usize) -> bool {
        let mut of_same = self
            .tracks
            .iter()
            .skip(place)
            .map(|recorded| recorded.track.source);
        of_same
            .next()
            .is_some_and(|source| of_same.any(|other| other == source))
    }

    /// The next file that is not there yet: a recording never overwrites an earlier one.
    fn create(&mut self, directory: &Path) -> io::Result<(PathBuf, File)> {
        loop {
            self.number += 1;
            let path = directory.join(format!("{}-{:03}.mkv", self.stem, self.number));
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, frame: &Frame) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write(&self.tracks, frame),
            None => Ok(()),
        }
    }
}

impl Recorded {
    /// Learns the format of the track from a frame; whether it is another one than before, for
    /// which a file begun with the old one is no use.
    fn learn(&mut self, frame: &Frame) -> bool {
        self.heard = true;
        if !frame.key || self.track.codec == Codec::Opus {
            return false;
        }
        let Ok(data) = frame.buffer.map_readable() else {
            return false;
        };
        let format = match self.track.codec {
            Codec::Opus => Some(TrackFormat::Opus),
            Codec::Vp8 => vp8::key_frame_size(&data).map(|size| TrackFormat::Vp8 {
                width: size.width,
                height: size.height,
            }),
            Codec::H264 => h264::ParameterSets::of(&data).and_then(|sets| {
                let size = sets.size()?;
                Some(TrackFormat::H264 {
                    width: size.width,
                    height: size.height,
                    config: sets.config(),
                })
            }),
        };
        let Some(format) = format else {
            // A key frame may rely on parameter sets that came before.
            return false;
        };
        let another = match (&self.format, &format) {
            // VP8 says its size in every key frame, and players follow.
            (Some(TrackFormat::Vp8 { .. }), TrackFormat::Vp8 { .. }) | (None, _) => false,
            (Some(before), now) => before != now,
        };
        self.format = Some(format);
        another
    }
}

impl Segment {
    fn write(&mut self, tracks: &[Recorded], frame: &Frame) -> io::Result<()> {
        let Some(number) = self.tracks.iter().position(|(id, _)| *id == frame.track) else {
            return Ok(());
        };
        let Some(codec) = tracks
            .iter()
            .find(|recorded| recorded.id == frame.track)
            .map(|recorded| recorded.track.codec)
        else {
            return Ok(());
        };
        let begun = &mut self.tracks[number].1;
        // Each file begins at a key frame, or it could not be played.
        if !*begun && !frame.key {
            return Ok(());
        }
        *begun = true;
        self.written = Instant::now();
        let (Some(pts), Ok(data)) = (frame.buffer.pts(), frame.buffer.map_readable()) else {
            return Ok(());
        };
        let time = Duration::from(pts.saturating_sub(self.begin));
        match codec {
            Codec::H264 => self
                .writer
                .frame(number, time, frame.key, &h264::with_lengths(&data)),
            Codec::Opus | Codec::Vp8 => self.writer.frame(number, time, frame.key, &data),
        }
    }
}
