// SPDX-License-Identifier: MIT OR Apache-2.0
//! The status on a terminal: a table that is redrawn, or a line for every change where nobody watches live.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Participant, RemoteTrack, Status, said, screen};
use crate::supervise::Stop;
use crate::text::{plain, short};

/// Counters move all the time; a table that is redrawn more often cannot be read.
const REDRAW: Duration = Duration::from_millis(500);

/// Lines of chat in the table.
const LINES_OF_CHAT: usize = 5;

/// Shows `status` on standard output until asked to stop: live on a terminal, else a line for every change.
///
/// # Errors
/// When standard output fails, except for a reader that went away.
pub async fn show(mut status: watch::Receiver<Status>, stop: Stop) -> anyhow::Result<()> {
    let mut view = View::new();
    loop {
        let written = view.show(&status.borrow_and_update());
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                stop.asked().await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let drawn = Instant::now();
        tokio::select! {
            () = stop.asked() => return Ok(()),
            changed = status.changed() => if changed.is_err() {
                // Whoever published is gone and will be named as the cause; the view is not it.
                stop.asked().await;
                return Ok(());
            }
        }
        if view.is_live() {
            tokio::select! {
                () = stop.asked() => return Ok(()),
                () = tokio::time::sleep_until(drawn + REDRAW) => {}
            }
        }
    }
}

/// Standard output as a view.
#[derive(Debug)]
pub enum View {
    /// A table drawn over itself.
    Live,
    /// What is new, line by line.
    Lines(Lines),
}

impl View {
    /// Live on a terminal that can be drawn on, lines otherwise.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if io::stdout().is_terminal() && !dumb {
            Self::Live
        } else {
            Self::Lines(Lines::default())
        }
    }

    /// Whether it is drawn over itself.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Shows `status`.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn show(&mut self, status: &Status) -> io::Result<()> {
        match self {
            Self::Live => screen::draw(&table(status)),
            Self::Lines(lines) => {
                let mut out = io::stdout().lock();
                out.write_all(lines.next(status).as_bytes())?;
                out.flush()
            }
        }
    }
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

/// Remembers what was said, to say only what is new.
#[derive(Debug, Default)]
pub struct Lines {
    said: Vec<String>,
}

impl Lines {
    /// The lines to write for `status`.
    pub fn next(&mut self, status: &Status) -> String {
        let facts = facts(status);
        let mut text = String::new();
        for fact in facts.iter().filter(|fact| !self.said.contains(fact)) {
            let _ = writeln!(text, "{fact}");
        }
        for gone in self.said.iter().filter(|fact| !facts.contains(fact)) {
            // A fact that only changed its value was said above under the same subject.
            let subject = subject(gone);
            if !facts.iter().any(|fact| self::subject(fact) == subject) {
                let _ = writeln!(text, "{subject}: gone");
            }
        }
        self.said = facts;
        text
    }
}

/// The whole status as a table of lines at most 100 characters wide.
pub fn table(status: &Status) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  {}  {}",
        short(&status.name, 30),
        plain(&status.version),
        short(&status.board, 20)
    );
    for line in head(status) {
        let _ = writeln!(text, "  {line}");
    }
    for reason in &status.shield.reasons {
        let _ = writeln!(text, "    {}", short(reason, 94));
    }
    if !status.local_tracks.is_empty() {
        let _ = writeln!(text, "sending");
        for track in &status.local_tracks {
            let muted = match (track.muted, track.switched_off) {
                (true, Some(true)) => "  muted, and off at its switch",
                (true, _) => "  muted",
                (false, Some(true)) => "  OFF AT ITS SWITCH",
                (false, _) => "",
            };
            let clear = if track.clear > 0 {
                format!("  CLEAR {}", track.clear)
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "  {:<12} {:<6} {:<16} sealed {:>8}  dropped {:>4}{clear}{muted}",
                short(&track.source, 12),
                short(&track.codec, 6),
                short(&track.format, 16),
                track.sealed,
                track.dropped,
            );
            if !track.encoder.is_empty() {
                let _ = writeln!(text, "               {}", short(&track.encoder, 84));
            }
        }
    }
    if status.participants.is_empty() {
        let _ = writeln!(text, "nobody else is here");
    } else {
        let _ = writeln!(text, "here");
    }
    for participant in &status.participants {
        let _ = writeln!(text, "  {}", who(participant));
        for track in &participant.tracks {
            let _ = writeln!(
                text,
                "    {} {:<12} {}  (opened {}, refused {})",
                mark(track),
                short(&track.source, 12),
                short(&track.text, 52),
                track.opened,
                track.refused
            );
        }
    }
    for trouble in &status.troubles {
        let _ = writeln!(
            text,
            "! {}: {}",
            short(&trouble.about, 20),
            plain(&trouble.text)
        );
    }
    if !status.chat.is_empty() {
        let _ = writeln!(text, "chat");
    }
    let oldest = status.chat.len().saturating_sub(LINES_OF_CHAT);
    for line in &status.chat[oldest..] {
        let mark = if line.sealed { "sealed" } else { "NOT SEALED" };
        let _ = writeln!(
            text,
            "  {} ({mark}{}): {}",
            short(&line.from, 20),
            line.told.as_ref().map_or_else(String::new, |told| format!(
                ", told by {}",
                short(&told.by, 20)
            )),
            short(&line.text, 64)
        );
    }
    text
}

