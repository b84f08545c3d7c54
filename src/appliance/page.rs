// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front-panel page: the box in a browser, seen and operated without its button.
//!
//! Served on loopback over plain HTTP. What a page of somebody else could do with the visitor's browser is shut out: the
//! `Host` must be an address of loopback (so that no foreign name can be rebound to it), a command must come from a page
//! of this origin and carry the token that only such a page can read, nothing may frame the page, and nothing but its
//! own files may run in it. There are no cookies. No answer holds a key.
//!
//! Slow, endless and numerous visitors are bounded: connections, bytes and time.

mod answer;
mod assets;
mod patience;
mod route;
mod state;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::patience::Patient;
use self::route::Desk;
use crate::control::Control;
use crate::status::{Renewals, Status};
use crate::supervise::Stop;

/// Browsers open six at a time; one more than these waits until another ends.
const MOST_CONNECTIONS: usize = 32;

/// How long a request may take to arrive, and an idle connection to stay.
const READING: Duration = Duration::from_secs(10);

/// How long a visitor may take nothing of an answer.
const WRITING: Duration = Duration::from_secs(20);

/// A request line with all headers; browsers send less than a tenth of it.
const LONGEST_HEAD: usize = 16 * 1024;

/// The listening page.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
}

impl Page {
    /// Listens on `address`, which has to be one of loopback.
    ///
    /// # Errors
    /// When the address is taken, or not of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where a browser finds it.
    pub fn address(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves until asked to stop.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub async fn serve(
        self,
        status: watch::Receiver<Status>,
        renewals: Renewals,
        control: Control,
        stop: Stop,
    ) -> anyhow::Result<()> {
        let desk = Arc::new(Desk::new(self.address, status, renewals, control)?);
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut visits = JoinSet::new();
        loop {
            let place = tokio::select! {
                // Ended visits are cleared away before a new one is let in.
                biased;
                () = stop.asked() => return Ok(()),
                Some(_) = visits.join_next(), if !visits.is_empty() => continue,
                place = Arc::clone(&places).acquire_owned() => {
                    place.expect("this semaphore is never closed")
                }
            };
            let accepted = tokio::select! {
                () = stop.asked() => return Ok(()),
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let desk = Arc::clone(&desk);
                    visits.spawn(async move {
                        visit(stream, desk).await;
                        drop(place);
                    });
                }
                // No descriptor is free, or the visitor is gone already: the next one may find it better.
                Err(error) => {
                    tracing::debug!(%error, "a visitor of the page could not be let in");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// One connection, to its end.
async fn visit(stream: TcpStream, desk: Arc<Desk>) {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, std::convert::Infallible>(route::answer(&desk, request).await) }
    });
    let stream = TokioIo::new(Patient::new(stream, WRITING));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READING)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(stream, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a visit to the page ended early");
    }
}

#[cfg(test)]
mod tests;
