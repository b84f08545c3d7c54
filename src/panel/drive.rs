// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drivers: from what the board file says to lines that move.
//!
//! Keys are watched through [`Key`], LEDs lit through [`Leds`]. Pins and PWM channels are the traits of `embedded-hal`
//! 1.0; [`gpio`] has those of the GPIO character device (through `linux-embedded-hal`), `rpi` those of `rppal` (feature
//! `rppal`), [`pwm`] a channel of /sys/class/pwm. [`kernel_led`] and [`sim`] need no pin.

pub mod clock;
pub mod gpio;
pub mod kernel_led;
pub mod pin;
pub mod pwm;
#[cfg(feature = "rppal")]
pub mod rpi;
pub mod sim;
pub mod soft_pwm;
mod watch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::board::panel::{Button, Lamp, Line, RPPAL, SIMULATED, Wire};

pub use watch::watch;

/// Fully on. Half of it and more lights an LED that has no brightness.
pub const FULL: u16 = u16::MAX;

/// LEDs that are driven together. They go dark when this is dropped.
pub trait Leds: fmt::Debug + Send {
    /// How long each is on, of [`FULL`]. Where the hardware can, it goes dark by itself after `at_most`.
    ///
    /// # Errors
    /// When a line does not do as it is told.
    fn light(&mut self, duty: &[u16], at_most: Duration) -> Result<(), LineError>;
}

/// A key whose edges can be waited for.
pub trait Key: fmt::Debug + Send {
    /// Whether it is down right now.
    ///
    /// # Errors
    /// When the line cannot be read.
    fn down(&mut self) -> Result<bool, LineError>;

    /// The next edge, in the order of their times; `None` after `at_most`.
    ///
    /// # Errors
    /// When the line cannot be read.
    fn wait(&mut self, at_most: Duration) -> Result<Option<Edge>, LineError>;
}

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Down, or up again.
    pub down: bool,
    /// When, on [`clock::monotonic`].
    pub at: Duration,
}

/// Where things are that are no lines of a chip.
#[derive(Clone, Debug)]
pub struct Places {
    /// The folder of the simulated panel; `None`: there is none.
    pub simulated: Option<PathBuf>,
    /// LEDs of the kernel.
    pub leds: PathBuf,
    /// Hardware PWM.
    pub pwm: PathBuf,
}

impl Places {
    /// As Linux has them, with this folder for the simulated panel.
    pub fn linux(simulated: Option<PathBuf>) -> Self {
        Self {
            simulated,
            leds: "/sys/class/leds".into(),
            pwm: "/sys/class/pwm".into(),
        }
    }

    fn simulated(&self, line: &Line) -> Result<&Path, LineError> {
        self.simulated.as_deref().ok_or_else(|| LineError::NoPanel {
            line: line.to_string(),
        })
    }
}

/// Why a line cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// No chip is called like that.
    #[error(
        "there is no GPIO chip `{chip}`; this machine has {there}; correct `chip` in the board file"
    )]
    NoChip {
        /// What the board file says.
        chip: String,
        /// What is there.
        there: String,
    },
    /// The chip has no such line.
    #[error("{line}: the chip has no such line, it has {lines}; correct `line` in the board file")]
    NoLine {
        /// Line and chip.
        line: String,
        /// How many it has.
        lines: u32,
    },
    /// Somebody else has it.
    #[error("{line} is in use by {by}; end that, or give another line in the board file")]
    Busy {
        /// Line and chip.
        line: String,
        /// Who has it, as the kernel says.
        by: String,
    },
    /// No LED, or PWM channel, of this name.
    #[error(
        "{what} is not there; this machine has {there}; correct it in the board file, or load its driver"
    )]
    NotThere {
        /// What was looked for.
        what: String,
        /// What is there.
        there: String,
    },
    /// The simulated panel has nowhere to be.
    #[error(
        "{line}: the simulated panel needs a folder; set XDG_RUNTIME_DIR, or name one with --panel-dir"
    )]
    NoPanel {
        /// Line and chip.
        line: String,
    },
    /// The program was built without this driver.
    #[error(
        "{line}: this program was built without rppal; build it with `--features rppal`, or name the chip as `gpioinfo` does"
    )]
    NotBuilt {
        /// Line and chip.
        line: String,
    },
    /// The system refused.
    #[error("{line}: cannot {action}: {reason}")]
    Failed {
        /// Line and chip, or what stands for them.
        line: String,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        reason: String,
    },
}

