// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens as others make them, and what is wrong with some.

use livekit_token::{AccessToken, VideoGrants};

use super::*;

const SECRET: &str = "made up for this test only, 0123456789";

fn keys() -> ApiKeys {
    ApiKeys::new([("key".into(), Zeroizing::new(SECRET.into()))])
}

fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("it is later than 1970")
}

fn grants() -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: "room".into(),
        ..VideoGrants::default()
    }
}

/// One that LiveKit's own library makes.
fn token(key: &str, secret: &str, grants: VideoGrants) -> String {
    AccessToken::with_api_key(key, secret)
        .with_identity("ann")
        .with_name("Ann")
        .with_attributes([("floor", "3")])
        .with_grants(grants)
        .to_jwt()
        .expect("well-formed")
}

#[test]
fn a_token_of_the_official_library_is_read() {
    let admission = keys()
        .admit(&token("key", SECRET, grants()), now())
        .expect("valid");
    assert_eq!(admission.identity, "ann");
    assert_eq!(admission.name, "Ann");
    assert_eq!(admission.room, "room");
    assert_eq!(admission.attributes["floor"], "3");
    assert!(admission.can_publish && admission.can_subscribe && admission.can_publish_data);
    assert!(!admission.can_update_own_metadata && !admission.room_admin);
}

#[test]
fn who_may_not_publish_may_not_send_data_unless_the_token_says_so() {
    let silent = VideoGrants {
        can_publish: Some(false),
        ..grants()
    };
    let chatting = VideoGrants {
        can_publish_data: Some(true),
        ..silent.clone()
    };
    let admit = |grants| keys().admit(&token("key", SECRET, grants), now());
    assert!(!admit(silent).expect("valid").can_publish_data);
    assert!(admit(chatting).expect("valid").can_publish_data);
}

#[test]
fn what_is_wrong_with_a_token_is_said() {
    let good = token("key", SECRET, grants());
    let admit = |token: &str, now| keys().admit(token, now).expect_err("refused");
    let hours = |n: u64| Duration::from_secs(n * 3600);
    assert_eq!(admit(&good, now() + hours(7)), Refusal::Expired);
    assert_eq!(admit(&good, now() - hours(1)), Refusal::NotYet);
    let other = token("another", SECRET, grants());
    assert_eq!(admit(&other, now()), Refusal::UnknownKey);
    let forged = token("key", "guessed", grants());
    assert_eq!(admit(&forged, now()), Refusal::Signature);
    let mut changed = good.clone();
    let last = changed.pop();
    changed.push(if last == Some('A') { 'E' } else { 'A' });
    assert_eq!(admit(&changed, now()), Refusal::Signature);
    let nothing = token("key", SECRET, VideoGrants::default());
    assert_eq!(admit(&nothing, now()), Refusal::NoPermission);
    for text in ["", ".", "..", "a.b.c", &"x".repeat(20_000), &good[1..]] {
        assert_eq!(admit(text, now()), Refusal::Malformed, "{text}");
    }
}

#[test]
fn no_header_chooses_the_algorithm() {
    let good = token("key", SECRET, grants());
    let (_, rest) = good.split_once('.').expect("three parts");
    for alg in ["none", "HS512", "RS256", "hs256"] {
        let header = write(&Header { alg: alg.into() });
        let (claims, _) = rest.split_once('.').expect("two parts");
        for token in [format!("{header}.{claims}."), format!("{header}.{rest}")] {
            assert_eq!(keys().admit(&token, now()), Err(Refusal::Algorithm));
        }
    }
}

#[test]
fn who_signs_bytes_is_told_by_their_hex_alone() {
    // RFC 4231, test case 2.
    let keys = ApiKeys::new([("k".into(), Zeroizing::new("Jefe".into()))]);
    let text = b"what do ya want for nothing?";
    let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert!(keys.has_signed("k", text, hex));
    for (key, text, hex) in [
        ("k", &text[1..], hex),
        ("j", text, hex),
        ("k", text, ""),
        ("k", text, &hex[1..]),
        ("k", text, &hex.to_uppercase()),
    ] {
        assert!(!keys.has_signed(key, text, hex), "{key} {hex}");
    }
    // The key that nobody has is no way round.
    let mut mac = empty_mac("");
    mac.update(text);
    let hex = mac.finalize().into_bytes();
    let hex: String = hex.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!keys.has_signed("j", text, &hex));
}

#[test]
fn a_renewed_token_says_the_same() {
    let grants = VideoGrants {
        can_publish_sources: vec!["microphone".into()],
        can_update_own_metadata: Some(true),
        ..grants()
    };
    let first = keys()
        .admit(&token("key", SECRET, grants), now())
        .expect("valid");
    let later = now() + Duration::from_secs(9 * 3600);
    let renewed = keys()
        .issue(&first, later, Duration::from_secs(600))
        .expect("the key is known");
    assert_eq!(keys().admit(&renewed, later), Ok(first));
    let too_late = later + Duration::from_secs(700);
    assert_eq!(keys().admit(&renewed, too_late), Err(Refusal::Expired));
}

#[test]
fn what_a_token_allows_beside_a_session_is_read() {
    let authorize = |grants| {
        let token = token("key", SECRET, grants);
        keys().authorize(&token, now()).expect("valid")
    };
    let nothing = Authority {
        create: false,
        list: false,
        administers: None,
    };
    assert_eq!(authorize(VideoGrants::default()), nothing);
    // To be in a room is not to administer it.
    assert_eq!(authorize(grants()), nothing);
    let everything = VideoGrants {
        room_admin: true,
        room_create: true,
        room_list: true,
        ..grants()
    };
    assert_eq!(
        authorize(everything.clone()),
        Authority {
            create: true,
            list: true,
            administers: Some("room".into())
        }
    );
    let nowhere = VideoGrants {
        room: String::new(),
        room_admin: true,
        ..VideoGrants::default()
    };
    assert_eq!(authorize(nowhere), nothing);
    let forged = token("key", "guessed", everything);
    assert_eq!(keys().authorize(&forged, now()), Err(Refusal::Signature));
}

#[test]
fn keys_do_not_show_in_what_is_logged() {
    assert_eq!(format!("{:?}", keys()), "{\"key\"}");
}
