// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box's side of the lamp.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use roomseal_meeting::Shield;
use roomseal_panel::lamp::{RENEW_EVERY, Renewal};
use rustix::net::{RecvFlags, recv};

use super::{LONGEST_TEXT, put, reach};

/// How often a lamp that is not there is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Renewing a little early is better than a quarter of a second late.
const EARLY: Duration = Duration::from_millis(50);

/// Renews the verdict on the lamp. Has no thread and no timer: the loop that made the verdict calls [`renew`](Self::renew),
/// so a loop that hangs renews nothing.
#[derive(Debug)]
pub struct Renewals {
    path: PathBuf,
    lamp: Option<OwnedFd>,
    /// When it was last looked for.
    looked: Option<Duration>,
    sent: Option<Renewal>,
    trouble: Option<String>,
    /// What was asked for last, if ever.
    asked: Option<Option<String>>,
}

impl Renewals {
    /// For the lamp that listens at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            lamp: None,
            looked: None,
            sent: None,
            trouble: None,
            asked: None,
        }
    }

    /// Shows `shield`, the verdict as of `now` ([`roomseal_panel::drive::clock::boot`]), and whether the microphone is
    /// `muted`. To be called at least every [`RENEW_EVERY`]; sends no more often than that, except what is new. Never
    /// waits.
    pub fn renew(&mut self, shield: Shield, muted: bool, now: Duration) {
        if self.lamp.is_none() {
            self.look(now);
        }
        self.listen();
        let renewal = Renewal {
            shield,
            muted,
            made: now,
        };
        let old = self.sent.is_none_or(|sent| {
            (sent.shield, sent.muted) != (shield, muted)
                || now.saturating_sub(sent.made) + EARLY >= RENEW_EVERY
        });
        let Some(lamp) = self.lamp.as_ref().filter(|_| old) else {
            return;
        };
        match put(lamp, &renewal.to_bytes()) {
            Ok(()) => self.sent = Some(renewal),
            // The lamp hangs; what it has not read will be too old to show when it does.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.trouble = Some("the lamp does not listen; restart `roomseal lamp`".to_owned());
            }
            Err(_) => {
                // Perhaps it said why.
                self.listen();
                self.gone();
            }
        }
    }

    /// Why there is no lamp, if so.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// [`trouble`](Self::trouble), if it is another than at the last call.
    pub fn news(&mut self) -> Option<Option<String>> {
        if self.asked.as_ref() == Some(&self.trouble) {
            return None;
        }
        self.asked = Some(self.trouble.clone());
        Some(self.trouble.clone())
    }

    fn look(&mut self, now: Duration) {
        if self.looked.is_some_and(|at| now.saturating_sub(at) < LOOK) {
            return;
        }
        self.looked = Some(now);
        match reach(&self.path) {
            Ok(lamp) => {
                self.lamp = Some(lamp);
                self.sent = None;
                self.trouble = None;
            }
            Err(error) => {
                self.trouble = Some(format!(
                    "this box has no lamp: nobody answers on {} ({error}); start `roomseal lamp`, or run the box with --with-lamp",
                    self.path.display()
                ));
            }
        }
    }

    /// Hears what the lamp has to say.
    fn listen(&mut self) {
        let mut text = [0; LONGEST_TEXT];
        let mut reset = false;
        while let Some(lamp) = &self.lamp {
            match recv(lamp, &mut text[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.gone(),
                Ok((length, _)) => {
                    // One byte says that there is nothing to say: an empty packet would look like the end.
                    let text = String::from_utf8_lossy(&text[1..length]);
                    self.trouble = (!text.is_empty()).then(|| text.into_owned());
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
                // A lamp that closes before it has read our verdict is told apart first; what it said is still there.
                Err(rustix::io::Errno::CONNRESET) if !reset => reset = true,
                Err(_) => self.gone(),
            }
        }
    }

    fn gone(&mut self) {
        self.lamp = None;
        self.sent = None;
        if self.trouble.is_none() {
            self.trouble =
                Some("this box has no lamp: `roomseal lamp` has ended; start it again".to_owned());
        }
    }
}
