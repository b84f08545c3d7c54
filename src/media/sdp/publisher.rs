// SPDX-License-Identifier: MIT OR Apache-2.0

//! The publisher connection: we offer, the service answers.

use super::{Description, Direction, Line, Section, SectionKind};

/// Gives retransmissions the payload types that they have for good, in the offer that `webrtcbin`
/// wrote and before it is set.
///
/// `webrtcbin` 1.22 hands them out anew with every offer, the lowest that is free, so that a
/// section added later changes what a type means. But a service learns the types from the first
/// offer alone, and one that is offered before a track uses it ([`publisher_offer`]) has to be the
/// one `webrtcbin` sends with later. What it sends follows from the description that is set.
pub fn number_retransmissions(offer: &mut Description) {
    for section in &mut offer.sections {
        let renamed: Vec<(String, String)> = section
            .formats
            .iter()
            .filter_map(|format| {
                let source = section.fmtp(format)?.strip_prefix("apt=")?;
                let name = section.rtpmap(source)?;
                let (_, _, rtx) = PAYLOAD_TYPES
                    .iter()
                    .find(|(known, ..)| name.eq_ignore_ascii_case(known))?;
                Some((format.clone(), (*rtx).to_owned()))
            })
            .collect();
        let new_name = |format: &str| {
            let found = renamed.iter().find(|(old, _)| old == format);
            found.map(|(_, new)| new.clone())
        };
        for format in &mut section.formats {
            if let Some(new) = new_name(format) {
                *format = new;
            }
        }
        for line in &mut section.lines {
            let Some((name @ ("rtpmap" | "fmtp" | "rtcp-fb"), value)) = line.value.split_once(':')
            else {
                continue;
            };
            let Some((format, rest)) = value.split_once(' ') else {
                continue;
            };
            if let Some(new) = new_name(format) {
                line.value = format!("{name}:{new} {rest}");
            }
        }
    }
}

/// Makes the offer that is sent out of the one that `webrtcbin` wrote and that is set.
///
/// The sections `parked` (by mid) carry no track at present: `webrtcbin` 1.22 could never turn
/// them on again, so they are inactive only in the text that is sent. H.264 gets the parameters
/// without which a service does not recognise constrained baseline. And every video section offers
/// every codec, its own first, because LiveKit learns the codecs of a connection from the first
/// section alone and would never understand a second codec.
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
    let codecs: Vec<Codec> = VIDEO_CODECS
        .iter()
        .map(|(name, fmtp)| {
            let sections = offer.sections.iter();
            sections
                .filter(|section| section.kind == SectionKind::Video)
                .find_map(|section| Codec::find(section, name))
                .unwrap_or_else(|| Codec::new(name, fmtp))
        })
        .collect();
    for section in &mut offer.sections {
        if section.kind == SectionKind::Video {
            for codec in &codecs {
                codec.add_to(section);
            }
        }
    }
}

const VP8: &str = "VP8/90000";
const H264: &str = "H264/90000";

/// Every codec we send, its payload type, and that of its retransmission.
const PAYLOAD_TYPES: [(&str, &str, &str); 3] = [
    (VP8, "96", "97"),
    (H264, "102", "103"),
    ("OPUS/48000/2", "111", "112"),
];

/// RFC 6184 §8.1: constrained baseline, level 3.1, non-interleaved. Parameter sets are in band,
/// because a receiver that adds them to frames breaks their seal.
const H264_PARAMETERS: &str =
    "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";

/// The codecs of pictures, with their parameters.
const VIDEO_CODECS: [(&str, &str); 2] = [(VP8, ""), (H264, H264_PARAMETERS)];

/// A codec as one section describes it, with its retransmission.
struct Codec {
    formats: Vec<String>,
    lines: Vec<Line>,
}

impl Codec {
    fn find(section: &Section, name: &str) -> Option<Self> {
        let format = section
            .formats
            .iter()
            .find(|format| is_named(section, format, name))?;
        let apt = format!("apt={format}");
        let rtx = section
            .formats
            .iter()
            .filter(|rtx| section.fmtp(rtx) == Some(apt.as_str()));
        let formats: Vec<String> = std::iter::once(format).chain(rtx).cloned().collect();
        let lines = section.lines.iter().filter(|line| {
            matches!(line.name(), Some("rtpmap" | "fmtp" | "rtcp-fb"))
                && formats.iter().any(|format| belongs_to(line, format))
        });
        let lines = lines.cloned().collect();
        Some(Self { formats, lines })
    }

