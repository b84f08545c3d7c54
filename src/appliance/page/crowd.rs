// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many connections one address may hold: a single machine must not keep everybody else out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by address.
#[derive(Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection; it counts until it is dropped.
pub(super) struct Guest {
    crowd: Crowd,
    address: IpAddr,
}

impl Crowd {
    /// Lets a connection from `address` in, unless it holds `most` already.
    pub(super) fn admit(&self, address: IpAddr, most: usize) -> Option<Guest> {
        // One machine has as many IPv6 addresses as it likes, and only its network is given to it.
        let address = match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => v4.into(),
                None => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            },
            v4 => v4,
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Guest {
            crowd: self.clone(),
            address,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn one_address_holds_so_many_connections_and_others_are_not_kept_out() {
        let crowd = Crowd::default();
        let admit = |address: &str| crowd.admit(address.parse().unwrap(), 2);
        let (first, second) = (admit("192.0.2.1").unwrap(), admit("192.0.2.1").unwrap());
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("::ffff:192.0.2.1").is_none(), "the same machine");
        let other = admit("192.0.2.2").unwrap();
        drop(first);
        let third = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        drop((second, third, other));
        assert!(crowd.0.lock().unwrap().is_empty());

        let near = (admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap());
        assert!(admit("2001:db8::3").is_none());
        assert!(admit("2001:db8:0:1::1").is_some());
        drop(near);
    }
}
