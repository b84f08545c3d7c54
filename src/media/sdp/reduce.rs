// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is left of a description when everything is taken away that we do not understand.

use std::collections::HashSet;

use super::{
    Description, Line, SdpRefused, Section, SectionKind, candidate,
    model::{is_token, value_of},
};

/// Keeps only lines that are understood; a known attribute with an impossible value is refused.
pub(super) fn reduce(description: &Description) -> Result<Description, SdpRefused> {
    let origin = description
        .session
        .iter()
        .find(|line| line.key == 'o')
        .and_then(|line| origin(&line.value))
        .ok_or(SdpRefused::Line {
            line: 2,
            what: "o= is missing or malformed",
        })?;
    let mut session = vec![
        Line {
            key: 'v',
            value: "0".into(),
        },
        Line {
            key: 'o',
            value: origin,
        },
        Line {
            key: 's',
            value: "-".into(),
        },
        Line {
            key: 't',
            value: "0 0".into(),
        },
    ];
    let mids: Vec<_> = description
        .sections
        .iter()
        .filter_map(Section::mid)
        .collect();
    session.push(Line::attribute(format!("group:BUNDLE {}", mids.join(" "))));
    for name in ["ice-lite", "extmap-allow-mixed"] {
        if description.attribute(name).is_some() {
            session.push(Line::attribute(name));
        }
    }
    let mut sections = Vec::with_capacity(description.sections.len());
    for (index, section) in description.sections.iter().enumerate() {
        sections.push(reduce_section(description, section, index)?);
    }
    Ok(Description { session, sections })
}

/// `- <number> <number> IN IP4 0.0.0.0`: the addresses in it mean nothing to WebRTC.
fn origin(value: &str) -> Option<String> {
    let mut words = value.split(' ').skip(1);
    let session: u64 = words.next()?.parse().ok()?;
    let version: u64 = words.next()?.parse().ok()?;
    Some(format!("- {session} {version} IN IP4 0.0.0.0"))
}

fn reduce_section(
    description: &Description,
    section: &Section,
    index: usize,
) -> Result<Section, SdpRefused> {
    let malformed = |attribute| SdpRefused::Malformed {
        section: index,
        attribute,
    };
    let media = section.kind != SectionKind::Application;
    let formats = if media {
        known_formats(section, index)?
    } else {
        section.formats.clone()
    };
    let mut lines = vec![Line {
        key: 'c',
        value: "IN IP4 0.0.0.0".into(),
    }];
    // What may stand in the session part counts for every section.
    for name in ["ice-ufrag", "ice-pwd", "fingerprint", "setup"] {
        if let Some(value) = section
            .attribute(name)
            .or_else(|| description.attribute(name))
        {
            lines.push(Line::attribute(format!("{name}:{value}")));
        }
    }
    lines.push(Line::attribute(format!(
        "mid:{}",
        section.mid().unwrap_or_default()
    )));
    lines.push(Line::attribute(section.direction().as_str()));
    if media && section.attribute("rtcp-mux") != Some("") {
        return Err(malformed("rtcp-mux"));
    }
    for line in &section.lines {
        let Some(name) = line.name() else { continue };
        let value = line.value.split_once(':').map_or("", |(_, value)| value);
        let keep = match name {
            "rtcp-mux" | "rtcp-rsize" | "bundle-only" | "end-of-candidates" => value.is_empty(),
            "rtpmap" | "fmtp" => value
                .split_once(' ')
                .is_some_and(|(format, _)| formats.iter().any(|f| f == format)),
            "rtcp-fb" => value.split_once(' ').is_some_and(|(format, kind)| {
                formats.iter().any(|f| f == format)
                    && matches!(kind, "nack" | "nack pli" | "transport-cc")
            }),
            "extmap" if media => match value.split_once(' ') {
                Some((id, uri)) => {
                    let id = id.split('/').next().and_then(|id| id.parse().ok());
                    if !id.is_some_and(|id: u8| (1..=14).contains(&id)) || !is_extension(uri) {
                        return Err(malformed("extmap"));
                    }
                    true
                }
                None => return Err(malformed("extmap")),
            },
            "ssrc" if media => match value.split_once(' ') {
                Some((ssrc, text)) if ssrc.parse::<u32>().is_ok() => {
                    text.starts_with("msid:") || text.starts_with("cname:")
                }
                _ => return Err(malformed("ssrc")),
            },
            "ssrc-group" if media => {
                let mut words = value.split(' ');
                let fid = words.next() == Some("FID");
                let numbers: Vec<_> = words.map(str::parse::<u32>).collect();
                if fid && (numbers.len() != 2 || numbers.iter().any(Result::is_err)) {
                    return Err(malformed("ssrc-group"));
                }
                fid
            }
            "msid" if media => value.split(' ').count() <= 2,
            "candidate" => candidate::check(&line.value).is_ok(),
            "sctp-port" if !media => match value.parse::<u16>() {
                Ok(1..) => true,
                _ => return Err(malformed("sctp-port")),
            },
            "max-message-size" if !media => match value.parse::<u32>() {
                Ok(_) => true,
                _ => return Err(malformed("max-message-size")),
            },
            _ => false,
        };
        if keep {
            lines.push(line.clone());
        }
    }
    if !media && section.attribute("sctp-port").is_none() {
        return Err(malformed("sctp-port"));
    }
    Ok(Section {
        kind: section.kind,
        port: section.port,
        proto: section.proto.clone(),
        formats,
        lines,
    })
}

