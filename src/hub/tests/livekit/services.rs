// SPDX-License-Identifier: MIT OR Apache-2.0
//! A LiveKit server that takes orders for recordings, streams and calls, and what becomes of them.

use livekit_token::{AccessToken, SIPGrants, VideoGrants};
use roomseal_policy::E2ee;

use super::hosts::{Meeting, bearer, left};
use super::*;

/// Asks the server itself, as who may do all that.
async fn order(office: &Office, call: &str, body: Value) -> Value {
    let grants = VideoGrants {
        ingress_admin: true,
        ..VideoGrants::default()
    };
    let telephones = SIPGrants {
        admin: true,
        call: true,
    };
    let token = AccessToken::with_api_key("key", SECRET);
    let token = token.with_grants(grants).with_sip_grants(telephones);
    let headers = bearer(&token.to_jwt().unwrap());
    let mut browser = Browser::new(office.held.rooms(office.address));
    let path = format!("/twirp/livekit.{call}");
    let body = body.to_string();
    let answer = browser.send("POST", &path, &headers, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn states(office: &Office, meeting: &Meeting) -> Vec<(String, String)> {
    let path = format!("/api/meetings/{}/features", meeting.room);
    let headers = bearer(&meeting.token);
    let told = office.browser().send("GET", &path, &headers, "").await;
    let features = told.body["features"].as_array().unwrap().clone();
    let text = |feature: &Value, name: &str| feature[name].as_str().unwrap().to_owned();
    let services = ["cloud-recording", "stream-out", "phone-dial-in", "sip"];
    features
        .iter()
        .map(|feature| (text(feature, "name"), text(feature, "state")))
        .filter(|(name, _)| services.contains(&&**name))
        .collect()
}

async fn start(office: &Office, meeting: &Meeting, feature: &str, body: Value) -> Answer {
    let path = format!("/api/meetings/{}/features/{feature}", meeting.room);
    let (headers, body) = (bearer(&meeting.token), body.to_string());
    office.browser().send("POST", &path, &headers, &body).await
}

#[tokio::test]
async fn what_the_server_takes_orders_for_is_offered_started_and_switched_off_by_encryption() {
    let office = Office::holding(Held::with_services(), None, None).await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let host = Client::connect(office.address, &meeting.token).await;
    let _host = host.unwrap();
    assert_eq!(meeting.say(&office, E2ee::Off).await.status, 200);
    let all = |of: [&str; 4]| -> Vec<(String, String)> {
        ["cloud-recording", "stream-out", "phone-dial-in", "sip"]
            .into_iter()
            .zip(of)
            .map(|(name, state)| (name.to_owned(), state.to_owned()))
            .collect()
    };
    let (yes, no) = ("available", "not configured");
    assert_eq!(states(&office, &meeting).await, all([yes, yes, no, no]));
    let line = json!({ "trunk": { "name": "in", "numbers": ["+4912345"] } });
    order(&office, "SIP/CreateSIPInboundTrunk", line).await;
    let line = json!({ "trunk": { "name": "out", "address": "sip.example.org", "numbers": ["+4912345"] } });
    order(&office, "SIP/CreateSIPOutboundTrunk", line).await;
    assert_eq!(states(&office, &meeting).await, all([yes; 4]));

    let called = start(&office, &meeting, "phone-dial-in", json!({})).await;
    assert_eq!(called.status, 201, "{called:?}");
    let pin = called.body["pin"].as_str().unwrap();
    assert!(pin.len() == 8 && pin.bytes().all(|byte| byte.is_ascii_digit()));
    let rules = order(&office, "SIP/ListSIPDispatchRule", json!({})).await;
    let rules = rules.to_string();
    assert!(
        rules.contains(pin) && rules.contains(&meeting.room),
        "{rules}"
    );
    let stop = async |feature: &str| {
        let path = format!("/api/meetings/{}/features/{feature}", meeting.room);
        let headers = bearer(&meeting.token);
        office.browser().send("DELETE", &path, &headers, "").await
    };
    assert_eq!(stop("phone-dial-in").await.status, 204);
    let rules = order(&office, "SIP/ListSIPDispatchRule", json!({})).await;
    assert!(!rules.to_string().contains(pin), "{rules}");
    for feature in ["phone-dial-in", "cloud-recording", "stream-out", "sip"] {
        problem(&stop(feature).await, 404, "not-running");
    }
    let token = meeting.token_for("telephone", "sip");
    let mut telephone = Client::connect(office.address, &token).await.unwrap();
    assert_eq!(stop("sip").await.status, 204);
    left(&mut telephone).await;

    for (feature, body) in [
        ("stream-out", json!({})),
        ("stream-out", json!({ "to": "https://example.org" })),
        ("sip", json!({ "to": "" })),
    ] {
        let refused = start(&office, &meeting, feature, body).await;
        problem(&refused, 422, "invalid");
    }
    // The order is taken, and nobody carries it out.
    let refused = start(&office, &meeting, "cloud-recording", json!({})).await;
    problem(&refused, 503, "engine");

    let stream = json!({ "inputType": "RTMP_INPUT", "name": "camera", "roomName": meeting.room,
                         "participantIdentity": "camera" });
    order(&office, "Ingress/CreateIngress", stream).await;
    let list = json!({ "roomName": meeting.room });
    for e2ee in [E2ee::On, E2ee::Off, E2ee::On] {
        let said = meeting.say(&office, e2ee).await;
        assert_eq!(said.status, 200, "{said:?}");
        let listed = order(&office, "Ingress/ListIngress", list.clone()).await;
        let is_off = listed["items"][0]["enabled"] == json!(false);
        assert_eq!(is_off, e2ee == E2ee::On, "{listed}");
    }
    assert_eq!(states(&office, &meeting).await, all(["off: E2EE"; 4]));
    for feature in ["cloud-recording", "stream-out", "phone-dial-in", "sip"] {
        let refused = start(&office, &meeting, feature, json!({})).await;
        problem(&refused, 409, "off-e2ee");
    }
}
