// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this box publishes, under the names that media and the service have for it.

use roomseal_media::transport::{LocalTrackId, MediaKind, PublishTrack};
use roomseal_service::livekit::Encryption;

/// Our tracks.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// In the order in which they were asked for: of a kind the last one is the newest.
    tracks: Vec<Published>,
}

#[derive(Debug)]
struct Published {
    track: PublishTrack,
    cid: String,
    declared: Encryption,
    /// Frames are sent as this track's; else it is to take the place of one, or another took its own.
    sends: bool,
    /// The service's name, once it took the track.
    sid: Option<String>,
}

impl Publishing {
    /// Nothing is published any more.
    pub(super) fn joined(&mut self) {
        self.tracks.clear();
    }

    /// The service is asked to take a track.
    pub(super) fn ask(&mut self, cid: String, track: PublishTrack, declared: Encryption) {
        let sends = !self.tracks.iter().any(|t| t.track.kind() == track.kind());
        self.tracks.push(Published {
            track,
            cid,
            declared,
            sends,
            sid: None,
        });
    }

    /// What was sent as one track is sent as another from now on.
    pub(super) fn replaced(&mut self, old: LocalTrackId, new: LocalTrackId) {
        for track in &mut self.tracks {
            if [old, new].contains(&track.track.local) {
                track.sends = track.track.local == new;
            }
        }
    }

    /// What each track is declared as that is sent, or that is to take the place of one.
    pub(super) fn declared(&self) -> Vec<Encryption> {
        let is_past = |at: usize, track: &Published| {
            let kind = track.track.kind();
            let later = self.tracks.iter().skip(at + 1);
            !track.sends && later.clone().any(|t| t.sends && t.track.kind() == kind)
        };
        let tracks = self.tracks.iter().enumerate();
        tracks
            .filter(|(at, track)| !is_past(*at, track))
            .map(|(_, track)| track.declared)
            .collect()
    }

    /// The service took a track; gives what it carries.
    pub(super) fn taken(&mut self, cid: &str, sid: String) -> Option<MediaKind> {
        // Client ids come back; the newest is meant.
        let taken = self.tracks.iter_mut().rfind(|track| track.cid == cid)?;
        taken.sid = Some(sid);
        Some(taken.track.kind())
    }

    /// A track has another size than was announced.
    pub(super) fn changed(&mut self, track: PublishTrack) {
        let known = self
            .tracks
            .iter_mut()
            .find(|t| t.track.local == track.local);
        if let Some(known) = known {
            known.track = track;
        }
    }

    /// A track is no longer published; gives the service's name of it.
    pub(super) fn withdrawn(&mut self, local: LocalTrackId) -> Option<String> {
        let at = self.tracks.iter().position(|t| t.track.local == local)?;
        self.tracks.remove(at).sid
    }

    /// What was asked for last is not going to be sent; gives what of this kind still is.
    pub(super) fn given_up(&mut self, kind: MediaKind) -> Option<&PublishTrack> {
        let of = |track: &Published| track.track.kind() == kind;
        if let Some(last) = self.tracks.iter().rposition(of)
            && !self.tracks[last].sends
        {
            self.tracks.remove(last);
        }
        self.tracks
            .iter()
            .rfind(|track| of(track))
            .map(|t| &t.track)
    }

    /// A track by our number.
    pub(super) fn track(&self, local: LocalTrackId) -> Option<&PublishTrack> {
        let found = self.tracks.iter().find(|t| t.track.local == local);
        found.map(|t| &t.track)
    }

    /// The service's name of a track, once it took it.
    pub(super) fn sid_of(&self, local: LocalTrackId) -> Option<&str> {
        let found = self.tracks.iter().find(|t| t.track.local == local);
        found?.sid.as_deref()
    }

    /// What a track carries that the service knows by `sid`.
    pub(super) fn kind_of(&self, sid: &str) -> Option<MediaKind> {
        let found = self.tracks.iter().find(|t| t.sid.as_deref() == Some(sid));
        found.map(|t| t.track.kind())
    }

