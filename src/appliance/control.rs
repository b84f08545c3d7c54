// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people ask of the running box, wherever they ask it: one way in, one answer in words.
//!
//! [`Control`] is held by whatever takes a person's wish (the status socket, the page, a button); [`Orders`] by the
//! session, which carries wishes out one after the other. Every wish says where it comes from, and what the law allows
//! from there is decided here, before the session hears of it.

mod spoken;

use std::time::Duration;

use roomseal_e2ee::FrameKey;
use roomseal_policy::{Link, RoomName};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub(crate) use spoken::line;
pub use spoken::{Misspoken, OnOff, Spoken, SpokenSecret};

use crate::provisioning::{Answers, Field};
use crate::secret::Secret;

/// Wishes that wait; people do not press faster.
const WAITING: usize = 16;

/// The session answers in milliseconds, unless it is opening or closing devices.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a wish comes from, the nearest to the box first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A person who stands at the box.
    Box,
    /// The command line on the box.
    CommandLine,
    /// A browser on the box itself.
    LocalPage,
    /// A browser on the network that was paired with a code shown at the box, of somebody who signed in as its host.
    Host,
    /// A browser on the network that was paired with a code shown at the box, or let in by the password of the page.
    Paired,
}

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Enter a meeting that the box is booked for.
    Booked {
        /// Its room; `None`: the one that runs, or begins next.
        room: Option<String>,
    },
    /// Write a line to everybody in the room.
    Chat(String),
    /// Turn end-to-end encryption on or off for everybody.
    E2ee {
        /// On.
        on: bool,
    },
    /// The button has been held for two seconds.
    Hold,
    /// End the meeting for everybody.
    End,
    /// Hand out the link for guests.
    GuestLink,
    /// Show the code for guests on the box's own screen, or no longer.
    Invitation {
        /// On the screen.
        shown: bool,
    },
    /// Enter the room, or this other room.
    Join {
        /// `None`: the room of last time.
        to: Option<Destination>,
    },
    /// Seal and open with this key from now on, where no key of a single participant stands over it.
    Key(Key),
    /// Leave the room and stay outside.
    Leave,
    /// The button was pressed.
    Press,
    /// Open the camera for a minute and enter the meeting of the code that is held to it.
    Scan,
    /// Set the box up with these answers.
    SetUp(Box<Answers>),
    /// Show that the box is being updated, until whoever asked is done or gone.
    Update,
    /// Make a meeting at once and enter it.
    Start,
    /// Send nothing of a source, or send it again.
    Mute {
        /// Which source.
        what: Medium,
        /// What is to be.
        to: Switch,
    },
}

/// Where somebody wants the box to go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The Roomseal meeting of a room code, of which nothing else is known.
    Code(RoomName),
    /// The Roomseal meeting of a link.
    Link(Box<Link>),
    /// A foreign room.
    Room(String),
}

/// A key as somebody gave it. What becomes of words depends on the room they are for.
#[derive(Clone, Debug)]
pub enum Key {
    /// The link of a Roomseal meeting.
    Link(Box<Link>),
    /// Words that people tell each other.
    Passphrase(Secret),
    /// The raw key of a foreign room.
    Raw(FrameKey),
}

/// What this box can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// Pictures.
    Camera,
    /// Sound.
    Microphone,
}

/// What a switch is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Off, whatever it was.
    Off,
    /// On, whatever it was.
    On,
    /// The other way.
    Toggle,
}

/// What came of a wish, in words for the person who had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done(String),
    /// Not from there, or not by that person; says who may.
    Denied(String),
    /// Not possible at the moment; says what to do.
    NotNow(String),
    /// The link for guests, which holds the key of the meeting.
    Link(SpokenSecret),
    /// These answers cannot be; nothing has changed.
    Wrong(Vec<Field>),
}

/// A wish on its way to the session.
#[derive(Debug)]
pub struct Order {
    /// Where it comes from.
    pub origin: Origin,
    /// What is asked for.
    pub command: Command,
    reply: oneshot::Sender<Reply>,
}

/// Takes wishes.
#[derive(Clone, Debug)]
pub struct Control(mpsc::Sender<Order>);

/// Gives them to whoever carries them out.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

/// The two ends.
pub fn channel() -> (Control, Orders) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Control(sender), Orders(receiver))
}

