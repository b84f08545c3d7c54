// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal mute`, `leave`, `join` and `key`, as they reach a running box.

use std::sync::{Arc, Mutex};

use roomseal_appliance::control::{self, Origin, Reply};
use roomseal_appliance::status::socket::Socket;
use roomseal_appliance::status::{Publisher, Status};
use roomseal_appliance::supervise::Supervisor;

use crate::program::{Place, Ran};

/// Runs the program against a box that answers everything with `reply`; also what the box heard.
async fn told(reply: Reply, arguments: &[&str], input: &str) -> (Ran, Vec<String>) {
    let place = Place::new();
    place.secret("key.hex", "000102030405060708090a0b0c0d0e0f");
    let publisher = Publisher::new(Status::default());
    let supervisor = Supervisor::new();
    let mut running = supervisor;
    let (control, mut orders) = control::channel();
    let socket = Socket::bind(&place.path().join("status.sock")).unwrap();
    running.task(
        "status",
        socket.serve(publisher.clone(), control, running.stop()),
    );
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Some(order) = orders.next().await {
            assert_eq!(order.origin, Origin::CommandLine);
            hearing.lock().unwrap().push(format!("{:?}", order.command));
            order.answer(reply.clone());
        }
    });
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let input = input.as_bytes().to_vec();
    let ran = tokio::task::spawn_blocking(move || {
        let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        words.extend(["--socket", "status.sock"]);
        place.roomseal(&words, &input)
    })
    .await
    .unwrap();
    let heard = heard.lock().unwrap().clone();
    (ran, heard)
}

fn done() -> Reply {
    Reply::Done("so be it".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_says_what_it_means_and_what_came_of_it() {
    for (arguments, meaning) in [
        (&["mute"][..], "Mute { what: Microphone, to: On }"),
        (&["mute", "off"], "Mute { what: Microphone, to: Off }"),
        (
            &["mute", "--camera", "toggle"],
            "Mute { what: Camera, to: Toggle }",
        ),
        (&["leave"], "Leave"),
        (&["join"], "Join { to: None }"),
        (&["join", "lobby"], "Join { to: Some(Room(\"lobby\")) }"),
        (
            &["join", "K3F 9ab x2c"],
            "Join { to: Some(Code(RoomName(\"k3f-9ab-x2c\"))) }",
        ),
        (&["join", "--next"], "Booked { room: None }"),
        (&["start"], "Start"),
        (&["end"], "End"),
    ] {
        let (ran, heard) = told(done(), arguments, "").await;
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        assert_eq!(ran.text(), "so be it\n");
        assert_eq!(heard, [meaning]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_box_refuses_is_said_with_its_reason() {
    let denied = Reply::Denied("muted at the box".to_owned());
    let (ran, _) = told(denied, &["mute", "off"], "").await;
    ran.refused(1, "denied: muted at the box");
    let (ran, _) = told(Reply::NotNow("in no meeting".to_owned()), &["leave"], "").await;
    ran.refused(1, "in no meeting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_piped_or_read_from_a_private_file_and_never_shown() {
    for (arguments, input) in [
        (&["key"][..], "correct horse battery staple\n"),
        (&["key", "--hex", "--file", "key.hex"], ""),
    ] {
        let (ran, heard) = told(done(), arguments, input).await;
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        assert!(heard[0].starts_with("Key("), "{heard:?}");
        let shown = format!("{heard:?}{}{}", ran.text(), ran.err);
        assert!(
            !shown.contains("horse") && !shown.contains("0001"),
            "{shown}"
        );
    }
    let (ran, heard) = told(done(), &["key"], "\n").await;
    ran.refused(1, "no key was given");
    assert!(heard.is_empty());
    let (ran, heard) = told(done(), &["key", "--hex"], "zz\n").await;
    ran.refused(1, "openssl rand -hex 32");
    assert!(heard.is_empty());
    // As an argument every user of the machine would see it.
    let (ran, _) = told(done(), &["key", "open-sesame"], "").await;
    ran.refused(2, "unexpected argument");
}

#[test]
fn without_a_running_box_they_say_so_and_end_with_4() {
    let place = Place::new();
    for command in ["mute", "leave", "join", "key"] {
        place
            .roomseal(&[command, "--socket", "absent.sock"], b"word\n")
            .refused(4, "no running box answers on absent.sock");
    }
}
