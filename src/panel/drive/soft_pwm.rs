// SPDX-License-Identifier: MIT OR Apache-2.0
//! Brightness for LEDs on plain lines: pulses made by a thread, and no thread awake where none are needed.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use embedded_hal::digital::OutputPin;
use rustix::thread::ClockId;

use super::pin::Pin;
use super::{FULL, Leds, LineError, clock};

/// 200 pulses a second: more than eyes see flickering. A light of ours takes two wake-ups in each, as all its colours
/// that are dimmed are dimmed alike.
pub const PERIOD: Duration = Duration::from_millis(5);

/// LEDs that are made darker by being off part of the time.
#[derive(Debug)]
pub struct SoftPwm {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    duty: Vec<u16>,
    end: bool,
    /// Why the thread has given up.
    failed: Option<String>,
}

impl SoftPwm {
    /// All dark, on a thread of its own.
    ///
    /// # Errors
    /// When a pin refuses, or the system gives no thread.
    pub fn start<P>(pins: Vec<Pin<P>>) -> Result<Self, LineError>
    where
        P: OutputPin<Error: fmt::Display> + Send + 'static,
    {
        let mut pins = Pins(pins);
        pins.dark()?;
        let names = pins.names();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("lamp-pwm".into())
            .spawn(move || {
                // The kernel may be up to 50 µs late by default, which is seen at low brightness. Some sandboxes
                // forbid it.
                let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
                let outcome = run(&mut pins, &theirs, &Kernel);
                theirs.lock().failed = Some(match outcome {
                    Ok(()) => "the thread that makes the pulses has ended".to_owned(),
                    Err(error) => error.to_string(),
                });
            })
            .map_err(|error| LineError::failed(names, "start a thread for pulses", error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Leds for SoftPwm {
    fn light(&mut self, duty: &[u16], _at_most: Duration) -> Result<(), LineError> {
        let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        let mut state = self.shared.lock();
        if let Some(reason) = &state.failed {
            return Err(LineError::failed("lamp", "make pulses", reason));
        }
        if ended {
            return Err(LineError::failed(
                "lamp",
                "make pulses",
                "its thread panicked",
            ));
        }
        if state.duty != duty {
            state.duty = duty.to_vec();
            self.shared.changed.notify_one();
        }
        Ok(())
    }
}

impl Drop for SoftPwm {
    fn drop(&mut self) {
        self.shared.lock().end = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It darkens its pins whatever it ends with.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole at any time; a panic elsewhere changes nothing about it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pins that go dark when they are dropped, in a panic too.
struct Pins<P: OutputPin<Error: fmt::Display>>(Vec<Pin<P>>);

impl<P: OutputPin<Error: fmt::Display>> Pins<P> {
    fn dark(&mut self) -> Result<(), LineError> {
        let set = |result: Result<(), LineError>, pin: &mut Pin<P>| result.and(pin.set(false));
        self.0.iter_mut().fold(Ok(()), set)
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(Pin::line).collect();
        names.join(", ")
    }
}

impl<P: OutputPin<Error: fmt::Display>> Drop for Pins<P> {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.dark();
    }
}

fn run<P: OutputPin<Error: fmt::Display>>(
    pins: &mut Pins<P>,
    shared: &Shared,
    time: &impl Time,
) -> Result<(), LineError> {
    let mut lit = vec![false; pins.0.len()];
    let mut duty = vec![0; pins.0.len()];
    let mut start = time.now();
    loop {
        {
            let mut state = shared.lock();
            // Fully on or off needs no pulses: sleep until something else is wanted.
            while !state.end && state.duty == duty && steady(&duty) {
                state = shared
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                start = time.now();
            }
            if state.end {
                return Ok(());
            }
            duty.fill(0);
            for (duty, wanted) in duty.iter_mut().zip(&state.duty) {
                *duty = *wanted;
            }
            // What is not ours to light is not wanted either: the loop above compares whole.
            state.duty.clone_from(&duty);
        }
        for ((pin, lit), duty) in pins.0.iter_mut().zip(&mut lit).zip(&duty) {
            switch(pin, lit, *duty > 0)?;
        }
        let mut done = 0;
        while let Some(next) = next_off(&duty, done) {
            time.sleep_until(start + PERIOD.mul_f64(f64::from(next) / f64::from(FULL)));
            for ((pin, lit), duty) in pins.0.iter_mut().zip(&mut lit).zip(&duty) {
                if *duty == next {
                    switch(pin, lit, false)?;
                }
            }
            done = next;
        }
        if !steady(&duty) {
            start += PERIOD;
            let now = time.now();
            if now > start + PERIOD {
                // Held up: what was missed is not made up for.
                start = now;
            }
            time.sleep_until(start);
        }
    }
}

/// The next time in a period at which LEDs go off, after `done`.
fn next_off(duty: &[u16], done: u16) -> Option<u16> {
    let left = duty.iter().filter(|duty| **duty > done && **duty < FULL);
    left.min().copied()
}

fn steady(duty: &[u16]) -> bool {
    duty.iter().all(|duty| matches!(*duty, 0 | FULL))
}

fn switch<P: OutputPin<Error: fmt::Display>>(
    pin: &mut Pin<P>,
    lit: &mut bool,
    on: bool,
) -> Result<(), LineError> {
    if *lit != on {
        pin.set(on)?;
        *lit = on;
    }
    Ok(())
}

/// A clock to sleep by.
trait Time {
    fn now(&self) -> Duration;
    fn sleep_until(&self, at: Duration);
}

/// The kernel's clock, with absolute deadlines: lateness does not add up.
struct Kernel;

impl Time for Kernel {
    fn now(&self) -> Duration {
        clock::monotonic()
    }

    fn sleep_until(&self, at: Duration) {
        let Ok(at) = rustix::thread::Timespec::try_from(at) else {
            return;
        };
        // Interrupted by a signal: the time is absolute, so it is simply asked for again.
        while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &at)
            == Err(rustix::io::Errno::INTR)
        {}
    }
}

#[cfg(test)]
mod tests;
