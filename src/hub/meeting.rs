// SPDX-License-Identifier: MIT OR Apache-2.0
//! A room at work: one task that owns its state and its media, so that rooms cannot hold each other up.
//!
//! What comes in waits in bounded queues. Packets that find theirs full are dropped, clients that find theirs full wait,
//! and a client that does not take what it is sent loses its connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use livekit_protocol::{signal_request, signal_response};
use roomseal_policy::E2ee;
use str0m::net::Protocol;
use tokio::sync::{mpsc, oneshot};

use crate::api::Api;
use crate::datagrams::rows;
use crate::engine::{Embedded, Engine};
use crate::entry::since_1970;
use crate::forward::{Forwarder, PeerId, Way};
use crate::guests::Guests;
use crate::hosts::{Heard, Unfit};
use crate::join::Joins;
use crate::lobby::Lobby;
use crate::pages::Pages;
use crate::room::{Action, ConnectionId, Denied, Dice, Input, Room, Told, Unwelcome, Visit, Wish};
use crate::routes::RoomNumber;
use crate::secrets::Secrets;
use crate::token::{Admission, ApiKeys};
use crate::wire;

/// Messages that may wait for one client.
const WAITING: usize = 256;

/// Requests that may wait for a room.
const KNOCKS: usize = 256;

/// Packets that may wait for a room: a tenth of a second of a large one.
const PACKETS: usize = 2048;

/// Packets taken in a row before other things get their turn.
const BATCH: usize = 64;

/// How long a token is valid that members get to come back with.
const RENEWED: Duration = Duration::from_secs(10 * 60);

/// Something for a room.
#[derive(Debug)]
pub(crate) enum Knock {
    /// An administrator asks for something.
    Administer {
        wish: Wish,
        reply: oneshot::Sender<Result<Told, Denied>>,
    },
    /// Somebody with a valid token.
    Arrive {
        admission: Box<Admission>,
        visit: Visit,
        /// Why not, if end-to-end encryption is on.
        unfit: Option<Unfit>,
        reply: oneshot::Sender<Result<Connection, Closed>>,
    },
    /// A client asks for something.
    Signal(ConnectionId, Box<signal_request::Message>),
    /// A client's connection has ended.
    Gone(ConnectionId),
}

/// Why a room does not let somebody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Closed {
    /// Nobody would be let in.
    #[error(transparent)]
    Full(#[from] Unwelcome),
    /// End-to-end encryption is on.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// Asks a room for what administrators may have; `None` when it has closed.
pub(crate) async fn ask(knocks: &mpsc::Sender<Knock>, wish: Wish) -> Option<Result<Told, Denied>> {
    let (reply, answer) = oneshot::channel();
    let knock = Knock::Administer { wish, reply };
    knocks.send(knock).await.ok()?;
    answer.await.ok()
}

/// A client's connection to its room.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    /// What the room sends it. When this ends, the connection is to be closed.
    pub(crate) outgoing: mpsc::Receiver<Vec<u8>>,
}

/// A packet for a room.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) peer: PeerId,
    pub(crate) way: Way,
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: Instant,
}

/// What all meetings share.
#[derive(Debug)]
pub(crate) struct Building {
    pub(crate) keys: Arc<ApiKeys>,
    pub(crate) pages: Option<Pages>,
    pub(crate) joins: Joins,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) lobby: Lobby,
    pub(crate) api: Api,
    pub(crate) engine: Engine,
    /// Who holds connections for signalling.
    pub(crate) guests: Arc<Guests>,
}

/// A room, as others reach it.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) knocks: mpsc::Sender<Knock>,
    pub(crate) packets: mpsc::Sender<Packet>,
    /// Whether end-to-end encryption is on, as hosts told the hub.
    pub(crate) said: Said,
}

/// What hosts told the hub of end-to-end encryption, for who asks from outside the room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said(Arc<Mutex<Option<E2ee>>>);

