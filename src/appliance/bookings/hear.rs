// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the hub each minute what this box is booked for, as long as it is enrolled.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use roomseal_e2ee::envelope;
use roomseal_policy::DeviceKey;
use roomseal_service::hub::{Booking, Error, Heard, Pass};
use tokio::time::Instant;

use super::open::{self, Useless};
use super::{APART, Bookings, Invitation, seconds, system_time};
use crate::enrolment::{self, Enrolment, Mark, Place};
use crate::status::{Enrolled, Publisher};
use crate::supervise::Stop;

/// How often the hub is asked.
const EVERY: Duration = Duration::from_secs(60);

/// How long after the first time that the hub was away it is asked again; then twice as long, and so on.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// How often it is looked whether the box was enrolled meanwhile, and what is over.
const LOOK: Duration = Duration::from_secs(1);

/// So many bookings are opened; the hub says the next first.
const MOST: usize = 20;

/// What the troubles of this are about.
const BOOKINGS: &str = "bookings";
const BOOKING: &str = "a booking";
const CLOCK: &str = "clock";

/// Asks until the box stops; a box that is not enrolled waits for that.
///
/// # Errors
/// None: what goes wrong is shown and heals.
pub async fn hear(
    place: Option<Place>,
    bookings: Bookings,
    status: Publisher,
    stop: Stop,
) -> Result<(), anyhow::Error> {
    let Some(place) = place else {
        stop.asked().await;
        return Ok(());
    };
    let mut ear = Ear {
        place,
        bookings,
        status,
        mark: None,
        enrolled: None,
    };
    while !stop.is_asked() {
        tokio::select! {
            () = stop.asked() => {}
            () = ear.turn() => tokio::time::sleep(LOOK).await,
        }
    }
    Ok(())
}

struct Ear {
    place: Place,
    bookings: Bookings,
    status: Publisher,
    /// The enrolment that was read last.
    mark: Option<Mark>,
    enrolled: Option<Asking>,
}

/// What asking takes.
struct Asking {
    enrolment: Enrolment,
    keys: Arc<Keys>,
    pass: Option<Pass>,
    /// How often in a row nothing was heard.
    failed: u32,
    next: Instant,
    /// What was heard last, by which it is seen what has to be opened anew.
    heard: Vec<Booking>,
}

/// The one key, as what it is used for.
struct Keys {
    signs: DeviceKey,
    opens: envelope::DeviceKey,
}

impl Ear {
    async fn turn(&mut self) {
        let mark = self.place.mark();
        if mark != self.mark {
            self.mark = mark;
            self.begin().await;
        }
        if let Some(asking) = &mut self.enrolled
            && Instant::now() >= asking.next
        {
            match asking.ask().await {
                Ok(heard) => self.take(heard).await,
                Err(error) => self.missed(&error),
            }
        }
        let shown = self.bookings.shown();
        self.status.update(|status| status.booked = shown);
    }

    /// Another enrolment, or none.
    async fn begin(&mut self) {
        self.enrolled = None;
        self.bookings.set(Vec::new());
        for about in [BOOKINGS, BOOKING, CLOCK] {
            self.status.trouble(about, None);
        }
        self.status.update(|status| status.enrolled = None);
        let place = self.place.clone();
        let read = tokio::task::spawn_blocking(move || {
            let enrolment = place.enrolment()?;
            Ok::<_, enrolment::EnrolmentError>(enrolment.zip(place.key()?))
        });
        // Else the runtime is going down.
        let Ok(read) = read.await else {
            return;
        };
        let (enrolment, signs) = match read {
            Ok(Some(read)) => read,
            Ok(None) if self.mark.is_none() => return,
            Ok(None) => {
                let text =
                    "the key of this box's enrolment is gone: `roomseal enrol` makes another";
                return self.trouble(text.to_owned());
            }
            Err(error) => return self.trouble(error.to_string()),
        };
        let server = &enrolment.hub.server;
        let shown = Enrolled {
            hub: enrolment.hub_name(),
            name: enrolment.device.name.clone(),
            words: enrolment::words(&signs),
            insecure_lan: !server.is_encrypted() && !server.is_loopback(),
        };
        tracing::info!(hub = shown.hub, name = shown.name, "this box can be booked");
        self.status.update(|status| status.enrolled = Some(shown));
        let Some(opens) = envelope::DeviceKey::from_seed(signs.seed().expose()) else {
            return self
                .trouble("the key of this box's enrolment is none: enrol it anew".to_owned());
        };
        self.enrolled = Some(Asking {
            enrolment,
            keys: Arc::new(Keys { signs, opens }),
            pass: None,
            failed: 0,
            next: Instant::now(),
            heard: Vec::new(),
        });
    }

