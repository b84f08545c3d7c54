// SPDX-License-Identifier: MIT OR Apache-2.0
//! The box's own screen: what is drawn on it, inside of a meeting and outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gst::glib::DateTime;
use roomseal_media::call;
use roomseal_media::present::{
    Display, Present, PresentConfig, PresentEvent, Speaker as Loudspeaker,
};
use roomseal_service::livekit::TokenSource;

use super::{Session, Setup};
use crate::control::{Origin, Reply};
use crate::screen::{Local, Screen};
use crate::status::{Ending, Publisher};

/// How long the code for guests is shown to whom asks for it.
const SHOWN: Duration = Duration::from_secs(60);

/// Pictures per second of a screen on which only a clock moves.
const STILL: u32 = 5;

/// Whether, and until when, the code for guests is on the screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Invitation(Option<Instant>);

impl Invitation {
    /// For a while.
    pub(super) fn show(&mut self) {
        self.0 = Some(Instant::now() + SHOWN);
    }

    /// No longer.
    pub(super) fn hide(&mut self) {
        self.0 = None;
    }

    fn is_shown(self) -> bool {
        self.0.is_some_and(|until| Instant::now() < until)
    }
}

impl Session<'_> {
    /// Shows the code for guests on the box's own screen, and nowhere else.
    pub(super) fn invite(&mut self, shown: bool, origin: Origin) -> Reply {
        if origin.is_remote() {
            return Reply::Denied(
                "the code has the key in it: it is shown to who is at the box".into(),
            );
        }
        if !shown {
            self.setup.invitation.hide();
            return Reply::Done("the code is no longer on the screen".into());
        }
        if self.setup.call.present.display == Display::None {
            return Reply::NotNow(
                "this box has no screen: `roomseal link --out FILE` writes the link for guests"
                    .into(),
            );
        }
        let meeting = self.setup.meeting.as_ref();
        if meeting.is_none_or(|meeting| meeting.link.is_none()) {
            return Reply::NotNow("this box has no link of this meeting to show".into());
        }
        self.setup.invitation.show();
        Reply::Done(format!(
            "the code for guests is on the screen for {} s",
            SHOWN.as_secs()
        ))
    }

    /// Who is about to turn encryption off, and when.
    pub(super) fn ending(&self) -> Option<Ending> {
        let (by, left) = self.room.countdown(self.now())?;
        let by = match by {
            None => self.setup.name.clone(),
            Some(identity) => {
                let report = self.room.report(self.now());
                let mut others = report.participants.into_iter();
                others
                    .find(|other| other.identity == identity && !other.name.is_empty())
                    .map_or(identity, |other| other.name)
            }
        };
        let seconds = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Some(Ending { by, seconds })
    }

    /// Draws what the status says now. What is not drawn again is not shown for long.
    pub(super) fn draw(&mut self) {
        if self.setup.call.present.display == Display::None {
            return;
        }
        let link = self.setup.meeting.as_ref().and_then(|m| m.link.as_ref());
        let local = Local {
            invitation: link
                .filter(|_| self.setup.invitation.is_shown())
                .map(|link| link.for_guests().expose()),
            ..Local::default()
        };
        let status = self.status.watch().borrow().clone();
        let overlay = self.setup.screen.meeting(&status, &local);
        self.call.command(call::Command::Overlay(overlay));
    }
}

/// The screen between meetings.
pub(super) struct IdleScreen(Option<Present>);

impl IdleScreen {
    /// Switches it on, if there is one. Opening a display takes its time.
    pub(super) async fn open(config: &PresentConfig, status: &Publisher) -> Self {
        if config.display == Display::None {
            return Self(None);
        }
        let config = PresentConfig {
            speaker: Loudspeaker::None,
            recording: None,
            framerate: STILL,
            ..config.clone()
        };
        let told = status.clone();
        let opened = tokio::task::spawn_blocking(move || {
            Present::start(
                config,
                Arc::new(move |event| match event {
                    PresentEvent::OutputFailed { output, reason } => {
                        told.trouble(&output.to_string(), Some(reason));
                    }
                    PresentEvent::OutputWorks { output } => told.trouble(&output.to_string(), None),
                    _ => {}
                }),
            )
        });
        match opened.await {
            Ok(Ok(present)) => Self(Some(present)),
            Ok(Err(error)) => {
                status.trouble("display", Some(error.to_string()));
                Self(None)
            }
            // The runtime is going down.
            Err(_) => Self(None),
        }
    }

    /// Draws who the box is and how a meeting begins.
    pub(super) fn draw(&self, screen: &mut Screen, status: &Publisher, hint: &str) {
        let Some(present) = &self.0 else {
            return;
        };
        let formatted = |format: &str| {
            let now = DateTime::now_local().and_then(|now| now.format(format));
            now.map(|text| text.to_string()).unwrap_or_default()
        };
        let local = Local {
            time: formatted("%H:%M"),
            day: formatted("%A, %e %B"),
            hint: hint.to_owned(),
            now: DateTime::now_local().map_or(0, |now| now.to_unix()),
            invitation: None,
        };
        let status = status.watch().borrow().clone();
        present.set_overlay(screen.idle(&status, &local));
    }

    /// Switches it off, so that the meeting can have it.
    pub(super) async fn close(self) {
        // The runtime is going down where this fails.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

/// How somebody at the box begins a meeting.
pub(super) fn hint(setup: &Setup, status: &Publisher) -> String {
    let press = press(setup, status);
    match &setup.service.tokens {
        TokenSource::Given(_) => {
            "This box starts no meetings: it has no API key. It enters its room again by its page."
                .to_owned()
        }
        TokenSource::Minted(_) if press.is_empty() => {
            "To start or join a meeting, open the page of this box.".to_owned()
        }
        TokenSource::Minted(_) if setup.bookings.by_press().is_some() => {
            format!("Press the button to {press}.")
        }
        TokenSource::Minted(_) => {
            format!("Press the button to {press}. To join one, open the page of this box.")
        }
    }
}

/// What the button does outside of a meeting; nothing where it begins none.
pub(super) fn press(setup: &Setup, status: &Publisher) -> String {
    let is_free = status.watch().borrow().updating.is_none();
    let is_minted = matches!(setup.service.tokens, TokenSource::Minted(_));
    if !is_free || !is_minted || !setup.has_button || !setup.meetings.button_starts {
        return String::new();
    }
    match setup.bookings.by_press() {
        Some(next) => format!("join {}", setup.bookings.called(&next.shown)),
        None => "start a sealed meeting".to_owned(),
    }
}
