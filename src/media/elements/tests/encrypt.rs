// SPDX-License-Identifier: MIT OR Apache-2.0

use gst::prelude::*;
use gst_check::Harness;
use roomseal_e2ee::{Codec, FrameContext, KeyRing, Opener, Replay, Verdict};

use super::{
    H264, OPUS, VP8, await_key_unit, buffer, bytes, encryptor, events, h264_frames, index, init,
    key, key_units_asked, noise, posted, sealing, time, vp8, vp8_bytes,
};
use crate::elements::{EncryptCounters, FrameEncrypt, SealMode};

/// Opens with key `number` at index `slot`, as a receiver would.
fn opener(codec: Codec, slot: u8, number: u8) -> Opener {
    let mut keys = KeyRing::new();
    keys.set(index(slot), key(number));
    let mut opener = Opener::new(codec, Replay::Window);
    *opener.keys() = keys;
    opener
}

fn open(opener: &mut Opener, sealed: &gst::Buffer) -> Result<Vec<u8>, Verdict> {
    let mut frame = bytes(sealed);
    let context = FrameContext {
        gap: false,
        now: std::time::Duration::ZERO,
    };
    let length = opener.open(&mut frame, &context)?;
    frame.truncate(length);
    Ok(frame)
}

#[test]
fn nothing_leaves_until_a_mode_is_set() {
    let (element, mut harness, bus) = encryptor(VP8);
    element.set_send_key(index(0), key(1));
    for number in 0..3 {
        harness.push(vp8(number, number > 0)).unwrap();
    }
    assert!(harness.try_pull().is_none());
    let expected = EncryptCounters {
        held: 3,
        ..EncryptCounters::default()
    };
    assert_eq!(element.counters(), expected);
    assert_eq!(posted(&bus, "state"), ["holding"]);
    assert_eq!(element.mode(), SealMode::Hold);
}

#[test]
fn a_frame_leaves_sealed_with_all_that_belongs_to_it() {
    let (element, mut harness, bus) = sealing(OPUS);
    let plain = noise(160, 1);
    let mut frame = buffer(plain.clone(), 7, false);
    {
        let frame = frame.get_mut().unwrap();
        frame.set_offset(11);
        frame.set_offset_end(12);
        frame.set_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::GAP);
        gst_audio::AudioLevelMeta::add(frame, 42, true);
    }
    let sealed = harness.push_and_pull(frame).unwrap();

    assert_eq!(sealed.size(), plain.len() + 30);
    assert_eq!(sealed.pts(), Some(time(7)));
    assert_eq!(sealed.dts(), Some(time(7)));
    assert_eq!(sealed.duration(), Some(time(1)));
    assert_eq!((sealed.offset(), sealed.offset_end()), (11, 12));
    assert!(
        sealed
            .flags()
            .contains(gst::BufferFlags::DISCONT | gst::BufferFlags::GAP)
    );
    let level = sealed.meta::<gst_audio::AudioLevelMeta>().unwrap();
    assert_eq!((level.level(), level.voice_activity()), (42, true));
    assert_eq!(open(&mut opener(Codec::Opus, 0, 1), &sealed), Ok(plain));
    assert_eq!(element.counters().sealed, 1);
    assert_eq!(posted(&bus, "state"), ["sealing"]);
}

#[test]
fn a_missing_key_drops_frames_and_says_so_once() {
    let (element, mut harness, bus) = encryptor(VP8);
    element.set_mode(SealMode::Seal);
    await_key_unit(&mut harness);
    for number in 0..5 {
        harness.push(vp8(number, number > 0)).unwrap();
    }
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters().dropped, 5);
    assert_eq!(posted(&bus, "state"), ["no-key"]);
    assert_eq!(key_units_asked(&mut harness), 0, "it would be dropped too");

    element.set_send_key(index(3), key(3));
    await_key_unit(&mut harness);
    let sealed = harness.push_and_pull(vp8(5, false)).unwrap();
    assert!(sealed.flags().contains(gst::BufferFlags::DISCONT));
    assert!(open(&mut opener(Codec::Vp8, 3, 3), &sealed).is_ok());
    assert_eq!(posted(&bus, "state"), ["sealing"]);

    element.clear_send_key();
    harness.push(vp8(6, true)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(posted(&bus, "state"), ["no-key"]);
    assert_eq!(element.property::<i32>("key-index"), -1);
}

