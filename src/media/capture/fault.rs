// SPDX-License-Identifier: MIT OR Apache-2.0

//! Why a source is not there, and what to do about it, in words for people.

use super::{
    config::{AudioSource, VideoSource},
    source::Spec,
};

/// Why a source gives nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFault {
    /// The device and what is wrong with it.
    pub(super) what: String,
    /// What to do about it.
    pub(super) advice: String,
}

impl SourceFault {
    /// The node or file does not exist.
    pub(super) fn absent(spec: &Spec) -> Self {
        Self {
            what: format!("{} is not there", spec.name()),
            advice: presence(spec),
        }
    }

    /// It did not start, and did not say why.
    pub(super) fn refused(spec: &Spec) -> Self {
        Self {
            what: format!("{} does not start", spec.name()),
            advice: presence(spec),
        }
    }

    /// It could not even be built, for this reason.
    pub(super) fn broken(spec: &Spec, reason: &str) -> Self {
        let what = format!("{} cannot be set up: {reason}", spec.name());
        Self {
            what,
            advice: "correct the source in the configuration".to_owned(),
        }
    }

    /// A video device that is no camera (many cameras have a second node for metadata).
    pub(super) fn no_picture(spec: &Spec) -> Self {
        Self {
            what: format!("{} offers neither raw pictures nor JPEG", spec.name()),
            advice: "name another device: v4l2-ctl --list-devices shows them".to_owned(),
        }
    }

    /// A device that said it had nothing more to give.
    pub(super) fn ended(spec: &Spec) -> Self {
        Self {
            what: format!("{} ended", spec.name()),
            advice: presence(spec),
        }
    }

    /// A file without pictures or without sound.
    pub(super) fn lacks(spec: &Spec, kind: &str) -> Self {
        Self {
            what: format!("{} has no {kind}", spec.name()),
            advice: format!("name another source for the {kind} in the configuration, or none"),
        }
    }
}

/// The fault behind an error message of the source's pipeline.
pub(super) fn of_message(spec: &Spec, error: &gst::message::Error) -> SourceFault {
    let error = error.error();
    let advice = match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::Busy) => "close the other program that uses it".to_owned(),
        Some(gst::ResourceError::NotAuthorized) => authority(spec).to_owned(),
        _ if error.kind::<gst::CoreError>() == Some(gst::CoreError::MissingPlugin)
            || error.kind::<gst::StreamError>() == Some(gst::StreamError::CodecNotFound) =>
        {
            "install the decoder: sudo apt-get install gstreamer1.0-libav gstreamer1.0-plugins-bad"
                .to_owned()
        }
        _ => presence(spec),
    };
    SourceFault {
        what: format!("{}: {}", spec.name(), error.message()),
        advice,
    }
}

fn authority(spec: &Spec) -> &'static str {
    match spec {
        Spec::Video(_) => "add the user of the box to the group video",
        Spec::Audio(_) => "add the user of the box to the group audio",
        Spec::Clip(_) => "let the user of the box read the file",
    }
}

fn presence(spec: &Spec) -> String {
    match spec {
        Spec::Video(VideoSource::V4l2 { .. }) => {
            "plug the camera in, or name another device: v4l2-ctl --list-devices shows them"
        }
        Spec::Video(VideoSource::LibCamera { .. }) => {
            "check the ribbon cable; libcamera-hello --list-cameras shows what is found"
        }
        Spec::Audio(AudioSource::Alsa { .. }) => {
            "plug the microphone in, or name another device: arecord -L shows them"
        }
        Spec::Audio(AudioSource::PipeWire { .. }) => {
            "check that PipeWire runs for this user: wpctl status shows its devices"
        }
        Spec::Clip(_) => "check the path and that it is a media file",
        Spec::Video(_) | Spec::Audio(_) => "check the source in the configuration",
    }
    .to_owned()
}
