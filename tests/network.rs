// SPDX-License-Identifier: MIT OR Apache-2.0
//! A small network of namespaces on one switch, whose cables can be pulled.
//!
//! Needs root, or a `sudo` that asks nothing.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// A switch with the namespaces on it; all of it is gone when the last handle is dropped.
#[derive(Debug)]
pub struct Network {
    namespaces: Vec<Namespace>,
}

/// One host of a [`Network`].
#[derive(Debug, Clone)]
pub struct Namespace {
    name: String,
    address: Ipv4Addr,
    cable: String,
    switch: Arc<Switch>,
}

/// The namespace that only holds the bridge: the test's own network stack is never touched.
#[derive(Debug)]
struct Switch {
    name: String,
    hosts: Vec<String>,
}

impl Network {
    /// Makes a switch and `hosts` namespaces on it.
    pub fn with_hosts(hosts: u8) -> Self {
        let tag = format!(
            "rs{}x{}",
            std::process::id(),
            SERIAL.fetch_add(1, Ordering::Relaxed)
        );
        let switch = Arc::new(Switch {
            name: format!("{tag}s"),
            hosts: (1..=hosts).map(|n| format!("{tag}h{n}")).collect(),
        });
        let hub = &switch.name;
        ip(&["netns", "add", hub]);
        ip(&[
            "-n",
            hub,
            "link",
            "add",
            "switch",
            "type",
            "bridge",
            "forward_delay",
            "0",
        ]);
        ip(&["-n", hub, "link", "set", "switch", "up"]);
        let namespaces = (1..=hosts)
            .zip(&switch.hosts)
            .map(|(n, name)| {
                let cable = format!("cable{n}");
                let address = Ipv4Addr::new(10, 203, 0, n);
                ip(&["netns", "add", name]);
                ip(&[
                    "-n",
                    hub,
                    "link",
                    "add",
                    &cable,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    Namespace::INTERFACE,
                    "netns",
                    name,
                ]);
                ip(&["-n", hub, "link", "set", &cable, "master", "switch", "up"]);
                ip(&["-n", name, "link", "set", "lo", "up"]);
                ip(&[
                    "-n",
                    name,
                    "address",
                    "add",
                    &format!("{address}/24"),
                    "dev",
                    Namespace::INTERFACE,
                ]);
                ip(&["-n", name, "link", "set", Namespace::INTERFACE, "up"]);
                Namespace {
                    name: name.clone(),
                    address,
                    cable,
                    switch: Arc::clone(&switch),
                }
            })
            .collect();
        Self { namespaces }
    }

    /// The `index`-th host, from 0.
    pub fn host(&self, index: usize) -> &Namespace {
        &self.namespaces[index]
    }
}

impl Namespace {
    /// What the network interface is called inside.
    pub const INTERFACE: &'static str = "eth0";

    /// Its address on the switch.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = privileged("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Lets everything of one protocol (`udp`, `tcp`) that it sends to `peer` vanish, silently, until
    /// [`Namespace::lose_nothing`]; of TCP only what goes to or from the port `port` of either, if one is given.
    pub fn lose(&self, protocol: &str, peer: Ipv4Addr, port: Option<u16>) {
        if self.ip(&["link", "show", "void"]).is_err() {
            for step in [
                "link add void type veth peer name nowhere",
                "link set void arp off up",
                "route add default dev void table 100",
            ] {
                self.must(step);
            }
        }
        let rule = format!("rule add pref 100 to {peer} ipproto {protocol} lookup 100");
        match port {
            None => self.must(&rule),
            Some(port) => {
                self.must(&format!("{rule} dport {port}"));
                self.must(&format!("{rule} sport {port}"));
            }
        }
    }

    /// Spares what goes from or to this port of either from what [`Namespace::lose`] does.
    pub fn keep(&self, protocol: &str, peer: Ipv4Addr, port: u16) {
        for end in ["dport", "sport"] {
            self.must(&format!(
                "rule add pref 90 to {peer} ipproto {protocol} {end} {port} lookup main"
            ));
        }
    }

