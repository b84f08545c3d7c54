// SPDX-License-Identifier: MIT OR Apache-2.0
//! One membership of one room: what the service says, what media sees, and what the meeting decides, carried between
//! the three.
//!
//! The decisions are not made here: the `Room` says what may be sent and played and what has verified, from what
//! the elements counted. This loop only translates.

mod acting;
mod codec;
mod devices;
mod draw;
mod kept;
mod key;
mod lamp;
mod liveness;
mod media;
mod messages;
mod mute;
mod orders;
mod outside;
mod patience;
mod place;
mod publishing;
mod room;
mod scan;
mod service;
mod set_up;
mod translate;
mod turn;
mod unread;
mod update;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use roomseal_media::call::{Call, CallConfig, Command, Event as MediaEvent};
use roomseal_media::encoder::codec_name;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_policy::PolicyHash;
use roomseal_service::livekit::{Admin, Config as ServiceConfig, Event, Handle, LiveKit, Reason};
use tokio::sync::mpsc;

use crate::bookings::Bookings;
use crate::config::{E2ee, Meetings, RoomsealMeeting};
use crate::control::{Destination, Orders};
use crate::lamp::Renewals;
use crate::screen::Screen;
use crate::status::{Connection, Publisher, Shield};
use crate::supervise::{Heartbeat, Stop};

use self::acting::Talk;
use self::codec::CodecChoice;
use self::kept::Kept;
use self::key::Entering;
use self::liveness::Liveness;
use self::orders::Next;
use self::patience::Patience;
use self::publishing::Publishing;
use self::room::Room;

pub use self::draw::Invitation;
pub use self::messages::LONGEST_LINE;
pub use self::mute::Muted;
pub use self::set_up::{SetUp, set_up};

/// The signalling loop comes round at least this often.
const BEAT: Duration = Duration::from_secs(1);

/// How long the shield shows that a press was refused (PROTOCOL §8).
const DENIED: Duration = Duration::from_secs(2);

/// How long the service gets to hear that we leave.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a session is made of.
#[derive(Debug)]
pub struct Setup {
    /// How the meeting service is reached.
    pub service: ServiceConfig,
    /// What is captured and presented.
    pub call: CallConfig,
    /// Requirement and keys of a foreign room.
    pub e2ee: E2ee,
    /// The Roomseal meeting, if this is one.
    pub meeting: Option<RoomsealMeeting>,
    /// How meetings are made and entered that people ask for.
    pub meetings: Meetings,
    /// What the box is booked for.
    pub bookings: Bookings,
    /// What the box is called.
    pub name: String,
    /// Draws on the box's own screen.
    pub screen: Screen,
    /// The code for guests on that screen.
    pub invitation: Invitation,
    /// Whether the board has a button for encryption.
    pub has_button: bool,
    /// Whether there is a room to enter at the start.
    pub inside: bool,
    /// Whether the box waits for the next meeting when one has ended; a guest does not.
    pub waits: bool,
    /// Whether somebody asked for the room of the moment, who is told why it cannot be entered.
    pub asked: bool,
    /// The local identity, as the token says it.
    pub identity: String,
    /// What is not sent although it is captured.
    pub muted: Muted,
    /// The button turned encryption on in a foreign room: it stays on in the next.
    pub stays_on: bool,
    /// The lamp that shows the verdict; `None`: the board has none.
    pub lamp: Option<Renewals>,
}

/// Pulses of the two loops.
#[derive(Clone, Debug)]
pub struct Pulses {
    /// The media loop.
    pub media: Heartbeat,
    /// The signalling loop.
    pub signalling: Heartbeat,
}

/// Why a session ended although nobody here asked it to.
#[derive(Debug, thiserror::Error)]
#[error("the meeting is over for this box: {0}")]
pub struct Over(Reason);

/// How a membership ended although nothing failed.
enum End {
    /// The process stops.
    Stop,
    /// A person wants to be outside.
    Outside,
    /// A person wants to be somewhere else.
    Elsewhere(Destination),
}

