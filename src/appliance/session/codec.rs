// SPDX-License-Identifier: MIT OR Apache-2.0
//! With which codec the picture is sent: the board's best, unless somebody in the room cannot decode it.
//!
//! One codec for everybody. A second encoder beside the first is more than a small board affords, and LiveKit's browser
//! SDK refuses a second codec of a sealed track. VP8 is what every client decodes; so the question is only whether
//! H.264, where it is the board's best, has to give way.
//!
//! What can be known is what the service says. A track that is sent as H.264 is declared as one that could be sent as
//! VP8 too ([`CodecChoice::declared`]). The service then compares that with what each subscriber's session description
//! accepts, and asks for VP8 when one does not accept H.264. It does not say who, and once VP8 is sent it no longer says
//! anything. So everybody who was there counts as the one until they have left; then H.264 is tried again, and if a
//! newcomer cannot decode it either, the service asks again.

use std::collections::BTreeSet;
use std::time::Duration;

use roomseal_e2ee::Codec;
use roomseal_service::livekit::{Participant, ParticipantState, Quality, WantedLayers};

/// After a failure nothing is tried for this long.
const PAUSE: Duration = Duration::from_secs(30);

/// The service's word for VP8, and ours to it.
const VP8: &str = "vp8";
/// The same for H.264.
const H264: &str = "h264";

/// What is known about the codecs of the picture.
#[derive(Debug, Default)]
pub(super) struct CodecChoice {
    /// The board's best; unknown until the first track or the first word of capture.
    preferred: Option<Codec>,
    /// What is published, or will be once the replacement under way is done.
    sending: Option<Codec>,
    /// The codecs that can be sent at all.
    possible: Vec<Codec>,
    /// Whether the service lets H.264 in.
    h264_allowed: bool,
    /// Identities of the others in the room.
    present: BTreeSet<String>,
    /// Of whom one cannot decode H.264.
    suspects: BTreeSet<String>,
    /// The service asked before it had told who is there: whoever turns up may be the one.
    unlisted: bool,
    not_before: Duration,
}

impl CodecChoice {
    /// In the room from zero. `allowed`: MIME types that the service lets be published; none means all.
    pub(super) fn joined(&mut self, allowed: &[String], others: &[Participant]) {
        self.h264_allowed = allowed.is_empty()
            || allowed
                .iter()
                .any(|mime| mime.eq_ignore_ascii_case("video/H264"));
        self.present = others.iter().map(|other| other.identity.clone()).collect();
        self.suspects = &self.suspects & &self.present;
        self.unlisted = false;
        self.not_before = Duration::ZERO;
    }

    /// These came, changed or left. `me` is this box.
    pub(super) fn people(&mut self, changed: &[Participant], me: &str) {
        for participant in changed.iter().filter(|who| who.identity != me) {
            if participant.state == ParticipantState::Disconnected {
                self.present.remove(&participant.identity);
                self.suspects.remove(&participant.identity);
                self.unlisted &= !self.suspects.is_empty();
            } else {
                self.present.insert(participant.identity.clone());
                if self.unlisted {
                    self.suspects.insert(participant.identity.clone());
                }
            }
        }
    }

    /// The board's best is this now.
    pub(super) fn prefer(&mut self, codec: Codec) {
        self.preferred = Some(codec);
    }

    /// This is being published; it could be sent with `alternatives` as well.
    pub(super) fn publishing(&mut self, codec: Codec, alternatives: &[Codec]) {
        self.preferred.get_or_insert(codec);
        self.sending = Some(codec);
        self.possible = [&[codec], alternatives].concat();
    }

    /// What the service is told about a track of this codec: what is sent, and what could be instead. Nothing where
    /// there is no choice.
    pub(super) fn declared(codec: Codec, alternatives: &[Codec]) -> Vec<String> {
        if codec == Codec::H264 && alternatives.contains(&Codec::Vp8) {
            vec![H264.into(), VP8.into()]
        } else {
            Vec::new()
        }
    }

    /// What the service says is wanted of the track that is sent. Whether somebody needs VP8 instead.
    pub(super) fn wanted_of_us(&mut self, wanted: &[WantedLayers]) -> bool {
        let asks = self.sending == Some(Codec::H264)
            && wanted.iter().any(|layers| {
                let on = |(quality, on): &(Quality, bool)| *on && *quality != Quality::Off;
                layers.codec.eq_ignore_ascii_case(VP8) && layers.layers.iter().any(on)
            });
        if asks {
            self.suspects.clone_from(&self.present);
            self.unlisted = self.present.is_empty();
        }
        asks
    }

    /// The picture could not be published anew: `codec` is still what is sent.
    pub(super) fn failed(&mut self, codec: Codec, now: Duration) {
        self.sending = Some(codec);
        self.not_before = now + PAUSE;
    }

