// SPDX-License-Identifier: MIT OR Apache-2.0
//! A meeting whose secret the service makes (key model `server`), on a FAKE of such a service.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use roomseal_tests::appliance::{Start, secret};
use roomseal_tests::keeper::FakeKeeper;
use roomseal_tests::livekit::Server;

use crate::roomseal::{new_meeting, wait_for_shield};
use crate::{SOON, one_at_a_time, talking_clip};

/// 32 bytes that occur nowhere else.
pub(crate) const SECRET: &str = "c2VjcmV0IG9mIGEgc2VydmljZSwgMzIgYnl0ZXMuLi4";

/// The same link without its secret, as a file in `folder`: then the service makes it.
pub(crate) fn without_secret(folder: &Path, link: &Path, name: &str) -> PathBuf {
    let text = fs::read_to_string(link).unwrap();
    let (before, rest) = text.trim().split_once("#k=").unwrap();
    let (_, rest) = rest.split_once('&').unwrap();
    secret(folder, name, &format!("{before}#{rest}"))
}

#[test]
fn the_service_gives_its_secret_to_whom_it_admitted_and_the_shield_never_says_more_than_that() {
    let _turn = one_at_a_time();
    let folder = tempfile::tempdir().unwrap();
    let clip = talking_clip(folder.path());
    let server = Server::on_loopback();
    let keeper = FakeKeeper::before(server.port(), "kept", SECRET);
    let (host_link, guest_link) = new_meeting(&folder.path().join("meeting"), "kept", &[]);
    let kept = |link: &Path, name: &str| without_secret(folder.path(), link, name);
    let tokens = ["box", "guest"].map(|identity| server.token(identity, "kept"));
    keeper.admit(&tokens[0]);
    let mut host = Start::new("run", "box")
        .without_key()
        .with(["--link-file", kept(&host_link, "box").to_str().unwrap()])
        .playing(&clip)
        .join_at(&keeper.url(), &tokens[0], "kept");
    wait_for_shield(&host, Instant::now(), "waiting");
    let guest = Start::new("guest", "guest")
        .without_key()
        .with(["--link-file", kept(&guest_link, "guest").to_str().unwrap()])
        .with(["--publish", clip.to_str().unwrap()]);
    let mut guest = guest.join_at(&keeper.url(), &tokens[1], "kept");

    // Not admitted: it can neither send nor open, and says whose answer that is.
    guest.wait_for("what the service says", SOON, |status| {
        let mut troubles = status.troubles.iter();
        troubles
            .find(|trouble| trouble.about == "secret" && trouble.text.contains("not admitted yet"))
            .map(|_| ())
    });
    keeper.admit(&tokens[1]);
    for (member, of) in [(&host, "guest"), (&guest, "box")] {
        wait_for_shield(member, Instant::now(), "sealed-by-service");
        member.wait_for_track("verified media", of, "camera", SOON, |track| {
            track.verification == "verified"
        });
        for (_, status) in member.statuses() {
            assert_ne!(status.shield.state, "sealed");
        }
        let status = member.status();
        assert_eq!(status.sending, "leaves sealed, keys by the service");
        assert!(
            status
                .shield
                .reasons
                .iter()
                .any(|r| r.contains("the service holds the key"))
        );
        assert!(
            status
                .troubles
                .iter()
                .all(|trouble| trouble.about != "secret")
        );
    }
    let answered = keeper.answered();
    assert!(
        answered.contains(&403) && answered.ends_with(&[200]),
        "{answered:?}"
    );
    for member in [&mut host, &mut guest] {
        assert!(member.interrupt_cleanly());
        let said = member.process.output();
        assert!(
            !said.contains(SECRET) && !said.contains(&tokens[0]),
            "a secret in the log"
        );
    }
    assert!(
        !server.log().contains(SECRET),
        "the secret reached metadata or another message"
    );
}
