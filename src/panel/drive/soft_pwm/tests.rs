// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pulses, watched from outside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::sync::mpsc::{Sender, channel};

use embedded_hal::digital::{ErrorType, PinState};
use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::digital::{Mock, State as Level, Transaction};

use super::*;
use crate::board::panel::Active;

const LASTS: Duration = Duration::from_secs(1);

/// A pin that tells when it moved.
struct Watched(Sender<(bool, Duration)>);

impl ErrorType for Watched {
    type Error = Infallible;
}

impl OutputPin for Watched {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // A test that has seen enough hangs up.
        let _ = self.0.send((false, clock::monotonic()));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        let _ = self.0.send((true, clock::monotonic()));
        Ok(())
    }
}

/// A pin that expects its calls, and tells each.
struct Expecting(Mock, Sender<()>);

impl ErrorType for Expecting {
    type Error = MockError;
}

impl OutputPin for Expecting {
    fn set_low(&mut self) -> Result<(), MockError> {
        self.set_state(PinState::Low)
    }

    fn set_high(&mut self) -> Result<(), MockError> {
        self.set_state(PinState::High)
    }

    fn set_state(&mut self, state: PinState) -> Result<(), MockError> {
        let set = self.0.set_state(state);
        let _ = self.1.send(());
        set
    }
}

#[test]
fn fully_on_and_off_need_no_pulses() {
    // The mock fails at any call that is not expected, so a pulse more would be seen.
    let expected = |levels: &[Level]| {
        levels
            .iter()
            .map(|level| Transaction::set(*level))
            .collect::<Vec<_>>()
    };
    let mut green = Mock::new(&expected(&[
        Level::Low,
        Level::High,
        Level::Low,
        Level::Low,
    ]));
    let mut red = Mock::new(&expected(&[Level::Low, Level::Low]));
    let (sender, calls) = channel();
    let pins = vec![
        Pin::new(Expecting(red.clone(), sender.clone()), Active::High, "red"),
        Pin::new(Expecting(green.clone(), sender), Active::High, "green"),
    ];
    let mut leds = SoftPwm::start(pins).unwrap();
    assert_eq!(calls.iter().take(2).count(), 2);
    leds.light(&[0, FULL], LASTS).unwrap();
    calls.recv().unwrap();
    leds.light(&[0, 0], LASTS).unwrap();
    calls.recv().unwrap();
    drop(leds);
    green.done();
    red.done();
}

/// A clock that is where it is told to be: nothing is ever late.
#[derive(Clone, Default)]
struct Exact(Arc<Mutex<Duration>>);

impl Time for Exact {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, at: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = at.max(*now);
    }
}

/// A pin that notes its pulses by such a clock, and asks for the end after a number of them.
struct Noting {
    time: Exact,
    moves: Arc<Mutex<Vec<(bool, Duration)>>>,
    end: Arc<Shared>,
}

impl ErrorType for Noting {
    type Error = Infallible;
}

impl OutputPin for Noting {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.moves.lock().unwrap().push((false, self.time.now()));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        let mut moves = self.moves.lock().unwrap();
        moves.push((true, self.time.now()));
        self.end.lock().end |= moves.len() >= 40;
        Ok(())
    }
}

#[test]
fn a_pulse_is_as_long_as_asked_and_comes_two_hundred_times_a_second() {
    let time = Exact::default();
    let shared = Arc::new(Shared::default());
    let duty = [FULL / 4, FULL / 2, FULL, 0];
    shared.lock().duty = duty.to_vec();
    let moves: Vec<_> = duty
        .iter()
        .map(|_| Arc::new(Mutex::new(Vec::new())))
        .collect();
    let noting = moves.iter().map(|moves| Noting {
        time: time.clone(),
        moves: Arc::clone(moves),
        end: Arc::clone(&shared),
    });
    let mut pins = Pins(
        noting
            .map(|pin| Pin::new(pin, Active::High, "led"))
            .collect(),
    );
    run(&mut pins, &shared, &time).unwrap();
    let moves = moves.iter().map(|moves| moves.lock().unwrap().clone());
    let moves: Vec<_> = moves.collect();
    for (moves, part) in [(&moves[0], 4), (&moves[1], 2)] {
        let whole = moves[..39].windows(3).filter(|three| three[0].0);
        for pulse in whole {
            assert_eq!(pulse[2].1 - pulse[0].1, PERIOD);
            let long = pulse[1].1 - pulse[0].1;
            assert!(
                long.abs_diff(PERIOD / part) < Duration::from_micros(1),
                "{long:?}"
            );
        }
    }
    assert_eq!(
        moves[2],
        [(true, Duration::ZERO)],
        "fully on needs no pulses"
    );
    assert_eq!(moves[3], [], "off needs none either");
    assert!(PERIOD <= Duration::from_millis(5));
}

