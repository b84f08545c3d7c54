// SPDX-License-Identifier: MIT OR Apache-2.0
//! LiveKit's official Python SDK as a participant (`python/peer.py`): another implementation of everything.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use roomseal_e2ee::Codec;
use serde_json::{Value, json};

use crate::places;
use crate::process::Running;

/// A participant; dropping it kills it.
#[derive(Debug)]
pub struct Peer {
    process: Running,
}

/// What a [`Peer`] publishes.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Its camera.
    pub picture: Option<Picture<'a>>,
    /// Its microphone: file of raw signed 16-bit mono samples at 48 kHz.
    pub sound: Option<&'a Path>,
}

/// Numbered pictures over the frames of a file.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// File of raw I420 frames.
    pub file: &'a Path,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Frames per second.
    pub rate: u32,
    /// What the SDK encodes them with.
    pub codec: Codec,
}

/// What decoders of a [`Peer`] have done so far.
#[derive(Debug, Clone, Copy)]
pub struct Decoder {
    /// Pictures that came whole.
    pub received: u64,
    /// Those of them that were one when decoded.
    pub decoded: u64,
    /// Of the sound: seconds times the square of its level (`totalAudioEnergy` of W3C's WebRTC statistics).
    pub energy: f64,
}

impl Published<'_> {
    /// Nothing at all: a participant that only looks.
    pub const NOTHING: Self = Self {
        picture: None,
        sound: None,
    };
}

impl Peer {
    /// Joins; `passphrase` is the shared key, or `None` for a participant without end-to-end encryption. What it decodes is
    /// written into `save`.
    pub fn join(
        url: &str,
        token: &str,
        passphrase: Option<&str>,
        publish: Published<'_>,
        save: &Path,
    ) -> Self {
        let mut command = Command::new(places::provided("venv/bin/python"));
        command
            .arg("-u")
            .arg(places::root().join("tests/python/peer.py"));
        let mut process = Running::start("Python SDK", &command);
        let mut wanted =
            json!({ "url": url, "token": token, "passphrase": passphrase, "save": save });
        if let Some(picture) = publish.picture {
            wanted["picture"] = json!(picture.file);
            wanted["width"] = json!(picture.width);
            wanted["height"] = json!(picture.height);
            wanted["fps"] = json!(picture.rate);
            wanted["codec"] = json!(match picture.codec {
                Codec::H264 => "h264",
                _ => "vp8",
            });
        }
        if let Some(file) = publish.sound {
            wanted["sound"] = json!(file);
        }
        process.tell(&wanted.to_string());
        let peer = Self { process };
        peer.wait_for("connected", Duration::from_secs(30), |_| true);
        peer
    }

    /// Waits for an event that `accept` takes.
    pub fn wait_for(
        &self,
        event: &str,
        within: Duration,
        accept: impl Fn(&Value) -> bool,
    ) -> Value {
        self.process
            .wait_for(&format!("event `{event}`"), within, |line| {
                parse(line, event).filter(|v| accept(v))
            })
    }

    /// All events of one name so far.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.process
            .lines()
            .iter()
            .filter_map(|(_, line)| parse(line, event))
            .collect()
    }

    /// What it has decoded so far, by identity and kind.
    pub fn report(&mut self) -> Value {
        let mark = self.process.mark();
        self.process.tell("report");
        let within = Duration::from_secs(10);
        self.process
            .wait_after(mark, "report", within, |line| parse(line, "report"))["seen"]
            .clone()
    }

    /// Waits until it has decoded at least so many frames and samples of `identity`.
    pub fn wait_until_decoded(&mut self, identity: &str, frames: u64, samples: u64) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let seen = self.report();
            let [video, audio] = [
                &seen[identity]["video"]["frames"],
                &seen[identity]["audio"]["samples"],
            ]
            .map(|n| n.as_u64().unwrap_or(0));
            if video >= frames && audio >= samples {
                println!("the SDK decoded {video} frames and {audio} samples of {identity}");
                return;
            }
            assert!(
                Instant::now() < deadline,
                "the SDK decoded only {video} frames and {audio} samples of {identity}"
            );
            // It reports when asked; asking twice a second is soon enough.
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Writes a line of chat to everybody.
    pub fn write(&mut self, text: &str) {
        self.process.tell(&format!("write {text}"));
    }

    /// What its decoders made of the newest tracks of somebody.
    pub fn decoder(&mut self, identity: &str) -> Decoder {
        let mark = self.process.mark();
        self.process.tell(&format!("decoder {identity}"));
        let within = Duration::from_secs(10);
        let told = self
            .process
            .wait_after(mark, "decoder's figures", within, |line| {
                parse(line, "decoder")
            });
        let pictures = |n: usize| told["pictures"][n].as_u64().unwrap_or_default();
        Decoder {
            received: pictures(0),
            decoded: pictures(1),
            energy: told["energy"].as_f64().unwrap_or_default(),
        }
    }

    /// Leaves the room, and tells what it decoded.
    pub fn leave(mut self) -> Value {
        let mark = self.process.mark();
        self.process.tell("quit");
        let within = Duration::from_secs(20);
        let report = self
            .process
            .wait_after(mark, "report", within, |line| parse(line, "report"));
        self.process.wait(within);
        report["seen"].clone()
    }
}

fn parse(line: &str, event: &str) -> Option<Value> {
    serde_json::from_str::<Value>(line)
        .ok()
        .filter(|v| v["event"] == event)
}
