// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which of a camera's formats is asked for.

use crate::{budget::EncodeBudget, encoder::pixels};

/// Sizes every camera knows one of, largest first; tried below the budget's own.
const COMMON: [(u32, u32); 6] = [
    (1920, 1080),
    (1280, 720),
    (960, 540),
    (640, 480),
    (640, 360),
    (320, 240),
];

/// The caps to ask of a camera that offers `offered`: the largest size within the budget at its
/// full rate, raw rather than JPEG (which costs a decoder), and rather slower than smaller by
/// less than a third of the rate.
///
/// `None` if the camera offers neither raw pictures nor JPEG.
pub(super) fn format(offered: &gst::Caps, budget: &EncodeBudget) -> Option<gst::Caps> {
    let mut sizes = vec![(budget.width, budget.height)];
    sizes.extend(
        COMMON
            .into_iter()
            .filter(|&(w, h)| w <= budget.width && h <= budget.height.max(w * 3 / 4)),
    );
    for least in [budget.framerate, budget.framerate * 2 / 3, 5] {
        for &(width, height) in &sizes {
            for media in ["video/x-raw", "image/jpeg"] {
                let wanted = gst::Caps::builder(media)
                    .field("width", pixels(width))
                    .field("height", pixels(height))
                    .field(
                        "framerate",
                        gst::FractionRange::new(
                            gst::Fraction::new(pixels(least), 1),
                            gst::Fraction::new(pixels(budget.framerate.max(least) * 2), 1),
                        ),
                    )
                    .build();
                let mut found = offered.intersect(&wanted);
                if !found.is_empty() {
                    nearest_rate(&mut found, budget.framerate);
                    return Some(found);
                }
            }
        }
    }
    // A camera of odd sizes: whatever it likes best.
    ["video/x-raw", "image/jpeg"].into_iter().find_map(|media| {
        let found = offered.intersect(&gst::Caps::new_empty_simple(media));
        (!found.is_empty()).then_some(found)
    })
}

/// Fixes the rate, so that the camera does not spend light and bus on pictures nobody encodes.
fn nearest_rate(caps: &mut gst::Caps, framerate: u32) {
    caps.truncate();
    let wanted = gst::Fraction::new(pixels(framerate), 1);
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        structure.fixate_field_nearest_fraction("framerate", wanted);
    }
}

/// Whether the caps are JPEG and have to be decoded first.
pub(super) fn is_jpeg(caps: &gst::Caps) -> bool {
    caps.structure(0)
        .is_some_and(|structure| structure.name() == "image/jpeg")
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use std::str::FromStr;

    use super::*;

    const HD: EncodeBudget = EncodeBudget {
        width: 1280,
        height: 720,
        framerate: 30,
        bitrate: 1_500_000,
    };

    fn chosen(offered: &str, budget: &EncodeBudget) -> String {
        crate::plugins::gst_init().unwrap();
        let offered = gst::Caps::from_str(offered).unwrap();
        format(&offered, budget).unwrap().to_string()
    }

    /// A usual USB camera: raw only up to 640x480 at 30, JPEG up to 1080p.
    const USB: &str = "video/x-raw, format=YUY2, width=640, height=480, framerate={30/1, 15/1}; \
         video/x-raw, format=YUY2, width=1280, height=720, framerate={10/1, 5/1}; \
         image/jpeg, width=1280, height=720, framerate={60/1, 30/1}; \
         image/jpeg, width=1920, height=1080, framerate=30/1";

    #[test]
    fn jpeg_is_taken_where_raw_is_too_slow() {
        let caps = chosen(USB, &HD);
        assert!(caps.starts_with("image/jpeg, width=(int)1280"), "{caps}");
        assert!(caps.contains("30/1"), "{caps}");
    }

    #[test]
    fn raw_is_taken_where_it_is_quick_enough() {
        let vga = EncodeBudget {
            width: 640,
            height: 480,
            ..HD
        };
        let caps = chosen(USB, &vga);
        assert!(
            caps.starts_with("video/x-raw") && caps.contains("640"),
            "{caps}"
        );
    }

    #[test]
    fn a_camera_without_the_wanted_size_gives_the_next_smaller() {
        let caps = chosen("video/x-raw, width=640, height=480, framerate=30/1", &HD);
        assert!(caps.contains("640"), "{caps}");
    }

    #[test]
    fn a_slow_camera_is_better_than_none() {
        let caps = chosen("image/jpeg, width=1280, height=720, framerate=7/1", &HD);
        assert!(caps.contains("7/1"), "{caps}");
    }

    #[test]
    fn an_odd_camera_gives_what_it_has() {
        let caps = chosen("video/x-raw, width=176, height=144, framerate=3/1", &HD);
        assert!(caps.contains("176"), "{caps}");
    }

    #[test]
    fn ranges_are_narrowed_to_the_budget() {
        let caps = chosen(
            "video/x-raw, width=[16, 4096], height=[16, 4096], framerate=[1/1, 120/1]",
            &HD,
        );
        assert!(caps.contains("1280") && caps.contains("30/1"), "{caps}");
    }

    #[test]
    fn a_device_without_pictures_has_no_format() {
        crate::plugins::gst_init().unwrap();
        let offered = gst::Caps::from_str("video/x-h264").unwrap();
        assert_eq!(format(&offered, &HD), None);
    }
}
