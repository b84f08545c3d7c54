// SPDX-License-Identifier: MIT OR Apache-2.0

//! GStreamer itself: started once, and asked for its plugins before anything is built on them.
//!
//! A missing plugin otherwise shows up as "no element \"webrtcbin\"" in the middle of a call.
//! [`require`] finds out beforehand and says which Debian package to install. Each list below is
//! one purpose, so that a box without a camera is not asked for camera plugins.

use std::sync::OnceLock;

/// Crossing a meeting service: WebRTC, packets, data channels.
pub const TRANSPORT: &[&str] = &[
    "appsrc",
    "appsink",
    "capsfilter",
    "capssetter",
    "dtlsenc",
    "nicesrc",
    "queue",
    "rtpbin",
    "rtph264depay",
    "rtph264pay",
    "rtphdrexttwcc",
    "rtpopusdepay",
    "rtpopuspay",
    "rtpvp8depay",
    "rtpvp8opaquepay",
    "sctpenc",
    "srtpenc",
    "webrtcbin",
];

/// Sealing and opening frames.
pub const SEALING: &[&str] = &["framedecrypt", "frameencrypt"];

/// Preparing raw pictures and sound for an encoder, and encoding sound.
pub const ENCODE: &[&str] = &[
    "audioconvert",
    "audioresample",
    "level",
    "opusenc",
    "queue",
    "tee",
    "videoconvert",
    "videorate",
    "videoscale",
];

/// VP8, the codec every member of a meeting can send and play.
pub const VP8: &[&str] = &["vp8dec", "vp8enc"];

/// H.264 without hardware.
pub const H264: &[&str] = &["avdec_h264", "h264parse", "x264enc"];

/// The test picture with a clock, and its tone.
pub const TEST_SOURCE: &[&str] = &["audiotestsrc", "videotestsrc"];

/// A camera behind the kernel's video interface; most USB cameras send JPEG above 640 × 480.
pub const V4L2_CAMERA: &[&str] = &["jpegdec", "v4l2src"];

/// A camera on the board's ribbon connector.
pub const CSI_CAMERA: &[&str] = &["libcamerasrc"];

/// Microphone and loudspeaker without a sound server.
pub const ALSA: &[&str] = &["alsasink", "alsasrc"];

/// Microphone, loudspeaker or camera through PipeWire.
pub const PIPEWIRE: &[&str] = &["pipewiresink", "pipewiresrc"];

/// A media file as source.
pub const FILE_SOURCE: &[&str] = &["decodebin", "filesrc", "uridecodebin"];

/// Taking the loudspeaker out of the microphone's signal.
pub const ECHO_CANCELLER: &[&str] = &["webrtcdsp", "webrtcechoprobe"];

/// What the others send, put together into one picture and one sound.
pub const PRESENT: &[&str] = &[
    "audiomixer",
    "audioconvert",
    "audioresample",
    "compositor",
    "opusdec",
    "overlaycomposition",
    "rsvgdec",
    "textoverlay",
    "videoconvert",
    "videoscale",
];

/// A screen without a compositor.
pub const KMS_SCREEN: &[&str] = &["kmssink"];

/// A screen under a Wayland compositor.
pub const WAYLAND_SCREEN: &[&str] = &["waylandsink"];

/// A window on a desktop.
pub const WINDOW: &[&str] = &["autovideosink"];

/// Starts GStreamer and registers our elements; safe to call from anywhere, any number of times.
///
/// # Errors
///
/// [`InitError`] when GStreamer cannot start; the first outcome is kept.
pub fn gst_init() -> Result<(), InitError> {
    static OUTCOME: OnceLock<Result<(), InitError>> = OnceLock::new();
    OUTCOME
        .get_or_init(|| {
            gst::init().map_err(|error| InitError(error.to_string()))?;
            crate::plugin_register_static().map_err(|error| InitError(error.to_string()))
        })
        .clone()
}

