// SPDX-License-Identifier: MIT OR Apache-2.0

//! A session description as lines (RFC 8866), which keeps what it does not understand.

use std::fmt;

use super::SdpRefused;

/// Real descriptions have some 4 kB per section.
const MAX_BYTES: usize = 1 << 20;
const MAX_LINE: usize = 4096;
const MAX_SECTIONS: usize = 512;
const MAX_SECTION_LINES: usize = 512;
const MAX_FORMATS: usize = 128;

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Lines before the first media section.
    pub session: Vec<Line>,
    /// The media sections in order.
    pub sections: Vec<Section>,
}

impl Description {
    /// Reads a description. Only form is checked here: see [`super::accept_offer`] for meaning.
    pub fn parse(text: &str) -> Result<Self, SdpRefused> {
        if text.len() > MAX_BYTES {
            return Err(SdpRefused::TooLarge {
                what: "the length in bytes",
                limit: MAX_BYTES,
            });
        }
        let mut session = Vec::new();
        let mut sections: Vec<Section> = Vec::new();
        for (index, raw) in text.split('\n').enumerate() {
            let raw = raw.strip_suffix('\r').unwrap_or(raw);
            if raw.is_empty() {
                continue;
            }
            let line = Line::parse(raw).map_err(|what| SdpRefused::Line {
                line: index + 1,
                what,
            })?;
            if index == 0 && (line.key != 'v' || line.value != "0") {
                return Err(SdpRefused::Line {
                    line: 1,
                    what: "a description begins with v=0",
                });
            }
            if line.key == 'm' {
                if sections.len() == MAX_SECTIONS {
                    return Err(SdpRefused::TooLarge {
                        what: "the number of media sections",
                        limit: MAX_SECTIONS,
                    });
                }
                let section = Section::parse(&line.value).map_err(|what| SdpRefused::Line {
                    line: index + 1,
                    what,
                })?;
                sections.push(section);
                continue;
            }
            let lines = sections
                .last_mut()
                .map_or(&mut session, |section| &mut section.lines);
            if lines.len() == MAX_SECTION_LINES {
                return Err(SdpRefused::TooLarge {
                    what: "the number of lines in one section",
                    limit: MAX_SECTION_LINES,
                });
            }
            lines.push(line);
        }
        if session.is_empty() {
            return Err(SdpRefused::Line {
                line: 1,
                what: "a description begins with v=0",
            });
        }
        Ok(Self { session, sections })
    }

    /// Value of the session's attribute `name`; empty for an attribute without value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attributes(&self.session, name).next()
    }

    /// Gives every section these ICE credentials.
    ///
    /// `webrtcbin` does not know that ICE was restarted and repeats the old ones.
    pub fn set_ice_credentials(&mut self, ufrag: &str, pwd: &str) {
        let lines = self
            .sections
            .iter_mut()
            .flat_map(|section| section.lines.iter_mut())
            .chain(self.session.iter_mut());
        for line in lines {
            match line.name() {
                Some("ice-ufrag") => line.value = format!("ice-ufrag:{ufrag}"),
                Some("ice-pwd") => line.value = format!("ice-pwd:{pwd}"),
                _ => (),
            }
        }
    }

    /// The ICE user name fragment of the first section.
    pub fn ice_ufrag(&self) -> Option<&str> {
        self.sections
            .first()
            .and_then(|section| section.attribute("ice-ufrag"))
            .or_else(|| self.attribute("ice-ufrag"))
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.session {
            write!(f, "{line}\r\n")?;
        }
        for section in &self.sections {
            write!(f, "{section}")?;
        }
        Ok(())
    }
}

/// What a media section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// Data channels.
    Application,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
}

impl SectionKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// A media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it carries.
    pub kind: SectionKind,
    /// The port; 0 rejects the section, or bundles it with another one.
    pub port: u16,
    /// Transport protocol.
    pub proto: String,
    /// Payload types, or the data channel format.
    pub formats: Vec<String>,
    /// All lines but `m=`.
    pub lines: Vec<Line>,
}

impl Section {
    fn parse(value: &str) -> Result<Self, &'static str> {
        let mut words = value.split(' ');
        let kind = match words.next() {
            Some("application") => SectionKind::Application,
            Some("audio") => SectionKind::Audio,
            Some("video") => SectionKind::Video,
            _ => return Err("m= is neither audio, video nor application"),
        };
        let port = words
            .next()
            .and_then(|port| port.parse().ok())
            .ok_or("m= has no port")?;
        let proto = words.next().ok_or("m= has no protocol")?.to_owned();
        let formats: Vec<_> = words.map(str::to_owned).collect();
        if formats.is_empty() || formats.len() > MAX_FORMATS {
            return Err("m= has no formats, or too many");
        }
        if formats.iter().any(|format| !is_token(format)) {
            return Err("m= has a malformed format");
        }
        Ok(Self {
            kind,
            port,
            proto,
            formats,
            lines: Vec::new(),
        })
    }

    /// Value of the first attribute `name`; empty for an attribute without value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        attributes(&self.lines, name).next()
    }

    /// Values of all attributes `name`.
    pub fn attributes<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        attributes(&self.lines, name)
    }

    /// The section's name.
    pub fn mid(&self) -> Option<&str> {
        self.attribute("mid")
    }

    /// Which way media flows, as its writer sees it; `sendrecv` when nothing is said.
    pub fn direction(&self) -> Direction {
        self.lines
            .iter()
            .filter(|line| line.key == 'a')
            .find_map(|line| Direction::parse(&line.value))
            .unwrap_or(Direction::SendRecv)
    }

    /// Replaces the direction.
    pub fn set_direction(&mut self, direction: Direction) {
        let is_direction = |line: &Line| line.key == 'a' && Direction::parse(&line.value).is_some();
        match self.lines.iter().position(is_direction) {
            Some(first) => {
                self.lines.retain(|line| !is_direction(line));
                self.lines.insert(
                    first.min(self.lines.len()),
                    Line::attribute(direction.as_str()),
                );
            }
            None => self.lines.push(Line::attribute(direction.as_str())),
        }
    }

    /// Removes all attributes `name`.
    pub fn remove_attributes(&mut self, name: &str) {
        self.lines.retain(|line| line.name() != Some(name));
    }

    /// Name, such as `VP8/90000`, of a payload type.
    pub fn rtpmap(&self, format: &str) -> Option<&str> {
        self.attributes("rtpmap")
            .find_map(|value| value_of(value, format))
    }

    /// Parameters of a payload type.
    pub fn fmtp(&self, format: &str) -> Option<&str> {
        self.attributes("fmtp")
            .find_map(|value| value_of(value, format))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind.as_str(), self.port, self.proto)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        for line in &self.lines {
            write!(f, "{line}\r\n")?;
        }
        Ok(())
    }
}

