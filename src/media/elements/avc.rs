// SPDX-License-Identifier: MIT OR Apache-2.0

//! H.264 with length prefixes (`stream-format=avc`), the one form that `rtph264pay` leaves alone.
//!
//! In Annex B it cuts zeros off the end of every unit, and a sealed frame ends in its key index,
//! which is often zero.

/// Bytes of the length in front of each unit.
const LENGTH: usize = 4;

const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// As many as the record's five bits for the SPS can count.
const MAX_SETS: usize = 31;

/// The units in front of the first slice, with their lengths; none when there is no slice.
pub(super) fn header(frame: &[u8]) -> Option<&[u8]> {
    let mut rest = frame;
    loop {
        let (unit, behind) = split_unit(rest)?;
        if matches!(unit.first()? & 0x1F, SLICE | IDR_SLICE) {
            return frame.get(..frame.len() - rest.len());
        }
        rest = behind;
    }
}

/// The AVC decoder configuration (ISO/IEC 14496-15, 5.2.4.1) with all parameter sets of a header.
pub(super) fn codec_data(header: &[u8]) -> Option<gst::Buffer> {
    let of_type = |wanted| {
        let mut rest = header;
        std::iter::from_fn(move || {
            let (unit, behind) = split_unit(rest)?;
            rest = behind;
            Some(unit)
        })
        .filter(move |unit| unit.first().is_some_and(|first| first & 0x1F == wanted))
    };
    let (&[profile, constraints, level], _) = of_type(SPS).next()?.get(1..)?.split_first_chunk()?;
    of_type(PPS).next()?;

    // Version 1, the profile of the first SPS, lengths of 4 bytes.
    let mut record = vec![1, profile, constraints, level, 0xFF];
    let mut sets = |wanted, reserved: u8| -> Option<()> {
        let at = record.len();
        record.push(reserved);
        for set in of_type(wanted).take(MAX_SETS) {
            record[at] += 1;
            record.extend(u16::try_from(set.len()).ok()?.to_be_bytes());
            record.extend(set);
        }
        Some(())
    };
    sets(SPS, 0xE0)?;
    sets(PPS, 0)?;
    Some(gst::Buffer::from_mut_slice(record))
}

/// Copies a clear frame from Annex B.
pub(super) fn from_annex_b(frame: &[u8]) -> Vec<u8> {
    let mut avc = Vec::with_capacity(frame.len() + 16);
    let mut next = after_start_code(frame, 0);
    while let Some(start) = next {
        next = after_start_code(frame, start);
        let end = next.map_or(frame.len(), |after| after - 3);
        // A unit never ends in a zero byte: zeros here belong to the next start code.
        let unit = without_end_zeros(&frame[start..end]);
        let Ok(length) = u32::try_from(unit.len()) else {
            return Vec::new();
        };
        if length > 0 {
            avc.extend(length.to_be_bytes());
            avc.extend(unit);
        }
    }
    avc
}

fn without_end_zeros(unit: &[u8]) -> &[u8] {
    let last = unit.iter().rposition(|byte| *byte != 0);
    &unit[..last.map_or(0, |last| last + 1)]
}

fn after_start_code(frame: &[u8], from: usize) -> Option<usize> {
    frame
        .get(from..)?
        .windows(3)
        .position(|window| window == [0, 0, 1])
        .map(|at| from + at + 3)
}

fn split_unit(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = frame.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

    use super::*;

    #[test]
    fn start_codes_of_any_length_become_lengths() {
        let frame = [
            0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1F, 0, 0, 1, 0x68, 0xCE, 0, 0, 0, 1, 0x65, 0xB8, 0, 0,
        ];
        assert_eq!(
            from_annex_b(&frame),
            [
                0, 0, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 0, 0, 0, 2, 0x68, 0xCE, 0, 0, 0, 2, 0x65, 0xB8
            ]
        );
        assert!(from_annex_b(&[1, 2, 3]).is_empty());
        assert!(from_annex_b(&[0, 0, 1]).is_empty());
    }

    #[test]
    fn a_key_frame_tells_its_parameter_sets_and_a_delta_frame_does_not() {
        crate::plugins::gst_init().unwrap();
        let key = [
            0, 0, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 0, 0, 0, 2, 0x68, 0xCE, 0, 0, 0, 2, 0x65, 0xB8,
        ];
        assert_eq!(header(&key), Some(&key[..14]));
        let codec_data = codec_data(header(&key).unwrap()).unwrap();
        assert_eq!(
            codec_data.map_readable().unwrap().as_slice(),
            [
                1, 0x42, 0xC0, 0x1F, 0xFF, 0xE1, 0, 4, 0x67, 0x42, 0xC0, 0x1F, 1, 0, 2, 0x68, 0xCE
            ]
        );
        assert_eq!(header(&key[14..]), Some(&[][..]));
        assert!(super::codec_data(&[]).is_none());
    }

    #[test]
    fn more_parameter_sets_than_can_be_counted_are_left_out() {
        crate::plugins::gst_init().unwrap();
        let sps = [0, 0, 0, 4, 0x67, 0x42, 0xC0, 0x1F].repeat(300);
        let pps = [0, 0, 0, 2, 0x68, 0xCE].repeat(300);
        let record = codec_data(&[sps, pps].concat()).unwrap();
        let record = record.map_readable().unwrap();
        assert_eq!(record[5], 0xE0 | 31);
        assert_eq!(record[6 + 31 * 6], 31);
    }

    #[test]
    fn broken_lengths_are_no_frame() {
        for frame in [
            &[][..],
            &[0, 0, 0],
            &[0, 0, 0, 9, 0x65],
            &[0, 0, 0, 0],
            &[255; 8],
        ] {
            assert_eq!(header(frame), None);
        }
    }
}
