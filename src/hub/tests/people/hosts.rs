// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hosts tell the hub of end-to-end encryption, and what becomes of guests and programs then.

use std::iter;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use livekit_protocol::DisconnectReason;
use livekit_protocol::signal_response::Message as Say;
use livekit_token::{AccessToken, VideoGrants};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use roomseal_policy::{
    Certificate, Chain, Check, Decision, E2ee, Host, HostKey, KeyModel, KeySeed, MeetingKey,
    PolicyNonce, RoomName,
};

use zeroize::Zeroizing;

use super::accounts::joined;
use super::*;

/// A meeting whose host presses.
pub(super) struct Meeting {
    pub(super) room: String,
    /// With the grants of its host.
    pub(super) token: String,
    host: Host,
    pub(super) chain: Option<Chain>,
    /// Presses so far.
    presses: u8,
}

/// The key of every meeting here.
pub(super) fn meeting_key() -> MeetingKey {
    MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([1; 32])).unwrap())
}

/// The host of a meeting with such a key.
pub(super) fn host(room: &str, meeting: &MeetingKey) -> Host {
    host_of(room, meeting, 2)
}

fn host_of(room: &str, meeting: &MeetingKey, seed: u8) -> Host {
    let key = HostKey::from_seed(&KeySeed::new(Zeroizing::new([seed; 32])).unwrap());
    let room: RoomName = room.parse().unwrap();
    let name = "Alice".parse().unwrap();
    let certificate = Certificate::issue(meeting, &room, key.public(), &name);
    Host::new(key, certificate).unwrap()
}

pub(super) fn decide(e2ee: E2ee, fill: u8) -> Decision {
    Decision {
        e2ee,
        key: KeyModel::User,
        nonce: PolicyNonce::new([fill; 16]),
        check: Check::new([0; 16]),
        at: 1_800_000_000,
    }
}

impl Meeting {
    /// Starts one, whose hosts the hub knows by their key.
    pub(super) async fn start(browser: &mut Browser, e2ee: bool) -> Self {
        let key = meeting_key();
        let asked = json!({ "e2ee": e2ee, "meeting_key": key.hash().to_string() });
        let started = browser.post("/api/meetings", asked).await;
        assert_eq!(started.status, 201, "{started:?}");
        let text = |name: &str| started.body[name].as_str().unwrap().to_owned();
        let room = text("room");
        Self {
            host: host(&room, &key),
            token: text("token"),
            room,
            chain: None,
            presses: 0,
        }
    }

    /// What the host sends after a press.
    fn press(&mut self, e2ee: E2ee) -> String {
        self.presses += 1;
        let decision = decide(e2ee, self.presses);
        match &mut self.chain {
            Some(chain) => {
                chain.press(&self.host, &decision).unwrap();
            }
            None => self.chain = Some(Chain::start(&self.host, &decision)),
        }
        self.chain.as_ref().unwrap().message()
    }

    pub(super) async fn say(&mut self, office: &Office, e2ee: E2ee) -> Answer {
        let message = self.press(e2ee);
        let token = self.token.clone();
        self.send(office, &token, &message).await
    }

    async fn send(&self, office: &Office, token: &str, message: &str) -> Answer {
        let path = format!("/api/meetings/{}/policy", self.room);
        let body = format!("{{\"policy\":{message}}}");
        let headers = bearer(token);
        office.browser().send("POST", &path, &headers, &body).await
    }

    pub(super) async fn join(&self, browser: &mut Browser) -> Answer {
        let path = format!("/api/meetings/{}/join", self.room);
        browser.post(&path, json!({ "name": "Petra" })).await
    }

    /// A token of the API key for the room.
    pub(super) fn token_for(&self, identity: &str, kind: &str) -> String {
        let token = AccessToken::with_api_key("key", SECRET)
            .with_identity(identity)
            .with_kind(kind)
            .with_grants(VideoGrants {
                room_join: true,
                room: self.room.clone(),
                ..VideoGrants::default()
            });
        token.to_jwt().unwrap()
    }
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n")
}

pub(super) fn token_of(answer: &Answer) -> String {
    answer.body["token"].as_str().unwrap().to_owned()
}

pub(super) async fn left(client: &mut Client) -> DisconnectReason {
    let reason = client.hear(|say| match say {
        Say::Leave(leave) => Some(leave.reason()),
        _ => None,
    });
    reason.await
}

