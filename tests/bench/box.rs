// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sealing costs the box: processor time of the publish pipeline with and without it, time inside the sealing
//! elements, how long the box takes from its start to the first sealed frame at somebody else, and a press of its button
//! to the last participant.
//!
//! `make bench` runs it. Numbers are of the machine it runs on, with whatever else runs there.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be taken ends the program"
)]

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gst::prelude::*;
use roomseal_e2ee::{FrameKey, KeyIndex, Passphrase};
use roomseal_media::elements::{FrameEncrypt, SealMode};
use roomseal_tests::appliance::{Start, track};
use roomseal_tests::footage;
use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::{Together, Took, percentile, summary};
use rustix::time::{ClockId, clock_gettime};

const PAIRS: usize = 20;
const WIDTH: usize = 640;
const HEIGHT: usize = 272;
/// The clip is this long; sound is cut to fit.
const SECONDS: usize = 10;
const STARTS: usize = 5;
const PARTICIPANTS: usize = 8;
const PRESSES: usize = 30;

fn main() {
    // Cargo runs benches with `--bench`; `cargo test --benches` without: then this only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    gst::init().unwrap();
    roomseal_media::plugin_register_static().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let met = [
        publish_pipeline(folder.path()),
        start_of_the_box(),
        presses(folder.path()),
    ];
    if met.contains(&false) {
        std::process::exit(1);
    }
}

/// Whether the target is met.
fn publish_pipeline(folder: &Path) -> bool {
    let (picture, sound) = (folder.join("clip.i420"), folder.join("speech.s16"));
    std::fs::write(
        &picture,
        footage::raw_frames(&footage::clip("bikes.mp4"), WIDTH, HEIGHT),
    )
    .unwrap();
    let speech = footage::speech();
    std::fs::write(
        &sound,
        footage::bytes_of(&speech[..SECONDS * footage::RATE]),
    )
    .unwrap();
    let key = FrameKey::from_passphrase(&Passphrase::new("a benchmark"));

    let run = |key: Option<&FrameKey>| publish(&picture, &sound, key);
    // The first run of each kind pays for what is loaded once.
    let (_, _) = (run(None), run(Some(&key)));
    let mut ratios = Vec::new();
    let (mut clear, mut sealed) = (Vec::new(), Vec::new());
    let mut inside = Inside::default();
    for pair in 0..PAIRS {
        // Interleaved and in turn first, so that a machine that warms up or gets busy favours neither.
        let (without, with) = if pair % 2 == 0 {
            let without = run(None);
            (without, run(Some(&key)))
        } else {
            let with = run(Some(&key));
            (run(None), with)
        };
        ratios.push(with.cpu.as_secs_f64() / without.cpu.as_secs_f64());
        clear.push(without.cpu.as_secs_f64());
        sealed.push(with.cpu.as_secs_f64());
        inside.add(&with.inside);
    }
    let [clear, sealed, ratio] = [clear, sealed, ratios].map(Spread::of);
    let per_frame = inside.time.as_secs_f64() * 1e6 / inside.frames as f64;
    println!(
        "publish pipeline, {WIDTH} x {HEIGHT}, {SECONDS} s of video and speech, {PAIRS} interleaved pairs"
    );
    println!(
        "  processor time clear   {:.3} s  ({:.3} to {:.3})",
        clear.median, clear.low, clear.high
    );
    println!(
        "  processor time sealed  {:.3} s  ({:.3} to {:.3})",
        sealed.median, sealed.low, sealed.high
    );
    println!(
        "  sealed / clear         {:.4}   ({:.4} to {:.4}, 95 % of the median)",
        ratio.median, ratio.low, ratio.high
    );
    println!(
        "  target <= 1.03         {}",
        if ratio.median <= 1.03 {
            "met"
        } else {
            "MISSED"
        }
    );
    println!(
        "  inside the sealing elements: {per_frame:.1} us a frame, {:.2} % of the sealed pipeline's time",
        inside.time.as_secs_f64() / PAIRS as f64 / sealed.median * 100.0
    );
    ratio.median <= 1.03
}

struct Cost {
    cpu: Duration,
    inside: Inside,
}

/// Time that threads spent between a frame's entry into a sealing element and its way out.
#[derive(Default)]
struct Inside {
    time: Duration,
    frames: u64,
}

impl Inside {
    fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.frames += other.frames;
    }
}

fn publish(picture: &Path, sound: &Path, key: Option<&FrameKey>) -> Cost {
    let seal = if key.is_some() { "frameencrypt ! " } else { "" };
    let pipeline = gst::parse::launch(&format!(
        "filesrc location={} ! rawvideoparse format=i420 width={WIDTH} height={HEIGHT} framerate=25/1 \
         ! vp8enc deadline=1 cpu-used=-8 threads=2 lag-in-frames=0 keyframe-max-dist=3000 end-usage=cbr target-bitrate=1500000 \
         ! {seal} rtpvp8opaquepay ! fakesink sync=false async=false \
         filesrc location={} ! rawaudioparse pcm-format=s16le sample-rate={} num-channels=1 ! audioconvert \
         ! opusenc bitrate=32000 ! {seal} rtpopuspay ! fakesink sync=false async=false",
        picture.display(),
        sound.display(),
        footage::RATE,
    ))
    .unwrap()
    .downcast::<gst::Pipeline>()
    .unwrap();
    let (nanoseconds, frames) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    if let Some(key) = key {
        for element in pipeline.iterate_elements().into_iter().flatten() {
            if let Ok(element) = element.downcast::<FrameEncrypt>() {
                element.set_send_key(KeyIndex::default(), key.clone());
                element.set_mode(SealMode::Seal);
                clock(element.upcast_ref(), &nanoseconds, &frames);
            }
        }
    }
    let before = clock_gettime(ClockId::ProcessCPUTime);
    pipeline.set_state(gst::State::Playing).unwrap();
    let message = pipeline
        .bus()
        .unwrap()
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(120),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("the pipeline comes to its end within two minutes");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
    let cpu = span(before, clock_gettime(ClockId::ProcessCPUTime));
    let time = Duration::from_nanos(nanoseconds.load(Ordering::Relaxed));
    Cost {
        cpu,
        inside: Inside {
            time,
            frames: frames.load(Ordering::Relaxed),
        },
    }
}

