// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writes Matroska (RFC 9559): frames as they came, in a file that plays however it ends.
//!
//! GStreamer's own muxer waits for data on every track before it writes any, so a muted
//! microphone would stop the picture. Here a cluster is written, whole and with its size, at
//! least every second; what follows a crash or a power cut is a file that plays to its last
//! cluster. [`Writer::finish`] adds the length and the index that make it seekable.

use std::io::{self, Seek, SeekFrom, Write};
use std::time::Duration;

/// What one track of a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackFormat {
    /// VP8 frames.
    Vp8 {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// H.264 access units with 4-byte lengths.
    H264 {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15).
        config: Vec<u8>,
    },
    /// Opus packets of 48 kHz.
    Opus,
}

/// A file being written. Everything but [`Writer::finish`] only appends.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Bytes written so far.
    position: u64,
    /// Where the content of the segment begins; positions in the index count from here.
    segment: u64,
    seek_head: u64,
    duration: u64,
    /// Track the index points into: the first video track, or the only one.
    cue_track: u64,
    cluster: Option<Cluster>,
    cues: Vec<Cue>,
    end: u64,
}

#[derive(Debug)]
struct Cluster {
    /// Milliseconds.
    begin: u64,
    blocks: Vec<u8>,
    /// Time of the first frame of the cue track from which one can start to play.
    entry: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Cue {
    time: u64,
    position: u64,
}

/// A cluster is closed after this many milliseconds, or bytes.
const CLUSTER_TIME: u64 = 1_000;
const CLUSTER_SIZE: usize = 512 * 1024;

/// An element of unknown size: it lasts until something of its own level follows.
const UNKNOWN_SIZE: [u8; 8] = [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// Room kept for the table that says where the index is.
const SEEK_HEAD_SIZE: usize = 96;
/// Size of a duration: identifier, length and an 8-byte float.
const DURATION_SIZE: usize = 2 + 1 + 8;

impl<W: Write + Seek> Writer<W> {
    /// Begins a file at the start of `out`. Track numbers are the positions in `tracks`.
    ///
    /// # Errors
    ///
    /// What writing to `out` says.
    pub fn new(out: W, title: &str, tracks: &[TrackFormat]) -> io::Result<Self> {
        let mut head = element(
            id::EBML,
            &[
                uint(id::EBML_VERSION, 1),
                uint(id::EBML_READ_VERSION, 1),
                uint(id::EBML_MAX_ID_LENGTH, 4),
                uint(id::EBML_MAX_SIZE_LENGTH, 8),
                element(id::DOC_TYPE, &[b"matroska".to_vec()]),
                uint(id::DOC_TYPE_VERSION, 4),
                uint(id::DOC_TYPE_READ_VERSION, 2),
            ],
        );
        head.extend(id_bytes(id::SEGMENT));
        head.extend(UNKNOWN_SIZE);
        let segment = head.len() as u64;
        let seek_head = segment;
        head.extend(void(SEEK_HEAD_SIZE));

        let info_parts = [
            uint(id::TIMESTAMP_SCALE, 1_000_000),
            element(id::MUXING_APP, &[b"roomseal".to_vec()]),
            element(id::WRITING_APP, &[b"roomseal".to_vec()]),
            element(id::TITLE, &[title.as_bytes().to_vec()]),
            void(DURATION_SIZE),
        ];
        let info = element(id::INFO, &info_parts);
        // The place for the duration is the last thing in there.
        let duration = segment + (SEEK_HEAD_SIZE + info.len() - DURATION_SIZE) as u64;
        head.extend(info);
        let entries: Vec<Vec<u8>> = (1..)
            .zip(tracks)
            .map(|(n, track)| entry(n, track))
            .collect();
        head.extend(element(id::TRACKS, &entries));

        let cue_track = tracks
            .iter()
            .position(|track| *track != TrackFormat::Opus)
            .unwrap_or(0);
        let mut writer = Self {
            out,
            position: 0,
            segment,
            seek_head,
            duration,
            cue_track: cue_track as u64 + 1,
            cluster: None,
            cues: Vec::new(),
            end: 0,
        };
        writer.append(&head)?;
        Ok(writer)
    }

    /// Adds one frame of track number `track`. `time` counts from the beginning of the file and
    /// need not grow from one track to the next.
    ///
    /// # Errors
    ///
    /// What writing to the file says; it then ends at the last whole cluster.
    pub fn frame(
        &mut self,
        track: usize,
        time: Duration,
        key: bool,
        data: &[u8],
    ) -> io::Result<()> {
        let number = track as u64 + 1;
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let video_entry = key && number == self.cue_track;
        let close = self.cluster.as_ref().is_some_and(|cluster| {
            let span = time.abs_diff(cluster.begin);
            // Block times are 16 bits relative to their cluster, so a jump must close it too.
            span >= CLUSTER_TIME
                || cluster.blocks.len() >= CLUSTER_SIZE
                || (video_entry && cluster.entry.is_some() && span >= CLUSTER_TIME / 2)
        });
        if close {
            self.flush()?;
        }
        let cluster = self.cluster.get_or_insert_with(|| Cluster {
            begin: time,
            blocks: Vec::new(),
            entry: None,
        });
        if video_entry {
            cluster.entry.get_or_insert(time);
        }
        let relative = i16::try_from(time as i64 - cluster.begin as i64)
            .expect("a cluster closes long before 16 bits run out");
        let mut header = size(number, 1);
        header.extend(relative.to_be_bytes());
        header.push(if key { 0x80 } else { 0 });
        cluster.blocks.extend(id_bytes(id::SIMPLE_BLOCK));
        cluster
            .blocks
            .extend(size((header.len() + data.len()) as u64, 1));
        cluster.blocks.extend(header);
        cluster.blocks.extend_from_slice(data);
        self.end = self.end.max(time);
        Ok(())
    }

    /// Writes what has been collected, as one cluster.
    ///
    /// # Errors
    ///
    /// What writing to the file says.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(cluster) = self.cluster.take() else {
            return Ok(());
        };
        if let Some(time) = cluster.entry {
            self.cues.push(Cue {
                time,
                position: self.position - self.segment,
            });
        }
        let whole = element(
            id::CLUSTER,
            &[uint(id::TIMESTAMP, cluster.begin), cluster.blocks],
        );
        self.append(&whole)
    }

