// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who on the network may use the page: whoever typed the code that the box showed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header;
use hyper::http::request::Parts;
use tokio::time::Instant;

use super::pairing::{self, Code, Pairing, Tried};
use super::passes::{Pass, Passes};
use crate::control::Reply;
use crate::status::Publisher;

/// The door of the page on the network.
pub(super) struct Gate {
    began: Instant,
    held: Mutex<Held>,
    publisher: Publisher,
}

#[derive(Default)]
struct Held {
    pairing: Pairing,
    passes: Passes,
}

impl Gate {
    pub(super) fn new(publisher: Publisher) -> Self {
        Self {
            began: Instant::now(),
            held: Mutex::default(),
            publisher,
        }
    }

    /// The pass of whoever asks, if it is good.
    pub(super) fn admits(&self, head: &Parts) -> Option<Pass> {
        let cookies = head.headers.get_all(header::COOKIE);
        let pass = Pass::shown(cookies.iter().filter_map(|value| value.to_str().ok()))?;
        self.is_good(&pass).then_some(pass)
    }

    /// Whether a device is still paired.
    pub(super) fn is_good(&self, pass: &Pass) -> bool {
        self.held(|held, now| held.passes.is_good(pass, now))
    }

    /// Shows a code at the box, for a device that wants to be paired.
    pub(super) fn show_code(&self) -> Reply {
        let Ok(new) = Code::random(getrandom::fill) else {
            return no_randomness();
        };
        match self.held(|held, now| held.pairing.show(new.clone(), now)) {
            Ok(code) => {
                if code == new {
                    self.announce(&code);
                }
                Reply::Done("the code is shown at the box; type it here".to_owned())
            }
            Err(pause) => Reply::NotNow(format!(
                "too many wrong codes were typed; try again in {} s",
                pause.as_secs() + 1
            )),
        }
    }

    /// Pairs the device that typed the code.
    ///
    /// # Errors
    /// What to tell it otherwise.
    pub(super) fn pair(&self, typed: &str) -> Result<Pass, Reply> {
        match self.held(|held, now| held.pairing.attempt(typed, now)) {
            Tried::Right => {}
            Tried::Wrong { left: 0 } => {
                self.forget_code();
                self.publisher
                    .happened("a pairing code was guessed at five times, and is void");
                return Err(Reply::Denied(
                    "that was not the code, and now there is none any more; ask for another"
                        .to_owned(),
                ));
            }
            Tried::Wrong { left } => {
                return Err(Reply::Denied(format!(
                    "that is not the code that the box shows; {left} more attempts"
                )));
            }
            Tried::NoCode => {
                return Err(Reply::NotNow(
                    "the box shows no code any more; ask for another".to_owned(),
                ));
            }
        }
        self.forget_code();
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            return Err(no_randomness());
        }
        let pass = Pass::of(random);
        self.held(|held, now| held.passes.issue(&pass, now));
        self.publisher
            .happened("a device on the network was paired");
        Ok(pass)
    }

    /// A device does not want to be paired any more.
    pub(super) fn part(&self, pass: &Pass) {
        self.held(|held, _| held.passes.revoke(pass));
        self.publisher
            .happened("a device on the network is not paired any more");
    }

    fn announce(&self, code: &Code) {
        let words = code.words();
        self.publisher
            .update(|status| status.pairing_code = Some(words.clone()));
        self.publisher
            .happened("a device on the network wants to be paired: the box shows the code");
        let publisher = self.publisher.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pairing::LIFE).await;
            publisher.update(|status| {
                if status.pairing_code.as_deref() == Some(&words) {
                    status.pairing_code = None;
                }
            });
        });
    }

    fn forget_code(&self) {
        self.publisher.update(|status| status.pairing_code = None);
    }

    fn held<T>(&self, with: impl FnOnce(&mut Held, Duration) -> T) -> T {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut held, self.began.elapsed())
    }
}

fn no_randomness() -> Reply {
    Reply::NotNow("the system gives no random bytes: restart the box".to_owned())
}
