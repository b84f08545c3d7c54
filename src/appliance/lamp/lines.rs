// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lamps of a board: opened when they can be, lit as the verdict says, dark in every other case.

use std::time::Duration;

use roomseal_panel::board::panel::{Lamp as Kind, Panel, Wire};
use roomseal_panel::drive::{self, FULL, Leds, LineError, Places};
use roomseal_panel::lamp::Lit;

/// How often a line that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// All lamps of one board.
#[derive(Debug)]
pub(super) struct Lines {
    places: Places,
    shield: Option<Slot<Kind>>,
    mute: Option<Slot<Wire>>,
}

#[derive(Debug)]
struct Slot<S> {
    called: &'static str,
    spec: S,
    leds: Option<Box<dyn Leds>>,
    trouble: Option<LineError>,
    tried: Option<Duration>,
}

impl Lines {
    /// Nothing is opened yet.
    pub(super) fn new(panel: &Panel, places: Places) -> Self {
        Self {
            places,
            shield: panel.lamp.clone().map(|lamp| Slot::new("lamp", lamp)),
            mute: panel
                .mute_lamp
                .clone()
                .map(|wire| Slot::new("microphone lamp", wire)),
        }
    }

    /// Whether the board has any.
    pub(super) fn any(&self) -> bool {
        self.shield.is_some() || self.mute.is_some()
    }

    /// Lights what `lit` says, for `left` at most.
    pub(super) fn show(&mut self, lit: &Lit, left: Duration, now: Duration) {
        let on = |on: bool| if on { FULL } else { 0 };
        if let Some(slot) = &mut self.shield {
            let duty = match slot.spec {
                Kind::Rgb(_) => lit.colour.duty().to_vec(),
                Kind::Switched(_) => lit.colour.switched().map(on).to_vec(),
                Kind::Single(_) => vec![on(lit.one_colour.on)],
            };
            slot.light(&duty, left, now, |lamp| drive::lamp(lamp, &self.places));
        }
        if let Some(slot) = &mut self.mute {
            let duty = [on(lit.mute.on)];
            slot.light(&duty, left, now, |wire| drive::single(wire, &self.places));
        }
    }

    /// What is wrong with them, for people; empty: nothing.
    pub(super) fn trouble(&self) -> String {
        let shield = self.shield.as_ref().and_then(Slot::trouble);
        let mute = self.mute.as_ref().and_then(Slot::trouble);
        let all: Vec<_> = shield.into_iter().chain(mute).collect();
        all.join(". ")
    }

    /// Something is to be tried again by then.
    pub(super) fn again(&self, now: Duration) -> Option<Duration> {
        let shield = self.shield.as_ref().and_then(Slot::again);
        let mute = self.mute.as_ref().and_then(Slot::again);
        let first = [shield, mute].into_iter().flatten().min();
        first.map(|at| at.saturating_sub(now))
    }
}

impl<S> Slot<S> {
    fn new(called: &'static str, spec: S) -> Self {
        Self {
            called,
            spec,
            leds: None,
            trouble: None,
            tried: None,
        }
    }

    fn light(
        &mut self,
        duty: &[u16],
        left: Duration,
        now: Duration,
        open: impl Fn(&S) -> Result<Box<dyn Leds>, LineError>,
    ) {
        if self.leds.is_none() && self.again().is_none_or(|at| at <= now) {
            self.tried = Some(now);
            match open(&self.spec) {
                Ok(leds) => {
                    self.leds = Some(leds);
                    self.trouble = None;
                }
                Err(error) => self.failed(error),
            }
        }
        let lit = self.leds.as_mut().map(|leds| leds.light(duty, left));
        if let Some(Err(error)) = lit {
            // Dropped, it does what it can to go dark; then it is opened anew.
            self.leds = None;
            self.failed(error);
        }
    }

    fn failed(&mut self, error: LineError) {
        let text = error.to_string();
        if self.trouble.as_ref().map(ToString::to_string).as_ref() != Some(&text) {
            tracing::error!("{}: {text}", self.called);
        }
        self.trouble = Some(error);
    }

    fn trouble(&self) -> Option<String> {
        let error = self.trouble.as_ref()?;
        Some(format!("this box has no {}: {error}", self.called))
    }

    fn again(&self) -> Option<Duration> {
        self.leds
            .is_none()
            .then(|| self.tried.map(|at| at + AGAIN))
            .flatten()
    }
}
