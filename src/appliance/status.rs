// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the box says about itself: one value, kept by the daemon, read by terminal, socket and systemd.
//!
//! The daemon holds a [`Publisher`] and changes the status in place; every view holds a `watch::Receiver`. The socket
//! ([`socket`]) speaks one JSON object per line; [`view`] draws the same value on a terminal.

mod booked;
mod encryption;
mod invitation;
mod renewals;
mod said;
pub mod screen;
pub mod socket;
pub mod view;

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use roomseal_meeting::chat::Told;
use roomseal_meeting::{Shield as Verdict, View};
use roomseal_panel::drive::clock;
use roomseal_policy::Link;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use invitation::Invitation;

pub use booked::{Booked, Enrolled};
pub use encryption::{Encryption, Standing};
pub use renewals::Renewals;
pub use said::{ChatLine, Happening, Shield, ToldBy};

/// Everything a view shows. The JSON names are the field names in kebab-case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Version of the firmware.
    pub version: String,
    /// Name of the box.
    pub name: String,
    /// Id of the board.
    pub board: String,
    /// Host and port of the service, without path and query.
    pub service: String,
    /// Room.
    pub room: String,
    /// Who the box is for the service.
    pub identity: String,
    /// How it stands with the service.
    pub connection: Connection,
    /// Signalling without TLS is allowed on the LAN.
    pub insecure_lan: bool,
    /// Sealed frames only, in both directions.
    pub e2ee_required: bool,
    /// Encryption as the host of a Roomseal meeting has it; `None`: this is a foreign room.
    pub encryption: Option<Encryption>,
    /// What lamp and views say about the whole meeting.
    pub shield: Shield,
    /// A Roomseal meeting: its hosts decide whether encryption is on, and `e2ee_required` says nothing.
    pub hosted: bool,
    /// Who holds the keys, in words; empty outside.
    pub key_model: String,
    /// Nobody has set this box up yet.
    #[serde(default)]
    pub awaits_set_up: bool,
    /// An update that is being installed.
    #[serde(default)]
    pub updating: Option<Update>,
    /// This box can make meetings: it has an API key.
    pub makes_meetings: bool,
    /// This box can end the meeting that it is in for everybody.
    pub ends_meeting: bool,
    /// A key that somebody has to enter before this box can take part.
    pub asks: Option<Ask>,
    /// A host is about to turn encryption off.
    pub ending: Option<Ending>,
    /// What may leave at the moment, in words.
    pub sending: String,
    /// Since when all of it leaves as `sending` says, as a [`moment`].
    pub sending_since: Option<u64>,
    /// The policy that this box follows, in a Roomseal meeting.
    pub policy: Option<Policy>,
    /// What this box sends.
    pub local_tracks: Vec<LocalTrack>,
    /// The others, in order of arrival.
    pub participants: Vec<Participant>,
    /// What is missing or broken, and what to do about it.
    pub troubles: Vec<Trouble>,
    /// Where recordings go.
    pub recording: Option<String>,
    /// Where this box can be booked, if it is enrolled at a hub.
    #[serde(default)]
    pub enrolled: Option<Enrolled>,
    /// The meetings that it is booked for and that are not over, the next first.
    #[serde(default)]
    pub booked: Vec<Booked>,
    /// What a press of the button does outside of a meeting, in words; empty where it does nothing.
    #[serde(default)]
    pub press: String,
    /// What happened last, newest at the end.
    pub happenings: Vec<Happening>,
    /// What people wrote in this meeting, newest at the end.
    pub chat: Vec<ChatLine>,
    /// Where the page of this box is, if it has one.
    pub page: Option<String>,
    /// Where the page is for paired devices on the network, if it is there.
    pub network_page: Option<NetworkPage>,
    /// What a device on the network has to type to be paired, while one wants to be.
    pub pairing_code: Option<String>,
}

/// An update under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Update {
    /// How far it is, as far as that is known: 0 to 100.
    pub percent: u8,
    /// What is being done.
    pub text: String,
}

/// The page on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkPage {
    /// Its address.
    pub address: String,
    /// SHA-256 of its certificate, as browsers show it: what a person compares.
    pub certificate: String,
}

/// A host's word on encryption that a box follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `on` or `off`.
    pub e2ee: String,
    /// Its number in its chain, from 1.
    pub epoch: u64,
    /// Since when this box follows it, as a [`moment`].
    pub since: u64,
}

