// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schemathesis against a hub: whatever it makes of the description of the API, the hub answers as described there, never
//! fails, and says of each refusal what to do.

use std::process::Command;
use std::time::Duration;

use roomseal_tests::livekit::Server;
use roomseal_tests::places;
use roomseal_tests::process::Running;
use roomseal_tests::visitor::Visitor;
use serde_json::json;

/// Of a quick look, and of a long one.
const SECONDS: u64 = if cfg!(feature = "full") { 240 } else { 15 };

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,refusals_say_what_to_do";

#[test]
fn what_schemathesis_makes_up_is_answered_as_described_and_nothing_fails() {
    let server = Server::hub_with_people();
    let mut admin = Visitor::first_admin(&server);
    let started = admin.post("/api/meetings", &json!({})).unwrap();
    assert_eq!(started.status, 201, "{started:?}");
    let text = |name: &str| started.body[name].as_str().unwrap().to_owned();
    let python = places::root().join("tests/python");
    // It leaves what it remembers where it runs.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(places::provided("venv/bin/python"));
    command
        .args([
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
        ])
        .args([
            "run",
            &format!("http://127.0.0.1:{}/api/openapi.json", server.port()),
        ])
        .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS])
        // Who signs out is out.
        .args(["--exclude-path", "/api/sign-out"])
        .args(["--max-time", &SECONDS.to_string(), "--max-examples", "100"])
        .args(["--continue-on-failure", "--generation-database", "none"])
        .args(["--warnings", "off", "--no-color"])
        .current_dir(folder.path())
        .env("PYTHONPATH", python)
        .env("SCHEMATHESIS_HOOKS", "nonsense")
        .env("ROOMSEAL_SESSION", admin.cookie.as_ref().unwrap())
        .env("ROOMSEAL_ROOM", text("room"))
        .env("ROOMSEAL_TOKEN", text("token"));
    let mut run = Running::start("schemathesis", &command);
    let status = run.wait(Duration::from_secs(SECONDS + 90));
    let said = run.output();
    assert!(status.success(), "{said}");
    let counted = said.lines().find(|line| line.contains("generated,"));
    let counted = counted.unwrap_or_else(|| panic!("nothing was tried: {said}"));
    println!("{}", counted.trim());
    let tried = counted.split_whitespace().next().unwrap();
    let tried: u32 = tried.replace(',', "").parse().unwrap();
    assert!(tried > 300, "{said}");
    // The hub is as it was.
    let me = admin.get("/api/me").unwrap();
    assert_eq!(
        (me.status, &me.body["name"]),
        (200, &json!("ada")),
        "{me:?}"
    );
}
