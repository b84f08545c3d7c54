// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a lamp shows: a pattern and the time since it began make a light.
//!
//! [`colour`] and [`one_colour`] are PROTOCOL §8's two columns, one pattern for each state of the shield. Pattern and
//! colour differ both, so that nobody has to tell colours apart. Nothing flashes more than three times a second, which
//! is where flashing light begins to harm people.
//!
//! ```
//! use core::time::Duration;
//! use roomseal_meeting::Shield;
//! use roomseal_panel::light::{Hue, colour};
//!
//! let light = colour(Shield::Sealed).at(Duration::from_secs(60));
//! assert_eq!((light.hue, light.level), (Hue::Green, 255));
//! ```

use core::time::Duration;

use roomseal_meeting::Shield;

/// How often a fading light is renewed: finer than people see.
const FADE: Duration = Duration::from_millis(20);

/// The brightness of a light that is only meant to be found: the eye sees about a quarter.
const DIM: u8 = 64;

/// A colour that people tell from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hue {
    /// Between yellow and red.
    Amber,
    /// Set-up only.
    Blue,
    /// All is sealed, or about to be.
    Green,
    /// Broken, or muted.
    Red,
    /// Nothing about encryption.
    White,
}

/// What is lit at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Light {
    /// Which colour.
    pub hue: Hue,
    /// How bright it looks: 0 is dark, 255 full.
    pub level: u8,
    /// Whether a lamp without brightness is on.
    pub on: bool,
}

/// A light over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which colour.
    pub hue: Hue,
    /// When, and how bright.
    pub shape: Shape,
}

/// Brightness over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Swells and fades every 2 s.
    Breathing,
    /// Twice a second it is on, half the time: no more, for people whom flashing harms.
    FastBlink,
    /// On all the time, and little.
    Dim,
    /// Two short flashes every 1.5 s.
    DoubleBlink,
    /// Steady, with a short gap every 4 s.
    Gap,
    /// Half a second on, half a second off.
    HalfSecondBlink,
    /// Steady, amber in turn with the pattern's own colour, a second each.
    InTurn,
    /// One second on, every 5 s.
    LongPulse,
    /// Dark.
    Off,
    /// A short flash every 3 s.
    Pulse,
    /// A second on, a second off.
    SlowBlink,
    /// On all the time.
    Steady,
    /// Three flashes, once.
    ThreeFlashes,
    /// Two short flashes every 5 s.
    TwoPulses,
}

/// The pattern of a lamp with colours.
pub const fn colour(shield: Shield) -> Pattern {
    let (hue, shape) = match shield {
        Shield::Fault => (Hue::Red, Shape::FastBlink),
        Shield::Denied => (Hue::White, Shape::ThreeFlashes),
        Shield::WrongKey => (Hue::Amber, Shape::SlowBlink),
        Shield::UnsealedPeer => (Hue::Amber, Shape::DoubleBlink),
        Shield::Sealing => (Hue::Green, Shape::Breathing),
        Shield::Waiting => (Hue::Green, Shape::Pulse),
        Shield::SealedByService => (Hue::Green, Shape::Gap),
        Shield::Sealed => (Hue::Green, Shape::Steady),
        Shield::Open => (Hue::White, Shape::Dim),
        Shield::Connecting => (Hue::White, Shape::Breathing),
        Shield::SetUp => (Hue::Blue, Shape::SlowBlink),
        Shield::Updating => (Hue::White, Shape::InTurn),
        Shield::Dark => (Hue::White, Shape::Off),
    };
    Pattern { hue, shape }
}

/// The pattern of a lamp with one colour and no brightness.
pub const fn one_colour(shield: Shield) -> Pattern {
    let shape = match shield {
        Shield::Fault => Shape::FastBlink,
        Shield::Denied => Shape::ThreeFlashes,
        Shield::WrongKey => Shape::SlowBlink,
        Shield::UnsealedPeer => Shape::DoubleBlink,
        Shield::Sealing => Shape::HalfSecondBlink,
        Shield::Waiting => Shape::Pulse,
        Shield::SealedByService => Shape::Gap,
        Shield::Sealed => Shape::Steady,
        // Without a colour, a light that is on would say sealed.
        Shield::Open | Shield::Connecting | Shield::Dark => Shape::Off,
        Shield::SetUp => Shape::TwoPulses,
        Shield::Updating => Shape::LongPulse,
    };
    Pattern {
        hue: Hue::White,
        shape,
    }
}

/// The pattern of the microphone's lamp: red is what muted looks like on every conference device.
pub const fn mute(muted: bool) -> Pattern {
    Pattern {
        hue: Hue::Red,
        shape: if muted { Shape::Steady } else { Shape::Off },
    }
}

impl Light {
    /// Nothing is lit.
    pub const DARK: Self = Self {
        hue: Hue::White,
        level: 0,
        on: false,
    };

    /// How long red, green and blue are on, of 65 535: the eye's brightness made even, the colours mixed.
    pub fn duty(self) -> [u16; 3] {
        let level = u32::from(self.level);
        // The eye is about quadratic; exactly full stays exactly full, which needs no pulses.
        let duty = level * level * 0xffff / (255 * 255);
        self.hue.mix().map(|part| {
            u16::try_from(duty * u32::from(part) / 255)
                .expect("a part of at most 255/255 of 16 bits has 16 bits")
        })
    }

    /// Which of red, green and blue are on, where they have no brightness.
    pub fn switched(self) -> [bool; 3] {
        self.hue.mix().map(|part| self.on && part > 0)
    }
}

