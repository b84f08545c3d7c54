// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which encoder is taken, and why the others are not.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use gst::prelude::*;
use roomseal_e2ee::Codec;
use serde::Serialize;

use super::{
    DEFAULT_ORDER, Model,
    cache::{Cache, Proof, kernel_release},
    codec_name, model, proof,
};
use crate::budget::{EncodeBudget, MediaBudget};

/// What became of one candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EncoderVerdict {
    /// The element's name, as in the board file.
    pub name: String,
    /// Whether it encodes now.
    pub taken: bool,
    /// Why, in words for the owner of the box.
    pub reason: String,
}

/// No encoder is left that could be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no {wanted} encoder works on this box: {}. Install gstreamer1.0-plugins-good for vp8enc, \
         or name another encoder in the board file",
    reasons(verdicts)
)]
pub struct NoEncoder {
    /// The codec that was asked for, or "video" for any.
    pub wanted: &'static str,
    /// Why each candidate was passed over.
    pub verdicts: Vec<EncoderVerdict>,
}

fn reasons(verdicts: &[EncoderVerdict]) -> String {
    verdicts
        .iter()
        .map(|v| format!("{}: {}", v.name, v.reason))
        .collect::<Vec<_>>()
        .join("; ")
}

/// The candidates in the board's order, and what is known about each. Shared between the box's
/// start, which must not wait, and the proof, which takes seconds.
#[derive(Debug)]
pub struct Encoders {
    candidates: Vec<Candidate>,
    budget: MediaBudget,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Candidate {
    name: String,
    /// `None`: the board file names an encoder nobody here knows.
    model: Option<&'static dyn Model>,
    /// Version of the plugin that has the element; `None`: no such element.
    plugin_version: Option<String>,
}

#[derive(Debug)]
struct Known {
    cache: Cache,
    /// What broke while it was in use. Not kept in the file: it may have been the cable.
    broken: BTreeMap<String, String>,
}

impl Encoders {
    /// Looks for the candidates, in the board's order of preference; an empty order is
    /// [`DEFAULT_ORDER`]. Proofs are kept in the file `cache`. Takes no time worth waiting for:
    /// nothing is tried yet.
    #[must_use]
    pub fn new(order: &[String], cache: Option<PathBuf>, budget: MediaBudget) -> Self {
        let default: Vec<String>;
        let order = if order.is_empty() {
            default = DEFAULT_ORDER.map(str::to_owned).to_vec();
            &default
        } else {
            order
        };
        let candidates = order
            .iter()
            .map(|name| Candidate {
                name: name.clone(),
                model: model(name),
                plugin_version: plugin_version(name),
            })
            .collect();
        let cache = Cache::read(cache, &kernel_release());
        Self {
            candidates,
            budget,
            known: Mutex::new(Known {
                cache,
                broken: BTreeMap::new(),
            }),
        }
    }

    /// Tries every candidate nothing is known about, in order. Blocks for seconds: call it on a
    /// thread of its own. Begins no further proof once `enough` says so.
    pub fn prove_all(&self, enough: &dyn Fn() -> bool) {
        for candidate in self.candidates.iter().take_while(|_| !enough()) {
            let (Some(model), Some(version)) = (candidate.model, &candidate.plugin_version) else {
                continue;
            };
            let budget = self.budget.encode(model.codec());
            let shape = shape(&budget);
            if self
                .lock()
                .cache
                .get(&candidate.name, version, &shape)
                .is_some()
            {
                continue;
            }
            let proof = proof::prove(model, budget);
            tracing::info!(encoder = candidate.name, ?proof, "tried an encoder");
            self.lock()
                .cache
                .put(&candidate.name, version, &shape, proof);
        }
    }

    /// Never again in this process: it broke while in use.
    pub(crate) fn give_up(&self, name: &str, reason: &str) {
        self.lock()
            .broken
            .insert(name.to_owned(), reason.to_owned());
    }