    /// The hub answered.
    async fn take(&mut self, heard: Heard) {
        let Some(asking) = &mut self.enrolled else {
            return;
        };
        self.status.trouble(BOOKINGS, None);
        let hub = asking.enrolment.hub.clone();
        let ahead = heard.now.map_or(0, apart);
        self.bookings.set_ahead(ahead);
        let clock = (ahead != 0).then(|| {
            format!(
                "the clock of this box is {} that of {}, which counts for what is booked: set it",
                apart_words(ahead),
                hub.name()
            )
        });
        self.status.trouble(CLOCK, clock);
        let mut meetings = heard.meetings;
        meetings.truncate(MOST);
        if meetings == asking.heard {
            return;
        }
        asking.heard.clone_from(&meetings);
        let known = self.bookings.all();
        let keys = Arc::clone(&asking.keys);
        // Curve arithmetic takes its time on a small board; what was opened before is not opened again.
        let opening = tokio::task::spawn_blocking(move || {
            let mut opened: Vec<Invitation> = Vec::with_capacity(meetings.len());
            let mut refused: Vec<(String, Useless)> = Vec::new();
            for booking in &meetings {
                let was = known.iter().find(|one| one.sealed == booking.sealed);
                match open::open(&hub, &keys.opens, booking, was) {
                    Ok(invitation) => opened.push(invitation),
                    Err(why) => refused.push((open::called(booking), why)),
                }
            }
            (opened, refused)
        });
        let Ok((mut opened, refused)) = opening.await else {
            return;
        };
        opened.sort_by_key(|one| one.shown.starts);
        for (called, why) in &refused {
            tracing::warn!("{called} is no invitation: {why}");
        }
        let text = refused.first().map(|(called, why)| {
            let more = match refused.len() {
                1 => String::new(),
                many => format!(" (and {} more)", many - 1),
            };
            format!("{called} is no invitation: {why}{more}. Ask who booked to do it anew")
        });
        self.status.trouble(BOOKING, text);
        self.bookings.set(opened);
    }

    /// The hub did not answer, or refused.
    fn missed(&mut self, error: &Error) {
        let Some(asking) = &mut self.enrolled else {
            return;
        };
        let hub = asking.enrolment.hub_name();
        let text = if matches!(error.kind(), Some("proof" | "token")) {
            // Whoever took it out does not want it to be there.
            asking.heard.clear();
            self.bookings.set(Vec::new());
            self.status.trouble(BOOKING, None);
            format!(
                "{hub} does not know this box any more: it was taken out there, or the account that it was enrolled by is \
                 disabled. `roomseal enrol` enrols it again, `roomseal enrol --forget` ends it"
            )
        } else {
            format!("{hub} cannot be asked what this box is booked for: {error}")
        };
        self.trouble(text);
    }

    fn trouble(&self, text: String) {
        let known = self.status.watch().borrow().trouble(BOOKINGS).cloned();
        if known.is_none_or(|known| known.text != text) {
            tracing::warn!("{text}");
        }
        self.status.trouble(BOOKINGS, Some(text));
    }
}

impl Asking {
    /// Asks, and says when to ask next.
    async fn ask(&mut self) -> Result<Heard, Error> {
        let heard = self.meetings().await;
        let pause = match &heard {
            Ok(_) => {
                self.failed = 0;
                EVERY
            }
            Err(error) => {
                let pause = AGAIN.saturating_mul(1 << self.failed.min(8)).min(LONGEST);
                self.failed += 1;
                pause.max(error.wait().unwrap_or_default().min(LONGEST))
            }
        };
        // Boxes that were switched on together do not ask together for ever.
        let spread = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        self.next = Instant::now() + pause.mul_f64(0.9 + spread / 5.0);
        heard
    }

    async fn meetings(&mut self) -> Result<Heard, Error> {
        let hub = &self.enrolment.hub;
        // A pass may have become worthless, and a challenge too old: the second answer counts.
        for is_last in [false, true] {
            let pass = match self.pass.take().filter(Pass::is_good) {
                Some(pass) => Ok(pass),
                None => {
                    let device = &self.enrolment.device.id;
                    hub.pass(&self.keys.signs, device).await
                }
            };
            let error = match pass {
                Ok(pass) => match hub.meetings(&pass).await {
                    Ok(heard) => {
                        self.pass = Some(pass);
                        return Ok(heard);
                    }
                    Err(error) => {
                        if error.kind() != Some("token") {
                            self.pass = Some(pass);
                        }
                        error
                    }
                },
                Err(error) => error,
            };
            if is_last || !matches!(error.kind(), Some("proof" | "token")) {
                return Err(error);
            }
        }
        Err(Error::NotAHub)
    }
}

impl Bookings {
    fn set(&self, invitations: Vec<Invitation>) {
        self.lock().invitations = invitations;
    }

    fn set_ahead(&self, ahead: i64) {
        self.lock().ahead = ahead;
    }

    fn all(&self) -> Vec<Invitation> {
        self.lock().invitations.clone()
    }
}

/// Seconds that the hub's clock is ahead, where that counts.
fn apart(hub: SystemTime) -> i64 {
    let ahead = seconds(hub).saturating_sub(system_time());
    match ahead.unsigned_abs() > APART.unsigned_abs() {
        true => ahead,
        false => 0,
    }
}

