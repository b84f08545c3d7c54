// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who on the network may use the page: whoever typed the code that the box showed, or knows its password. Who did the
//! one and knows the other can sign in as host of this box: a stolen password alone turns nothing off, and neither does a
//! telephone that was paired once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::header;
use hyper::http::request::Parts;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::attempts::Attempts;
use super::pairing::{self, Code, Pairing, Tried};
use super::passes::{By, Pass, Passes, Standing};
use crate::control::{Reply, SpokenSecret};
use crate::password::PagePassword;
use crate::status::Publisher;

/// The door of the page on the network.
pub(super) struct Gate {
    began: Instant,
    held: Mutex<Held>,
    publisher: Publisher,
    password: Option<PagePassword>,
    /// A password costs memory and time: one is looked at after the other.
    looking: Arc<Semaphore>,
}

#[derive(Default)]
struct Held {
    pairing: Pairing,
    passes: Passes,
    /// Passwords typed by whoever is there, and by who was paired: those are not to keep these out.
    strangers: Attempts,
    paired: Attempts,
}

impl Gate {
    pub(super) fn new(publisher: Publisher, password: Option<PagePassword>) -> Self {
        Self {
            began: Instant::now(),
            held: Mutex::default(),
            publisher,
            password,
            looking: Arc::new(Semaphore::new(1)),
        }
    }

    /// The pass of whoever asks, and what that device is, if it is known.
    pub(super) fn admits(&self, head: &Parts) -> Option<(Pass, Standing)> {
        let cookies = head.headers.get_all(header::COOKIE);
        let pass = Pass::shown(cookies.iter().filter_map(|value| value.to_str().ok()))?;
        let standing = self.standing(&pass)?;
        Some((pass, standing))
    }

    /// What a device is now; `None`: it is not paired any more.
    pub(super) fn standing(&self, pass: &Pass) -> Option<Standing> {
        self.held(|held, now| held.passes.standing(pass, now))
    }

    /// Whether this box has a password.
    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Lets a device in whose user knows the password.
    ///
    /// # Errors
    /// What to tell it otherwise.
    pub(super) async fn enter(&self, typed: SpokenSecret) -> Result<Pass, Reply> {
        self.check(typed, |held| &mut held.strangers).await?;
        let pass = self.let_in(By::Password)?;
        self.publisher
            .happened("a device on the network was let in by the password");
        Ok(pass)
    }

    /// Signs the user of a paired device in as host of this box.
    pub(super) async fn sign_in(&self, pass: &Pass, typed: SpokenSecret) -> Reply {
        let by_code = |standing: Standing| standing.by == By::Code;
        if !self.standing(pass).is_some_and(by_code) {
            return Reply::Denied(
                "only a device that was paired by a code can be a host's: forget this device, and pair it by the code \
                 that the box shows"
                    .to_owned(),
            );
        }
        if let Err(refused) = self.check(typed, |held| &mut held.paired).await {
            return refused;
        }
        self.held(|held, now| held.passes.sign_in(pass, now));
        self.publisher
            .happened("somebody on the network signed in as host");
        Reply::Done("signed in as host of this box, for an hour".to_owned())
    }

    /// Whether `typed` is the password.
    async fn check(
        &self,
        typed: SpokenSecret,
        attempts: fn(&mut Held) -> &mut Attempts,
    ) -> Result<(), Reply> {
        let Some(password) = self.password.clone() else {
            return Err(Reply::NotNow(
                "the page of this box has no password: `roomseal page-password` makes one"
                    .to_owned(),
            ));
        };
        let Ok(_turn) = Arc::clone(&self.looking).try_acquire_owned() else {
            return Err(Reply::NotNow(
                "another password is being looked at; try again in a second".to_owned(),
            ));
        };
        let last = self.held(|held, now| attempts(held).take(now));
        let last = last.map_err(|pause| {
            Reply::NotNow(format!(
                "too many wrong passwords were typed; try again in {} s",
                pause.as_secs() + 1
            ))
        })?;
        let looked = tokio::task::spawn_blocking(move || password.is(typed.expose())).await;
        match looked {
            Ok(true) => {
                self.held(|held, _| attempts(held).right());
                Ok(())
            }
            Ok(false) => {
                if last {
                    self.publisher
                        .happened("wrong passwords are typed at the page on the network");
                }
                Err(Reply::Denied(
                    "that is not the password of this page".to_owned(),
                ))
            }
            Err(_) => Err(Reply::NotNow(
                "the box is stopping; start it again".to_owned(),
            )),
        }
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
        let pass = self.let_in(By::Code)?;
        self.publisher
            .happened("a device on the network was paired");
        Ok(pass)
    }

    fn let_in(&self, by: By) -> Result<Pass, Reply> {
        let mut random = [0; 32];
        if getrandom::fill(&mut random).is_err() {
            return Err(no_randomness());
        }
        let pass = Pass::of(random);
        self.held(|held, now| held.passes.issue(&pass, by, now));
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