    /// Whether `sid` is the newest track of our picture.
    pub(super) fn is_picture(&self, sid: &str) -> bool {
        let newest = self
            .tracks
            .iter()
            .rfind(|t| t.track.kind() == MediaKind::Video);
        newest.is_some_and(|t| t.sid.as_deref() == Some(sid))
    }

    /// The service's names of everything of a kind.
    pub(super) fn sids(&self, kind: MediaKind) -> Vec<String> {
        let of = self.tracks.iter().filter(|t| t.track.kind() == kind);
        of.filter_map(|t| t.sid.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use roomseal_e2ee::Codec;

    use super::*;

    fn track(local: u32, codec: Codec) -> PublishTrack {
        PublishTrack {
            local: LocalTrackId(local),
            codec,
            stream: "camera".into(),
            size: None,
            framerate: None,
        }
    }

    #[test]
    fn a_track_in_the_place_of_another_is_told_from_it_even_where_client_ids_come_back() {
        let mut publishing = Publishing::default();
        publishing.ask("a".into(), track(2, Codec::Vp8), Encryption::Gcm);
        assert_eq!(publishing.taken("a", "TR_1".into()), Some(MediaKind::Video));
        publishing.ask("b".into(), track(3, Codec::H264), Encryption::Gcm);
        assert!(
            !publishing.is_picture("TR_1"),
            "the new one is not taken yet"
        );
        publishing.taken("b", "TR_2".into());
        assert!(publishing.is_picture("TR_2"));
        assert_eq!(publishing.sids(MediaKind::Video), ["TR_1", "TR_2"]);
        assert_eq!(
            publishing.withdrawn(LocalTrackId(2)).as_deref(),
            Some("TR_1")
        );
        publishing.ask("a".into(), track(4, Codec::Vp8), Encryption::Gcm);
        publishing.taken("a", "TR_3".into());
        assert!(publishing.is_picture("TR_3"));
        assert_eq!(publishing.kind_of("TR_1"), None);
        assert_eq!(publishing.taken("c", "TR_4".into()), None);
    }

    #[test]
    fn what_is_declared_counts_from_when_it_is_asked_for_until_another_took_its_place() {
        use Encryption::{Gcm, None as Clear};
        let mut publishing = Publishing::default();
        publishing.ask("s".into(), track(1, Codec::Opus), Clear);
        publishing.ask("p".into(), track(2, Codec::Vp8), Clear);
        publishing.ask("s2".into(), track(3, Codec::Opus), Gcm);
        publishing.ask("p2".into(), track(4, Codec::H264), Gcm);
        assert_eq!(publishing.declared(), [Clear, Clear, Gcm, Gcm]);
        publishing.replaced(LocalTrackId(1), LocalTrackId(3));
        assert_eq!(publishing.declared(), [Clear, Gcm, Gcm]);
        publishing.replaced(LocalTrackId(2), LocalTrackId(4));
        assert_eq!(publishing.declared(), [Gcm, Gcm]);
        publishing.withdrawn(LocalTrackId(1));
        publishing.withdrawn(LocalTrackId(2));
        assert_eq!(publishing.declared(), [Gcm, Gcm]);
    }

    #[test]
    fn what_was_given_up_leaves_what_is_sent() {
        let mut publishing = Publishing::default();
        publishing.ask("a".into(), track(2, Codec::Vp8), Encryption::Gcm);
        publishing.ask("b".into(), track(3, Codec::H264), Encryption::Gcm);
        let still = publishing.given_up(MediaKind::Video).map(|t| t.codec);
        assert_eq!(still, Some(Codec::Vp8));
        // One that failed before it was asked for takes nothing along.
        let still = publishing.given_up(MediaKind::Video).map(|t| t.codec);
        assert_eq!(still, Some(Codec::Vp8));
    }
}