/// Formats that are payload types with a well-formed name, and retransmissions of such.
fn known_formats(section: &Section, index: usize) -> Result<Vec<String>, SdpRefused> {
    let malformed = |attribute| SdpRefused::Malformed {
        section: index,
        attribute,
    };
    let mut seen = HashSet::new();
    for format in &section.formats {
        let number: u8 = format.parse().map_err(|_| malformed("payload type"))?;
        // A leading zero or sign would make one type look like two.
        if number > 127 || number.to_string() != *format || !seen.insert(number) {
            return Err(malformed("payload type"));
        }
        if section
            .attributes("rtpmap")
            .filter(|value| value_of(value, format).is_some())
            .count()
            > 1
            || section
                .attributes("fmtp")
                .filter(|value| value_of(value, format).is_some())
                .count()
                > 1
        {
            return Err(malformed("payload type"));
        }
    }
    let is_rtx = |format: &str| {
        section
            .rtpmap(format)
            .is_some_and(|name| name.to_ascii_lowercase().starts_with("rtx/"))
    };
    let mut formats = Vec::new();
    for format in &section.formats {
        let Some(name) = section.rtpmap(format) else {
            continue;
        };
        if !is_codec_name(name) {
            return Err(malformed("rtpmap"));
        }
        if is_rtx(format) {
            let apt = section
                .fmtp(format)
                .and_then(|fmtp| fmtp.strip_prefix("apt="));
            let Some(apt) = apt.map(|apt| apt.split(';').next().unwrap_or_default()) else {
                return Err(malformed("fmtp"));
            };
            if !section.formats.iter().any(|format| format == apt) || is_rtx(apt) {
                return Err(malformed("fmtp"));
            }
            if section.rtpmap(apt).is_none() {
                continue;
            }
        }
        formats.push(format.clone());
    }
    if formats.is_empty() {
        return Err(malformed("format list"));
    }
    Ok(formats)
}

/// `name/clock[/channels]`.
fn is_codec_name(text: &str) -> bool {
    let mut words = text.split('/');
    let name = words.next().is_some_and(is_token);
    let clock = words
        .next()
        .and_then(|clock| clock.parse::<u32>().ok())
        .is_some_and(|clock| (1..=1_000_000).contains(&clock));
    let channels = words
        .next()
        .is_none_or(|count| matches!(count.parse::<u8>(), Ok(1..=8)));
    name && clock && channels && words.next().is_none()
}

/// A header extension's URI and parameters (RFC 8285 §8).
fn is_extension(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}
