// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a service may hand to `webrtcbin`.
//!
//! Two steps in one: rules whose breach is refused by name, and a filter that lets only
//! attributes through whose meaning and form we know. What `webrtcbin` parses is therefore never
//! a surprise, however odd the description was.

use std::collections::HashSet;

use super::{
    Description, Fingerprint, SdpRefused, Section, SectionKind, model::is_token, reduce::reduce,
};

/// What is known of a connection from the descriptions accepted so far.
///
/// Sections never change kind, name or place, and never disappear: `webrtcbin` 1.22 ends the
/// process on a re-offer in another order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    sections: Vec<(String, SectionKind)>,
    fingerprint: Option<Fingerprint>,
}

impl Known {
    /// How many sections carry audio or video.
    pub fn media_sections(&self) -> usize {
        self.sections
            .iter()
            .filter(|(_, kind)| *kind != SectionKind::Application)
            .count()
    }
}

/// A description that keeps the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The description, reduced to what we understand.
    pub description: Description,
    /// Fingerprint of the peer's certificate, the same in all sections.
    pub fingerprint: Fingerprint,
    /// What is known of the connection now; keep it for the next description.
    pub known: Known,
}

/// Checks an offer of a service against what is known of the connection.
pub fn accept_offer(text: &str, known: &Known) -> Result<Accepted, SdpRefused> {
    let description = Description::parse(text)?;
    if description.sections.is_empty() {
        return Err(SdpRefused::NoSection);
    }
    if description.sections.len() < known.sections.len() {
        return Err(SdpRefused::SectionCount {
            found: description.sections.len(),
            expected: known.sections.len(),
        });
    }
    accept(description, known, &["actpass", "active", "passive"])
}

/// Checks the answer of a service to our offer `offered`, the one that was set. Formats that are
/// not in it (see [`super::publisher_offer`]) are left out.
pub fn accept_answer(
    text: &str,
    offered: &Description,
    known: &Known,
) -> Result<Accepted, SdpRefused> {
    let mut description = Description::parse(text)?;
    if description.sections.len() != offered.sections.len() {
        return Err(SdpRefused::SectionCount {
            found: description.sections.len(),
            expected: offered.sections.len(),
        });
    }
    let pairs = description.sections.iter_mut().zip(&offered.sections);
    for (index, (section, ours)) in pairs.enumerate() {
        if section.kind != ours.kind {
            return Err(SdpRefused::KindChanged { section: index });
        }
        if section.mid().is_some() && section.mid() != ours.mid() {
            return Err(SdpRefused::MidChanged { section: index });
        }
        if section.port == 0 {
            return Err(SdpRefused::Rejected { section: index });
        }
        section
            .formats
            .retain(|format| ours.formats.contains(format));
        if section.formats.is_empty() {
            return Err(SdpRefused::Malformed {
                section: index,
                attribute: "format list",
            });
        }
    }
    accept(description, known, &["active", "passive"])
}

fn accept(
    description: Description,
    known: &Known,
    setups: &[&str],
) -> Result<Accepted, SdpRefused> {
    let bundled = bundle(&description)?;
    let mut mids = HashSet::new();
    let mut sections = Vec::with_capacity(description.sections.len());
    let mut fingerprint = known.fingerprint;
    let mut credentials = None;
    for (index, section) in description.sections.iter().enumerate() {
        let mid = section
            .mid()
            .filter(|mid| is_token(mid))
            .ok_or(SdpRefused::MidMissing { section: index })?;
        if let Some((known_mid, known_kind)) = known.sections.get(index) {
            if *known_kind != section.kind {
                return Err(SdpRefused::KindChanged { section: index });
            }
            if known_mid != mid {
                return Err(SdpRefused::MidChanged { section: index });
            }
        }
        if !mids.insert(mid) {
            return Err(SdpRefused::DuplicateMid { section: index });
        }
        if !bundled.contains(mid) {
            return Err(SdpRefused::Bundle { section: index });
        }
        check_protocol(section, index)?;

        let found = section_fingerprint(&description, section, index)?;
        if *fingerprint.get_or_insert(found) != found {
            return Err(SdpRefused::FingerprintDiffers { section: index });
        }
        let found = section_credentials(&description, section, index)?;
        if *credentials.get_or_insert(found) != found {
            return Err(SdpRefused::CredentialsDiffer { section: index });
        }
        let setup = section
            .attribute("setup")
            .or_else(|| description.attribute("setup"));
        if !setup.is_some_and(|setup| setups.contains(&setup)) {
            return Err(SdpRefused::Malformed {
                section: index,
                attribute: "setup",
            });
        }
        sections.push((mid.to_owned(), section.kind));
    }
    // There is at least one section, and each either set the fingerprint or returned.
    let fingerprint = fingerprint.ok_or(SdpRefused::NoSection)?;
    let known = Known {
        sections,
        fingerprint: Some(fingerprint),
    };
    let description = reduce(&description)?;
    Ok(Accepted {
        description,
        fingerprint,
        known,
    })
}