#[tokio::test]
async fn guests_sign_in_for_an_encrypted_meeting_and_join_by_the_same_link() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    joined(&mut admin, &office, "bob").await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let mut guest = office.browser();
    let door = format!("/api/meetings/{}/door", meeting.room);
    let at_the_door = |guests: &str, name: Value| {
        let signed_in = name != Value::Null;
        json!({ "key": "link", "name": name, "signed_in": signed_in, "accounts": true, "guests": guests })
    };
    assert_eq!(
        guest.get(&door).await.body,
        at_the_door("allow", Value::Null)
    );
    // Nobody has said anything yet: people may come before the host.
    assert_eq!(meeting.join(&mut guest).await.status, 200);
    let said = meeting.say(&office, E2ee::On).await;
    assert_eq!(
        (said.status, &said.body["e2ee"]),
        (200, &json!("on")),
        "{said:?}"
    );

    problem(&meeting.join(&mut guest).await, 401, "sign-in");
    assert_eq!(
        guest.get(&door).await.body,
        at_the_door("sign-in", Value::Null)
    );
    let asked = json!({ "name": "bob", "password": PASSWORD });
    assert_eq!(guest.post("/api/sign-in", asked).await.status, 200);
    assert_eq!(
        guest.get(&door).await.body,
        at_the_door("sign-in", json!("bob"))
    );
    let entry = meeting.join(&mut guest).await;
    assert_eq!(entry.status, 200, "{entry:?}");
    let identity = entry.body["identity"].as_str().unwrap();
    assert!(identity.starts_with("account-"), "{identity}");
    // Two browsers of one person are two participants.
    let again = meeting.join(&mut guest).await;
    assert_ne!(again.body["identity"], entry.body["identity"]);
    assert_eq!(guest.ask("POST", "/api/sign-out", None).await.status, 204);
    problem(&meeting.join(&mut guest).await, 401, "sign-in");

    let allow = Some(json!({ "guests_under_e2ee": "allow" }));
    admin.ask("PATCH", "/api/settings", allow).await;
    assert_eq!(meeting.join(&mut guest).await.status, 200);
    let sign_in = Some(json!({ "guests_under_e2ee": "sign-in" }));
    admin.ask("PATCH", "/api/settings", sign_in).await;
    problem(&meeting.join(&mut guest).await, 401, "sign-in");
    let said = meeting.say(&office, E2ee::Off).await;
    assert_eq!(said.body["e2ee"], "off", "{said:?}");
    assert_eq!(meeting.join(&mut guest).await.status, 200);
}

#[tokio::test]
async fn where_nobody_has_an_account_guests_join_encrypted_meetings() {
    let office = Office::open().await;
    let mut owner = office.browser();
    owner.headers += &bearer(&token_of_owner()).replace("Content-Type: application/json\r\n", "");
    let mut meeting = Meeting::start(&mut owner, true).await;
    assert_eq!(meeting.say(&office, E2ee::On).await.status, 200);
    assert_eq!(meeting.join(&mut office.browser()).await.status, 200);
}

#[tokio::test]
async fn a_press_puts_guests_and_programs_out_and_lets_people_with_accounts_stay() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, mut bob) = joined(&mut admin, &office, "bob").await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let guest = token_of(&meeting.join(&mut office.browser()).await);
    let member = token_of(&meeting.join(&mut bob).await);
    for kind in ["egress", "sip", "agent"] {
        let program = meeting.token_for(kind, kind);
        let mut program_in = Client::connect(office.address, &program).await.unwrap();
        let mut guest_in = Client::connect(office.address, &guest).await.unwrap();
        let mut member_in = Client::connect(office.address, &member).await.unwrap();
        let said = meeting.say(&office, E2ee::On).await;
        assert_eq!(said.status, 200, "{said:?}");
        for unfit in [&mut program_in, &mut guest_in] {
            assert_eq!(left(unfit).await, DisconnectReason::ParticipantRemoved);
        }
        member_in.is_served().await;
        // Nor do they come back, nor does the reason stay a secret.
        for unfit in [&program, &guest] {
            office.keeps_out(unfit).await;
            office.keeps_out(unfit).await;
        }
        // A LiveKit server knows no reason.
        if Held::IS_EMBEDDED {
            let path = format!("/rtc/validate?access_token={guest}");
            let (status, text) = plain(&office, &path, "").await;
            assert!(status == 403 && text.contains("sign in"), "{status} {text}");
        }
        assert_eq!(meeting.say(&office, E2ee::Off).await.status, 200);
    }
    assert!(Client::connect(office.address, &guest).await.is_ok());
}

