// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hub's forwarder beside `livekit-server`: the same participants with the same streams at both, in turn. Processor
//! time for each stream that is forwarded, memory for each participant, and how long a packet takes.
//!
//! `make bench` runs it. Numbers are of the machine it runs on, with whatever else runs there: the participants do.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be taken ends the program"
)]

mod member;
mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::percentile;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use member::Member;
use tally::{Arrived, Tally};

/// Unless the command names others.
const SIZES: [usize; 3] = [4, 8, 16];
const ROUNDS: usize = 2;
/// Until everybody receives everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Estimates of what the network carries settle.
const SETTLED: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(10);

fn main() {
    // Cargo runs benches with `--bench`; `cargo test --benches` without: then this only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!(
        "forwarder beside livekit-server: each participant sends a picture of 480 kbit/s and sound of 40 kbit/s to all others"
    );
    let named: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let sizes = if named.is_empty() {
        &SIZES
    } else {
        named.as_slice()
    };
    let mut met = true;
    for &size in sizes {
        let (mut hub, mut livekit) = (Sum::default(), Sum::default());
        for round in 0..ROUNDS {
            // In turn first, so that a machine that warms up or gets busy favours neither.
            if round % 2 == 0 {
                livekit.add(measure(&Server::on_loopback(), size));
                hub.add(measure(&Server::hub(), size));
            } else {
                hub.add(measure(&Server::hub(), size));
                livekit.add(measure(&Server::on_loopback(), size));
            }
        }
        met &= compare(size, &hub, &livekit);
    }
    if !met {
        std::process::exit(1);
    }
}

/// What one service did in one meeting.
struct Measured {
    /// Processor time of the service for each stream that it forwarded, per second.
    processor: Duration,
    /// What the service holds more than before, for each participant, in bytes.
    memory: f64,
    arrived: Arrived,
    /// Packets that arrived, of those that should have.
    share: f64,
}

/// All rounds.
#[derive(Default)]
struct Sum(Vec<Measured>);

impl Sum {
    fn add(&mut self, one: Measured) {
        self.0.push(one);
    }

    fn mean(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        self.0.iter().map(of).sum::<f64>() / self.0.len() as f64
    }

    fn took(&self, percent: usize) -> f64 {
        let all: Vec<_> = self
            .0
            .iter()
            .flat_map(|one| one.arrived.took.clone())
            .collect();
        percentile(&all, percent).as_secs_f64() * 1e3
    }
}

fn measure(server: &Server, size: usize) -> Measured {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, meet(server, size))
}

async fn meet(server: &Server, size: usize) -> Measured {
    let before = memory(server.process());
    let tally = Arc::new(Tally::new());
    let mut members = JoinSet::new();
    for number in 0..size {
        let token = server.token(&format!("member-{number}"), "bench");
        let member = Member::join(number, server.address(), &token, Arc::clone(&tally)).await;
        members.spawn_local(member.take_part());
    }
    let streams = 2 * size * (size - 1);
    let began = Instant::now();
    while tally.streams().values().sum::<usize>() < streams {
        assert!(
            began.elapsed() < PATIENCE,
            "of {streams} streams so many arrive at each receiver: {:?}",
            tally.streams()
        );
        take_part(&mut members, Duration::from_millis(100)).await;
    }
    tally.complete();
    take_part(&mut members, SETTLED).await;
    let (from, processor) = (Instant::now(), processor_time(server.process()));
    tally.begin();
    take_part(&mut members, MEASURED).await;
    let arrived = tally.end();
    let passed = from.elapsed().as_secs_f64();
    let processor = processor_time(server.process()) - processor;
    let held = memory(server.process());
    let sent = member::PACKETS_A_SECOND * passed * (size * (size - 1)) as f64;
    Measured {
        processor: processor.div_f64(passed * streams as f64),
        memory: (held - before) / size as f64,
        share: arrived.took.len() as f64 / sent,
        arrived,
    }
}

/// Lets everybody take part for a while.
async fn take_part(members: &mut JoinSet<()>, long: Duration) {
    let ended = timeout(long, members.join_next()).await;
    assert!(ended.is_err(), "a participant was lost: {ended:?}");
}

/// Prints how both did. Whether the targets are met.
fn compare(size: usize, hub: &Sum, livekit: &Sum) -> bool {
    println!(
        "  {size} participants, {} streams forwarded",
        2 * size * (size - 1)
    );
    let mut met = true;
    let mut row = |what: &str, unit: &str, hub: f64, livekit: f64| {
        let ratio = hub / livekit;
        met &= ratio <= 1.0;
        println!(
            "    {what:<32} hub {hub:8.3} {unit}, livekit-server {livekit:8.3} {unit}, ratio {ratio:5.2}, target <= 1.00 {}",
            if ratio <= 1.0 { "met" } else { "MISSED" }
        );
    };
    let processor = |sum: &Sum| sum.mean(|one| one.processor.as_secs_f64() * 1e3);
    row(
        "processor time per stream",
        "ms/s",
        processor(hub),
        processor(livekit),
    );
    let memory = |sum: &Sum| sum.mean(|one| one.memory) / f64::from(1 << 20);
    row(
        "memory per participant",
        "MiB ",
        memory(hub),
        memory(livekit),
    );
    row(
        "a packet takes, median",
        "ms  ",
        hub.took(50),
        livekit.took(50),
    );
    row(
        "a packet takes, 95 of 100",
        "ms  ",
        hub.took(95),
        livekit.took(95),
    );
    for (name, sum) in [("hub", hub), ("livekit-server", livekit)] {
        let share = sum.mean(|one| one.share);
        let bytes: usize = sum.0.iter().map(|one| one.arrived.bytes).sum();
        println!(
            "    at the participants of {name}: {:.1} % of the packets, {:.1} Mbit/s",
            share * 100.0,
            bytes as f64 * 8e-6 / (MEASURED.as_secs_f64() * ROUNDS as f64)
        );
        // Who forwards less has less to do.
        if share < 0.99 {
            println!("    {name} did not carry the load: the ratios above say nothing");
            met = false;
        }
    }
    met
}

/// What a process used of processors so far (proc(5), `stat`).
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// What a process holds, its share of what is shared counted in proportion (proc(5), `smaps_rollup`), in bytes.
fn memory(process: u32) -> f64 {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024.0
}
