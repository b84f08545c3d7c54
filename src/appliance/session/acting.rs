// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the meeting wants to be done, done; and what it has to hear of media and data channels.

use std::collections::VecDeque;
use std::time::Instant;

use roomseal_e2ee::IvSource;
use roomseal_e2ee::data::DataSealer;
use roomseal_media::call::Command;
use roomseal_media::capture::TrackStats;
use roomseal_media::transport::MediaKind;
use roomseal_meeting::call::{Event, OwnTrack, Sent};
use roomseal_meeting::chat::{Heard, Origin, Say};
use roomseal_meeting::{Action, Announcement, Bytes, Denied, Source};
use roomseal_policy::{E2ee, Policy};
use roomseal_service::livekit::{Admin, Error};

use crate::control::Reply;
use crate::status::{self, moment};

use super::messages::{Messages, Received};
use super::room::Room;
use super::unread::Unread;
use super::{Session, translate};

/// Messages that wait for the channels to open; the newest count.
const MOST_WAITING: usize = 32;

/// What is said, and to whom it can be said.
pub(super) struct Talk {
    messages: Messages,
    /// The data channels are open.
    open: bool,
    waiting: VecDeque<(Vec<String>, String)>,
    unread: Unread,
    /// Who asks the service as administrator, if this box may.
    admin: Option<Admin>,
    /// What was last told of what is published.
    published: Vec<OwnTrack>,
}

impl Talk {
    /// Nothing can be said yet.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new(admin: Option<Admin>) -> anyhow::Result<Self> {
        let mut seed = [0; 12];
        getrandom::fill(&mut seed)
            .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
        Ok(Self {
            messages: Messages::new(DataSealer::new(IvSource::new(seed))),
            open: false,
            waiting: VecDeque::new(),
            unread: Unread::default(),
            admin,
            published: Vec::new(),
        })
    }

    /// Who asks the service as administrator, if this box may.
    pub(super) fn admin(&self) -> Option<Admin> {
        self.admin.clone()
    }

    /// Whether this box may ask the service as administrator.
    pub(super) fn administers(&self) -> bool {
        self.admin.is_some()
    }

    /// In the room from zero.
    pub(super) fn restart(&mut self) {
        self.messages.restart();
        self.open = false;
        self.waiting.clear();
        self.published.clear();
    }
}

