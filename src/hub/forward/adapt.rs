// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a receiver is sent, by what its link carries.

use std::collections::HashMap;
use std::time::Duration;

use str0m::stats::PeerStats;

use super::link::{Sample, Verdict};
use super::onward::Portion;
use super::paced::Pace;
use super::rate::KEYS_EVERY;
use super::share::{self, Ladder, Share};
use super::source::Source;
use super::subscriber::Subscriber;

/// How often the engine is asked what was heard of the packets.
pub(super) const INTERVAL: Duration = Duration::from_millis(500);

/// At what rate key frames go at least, in bits per second.
const SLOWEST_KEYS: u64 = 50_000;

/// How long a packet waits at most, where more than key frames goes.
const LONGEST: Duration = Duration::from_millis(500);

/// A video on its way, as shares were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    sid: String,
    asked: u8,
    /// The layers that arrive, as bits.
    arriving: u8,
}

/// The videos that are on their way, and what may be sent of each.
struct Offer {
    shown: Vec<Shown>,
    ladders: Vec<Ladder>,
    /// Bits per second of sound, which goes first.
    sound: u64,
}

impl Subscriber {
    /// Takes what was heard of the packets, and gives each video its share. Whether something may have changed.
    pub(super) fn adapt(
        &mut self,
        stats: &PeerStats,
        sources: &HashMap<String, Source>,
        now: Duration,
    ) -> bool {
        let verdict = self.heard(stats, now);
        if verdict == Verdict::Steady && self.link.room().is_none() {
            return false;
        }
        let offer = self.offered(sources, now);
        if verdict == Verdict::Steady && offer.shown == self.shown {
            return false;
        }
        let rungs = self.rungs(verdict, &offer);
        let shares = offer.shown.iter().zip(&offer.ladders).zip(rungs);
        let shares = shares.map(|((it, ladder), rung)| {
            let share = (ladder.share_of(rung), ladder.rate(rung));
            (it.sid.clone(), share)
        });
        self.give(&shares.collect(), offer.sound);
        self.shown = offer.shown;
        true
    }

    /// How much each video gets.
    fn rungs(&mut self, verdict: Verdict, offer: &Offer) -> Vec<usize> {
        let Offer {
            shown,
            ladders,
            sound,
        } = offer;
        let both = || shown.iter().zip(ladders);
        let mut rungs: Vec<usize> = both()
            .map(|(it, ladder)| ladder.rung_of(self.share(&it.sid)))
            .collect();
        match verdict {
            Verdict::Steady => {
                let least = ladders.iter().map(|ladder| self.least(ladder, usize::MAX));
                return share::allot(ladders, self.left(*sound), least.collect());
            }
            Verdict::Cut { gently } => {
                self.gently = gently;
                let least = ladders.iter().zip(&rungs);
                let least = least.map(|(ladder, rung)| self.least(ladder, *rung));
                let cut = share::allot(ladders, self.left(*sound), least.collect());
                if cut == rungs {
                    self.link.kept();
                }
                return cut;
            }
            Verdict::Raise => {
                let before = both().map(|(it, _)| (it.sid.clone(), self.share(&it.sid)));
                self.before = before.collect();
                match share::next(ladders, &rungs, &[]) {
                    Some(index) => {
                        rungs[index] += 1;
                        self.link.raised(share::total(ladders, &rungs) + sound);
                    }
                    None => self.link.free(),
                }
            }
            Verdict::Back => {
                for ((it, ladder), rung) in both().zip(&mut rungs) {
                    if let Some(share) = self.before.get(&it.sid) {
                        *rung = ladder.rung_of(*share);
                    }
                }
            }
            Verdict::Free => {
                return share::allot(ladders, u64::MAX, vec![0; ladders.len()]);
            }
        }
        rungs
    }

    /// The rung below which a video does not come, when it is at `rung`.
    fn least(&self, ladder: &Ladder, rung: usize) -> usize {
        if self.gently {
            ladder.smallest().min(rung)
        } else {
            0
        }
    }

    /// Bits per second that are left for pictures.
    fn left(&self, sound: u64) -> u64 {
        let room = self.link.room();
        room.map_or(u64::MAX, |room| room.saturating_sub(sound))
    }

    /// Gives the videos these shares, which take so many bits per second.
    fn give(&mut self, shares: &HashMap<String, (Share, u64)>, sound: u64) {
        let is_fast = self.link.room().is_none();
        let left = self.left(sound);
        let alone = shares.values().filter(|(share, _)| *share == Share::Keys);
        // What is left was measured when more was sent than key frames.
        let keys = left / (2 * alone.count().max(1) as u64);
        for (sid, line) in &mut self.lines {
            if is_fast {
                line.allow(None);
                continue;
            }
            // What does not arrive at present stays as it was.
            let Some((share, takes)) = shares.get(sid) else {
                continue;
            };
            let (rate, within) = if *share == Share::Keys {
                (keys.max(SLOWEST_KEYS), KEYS_EVERY)
            } else {
                // A key frame takes longer than others, and leaves some room for what else goes.
                (left.min(takes * 3 / 2), LONGEST)
            };
            let pace = Pace { rate, within };
            let share = *share;
            line.allow(Some(Portion { share, pace }));
        }
        self.paces = true;
    }

    fn heard(&mut self, stats: &PeerStats, now: Duration) -> Verdict {
        let before = self.sent.replace((now, stats.bytes_tx));
        let (Some((then, before)), Some(loss), Some(delay)) =
            (before, stats.egress_loss_fraction, stats.rtt)
        else {
            // Who tells nothing is sent everything, and who told something is not sent more for want of news.
            return Verdict::Steady;
        };
        let pair = stats.selected_candidate_pair.as_ref();
        let passed = now.saturating_sub(then).as_secs_f64().max(0.001);
        let bits = stats.bytes_tx.saturating_sub(before) as f64 * 8.0;
        self.link.heard(Sample {
            now,
            rate: bits / passed,
            loss: f64::from(loss),
            delay,
            check: pair.and_then(|pair| pair.current_round_trip_time),
        })
    }

    fn offered(&self, sources: &HashMap<String, Source>, now: Duration) -> Offer {
        let videos = self.lines.iter().filter_map(|(sid, line)| {
            let asked = line.wants_video()?;
            let source = sources.get(sid)?;
            let ladder = Ladder::new(&source.offered(now), asked)?;
            let shown = Shown {
                sid: sid.clone(),
                asked,
                arriving: source.arriving(now),
            };
            Some((shown, ladder))
        });
        let (shown, ladders) = videos.unzip();
        let sounds = self.lines.iter().filter(|(_, line)| line.is_sound());
        let sounds = sounds.filter_map(|(sid, _)| sources.get(sid));
        Offer {
            shown,
            ladders,
            sound: sounds.map(Source::rate).sum(),
        }
    }

    /// What each track is cut down to, of those that are.
    pub(super) fn shares(&self) -> Vec<(&str, Share)> {
        let lines = self.lines.iter();
        let shares = lines.map(|(sid, line)| (sid.as_str(), line.share()));
        shares.filter(|(_, share)| *share != Share::Whole).collect()
    }

    fn share(&self, sid: &str) -> Share {
        self.lines
            .get(sid)
            .map_or_else(Share::default, |line| line.share())
    }
}
