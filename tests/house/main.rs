// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of the house that no compiler checks: who may depend on whom, and what every file carries.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roomseal_tests::places;

/// Names of all crates that `package` is built from, itself included.
fn crates_of(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "-p",
            package,
        ])
        .current_dir(places::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect()
}

fn depends(package: &str, on: &[&str]) -> Vec<String> {
    let crates = crates_of(package);
    assert!(
        crates.contains(package),
        "cargo tree lists the package itself"
    );
    on.iter()
        .filter(|name| crates.contains(**name))
        .map(|name| (*name).to_owned())
        .collect()
}

/// Every file of ours with one of these endings, tests and scripts included.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if [
                "target",
                ".cache",
                ".git",
                "node_modules",
                "__pycache__",
                "corpus",
                "artifacts",
            ]
            .contains(&name.as_str())
            {
                continue;
            }
            if path.is_dir() {
                walk(&path, into)
            } else {
                into.push(path)
            }
        }
    }
    let mut all = Vec::new();
    walk(places::root(), &mut all);
    all.retain(|path| {
        endings
            .iter()
            .any(|e| path.extension().is_some_and(|x| x == *e))
    });
    assert!(!all.is_empty());
    all
}

#[test]
fn pure_crates_know_no_runtime_no_socket_and_no_media_framework() {
    for package in [
        "roomseal-e2ee",
        "roomseal-policy",
        "roomseal-meeting",
        "roomseal-web",
    ] {
        let found = depends(
            package,
            &[
                "tokio",
                "gstreamer",
                "glib",
                "mio",
                "rustls",
                "reqwest",
                "futures-util",
            ],
        );
        assert!(
            found.is_empty(),
            "{package} must stay pure, but builds on {found:?}"
        );
    }
}

