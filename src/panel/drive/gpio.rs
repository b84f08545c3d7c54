// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of the GPIO character device, through `linux-embedded-hal`.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use linux_embedded_hal::CdevPin;
use linux_embedded_hal::gpio_cdev::{
    self, Chip, EventRequestFlags, EventType, LineEventHandle, LineRequestFlags,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pin::Pin;
use super::{Edge, Key, LineError, clock};
use crate::board::panel::{Active, Button, Line, LineName, Pull};

/// What `gpioinfo` shows as the user of our lines.
const CONSUMER: &str = "roomseal";

/// Flags of the kernel (linux/gpio.h, since 5.5) that `gpio-cdev` passes on without having names for them.
const BIAS_PULL_UP: u32 = 1 << 5;
const BIAS_PULL_DOWN: u32 = 1 << 6;
const BIAS_DISABLE: u32 = 1 << 7;

/// Kernels before 5.7 stamped edges with the time of day: such a stamp is no time of ours.
const STRANGE: Duration = Duration::from_secs(60);

/// An output that is dark from the moment it is ours.
pub(super) fn output(line: &Line, active: Active) -> Result<Pin<Output>, LineError> {
    let dark = u8::from(active == Active::Low);
    let found = find(line)?;
    let handle = found
        .request(LineRequestFlags::OUTPUT, dark, CONSUMER)
        .map_err(|error| refused(line, &found, &error))?;
    let pin =
        CdevPin::new(handle).map_err(|error| LineError::failed(line, "ask about it", error))?;
    Ok(Pin::new(Output(pin), active, line))
}

/// An output pin that can be shown.
pub struct Output(CdevPin);

impl embedded_hal::digital::ErrorType for Output {
    type Error = linux_embedded_hal::CdevPinError;
}

impl embedded_hal::digital::OutputPin for Output {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.0.set_low()
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.0.set_high()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("output")
    }
}

/// A key on a line, with the kernel's own times of its edges.
#[derive(Debug)]
pub struct GpioKey {
    pin: Pin<Input>,
    active: Active,
}

impl GpioKey {
    /// Asks the kernel for the line and its edges.
    ///
    /// # Errors
    /// When chip or line cannot be had.
    pub fn open(button: &Button) -> Result<Self, LineError> {
        let found = find(&button.line)?;
        let bias = match button.pull {
            Pull::Down => BIAS_PULL_DOWN,
            Pull::None => BIAS_DISABLE,
            Pull::Up => BIAS_PULL_UP,
        };
        let request = |flags| found.events(flags, EventRequestFlags::BOTH_EDGES, CONSUMER);
        let biased = LineRequestFlags::INPUT | LineRequestFlags::from_bits_retain(bias);
        let handle = match request(biased) {
            // A chip without resistors refuses to switch them off; there are none, so all is well.
            Err(_) if button.pull == Pull::None => request(LineRequestFlags::INPUT),
            other => other,
        }
        .map_err(|error| refused(&button.line, &found, &error))?;
        Ok(Self {
            pin: Pin::new(Input(handle), button.active, &button.line),
            active: button.active,
        })
    }
}

impl Key for GpioKey {
    fn down(&mut self) -> Result<bool, LineError> {
        self.pin.is_active()
    }

    fn wait(&mut self, at_most: Duration) -> Result<Option<Edge>, LineError> {
        let handle = &mut self.pin.inner().0;
        if !readable(handle, at_most)
            .map_err(|error| LineError::failed(self.pin.line(), "wait for an edge", error))?
        {
            return Ok(None);
        }
        let handle = &mut self.pin.inner().0;
        let event = handle
            .get_event()
            .map_err(|error| LineError::failed(self.pin.line(), "read an edge", error))?;
        let high = event.event_type() == EventType::RisingEdge;
        Ok(Some(Edge {
            down: high == (self.active == Active::High),
            at: believable(Duration::from_nanos(event.timestamp()), clock::monotonic()),
        }))
    }
}