impl LineError {
    pub(crate) fn failed(
        line: impl fmt::Display,
        action: &'static str,
        reason: impl fmt::Display,
    ) -> Self {
        Self::Failed {
            line: line.to_string(),
            action,
            reason: reason.to_string(),
        }
    }
}

/// The key that `button` describes.
///
/// # Errors
/// When its line cannot be had: the message names chip and line.
pub fn key(button: &Button, places: &Places) -> Result<Box<dyn Key>, LineError> {
    match button.line.chip.as_str() {
        SIMULATED => Ok(Box::new(sim::SimulatedKey::open(
            places.simulated(&button.line)?,
            &button.line.name.to_string(),
        )?)),
        #[cfg(feature = "rppal")]
        RPPAL => Ok(Box::new(rpi::RpiKey::open(button)?)),
        #[cfg(not(feature = "rppal"))]
        RPPAL => Err(not_built(&button.line)),
        _ => Ok(Box::new(gpio::GpioKey::open(button)?)),
    }
}

/// The LEDs of `lamp`: three, or one.
///
/// # Errors
/// When a line cannot be had: the message names it.
pub fn lamp(lamp: &Lamp, places: &Places) -> Result<Box<dyn Leds>, LineError> {
    match lamp {
        Lamp::Rgb(wires) => leds(wires, true, places),
        Lamp::Switched(wires) => leds(wires, false, places),
        Lamp::Single(wire) => leds(std::slice::from_ref(wire), false, places),
    }
}

/// The one LED of a lamp that is on or off.
///
/// # Errors
/// When its line cannot be had: the message names it.
pub fn single(wire: &Wire, places: &Places) -> Result<Box<dyn Leds>, LineError> {
    leds(std::slice::from_ref(wire), false, places)
}

fn leds(wires: &[Wire], dimmed: bool, places: &Places) -> Result<Box<dyn Leds>, LineError> {
    // The board file has been checked: all wires of a lamp are of one kind.
    match &wires[0] {
        Wire::Gpio { line, .. } if line.chip == SIMULATED => {
            let names = wires
                .iter()
                .filter_map(Wire::line)
                .map(|line| line.name.to_string());
            let folder = places.simulated(line)?;
            Ok(Box::new(sim::SimulatedLeds::open(folder, names.collect())?))
        }
        #[cfg(not(feature = "rppal"))]
        Wire::Gpio { line, .. } if line.chip == RPPAL => Err(not_built(line)),
        #[cfg(feature = "rppal")]
        Wire::Gpio { line, .. } if line.chip == RPPAL => {
            pulsed_or_switched(each(wires, rpi::output)?, dimmed)
        }
        Wire::Gpio { .. } => pulsed_or_switched(each(wires, gpio::output)?, dimmed),
        Wire::KernelLed(_) => {
            let names = wires.iter().filter_map(|wire| match wire {
                Wire::KernelLed(name) => Some(name.as_str()),
                _ => None,
            });
            Ok(Box::new(kernel_led::KernelLeds::open(&places.leds, names)?))
        }
        Wire::Pwm { .. } => Ok(Box::new(pwm::PwmLeds::open(wires, &places.pwm)?)),
    }
}

fn each<P>(
    wires: &[Wire],
    open: impl Fn(&Line, crate::board::panel::Active) -> Result<pin::Pin<P>, LineError>,
) -> Result<Vec<pin::Pin<P>>, LineError> {
    wires
        .iter()
        .filter_map(|wire| match wire {
            Wire::Gpio { line, active } => Some(open(line, *active)),
            _ => None,
        })
        .collect()
}

fn pulsed_or_switched<P>(pins: Vec<pin::Pin<P>>, dimmed: bool) -> Result<Box<dyn Leds>, LineError>
where
    P: embedded_hal::digital::OutputPin<Error: fmt::Display> + fmt::Debug + Send + 'static,
{
    if dimmed {
        Ok(Box::new(soft_pwm::SoftPwm::start(pins)?))
    } else {
        Ok(Box::new(pin::Switched::new(pins)?))
    }
}

#[cfg(not(feature = "rppal"))]
fn not_built(line: &Line) -> LineError {
    LineError::NotBuilt {
        line: line.to_string(),
    }
}

impl Wire {
    fn line(&self) -> Option<&Line> {
        match self {
            Self::Gpio { line, .. } => Some(line),
            Self::KernelLed(_) | Self::Pwm { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