    /// Ends what [`Namespace::lose`] and [`Namespace::keep`] began.
    pub fn lose_nothing(&self) {
        for rules in ["90", "100"] {
            while self.ip(&["rule", "del", "pref", rules]).is_ok() {}
        }
    }

    /// From now on it loses so many percent of the UDP packets that come to it, at random.
    pub fn drop_udp(&self, percent: u8) {
        self.drop(&format!("numgen random mod 100 < {percent}"));
    }

    /// From now on it loses all that comes to it over UDP and belongs to a handshake of DTLS (RFC 9147 §4: content
    /// types 20 to 22), and nothing else.
    pub fn drop_handshakes(&self) {
        self.drop("@th,64,8 20-22");
    }

    /// From now on it loses all that comes to it over UDP and begins with a later piece of a handshake message of DTLS
    /// (RFC 6347 §4.2.2: a message in the clear whose piece does not begin at 0), and nothing else.
    pub fn drop_later_pieces(&self) {
        self.drop("@th,64,8 22 @th,88,16 0 @th,216,24 != 0");
    }

    fn drop(&self, what: &str) {
        self.nft(&format!(
            "add table inet loss; add chain inet loss in {{ type filter hook input priority 0; }}; \
             add rule inet loss in meta l4proto udp {what} counter drop"
        ));
    }

    /// Ends what [`Namespace::drop_udp`], [`Namespace::drop_handshakes`] or [`Namespace::drop_later_pieces`] began.
    pub fn drop_nothing(&self) {
        self.nft("delete table inet loss");
    }

    /// How many packets [`Namespace::drop_udp`] or another of the kind has lost so far.
    pub fn dropped(&self) -> u64 {
        let listed = self.nft("list chain inet loss in");
        let counted = listed.split("counter packets ").nth(1);
        counted
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("nft counts in other words: {listed}"))
    }

    fn nft(&self, rules: &str) -> String {
        let output = self
            .command("nft")
            .arg(rules)
            .output()
            .expect("iproute2 is installed by `make setup`");
        assert!(
            output.status.success(),
            "nft {rules}: {}(nftables is installed by `make setup`)",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Gives it one more address, with `/24`.
    pub fn add_address(&self, address: Ipv4Addr) {
        self.must(&format!("address add {address}/24 dev {}", Self::INTERFACE));
    }

    /// Takes an address from it.
    pub fn remove_address(&self, address: Ipv4Addr) {
        self.must(&format!("address del {address}/24 dev {}", Self::INTERFACE));
    }

    fn must(&self, what: &str) {
        if let Err(error) = self.ip(&what.split(' ').collect::<Vec<_>>()) {
            panic!("ip {what}: {error}");
        }
    }

    fn ip(&self, arguments: &[&str]) -> Result<(), String> {
        let output = privileged("ip")
            .args(["-n", &self.name])
            .args(arguments)
            .output()
            .expect("iproute2 is installed by `make setup`");
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Pulls the cable at the switch: inside, the interface stays up and everything vanishes silently.
    pub fn unplug(&self) {
        // Taken off the bridge rather than down, so that the host sees no carrier loss.
        ip(&[
            "-n",
            &self.switch.name,
            "link",
            "set",
            &self.cable,
            "nomaster",
        ]);
    }

    /// Plugs it in again.
    pub fn plug_in(&self) {
        ip(&[
            "-n",
            &self.switch.name,
            "link",
            "set",
            &self.cable,
            "master",
            "switch",
        ]);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for name in self.hosts.iter().chain([&self.name]) {
            // Best effort: a namespace that never came to be cannot be removed.
            let _ = privileged("ip").args(["netns", "delete", name]).status();
        }
    }
}

fn ip(arguments: &[&str]) {
    let output = privileged("ip")
        .args(arguments)
        .output()
        .expect("iproute2 is installed by `make setup`");
    assert!(
        output.status.success(),
        "ip {}: {}(network tests need root, or sudo without a password)",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn privileged(program: &str) -> Command {
    if std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
        Command::new(program)
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        command
    }
}
