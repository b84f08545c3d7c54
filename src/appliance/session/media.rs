// SPDX-License-Identifier: MIT OR Apache-2.0
//! What media say, carried to the service and to the meeting, and what follows when a connection fails.

use roomseal_media::call::Event as MediaEvent;
use roomseal_media::encoder::codec_name;
use roomseal_media::transport::{MediaKind, Target};
use roomseal_meeting::call::Event as MeetingEvent;
use roomseal_service::livekit::MediaTrouble;

use super::{Session, translate};

impl Session<'_> {
    pub(super) fn media(&mut self, event: MediaEvent) {
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

    pub(super) fn failed(&mut self, target: Target, reason: &str) {
        tracing::warn!(%target, reason, "media connection failed");
        self.status
            .trouble("connection", Some(format!("{target} connection: {reason}")));
        self.handle.resume(match target {
            Target::Publisher => MediaTrouble::Publisher,
            Target::Subscriber => MediaTrouble::Subscriber,
        });
    }

    /// The session is of no use any more, although the service would go on with it.
    pub(super) fn join_anew(&mut self, why: String) {
        self.status.happened(&why);
        self.status.trouble("connection", Some(why.clone()));
        self.handle.rejoin(why);
    }
}
