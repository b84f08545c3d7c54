// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shield of a foreign room (PROTOCOL §8 and §9): verified means that frames open, and the best there is to say is
//! sealed with "keys by the app".

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::{ForeignRoom, Requirement, Sending};
use crate::report::TrackReport;
use crate::roster::Kind;
use crate::shield::Shield;
use crate::verification::{Refusal, Verification};

/// How long a newcomer or a switch may take before it is no longer called sealing.
const NEW: Duration = Duration::from_secs(5);

/// What the room itself cannot know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// What is broken in the box, in words.
    pub fault: Option<&'a str>,
    /// On the way into the room, or back into it.
    pub connecting: bool,
    /// Something else than a press was refused less than 2 s ago.
    pub denied: bool,
}

/// What the shield says, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignVerdict {
    /// The state.
    pub shield: Shield,
    /// The state in one sentence for people.
    pub text: &'static str,
    /// What it rests on, one sentence each; may hold names of others, unchecked.
    pub reasons: Vec<String>,
}

/// What the tracks together show.
#[derive(Default)]
struct Seen {
    verified: usize,
    /// Frames of another key, or none for theirs.
    keyless: Vec<String>,
    /// Anything else that must not be.
    wrong: Vec<String>,
    pending: Vec<String>,
}

impl ForeignRoom {
    /// What the shield says at `now`. Verdicts age, so it is to be asked again at least every second.
    pub fn verdict(&self, around: Circumstances<'_>, now: Duration) -> ForeignVerdict {
        let seen = self.seen(now);
        let (shield, text, mut reasons) = self.judge(around, seen, now);
        if self.me.is_some() {
            reasons.extend(self.roster.iter().filter(|p| p.kind != Kind::Person).map(
                |participant| {
                    format!(
                        "{} is no person but a machine of the service ({})",
                        participant.called(),
                        participant.kind.word()
                    )
                },
            ));
        }
        ForeignVerdict {
            shield,
            text,
            reasons,
        }
    }

    fn judge(
        &self,
        around: Circumstances<'_>,
        seen: Seen,
        now: Duration,
    ) -> (Shield, &'static str, Vec<String>) {
        let inside = self.me.is_some();
        let required = self.requirement == Requirement::Sealed;
        let Seen {
            verified,
            keyless,
            mut wrong,
            pending,
        } = seen;
        if self.leak.seen().is_some() {
            return (
                Shield::Fault,
                "This box sent frames that were not sealed. Restart it.",
                Vec::new(),
            );
        }
        if let Some(fault) = around.fault {
            return (
                Shield::Fault,
                "This box does not work as it should.",
                alloc::vec![fault.into()],
            );
        }
        let denied = self.hosting.denied(now);
        if around.denied || denied.is_some() {
            let why = denied.map(|why| why.text().into());
            let reasons = why.into_iter().collect();
            return (Shield::Denied, "That press was refused.", reasons);
        }
        if !inside {
            return if around.connecting {
                (
                    Shield::Connecting,
                    "On the way into the meeting.",
                    Vec::new(),
                )
            } else {
                (
                    Shield::Dark,
                    "Nothing is sent from here, and nothing is played.",
                    Vec::new(),
                )
            };
        }
        if !required {
            return (
                Shield::Open,
                "End-to-end encryption is off. What this box sends can be read by the service.",
                Vec::new(),
            );
        }
        if self.sending == Sending::NothingWithoutKey {
            return (
                Shield::WrongKey,
                "This box has no key for this meeting. Enter the meeting's key.",
                keyless,
            );
        }
        if verified == 0 && !keyless.is_empty() {
            return (
                Shield::WrongKey,
                "Nothing opens with this box's key. Check the meeting's key.",
                keyless,
            );
        }
        wrong.extend(keyless);
        if !wrong.is_empty() {
            return (
                Shield::UnsealedPeer,
                "Somebody here is not sealed with this meeting's key. What does not open is not played.",
                wrong,
            );
        }
        if self.sending == Sending::NothingSwitching {
            return (
                Shield::Sealing,
                "Encryption goes on. What this box sends is being published anew.",
                pending,
            );
        }
        if !pending.is_empty() {
            return (
                Shield::Sealing,
                "Encryption is on. Checking what just arrived.",
                pending,
            );
        }
        if verified == 0 {
            return (
                Shield::Waiting,
                "Encryption is on. Nobody else has been verified yet.",
                Vec::new(),
            );
        }
        (
            Shield::Sealed,
            "Everything sent and played here is sealed. Keys by the app.",
            Vec::new(),
        )
    }

