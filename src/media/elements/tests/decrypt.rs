// SPDX-License-Identifier: MIT OR Apache-2.0

use gst::prelude::*;
use gst_check::Harness;
use roomseal_e2ee::{Codec, IvSource, KeyRing, Replay, Sealer, Verdict};

use super::{
    OPUS, VP8, buffer, bytes, decryptor, events, index, init, key, key_units_asked, noise, posted,
    time, vp8_bytes,
};
use crate::elements::{DecryptCounters, FrameDecrypt, OpenMode, TrackVerdict};

/// Makes sealed frames, independently of `frameencrypt`.
struct Sender {
    codec: Codec,
    sealer: Sealer,
}

impl Sender {
    fn new(codec: Codec, slot: u8, number: u8) -> Self {
        let mut sealer = Sealer::new(codec, IvSource::new([slot + number + 1; 12]));
        sealer.set_key(index(slot), key(number));
        Self { codec, sealer }
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; Sealer::max_sealed_len(self.codec, plain.len())];
        let length = self.sealer.seal(plain, &mut sealed).unwrap();
        sealed.truncate(length);
        sealed
    }

    fn vp8(&mut self, number: u64, delta: bool) -> gst::Buffer {
        buffer(self.seal(&vp8_bytes(number, delta)), number, delta)
    }

    fn opus(&mut self, number: u64) -> gst::Buffer {
        buffer(self.seal(&opus_bytes(number)), number, false)
    }
}

fn opus_bytes(number: u64) -> Vec<u8> {
    let mut bytes = noise(80, number + 1);
    // Nothing here looks sealed by chance.
    bytes.push(0);
    bytes
}

fn after_a_gap(mut frame: gst::Buffer) -> gst::Buffer {
    frame.make_mut().set_flags(gst::BufferFlags::DISCONT);
    frame
}

#[test]
fn a_sealed_frame_comes_out_as_it_was_with_all_that_belongs_to_it() {
    let (element, mut harness, bus) = decryptor(VP8);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Vp8, 0, 1);
    for number in 0..3 {
        let mut sealed = sender.vp8(number, number > 0);
        gst_audio::AudioLevelMeta::add(sealed.get_mut().unwrap(), 42, true);
        let plain = harness.push_and_pull(sealed).unwrap();
        assert_eq!(bytes(&plain), vp8_bytes(number, number > 0));
        assert_eq!(plain.pts(), Some(time(number)));
        assert_eq!(plain.duration(), Some(time(1)));
        assert!(plain.meta::<gst_audio::AudioLevelMeta>().is_some());
        assert_eq!(
            plain.flags().contains(gst::BufferFlags::DELTA_UNIT),
            number > 0
        );
    }
    assert_eq!(element.counters().frames.opened, 3);
    assert_eq!(element.verdict(), Some(TrackVerdict::Opened));
    assert_eq!(posted(&bus, "verdict"), ["opened"]);
}

