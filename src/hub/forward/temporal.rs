// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which frames of a layer go to a slow receiver: those up to a temporal layer, or key frames alone.
//!
//! It goes by what stays clear of a sealed frame: the payload descriptor of VP8 (RFC 7741, 4.2) and where key frames begin.

use str0m::format::Codec;

use super::keyframe;
use super::share::Share;

/// Frames of a temporal layer that are waited for in vain to begin anew, until a key frame is asked for.
const MOST_WAITED: u32 = 90;

/// What a packet shows of the frame that it belongs to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Its temporal layer, where it tells.
    pub(super) temporal: Option<u8>,
    /// It needs nothing but the lowest temporal layer.
    pub(super) synced: bool,
    /// Whether a key frame begins with this packet, where that can be seen.
    pub(super) begins_key: Option<bool>,
    /// The time of the frame, which all of its packets carry.
    pub(super) time: u32,
}

impl Frame {
    /// What the first bytes of a payload show.
    pub(super) fn of(codec: Codec, payload: &[u8], time: u32) -> Self {
        let place = (codec == Codec::Vp8).then(|| place(payload)).flatten();
        Self {
            temporal: place.map(|(temporal, _)| temporal),
            synced: place.is_some_and(|(_, synced)| synced),
            begins_key: keyframe::begins_in(codec, payload),
            time,
        }
    }
}

