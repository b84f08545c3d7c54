// SPDX-License-Identifier: MIT OR Apache-2.0
//! A receiver on a slow link gets less, and nobody else does.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::camera::{Camera, Mark, STEP};
use crate::world::{Got, Net, World};

/// How long a receiver waits for a packet before it asks for a key frame instead.
const WAITS: Duration = Duration::from_millis(300);

/// Who watches, and asks for a key frame where packets stay away.
struct Watcher {
    who: usize,
    seen: usize,
    missing: BTreeSet<u64>,
    highest: Option<u64>,
    asked: Duration,
}

impl Watcher {
    fn new(who: usize) -> Self {
        Self {
            who,
            seen: 0,
            missing: BTreeSet::new(),
            highest: None,
            asked: Duration::ZERO,
        }
    }

    fn watch(&mut self, world: &mut World) {
        let got = &world.client(self.who).got;
        let mut ssrc = None;
        for got in &got[self.seen..] {
            let Some(mark) = Mark::of(got) else {
                continue;
            };
            ssrc = Some(got.ssrc);
            if let Some(highest) = self.highest {
                self.missing.extend(highest + 1..got.number);
            }
            self.missing.remove(&got.number);
            if mark.is_key {
                // What is missing before it, is no longer needed.
                self.missing = self.missing.split_off(&got.number);
            }
            self.highest = self.highest.max(Some(got.number));
        }
        self.seen = got.len();
        let now = world.now();
        if let Some(ssrc) = ssrc
            && !self.missing.is_empty()
            && now > self.asked + WAITS
        {
            self.asked = now;
            world.ask(self.who, ssrc);
        }
        // What is older than half a second or so is given up.
        let highest = self.highest.unwrap_or(0);
        self.missing.retain(|number| number + 100 > highest);
    }
}

fn run(world: &mut World, camera: &mut Camera, watchers: &mut [Watcher], time: Duration) {
    let until = world.now() + time;
    while world.now() < until {
        camera.shoot(world);
        for watcher in &mut *watchers {
            watcher.watch(world);
        }
        world.pass(STEP);
    }
}

/// Lets it run until two seconds went as they should; by when that was.
fn runs_well(
    world: &mut World,
    camera: &mut Camera,
    watchers: &mut [Watcher],
    who: usize,
    as_it_should: impl Fn(&[Mark]) -> bool,
) -> Duration {
    let begin = world.now();
    while world.now() < begin + seconds(15) {
        let from = world.now();
        world.net(who).count_anew();
        run(world, camera, watchers, seconds(2));
        let is_bounded = world.net(who).longest < Duration::from_millis(280);
        let got = since(world, who, from);
        let is_whole = is_without_gaps(&numbers(got));
        let is_right = as_it_should(&marks(got));
        if is_bounded && is_whole && is_right && world.net(who).lost_part() < 0.02 {
            return world.now() - begin;
        }
    }
    panic!("not within 15 s");
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn marks(got: &[Got]) -> Vec<Mark> {
    got.iter().filter_map(Mark::of).collect()
}

/// The numbers of packets with pictures, in the order of their coming.
fn numbers(got: &[Got]) -> Vec<u64> {
    let pictures = got.iter().filter(|got| Mark::of(got).is_some());
    pictures.map(|got| got.number).collect()
}

fn since(world: &World, who: usize, from: Duration) -> &[Got] {
    let got = &world.client(who).got;
    let first = got.partition_point(|got| got.at < from);
    &got[first..]
}

/// What a receiver got from `from` on, as the layers of it.
fn layers(world: &World, who: usize, from: Duration) -> BTreeSet<u8> {
    let marks = marks(since(world, who, from));
    marks.iter().map(|mark| mark.layer).collect()
}

fn is_without_gaps(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[1] == pair[0] + 1)
}

