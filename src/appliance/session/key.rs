// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key that somebody enters while the meeting goes on. What is stretched from words is made on a thread of its own.

use roomseal_e2ee::{FrameKey, Secret};
use roomseal_media::call;
use roomseal_media::capture::SeenCode;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_policy::{KeyModel, Link, MeetingPassphrase, SecretSource};
use tokio::sync::mpsc;

use super::{Session, Setup};
use crate::config::{RoomsealMeeting, passphrase_key};
use crate::control::{Key, Order, Origin, Reply};
use crate::status::{Ask, Shield};

/// What a key came to.
#[derive(Debug)]
pub(super) enum Made {
    /// What everybody in a foreign room seals with.
    Frames(FrameKey),
    /// The secret of a Roomseal meeting.
    Secret(Secret),
}

/// How to come to it.
pub(super) enum Plan {
    Now(Made),
    /// Some hundred milliseconds of the processor: not on a thread that others wait for.
    Work(Box<dyn FnOnce() -> Made + Send>),
}

/// The key that is being made, and who waits for it.
pub(super) struct Entering {
    done: mpsc::UnboundedSender<Made>,
    order: Option<Order>,
    /// Whether a code is looked for in what the camera sees.
    looks: bool,
}

/// What the trouble with a code is filed under.
const CODE: &str = "code";

impl Entering {
    /// Nothing is being made; what is will come out of the receiver.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Made>) {
        let (done, made) = mpsc::unbounded_channel();
        (
            Self {
                done,
                order: None,
                looks: false,
            },
            made,
        )
    }
}

impl Plan {
    /// Where the room of `setup` can use `key`, and how.
    pub(super) fn of(setup: &Setup, key: Key) -> Result<Self, Reply> {
        match (&setup.meeting, key) {
            (None, Key::Raw(key)) => Ok(Self::Now(Made::Frames(key))),
            (None, Key::Passphrase(words)) => Ok(Self::Work(Box::new(move || {
                Made::Frames(passphrase_key(&words))
            }))),
            (None, Key::Link(_)) => Err(no(
                "this is a foreign room, which has no link: enter its passphrase or raw key, or join the meeting of \
                 the link (roomseal join --link)",
            )),
            (Some(_), Key::Raw(_)) => Err(no(
                "a Roomseal meeting has no raw key: enter its passphrase or its link",
            )),
            (Some(meeting), Key::Link(link)) => secret_of(meeting, &link).map(Self::Now),
            (Some(meeting), Key::Passphrase(words)) => {
                takes_passphrase(meeting)?;
                let text = words.expose_text().unwrap_or_default();
                let words = MeetingPassphrase::new(text).map_err(|error| no(&error.to_string()))?;
                let room = meeting.room.clone();
                Ok(Self::Work(Box::new(move || {
                    let words = words.expose().as_bytes();
                    Made::Secret(Secret::from_passphrase(words, room.as_str()))
                })))
            }
        }
    }
}

impl Made {
    /// Remembers it for the time after the next join, too.
    pub(super) fn keep(&self, setup: &mut Setup) {
        match (self, &mut setup.meeting) {
            (Self::Secret(secret), Some(meeting)) => {
                meeting.secret = Some(secret.clone());
                meeting.entered = true;
            }
            (Self::Frames(key), _) => setup.e2ee.keys.shared = Some(key.clone()),
            // The room changed while it was made; it was for the other one.
            (Self::Secret(_), None) => {}
        }
    }
}