#[test]
fn a_new_key_seals_from_the_next_frame_on_and_forces_a_key_frame() {
    let (element, mut harness, bus) = sealing(VP8);
    await_key_unit(&mut harness);
    let first = harness.push_and_pull(vp8(0, false)).unwrap();
    element.set_send_key(index(1), key(2));
    await_key_unit(&mut harness);
    assert_eq!(element.property::<i32>("key-index"), 1);
    let second = harness.push_and_pull(vp8(1, true)).unwrap();

    assert!(open(&mut opener(Codec::Vp8, 0, 1), &first).is_ok());
    let mut new = opener(Codec::Vp8, 1, 2);
    assert_eq!(open(&mut new, &first), Err(Verdict::NoKey));
    assert_eq!(open(&mut new, &second), Ok(vp8_bytes(1, true)));
    assert!(second.flags().contains(gst::BufferFlags::DELTA_UNIT));
    assert_eq!(posted(&bus, "state"), ["sealing", "sealing"]);
}

#[test]
fn in_clear_mode_frames_pass_untouched() {
    let (element, mut harness, bus) = sealing(VP8);
    element.set_mode(SealMode::Clear);
    let out = harness.push_and_pull(vp8(0, false)).unwrap();
    assert_eq!(bytes(&out), vp8_bytes(0, false));
    assert_eq!(element.counters().clear, 1);
    assert_eq!(posted(&bus, "state"), ["clear"]);

    element.set_mode(SealMode::Seal);
    let out = harness.push_and_pull(vp8(1, true)).unwrap();
    assert!(open(&mut opener(Codec::Vp8, 0, 1), &out).is_ok());
    element.set_mode(SealMode::Hold);
    harness.push(vp8(2, true)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(posted(&bus, "state"), ["sealing", "holding"]);
}

#[test]
fn the_shortest_opus_frames_are_sealed_and_never_sent_as_they_are() {
    let (_, mut harness, _bus) = sealing(OPUS);
    let mut opener = opener(Codec::Opus, 0, 1);
    for plain in [vec![0xF8], vec![0xF8, 0xFF], vec![0xF8, 0xFF, 0xFE]] {
        let sealed = harness.push_and_pull(buffer(plain.clone(), 0, false));
        let sealed = sealed.unwrap();
        assert_eq!(sealed.size(), plain.len() + 30);
        assert_eq!(open(&mut opener, &sealed), Ok(plain));
    }
}

#[test]
fn a_frame_that_cannot_be_sealed_is_dropped_and_the_next_one_is_sealed() {
    let (element, mut harness, bus) = sealing(VP8);
    await_key_unit(&mut harness);
    harness.push(buffer(vec![0x10; 9], 0, false)).unwrap();
    harness.push(buffer(vec![0x10; 9], 1, false)).unwrap();
    assert!(harness.try_pull().is_none());
    assert_eq!(key_units_asked(&mut harness), 1, "twice a second at most");
    assert_eq!(posted(&bus, "state"), ["failing"]);

    let sealed = harness.push_and_pull(vp8(2, false)).unwrap();
    assert!(sealed.flags().contains(gst::BufferFlags::DISCONT));
    assert_eq!(element.counters().dropped, 2);
    assert_eq!(posted(&bus, "state"), ["sealing"]);
    let sealed = harness.push_and_pull(vp8(3, true)).unwrap();
    assert!(!sealed.flags().contains(gst::BufferFlags::DISCONT));
}

#[test]
fn garbage_stops_nothing_and_leaves_in_no_form_but_sealed() {
    for (caps, codec) in [(VP8, Codec::Vp8), (OPUS, Codec::Opus), (H264, Codec::H264)] {
        let (element, mut harness, _bus) = sealing(caps);
        let mut opener = opener(codec, 0, 1);
        let mut pushed = 0;
        for length in (1..64).chain([1 << 16, 1 << 20]) {
            for head in [&[][..], &[0, 0, 1], &[0, 0, 0, 1, 0x65]] {
                let mut frame = head.to_vec();
                frame.extend(noise(length, length as u64));
                harness.push(buffer(frame.clone(), 0, false)).unwrap();
                pushed += 1;
                if let Some(out) = harness.try_pull() {
                    assert_eq!(open(&mut opener, &out), Ok(frame));
                }
            }
        }
        let counters = element.counters();
        assert_eq!(counters.sealed + counters.dropped, pushed);
        element.set_mode(SealMode::Clear);
        harness.push(buffer(noise(99, 1), 0, false)).unwrap();
    }
}

#[test]
fn every_frame_of_a_buffer_list_is_sealed() {
    let (element, mut harness, _bus) = sealing(VP8);
    let list: gst::BufferList = (0..4).map(|number| vp8(number, number > 0)).collect();
    harness.srcpad().unwrap().push_list(list).unwrap();
    let mut opener = opener(Codec::Vp8, 0, 1);
    for number in 0..4 {
        let sealed = harness.pull().unwrap();
        assert_eq!(
            open(&mut opener, &sealed),
            Ok(vp8_bytes(number, number > 0))
        );
    }
    assert_eq!(element.counters().sealed, 4);
}

#[test]
fn gaps_stay_gaps_and_an_empty_buffer_becomes_one() {
    let (element, mut harness, _bus) = sealing(OPUS);
    events(&mut harness);
    let gap = gst::event::Gap::builder(time(1)).duration(time(1)).build();
    assert!(harness.push_event(gap));
    harness.push(buffer(Vec::new(), 2, false)).unwrap();
    assert_eq!(events(&mut harness), [gst::EventType::Gap; 2]);
    assert!(harness.try_pull().is_none());
    assert_eq!(element.counters(), EncryptCounters::default());
}

#[test]
fn a_flush_empties_nothing_but_the_pipeline_and_eos_passes() {
    let (element, mut harness, _bus) = sealing(VP8);
    harness.push_and_pull(vp8(0, false)).unwrap();
    events(&mut harness);
    harness.push_event(gst::event::FlushStart::new());
    assert_eq!(harness.push(vp8(1, true)), Err(gst::FlowError::Flushing));
    harness.push_event(gst::event::FlushStop::new(true));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    harness.push_event(gst::event::Segment::new(&segment));
    harness.push_and_pull(vp8(2, false)).unwrap();
    harness.push_event(gst::event::Eos::new());
    assert_eq!(
        events(&mut harness),
        [
            gst::EventType::FlushStart,
            gst::EventType::FlushStop,
            gst::EventType::Segment,
            gst::EventType::Eos
        ]
    );
    assert_eq!(element.counters().sealed, 2);
}

#[test]
fn latency_and_key_frame_requests_pass() {
    let (_, mut harness, _bus) = sealing(VP8);
    harness.set_upstream_latency(time(3));
    assert_eq!(harness.query_latency(), Some(time(3)));
    await_key_unit(&mut harness);
    let request = gst_video::UpstreamForceKeyUnitEvent::builder().build();
    assert!(harness.push_upstream_event(request));
    assert_eq!(key_units_asked(&mut harness), 1);
}

#[test]
fn no_lock_is_held_while_a_frame_is_pushed() {
    let (element, mut harness, _bus) = sealing(VP8);
    let pad = element.static_pad("src").unwrap();
    let watched = element.clone();
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        // Would wait for ever.
        watched.set_send_key(index(2), key(2));
        assert_eq!(watched.counters().sealed, 1);
        gst::PadProbeReturn::Remove
    });
    harness.push_and_pull(vp8(0, false)).unwrap();
}

