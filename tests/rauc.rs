// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real RAUC of one's own: its service on a bus of its own, two slots that are files, and updates for them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::Running;

/// What boxes of these tests are called in updates.
pub const COMPATIBLE: &str = "roomseal-sim";

/// Long enough to start a program on a busy machine.
const START: Duration = Duration::from_secs(20);

/// Longer than RAUC needs to make out what an update is.
const SIZE: u64 = 4 << 20;

/// A running RAUC; dropping it kills it.
#[derive(Debug)]
pub struct Rauc {
    _service: Running,
    _bus: Running,
    folder: TempDir,
}

/// Somebody who signs updates.
#[derive(Debug)]
pub struct Signer {
    folder: PathBuf,
}

impl Rauc {
    /// Starts one that believes `signer`.
    pub fn believing(signer: &Signer) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let at = |name: &str| folder.path().join(name);
        for slot in ["slot-a", "slot-b"] {
            let file = fs::File::create(at(slot)).expect("a slot can be made");
            file.set_len(SIZE).expect("a slot can be as large");
        }
        // Stays in the installation for as long as the test wants.
        let handler = at("pre-install");
        let hold = at("hold");
        let script = format!(
            "#!/bin/sh\nwhile [ -e '{}' ]; do sleep 0.05; done\n",
            hold.display()
        );
        fs::write(&handler, script).expect("a handler can be written");
        fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let place = folder.path().display();
        fs::write(
            at("system.conf"),
            format!(
                "[system]\ncompatible={COMPATIBLE}\nbootloader=noop\nstatusfile={place}/status\nmountprefix={place}/mnt\n\
                 bundle-formats=plain\n[keyring]\npath={}\n[handlers]\npre-install={place}/pre-install\n\
                 [slot.rootfs.0]\ndevice={place}/slot-a\ntype=raw\nbootname=A\n\
                 [slot.rootfs.1]\ndevice={place}/slot-b\ntype=raw\nbootname=B\n",
                signer.certificate().display()
            ),
        )
        .expect("a configuration can be written");
        fs::write(
            at("bus.conf"),
            format!(
                "<busconfig><type>custom</type><listen>unix:path={place}/bus</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>\
                 <allow own=\"*\"/></policy></busconfig>"
            ),
        )
        .expect("a configuration can be written");
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--print-address");
        command.arg(format!("--config-file={place}/bus.conf"));
        let bus = Running::start("bus", &command);
        bus.wait_for("address", START, |line| {
            line.starts_with("unix:").then_some(())
        });
        let mut command = Command::new("rauc");
        command.arg(format!("--conf={place}/system.conf"));
        command.args(["--override-boot-slot=A", "service"]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={place}/bus"));
        let service = Running::start("rauc service", &command);
        let rauc = Self {
            _service: service,
            _bus: bus,
            folder,
        };
        rauc.wait_until_it_answers();
        rauc
    }

    /// What a client needs in its environment.
    pub fn bus(&self) -> (&'static str, String) {
        let bus = self.folder.path().join("bus");
        (
            "DBUS_SYSTEM_BUS_ADDRESS",
            format!("unix:path={}", bus.display()),
        )
    }

    /// Has installations stay where they have begun, until [`go_on`](Self::go_on).
    pub fn hold(&self) {
        fs::write(self.folder.path().join("hold"), "").expect("a file can be written");
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        fs::remove_file(self.folder.path().join("hold")).expect("an installation was held");
    }

    /// What stands in the slot that updates go into.
    pub fn other_slot(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("slot-b")).expect("the slot is there")
    }

    fn wait_until_it_answers(&self) {
        let began = std::time::Instant::now();
        let (key, bus) = self.bus();
        loop {
            let asked = Command::new("rauc").arg("status").env(key, &bus).output();
            if asked
                .expect("rauc is installed: make setup")
                .status
                .success()
            {
                return;
            }
            assert!(
                began.elapsed() < START,
                "the service of rauc does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Signer {
    /// Makes one, with a folder for what it signs.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder can be made");
        let signer = Self {
            folder: folder.to_owned(),
        };
        let mut command = Command::new("openssl");
        command.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "60",
            "-subj",
            "/CN=Updates",
        ]);
        command.args(["-addext", "keyUsage=digitalSignature", "-keyout"]);
        command
            .arg(folder.join("key.pem"))
            .arg("-out")
            .arg(signer.certificate());
        succeeds(&mut command);
        signer
    }

    /// An update that brings `content` to boxes called `compatible`.
    pub fn update(&self, name: &str, compatible: &str, content: &[u8]) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        fs::write(folder.join("root.img"), content).expect("content can be written");
        fs::write(
            folder.join("manifest.raucm"),
            format!(
                "[update]\ncompatible={compatible}\nversion=2\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=root.img\n"
            ),
        )
        .expect("a manifest can be written");
        let bundle = self.folder.join(format!("{name}.raucb"));
        let mut command = Command::new("rauc");
        command.arg("bundle").arg("--cert").arg(self.certificate());
        command.arg("--key").arg(self.folder.join("key.pem"));
        command.arg(&folder).arg(&bundle);
        succeeds(&mut command);
        bundle
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }
}

fn succeeds(command: &mut Command) {
    let ran = command.output().expect("it is installed: make setup");
    assert!(
        ran.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
