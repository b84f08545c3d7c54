// SPDX-License-Identifier: MIT OR Apache-2.0

//! The publisher connection: we offer, the service answers.

use super::{Description, Direction, Line, Section, SectionKind};

/// Makes the offer that is sent out of the one that `webrtcbin` wrote and that is set.
///
/// The sections `parked` (by mid) carry no track at present: `webrtcbin` 1.22 could never turn
/// them on again, so they are inactive only in the text that is sent. H.264 gets the parameters
/// without which a service does not recognise constrained baseline.
pub fn publisher_offer(offer: &mut Description, parked: &[String]) {
    for section in &mut offer.sections {
        if is_parked(section, parked) {
            section.set_direction(Direction::Inactive);
        }
        if section.kind == SectionKind::Video {
            describe_h264(section);
        }
        section.lines.retain(|line| {
            line.name() != Some("rtcp-fb")
                || !(line.value.ends_with("ccm fir") || line.value.ends_with("goog-remb"))
        });
    }
}

/// Makes the answer that is set out of the accepted one: parked sections and sections that the
/// service turned off look open to `webrtcbin`.
pub fn publisher_answer(answer: &mut Description) {
    for section in &mut answer.sections {
        if section.kind != SectionKind::Application {
            section.set_direction(Direction::RecvOnly);
        }
    }
}

fn is_parked(section: &Section, parked: &[String]) -> bool {
    section
        .mid()
        .is_some_and(|mid| parked.iter().any(|parked| parked == mid))
}

/// RFC 6184 §8.1: constrained baseline, level 3.1, non-interleaved. Parameter sets are in band,
/// because a receiver that adds them to frames breaks their seal.
fn describe_h264(section: &mut Section) {
    let formats: Vec<_> = section
        .formats
        .iter()
        .filter(|format| {
            section
                .rtpmap(format)
                .is_some_and(|name| name.eq_ignore_ascii_case("H264/90000"))
        })
        .cloned()
        .collect();
    for format in formats {
        let prefix = format!("fmtp:{format} ");
        section
            .lines
            .retain(|line| !(line.key == 'a' && line.value.starts_with(&prefix)));
        section.lines.push(Line::attribute(format!(
            "{prefix}level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 102 103\r\na=mid:video0\r\na=sendonly\r\n\
        a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack pli\r\na=rtcp-fb:102 ccm fir\r\n\
        a=fmtp:102 packetization-mode=1;sprop-parameter-sets=Z0LAH9kAUAW7ARAAAAMAEAAAAwPA8YMkgA==,aMuMsg==\r\n\
        a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n";

    #[test]
    fn h264_is_described_without_parameter_sets() {
        let mut offer = Description::parse(OFFER).expect("well-formed");
        publisher_offer(&mut offer, &[]);
        let section = &offer.sections[0];
        assert_eq!(
            section.fmtp("102"),
            Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        );
        assert_eq!(section.fmtp("103"), Some("apt=102"));
        assert_eq!(
            section.attributes("rtcp-fb").collect::<Vec<_>>(),
            ["102 nack pli"]
        );
        assert_eq!(section.direction(), Direction::SendOnly);
    }

    #[test]
    fn a_parked_section_is_inactive_outside_and_open_inside() {
        let mut offer = Description::parse(OFFER).expect("well-formed");
        publisher_offer(&mut offer, &["video0".into()]);
        assert_eq!(offer.sections[0].direction(), Direction::Inactive);
        publisher_answer(&mut offer);
        assert_eq!(offer.sections[0].direction(), Direction::RecvOnly);
    }
}
