// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real service that tells one member something else than the others.
//!
//! Signalling goes through a proxy that rewrites it. Media and data channels are the real server's; what it can do to
//! them is done by a participant that it lets in with its own key, and whose track the proxy passes off as another's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use livekit_protocol::signal_response::Message;
use livekit_protocol::{ParticipantInfo, Room, RoomUpdate, SignalResponse, encryption};
use prost::Message as _;
use roomseal_tests::livekit::Server;
use roomseal_tests::proxy::{Instead, Proxy};

/// What is told to whoever comes through the proxy.
#[derive(Debug, Default)]
pub(crate) struct Lies {
    /// Nobody of these identities is there.
    pub(crate) hidden: Vec<String>,
    /// The media of the first track are those of the second.
    pub(crate) carried: Vec<(String, String)>,
    /// The room's metadata are these.
    pub(crate) metadata: Option<String>,
    /// This is the session.
    pub(crate) session: Option<String>,
    /// Every track is declared clear.
    pub(crate) declared_clear: bool,
    /// This track is the sound of a shared screen.
    pub(crate) screen_sound: Option<String>,
}

/// What was really true.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) metadata: String,
    pub(crate) session: String,
    pub(crate) people: Vec<ParticipantInfo>,
}

impl Truth {
    /// The id of who publishes a track.
    fn publisher(&self, track: &str) -> Option<&str> {
        let mut people = self.people.iter();
        let publishes = |person: &&ParticipantInfo| person.tracks.iter().any(|it| it.sid == track);
        people.find(publishes).map(|person| person.sid.as_str())
    }
}

pub(crate) struct Liar {
    proxy: Proxy,
    lies: Arc<Mutex<(Lies, Truth)>>,
}

impl Liar {
    pub(crate) fn before(server: &Server, lies: Lies) -> Self {
        let lies = Arc::new(Mutex::new((lies, Truth::default())));
        let shared = Arc::clone(&lies);
        let proxy = Proxy::before(server.port(), move |response| {
            let mut both = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (lies, truth) = &mut *both;
            Instead::Messages(vec![rewrite(lies, truth, response)])
        });
        Self { proxy, lies }
    }

    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    pub(crate) fn connections(&self) -> &Proxy {
        &self.proxy
    }

    /// Changes what is told from now on.
    pub(crate) fn lie(&self, change: impl FnOnce(&mut Lies)) {
        change(&mut self.both().0);
    }

    /// What the server really said last.
    pub(crate) fn truth<T>(&self, read: impl FnOnce(&Truth) -> T) -> T {
        read(&self.both().1)
    }

    /// Tells the metadata again, as they are by now.
    pub(crate) fn repeat_room(&self) {
        self.tell(Message::RoomUpdate(RoomUpdate {
            room: Some(Room::default()),
        }));
    }

    /// Tells who is there again, as it is by now.
    pub(crate) fn repeat_people(&self) {
        let participants = self.truth(|truth| truth.people.clone());
        self.tell(Message::Update(livekit_protocol::ParticipantUpdate {
            participants,
        }));
    }

    fn tell(&self, message: Message) {
        let response = SignalResponse {
            message: Some(message),
        };
        let told = rewrite(&self.both().0, &mut Truth::default(), response);
        self.proxy.inject(&told.encode_to_vec());
    }

    fn both(&self) -> MutexGuard<'_, (Lies, Truth)> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rewrite(lies: &Lies, truth: &mut Truth, mut response: SignalResponse) -> SignalResponse {
    match &mut response.message {
        Some(Message::Join(join)) => {
            truth.people = join.other_participants.clone();
            if let Some(room) = &mut join.room {
                about_room(lies, truth, room);
            }
            about_people(lies, &mut join.other_participants);
        }
        Some(Message::Update(update)) => {
            for told in &update.participants {
                truth.people.retain(|known| known.identity != told.identity);
                truth.people.push(told.clone());
            }
            about_people(lies, &mut update.participants);
        }
        Some(Message::RoomUpdate(update)) => {
            if let Some(room) = &mut update.room {
                about_room(lies, truth, room);
            }
        }
        Some(Message::Offer(offer)) => {
            for sid in offer.mid_to_track_id.values_mut() {
                let carried = lies.carried.iter().find(|(from, _)| from == sid);
                if let Some((_, to)) = carried {
                    sid.clone_from(to);
                }
            }
            let lines = offer.sdp.split_inclusive("\r\n");
            offer.sdp = lines.map(|line| carry(lies, truth, line)).collect();
        }
        _ => {}
    }
    response
}

/// A line of a session description, in which tracks and who publishes them are named as well (RFC 8830).
fn carry(lies: &Lies, truth: &Truth, line: &str) -> String {
    let named = |(from, _): &&(String, String)| line.contains(from);
    let Some((from, to)) = lies.carried.iter().find(named) else {
        return line.to_owned();
    };
    let line = line.replace(from, to);
    match (truth.publisher(from), truth.publisher(to)) {
        (Some(of_from), Some(of_to)) => line.replace(of_from, of_to),
        _ => line,
    }
}

fn about_room(lies: &Lies, truth: &mut Truth, room: &mut Room) {
    truth.metadata.clone_from(&room.metadata);
    truth.session.clone_from(&room.sid);
    if let Some(metadata) = &lies.metadata {
        room.metadata.clone_from(metadata);
    }
    if let Some(session) = &lies.session {
        room.sid.clone_from(session);
    }
}

fn about_people(lies: &Lies, people: &mut Vec<ParticipantInfo>) {
    people.retain(|person| !lies.hidden.contains(&person.identity));
    for track in people.iter_mut().flat_map(|person| &mut person.tracks) {
        if lies.declared_clear {
            track.encryption = encryption::Type::None.into();
        }
        if lies.screen_sound.as_ref() == Some(&track.sid) {
            track.source = livekit_protocol::TrackSource::ScreenShareAudio.into();
        }
    }
}