/// Which way media flows, as the writer of the description sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Not at all.
    Inactive,
    /// Towards the writer.
    RecvOnly,
    /// From the writer.
    SendOnly,
    /// Both ways.
    SendRecv,
}

impl Direction {
    /// Reads the name of the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "inactive" => Some(Self::Inactive),
            "recvonly" => Some(Self::RecvOnly),
            "sendonly" => Some(Self::SendOnly),
            "sendrecv" => Some(Self::SendRecv),
            _ => None,
        }
    }

    /// Name of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::RecvOnly => "recvonly",
            Self::SendOnly => "sendonly",
            Self::SendRecv => "sendrecv",
        }
    }
}

/// One line: `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The letter before `=`.
    pub key: char,
    /// What follows.
    pub value: String,
}

impl Line {
    /// An `a=` line.
    pub fn attribute(value: impl Into<String>) -> Self {
        Self {
            key: 'a',
            value: value.into(),
        }
    }

    fn parse(raw: &str) -> Result<Self, &'static str> {
        if raw.len() > MAX_LINE {
            return Err("too long");
        }
        let mut chars = raw.chars();
        let key = chars
            .next()
            .filter(char::is_ascii_lowercase)
            .ok_or("begins with no letter")?;
        if chars.next() != Some('=') {
            return Err("has no = after its letter");
        }
        let value = chars.as_str();
        if value.chars().any(char::is_control) {
            return Err("has control characters");
        }
        Ok(Self {
            key,
            value: value.to_owned(),
        })
    }

    /// Name of the attribute, if the line is one.
    pub fn name(&self) -> Option<&str> {
        (self.key == 'a').then(|| {
            self.value
                .split_once(':')
                .map_or(self.value.as_str(), |(name, _)| name)
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

fn attributes<'a, 'n>(
    lines: &'a [Line],
    name: &'n str,
) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
    lines
        .iter()
        .filter(move |line| line.name() == Some(name))
        .map(|line| line.value.split_once(':').map_or("", |(_, value)| value))
}

/// `rest` of "`word` `rest`".
pub(super) fn value_of<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_once(' ')
        .filter(|(first, _)| *first == word)
        .map(|(_, rest)| rest)
}

/// A short name without separators (RFC 8866 token).
pub(super) fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`{|}~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\n";

    #[test]
    fn what_is_read_is_written_again() {
        let description = Description::parse(SMALL).expect("well-formed");
        assert_eq!(description.to_string(), SMALL);
        assert_eq!(description.sections[0].rtpmap("111"), Some("opus/48000/2"));
        assert_eq!(description.sections[0].mid(), Some("0"));
    }

    #[test]
    fn a_direction_is_replaced_in_place() {
        let mut description = Description::parse(SMALL).expect("well-formed");
        description.sections[0].set_direction(Direction::Inactive);
        assert_eq!(
            description.to_string(),
            SMALL.replace("sendonly", "inactive")
        );
        assert_eq!(description.sections[0].direction(), Direction::Inactive);
    }

    #[test]
    fn what_is_no_description_is_named() {
        let line = |line, what| SdpRefused::Line { line, what };
        let table = [
            (String::new(), line(1, "a description begins with v=0")),
            ("hello".into(), line(1, "has no = after its letter")),
            ("v=1\r\n".into(), line(1, "a description begins with v=0")),
            ("v=0\r\nm=audio\r\n".into(), line(2, "m= has no port")),
            (
                "v=0\r\nm=audio 70000 x 1\r\n".into(),
                line(2, "m= has no port"),
            ),
            (
                "v=0\r\nm=text 9 x 1\r\n".into(),
                line(2, "m= is neither audio, video nor application"),
            ),
            (
                "v=0\r\nm=audio 9 x\r\n".into(),
                line(2, "m= has no formats, or too many"),
            ),
            (
                "v=0\r\na=mid:\u{1}\r\n".into(),
                line(2, "has control characters"),
            ),
            (
                format!("v=0\r\na={}\r\n", "x".repeat(5000)),
                line(2, "too long"),
            ),
            (
                "v=0\n".to_owned() + &"m=audio 9 x 1\n".repeat(600),
                SdpRefused::TooLarge {
                    what: "the number of media sections",
                    limit: 512,
                },
            ),
            (
                "v=0\n".to_owned() + &"a=x\n".repeat(600),
                SdpRefused::TooLarge {
                    what: "the number of lines in one section",
                    limit: 512,
                },
            ),
            (
                "v=0\n".to_owned() + &"a=x\n".repeat(1 << 20),
                SdpRefused::TooLarge {
                    what: "the length in bytes",
                    limit: 1 << 20,
                },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Description::parse(&text), Err(expected));
        }
    }
}