#[test]
fn without_a_key_nothing_passes_and_a_key_set_later_opens() {
    let (element, mut harness, bus) = decryptor(OPUS);
    let mut sender = Sender::new(Codec::Opus, 4, 1);
    harness.push(sender.opus(0)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().frames.no_key, 1);

    let mut keys = KeyRing::new();
    keys.set(index(4), key(1));
    element.set_keys(keys);
    let plain = harness.push_and_pull(sender.opus(1)).unwrap();
    assert_eq!(bytes(&plain), opus_bytes(1));
    assert!(plain.flags().contains(gst::BufferFlags::DISCONT));

    element.remove_key(index(4));
    harness.push(sender.opus(2)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(posted(&bus, "verdict")[..2], ["no-key", "opened"]);
}

#[test]
fn a_wrong_key_is_called_so_after_three_frames_and_altered_if_the_peer_has_it() {
    for (confirmed, verdict) in [(false, Verdict::OtherKey), (true, Verdict::Altered)] {
        let (element, mut harness, bus) = decryptor(OPUS);
        element.set_key(index(0), key(2));
        element.set_peer_confirmed(confirmed);
        let mut sender = Sender::new(Codec::Opus, 0, 1);
        for number in 0..5 {
            harness.push(sender.opus(number)).unwrap();
        }
        assert!(harness.try_pull().is_none());
        let counters = element.counters().frames;
        assert_eq!(counters.unverified, 2);
        assert_eq!(counters.other_key + counters.altered, 3);
        assert_eq!(element.verdict(), Some(TrackVerdict::Refused(verdict)));
        let name = TrackVerdict::Refused(verdict).name();
        assert_eq!(posted(&bus, "verdict"), ["unverified", name]);
        let stats = element.property::<gst::Structure>("stats");
        assert_eq!(stats.get::<u64>(name), Ok(3));
    }
}

#[test]
fn failures_behind_a_gap_are_loss_and_a_key_frame_is_asked_for_once() {
    let (element, mut harness, _bus) = decryptor(VP8);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Vp8, 0, 1);
    harness.push_and_pull(sender.vp8(0, false)).unwrap();
    assert_eq!(key_units_asked(&mut harness), 0);
    for number in 1..6 {
        let mut broken = sender.seal(&vp8_bytes(number, true));
        broken.truncate(100);
        broken.extend([0; 14]);
        broken.extend([12, 0]);
        let broken = buffer(broken, number, true);
        harness.push(after_a_gap(broken)).unwrap();
    }
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().frames.loss, 5);
    assert_eq!(key_units_asked(&mut harness), 1, "twice a second at most");
}

#[test]
fn after_a_failure_delta_frames_are_withheld_until_a_key_frame_opens() {
    let (element, mut harness, _bus) = decryptor(VP8);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Vp8, 0, 1);
    let mut stranger = Sender::new(Codec::Vp8, 0, 9);
    harness.push_and_pull(sender.vp8(0, false)).unwrap();
    harness.push(stranger.vp8(1, true)).unwrap();
    harness.push(sender.vp8(2, true)).unwrap();
    harness.push(sender.vp8(3, true)).unwrap();
    assert!(harness.try_pull().is_none());
    let counters = element.counters();
    assert_eq!(counters.withheld, 2);
    assert_eq!(counters.frames.opened, 3, "they did open");
    assert_eq!(key_units_asked(&mut harness), 1);

    let plain = harness.push_and_pull(sender.vp8(4, false)).unwrap();
    assert!(plain.flags().contains(gst::BufferFlags::DISCONT));
    let plain = harness.push_and_pull(sender.vp8(5, true)).unwrap();
    assert!(!plain.flags().contains(gst::BufferFlags::DISCONT));
}

#[test]
fn a_stream_joined_in_the_middle_begins_with_a_key_frame() {
    let (element, mut harness, _bus) = decryptor(VP8);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Vp8, 0, 1);
    harness.push(sender.vp8(0, true)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(key_units_asked(&mut harness), 1);
    harness.push_and_pull(sender.vp8(1, false)).unwrap();
    // A whole frame was lost: the decoder copes, but a key frame mends the picture. Not asked for
    // again within half a second.
    harness
        .push_and_pull(after_a_gap(sender.vp8(2, true)))
        .unwrap();
    assert_eq!(key_units_asked(&mut harness), 0);
}

