// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tracks that are published anew while the meeting goes on: a whole call, whose frames arrive at
//! a transport on the other side.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        mpsc::{self, Receiver},
    },
    time::{Duration, Instant},
};

use gstroomseal::{
    budget::{EncodeBudget, MediaBudget},
    call::{Call, CallConfig, Command, Event},
    capture::{AUDIO, AudioSource, CaptureConfig, VIDEO, VideoSource},
    elements::SealMode,
    encoder::Encoders,
    plugins::gst_init,
    present::{PresentConfig, Speaker},
    transport::{
        LocalTrackId, RemoteOffer, Target, Transport, TransportEvent, WebRtcBin, WebRtcConfig,
    },
};
use roomseal_e2ee::{Codec, FrameContext, FrameKey, KeyIndex, Opener, Passphrase, Replay};

use crate::pair::*;

const SMALL: EncodeBudget = EncodeBudget {
    width: 320,
    height: 180,
    framerate: 15,
    bitrate: 300_000,
};

fn join() -> Command {
    Command::Join {
        ice_servers: Vec::new(),
        sif_trailer: Vec::new(),
        loopback: true,
    }
}

enum Heard {
    Call(Box<Event>),
    Peer(TransportEvent),
}

/// A call and the service that it is in: one that takes every track and passes on what comes.
struct Meeting {
    call: Call,
    peer: WebRtcBin,
    heard: Receiver<Heard>,
    /// Client ids and numbers of the tracks that the call asked to publish, in this order.
    asked: Vec<(String, LocalTrackId)>,
    codecs: Vec<Codec>,
    /// What the call said about replacements, in words.
    said: Vec<String>,
    /// Every frame: when it came, of which track, and its bytes.
    frames: Vec<(Instant, Arc<str>, Vec<u8>)>,
    /// The newest offer of the call.
    offer: String,
    /// Takes no track any more.
    deaf: bool,
}