/// How it stands with the service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Connection {
    /// Not asked yet.
    #[default]
    Starting,
    /// On the way in.
    Connecting {
        /// Counted from 1.
        attempt: u32,
    },
    /// In the room.
    Joined,
    /// Was in the room, trying to get back.
    Reconnecting {
        /// Counted from 1.
        attempt: u32,
        /// Why it was lost.
        reason: String,
    },
    /// Out, and not trying.
    Left {
        /// Why.
        reason: String,
    },
}

/// The countdown before encryption goes off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ending {
    /// What the host is called who turns it off.
    pub by: String,
    /// Full seconds until then, rounded up.
    pub seconds: u64,
}

/// A key that is missing, or wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ask {
    /// `passphrase`, `link`, `link-or-passphrase`, or in a foreign room `key`: for programs.
    pub what: String,
    /// The same for people, with what to do.
    pub text: String,
}

/// A track this box sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LocalTrack {
    /// Camera, microphone, …
    pub source: String,
    /// Opus, VP8, H.264.
    pub codec: String,
    /// The encoder element and why it was taken.
    pub encoder: String,
    /// Pixels, for people; empty for sound.
    pub format: String,
    /// Muted here: nothing but silence, or no picture, is sealed and sent.
    pub muted: bool,
    /// Whether the device's own switch is off; `None` where it has none.
    pub switched_off: Option<bool>,
    /// Frames that left sealed.
    pub sealed: u64,
    /// Frames that could not be sealed and stayed.
    pub dropped: u64,
    /// Frames that left clear; only without required E2EE.
    pub clear: u64,
    /// How frames leave at the moment, as counted: `sealed`, `clear`, or `nothing`.
    pub leaves: String,
    /// When the last of them left, as a [`moment`].
    pub clear_at: Option<u64>,
}

/// Somebody else in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Participant {
    /// Who it is for the service.
    pub identity: String,
    /// What it calls itself.
    pub name: String,
    /// `person`, or the machine it is: egress, ingress, sip, agent, …
    pub kind: String,
    /// How it stands in a Roomseal meeting; `None`: this is a foreign room, which knows tracks only.
    pub standing: Option<Standing>,
    /// What it sends.
    pub tracks: Vec<RemoteTrack>,
}

/// A track of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RemoteTrack {
    /// The service's id.
    pub sid: String,
    /// Camera, microphone, …
    pub source: String,
    /// Muted by its owner, as the service says.
    pub muted: bool,
    /// `verified`, `waiting`, `refused`, `silent`, `clear` or `off`: for programs.
    pub verification: String,
    /// The same for people, with the reason.
    pub text: String,
    /// Frames that opened.
    pub opened: u64,
    /// Frames that did not.
    pub refused: u64,
    /// When one was last played clear, as a [`moment`].
    pub clear_at: Option<u64>,
}

/// A moment as the status writes it: milliseconds of the machine's monotonic clock, the same for all programs on it.
pub fn moment(at: Instant) -> u64 {
    // Taken once, so that of two moments the later one never has the smaller number.
    static ANCHOR: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (instant, clock) = *ANCHOR.get_or_init(|| (Instant::now(), clock::monotonic()));
    let since_start = match at.checked_duration_since(instant) {
        Some(later) => clock + later,
        None => clock.saturating_sub(instant - at),
    };
    u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX)
}

/// Something missing or broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Trouble {
    /// What it is about; one trouble each.
    pub about: String,
    /// What is wrong, and what to do.
    pub text: String,
    /// The box itself is broken, and the shield says so.
    #[serde(default)]
    pub fault: bool,
}

impl Status {
    /// The trouble about something, if there is one.
    pub fn trouble(&self, about: &str) -> Option<&Trouble> {
        self.troubles.iter().find(|trouble| trouble.about == about)
    }

    /// What is broken in the box itself, if anything.
    pub fn fault(&self) -> Option<&str> {
        let mut broken = self.troubles.iter().filter(|trouble| trouble.fault);
        broken.next().map(|trouble| trouble.text.as_str())
    }

    /// The shield of a box in no meeting.
    pub fn outside(&self) -> Shield {
        let view = View {
            fault: self.fault().is_some(),
            set_up: self.awaits_set_up,
            updating: self.updating.is_some(),
            ..View::default()
        };
        let shield = view.shield();
        let reason = match (shield, &self.updating) {
            (Verdict::Fault, _) => self.fault().map(str::to_owned),
            (Verdict::Updating, Some(Update { percent, text })) => {
                Some(format!("{percent} %: {text}"))
            }
            _ => None,
        };
        Shield::of(shield, reason)
    }
}