    /// Writes the rest, the index and the length, and gives the file back.
    ///
    /// # Errors
    ///
    /// What writing to the file says; the file plays without its index too.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        let index = self.position - self.segment;
        let points: Vec<Vec<u8>> = self
            .cues
            .iter()
            .map(|cue| {
                element(
                    id::CUE_POINT,
                    &[
                        uint(id::CUE_TIME, cue.time),
                        element(
                            id::CUE_TRACK_POSITIONS,
                            &[
                                uint(id::CUE_TRACK, self.cue_track),
                                uint(id::CUE_CLUSTER_POSITION, cue.position),
                            ],
                        ),
                    ],
                )
            })
            .collect();
        if !points.is_empty() {
            let cues = element(id::CUES, &points);
            self.append(&cues)?;
            let seek_head = element(
                id::SEEK_HEAD,
                &[element(
                    id::SEEK,
                    &[
                        element(id::SEEK_ID, &[id_bytes(id::CUES)]),
                        uint(id::SEEK_POSITION, index),
                    ],
                )],
            );
            let rest = void(SEEK_HEAD_SIZE - seek_head.len());
            self.patch(self.seek_head, &[seek_head, rest].concat())?;
        }
        let length = element(id::DURATION, &[(self.end as f64).to_be_bytes().to_vec()]);
        self.patch(self.duration, &length)?;
        // Eight bytes like the unknown size they replace.
        let whole = size(self.position - self.segment, 8);
        self.patch(self.segment - 8, &whole)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(at))?;
        self.out.write_all(bytes)
    }
}

