// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who speaks, from the loudness that senders write beside their sealed sound (RFC 6464).

use std::collections::BTreeMap;
use std::time::Duration;

use super::MemberId;

/// Over what time loudness is looked at.
const SPAN: Duration = Duration::from_millis(400);

/// Sound louder than this is speech, in -dBov.
const SPEECH: u8 = 35;

/// How many of 100 packets in a span have to be speech.
const SHARE: usize = 40;

/// Loudness since the last look, and what was told.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    heard: BTreeMap<MemberId, Vec<u8>>,
    told: BTreeMap<MemberId, f32>,
    /// When the span began; `None` while nobody is heard.
    since: Option<Duration>,
}

impl Speakers {
    /// A packet of somebody was so loud, in -dBov.
    pub(super) fn heard(&mut self, who: MemberId, level: u8, now: Duration) {
        self.since.get_or_insert(now);
        let levels = self.heard.entry(who).or_default();
        // A span holds 20 packets of 20 ms; who sends many more is not louder for it.
        if levels.len() < 160 {
            levels.push(level);
        }
    }

    /// When [`Self::changed`] is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.since.map(|since| since + SPAN)
    }

    /// Who began to speak, changed in loudness (0 to 1) or fell silent (`None`), once a span is over.
    pub(super) fn changed(&mut self, now: Duration) -> Vec<(MemberId, Option<f32>)> {
        if self.deadline().is_none_or(|due| now < due) {
            return Vec::new();
        }
        let heard = std::mem::take(&mut self.heard);
        let speaking: BTreeMap<MemberId, f32> = heard
            .into_iter()
            .filter_map(|(who, levels)| Some((who, loudness(&levels)?)))
            .collect();
        // Somebody who speaks may stop without a packet.
        self.since = (!speaking.is_empty()).then_some(now);
        let silent = self.told.keys().filter(|who| !speaking.contains_key(who));
        let mut changed: Vec<_> = silent.map(|who| (*who, None)).collect();
        for (who, level) in &speaking {
            if self.told.get(who) != Some(level) {
                changed.push((*who, Some(*level)));
            }
        }
        self.told = speaking;
        changed
    }

    /// Somebody left.
    pub(super) fn forget(&mut self, who: MemberId) {
        self.heard.remove(&who);
        self.told.remove(&who);
    }
}

/// How loud the speech in these packets is, in steps of an eighth; `None` when it is none.
fn loudness(levels: &[u8]) -> Option<f32> {
    let speech = levels.iter().filter(|level| **level <= SPEECH).count();
    if speech == 0 || speech * 100 < SHARE * levels.len() {
        return None;
    }
    let loudest = levels.iter().min().copied().unwrap_or(127);
    let linear = 10_f32.powf(-f32::from(loudest) / 20.0);
    Some((linear * 8.0).ceil().clamp(1.0, 8.0) / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: MemberId = MemberId(1);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn speak(speakers: &mut Speakers, from: u64, level: u8) {
        for packet in 0..20 {
            speakers.heard(ANN, level, at(from + packet * 20));
        }
    }

    #[test]
    fn who_speaks_is_told_once_and_once_again_when_silent() {
        let mut speakers = Speakers::default();
        speak(&mut speakers, 0, 10);
        assert!(speakers.changed(at(399)).is_empty());
        assert_eq!(speakers.changed(at(400)), [(ANN, Some(0.375))]);
        speak(&mut speakers, 400, 10);
        assert_eq!(speakers.changed(at(800)), []);
        // Not a packet more, as from a client that was unplugged.
        assert_eq!(speakers.deadline(), Some(at(1200)));
        assert_eq!(speakers.changed(at(1200)), [(ANN, None)]);
        assert_eq!(speakers.deadline(), None);
    }

    #[test]
    fn silence_and_short_noises_are_no_speech() {
        let mut speakers = Speakers::default();
        speak(&mut speakers, 0, 127);
        speakers.heard(ANN, 0, at(399));
        assert_eq!(speakers.changed(at(400)), []);
    }

    #[test]
    fn nobody_is_told_of_who_has_left() {
        let mut speakers = Speakers::default();
        speak(&mut speakers, 0, 10);
        speakers.changed(at(400));
        speakers.forget(ANN);
        speak(&mut speakers, 400, 127);
        assert_eq!(speakers.changed(at(800)), []);
    }
}