#[test]
fn pure_crates_take_time_and_randomness_as_arguments() {
    // A pure crate may not draw its own numbers nor read a clock: both come in as arguments.
    for package in ["roomseal-e2ee", "roomseal-policy", "roomseal-web"] {
        let found = depends(package, &["getrandom", "rand"]);
        assert!(
            found.is_empty(),
            "{package} must be given its randomness, but builds on {found:?}"
        );
    }
    for folder in ["src/e2ee", "src/policy", "src/meeting"] {
        let lib = fs::read_to_string(places::root().join(folder).join("lib.rs")).unwrap();
        assert!(lib.contains("no_std"), "{folder}/lib.rs must be no_std");
        for file in files(&["rs"])
            .into_iter()
            .filter(|f| f.starts_with(places::root().join(folder)))
        {
            if file
                .components()
                .any(|c| c.as_os_str() == "tests" || c.as_os_str() == "benches")
            {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            // What follows the test module is not part of the crate.
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (number, line) in code
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                for word in ["std::", "Instant::now", "SystemTime", "println!"] {
                    let uses = line.match_indices(word).any(|(at, _)| {
                        !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    });
                    assert!(
                        !uses,
                        "{}:{}: `{word}` in a pure crate",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
}

#[test]
fn the_rules_of_the_panel_know_no_clock_and_no_driver() {
    for file in ["gesture.rs", "lamp.rs", "light.rs"] {
        let text = fs::read_to_string(places::root().join("src/panel").join(file)).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (number, line) in code.lines().enumerate() {
            for word in [
                "std::",
                "crate::drive",
                "crate::board",
                "Instant",
                "println!",
            ] {
                let comment = line.trim_start().starts_with("//");
                assert!(
                    comment || !line.contains(word),
                    "src/panel/{file}:{}: `{word}` in the pure half",
                    number + 1
                );
            }
        }
    }
}

#[test]
fn media_and_service_do_not_know_each_other() {
    let found = depends(
        "roomseal-media",
        &[
            "roomseal-service",
            "roomseal-meeting",
            "tokio",
            "livekit-protocol",
        ],
    );
    assert!(found.is_empty(), "roomseal-media builds on {found:?}");
    let found = depends("roomseal-service", &["roomseal-media", "gstreamer", "glib"]);
    assert!(found.is_empty(), "roomseal-service builds on {found:?}");
}

#[test]
fn keys_and_policies_do_not_know_each_other() {
    let found = depends("roomseal-policy", &["roomseal-e2ee", "roomseal-meeting"]);
    assert!(found.is_empty(), "roomseal-policy builds on {found:?}");
    let found = depends("roomseal-e2ee", &["roomseal-policy", "roomseal-meeting"]);
    assert!(found.is_empty(), "roomseal-e2ee builds on {found:?}");
}

#[test]
fn the_hub_cannot_open_a_frame() {
    let found = depends(
        "roomseal-hub",
        &[
            "roomseal-e2ee",
            "roomseal-media",
            "roomseal-meeting",
            "roomseal-service",
        ],
    );
    assert!(found.is_empty(), "roomseal-hub builds on {found:?}");
}

#[test]
fn only_the_appliance_uses_catch_all_errors() {
    for package in [
        "e2ee", "hub", "media", "meeting", "panel", "policy", "service",
    ] {
        let manifest =
            fs::read_to_string(places::root().join("src").join(package).join("Cargo.toml"))
                .unwrap();
        assert!(
            !manifest.contains("anyhow"),
            "src/{package}: errors of a library have a type"
        );
    }
}

#[test]
fn the_whole_box_uses_one_generation_of_each_cipher() {
    // Types of two generations must never meet; a token library in the tests may bring the older one.
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--locked",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "-p",
            "roomseal-e2ee",
        ])
        .current_dir(places::root())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["aes-gcm", "aead", "digest", "sha2", "hmac", "hkdf"] {
        let versions: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{name} v")))
            .map(|v| v.split(' ').next().unwrap())
            .collect();
        assert!(versions.len() <= 1, "{name} in {versions:?}");
    }
}

#[test]
fn every_source_file_names_its_licence() {
    let missing: Vec<_> = files(&["rs", "py", "mjs", "js", "css", "ts", "mts", "html"])
        .into_iter()
        .filter(|file| {
            !fs::read_to_string(file)
                .unwrap()
                .lines()
                .take(3)
                .any(|l| l.contains("SPDX-License-Identifier: MIT OR Apache-2.0"))
        })
        .collect();
    assert!(missing.is_empty(), "no SPDX line in {missing:#?}");
}

#[test]
fn the_scripts_of_the_pages_pass_a_strict_type_check() {
    for project in [
        "tests/browser/tsconfig.json",
        "src/web/join/tsconfig.json",
        "src/web/plan/tsconfig.json",
    ] {
        let checked = Command::new("node")
            .arg(places::provided("browser/node_modules/typescript/bin/tsc"))
            .args(["--noEmit", "-p"])
            .arg(places::root().join(project))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{project}: {said}");
    }
}

#[test]
fn no_test_is_switched_off() {
    let mark = concat!("#[ig", "nore");
    let off: Vec<_> = files(&["rs"])
        .into_iter()
        .filter(|file| fs::read_to_string(file).unwrap().contains(mark))
        .collect();
    assert!(
        off.is_empty(),
        "tests that do not run prove nothing: {off:#?}"
    );
}

#[test]
fn vectors_are_what_their_own_implementation_makes() {
    for script in [
        "src/policy/tests/vectors/make.py",
        "src/e2ee/vectors/envelopes.py",
    ] {
        let script = places::root().join(script);
        let output = Command::new("python3").arg(&script).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", script.display());
    }
}

/// The `gst-launch-1.0` lines in the documentation of the elements, each on one line.
fn launch_lines() -> Vec<String> {
    let mut lines = Vec::new();
    for file in files(&["rs"])
        .into_iter()
        .filter(|f| f.starts_with(places::root().join("src/media/elements")))
    {
        let text = fs::read_to_string(file).unwrap();
        let mut docs = text
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("//!").map(str::trim));
        while let Some(mut line) = docs.next() {
            if !line.starts_with("gst-launch-1.0") {
                continue;
            }
            let mut whole = String::new();
            while let Some(part) = line.strip_suffix('\\') {
                whole.push_str(part);
                line = docs.next().expect("a continued line goes on");
            }
            whole.push_str(line);
            lines.push(whole);
        }
    }
    lines
}

#[test]
fn every_pipeline_in_the_documentation_runs_with_the_plugin_that_was_built() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::copy(
        places::built("libgstroomseal.so"),
        plugins.join("libgstroomseal.so"),
    )
    .unwrap();
    let mut keys = fs::OpenOptions::new();
    let keys = keys
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(folder.path().join("room.keys"));
    std::io::Write::write_all(&mut keys.unwrap(), b"passphrase = \"correct horse\"\n").unwrap();

    let lines = launch_lines();
    assert!(
        lines.len() >= 3,
        "one at least for each element: {lines:#?}"
    );
    for line in lines {
        let output = Command::new("timeout")
            .args(["60", "sh", "-c", &line])
            .current_dir(folder.path())
            .env("GST_PLUGIN_PATH", &plugins)
            .env("GST_REGISTRY", folder.path().join("registry.bin"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{line}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
