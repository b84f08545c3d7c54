// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people and files get wrong: each is answered with a clear word about what to do, and nothing of the key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;
use std::time::Duration;

use roomseal_tests::appliance::{PASSPHRASE, Start, roomseal, secret};
use roomseal_tests::livekit::Server;

use crate::{SOON, one_at_a_time};

/// Both streams of a command that had to fail without a panic and without a secret.
fn complaint(output: &Output) -> String {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!output.status.success(), "this should have failed: {said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(
        !said.contains(PASSPHRASE),
        "the passphrase was printed: {said}"
    );
    assert!(!said.trim().is_empty(), "a failure without a word");
    said
}

#[test]
fn a_typo_in_the_configuration_is_named_with_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roomseal.toml");
    fs::write(
        &file,
        "[box]\nname = \"Room 1\"\n\n[service]\nulr = \"ws://127.0.0.1:7880\"\n",
    )
    .unwrap();
    let said = complaint(&roomseal(
        &["check-config", "--config", file.to_str().unwrap()],
        b"",
    ));
    assert!(said.contains("roomseal.toml"), "{said}");
    assert!(said.contains("ulr"), "{said}");
    assert!(said.contains(":5") || said.contains("line 5"), "{said}");
}

#[test]
fn a_passphrase_file_that_others_can_read_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = secret(folder.path(), "passphrase", PASSPHRASE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let file = file.to_str().unwrap();
    let said = complaint(&roomseal(
        &[
            "frame",
            "seal",
            "--codec",
            "opus",
            "--passphrase-file",
            file,
        ],
        b"\x78sound",
    ));
    assert!(
        said.contains("chmod 600") || said.contains("0600"),
        "{said}"
    );
}

#[test]
fn frames_that_cannot_be_opened_print_nothing_and_fail() {
    let folder = tempfile::tempdir().unwrap();
    let file = secret(folder.path(), "passphrase", PASSPHRASE);
    let with = |verb: &str, frame: &[u8]| {
        roomseal(
            &[
                "frame",
                verb,
                "--codec",
                "vp8",
                "--key-index",
                "3",
                "--passphrase-file",
                file.to_str().unwrap(),
            ],
            frame,
        )
    };
    let frame: Vec<u8> = (0..200).map(|n| n as u8).collect();
    let sealed = with("seal", &frame);
    assert!(
        sealed.status.success(),
        "{}",
        String::from_utf8_lossy(&sealed.stderr)
    );
    assert_eq!(
        with("open", &sealed.stdout).stdout,
        frame,
        "the control: what is whole opens"
    );

    let mut altered = sealed.stdout.clone();
    altered[100] ^= 1;
    let mut cases = vec![altered, Vec::new(), vec![0; 3], vec![0xff; 2 << 20]];
    cases.extend(
        [1, 10, 29, 30, sealed.stdout.len() - 1].map(|length| sealed.stdout[..length].to_vec()),
    );
    for (number, case) in cases.iter().enumerate() {
        let output = with("open", case);
        assert!(!output.status.success(), "case {number} opened");
        assert!(
            output.stdout.is_empty(),
            "case {number} printed {} bytes",
            output.stdout.len()
        );
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("panicked"),
            "case {number}"
        );
    }
}

#[test]
fn a_bad_token_is_named_and_not_tried_for_ever() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let mut guest = Start::new("guest", "guest")
        .token("not.a.token".to_owned())
        .join(&server, "token");
    let status = guest.process.wait(SOON);
    let said = guest.process.output();
    assert!(!status.success());
    assert!(said.contains("token"), "{said}");
    assert!(
        !said.contains("panicked") && !said.contains(PASSPHRASE),
        "{said}"
    );
}

#[test]
fn a_missing_plugin_is_named_with_its_debian_package() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let installed = String::from_utf8(
        std::process::Command::new("pkg-config")
            .args(["--variable=pluginsdir", "gstreamer-1.0"])
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    for entry in fs::read_dir(installed.trim()).unwrap() {
        let plugin = entry.unwrap().path();
        let name = plugin.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.contains("gstnice") && name.ends_with(".so") {
            std::os::unix::fs::symlink(&plugin, plugins.join(name)).unwrap();
        }
    }
    let server = Server::on_loopback();
    let mut guest = Start::new("guest", "guest")
        .environment("GST_PLUGIN_SYSTEM_PATH_1_0", plugins.to_str().unwrap())
        .environment(
            "GST_REGISTRY_1_0",
            folder.path().join("registry").to_str().unwrap(),
        )
        .environment(
            "GST_REGISTRY",
            folder.path().join("registry").to_str().unwrap(),
        )
        .join(&server, "plugin");
    let status = guest.process.wait(SOON);
    let said = guest.process.output();
    assert!(!status.success());
    assert!(said.contains("gstreamer1.0-nice"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_missing_camera_is_shown_and_the_sound_goes_on() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let mut sender = Start::new("run", "box")
        .with([
            "--camera",
            "v4l2:/dev/video-that-is-not-there",
            "--microphone",
            "test",
        ])
        .join(&server, "camera");
    let guest = Start::new("guest", "guest").join(&server, "camera");
    sender.wait_for("word about the camera", SOON, |s| {
        s.troubles
            .iter()
            .any(|t| format!("{} {}", t.about, t.text).contains("camera"))
            .then_some(())
    });
    guest.wait_for_track("sound", "box", "microphone", SOON, |t| t.opened > 50);
    assert!(sender.process.is_running());
    assert!(sender.process.interrupt(Duration::from_secs(10)).success());
}
