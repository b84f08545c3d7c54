// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a box and a guest in a meeting leave behind for others to read: no key, in no form.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use roomseal_tests::appliance::{Appliance, Start, roomseal, secret};
use roomseal_tests::leak::{Leak, Scanner};
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::process::Running;

use crate::{SOON, one_at_a_time, talking_clip};

/// What the box seals with. LiveKit derives a key from it: see the test of that below.
const PASSPHRASE: &[u8] = b"zx-kelpQuern7vat.Olm";
const FROM_PASSPHRASE: &str = "d4fe437c7ef1a40970186a38b1d7ba14";
/// What the guest seals with, before LiveKit derives a key from it.
const RAW_KEY: &str = "c3a1d8775b0e69f42b9c50e7163fa8d47e920bc1455df6a833e18c7a906d24bf";
const FROM_RAW_KEY: &str = "6e39794f039a300db96e2de05e1f1eb4";

/// No key, but said wherever a careless program would say one: it proves that these places are looked at.
const BAIT: &str = "9d41c7e06fb2583a";

/// A process that logs everything is slow, and so is the machine it does it on.
const LATE: Duration = Duration::from_secs(60);

fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("passphrase", PASSPHRASE.to_vec()),
        ("key from passphrase", hex::decode(FROM_PASSPHRASE).unwrap()),
        ("raw key", hex::decode(RAW_KEY).unwrap()),
        ("key from raw key", hex::decode(FROM_RAW_KEY).unwrap()),
    ]
}

/// Everything of one process that somebody else could read, by what it is.
type Traces = Vec<(String, Vec<PathBuf>)>;

#[test]
fn neither_box_nor_guest_leaves_a_key_in_logs_graphs_status_arguments_environment_or_files() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = folder.path().join(format!("{BAIT}.mkv"));
    fs::rename(talking_clip(folder.path()), &clip).unwrap();
    let raw_key = secret(folder.path(), "raw-key", RAW_KEY);
    let config = folder.path().join("roomseal.toml");
    fs::write(
        &config,
        "[[e2ee.participant]]\nidentity = \"guest\"\nraw-key-hex-file = \"raw-key\"\n\
         [camera]\nwidth = 160\nheight = 68\nframerate = 10\n",
    )
    .unwrap();
    let server = Server::on_loopback();
    let passphrase = std::str::from_utf8(PASSPHRASE).unwrap();
    let graphs = ["box", "guest"].map(|who| folder.path().join(format!("{who}-graphs")));
    let start = |command, identity, graphs: &Path| {
        fs::create_dir(graphs).unwrap();
        Start::new(command, identity)
            .gst_debug("*:7")
            .environment("GST_DEBUG_DUMP_DOT_DIR", graphs.to_str().unwrap())
            .environment("ROOMSEAL_BAIT", BAIT)
            .environment("XDG_CACHE_HOME", folder.path().to_str().unwrap())
            .with(["--log-level", "trace"])
    };
    let mut sender = start("run", "box", &graphs[0])
        .passphrase(passphrase)
        .with(["--config", config.to_str().unwrap()])
        .playing(&clip)
        .join(&server, BAIT);
    let mut guest = start("guest", "guest", &graphs[1])
        .without_key()
        .with(["--key-hex-file", raw_key.to_str().unwrap()])
        .with(["--publish", clip.to_str().unwrap()])
        .join(&server, BAIT);
    // The guest knows its own key only: what fails is logged, too.
    sender.wait_for_track("opened picture", "guest", "camera", LATE, |t| t.opened > 10);
    guest.wait_for_track("refused picture", "box", "camera", LATE, |t| t.refused > 10);

    let mut traces = Vec::new();
    for (appliance, graphs) in [&mut sender, &mut guest].into_iter().zip(&graphs) {
        traces.push(collect(appliance, graphs, folder.path()));
    }
    let bait = ("bait", BAIT.as_bytes().to_vec());
    let scanner = Scanner::new(&[secrets(), vec![bait]].concat());
    for (name, files) in traces.iter().flatten() {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for file in files {
            let (leaks, length) = scanner.scan_stream(File::open(file).unwrap());
            found.extend(leaks);
            bytes += length;
        }
        println!("{name}: {bytes} bytes in {} files", files.len());
        let (bait, keys): (Vec<Leak>, Vec<Leak>) =
            found.into_iter().partition(|leak| leak.secret == "bait");
        assert_eq!(keys, [], "{name}");
        assert!(
            !bait.is_empty() || name.starts_with("graphs"),
            "{name}: not even the bait is in there: is this the right place to look?"
        );
    }
}