    fn seen(&self, now: Duration) -> Seen {
        let report = self.report(now);
        let mut seen = Seen::default();
        for participant in &report.participants {
            let called = if participant.name.trim().is_empty() {
                &participant.identity
            } else {
                &participant.name
            };
            for track in &participant.tracks {
                self.look(called, track, now, &mut seen);
            }
        }
        seen
    }

    fn look(&self, called: &str, track: &TrackReport, now: Duration, seen: &mut Seen) {
        let says = |text: &str| format!("{called}, {}: {text}", track.source.word());
        match track.verification {
            Verification::Verified => {
                seen.verified += 1;
                let beside = self
                    .playing
                    .get(&track.sid)
                    .and_then(|(_, watched)| watched.refused_beside(now));
                if beside.is_some() {
                    seen.wrong.push(says(&track.text));
                }
            }
            // The report names owner and source itself.
            Verification::Refused(Refusal::NoKey | Refusal::OtherKey) => {
                seen.keyless.push(track.text.to_string());
            }
            Verification::Refused(Refusal::Damaged | Refusal::Unverified) => {
                seen.pending.push(track.text.to_string());
            }
            Verification::Refused(Refusal::Clear) => seen.wrong.push(says(&track.text)),
            Verification::Refused(_) => seen.wrong.push(track.text.to_string()),
            Verification::Waiting if !track.muted => {
                let new = self
                    .awaited
                    .get(&track.sid)
                    .is_some_and(|since| now.saturating_sub(*since) <= NEW);
                if new {
                    seen.pending.push(says(&track.text));
                }
            }
            Verification::Clear | Verification::Silent | Verification::Waiting => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use roomseal_e2ee::OpenCounters;

    use super::*;
    use crate::call::{Event, Sent};
    use crate::{By, Declared, Participant, Source, Track};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn person(identity: &str) -> Participant {
        let camera = Track::new(identity, Source::Camera, Declared::Sealed);
        Participant::new(identity, identity).with_track(camera)
    }

    fn room(requirement: Requirement, key: bool, others: Vec<Participant>) -> ForeignRoom {
        let mut room = ForeignRoom::new(requirement, key);
        let sids: Vec<String> = others
            .iter()
            .map(|other| other.tracks[0].sid.clone())
            .collect();
        let joined = Event::Joined {
            me: "box".into(),
            others,
            metadata: String::new(),
        };
        room.handle(joined, at(0));
        for sid in sids {
            room.handle(Event::Flowing { sid }, at(0));
        }
        room
    }

    fn count(room: &mut ForeignRoom, sid: &str, counters: OpenCounters, now: Duration) {
        let sid = sid.into();
        room.handle(Event::Counted { sid, counters }, now);
    }

    fn shield(room: &ForeignRoom, now: Duration) -> Shield {
        room.verdict(Circumstances::default(), now).shield
    }

    fn opened(opened: u64) -> OpenCounters {
        OpenCounters {
            opened,
            ..OpenCounters::default()
        }
    }

    fn other_key(other_key: u64) -> OpenCounters {
        OpenCounters {
            other_key,
            ..OpenCounters::default()
        }
    }

    #[test]
    fn green_takes_an_opened_frame_and_goes_by_itself() {
        let mut room = room(Requirement::Sealed, true, vec![person("alice")]);
        assert_eq!(shield(&room, at(1)), Shield::Sealing);
        assert_eq!(shield(&room, at(6)), Shield::Waiting);
        count(&mut room, "alice", opened(1), at(7));
        assert_eq!(shield(&room, at(7)), Shield::Sealed);
        assert_eq!(shield(&room, at(13)), Shield::Waiting);
    }

    #[test]
    fn one_peer_that_does_not_open_is_named_and_spoils_the_green() {
        let mut room = room(
            Requirement::Sealed,
            true,
            vec![person("alice"), person("mallory")],
        );
        count(&mut room, "alice", opened(1), at(1));
        count(&mut room, "mallory", other_key(3), at(1));
        let verdict = room.verdict(Circumstances::default(), at(1));
        assert_eq!(verdict.shield, Shield::UnsealedPeer);
        assert!(verdict.reasons[0].contains("mallory"), "{verdict:?}");
    }

    #[test]
    fn frames_slipped_in_under_a_verified_name_spoil_the_green() {
        let mut room = room(Requirement::Sealed, true, vec![person("alice")]);
        let slipped = OpenCounters {
            clear: 1,
            ..opened(9)
        };
        count(&mut room, "alice", slipped, at(1));
        assert_eq!(shield(&room, at(1)), Shield::UnsealedPeer);
    }

    #[test]
    fn where_nothing_opens_it_is_this_boxs_key_that_is_asked_for() {
        let mut locked = room(Requirement::Sealed, true, vec![person("alice")]);
        count(&mut locked, "alice", other_key(3), at(1));
        assert_eq!(shield(&locked, at(1)), Shield::WrongKey);
        let keyless = room(Requirement::Sealed, false, vec![]);
        assert_eq!(shield(&keyless, at(1)), Shield::WrongKey);
    }

    #[test]
    fn loss_alone_is_never_called_a_wrong_key() {
        let mut room = room(Requirement::Sealed, true, vec![person("alice")]);
        let lost = OpenCounters {
            loss: 3,
            unverified: 1,
            ..OpenCounters::default()
        };
        count(&mut room, "alice", lost, at(1));
        assert_eq!(shield(&room, at(1)), Shield::Sealing);
    }

    #[test]
    fn a_new_key_is_being_checked_before_it_is_believed() {
        let mut room = room(Requirement::Sealed, false, vec![person("alice")]);
        assert_eq!(shield(&room, at(20)), Shield::WrongKey);
        room.own_key(true, at(20));
        assert_eq!(shield(&room, at(21)), Shield::Sealing);
        count(&mut room, "alice", opened(1), at(22));
        assert_eq!(shield(&room, at(22)), Shield::Sealed);
    }

    #[test]
    fn encryption_that_is_off_is_never_shown_as_on() {
        let mut room = room(Requirement::Open, true, vec![person("alice")]);
        count(&mut room, "alice", opened(5), at(1));
        assert_eq!(shield(&room, at(1)), Shield::Open);
    }

    #[test]
    fn while_encryption_goes_on_the_lamp_says_so_and_is_not_green_before() {
        let mut room = room(Requirement::Open, true, vec![person("alice")]);
        room.declared(vec![Requirement::Open], at(0));
        room.handle(Event::Press(By::Box), at(10));
        count(&mut room, "alice", opened(1), at(11));
        assert_eq!(shield(&room, at(11)), Shield::Sealing);
        room.declared(vec![Requirement::Sealed], at(12));
        assert_eq!(shield(&room, at(12)), Shield::Sealed);
    }

    #[test]
    fn a_press_without_a_key_is_refused_and_changes_nothing() {
        let mut room = room(Requirement::Open, false, vec![]);
        room.handle(Event::Press(By::Box), at(10));
        let verdict = room.verdict(Circumstances::default(), at(11));
        assert_eq!(verdict.shield, Shield::Denied);
        assert!(verdict.reasons[0].contains("has no key"), "{verdict:?}");
        assert_eq!(shield(&room, at(12)), Shield::Open);
    }

    #[test]
    fn outside_it_is_dark_and_on_the_way_in_it_says_so() {
        let mut room = room(Requirement::Sealed, true, vec![person("alice")]);
        count(&mut room, "alice", opened(1), at(1));
        room.handle(Event::Left, at(1));
        assert_eq!(shield(&room, at(1)), Shield::Dark);
        let connecting = Circumstances {
            connecting: true,
            ..Circumstances::default()
        };
        assert_eq!(room.verdict(connecting, at(1)).shield, Shield::Connecting);
    }

    #[test]
    fn a_leak_a_fault_and_a_refused_press_stand_over_everything() {
        let mut room = room(Requirement::Sealed, true, vec![person("alice")]);
        count(&mut room, "alice", opened(1), at(1));
        let broken = Circumstances {
            fault: Some("the button is stuck"),
            denied: true,
            ..Circumstances::default()
        };
        let verdict = room.verdict(broken, at(1));
        assert_eq!(verdict.shield, Shield::Fault);
        assert_eq!(verdict.reasons, ["the button is stuck"]);
        let denied = Circumstances {
            denied: true,
            ..Circumstances::default()
        };
        assert_eq!(room.verdict(denied, at(1)).shield, Shield::Denied);
        let clear = |clear| Event::Sent(Sent { sealed: 0, clear });
        room.handle(clear(1), at(1));
        assert_eq!(room.verdict(denied, at(1)).shield, Shield::Denied);
        room.handle(clear(2), at(3));
        assert_eq!(room.verdict(denied, at(3)).shield, Shield::Fault);
    }
}
