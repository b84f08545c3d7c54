// SPDX-License-Identifier: MIT OR Apache-2.0
//! What admins do with accounts, who may not, and what is kept of it.

pub(crate) use super::office::{joined, path};
use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn who_is_invited_chooses_a_password_once_and_within_a_week() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let asked = json!({ "name": "Bob@example.org", "display_name": "Bob", "licensed": true });
    let made = admin.post("/api/accounts", asked.clone()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let account = &made.body["account"];
    assert_eq!(account["name"], "bob@example.org");
    assert_eq!(account["role"], "user");
    assert_eq!(
        (&account["licensed"], &account["joined"]),
        (&json!(true), &json!(false))
    );
    problem(&admin.post("/api/accounts", asked).await, 409, "name-taken");
    // Nobody has its password yet, not even one that is empty.
    for password in ["", PASSWORD] {
        let (_, answer) = sign_in(&office, "bob@example.org", password).await;
        problem(&answer, 401, "credentials");
    }

    let accept = async |code: &Value, password: &str| {
        let mut browser = office.browser();
        let asked = json!({ "code": code, "password": password });
        let answer = browser.post("/api/invitation/accept", asked).await;
        (browser, answer)
    };
    let first = &made.body["invitation"]["code"];
    problem(&accept(first, "short").await.1, 422, "invalid");
    // A code for one thing is none for another.
    let asked = json!({ "code": first, "name": "eve", "password": PASSWORD });
    problem(
        &office.browser().post("/api/set-up", asked).await,
        409,
        "set-up",
    );
    let invite = format!("{}/invitation", path(account));
    let second = admin.ask("POST", &invite, None).await;
    assert_eq!(second.status, 201, "{second:?}");
    problem(&accept(first, PASSWORD).await.1, 403, "code");
    office.pass(7 * DAY);
    let (mut admin, _) = sign_in(&office, "ada", PASSWORD).await;
    problem(&accept(&second.body["code"], PASSWORD).await.1, 403, "code");

    let third = admin.ask("POST", &invite, None).await;
    let third = &third.body["code"];
    let (mut bob, answer) = accept(third, PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["joined"], true);
    assert_eq!(bob.get("/api/me").await.body, answer.body);
    problem(&accept(third, PASSWORD).await.1, 403, "code");
    let (_, answer) = sign_in(&office, "bob@example.org", PASSWORD).await;
    assert_eq!(answer.status, 200);

    // Invited anew: what was signed in with the old password ends, once the new one is chosen.
    let fourth = admin.ask("POST", &invite, None).await;
    assert_eq!(bob.get("/api/me").await.status, 200);
    let (_, answer) = accept(&fourth.body["code"], "staple battery horse").await;
    assert_eq!(answer.status, 200);
    problem(&bob.get("/api/me").await, 401, "not-signed-in");
    let (_, answer) = sign_in(&office, "bob@example.org", PASSWORD).await;
    problem(&answer, 401, "credentials");
}

#[tokio::test]
async fn users_and_strangers_administer_nothing() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let mut stranger = office.browser();
    let own = path(&bob);
    let invite = format!("{own}/invitation");
    for (method, path, body) in [
        ("GET", "/api/accounts", None),
        ("POST", "/api/accounts", Some(json!({ "name": "eve" }))),
        ("PATCH", &*own, Some(json!({ "role": "admin" }))),
        ("PATCH", &*own, Some(json!({ "licensed": true }))),
        ("DELETE", &*own, None),
        ("POST", &*invite, None),
        ("GET", "/api/audit", None),
    ] {
        let answer = user.ask(method, path, body.clone()).await;
        problem(&answer, 403, "not-admin");
        let answer = stranger.ask(method, path, body).await;
        problem(&answer, 401, "not-signed-in");
    }
    assert_eq!(user.get("/api/me").await.body, bob);
    let listed = admin.get("/api/accounts").await;
    assert_eq!(listed.body["accounts"].as_array().unwrap().len(), 2);
    assert_eq!(listed.body["accounts"][1], bob);
}