/// Keeps the status and wakes the views when it changes.
#[derive(Clone, Debug)]
pub struct Publisher {
    status: watch::Sender<Status>,
    renewals: Renewals,
    invitation: Invitation,
}

impl Publisher {
    /// Starts with `status`; the version is filled in.
    pub fn new(mut status: Status) -> Self {
        status.version = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            status: watch::Sender::new(status),
            renewals: Renewals::default(),
            invitation: Invitation::default(),
        }
    }

    /// Changes the status in place; views wake only if it differs afterwards.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Names a trouble, or takes it back with `None`.
    pub fn trouble(&self, about: &str, text: Option<String>) {
        self.told(about, text, false);
    }

    /// The same of something without which the box is broken.
    pub fn fault(&self, about: &str, text: Option<String>) {
        self.told(about, text, true);
    }

    fn told(&self, about: &str, text: Option<String>, fault: bool) {
        self.update(|status| {
            let known = status
                .troubles
                .iter()
                .position(|trouble| trouble.about == about);
            match (known, text) {
                (Some(at), Some(text)) => {
                    status.troubles[at].text = text;
                    status.troubles[at].fault = fault;
                }
                (Some(at), None) => {
                    status.troubles.remove(at);
                }
                (None, Some(text)) => status.troubles.push(Trouble {
                    about: about.to_owned(),
                    text,
                    fault,
                }),
                (None, None) => {}
            }
        });
    }

    /// The update that was under way has ended, whatever came of it.
    pub fn updated(&self) {
        self.update(|status| status.updating = None);
    }

    /// Notes that something happened that people want to look up.
    pub fn happened(&self, text: &str) {
        tracing::info!("{text}");
        let happening = Happening::at(SystemTime::now(), text);
        self.update(|status| {
            status.happenings.push(happening);
            let surplus = status
                .happenings
                .len()
                .saturating_sub(said::MOST_HAPPENINGS);
            status.happenings.drain(..surplus);
        });
    }

    /// Shows a line of chat. It is not logged, and cannot push out what happened.
    pub fn wrote(&self, from: &str, text: &str, sealed: bool, own: bool) {
        let line = ChatLine {
            at: said::seconds(SystemTime::now()),
            from: from.to_owned(),
            text: text.to_owned(),
            sealed,
            own,
            told: None,
        };
        self.update(|status| said::keep(&mut status.chat, line));
    }

    /// Shows a line that was written before this box came, on a member's word.
    pub fn wrote_before(&self, by: &str, told: &Told) {
        let line = ChatLine {
            at: said::seconds(SystemTime::now()).saturating_sub(told.ago),
            from: told.line.from.clone(),
            text: told.line.text.clone(),
            sealed: told.line.sealed,
            own: false,
            told: Some(said::ToldBy {
                by: by.to_owned(),
                called: told.called.clone(),
            }),
        };
        self.update(|status| said::keep(&mut status.chat, line));
    }

    /// Says what the shield is, and that it was looked at just now.
    pub fn judged(&self, shield: Shield) {
        self.renewals.renew();
        self.update(|status| status.shield = shield);
    }

    /// When the shield was looked at last, for views that may only show what is renewed.
    pub fn renewals(&self) -> Renewals {
        self.renewals.clone()
    }

    /// Keeps the link of the meeting that the box is in, for people at the box who bring others in. It is a secret, so
    /// it is in no view.
    pub fn invite_by(&self, link: Option<Link>) {
        self.invitation.set(link);
    }

    /// The link, as guests get it.
    pub fn invitation(&self) -> Option<Link> {
        self.invitation.for_guests()
    }

    /// A view on the status.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }
}

