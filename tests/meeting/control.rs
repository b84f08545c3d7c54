// SPDX-License-Identifier: MIT OR Apache-2.0
//! The yardstick itself: what two official SDKs see of each other, by the same server, clips and measures that judge the
//! box. If these fail, the other tests of this binary say nothing.

use std::time::Duration;

use roomseal_e2ee::Codec;
use roomseal_tests::footage;
use roomseal_tests::livekit::Server;
use roomseal_tests::sdk::{Peer, Picture, Published};

const WIDTH: usize = 640;
const HEIGHT: usize = 272;

#[test]
fn two_official_sdks_with_one_passphrase_see_the_clip_and_hear_the_words() {
    let _turn = crate::one_at_a_time();
    let [folder, strangers] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let clip = footage::clip("bikes.mp4");
    let speech = footage::speech();
    let (picture, sound) = (
        folder.path().join("clip.i420"),
        folder.path().join("speech.s16"),
    );
    std::fs::write(&picture, footage::raw_frames(&clip, WIDTH, HEIGHT)).unwrap();
    std::fs::write(&sound, footage::bytes_of(&speech)).unwrap();

    let server = Server::on_loopback();
    let published = Published {
        picture: Some(Picture {
            file: &picture,
            width: WIDTH,
            height: HEIGHT,
            rate: 15,
            codec: Codec::Vp8,
        }),
        sound: Some(&sound),
    };
    let sender = Peer::join(
        &server.url(),
        &server.token("sender", "control"),
        Some("one key"),
        published,
        folder.path(),
    );
    let receiver = Peer::join(
        &server.url(),
        &server.token("receiver", "control"),
        Some("one key"),
        Published::NOTHING,
        folder.path(),
    );
    let stranger = Peer::join(
        &server.url(),
        &server.token("stranger", "control"),
        Some("another"),
        Published::NOTHING,
        strangers.path(),
    );
    receiver.wait_for("first_picture", Duration::from_secs(15), |e| {
        e["identity"] == "sender"
    });
    receiver.wait_for("first_sound", Duration::from_secs(15), |e| {
        e["identity"] == "sender"
    });
    stranger.wait_for("e2ee", Duration::from_secs(15), |e| {
        e["state"] == "DECRYPTION_FAILED"
    });
    // Six seconds of meeting: enough speech for the comparison.
    std::thread::sleep(Duration::from_secs(6));
    let (seen, not_seen) = (receiver.leave(), stranger.leave());
    drop(sender);

    let frames = seen["sender"]["video"]["frames"].as_u64().unwrap();
    assert!(frames > 45, "{frames} frames in six seconds at 15/s");
    assert_eq!(
        not_seen["sender"]["video"]["frames"].as_u64().unwrap_or(0),
        0
    );

    let heard = footage::samples_of(&std::fs::read(folder.path().join("sender.s16")).unwrap());
    let found = footage::find_sound(&heard, &speech, 2);
    println!(
        "sound: correlation {:.3}, {:.2} s into the source",
        found.correlation, found.lag
    );
    assert!(found.correlation > 0.8);
}