/// An input pin with edges.
struct Input(LineEventHandle);

impl embedded_hal::digital::ErrorType for Input {
    type Error = linux_embedded_hal::CdevPinError;
}

impl embedded_hal::digital::InputPin for Input {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        Ok(self.0.get_value()? != 0)
    }

    fn is_low(&mut self) -> Result<bool, Self::Error> {
        Ok(!self.is_high()?)
    }
}

/// Whether there is something to read, after `at_most` at the latest.
pub(super) fn readable(fd: &impl AsFd, at_most: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        // A signal came; whoever waits looks at the clock again.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The kernel's time of an edge, if it can be one.
fn believable(stamp: Duration, now: Duration) -> Duration {
    if stamp.abs_diff(now) > STRANGE {
        now
    } else {
        stamp
    }
}

fn find(line: &Line) -> Result<gpio_cdev::Line, LineError> {
    let mut chip = chip(&line.chip)?;
    let lines = chip.num_lines();
    let number = match &line.name {
        LineName::Number(number) => Some(*number),
        LineName::Name(name) => chip
            .lines()
            .find(|line| {
                line.info()
                    .is_ok_and(|info| info.name() == Some(name.as_str()))
            })
            .map(|line| line.offset()),
    };
    let no_line = || LineError::NoLine {
        line: line.to_string(),
        lines,
    };
    let number = number
        .filter(|number| *number < lines)
        .ok_or_else(no_line)?;
    chip.get_line(number)
        .map_err(|error| LineError::failed(line, "find it", error))
}

/// By path, by name or by label.
fn chip(name: &str) -> Result<Chip, LineError> {
    let mut there = Vec::new();
    if name.contains('/') && Path::new(name).exists() {
        return Chip::new(name).map_err(|error| LineError::failed(name, "open the chip", error));
    }
    let chips = gpio_cdev::chips()
        .map_err(|error| LineError::failed(name, "look for GPIO chips in /dev", error))?;
    let mut refused = None;
    for chip in chips {
        match chip {
            Ok(chip) if chip.name() == name || chip.label() == name => return Ok(chip),
            Ok(chip) => there.push(format!("{} [{}]", chip.name(), chip.label())),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        // It may be the very one that is meant.
        Some(error) => Err(LineError::failed(
            name,
            "open the GPIO chips in /dev; the user of this program may need the group `gpio`",
            error,
        )),
        None => Err(LineError::NoChip {
            chip: name.to_owned(),
            there: list(there),
        }),
    }
}

fn refused(line: &Line, found: &gpio_cdev::Line, error: &gpio_cdev::Error) -> LineError {
    let user = found.info().ok().filter(gpio_cdev::LineInfo::is_used);
    match user {
        Some(info) => LineError::Busy {
            line: line.to_string(),
            by: match info.consumer() {
                Some(name) if !name.is_empty() => format!("`{name}`"),
                _ => "another program".to_owned(),
            },
        },
        None => LineError::failed(line, "take it", error),
    }
}

/// What is there, for a message.
pub(super) fn list(mut there: Vec<String>) -> String {
    if there.is_empty() {
        return "none".to_owned();
    }
    there.sort();
    there.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_from_the_time_of_day_is_no_time_of_ours() {
        let now = Duration::from_secs(100);
        let just = Duration::from_millis(99_990);
        assert_eq!(believable(just, now), just);
        assert_eq!(believable(Duration::from_secs(1_800_000_000), now), now);
    }

    #[test]
    fn a_chip_that_is_not_there_is_named_with_those_that_are() {
        let line = Line {
            chip: "gpiochip77".into(),
            name: LineName::Number(17),
        };
        let shown = output(&line, Active::High)
            .expect_err("no machine has that many")
            .to_string();
        assert!(
            shown.contains("gpiochip77") && shown.contains("GPIO chip"),
            "{shown}"
        );
    }
}
