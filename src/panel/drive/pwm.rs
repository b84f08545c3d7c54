// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brightness from hardware: channels of /sys/class/pwm, and LEDs on any channel of `embedded-hal`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use embedded_hal::pwm::{ErrorKind, ErrorType, SetDutyCycle};

use super::gpio::list;
use super::{FULL, Leds, LineError};
use crate::board::panel::{Active, Wire};

/// LEDs on PWM channels.
#[derive(Debug)]
pub struct PwmLeds<C: SetDutyCycle<Error: fmt::Display>>(Vec<Dimmed<C>>);

#[derive(Debug)]
struct Dimmed<C> {
    channel: C,
    active: Active,
    name: String,
}

impl PwmLeds<Channel> {
    /// The channels of `wires` below `root`, dark.
    ///
    /// # Errors
    /// When one is not there, or may not be written to.
    pub fn open(wires: &[Wire], root: &Path) -> Result<Self, LineError> {
        let mut channels = Vec::new();
        for wire in wires {
            if let Wire::Pwm {
                chip,
                channel,
                frequency,
                active,
            } = wire
            {
                let name = format!("channel {channel} of {chip}");
                let channel = Channel::open(root, chip, *channel, *frequency)?;
                channels.push((channel, *active, name));
            }
        }
        Self::new(channels)
    }
}

impl<C: SetDutyCycle<Error: fmt::Display>> PwmLeds<C> {
    /// LEDs on channels, with the level that lights them and what messages call them; dark.
    ///
    /// # Errors
    /// When a channel refuses.
    pub fn new(channels: Vec<(C, Active, String)>) -> Result<Self, LineError> {
        let mut leds = Self(
            channels
                .into_iter()
                .map(|(channel, active, name)| Dimmed {
                    channel,
                    active,
                    name,
                })
                .collect(),
        );
        leds.set(&[])?;
        Ok(leds)
    }

    /// Sets every channel, also after one has failed; what has no entry goes dark.
    fn set(&mut self, duty: &[u16]) -> Result<(), LineError> {
        let mut result = Ok(());
        for (index, led) in self.0.iter_mut().enumerate() {
            let lit = duty.get(index).copied().unwrap_or(0);
            let high = match led.active {
                Active::High => lit,
                Active::Low => FULL - lit,
            };
            let set = led.channel.set_duty_cycle_fraction(high, FULL);
            result = result.and(
                set.map_err(|error| LineError::failed(&led.name, "set the brightness", error)),
            );
        }
        result
    }
}

impl<C: SetDutyCycle<Error: fmt::Display> + fmt::Debug + Send> Leds for PwmLeds<C> {
    fn light(&mut self, duty: &[u16], _at_most: Duration) -> Result<(), LineError> {
        self.set(duty)
    }
}

impl<C: SetDutyCycle<Error: fmt::Display>> Drop for PwmLeds<C> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.set(&[]);
    }
}

/// One channel of /sys/class/pwm. Inverting is left to [`PwmLeds`]: not every chip can.
#[derive(Debug)]
pub struct Channel {
    folder: PathBuf,
    /// Nanoseconds.
    period: u64,
}

/// The system does not let a channel be set.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ChannelError(#[from] io::Error);

impl embedded_hal::pwm::Error for ChannelError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Channel {
    type Error = ChannelError;
}

impl SetDutyCycle for Channel {
    fn max_duty_cycle(&self) -> u16 {
        FULL
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), ChannelError> {
        let nanos = self.period * u64::from(duty) / u64::from(FULL);
        Ok(write(&self.folder.join("duty_cycle"), &nanos.to_string())?)
    }
}