#[tokio::test]
async fn what_the_box_writes_into_the_metadata_counts_as_much() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let guest = token_of(&meeting.join(&mut office.browser()).await);
    let mut inside = Client::connect(office.address, &guest).await.unwrap();
    let write = async |metadata: String, token: &str| {
        let body = json!({ "room": meeting.room, "metadata": metadata }).to_string();
        let path = "/twirp/livekit.RoomService/UpdateRoomMetadata";
        let headers = bearer(token);
        let mut browser = Browser::new(office.held.rooms(office.address));
        browser.send("POST", path, &headers, &body).await
    };
    let token = meeting.token.clone();
    // What is no policy says nothing.
    for nonsense in [
        "",
        "{}",
        "{\"roomseal\":\"on\"}",
        "{\"roomseal\":{\"policies\":[]}}",
    ] {
        assert_eq!(write(nonsense.to_owned(), &token).await.status, 200);
        inside.is_served().await;
    }
    let key = meeting_key();
    let chain = Chain::start(&host(&meeting.room, &key), &decide(E2ee::On, 9));
    let metadata = roomseal_policy::write_metadata("{\"other\":1}", &chain).unwrap();
    let refused = write(metadata.clone(), &guest).await;
    assert!([401, 403].contains(&refused.status), "{refused:?}");
    inside.is_served().await;
    assert_eq!(write(metadata, &token).await.status, 200);
    assert_eq!(
        left(&mut inside).await,
        DisconnectReason::ParticipantRemoved
    );
    problem(&meeting.join(&mut office.browser()).await, 401, "sign-in");
    meeting.chain = Some(chain);
    assert_eq!(meeting.say(&office, E2ee::Off).await.body["e2ee"], "off");
    assert_eq!(meeting.join(&mut office.browser()).await.status, 200);
}

#[tokio::test]
async fn only_hosts_of_the_meeting_say_what_holds() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    let message = meeting.press(E2ee::On);
    let guest = token_of(&meeting.join(&mut office.browser()).await);
    // A guest may bring what a host signed, as a page of a host does that came by its link.
    let other = Meeting::start(&mut admin, true).await;
    let stranger = MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    let forged = Chain::start(&host(&meeting.room, &stranger), &decide(E2ee::On, 1)).message();
    for (token, message, status, kind) in [
        ("", message.as_str(), 401, "token"),
        (other.token.as_str(), message.as_str(), 401, "token"),
        (guest.as_str(), forged.as_str(), 422, "policy"),
        (meeting.token.as_str(), forged.as_str(), 422, "policy"),
        (guest.as_str(), "{}", 422, "policy"),
        (guest.as_str(), "7", 422, "policy"),
    ] {
        problem(&meeting.send(&office, token, message).await, status, kind);
    }
    let kept = meeting.join(&mut office.browser()).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    let said = meeting.send(&office, &guest, &message).await;
    assert_eq!(said.status, 200, "{said:?}");
    problem(&meeting.join(&mut office.browser()).await, 401, "sign-in");
    // A co-host, whom the meeting's key certified too, turns it off again.
    let co_host = host_of(&meeting.room, &meeting_key(), 3);
    let mut chain = meeting.chain.take().unwrap();
    chain.press(&co_host, &decide(E2ee::Off, 2)).unwrap();
    let said = meeting.send(&office, &guest, &chain.message()).await;
    assert_eq!(
        (said.status, &said.body["e2ee"]),
        (200, &json!("off")),
        "{said:?}"
    );

    // A room of which the hub knows no hosts.
    let meeting = Meeting {
        room: "lobby".into(),
        host: host("lobby", &stranger),
        token: String::new(),
        chain: None,
        presses: 0,
    };
    let guest = token_of(&meeting.join(&mut office.browser()).await);
    let message = Chain::start(&meeting.host, &decide(E2ee::On, 1)).message();
    let answer = meeting.send(&office, &guest, &message).await;
    problem(&answer, 403, "hosts-unknown");
}