impl Connection {
    /// In words for people.
    pub fn text(&self) -> String {
        match self {
            Self::Starting => "starting".to_owned(),
            Self::Connecting { .. } => "connecting".to_owned(),
            Self::Joined => "in the meeting".to_owned(),
            // How often it was tried moves all the time and helps nobody; the reason does.
            Self::Reconnecting { reason, .. } => format!("trying again: {reason}"),
            Self::Left { reason } => format!("left: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn views_wake_only_when_something_changed() {
        let publisher = Publisher::new(Status::default());
        let mut view = publisher.watch();
        view.mark_unchanged();
        publisher.update(|status| status.room = String::new());
        assert!(!view.has_changed().unwrap());
        publisher.update(|status| status.room = "lobby".to_owned());
        assert!(view.has_changed().unwrap());
    }

    #[test]
    fn what_is_broken_is_told_from_what_is_missing_and_heals() {
        let publisher = Publisher::new(Status::default());
        let fault = |publisher: &Publisher| publisher.watch().borrow().fault().map(str::to_owned);
        publisher.trouble("camera", Some("gone".to_owned()));
        assert_eq!(fault(&publisher), None);
        publisher.fault("button", Some("stuck".to_owned()));
        assert_eq!(fault(&publisher).as_deref(), Some("stuck"));
        let shield = publisher.watch().borrow().outside();
        assert_eq!(
            (shield.state.as_str(), &shield.reasons[..]),
            ("fault", &["stuck".to_owned()][..])
        );
        publisher.trouble("button", None);
        assert_eq!(fault(&publisher), None);
        assert_eq!(publisher.watch().borrow().outside(), Shield::outside());
    }

    #[test]
    fn a_box_in_no_meeting_says_what_it_is_busy_with_and_is_never_green() {
        let mut status = Status::default();
        assert_eq!(status.outside().state, "dark");
        status.updating = Some(Update {
            percent: 40,
            text: "Verifying signature".to_owned(),
        });
        let shield = status.outside();
        assert_eq!(shield.state, "updating");
        assert_eq!(shield.reasons, ["40 %: Verifying signature"]);
        status.awaits_set_up = true;
        assert_eq!(status.outside().state, "set-up");
        status.troubles.push(Trouble {
            about: "button".to_owned(),
            text: "stuck".to_owned(),
            fault: true,
        });
        assert_eq!(status.outside().state, "fault");
    }

    #[test]
    fn only_the_last_happenings_are_kept() {
        let publisher = Publisher::new(Status::default());
        for number in 0..100 {
            publisher.happened(&number.to_string());
        }
        let status = publisher.watch().borrow().clone();
        assert_eq!(status.happenings.len(), said::MOST_HAPPENINGS);
        assert_eq!(status.happenings.last().unwrap().text, "99");
    }

    #[test]
    fn what_a_member_tells_of_stands_before_what_was_read_here() {
        let publisher = Publisher::new(Status::default());
        publisher.wrote("alice", "welcome", true, false);
        let line = roomseal_meeting::chat::Line {
            from: "ben".to_owned(),
            id: "1".to_owned(),
            text: "shall we begin?".to_owned(),
            sealed: true,
        };
        let (called, ago) = ("Ben".to_owned(), 60);
        publisher.wrote_before("alice", &Told { line, called, ago });
        let chat = publisher.watch().borrow().chat.clone();
        let texts: Vec<&str> = chat.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["shall we begin?", "welcome"]);
        assert_eq!(
            chat[0].told.as_ref().map(|told| told.by.as_str()),
            Some("alice")
        );
    }

    #[test]
    fn chat_is_bounded_and_pushes_no_happening_out() {
        let publisher = Publisher::new(Status::default());
        publisher.happened("E2EE is on");
        for number in 0..100 {
            publisher.wrote("alice", &number.to_string(), true, false);
        }
        let status = publisher.watch().borrow().clone();
        assert_eq!(status.chat.len(), 50);
        assert_eq!(status.chat.last().unwrap().text, "99");
        assert_eq!(status.happenings.len(), 1);

        let long = "x".repeat(16 * 1024);
        for _ in 0..10 {
            publisher.wrote("alice", &long, true, false);
        }
        assert_eq!(publisher.watch().borrow().chat.len(), 3);
        publisher.wrote("alice", &"x".repeat(100_000), true, false);
        assert_eq!(publisher.watch().borrow().chat.len(), 1);
    }

    #[test]
    fn a_trouble_is_named_once_and_can_be_taken_back() {
        let publisher = Publisher::new(Status::default());
        publisher.trouble("camera", Some("gone".to_owned()));
        publisher.trouble("camera", Some("still gone".to_owned()));
        assert_eq!(publisher.watch().borrow().troubles.len(), 1);
        publisher.trouble("camera", None);
        assert!(publisher.watch().borrow().troubles.is_empty());
    }
}
