// SPDX-License-Identifier: MIT OR Apache-2.0

//! The subscriber connection: the service offers, we answer.

use super::{Description, Direction, Line, Section, SectionKind};

/// Opens every media section towards us, whatever the offer says.
///
/// A service frees a section by `recvonly` or `inactive` and uses it again later, but `webrtcbin`
/// 1.22 cannot turn a section back on. So it is told that nothing was ever turned off. Returns
/// the mids that the offer had closed, for [`send_inactive`].
pub fn open_directions(offer: &mut Description) -> Vec<String> {
    let mut closed = Vec::new();
    for section in &mut offer.sections {
        if section.kind == SectionKind::Application {
            continue;
        }
        if matches!(
            section.direction(),
            Direction::RecvOnly | Direction::Inactive
        ) {
            closed.extend(section.mid().map(str::to_owned));
        }
        section.set_direction(Direction::SendOnly);
    }
    closed
}

/// Makes `webrtcbin`'s answer accept every codec that we decode, as the offer describes it.
///
/// `webrtcbin` 1.22 accepts only the first, and builds its payload type map from the answer, so
/// this has to happen before the answer is set. Feedback is what the offer has without `ccm fir`
/// (`webrtcbin`'s FIR is ignored by LiveKit, PLI works) and `goog-remb` (we send none).
pub fn widen_answer(answer: &mut Description, offer: &Description) {
    for section in &mut answer.sections {
        if section.kind == SectionKind::Application {
            continue;
        }
        section.lines.retain(|line| {
            line.name() != Some("rtcp-fb")
                || !(line.value.ends_with("ccm fir") || line.value.ends_with("goog-remb"))
        });
        if section.attribute("rtcp-rsize").is_none() {
            section.lines.push(Line::attribute("rtcp-rsize"));
        }
        let Some(offered) = offer
            .sections
            .iter()
            .find(|offered| offered.mid() == section.mid())
        else {
            continue;
        };
        let formats = decodable(offered);
        // A section without a codec of ours stays as webrtcbin answered it; its frames are not
        // shown, and the call goes on.
        if formats.is_empty() {
            continue;
        }
        for name in ["rtpmap", "fmtp", "rtcp-fb"] {
            section.remove_attributes(name);
        }
        for format in &formats {
            for name in ["rtpmap", "fmtp", "rtcp-fb"] {
                let lines = offered.lines.iter().filter(|line| {
                    line.name() == Some(name)
                        && line.value[name.len() + 1..].split(' ').next() == Some(format.as_str())
                        && !line.value.ends_with("ccm fir")
                        && !line.value.ends_with("goog-remb")
                        && !line.value.ends_with("transport-cc")
                });
                section.lines.extend(lines.cloned());
            }
        }
        section.formats = formats;
    }
}

/// Marks the sections `mids` inactive, in the answer that is sent (not in the one that is set).
pub fn send_inactive(answer: &mut Description, mids: &[String]) {
    for section in &mut answer.sections {
        if section
            .mid()
            .is_some_and(|mid| mids.iter().any(|closed| closed == mid))
        {
            section.set_direction(Direction::Inactive);
        }
    }
}

/// Payload types that we decode, each followed by its retransmission, in the offer's order.
fn decodable(section: &Section) -> Vec<String> {
    let mut formats = Vec::new();
    for format in section
        .formats
        .iter()
        .filter(|format| is_decodable(section, format))
    {
        formats.push(format.clone());
        let rtx = section.formats.iter().find(|rtx| {
            section
                .rtpmap(rtx)
                .is_some_and(|name| name.eq_ignore_ascii_case("rtx/90000"))
                && section.fmtp(rtx).and_then(|fmtp| fmtp.strip_prefix("apt=")) == Some(format)
        });
        formats.extend(rtx.cloned());
    }
    formats
}

fn is_decodable(section: &Section, format: &str) -> bool {
    let name = section.rtpmap(format).unwrap_or_default();
    let known: &[&str] = match section.kind {
        SectionKind::Application => &[],
        SectionKind::Audio => &["opus/48000/2"],
        SectionKind::Video => &["VP8/90000", "H264/90000"],
    };
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::{Known, accept_offer};

    const TRACKS: &str = include_str!("testdata/livekit-offer-tracks.sdp");

    /// What `webrtcbin` 1.22 makes of it: the first codec only.
    fn narrow(offer: &Description) -> Description {
        let mut answer = offer.clone();
        for section in &mut answer.sections[1..] {
            section.formats.truncate(1);
            section.lines.retain(|line| {
                !matches!(line.name(), Some("rtcp-fb" | "rtpmap" | "fmtp" | "extmap"))
            });
            let pt = section.formats[0].clone();
            section
                .lines
                .push(Line::attribute(format!("rtcp-fb:{pt} ccm fir")));
            section.set_direction(Direction::RecvOnly);
        }
        answer
    }

    #[test]
    fn every_codec_that_we_decode_is_answered() {
        let offer = accept_offer(TRACKS, &Known::default())
            .expect("acceptable")
            .description;
        let mut answer = narrow(&offer);
        widen_answer(&mut answer, &offer);
        let text = answer.to_string();
        assert!(
            text.contains("m=video 9 UDP/TLS/RTP/SAVPF 96 97 125 126 108 109 104 105 102 103\r\n")
        );
        assert!(text.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"));
        assert!(text.contains("a=fmtp:109 apt=108\r\n") && text.contains("a=rtcp-fb:108 nack pli"));
        for absent in [
            "ccm fir",
            "goog-remb",
            "VP9",
            "AV1",
            "red/",
            "PCMU",
            "extmap:",
        ] {
            assert!(!text.contains(absent), "{absent}");
        }
        assert_eq!(answer.sections[3].attributes("rtpmap").count(), 10);
        assert_eq!(answer.sections[3].attributes("rtcp-rsize").count(), 1);
    }

    #[test]
    fn a_closed_section_stays_open_inside_and_is_inactive_outside() {
        let offer = TRACKS.replacen("a=sendrecv\r\nm=audio", "a=recvonly\r\nm=audio", 1);
        let mut offer = accept_offer(&offer, &Known::default())
            .expect("acceptable")
            .description;
        let closed = open_directions(&mut offer);
        assert_eq!(closed, ["1"]);
        let directions: Vec<_> = offer.sections.iter().map(Section::direction).collect();
        assert_eq!(directions[0], Direction::SendRecv);
        assert!(
            directions[1..]
                .iter()
                .all(|direction| *direction == Direction::SendOnly)
        );
        let mut answer = narrow(&offer);
        send_inactive(&mut answer, &closed);
        assert_eq!(answer.sections[1].direction(), Direction::Inactive);
        assert_eq!(answer.sections[2].direction(), Direction::RecvOnly);
    }

    #[test]
    fn a_section_without_a_codec_of_ours_stays_as_it_was() {
        let offer = TRACKS.replace("opus/48000/2", "L16/48000/2");
        let offer = accept_offer(&offer, &Known::default())
            .expect("acceptable")
            .description;
        let mut answer = narrow(&offer);
        let before = answer.sections[2].formats.clone();
        widen_answer(&mut answer, &offer);
        assert_eq!(answer.sections[2].formats, before);
    }
}