#[tokio::test]
async fn a_meeting_without_licence_is_not_turned_on_later() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (_, mut bob) = joined(&mut admin, &office, "bob").await;
    let mut meeting = Meeting::start(&mut bob, false).await;
    assert_eq!(meeting.say(&office, E2ee::Off).await.status, 200);
    problem(&meeting.say(&office, E2ee::On).await, 403, "not-allowed");
    let _inside = Client::connect(office.address, &meeting.token)
        .await
        .unwrap();
    let chain = meeting.chain.take().unwrap();
    let metadata = roomseal_policy::write_metadata("", &chain).unwrap();
    let body = json!({ "room": meeting.room, "metadata": metadata }).to_string();
    let path = "/twirp/livekit.RoomService/UpdateRoomMetadata";
    let headers = bearer(&meeting.token);
    let answer = office.browser().send("POST", path, &headers, &body).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (403, &json!("permission_denied"))
    );
    // Nor where the rooms are, if that is elsewhere.
    let mut elsewhere = Browser::new(office.held.rooms(office.address));
    let answer = elsewhere.send("POST", path, &headers, &body).await;
    assert!([401, 403].contains(&answer.status), "{answer:?}");
    assert_eq!(meeting.join(&mut office.browser()).await.status, 200);
}

#[tokio::test]
async fn what_hosts_said_outlasts_the_hub() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("people");
    let office = Office::at(Some(&data), None).await;
    let mut admin = office.admin().await;
    let mut meeting = Meeting::start(&mut admin, true).await;
    assert_eq!(meeting.say(&office, E2ee::On).await.status, 200);
    office.close().await;
    let office = Office::at(Some(&data), None).await;
    problem(&meeting.join(&mut office.browser()).await, 401, "sign-in");
    office.keeps_out(&meeting.token_for("tap", "egress")).await;
    for (e2ee, status) in iter::zip([E2ee::Off, E2ee::On], [200, 401]) {
        assert_eq!(meeting.say(&office, e2ee).await.status, 200);
        assert_eq!(meeting.join(&mut office.browser()).await.status, status);
    }
}

#[tokio::test]
async fn who_holds_a_hosts_key_administers_the_meeting_without_an_account() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let meeting = Meeting::start(&mut admin, true).await;
    let entry = meeting.join(&mut office.browser()).await;
    let (guest, identity) = (token_of(&entry), entry.body["identity"].clone());
    let hub = office.address.to_string();
    let sign = |seed: u8, typ: &str, room: &str, identity: &Value, hub: &str| {
        let encode = Base64UrlUnpadded::encode_string;
        let header = format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#);
        let claims = json!({ "room": room, "identity": identity, "hub": hub }).to_string();
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let key = SigningKey::from_slice(&[seed; 32]).unwrap();
        let signature: Signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature.to_bytes()))
    };
    let claim = async |token: &str, certificate: &str, proof: &str| {
        let path = format!("/api/meetings/{}/host", meeting.room);
        let body = json!({ "certificate": certificate, "proof": proof }).to_string();
        office
            .browser()
            .send("POST", &path, &bearer(token), &body)
            .await
    };
    let certificate = meeting.host.certificate().text();
    let (typ, room) = ("roomseal-host-entry", meeting.room.as_str());
    let good = sign(2, typ, room, &identity, &hub);
    for proof in [
        sign(3, typ, room, &identity, &hub),
        sign(2, "roomseal-challenge", room, &identity, &hub),
        sign(2, typ, "another", &identity, &hub),
        sign(2, typ, room, &json!("guest-x"), &hub),
        sign(2, typ, room, &identity, "meet.example.org"),
        String::new(),
    ] {
        problem(&claim(&guest, certificate, &proof).await, 403, "proof");
    }
    // The certificate of another meeting's key; the token of somebody else.
    let stranger = MeetingKey::from_seed(&KeySeed::new(Zeroizing::new([7; 32])).unwrap());
    let forged = host(room, &stranger);
    problem(
        &claim(&guest, forged.certificate().text(), &good).await,
        403,
        "proof",
    );
    let other = token_of(&meeting.join(&mut office.browser()).await);
    problem(&claim(&other, certificate, &good).await, 403, "proof");
    problem(&claim("", certificate, &good).await, 401, "token");

    let taken = claim(&guest, certificate, &good).await;
    assert_eq!(
        (taken.status, &taken.body["identity"]),
        (200, &identity),
        "{taken:?}"
    );
    let admission = keys()
        .admit(&token_of(&taken), Clock::system().now())
        .unwrap();
    assert!(admission.room_admin && admission.name == "Petra" && admission.room == room);
}

/// Who holds the API key.
pub(super) fn token_of_owner() -> String {
    let token = AccessToken::with_api_key("key", SECRET)
        .with_identity("office")
        .with_grants(VideoGrants {
            room_create: true,
            ..VideoGrants::default()
        });
    token.to_jwt().unwrap()
}

/// Status and text of an answer that is no JSON.
pub(super) async fn plain(office: &Office, path: &str, headers: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(office.address)
        .await
        .unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
        office.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text)
}