#[test]
fn only_streams_that_can_be_sealed_are_accepted() {
    for (caps, accepted) in [
        (VP8, true),
        (OPUS, true),
        (H264, true),
        ("video/x-vp9", false),
        ("audio/x-raw", false),
        ("video/x-h264, stream-format=avc, alignment=au", false),
        (
            "video/x-h264, stream-format=byte-stream, alignment=nal",
            false,
        ),
    ] {
        init();
        let element = FrameEncrypt::new();
        let pad = element.static_pad("sink").unwrap();
        let caps: gst::Caps = caps.parse().unwrap();
        assert_eq!(pad.query_accept_caps(&caps), accepted, "{caps}");
    }
}

#[test]
fn h264_leaves_with_lengths_and_with_the_caps_of_its_parameter_sets() {
    let (element, mut harness, _bus) = sealing(H264);
    harness.push_event(gst::event::Tag::new(gst::TagList::new()));
    let seen = events(&mut harness);
    assert_eq!(
        seen,
        [gst::EventType::StreamStart],
        "the rest waits for caps"
    );

    let frames = h264_frames(12);
    let mut opener = opener(Codec::H264, 0, 1);
    for frame in &frames {
        let sealed = harness.push_and_pull(frame.copy()).unwrap();
        assert_eq!(sealed.pts(), frame.pts());
        assert_eq!(
            sealed.flags().contains(gst::BufferFlags::DELTA_UNIT),
            frame.flags().contains(gst::BufferFlags::DELTA_UNIT)
        );
        let annex_b = annex_b(&bytes(&sealed));
        open(&mut opener, &gst::Buffer::from_slice(annex_b)).unwrap();
    }
    assert_eq!(element.counters().sealed, 12);
    assert_eq!(
        events(&mut harness),
        [
            gst::EventType::Caps,
            gst::EventType::Segment,
            gst::EventType::Tag
        ]
    );
    let caps = harness.sinkpad().unwrap().current_caps().unwrap();
    let structure = caps.structure(0).unwrap();
    assert_eq!(structure.get::<&str>("stream-format"), Ok("avc"));
    assert_eq!(structure.get::<i32>("width"), Ok(320));
    let codec_data = bytes(&structure.get::<gst::Buffer>("codec_data").unwrap());
    assert_eq!(codec_data[..2], [1, 66]);
}