/// Ends a process, and puts all that it left into files.
fn collect(appliance: &mut Appliance, graphs: &Path, folder: &Path) -> Traces {
    let who = appliance.identity().to_owned();
    let keep = |what: &str, bytes: &[u8]| {
        let file = folder.join(format!("{who}-{what}"));
        fs::write(&file, bytes).unwrap();
        (format!("{what} of the {who}"), vec![file])
    };
    let mut traces = Vec::new();
    let socket = appliance.folder().join("status.sock");
    for (what, form) in [("status-json", &["--json"][..]), ("status-table", &[])] {
        let asked = [&["status", "--socket", socket.to_str().unwrap()], form].concat();
        let answer = roomseal(&asked, &[]);
        assert!(answer.status.success(), "{answer:?}");
        traces.push(keep(what, &answer.stdout));
    }
    for what in ["cmdline", "environ"] {
        match fs::read(format!("/proc/{}/{what}", appliance.process.id())) {
            Ok(bytes) => traces.push(keep(what, &bytes)),
            // Whoever is not root does not get to see it: as good as no key in it.
            Err(refused) => assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied),
        }
    }
    assert!(appliance.interrupt_cleanly());
    traces.push(keep("terminal-and-log", &appliance.process.bytes()));
    let log = appliance.folder().join("gst.log");
    traces.push((format!("GStreamer log of the {who}"), vec![log]));
    let drawn: Vec<PathBuf> = fs::read_dir(graphs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let all: Vec<String> = drawn
        .iter()
        .map(|f| fs::read_to_string(f).unwrap())
        .collect();
    // The guest opens nothing, and what nothing comes out of is not drawn.
    let opener = (who == "box").then_some("FrameDecrypt");
    for element in ["FrameEncrypt", "GstWebRTCBin"].into_iter().chain(opener) {
        assert!(
            all.iter().any(|graph| graph.contains(element)),
            "{element} is in none of {drawn:?}"
        );
    }
    traces.push((format!("graphs of the {who}"), drawn));
    traces
}

#[test]
fn the_keys_looked_for_are_those_in_use() {
    let folder = tempfile::tempdir().unwrap();
    for (option, given, derived) in [
        (
            "--passphrase-file",
            std::str::from_utf8(PASSPHRASE).unwrap(),
            FROM_PASSPHRASE,
        ),
        ("--key-hex-file", RAW_KEY, FROM_RAW_KEY),
    ] {
        use aes_gcm::aead::{AeadInOut, KeyInit};
        let file = secret(folder.path(), "key", given);
        let options = ["frame", "seal", "--codec", "opus", option];
        let sealed = roomseal(
            &[&options[..], &[file.to_str().unwrap()]].concat(),
            b"xwords",
        );
        assert!(sealed.status.success(), "{sealed:?}");
        let sealed = sealed.stdout;
        // LiveKit's frame: 1 clear byte, ciphertext, tag, IV, two bytes.
        let (rest, iv) = sealed[..sealed.len() - 2].split_last_chunk::<12>().unwrap();
        let (text, tag) = rest.split_last_chunk::<16>().unwrap();
        let mut opened = text[1..].to_vec();
        let key: [u8; 16] = hex::decode(derived).unwrap().try_into().unwrap();
        aes_gcm::Aes128Gcm::new(&key.into())
            .decrypt_inout_detached(
                &(*iv).into(),
                &text[..1],
                opened.as_mut_slice().into(),
                &(*tag).into(),
            )
            .expect("this is the key");
        assert_eq!(opened, b"words");
    }
}

