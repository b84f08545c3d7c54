// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody in a Roomseal meeting whose client knows LiveKit and nothing of Roomseal: the official JavaScript client, as
//! shipped, in a real browser, without encryption.

use std::time::{Duration, Instant};

use roomseal_tests::appliance::Appliance;
use roomseal_tests::browser::{Browser, Window};
use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::toggle::Button;

use crate::roomseal::{new_meeting, start, wait_for_shield};
use crate::{SOON, one_at_a_time, talking_clip};

/// Joins, and counts what it can decode of the box.
const JOIN: &str = r"(async () => {
  const room = new LivekitClient.Room();
  window.seen = { tracks: [], trouble: [] };
  room.on('encryptionError', (error) => seen.trouble.push(String(error)));
  room.on('trackSubscriptionFailed', (sid, who, why) => seen.trouble.push(`${sid}: ${why}`));
  room.on('trackSubscribed', async (track, publication, participant) => {
    if (participant.identity !== 'box') return;
    seen.tracks.push(`${publication.source} encrypted=${publication.isEncrypted}`);
    const element = track.attach();
    document.body.append(element);
    if (track.kind === 'video') {
      window.picture = element;
      return;
    }
    window.sound = track;
  });
  await room.connect(URL_OF_SERVER, TOKEN);
})()";

/// What it has decoded so far: pictures, and the energy of the sound.
const COUNT: &str = r"(async () => {
  const energy = async () => {
    const report = await window.sound?.getRTCStatsReport();
    for (const one of report?.values() ?? []) if (one.type === 'inbound-rtp') return one.totalAudioEnergy ?? 0;
    return 0;
  };
  return [window.picture?.getVideoPlaybackQuality().totalVideoFrames ?? 0, await energy()];
})()";

fn decoded(browser: &mut Browser) -> (u64, f64) {
    let seen = browser.run(COUNT);
    (
        seen[0].as_u64().unwrap_or_default(),
        seen[1].as_f64().unwrap_or_default(),
    )
}

/// Waits until it has decoded some more pictures and sound.
fn plays(browser: &mut Browser, phase: &str) {
    let (pictures, energy) = decoded(browser);
    let began = Instant::now();
    loop {
        let now = decoded(browser);
        if now.0 > pictures + 25 && now.1 > energy + 1e-5 {
            println!(
                "{phase}: 25 pictures more in {} ms",
                began.elapsed().as_millis()
            );
            return;
        }
        if began.elapsed() > SOON {
            panic!("{phase}: {now:?}, {}", browser.run("JSON.stringify(seen)"));
        }
        // The page counts when asked; a few times a second is soon enough.
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_browser_without_encryption_plays_what_is_clear_of_a_track_declared_sealed() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::on_loopback();
    let links = folder.path().join("meeting");
    let (host_link, guest_link) = new_meeting(&links, "stranger", &["--announce-off"]);
    let panel = folder.path().join("panel");
    let host = start("run", "box", &host_link)
        .playing(&clip)
        .with(["--panel-dir", panel.to_str().unwrap()])
        .join(&server, "stranger");
    let guest = start("guest", "guest", &guest_link).join(&server, "stranger");
    let began = Instant::now();
    for member in [&host, &guest] {
        wait_for_shield(member, began, "open");
    }

    let mut browser = Browser::start();
    // A page of the server itself: from anywhere else a browser asks before it lets a page talk to this machine.
    let page = server.url().replacen("ws", "http", 1);
    browser.open(&page, Window::Desktop, "light");
    browser.load(&places::provided(
        "node/node_modules/livekit-client/dist/livekit-client.umd.js",
    ));
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let join = JOIN
        .replace("URL_OF_SERVER", &quoted(&server.url()))
        .replace("TOKEN", &quoted(&server.token("browser", "stranger")));
    browser.run(&join);
    plays(&mut browser, "off");
    let tracks = browser.run("seen.tracks.toSorted().join()");
    assert_eq!(tracks, "camera encrypted=true,microphone encrypted=true");

    // Sealed, it shows nothing; its decoder may still finish what was on the way.
    let button = Button::of(&panel);
    let pressed = button.press();
    for member in [&host, &guest] {
        wait_for_shield(member, pressed, "sealed");
    }
    let sealed_so_far = |member: &Appliance| -> u64 {
        let tracks = member.status().local_tracks;
        tracks.iter().map(|track| track.sealed).sum()
    };
    let (before, sealed) = (decoded(&mut browser), sealed_so_far(&host));
    host.wait_for("two seconds of sealed frames", SOON, |status| {
        let now: u64 = status.local_tracks.iter().map(|track| track.sealed).sum();
        (now > sealed + 150).then_some(())
    });
    let after = decoded(&mut browser);
    println!(
        "on: {} pictures while 150 frames were sealed",
        after.0 - before.0
    );
    assert!(after.0 - before.0 <= 2, "{before:?} {after:?}");

    let held = button.hold();
    for member in [&host, &guest] {
        wait_for_shield(member, held, "open");
    }
    plays(&mut browser, "off again");
    let tracks = browser.run("seen.tracks.length");
    assert_eq!(tracks, 2, "nothing was published anew");
    // All that it does about the declaration is to tell its application, once for each track.
    let trouble = browser.run("seen.trouble");
    let trouble: Vec<String> = serde_json::from_value(trouble).unwrap();
    let told = |text: &&String| text.contains("room does not have encryption enabled");
    assert_eq!(
        (trouble.len(), trouble.iter().filter(told).count()),
        (2, 2),
        "{trouble:?}"
    );
    browser.close();
}
