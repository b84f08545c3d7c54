// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the box is booked for, as its hub says. The links that lead there are in no view.

use gst::glib::DateTime;
use serde::{Deserialize, Serialize};

/// The hub that this box can be booked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Enrolled {
    /// Host, and port if it needs one.
    pub hub: String,
    /// What the box is called there.
    pub name: String,
    /// The box's key in words, which who books it for the first time compares.
    pub words: String,
    /// It is asked without TLS over the network.
    pub insecure_lan: bool,
}

/// A meeting that the box is booked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Booked {
    /// Its room.
    pub room: String,
    /// What it is called.
    pub title: String,
    /// Seconds since 1970.
    pub starts: i64,
    /// Seconds since 1970.
    pub ends: i64,
    /// Who booked.
    pub organiser: String,
    /// The hub that says all of this.
    pub hub: String,
    /// Whether it is end-to-end encrypted, by its link.
    pub e2ee: bool,
    /// Whether guests wait until a host lets them in.
    pub waiting_room: bool,
}

impl Booked {
    /// From when to when, as people here read it; the day too where it is not that of `now` (seconds since 1970).
    pub fn when(&self, now: i64) -> String {
        let told = |seconds: i64, format: &str| {
            let at = DateTime::from_unix_local(seconds).and_then(|at| at.format(format));
            at.map(|text| text.to_string()).unwrap_or_default()
        };
        let day = |seconds| told(seconds, "%F");
        let starts = match day(self.starts) == day(now) {
            true => told(self.starts, "%H:%M"),
            false => told(self.starts, "%a %e %b %H:%M"),
        };
        let ends = match day(self.starts) == day(self.ends) {
            true => told(self.ends, "%H:%M"),
            false => told(self.ends, "%a %e %b %H:%M"),
        };
        format!("{starts} to {ends}")
    }

    /// Whose invitation it is: nobody but the hub says that.
    pub fn by(&self) -> String {
        format!("by {}, as {} says", self.organiser, self.hub)
    }

    /// Whether media is sealed, in words.
    pub fn sealing(&self) -> &'static str {
        match self.e2ee {
            true => "encrypted",
            false => "NOT ENCRYPTED at first",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(starts: i64, ends: i64) -> Booked {
        Booked {
            room: "budget".to_owned(),
            title: "Budget".to_owned(),
            starts,
            ends,
            organiser: "Ada".to_owned(),
            hub: "meet.example.org".to_owned(),
            e2ee: true,
            waiting_room: false,
        }
    }

    #[test]
    fn the_day_is_said_where_it_is_another() {
        const DAY: i64 = 24 * 3600;
        let noon = 1_800_014_400;
        let hour = booked(noon, noon + 3600);
        let today = hour.when(noon - 60);
        assert_eq!(today.len(), "12:00 to 13:00".len(), "{today}");
        let tomorrow = hour.when(noon - DAY);
        assert!(
            tomorrow.ends_with(&today) && tomorrow.len() > today.len(),
            "{tomorrow}"
        );
        let long = booked(noon, noon + DAY).when(noon);
        assert!(long.len() > today.len(), "{long}");
        assert_eq!(hour.by(), "by Ada, as meet.example.org says");
    }
}
