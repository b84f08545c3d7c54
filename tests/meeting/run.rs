// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make run`, as a person with a terminal and a browser plays it: what each side sees and hears is read back.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use roomseal_appliance::status::Status;
use roomseal_tests::appliance::roomseal;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::code::{self, Picture};
use roomseal_tests::process::Running;
use roomseal_tests::toggle::Button;
use roomseal_tests::{footage, places};

use crate::{SOON, one_at_a_time};

/// What the box hears, and what the browser hears: both lie on Goertzel's raster of 50 Hz.
const BOX: f64 = 450.0;
const PERSON: f64 = 950.0;
/// What Firefox has in place of a microphone.
const FIREFOX: f64 = 1000.0;

/// The page of the meeting, and the page of the box, as windows.
const MEETING: usize = 0;
const PANEL: usize = 1;

/// Waits until `find` gives something.
fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            println!("{what} after {} ms", began.elapsed().as_millis());
            return found;
        }
        assert!(began.elapsed() < SOON, "no {what}");
        // Pictures and sound in files have no event for that.
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn shows(file: &Path, text: &str) -> bool {
    let picture = Picture::read(file);
    picture.is_some_and(|picture| picture.codes().iter().any(|code| code == text))
}

/// The picture of somebody else on the page.
fn person_sees(browser: &mut Browser, text: &str) {
    until(&format!("\"{text}\" on the page"), || {
        let there = browser.shows("figure:not([data-sid=\"\"]) video");
        let tile = "figure:not([data-sid=\"\"])";
        (there && shows(&browser.picture_of(tile, "run-tile"), text)).then_some(())
    });
}

/// A second and a half of what the page plays, as digits of a media file.
const RECORDED: &str = "(async () => {
    const playing = [...document.querySelectorAll('audio')].find((it) => it.srcObject !== null);
    if (playing === undefined) return '';
    const recorder = new MediaRecorder(playing.srcObject);
    const pieces = [];
    recorder.ondataavailable = ({ data }) => pieces.push(data);
    const ended = new Promise((resolve) => { recorder.onstop = resolve; });
    recorder.start();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    recorder.stop();
    await ended;
    const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
})()";

fn person_hears(browser: &mut Browser, hertz: f64, folder: &Path) {
    until(&format!("{hertz} Hz in the browser"), || {
        let digits = browser.run(RECORDED);
        let recorded = hex::decode(digits.as_str()?).ok()?;
        if recorded.is_empty() {
            return None;
        }
        let file = folder.join("recorded");
        std::fs::write(&file, recorded).unwrap();
        (footage::share_of_tone(&footage::sound(&file), hertz) > 0.6).then_some(())
    });
}

/// The last second of what the loudspeaker wrote so far.
fn heard(file: &Path) -> Vec<i16> {
    /// As `wavenc` writes it.
    const HEADER: usize = 44;
    let bytes = std::fs::read(file).unwrap_or_default();
    let Some(samples) = bytes.get(HEADER..) else {
        return Vec::new();
    };
    let channels = usize::from(u16::from_le_bytes([bytes[22], bytes[23]]));
    let rate = u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
    assert_eq!(rate as usize, footage::RATE);
    let one: Vec<i16> = footage::samples_of(samples)
        .into_iter()
        .step_by(channels)
        .collect();
    one[one.len().saturating_sub(footage::RATE)..].to_vec()
}

fn box_hears(speaker: &Path, hertz: f64) {
    until(&format!("{hertz} Hz at the box"), || {
        (footage::share_of_tone(&heard(speaker), hertz) > 0.6).then_some(())
    });
}

/// Reads a code that was drawn on a terminal, two modules above each other in one letter.
fn code_of(lines: &[String]) -> Option<String> {
    let drawn = |line: &&String| !line.is_empty() && line.chars().all(|c| " ▀▄█".contains(c));
    let rows: Vec<Vec<char>> = lines
        .iter()
        .filter(drawn)
        .map(|line| line.chars().collect())
        .collect();
    let across = rows.iter().map(Vec::len).max()?;
    const SIZE: usize = 4;
    let (width, height) = (across * SIZE, rows.len() * 2 * SIZE);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let (row, below) = (y / SIZE / 2, y / SIZE % 2 == 1);
            let letter = rows[row].get(x / SIZE).copied().unwrap_or(' ');
            let light = matches!((letter, below), ('█', _) | ('▀', false) | ('▄', true));
            pixels.extend([if light { 255 } else { 0 }; 3]);
        }
    }
    let picture = Picture {
        width,
        height,
        pixels,
    };
    picture.codes().into_iter().next()
}

