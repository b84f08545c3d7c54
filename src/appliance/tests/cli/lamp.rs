// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal lamp` as a process: what it shows on the simulated lines, and when they are dark.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use roomseal_appliance::lamp::Renewals;
use roomseal_meeting::Shield;
use roomseal_panel::drive::clock;
use roomseal_panel::lamp::{RENEW_EVERY, Renewal};
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use rustix::process::Signal;

use crate::program::{Place, Running};

/// Far more than anything here takes; a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is promised: 1.5 s after the last renewal, and a little for the machine.
const DARK_WITHIN: Duration = Duration::from_secs(2);

/// A lamp process on a simulated panel.
struct Lamp {
    place: Place,
    process: Running,
}

impl Lamp {
    fn start() -> Self {
        Self::on("sim", Place::new())
    }

    fn on(board: &str, place: Place) -> Self {
        let process = Running(command(&place, &lamp_arguments(board)).spawn().unwrap());
        until("the lamp listens", PATIENCE, || {
            place.path().join("lamp.sock").exists()
        });
        Self { place, process }
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("lamp.sock")
    }

    /// Renews until the lamp shows it; says when the last renewal was.
    fn renew(&self, renewals: &mut Renewals, shield: Shield, shows: [u32; 3]) -> Instant {
        let mut last = Instant::now();
        until("the lamp shows it", PATIENCE, || {
            last = Instant::now();
            renewals.renew(shield, false, clock::boot());
            lit(self.place.path()) == shows
        });
        last
    }

    fn raw(&self) -> OwnedFd {
        let flags = SocketFlags::CLOEXEC;
        let kind = SocketType::SEQPACKET;
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(self.socket()).unwrap()).unwrap();
        socket
    }
}

const GREEN: [u32; 3] = [0, 100, 0];
const DARK: [u32; 3] = [0, 0, 0];

fn lamp_arguments(board: &str) -> Vec<&str> {
    vec![
        "lamp",
        "--board",
        board,
        "--board-dir",
        "boards",
        "--socket",
        "lamp.sock",
        "--panel-dir",
        "panel",
    ]
}

pub(crate) fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomseal"));
    command
        .args(arguments)
        .current_dir(place.path())
        .env_clear()
        // One look at all plugins is enough for all boxes of these tests.
        .env(
            "GST_REGISTRY",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/lamp-registry.bin"),
        )
        .stdin(Stdio::null());
    command
}

/// What the simulated LED of this name shows, in percent.
pub(crate) fn percent(place: &Path, name: &str) -> u32 {
    let text = std::fs::read_to_string(place.join("panel").join(name));
    text.map_or(0, |text| text.trim().parse().unwrap())
}

fn lit(place: &Path) -> [u32; 3] {
    ["lamp-red", "lamp-green", "lamp-blue"].map(|name| percent(place, name))
}