    /// One that no track uses yet, as a track that does will describe it.
    fn new(name: &str, fmtp: &str) -> Self {
        let (_, payload_type, rtx) = PAYLOAD_TYPES
            .into_iter()
            .find(|(known, ..)| *known == name)
            .expect("every codec of pictures has a payload type");
        let mut lines = vec![Line::attribute(format!("rtpmap:{payload_type} {name}"))];
        for feedback in ["nack", "nack pli", "transport-cc"] {
            lines.push(Line::attribute(format!(
                "rtcp-fb:{payload_type} {feedback}"
            )));
        }
        if !fmtp.is_empty() {
            lines.push(Line::attribute(format!("fmtp:{payload_type} {fmtp}")));
        }
        lines.push(Line::attribute(format!("rtpmap:{rtx} rtx/90000")));
        lines.push(Line::attribute(format!("fmtp:{rtx} apt={payload_type}")));
        Self {
            formats: vec![payload_type.to_owned(), rtx.to_owned()],
            lines,
        }
    }

    fn add_to(&self, section: &mut Section) {
        if self
            .formats
            .iter()
            .any(|format| section.formats.contains(format))
        {
            return;
        }
        section.formats.extend(self.formats.iter().cloned());
        section.lines.extend(self.lines.iter().cloned());
    }
}

fn is_named(section: &Section, format: &str, name: &str) -> bool {
    section
        .rtpmap(format)
        .is_some_and(|found| found.eq_ignore_ascii_case(name))
}

/// Whether an attribute is about this payload type.
fn belongs_to(line: &Line, format: &str) -> bool {
    let value = line.value.split_once(':').map_or("", |(_, value)| value);
    value.split(' ').next() == Some(format)
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

fn describe_h264(section: &mut Section) {
    let formats = section
        .formats
        .iter()
        .filter(|format| is_named(section, format, H264));
    for format in formats.cloned().collect::<Vec<_>>() {
        section
            .lines
            .retain(|line| line.name() != Some("fmtp") || !belongs_to(line, &format));
        section
            .lines
            .push(Line::attribute(format!("fmtp:{format} {H264_PARAMETERS}")));
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
        assert!(!offer.to_string().contains("ccm fir"));
        assert_eq!(section.direction(), Direction::SendOnly);
    }

    #[test]
    fn every_video_section_offers_every_codec() {
        let vp8 = OFFER
            .split_once("m=")
            .expect("a section")
            .1
            .replace("video0", "video1");
        let vp8 = vp8
            .replace("102", "96")
            .replace("103", "97")
            .replace("H264", "VP8");
        let text = format!("{OFFER}m={vp8}");
        let mut offer = Description::parse(&text).expect("well-formed");
        publisher_offer(&mut offer, &[]);
        assert_eq!(offer.sections[0].formats, ["102", "103", "96", "97"]);
        assert_eq!(offer.sections[1].formats, ["96", "97", "102", "103"]);
        assert_eq!(offer.sections[0].fmtp("97"), Some("apt=96"));
        assert_eq!(offer.sections[1].rtpmap("102"), Some("H264/90000"));

        // A codec that no track uses yet.
        let mut offer = Description::parse(OFFER).expect("well-formed");
        publisher_offer(&mut offer, &[]);
        assert_eq!(offer.sections[0].formats, ["102", "103", "96", "97"]);
        assert!(offer.to_string().contains("a=rtcp-fb:96 nack pli\r\n"));
        assert_eq!(offer.sections[0].fmtp("97"), Some("apt=96"));
    }

    #[test]
    fn retransmissions_keep_their_payload_types_whatever_webrtcbin_chose() {
        // What it chooses for the first section of a connection, were it H.264.
        let text = OFFER.replace("103", "96");
        let mut offer = Description::parse(&text).expect("well-formed");
        number_retransmissions(&mut offer);
        let section = &offer.sections[0];
        assert_eq!(section.formats, ["102", "103"]);
        assert_eq!(section.rtpmap("103"), Some("rtx/90000"));
        assert_eq!(section.fmtp("103"), Some("apt=102"));
        assert_eq!(section.rtpmap("102"), Some(H264));
        // VP8, whose payload type had been taken, is offered too.
        publisher_offer(&mut offer, &[]);
        assert_eq!(offer.sections[0].formats, ["102", "103", "96", "97"]);
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