fn status(socket: &Path) -> Option<Status> {
    let asked = roomseal(
        &["status", "--json", "--socket", socket.to_str().unwrap()],
        b"",
    );
    serde_json::from_slice(&asked.stdout).ok()
}

#[test]
fn a_person_with_firefox_and_the_box_of_make_run_see_and_hear_each_other() {
    let _turn = one_at_a_time();
    // The page has opened its camera by then, and opens it again when another is chosen.
    let camera = format!(
        "{}; document.getElementById('cameras').dispatchEvent(new Event('change'))",
        code::canvas("the person")
    );
    plays(|_| Browser::firefox(), &camera, FIREFOX);
}

#[test]
fn a_person_with_a_browser_and_the_box_of_make_run_see_and_hear_each_other() {
    let _turn = one_at_a_time();
    let chromium = |folder: &Path| {
        let (camera, microphone) = (folder.join("person.y4m"), folder.join("person.wav"));
        code::camera("the person", &camera);
        footage::beeps(PERSON, &microphone);
        Browser::seeing(&camera, &microphone)
    };
    plays(chromium, "", PERSON);
}

/// `camera`: what the page is made to run before it opens its camera; `hertz`: what its microphone hears.
fn plays(start: impl FnOnce(&Path) -> Browser, camera: &str, hertz: f64) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    code::clip("the box", &file("box.mkv"));
    footage::beeps(BOX, &file("box.wav"));
    let (screen, speaker, run) = (file("screen.png"), file("speaker.wav"), file("run"));

    let line = format!(
        "exec {} --camera file:{} --microphone file:{} --screen file:{} --speaker file:{} --panel-page 127.0.0.1:0",
        places::root().join(".ci/meeting").display(),
        file("box.mkv").display(),
        file("box.wav").display(),
        screen.display(),
        speaker.display(),
    );
    let mut command = Command::new("script");
    command.args(["-qfec", &line, "/dev/null"]);
    command.env("TERM", "xterm").env("SHELL", "/bin/sh");
    command.env("ROOMSEAL_BOX", places::built("roomseal"));
    command.env("ROOMSEAL_RUN", &run);
    let mut terminal = Running::start("make run", &command);
    let link = terminal.wait_for("join link", SOON, |line| {
        let line = line.trim();
        (line.starts_with("http://127.0.0.1:") && line.contains("#k=")).then(|| line.to_owned())
    });
    let socket = run.join("status.sock");
    let page = until("page of the box", || status(&socket)?.page);
    let lines: Vec<String> = terminal.lines().into_iter().map(|(_, line)| line).collect();
    assert_eq!(code_of(&lines).as_ref(), Some(&link));

    let mut browser = start(folder.path());
    browser.open(&link, Window::Desktop, "light");
    browser.see("#room", "lobby", SOON);
    browser.see("#cameras:not(:empty)", "", SOON);
    browser.run(camera);
    browser.tab_to("name");
    browser.write("Petra");
    browser.key("Enter");
    browser.see("body[data-state=open] #state", "", SOON);
    person_sees(&mut browser, "the box");
    person_hears(&mut browser, BOX, folder.path());
    until("the person on the box's screen", || {
        shows(&screen, "the person").then_some(())
    });
    box_hears(&speaker, hertz);
    browser.picture("run-open");

    // The button of the box's own page.
    browser.open_beside(&page, Window::Desktop, "light");
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    browser.tab_to("encrypt");
    let pressed = Instant::now();
    browser.key("Enter");
    browser.see("body[data-state=sealed] h1", "Sealed", SOON);
    browser.turn_to(MEETING);
    browser.see("body[data-state=sealed] #state", "sealed", SOON);
    println!(
        "both are sealed {} ms after the press",
        pressed.elapsed().as_millis()
    );
    person_sees(&mut browser, "the box");
    person_hears(&mut browser, BOX, folder.path());
    // What was on the screen and in the loudspeaker before is not what counts.
    std::fs::remove_file(&screen).unwrap();
    until("the person on the box's screen", || {
        shows(&screen, "the person").then_some(())
    });
    box_hears(&speaker, hertz);
    let state = status(&socket).unwrap().shield.state;
    assert_eq!(state, "sealed");
    browser.picture("run-sealed");

    Button::of(&run.join("panel")).hold();
    browser.see("body[data-state=open] #state", "", SOON);
    person_sees(&mut browser, "the box");
    browser.turn_to(PANEL);
    browser.see("body[data-state=open] h1", "Not encrypted", SOON);
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:?}");

    terminal.tell("\u{3}");
    let ended = terminal.wait(SOON);
    let said = terminal.output();
    assert!(ended.success() && !said.contains("panicked"), "{said}");
    browser.close();
}
