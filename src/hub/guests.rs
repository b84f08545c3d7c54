// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who connects: so many at a time, and so many of one address, so that nobody takes all of them.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that one address may hold at a time: an office behind one address is the most there is.
const MOST_OF_ONE: usize = 64;

/// A place among those who are connected; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    _one_of_its_address: Option<Guest>,
}

/// How connections are let in.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// At a time.
    pub(crate) most: usize,
    /// What they are for, for the log.
    pub(crate) what: &'static str,
    pub(crate) guests: Arc<Guests>,
    /// Whose connections are those of many.
    pub(crate) proxies: Vec<IpAddr>,
}

/// Takes connections and serves each in a task of its own.
pub(crate) async fn welcome<F>(
    listener: TcpListener,
    crowd: Crowd,
    serve: impl Fn(TcpStream, SocketAddr, Place) -> F,
) -> Infallible
where
    F: Future<Output = ()> + Send + 'static,
{
    let Crowd {
        most,
        what,
        guests,
        proxies,
    } = crowd;
    let places = Arc::new(Semaphore::new(most));
    loop {
        let place = Arc::clone(&places)
            .acquire_owned()
            .await
            .expect("this semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let address = peer.ip().to_canonical();
                let guest = match proxies.contains(&address) {
                    true => None,
                    false => match guests.admit(address) {
                        Some(guest) => Some(guest),
                        None => {
                            tracing::debug!(
                                "one address holds all connections for {what} that it may"
                            );
                            continue;
                        }
                    },
                };
                let place = Place {
                    _one_of_all: place,
                    _one_of_its_address: guest,
                };
                tokio::spawn(serve(stream, peer, place));
            }
            // No descriptor is free, or the client is gone already.
            Err(error) => {
                tracing::debug!(%error, "a client could not connect for {what}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The addresses that hold connections.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<HashMap<IpAddr, usize>>);

/// A connection of an address; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Guest {
    guests: Arc<Guests>,
    address: IpAddr,
}

impl Guests {
    /// Counts a connection in; `None` when the address has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = network(address);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(address).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Guest {
            guests: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let held = &self.guests.0;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// Whom an address belongs to: with IPv6, everybody has 2^64 of them.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(bits).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn an_address_holds_so_many_connections_and_others_are_let_in_all_the_same() {
        let guests = Arc::new(Guests::default());
        let (greedy, other) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let mut held: Vec<_> = (0..MOST_OF_ONE)
            .map(|_| guests.admit(greedy.into()).expect("within bounds"))
            .collect();
        assert!(guests.admit(greedy.into()).is_none());
        assert!(guests.admit(other.into()).is_some());
        held.pop();
        assert!(guests.admit(greedy.into()).is_some());
        held.clear();
        assert!(guests.0.lock().expect("nobody panicked").is_empty());
    }

    #[test]
    fn addresses_of_one_network_are_one_guest() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
