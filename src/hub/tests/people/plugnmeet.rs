// SPDX-License-Identifier: MIT OR Apache-2.0
//! The calls of Plug-N-Meet's integrations, and the lines with them in the README.

use std::process::Stdio;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::*;

fn signature(body: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends a call with these headers beside the type.
async fn send(office: &Office, call: &str, headers: &str, body: &str) -> Answer {
    let mut browser = office.browser();
    // What asks is no page of the hub.
    browser.headers = format!("Host: {}\r\n", office.address);
    let headers = format!("{headers}Content-Type: application/json\r\n");
    let path = format!("/auth/room/{call}");
    browser.send("POST", &path, &headers, body).await
}

async fn call(office: &Office, call: &str, body: Value) -> Answer {
    let body = body.to_string();
    let signature = signature(&body, SECRET);
    let headers = format!("API-KEY: office\r\nHASH-SIGNATURE: {signature}\r\n");
    send(office, call, &headers, &body).await
}

fn room(id: &str, encryption: Value) -> Value {
    let features = json!({ "end_to_end_encryption_features": encryption, "polls_features": { "is_allow": true } });
    json!({ "room_id": id, "metadata": { "room_title": "Plans", "room_features": features } })
}

fn user(room: &str, name: &str, admin: bool) -> Value {
    let info = json!({ "name": name, "user_id": format!("user-{name}"), "is_admin": admin, "is_hidden": false,
                       "user_metadata": { "profile_pic": "https://profile.example/1.jpg" } });
    json!({ "room_id": room, "user_info": info })
}

fn refused(answer: &Answer, status: u16, about: &str) {
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (status, &json!(false)),
        "{answer:?}"
    );
    let text = answer.body["msg"].as_str().unwrap();
    assert!(text.contains(about), "{text}");
}

