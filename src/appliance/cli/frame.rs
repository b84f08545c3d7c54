// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal frame`: one frame in, one frame out, to check other implementations and to be checked by them.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};
use roomseal_e2ee::{
    Codec, FrameContext, FrameKey, IvSource, KeyIndex, Opener, Replay, Sealer, Verdict,
};

use super::Failure;
use crate::config::{RAW_KEY_ADVICE, RAW_KEY_PROBLEM, passphrase_key, raw_key};
use crate::secret;

/// No encoder makes a larger frame for a meeting.
const LARGEST_FRAME: usize = 16 * 1024 * 1024;

/// Arguments of `roomseal frame`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The format is LiveKit's: clear header, AES-128-GCM ciphertext and tag, IV, 0x0C, key index. Example:

  roomseal frame seal --codec vp8 --passphrase-file passphrase <frame >sealed
  roomseal frame open --codec vp8 --passphrase-file passphrase <sealed >opened

H.264 frames are whole access units in Annex B form. What cannot be opened prints nothing and ends with 1.")]
pub struct FrameArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Seal the frame on standard input
    Seal(KeyArgs),
    /// Open the sealed frame on standard input
    Open(KeyArgs),
}

#[derive(Debug, clap::Args)]
struct KeyArgs {
    /// What the frame holds
    #[arg(long, value_enum)]
    codec: CodecName,
    /// Index of the key in LiveKit's key ring, 0 to 15
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=15))]
    key_index: u8,
    #[command(flatten)]
    key: KeySource,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KeySource {
    /// File (mode 0600) with the passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<String>,
    /// File (mode 0600) with the raw key in hexadecimal digits
    #[arg(long, value_name = "FILE")]
    key_hex_file: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CodecName {
    Opus,
    Vp8,
    H264,
}

impl FrameArgs {
    /// Seals or opens; writes nothing unless all of it went well.
    ///
    /// # Errors
    /// When the key cannot be had, or the frame cannot be sealed or opened.
    pub fn run(&self) -> Result<(), Failure> {
        let (Action::Seal(args) | Action::Open(args)) = &self.action;
        let key = args.key()?;
        let index = KeyIndex::try_from(args.key_index)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        let codec = args.codec.into();
        let frame = read_frame()?;
        let out = match self.action {
            Action::Seal(_) => seal(codec, index, key, &frame)?,
            Action::Open(_) => open(codec, index, key, frame)?,
        };
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(&out)
            .and_then(|()| stdout.flush())
            .context("cannot write the frame to standard output")?;
        Ok(())
    }
}

impl KeyArgs {
    fn key(&self) -> Result<FrameKey, Failure> {
        let here = Path::new(".");
        if let Some(file) = &self.key.passphrase_file {
            return Ok(passphrase_key(&secret::read(file, here)?));
        }
        let file = self
            .key
            .key_hex_file
            .as_ref()
            .expect("clap requires one of the two");
        raw_key(&secret::read(file, here)?).ok_or_else(|| {
            roomseal_panel::FileError::whole(file, None, RAW_KEY_PROBLEM, RAW_KEY_ADVICE).into()
        })
    }
}

fn read_frame() -> Result<Vec<u8>, Failure> {
    let mut frame = Vec::new();
    std::io::stdin()
        .lock()
        .take(LARGEST_FRAME as u64 + 1)
        .read_to_end(&mut frame)
        .context("cannot read the frame from standard input")?;
    if frame.is_empty() {
        return Err(
            anyhow!("no frame: standard input is empty; give one frame with `< FILE`").into(),
        );
    }
    if frame.len() > LARGEST_FRAME {
        return Err(anyhow!(
            "more than {} MiB on standard input; give one frame, not a recording",
            LARGEST_FRAME >> 20
        )
        .into());
    }
    Ok(frame)
}

fn seal(codec: Codec, index: KeyIndex, key: FrameKey, frame: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut seed = [0; 12];
    getrandom::fill(&mut seed)
        .map_err(|error| anyhow!("the system gives no random bytes for the IV: {error}"))?;
    let mut sealer = Sealer::new(codec, IvSource::new(seed));
    sealer.set_key(index, key);
    let mut out = vec![0; Sealer::max_sealed_len(codec, frame.len())];
    let length = sealer
        .seal(frame, &mut out)
        .map_err(|error| anyhow!("cannot seal: {error}"))?;
    out.truncate(length);
    Ok(out)
}

fn open(
    codec: Codec,
    index: KeyIndex,
    key: FrameKey,
    mut frame: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let mut opener = Opener::new(codec, Replay::Window);
    opener.keys().set(index, key);
    let context = FrameContext {
        gap: false,
        now: Duration::ZERO,
    };
    let length = opener
        .open(&mut frame, &context)
        .map_err(|verdict| anyhow!("cannot open: {verdict}; {}", advice(verdict)))?;
    frame.truncate(length);
    Ok(frame)
}

fn advice(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Clear => {
            "it ends in no LiveKit trailer: it was not sealed, is cut off, or has another --codec"
        }
        Verdict::NoKey => "give the index it names with --key-index",
        Verdict::Malformed => "check --codec; H.264 frames are whole access units in Annex B form",
        _ => {
            "check the key (a passphrase and a raw key differ), --codec, and that no byte was changed"
        }
    }
}

impl From<CodecName> for Codec {
    fn from(name: CodecName) -> Self {
        match name {
            CodecName::Opus => Self::Opus,
            CodecName::Vp8 => Self::Vp8,
            CodecName::H264 => Self::H264,
        }
    }
}
