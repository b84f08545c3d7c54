// SPDX-License-Identifier: MIT OR Apache-2.0
//! The part of the board file that names buttons, lamps and their lines.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;

use crate::file_error::FileError;

/// The chip that is the simulated panel.
pub const SIMULATED: &str = "sim";

/// The chip that is the Raspberry Pi's own, driven by `rppal`.
pub const RPPAL: &str = "rppal";

/// Buttons and lamps of a board; a board may have none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// Turns end-to-end encryption on and off.
    pub button: Option<Button>,
    /// Mutes the microphone.
    pub mute_button: Option<Button>,
    /// Shows the shield.
    pub lamp: Option<Lamp>,
    /// Red while the microphone is muted.
    pub mute_lamp: Option<Wire>,
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// Where it is connected.
    pub line: Line,
    /// The level while it is down.
    pub active: Active,
    /// What holds the line while it is up.
    pub pull: Pull,
    /// A level counts once it has stood still for this long.
    pub debounce: Duration,
}

/// A lamp and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// Red, green and blue, each with brightness.
    Rgb([Wire; 3]),
    /// Red, green and blue, each on or off.
    Switched([Wire; 3]),
    /// One colour, on or off.
    Single(Wire),
}

/// What makes one LED light up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A line that is switched.
    Gpio {
        /// Which.
        line: Line,
        /// The level that lights the LED.
        active: Active,
    },
    /// An LED that the kernel drives, under /sys/class/leds.
    KernelLed(String),
    /// A hardware PWM channel, under /sys/class/pwm.
    Pwm {
        /// As in /sys/class/pwm, like pwmchip0.
        chip: String,
        /// Counted from 0.
        channel: u32,
        /// Pulses a second.
        frequency: u32,
        /// The level that lights the LED.
        active: Active,
    },
}

/// A line of a GPIO chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Name, label or path of the chip; [`SIMULATED`] and [`RPPAL`] mean other things.
    pub chip: String,
    /// Which of its lines.
    pub name: LineName,
}

/// How a line is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineName {
    /// By its place on the chip, counted from 0.
    Number(u32),
    /// As the kernel (or the simulated panel) calls it.
    Name(String),
}

/// Which level means pressed, or lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Active {
    /// The high level.
    High,
    /// The low level.
    Low,
}

/// A resistor inside the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pull {
    /// To the low level.
    Down,
    /// There is one on the board.
    None,
    /// To the high level.
    Up,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of {}", self.name, self.chip)
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => write!(f, "`{name}`"),
        }
    }
}

impl<'de> Deserialize<'de> for LineName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = LineName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number of a line, or its name in quotes")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<LineName, E> {
                u32::try_from(number)
                    .map(LineName::Number)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
            }

            fn visit_str<E>(self, name: &str) -> Result<LineName, E> {
                Ok(LineName::Name(name.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// `[button]` and `[mute-button]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ButtonTable {
    chip: Spanned<String>,
    line: Spanned<LineName>,
    active: Active,
    pull: Pull,
    debounce_ms: Spanned<u16>,
}

/// `[lamp]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LampTable {
    kind: Spanned<Kind>,
    red: Option<Spanned<WireTable>>,
    green: Option<Spanned<WireTable>>,
    blue: Option<Spanned<WireTable>>,
    light: Option<Spanned<WireTable>>,
}

/// `[mute-lamp]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteLampTable {
    light: Spanned<WireTable>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Rgb,
    Single,
    Switched,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WireTable {
    chip: Option<String>,
    line: Option<LineName>,
    active: Option<Active>,
    led: Option<String>,
    pwm_chip: Option<String>,
    channel: Option<u32>,
    frequency_hz: Option<u32>,
}

/// Tables of the file, checked one by one; remembers the lines that are taken.
pub(super) struct Check<'a> {
    path: &'a str,
    text: &'a str,
    taken: Vec<Line>,
}

const WIRE_ADVICE: &str = "write { chip, line, active } for a GPIO line, { led } for an LED of the kernel, or \
     { pwm-chip, channel, frequency-hz, active } for a PWM channel";

