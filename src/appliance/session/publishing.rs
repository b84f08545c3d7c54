// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this box publishes, under the names that media and the service have for it.

use roomseal_media::transport::{LocalTrackId, MediaKind, PublishTrack};

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
    /// The service's name, once it took the track.
    sid: Option<String>,
}

impl Publishing {
    /// Nothing is published any more.
    pub(super) fn joined(&mut self) {
        self.tracks.clear();
    }

    /// The service is asked to take a track.
    pub(super) fn ask(&mut self, cid: String, track: PublishTrack) {
        self.tracks.push(Published {
            track,
            cid,
            sid: None,
        });
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
        if self.tracks.iter().filter(|track| of(track)).count() > 1
            && let Some(last) = self.tracks.iter().rposition(of)
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
        publishing.ask("a".into(), track(2, Codec::Vp8));
        assert_eq!(publishing.taken("a", "TR_1".into()), Some(MediaKind::Video));
        publishing.ask("b".into(), track(3, Codec::H264));
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
        publishing.ask("a".into(), track(4, Codec::Vp8));
        publishing.taken("a", "TR_3".into());
        assert!(publishing.is_picture("TR_3"));
        assert_eq!(publishing.kind_of("TR_1"), None);
        assert_eq!(publishing.taken("c", "TR_4".into()), None);
    }

    #[test]
    fn what_was_given_up_leaves_what_is_sent() {
        let mut publishing = Publishing::default();
        publishing.ask("a".into(), track(2, Codec::Vp8));
        publishing.ask("b".into(), track(3, Codec::H264));
        let still = publishing.given_up(MediaKind::Video).map(|t| t.codec);
        assert_eq!(still, Some(Codec::Vp8));
        // One that failed before it was asked for takes nothing along.
        let still = publishing.given_up(MediaKind::Video).map(|t| t.codec);
        assert_eq!(still, Some(Codec::Vp8));
    }
}
