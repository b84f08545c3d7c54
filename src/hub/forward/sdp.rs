// SPDX-License-Identifier: MIT OR Apache-2.0
//! Session descriptions: what is taken of those of clients, what their sections carry, and what ours keep to themselves.

use crate::room::Section;

/// The longest description, in bytes. A publisher of [`crate::room::MOST_TRACKS`] tracks takes a tenth.
const LONGEST: usize = 512 * 1024;

/// Sections of a description; more is no meeting.
pub(super) const MOST_SECTIONS: usize = 400;

/// The description as the engine shall see it; `None` when it is out of all bounds.
///
/// Addresses are taken out: clients check towards us and so show where they are, while an address that a client merely
/// names could be anybody's, and would be sent to. And bundled sections without a port of their own, as `max-bundle`
/// clients write them (RFC 9143 §6), get one, because 0 otherwise means that the section is refused.
pub(super) fn tame(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let mut tame = String::with_capacity(text.len());
    let mut sections = 0;
    for block in blocks(text) {
        let bundle_only = block.contains(&"a=bundle-only");
        for line in block {
            if line.starts_with("a=candidate:") || line == "a=end-of-candidates" {
                continue;
            }
            if let Some(media) = line.strip_prefix("m=") {
                sections += 1;
                let mut words = media.splitn(3, ' ');
                if let (true, Some(kind), Some("0"), Some(rest)) =
                    (bundle_only, words.next(), words.next(), words.next())
                {
                    tame.push_str(&format!("m={kind} 9 {rest}\r\n"));
                    continue;
                }
            }
            tame.push_str(line);
            tame.push_str("\r\n");
        }
    }
    (sections <= MOST_SECTIONS).then_some(tame)
}

/// A description of ours without the addresses in it, which are told beside it.
///
/// `webrtcbin` hands the addresses of the last answer to libnice again with every description, also with the offer that
/// begins ICE anew. By then the old credentials are gone and the new ones have not come: libnice gives the address up
/// for failed within 20 ms, and does not check it when the answer names it once more.
pub(super) fn bare(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| {
            !line.starts_with("a=candidate:") && line.trim_end() != "a=end-of-candidates"
        })
        .collect()
}

/// What the sections of a publisher's offer carry.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let media = blocks(text).into_iter().filter_map(|block| {
        let video = match block.first()?.split(' ').next()? {
            "m=audio" => false,
            "m=video" => true,
            _ => return None,
        };
        let value = |name: &str| block.iter().find_map(|line| line.strip_prefix(name));
        let first = block.first()?.split(' ').nth(3)?;
        let codec = block.iter().find_map(|line| {
            let (format, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (format == first).then(|| name.split('/').next().unwrap_or_default())
        });
        let sending = !block
            .iter()
            .any(|line| matches!(*line, "a=recvonly" | "a=inactive"));
        let mut cids = Vec::new();
        for line in &block {
            let msid = line.strip_prefix("a=msid:").or_else(|| {
                // The older form, of each source.
                let source = line.strip_prefix("a=ssrc:")?;
                source.split_once(' ')?.1.strip_prefix("msid:")
            });
            if let Some((_, cid)) = msid.and_then(|msid| msid.split_once(' '))
                && !cids.iter().any(|known| known == cid)
            {
                cids.push(cid.to_owned());
            }
        }
        Some(Section {
            mid: value("a=mid:")?.to_owned(),
            video,
            sending,
            mime: codec.and_then(mime),
            cids,
        })
    });
    media.collect()
}

fn mime(codec: &str) -> Option<&'static str> {
    let known = ["video/VP8", "video/H264", "audio/opus"].into_iter();
    let mut named = known.filter(|mime| mime[6..].eq_ignore_ascii_case(codec));
    named.next()
}

/// The lines of the session part, then those of each section.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let mut blocks = vec![Vec::new()];
    for line in text.split('\n') {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            continue;
        }
        if line.starts_with("m=") {
            blocks.push(Vec::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push(line);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:stream mic\r\n\
        a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=mid:1\r\na=sendonly\r\na=rtpmap:97 rtx/90000\r\na=rtpmap:96 vp8/90000\r\n\
        a=ssrc:7 msid:user1 webrtctransceiver1\r\na=ssrc:7 cname:x\r\na=ssrc:8 msid:user1 webrtctransceiver1\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=inactive\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";

    #[test]
    fn no_address_that_a_client_names_is_kept() {
        let tame = tame(OFFER).expect("within bounds");
        assert!(!tame.contains("candidate"), "{tame}");
        assert!(tame.contains("a=msid:stream mic\r\n"));
    }

    #[test]
    fn our_descriptions_leave_out_addresses_and_nothing_else() {
        let bare = bare(OFFER);
        let left: Vec<&str> = OFFER
            .lines()
            .filter(|line| !line.contains("candidate"))
            .collect();
        assert_eq!(bare.lines().collect::<Vec<_>>(), left);
        assert_eq!(bare.matches("\r\n").count(), left.len());
    }

    #[test]
    fn a_bundled_section_gets_a_port_and_a_refused_one_does_not() {
        let tame = tame(OFFER).expect("within bounds");
        assert_eq!(tame.matches("m=video 9 UDP").count(), 1);
        assert_eq!(tame.matches("m=video 0 UDP").count(), 1);
    }

    #[test]
    fn tracks_are_found_by_either_form_of_msid() {
        let section = |mid: &str, video, sending, mime, cids: &[&str]| Section {
            mid: mid.into(),
            video,
            sending,
            mime,
            cids: cids.iter().map(|cid| (*cid).to_owned()).collect(),
        };
        assert_eq!(
            sections(OFFER),
            [
                section("0", false, true, None, &["mic"]),
                section("1", true, true, Some("video/VP8"), &["webrtctransceiver1"]),
                section("2", true, false, None, &[]),
            ]
        );
    }

    #[test]
    fn what_is_out_of_all_bounds_is_refused() {
        assert_eq!(tame(&"a=x\n".repeat(LONGEST / 4 + 1)), None);
        assert_eq!(tame(&"m=audio 9 x 1\n".repeat(MOST_SECTIONS + 1)), None);
        assert!(sections("m=\nm=audio\na=mid\nm=video 9\n").is_empty());
    }
}
