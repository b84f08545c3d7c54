// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same room and the same links a second time: what a service recorded of the first meeting is worth nothing then.

use std::time::Instant;

use livekit_token::VideoGrants;
use roomseal_appliance::status::Status;
use roomseal_e2ee::Codec;
use roomseal_service::livekit::{
    Admin, Client, Config, Encryption, Plaintext, ServerUrl, Token, TokenSource, TrackSource, Trust,
};
use roomseal_tests::appliance::{Appliance, participant};
use roomseal_tests::bare::{Bare, Frame, Stream};
use roomseal_tests::livekit::Server;
use roomseal_tests::toggle::{Button, HELD, Links, small_board};

use crate::{SOON, one_at_a_time};

const ROOM: &str = "again";

/// What the service has of a meeting: all that it ever forwarded.
struct Recorded {
    metadata: Vec<String>,
    /// Messages of the protocol, in their order.
    messages: Vec<String>,
    box_streams: Vec<Stream>,
    guest_streams: Vec<Stream>,
}

fn grants() -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: ROOM.to_owned(),
        ..VideoGrants::default()
    }
}

impl Recorded {
    fn of(tap: &Bare) -> Self {
        let streams = |of: &str| -> Vec<Stream> {
            let sources = [
                (TrackSource::Microphone, Codec::Opus, 20),
                (TrackSource::Camera, Codec::Vp8, 100),
            ];
            sources
                .map(|(source, codec, interval)| Stream {
                    codec,
                    encryption: Encryption::Gcm,
                    frames: tap
                        .arrived()
                        .into_iter()
                        .filter(|(identity, of_source, _)| {
                            (identity.as_str(), *of_source) == (of, source)
                        })
                        .flat_map(|(.., arrived)| arrived)
                        .map(|arrived| arrived.frame)
                        .filter(sealed)
                        .collect(),
                    interval: std::time::Duration::from_millis(interval),
                })
                .into()
        };
        Self {
            metadata: tap.metadata(),
            messages: tap.said().into_iter().map(|(_, text)| text).collect(),
            box_streams: streams("box"),
            guest_streams: streams("guest"),
        }
    }

    /// Says everything once more, under the name that `through` has now.
    fn say_again(&self, through: &Bare) {
        for text in &self.messages {
            through.say(text);
        }
    }
}

/// The end of a sealed frame: the length of its IV, and an index of a key.
fn sealed(frame: &Frame) -> bool {
    matches!(frame.bytes[..], [.., 12, 0..16])
}

/// Asks the server as whoever runs it.
fn as_administrator<F: Future<Output = Result<(), roomseal_service::livekit::Error>>>(
    server: &Server,
    ask: impl FnOnce(Admin) -> F,
) {
    let token = server.token_with(
        "administrator",
        VideoGrants {
            room_admin: true,
            room_create: true,
            ..grants()
        },
    );
    let admin = Admin::new(&Config {
        server: ServerUrl::parse(&server.url(), Plaintext::LoopbackOnly).unwrap(),
        trust: Trust::default(),
        tokens: TokenSource::Given(Token::parse(&token).unwrap()),
        client: Client::default(),
    })
    .expect("the token administers");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ask(admin)).unwrap();
}

fn is(state: &'static str) -> impl Fn(&Status) -> Option<()> {
    move |status| (status.shield.state == state).then_some(())
}

/// Waits until so many frames of `who` did not open; none may.
fn refuses(member: &Appliance, since: Instant, who: &str, frames: u64) {
    member.wait_since(since, "old frames", SOON, |status| {
        let tracks = &participant(status, who)?.tracks;
        for track in tracks {
            assert_eq!(track.opened, 0, "{track:#?}");
        }
        let refused = |source| {
            let track = tracks.iter().find(|track| track.source == source);
            track.map_or(0, |track| track.refused)
        };
        (refused("microphone") >= frames && refused("camera") >= frames / 10).then_some(())
    });
}