/// Joins and stays until `stop` is asked; without a room, between [`Command::Leave`](crate::control::Command::Leave) and
/// [`Command::Join`](crate::control::Command::Join), and when a meeting has ended, the box is outside, with its devices
/// closed.
///
/// # Errors
/// When media cannot start, or the service says for good that we may not stay.
pub async fn run(
    mut setup: Setup,
    mut orders: Orders,
    status: Publisher,
    stop: Stop,
    pulses: Pulses,
) -> Result<(), anyhow::Error> {
    let mut inside = setup.inside;
    loop {
        inside = if inside {
            match stay(&mut setup, &mut orders, &status, &stop, &pulses).await? {
                End::Stop => return Ok(()),
                End::Elsewhere(to) => {
                    place::go(&mut setup, &status, to);
                    true
                }
                End::Outside => false,
            }
        } else if outside::outside(&mut setup, &mut orders, &status, &stop, &pulses).await {
            true
        } else {
            return Ok(());
        };
    }
}

/// One membership, from the first connection to the farewell.
async fn stay(
    setup: &mut Setup,
    orders: &mut Orders,
    status: &Publisher,
    stop: &Stop,
    pulses: &Pulses,
) -> Result<End, anyhow::Error> {
    let (media_sender, mut media_events) = mpsc::unbounded_channel();
    let config = setup.call.clone();
    // Devices may take their time to open; the runtime has other work.
    let call = tokio::task::spawn_blocking(move || {
        Call::start(
            config,
            Arc::new(move |event| {
                // After the session's end nobody listens.
                let _ = media_sender.send(event);
            }),
        )
    })
    .await
    .context("media did not start")??;

    let loopback = setup.service.server.is_loopback();
    let (handle, mut service_events) = LiveKit::connect(setup.reached());
    let admin = Admin::new(&setup.reached());
    status.invite_by(
        setup
            .meeting
            .as_ref()
            .and_then(|meeting| meeting.link.clone()),
    );
    let room = match &setup.meeting {
        Some(meeting) => Room::roomseal(meeting, admin.is_some())?,
        None => Room::foreign(&setup.e2ee, setup.stays_on, &setup.identity),
    };
    let (entering, mut made) = Entering::new();
    let (kept, mut answers) = Kept::new();
    let mut session = Session {
        room,
        entering,
        talk: Talk::new(admin)?,
        wake: None,
        kept,
        call,
        handle,
        setup,
        loopback,
        status: status.clone(),
        began: Instant::now(),
        publishing: Publishing::default(),
        codec: CodecChoice::default(),
        identities: HashMap::new(),
        speaking: HashMap::new(),
        encoders: HashMap::new(),
        liveness: Liveness::default(),
        patience: Patience::default(),
        stranded: false,
        attempt: 0,
        lost: None,
        denied: None,
        followed: None,
        sending_since: None,
    };
    session.keys_by_app();
    for (kind, muted) in session.setup.muted.all() {
        session.call.command(Command::Mute { kind, muted });
    }

    let mut beat = tokio::time::interval(BEAT);
    let result = loop {
        tokio::select! {
            () = stop.asked() => break Ok(End::Stop),
            _ = beat.tick() => {
                session.meeting(MeetingEvent::Tick);
                session.choose_codec();
                session.count_unread();
                session.catch_up();
            }
            Some(answer) = answers.recv() => session.take_secret(answer),
            () = session.wake() => {
                session.wake = None;
                session.meeting(MeetingEvent::Tick);
            }
            Some(order) = orders.next() => match session.order(order) {
                Next::Stay => {}
                Next::Outside => break Ok(End::Outside),
                Next::Elsewhere(to) => break Ok(End::Elsewhere(to)),
            },
            Some(made) = made.recv() => session.made(made),
            event = service_events.recv() => match event {
                Some(Event::Disconnected { reason, will_retry: false }) => {
                    session.out(&reason.to_string());
                    break session.over(reason);
                }
                Some(event) => session.service(event),
                None => break Err(anyhow::anyhow!("the connection to the meeting service ended without a word")),
            },
            event = media_events.recv() => match event {
                Some(event) => {
                    if matches!(event, MediaEvent::Turn(_)) {
                        pulses.media.beat();
                    }
                    session.media(event);
                }
                None => break Err(anyhow::anyhow!("media ended by itself")),
            },
        }
        session.look();
        pulses.signalling.beat();
    };

    status.invite_by(None);
    session.handle.leave();
    // The farewell is a courtesy: others see us go at once instead of after a time-out.
    let farewell = async { while service_events.recv().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
    let call = session.call;
    // Joins the media thread, which tears pipelines down.
    tokio::task::spawn_blocking(move || drop(call))
        .await
        .context("media did not stop")?;
    result
}

struct Session<'a> {
    room: Room,
    /// A key that somebody enters.
    entering: Entering,
    /// What is said on the data channels.
    talk: Talk,
    /// When the meeting wants to be asked again.
    wake: Option<Duration>,
    /// The question for the secret that the service keeps.
    kept: Kept,
    call: Call,
    handle: Handle,
    setup: &'a mut Setup,
    loopback: bool,
    status: Publisher,
    began: Instant,
    publishing: Publishing,
    codec: CodecChoice,
    /// Identities by participant sid.
    identities: HashMap<String, String>,
    /// Levels by identity.
    speaking: HashMap<String, f32>,
    /// Why an encoder was taken or not, by its name.
    encoders: HashMap<String, String>,
    liveness: Liveness,
    patience: Patience,
    /// Whether this machine has lost the addresses that media came from.
    stranded: bool,
    attempt: u32,
    /// Why the connection was lost, while it is.
    lost: Option<String>,
    /// When a wish was refused, and why.
    denied: Option<(Instant, String)>,
    /// The policy that the status shows as followed.
    followed: Option<PolicyHash>,
    /// Since when the elements obey what was last decided about what leaves.
    sending_since: Option<Instant>,
}

