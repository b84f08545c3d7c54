// SPDX-License-Identifier: MIT OR Apache-2.0

//! The thread that changes connections: one thing after the other, in the order it was asked.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, atomic::Ordering, mpsc},
    time::Instant,
};

use gst::prelude::*;
use gst_webrtc::{WebRTCPeerConnectionState, WebRTCSDPType};

use super::{
    WebRtcConfig, data,
    peer::Peer,
    publish::{self, Slot},
    receive,
    shared::{Shared, lock},
    streams,
};
use crate::{
    sdp::{self, Description, RemoteCandidate},
    transport::{
        IceServer, LocalTrackId, PublishTrack, Refusal, RemoteOffer, Target, TransportError,
        TransportEvent,
    },
};

/// What the thread is asked to do, or told.
pub(super) enum Command {
    AddTrack {
        track: PublishTrack,
        reply: mpsc::SyncSender<Result<String, TransportError>>,
    },
    ChannelOpen,
    Close,
    ConnectionState {
        target: Target,
    },
    KeyFrameNeeded {
        local: LocalTrackId,
    },
    Latency {
        target: Target,
    },
    LocalCandidate {
        target: Target,
        index: u32,
        candidate: String,
    },
    Negotiate,
    PipelineError {
        target: Target,
        reason: String,
    },
    RemoteAnswer {
        sdp: String,
        id: u32,
    },
    RemoteCandidate {
        target: Target,
        init_json: String,
    },
    RemoteOffer(RemoteOffer),
    RemoveTrack {
        local: LocalTrackId,
        reply: mpsc::SyncSender<Result<(), TransportError>>,
    },
    RequestKeyFrame(Arc<str>),
    RestartIce,
    SetIceServers(Vec<IceServer>),
}

/// The number of the first offer; 0 is what older servers answer to any.
const FIRST_OFFER: u32 = 1;

/// An offer of ours.
struct Offer {
    /// As it was set.
    description: Description,
    id: u32,
    /// What is sent in it.
    tracks: Vec<LocalTrackId>,
}

pub(super) struct Control {
    shared: Arc<Shared>,
    publisher: Peer,
    subscriber: Peer,
    slots: Vec<Slot>,
    /// The offer that the service has not answered yet.
    offered: Option<Offer>,
    next_offer: u32,
    /// Another offer is wanted once this one is answered.
    again: bool,
    /// The next offer restarts ICE.
    restart: bool,
    /// Feedback about what arrived is being listened to.
    watched: bool,
    /// It was told that messages can be sent.
    data_open: bool,
}

impl Control {
    pub(super) fn new(config: &WebRtcConfig, shared: Arc<Shared>) -> Result<Self, TransportError> {
        let publisher = Peer::new(Target::Publisher, config, &shared)?;
        let subscriber = Peer::new(Target::Subscriber, config, &shared)?;
        receive::watch(&subscriber, &shared);
        let control = Self {
            shared,
            publisher,
            subscriber,
            slots: Vec::new(),
            offered: None,
            next_offer: FIRST_OFFER,
            again: false,
            restart: false,
            watched: false,
            data_open: false,
        };
        // Dropping `control` on failure stops what was started.
        control.publisher.play()?;
        control.subscriber.play()?;
        data::create(&control.publisher.webrtc, &control.shared)?;
        Ok(control)
    }

