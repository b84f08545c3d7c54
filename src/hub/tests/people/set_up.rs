// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first admin, and the folder in which people are kept.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use roomseal_hub::people::{SetUpCode, StoreError};

use super::*;

fn asked(code: &str) -> Value {
    json!({ "code": code, "name": "Ada", "display_name": "Ada L.", "password": PASSWORD })
}

#[tokio::test]
async fn who_reads_the_code_at_the_hub_becomes_its_admin_and_nobody_after_that() {
    let office = Office::open().await;
    let mut browser = office.browser();
    problem(&browser.get("/api/me").await, 401, "not-signed-in");
    let code = office.code().await;
    let answer = browser.post("/api/set-up", asked(&code)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let me = browser.get("/api/me").await;
    assert_eq!(me.body, answer.body);
    for (what, is) in [
        ("name", json!("ada")),
        ("display_name", json!("Ada L.")),
        ("role", json!("admin")),
        ("licensed", json!(true)),
        ("disabled", json!(false)),
        ("made", json!(1_800_000_000)),
    ] {
        assert_eq!(me.body[what], is, "{what}");
    }
    // Neither with this code, nor with another.
    problem(
        &office.browser().post("/api/set-up", asked(&code)).await,
        409,
        "set-up",
    );
    assert!(office.people.set_up_code().await.unwrap().is_none());
}

#[tokio::test]
async fn a_code_is_good_for_five_tries_for_half_an_hour_and_until_the_next() {
    let office = Office::open().await;
    let mut browser = office.browser();
    let first = office.code().await;
    let second = office.code().await;
    problem(
        &browser.post("/api/set-up", asked(&first)).await,
        403,
        "code",
    );

    // The same code but for its end.
    let end = if second.ends_with('2') { '3' } else { '2' };
    let wrong = format!("{}{end}", &second[..second.len() - 1]);
    for _ in 0..5 {
        let answer = browser.post("/api/set-up", asked(&wrong)).await;
        problem(&answer, 403, "code");
    }
    let answer = browser.post("/api/set-up", asked(&second)).await;
    problem(&answer, 403, "code");

    let third = office.code().await;
    office.pass(SetUpCode::GOOD);
    let answer = browser.post("/api/set-up", asked(&third)).await;
    problem(&answer, 403, "code");

    let fourth = office.code().await;
    office.pass(SetUpCode::GOOD - Duration::from_secs(1));
    for _ in 0..4 {
        let end = if fourth.ends_with('2') { '3' } else { '2' };
        let wrong = format!("{}{end}", &fourth[..fourth.len() - 1]);
        problem(
            &browser.post("/api/set-up", asked(&wrong)).await,
            403,
            "code",
        );
    }
    // What is refused for another reason costs nothing.
    let short = json!({ "code": fourth, "name": "ada", "password": "elevenchars" });
    problem(&browser.post("/api/set-up", short).await, 422, "invalid");
    let answer = browser.post("/api/set-up", asked(&fourth)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn people_outlast_the_hub_and_only_its_owner_looks_into_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("hub").join("data");
    let office = Office::at(Some(&data), None).await;
    let mut browser = office.browser();
    let code = office.code().await;
    let file = data.join("set-up-code");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{code}\n"));
    for path in fs::read_dir(&data).unwrap() {
        let path = path.unwrap().path();
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    let answer = browser.post("/api/set-up", asked(&code)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(!file.exists());

    // Nothing that somebody could sign in with is in the folder.
    let token = browser.cookie.clone().unwrap();
    let token = token.split_once('=').unwrap().1;
    for path in fs::read_dir(&data).unwrap() {
        let bytes = fs::read(path.unwrap().path()).unwrap();
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!holds(PASSWORD) && !holds(token) && !holds(&code.replace('-', "")));
    }

    office.close().await;
    let office = Office::at(Some(&data), None).await;
    assert!(office.people.set_up_code().await.unwrap().is_none());
    // Signed in as before, and able to sign in anew.
    let mut again = Browser::new(office.address);
    again.cookie = browser.cookie.clone();
    assert_eq!(again.get("/api/me").await.status, 200);
    assert_eq!(sign_in(&office, "ada", PASSWORD).await.1.status, 200);
    office.close().await;
}

#[tokio::test]
async fn a_folder_that_others_look_into_or_another_hub_uses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let people = People::open(&data, Clock::system()).await.unwrap();
    let open = async |data: &Path| match People::open(data, Clock::system()).await {
        Err(roomseal_hub::people::Refusal::Store(error)) => error,
        other => panic!("{other:?}"),
    };
    let refused = open(&data).await;
    assert!(matches!(refused, StoreError::Taken(_)), "{refused:?}");
    assert!(refused.to_string().contains("--data"));
    drop(people);

    let database = data.join("people.sqlite");
    for (path, mode) in [(&data, 0o750), (&database, 0o640)] {
        let before = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = open(&data).await;
        assert!(matches!(refused, StoreError::Open { .. }), "{refused:?}");
        assert!(refused.to_string().contains("chmod"), "{refused}");
        fs::set_permissions(path, before).unwrap();
    }
    for path in fs::read_dir(&data).unwrap() {
        let text = "this is no database".repeat(1000);
        fs::write(path.unwrap().path(), text).unwrap();
    }
    let refused = open(&data).await;
    assert!(matches!(refused, StoreError::Database(_)), "{refused:?}");
}