impl Hue {
    /// Red, green and blue, of 255. Green LEDs look far brighter than red ones, so amber needs little of it.
    const fn mix(self) -> [u8; 3] {
        match self {
            Self::Amber => [255, 80, 0],
            Self::Blue => [0, 0, 255],
            Self::Green => [0, 255, 0],
            Self::Red => [255, 0, 0],
            Self::White => [255, 255, 255],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Amber => "amber",
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Red => "red",
            Self::White => "white",
        }
    }
}

impl Pattern {
    /// What is lit `since` its beginning.
    pub fn at(self, since: Duration) -> Light {
        match self.moment(since) {
            (Some((index, step)), into) => {
                let Step(from, to, millis) = step;
                let way = i64::from(to) - i64::from(from);
                // A step that lasts for ever has no way to go.
                let part = if way == 0 {
                    0
                } else {
                    let into = i64::try_from(into.as_millis()).unwrap_or(i64::MAX);
                    way * into.min(millis.into()) / i64::from(millis)
                };
                let level = u8::try_from(i64::from(from) + part).unwrap_or(to);
                Light {
                    hue: match self.shape {
                        Shape::InTurn if index > 0 => Hue::Amber,
                        _ => self.hue,
                    },
                    level,
                    on: u16::from(level) * 2 >= u16::from(self.peak()) && level > 0,
                }
            }
            (None, _) => Light {
                hue: self.hue,
                level: 0,
                on: false,
            },
        }
    }

    /// How long from `since` on the light stays as [`at`](Self::at) says; `None`: for ever. A fading light changes in
    /// steps too fine to be seen.
    pub fn stays(self, since: Duration) -> Option<Duration> {
        let (moment, into) = self.moment(since);
        let (_, step) = moment?;
        let left = step.length()?.saturating_sub(into);
        Some(if step.0 == step.1 {
            left
        } else {
            left.min(FADE)
        })
    }

    /// In words for people.
    pub fn words(self) -> (&'static str, &'static str) {
        let shape = match self.shape {
            Shape::Breathing => "breathing",
            Shape::FastBlink => "fast blink",
            Shape::Dim => "dim",
            Shape::DoubleBlink => "double blink",
            Shape::Gap => "steady with a dark gap every 4 s",
            Shape::HalfSecondBlink => "blink once a second",
            Shape::InTurn => "in turn with amber",
            Shape::LongPulse => "long pulse every 5 s",
            Shape::Off => "off",
            Shape::Pulse => "short pulse every 3 s",
            Shape::SlowBlink => "slow blink",
            Shape::Steady => "steady",
            Shape::ThreeFlashes => "3 flashes",
            Shape::TwoPulses => "2 pulses every 5 s",
        };
        let hue = match self.shape {
            Shape::Off => "",
            _ => self.hue.name(),
        };
        (hue, shape)
    }

    /// The step that runs, its index, and how long it has been running; no step once it is over.
    fn moment(self, since: Duration) -> (Option<(usize, Step)>, Duration) {
        let steps = self.shape.steps();
        let round: Duration = steps.iter().filter_map(|step| step.length()).sum();
        let mut into = since;
        if self.shape != Shape::ThreeFlashes && !round.is_zero() {
            let rounds = since.as_nanos() / round.as_nanos();
            // What is left is shorter than a round, so it has few enough nanoseconds.
            let left = since.as_nanos() - rounds * round.as_nanos();
            into = Duration::from_nanos(u64::try_from(left).unwrap_or(0));
        }
        for (index, step) in steps.iter().enumerate() {
            match step.length() {
                Some(length) if into >= length => into -= length,
                _ => return (Some((index, *step)), into),
            }
        }
        (None, into)
    }

    fn peak(self) -> u8 {
        let steps = self.shape.steps().iter();
        steps.map(|step| step.0.max(step.1)).max().unwrap_or(0)
    }
}

/// A stretch of brightness: from, to, and for how many milliseconds; 0: for ever.
#[derive(Clone, Copy, Debug)]
struct Step(u8, u8, u16);

impl Step {
    fn length(self) -> Option<Duration> {
        (self.2 > 0).then(|| Duration::from_millis(self.2.into()))
    }
}

impl Shape {
    const fn steps(self) -> &'static [Step] {
        match self {
            // Not quite dark in between: it must not look like blinking.
            Self::Breathing => &[Step(24, 255, 1000), Step(255, 24, 1000)],
            Self::FastBlink => &[Step(255, 255, 200), Step(0, 0, 200)],
            Self::Dim => &[Step(DIM, DIM, 0)],
            Self::DoubleBlink => &[
                Step(255, 255, 150),
                Step(0, 0, 200),
                Step(255, 255, 150),
                Step(0, 0, 1000),
            ],
            Self::Gap => &[Step(255, 255, 3600), Step(0, 0, 400)],
            Self::HalfSecondBlink => &[Step(255, 255, 500), Step(0, 0, 500)],
            Self::InTurn => &[Step(255, 255, 1000), Step(255, 255, 1000)],
            Self::LongPulse => &[Step(255, 255, 1000), Step(0, 0, 4000)],
            Self::Off => &[],
            Self::Pulse => &[Step(255, 255, 150), Step(0, 0, 2850)],
            Self::SlowBlink => &[Step(255, 255, 1000), Step(0, 0, 1000)],
            Self::Steady => &[Step(255, 255, 0)],
            Self::ThreeFlashes => &[
                Step(255, 255, 200),
                Step(0, 0, 200),
                Step(255, 255, 200),
                Step(0, 0, 200),
                Step(255, 255, 200),
            ],
            Self::TwoPulses => &[
                Step(255, 255, 200),
                Step(0, 0, 300),
                Step(255, 255, 200),
                Step(0, 0, 4300),
            ],
        }
    }
}

#[cfg(test)]
mod tests;