/// Element identifiers of RFC 9559 and RFC 8794, with their length marker.
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const EBML_VERSION: u32 = 0x4286;
    pub(super) const EBML_READ_VERSION: u32 = 0x42f7;
    pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42f2;
    pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42f3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(super) const VOID: u32 = 0xec;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const SEEK_HEAD: u32 = 0x114d_9b74;
    pub(super) const SEEK: u32 = 0x4dbb;
    pub(super) const SEEK_ID: u32 = 0x53ab;
    pub(super) const SEEK_POSITION: u32 = 0x53ac;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x002a_d7b1;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const MUXING_APP: u32 = 0x4d80;
    pub(super) const WRITING_APP: u32 = 0x5741;
    pub(super) const TITLE: u32 = 0x7ba9;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const TRACK_ENTRY: u32 = 0xae;
    pub(super) const TRACK_NUMBER: u32 = 0xd7;
    pub(super) const TRACK_UID: u32 = 0x73c5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9c;
    pub(super) const LANGUAGE: u32 = 0x0022_b59c;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const CODEC_PRIVATE: u32 = 0x63a2;
    pub(super) const SEEK_PRE_ROLL: u32 = 0x56bb;
    pub(super) const VIDEO: u32 = 0xe0;
    pub(super) const PIXEL_WIDTH: u32 = 0xb0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xba;
    pub(super) const AUDIO: u32 = 0xe1;
    pub(super) const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub(super) const CHANNELS: u32 = 0x9f;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const TIMESTAMP: u32 = 0xe7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(super) const CUES: u32 = 0x1c53_bb6b;
    pub(super) const CUE_POINT: u32 = 0xbb;
    pub(super) const CUE_TIME: u32 = 0xb3;
    pub(super) const CUE_TRACK_POSITIONS: u32 = 0xb7;
    pub(super) const CUE_TRACK: u32 = 0xf7;
    pub(super) const CUE_CLUSTER_POSITION: u32 = 0xf1;
}

/// The description of track `number`.
fn entry(number: u64, track: &TrackFormat) -> Vec<u8> {
    const VIDEO: u64 = 1;
    const AUDIO: u64 = 2;
    let (kind, codec) = match track {
        TrackFormat::Vp8 { .. } => (VIDEO, "V_VP8"),
        TrackFormat::H264 { .. } => (VIDEO, "V_MPEG4/ISO/AVC"),
        TrackFormat::Opus => (AUDIO, "A_OPUS"),
    };
    let mut parts = vec![
        uint(id::TRACK_NUMBER, number),
        uint(id::TRACK_UID, number),
        uint(id::TRACK_TYPE, kind),
        uint(id::FLAG_LACING, 0),
        element(id::LANGUAGE, &[b"und".to_vec()]),
        element(id::CODEC_ID, &[codec.as_bytes().to_vec()]),
    ];
    match track {
        TrackFormat::Vp8 { width, height } => parts.push(video(*width, *height)),
        TrackFormat::H264 {
            width,
            height,
            config,
        } => {
            parts.push(element(id::CODEC_PRIVATE, std::slice::from_ref(config)));
            parts.push(video(*width, *height));
        }
        TrackFormat::Opus => {
            parts.push(element(id::CODEC_PRIVATE, &[OPUS_HEAD.to_vec()]));
            // The decoder needs 80 ms to settle after a seek (RFC 7845, section 4.6).
            parts.push(uint(id::SEEK_PRE_ROLL, 80_000_000));
            parts.push(element(
                id::AUDIO,
                &[
                    element(id::SAMPLING_FREQUENCY, &[48_000f64.to_be_bytes().to_vec()]),
                    uint(id::CHANNELS, 2),
                ],
            ));
        }
    }
    element(id::TRACK_ENTRY, &parts)
}

/// RFC 7845, section 5.1: version 1, two channels (a decoder makes mono of mono packets too), no
/// pre-skip (we join in the middle, there is no start to cut off), 48 kHz, no gain, family 0.
const OPUS_HEAD: [u8; 19] = *b"OpusHead\x01\x02\x00\x00\x80\xbb\x00\x00\x00\x00\x00";