#[test]
fn new_h264_caps_in_mid_stream_keep_the_parameter_sets() {
    let (element, mut harness, _bus) = sealing(H264);
    let frames = h264_frames(3);
    harness.push_and_pull(frames[0].copy()).unwrap();
    harness.set_src_caps_str(&H264.replace("30/1", "15/1"));
    harness.push_and_pull(frames[1].copy()).unwrap();
    assert_eq!(element.counters().sealed, 2);
    let caps = harness.sinkpad().unwrap().current_caps().unwrap();
    let structure = caps.structure(0).unwrap();
    assert_eq!(
        structure.get::<gst::Fraction>("framerate"),
        Ok(gst::Fraction::new(15, 1))
    );
    assert!(structure.has_field("codec_data"));
}

#[test]
fn h264_before_the_first_key_frame_is_dropped_and_one_is_asked_for() {
    for mode in [SealMode::Seal, SealMode::Clear] {
        let (element, mut harness, _bus) = sealing(H264);
        element.set_mode(mode);
        let frames = h264_frames(3);
        harness.push(frames[1].copy()).unwrap();
        assert!(harness.try_pull().is_none());
        assert_eq!(element.counters().dropped, 1);
        await_key_unit(&mut harness);
        let out = harness.push_and_pull(frames[0].copy()).unwrap();
        assert!(out.flags().contains(gst::BufferFlags::DISCONT));
        assert!(harness.sinkpad().unwrap().has_current_caps());
        assert!(bytes(&out).starts_with(&[0, 0, 0]));
    }
}

