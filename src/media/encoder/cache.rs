// SPDX-License-Identifier: MIT OR Apache-2.0

//! What earlier starts found out about the encoders, kept in a small JSON file.
//!
//! A proof holds for one kernel (the drivers) and one version of the encoder's plugin. After an
//! update of either the encoder is proved again. The file is a cache: damaged or missing, it is
//! as if nothing had been proved.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// What a proof found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Proof {
    /// It encoded; how long the first frame took, in milliseconds.
    Works { first_frame_ms: u64 },
    /// It did not, and this is why.
    Fails { reason: String },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    kernel: String,
    encoders: BTreeMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    plugin_version: String,
    /// Size and rate it was proved at: another budget is another question.
    shape: String,
    proof: Proof,
}

/// The cache file, read once and written after every proof.
#[derive(Debug)]
pub(super) struct Cache {
    path: Option<PathBuf>,
    contents: Contents,
}

impl Cache {
    /// Reads the file; without a path nothing is kept beyond the process.
    pub(super) fn read(path: Option<PathBuf>, kernel: &str) -> Self {
        let contents = path
            .as_deref()
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<Contents>(&bytes).ok())
            .filter(|contents| contents.kernel == kernel)
            .unwrap_or_else(|| Contents {
                kernel: kernel.to_owned(),
                ..Contents::default()
            });
        Self { path, contents }
    }

    pub(super) fn get(&self, encoder: &str, plugin_version: &str, shape: &str) -> Option<&Proof> {
        self.contents
            .encoders
            .get(encoder)
            .filter(|entry| entry.plugin_version == plugin_version && entry.shape == shape)
            .map(|entry| &entry.proof)
    }

    pub(super) fn put(&mut self, encoder: &str, plugin_version: &str, shape: &str, proof: Proof) {
        let entry = Entry {
            plugin_version: plugin_version.to_owned(),
            shape: shape.to_owned(),
            proof,
        };
        self.contents.encoders.insert(encoder.to_owned(), entry);
        if let Some(path) = &self.path
            && let Err(error) = write(path, &self.contents)
        {
            tracing::warn!(path = %path.display(), %error,
                "cannot keep what was found out about the encoders; they are tried again at the next start");
        }
    }
}

/// Replaces the file as a whole, so that a power cut leaves the old one or the new one.
fn write(path: &Path, contents: &Contents) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_vec_pretty(contents)?)?;
    fs::rename(&fresh, path)
}

/// The running kernel's release, e.g. `6.12.47+rpt-rpi-v8`.
pub(super) fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WORKS: Proof = Proof::Works { first_frame_ms: 12 };

    #[test]
    fn a_proof_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/encoders.json");
        Cache::read(Some(path.clone()), "6.1").put("vp8enc", "1.22.0", "640x360@30", WORKS);
        let cache = Cache::read(Some(path), "6.1");
        assert_eq!(cache.get("vp8enc", "1.22.0", "640x360@30"), Some(&WORKS));
    }

    #[test]
    fn another_kernel_plugin_or_size_is_not_proved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encoders.json");
        Cache::read(Some(path.clone()), "6.1").put("vp8enc", "1.22.0", "640x360@30", WORKS);
        let same = Cache::read(Some(path.clone()), "6.1");
        assert_eq!(same.get("vp8enc", "1.22.1", "640x360@30"), None);
        assert_eq!(same.get("vp8enc", "1.22.0", "1280x720@30"), None);
        let other = Cache::read(Some(path), "6.12");
        assert_eq!(other.get("vp8enc", "1.22.0", "640x360@30"), None);
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encoders.json");
        fs::write(&path, b"{\"kernel\": 7").unwrap();
        let mut cache = Cache::read(Some(path.clone()), "6.1");
        assert_eq!(cache.get("vp8enc", "1.22.0", "640x360@30"), None);
        cache.put("vp8enc", "1.22.0", "640x360@30", WORKS);
        assert!(serde_json::from_slice::<Contents>(&fs::read(&path).unwrap()).is_ok());
    }
}
