// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of LiveKit's v0 signalling protocol (two peer connections), on tokio.
//!
//! [`LiveKit::connect`] starts a session and gives back a [`Handle`] to ask with and a channel of
//! [`Event`]s. The session connects, joins, keeps itself alive, resumes after a broken connection
//! and joins anew when that fails, until it is left or the server says for good that it may not.
//! It carries descriptions and candidates between the server and two peer connections that somebody
//! else owns; data packets go through those ([`data`] encodes them).
//!
//! What the owner does:
//!
//! | event | answer |
//! |---|---|
//! | [`Event::Joined`] | make two peer connections, [`Handle::add_track`] what is to be published |
//! | [`Event::Offer`] | give it to the subscriber connection, [`Handle::answer`] with the same `id` |
//! | [`Event::TrackPublished`] | let the publisher connection offer, [`Handle::offer`] |
//! | [`Event::Answer`] | give it to the publisher connection |
//! | [`Event::Trickle`] | give it to the connection named; [`Handle::trickle`] the other way |
//! | [`Event::Resumed`] | restart ICE on the publisher, offer; the server does the subscriber |
//! | [`Event::RestartMedia`] | close both peer connections; [`Event::Joined`] follows |
//! | [`Event::Disconnected`] | show the reason; with `will_retry: false` the channel ends |
//!
//! Everything that arrives is the server's word. Whatever it sends, nothing here panics, and memory
//! stays bounded: messages by size, waiting events by number.

mod address;
mod admin;
mod backoff;
mod connect;
pub mod data;
mod dial;
mod driver;
mod error;
mod event;
mod exchange;
mod meeting_secret;
mod participant;
mod request;
mod secret;
mod session;
mod tls;
mod token;
mod wire;
mod wording;

use tokio::sync::mpsc;

use self::{
    driver::Driver,
    request::{Request, Wish},
};

pub(crate) use self::{
    dial::dial,
    exchange::{Answer, LONGEST, Question, ask},
};

pub use self::{
    address::{Plaintext, ServerUrl},
    admin::Admin,
    error::Error,
    event::{
        Description, Event, Garbage, IceServer, JoinInfo, LeaveReason, LinkGrade, LinkQuality,
        Reason, ResumeInfo, RoomInfo, Speaker, StreamState, SubscriptionError, Target,
        WantedLayers,
    },
    meeting_secret::meeting_secret,
    participant::{
        Encryption, Layer, Participant, ParticipantKind, ParticipantState, Quality, Track,
        TrackKind, TrackSource,
    },
    request::{AddTrack, DataChannel, DataState, MediaTrouble, TrackSettings, View},
    secret::Secret,
    tls::{CertificateHash, Trust},
    token::{Claims, Mint, Token, TokenSource},
    wording::harmless,
};

/// Events that wait in the channel before the session holds them back itself.
const CHANNEL: usize = 64;

/// Where to connect to and as whom.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server.
    pub server: ServerUrl,
    /// Which certificates to trust.
    pub trust: Trust,
    /// Where tokens come from.
    pub tokens: TokenSource,
    /// How this client calls itself.
    pub client: Client,
}

/// How this client calls itself; the server only logs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Version of the firmware.
    pub version: String,
    /// Operating system.
    pub os: String,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            os: std::env::consts::OS.into(),
        }
    }
}

/// The LiveKit service.
#[derive(Debug)]
pub struct LiveKit;

impl LiveKit {
    /// Starts a session. It lasts until [`Event::Disconnected`] with `will_retry: false`; dropping
    /// the receiver or the last handle leaves the room too.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its clock and its network enabled.
    pub fn connect(config: Config) -> (Handle, mpsc::Receiver<Event>) {
        let (requests, waiting) = mpsc::unbounded_channel();
        let (owner, events) = mpsc::channel(CHANNEL);
        // Without randomness the jitter is the same every time, which still works.
        let seed = getrandom::u64().unwrap_or_default();
        tokio::spawn(Driver::new(config, seed).run(waiting, owner));
        (
            Handle {
                requests,
                join: None,
            },
            events,
        )
    }
}

/// Asks things of a session, from any thread, without waiting. What is asked after the end of the
/// session, or of a join that is over, is dropped.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    join: Option<u64>,
}

impl Handle {
    /// A handle whose requests, but for [`Self::leave`], only count during this join
    /// ([`JoinInfo::join`]). Give it to what is
    /// built for one join, so that its last words do not reach the next.
    #[must_use]
    pub fn for_join(&self, join: u64) -> Self {
        Self {
            requests: self.requests.clone(),
            join: Some(join),
        }
    }

    /// Answers the subscriber's offer `id`.
    pub fn answer(&self, sdp: String, id: u32) {
        self.ask(Wish::Answer { sdp, id });
    }

    /// Offers the publisher connection; the server answers with the same `id`.
    pub fn offer(&self, sdp: String, id: u32) {
        self.ask(Wish::Offer { sdp, id });
    }

    /// Passes on one of our ICE candidates, an `RTCIceCandidateInit` as JSON.
    pub fn trickle(&self, target: Target, init_json: String, last: bool) {
        self.ask(Wish::Trickle {
            target,
            init_json,
            last,
        });
    }

    /// Declares a track; [`Event::TrackPublished`] or [`Event::RequestRefused`] answers.
    pub fn add_track(&self, track: AddTrack) {
        self.ask(Wish::AddTrack(track));
    }

    /// Says that a track of ours is no longer sent, so that a resume does not claim it. The server
    /// learns it from the publisher's next offer.
    pub fn unpublished(&self, sid: String) {
        self.ask(Wish::Unpublished { sid });
    }

    /// Says that a track of ours is muted or no longer is.
    pub fn mute(&self, sid: String, muted: bool) {
        self.ask(Wish::Mute { sid, muted });
    }

    /// Subscribes to tracks or stops it. Everything is subscribed from the start.
    pub fn update_subscription(&self, sids: Vec<String>, subscribe: bool) {
        self.ask(Wish::Subscribe { sids, subscribe });
    }

    /// Says how subscribed videos are shown, so that the server sends the layer that fits.
    pub fn update_track_settings(&self, settings: TrackSettings) {
        self.ask(Wish::Settings(settings));
    }

    /// Replaces what a resume tells the server about data channels.
    pub fn data_state(&self, state: DataState) {
        self.ask(Wish::DataState(state));
    }

    /// Asks for a new connection that goes on with the session, after media failed.
    pub fn resume(&self, trouble: MediaTrouble) {
        self.ask(Wish::Resume { trouble });
    }

    /// Asks for a new session, after media failed for good; `why` is shown.
    pub fn rejoin(&self, why: impl Into<String>) {
        self.ask(Wish::Rejoin { why: why.into() });
    }

    /// Leaves the room; [`Event::Disconnected`] with [`Reason::Left`] is the last event.
    pub fn leave(&self) {
        self.ask(Wish::Leave);
    }

    /// Whether the session has ended.
    pub fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    fn ask(&self, what: Wish) {
        // The session has ended: nothing to ask of any more.
        let _ = self.requests.send(Request {
            join: self.join,
            what,
        });
    }
}