impl Said {
    pub(crate) fn e2ee(&self) -> Option<E2ee> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, e2ee: Option<E2ee>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = e2ee;
    }
}

/// A room and its media.
pub(crate) struct Meeting {
    embedded: Arc<Embedded>,
    number: RoomNumber,
    name: String,
    room: Room,
    forwarder: Forwarder,
    heard: Heard,
    said: Said,
    start: Instant,
    connections: HashMap<ConnectionId, mpsc::Sender<Vec<u8>>>,
    next_connection: u64,
}

impl Meeting {
    /// Opens a room on the runtime.
    pub(crate) fn open(embedded: &Arc<Embedded>, number: RoomNumber, name: &str) -> Doors {
        let (knocks, waiting) = mpsc::channel(KNOCKS);
        let (packets, arriving) = mpsc::channel(PACKETS);
        let start = Instant::now();
        let unix = since_1970();
        let said = Said::default();
        let opened = i64::try_from(unix.as_millis()).unwrap_or(i64::MAX);
        let meeting = Self {
            room: Room::new(name.into(), embedded.most_participants, opened, dice()),
            forwarder: Forwarder::new(embedded.media, embedded.certificate.clone(), start, dice()),
            heard: Heard::default(),
            said: said.clone(),
            embedded: Arc::clone(embedded),
            number,
            name: name.into(),
            start,
            connections: HashMap::new(),
            next_connection: 1,
        };
        let (embedded, name) = (Arc::clone(embedded), name.to_owned());
        tokio::spawn(async move {
            if let Err(error) = tokio::spawn(meeting.run(waiting, arriving)).await {
                // Everybody's connection has ended with it. Who comes back finds a new room, not this one's doors.
                tracing::error!(room = name, %error, "a room broke down, and is closed: a flaw of the hub, please report it");
                embedded.switch.close(number, &name, || true);
                embedded.secrets.forget(&name);
            }
        });
        Doors {
            knocks,
            packets,
            said,
        }
    }

    async fn run(mut self, mut knocks: mpsc::Receiver<Knock>, mut packets: mpsc::Receiver<Packet>) {
        let mut batch = Vec::with_capacity(BATCH);
        tracing::info!(room = self.name, "a room opens");
        loop {
            let deadline = self.deadline();
            let over = tokio::select! {
                Some(knock) = knocks.recv() => self.knock(knock),
                _ = packets.recv_many(&mut batch, BATCH) => {
                    for packet in batch.drain(..) {
                        self.forwarder
                            .receive(packet.peer, packet.way, &packet.bytes, packet.at);
                    }
                    let now = Instant::now();
                    while self.forwarder.flush(now) {
                        self.transmit();
                    }
                    self.carry_out(Vec::new())
                }
                () = tokio::time::sleep_until(deadline.into()) => self.tick(),
            };
            // Whoever knocked meanwhile is let in; who comes later finds a new room.
            if over
                && self
                    .embedded
                    .switch
                    .close(self.number, &self.name, || knocks.is_empty())
            {
                tracing::info!(room = self.name, "a room closes");
                return;
            }
        }
    }

    fn deadline(&self) -> Instant {
        let room = self.room.deadline().map(|due| self.start + due);
        let media = self.forwarder.deadline();
        let soonest = room.into_iter().chain(media).min();
        soonest.unwrap_or_else(|| Instant::now() + Duration::from_secs(1))
    }

    fn tick(&mut self) -> bool {
        self.forwarder.tick(Instant::now());
        let actions = self.room.handle(Input::Tick, self.start.elapsed());
        self.carry_out(actions)
    }

