// SPDX-License-Identifier: MIT OR Apache-2.0
//! The buttons of the box: gestures become wishes of a person who stands at it.

use std::time::{Duration, Instant};

use roomseal_panel::board::panel::{Button, Panel};
use roomseal_panel::drive::{Places, key, watch};
use roomseal_panel::gesture::{Gesture, Timing};

use crate::control::{Command, Control, Medium, Origin, Reply, Switch};
use crate::status::Publisher;
use crate::supervise::{Heartbeat, Stop, Supervisor};

/// How often a line that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How often a waiting thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(250);

/// A loop that is silent for this long hangs.
const HUNG: Duration = Duration::from_secs(15);

/// What a button is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// End-to-end encryption: a press turns it on, or ends a countdown; held, it announces that it goes off.
    E2ee,
    /// The microphone.
    Mute,
}

impl For {
    fn name(self) -> &'static str {
        match self {
            Self::E2ee => "button",
            Self::Mute => "mute button",
        }
    }

    /// What a gesture wishes, if anything.
    fn wish(self, gesture: Gesture) -> Option<Command> {
        match (self, gesture) {
            (Self::E2ee, Gesture::Press) => Some(Command::Press),
            (Self::E2ee, Gesture::Hold { step: 0 }) => Some(Command::Hold),
            (Self::Mute, Gesture::Press) => Some(Command::Mute {
                what: Medium::Microphone,
                to: Switch::Toggle,
            }),
            _ => None,
        }
    }
}

/// What a button needs to be heard.
struct Ear {
    purpose: For,
    control: Control,
    status: Publisher,
    stop: Stop,
    pulse: Heartbeat,
    runtime: tokio::runtime::Handle,
}

/// Watches the buttons of `panel`, each on a thread of its own. A button that is missing or stuck is a trouble that is
/// shown and heals; the box meets without it.
///
/// # Errors
/// When the system gives no thread.
pub fn start(
    panel: &Panel,
    places: &Places,
    control: &Control,
    status: &Publisher,
    supervisor: &mut Supervisor,
) -> std::io::Result<()> {
    let buttons = [(For::E2ee, &panel.button), (For::Mute, &panel.mute_button)];
    for (purpose, button) in buttons {
        let Some(button) = button.clone() else {
            continue;
        };
        let ear = Ear {
            purpose,
            control: control.clone(),
            status: status.clone(),
            stop: supervisor.stop(),
            pulse: supervisor.heartbeat(purpose.name(), HUNG),
            runtime: tokio::runtime::Handle::current(),
        };
        let places = places.clone();
        supervisor.thread(purpose.name(), move || {
            ear.mind(&button, &places);
            Ok(())
        })?;
    }
    Ok(())
}

impl Ear {
    /// Watches `button` until the box stops.
    fn mind(&self, button: &Button, places: &Places) {
        let timing = Timing {
            debounce: button.debounce,
            ..Timing::default()
        };
        while self.wanted() {
            let ended = key(button, places).and_then(|mut key| {
                self.trouble(None);
                watch(
                    key.as_mut(),
                    timing,
                    || self.wanted(),
                    |gesture| self.told(gesture),
                )
            });
            if let Err(error) = ended {
                self.trouble(Some(format!(
                    "this box has no {}: {error}",
                    self.purpose.name()
                )));
                let failed = Instant::now();
                while self.wanted() && failed.elapsed() < AGAIN {
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    fn told(&self, gesture: Gesture) {
        if let Some(wish) = self.purpose.wish(gesture) {
            let control = self.control.clone();
            let name = self.purpose.name();
            // What came of it is said by the lamp, and noted in what happened; a wish that never got there is said here.
            self.runtime.spawn(async move {
                match control.order(Origin::Box, wish).await {
                    Reply::Denied(why) | Reply::NotNow(why) => {
                        tracing::warn!("what was done with the {name} had no effect: {why}");
                    }
                    Reply::Done(_) | Reply::Link(_) | Reply::Wrong(_) => {}
                }
            });
        }
        match gesture {
            Gesture::Stuck => {
                let text = format!(
                    "the {} is stuck: it counts again when it has been let go",
                    self.purpose.name()
                );
                tracing::warn!("{text}");
                self.status.fault(self.purpose.name(), Some(text));
            }
            Gesture::Freed => self.trouble(None),
            Gesture::Hold { .. } | Gesture::Press | Gesture::Release { .. } => {}
        }
    }

    fn trouble(&self, text: Option<String>) {
        let known = |status: &crate::status::Status| {
            let mut troubles = status.troubles.iter();
            troubles
                .find(|t| t.about == self.purpose.name())
                .map(|t| t.text.clone())
        };
        if known(&self.status.watch().borrow()) != text {
            if let Some(text) = &text {
                tracing::warn!("{text}");
            }
            self.status.trouble(self.purpose.name(), text);
        }
    }

    fn wanted(&self) -> bool {
        self.pulse.beat();
        !self.stop.is_asked()
    }
}