    /// The codec to publish anew with, if it has to be another. To be done, or told to have failed.
    pub(super) fn next(&mut self, now: Duration) -> Option<Codec> {
        let (sending, preferred) = (self.sending?, self.preferred?);
        let give_way = !self.suspects.is_empty() || self.unlisted || !self.h264_allowed;
        let best = if preferred == Codec::H264 && give_way {
            Codec::Vp8
        } else {
            preferred
        };
        if best == sending || now < self.not_before || !self.possible.contains(&best) {
            return None;
        }
        self.sending = Some(best);
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use roomseal_service::livekit::ParticipantKind;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const BOTH: [Codec; 2] = [Codec::Vp8, Codec::H264];

    fn person(identity: &str) -> Participant {
        Participant {
            sid: format!("PA_{identity}"),
            identity: identity.into(),
            name: String::new(),
            kind: ParticipantKind::Standard,
            state: ParticipantState::Active,
            metadata: String::new(),
            attributes: BTreeMap::new(),
            joined_at_ms: 0,
            can_publish: true,
            can_update_metadata: false,
            version: 0,
            tracks: Vec::new(),
        }
    }

    fn gone(identity: &str) -> Participant {
        Participant {
            state: ParticipantState::Disconnected,
            ..person(identity)
        }
    }

    fn wanted(codec: &str, on: bool) -> WantedLayers {
        WantedLayers {
            codec: codec.into(),
            layers: vec![(Quality::Low, on), (Quality::High, on)],
        }
    }

    /// A board whose best is H.264 and that sends it, with others in the room.
    fn sending_h264(others: &[&str]) -> CodecChoice {
        let mut choice = CodecChoice::default();
        let others: Vec<Participant> = others.iter().map(|other| person(other)).collect();
        choice.joined(&[], &others);
        choice.publishing(Codec::H264, &BOTH);
        assert_eq!(choice.next(NOW), None);
        choice
    }

    #[test]
    fn a_service_that_asks_before_it_lists_anybody_is_believed() {
        let mut choice = sending_h264(&[]);
        assert!(choice.wanted_of_us(&[wanted("vp8", true)]));
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
        choice.people(&[person("stranger"), person("guest")], "box");
        choice.people(&[gone("guest")], "box");
        assert_eq!(choice.next(NOW), None, "the stranger may be the one");
        choice.people(&[gone("stranger")], "box");
        assert_eq!(choice.next(NOW), Some(Codec::H264));
    }

    #[test]
    fn a_better_encoder_is_taken_as_soon_as_it_is_proved_and_only_once() {
        let mut choice = CodecChoice::default();
        choice.joined(&["video/VP8".into(), "video/H264".into()], &[]);
        assert_eq!(choice.next(NOW), None, "nothing is published yet");
        choice.publishing(Codec::Vp8, &BOTH);
        assert_eq!(choice.next(NOW), None);
        choice.prefer(Codec::H264);
        assert_eq!(choice.next(NOW), Some(Codec::H264));
        assert_eq!(choice.next(NOW), None);
    }

    #[test]
    fn vp8_is_sent_while_somebody_is_there_who_may_be_the_one_who_cannot_decode_h264() {
        let mut choice = sending_h264(&["ann", "bob"]);
        assert!(!choice.wanted_of_us(&[wanted("h264", true), wanted("vp8", false)]));
        assert!(choice.wanted_of_us(&[wanted("h264", true), wanted("vp8", true)]));
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
        choice.people(&[person("carla")], "box");
        choice.people(&[gone("ann")], "box");
        assert_eq!(choice.next(NOW), None, "bob may be the one");
        choice.people(&[gone("bob")], "box");
        assert_eq!(choice.next(NOW), Some(Codec::H264));
        // Carla cannot either.
        assert!(choice.wanted_of_us(&[wanted("vp8", true)]));
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
        // What is still said about the track that is gone changes nothing.
        assert!(!choice.wanted_of_us(&[wanted("vp8", true)]));
    }

    #[test]
    fn who_could_not_decode_it_still_cannot_after_a_new_join() {
        let mut choice = sending_h264(&["ann", "bob"]);
        choice.wanted_of_us(&[wanted("vp8", true)]);
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
        choice.joined(&[], &[person("bob")]);
        choice.publishing(Codec::Vp8, &BOTH);
        assert_eq!(choice.next(NOW), None);
        choice.joined(&[], &[person("dave")]);
        assert_eq!(choice.next(NOW), Some(Codec::H264));
    }

    #[test]
    fn a_service_that_lets_no_h264_in_gets_vp8() {
        let mut choice = CodecChoice::default();
        choice.joined(&["video/VP8".into(), "audio/opus".into()], &[]);
        choice.publishing(Codec::H264, &BOTH);
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
    }

    #[test]
    fn a_box_that_has_no_vp8_sends_what_it_has_and_promises_nothing() {
        let mut choice = CodecChoice::default();
        choice.joined(&[], &[person("ann")]);
        choice.publishing(Codec::H264, &[]);
        choice.wanted_of_us(&[wanted("vp8", true)]);
        assert_eq!(choice.next(NOW), None);
        assert_eq!(CodecChoice::declared(Codec::H264, &[]), [""; 0]);
        assert_eq!(CodecChoice::declared(Codec::H264, &BOTH), ["h264", "vp8"]);
        assert_eq!(CodecChoice::declared(Codec::Vp8, &BOTH), [""; 0]);
    }

    #[test]
    fn after_a_failure_it_waits_before_it_tries_again() {
        let mut choice = sending_h264(&["ann"]);
        choice.wanted_of_us(&[wanted("vp8", true)]);
        assert_eq!(choice.next(NOW), Some(Codec::Vp8));
        choice.failed(Codec::H264, NOW);
        assert_eq!(choice.next(NOW + PAUSE / 2), None);
        assert_eq!(choice.next(NOW + PAUSE), Some(Codec::Vp8));
    }
}
