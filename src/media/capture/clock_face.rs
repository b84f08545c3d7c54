// SPDX-License-Identifier: MIT OR Apache-2.0

//! Draws a running clock into the test pattern, so that a viewer sees that pictures move and how
//! late they are.
//!
//! GStreamer's `clockoverlay` would do, at the price of Pango, Cairo and fonts on the box. Seven
//! segments are enough.

/// Which of the segments a-g light up for each digit, lowest bit a (top, then clockwise, g in the
/// middle).
const DIGITS: [u8; 10] = [0x3F, 0x06, 0x5B, 0x4F, 0x66, 0x6D, 0x7D, 0x07, 0x7F, 0x6F];

const BRIGHT: u8 = 235;
const DARK: u8 = 16;
/// Chroma of grey.
const COLOURLESS: u8 = 128;

/// Draws `HH:MM:SS.mmm` of `milliseconds` since midnight (UTC) on a dark band in the middle of a
/// luma plane of `width` × `height` samples in rows of `stride` bytes. A plane that is too small
/// stays as it is.
pub(super) fn draw(
    plane: &mut [u8],
    width: usize,
    height: usize,
    stride: usize,
    milliseconds: u64,
) {
    let Some(Band { left, top, unit }) = band(width, height) else {
        return;
    };
    if stride < width || plane.len() < stride * (height - 1) + width {
        return;
    }
    let mut fill = |x: usize, y: usize, w: usize, h: usize, luma: u8| {
        for row in y..y + h {
            let start = row * stride + x;
            plane[start..start + w].fill(luma);
        }
    };
    fill(left, top, BAND_WIDTH * unit, BAND_HEIGHT * unit, DARK);

    let (x, y, u) = (left + unit, top + unit, unit);
    for (place, character) in text(milliseconds).into_iter().enumerate() {
        let x = x + place * 4 * u;
        match character {
            b':' => {
                fill(x + u, y + u, u, u, BRIGHT);
                fill(x + u, y + 3 * u, u, u, BRIGHT);
            }
            b'.' => fill(x + u, y + 4 * u, u, u, BRIGHT),
            digit => {
                let lit = DIGITS[usize::from(digit - b'0')];
                let segments = [
                    (x, y, 3 * u, u),
                    (x + 2 * u, y, u, 3 * u),
                    (x + 2 * u, y + 2 * u, u, 3 * u),
                    (x, y + 4 * u, 3 * u, u),
                    (x, y + 2 * u, u, 3 * u),
                    (x, y, u, 3 * u),
                    (x, y + 2 * u, 3 * u, u),
                ];
                for (n, (x, y, w, h)) in segments.into_iter().enumerate() {
                    if lit >> n & 1 == 1 {
                        fill(x, y, w, h, BRIGHT);
                    }
                }
            }
        }
    }
}

/// Takes the colour out of the band in a chroma plane of half the picture's size each way.
/// `width` and `height` are the picture's.
pub(super) fn bleach(plane: &mut [u8], width: usize, height: usize, stride: usize) {
    let Some(Band { left, top, unit }) = band(width, height) else {
        return;
    };
    let (columns, rows) = (BAND_WIDTH * unit / 2, BAND_HEIGHT * unit / 2);
    for row in plane.chunks_mut(stride.max(1)).skip(top / 2).take(rows) {
        if let Some(samples) = row.get_mut(left / 2..left / 2 + columns) {
            samples.fill(COLOURLESS);
        }
    }
}

/// Twelve characters, each three units wide with a gap of one, and a margin.
const BAND_WIDTH: usize = 50;
/// Five units of segments, and a margin.
const BAND_HEIGHT: usize = 7;

/// The dark band behind the digits: its corner, and the unit that all is measured in.
struct Band {
    left: usize,
    top: usize,
    unit: usize,
}

/// `None` in a picture too small for it.
fn band(width: usize, height: usize) -> Option<Band> {
    let unit = (width / BAND_WIDTH).min(height / (BAND_HEIGHT + 2));
    (unit > 0).then(|| Band {
        left: (width - BAND_WIDTH * unit) / 2,
        top: (height - BAND_HEIGHT * unit) / 2,
        unit,
    })
}

/// `HH:MM:SS.mmm`, each character an ASCII digit or mark.
fn text(milliseconds: u64) -> [u8; 12] {
    let (seconds, ms) = (milliseconds / 1_000, milliseconds % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let digit =
        |value: u64| b'0' + u8::try_from(value % 10).expect("a remainder of ten fits a byte");
    [
        digit(hours / 10),
        digit(hours),
        b':',
        digit(minutes / 10),
        digit(minutes),
        b':',
        digit(seconds / 10),
        digit(seconds),
        b'.',
        digit(ms / 100),
        digit(ms / 10),
        digit(ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the digit at a place back from its segments.
    fn read(plane: &[u8], width: usize, height: usize, place: usize) -> Option<usize> {
        let unit = width / 50;
        let x = (width - 50 * unit) / 2 + unit + place * 4 * unit;
        let y = (height - 7 * unit) / 2 + unit;
        let at = |ux: usize, uy: usize| {
            plane[(y + uy * unit + unit / 2) * width + x + ux * unit + unit / 2] == BRIGHT
        };
        // The middles of the segments; the sides between the corners.
        let segments = [
            at(1, 0),
            at(2, 1),
            at(2, 3),
            at(1, 4),
            at(0, 3),
            at(0, 1),
            at(1, 2),
        ];
        let lit = segments
            .iter()
            .rev()
            .fold(0, |bits, &on| bits << 1 | u8::from(on));
        DIGITS.iter().position(|&digit| digit == lit)
    }

    #[test]
    fn the_time_can_be_read_from_the_picture() {
        let (width, height) = (640, 360);
        let mut plane = vec![128; width * height];
        let time = ((23 * 60 + 45) * 60 + 6) * 1_000 + 789;
        draw(&mut plane, width, height, width, time);
        let digits: Vec<_> = [0, 1, 3, 4, 6, 7, 9, 10, 11]
            .into_iter()
            .filter_map(|place| read(&plane, width, height, place))
            .collect();
        assert_eq!(digits, [2, 3, 4, 5, 0, 6, 7, 8, 9]);
    }

    #[test]
    fn nothing_is_drawn_outside_the_picture() {
        for (width, height, stride) in [
            (320, 180, 320),
            (640, 360, 704),
            (50, 9, 50),
            (8, 8, 8),
            (500, 5, 500),
        ] {
            let mut plane = vec![128; stride * height];
            draw(&mut plane, width, height, stride, 1);
            let padding = plane.chunks(stride).flat_map(|row| &row[width..]);
            assert!(padding.into_iter().all(|&byte| byte == 128));
        }
    }

    #[test]
    fn a_plane_shorter_than_it_says_stays_as_it_is() {
        let mut plane = vec![128; 100];
        draw(&mut plane, 640, 360, 640, 1);
        assert!(plane.iter().all(|&byte| byte == 128));
    }
}