/// The status as sentences without moving numbers, each `subject: fact`. Chat is left out: where nobody watches live,
/// the lines end in a log.
fn facts(status: &Status) -> Vec<String> {
    let mut facts = head(status);
    for track in &status.local_tracks {
        let mut fact = format!("sending {}: {}", plain(&track.source), plain(&track.codec));
        if !track.format.is_empty() {
            let _ = write!(fact, " {}", plain(&track.format));
        }
        if !track.encoder.is_empty() {
            let _ = write!(fact, ", {}", plain(&track.encoder));
        }
        if track.muted {
            fact.push_str(", muted");
        }
        facts.push(fact);
    }
    for participant in &status.participants {
        facts.push(format!("{}: here", who(participant)));
        for track in &participant.tracks {
            facts.push(format!(
                "{} {}: {}",
                who(participant),
                plain(&track.source),
                plain(&track.text)
            ));
        }
    }
    for trouble in &status.troubles {
        facts.push(format!(
            "! {}: {}",
            plain(&trouble.about),
            plain(&trouble.text)
        ));
    }
    facts
}

fn head(status: &Status) -> Vec<String> {
    let room = match status.room.as_str() {
        "" => "no room".to_owned(),
        room => format!("room {}", plain(room)),
    };
    let mut head = vec![format!(
        "{room} on {}: {}",
        plain(&status.service),
        plain(&status.connection.text())
    )];
    let shield = &status.shield;
    head.push(format!(
        "shield: {}. {}",
        plain(&shield.state),
        plain(&shield.text)
    ));
    if let Some(page) = &status.page {
        head.push(format!("page: {}", plain(page)));
    }
    if let Some(page) = &status.network_page {
        head.push(format!("page on the network: {}", plain(&page.address)));
        head.push(format!(
            "its certificate: SHA-256 {}",
            plain(&page.certificate)
        ));
    }
    if let Some(code) = &status.pairing_code {
        head.push(format!(
            "pairing code: {} (a device on the network wants to operate this box)",
            plain(code)
        ));
    }
    if let Some(enrolled) = &status.enrolled {
        head.push(format!(
            "booked at {} as {}; words of its key: {}",
            plain(&enrolled.hub),
            short(&enrolled.name, 40),
            plain(&enrolled.words)
        ));
        if enrolled.insecure_lan {
            head.push("bookings: NOT PROTECTED on the network (insecure-lan)".to_owned());
        }
    }
    let now = seconds_now();
    for booked in &status.booked {
        let waiting = match booked.waiting_room {
            true => ", with a waiting room",
            false => "",
        };
        head.push(format!(
            "invitation to {}: {} \"{}\" {}, {}{waiting}",
            short(&booked.room, 40),
            booked.when(now),
            short(&booked.title, 60),
            plain(&booked.by()),
            booked.sealing(),
        ));
    }
    if !status.press.is_empty() {
        head.push(format!("button: a press will {}", plain(&status.press)));
    }
    if status.insecure_lan {
        head.push("signalling: NOT PROTECTED on the network (insecure-lan)".to_owned());
    }
    if let Some(ask) = &status.asks {
        head.push(format!("key: {}", plain(&ask.text)));
    }
    if !status.key_model.is_empty() {
        head.push(format!("key model: {}", plain(&status.key_model)));
    }
    if let Some(ending) = &status.ending {
        let by = plain(&ending.by);
        head.push(format!(
            "end-to-end encryption: goes off in {} s: {by}",
            ending.seconds
        ));
    }
    match &status.encryption {
        // Said already, with who wants it.
        _ if status.ending.is_some() => {}
        Some(encryption) => head.push(format!("end-to-end encryption: {}", encryption.text())),
        // Its host decides, and has not been heard.
        None if status.hosted => {}
        None if status.e2ee_required => head.push("end-to-end encryption: required".to_owned()),
        None => {
            head.push("end-to-end encryption: NOT REQUIRED, this box sends clear".to_owned());
        }
    }
    // Who has nothing to send need not hear how it would leave.
    if !status.sending.is_empty() && !status.local_tracks.is_empty() {
        head.push(format!("own media: {}", plain(&status.sending)));
    }
    if let Some(directory) = &status.recording {
        head.push(format!("recording: {}", plain(directory)));
    }
    head
}

