// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: this checkout, what `make setup` put into it, what cargo built.

use std::path::{Path, PathBuf};

/// The top of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in a folder of the checkout")
}

/// A file that `make setup` provides, below `.cache`.
pub fn provided(path: &str) -> PathBuf {
    let file = root().join(".cache").join(path);
    assert!(
        file.exists(),
        "{} is missing: run `make setup`",
        file.display()
    );
    file
}

/// Something that cargo built into the folder that this test runs from: a program or the plugin.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    // <target>/debug/deps/<test> or <target>/debug/<name>
    let file = test
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|file| file.exists());
    file.unwrap_or_else(|| {
        panic!(
            "{name} is not beside {}: run `cargo build --workspace` (or `make test`) first",
            test.display()
        )
    })
}

/// The folder for pictures that tests take: `pictures` in cargo's target folder.
pub fn pictures() -> PathBuf {
    let program = built("roomseal");
    // <target>/debug/roomseal
    let target = program.ancestors().nth(2).unwrap_or(root());
    target.join("pictures")
}

/// Where `service` (`http://…`) has the page of the invitation link: the same room and the same secrets.
pub fn page_at(service: &str, link: &str) -> String {
    let (_, rest) = link
        .trim()
        .split_once("/j/")
        .expect("an invitation link has its room after /j/");
    format!("{service}/j/{rest}")
}