/// How the box's clock stands to the hub's.
fn apart_words(ahead: i64) -> String {
    let far = match ahead.unsigned_abs() {
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    };
    match ahead > 0 {
        true => format!("{far} behind"),
        false => format!("{far} ahead of"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use gst::glib::DateTime;
    use roomseal_service::hub::Hub;
    use roomseal_service::livekit::Trust;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use zeroize::Zeroizing;

    use super::super::tests::host_link;
    use super::*;
    use crate::status::Status;
    use crate::supervise::Supervisor;

    const THREE_HOURS: i64 = 3 * 3600;

    #[test]
    fn only_a_clock_that_is_far_off_gives_way_to_the_hubs() {
        let now = SystemTime::now();
        assert_eq!(apart(now + Duration::from_secs(100)), 0);
        assert_eq!(apart(now - Duration::from_secs(100)), 0);
        assert!((7199..=7200).contains(&apart(now + Duration::from_secs(7200))));
        assert_eq!(apart_words(180), "3 min behind");
        assert_eq!(apart_words(-3 * 86_400), "3 days ahead of");
    }

    /// A FAKE hub whose clock is `ahead`, which has one meeting that begins there in a minute; it takes every signature, and
    /// the second pass alone is good.
    async fn answer(mut stream: TcpStream, sealed: &str, ahead: i64, passes: &mut u32) {
        let mut asked = vec![0; 8192];
        let mut read = 0;
        loop {
            read += stream.read(&mut asked[read..]).await.unwrap();
            let text = std::str::from_utf8(&asked[..read]).unwrap();
            if text.ends_with('}') || (text.starts_with("GET") && text.ends_with("\r\n\r\n")) {
                break;
            }
        }
        let asked = std::str::from_utf8(&asked[..read]).unwrap();
        let now = system_time() + ahead;
        let (status, body) = match asked.split(' ').nth(1).unwrap() {
            "/api/devices/challenge" => (200, json!({ "challenge": "AAAA", "expires": 0 })),
            "/api/devices/token" => {
                *passes += 1;
                (
                    200,
                    json!({ "token": format!("pass-{passes}"), "valid": 3600 }),
                )
            }
            "/api/devices/self/meetings" if asked.contains("Bearer pass-2\r\n") => {
                let meeting = json!({
                    "room": "budget", "title": "Budget", "starts": now + 60, "ends": now + 3600, "e2ee": true,
                    "waiting_room": false, "organiser": "ada", "sealed": sealed,
                });
                (200, json!({ "meetings": [meeting] }))
            }
            "/api/devices/self/meetings" => (401, problem("token")),
            other => panic!("{other} is not asked"),
        };
        let date = DateTime::from_unix_utc(now).unwrap();
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").unwrap();
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} .\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = format!("{head}{body}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    fn problem(kind: &str) -> Value {
        json!({ "type": format!("urn:roomseal:problem:{kind}"), "detail": "no" })
    }

    /// What a box shows that hears from such a hub, and whether a press would enter the meeting.
    async fn heard(ahead: i64) -> (Status, bool) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(folder.path());
        let key = place.make_key().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let link = host_link(&origin, "budget");
        let to = envelope::DeviceKey::from_seed(key.seed().expose()).unwrap();
        let random = Zeroizing::new([3; 32]);
        let sealed = envelope::seal(to.public(), "budget", &link.expose(), &random).unwrap();
        let enrolment = Enrolment {
            hub: Hub {
                server: enrolment::address(&origin, false).unwrap(),
                trust: Trust::default(),
            },
            insecure_lan: false,
            device: roomseal_service::hub::Enrolled {
                id: "abc".to_owned(),
                name: "Board room".to_owned(),
            },
        };
        place.keep_enrolment(&enrolment).unwrap();
        tokio::spawn(async move {
            let mut passes = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                answer(stream, &sealed, ahead, &mut passes).await;
            }
        });
        let bookings = Bookings::default();
        let status = Publisher::new(Status::default());
        let supervisor = Supervisor::new();
        let hearing = hear(
            Some(place),
            bookings.clone(),
            status.clone(),
            supervisor.stop(),
        );
        let hearing = tokio::spawn(hearing);
        let mut watch = status.watch();
        let shown = watch
            .wait_for(|status| !status.booked.is_empty() || status.trouble(BOOKINGS).is_some());
        let shown = tokio::time::timeout(Duration::from_secs(20), shown).await;
        let shown = shown.unwrap().unwrap().clone();
        supervisor.stop().ask();
        hearing.await.unwrap().unwrap();
        (shown, bookings.by_press().is_some())
    }

    #[tokio::test]
    async fn a_box_whose_clock_is_not_set_goes_by_the_hubs_and_says_so() {
        let (status, enters) = heard(THREE_HOURS).await;
        assert!(enters, "it begins in a minute by the hub's clock");
        let clock = status.trouble(CLOCK).unwrap();
        assert!(clock.text.contains("3 h behind"), "{clock:?}");
        assert_eq!(status.trouble(BOOKINGS), None);
    }

    #[tokio::test]
    async fn a_pass_that_is_good_no_more_is_replaced_and_what_opens_is_shown() {
        let (status, enters) = heard(0).await;
        assert!(enters && status.troubles.is_empty(), "{status:?}");
        assert_eq!(status.booked[0].title, "Budget");
        assert_eq!(status.enrolled.unwrap().name, "Board room");
    }
}