#[test]
fn clear_frames_pass_only_where_they_may() {
    let (element, mut harness, bus) = decryptor(OPUS);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Opus, 0, 1);
    let clear = |number| buffer(opus_bytes(number), number, false);

    harness.push(clear(0)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().frames.clear, 1);

    element.set_mode(OpenMode::AllowClear);
    let out = harness.push_and_pull(clear(1)).unwrap();
    assert_eq!(bytes(&out), opus_bytes(1));
    let out = harness.push_and_pull(sender.opus(2)).unwrap();
    assert_eq!(bytes(&out), opus_bytes(2));
    let out = harness.push_and_pull(clear(3)).unwrap();
    assert_eq!(bytes(&out), opus_bytes(3));

    element.set_mode(OpenMode::Grace);
    harness.push_and_pull(clear(4)).unwrap();
    harness.push_and_pull(sender.opus(5)).unwrap();
    assert_eq!(element.mode(), OpenMode::Require);
    harness.push(clear(6)).unwrap();
    assert!(harness.try_pull().is_none());

    element.set_mode(OpenMode::Hold);
    harness.push(sender.opus(7)).unwrap();
    harness.push(clear(8)).unwrap();
    assert!(harness.try_pull().is_none());
    let counters = element.counters();
    assert_eq!(counters.held, 2);
    assert_eq!(counters.passed_clear, 3);
    assert_eq!(counters.frames.opened, 2);
    assert_eq!(
        posted(&bus, "verdict"),
        ["clear", "passed-clear", "opened", "held"]
    );
}

#[test]
fn one_clear_frame_that_looks_sealed_passes_among_clear_ones_and_two_do_not() {
    let (element, mut harness, _bus) = decryptor(OPUS);
    element.set_mode(OpenMode::AllowClear);
    let mut lookalike = opus_bytes(1);
    lookalike.extend([12, 7]);
    let frame = |bytes: &[u8]| buffer(bytes.to_vec(), 1, false);

    harness.push(frame(&lookalike)).unwrap();
    assert!(harness.try_pull().is_none(), "nothing clear came before");
    harness.push_and_pull(frame(&opus_bytes(2))).unwrap();
    let out = harness.push_and_pull(frame(&lookalike)).unwrap();
    assert_eq!(bytes(&out), lookalike);
    harness.push(frame(&lookalike)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().passed_clear, 2);
}

#[test]
fn a_stream_that_ends_without_one_frame_opened_ends_with_a_warning() {
    for slot in [0, 3] {
        let (element, mut harness, bus) = decryptor(OPUS);
        element.set_key(index(0), key(1));
        harness
            .push(Sender::new(Codec::Opus, slot, 1).opus(0))
            .unwrap();
        harness.push_event(gst::event::Eos::new());
        let warning = bus.pop_filtered(&[gst::MessageType::Warning]);
        assert_eq!(warning.is_some(), slot == 3, "{warning:?}");
    }
}

#[test]
fn frames_that_the_server_made_pass_in_no_mode() {
    for mode in [OpenMode::Require, OpenMode::Grace, OpenMode::AllowClear] {
        let (element, mut harness, _bus) = decryptor(OPUS);
        element.set_sif_trailer(b"0123456789abcdef".to_vec());
        element.set_mode(mode);
        let mut injected = vec![0xF8, 0xFF, 0xFE];
        injected.extend(b"0123456789abcdef");
        harness.push(buffer(injected, 0, false)).unwrap();
        assert!(harness.try_pull().is_none());
        assert_eq!(element.counters().frames.server_injected, 1);
    }
}

#[test]
fn a_frame_opens_once() {
    let (element, mut harness, _bus) = decryptor(OPUS);
    element.set_key(index(0), key(1));
    let frame = Sender::new(Codec::Opus, 0, 1).opus(0);
    harness.push_and_pull(frame.copy_deep().unwrap()).unwrap();
    harness.push(frame.copy_deep().unwrap()).unwrap();
    assert!(harness.try_pull().is_none());

    // Neither a change of codec nor a restart makes it forget.
    harness.set_src_caps_str(VP8);
    harness.set_src_caps_str(OPUS);
    harness.push(frame.copy_deep().unwrap()).unwrap();
    assert!(harness.try_pull().is_none());
    element.set_state(gst::State::Ready).unwrap();
    element.set_state(gst::State::Playing).unwrap();
    harness.set_src_caps_str(OPUS);
    harness.push(frame).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().frames.replayed, 3);
}