impl Session<'_> {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Publishes the picture with another codec where that is better now.
    fn choose_codec(&mut self) {
        if let Some(codec) = self.codec.next(self.now()) {
            tracing::info!(
                codec = codec_name(codec),
                "the picture goes over to another codec"
            );
            self.call.command(Command::Republish { codec });
        }
    }

    fn people(&self) {
        let report = self.room.report(self.now());
        self.call.command(Command::People(
            report.participants.iter().map(translate::member).collect(),
        ));
    }

    /// The service's last word: whoever sent this box here hears it, and it waits for the next meeting.
    fn over(&self, reason: Reason) -> anyhow::Result<End> {
        let ended = matches!(&reason, Reason::Server(why) if why.is_final());
        if self.setup.waits && (ended || self.setup.asked) {
            tracing::warn!("{reason}");
            self.status.happened(&reason.to_string());
            return Ok(End::Outside);
        }
        Err(Over(reason).into())
    }

    fn show_connection(&self, inside: bool) {
        let connection = match (&self.lost, inside) {
            (_, true) => Connection::Joined,
            (None, false) => Connection::Connecting {
                attempt: self.attempt.max(1),
            },
            (Some(reason), false) => Connection::Reconnecting {
                attempt: self.attempt.max(1),
                reason: reason.clone(),
            },
        };
        self.status.update(|status| status.connection = connection);
    }

    fn out(&self, reason: &str) {
        self.status.update(|status| {
            status.connection = Connection::Left {
                reason: reason.to_owned(),
            };
            status.participants.clear();
            status.local_tracks.clear();
            status.asks = None;
            status.ends_meeting = false;
            status.ending = None;
            status.key_model.clear();
            status.sending.clear();
            status.encryption = None;
            status.sending_since = None;
            status.policy = None;
            status.chat.clear();
            status.shield = Shield::outside();
        });
    }
}
