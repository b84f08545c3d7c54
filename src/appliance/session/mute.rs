// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this box does not send although it captures it, and who may change that.
//!
//! Being heard is decided near the box: what a person at the box muted, nobody opens from the network, and what any
//! person muted, the service does not open.

use roomseal_media::transport::MediaKind;

use crate::control::{Medium, Origin, Switch};

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Person(Origin),
    /// The meeting service, for somebody in the room who may.
    Service,
}

/// What is muted, and by whom. Outlives a membership: who comes back is as silent as before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    camera: Option<By>,
    microphone: Option<By>,
}

impl Muted {
    /// As the configuration says; anybody who may mute may change it.
    pub fn at_start(microphone: bool) -> Self {
        Self {
            camera: None,
            microphone: microphone.then_some(By::Person(Origin::CommandLine)),
        }
    }

    /// Turns the switch of `what`; says what it is now, `true` for muted.
    ///
    /// # Errors
    /// Why not, and what to do, when `by` may not.
    pub(super) fn turn(&mut self, what: Medium, to: Switch, by: By) -> Result<bool, &'static str> {
        let place = match what {
            Medium::Camera => &mut self.camera,
            Medium::Microphone => &mut self.microphone,
        };
        let muted = to.after(place.is_some());
        match (*place, muted) {
            (Some(before), false) => {
                if let Some(why) = keeps(before, by) {
                    return Err(why);
                }
                *place = None;
            }
            (None, true) => *place = Some(by),
            // The nearer word counts.
            (Some(By::Person(before)), true) => {
                if let By::Person(now) = by {
                    *place = Some(By::Person(before.min(now)));
                }
            }
            (Some(By::Service), true) => *place = Some(by),
            (None, false) => {}
        }
        Ok(muted)
    }

    /// Whether nothing of this kind is sent.
    pub(super) fn is_muted(&self, kind: MediaKind) -> bool {
        match kind {
            MediaKind::Audio => self.microphone.is_some(),
            MediaKind::Video => self.camera.is_some(),
        }
    }

    /// Sound and picture with their state.
    pub(super) fn all(&self) -> [(MediaKind, bool); 2] {
        [MediaKind::Audio, MediaKind::Video].map(|kind| (kind, self.is_muted(kind)))
    }
}

/// What it gives.
pub(super) fn kind(what: Medium) -> MediaKind {
    match what {
        Medium::Camera => MediaKind::Video,
        Medium::Microphone => MediaKind::Audio,
    }
}

/// Where it comes from.
pub(super) fn medium(kind: MediaKind) -> Medium {
    match kind {
        MediaKind::Audio => Medium::Microphone,
        MediaKind::Video => Medium::Camera,
    }
}

/// Why what `before` muted stays muted although `by` wants it open.
fn keeps(before: By, by: By) -> Option<&'static str> {
    match (before, by) {
        (By::Person(Origin::Box), By::Person(by)) if by.is_remote() => {
            Some("it was muted at the box, and is opened there: press the mute button on the box")
        }
        (By::Person(_), By::Service) => Some("a person muted it here"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: By = By::Person(Origin::Box);
    const PAIRED: By = By::Person(Origin::Paired);

    #[test]
    fn a_switch_goes_over_and_back() {
        let mut muted = Muted::default();
        assert_eq!(muted.turn(Medium::Camera, Switch::Toggle, PAIRED), Ok(true));
        assert!(muted.is_muted(MediaKind::Video) && !muted.is_muted(MediaKind::Audio));
        assert_eq!(muted.turn(Medium::Camera, Switch::On, PAIRED), Ok(true));
        assert_eq!(
            muted.turn(Medium::Camera, Switch::Toggle, PAIRED),
            Ok(false)
        );
        assert_eq!(muted, Muted::default());
    }

    #[test]
    fn what_was_muted_at_the_box_is_not_opened_from_the_network() {
        let mut muted = Muted::default();
        let silent = muted.turn(Medium::Microphone, Switch::On, BOX);
        assert_eq!(silent, Ok(true));
        // Muting it again from afar does not weaken it.
        assert_eq!(muted.turn(Medium::Microphone, Switch::On, PAIRED), Ok(true));
        for to in [Switch::Off, Switch::Toggle] {
            assert!(muted.turn(Medium::Microphone, to, PAIRED).is_err());
            assert!(muted.turn(Medium::Microphone, to, By::Service).is_err());
        }
        assert!(muted.is_muted(MediaKind::Audio));
        assert_eq!(muted.turn(Medium::Microphone, Switch::Off, BOX), Ok(false));
    }

    #[test]
    fn the_service_opens_only_what_it_muted() {
        let mut muted = Muted::default();
        let by = By::Service;
        assert_eq!(muted.turn(Medium::Microphone, Switch::On, by), Ok(true));
        assert_eq!(muted.turn(Medium::Microphone, Switch::Off, by), Ok(false));
        assert_eq!(muted.turn(Medium::Microphone, Switch::On, PAIRED), Ok(true));
        assert!(muted.turn(Medium::Microphone, Switch::Off, by).is_err());
    }
}