#[test]
fn how_replays_are_told_can_be_said_before_the_stream_begins() {
    for (replay, bounded) in [(Replay::Window, false), (Replay::RandomIvs, true)] {
        init();
        let element = FrameDecrypt::new();
        element.set_replay(replay);
        assert_eq!(element.replay_is_bounded(), None);
        let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
        harness.set_src_caps_str(OPUS);
        assert_eq!(element.replay_is_bounded(), Some(bounded));
    }
}

#[test]
fn broken_frames_of_every_length_are_refused() {
    for caps in [VP8, OPUS, super::H264] {
        let (element, mut harness, _bus) = decryptor(caps);
        element.set_key(index(0), key(1));
        let mut pushed = 0;
        for length in (1..64).chain([1 << 16, 1 << 20]) {
            for tail in [&[12, 0][..], &[], &[0, 0, 3]] {
                let mut frame = noise(length, length as u64);
                frame.extend(tail);
                harness.push(buffer(frame, 0, false)).unwrap();
                pushed += 1;
            }
        }
        assert!(harness.try_pull().is_none());
        assert_eq!(element.counters().frames.refused(), pushed);
    }
}

#[test]
fn an_own_frame_is_opened_without_copying_and_a_shared_one_stays_as_it_was() {
    let (element, mut harness, _bus) = decryptor(OPUS);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Opus, 0, 1);
    let own = sender.opus(0);
    let address = own.map_readable().unwrap().as_ptr();
    let out = harness.push_and_pull(own).unwrap();
    assert_eq!(out.map_readable().unwrap().as_ptr(), address);

    let shared = sender.opus(1);
    let before = bytes(&shared);
    let out = harness.push_and_pull(shared.clone()).unwrap();
    assert_eq!(bytes(&out), opus_bytes(1));
    assert_eq!(bytes(&shared), before);
}

#[test]
fn lists_gaps_flushes_and_the_end_pass() {
    let (element, mut harness, _bus) = decryptor(OPUS);
    element.set_key(index(0), key(1));
    let mut sender = Sender::new(Codec::Opus, 0, 1);
    let list: gst::BufferList = (0..3).map(|number| sender.opus(number)).collect();
    harness.srcpad().unwrap().push_list(list).unwrap();
    for number in 0..3 {
        assert_eq!(bytes(&harness.pull().unwrap()), opus_bytes(number));
    }
    harness.set_upstream_latency(time(2));
    assert_eq!(harness.query_latency(), Some(time(2)));

    events(&mut harness);
    harness.push(buffer(Vec::new(), 4, false)).unwrap();
    harness.push_event(gst::event::Gap::builder(time(5)).build());
    harness.push_event(gst::event::FlushStart::new());
    harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    harness.push_and_pull(sender.opus(6)).unwrap();
    harness.push_event(gst::event::Eos::new());
    assert_eq!(
        events(&mut harness),
        [
            gst::EventType::Gap,
            gst::EventType::Gap,
            gst::EventType::FlushStart,
            gst::EventType::FlushStop,
            gst::EventType::Segment,
            gst::EventType::Eos
        ]
    );
    let expected = DecryptCounters {
        frames: roomseal_e2ee::OpenCounters {
            opened: 4,
            ..Default::default()
        },
        ..Default::default()
    };
    assert_eq!(element.counters(), expected);
}

#[test]
fn no_lock_is_held_while_a_frame_is_pushed() {
    let (element, mut harness, _bus) = decryptor(OPUS);
    element.set_key(index(0), key(1));
    let watched = element.clone();
    let pad = element.static_pad("src").unwrap();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // Would wait for ever.
        assert_eq!(watched.counters().frames.opened, 1);
        gst::PadProbeReturn::Remove
    });
    let frame = Sender::new(Codec::Opus, 0, 1).opus(0);
    harness.push_and_pull(frame).unwrap();
}