#[test]
fn what_was_recorded_of_a_meeting_opens_nothing_and_lights_nothing_in_the_next() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::on_loopback();
    let links = Links::make(&folder.path().join("links"), ROOM, &[], &[]);
    let (board, panel) = (small_board(folder.path()), folder.path().join("panel"));
    let sources = ["--camera", "test", "--microphone", "test"];
    let start_host = || {
        Links::member("run", "box", &links.hosts[0])
            .board(&board)
            .with(sources)
            .with(["--panel-dir", panel.to_str().unwrap()])
            .token(server.token_with(
                "box",
                VideoGrants {
                    room_admin: true,
                    ..grants()
                },
            ))
            .join(&server, ROOM)
    };
    let start_guest = |identity| {
        Links::member("guest", identity, &links.guest)
            .board(&board)
            .with(sources)
            .join(&server, ROOM)
    };

    // The first meeting: sealed, then turned off. Somebody writes all of it down.
    let began = Instant::now();
    let hidden = VideoGrants {
        hidden: true,
        ..grants()
    };
    let tap = Bare::join(&server.url(), &server.token_with("tap", hidden), Vec::new());
    let (mut host, mut guest) = (start_host(), start_guest("guest"));
    for member in [&host, &guest] {
        member.wait_since(began, "sealed", SOON, is("sealed"));
    }
    for (source, frames) in [(TrackSource::Microphone, 250), (TrackSource::Camera, 50)] {
        for of in ["box", "guest"] {
            tap.frames_of(of, source, frames, SOON);
        }
    }
    let held = Button::of(&panel).hold();
    for member in [&host, &guest] {
        member.wait_since(held + HELD, "open", SOON, is("open"));
    }
    let recorded = Recorded::of(&tap);
    let texts = &recorded.messages;
    let of_kind = |kind: &str| texts.iter().filter(|text| text.contains(kind)).count();
    let [chains, confirms] = ["\"t\":\"chain\"", "\"t\":\"confirm\""].map(of_kind);
    let frames: usize = recorded
        .box_streams
        .iter()
        .chain(&recorded.guest_streams)
        .map(|stream| stream.frames.len())
        .sum();
    let (on, off) = {
        let mut policies = recorded
            .metadata
            .iter()
            .filter(|text| text.contains("roomseal"));
        let first = policies.next().expect("the host wrote its policy").clone();
        (
            first,
            policies.next_back().expect("and that it is off").clone(),
        )
    };
    println!("recorded: {chains} chains, {confirms} confirms, {frames} sealed frames");
    assert!(chains > 0 && confirms > 0 && frames > 500);
    assert!(guest.interrupt_cleanly() && host.interrupt_cleanly());
    drop(tap);
    as_administrator(&server, |admin| async move { admin.end_room().await });

    // The second: a guest is alone, and the service shows it the first as if the box were there.
    let mut victim = start_guest("victim");
    victim.wait_until_joined();
    let since = Instant::now();
    let old_box = Bare::join(
        &server.url(),
        &server.token("box", ROOM),
        recorded.box_streams.clone(),
    );
    for (metadata, frames) in [(&off, 150), (&on, 300), (&off, 450)] {
        let metadata = metadata.clone();
        as_administrator(&server, |admin| async move {
            admin.update_metadata(metadata).await
        });
        recorded.say_again(&old_box);
        refuses(&victim, since, "box", frames);
    }
    for (_, status) in victim.statuses() {
        assert_eq!(status.policy, None);
        assert!(
            ["connecting", "dark"].contains(&status.shield.state.as_str()),
            "{:?}",
            status.shield
        );
        for track in &status.local_tracks {
            assert_eq!((track.sealed, track.clear), (0, 0), "{track:?}");
        }
    }
    drop(old_box);

    // The host comes. It begins anew; the recordings go on under the name of a guest of the first meeting.
    let met = Instant::now();
    let mut host = start_host();
    for member in [&host, &victim] {
        member.wait_since(met, "sealed", SOON, is("sealed"));
        assert_eq!(member.status().policy.map(|policy| policy.epoch), Some(1));
    }
    let since = Instant::now();
    let old_guest = Bare::join(
        &server.url(),
        &server.token("guest", ROOM),
        recorded.guest_streams.clone(),
    );
    for (metadata, frames) in [(&off, 150), (&on, 300)] {
        let metadata = metadata.clone();
        as_administrator(&server, |admin| async move {
            admin.update_metadata(metadata).await
        });
        recorded.say_again(&old_guest);
        for member in [&host, &victim] {
            refuses(member, since, "guest", frames);
        }
    }
    for member in [&host, &victim] {
        let what = "word about frames of nobody";
        member.wait_since(since, what, SOON, is("unsealed-peer"));
        for (_, status) in member.statuses() {
            let policy = status.policy.map(|policy| (policy.epoch, policy.e2ee));
            assert!(policy.is_none_or(|policy| policy == (1, "on".to_owned())));
            assert_ne!(status.shield.state, "open");
            for track in &status.local_tracks {
                assert_eq!(track.clear, 0, "{}: {track:?}", member.identity());
            }
        }
    }
    drop(old_guest);
    let alone = Instant::now();
    for member in [&host, &victim] {
        member.wait_since(alone, "sealed again", SOON, is("sealed"));
    }
    assert!(victim.interrupt_cleanly() && host.interrupt_cleanly());
}