    fn knock(&mut self, knock: Knock) -> bool {
        let now = self.start.elapsed();
        let actions = match knock {
            Knock::Administer { wish, reply } => {
                let writes = matches!(wish, Wish::Metadata(_) | Wish::SetUp(_) | Wish::End);
                let (told, actions) = self.room.administer(wish, now);
                if writes {
                    self.heard.hear(self.room.metadata(), &self.name);
                    self.said.set(self.heard.e2ee());
                }
                // Who asked has gone away.
                let _ = reply.send(told);
                actions
            }
            Knock::Arrive {
                admission,
                visit,
                unfit,
                reply,
            } => {
                if let Some(unfit) = unfit.filter(|_| self.said.e2ee() == Some(E2ee::On)) {
                    // Who asked has gone away.
                    let _ = reply.send(Err(unfit.into()));
                    return self.carry_out(Vec::new());
                }
                let id = ConnectionId(self.next_connection);
                self.next_connection += 1;
                match self.room.arrive(id, *admission, visit, now) {
                    Ok(actions) => {
                        let (sender, outgoing) = mpsc::channel(WAITING);
                        self.connections.insert(id, sender);
                        if reply.send(Ok(Connection { id, outgoing })).is_err() {
                            self.connections.remove(&id);
                        }
                        actions
                    }
                    Err(unwelcome) => {
                        // Who asked has gone away.
                        let _ = reply.send(Err(unwelcome.into()));
                        Vec::new()
                    }
                }
            }
            Knock::Signal(connection, message) => {
                self.room.handle(Input::Signal(connection, message), now)
            }
            Knock::Gone(connection) => {
                self.connections.remove(&connection);
                self.room.handle(Input::Gone(connection), now)
            }
        };
        self.carry_out(actions)
    }

    /// Does what the room wants, and what that leads to. Whether the room is over.
    fn carry_out(&mut self, actions: Vec<Action>) -> bool {
        let now = Instant::now();
        let mut over = false;
        let mut actions = VecDeque::from(actions);
        loop {
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Send(to, message) => actions.extend(self.send(to, *message)),
                    Action::Renew(to, admission) => {
                        let token = self.embedded.keys.issue(&admission, since_1970(), RENEWED);
                        if let Some(token) = token {
                            let message = signal_response::Message::RefreshToken(token);
                            actions.extend(self.send(to, message));
                        }
                    }
                    // What is sent already still goes out.
                    Action::Close(connection) => drop(self.connections.remove(&connection)),
                    Action::Media(order) => self.forwarder.order(order, now),
                    Action::End => {
                        over = true;
                        self.embedded.secrets.forget(&self.name);
                    }
                }
            }
            self.forwarder.offer(now);
            let Some((member, report)) = self.forwarder.report() else {
                break;
            };
            let led_to = self
                .room
                .handle(Input::Media(member, report), self.start.elapsed());
            actions.extend(led_to);
        }
        self.transmit();
        over
    }

    /// Sends what there is to send.
    fn transmit(&mut self) {
        for route in self.forwarder.routes() {
            self.embedded.switch.change(self.number, route);
        }
        let transmits = self.forwarder.transmits();
        for transmits in rows(transmits.as_slice()) {
            let [first, ..] = transmits else { continue };
            if first.proto == Protocol::Tcp {
                for transmit in transmits {
                    let packet = transmit.contents.to_vec();
                    self.embedded.streams.send(transmit.destination, packet);
                }
            } else {
                self.embedded.datagrams.send(transmits);
            }
        }
    }

    fn send(&mut self, to: ConnectionId, message: signal_response::Message) -> Vec<Action> {
        let Some(connection) = self.connections.get(&to) else {
            return Vec::new();
        };
        if connection.try_send(wire::encode(message)).is_ok() {
            return Vec::new();
        }
        // Too slow, or gone: with a message missing the two sides would no longer agree. It may resume.
        self.connections.remove(&to);
        self.room.handle(Input::Gone(to), self.start.elapsed())
    }
}

/// Numbers of the system.
fn dice() -> Dice {
    // Without randomness ids would repeat; a hub that cannot draw them does not get as far as here, because its
    // certificate could not be made either.
    Box::new(|| getrandom::u64().unwrap_or_default())
}
