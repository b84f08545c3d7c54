// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Roomseal meeting of a box and guests, with a hand at the box's button and a clock in the other.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use roomseal_appliance::status::{Status, moment};

use crate::appliance::{Appliance, Start};
use crate::livekit::Server;
use crate::places;

/// What anything takes at most on a busy machine, the start of the members included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever follows later than this, in milliseconds, is named.
const SLOW: u64 = 500;

/// From the key going down to the signature that turns encryption off: two seconds of holding, three of countdown.
pub const HELD: Duration = Duration::from_secs(5);

/// The links of a meeting.
#[derive(Debug)]
pub struct Links {
    /// Of each host, in the order of `hosts`.
    pub hosts: Vec<PathBuf>,
    /// Of guests.
    pub guest: PathBuf,
}

impl Links {
    /// Makes a meeting with these hosts; its links are written into `folder`, which must not have any.
    pub fn make(folder: &Path, room: &str, hosts: &[&str], more: &[&str]) -> Self {
        let mut command = Command::new(places::built("roomseal"));
        command
            .args(["new-meeting", "--room", room, "--into"])
            .arg(folder)
            .args(["--origin", "https://meet.example.org"])
            .args(more);
        for host in hosts {
            command.args(["--host", host]);
        }
        let made = command.output().expect("the box can be started");
        assert!(made.status.success(), "{made:?}");
        let said = String::from_utf8_lossy(&made.stdout);
        assert!(!said.contains("#k="), "a secret was printed: {said}");
        let host = |number| match number {
            0 => folder.join("host.link"),
            more => folder.join(format!("host-{}.link", more + 1)),
        };
        Self {
            hosts: (0..hosts.len().max(1)).map(host).collect(),
            guest: folder.join("guest.link"),
        }
    }

    /// Somebody who comes by `link`.
    pub fn member<'a>(command: &'a str, identity: &'a str, link: &Path) -> Start<'a> {
        let link = link.to_str().expect("temporary paths are text");
        Start::new(command, identity)
            .without_key()
            .with(["--link-file", link])
    }
}

/// The button of a simulated panel.
#[derive(Clone, Debug)]
pub struct Button(PathBuf);

impl Button {
    /// That of the panel in `folder`.
    pub fn of(panel: &Path) -> Self {
        Self(panel.join("button"))
    }

    /// The mute button of the panel in `folder`.
    pub fn mute(panel: &Path) -> Self {
        Self(panel.join("mute-button"))
    }

    /// Something presses it and stays.
    pub fn jam(&self) {
        self.say("down");
    }

    /// Lets it go.
    pub fn free(&self) {
        self.say("up");
    }

    /// Presses and lets go; gives when the edge was.
    pub fn press(&self) -> Instant {
        self.say("press")
    }

    /// Holds until it was told as held; gives when the key went down.
    pub fn hold(&self) -> Instant {
        self.say("hold")
    }

    fn say(&self, word: &str) -> Instant {
        let mut key = fs::OpenOptions::new()
            .append(true)
            .open(&self.0)
            .expect("the box watches its button");
        let at = Instant::now();
        writeln!(key, "{word}").expect("a pipe takes a word");
        at
    }
}

