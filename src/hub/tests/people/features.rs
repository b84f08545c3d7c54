// SPDX-License-Identifier: MIT OR Apache-2.0
//! What encryption switches off, as it is told and as it is refused.

use roomseal_policy::{E2ee, Feature};

use super::hosts::{Meeting, bearer};
use super::*;

async fn told(office: &Office, meeting: &Meeting) -> Answer {
    let path = format!("/api/meetings/{}/features", meeting.room);
    let answer = office
        .browser()
        .send("GET", &path, &bearer(&meeting.token), "")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn start(office: &Office, meeting: &Meeting, token: &str, name: &str) -> Answer {
    let path = format!("/api/meetings/{}/features/{name}", meeting.room);
    office
        .browser()
        .send("POST", &path, &bearer(token), "")
        .await
}

#[tokio::test]
async fn each_feature_says_how_it_stands_and_is_refused_with_the_reason() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let offered = ["breakout-rooms", "notes", "whiteboard", "h323"];
    for (said, word) in [
        (None, Value::Null),
        (Some(E2ee::On), json!("on")),
        (Some(E2ee::Off), json!("off")),
    ] {
        if let Some(e2ee) = said {
            assert_eq!(meeting.say(&office, e2ee).await.status, 200);
        }
        let told = told(&office, &meeting).await.body;
        assert_eq!(told["e2ee"], word);
        let features = told["features"].as_array().unwrap();
        for feature in Feature::ALL {
            let found = features.iter().find(|it| it["called"] == feature.name());
            assert!(found.is_some(), "{feature:?}");
        }
        for feature in features {
            let name = feature["name"].as_str().unwrap();
            let clear = said == Some(E2ee::Off);
            // At a LiveKit server there is an agent for these.
            let is_done = !Held::IS_EMBEDDED && name == "captions" && clear;
            let (state, kind) = match (offered.contains(&name), clear) {
                _ if is_done => ("available", ""),
                (true, true) => ("not offered", "not-offered"),
                (true, false) => ("not offered", "off-e2ee"),
                (false, true) => ("not configured", "not-configured"),
                (false, false) => ("off: E2EE", "off-e2ee"),
            };
            assert_eq!(feature["state"], state, "{feature}");
            assert_eq!(
                feature["reason"].is_string(),
                state == "off: E2EE",
                "{feature}"
            );
            let answer = start(&office, &meeting, &meeting.token, name).await;
            if is_done {
                assert_eq!(answer.status, 201, "{answer:?}");
                continue;
            }
            problem(&answer, 409, kind);
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(
                detail.starts_with(feature["called"].as_str().unwrap()),
                "{detail}"
            );
        }
    }
}

#[tokio::test]
async fn who_is_no_host_starts_nothing_and_who_is_not_invited_is_told_nothing() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let meeting = Meeting::start(&mut admin, true).await;
    let entry = meeting.join(&mut office.browser()).await;
    let guest = entry.body["token"].as_str().unwrap();
    problem(
        &start(&office, &meeting, guest, "cloud-recording").await,
        403,
        "not-host",
    );
    problem(
        &start(&office, &meeting, "", "cloud-recording").await,
        401,
        "token",
    );
    problem(
        &start(&office, &meeting, &meeting.token, "coffee").await,
        404,
        "no-such",
    );
    let path = format!("/api/meetings/{}/features", meeting.room);
    problem(&office.browser().get(&path).await, 401, "token");
}