/// The mids of the only BUNDLE group.
fn bundle(description: &Description) -> Result<HashSet<&str>, SdpRefused> {
    let mut groups = description.session.iter().filter_map(|line| {
        (line.name() == Some("group"))
            .then(|| line.value.strip_prefix("group:BUNDLE"))
            .flatten()
    });
    let refused = SdpRefused::Bundle { section: 0 };
    let group = groups.next().ok_or(refused.clone())?;
    if groups.next().is_some() {
        return Err(refused);
    }
    Ok(group.split(' ').filter(|mid| !mid.is_empty()).collect())
}

fn check_protocol(section: &Section, index: usize) -> Result<(), SdpRefused> {
    let known = match section.kind {
        SectionKind::Application => {
            matches!(section.proto.as_str(), "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP")
                && section.formats == ["webrtc-datachannel"]
        }
        SectionKind::Audio | SectionKind::Video => section.proto == "UDP/TLS/RTP/SAVPF",
    };
    if known {
        Ok(())
    } else {
        Err(SdpRefused::Protocol { section: index })
    }
}

fn section_fingerprint(
    description: &Description,
    section: &Section,
    index: usize,
) -> Result<Fingerprint, SdpRefused> {
    let mut values = section.attributes("fingerprint");
    let value = values
        .next()
        .or_else(|| description.attribute("fingerprint"))
        .ok_or(SdpRefused::FingerprintMissing { section: index })?;
    if values.next().is_some() {
        return Err(SdpRefused::FingerprintMalformed { section: index });
    }
    Fingerprint::parse(value).ok_or(SdpRefused::FingerprintMalformed { section: index })
}

