// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mute button at a sound card with a capture switch: a sound server of the test's own, which ALSA takes for a card.

use std::process::{Command, Stdio};

use crate::lamp::{PATIENCE, command, percent, run_arguments, status, until, white};
use crate::program::{Place, Running};

/// A sound server whose only source is what its only sink plays.
fn sound_card(place: &Place) -> Running {
    let socket = place.path().join("sound.sock");
    let socket = socket.display();
    let alsa = format!(
        "pcm.!default {{ type pulse server \"unix:{socket}\" }}\nctl.!default {{ type pulse server \"unix:{socket}\" }}\n"
    );
    place.file("asound.conf", &alsa, 0o644);
    let native = format!("module-native-protocol-unix socket={socket} auth-anonymous=1");
    let mut server = Command::new("pulseaudio");
    server
        .args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--disable-shm=yes",
        ])
        .args(["-L", "module-null-sink sink_name=room"])
        .args(["-L", &native])
        .current_dir(place.path())
        .env_clear()
        .env("HOME", place.path())
        .env("XDG_RUNTIME_DIR", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Running(
        server
            .spawn()
            .expect("pulseaudio is installed by `make setup`"),
    );
    until("the sound server answers", PATIENCE, || {
        mixer(place, &["scontrols"]).contains("Capture")
    });
    server
}

/// What `amixer` says, which knows nothing of the box.
fn mixer(place: &Place, arguments: &[&str]) -> String {
    let ran = Command::new("amixer")
        .args(arguments)
        .env_clear()
        .env("HOME", place.path())
        .env("ALSA_CONFIG_PATH", place.path().join("asound.conf"))
        .output()
        .expect("alsa-utils is installed by `make setup`");
    String::from_utf8(ran.stdout).unwrap()
}

/// Whether the capture switch is on, as `amixer` says.
fn is_on(place: &Place) -> bool {
    let says = mixer(place, &["get", "Capture"]);
    assert!(says.contains("[on]") != says.contains("[off]"), "{says}");
    says.contains("[on]")
}

#[test]
fn the_mute_button_turns_the_microphones_own_switch_and_the_lamp_follows_both() {
    let place = Place::new();
    let _card = sound_card(&place);
    let arguments = run_arguments(&place, &["--microphone", "alsa:default", "--with-lamp"]);
    let mut the_box = command(&place, &arguments);
    the_box
        .env("HOME", place.path())
        .env("ALSA_CONFIG_PATH", place.path().join("asound.conf"))
        .stdout(Stdio::null());
    let mut the_box = Running(the_box.spawn().unwrap());
    until("the box lights the lamp", PATIENCE, || white(place.path()));
    let lit = || percent(place.path(), "mute-lamp") == 100;
    let press = || {
        let button = place.path().join("panel/mute-button");
        std::fs::write(button, b"press\n").unwrap();
    };
    assert!(is_on(&place) && !lit());

    press();
    until("muted", PATIENCE, lit);
    assert!(!is_on(&place));

    // Somebody else opens it: what is sent is still silence, but the lamp says less than that.
    mixer(&place, &["set", "Capture", "cap"]);
    until("the lamp sees it", PATIENCE, || !lit());

    // Unmuted and muted again, it is off again; and on when the box ends.
    press();
    press();
    until("muted again", PATIENCE, || lit() && !is_on(&place));
    press();
    until("open", PATIENCE, || !lit() && is_on(&place));
    mixer(&place, &["set", "Capture", "nocap"]);
    until("it is named", PATIENCE, || {
        status(&place).contains("off at its own switch")
    });
    mixer(&place, &["set", "Capture", "cap"]);
    press();
    until("muted", PATIENCE, || lit() && !is_on(&place));
    the_box.signal(rustix::process::Signal::TERM);
    the_box.0.wait().unwrap();
    assert!(is_on(&place), "who uses the microphone next is not heard");
}
