// SPDX-License-Identifier: MIT OR Apache-2.0

//! A call without a meeting: what its owner says takes effect when it must.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use gstroomseal::{
    call::{Call, CallConfig, Command, Event},
    capture::{AudioSource, CaptureConfig, VideoSource},
    elements::SealMode,
    present::{PresentConfig, Speaker},
};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Holds the call's own thread while it is closed.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Somebody stands before it.
    held: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes it, and waits until the call's thread stands before it.
    fn hold(self: &Arc<Self>) -> Held {
        let held = Held(Arc::clone(self));
        let mut state = self.state();
        state.closed = true;
        let (state, timeout) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !state.held)
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!timeout.timed_out(), "the call takes no turn");
        held
    }

    fn pass(&self) {
        let mut state = self.state();
        state.held = state.closed;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.held = false;
    }
}

/// Opens the gate when dropped, so that a test that fails can end.
struct Held(Arc<Gate>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.state().closed = false;
        self.0.changed.notify_all();
    }
}

/// Frames that left clear and frames that were held, as the newest look says.
fn counted(
    turns: &mpsc::Receiver<(u64, u64)>,
    what: &str,
    done: impl Fn((u64, u64)) -> bool,
) -> (u64, u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let turn = turns
            .recv_timeout(left)
            .unwrap_or_else(|_| panic!("no {what}"));
        if done(turn) {
            return turn;
        }
    }
}

#[test]
fn no_clear_frame_leaves_after_hold_was_said_although_the_call_is_busy() {
    gstroomseal::plugins::gst_init().unwrap();
    let gate = Arc::new(Gate::default());
    let (sender, turns) = mpsc::channel();
    let entrance = Arc::clone(&gate);
    let call = Call::start(
        CallConfig {
            capture: CaptureConfig {
                video: VideoSource::None,
                audio: AudioSource::TestTone,
                ..CaptureConfig::default()
            },
            present: PresentConfig {
                speaker: Speaker::None,
                ..PresentConfig::default()
            },
        },
        Arc::new(move |event| {
            if let Event::Turn(counts) = event {
                let clear = counts.local.iter().map(|track| track.clear).sum();
                let held = counts.local.iter().map(|track| track.held).sum();
                let _ = sender.send((clear, held));
                entrance.pass();
            }
        }),
    )
    .unwrap();
    call.command(Command::Send(SealMode::Clear));
    let (before, _) = counted(&turns, "clear frames", |(clear, _)| clear > 10);

    let held = gate.hold();
    call.command(Command::Send(SealMode::Hold));
    // Nothing but time makes frames: a hundred of them.
    std::thread::sleep(Duration::from_secs(2));
    drop(held);
    let (after, held) = counted(&turns, "held frames", |(_, held)| held > 0);
    let clear = after - before;
    // What left clear is of the moments between that turn, the next and the command.
    assert!(
        held > 2 * clear,
        "while the call was busy {clear} frames left clear and {held} were held"
    );
}