#[tokio::test]
async fn role_licence_and_access_change_at_once_for_who_is_signed_in() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    let path = path(&bob);
    let answer = admin
        .ask(
            "PATCH",
            &path,
            Some(json!({ "licensed": true, "role": "admin" })),
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let me = user.get("/api/me").await.body;
    assert_eq!(
        (&me["licensed"], &me["role"]),
        (&json!(true), &json!("admin"))
    );
    assert_eq!(user.get("/api/accounts").await.status, 200);
    let answer = admin
        .ask(
            "PATCH",
            &path,
            Some(json!({ "role": "user", "display_name": "Bob" })),
        )
        .await;
    assert_eq!(answer.body["display_name"], "Bob");
    problem(&user.get("/api/accounts").await, 403, "not-admin");

    let disabled = Some(json!({ "disabled": true }));
    assert_eq!(admin.ask("PATCH", &path, disabled).await.status, 200);
    problem(&user.get("/api/me").await, 401, "not-signed-in");
    let (_, answer) = sign_in(&office, "bob", PASSWORD).await;
    problem(&answer, 403, "disabled");
    let (_, answer) = sign_in(&office, "bob", "wrong horse battery").await;
    problem(&answer, 401, "credentials");
    let enabled = Some(json!({ "disabled": false }));
    assert_eq!(admin.ask("PATCH", &path, enabled).await.status, 200);
    // What was signed in stays out.
    problem(&user.get("/api/me").await, 401, "not-signed-in");
    let (mut user, _) = sign_in(&office, "bob", PASSWORD).await;
    assert_eq!(user.get("/api/me").await.status, 200);

    assert_eq!(admin.ask("DELETE", &path, None).await.status, 204);
    problem(&user.get("/api/me").await, 401, "not-signed-in");
    problem(&admin.ask("DELETE", &path, None).await, 404, "no-such");
    let (_, answer) = sign_in(&office, "bob", PASSWORD).await;
    problem(&answer, 401, "credentials");
}

#[tokio::test]
async fn the_last_admin_who_can_sign_in_stays_one() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    let ada = admin.get("/api/me").await.body;
    // An admin who never came is no help.
    let asked = json!({ "name": "bob", "role": "admin" });
    let bob = admin.post("/api/accounts", asked).await;
    let own = path(&ada);
    for change in [json!({ "role": "user" }), json!({ "disabled": true })] {
        let answer = admin.ask("PATCH", &own, Some(change)).await;
        problem(&answer, 409, "last-admin");
    }
    problem(&admin.ask("DELETE", &own, None).await, 409, "last-admin");
    assert_eq!(admin.get("/api/me").await.body, ada);

    let code = &bob.body["invitation"]["code"];
    let asked = json!({ "code": code, "password": PASSWORD });
    office.browser().post("/api/invitation/accept", asked).await;
    let answer = admin
        .ask("PATCH", &own, Some(json!({ "role": "user" })))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn the_log_tells_who_did_what_to_whom_and_from_where_and_keeps_no_secret() {
    let office = Office::open().await;
    let mut admin = office.admin().await;
    admin.headers += "X-Forwarded-For: 192.0.2.7\r\n";
    let (bob, mut user) = joined(&mut admin, &office, "bob").await;
    sign_in(&office, "bob", "wrong horse battery").await;
    sign_in(&office, "nobody-is-called-so", "wrong horse battery").await;
    let path = path(&bob);
    for change in [
        json!({ "licensed": true }),
        // No change.
        json!({ "licensed": true }),
        json!({ "role": "admin", "disabled": true }),
        json!({ "role": "user", "disabled": false, "licensed": false }),
    ] {
        admin.ask("PATCH", &path, Some(change)).await;
    }
    user.ask("POST", "/api/sign-out", None).await;
    admin.ask("DELETE", &path, None).await;
    let log = admin.get("/api/audit").await;
    assert_eq!(log.status, 200, "{log:?}");
    let deeds = log.body["deeds"].as_array().unwrap();
    let told: Vec<_> = deeds
        .iter()
        .rev()
        .map(|deed| {
            let name = |who: &str| deed[who]["name"].as_str().unwrap_or("-").to_owned();
            let action = deed["action"].as_str().unwrap();
            let from = deed["address"].as_str().unwrap();
            format!("{} {action} {} {from}", name("actor"), name("subject"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "ada set-up - 127.0.0.1",
            "ada account-made bob 192.0.2.7",
            "bob invitation-accepted - 127.0.0.1",
            "- sign-in-refused bob 127.0.0.1",
            "ada licence-given bob 192.0.2.7",
            "ada made-admin bob 192.0.2.7",
            "ada account-disabled bob 192.0.2.7",
            "ada made-user bob 192.0.2.7",
            "ada licence-taken bob 192.0.2.7",
            "ada account-enabled bob 192.0.2.7",
            "ada account-deleted bob 192.0.2.7",
        ]
    );
    assert_eq!(deeds[0]["at"], 1_800_000_000);
    let text = log.body.to_string();
    for secret in ["horse", "nobody-is-called-so", "argon2"] {
        assert!(!text.contains(secret), "{secret}");
    }

    let page = admin.get("/api/audit?before=3&most=1").await;
    let page = page.body["deeds"].as_array().unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(
        (&page[0]["id"], &page[0]["action"]),
        (&json!(2), &json!("account-made"))
    );
    for query in [
        "before=x",
        "most=",
        "since=3",
        "before=99999999999999999999",
    ] {
        let answer = admin.get(&format!("/api/audit?{query}")).await;
        problem(&answer, 422, "invalid");
    }
}