impl Session<'_> {
    /// Takes a key; `order` is answered once it is in use.
    pub(super) fn enter(&mut self, key: Key, order: Order) {
        if self.entering.order.is_some() {
            order.answer(no("another key is being tried: wait a second"));
            return;
        }
        match Plan::of(self.setup, key) {
            Ok(Plan::Now(made)) => {
                let reply = self.use_key(made, order.origin);
                order.answer(reply);
            }
            Ok(Plan::Work(work)) => {
                let done = self.entering.done.clone();
                self.entering.order = Some(order);
                tokio::task::spawn_blocking(move || {
                    // After the session's end nobody listens.
                    let _ = done.send(work());
                });
            }
            Err(refused) => order.answer(refused),
        }
    }

    /// A key has been made.
    pub(super) fn made(&mut self, made: Made) {
        if let Some(order) = self.entering.order.take() {
            let reply = self.use_key(made, order.origin);
            order.answer(reply);
        }
    }

    /// Seals and opens with it from the next frame on: nobody has to leave for it.
    pub(super) fn use_key(&mut self, made: Made, origin: Origin) -> Reply {
        if let Made::Secret(secret) = &made
            && self.room.fits(secret) == Some(false)
        {
            return no(
                "that is not the key of this meeting; nothing has changed. Ask a host for the right one",
            );
        }
        made.keep(self.setup);
        match made {
            Made::Frames(_) => self.keys_by_app(),
            Made::Secret(secret) => {
                self.kept.forget();
                self.status.trouble("secret", None);
                self.meeting(MeetingEvent::Secret {
                    secret: Some(secret),
                    from: KeyModel::User,
                });
            }
        }
        self.status.happened(&format!("new key {}", origin.words()));
        Reply::Done(
            "the key is in use; the shield says whether it opens what the others send".into(),
        )
    }

    /// Looks for the link of the meeting in what the camera sees, for as long as it is asked for.
    pub(super) fn look_for_code(&mut self, asked: bool) {
        let looks = asked && self.setup.meeting.is_some();
        if looks != self.entering.looks {
            self.entering.looks = looks;
            self.call.command(call::Command::LookForCode(looks));
            self.status.trouble(CODE, None);
        }
    }

    /// A code was held to the camera.
    pub(super) fn code_seen(&mut self, code: &SeenCode) {
        if !self.entering.looks {
            return;
        }
        let made = match Link::parse(code.expose()) {
            Ok(link) => Plan::of(self.setup, Key::Link(Box::new(link))),
            Err(error) => Err(no(&error.to_string())),
        };
        let reply = match made {
            Ok(Plan::Now(made)) => self.use_key(made, Origin::Box),
            // Only words are worked on, and a link has none.
            Ok(Plan::Work(_)) => return,
            Err(refused) => refused,
        };
        if let Reply::NotNow(why) = reply {
            let text = format!("the code at the camera is of no use: {why}");
            self.status.trouble(CODE, Some(text));
        }
    }

    /// What somebody has to enter, if anything.
    pub(super) fn asks(&self, shield: &Shield) -> Option<Ask> {
        let wrong = shield.state == roomseal_meeting::Shield::WrongKey.word();
        let ask = |what: &str, thing: &str| {
            let needs = if wrong {
                "The key of this box is not that of the meeting"
            } else {
                "This box has no key for the meeting"
            };
            Ask {
                what: what.to_owned(),
                text: format!("{needs}: {thing}."),
            }
        };
        let Some(meeting) = &self.setup.meeting else {
            return wrong.then(|| {
                ask(
                    "key",
                    "enter the passphrase or key of the room on its page or with `roomseal key`",
                )
            });
        };
        let missing = meeting.secret.is_none();
        (missing || wrong).then(|| match meeting.link.as_ref().map(Link::secret) {
            None => ask(
                "link-or-passphrase",
                "hold the code of its link to the camera, or enter link or passphrase on the page of this box or with `roomseal key`",
            ),
            Some(SecretSource::Passphrase) => ask("passphrase", "enter its passphrase on the page of this box or with `roomseal key`"),
            Some(SecretSource::Link(_) | SecretSource::Service) => ask(
                "link",
                "hold the code of its link to the camera, or enter the link on the page of this box or with `roomseal key`",
            ),
        })
    }
}

/// The secret that `link` has for `meeting`.
fn secret_of(meeting: &RoomsealMeeting, link: &Link) -> Result<Made, Reply> {
    let same_key = meeting
        .link
        .as_ref()
        .is_none_or(|own| own.host_check() == link.host_check());
    if *link.room() != meeting.room || !same_key {
        return Err(no(
            "that link is for another meeting; nothing has changed. `roomseal join --link` goes there",
        ));
    }
    match link.secret() {
        SecretSource::Link(secret) => Ok(Made::Secret(Secret::new(*secret.expose()))),
        SecretSource::Passphrase => {
            Err(no("that link asks for a passphrase: enter the passphrase"))
        }
        SecretSource::Service => Err(no(
            "that link has no key, because the service keeps it: ask a host for a link with one",
        )),
    }
}

fn takes_passphrase(meeting: &RoomsealMeeting) -> Result<(), Reply> {
    match meeting.link.as_ref().map(Link::secret) {
        // Who came with a room code alone does not know which it is.
        None | Some(SecretSource::Passphrase) => Ok(()),
        Some(SecretSource::Link(_)) => Err(no(
            "the key of this meeting is in its link, there is no passphrase: enter the whole link",
        )),
        Some(SecretSource::Service) => Err(no(
            "the service keeps the key of this meeting: ask a host for a link with one",
        )),
    }
}

fn no(why: &str) -> Reply {
    Reply::NotNow(why.to_owned())
}