/// A program in a directory of its own, as a user who may do nothing, with cores of any size allowed.
fn unprivileged(program: &Path, arguments: &[&str], folder: &Path) -> Running {
    let mut command = Command::new("prlimit");
    command.arg("--core=unlimited");
    command.args(as_nobody());
    command.arg(program).args(arguments).current_dir(folder);
    Running::start(&program.display().to_string(), &command)
}

/// What runs a command as somebody without rights; the user of the test has none to give away unless it is root.
fn as_nobody() -> &'static [&'static str] {
    if rustix::process::getuid().is_root() {
        &[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ]
    } else {
        &["env"]
    }
}

/// Can the user that a process runs as read this of it?
fn readable(process: &Running, what: &str) -> bool {
    let file = format!("/proc/{}/{what}", process.id());
    let [program, arguments @ ..] = as_nobody() else {
        unreachable!("it names a program");
    };
    let read = Command::new(program)
        .args(arguments)
        .args(["dd", "bs=1", "count=1", "of=/dev/null"])
        .arg(format!("if={file}"))
        .stderr(Stdio::null())
        .status();
    read.unwrap().success()
}

#[test]
fn a_box_that_crashes_leaves_no_core_and_its_own_user_cannot_read_its_memory() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    fs::set_permissions(place, PermissionsExt::from_mode(0o777)).unwrap();
    // Others may not look into the directory that cargo builds in.
    let program = place.join("roomseal");
    fs::copy(places::built("roomseal"), &program).unwrap();
    let mut owned = Vec::new();
    for (name, text) in [
        ("passphrase", std::str::from_utf8(PASSPHRASE).unwrap()),
        ("secret", "0123456789abcdef0123456789abcdef"),
    ] {
        owned.push(secret(place, name, text));
    }
    if rustix::process::getuid().is_root() {
        for file in &owned {
            std::os::unix::fs::chown(file, Some(65534), Some(65534)).unwrap();
        }
    }
    let nobody_there = [
        "--url",
        "ws://127.0.0.1:1",
        "--room",
        "room",
        "--board",
        "sim",
    ];
    let files = [
        "--passphrase-file",
        "passphrase",
        "--api-secret-file",
        "secret",
    ];
    let more = [
        "--api-key",
        "key",
        "--camera",
        "test",
        "--status-socket",
        "status.sock",
    ];
    let arguments = [&["run"], &nobody_there[..], &files, &more].concat();
    let mut running = unprivileged(&program, &arguments, place);
    running.wait_for("attempt to join", SOON, |line| {
        line.contains("not connected").then_some(())
    });
    let mut control = unprivileged(Path::new("sleep"), &["1000"], place);
    let mut left = 100;
    while !readable(&control, "environ") {
        left -= 1;
        assert!(left > 0, "a process of one's own cannot be looked into");
        std::thread::sleep(Duration::from_millis(50));
    }
    for what in ["environ", "mem", "maps", "stack"] {
        assert!(!readable(&running, what), "{what} of the box is open");
    }
    control.signal("ABRT");
    running.signal("ABRT");
    let [with, without] = [&mut control, &mut running].map(|p| p.wait(SOON));
    assert_eq!(without.signal(), Some(6), "{without}");
    assert!(!without.core_dumped(), "the box dumped core");
    println!("control: {with}; box: {without}");
    assert!(
        with.core_dumped(),
        "{with}: this system makes no cores at all, so that the box made none shows nothing; allow them \
         (sysctl kernel.core_pattern=core)"
    );
}