impl Channel {
    fn open(root: &Path, chip: &str, channel: u32, frequency: u32) -> Result<Self, LineError> {
        let chips = root.join(chip);
        let name = format!("channel {channel} of {chip}");
        if !chips.is_dir() {
            let there = std::fs::read_dir(root).into_iter().flatten().flatten();
            let there = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
            return Err(LineError::NotThere {
                what: format!("PWM chip `{chip}` in {}", root.display()),
                there: list(there.collect()),
            });
        }
        let folder = chips.join(format!("pwm{channel}"));
        if !folder.is_dir() {
            write(&chips.join("export"), &channel.to_string())
                .map_err(|error| LineError::failed(&name, "take it", error))?;
        }
        let opened = Self {
            folder,
            period: 1_000_000_000 / u64::from(frequency.max(1)),
        };
        let period = opened.period.to_string();
        // A period below the time that is left on from before would be refused.
        opened
            .write("duty_cycle", "0")
            .and_then(|()| opened.write("period", &period))
            .and_then(|()| opened.write("enable", "1"))
            .map_err(|error| LineError::failed(&name, "set it up", error))?;
        Ok(opened)
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        write(&self.folder.join(file), text)
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // Not created: in /sys what is not there cannot be made.
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).truncate(true).open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use embedded_hal_mock::eh1::MockError;
    use embedded_hal_mock::eh1::pwm::{Mock, Transaction};

    use super::*;

    const LASTS: Duration = Duration::from_secs(1);

    #[test]
    fn brightness_is_part_of_what_the_channel_can_and_the_ends_are_dark() {
        let mut high = Mock::new(&[
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(0),
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(500),
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(0),
        ]);
        let mut low = Mock::new(&[
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(1000),
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(0),
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(1000),
        ]);
        let mut leds = PwmLeds::new(vec![
            (high.clone(), Active::High, "a".to_owned()),
            (low.clone(), Active::Low, "b".to_owned()),
        ])
        .unwrap();
        leds.light(&[FULL / 2 + 1, FULL], LASTS).unwrap();
        drop(leds);
        high.done();
        low.done();
    }

    #[test]
    fn a_channel_that_fails_is_named() {
        let mut mock = Mock::new(&[
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(0).with_error(MockError::Io(io::ErrorKind::NotConnected)),
            Transaction::max_duty_cycle(1000),
            Transaction::set_duty_cycle(0),
        ]);
        let channels = vec![(
            mock.clone(),
            Active::High,
            "channel 0 of pwmchip0".to_owned(),
        )];
        let shown = PwmLeds::new(channels).unwrap_err().to_string();
        assert!(
            shown.starts_with("channel 0 of pwmchip0: cannot set the brightness"),
            "{shown}"
        );
        mock.done();
    }

    fn wire(channel: u32) -> Wire {
        Wire::Pwm {
            chip: "pwmchip0".into(),
            channel,
            frequency: 1000,
            active: Active::High,
        }
    }

    #[test]
    fn a_channel_of_the_kernel_is_set_up_and_set() {
        let root = tempfile::tempdir().unwrap();
        let channel = root.path().join("pwmchip0/pwm1");
        std::fs::create_dir_all(&channel).unwrap();
        for file in ["duty_cycle", "period", "enable"] {
            std::fs::write(channel.join(file), "").unwrap();
        }
        let read = |file: &str| std::fs::read_to_string(channel.join(file)).unwrap();
        let mut leds = PwmLeds::open(&[wire(1)], root.path()).unwrap();
        assert_eq!(
            (read("period").as_str(), read("enable").as_str()),
            ("1000000", "1")
        );
        assert_eq!(read("duty_cycle"), "0");
        leds.light(&[FULL], LASTS).unwrap();
        assert_eq!(read("duty_cycle"), "1000000");
        drop(leds);
        assert_eq!(read("duty_cycle"), "0");
    }

    #[test]
    fn a_chip_or_channel_that_is_not_there_is_named() {
        let root = tempfile::tempdir().unwrap();
        let shown = PwmLeds::open(&[wire(1)], root.path())
            .unwrap_err()
            .to_string();
        assert!(
            shown.contains("PWM chip `pwmchip0`") && shown.contains("this machine has none"),
            "{shown}"
        );
        std::fs::create_dir(root.path().join("pwmchip0")).unwrap();
        let shown = PwmLeds::open(&[wire(1)], root.path())
            .unwrap_err()
            .to_string();
        assert!(
            shown.starts_with("channel 1 of pwmchip0: cannot take it"),
            "{shown}"
        );
    }
}