#[test]
fn two_hundred_times_a_second_holds_on_a_busy_machine_too() {
    let (sender, moves) = channel();
    let mut leds = SoftPwm::start(vec![Pin::new(Watched(sender), Active::High, "led")]).unwrap();
    assert!(!moves.recv().unwrap().0, "dark at the start");
    leds.light(&[FULL / 4], LASTS).unwrap();
    let rises: Vec<_> = moves.iter().filter(|(on, _)| *on).take(101).collect();
    // Late pulses are made up for by the next: deadlines are absolute.
    let mut gaps: Vec<_> = rises.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
    gaps.sort();
    let gap = gaps[gaps.len() / 2];
    assert!((4..7).contains(&gap.as_millis()), "{gap:?}");
}

/// A pin that costs nothing, so that the thread itself is measured; asks for the end when it has moved often enough.
struct Counting {
    left: usize,
    end: Arc<Shared>,
}

impl ErrorType for Counting {
    type Error = Infallible;
}

impl OutputPin for Counting {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.end.lock().end = true;
        }
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.set_low()
    }
}

/// Runs `work` on a thread of its own; the part of a core that it took.
fn share(work: impl FnOnce() + Send + 'static) -> f64 {
    let thread = std::thread::spawn(move || {
        let began = clock::monotonic();
        work();
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        let spent = Duration::try_from(spent).unwrap();
        spent.as_secs_f64() / (clock::monotonic() - began).as_secs_f64()
    });
    thread.join().unwrap()
}

#[test]
fn pulses_cost_what_waking_up_costs_and_little_more() {
    const PULSES: u32 = 300;
    let shared = Arc::new(Shared::default());
    // Amber: red fully, green a little.
    shared.lock().duty = vec![FULL, FULL / 3, 0];
    let pins = (0..3).map(|_| Counting {
        left: 2 * PULSES as usize,
        end: Arc::clone(&shared),
    });
    let mut pins = Pins(pins.map(|pin| Pin::new(pin, Active::High, "led")).collect());
    let pulses = share(move || run(&mut pins, &shared, &Kernel).unwrap());
    // What the machine takes for the same number of wake-ups without any work.
    let bare = share(|| {
        let start = clock::monotonic();
        for wake in 1..=2 * PULSES {
            Kernel.sleep_until(start + PERIOD / 2 * wake);
        }
    });
    println!(
        "software PWM of amber at 200 Hz: {:.2} % of a core; of that {:.2} % for waking up 400 times a second",
        pulses * 100.0,
        bare * 100.0
    );
    assert!(pulses < bare + 0.005, "{pulses} {bare}");
}

#[test]
fn a_pin_that_fails_is_named_and_every_pin_goes_dark() {
    let (sender, moves) = channel();
    let mut broken = Mock::new(&[
        Transaction::set(Level::Low),
        Transaction::set(Level::High).with_error(MockError::Io(std::io::ErrorKind::NotConnected)),
        Transaction::set(Level::Low),
    ]);
    // Both pins behind one type.
    enum Either {
        Broken(Mock),
        Sound(Watched),
    }
    impl ErrorType for Either {
        type Error = MockError;
    }
    impl OutputPin for Either {
        fn set_low(&mut self) -> Result<(), MockError> {
            self.set_state(PinState::Low)
        }
        fn set_high(&mut self) -> Result<(), MockError> {
            self.set_state(PinState::High)
        }
        fn set_state(&mut self, state: PinState) -> Result<(), MockError> {
            match self {
                Self::Broken(mock) => mock.set_state(state),
                Self::Sound(pin) => {
                    pin.set_state(state).unwrap();
                    Ok(())
                }
            }
        }
    }
    let pins = vec![
        Pin::new(Either::Sound(Watched(sender)), Active::High, "line 4 of c"),
        Pin::new(Either::Broken(broken.clone()), Active::High, "line 5 of c"),
    ];
    let mut leds = SoftPwm::start(pins).unwrap();
    leds.light(&[FULL, FULL], LASTS).unwrap();
    // The thread ends, and its pins with it.
    let levels: Vec<_> = moves.iter().map(|(on, _)| on).collect();
    assert_eq!(levels, [false, true, false]);
    let shown = loop {
        match leds.light(&[FULL, FULL], LASTS) {
            Ok(()) => std::thread::yield_now(),
            Err(error) => break error.to_string(),
        }
    };
    assert!(
        shown.contains("line 5 of c: cannot set the level"),
        "{shown}"
    );
    drop(leds);
    broken.done();
}