/// Looks every few milliseconds; panics after `limit`.
pub(crate) fn until(what: &str, limit: Duration, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_lamp_shows_what_is_renewed_and_goes_dark_when_nobody_renews() {
    let lamp = Lamp::start();
    assert_eq!(lit(lamp.place.path()), DARK, "dark at the start");
    let mut renewals = Renewals::new(lamp.socket());
    let last = lamp.renew(&mut renewals, Shield::Sealed, GREEN);
    until("dark", PATIENCE, || lit(lamp.place.path()) == DARK);
    // The last renewal that was really sent may be one interval older.
    let burnt = last.elapsed();
    assert!(burnt <= DARK_WITHIN, "{burnt:?}");
    assert!(
        burnt + RENEW_EVERY >= Duration::from_millis(1500),
        "{burnt:?}"
    );
    assert_eq!(renewals.trouble(), None);
    lamp.renew(&mut renewals, Shield::Sealed, GREEN);
}

#[test]
fn a_box_that_closes_the_connection_leaves_no_light() {
    let lamp = Lamp::start();
    let mut renewals = Renewals::new(lamp.socket());
    let last = lamp.renew(&mut renewals, Shield::Sealed, GREEN);
    drop(renewals);
    until("dark", PATIENCE, || lit(lamp.place.path()) == DARK);
    assert!(last.elapsed() < DARK_WITHIN);
}

#[test]
fn garbage_lights_nothing_and_keeps_nothing_alight() {
    let lamp = Lamp::start();
    let sealed = |made: Duration| {
        let renewal = Renewal {
            shield: Shield::Sealed,
            muted: false,
            made,
        };
        renewal.to_bytes()
    };
    // Says when the last good one was sent.
    let green = |socket: &OwnedFd| {
        let mut last = Instant::now();
        until("green", PATIENCE, || {
            last = Instant::now();
            send(socket, &sealed(clock::boot()), SendFlags::NOSIGNAL).unwrap();
            lit(lamp.place.path()) == GREEN
        });
        last
    };
    let mut wrong_magic = sealed(clock::boot());
    wrong_magic[0] = b'X';
    let future = sealed(clock::boot() + Duration::from_secs(3600));
    let old = sealed(Duration::ZERO);
    let mut longer = sealed(clock::boot()).to_vec();
    longer.push(0);
    for garbage in [&b"G"[..], &wrong_magic, &longer, &[0xff; 4096]] {
        let socket = lamp.raw();
        green(&socket);
        send(&socket, garbage, SendFlags::NOSIGNAL).unwrap();
        let sent = Instant::now();
        until("dark", PATIENCE, || lit(lamp.place.path()) == DARK);
        assert!(sent.elapsed() < DARK_WITHIN);
    }
    // Verdicts that are well written and of no time that counts: in a flood, for as long as it takes.
    let socket = lamp.raw();
    let sent = green(&socket);
    until("dark", PATIENCE, || {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let _ = send(&socket, &old, flags);
        let _ = send(&socket, &future, flags);
        lit(lamp.place.path()) == DARK
    });
    assert!(sent.elapsed() < DARK_WITHIN, "{:?}", sent.elapsed());
}

#[test]
fn a_lamp_that_is_asked_to_stop_goes_dark_and_ends_well() {
    let mut lamp = Lamp::start();
    let mut renewals = Renewals::new(lamp.socket());
    lamp.renew(&mut renewals, Shield::Sealed, GREEN);
    lamp.process.signal(Signal::TERM);
    assert!(lamp.process.0.wait().unwrap().success());
    assert_eq!(lit(lamp.place.path()), DARK);
    assert!(!lamp.socket().exists());
    until("the box notices", PATIENCE, || {
        renewals.renew(Shield::Sealed, false, clock::boot());
        renewals
            .trouble()
            .is_some_and(|text| text.contains("no lamp"))
    });
}

#[test]
fn what_a_killed_lamp_left_alight_is_darkened_by_off() {
    let mut lamp = Lamp::start();
    let mut renewals = Renewals::new(lamp.socket());
    lamp.renew(&mut renewals, Shield::Sealed, GREEN);
    lamp.process.signal(Signal::KILL);
    lamp.process.0.wait().unwrap();
    assert_eq!(lit(lamp.place.path()), GREEN, "lines keep their level");
    let mut off = lamp_arguments("sim");
    off.push("--off");
    assert!(command(&lamp.place, &off).status().unwrap().success());
    assert_eq!(lit(lamp.place.path()), DARK);
    // The socket that it left is taken over.
    let place = std::mem::replace(&mut lamp.place, Place::new());
    let again = Running(command(&place, &lamp_arguments("sim")).spawn().unwrap());
    let renewed = Lamp {
        place,
        process: again,
    };
    renewed.renew(&mut renewals, Shield::Sealed, GREEN);
}

#[test]
fn a_second_box_does_not_take_the_lamp_from_one_that_renews_it() {
    let lamp = Lamp::start();
    let mut first = Renewals::new(lamp.socket());
    let mut second = Renewals::new(lamp.socket());
    lamp.renew(&mut first, Shield::UnsealedPeer, [100, 32, 0]);
    until("the second is told", PATIENCE, || {
        first.renew(Shield::UnsealedPeer, false, clock::boot());
        second.renew(Shield::Sealed, false, clock::boot());
        assert_ne!(lit(lamp.place.path()), GREEN);
        second
            .trouble()
            .is_some_and(|text| text.contains("another box"))
    });
    // One that hangs has lost it.
    lamp.renew(&mut second, Shield::Sealed, GREEN);
}

#[test]
fn a_line_that_cannot_be_had_is_named_to_the_box() {
    let place = Place::new();
    board(&place, "rpi", "chip = \"gpiochip77\", line = 17");
    let lamp = Lamp::on("rpi", place);
    let mut renewals = Renewals::new(lamp.socket());
    let mut told = String::new();
    until("the box is told", PATIENCE, || {
        renewals.renew(Shield::Sealed, false, clock::boot());
        told = renewals.trouble().unwrap_or_default().to_owned();
        told.contains("gpiochip77")
    });
    assert!(told.starts_with("this box has no lamp: "), "{told}");
}

#[test]
fn a_board_without_a_lamp_needs_no_lamp_process() {
    let place = Place::new();
    board(&place, "bare", "");
    let ran = place.roomseal(&lamp_arguments("bare"), b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("this board has no lamp"), "{ran:?}");
}

/// A board like the simulated one, with one LED on `line`; none if that is empty.
fn board(place: &Place, id: &str, line: &str) {
    let sim = include_str!("../../../../board/sim/board.toml");
    let (media, _) = sim.split_once("# The button that turns").unwrap();
    let mut text = media.replace("id = \"sim\"", &format!("id = \"{id}\""));
    if !line.is_empty() {
        text += "[lamp]\nkind = \"single\"\nlight = { ";
        text += line;
        text += ", active = \"high\" }\n";
    }
    let folder = place.path().join("boards").join(id);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("board.toml"), text).unwrap();
}