fn video(width: u32, height: u32) -> Vec<u8> {
    element(
        id::VIDEO,
        &[
            uint(id::PIXEL_WIDTH, width.into()),
            uint(id::PIXEL_HEIGHT, height.into()),
        ],
    )
}

fn element(id: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    let length: usize = parts.iter().map(Vec::len).sum();
    let mut out = id_bytes(id);
    out.extend(size(length as u64, 1));
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

fn uint(id: u32, value: u64) -> Vec<u8> {
    let skip = (value.leading_zeros() / 8).min(7) as usize;
    element(id, &[value.to_be_bytes()[skip..].to_vec()])
}

/// An element of `total` bytes (2 to 128) that means nothing and may be written over.
fn void(total: usize) -> Vec<u8> {
    let mut out = id_bytes(id::VOID);
    out.extend(size(total as u64 - 2, 1));
    out.resize(total, 0);
    out
}

fn id_bytes(id: u32) -> Vec<u8> {
    let skip = (id.leading_zeros() / 8) as usize;
    id.to_be_bytes()[skip..].to_vec()
}

/// A variable-length number of at least `least` bytes. All ones would mean "unknown".
fn size(value: u64, least: usize) -> Vec<u8> {
    let length = (least..8)
        .find(|length| value < (1 << (7 * length)) - 1)
        .unwrap_or(8);
    let marked = value | 1 << (7 * length);
    marked.to_be_bytes()[8 - length..].to_vec()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_need() {
        assert_eq!(size(0, 1), [0x80]);
        assert_eq!(size(126, 1), [0xfe]);
        assert_eq!(size(127, 1), [0x40, 0x7f]);
        assert_eq!(size(16_382, 1), [0x7f, 0xfe]);
        assert_eq!(size(16_383, 1), [0x20, 0x3f, 0xff]);
        assert_eq!(size(5, 8), [1, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(uint(id::CUE_TIME, 0), [0xb3, 0x81, 0]);
        assert_eq!(uint(id::CUE_TIME, 256), [0xb3, 0x82, 1, 0]);
        assert_eq!(void(11).len(), 11);
    }

    #[test]
    fn a_cluster_is_written_every_second_and_the_rest_at_the_end() {
        let tracks = [TrackFormat::Opus];
        let mut writer = Writer::new(Cursor::new(Vec::new()), "ann", &tracks).expect("memory");
        let head = writer.out.get_ref().len();
        for packet in 0..60u64 {
            writer
                .frame(0, Duration::from_millis(20 * packet), true, &[0xfc; 60])
                .expect("memory");
        }
        // 1 180 ms of sound: one second is on disk, the rest is not yet.
        let on_disk = writer.out.get_ref().len() - head;
        assert!((50 * 60..60 * 60).contains(&on_disk), "{on_disk}");
        let file = writer.finish().expect("memory").into_inner();
        assert!(file.len() > head + 60 * 60);
        let length = element(id::DURATION, &[1180f64.to_be_bytes().to_vec()]);
        assert!(file.windows(length.len()).any(|window| window == length));
    }

    #[test]
    fn a_jump_in_time_opens_a_new_cluster() {
        let tracks = [TrackFormat::Opus];
        let mut writer = Writer::new(Cursor::new(Vec::new()), "", &tracks).expect("memory");
        for time in [0, 500_000, 20, 40_000_000] {
            writer
                .frame(0, Duration::from_millis(time), true, &[1])
                .expect("memory");
        }
        writer.finish().expect("memory");
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_panic() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0 < bytes.len() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
                self.0 -= bytes.len();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Full {
            fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
                Ok(0)
            }
        }
        let mut writer = Writer::new(Full(2_000), "", &[TrackFormat::Opus]).expect("it fits");
        let failure = (0..10u64)
            .map(|n| writer.frame(0, Duration::from_secs(2 * n), true, &[0; 900]))
            .find_map(Result::err)
            .expect("the disk is full");
        assert_eq!(failure.kind(), io::ErrorKind::StorageFull);
    }
}