/// One who films in layers and two who watch, and a third on a link of so many bits per second; what was asked of who
/// films.
fn meeting(rate: Option<u64>) -> usize {
    let mut world = World::new();
    let mut camera = Camera::in_layers(&mut world, "ann");
    let [bob, cem, dan] = ["bob", "cem", "dan"].map(|name| world.join(name));
    world.pass(seconds(2));
    if let Some(rate) = rate {
        *world.net(dan) = Net::slow(rate);
    }
    let mut watchers = [bob, cem, dan].map(Watcher::new);
    run(&mut world, &mut camera, &mut watchers, seconds(2));
    let fast = [bob, cem].map(|who| world.client(who).got.len());
    let sent = camera.sent(2);
    let layer = if rate.is_some() { 0 } else { 2 };
    let is_right = |marks: &[Mark]| marks.len() > 40 && marks.iter().all(|it| it.layer == layer);
    let took = runs_well(&mut world, &mut camera, &mut watchers, dan, is_right);
    assert!(took <= seconds(8), "{took:?}");
    let settled = world.now();
    world.net(dan).count_anew();
    run(&mut world, &mut camera, &mut watchers, seconds(20) - took);
    // It is tried now and then whether more gets through.
    let marks_since = marks(since(&world, dan, settled));
    let right = marks_since.iter().filter(|it| it.layer == layer).count();
    assert!(right * 10 > marks_since.len() * 6);
    assert!(world.net(dan).lost_part() < 0.1);
    world.pass(seconds(1));
    for (who, before) in [bob, cem].into_iter().zip(fast) {
        let got = &world.client(who).got[before..];
        let marks = marks(got);
        assert!(marks.iter().all(|mark| mark.layer == 2));
        assert_eq!(
            marks.len(),
            camera.sent(2) - sent,
            "every packet of the large layer"
        );
        assert!(is_without_gaps(&numbers(got)));
    }
    camera.asked
}

#[test]
fn a_slow_receiver_gets_the_small_layer_and_the_others_every_packet_of_the_large_one() {
    let without = meeting(None);
    let with = meeting(Some(300_000));
    assert!(
        with <= without + 14,
        "{with} key frames asked for, else {without}"
    );
}

/// One who films, and one who watches over this network from the first picture on.
fn pair(camera: impl FnOnce(&mut World) -> Camera, net: Net) -> (World, Camera, [Watcher; 1]) {
    let mut world = World::new();
    let camera = camera(&mut world);
    let bob = world.join("bob");
    world.pass(seconds(2));
    *world.net(bob) = net;
    (world, camera, [Watcher::new(bob)])
}

#[test]
fn a_link_that_recovers_carries_the_large_layer_again() {
    let film = |world: &mut World| Camera::in_layers(world, "ann");
    let (mut world, mut camera, mut bob) = pair(film, Net::slow(300_000));
    let who = bob[0].who;
    run(&mut world, &mut camera, &mut bob, seconds(12));
    world.net(who).rate = Some(5_000_000);
    run(&mut world, &mut camera, &mut bob, seconds(22));
    let recovered = world.now();
    let asked = camera.asked;
    run(&mut world, &mut camera, &mut bob, seconds(60));
    assert_eq!(layers(&world, who, recovered), BTreeSet::from([2]));
    assert!(is_without_gaps(&numbers(since(&world, who, recovered))));
    assert_eq!(camera.asked, asked);
}

#[test]
fn one_layer_on_a_slow_link_loses_frames_from_the_top_and_numbers_without_gaps() {
    let film = |world: &mut World| Camera::alone(world, "ann", 600_000, true);
    let (mut world, mut camera, mut bob) = pair(film, Net::slow(260_000));
    let who = bob[0].who;
    let is_base = |marks: &[Mark]| marks.len() >= 24 && marks.iter().all(|mark| mark.temporal == 0);
    runs_well(&mut world, &mut camera, &mut bob, who, is_base);
    let got = since(&world, who, world.now() - seconds(2));
    // The numbers of the pictures are as close together.
    let pictures: Vec<u16> = got
        .iter()
        .filter(|got| Mark::of(got).is_some())
        .map(|got| u16::from_be_bytes([got.payload[2], got.payload[3]]))
        .collect();
    assert!(
        pictures
            .windows(2)
            .all(|pair| pair[1].wrapping_sub(pair[0]) <= 1)
    );
    // When the link carries it, everything goes again.
    world.net(who).rate = Some(5_000_000);
    run(&mut world, &mut camera, &mut bob, seconds(25));
    let recovered = world.now();
    run(&mut world, &mut camera, &mut bob, seconds(4));
    let temporal: Vec<u8> = marks(since(&world, who, recovered))
        .iter()
        .map(|mark| mark.temporal)
        .collect();
    assert!(temporal.contains(&1) && temporal.contains(&2));
    assert!(is_without_gaps(&numbers(since(&world, who, recovered))));
}

