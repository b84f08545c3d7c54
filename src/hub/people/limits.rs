// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often passwords and codes may be tried.
//!
//! The name of an account may be tried five times in a row, then after pauses that double up to a quarter of an hour,
//! whether there is such an account or not: a year of guessing is 35 000 tries. An address may be wrong so often in a
//! minute, whatever it tries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::bucket::Bucket;
use crate::guests::network;

/// Tries in a row before the first pause.
const FREE: u32 = 5;

/// The pause after the last of these.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// Doubling ends here: an attacker must not keep people out for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// After so long without a try, all is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);

/// Wrong tries of one address in a minute: a large office behind one address is allowed to mistype.
const OF_ADDRESS: u32 = 30;

/// Names and addresses that are remembered; of more, those that were quiet longest are forgotten.
const MOST: usize = 10_000;

/// Who tried how often. Times are since any fixed moment.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    names: HashMap<String, Tries>,
    addresses: HashMap<IpAddr, Spent>,
}

#[derive(Debug, Default)]
struct Tries {
    /// In a row, none of them right.
    wrong: u32,
    pause_until: Duration,
    last: Duration,
}

#[derive(Debug)]
struct Spent {
    /// Of a minute: it is given minutes for seconds.
    bucket: Bucket,
    last: Duration,
}

impl Limits {
    /// Takes a try at an account, before it is known whether it is right.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take(
        &mut self,
        name: &str,
        address: IpAddr,
        now: Duration,
    ) -> Result<(), Duration> {
        if !self.names.contains_key(name) {
            make_room(&mut self.names, now, |tries| tries.last);
        }
        let tries = self.names.entry(name.to_owned()).or_default();
        if now.saturating_sub(tries.last) >= FORGOTTEN {
            *tries = Tries::default();
        }
        if now < tries.pause_until {
            return Err(tries.pause_until - now);
        }
        // The name is not charged for an address that tries too much.
        self.take_of(address, now)?;
        let tries = self.names.entry(name.to_owned()).or_default();
        tries.last = now;
        tries.wrong = tries.wrong.saturating_add(1);
        if let Some(over) = tries.wrong.checked_sub(FREE) {
            let pause = FIRST_PAUSE.saturating_mul(1 << over.min(10));
            tries.pause_until = now + pause.min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Takes a try at anything of an address, before it is known whether it is right.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn take_of(&mut self, address: IpAddr, now: Duration) -> Result<(), Duration> {
        let address = network(address);
        if !self.addresses.contains_key(&address) {
            make_room(&mut self.addresses, now, |spent| spent.last);
        }
        let spent = self.addresses.entry(address).or_insert_with(|| Spent {
            bucket: Bucket::new(OF_ADDRESS, now / 60),
            last: now,
        });
        spent.last = now;
        if spent.bucket.take(1, now / 60) {
            Ok(())
        } else {
            Err(Duration::from_secs(60))
        }
    }

    /// The last try at this account was right.
    pub(crate) fn right(&mut self, name: &str, address: IpAddr) {
        self.names.remove(name);
        self.right_of(address);
    }

    /// The last try of this address was right.
    pub(crate) fn right_of(&mut self, address: IpAddr) {
        if let Some(spent) = self.addresses.get_mut(&network(address)) {
            spent.bucket.give(1);
        }
    }
}

/// Forgets what is quiet, so that one more can be remembered.
fn make_room<K: Clone + Eq + std::hash::Hash, V>(
    map: &mut HashMap<K, V>,
    now: Duration,
    last: impl Fn(&V) -> Duration,
) {
    if map.len() < MOST {
        return;
    }
    map.retain(|_, value| now.saturating_sub(last(value)) < FORGOTTEN);
    if map.len() < MOST {
        return;
    }
    let mut times: Vec<_> = map.values().map(&last).collect();
    times.sort_unstable();
    // A tenth at once, so that this is not done for each.
    let quiet = times[MOST / 10];
    map.retain(|_, value| last(value) > quiet);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const START: Duration = Duration::from_secs(1_000_000);

    #[test]
    fn after_five_wrong_tries_each_further_one_takes_twice_the_pause() {
        let mut limits = Limits::default();
        let mut now = START;
        for _ in 0..5 {
            assert_eq!(limits.take("ann", HERE, now), Ok(()));
        }
        let mut pauses = Vec::new();
        for _ in 0..7 {
            let Err(pause) = limits.take("ann", HERE, now) else {
                panic!("no pause after {pauses:?}");
            };
            pauses.push(pause.as_secs());
            let early = now + pause - Duration::from_millis(1);
            assert!(limits.take("ann", HERE, early).is_err());
            assert_eq!(limits.take("bob", HERE, early), Ok(()));
            limits.right("bob", HERE);
            now += pause;
            assert_eq!(limits.take("ann", HERE, now), Ok(()));
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
        limits.right("ann", HERE);
        assert_eq!(limits.take("ann", HERE, now), Ok(()));
    }

    #[test]
    fn an_address_is_wrong_so_often_in_a_minute_and_who_is_right_is_not_counted() {
        let mut limits = Limits::default();
        for number in 0..1000 {
            let name = format!("right{number}");
            assert_eq!(limits.take(&name, HERE, START), Ok(()));
            limits.right(&name, HERE);
        }
        let wrong = (0..1000).filter(|number| {
            let name = format!("wrong{number}");
            limits.take(&name, HERE, START).is_ok()
        });
        assert_eq!(wrong.count(), OF_ADDRESS as usize);
        let other = IpAddr::from([192, 0, 2, 2]);
        assert_eq!(limits.take("ann", other, START), Ok(()));
        let later = START + Duration::from_secs(60);
        assert_eq!(limits.take("ann", HERE, later), Ok(()));
    }

    #[test]
    fn names_that_are_made_up_take_so_much_memory_and_no_more() {
        let mut limits = Limits::default();
        for number in 0..3 * MOST as u32 {
            let now = START + Duration::from_millis(number.into());
            let address = IpAddr::from(number.to_be_bytes());
            let _ = limits.take(&format!("name{number}"), address, now);
        }
        assert!(limits.names.len() <= MOST);
        assert!(limits.addresses.len() <= MOST);
    }
}