/// Checks that every named element can be made; call [`gst_init`] first.
///
/// # Errors
///
/// [`MissingElements`] with every element that is not there, not only the first.
pub fn require(elements: &[&str]) -> Result<(), MissingElements> {
    let mut missing: Vec<String> = elements
        .iter()
        .filter(|element| gst::ElementFactory::find(element).is_none())
        .map(ToString::to_string)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(MissingElements(missing))
    }
}

/// The Debian package (12 and 13) that has an element, where we know it.
pub fn debian_package(element: &str) -> Option<&'static str> {
    PACKAGES
        .iter()
        .find(|(_, elements)| elements.contains(&element))
        .map(|(package, _)| *package)
}

/// Elements that this machine does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingElements(Vec<String>);

impl MissingElements {
    /// Their names, sorted.
    pub fn elements(&self) -> &[String] {
        &self.0
    }

    /// The Debian packages that have them, sorted, each once.
    pub fn packages(&self) -> Vec<&'static str> {
        let mut packages: Vec<_> = self.0.iter().filter_map(|e| debian_package(e)).collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    }
}

impl std::fmt::Display for MissingElements {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GStreamer lacks ")?;
        for (index, element) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            match debian_package(element) {
                Some(package) => write!(f, "{element} (Debian package {package})")?,
                None if NEEDS_HARDWARE.contains(&element.as_str()) => {
                    write!(
                        f,
                        "{element} (offered only where the kernel has the device)"
                    )?;
                }
                None => write!(f, "{element} (no Debian package known)")?,
            }
        }
        let packages = self.packages();
        if !packages.is_empty() {
            write!(
                f,
                "; install with: sudo apt-get install {}",
                packages.join(" ")
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for MissingElements {}

/// GStreamer could not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GStreamer does not start ({0}): is libgstreamer1.0-0 1.22 or newer installed?")]
pub struct InitError(String);

/// Element to package as `dpkg -S` answered on Debian 12.
const PACKAGES: &[(&str, &[&str])] = &[
    ("gstreamer1.0-alsa", &["alsasink", "alsasrc"]),
    (
        "gstreamer1.0-gl",
        &["glimagesink", "gldownload", "glupload"],
    ),
    (
        "gstreamer1.0-libav",
        &["avdec_aac", "avdec_h264", "avdec_mpeg4"],
    ),
    ("gstreamer1.0-libcamera", &["libcamerasrc"]),
    ("gstreamer1.0-nice", &["nicesink", "nicesrc"]),
    ("gstreamer1.0-pipewire", &["pipewiresink", "pipewiresrc"]),
    (
        "gstreamer1.0-plugins-bad",
        &[
            "av1enc",
            "dtlsdec",
            "dtlsenc",
            "fakeaudiosink",
            "fakevideosink",
            "h264parse",
            "kmssink",
            "openh264dec",
            "openh264enc",
            "opusparse",
            "proxysink",
            "proxysrc",
            "rsvgdec",
            "sctpdec",
            "sctpenc",
            "srtpdec",
            "srtpenc",
            "waylandsink",
            "webrtcbin",
            "webrtcdsp",
            "webrtcechoprobe",
        ],
    ),
    (
        "gstreamer1.0-plugins-base",
        &[
            "appsink",
            "appsrc",
            "audioconvert",
            "audiomixer",
            "audiorate",
            "audioresample",
            "audiotestsrc",
            "compositor",
            "decodebin",
            "decodebin3",
            "opusdec",
            "opusenc",
            "overlaycomposition",
            "uridecodebin",
            "uridecodebin3",
            "videoconvert",
            "videoconvertscale",
            "videorate",
            "videoscale",
            "videotestsrc",
            "volume",
        ],
    ),
    (
        "gstreamer1.0-plugins-good",
        &[
            "aacparse",
            "autoaudiosink",
            "autoaudiosrc",
            "autovideosink",
            "avidemux",
            "capssetter",
            "imagefreeze",
            "jpegdec",
            "level",
            "matroskademux",
            "matroskamux",
            "multifilesrc",
            "pngdec",
            "pngenc",
            "pulsesink",
            "pulsesrc",
            "qtdemux",
            "rtpbin",
            "rtph264depay",
            "rtph264pay",
            "rtphdrextclientaudiolevel",
            "rtphdrexttwcc",
            "rtpjitterbuffer",
            "rtpopusdepay",
            "rtpopuspay",
            "rtprtxreceive",
            "rtprtxsend",
            "rtpvp8depay",
            "rtpvp8pay",
            "splitmuxsink",
            "v4l2src",
            "videobox",
            "videocrop",
            "videoflip",
            "vp8dec",
            "vp8enc",
            "vp9dec",
            "vp9enc",
            "wavenc",
            "wavparse",
        ],
    ),
    ("gstreamer1.0-plugins-ugly", &["x264enc"]),
    (
        "gstreamer1.0-x",
        &[
            "clockoverlay",
            "textoverlay",
            "timeoverlay",
            "ximagesink",
            "xvimagesink",
        ],
    ),
    (
        "libgstreamer1.0-0",
        &[
            "capsfilter",
            "concat",
            "fakesink",
            "fakesrc",
            "filesink",
            "filesrc",
            "funnel",
            "identity",
            "input-selector",
            "multiqueue",
            "queue",
            "queue2",
            "tee",
            "valve",
        ],
    ),
];

/// The `video4linux2` plugin of gstreamer1.0-plugins-good offers these when it finds the device.
const NEEDS_HARDWARE: &[&str] = &["v4l2convert", "v4l2h264dec", "v4l2h264enc", "v4l2jpegdec"];

#[cfg(test)]
mod tests {
    use gst::prelude::*;

    use super::*;

    #[test]
    fn a_missing_element_is_named_with_its_package_and_the_apt_line() {
        let missing = MissingElements(vec!["webrtcbin".into(), "x264enc".into()]);
        assert_eq!(
            missing.to_string(),
            "GStreamer lacks webrtcbin (Debian package gstreamer1.0-plugins-bad), x264enc (Debian \
             package gstreamer1.0-plugins-ugly); install with: sudo apt-get install \
             gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
        );
    }

    #[test]
    fn every_missing_element_is_reported_at_once_and_what_is_there_is_not() {
        gst_init().expect("GStreamer is installed where tests run");
        let missing = require(&["queue", "no-such-b", "no-such-a", "no-such-b"])
            .expect_err("two of them do not exist");
        assert_eq!(missing.elements(), ["no-such-a", "no-such-b"]);
        assert!(
            missing
                .to_string()
                .contains("no-such-a (no Debian package known)")
        );
    }

    #[test]
    fn an_encoder_without_its_device_is_not_blamed_on_a_package() {
        let missing = MissingElements(vec!["v4l2h264enc".into()]);
        assert_eq!(
            missing.to_string(),
            "GStreamer lacks v4l2h264enc (offered only where the kernel has the device)"
        );
    }

    #[test]
    fn every_element_we_may_require_has_a_package_or_is_our_own() {
        gst_init().expect("GStreamer is installed where tests run");
        let purposes = [
            TRANSPORT,
            SEALING,
            ENCODE,
            VP8,
            H264,
            TEST_SOURCE,
            V4L2_CAMERA,
            CSI_CAMERA,
            ALSA,
            PIPEWIRE,
            FILE_SOURCE,
            ECHO_CANCELLER,
            PRESENT,
            KMS_SCREEN,
            WAYLAND_SCREEN,
            WINDOW,
        ];
        for element in purposes.into_iter().flatten() {
            let ours = gst::ElementFactory::find(element)
                .and_then(|factory| factory.plugin_name())
                .is_some_and(|plugin| plugin == "roomseal");
            assert!(
                ours || debian_package(element).is_some(),
                "{element} has no package"
            );
        }
    }
}
