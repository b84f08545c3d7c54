// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real TURN server (coturn), for networks in which nobody reaches anybody directly.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use crate::network::Namespace;
use crate::process::Running;

/// A running relay; dropping it kills it.
#[derive(Debug)]
pub struct Relay {
    address: Ipv4Addr,
    _process: Running,
}

impl Relay {
    /// Where it listens, UDP and TCP.
    pub const PORT: u16 = 3478;

    /// Starts one inside a namespace, on the address that it has there.
    pub fn inside(namespace: &Namespace) -> Self {
        let program = Path::new("/usr/bin/turnserver");
        assert!(
            program.exists(),
            "{} is missing: run `make setup` (coturn)",
            program.display()
        );
        let address = namespace.address().to_string();
        let mut command = namespace.command(program);
        // Without a configuration file, and with nothing written but to here.
        command
            .args(["-n", "--no-tls", "--no-dtls", "--no-cli", "--simple-log"])
            .args([
                "--log-file",
                "stdout",
                "--pidfile",
                "/dev/null",
                "--verbose",
            ])
            .args(["--userdb", "/dev/null", "--realm", "roomseal.test"])
            .args(["--listening-ip", &address, "--relay-ip", &address])
            .args(["--lt-cred-mech", "--user"])
            .arg(format!("{USER}:{PASSWORD}"));
        let process = Running::start("coturn", &command);
        let within = Duration::from_secs(10);
        process.wait_for("listener", within, |line| {
            line.contains("TCP listener opened").then_some(())
        });
        Self {
            address: namespace.address(),
            _process: process,
        }
    }

    /// Where it is.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Who may use it.
    pub fn user(&self) -> &str {
        USER
    }

    /// With which password.
    pub fn password(&self) -> &str {
        PASSWORD
    }
}

const USER: &str = "tester";
/// Made up, and good for nothing but a server that lives as long as one test; with characters that a URL has to escape.
const PASSWORD: &str = "only/for+tests@1";