    /// The encoder to take now, for one codec or for any: the first in order that is proved, else
    /// (at a first start) the first in software that exists, because it can hardly fail.
    ///
    /// # Errors
    ///
    /// [`NoEncoder`] when every candidate is absent or known to fail.
    pub(crate) fn pick(&self, codec: Option<Codec>) -> Result<&'static dyn Model, NoEncoder> {
        let fits = |standing: &Standing| codec.is_none_or(|codec| standing.model.codec() == codec);
        let standings: Vec<_> = self
            .standings()
            .into_iter()
            .flatten()
            .filter(fits)
            .collect();
        standings
            .iter()
            .find(|standing| standing.proved == Some(true))
            .or_else(|| {
                let soft = |s: &&Standing| s.proved.is_none() && s.model.name() != "v4l2h264enc";
                let vp8 = |s: &&Standing| soft(s) && s.model.codec() == Codec::Vp8;
                standings
                    .iter()
                    .find(vp8)
                    .or_else(|| standings.iter().find(soft))
            })
            .map(|standing| standing.model)
            .ok_or_else(|| NoEncoder {
                wanted: codec.map_or("video", codec_name),
                verdicts: self.verdicts(None),
            })
    }

    /// The codecs of all encoders that exist and are not known to fail, best first.
    #[must_use]
    pub fn codecs(&self) -> Vec<Codec> {
        let mut codecs = Vec::new();
        for standing in self.standings().into_iter().flatten() {
            if standing.proved != Some(false) && !codecs.contains(&standing.model.codec()) {
                codecs.push(standing.model.codec());
            }
        }
        codecs
    }

    /// What became of each candidate, given the one that is taken.
    #[must_use]
    pub fn verdicts(&self, taken: Option<&str>) -> Vec<EncoderVerdict> {
        let known = self.lock();
        let mut taken_seen = false;
        self.candidates
            .iter()
            .map(|candidate| {
                let is_taken = taken == Some(candidate.name.as_str());
                let reason = self.reason(candidate, &known, is_taken, taken_seen, taken);
                taken_seen |= is_taken;
                EncoderVerdict {
                    name: candidate.name.clone(),
                    taken: is_taken,
                    reason,
                }
            })
            .collect()
    }

    fn reason(
        &self,
        candidate: &Candidate,
        known: &Known,
        is_taken: bool,
        after_taken: bool,
        taken: Option<&str>,
    ) -> String {
        let Some(model) = candidate.model else {
            return format!("unknown; known are {}", known_names());
        };
        let Some(version) = &candidate.plugin_version else {
            let more = model
                .absent()
                .map(|more| format!(", {more}"))
                .unwrap_or_default();
            return format!("no such element ({}{more})", model.package());
        };
        if let Some(reason) = known.broken.get(&candidate.name) {
            return format!("broke in use: {reason}");
        }
        let budget = self.budget.encode(model.codec());
        let proof = known.cache.get(&candidate.name, version, &shape(&budget));
        let state = match proof {
            Some(Proof::Works { first_frame_ms }) => {
                format!(
                    "proved at {}, first frame after {first_frame_ms} ms",
                    shape(&budget)
                )
            }
            Some(Proof::Fails { reason }) => return format!("exists, but {reason}"),
            None => "not proved yet".to_owned(),
        };
        if is_taken {
            return format!("{}, {state}", codec_name(model.codec()));
        }
        match taken {
            Some(taken) if after_taken => format!("{state}; {taken} comes first"),
            // Passed over although it stands first: only its codec can be the reason.
            Some(_) if proof.is_some() => {
                format!("{state}; {} is not wanted now", codec_name(model.codec()))
            }
            _ => state,
        }
    }