impl Session<'_> {
    /// Lets the meeting decide about `event`, and does what it says.
    pub(super) fn meeting(&mut self, event: Event) {
        if matches!(event, Event::Secret { .. }) {
            self.talk.messages.forget();
        }
        let actions = self.room.handle(event, self.now());
        self.act(actions);
    }

    /// In a foreign room, seals with this box's own key from now on, and opens with the keys of the others.
    pub(super) fn keys_by_app(&mut self) {
        let now = self.now();
        let Room::Foreign(room) = &mut self.room else {
            return;
        };
        let keys = &self.setup.e2ee.keys;
        let own = keys.of(&self.setup.identity).cloned();
        let actions = room.own_key(own.is_some(), now);
        let playing: Vec<_> = room
            .playing()
            .map(|(sid, identity)| (sid.to_owned(), keys.ring(identity)))
            .collect();
        if let Some(own) = own {
            self.talk.messages.send_key(Some((keys.index, own.clone())));
            self.call.command(Command::SendKey(keys.index, own));
        }
        for (sid, keys) in playing {
            self.call.command(Command::Keys { sid, keys });
        }
        self.act(actions);
    }

    /// In a foreign room, what may leave depends on what is published, and as what.
    pub(super) fn tell_what_is_declared(&mut self) {
        let now = self.now();
        if let Room::Foreign(room) = &mut self.room {
            let declared = self.publishing.declared();
            let declared = declared.into_iter().map(translate::requirement).collect();
            let actions = room.declared(declared, now);
            self.act(actions);
        }
    }

    /// Waits until the meeting wants to be asked again.
    pub(super) async fn wake(&self) {
        match self.wake {
            Some(at) => tokio::time::sleep(at.saturating_sub(self.now())).await,
            None => std::future::pending().await,
        }
    }

    /// A message came on a data channel.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let now = self.now();
        let room = &self.room;
        let called = |identity: &str| room.called(identity);
        match self.talk.messages.receive(bytes, called, now) {
            Some(Received::Said { from, text }) => self.meeting(Event::Said { from, text }),
            Some(Received::Chat(Heard::Line(line))) => {
                self.status
                    .wrote(&line.from, &line.text, line.sealed, false);
            }
            Some(Received::Chat(Heard::Asked(say))) => self.tell(&say),
            Some(Received::Chat(Heard::Told { by, lines })) => {
                for told in lines {
                    self.status.wrote_before(&by, &told);
                }
            }
            Some(Received::Chat(Heard::Refused { from, why }))
                if self.talk.unread.refused(self.now()) =>
            {
                tracing::warn!(%from, %why, "a message is not shown");
            }
            Some(Received::Chat(Heard::Refused { .. })) | None => {}
        }
    }

    /// Asks a member for what was written before this box came, when that is due.
    pub(super) fn catch_up(&mut self) {
        if self.talk.open
            && let Some(say) = self.talk.messages.due(self.now())
        {
            self.tell(&say);
        }
    }

    /// Says something about earlier lines; who does not get it asks again, or another member.
    fn tell(&mut self, say: &Say) {
        match self.talk.messages.tell(say) {
            Ok(packets) => self.leave(packets),
            Err(error) => tracing::debug!(%error, "earlier lines are not told"),
        }
    }

    fn leave(&self, packets: Vec<Vec<u8>>) {
        for bytes in packets {
            self.call.command(Command::Data {
                reliable: true,
                bytes,
            });
        }
    }

    /// Notes how many messages were not shown beside those that were noted one by one.
    pub(super) fn count_unread(&mut self) {
        if let Some(count) = self.talk.unread.due(self.now()) {
            tracing::warn!(count, "more messages are not shown");
        }
    }

    /// The channels are open: says what waited.
    pub(super) fn speak(&mut self) {
        self.talk.open = true;
        for (to, text) in std::mem::take(&mut self.talk.waiting) {
            self.say(to, text);
        }
    }

    /// Tells the meeting what leaves this box, as the elements counted it.
    pub(super) fn tell_what_is_sent(&mut self, stats: &[TrackStats]) {
        let tracks: Vec<OwnTrack> = stats
            .iter()
            .filter_map(|track| {
                let (prefix, next) = track.iv?;
                let sid = self.publishing.sid_of(track.local)?;
                Some(OwnTrack {
                    sid: sid.to_owned(),
                    source: match MediaKind::from(track.codec) {
                        MediaKind::Audio => Source::Microphone,
                        MediaKind::Video => Source::Camera,
                    },
                    iv: Bytes(prefix),
                    next,
                })
            })
            .collect();
        let data = Some(Bytes(self.talk.messages.iv_prefix()));
        self.meeting(Event::Publishing { tracks, data });
        self.meeting(Event::Sent(Sent {
            sealed: stats.iter().map(|track| track.sealed).sum(),
            clear: stats.iter().map(|track| track.clear).sum(),
        }));
    }

    pub(super) fn act(&mut self, actions: Vec<Action>) {
        // Before anything obeys.
        let decided = Instant::now();
        for action in actions {
            match action {
                Action::Announce(announcement) => self.announce(&announcement),
                Action::Play(play) => {
                    let rules = play.rules.clone();
                    let sid = play.sid.clone();
                    // Those of a Roomseal meeting come with its rules.
                    let keys = match rules {
                        Some(_) => roomseal_e2ee::KeyRing::new(),
                        None => self.setup.e2ee.keys.ring(&play.identity),
                    };
                    self.call.command(Command::Play {
                        track: translate::play(play),
                        keys,
                    });
                    if let Some(rules) = rules {
                        let rules = translate::rules(rules);
                        self.call.command(Command::Open { sid, rules });
                    }
                }
                Action::Remove { identity } => {
                    self.administer(|admin| async move { admin.remove(identity).await });
                }
                Action::Reopen { sid, rules } => self.call.command(Command::Open {
                    sid,
                    rules: translate::rules(rules),
                }),
                Action::ReopenData {
                    identity,
                    mut rules,
                } => {
                    if matches!(self.room, Room::Foreign(_)) {
                        rules.keys = self.setup.e2ee.keys.ring(&identity);
                    }
                    self.talk.messages.open(identity, rules);
                }
                // A sound track that is published anew twice in one session is silent from then on; who joins anew
                // publishes everything with the right declaration at once.
                Action::Republish => self
                    .handle
                    .rejoin("everything is published anew, declared otherwise".to_owned()),
                Action::Say { to, text } => self.say(to, text),
                Action::Send(sending) => {
                    self.talk.messages.send(sending);
                    self.call.command(Command::Send(translate::mode(sending)));
                    self.sending_since = Some(Instant::now());
                }
                Action::SendKey(key) => {
                    self.talk.messages.send_key(key.clone());
                    self.call.command(match key {
                        Some((index, key)) => Command::SendKey(index, key),
                        None => Command::ForgetSendKey,
                    });
                    self.sending_since = Some(Instant::now());
                }
                Action::Stop { sid } => self.call.command(Command::Stop { sid }),
                Action::WakeAt(at) => self.wake = Some(at),
                Action::WriteMetadata(text) => {
                    self.administer(|admin| async move { admin.update_metadata(text).await });
                }
                // The vocabulary may grow; what is not known here is not asked of a box.
                other => tracing::debug!(?other, "nothing to do about this"),
            }
        }
        self.show_policy(decided);
    }

    /// Shows which policy is followed, and since when.
    fn show_policy(&mut self, decided: Instant) {
        let followed = self.room.policy().map(Policy::hash);
        if followed == self.followed {
            return;
        }
        self.followed = followed;
        let policy = self.room.policy().map(|policy| status::Policy {
            e2ee: match policy.e2ee() {
                E2ee::On => "on",
                E2ee::Off => "off",
            }
            .to_owned(),
            epoch: policy.epoch().value(),
            since: moment(decided),
        });
        self.status.update(|status| status.policy = policy);
    }

    /// Writes a line to everybody.
    pub(super) fn chat(&mut self, line: &str) -> Reply {
        if !self.talk.open {
            return Reply::NotNow("not connected yet: try again in a moment".into());
        }
        let mut id = [0; 16];
        if getrandom::fill(&mut id).is_err() {
            return Reply::NotNow("the system gives no random bytes: restart the box".into());
        }
        let me = Origin {
            identity: &self.setup.identity,
            called: &self.setup.identity,
            now: self.now(),
        };
        match self.talk.messages.chat(me, &hex::encode(id), line) {
            Ok(packets) => {
                self.leave(packets);
                let sealed = self.talk.messages.seals();
                self.status.wrote(&self.setup.identity, line, sealed, true);
                Reply::Done("sent".into())
            }
            Err(error) => Reply::NotNow(error.to_string()),
        }
    }

    fn announce(&self, announcement: &Announcement) {
        match announcement {
            // Said with where the press came from, where it is answered; this one is found out only later.
            Announcement::Denied(why) if *why != Denied::Full => {}
            told => {
                if matches!(told, Announcement::OffSoon { .. }) {
                    self.call.command(Command::Chime);
                }
                self.status.happened(&told.text());
            }
        }
    }

    fn say(&mut self, to: Vec<String>, text: String) {
        if !self.talk.open {
            if self.talk.waiting.len() == MOST_WAITING {
                self.talk.waiting.pop_front();
            }
            self.talk.waiting.push_back((to, text));
            return;
        }
        match self.talk.messages.say(to, &text) {
            Ok(bytes) => self.call.command(Command::Data {
                reliable: true,
                bytes,
            }),
            Err(error) => tracing::error!(%error, "the others are not told"),
        }
    }

    /// Asks the service as administrator; what it answers is only logged, since members are told by data messages too.
    fn administer<F>(&self, ask: impl FnOnce(Admin) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let Some(admin) = self.talk.admin.clone() else {
            return;
        };
        let asked = ask(admin);
        tokio::spawn(async move {
            if let Err(error) = asked.await {
                tracing::warn!(%error, "the service did not do what its administrator asked");
            }
        });
    }
}