fn seconds_now() -> i64 {
    i64::try_from(said::seconds(SystemTime::now())).unwrap_or(i64::MAX)
}

fn who(participant: &Participant) -> String {
    let name = if participant.name.is_empty() {
        &participant.identity
    } else {
        &participant.name
    };
    let mut who = short(name, 40);
    if *name != participant.identity {
        let _ = write!(who, " ({})", short(&participant.identity, 24));
    }
    if participant.kind != "person" {
        let _ = write!(who, " [{}]", short(&participant.kind, 12));
    }
    who
}

/// Never colour alone, so a sign in front and words behind.
fn mark(track: &RemoteTrack) -> char {
    match track.verification.as_str() {
        "verified" => '+',
        "waiting" | "silent" | "off" => '.',
        _ => '!',
    }
}

fn subject(fact: &str) -> &str {
    fact.split(": ").next().unwrap_or(fact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Booked, Connection, Enrolled, Trouble};

    fn meeting() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            name: "Box".to_owned(),
            board: "sim".to_owned(),
            service: "127.0.0.1:7880".to_owned(),
            room: "lobby".to_owned(),
            identity: "box".to_owned(),
            connection: Connection::Joined,
            e2ee_required: true,
            participants: vec![Participant {
                identity: "alice".to_owned(),
                name: "Al\x1b[2Jice".to_owned(),
                kind: "person".to_owned(),
                standing: None,
                tracks: vec![RemoteTrack {
                    sid: "TR_1".to_owned(),
                    source: "camera".to_owned(),
                    muted: false,
                    verification: "verified".to_owned(),
                    text: "verified".to_owned(),
                    opened: 12,
                    refused: 0,
                    clear_at: None,
                }],
            }],
            troubles: vec![Trouble {
                about: "camera".to_owned(),
                text: "no device; plug one in".to_owned(),
                fault: false,
            }],
            ..Status::default()
        }
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let table = table(&meeting());
        assert!(!table.contains('\x1b'), "{table:?}");
        let lines = Lines::default().next(&meeting());
        assert!(!lines.contains('\x1b'), "{lines:?}");
        assert!(
            lines.contains("Al\u{fffd}[2Jice (alice) camera: verified"),
            "{lines}"
        );
    }

    #[test]
    fn lines_are_written_once_and_counters_write_none() {
        let mut lines = Lines::default();
        let mut status = meeting();
        assert!(!lines.next(&status).is_empty());
        status.participants[0].tracks[0].opened = 13;
        assert_eq!(lines.next(&status), "");
        status.participants[0].tracks[0].text = "cannot open".to_owned();
        assert_eq!(
            lines.next(&status),
            "Al\u{fffd}[2Jice (alice) camera: cannot open\n"
        );
        status.participants.clear();
        let gone = lines.next(&status);
        assert!(gone.contains("Al\u{fffd}[2Jice (alice): gone\n"), "{gone}");
    }

    #[test]
    fn what_the_box_is_booked_for_is_told_as_the_hubs_word() {
        let mut status = meeting();
        status.enrolled = Some(Enrolled {
            hub: "meet.example.org".to_owned(),
            name: "Board room".to_owned(),
            words: "one two three four five".to_owned(),
            insecure_lan: true,
        });
        status.booked = vec![Booked {
            room: "budget".to_owned(),
            title: "Budget\x1b[2J".to_owned(),
            starts: 100,
            ends: 3700,
            organiser: "Ada".to_owned(),
            hub: "meet.example.org".to_owned(),
            e2ee: true,
            waiting_room: true,
        }];
        status.press = "join \"Budget\"".to_owned();
        for shown in [table(&status), Lines::default().next(&status)] {
            for said in [
                "booked at meet.example.org as Board room",
                "one two three four five",
                "\"Budget\u{fffd}[2J\" by Ada, as meet.example.org says, encrypted, with a waiting room",
                "button: a press will join",
                "bookings: NOT PROTECTED",
            ] {
                assert!(shown.contains(said), "{said} is not in {shown}");
            }
        }
        let mut lines = Lines::default();
        lines.next(&status);
        status.booked.clear();
        let gone = lines.next(&status);
        assert!(gone.contains("invitation to budget: gone"), "{gone}");
    }

    #[test]
    fn what_is_not_protected_is_always_said() {
        let mut status = meeting();
        status.insecure_lan = true;
        status.e2ee_required = false;
        for shown in [table(&status), Lines::default().next(&status)] {
            assert!(shown.contains("NOT PROTECTED"), "{shown}");
            assert!(shown.contains("NOT REQUIRED"), "{shown}");
        }
    }
}