    pub(super) fn run(mut self, commands: &mpsc::Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            // What was asked before the end has no use after it.
            if self.shared.closed.load(Ordering::SeqCst) {
                break;
            }
            match self.handle(command) {
                Ok(()) => (),
                Err(Trouble::Refused(reason)) => {
                    tracing::warn!(%reason, "transport closed");
                    self.shared.closed.store(true, Ordering::SeqCst);
                    // Stopped before it is told: whoever hears of it can rely on silence.
                    self.stop();
                    self.shared.emit_last(TransportEvent::Refused { reason });
                    break;
                }
                Err(Trouble::Failed { target, reason }) => {
                    tracing::warn!(%target, %reason, "connection failed");
                    self.shared.emit(TransportEvent::Failed { target, reason });
                }
            }
        }
    }

    fn handle(&mut self, command: Command) -> Result<(), Trouble> {
        match command {
            Command::AddTrack { track, reply } => {
                // Nobody waits any more when this fails.
                let _ = reply.send(self.add_track(&track));
            }
            Command::ChannelOpen => self.tell_data_open(),
            // Has ended the loop above already.
            Command::Close => (),
            Command::ConnectionState { target } => {
                self.connection_state(target)?;
                self.tell_data_open();
            }
            Command::KeyFrameNeeded { local } => {
                self.shared
                    .emit(TransportEvent::KeyFrameRequested { local });
            }
            Command::LocalCandidate {
                target,
                index,
                candidate,
            } => {
                self.shared.addresses.learn(&candidate);
                let init_json = sdp::local_candidate_json(&candidate, index);
                self.peer_mut(target).local_candidate(&init_json);
                self.shared
                    .emit(TransportEvent::LocalCandidate { target, init_json });
            }
            Command::Latency { target } => self.peer(target).recalculate_latency(),
            Command::Negotiate => self.negotiate()?,
            Command::PipelineError { target, reason } => {
                return Err(Trouble::Failed { target, reason });
            }
            Command::RemoteAnswer { sdp, id } => self.remote_answer(&sdp, id)?,
            Command::RemoteCandidate { target, init_json } => {
                match sdp::parse_remote_candidate(&init_json) {
                    Ok(RemoteCandidate::Candidate(candidate)) => {
                        self.peer_mut(target).candidate(candidate);
                    }
                    Ok(RemoteCandidate::End) => (),
                    // One bad candidate does not spoil the others.
                    Err(reason) => tracing::warn!(%target, %reason, "ICE candidate ignored"),
                }
            }
            Command::RemoteOffer(offer) => self.remote_offer(&offer)?,
            Command::RemoveTrack { local, reply } => {
                let _ = reply.send(self.remove_track(local));
            }
            Command::RequestKeyFrame(sid) => self.request_key_frame(&sid),
            // A participant that publishes nothing has no publisher connection to restart; libnice
            // would fail, and the call would take that for a broken connection, again and again.
            Command::RestartIce if self.next_offer == FIRST_OFFER => {}
            Command::RestartIce => self.restart_ice()?,
            Command::SetIceServers(servers) => {
                self.publisher.set_ice_servers(&servers);
                self.subscriber.set_ice_servers(&servers);
            }
        }
        Ok(())
    }

    fn peer(&self, target: Target) -> &Peer {
        match target {
            Target::Publisher => &self.publisher,
            Target::Subscriber => &self.subscriber,
        }
    }

    fn peer_mut(&mut self, target: Target) -> &mut Peer {
        match target {
            Target::Publisher => &mut self.publisher,
            Target::Subscriber => &mut self.subscriber,
        }
    }

    fn add_track(&mut self, track: &PublishTrack) -> Result<String, TransportError> {
        if self.slots.iter().any(|slot| slot.carries(track.local)) {
            return Err(TransportError::DuplicateTrack(track.local));
        }
        let free = self
            .slots
            .iter()
            .position(|slot| slot.is_free_for(track.codec));
        let index = match free {
            Some(index) => index,
            None => {
                self.slots
                    .push(Slot::new(&self.publisher, &self.shared, track)?);
                self.slots.len() - 1
            }
        };
        let slot = &self.slots[index];
        let started = slot.start(track);
        let mut local = self
            .shared
            .local
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        local.insert(track.local, started);
        Ok(slot.cid().to_owned())
    }

    fn remove_track(&mut self, local: LocalTrackId) -> Result<(), TransportError> {
        let slot = self.slots.iter().find(|slot| slot.carries(local));
        slot.ok_or(TransportError::UnknownTrack(local))?.park();
        self.shared
            .local
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&local);
        Ok(())
    }

    /// Mids of sections that carry no track at present.
    fn parked(&self) -> Vec<String> {
        self.slots.iter().filter_map(Slot::parked_mid).collect()
    }

    fn negotiate(&mut self) -> Result<(), Trouble> {
        if self.offered.is_some() {
            self.again = true;
            return Ok(());
        }
        let failed = |reason: TransportError| Trouble::Failed {
            target: Target::Publisher,
            reason: reason.to_string(),
        };
        if !self.slots.iter().all(Slot::has_caps) {
            return Err(failed(TransportError::Pipeline(
                "a payloader has not told its format".into(),
            )));
        }
        let restart = std::mem::take(&mut self.restart);
        if restart && !self.publisher.restart_ice() {
            return Err(failed(TransportError::Pipeline(
                "libnice does not restart ICE".into(),
            )));
        }
        let mut offer = self.publisher.create_offer().map_err(failed)?;
        sdp::number_retransmissions(&mut offer);
        self.publisher
            .set_local(WebRTCSDPType::Offer, &offer)
            .map_err(failed)?;
        let id = self.next_offer;
        self.next_offer = self.next_offer.wrapping_add(1).max(1);
        self.offered = Some(Offer {
            description: offer.clone(),
            id,
            tracks: self.slots.iter().filter_map(Slot::track).collect(),
        });
        // Only now does every section have its mid.
        sdp::publisher_offer(&mut offer, &self.parked());
        self.shared.emit(TransportEvent::LocalOffer {
            sdp: offer.to_string(),
            id,
        });
        if restart {
            self.tell_candidates(Target::Publisher);
        }
        Ok(())
    }

    /// Offers anew after the way to the service was lost, and with it perhaps an answer.
    fn restart_ice(&mut self) -> Result<(), Trouble> {
        // Before the first answer there is no ICE to restart, and who sends nothing offers nothing.
        self.restart = self.publisher.is_negotiated();
        if !self.restart && self.slots.is_empty() {
            return Ok(());
        }
        // An answer that still comes bears another number.
        self.offered = None;
        self.again = false;
        self.negotiate()
    }

    fn remote_answer(&mut self, text: &str, id: u32) -> Result<(), Trouble> {
        let Some(offered) = &self.offered else {
            tracing::warn!(id, "answer without an offer ignored");
            return Ok(());
        };
        // Older servers do not repeat the number.
        if id != offered.id && id != 0 {
            tracing::warn!(id, expected = offered.id, "answer to another offer ignored");
            return Ok(());
        }
        let mut accepted = sdp::accept_answer(text, &offered.description, &self.publisher.known)?;
        sdp::publisher_answer(&mut accepted.description);
        self.publisher
            .set_remote(
                WebRTCSDPType::Answer,
                &accepted.description,
                accepted.fingerprint,
            )
            .map_err(|reason| Trouble::Failed {
                target: Target::Publisher,
                reason: reason.to_string(),
            })?;
        self.publisher.known = accepted.known;
        self.shared.gate(Target::Publisher).negotiated();
        if let Some(Offer { tracks, .. }) = self.offered.take() {
            self.shared.emit(TransportEvent::Negotiated { tracks });
        }
        if let Some(session) = self.publisher.session_element().filter(|_| !self.watched) {
            publish::watch_feedback(&session, &self.shared);
            self.watched = true;
        }
        if std::mem::take(&mut self.again) {
            self.negotiate()
        } else {
            Ok(())
        }
    }

    fn remote_offer(&mut self, offer: &RemoteOffer) -> Result<(), Trouble> {
        let accepted = sdp::accept_offer(&offer.sdp, &self.subscriber.known)?;
        let mut description = accepted.description;
        self.map_tracks(offer, &description);
        let announced = streams::announced(&description);
        lock(&self.shared.announced).retain(|ssrc| announced.contains(ssrc));
        let closed = sdp::open_directions(&mut description);

        let subscriber = &mut self.subscriber;
        let failed = |reason: TransportError| Trouble::Failed {
            target: Target::Subscriber,
            reason: reason.to_string(),
        };
        let restart = subscriber.is_restart(&description);
        if restart && !subscriber.restart_ice() {
            return Err(failed(TransportError::Pipeline(
                "libnice does not restart ICE".into(),
            )));
        }
        subscriber
            .set_remote(WebRTCSDPType::Offer, &description, accepted.fingerprint)
            .map_err(failed)?;
        subscriber.known = accepted.known;
        let mut answer = subscriber.create_answer().map_err(failed)?;
        sdp::widen_answer(&mut answer, &description);
        subscriber
            .set_local(WebRTCSDPType::Answer, &answer)
            .map_err(failed)?;
        // Not before `webrtcbin` knows them.
        *lock(&self.shared.announced) = announced;
        sdp::send_inactive(&mut answer, &closed);
        self.shared.gate(Target::Subscriber).negotiated();
        self.shared.emit(TransportEvent::LocalAnswer {
            sdp: answer.to_string(),
            id: offer.id,
        });
        if restart {
            self.tell_candidates(Target::Subscriber);
        }
        Ok(())
    }

    /// Tells our candidates again: libnice gathers once, and a restart makes the other side forget.
    fn tell_candidates(&self, target: Target) {
        for init_json in self.peer(target).local_candidates() {
            self.shared
                .emit(TransportEvent::LocalCandidate { target, init_json });
        }
    }

    /// Learns which section carries which track, and ends the tracks that are not there any more.
    fn map_tracks(&self, offer: &RemoteOffer, description: &Description) {
        let mids = description
            .sections
            .iter()
            .filter_map(|section| {
                let mid = section.mid()?;
                let sid = offer.mid_to_track.get(mid)?;
                Some((mid.to_owned(), Arc::from(sid.as_str())))
            })
            .collect::<std::collections::HashMap<String, Arc<str>>>();
        let present: HashSet<Arc<str>> = mids.values().cloned().collect();
        *lock(&self.shared.mids) = mids;

        let branches = std::mem::take(&mut *lock(&self.shared.branches));
        let mut ended = HashSet::new();
        let mut kept = Vec::new();
        for branch in branches {
            if present.contains(branch.sid()) {
                kept.push(branch);
            } else {
                ended.insert(Arc::clone(branch.sid()));
                branch.remove(&self.subscriber);
            }
        }
        lock(&self.shared.branches).extend(kept);
        for sid in ended {
            lock(&self.shared.remote).remove(&sid);
            self.shared.emit(TransportEvent::RemoteTrackEnded { sid });
        }
    }

    fn request_key_frame(&self, sid: &str) {
        let now = Instant::now();
        let requests: Vec<_> = lock(&self.shared.branches)
            .iter_mut()
            .filter(|branch| &**branch.sid() == sid)
            .filter_map(|branch| branch.key_frame_request(now))
            .collect();
        for (pad, event) in requests {
            if !pad.push_event(event) {
                tracing::debug!(sid, "request for a key frame not taken");
            }
        }
    }

    /// Channels may open before or after their peer is verified; both are needed.
    fn tell_data_open(&mut self) {
        let open = self.shared.is_open(Target::Publisher) && lock(&self.shared.channels).are_open();
        if open && !std::mem::replace(&mut self.data_open, true) {
            self.shared.emit(TransportEvent::DataOpen);
        }
    }

    fn connection_state(&self, target: Target) -> Result<(), Trouble> {
        let peer = self.peer(target);
        let gate = self.shared.gate(target);
        match peer.state() {
            WebRTCPeerConnectionState::Connected => {
                peer.check_certificate()?;
                peer.recalculate_latency();
                peer.draw();
                // What was encoded before the connection stood was dropped.
                let begins = target == Target::Publisher && !gate.open.load(Ordering::SeqCst);
                let videos = if begins {
                    self.await_key_frames()
                } else {
                    Vec::new()
                };
                gate.open.store(true, Ordering::SeqCst);
                self.shared.emit(TransportEvent::Connected { target });
                for local in videos {
                    self.shared
                        .emit(TransportEvent::KeyFrameRequested { local });
                }
            }
            WebRTCPeerConnectionState::Failed => {
                let reason = "ICE found no way to the service, or lost it".into();
                return Err(Trouble::Failed { target, reason });
            }
            _ => (),
        }
        Ok(())
    }

    /// Lets every video begin with a key frame; gives their numbers.
    fn await_key_frames(&self) -> Vec<LocalTrackId> {
        let local = self
            .shared
            .local
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let videos = local.iter().filter(|(_, track)| track.is_video());
        videos
            .map(|(id, track)| {
                track.await_key_frame();
                *id
            })
            .collect()
    }

    fn stop(&self) {
        for target in [Target::Publisher, Target::Subscriber] {
            self.shared.gate(target).open.store(false, Ordering::SeqCst);
        }
        self.publisher.stop();
        self.subscriber.stop();
        // These hold elements, which hold probes, which would hold this.
        lock(&self.shared.branches).clear();
        self.shared
            .local
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        *lock(&self.shared.channels) = data::Channels::default();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.stop();
    }
}

/// Why a command did not succeed.
enum Trouble {
    /// The peer cannot be dealt with.
    Refused(Refusal),
    /// A connection does not work.
    Failed { target: Target, reason: String },
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<sdp::SdpRefused> for Trouble {
    fn from(refused: sdp::SdpRefused) -> Self {
        Self::Refused(refused.into())
    }
}
