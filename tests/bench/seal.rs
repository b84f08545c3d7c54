// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sealing and opening a frame cost beside the bare AEAD of the same library.
//!
//!     cargo bench -p roomseal-e2ee
//!
//! Both sides run in turn, round by round, so that whatever else the machine does meets both. `bare` encrypts or decrypts
//! the same bytes in place, with the same additional data. Sealing includes copying the frame to where it leaves, the IV
//! and the trailer; opening includes key look-up, replay check and bookkeeping. Figures are medians over rounds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce, Tag};
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, RawKey, Replay, Sealer,
};

/// Counts what is asked of the heap.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SIZES: [usize; 4] = [100, 1200, 5000, 30_000];
const ROUNDS: usize = 801;
/// Bytes per round and side: long enough for the clock, short enough to fall between interruptions.
const ROUND_BYTES: usize = 50_000;
/// At 100 B a frame may cost so much more than the bare AEAD.
const SMALL_MARGIN: f64 = 60.0;
const LARGE_RATIO: f64 = 1.1;

fn main() -> ExitCode {
    println!(
        "ns per frame, median of {ROUNDS} interleaved rounds, AES-128-GCM of the aes-gcm crate"
    );
    println!("        codec   bytes      bare    frame   extra   ratio   target       allocations");
    let mut met = true;
    for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
        for size in SIZES {
            // Audio frames are small; the others are measured where they occur.
            if codec == Codec::Opus && size > 1200 {
                continue;
            }
            let bench = Bench::new(codec, size);
            met &= bench.report("seal", Bench::seal_round);
            met &= bench.report("open", Bench::open_round);
        }
    }
    println!("targets {}", if met { "met" } else { "NOT met" });
    ExitCode::from(u8::from(!met))
}

struct Bench {
    codec: Codec,
    frame: Vec<u8>,
    header: usize,
    repeats: usize,
    key: FrameKey,
    bare: Aes128Gcm,
    /// As many sealed frames as one round opens, each with an IV of its own.
    sealed: Vec<Vec<u8>>,
    /// The same for the bare side: ciphertext and tag under nonces counted from 0.
    bare_sealed: Vec<(Vec<u8>, Tag)>,
}

/// Time per frame of both sides, and allocations of ours.
struct Round {
    bare: f64,
    frame: f64,
    allocations: u64,
}

impl Bench {
    fn new(codec: Codec, size: usize) -> Self {
        let start: &[u8] = match codec {
            Codec::Opus => &[0x78],
            Codec::Vp8 => &[0x51, 1, 0],
            Codec::H264 => &[0, 0, 0, 1, 0x41, 0x9A],
        };
        let mut frame = start.to_vec();
        frame.extend((start.len()..size).map(|at| (at * 37 + at / 251) as u8 | 1));
        let key = FrameKey::from_raw_key(&RawKey::new((0..32).collect()));
        let repeats = (ROUND_BYTES / size).max(8);
        let mut sealer = sealer(codec, &key);
        let sealed = (0..repeats).map(|_| {
            let mut out = vec![0; Sealer::max_sealed_len(codec, size)];
            let length = sealer.seal(&frame, &mut out).expect("a good frame");
            out.truncate(length);
            out
        });
        let bare = Aes128Gcm::new(&[7; 16].into());
        let bare_sealed = (0..repeats as u64).map(|count| {
            let mut text = frame[start.len()..].to_vec();
            let tag = bare.encrypt_inout_detached(&nonce(count), start, text.as_mut_slice().into());
            (text, tag.expect("short enough"))
        });
        Self {
            bare_sealed: bare_sealed.collect(),
            sealed: sealed.collect(),
            codec,
            header: start.len(),
            frame,
            repeats,
            key,
            bare,
        }
    }

