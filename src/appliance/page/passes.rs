// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices that were let in: each holds a cookie, and the box holds its hash.
//!
//! Nothing of it is written to disk: whoever starts the box anew pairs anew.

use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How long a device stays paired.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// How long somebody is signed in as host: a telephone that lies about is to be no host for a day.
const HOST_LIFE: Duration = Duration::from_secs(60 * 60);

/// Devices at a time; one more makes the oldest pair again.
const MOST: usize = 16;

/// The cookie's name. With this prefix a browser takes it over TLS only, for this host only, for all of it.
const NAME: &str = "__Host-roomseal";

/// What a paired device shows: 32 random bytes in hexadecimal digits.
pub(super) struct Pass(String);

/// The hashes of all passes that are good. Times are since any fixed moment.
#[derive(Default)]
pub(super) struct Passes(Vec<Issued>);

struct Issued {
    hash: [u8; 32],
    until: Duration,
    by: By,
    host_until: Option<Duration>,
}

/// What let a device in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The code that the box showed: somebody has stood in front of it.
    Code,
    /// The password of the page.
    Password,
}

/// What a device is for this box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// What let it in.
    pub(super) by: By,
    /// Somebody is signed in as host there.
    pub(super) host: bool,
}

impl Pass {
    /// A new one, of random bytes.
    pub(super) fn of(random: [u8; 32]) -> Self {
        Self(hex::encode(random))
    }

    /// The one that a request brings, if it brings exactly one.
    pub(super) fn shown<'a>(cookies: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut ours = cookies
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='));
        let value = ours.next()?;
        (ours.next().is_none() && value.len() == 64).then(|| Self(value.to_owned()))
    }

    /// The header that hands it to a browser.
    pub(super) fn cookie(&self) -> String {
        let seconds = LIFE.as_secs();
        let value = &self.0;
        format!("{NAME}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict")
    }

    /// The header that takes it from a browser.
    pub(super) fn no_cookie() -> String {
        format!("{NAME}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
    }

    /// What proves that a command comes from the page of this device: a page of somebody else can neither read the
    /// cookie nor this.
    pub(super) fn token(&self) -> String {
        hex::encode(self.hash("token"))
    }

    fn hash(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(self.0.as_bytes());
        hash.finalize().into()
    }
}

impl Passes {
    /// Takes note of a pass that is handed out at `now`.
    pub(super) fn issue(&mut self, pass: &Pass, by: By, now: Duration) {
        self.0.retain(|issued| now < issued.until);
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(Issued {
            hash: pass.hash("pass"),
            until: now + LIFE,
            by,
            host_until: None,
        });
    }

    /// What the device with `pass` is at `now`; `None`: nobody that is known.
    pub(super) fn standing(&self, pass: &Pass, now: Duration) -> Option<Standing> {
        let hash = pass.hash("pass");
        let mut issued = self.0.iter();
        let known = issued.find(|one| now < one.until && bool::from(one.hash.ct_eq(&hash)))?;
        Some(Standing {
            by: known.by,
            host: known.host_until.is_some_and(|until| now < until),
        })
    }

    /// Somebody signed in as host there. Only a device that was at the box can be a host's.
    pub(super) fn sign_in(&mut self, pass: &Pass, now: Duration) {
        let hash = pass.hash("pass");
        for issued in &mut self.0 {
            if issued.by == By::Code && bool::from(issued.hash.ct_eq(&hash)) {
                issued.host_until = Some(now + HOST_LIFE);
            }
        }
    }

    /// Takes a pass back.
    pub(super) fn revoke(&mut self, pass: &Pass) {
        let hash = pass.hash("pass");
        self.0.retain(|issued| issued.hash != hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(77);

    fn pass(number: u8) -> Pass {
        Pass::of([number; 32])
    }

    fn is_good(passes: &Passes, pass: &Pass, now: Duration) -> bool {
        passes.standing(pass, now).is_some()
    }

    #[test]
    fn only_a_device_that_was_paired_by_a_code_becomes_a_hosts_and_for_an_hour() {
        let mut passes = Passes::default();
        passes.issue(&pass(1), By::Code, NOW);
        passes.issue(&pass(2), By::Password, NOW);
        let is_host = |passes: &Passes, number, now| {
            let standing = passes.standing(&pass(number), now);
            standing.map(|standing| standing.host)
        };
        assert_eq!(is_host(&passes, 1, NOW), Some(false));
        for number in [1, 2, 3] {
            passes.sign_in(&pass(number), NOW);
        }
        assert_eq!(is_host(&passes, 1, NOW), Some(true));
        assert_eq!(is_host(&passes, 2, NOW), Some(false));
        assert_eq!(is_host(&passes, 3, NOW), None);
        assert_eq!(is_host(&passes, 1, NOW + HOST_LIFE), Some(false));
    }

    #[test]
    fn a_pass_is_good_until_it_is_old_or_taken_back() {
        let mut passes = Passes::default();
        passes.issue(&pass(1), By::Code, NOW);
        passes.issue(&pass(2), By::Password, NOW);
        assert!(is_good(
            &passes,
            &pass(1),
            NOW + LIFE - Duration::from_millis(1)
        ));
        assert!(!is_good(&passes, &pass(1), NOW + LIFE));
        assert!(!is_good(&passes, &pass(3), NOW));
        passes.revoke(&pass(1));
        assert!(!is_good(&passes, &pass(1), NOW));
        assert!(is_good(&passes, &pass(2), NOW));
    }

    #[test]
    fn one_device_too_many_makes_the_oldest_pair_again() {
        let mut passes = Passes::default();
        for number in 0..=16 {
            passes.issue(&pass(number), By::Code, NOW);
        }
        assert!(!is_good(&passes, &pass(0), NOW));
        assert!(is_good(&passes, &pass(1), NOW) && is_good(&passes, &pass(16), NOW));
    }

    #[test]
    fn the_box_keeps_nothing_that_opens_it() {
        let mut passes = Passes::default();
        passes.issue(&pass(1), By::Code, NOW);
        let kept = hex::encode(passes.0[0].hash);
        assert_ne!(kept, pass(1).0);
        assert_ne!(kept, pass(1).token());
        assert_ne!(pass(1).token(), pass(1).0);
    }

    #[test]
    fn a_cookie_is_found_among_others_and_two_are_one_too_many() {
        let value = "ab".repeat(32);
        let ours = format!("__Host-roomseal={value}");
        let shown = |cookies: &[&str]| Pass::shown(cookies.iter().copied()).map(|pass| pass.0);
        assert_eq!(shown(&[&ours]), Some(value.clone()));
        assert_eq!(shown(&["a=b", &format!("x=y; {ours} ;c=d")]), Some(value));
        assert_eq!(shown(&[&ours, &ours]), None);
        for bad in [
            "",
            "__Host-roomseal",
            "__Host-roomseal=",
            "__Host-roomsealx=1",
            "roomseal=1",
        ] {
            assert_eq!(shown(&[bad]), None, "{bad}");
        }
    }
}
