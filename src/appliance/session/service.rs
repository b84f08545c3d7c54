// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the meeting service says, carried to media and to the meeting.

use std::time::Duration;

use roomseal_media::call::Command;
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_service::livekit::Event;

use super::liveness::Liveness;
use super::{Session, translate};
use crate::roster;

impl Session<'_> {
    pub(super) fn service(&mut self, event: Event) {
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
}
