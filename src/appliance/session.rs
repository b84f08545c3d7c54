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
mod messages;
mod mute;
mod orders;
mod outside;
mod patience;
mod place;
mod publishing;
mod room;
mod scan;
mod translate;
mod turn;
mod unread;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use roomseal_media::call::{Call, CallConfig, Command, Event as MediaEvent};
use roomseal_media::encoder::codec_name;
use roomseal_media::transport::{MediaKind, Target};
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_policy::PolicyHash;
use roomseal_service::livekit::{
    Admin, Config as ServiceConfig, Event, Handle, LiveKit, MediaTrouble, Reason,
};
use tokio::sync::mpsc;

use crate::config::{E2ee, Meetings, RoomsealMeeting};
use crate::control::{Destination, Orders};
use crate::lamp::Renewals;
use crate::roster;
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
    let (handle, mut service_events) = LiveKit::connect(setup.service.clone());
    let admin = Admin::new(&setup.service);
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

    fn service(&mut self, event: Event) {
        match event {
            Event::Connecting { attempt } => {
                self.attempt = attempt;
                self.show_connection(false);
            }
            Event::Joined(info) => {
                self.lost = None;
                self.handle = self.handle.for_join(info.join);
                self.publishing.joined();
                self.codec.joined(&info.publish_codecs, &info.others);
                self.speaking.clear();
                self.identities = info
                    .others
                    .iter()
                    .map(|other| (other.sid.clone(), other.identity.clone()))
                    .collect();
                self.liveness = Liveness::default();
                self.patience.joined();
                self.stranded = false;
                self.talk.restart();
                self.call.command(Command::Join {
                    ice_servers: info.ice_servers.iter().map(translate::ice_server).collect(),
                    sif_trailer: info.sif_trailer.clone(),
                    loopback: self.loopback,
                });
                self.meeting(MeetingEvent::Joined {
                    me: info.local.identity.clone(),
                    others: info.others.iter().map(roster::participant).collect(),
                    metadata: info.room.metadata.clone(),
                });
                self.people();
                self.ask_for_secret(Duration::ZERO);
                self.show_connection(true);
            }
            Event::Resumed(info) => {
                self.lost = None;
                self.call.command(Command::Resume {
                    ice_servers: info.ice_servers.iter().map(translate::ice_server).collect(),
                });
                self.meeting(MeetingEvent::Resumed);
                self.show_connection(true);
            }
            Event::Room(room) => self.meeting(MeetingEvent::Metadata(room.metadata)),
            Event::Offer(offer) => self
                .call
                .command(Command::RemoteOffer(translate::offer(offer))),
            Event::Answer(answer) => self.call.command(Command::RemoteAnswer {
                sdp: answer.sdp,
                id: answer.id,
            }),
            // The end of the candidates is an empty message; webrtcbin needs no sign of it.
            Event::Trickle { init_json, .. } if init_json.is_empty() => {}
            Event::Trickle {
                target, init_json, ..
            } => self.call.command(Command::RemoteCandidate {
                target: translate::target(target),
                init_json,
            }),
            Event::TrackPublished { cid, track } => {
                if let Some(kind) = self.publishing.taken(&cid, track.sid.clone()) {
                    let muted = self.setup.muted.is_muted(kind);
                    // It may have changed since the service was asked.
                    if muted != track.muted {
                        self.handle.mute(track.sid, muted);
                    }
                }
                self.call.command(Command::Published { cid });
            }
            Event::Participants(participants) => {
                for participant in &participants {
                    self.identities
                        .insert(participant.sid.clone(), participant.identity.clone());
                }
                self.codec.people(&participants, &self.setup.identity);
                self.meeting(MeetingEvent::Participants(
                    participants.iter().map(roster::participant).collect(),
                ));
                self.people();
            }
            Event::Mute { sid, muted } => self.muted_by_service(&sid, muted),
            Event::SubscribedQuality { sid, codecs } => {
                let asks = self.publishing.is_picture(&sid) && self.codec.wanted_of_us(&codecs);
                if asks {
                    tracing::info!("somebody in the room cannot decode H.264");
                }
            }
            Event::Speakers(speakers) => {
                for speaker in speakers {
                    let Some(identity) = self.identities.get(&speaker.participant_sid) else {
                        continue;
                    };
                    if speaker.active {
                        self.speaking.insert(identity.clone(), speaker.level);
                    } else {
                        self.speaking.remove(identity);
                    }
                }
                let mut loudest: Vec<_> = self.speaking.iter().collect();
                loudest.sort_by(|a, b| b.1.total_cmp(a.1));
                let identities = loudest.into_iter().map(|(who, _)| who.clone()).collect();
                self.call.command(Command::Speakers(identities));
            }
            Event::RestartMedia => {
                self.call.command(Command::Leave);
                self.meeting(MeetingEvent::Left);
            }
            Event::Reconnecting { reason, resume } => {
                self.lost = Some(reason.to_string());
                self.show_connection(false);
                if resume && let Some(why) = self.patience.resuming() {
                    self.join_anew(why);
                }
            }
            Event::Disconnected { reason, .. } => {
                self.lost = Some(reason.to_string());
                self.show_connection(false);
            }
            Event::RequestRefused {
                request,
                reason,
                message,
            } => {
                let text = format!("the service refused {request}: {reason} {message}");
                self.status.trouble("service", Some(text));
            }
            // The rest is logged where it is read and changes nothing here.
            _ => {}
        }
        self.choose_codec();
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

    fn media(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Publish {
                cid,
                track,
                alternatives,
            } => {
                if track.kind() == MediaKind::Video {
                    self.codec.publishing(track.codec, &alternatives);
                }
                let declared = self.room.declared();
                self.publishing.ask(cid.clone(), track.clone(), declared);
                self.handle.add_track(translate::add_track(
                    cid,
                    &track,
                    &alternatives,
                    declared,
                    self.setup.muted.is_muted(track.kind()),
                ));
                self.tell_what_is_declared();
            }
            MediaEvent::Replaced { old, new } => {
                tracing::info!(?old, ?new, "published anew");
                self.status.trouble("publishing", None);
                self.publishing.replaced(old, new);
                self.tell_what_is_declared();
            }
            MediaEvent::Withdrawn { local } => {
                if let Some(sid) = self.publishing.withdrawn(local) {
                    self.handle.unpublished(sid);
                }
            }
            MediaEvent::NotReplaced { codec, reason } => {
                let text = format!(
                    "the picture or sound goes on as it was, it cannot be sent as {}: {reason}",
                    codec_name(codec)
                );
                tracing::warn!("{text}");
                self.status.trouble("publishing", Some(text));
                let now = self.now();
                if let Some(still) = self.publishing.given_up(codec.into())
                    && still.kind() == MediaKind::Video
                {
                    self.codec.failed(still.codec, now);
                }
                self.tell_what_is_declared();
                if self.room.is_switching() {
                    // Nothing leaves before it is declared rightly; whoever joins publishes everything so.
                    self.handle.rejoin(reason);
                }
            }
            MediaEvent::LocalOffer { sdp, id } => self.handle.offer(sdp, id),
            MediaEvent::LocalAnswer { sdp, id } => self.handle.answer(sdp, id),
            MediaEvent::LocalCandidate { target, init_json } => {
                self.handle
                    .trickle(translate::service_target(target), init_json, false);
            }
            MediaEvent::Connected(target) => {
                tracing::info!(%target, "connected, certificate checked");
                self.status.trouble("connection", None);
            }
            MediaEvent::Failed { target, reason } => self.failed(target, &reason),
            MediaEvent::Stranded => self
                .handle
                .rejoin("this box has another network address now".to_owned()),
            MediaEvent::Refused(reason) => {
                let text = reason.to_string();
                tracing::error!("{text}");
                self.status.trouble("connection", Some(text.clone()));
                self.meeting(MeetingEvent::Left);
                self.handle.rejoin(text);
            }
            MediaEvent::CannotPublish { local, reason } => {
                let text = format!("cannot publish: {reason}");
                tracing::error!(?local, "{text}");
                self.status.trouble("publishing", Some(text));
            }
            MediaEvent::Arrived { sid } => self.meeting(MeetingEvent::Flowing { sid }),
            MediaEvent::Ended { sid } => self.meeting(MeetingEvent::Ended { sid }),
            MediaEvent::CannotPlay { sid, error } => {
                tracing::error!(%sid, %error, "a track cannot be played");
                self.status.trouble("playing", Some(error.to_string()));
            }
            MediaEvent::Data { bytes, .. } => self.heard(&bytes),
            MediaEvent::DataOpen => self.speak(),
            MediaEvent::Capture(event) => self.capture(event),
            MediaEvent::Present(event) => self.presented(event),
            MediaEvent::Turn(counts) => self.turn(&counts),
        }
    }

    fn failed(&mut self, target: Target, reason: &str) {
        tracing::warn!(%target, reason, "media connection failed");
        self.status
            .trouble("connection", Some(format!("{target} connection: {reason}")));
        self.handle.resume(match target {
            Target::Publisher => MediaTrouble::Publisher,
            Target::Subscriber => MediaTrouble::Subscriber,
        });
    }

    /// The session is of no use any more, although the service would go on with it.
    fn join_anew(&mut self, why: String) {
        self.status.happened(&why);
        self.status.trouble("connection", Some(why.clone()));
        self.handle.rejoin(why);
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
