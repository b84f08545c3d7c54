// SPDX-License-Identifier: MIT OR Apache-2.0
//! One pin with its polarity, and LEDs that are on or off, on any pin of `embedded-hal`.

use std::fmt;
use std::time::Duration;

use embedded_hal::digital::{InputPin, OutputPin, PinState};

use super::{FULL, Leds, LineError};
use crate::board::panel::Active;

/// A pin that knows which level is active, and what people call it.
pub struct Pin<P> {
    pin: P,
    active: Active,
    line: String,
}

impl<P> Pin<P> {
    /// `line` is what messages call it.
    pub fn new(pin: P, active: Active, line: impl fmt::Display) -> Self {
        Self {
            pin,
            active,
            line: line.to_string(),
        }
    }

    /// What messages call it.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The pin itself.
    pub fn inner(&mut self) -> &mut P {
        &mut self.pin
    }
}

impl<P: OutputPin<Error: fmt::Display>> Pin<P> {
    /// Lit, or dark.
    ///
    /// # Errors
    /// When the pin refuses.
    pub fn set(&mut self, on: bool) -> Result<(), LineError> {
        let state = PinState::from(on == (self.active == Active::High));
        self.pin
            .set_state(state)
            .map_err(|error| LineError::failed(&self.line, "set the level", error))
    }
}

impl<P: InputPin<Error: fmt::Display>> Pin<P> {
    /// Whether the active level is there.
    ///
    /// # Errors
    /// When the pin cannot be read.
    pub fn is_active(&mut self) -> Result<bool, LineError> {
        match self.active {
            Active::High => self.pin.is_high(),
            Active::Low => self.pin.is_low(),
        }
        .map_err(|error| LineError::failed(&self.line, "read the level", error))
    }
}

impl<P> fmt::Debug for Pin<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (active {:?})", self.line, self.active)
    }
}

/// LEDs that are on or off.
#[derive(Debug)]
pub struct Switched<P: OutputPin<Error: fmt::Display>> {
    /// With what each was last told, where it obeyed.
    pins: Vec<(Pin<P>, Option<bool>)>,
}

impl<P: OutputPin<Error: fmt::Display>> Switched<P> {
    /// All dark.
    ///
    /// # Errors
    /// When a pin refuses.
    pub fn new(pins: Vec<Pin<P>>) -> Result<Self, LineError> {
        let mut switched = Self {
            pins: pins.into_iter().map(|pin| (pin, None)).collect(),
        };
        switched.set(|_| false)?;
        Ok(switched)
    }

    /// Sets every pin, also after one has failed: what can go dark goes dark.
    fn set(&mut self, on: impl Fn(usize) -> bool) -> Result<(), LineError> {
        let mut result = Ok(());
        for (index, (pin, told)) in self.pins.iter_mut().enumerate() {
            let on = on(index);
            if *told == Some(on) {
                continue;
            }
            let set = pin.set(on);
            *told = set.is_ok().then_some(on);
            result = result.and(set);
        }
        result
    }
}

impl<P: OutputPin<Error: fmt::Display> + fmt::Debug + Send> Leds for Switched<P> {
    fn light(&mut self, duty: &[u16], _at_most: Duration) -> Result<(), LineError> {
        self.set(|index| duty.get(index).is_some_and(|duty| *duty > FULL / 2))
    }
}

impl<P: OutputPin<Error: fmt::Display>> Drop for Switched<P> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.set(|_| false);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::digital::{Mock, State, Transaction};

    use super::*;

    const LASTS: Duration = Duration::from_secs(1);

    #[test]
    fn an_led_is_lit_by_its_active_level_and_dark_at_both_ends() {
        let mut high = Mock::new(&[
            Transaction::set(State::Low),
            Transaction::set(State::High),
            Transaction::set(State::Low),
        ]);
        let mut low = Mock::new(&[
            Transaction::set(State::High),
            Transaction::set(State::Low),
            Transaction::set(State::High),
        ]);
        let pins = vec![
            Pin::new(high.clone(), Active::High, "high"),
            Pin::new(low.clone(), Active::Low, "low"),
        ];
        let mut leds = Switched::new(pins).unwrap();
        leds.light(&[FULL, FULL], LASTS).unwrap();
        // The same again moves nothing.
        leds.light(&[FULL, FULL / 2 + 1], LASTS).unwrap();
        drop(leds);
        high.done();
        low.done();
    }

    #[test]
    fn a_pin_that_fails_is_named_and_the_others_go_dark_all_the_same() {
        let error = MockError::Io(std::io::ErrorKind::NotConnected);
        let mut broken = Mock::new(&[
            Transaction::set(State::Low),
            Transaction::set(State::High),
            Transaction::set(State::Low).with_error(error),
            // It is tried again.
            Transaction::set(State::Low),
        ]);
        let mut sound = Mock::new(&[
            Transaction::set(State::Low),
            Transaction::set(State::High),
            Transaction::set(State::Low),
        ]);
        let pins = vec![
            Pin::new(broken.clone(), Active::High, "line 3 of c"),
            Pin::new(sound.clone(), Active::High, "line 4 of c"),
        ];
        let mut leds = Switched::new(pins).unwrap();
        leds.light(&[FULL, FULL], LASTS).unwrap();
        let shown = leds.light(&[0, 0], LASTS).unwrap_err().to_string();
        assert!(
            shown.starts_with("line 3 of c: cannot set the level"),
            "{shown}"
        );
        leds.light(&[0, 0], LASTS).unwrap();
        drop(leds);
        broken.done();
        sound.done();
    }

    #[test]
    fn a_key_is_down_at_its_active_level() {
        let mut mock = Mock::new(&[
            Transaction::get(State::High),
            Transaction::get(State::Low),
            Transaction::get(State::High)
                .with_error(MockError::Io(std::io::ErrorKind::NotConnected)),
        ]);
        let mut key = Pin::new(mock.clone(), Active::Low, "line 3 of c");
        assert!(!key.is_active().unwrap());
        assert!(key.is_active().unwrap());
        let shown = key.is_active().unwrap_err().to_string();
        assert!(
            shown.starts_with("line 3 of c: cannot read the level"),
            "{shown}"
        );
        mock.done();
    }
}