/// `TID` and `Y` of a descriptor that has them.
fn place(payload: &[u8]) -> Option<(u8, bool)> {
    let first = *payload.first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let extension = *payload.get(1)?;
    if extension & 0x20 == 0 {
        return None;
    }
    let mut at = 2;
    if extension & 0x80 != 0 {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if extension & 0x40 != 0 {
        at += 1;
    }
    let byte = *payload.get(at)?;
    Some((byte >> 6, byte & 0x20 != 0))
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// It goes on.
    Goes,
    /// It goes on, behind frames that were left out, some of which it would have needed if it were no key frame.
    GoesAnew,
    /// It is left out, and nothing that goes on needs it.
    Spared,
    /// It is left out until a key frame comes.
    Cut,
    /// The same, and one has to be asked for.
    NeedsKeyFrame,
}

/// Which frames went on so far.
#[derive(Debug)]
pub(super) struct Thinning {
    /// The time of the newest frame, its first number, and what became of its packets.
    frame: Option<(u32, u64, Pass)>,
    /// The temporal layer up to which frames go on.
    top: u8,
    /// Frames were left out that others need.
    cut: bool,
    waited: u32,
}

/// The highest there can be.
const TOP: u8 = 3;

impl Default for Thinning {
    fn default() -> Self {
        Self {
            frame: None,
            top: TOP,
            cut: false,
            waited: 0,
        }
    }
}

impl Thinning {
    /// Whether everything goes on, and nothing is to be made up for.
    pub(super) fn is_whole(&self) -> bool {
        self.top == TOP && !self.cut
    }

    /// What becomes of a packet with this `number`. `room`: whether there is room for one more key frame.
    pub(super) fn of(&mut self, share: Share, frame: &Frame, number: u64, room: bool) -> Pass {
        if let Some((time, first, pass)) = self.frame {
            // What a key frame begins with may have something in front.
            let is_key = frame.begins_key == Some(true);
            let late_key = is_key && matches!(pass, Pass::Cut | Pass::NeedsKeyFrame);
            if frame.time == time && !late_key {
                // The packets behind the first one follow it.
                return match pass {
                    Pass::GoesAnew => Pass::Goes,
                    Pass::NeedsKeyFrame => Pass::Cut,
                    other => other,
                };
            }
            if number < first {
                let goes = !self.cut && frame.temporal.unwrap_or(0) <= self.top;
                return if goes { Pass::Goes } else { Pass::Spared };
            }
        }
        let pass = self.begin(share, frame, room);
        self.frame = Some((frame.time, number, pass));
        pass
    }

    /// A frame begins.
    fn begin(&mut self, share: Share, frame: &Frame, room: bool) -> Pass {
        let most = match share {
            Share::Keys => {
                self.cut = frame.begins_key != Some(true) || !room;
                return if self.cut { Pass::Cut } else { Pass::GoesAnew };
            }
            Share::Temporal(most) => most,
            Share::Layer(_) | Share::Whole => TOP,
        };
        if frame.begins_key == Some(true) {
            self.top = most;
            self.waited = 0;
            let pass = if self.cut { Pass::GoesAnew } else { Pass::Goes };
            self.cut = false;
            return pass;
        }
        if self.cut {
            return Pass::NeedsKeyFrame;
        }
        self.top = self.top.min(most);
        let Some(temporal) = frame.temporal else {
            self.top = TOP;
            return Pass::Goes;
        };
        if temporal <= self.top {
            return Pass::Goes;
        }
        if temporal > most {
            return Pass::Spared;
        }
        if frame.synced && temporal == self.top + 1 {
            self.top = temporal;
            self.waited = 0;
            return Pass::Goes;
        }
        self.waited += 1;
        if self.waited >= MOST_WAITED {
            self.waited = 0;
            self.cut = true;
            return Pass::NeedsKeyFrame;
        }
        Pass::Spared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X, I with 15 bits, L and T; then the start of a frame.
    fn packet(temporal: u8, synced: bool, key: bool) -> Vec<u8> {
        let place = temporal << 6 | u8::from(synced) << 5;
        vec![0x90, 0xe0, 0x80, 1, 7, place, u8::from(!key), 0x02]
    }

    struct Stream {
        thinning: Thinning,
        number: u64,
        time: u32,
    }

    impl Stream {
        fn new() -> Self {
            Self {
                thinning: Thinning::default(),
                number: 0,
                time: 0,
            }
        }

        /// A frame of three packets.
        fn frame(&mut self, share: Share, first: &[u8]) -> [Pass; 3] {
            self.time += 3000;
            let mut next = |payload: &[u8]| {
                self.number += 1;
                let frame = Frame::of(Codec::Vp8, payload, self.time);
                self.thinning.of(share, &frame, self.number, true)
            };
            let mut rest = first.to_vec();
            rest[0] &= !0x10;
            [next(first), next(&rest), next(&rest)]
        }
    }

    #[test]
    fn the_place_of_a_frame_is_read_from_any_descriptor() {
        type Row = (&'static [u8], Option<(u8, bool)>);
        let table: [Row; 7] = [
            (&[0x90, 0xe0, 0x80, 1, 7, 0x60, 0], Some((1, true))),
            (&[0x90, 0xe0, 0x01, 7, 0x80, 0], Some((2, false))),
            (&[0x90, 0x20, 0x40, 0], Some((1, false))),
            (&[0x90, 0x80, 0x81, 0x23, 0], None),
            (&[0x10, 0x00], None),
            (&[0x90, 0xe0, 0x80, 1, 7], None),
            (&[], None),
        ];
        for (payload, expected) in table {
            assert_eq!(place(payload), expected, "{payload:?}");
        }
    }

    #[test]
    fn whole_frames_go_from_the_top() {
        let mut stream = Stream::new();
        let base = Share::Temporal(0);
        assert_eq!(stream.frame(base, &packet(0, true, true)), [Pass::Goes; 3]);
        for _ in 0..3 {
            assert_eq!(
                stream.frame(base, &packet(2, true, false)),
                [Pass::Spared; 3]
            );
            assert_eq!(
                stream.frame(base, &packet(1, true, false)),
                [Pass::Spared; 3]
            );
            assert_eq!(
                stream.frame(base, &packet(0, false, false)),
                [Pass::Goes; 3]
            );
        }
        // Up again with frames that need the lowest one alone, a layer at a time.
        let whole = Share::Whole;
        assert_eq!(
            stream.frame(whole, &packet(2, true, false)),
            [Pass::Spared; 3]
        );
        assert_eq!(
            stream.frame(whole, &packet(1, false, false)),
            [Pass::Spared; 3]
        );
        assert_eq!(
            stream.frame(whole, &packet(1, true, false)),
            [Pass::Goes; 3]
        );
        assert_eq!(
            stream.frame(whole, &packet(2, false, false)),
            [Pass::Spared; 3]
        );
        assert_eq!(
            stream.frame(whole, &packet(2, true, false)),
            [Pass::Goes; 3]
        );
        assert_eq!(
            stream.frame(whole, &packet(2, false, false)),
            [Pass::Goes; 3]
        );
    }

    #[test]
    fn layers_that_never_begin_anew_are_asked_for_a_key_frame() {
        let mut stream = Stream::new();
        stream.frame(Share::Temporal(0), &packet(0, true, true));
        let mut asked = 0;
        for _ in 0..MOST_WAITED {
            let passes = stream.frame(Share::Whole, &packet(1, false, false));
            asked += passes
                .iter()
                .filter(|pass| **pass == Pass::NeedsKeyFrame)
                .count();
        }
        assert_eq!(asked, 1);
        let key = stream.frame(Share::Whole, &packet(0, true, true));
        assert_eq!(key, [Pass::GoesAnew, Pass::Goes, Pass::Goes]);
        assert_eq!(
            stream.frame(Share::Whole, &packet(2, false, false)),
            [Pass::Goes; 3]
        );
        assert!(stream.thinning.is_whole());
    }

    #[test]
    fn key_frames_alone_go_on_and_then_everything_behind_the_next_one() {
        let mut stream = Stream::new();
        let anew = [Pass::GoesAnew, Pass::Goes, Pass::Goes];
        assert_eq!(
            stream.frame(Share::Whole, &packet(0, false, false)),
            [Pass::Goes; 3]
        );
        assert_eq!(
            stream.frame(Share::Keys, &packet(0, false, false)),
            [Pass::Cut; 3]
        );
        assert_eq!(stream.frame(Share::Keys, &packet(0, false, true)), anew);
        assert_eq!(
            stream.frame(Share::Keys, &packet(0, false, false)),
            [Pass::Cut; 3]
        );
        let needs = [Pass::NeedsKeyFrame, Pass::Cut, Pass::Cut];
        assert_eq!(stream.frame(Share::Whole, &packet(0, false, false)), needs);
        assert_eq!(stream.frame(Share::Whole, &packet(0, false, true)), anew);
        assert_eq!(
            stream.frame(Share::Whole, &packet(0, false, false)),
            [Pass::Goes; 3]
        );
    }

    #[test]
    fn a_key_frame_is_known_behind_what_stands_in_front_of_it() {
        let mut thinning = Thinning::default();
        let mut of = |payload: &[u8], time, number| {
            let frame = Frame::of(Codec::H264, payload, time);
            thinning.of(Share::Keys, &frame, number, true)
        };
        assert_eq!(of(&[0x61, 1], 1, 1), Pass::Cut);
        assert_eq!(of(&[0x09, 0xf0], 2, 2), Pass::Cut);
        assert_eq!(of(&[0x67, 0x42], 2, 3), Pass::GoesAnew);
        assert_eq!(of(&[0x65, 0x88], 2, 4), Pass::Goes);
        // Of before, and late.
        assert_eq!(of(&[0x61, 1], 1, 0), Pass::Goes);
        assert_eq!(of(&[0x61, 1], 3, 5), Pass::Cut);
    }
}
