// SPDX-License-Identifier: MIT OR Apache-2.0
//! One meeting in one browser: the state machine that decides, and the sealers and openers that obey it.

use std::sync::Arc;
use std::time::Duration;

use roomseal_e2ee::data::DataSealer;
use roomseal_e2ee::{Codec, Fresh, IvSource, Secret};
use roomseal_meeting::call::{Event, Settings};
use roomseal_meeting::chat::{Heard, Origin};
use roomseal_meeting::{Action, By, Bytes, Invitation, Meeting};
use roomseal_policy::{
    Deed, E2ee, Host, HostEntry, KeyModel, Link, LinkError, MeetingPassphrase, RoomName,
    RoomNameError, SecretSource,
};

use zeroize::{Zeroize as _, Zeroizing};

use crate::answer::{Answer, Line, Todo, ToldBy};
use crate::chat::{Chat, how, not_shown};
use crate::decides::{Decides, KeyFrom, Shared};
use crate::dropped::Dropped;
use crate::receiving::{Incoming, Received};
use crate::sending::{Left, Outgoing};
use crate::told::Told;
use crate::view::{Countdown, OwnTrack, View, sending_text};

/// What a meeting begins with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The whole invitation link.
    pub link: &'a str,
    /// 32 bytes of the system's generator, new for every core.
    pub seed: [u8; 32],
    /// Seconds since 1970 at time zero of the clock that is passed in; people read it in policies.
    pub unix: u64,
}

/// What a meeting begins with that was made without a link.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The room.
    pub room: &'a str,
    /// Where its key comes from.
    pub key: KeyFrom,
    /// 32 bytes of the system's generator, new for every core.
    pub seed: [u8; 32],
}

/// Why there is no meeting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAMeeting {
    /// The link.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The room.
    #[error("in the address of this page, {0}")]
    Room(#[from] RoomNameError),
}

/// A meeting, with everything that seals and opens.
#[derive(Debug)]
pub struct Core {
    decides: Decides,
    room: RoomName,
    source: Needs,
    host: Option<Arc<Host>>,
    has_secret: bool,
    outgoing: Outgoing,
    incoming: Incoming,
    chat: Chat,
    dropped: Dropped,
}

/// Where the secret comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Passphrase,
    Service,
}

impl Core {
    /// A meeting that is not joined yet.
    ///
    /// # Errors
    /// The link is none, and what to do about it.
    pub fn new(start: &Start<'_>) -> Result<Self, NotAMeeting> {
        let link = Link::parse(start.link)?;
        let (secret, source) = match link.secret() {
            SecretSource::Link(secret) => (Some(Secret::new(*secret.expose())), Needs::Nothing),
            SecretSource::Passphrase => (None, Needs::Passphrase),
            SecretSource::Service => (None, Needs::Service),
        };
        let mut fresh = Fresh::new(start.seed);
        let has_secret = secret.is_some();
        let host = link.host().map(|grant| Arc::new(grant.host()));
        let settings = Settings {
            invitation: Invitation {
                room: link.room().clone(),
                hosts: link.host_check(),
                sealed: link.announced() == E2ee::On,
                root: link.root().map(|chain| chain.root().hash()),
            },
            host: host.clone(),
            secret,
            key_model: match source {
                Needs::Nothing | Needs::Passphrase => KeyModel::User,
                Needs::Service => KeyModel::Server,
            },
            begin: link.announced(),
            require_e2ee: false,
            // Who may put others out is for the service to say; a page does not hold such a right.
            may_remove: false,
            unix: start.unix,
        };
        let mut meeting = Meeting::new(settings, fresh.draw());
        if let Some(root) = link.root() {
            // Outside the room nothing follows from it yet.
            meeting.handle(Event::Known(root.message()), Duration::ZERO);
        }
        Ok(Self {
            decides: Decides::Meeting(Box::new(meeting)),
            room: link.room().clone(),
            source,
            host,
            has_secret,
            outgoing: Outgoing::new(Fresh::new(fresh.draw())),
            incoming: Incoming::default(),
            chat: chat(&mut fresh),
            dropped: Dropped::default(),
        })
    }

    /// A meeting without a link, that is not joined yet: whether it is encrypted was decided when it was made.
    ///
    /// # Errors
    /// The room has no name that a room can have.
    pub fn visit(visit: &Visit<'_>) -> Result<Self, NotAMeeting> {
        let mut fresh = Fresh::new(visit.seed);
        Ok(Self {
            decides: Decides::Shared(Box::new(Shared::new(visit.key))),
            room: visit.room.parse()?,
            source: match visit.key {
                KeyFrom::None => Needs::Nothing,
                KeyFrom::People => Needs::Passphrase,
                KeyFrom::Service => Needs::Service,
            },
            host: None,
            has_secret: false,
            outgoing: Outgoing::new(Fresh::new(fresh.draw())),
            incoming: Incoming::of_anybody(),
            chat: chat(&mut fresh),
            dropped: Dropped::default(),
        })
    }

