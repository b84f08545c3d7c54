// SPDX-License-Identifier: MIT OR Apache-2.0

//! The capture switch of an ALSA microphone: muted, the sound card itself gives silence, whatever
//! becomes of this process.
//!
//! A thread of its own talks to the mixer, because a sound card that is pulled out, or a sound
//! server that is restarted, may let it wait. What it finds is what counts: somebody else may turn
//! the same switch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use alsa::mixer::{Mixer, Selem};

/// How often the switch is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Looks that a mixer which cannot be opened is left alone for.
const PATIENCE: u32 = 20;

/// What is known of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Seen {
    /// There is none, or its mixer does not answer.
    Nothing = 0,
    On = 1,
    Off = 2,
}

enum Word {
    Mute(bool),
    Stop,
}

/// The capture switch of one microphone. Dropping it turns on again what it turned off.
#[derive(Debug)]
pub(super) struct CaptureSwitch {
    seen: Arc<AtomicU8>,
    words: Sender<Word>,
    thread: Option<JoinHandle<()>>,
}

impl CaptureSwitch {
    /// Looks after the switch of the card behind an ALSA capture device.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn watch(device: &str) -> std::io::Result<Self> {
        let (words, inbox) = mpsc::channel();
        let seen = Arc::new(AtomicU8::new(Seen::Nothing as u8));
        let card = card_of(device);
        let shown = Arc::clone(&seen);
        let thread = thread::Builder::new()
            .name("capture-switch".to_owned())
            .spawn(move || Watch::new(card, shown).run(&inbox))?;
        Ok(Self {
            seen,
            words,
            thread: Some(thread),
        })
    }

    /// Turns the switch off, or on again.
    pub(super) fn mute(&self, muted: bool) {
        let _ = self.words.send(Word::Mute(muted));
    }

    /// Whether the switch is off; `None` where there is none.
    pub(super) fn is_off(&self) -> Option<bool> {
        match self.seen.load(Ordering::Relaxed) {
            seen if seen == Seen::On as u8 => Some(false),
            seen if seen == Seen::Off as u8 => Some(true),
            _ => None,
        }
    }
}

impl Drop for CaptureSwitch {
    fn drop(&mut self) {
        let _ = self.words.send(Word::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic there was printed and has no other consequence here.
            let _ = thread.join();
        }
    }
}

/// The name of the control device that belongs to a capture device: `plughw:CARD=Mic,DEV=0` is on
/// the card `hw:Mic`. A name without a card, such as `default`, names both.
fn card_of(device: &str) -> String {
    let Some((_, arguments)) = device.split_once(':') else {
        return device.to_owned();
    };
    let mut parts = arguments.split(',');
    let named = parts.clone().find_map(|part| part.strip_prefix("CARD="));
    format!("hw:{}", named.or_else(|| parts.next()).unwrap_or_default())
}

struct Watch {
    card: String,
    mixer: Option<Mixer>,
    /// Looks until the mixer is tried again.
    wait: u32,
    muted: bool,
    seen: Arc<AtomicU8>,
}

impl Watch {
    fn new(card: String, seen: Arc<AtomicU8>) -> Self {
        Self {
            card,
            mixer: None,
            wait: 0,
            muted: false,
            seen,
        }
    }

    fn run(mut self, inbox: &Receiver<Word>) {
        loop {
            match inbox.recv_timeout(LOOK) {
                Ok(Word::Mute(muted)) => {
                    if self.muted != muted {
                        self.muted = muted;
                        self.turn(!muted);
                    }
                }
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.attend(),
            }
            self.look();
        }
        if self.muted {
            // Nothing is captured any more, and the next to use this microphone wants to be heard.
            self.turn(true);
        }
    }

    /// Tries a mixer that could not be opened, or went away, once more.
    fn attend(&mut self) {
        if self.mixer.is_some() {
            return;
        }
        if self.wait > 0 {
            self.wait -= 1;
        } else if self.muted {
            // A card that was plugged in again knows nothing of it.
            self.turn(false);
        } else {
            self.open();
        }
    }

    fn open(&mut self) {
        self.wait = PATIENCE;
        self.mixer = match Mixer::new(&self.card, true) {
            Ok(mixer) => Some(mixer),
            Err(error) => {
                tracing::debug!(card = self.card, %error, "no mixer");
                None
            }
        };
    }

    /// Turns the switch at a mixer that is opened for it: one that was opened before may not have
    /// heard yet that somebody else turned it, and takes ours for no change.
    fn turn(&mut self, on: bool) {
        self.open();
        let Some(mixer) = &self.mixer else {
            return;
        };
        for switch in switches(mixer) {
            if let Err(error) = switch.set_capture_switch_all(on.into()) {
                tracing::warn!(card = self.card, %error, "the microphone's own switch does not turn");
            }
        }
    }

    /// Finds out how the switch is now. Of several, one that is on lets sound through.
    fn look(&mut self) {
        let seen = match self.mixer.as_ref().map(state) {
            Some(Ok(seen)) => seen,
            Some(Err(error)) => {
                tracing::info!(card = self.card, %error, "the mixer went away");
                self.mixer = None;
                Seen::Nothing
            }
            None => Seen::Nothing,
        };
        self.seen.store(seen as u8, Ordering::Relaxed);
    }
}

fn switches(mixer: &Mixer) -> impl Iterator<Item = Selem<'_>> {
    mixer
        .iter()
        .filter_map(Selem::new)
        .filter(Selem::has_capture_switch)
}

fn state(mixer: &Mixer) -> alsa::Result<Seen> {
    mixer.handle_events()?;
    let mut seen = Seen::Nothing;
    for switch in switches(mixer) {
        for channel in alsa::mixer::SelemChannelId::all() {
            if !switch.has_capture_channel(*channel) {
                continue;
            }
            if switch.get_capture_switch(*channel)? != 0 {
                return Ok(Seen::On);
            }
            seen = Seen::Off;
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::card_of;

    #[test]
    fn a_capture_device_names_its_card() {
        for (device, card) in [
            ("default", "default"),
            ("pulse", "pulse"),
            ("hw:1", "hw:1"),
            ("plughw:1,0", "hw:1"),
            ("plughw:CARD=Mic,DEV=0", "hw:Mic"),
            ("sysdefault:CARD=C920", "hw:C920"),
            ("dsnoop:DEV=0,CARD=Mic", "hw:Mic"),
        ] {
            assert_eq!(card_of(device), card, "{device}");
        }
    }
}