/// Adds up the thread time between an element's two pads; both probes run in the streaming thread.
fn clock(element: &gst::Element, nanoseconds: &Arc<AtomicU64>, frames: &Arc<AtomicU64>) {
    thread_local! {
        static ENTERED: Cell<Option<rustix::time::Timespec>> = const { Cell::new(None) };
    }
    let (nanoseconds, frames) = (Arc::clone(nanoseconds), Arc::clone(frames));
    element
        .static_pad("sink")
        .unwrap()
        .add_probe(gst::PadProbeType::BUFFER, |_, _| {
            ENTERED.set(Some(clock_gettime(ClockId::ThreadCPUTime)));
            gst::PadProbeReturn::Ok
        });
    element
        .static_pad("src")
        .unwrap()
        .add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if let Some(entered) = ENTERED.take() {
                let spent = span(entered, clock_gettime(ClockId::ThreadCPUTime));
                nanoseconds.fetch_add(
                    u64::try_from(spent.as_nanos()).unwrap_or(u64::MAX),
                    Ordering::Relaxed,
                );
                frames.fetch_add(1, Ordering::Relaxed);
            }
            gst::PadProbeReturn::Ok
        });
}

fn span(from: rustix::time::Timespec, to: rustix::time::Timespec) -> Duration {
    let nanoseconds =
        |t: rustix::time::Timespec| i128::from(t.tv_sec) * 1_000_000_000 + i128::from(t.tv_nsec);
    Duration::from_nanos(
        u64::try_from(nanoseconds(to) - nanoseconds(from))
            .expect("clocks of processor time do not run back"),
    )
}

/// Median, and the interval that holds the true median with 95 % (order statistics).
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let reach = (0.98 * (n as f64).sqrt()).ceil() as usize;
        let middle = n / 2;
        let median = if n.is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Self {
            median,
            low: values[middle.saturating_sub(reach)],
            high: values[(middle + reach).min(n - 1)],
        }
    }
}

/// Whether the target is met.
fn start_of_the_box() -> bool {
    let server = Server::on_loopback();
    let guest = Start::new("guest", "guest").join(&server, "start");
    guest.wait_until_joined();
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begin = Instant::now();
        let mut sender = Start::new("run", "box")
            .with(["--camera", "test", "--microphone", "test"])
            .join(&server, "start");
        guest.wait_since(
            begin,
            "frame of the box",
            Duration::from_secs(20),
            |status| {
                ["camera", "microphone"]
                    .iter()
                    .any(|source| track(status, "box", source).is_some_and(|t| t.opened > 0))
                    .then_some(())
            },
        );
        times.push(begin.elapsed().as_secs_f64());
        assert!(sender.interrupt_cleanly());
        guest.wait_since(begin, "box leaving", Duration::from_secs(20), |status| {
            (status.participants.is_empty()
                && begin.elapsed().as_secs_f64() > times[times.len() - 1])
                .then_some(())
        });
    }
    let spread = Spread::of(times);
    println!("start of the box to its first frame opened by a guest in the room, {STARTS} starts");
    println!(
        "  {:.2} s  ({:.2} to {:.2})",
        spread.median, spread.low, spread.high
    );
    println!(
        "  target <= 1 s          {}",
        if spread.median <= 1.0 {
            "met"
        } else {
            "MISSED"
        }
    );
    spread.median <= 1.0
}

/// Whether the targets are met.
fn presses(folder: &Path) -> bool {
    let server = Server::on_loopback();
    let together = Together::meet(&server, folder, "presses", PARTICIPANTS);
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for _ in 0..PRESSES {
        off.push(together.turn_off());
        on.push(together.turn_on());
    }
    together.part();
    println!(
        "the button of a box among {PARTICIPANTS} participants who send 320 x 180 at 10/s and sound"
    );
    println!("  {}", summary("on", &on));
    println!("  {}", summary("off, from the end of the countdown", &off));
    let slowest = |of: fn(&Took) -> Duration| {
        let values = [&on, &off].map(|took| took.iter().map(of).collect::<Vec<_>>());
        values.iter().map(|values| percentile(values, 95)).max()
    };
    let known = slowest(|took| took.known) <= Some(Duration::from_millis(150));
    let shown = slowest(|took| took.shown) <= Some(Duration::from_millis(500));
    let word = |met| if met { "met" } else { "MISSED" };
    println!("  target p95 known to all <= 150 ms      {}", word(known));
    println!("  target p95 shown by the last <= 500 ms {}", word(shown));
    known && shown
}
