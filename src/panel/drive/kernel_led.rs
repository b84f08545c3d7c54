// SPDX-License-Identifier: MIT OR Apache-2.0
//! LEDs that the kernel drives (/sys/class/leds): each brightness is given as a pattern that ends dark, so the LED goes
//! dark even if this program is killed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::gpio::list;
use super::{FULL, Leds, LineError};

/// LEDs of the kernel that belong together.
#[derive(Debug)]
pub struct KernelLeds(Vec<Led>);

#[derive(Debug)]
struct Led {
    name: String,
    folder: PathBuf,
    max: u32,
    /// The kernel has the `pattern` trigger: without it, an LED stays as it was told last.
    ends: bool,
}

impl KernelLeds {
    /// The LEDs of these names below `root`, dark.
    ///
    /// # Errors
    /// When one is not there, or may not be written to.
    pub fn open<'a>(root: &Path, names: impl Iterator<Item = &'a str>) -> Result<Self, LineError> {
        let mut leds = Self(Vec::new());
        for name in names {
            leds.0.push(Led::open(root, name)?);
        }
        Ok(leds)
    }
}

impl Leds for KernelLeds {
    fn light(&mut self, duty: &[u16], at_most: Duration) -> Result<(), LineError> {
        let mut result = Ok(());
        for (led, duty) in self.0.iter().zip(duty) {
            result = result.and(led.light(*duty, at_most));
        }
        result
    }
}

impl Led {
    fn open(root: &Path, name: &str) -> Result<Self, LineError> {
        let folder = root.join(name);
        if !folder.is_dir() {
            let there = std::fs::read_dir(root).into_iter().flatten().flatten();
            let there = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
            return Err(LineError::NotThere {
                what: format!("LED `{name}` in {}", root.display()),
                there: list(there.collect()),
            });
        }
        let mut led = Self {
            name: name.to_owned(),
            max: 1,
            ends: false,
            folder,
        };
        let max = std::fs::read_to_string(led.folder.join("max_brightness"));
        led.max = max
            .and_then(|max| max.trim().parse().map_err(io::Error::other))
            .map_err(|error| led.failed("read max_brightness", &error))?;
        // Whatever blinked there before ends; the file `pattern` comes with its trigger.
        led.write("trigger", "none")
            .map_err(|error| led.failed("take the LED from its trigger", &error))?;
        led.ends = led.write("trigger", "pattern").is_ok() && led.folder.join("pattern").exists();
        if led.ends {
            led.write("repeat", "1")
                .map_err(|error| led.failed("let a pattern end", &error))?;
        } else {
            tracing::warn!(
                led = name,
                "the kernel has no `pattern` trigger: this LED would outlive a killed lamp process; load ledtrig-pattern"
            );
        }
        led.light(0, Duration::ZERO)?;
        Ok(led)
    }

    fn light(&self, duty: u16, at_most: Duration) -> Result<(), LineError> {
        // What is lit at all stays lit on an LED with few steps.
        let level = (u64::from(duty) * u64::from(self.max)).div_ceil(u64::from(FULL));
        let written = if self.ends {
            // Pairs of brightness and time; a time of 0 makes the step to the next pair a sudden one. Never through
            // `brightness`: writing 0 there would take the trigger away.
            let millis = at_most.as_millis().max(1);
            self.write("pattern", &format!("{level} {millis} {level} 0 0 1000 0 0"))
        } else {
            self.write("brightness", &level.to_string())
        };
        written.map_err(|error| self.failed("set the brightness", &error))
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        // Not created: in /sys what is not there cannot be made.
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .truncate(true)
            .open(self.folder.join(file))?;
        io::Write::write_all(&mut file, text.as_bytes())
    }

    fn failed(&self, action: &'static str, reason: &io::Error) -> LineError {
        LineError::failed(format_args!("LED `{}`", self.name), action, reason)
    }
}

impl Drop for Led {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.write("trigger", "none");
        let _ = self.write("brightness", "0");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn led(root: &Path, name: &str, files: &[(&str, &str)]) {
        let folder = root.join(name);
        std::fs::create_dir(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
    }

    fn read(root: &Path, file: &str) -> String {
        std::fs::read_to_string(root.join(file)).unwrap()
    }

    const WITH_PATTERN: [(&str, &str); 5] = [
        ("max_brightness", "255\n"),
        ("brightness", "77"),
        ("trigger", "mmc0"),
        ("pattern", ""),
        ("repeat", "-1"),
    ];

    #[test]
    fn what_is_lit_ends_by_itself() {
        let root = tempfile::tempdir().unwrap();
        led(root.path(), "green", &WITH_PATTERN);
        let mut leds = KernelLeds::open(root.path(), ["green"].into_iter()).unwrap();
        assert_eq!(read(root.path(), "green/trigger"), "pattern");
        assert_eq!(read(root.path(), "green/repeat"), "1");
        assert_eq!(read(root.path(), "green/pattern"), "0 1 0 0 0 1000 0 0");
        leds.light(&[FULL / 2 + 1], Duration::from_millis(1500))
            .unwrap();
        assert_eq!(
            read(root.path(), "green/pattern"),
            "128 1500 128 0 0 1000 0 0"
        );
        drop(leds);
        assert_eq!(read(root.path(), "green/trigger"), "none");
        assert_eq!(read(root.path(), "green/brightness"), "0");
    }

    #[test]
    fn without_patterns_the_brightness_itself_is_set() {
        let root = tempfile::tempdir().unwrap();
        led(root.path(), "red", &WITH_PATTERN[..3]);
        led(root.path(), "green", &WITH_PATTERN[..3]);
        let mut leds = KernelLeds::open(root.path(), ["red", "green"].into_iter()).unwrap();
        assert_eq!(read(root.path(), "red/brightness"), "0");
        leds.light(&[FULL, 1], Duration::from_secs(1)).unwrap();
        assert_eq!(read(root.path(), "red/brightness"), "255");
        assert_eq!(read(root.path(), "green/brightness"), "1");
    }

    #[test]
    fn an_led_that_is_not_there_is_named_with_those_that_are() {
        let root = tempfile::tempdir().unwrap();
        led(root.path(), "ACT", &[]);
        let shown = KernelLeds::open(root.path(), ["green"].into_iter())
            .unwrap_err()
            .to_string();
        assert!(
            shown.contains("LED `green`") && shown.contains("this machine has ACT"),
            "{shown}"
        );
        let shown = KernelLeds::open(root.path(), ["ACT"].into_iter())
            .unwrap_err()
            .to_string();
        assert!(
            shown.starts_with("LED `ACT`: cannot read max_brightness"),
            "{shown}"
        );
    }
}