    /// Whether its key is to be asked of the service after each join.
    pub fn asks_service(&self) -> bool {
        self.source == Needs::Service
    }

    /// The room to join.
    pub fn room(&self) -> &str {
        self.room.as_str()
    }

    /// Takes what happened at `now`, obeys what the meeting decides about keys and frames, and gives the rest.
    ///
    /// Media that arrive for a track begin only with the meeting's word, so an answer is to be acted on in its order.
    pub fn handle(&mut self, told: Told, now: Duration) -> Answer {
        let mut answer = Answer::default();
        match told {
            Told::Deed { act, to } => match &self.host {
                Some(host) => answer.todo.push(Todo::Deed {
                    certificate: host.certificate().text().to_owned(),
                    deed: Deed { act, to }.sign(host),
                }),
                None => answer.refused = Some("only hosts may do that: ask one".to_owned()),
            },
            Told::Enter { identity, hub } => match &self.host {
                Some(host) => answer.todo.push(Todo::Enter {
                    certificate: host.certificate().text().to_owned(),
                    proof: HostEntry {
                        room: self.room.as_str().to_owned(),
                        identity: identity.clone(),
                        hub,
                    }
                    .sign(host),
                    identity,
                }),
                None => answer.refused = Some("only hosts may do that: ask one".to_owned()),
            },
            Told::Heard { from, piece } => {
                let called = self.decides.called(&from, now);
                let origin = Origin {
                    identity: &from,
                    called: &called,
                    now,
                };
                let heard = self.chat.hear(origin, piece);
                self.show(heard, now, &mut answer);
            }
            Told::Hold => self.button(Event::Hold(By::Box), now, &mut answer),
            Told::Joined {
                me,
                others,
                metadata,
            } => {
                self.end_all();
                self.chat.join(&me);
                let others = others.into_iter().map(Into::into).collect();
                let joined = Event::Joined {
                    me,
                    others,
                    metadata,
                };
                self.meet(joined, now, &mut answer);
            }
            Told::Left => {
                self.meet(Event::Left, now, &mut answer);
                self.end_all();
            }
            Told::Metadata { text } => self.meet(Event::Metadata(text), now, &mut answer),
            Told::Participants { who } => {
                for text in who.iter().filter_map(|one| self.dropped.left(one, now)) {
                    let denied = false;
                    answer.todo.push(Todo::Announce { text, denied });
                }
                let who = who.into_iter().map(Into::into).collect();
                self.meet(Event::Participants(who), now, &mut answer);
            }
            Told::Passphrase { words } => self.passphrase(&words, now, &mut answer),
            Told::Press => self.button(Event::Press(By::Box), now, &mut answer),
            Told::Receives { pipe, sid } => {
                if let Some(sid) = self.incoming.begin(pipe, sid.clone()) {
                    self.meet(Event::Ended { sid }, now, &mut answer);
                }
                self.meet(Event::Flowing { sid }, now, &mut answer);
            }
            Told::Resumed => self.meet(Event::Resumed, now, &mut answer),
            Told::Said { from, text } => self.meet(Event::Said { from, text }, now, &mut answer),
            Told::Sealed {
                from,
                iv,
                key_index,
                value,
            } => {
                let called = self.decides.called(&from, now);
                let origin = Origin {
                    identity: &from,
                    called: &called,
                    now,
                };
                let heard = self.chat.hear_sealed(origin, (&iv, key_index, &value));
                self.show(heard, now, &mut answer);
            }
            Told::Secret { text } => self.secret(&Zeroizing::new(text), now, &mut answer),
            Told::Sends { pipe, sid, source } => {
                self.outgoing.begin(pipe, sid, source);
                self.count(now, &mut answer);
            }
            Told::Stopped { pipe } => {
                self.count(now, &mut answer);
                self.outgoing.end(pipe);
                if let Some(sid) = self.incoming.end(pipe) {
                    self.meet(Event::Ended { sid }, now, &mut answer);
                }
                self.count(now, &mut answer);
            }
            Told::Tick => {
                self.count(now, &mut answer);
                self.meet(Event::Tick, now, &mut answer);
                answer.todo.extend(self.chat.due(now));
            }
            Told::Trailer { bytes } => self.incoming.set_trailer(bytes),
            Told::Write { line, sealed } => match self.chat.write(&line, sealed, now) {
                Ok(todo) => answer.todo.extend(todo),
                Err(error) => answer.refused = Some(error.to_string()),
            },
        }
        answer
    }

