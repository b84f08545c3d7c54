// SPDX-License-Identifier: MIT OR Apache-2.0
//! One look at what was counted: from the elements through the meeting to the shield and every view.

use roomseal_media::call::{Command, Counts};
use roomseal_media::transport::Target;
use roomseal_meeting::Circumstances;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_policy::Link;

use super::{DENIED, Session, translate};
use crate::roster;
use crate::status::{LocalTrack, Shield, moment};

impl Session<'_> {
    pub(super) fn turn(&mut self, counts: &Counts) {
        for (sid, stats) in &counts.remote {
            self.meeting(MeetingEvent::Counted {
                sid: sid.clone(),
                counters: translate::counters(&stats.frames),
            });
        }
        self.tell_what_is_sent(&counts.local);
        let report = self.room.report(self.now());
        let expected = report
            .participants
            .iter()
            .flat_map(|participant| &participant.tracks)
            .any(|track| !track.muted && counts.remote.contains_key(&track.sid));
        if let Some(transport) = &counts.transport {
            // No need to wait for the silence that follows.
            if transport.stranded && !self.stranded {
                self.failed(
                    Target::Publisher,
                    "the network address that it was made from is gone",
                );
            }
            self.stranded = transport.stranded;
            for (target, silent) in self.liveness.look(transport, expected) {
                self.failed(
                    target,
                    &format!("nothing was heard for {} s", silent.as_secs()),
                );
            }
            if let Some(why) = self.patience.look(transport) {
                self.join_anew(why);
            }
        }
        let before = self.status.watch().borrow().local_tracks.clone();
        let local_tracks = counts
            .local
            .iter()
            .map(|stats| {
                let name = stats.encoder.as_deref().unwrap_or_default();
                translate::local_track(
                    stats,
                    self.publishing.track(stats.local),
                    self.encoders.get(name).map(String::as_str),
                    report.sending,
                    &before,
                )
            })
            .collect::<Vec<LocalTrack>>();
        self.tell_of_switch(&local_tracks);
        let now = self.now();
        let mut standings = self.room.standings(now);
        let mut participants =
            roster::participants(&report, |sid| counts.remote.get(sid)?.passed_clear_at);
        for participant in &mut participants {
            participant.standing = standings.remove(&participant.identity);
        }
        let encryption = self.room.encryption(self.is_host());
        let before = self.status.watch().borrow().participants.clone();
        for news in roster::news(&before, &participants) {
            self.status.happened(&news);
        }
        let shield = self.shield();
        self.renew_lamp(&shield, &local_tracks);
        let on = self.room.is_on();
        if self.setup.meeting.is_none() {
            self.setup.stays_on = on;
        }
        let asks = self.asks(&shield);
        let ends_meeting = self.decides_its_end() && self.talk.administers();
        let ending = self.ending();
        self.look_for_code(asks.is_some());
        self.status.update(|status| {
            status.asks = asks;
            status.ends_meeting = ends_meeting;
            status.ending = ending;
            status.hosted = self.setup.meeting.is_some();
            status.key_model = self.room.key_model().to_owned();
            status.e2ee_required = on;
            status.sending = report.sending_text.to_owned();
            status.sending_since = self.sending_since.map(moment);
            status.local_tracks = local_tracks;
            status.participants = participants;
            status.encryption = encryption;
        });
        self.status.judged(shield);
        self.draw();
    }

    /// Whether this box decides about encryption.
    pub(super) fn is_host(&self) -> bool {
        let meeting = self.setup.meeting.as_ref();
        let link = meeting.and_then(|meeting| meeting.link.as_ref());
        link.and_then(Link::host).is_some()
    }

    /// Whether this box may say that the meeting is over for everybody; in a foreign room the service decides.
    pub(super) fn decides_its_end(&self) -> bool {
        self.setup.meeting.is_none() || self.is_host()
    }

    /// Has what makes another verdict counted now rather than in its turn; the lamp hears it from there, as always.
    pub(super) fn look(&self) {
        if self.shield() != self.status.watch().borrow().shield {
            self.call.command(Command::Count);
        }
    }

    fn shield(&self) -> Shield {
        let denied = self.denied.as_ref();
        let denied = denied.filter(|(at, _)| at.elapsed() < DENIED);
        let fault = self.status.watch().borrow().fault().map(str::to_owned);
        let around = Circumstances {
            fault: fault.as_deref(),
            connecting: true,
            denied: denied.is_some(),
        };
        let mut shield = self.room.shield(around, self.now());
        // What is refused beside the button has its reason here.
        if let Some((_, why)) = denied
            && shield.reasons.is_empty()
        {
            shield.reasons.push(why.clone());
        }
        shield
    }
}