#[test]
fn eos_of_an_h264_stream_without_a_key_frame_passes() {
    let (_, mut harness, _bus) = sealing(H264);
    harness.push_event(gst::event::Eos::new());
    assert_eq!(events(&mut harness).last(), Some(&gst::EventType::Eos));
}

#[test]
fn ivs_never_begin_again_when_the_element_restarts() {
    let (element, mut harness, _bus) = sealing(OPUS);
    let first = bytes(
        &harness
            .push_and_pull(buffer(noise(50, 1), 0, false))
            .unwrap(),
    );
    let prefix = element.iv_prefix().unwrap();
    element.set_state(gst::State::Ready).unwrap();
    element.set_state(gst::State::Playing).unwrap();
    harness.set_src_caps_str(OPUS);
    let second = bytes(
        &harness
            .push_and_pull(buffer(noise(50, 1), 1, false))
            .unwrap(),
    );
    let iv = |sealed: &[u8]| sealed[sealed.len() - 14..sealed.len() - 2].to_vec();
    assert_eq!(iv(&first)[..8], prefix);
    assert_eq!(iv(&second)[..8], prefix);
    assert_ne!(iv(&first), iv(&second));
}

#[test]
fn a_keys_file_that_others_may_read_stops_the_element_with_a_clear_error() {
    use std::os::unix::fs::PermissionsExt;
    init();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("room.keys");
    std::fs::write(&path, "key-index = 5\npassphrase = \"correct horse\"\n").unwrap();
    for name in ["frameencrypt", "framedecrypt"] {
        let element = gst::ElementFactory::make(name)
            .property("keys-file", path.to_str().unwrap())
            .build()
            .unwrap();
        let bus = gst::Bus::new();
        element.set_bus(Some(&bus));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(element.set_state(gst::State::Ready).is_err());
        let message = bus.pop_filtered(&[gst::MessageType::Error]).unwrap();
        let gst::MessageView::Error(error) = message.view() else {
            panic!("only errors were asked for");
        };
        assert!(error.error().to_string().contains("chmod 600"), "{error:?}");

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        element.set_state(gst::State::Ready).unwrap();
        if name == "frameencrypt" {
            assert_eq!(element.property::<i32>("key-index"), 5);
        }
        element.set_state(gst::State::Null).unwrap();
    }
}

#[test]
fn statistics_can_be_read_as_a_property() {
    let (element, mut harness, _bus) = sealing(VP8);
    harness.push_and_pull(vp8(0, false)).unwrap();
    let stats = element.property::<gst::Structure>("stats");
    assert_eq!(stats.get::<u64>("sealed"), Ok(1));
    for field in ["clear", "held", "dropped"] {
        assert_eq!(stats.get::<u64>(field), Ok(0));
    }
}

#[test]
fn a_frame_before_the_caps_is_an_error_and_not_a_leak() {
    init();
    let element = FrameEncrypt::new();
    element.set_mode(SealMode::Clear);
    let mut harness = Harness::with_element(&element, Some("sink"), Some("src"));
    let pad = harness.srcpad().unwrap();
    pad.push_event(gst::event::StreamStart::new("test"));
    let segment = gst::FormattedSegment::<gst::ClockTime>::new();
    pad.push_event(gst::event::Segment::new(&segment));
    assert_eq!(
        harness.push(vp8(0, false)),
        Err(gst::FlowError::NotNegotiated)
    );
    assert!(harness.try_pull().is_none());
}

/// Lengths back into start codes, as a depayloader writes them.
pub(super) fn annex_b(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (unit, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        out.extend([0, 0, 0, 1]);
        out.extend(unit);
        rest = behind;
    }
    out
}