impl<'a> Check<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self {
            path,
            text,
            taken: Vec::new(),
        }
    }

    pub(super) fn button(&mut self, table: ButtonTable) -> Result<Button, FileError> {
        let at = table.line.span();
        if table.chip.get_ref().is_empty() {
            return self.fail(table.chip.span(), "no chip", "name it, like gpiochip0");
        }
        let debounce = u64::from(*table.debounce_ms.get_ref());
        if !(1..=200).contains(&debounce) {
            return self.fail(
                table.debounce_ms.span(),
                "debounce-ms is out of range",
                "write 1 to 200; 20 suits most keys",
            );
        }
        Ok(Button {
            line: self.line(table.chip.into_inner(), table.line.into_inner(), at)?,
            active: table.active,
            pull: table.pull,
            debounce: Duration::from_millis(debounce),
        })
    }

    pub(super) fn lamp(&mut self, table: LampTable) -> Result<Lamp, FileError> {
        let kind = *table.kind.get_ref();
        let at = table.kind.span();
        let colours = (table.red, table.green, table.blue, table.light);
        match (kind, colours) {
            (Kind::Rgb | Kind::Switched, (Some(red), Some(green), Some(blue), None)) => {
                let last = blue.span();
                let wires = [self.wire(red)?, self.wire(green)?, self.wire(blue)?];
                if wires.iter().any(|wire| !wire.is_like(&wires[0])) {
                    return self.fail(
                        last,
                        "the colours are driven in different ways",
                        "connect red, green and blue in the same way",
                    );
                }
                Ok(match kind {
                    Kind::Rgb => Lamp::Rgb(wires),
                    _ => Lamp::Switched(wires),
                })
            }
            (Kind::Single, (None, None, None, Some(light))) => Ok(Lamp::Single(self.wire(light)?)),
            (Kind::Single, _) => self.fail(
                at,
                "a single lamp has one light",
                "write `light = { … }`, and no red, green or blue",
            ),
            _ => self.fail(
                at,
                "this lamp has three colours",
                "write `red = { … }`, `green = { … }` and `blue = { … }`, and no light",
            ),
        }
    }

    pub(super) fn mute_lamp(&mut self, table: MuteLampTable) -> Result<Wire, FileError> {
        self.wire(table.light)
    }

    fn wire(&mut self, table: Spanned<WireTable>) -> Result<Wire, FileError> {
        let at = table.span();
        match table.into_inner() {
            WireTable {
                chip: Some(chip),
                line: Some(line),
                active: Some(active),
                led: None,
                pwm_chip: None,
                channel: None,
                frequency_hz: None,
            } if !chip.is_empty() => Ok(Wire::Gpio {
                line: self.line(chip, line, at)?,
                active,
            }),
            WireTable {
                chip: None,
                line: None,
                active: None,
                led: Some(led),
                pwm_chip: None,
                channel: None,
                frequency_hz: None,
            } => {
                if !file_name(&led) {
                    return self.fail(
                        at,
                        "no LED of that name can be",
                        "write a name as in /sys/class/leds",
                    );
                }
                Ok(Wire::KernelLed(led))
            }
            WireTable {
                chip: None,
                line: None,
                active: Some(active),
                led: None,
                pwm_chip: Some(chip),
                channel: Some(channel),
                frequency_hz: Some(frequency),
            } => {
                if !file_name(&chip) {
                    return self.fail(
                        at,
                        "no PWM chip of that name can be",
                        "write a name as in /sys/class/pwm, like pwmchip0",
                    );
                }
                if !(200..=25_000).contains(&frequency) {
                    return self.fail(at, "frequency-hz is out of range", "write 200 to 25000");
                }
                Ok(Wire::Pwm {
                    chip,
                    channel,
                    frequency,
                    active,
                })
            }
            _ => self.fail(at, "not a light", WIRE_ADVICE),
        }
    }

    fn line(&mut self, chip: String, name: LineName, at: Range<usize>) -> Result<Line, FileError> {
        let line = Line { chip, name };
        if self.taken.contains(&line) {
            return self.fail(
                at,
                format!("{line} is used twice"),
                "give each button and each colour a line of its own",
            );
        }
        if line.chip == RPPAL && !matches!(line.name, LineName::Number(_)) {
            return self.fail(
                at,
                "rppal knows lines by number alone",
                "write the BCM number, like 17",
            );
        }
        if let LineName::Name(name) = &line.name
            && line.chip == SIMULATED
            && !file_name(name)
        {
            return self.fail(
                at,
                "no name for a line",
                "write a name that a file can have",
            );
        }
        self.taken.push(line.clone());
        Ok(line)
    }

    fn fail<R>(
        &self,
        at: Range<usize>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Result<R, FileError> {
        Err(FileError::at(self.path, self.text, at, problem, advice))
    }
}

impl Wire {
    /// Whether one driver can drive both.
    fn is_like(&self, other: &Self) -> bool {
        let own = |line: &Line| [SIMULATED, RPPAL].contains(&line.chip.as_str());
        match (self, other) {
            (Self::Gpio { line: a, .. }, Self::Gpio { line: b, .. }) => {
                a.chip == b.chip || !(own(a) || own(b))
            }
            (Self::KernelLed(_), Self::KernelLed(_)) | (Self::Pwm { .. }, Self::Pwm { .. }) => true,
            _ => false,
        }
    }
}

fn file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