    /// Seals, passes or drops a frame that wants to leave through a pipe; a sealed one is in `out`.
    pub fn seal(&mut self, pipe: u32, codec: Codec, frame: &[u8], out: &mut Vec<u8>) -> Left {
        self.outgoing.take(pipe, codec, frame, out)
    }

    /// Opens, passes or drops a frame that came through a pipe; an opened one begins `frame`.
    pub fn open(&mut self, pipe: u32, codec: Codec, frame: &mut [u8], now: Duration) -> Received {
        self.incoming.take(pipe, codec, frame, now)
    }

    /// How everything stands at `now`.
    pub fn view(&self, now: Duration) -> View {
        let report = self.decides.report(now);
        let standing = self.decides.standing(&report, now);
        View {
            shield: standing.shield.word(),
            name: standing.shield.name(),
            green: standing.shield.is_green(),
            reasons: standing.reasons,
            people: standing.people,
            dropped: self.dropped.said().to_vec(),
            sending: sending_text(report.sending, report.sending_text),
            writes: self.chat.writes(),
            own: self
                .outgoing
                .pipes()
                .map(|pipe| OwnTrack {
                    sid: pipe.sid.clone(),
                    source: pipe.source,
                    sealed: pipe.sealed,
                    clear: pipe.clear,
                    dropped: pipe.dropped,
                })
                .collect(),
            on: self.decides.is_on(),
            host: self.host.is_some(),
            asks: self.asks(standing.shield.word()),
            countdown: self.decides.countdown(now).map(|(by, left)| Countdown {
                by: by.map(str::to_owned),
                left: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Lets the meeting decide, and obeys.
    fn meet(&mut self, event: Event, now: Duration, answer: &mut Answer) {
        let actions = self.decides.handle(event, now);
        self.obey(actions, answer);
        let on = self.decides.is_on() == Some(true);
        let denied = false;
        let late = self.dropped.look(on, now).into_iter();
        let late = late.map(|text| Todo::Announce { text, denied });
        answer.todo.extend(late);
    }

    fn obey(&mut self, actions: Vec<Action>, answer: &mut Answer) {
        for action in actions {
            match action {
                Action::Send(sending) => {
                    self.chat.send(sending);
                    self.outgoing.decide(sending);
                }
                Action::SendKey(key) => {
                    self.chat.send_key(key.clone());
                    self.outgoing.set_key(key);
                }
                Action::ReopenData { identity, rules } => {
                    let rules = match &self.decides {
                        Decides::Meeting(_) => rules,
                        Decides::Shared(shared) => shared.rules(rules.opening),
                    };
                    self.chat.open(identity, rules);
                }
                Action::Reopen { sid, rules } => self.incoming.reopen(&sid, rules),
                Action::WakeAt(at) => answer.wake = Some(at.as_secs_f64() * 1000.0),
                Action::Play(mut play) => {
                    // A Roomseal meeting gives rules with every track; without them nothing of it would open.
                    let rules = match &self.decides {
                        Decides::Meeting(_) => play.rules.take(),
                        Decides::Shared(shared) => Some(shared.rules(play.opening)),
                    };
                    if let Some(rules) = rules {
                        self.incoming.play(play.sid.clone(), rules);
                    }
                    answer.todo.extend(Todo::of(Action::Play(play)));
                }
                Action::Stop { sid } => {
                    self.incoming.stop(&sid);
                    answer.todo.push(Todo::Stop { sid });
                }
                other => answer.todo.extend(Todo::of(other)),
            }
        }
    }

    /// Tells the meeting what was counted and what leaves.
    fn count(&mut self, now: Duration, answer: &mut Answer) {
        for (sid, counters) in self.incoming.counted() {
            self.meet(Event::Counted { sid, counters }, now, answer);
        }
        let publishing = Event::Publishing {
            tracks: self.outgoing.tracks(),
            data: Some(Bytes(self.chat.iv_prefix())),
        };
        self.meet(publishing, now, answer);
        self.meet(Event::Sent(self.outgoing.sent()), now, answer);
    }

    fn end_all(&mut self) {
        self.outgoing.end_all();
        self.incoming.end_all();
        self.chat.restart();
    }

    /// Has the page do and show what came of something that was written.
    fn show(&mut self, heard: Option<Heard>, now: Duration, answer: &mut Answer) {
        let Some(heard) = heard else { return };
        let (from, text, how) = match heard {
            Heard::Line(line) => (line.from, line.text, how(line.sealed)),
            Heard::Refused { from, why } => (from, not_shown(why).to_owned(), "refused"),
            Heard::Asked(say) => return answer.todo.extend(self.chat.say(&say)),
            Heard::Told { by, lines } => {
                let by_name = self.decides.called(&by, now);
                answer.todo.extend(lines.into_iter().map(|told| {
                    Todo::Line(Line {
                        // Who tells of its own lines knows no better name of itself than we do.
                        called: match told.line.from == by {
                            true => by_name.clone(),
                            false => told.called,
                        },
                        from: Some(told.line.from),
                        text: told.line.text,
                        how: how(told.line.sealed),
                        told: Some(ToldBy {
                            by: by_name.clone(),
                            ago: told.ago,
                        }),
                    })
                }));
                return;
            }
        };
        let called = self.decides.called(&from, now);
        answer.todo.push(Todo::Line(Line {
            called,
            from: Some(from),
            text,
            how,
            told: None,
        }));
    }

    fn passphrase(&mut self, words: &str, now: Duration, answer: &mut Answer) {
        if self.source != Needs::Passphrase {
            answer.refused = Some(
                "the key of this meeting is not made of a passphrase: open its whole link instead"
                    .into(),
            );
            return;
        }
        if let Decides::Shared(_) = self.decides {
            return self.share(words, now, answer);
        }
        match MeetingPassphrase::new(words) {
            Ok(words) => {
                let words = words.expose().as_bytes();
                let secret = Secret::from_passphrase(words, self.room.as_str());
                self.has_secret = true;
                self.chat.forget();
                let (secret, from) = (Some(secret), KeyModel::User);
                self.meet(Event::Secret { secret, from }, now, answer);
            }
            Err(error) => answer.refused = Some(error.to_string()),
        }
    }

    /// What the service made.
    fn secret(&mut self, text: &str, now: Duration, answer: &mut Answer) {
        if self.source != Needs::Service {
            // Whoever has its key by other ways does not take one from there.
            answer.refused = Some("the key of this meeting does not come from the service".into());
            return;
        }
        if let Decides::Shared(_) = self.decides {
            return self.share(text, now, answer);
        }
        let bytes: Result<Bytes<32>, _> = serde_json::from_value(text.into());
        match bytes {
            Ok(Bytes(mut bytes)) => {
                let secret = Secret::new(bytes);
                bytes.zeroize();
                self.has_secret = true;
                let (secret, from) = (Some(secret), KeyModel::Server);
                self.meet(Event::Secret { secret, from }, now, answer);
            }
            Err(_) => answer.refused = Some("what the service gave for a key is none".into()),
        }
    }

    /// The one key of a room that people share.
    fn share(&mut self, text: &str, now: Duration, answer: &mut Answer) {
        let Decides::Shared(shared) = &mut self.decides else {
            return;
        };
        if text.is_empty() {
            answer.refused = Some("type the key that you were told".into());
            return;
        }
        let (key, actions) = shared.take_key(text, now);
        let rules = shared.rules(shared.opening());
        for sid in shared.playing() {
            self.incoming.reopen(&sid, rules.clone());
        }
        self.has_secret = true;
        self.chat.send_key(Some(key.clone()));
        self.outgoing.set_key(Some(key));
        self.obey(actions, answer);
    }

    /// Something was done with the button of encryption.
    fn button(&mut self, event: Event, now: Duration, answer: &mut Answer) {
        match self.decides {
            Decides::Meeting(_) => self.meet(event, now, answer),
            Decides::Shared(_) => {
                answer.refused = Some(
                    "whether this meeting is encrypted was decided when it was made: make another one"
                        .into(),
                );
            }
        }
    }

    fn asks(&self, shield: &str) -> Option<&'static str> {
        let wrong = shield == "wrong-key" && self.has_secret;
        if let (Decides::Shared(_), Needs::Passphrase) = (&self.decides, self.source) {
            return (!self.has_secret || wrong).then_some("key");
        }
        match (self.source, self.has_secret, wrong) {
            (Needs::Passphrase, false, _) | (Needs::Passphrase, _, true) => Some("passphrase"),
            (Needs::Nothing | Needs::Service, _, true) => Some("link"),
            _ => None,
        }
    }
}

fn chat(fresh: &mut Fresh) -> Chat {
    Chat::new(
        DataSealer::new(IvSource::new(fresh.draw())),
        Fresh::new(fresh.draw()),
    )
}
