// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service that lies: whatever it says, the box lives on, sends nothing to a stranger, and says what was wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use livekit_protocol::signal_response::Message;
use livekit_protocol::{SessionDescription, SignalResponse};
use roomseal_appliance::status::Connection;
use roomseal_tests::appliance::{Appliance, Start, track};
use roomseal_tests::livekit::Server;
use roomseal_tests::proxy::{Instead, Proxy};

use crate::{SOON, one_at_a_time};

/// Passes everything on, but session descriptions altered.
fn altering(
    port: u16,
    alter: impl Fn(bool, &mut SessionDescription) + Send + Sync + 'static,
) -> Proxy {
    Proxy::before(port, move |mut response: SignalResponse| {
        match &mut response.message {
            Some(Message::Offer(description)) => alter(true, description),
            Some(Message::Answer(description)) => alter(false, description),
            _ => {}
        }
        Instead::Messages(vec![response])
    })
}

fn join_through(proxy: &Proxy, server: &Server, room: &str) -> Appliance {
    Start::new("run", "box").with(["--camera", "test"]).join_at(
        &proxy.url(),
        &server.token("box", room),
        room,
    )
}

/// The box through the proxy, a guest at the honest door: does the guest ever get a frame?
fn box_survives_and_sends_nothing(
    room: &str,
    alter: impl Fn(bool, &mut SessionDescription) + Send + Sync + 'static,
) {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let proxy = altering(server.port(), alter);
    let mut sender = join_through(&proxy, &server, room);
    let guest = Start::new("guest", "guest").join(&server, room);
    guest.wait_until_joined();
    // It says what is wrong and tries again with a new connection.
    sender.wait_for("word about the service", SOON, |s| {
        let named = !s.troubles.is_empty()
            || matches!(
                s.connection,
                Connection::Reconnecting { .. } | Connection::Left { .. }
            );
        named.then_some(())
    });
    assert!(sender.process.is_running(), "the box lives");
    let got = track(&guest.status(), "box", "camera").map_or(0, |t| t.opened + t.refused);
    assert_eq!(
        got, 0,
        "frames reached the room through a connection that must not be trusted"
    );
    assert!(sender.interrupt_cleanly(), "the box ends cleanly");
}

#[test]
fn a_falsified_fingerprint_is_noticed_and_nothing_is_sent() {
    box_survives_and_sends_nothing("fingerprint", |_, description| {
        let lines = description.sdp.split_inclusive("\r\n").map(|line| {
            match line.split_once("a=fingerprint:sha-256 ") {
                Some(_) => format!("a=fingerprint:sha-256 {}\r\n", vec!["AB"; 32].join(":")),
                None => line.to_owned(),
            }
        });
        description.sdp = lines.collect();
    });
}

#[test]
fn an_answer_that_is_garbage_is_refused_and_the_box_lives() {
    box_survives_and_sends_nothing("garbage", |offer, description| {
        if !offer {
            description.sdp = "v=0\r\nm=\r\na=\u{fffd}\u{0}".to_owned();
        }
    });
}

#[test]
fn an_answer_with_a_media_section_less_is_refused_and_the_box_lives() {
    box_survives_and_sends_nothing("missing", |offer, description| {
        if !offer && let Some(last) = description.sdp.rfind("m=") {
            description.sdp.truncate(last);
        }
    });
}

#[test]
fn an_answer_with_swapped_media_sections_is_refused_and_the_box_lives() {
    box_survives_and_sends_nothing("swapped", |offer, description| {
        if offer {
            return;
        }
        let mut starts: Vec<usize> = description
            .sdp
            .match_indices("\r\nm=")
            .map(|(at, _)| at + 2)
            .collect();
        if starts.len() < 2 {
            return;
        }
        starts.push(description.sdp.len());
        let mut sections: Vec<&str> = starts
            .windows(2)
            .map(|w| &description.sdp[w[0]..w[1]])
            .collect();
        sections.swap(0, 1);
        description.sdp = format!("{}{}", &description.sdp[..starts[0]], sections.concat());
    });
}

#[test]
fn offers_that_reorder_what_was_agreed_do_not_end_the_process() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let offers = AtomicUsize::new(0);
    let proxy = altering(server.port(), move |offer, description| {
        // The first offer is honest; later ones come with their sections in another order.
        if !offer || offers.fetch_add(1, Ordering::Relaxed) == 0 {
            return;
        }
        let mut starts: Vec<usize> = description
            .sdp
            .match_indices("\r\nm=")
            .map(|(at, _)| at + 2)
            .collect();
        starts.push(description.sdp.len());
        let sections: Vec<&str> = starts
            .windows(2)
            .rev()
            .map(|w| &description.sdp[w[0]..w[1]])
            .collect();
        description.sdp = format!("{}{}", &description.sdp[..starts[0]], sections.concat());
    });
    let mut sender = join_through(&proxy, &server, "reorder");
    sender.wait_until_joined();
    let before = proxy.connections();
    let _guest = Start::new("run", "other")
        .with(["--camera", "test"])
        .join(&server, "reorder");
    sender.wait_for("refusal", SOON, |s| {
        let named = !s.troubles.is_empty()
            || matches!(s.connection, Connection::Reconnecting { .. })
            || proxy.connections() > before;
        named.then_some(())
    });
    assert!(sender.process.is_running());
    assert!(sender.interrupt_cleanly());
}

#[test]
fn garbage_on_the_websocket_is_survived() {
    let _turn = one_at_a_time();
    let server = Server::on_loopback();
    let proxy = Proxy::before(server.port(), |response| Instead::Messages(vec![response]));
    let mut sender = join_through(&proxy, &server, "noise");
    let guest = Start::new("guest", "guest").join(&server, "noise");
    guest.wait_for_track("picture", "box", "camera", SOON, |t| t.opened > 10);
    proxy.inject(&[]);
    proxy.inject(&[0xff; 4096]);
    proxy.inject(b"\x0a\xff\xff\xff\xff\x0f");
    proxy.inject_text("{\"join\": \"me\"}");
    let mark = guest.status();
    let sid = track(&mark, "box", "camera").map(|t| (t.sid, t.opened));
    guest.wait_for("more pictures", SOON, |s| {
        let now = track(s, "box", "camera")?;
        // Whether the box went on or joined anew, its pictures come.
        sid.as_ref()
            .is_none_or(|(sid, opened)| now.sid != *sid || now.opened > opened + 30)
            .then_some(())
    });
    assert!(sender.process.is_running());
    assert!(sender.interrupt_cleanly());
}

#[test]
fn a_service_that_hangs_up_in_the_middle_of_negotiation_is_survived() {
    let _turn = one_at_a_time();
    let mut server = Server::on_loopback();
    let proxy = Proxy::before(server.port(), |response| match response.message {
        // Nobody ever gets an answer or an offer.
        Some(Message::Answer(_) | Message::Offer(_)) => Instead::Messages(Vec::new()),
        _ => Instead::Messages(vec![response]),
    });
    let mut sender = join_through(&proxy, &server, "mute");
    sender.wait_for("entry", SOON, |s| {
        (s.connection != Connection::Starting).then_some(())
    });
    server.stop();
    sender.wait_for("notice", SOON, |s| {
        matches!(s.connection, Connection::Reconnecting { .. }).then_some(())
    });
    assert!(sender.process.is_running());
    assert!(sender.process.interrupt(Duration::from_secs(10)).success());
}
