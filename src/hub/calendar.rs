// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invitations to scheduled meetings: as text for people, and for their calendars (iCalendar, RFC 5545).
//!
//! They have the address of the meeting without the part after `#`, which the hub never sees: the organiser's browser
//! puts that in, wherever the address stands. So the address is never broken over two lines.

/// What there is to say of a meeting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) title: &'a str,
    /// The link, without what is secret.
    pub(crate) address: &'a str,
    /// Names the meeting among all others.
    pub(crate) uid: &'a str,
    /// Seconds since 1970, as are the others.
    pub(crate) made: i64,
    pub(crate) starts: i64,
    pub(crate) ends: i64,
}

/// The longest line, in bytes (RFC 5545 §3.1).
const LONGEST_LINE: usize = 75;

impl Event<'_> {
    /// For a mail.
    pub(crate) fn text(&self) -> String {
        let (starts, ends) = (Moment::of(self.starts), Moment::of(self.ends));
        let until = if starts.date() == ends.date() {
            ends.time()
        } else {
            format!("{} {}", ends.date(), ends.time())
        };
        format!(
            "{}\n{} {} to {until} (UTC)\n\nJoin with a browser:\n{}\n",
            self.title,
            starts.date(),
            starts.time(),
            self.address
        )
    }

    /// For a calendar.
    pub(crate) fn icalendar(&self) -> String {
        let mut lines: Vec<String> = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Roomseal//hub//EN",
            "METHOD:PUBLISH",
            "BEGIN:VEVENT",
        ]
        .map(str::to_owned)
        .to_vec();
        lines.push(format!("UID:{}", escaped(self.uid)));
        lines.push(format!("DTSTAMP:{}", Moment::of(self.made).compact()));
        lines.push(format!("DTSTART:{}", Moment::of(self.starts).compact()));
        lines.push(format!("DTEND:{}", Moment::of(self.ends).compact()));
        lines.push(format!("SUMMARY:{}", escaped(self.title)));
        let mut text: String = lines.iter().map(|line| folded(line)).collect();
        // Not folded, see above; the specification only recommends it.
        text += &format!("URL:{}\r\n", self.address);
        text += &format!("DESCRIPTION:{}\r\n", self.address);
        text += "END:VEVENT\r\nEND:VCALENDAR\r\n";
        text
    }
}

/// A text as RFC 5545 §3.3.11 writes it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A line with its end, over several if it is too long for one.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut used = 0;
    for c in line.chars() {
        if used + c.len_utf8() > LONGEST_LINE {
            out.push_str("\r\n ");
            used = 1;
        }
        out.push(c);
        used += c.len_utf8();
    }
    out.push_str("\r\n");
    out
}

/// A second of UTC.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    second: i64,
}

impl Moment {
    /// `at`: seconds since 1970.
    fn of(at: i64) -> Self {
        let (days, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
        // Years that begin in March, so that the day that may be missing is the last: eras of 400 years, from 0000-03-01.
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let (day, month) = (
            day - (153 * month + 2) / 5 + 1,
            if month < 10 { month + 3 } else { month - 9 },
        );
        Self {
            year: era * 400 + year + i64::from(month <= 2),
            month,
            day,
            second,
        }
    }

    fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    fn time(&self) -> String {
        format!("{:02}:{:02}", self.second / 3600, self.second / 60 % 60)
    }

    fn compact(&self) -> String {
        format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            self.year,
            self.month,
            self.day,
            self.second / 3600,
            self.second / 60 % 60,
            self.second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (at, compact) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_800_000_000, "20270115T080000Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_709_251_200, "20240301T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(Moment::of(at).compact(), compact);
        }
    }

    #[test]
    fn a_calendar_gets_lines_that_it_can_read_and_the_address_in_one_piece() {
        let address = format!("https://meet.example.org/j/{}", "r".repeat(64));
        let event = Event {
            title: &format!("Plans, {}; done\\", "ä".repeat(60)),
            address: &address,
            uid: "room@meet.example.org",
            made: 1_800_000_000,
            starts: 1_800_003_600,
            ends: 1_800_007_200,
        };
        let text = event.icalendar();
        for line in text.split_terminator("\r\n") {
            let is_link = line.starts_with("URL:") || line.starts_with("DESCRIPTION:");
            assert!(is_link || line.len() <= LONGEST_LINE, "{line}");
        }
        assert_eq!(text.matches(&address).count(), 2);
        let unfolded = text.replace("\r\n ", "");
        assert!(unfolded.contains("\r\nSUMMARY:Plans\\, ää"), "{unfolded}");
        assert!(unfolded.contains("ää\\; done\\\\\r\n"), "{unfolded}");
        assert!(text.contains("\r\nDTSTART:20270115T090000Z\r\nDTEND:20270115T100000Z\r\n"));
        let text = event.text();
        assert!(text.contains("2027-01-15 09:00 to 10:00 (UTC)"), "{text}");
        assert!(text.ends_with(&format!("\n{address}\n")), "{text}");
    }
}