/// A board like the simulated one that sends 320 x 180 at 10 pictures a second, in VP8: so two cores carry eight of them.
pub fn small_board(folder: &Path) -> PathBuf {
    let simulated = fs::read_to_string(places::root().join("board/sim/board.toml"))
        .expect("the simulated board is part of the checkout");
    let lines = simulated.lines().map(|line| {
        let key = line.split(" = ").next().unwrap_or_default();
        match key {
            "id" => "id = \"small\"",
            "encoders" => "encoders = [\"vp8enc\"]",
            "width" => "width = 320",
            "height" => "height = 180",
            "framerate" => "framerate = 10",
            "bitrate-kbps" => "bitrate-kbps = 150",
            _ => line,
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let board = folder.join("small");
    fs::create_dir_all(&board).expect("a folder can be made");
    fs::write(board.join("board.toml"), text).expect("a board can be written");
    board
}

/// A box and guests in one meeting, all of them sending.
#[derive(Debug)]
pub struct Together {
    /// The box first.
    pub members: Vec<Appliance>,
    /// The box's button.
    pub button: Button,
}

/// How long a switch took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Until the last member followed the new policy, by the members' own word.
    pub known: Duration,
    /// Until the last member's shield and all its tracks showed it.
    pub shown: Duration,
}

const NAMES: [&str; 8] = [
    "box", "anna", "bela", "cora", "dora", "emil", "fritz", "gerda",
];

impl Together {
    /// Starts a box as host and `count - 1` guests in `room`, and waits until everybody sees everybody sealed.
    pub fn meet(server: &Server, folder: &Path, room: &str, count: usize) -> Self {
        let links = Links::make(&folder.join("links"), room, &[], &[]);
        let board = small_board(folder);
        let panel = folder.join("panel");
        let members: Vec<Appliance> = NAMES[..count]
            .iter()
            .enumerate()
            .map(|(number, name)| {
                let member = match number {
                    0 => Links::member("run", name, &links.hosts[0])
                        .with(["--panel-dir", panel.to_str().expect("paths are text")])
                        .with(["--panel-page", "none"]),
                    _ => Links::member("guest", name, &links.guest),
                };
                member
                    .board(&board)
                    .with(["--camera", "test", "--microphone", "test"])
                    .join(server, room)
            })
            .collect();
        let together = Self {
            members,
            button: Button::of(&panel),
        };
        together.shown(Instant::now(), "sealed", "verified");
        together
    }

    /// Presses while it is off.
    pub fn turn_on(&self) -> Took {
        let pressed = self.button.press();
        self.took(pressed, "on", ("sealed", "verified"))
    }

    /// Holds while it is on; the time counts from the end of the countdown.
    pub fn turn_off(&self) -> Took {
        let pressed = self.button.hold();
        self.took(pressed + HELD, "off", ("open", "clear"))
    }

    fn took(&self, from: Instant, e2ee: &str, (state, tracks): (&str, &str)) -> Took {
        let known = self
            .members
            .iter()
            .map(|member| {
                let since = member.follows(from, e2ee).saturating_sub(moment(from));
                if since > SLOW {
                    println!("{} followed {e2ee} after {since} ms", member.identity());
                }
                since
            })
            .max()
            .expect("there are members");
        let shown = self.shown(from, state, tracks);
        Took {
            known: Duration::from_millis(known),
            shown: shown.saturating_duration_since(from),
        }
    }

    /// When the last member showed `state`, and every track of everybody else as `tracks`.
    fn shown(&self, since: Instant, state: &str, tracks: &str) -> Instant {
        let others = self.members.len() - 1;
        let is_shown = |status: &Status| {
            let mut seen = status.participants.iter().flat_map(|p| &p.tracks);
            status.shield.state == state
                && status.participants.len() == others
                && seen.clone().count() == 2 * others
                && seen.all(|track| track.verification == tracks)
        };
        let what = format!("{state} with every track {tracks}");
        let times = self.members.iter().map(|member| {
            let found = |status: &Status| is_shown(status).then_some(());
            member.moment_since(since, &what, PATIENCE, found).0
        });
        times.max().expect("there are members")
    }

    /// Ends everybody as Ctrl-C does.
    pub fn part(mut self) {
        // Guests first: a box that sees everybody leave is another thing.
        for member in self.members.iter_mut().rev() {
            assert!(member.interrupt_cleanly(), "{}", member.identity());
        }
    }
}

impl Appliance {
    /// Waits until it follows a policy that says `e2ee`, by what it said after `since`; gives the moment of the switch.
    pub fn follows(&self, since: Instant, e2ee: &str) -> u64 {
        let what = format!("policy that says {e2ee}");
        self.wait_since(since, &what, PATIENCE, |status| {
            let policy = status.policy.as_ref()?;
            (policy.e2ee == e2ee).then_some(policy.since)
        })
    }
}

/// The value that `percent` of the values do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// What a row of switches took, in a line for people.
pub fn summary(what: &str, took: &[Took]) -> String {
    let [known, shown]: [Vec<Duration>; 2] = [
        took.iter().map(|took| took.known).collect(),
        took.iter().map(|took| took.shown).collect(),
    ];
    let ms = |values: &[Duration], percent| percentile(values, percent).as_millis();
    format!(
        "{what}, {} presses: policy known to all in {} ms (p95 {}), last member shows it in {} ms (p95 {}, longest {})",
        took.len(),
        ms(&known, 50),
        ms(&known, 95),
        ms(&shown, 50),
        ms(&shown, 95),
        ms(&shown, 100),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let values: Vec<Duration> = (1..=30).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(15));
        assert_eq!(percentile(&values, 95), Duration::from_millis(29));
        assert_eq!(percentile(&values, 100), Duration::from_millis(30));
        assert_eq!(percentile(&values[..1], 50), Duration::from_millis(30));
    }
}