/// How a box is started that never gets into its meeting.
pub(crate) fn run_arguments<'a>(place: &Place, more: &[&'a str]) -> Vec<&'a str> {
    place.secret("api-secret", "a secret of at least 32 characters");
    place.secret("passphrase", "correct horse battery staple");
    let mut arguments = vec![
        "run",
        "--url",
        "ws://127.0.0.1:9",
        "--camera",
        "none",
        "--room",
        "lobby",
        "--api-key",
        "k",
        "--api-secret-file",
        "api-secret",
        "--passphrase-file",
        "passphrase",
        "--status-socket",
        "status.sock",
        "--lamp-socket",
        "lamp.sock",
        "--panel-dir",
        "panel",
    ];
    arguments.extend(more);
    arguments
}

/// A box that never gets into its meeting: it says so in white.
fn the_box(place: &Place, more: &[&str]) -> Running {
    let mut command = command(place, &run_arguments(place, more));
    Running(command.stdout(Stdio::null()).spawn().unwrap())
}

pub(crate) fn white(place: &Path) -> bool {
    let [red, green, blue] = lit(place);
    red > 0 && green > 0 && blue > 0
}

#[test]
fn a_box_that_is_stopped_or_killed_leaves_no_light() {
    let lamp = Lamp::start();
    let place = lamp.place.path();
    let mut the_box = the_box(&lamp.place, &["--microphone", "none"]);
    until("the box lights the lamp", PATIENCE, || white(place));
    the_box.signal(Signal::STOP);
    let stopped = Instant::now();
    until("dark", PATIENCE, || lit(place) == DARK);
    let burnt = stopped.elapsed();
    assert!(burnt <= DARK_WITHIN, "{burnt:?}");
    the_box.signal(Signal::CONT);
    until("the box lights it again", PATIENCE, || white(place));
    the_box.signal(Signal::KILL);
    let killed = Instant::now();
    until("dark", PATIENCE, || lit(place) == DARK);
    let burnt = killed.elapsed();
    assert!(burnt <= DARK_WITHIN, "{burnt:?}");
    the_box.0.wait().unwrap();
}

#[test]
fn a_lamp_that_the_box_started_ends_with_it() {
    let place = Place::new();
    let mut the_box = the_box(&place, &["--microphone", "none", "--with-lamp"]);
    until("the box lights the lamp", PATIENCE, || white(place.path()));
    the_box.signal(Signal::KILL);
    the_box.0.wait().unwrap();
    until("dark", PATIENCE, || lit(place.path()) == DARK);
    until("gone", PATIENCE, || {
        !place.path().join("lamp.sock").exists()
    });
}

#[test]
fn the_mute_button_silences_the_microphone_and_its_lamp_follows() {
    let place = Place::new();
    let _the_box = the_box(&place, &["--microphone", "test", "--with-lamp"]);
    until("the box lights the lamp", PATIENCE, || white(place.path()));
    let press = || {
        let mut pipe = std::fs::OpenOptions::new();
        let pipe = pipe
            .write(true)
            .open(place.path().join("panel/mute-button"));
        pipe.unwrap().write_all(b"press\n").unwrap();
    };
    assert_eq!(percent(place.path(), "mute-lamp"), 0);
    press();
    until("muted", PATIENCE, || {
        percent(place.path(), "mute-lamp") == 100
    });
    assert!(status(&place).contains("microphone muted, at the box"));
    press();
    until("open", PATIENCE, || percent(place.path(), "mute-lamp") == 0);
}

#[test]
fn a_box_whose_lamp_is_missing_says_so_and_meets() {
    let place = Place::new();
    let _the_box = the_box(&place, &["--microphone", "none"]);
    until("the box answers", PATIENCE, || {
        place.path().join("status.sock").exists()
    });
    until("the box misses its lamp", PATIENCE, || {
        status(&place).contains("this box has no lamp: nobody answers on lamp.sock")
    });
}

/// The status as it goes over the wire.
pub(crate) fn status(place: &Place) -> String {
    let mut stream = UnixStream::connect(place.path().join("status.sock")).unwrap();
    stream.write_all(b"{\"ask\":\"status\"}\n").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}