    /// One entry per candidate; `None` for those that do not exist.
    fn standings(&self) -> Vec<Option<Standing>> {
        let known = self.lock();
        self.candidates
            .iter()
            .map(|candidate| {
                let model = candidate.model?;
                let version = candidate.plugin_version.as_deref()?;
                let budget = self.budget.encode(model.codec());
                let proved = if known.broken.contains_key(&candidate.name) {
                    Some(false)
                } else {
                    known
                        .cache
                        .get(&candidate.name, version, &shape(&budget))
                        .map(|proof| matches!(proof, Proof::Works { .. }))
                };
                Some(Standing { model, proved })
            })
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every write is a single insert: a panic elsewhere leaves nothing half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Standing {
    model: &'static dyn Model,
    proved: Option<bool>,
}

fn shape(budget: &EncodeBudget) -> String {
    format!("{}x{}@{}", budget.width, budget.height, budget.framerate)
}

fn known_names() -> String {
    super::MODELS.map(Model::name).join(", ")
}

fn plugin_version(factory: &str) -> Option<String> {
    let plugin = gst::ElementFactory::find(factory)?.plugin();
    Some(plugin.map_or_else(
        || "static".to_owned(),
        |plugin| plugin.version().to_string(),
    ))
}

#[cfg(test)]
mod tests {
    // A failing unwrap is a failing test, with its line.
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SMALL: EncodeBudget = EncodeBudget {
        width: 320,
        height: 180,
        framerate: 15,
        bitrate: 200_000,
    };

    fn encoders(order: &[&str], cache: Option<PathBuf>) -> Encoders {
        crate::plugins::gst_init().unwrap();
        let order: Vec<_> = order.iter().map(|&name| name.to_owned()).collect();
        let budget = MediaBudget {
            vp8: SMALL,
            h264: SMALL,
            ..MediaBudget::default()
        };
        Encoders::new(&order, cache, budget)
    }

    #[test]
    fn the_first_start_takes_vp8_in_software_without_waiting() {
        let encoders = encoders(&["v4l2h264enc", "openh264enc", "vp8enc"], None);
        assert_eq!(encoders.pick(None).unwrap().name(), "vp8enc");
        assert_eq!(
            encoders.pick(Some(Codec::H264)).unwrap().name(),
            "openh264enc"
        );
    }

    #[test]
    fn a_proved_encoder_is_taken_in_the_order_of_the_board() {
        let encoders = encoders(&["openh264enc", "vp8enc"], None);
        encoders.prove_all(&|| false);
        assert_eq!(encoders.pick(None).unwrap().name(), "openh264enc");
        assert_eq!(encoders.pick(Some(Codec::Vp8)).unwrap().name(), "vp8enc");
        let verdicts = encoders.verdicts(Some("openh264enc"));
        assert!(
            verdicts[0].taken
                && verdicts[0]
                    .reason
                    .starts_with("H.264, proved at 320x180@15")
        );
        assert!(
            verdicts[1].reason.ends_with("openh264enc comes first"),
            "{verdicts:?}"
        );
    }

    #[test]
    fn a_proof_is_made_once_and_read_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encoders.json");
        encoders(&["openh264enc", "vp8enc"], Some(path.clone())).prove_all(&|| false);
        let next = encoders(&["openh264enc", "vp8enc"], Some(path));
        assert_eq!(next.pick(None).unwrap().name(), "openh264enc");
    }

    #[test]
    fn a_missing_encoder_is_named_with_its_package_and_device() {
        let encoders = encoders(&["v4l2h264enc", "vp8enc"], None);
        if gst::ElementFactory::find("v4l2h264enc").is_some() {
            return; // This machine has the hardware.
        }
        let verdict = &encoders.verdicts(Some("vp8enc"))[0];
        assert!(
            verdict
                .reason
                .starts_with("no such element (gstreamer1.0-plugins-good, "),
            "{verdict:?}"
        );
    }

    #[test]
    fn an_encoder_that_breaks_makes_room_for_the_next() {
        let encoders = encoders(&["openh264enc", "x264enc"], None);
        encoders.prove_all(&|| false);
        encoders.give_up("openh264enc", "out of memory");
        assert_eq!(encoders.pick(None).unwrap().name(), "x264enc");
        let verdicts = encoders.verdicts(Some("x264enc"));
        assert_eq!(verdicts[0].reason, "broke in use: out of memory");
    }

    #[test]
    fn without_any_encoder_the_error_says_what_to_install() {
        let error = encoders(&["v4l2h264enc", "mpeg1enc"], None)
            .pick(None)
            .unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains("mpeg1enc: unknown; known are v4l2h264enc, vp8enc"),
            "{words}"
        );
        assert!(
            words.contains("Install gstreamer1.0-plugins-good"),
            "{words}"
        );
    }
}