impl Control {
    /// Has `command` carried out, and says what came of it.
    pub async fn order(&self, origin: Origin, command: Command) -> Reply {
        let (reply, answer) = oneshot::channel();
        let order = Order {
            origin,
            command,
            reply,
        };
        match self.0.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return busy(),
            Err(mpsc::error::TrySendError::Closed(_)) => return stopping(),
        }
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => stopping(),
            Err(_) => busy(),
        }
    }
}

impl Orders {
    /// The next wish that somebody still waits for; `None` when nobody can have one any more.
    pub async fn next(&mut self) -> Option<Order> {
        loop {
            let order = self.0.recv().await?;
            // Who was told that the box is busy must not be surprised later.
            if !order.reply.is_closed() {
                return Some(order);
            }
        }
    }
}

impl Order {
    /// Tells what came of it. Whoever asked may have gone; what was done is done.
    pub fn answer(self, reply: Reply) {
        self.heard(reply);
    }

    /// Tells what came of it, and gives whether whoever asked still heard it.
    pub fn heard(self, reply: Reply) -> bool {
        self.reply.send(reply).is_ok()
    }
}

impl Origin {
    /// Whether whoever wishes may be anywhere.
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Host | Self::Paired)
    }

    /// In words that follow what was done.
    pub fn words(self) -> &'static str {
        match self {
            Self::Box => "at the box",
            Self::CommandLine => "from the command line",
            Self::LocalPage => "from the page on the box",
            Self::Host => "from the network, by a host who signed in",
            Self::Paired => "from the network, by a paired device",
        }
    }
}

impl Destination {
    /// The room, as the service knows it.
    pub fn room(&self) -> &str {
        match self {
            Self::Code(room) => room.as_str(),
            Self::Link(link) => link.room().as_str(),
            Self::Room(room) => room,
        }
    }
}

impl Medium {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
        }
    }
}

impl Switch {
    /// What it is to be after it was `on`.
    pub fn after(self, on: bool) -> bool {
        match self {
            Self::Off => false,
            Self::On => true,
            Self::Toggle => !on,
        }
    }
}

impl Reply {
    /// The words.
    pub fn text(&self) -> &str {
        match self {
            Self::Done(text) | Self::Denied(text) | Self::NotNow(text) => text,
            Self::Link(_) => "the link for guests",
            Self::Wrong(fields) => fields.first().map_or("", |field| &field.text),
        }
    }
}

fn busy() -> Reply {
    Reply::NotNow("the box is busy; try again in a few seconds".to_owned())
}

fn stopping() -> Reply {
    Reply::NotNow("the box is stopping; start it again".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[tokio::test]
    async fn an_order_arrives_with_its_origin_and_brings_its_answer_home() {
        let (control, mut orders) = channel();
        let session = tokio::spawn(async move {
            let order = orders.next().await.unwrap();
            assert_eq!(order.origin, Origin::Paired);
            assert!(matches!(order.command, Command::Leave));
            order.answer(Reply::Done("left".to_owned()));
        });
        let reply = control.order(Origin::Paired, Command::Leave).await;
        assert_eq!(reply, Reply::Done("left".to_owned()));
        session.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_told_that_the_box_is_busy_is_not_obeyed_later() {
        let (control, mut orders) = channel();
        let reply = control.order(Origin::Box, Command::Leave).await;
        assert!(matches!(reply, Reply::NotNow(_)), "{reply:?}");
        drop(control);
        assert!(orders.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_queue_holds_is_turned_away_at_once() {
        let (control, _orders) = channel();
        let one = || control.order(Origin::Box, Command::Leave);
        let all = futures_of(WAITING, one);
        tokio::pin!(all);
        // Sixteen wait; the seventeenth need not.
        let began = tokio::time::Instant::now();
        tokio::select! {
            biased;
            () = &mut all => panic!("nobody answers these"),
            reply = one() => assert!(matches!(reply, Reply::NotNow(_)), "{reply:?}"),
        }
        assert!(began.elapsed() < PATIENCE);
    }

    async fn futures_of<F: Future<Output = Reply>>(count: usize, make: impl Fn() -> F) {
        let mut all: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
        std::future::poll_fn(|cx| {
            for one in &mut all {
                if one.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
            }
            std::task::Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn without_a_session_the_answer_says_so() {
        let (control, orders) = channel();
        drop(orders);
        let reply = control.order(Origin::CommandLine, Command::Leave).await;
        assert!(reply.text().contains("stopping"), "{reply:?}");
    }
}