/// Bounds of RFC 8839 §5.4.
fn section_credentials<'a>(
    description: &'a Description,
    section: &'a Section,
    index: usize,
) -> Result<(&'a str, &'a str), SdpRefused> {
    let find = |name| {
        let is_ice_char = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        section
            .attribute(name)
            .or_else(|| description.attribute(name))
            .filter(|value| value.len() <= 256 && value.bytes().all(is_ice_char))
    };
    let ufrag = find("ice-ufrag").filter(|ufrag| ufrag.len() >= 4);
    let pwd = find("ice-pwd").filter(|pwd| pwd.len() >= 22);
    ufrag
        .zip(pwd)
        .ok_or(SdpRefused::IceCredentials { section: index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Direction;

    const DATA: &str = include_str!("testdata/livekit-offer-data.sdp");
    const TRACKS: &str = include_str!("testdata/livekit-offer-tracks.sdp");

    fn offer(text: &str) -> Result<Accepted, SdpRefused> {
        accept_offer(text, &Known::default())
    }

    #[test]
    fn offers_of_livekit_are_accepted_in_turn() {
        // Two sessions of the same server, so the second has another certificate.
        offer(DATA).expect("the first offer of a session");
        let accepted = offer(TRACKS).expect("an offer with tracks");
        assert_eq!(accepted.description.sections.len(), 4);
        assert!(accepted.fingerprint.to_string().starts_with("21:DE:75:B3"));
        assert_eq!(accept_offer(TRACKS, &accepted.known), Ok(accepted.clone()));
        let again = accepted.description.to_string();
        let reduced = accept_offer(&again, &accepted.known).expect("what was accepted once");
        assert_eq!(reduced.description.to_string(), again);
        assert_eq!(
            accepted.description.sections[1].direction(),
            Direction::SendRecv
        );
        assert!(!again.contains("fir") && !again.contains("remb"));
    }

    #[test]
    fn hostile_offers_are_refused_by_name() {
        type Edit = fn(&str) -> String;
        let table: [(&str, Edit, SdpRefused); 26] = [
            (
                "no section",
                |text| text.split("m=").next().unwrap_or_default().to_owned(),
                SdpRefused::NoSection,
            ),
            (
                "no fingerprint",
                |text| text.replace("a=fingerprint", "a=finger"),
                SdpRefused::FingerprintMissing { section: 0 },
            ),
            (
                "sha-1",
                |text| text.replace("sha-256", "sha-1"),
                SdpRefused::FingerprintMalformed { section: 0 },
            ),
            (
                "short fingerprint",
                |text| text.replace("21:DE:75:", ""),
                SdpRefused::FingerprintMalformed { section: 0 },
            ),
            (
                "one section with its own fingerprint",
                |text| {
                    let other = "11:".repeat(31) + "11";
                    text.replace(
                        "a=mid:2",
                        &format!("a=mid:2\r\na=fingerprint:sha-256 {other}"),
                    )
                },
                SdpRefused::FingerprintDiffers { section: 2 },
            ),
            (
                "no mid",
                |text| text.replace("a=mid:2\r\n", ""),
                SdpRefused::MidMissing { section: 2 },
            ),
            (
                "mid with spaces",
                |text| text.replace("a=mid:2\r\n", "a=mid:2 2\r\n"),
                SdpRefused::MidMissing { section: 2 },
            ),
            (
                "mid twice",
                |text| text.replace("a=mid:2\r\n", "a=mid:1\r\n"),
                SdpRefused::DuplicateMid { section: 2 },
            ),
            (
                "no bundle",
                |text| text.replace("a=group:BUNDLE", "a=group:LS"),
                SdpRefused::Bundle { section: 0 },
            ),
            (
                "bundle without one",
                |text| text.replace("BUNDLE 0 1 2 3", "BUNDLE 0 1 2"),
                SdpRefused::Bundle { section: 3 },
            ),
            (
                "two bundles",
                |text| text.replace("BUNDLE 0 1 2 3", "BUNDLE 0 1\r\na=group:BUNDLE 2 3"),
                SdpRefused::Bundle { section: 0 },
            ),
            (
                "no ICE password",
                |text| text.replace("a=ice-pwd", "a=ice"),
                SdpRefused::IceCredentials { section: 0 },
            ),
            (
                "short ICE user",
                |text| text.replace("a=ice-ufrag:tBKC", "a=ice-ufrag:\u{7f00}"),
                SdpRefused::IceCredentials { section: 0 },
            ),
            (
                "other ICE user",
                |text| text.replacen("a=ice-ufrag:tBKC", "a=ice-ufrag:XXXX", 1),
                SdpRefused::CredentialsDiffer { section: 1 },
            ),
            (
                "clear RTP",
                |text| text.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"),
                SdpRefused::Protocol { section: 1 },
            ),
            (
                "unknown data protocol",
                |text| text.replace("webrtc-datachannel", "5000"),
                SdpRefused::Protocol { section: 0 },
            ),
            (
                "no setup",
                |text| text.replace("a=setup:actpass", "a=setup:holdconn"),
                SdpRefused::Malformed {
                    section: 0,
                    attribute: "setup",
                },
            ),
            (
                "payload type too large",
                |text| text.replace("SAVPF 111 63", "SAVPF 300 63"),
                SdpRefused::Malformed {
                    section: 2,
                    attribute: "payload type",
                },
            ),
            (
                "payload type twice",
                |text| text.replace("SAVPF 111 63", "SAVPF 63 63"),
                SdpRefused::Malformed {
                    section: 2,
                    attribute: "payload type",
                },
            ),
            (
                "payload type named twice",
                |text| text.replace("a=rtpmap:63", "a=rtpmap:111"),
                SdpRefused::Malformed {
                    section: 2,
                    attribute: "payload type",
                },
            ),
            (
                "absurd clock",
                |text| text.replace("opus/48000/2", "opus/99999999999/2"),
                SdpRefused::Malformed {
                    section: 2,
                    attribute: "rtpmap",
                },
            ),
            (
                "retransmission of nothing",
                |text| text.replace("apt=96", "apt=5"),
                SdpRefused::Malformed {
                    section: 1,
                    attribute: "fmtp",
                },
            ),
            (
                "extension id",
                |text| text.replace("a=extmap:2", "a=extmap:99"),
                SdpRefused::Malformed {
                    section: 1,
                    attribute: "extmap",
                },
            ),
            (
                "ssrc",
                |text| text.replace("a=ssrc:4106102579", "a=ssrc:-1"),
                SdpRefused::Malformed {
                    section: 1,
                    attribute: "ssrc",
                },
            ),
            (
                "sctp port",
                |text| text.replace("sctp-port:5000", "sctp-port:0"),
                SdpRefused::Malformed {
                    section: 0,
                    attribute: "sctp-port",
                },
            ),
            (
                "no origin",
                |text| text.replace("o=- 545582279002471018", "o=- x"),
                SdpRefused::Line {
                    line: 2,
                    what: "o= is missing or malformed",
                },
            ),
        ];
        for (name, edit, expected) in table {
            let text = edit(TRACKS);
            assert_ne!(text, TRACKS, "{name}: the edit does nothing");
            assert_eq!(offer(&text), Err(expected), "{name}");
        }
    }

    #[test]
    fn a_later_offer_may_not_change_what_stands() {
        let known = offer(TRACKS).expect("the first offer").known;
        let part: Vec<_> = TRACKS.split("m=").collect();
        let join = |order: &[usize]| {
            let parts: Vec<_> = order.iter().map(|&index| part[index]).collect();
            parts.join("m=").replace("a=sendrecvm=", "a=sendrecv\r\nm=")
        };
        let swapped = join(&[0, 1, 3, 2, 4]);
        let two_videos_swapped = join(&[0, 1, 4, 3, 2]);
        let fewer = join(&[0, 1, 2, 3]);
        let other_certificate = TRACKS.replace("21:DE:75:B3", "21:DE:75:B4");
        for (text, expected) in [
            (swapped, SdpRefused::KindChanged { section: 1 }),
            (two_videos_swapped, SdpRefused::MidChanged { section: 1 }),
            (
                fewer,
                SdpRefused::SectionCount {
                    found: 3,
                    expected: 4,
                },
            ),
            (
                other_certificate,
                SdpRefused::FingerprintDiffers { section: 0 },
            ),
        ] {
            assert_eq!(accept_offer(&text, &known), Err(expected));
        }
    }

    #[test]
    fn an_answer_has_to_fit_the_offer() {
        let offered = Description::parse(TRACKS).expect("well-formed");
        let answer = TRACKS.replace("setup:actpass", "setup:active");
        let known = Known::default();
        assert!(accept_answer(&answer, &offered, &known).is_ok());
        type Edit = fn(&str) -> String;
        let table: [(Edit, SdpRefused); 6] = [
            (
                |text| text.replace("setup:active", "setup:actpass"),
                SdpRefused::Malformed {
                    section: 0,
                    attribute: "setup",
                },
            ),
            (
                |text| text.replace("a=mid:3", "a=mid:9"),
                SdpRefused::MidChanged { section: 3 },
            ),
            (
                |text| text.replace("m=audio 9", "m=audio 0"),
                SdpRefused::Rejected { section: 2 },
            ),
            (
                |text| text.replace("m=audio", "m=video"),
                SdpRefused::KindChanged { section: 2 },
            ),
            (
                |text| text.replace("SAVPF 111 63 0 8", "SAVPF 112"),
                SdpRefused::Malformed {
                    section: 2,
                    attribute: "format list",
                },
            ),
            (
                |text| text.to_owned() + "\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0",
                SdpRefused::SectionCount {
                    found: 5,
                    expected: 4,
                },
            ),
        ];
        for (edit, expected) in table {
            assert_eq!(
                accept_answer(&edit(&answer), &offered, &known),
                Err(expected)
            );
        }
    }
}