    fn report(&self, what: &str, round: fn(&Self) -> Round) -> bool {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(self)).collect();
        let allocations = rounds
            .iter()
            .map(|round| round.allocations)
            .max()
            .unwrap_or(0);
        let median = |rounds: &mut Vec<Round>, value: fn(&Round) -> f64| {
            rounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
            value(&rounds[ROUNDS / 2])
        };
        let bare = median(&mut rounds, |round| round.bare);
        let frame = median(&mut rounds, |round| round.frame);
        let extra = median(&mut rounds, |round| round.frame - round.bare);
        let ratio = median(&mut rounds, |round| round.frame / round.bare);
        let size = self.frame.len();
        let (target, met) = match self.codec {
            // Walking and escaping costs what it costs.
            Codec::H264 => ("none".into(), true),
            _ if size <= 100 => (format!("+{SMALL_MARGIN} ns"), extra <= SMALL_MARGIN),
            _ => (format!("x{LARGE_RATIO}"), ratio <= LARGE_RATIO),
        };
        let verdict = if met { "" } else { " MISSED" };
        println!(
            "{what} {:>8} {size:>7} {bare:>9.0} {frame:>8.0} {extra:>+7.0} {ratio:>7.3}   {target}{verdict:<8} {allocations}",
            format!("{:?}", self.codec)
        );
        assert_eq!(allocations, 0, "no frame may touch the heap");
        met
    }

    fn seal_round(&self) -> Round {
        let mut sealer = sealer(self.codec, &self.key);
        let mut out = vec![0; Sealer::max_sealed_len(self.codec, self.frame.len())];
        // Scratch space, where a codec has some, is taken with the first frame.
        sealer.seal(&self.frame, &mut out).expect("a good frame");
        let mut text = self.frame.clone();
        let (header, body) = text.split_at_mut(self.header);
        let mut count = 0_u64;
        let bare = per_frame(self.repeats, || {
            count += 1;
            let tag = self
                .bare
                .encrypt_inout_detached(&nonce(count), header, body.into());
            black_box(tag.expect("short enough"));
        });
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let frame = per_frame(self.repeats, || {
            let length = sealer.seal(black_box(&self.frame), black_box(&mut out));
            black_box(length.expect("a good frame"));
        });
        Round {
            bare,
            frame,
            allocations: ALLOCATIONS.load(Ordering::Relaxed) - before,
        }
    }

    fn open_round(&self) -> Round {
        let header = &self.frame[..self.header];
        let mut plain = vec![0; self.frame.len() - self.header];
        let mut sealed = self.bare_sealed.iter().zip(0..);
        // In place, a frame opens once only. Both sides get theirs by copying, so the copy weighs on neither.
        let bare = per_frame(self.repeats, || {
            let ((text, tag), count) = black_box(sealed.next().expect("one per repeat"));
            plain.copy_from_slice(text);
            let plain = plain.as_mut_slice().into();
            let opened = self
                .bare
                .decrypt_inout_detached(&nonce(count), header, plain, tag);
            opened.expect("just sealed");
        });
        let mut opener = Opener::new(self.codec, Replay::Window);
        opener.keys().set(KeyIndex::default(), self.key.clone());
        let mut buffer = vec![0; self.sealed[0].len() + 64];
        let mut sealed = self.sealed.iter();
        let context = FrameContext {
            gap: false,
            now: Duration::ZERO,
        };
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let frame = per_frame(self.repeats, || {
            let sealed = black_box(sealed.next().expect("one per repeat"));
            let buffer = &mut buffer[..sealed.len()];
            buffer.copy_from_slice(sealed);
            black_box(opener.open(buffer, &context).expect("the same key"));
        });
        Round {
            bare,
            frame,
            allocations: ALLOCATIONS.load(Ordering::Relaxed) - before,
        }
    }
}

fn per_frame(repeats: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        work();
    }
    start.elapsed().as_nanos() as f64 / repeats as f64
}

fn sealer(codec: Codec, key: &FrameKey) -> Sealer {
    let mut sealer = Sealer::new(codec, IvSource::new([0x5A; 12]));
    sealer.set_key(KeyIndex::default(), key.clone());
    sealer
}

fn nonce(count: u64) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = [0x5A; 12];
    nonce[4..].copy_from_slice(&count.to_be_bytes());
    nonce.into()
}