#[tokio::test]
async fn a_meeting_is_made_once_and_keeps_what_it_was_made_with() {
    let office = Office::open().await;
    let server = json!({ "is_enabled": true, "included_chat_messages": true });
    let made = call(&office, "create", room("plans", server)).await;
    assert_eq!(
        (made.status, &made.body["status"]),
        (200, &json!(true)),
        "{made:?}"
    );
    let info = &made.body["room_info"];
    assert_eq!(
        (&info["room_id"], &info["room_title"]),
        (&json!("plans"), &json!("Plans"))
    );
    assert_eq!(
        (&info["is_running"], &info["joined_participants"]),
        (&json!(true), &json!("0"))
    );
    let sid = info["sid"].as_str().unwrap();
    assert!(sid.len() == 36 && sid.as_bytes()[14] == b'4', "{sid}");
    let metadata: Value = serde_json::from_str(info["metadata"].as_str().unwrap()).unwrap();
    let encryption = &metadata["room_features"]["end_to_end_encryption_features"];
    assert_eq!(encryption["is_enabled"], true);
    assert_eq!(encryption["enabled_self_insert_encryption_key"], false);
    // What the server makes is told to nobody here.
    assert!(encryption.get("encryption_key").is_none());

    let again = call(
        &office,
        "create",
        room("plans", json!({ "is_enabled": false })),
    )
    .await;
    assert_eq!(again.body["room_info"]["sid"], sid);
    assert_eq!(again.body["room_info"]["metadata"], info["metadata"]);

    let mut admin = office.admin().await;
    let started = admin.post("/api/meetings", json!({ "e2ee": false })).await;
    let taken = started.body["room"].as_str().unwrap();
    let answer = call(&office, "create", room(taken, json!({}))).await;
    refused(&answer, 409, "another meeting");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_what_to_do() {
    let office = Office::open().await;
    for (encryption, about) in [
        (
            json!({ "is_enabled": true, "encryption_key": "guess" }),
            "encryption_key",
        ),
        (
            json!({ "is_enabled": true, "included_whiteboard": true }),
            "whiteboard",
        ),
        (json!({ "is_enabled": "yes" }), "JSON"),
    ] {
        let answer = call(&office, "create", room("plans", encryption)).await;
        refused(&answer, 400, about);
    }
    for id in ["", "a b", "../plans", &"x".repeat(65)] {
        let answer = call(&office, "create", room(id, json!({}))).await;
        refused(&answer, 400, "room_id");
    }
    let answer = call(&office, "getJoinToken", user("plans", "Ann", false)).await;
    refused(&answer, 404, "create it first");
    assert_eq!(
        call(&office, "create", room("plans", json!({})))
            .await
            .status,
        200
    );
    for (key, value, about) in [
        ("user_id", json!("guest-x"), "user_id"),
        ("user_id", json!("RECORDER_BOT"), "user_id"),
        ("user_id", json!("a.b"), "user_id"),
        ("user_id", json!(""), "user_id"),
        ("name", json!("a\nb"), "name"),
        ("is_hidden", json!(true), "hidden"),
    ] {
        let mut asked = user("plans", "Ann", false);
        asked["user_info"][key] = value;
        refused(&call(&office, "getJoinToken", asked).await, 400, about);
    }
    refused(
        &call(&office, "endRoom", json!({})).await,
        404,
        "room/create",
    );
    let get = office.browser().get("/auth/room/create").await;
    refused(&get, 405, "POST");
    let large = json!({ "room_id": "x".repeat(70_000) });
    refused(&call(&office, "create", large).await, 413, "at most");
}

#[tokio::test]
async fn only_who_holds_the_secret_of_the_key_is_answered() {
    let office = Office::open().await;
    let body = room("plans", json!({})).to_string();
    let right = signature(&body, SECRET);
    for headers in [
        String::new(),
        "API-KEY: office\r\n".to_owned(),
        format!("HASH-SIGNATURE: {right}\r\n"),
        format!("API-KEY: nobody\r\nHASH-SIGNATURE: {right}\r\n"),
        format!(
            "API-KEY: office\r\nHASH-SIGNATURE: {}\r\n",
            signature(&body, "guess")
        ),
        format!(
            "API-KEY: nobody\r\nHASH-SIGNATURE: {}\r\n",
            signature(&body, "")
        ),
        format!("API-KEY: office\r\nHASH-SIGNATURE: {}\r\n", &right[..62]),
        format!(
            "API-KEY: office\r\nHASH-SIGNATURE: {}\r\n",
            right.to_uppercase()
        ),
        // Of another body.
        format!(
            "API-KEY: office\r\nHASH-SIGNATURE: {}\r\n",
            signature("{}", SECRET)
        ),
    ] {
        refused(&send(&office, "create", &headers, &body).await, 401, "sign");
    }
    // Who is right is not counted, and who guesses is soon not heard.
    for _ in 0..100 {
        let answer = call(&office, "create", room("plans", json!({}))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let mut heard = 0;
    while send(
        &office,
        "create",
        "API-KEY: office\r\nHASH-SIGNATURE: 0\r\n",
        &body,
    )
    .await
    .status
        == 401
    {
        heard += 1;
        assert!(heard < 100);
    }
    refused(
        &call(&office, "create", room("plans", json!({}))).await,
        429,
        "wait",
    );
}

#[tokio::test]
async fn beyond_this_machine_nothing_is_answered_in_clear() {
    let office = Office::at(None, Some("https://meet.example.org")).await;
    let made = call(&office, "create", room("plans", json!({}))).await;
    assert_eq!(made.status, 200, "{made:?}");
    let token = call(&office, "getJoinToken", user("plans", "Ann", false)).await;
    let token = token.body["token"].as_str().unwrap();
    let link = office
        .browser()
        .get(&format!("/?access_token={token}"))
        .await;
    assert!(
        link.header("set-cookie").unwrap().ends_with("; Secure"),
        "{link:?}"
    );
}

#[tokio::test]
async fn the_link_opens_the_page_and_its_person_joins_as_who_the_integration_says() {
    let office = Office::open().await;
    // With an admin, guests sign in for encrypted meetings; these are no guests.
    office.admin().await;
    let own_key = json!({ "is_enabled": true, "enabled_self_insert_encryption_key": true });
    assert_eq!(
        call(&office, "create", room("plans", own_key)).await.status,
        200
    );
    for (name, admin) in [("Ann", true), ("Bob", false)] {
        let given = call(&office, "getJoinToken", user("plans", name, admin)).await;
        assert_eq!(
            (given.status, &given.body["msg"]),
            (200, &json!("success")),
            "{given:?}"
        );
        let token = given.body["token"].as_str().unwrap();
        // It is good for the link, and for nothing else.
        let now = Clock::system().now();
        assert!(keys().admit(token, now).is_err());

        let mut browser = office.browser();
        let link = browser
            .get(&format!("/?access_token={token}&custom_design=%7B%7D"))
            .await;
        assert_eq!(
            (link.status, link.header("location")),
            (303, Some("/j/plans")),
            "{link:?}"
        );
        let cookie = link.header("set-cookie").unwrap();
        assert!(
            cookie.contains("; Path=/api/meetings/plans/; HttpOnly; SameSite=Strict; "),
            "{cookie}"
        );
        let door = browser.get("/api/meetings/plans/door").await;
        assert_eq!(
            (&door.body["key"], &door.body["name"]),
            (&json!("people"), &json!(name)),
            "{door:?}"
        );
        let entry = browser
            .post("/api/meetings/plans/join", json!({ "name": "?" }))
            .await;
        assert_eq!(entry.body["identity"], format!("user-{name}"), "{entry:?}");
        let admission = keys()
            .admit(entry.body["token"].as_str().unwrap(), now)
            .unwrap();
        assert_eq!(
            (admission.name.as_str(), admission.room_admin),
            (name, admin)
        );
        // In another room it is nobody's word.
        let other = browser
            .post("/api/meetings/other/join", json!({ "name": "Zoë" }))
            .await;
        assert!(
            other.body["identity"]
                .as_str()
                .unwrap()
                .starts_with("guest-")
        );
    }
    let mut stranger = office.browser();
    let join = "/api/meetings/plans/join";
    let entry = stranger.post(join, json!({ "name": "Eve" })).await;
    problem(&entry, 403, "not-invited");
    for token in ["", "a.b.c", &super::hosts::token_of_owner()] {
        let link = office
            .browser()
            .get(&format!("/?access_token={token}"))
            .await;
        problem(&link, 401, "token");
        assert!(link.header("set-cookie").is_none());
    }
}

#[tokio::test]
async fn the_door_says_where_the_key_of_a_meeting_comes_from() {
    let office = Office::open().await;
    for (id, encryption, key) in [
        ("simple", json!({ "is_enabled": true }), "service"),
        (
            "own",
            json!({ "is_enabled": true, "enabled_self_insert_encryption_key": true }),
            "people",
        ),
    ] {
        assert_eq!(
            call(&office, "create", room(id, encryption)).await.status,
            200
        );
        let door = office
            .browser()
            .get(&format!("/api/meetings/{id}/door"))
            .await;
        let expected = json!({ "key": key, "name": null, "signed_in": false, "accounts": false, "guests": "allow" });
        assert_eq!((door.status, &door.body), (200, &expected), "{door:?}");
    }
    // Nobody finds out so which rooms there are.
    let unknown = office.browser().get("/api/meetings/unknown/door").await;
    assert_eq!(
        (unknown.status, &unknown.body["key"]),
        (200, &json!("link"))
    );
}

#[tokio::test]
async fn a_meeting_made_without_encryption_has_no_key() {
    let office = Office::open().await;
    let made = call(
        &office,
        "create",
        room("open", json!({ "is_enabled": false })),
    )
    .await;
    assert_eq!(made.status, 200, "{made:?}");
    let door = office.browser().get("/api/meetings/open/door").await;
    assert_eq!(door.body["key"], "none", "{door:?}");
}

/// The block of commands in the README that asks for this.
fn lines_with(what: &str) -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md"));
    let readme = readme.unwrap();
    let mut blocks = readme.split("\n```\n").skip(1).step_by(2);
    let found = blocks.find(|block| block.contains(what));
    found.unwrap().to_owned()
}

#[tokio::test]
async fn the_lines_of_the_readme_make_both_kinds_of_meeting_and_a_link() {
    let office = Office::open().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let script = lines_with("/auth/room/").replace("127.0.0.1:7880", &office.address.to_string());
    let mut shell = Command::new("sh");
    shell.arg("-eu").current_dir(folder.path());
    shell
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut input = shell.stdin.take().unwrap();
    input.write_all(script.as_bytes()).await.unwrap();
    drop(input);
    let output = shell.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{errors}");
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let answers: Vec<_> = answers.map(Result::unwrap).collect();
    let [simple, own_key, given] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    for (answer, own) in [(simple, false), (own_key, true)] {
        assert_eq!(answer["status"], true, "{answer}");
        let metadata = answer["room_info"]["metadata"].as_str().unwrap();
        let metadata: Value = serde_json::from_str(metadata).unwrap();
        let encryption = &metadata["room_features"]["end_to_end_encryption_features"];
        assert_eq!(encryption["is_enabled"], true);
        assert_eq!(encryption["enabled_self_insert_encryption_key"], own);
    }
    let token = given["token"].as_str().unwrap();
    let link = office
        .browser()
        .get(&format!("/?access_token={token}"))
        .await;
    let room = own_key["room_info"]["room_id"].as_str().unwrap();
    assert_eq!(
        link.header("location"),
        Some(&*format!("/j/{room}")),
        "{link:?}"
    );
}