#[test]
fn one_layer_without_any_to_leave_out_goes_on_as_key_frames() {
    let film = |world: &mut World| Camera::alone(world, "ann", 1_500_000, false);
    let (mut world, mut camera, mut bob) = pair(film, Net::slow(200_000));
    let who = bob[0].who;
    run(&mut world, &mut camera, &mut bob, seconds(8));
    let settled = world.now();
    let asked = camera.asked;
    world.net(who).count_anew();
    run(&mut world, &mut camera, &mut bob, seconds(8));
    let got = since(&world, who, settled);
    let keys = marks(got).iter().filter(|mark| mark.is_key).count();
    assert!(keys >= 20, "{keys} packets of key frames");
    assert!(camera.asked - asked <= 4);
    assert!(world.net(who).lost_part() < 0.3);
    world.net(who).rate = Some(5_000_000);
    run(&mut world, &mut camera, &mut bob, seconds(25));
    let recovered = world.now();
    let sent = camera.sent(0);
    run(&mut world, &mut camera, &mut bob, seconds(4));
    let got = since(&world, who, recovered);
    assert_eq!(marks(got).len(), camera.sent(0) - sent);
    assert!(is_without_gaps(&numbers(got)));
}

#[test]
fn a_radio_that_loses_packets_at_any_rate_starves_nobody() {
    for loss in [0.05, 0.1] {
        let net = Net {
            loss,
            delay: Duration::from_millis(15),
            ..Net::default()
        };
        let film = |world: &mut World| Camera::in_layers(world, "ann");
        let (mut world, mut camera, mut bob) = pair(film, net);
        let who = bob[0].who;
        run(&mut world, &mut camera, &mut bob, seconds(20));
        let layers = layers(&world, who, seconds(4));
        assert!(!layers.contains(&0), "{layers:?} at {loss}");
    }
    // Even much loss that does not come from what is sent takes the only layer away for a moment at most.
    let net = Net {
        loss: 0.22,
        ..Net::default()
    };
    let film = |world: &mut World| Camera::alone(world, "ann", 1_500_000, false);
    let (mut world, mut camera, mut bob) = pair(film, net);
    let who = bob[0].who;
    run(&mut world, &mut camera, &mut bob, seconds(20));
    let sent = camera.sent(0);
    let from = world.now();
    run(&mut world, &mut camera, &mut bob, seconds(10));
    let got = marks(since(&world, who, from)).len();
    assert!(got * 10 > (camera.sent(0) - sent) * 6);
}

#[test]
fn who_tells_nothing_of_its_packets_is_sent_everything() {
    let mut world = World::new();
    let mut camera = Camera::alone(&mut world, "ann", 1_500_000, false);
    world.silent = true;
    let bob = world.join("bob");
    world.pass(seconds(2));
    *world.net(bob) = Net::slow(300_000);
    run(&mut world, &mut camera, &mut [], seconds(10));
    // What the link itself does not lose.
    assert!(world.net(bob).came - camera.sounds() as usize >= camera.sent(0));
}

#[test]
fn a_single_layer_to_fast_receivers_is_never_cut() {
    let film = |world: &mut World| Camera::alone(world, "ann", 1_500_000, false);
    let net = Net {
        rate: Some(20_000_000),
        queue: Duration::from_millis(50),
        delay: Duration::from_millis(20),
        ..Net::default()
    };
    let (mut world, mut camera, mut bob) = pair(film, net);
    let who = bob[0].who;
    run(&mut world, &mut camera, &mut bob, seconds(30));
    world.pass(seconds(1));
    assert_eq!(marks(&world.client(who).got).len(), camera.sent(0));
    assert!(is_without_gaps(&numbers(&world.client(who).got)));
}

#[test]
fn who_tells_nonsense_of_its_packets_harms_nobody_else() {
    let mut world = World::new();
    let mut camera = Camera::in_layers(&mut world, "ann");
    let [bob, eve] = ["bob", "eve"].map(|name| world.join(name));
    world.pass(seconds(2));
    let mut watchers = [bob, eve].map(Watcher::new);
    run(&mut world, &mut camera, &mut watchers, seconds(2));
    let (before, sent, asked) = (world.client(bob).got.len(), camera.sent(2), camera.asked);
    for round in 0..20_u64 {
        // All is lost, nothing is; all is late, and then comes at once.
        world.net(eve).loss = [0.0, 1.0, 0.5, 0.0][round as usize % 4];
        world.net(eve).delay = Duration::from_millis([0, 900, 10, 400][round as usize / 2 % 4]);
        run(&mut world, &mut camera, &mut watchers, seconds(1));
    }
    world.pass(seconds(1));
    let got = &world.client(bob).got[before..];
    assert_eq!(marks(got).len(), camera.sent(2) - sent);
    assert!(is_without_gaps(&numbers(got)));
    assert!(!world.is_put_out(eve));
    assert!(camera.asked - asked <= 24, "{}", camera.asked - asked);
}
