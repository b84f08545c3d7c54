// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units in `systemd/`: understood by systemd, with little exposure, and with commands that this program understands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use roomseal_appliance::cli::Cli;

/// By `systemd-analyze security`, from 0 (nothing) to 10.
const MOST_EXPOSED: f32 = 2.0;

fn units() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd");
    let mut units: Vec<(String, String)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    units.sort();
    units
}

fn services() -> Vec<(String, String)> {
    let mut units = units();
    units.retain(|(name, _)| name.ends_with(".service"));
    assert!(units.len() >= 3, "{units:?}");
    units
}

/// The units with the program where it is here, in a folder of their own.
fn installed(folder: &Path) -> Vec<PathBuf> {
    let program = env!("CARGO_BIN_EXE_roomseal");
    let write = |(name, text): (String, String)| {
        let file = folder.join(name);
        fs::write(&file, text.replace("/usr/bin/roomseal", program)).unwrap();
        file
    };
    units().into_iter().map(write).collect()
}

#[test]
fn systemd_has_nothing_to_say_about_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let ran = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(installed(folder.path()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    // What is wrong with units of the machine itself is not ours.
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("roomseal"))
        .collect();
    assert_eq!(ours, Vec::<&str>::new());
}

#[test]
fn no_service_is_more_exposed_than_it_has_to_be() {
    let folder = tempfile::tempdir().unwrap();
    for file in installed(folder.path()) {
        if file.extension() != Some("service".as_ref()) {
            continue;
        }
        let ran = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let level = said.split("Overall exposure level for ").nth(1);
        let level = level.and_then(|rest| rest.split(' ').nth(1)?.parse::<f32>().ok());
        let level = level.unwrap_or_else(|| panic!("{}: {ran:?}", file.display()));
        println!("{}: {level}", file.file_name().unwrap().display());
        assert!(level <= MOST_EXPOSED, "{}: {said}", file.display());
    }
}

#[test]
fn what_is_relaxed_has_its_reason_above_it() {
    for (name, text) in services() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let guards = [
                "Private",
                "Protect",
                "Restrict",
                "MemoryDeny",
                "Lock",
                "NoNew",
                "ProcSubset",
            ];
            if guards.iter().any(|guard| key.starts_with(guard)) && matches!(value, "no" | "all") {
                let above: Vec<&&str> = lines[..at]
                    .iter()
                    .rev()
                    .take_while(|line| line.starts_with('#'))
                    .collect();
                assert!(
                    above.iter().any(|line| line.starts_with("# Relaxed: ")),
                    "{name}: {line}"
                );
            }
        }
        // No service is root, or may become it.
        let user = lines.iter().find_map(|line| line.strip_prefix("User="));
        assert!(user.is_some_and(|user| user != "root"), "{name}: {user:?}");
        assert!(
            lines.contains(&"NoNewPrivileges=yes") && lines.contains(&"CapabilityBoundingSet="),
            "{name}"
        );
    }
}

#[test]
fn every_command_of_a_unit_is_one_of_this_program() {
    let mut commands = 0;
    for (name, text) in services() {
        for line in text.lines() {
            let Some((key, command)) = line.split_once('=') else {
                continue;
            };
            if !key.starts_with("Exec") {
                continue;
            }
            let command = command
                .replace("${BOARD}", "sim")
                .replace("$HUB", "--api-key roomseal")
                .replace("%S", "/var/lib")
                .replace("%t", "/run");
            assert!(!command.contains(['$', '%']), "{name}: {command}");
            let parsed = Cli::try_parse_from(command.split(' '));
            assert!(parsed.is_ok(), "{name}: {command}: {}", parsed.unwrap_err());
            commands += 1;
        }
    }
    assert!(commands >= 4, "{commands}");
}

#[test]
fn the_lamp_is_darkened_by_whoever_ends_it() {
    let units = units();
    let (_, lamp) = units
        .iter()
        .find(|(name, _)| name == "roomseal-lamp.service")
        .unwrap();
    let after = lamp
        .lines()
        .find_map(|line| line.strip_prefix("ExecStopPost="));
    assert!(
        after.is_some_and(|command| command.ends_with("--off")),
        "{after:?}"
    );
    let (_, device) = units
        .iter()
        .find(|(name, _)| name == "roomseal.service")
        .unwrap();
    for needed in ["Type=notify", "WatchdogSec=30s", "Restart=always"] {
        assert!(device.lines().any(|line| line == needed), "{needed}");
    }
}
