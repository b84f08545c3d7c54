// SPDX-License-Identifier: MIT OR Apache-2.0
//! The buttons of the box: gestures become wishes of a person who stands at it.

use std::time::{Duration, Instant};

use roomseal_panel::board::panel::{Button, Panel};
use roomseal_panel::drive::{Places, key, watch};
use roomseal_panel::gesture::{Gesture, Timing};

use crate::control::{Command, Control, Medium, Origin, Switch};
use crate::status::Publisher;
use crate::supervise::{Heartbeat, Stop, Supervisor};

/// How often a line that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How often a waiting thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(250);

/// A loop that is silent for this long hangs.
const HUNG: Duration = Duration::from_secs(15);

const MUTE: &str = "mute button";

/// What a button needs to be heard.
struct Ear {
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
    let Some(button) = panel.mute_button.clone() else {
        return Ok(());
    };
    let ear = Ear {
        control: control.clone(),
        status: status.clone(),
        stop: supervisor.stop(),
        pulse: supervisor.heartbeat(MUTE, HUNG),
        runtime: tokio::runtime::Handle::current(),
    };
    let places = places.clone();
    supervisor.thread(MUTE, move || {
        ear.mind(&button, &places);
        Ok(())
    })
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
                self.trouble(Some(format!("this box has no {MUTE}: {error}")));
                let failed = Instant::now();
                while self.wanted() && failed.elapsed() < AGAIN {
                    std::thread::sleep(LOOK);
                }
            }
        }
    }

    fn told(&self, gesture: Gesture) {
        match gesture {
            Gesture::Press => {
                let control = self.control.clone();
                let wish = Command::Mute {
                    what: Medium::Microphone,
                    to: Switch::Toggle,
                };
                // What came of it is said by the lamp, and noted in what happened.
                self.runtime
                    .spawn(async move { control.order(Origin::Box, wish).await });
            }
            Gesture::Stuck => self.trouble(Some(format!(
                "the {MUTE} is stuck: it counts again when it has been let go"
            ))),
            Gesture::Freed => self.trouble(None),
            Gesture::Hold { .. } | Gesture::Release { .. } => {}
        }
    }

    fn trouble(&self, text: Option<String>) {
        let known = |status: &crate::status::Status| {
            let mut troubles = status.troubles.iter();
            troubles.find(|t| t.about == MUTE).map(|t| t.text.clone())
        };
        if known(&self.status.watch().borrow()) != text {
            if let Some(text) = &text {
                tracing::warn!("{text}");
            }
            self.status.trouble(MUTE, text);
        }
    }

    fn wanted(&self) -> bool {
        self.pulse.beat();
        !self.stop.is_asked()
    }
}
