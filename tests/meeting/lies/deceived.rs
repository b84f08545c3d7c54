// SPDX-License-Identifier: MIT OR Apache-2.0
//! The member who is lied to: a box, or a browser with the join page. Both have to say the same.

mod page;

use std::time::Instant;

use roomseal_appliance::status::{Connection, Status};
use roomseal_tests::appliance::{Appliance, Start, participant, track};
use roomseal_tests::livekit::Server;

use self::page::Page;
use super::service::Liar;
use super::{Links, MEDIA, NAMED, never_clear, never_clear_since, page_of_box};
use crate::SOON;
use crate::roomseal::{ask, start};

/// What she joins with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Box,
    /// The join page, in Chromium.
    Page,
}

/// What is asked of her in every lie. Sources are `camera`, `microphone` or `screen sound`.
pub(crate) trait Deceived {
    /// Waits until her shield shows this.
    fn wait_for_shield(&mut self, state: &str);

    /// Waits until her shield shows `state` for `reason`, wherever she shows it.
    fn wait_for_reason(&mut self, state: &str, reason: &str);

    /// Waits until the track is verified and more than `frames` of it opened.
    fn wait_for_opened(&mut self, of: &str, source: &str, frames: u64);

    /// Waits until she has sealed `frames` more than she had.
    fn wait_for_sealed(&mut self, frames: u64);

    /// Waits until she has lost her connection, or has it again.
    fn wait_for_connection(&mut self, joined: bool);

    /// What she says of a track now, in one word.
    fn verification(&mut self, of: &str, source: &str) -> Option<String>;

    /// Whether she lists somebody.
    fn lists(&mut self, identity: &str) -> bool;

    /// Waits until she lists somebody no longer.
    fn wait_until_gone(&mut self, identity: &str);

    /// Frames that left her sealed, and clear, of the tracks that she has now.
    fn left(&mut self) -> Left;

    /// At no time anything of this track was opened or called verified.
    fn never_played(&mut self, of: &str, source: &str);

    /// Waits until she says this, and perhaps more, of what leaves her.
    #[cfg(feature = "full")]
    fn wait_for_sending(&mut self, beginning: &str);

    /// What was until now is over and done with for [`Deceived::never_clear`] and [`Deceived::never_showed`].
    fn forget(&mut self);

    /// No frame left clear, and the shield did not say that encryption is off.
    fn never_clear(&mut self);

    /// The shield never showed one of `states`.
    fn never_showed(&mut self, states: &[&str]);
}

/// Frames that left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) sealed: u64,
    pub(crate) clear: u64,
}

impl Links {
    /// The member who is lied to.
    pub(crate) fn alice(&self, by: By, liar: &Liar, server: &Server) -> Box<dyn Deceived> {
        let (url, token) = (liar.url(), server.token("alice", self.room));
        match by {
            By::Box => {
                let alice: Start<'_> = start("run", "alice", &self.guest)
                    .with(MEDIA)
                    .with(["--panel-page", "127.0.0.1:0"]);
                Box::new(Device {
                    device: alice.join_at(&url, &token, self.room),
                    since: None,
                })
            }
            By::Page => Box::new(Page::join(&url, &token, self.room, &self.guest)),
        }
    }
}

/// A box; its status, its terminal and its page agree.
struct Device {
    device: Appliance,
    /// Where what counts begins, if not at the beginning.
    since: Option<Instant>,
}

impl Deceived for Device {
    fn wait_for_shield(&mut self, state: &str) {
        let now = Instant::now();
        self.device.wait_since(now, state, SOON + SOON, |status| {
            (status.shield.state == state).then_some(())
        });
    }

    fn wait_for_reason(&mut self, state: &str, reason: &str) {
        wait_for_reason(&self.device, state, reason);
    }

    fn wait_for_opened(&mut self, of: &str, source: &str, frames: u64) {
        let now = Instant::now();
        let what = format!("verified {source} of {of}");
        self.device.wait_since(now, &what, SOON, |status| {
            let track = track(status, of, source)?;
            (track.verification == "verified" && track.opened > frames).then_some(())
        });
    }

    fn wait_for_sealed(&mut self, frames: u64) {
        let before = self.left().sealed;
        self.device.wait_for("sealed frames", SOON, |status| {
            (left(status).sealed >= before + frames).then_some(())
        });
    }

    fn wait_for_connection(&mut self, joined: bool) {
        let now = Instant::now();
        self.device
            .wait_since(now, "change of the connection", SOON, |status| {
                let fits = match status.connection {
                    Connection::Joined => joined,
                    Connection::Reconnecting { .. } => !joined,
                    _ => false,
                };
                fits.then_some(())
            });
    }

    fn verification(&mut self, of: &str, source: &str) -> Option<String> {
        track(&self.device.status(), of, source).map(|track| track.verification)
    }

    fn lists(&mut self, identity: &str) -> bool {
        participant(&self.device.status(), identity).is_some()
    }

    fn wait_until_gone(&mut self, identity: &str) {
        let now = Instant::now();
        let gone = format!("list without {identity}");
        self.device.wait_since(now, &gone, SOON + SOON, |status| {
            participant(status, identity).is_none().then_some(())
        });
    }

    fn left(&mut self) -> Left {
        left(&self.device.status())
    }

    fn never_played(&mut self, of: &str, source: &str) {
        for (_, status) in self.device.statuses() {
            if let Some(track) = track(&status, of, source) {
                assert_eq!(track.opened, 0, "{track:?}");
                assert!(!["verified", "clear"].contains(&track.verification.as_str()));
            }
        }
    }

    #[cfg(feature = "full")]
    fn wait_for_sending(&mut self, beginning: &str) {
        let now = Instant::now();
        self.device.wait_since(now, beginning, NAMED, |status| {
            status.sending.starts_with(beginning).then_some(())
        });
    }

    fn forget(&mut self) {
        self.since = Some(Instant::now());
    }

    fn never_clear(&mut self) {
        match self.since {
            Some(since) => never_clear_since(&self.device, since),
            None => never_clear(&self.device),
        }
    }

    fn never_showed(&mut self, states: &[&str]) {
        for (at, status) in self.device.statuses() {
            let shown = status.shield.state.as_str();
            let counts = self.since.is_none_or(|since| at > since);
            assert!(!counts || !states.contains(&shown), "{:?}", status.shield);
        }
    }
}

fn left(status: &Status) -> Left {
    let tracks = &status.local_tracks;
    Left {
        sealed: tracks.iter().map(|track| track.sealed).sum(),
        clear: tracks.iter().map(|track| track.clear).sum(),
    }
}

/// Waits until the box shows `state` for `reason`, in its status, on the terminal and on its page.
pub(crate) fn wait_for_reason(of: &Appliance, state: &str, reason: &str) {
    let has = |status: &Status| {
        status.shield.state == state && status.shield.reasons.iter().any(|it| it == reason)
    };
    of.wait_for(reason, NAMED, |status| has(status).then_some(()));
    let (done, table) = ask(of, &["status"]);
    assert!(done, "{table}");
    let page = page_of_box(of);
    // What was true a moment ago may be over by now, in all three alike.
    if has(&of.status()) {
        assert!(table.contains(reason), "{table}");
        assert_eq!(page["shield"]["state"], state, "{page:#}");
        let reasons = page["shield"]["reasons"].as_array().unwrap();
        assert!(
            reasons.iter().any(|it| it.as_str() == Some(reason)),
            "{page:#}"
        );
    }
}
