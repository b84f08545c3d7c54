// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines of the Raspberry Pi through `rppal`.
//!
//! That library is retired (no new boards since 2025); the GPIO character device ([`super::gpio`]) does the same on
//! every board, so nothing depends on this file.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rppal::gpio::{Gpio, InputPin, OutputPin, Trigger};

use super::pin::Pin;
use super::{Edge, Key, LineError, clock};
use crate::board::panel::{Active, Button, Line, LineName, Pull};

/// An output that is dark from the moment it is ours.
pub(super) fn output(line: &Line, active: Active) -> Result<Pin<OutputPin>, LineError> {
    let pin = take(line)?;
    let pin = match active {
        Active::High => pin.into_output_low(),
        Active::Low => pin.into_output_high(),
    };
    Ok(Pin::new(pin, active, line))
}

/// A key with edges.
#[derive(Debug)]
pub struct RpiKey {
    pin: Pin<InputPin>,
    edges: Receiver<Edge>,
}

impl RpiKey {
    /// Takes the line and its edges.
    ///
    /// # Errors
    /// When this is no Raspberry Pi that the library knows, or the line cannot be had.
    pub fn open(button: &Button) -> Result<Self, LineError> {
        let pin = take(&button.line)?;
        let mut pin = match button.pull {
            Pull::Down => pin.into_input_pulldown(),
            Pull::None => pin.into_input(),
            Pull::Up => pin.into_input_pullup(),
        };
        let (sender, edges) = channel();
        let down_is_high = button.active == Active::High;
        // Its waiting calls exclude each other, also for different pins; its threads do not.
        pin.set_async_interrupt(Trigger::Both, None, move |event| {
            let edge = Edge {
                down: (event.trigger == Trigger::RisingEdge) == down_is_high,
                at: event.timestamp.min(clock::monotonic()),
            };
            // After the end nobody listens.
            let _ = sender.send(edge);
        })
        .map_err(|error| LineError::failed(&button.line, "listen for edges", error))?;
        Ok(Self {
            pin: Pin::new(pin, button.active, &button.line),
            edges,
        })
    }
}

impl Key for RpiKey {
    fn down(&mut self) -> Result<bool, LineError> {
        self.pin.is_active()
    }

    fn wait(&mut self, at_most: Duration) -> Result<Option<Edge>, LineError> {
        match self.edges.recv_timeout(at_most) {
            Ok(edge) => Ok(Some(edge)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(LineError::failed(
                self.pin.line(),
                "listen for edges",
                "the thread of rppal has ended",
            )),
        }
    }
}

fn take(line: &Line) -> Result<rppal::gpio::Pin, LineError> {
    let number = match line.name {
        LineName::Number(number) => u8::try_from(number).ok(),
        LineName::Name(_) => None,
    };
    let number = number.ok_or_else(|| LineError::NoLine {
        line: line.to_string(),
        lines: 54,
    })?;
    Gpio::new()
        .and_then(|gpio| gpio.get(number))
        .map_err(|error| LineError::failed(line, "take it", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_another_machine_the_line_is_named() {
        let line = Line {
            chip: "rppal".into(),
            name: LineName::Number(17),
        };
        // On a Raspberry Pi whose line is free there is nothing to complain about.
        if let Err(error) = output(&line, Active::High) {
            assert!(
                error
                    .to_string()
                    .starts_with("line 17 of rppal: cannot take it"),
                "{error}"
            );
        }
    }
}