impl Meeting {
    /// Begins with the picture in `codec`, which has to be proved for anything but VP8.
    fn begin(codec: Codec) -> Self {
        let (sender, heard) = mpsc::channel();
        let encoders = match codec {
            Codec::H264 => ["x264enc", "vp8enc"],
            Codec::Opus | Codec::Vp8 => ["vp8enc", "x264enc"],
        };
        let encoders = encoders.map(str::to_owned).to_vec();
        let budget = MediaBudget {
            vp8: SMALL,
            h264: SMALL,
            ..MediaBudget::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("encoders.json");
        gst_init().unwrap();
        Encoders::new(&encoders, Some(cache.clone()), budget).prove_all(&|| false);
        let config = CallConfig {
            capture: CaptureConfig {
                video: VideoSource::TestPattern,
                audio: AudioSource::TestTone,
                budget,
                encoders,
                encoder_cache: Some(cache),
                ..CaptureConfig::default()
            },
            present: PresentConfig {
                speaker: Speaker::None,
                ..PresentConfig::default()
            },
        };
        let to = sender.clone();
        let call = Call::start(
            config,
            Arc::new(move |event| drop(to.send(Heard::Call(Box::new(event))))),
        )
        .unwrap();
        let peer = WebRtcBin::new(
            WebRtcConfig {
                loopback: true,
                ..WebRtcConfig::default()
            },
            Arc::new(move |event| drop(sender.send(Heard::Peer(event)))),
        )
        .unwrap();
        call.command(Command::SendKey(
            KeyIndex::try_from(0).unwrap(),
            FrameKey::from_passphrase(&Passphrase::new("key")),
        ));
        call.command(Command::Send(SealMode::Seal));
        call.command(join());
        Self {
            call,
            peer,
            heard,
            asked: Vec::new(),
            codecs: Vec::new(),
            said: Vec::new(),
            frames: Vec::new(),
            offer: String::new(),
            deaf: false,
        }
    }

    /// Lets things happen until `done`.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(heard) = self.heard.recv_timeout(left) else {
                panic!(
                    "{what} did not happen: asked {:?}, said {:?}, {} frames",
                    self.asked,
                    self.said,
                    self.frames.len()
                );
            };
            match heard {
                Heard::Call(event) => self.call_said(*event),
                Heard::Peer(event) => self.peer_said(event),
            }
        }
    }

    fn call_said(&mut self, event: Event) {
        match event {
            Event::Publish { cid, track, .. } => {
                self.asked.push((cid.clone(), track.local));
                self.codecs.push(track.codec);
                if !self.deaf {
                    self.call.command(Command::Published { cid });
                }
            }
            Event::LocalOffer { sdp, id } => {
                self.peer.remote_offer(RemoteOffer {
                    mid_to_track: self.tracks_of(&sdp),
                    sdp: sdp.clone(),
                    id,
                });
                self.offer = sdp;
            }
            Event::LocalCandidate { init_json, .. } => {
                self.peer.remote_candidate(Target::Subscriber, init_json);
            }
            Event::Replaced { old, new } => {
                self.said.push(format!("{} replaces {}", new.0, old.0));
            }
            Event::Withdrawn { local } => self.said.push(format!("{} withdrawn", local.0)),
            Event::NotReplaced { codec, reason } => {
                self.said.push(format!("not {codec:?}: {reason}"));
            }
            Event::Refused(reason) => panic!("{reason}"),
            Event::Failed { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }

    fn peer_said(&mut self, event: TransportEvent) {
        match event {
            TransportEvent::LocalAnswer { sdp, id } => {
                self.call.command(Command::RemoteAnswer { sdp, id });
            }
            TransportEvent::LocalCandidate { init_json, .. } => {
                self.call.command(Command::RemoteCandidate {
                    target: Target::Publisher,
                    init_json,
                });
            }
            TransportEvent::Frame { sid, buffer } => {
                let bytes = buffer.map_readable().unwrap().to_vec();
                self.frames.push((Instant::now(), sid, bytes));
            }
            TransportEvent::Refused { reason } => panic!("{reason}"),
            _ => {}
        }
    }

    /// A service knows a section's track by its client id; here the number is its name.
    fn tracks_of(&self, sdp: &str) -> HashMap<String, String> {
        let mut tracks = HashMap::new();
        for section in sdp.split("m=").skip(1) {
            let line = |start: &str| section.lines().find_map(|line| line.strip_prefix(start));
            let (Some(mid), false) = (line("a=mid:"), section.contains("a=inactive")) else {
                continue;
            };
            let owner = self
                .asked
                .iter()
                .rfind(|(cid, _)| section.contains(&format!(" {cid}\r\n")));
            if let Some((_, local)) = owner {
                tracks.insert(mid.to_owned(), local.0.to_string());
            }
        }
        tracks
    }

    fn frames_of(&self, local: LocalTrackId) -> Vec<&(Instant, Arc<str>, Vec<u8>)> {
        let name = local.0.to_string();
        let of = self.frames.iter().filter(|(_, sid, _)| **sid == *name);
        of.collect()
    }

    fn newest(&self) -> LocalTrackId {
        self.asked.last().unwrap().1
    }

    /// Waits for the picture or sound to be published anew, and for frames of it; gives its number.
    fn republish(&mut self, codec: Codec) -> LocalTrackId {
        let (asked, said) = (self.asked.len(), self.said.len());
        self.call.command(Command::Republish { codec });
        self.until("the new track", |meeting| meeting.asked.len() > asked);
        let new = self.newest();
        self.until("its frames and the end of the old one", |meeting| {
            meeting.frames_of(new).len() >= 5 && meeting.said.len() >= said + 2
        });
        new
    }
}

/// Every frame opens with the key.
fn assert_sealed(codec: Codec, frames: &[&(Instant, Arc<str>, Vec<u8>)]) {
    let mut opener = Opener::new(codec, Replay::Window);
    let key = FrameKey::from_passphrase(&Passphrase::new("key"));
    opener.keys().set(KeyIndex::try_from(0).unwrap(), key);
    for (number, (_, sid, bytes)) in frames.iter().enumerate() {
        let context = FrameContext {
            gap: false,
            now: Duration::ZERO,
        };
        let opened = opener.open(&mut bytes.clone(), &context);
        assert!(opened.is_ok(), "frame {number} of track {sid}: {opened:?}");
    }
}

#[test]
fn the_picture_goes_over_to_another_codec_and_back_and_every_frame_stays_sealed() {
    let _alone = alone();
    for (first, other) in [(Codec::Vp8, Codec::H264), (Codec::H264, Codec::Vp8)] {
        let mut meeting = Meeting::begin(first);
        meeting.until("the first pictures", |meeting| {
            meeting.frames_of(VIDEO).len() >= 5
        });
        // Both codecs are understood from the first offer on, retransmissions included.
        for name in ["VP8/90000", "H264/90000", "apt=96", "apt=102"] {
            assert!(meeting.offer.contains(name), "{name} in {}", meeting.offer);
        }

        let new = meeting.republish(other);
        let words = [format!("{} replaces 2", new.0), "2 withdrawn".to_owned()];
        assert_eq!(meeting.said, words);
        let last = meeting.frames_of(VIDEO).last().unwrap().0;
        let next = meeting.frames_of(new)[0].0;
        assert!(next > last, "one encoder at a time");
        println!("{first:?} to {other:?}: {:?}", next.duration_since(last));
        assert!(next.duration_since(last) < Duration::from_secs(3));
        assert_sealed(first, &meeting.frames_of(VIDEO));
        assert_sealed(other, &meeting.frames_of(new));
        meeting.until("the offer without the old one", |meeting| {
            meeting.offer.matches("a=inactive").count() == 1
        });

        // Back, on the section that the first track had.
        let back = meeting.republish(first);
        assert_sealed(first, &meeting.frames_of(back));
        assert_eq!(meeting.offer.matches("m=video").count(), 2);
        let cid_of = |local| meeting.asked.iter().find(|(_, asked)| *asked == local);
        assert_eq!(cid_of(back).unwrap().0, cid_of(VIDEO).unwrap().0);
    }
}

#[test]
fn sound_and_picture_are_published_anew_with_the_codecs_they_have() {
    let _alone = alone();
    let mut meeting = Meeting::begin(Codec::Vp8);
    meeting.until("the first frames", |meeting| {
        !meeting.frames_of(VIDEO).is_empty() && !meeting.frames_of(AUDIO).is_empty()
    });
    for round in 1..=2 {
        for codec in [Codec::Opus, Codec::Vp8] {
            let new = meeting.republish(codec);
            assert_sealed(codec, &meeting.frames_of(new));
        }
        assert_eq!(meeting.said.len(), 4 * round, "{:?}", meeting.said);
    }
    // One section is free while the other serves.
    assert_eq!(meeting.offer.matches("m=video").count(), 2);
    assert_eq!(meeting.offer.matches("m=audio").count(), 2);
}

#[test]
fn a_track_that_the_service_does_not_take_is_given_up_and_the_old_one_goes_on() {
    let _alone = alone();
    let mut meeting = Meeting::begin(Codec::Vp8);
    meeting.until("the first picture", |meeting| {
        !meeting.frames_of(VIDEO).is_empty()
    });
    meeting.deaf = true;
    meeting
        .call
        .command(Command::Republish { codec: Codec::H264 });
    meeting.until("giving up", |meeting| !meeting.said.is_empty());
    assert_eq!(
        meeting.said,
        ["not H264: the meeting service did not take the new track in time"]
    );
    let before = meeting.frames_of(VIDEO).len();
    meeting.until("more of the old track", |meeting| {
        meeting.frames_of(VIDEO).len() > before
    });
    meeting.deaf = false;
    let new = meeting.republish(Codec::H264);
    assert_sealed(Codec::H264, &meeting.frames_of(new));
}

#[test]
fn what_is_asked_for_outside_of_a_meeting_is_published_at_the_next_join() {
    let _alone = alone();
    let mut meeting = Meeting::begin(Codec::Vp8);
    meeting.until("the tracks", |meeting| meeting.asked.len() == 2);
    meeting.call.command(Command::Leave);
    meeting
        .call
        .command(Command::Republish { codec: Codec::H264 });
    meeting.call.command(join());
    meeting.until("the tracks of the next join", |meeting| {
        meeting.asked.len() == 4
    });
    assert_eq!(
        meeting.codecs,
        [Codec::Opus, Codec::Vp8, Codec::Opus, Codec::H264]
    );
    assert!(meeting.said.is_empty(), "{:?}", meeting.said);
}
