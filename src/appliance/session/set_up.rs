// SPDX-License-Identifier: MIT OR Apache-2.0
//! Before the first meeting: the box waits for somebody who sets it up, on its page or with a file, and goes on by itself.

use std::path::PathBuf;

use roomseal_media::present::PresentConfig;

use super::draw::IdleScreen;
use super::outside::BEAT;
use super::{Pulses, lamp, update};
use crate::config::{Config, Housing, Overrides};
use crate::control::{Command, Order, Orders, Reply};
use crate::lamp::Renewals;
use crate::provisioning::{Answers, Field, Folder};
use crate::screen::Screen;
use crate::status::{Connection, Publisher};
use crate::supervise::Stop;

/// What there is to do before anything else.
const FIRST: &str = "this box is not set up yet: open its page, or bring a provisioning file";

/// On the screen, beside the code of the page.
const HINT: &str = "This box is not set up yet. Open its page with a telephone in this network, and type the code that \
     appears here. The page asks for the rest.";

/// The same where nothing but the box itself can open the page.
const HINT_HERE: &str =
    "This box is not set up yet. Open its page on this machine, or bring a provisioning file.";

/// What set-up needs of the box.
#[derive(Debug)]
pub struct SetUp {
    /// Where what comes of it is kept.
    pub folder: Folder,
    /// What stands over it.
    pub overrides: Overrides,
    /// What the box was started with.
    pub housing: Housing,
    /// Its screen.
    pub present: PresentConfig,
    /// Its lamp.
    pub lamp: Option<Renewals>,
}

/// Waits until the box is set up; gives its configuration and its lamp. `None` when the process stops: because it was
/// asked to, or because what was brought takes another start, with another board, page or log.
pub async fn set_up(
    mut set_up: SetUp,
    orders: &mut Orders,
    status: &Publisher,
    stop: &Stop,
    pulses: &Pulses,
) -> Option<(Config, Option<Renewals>)> {
    status.update(|status| {
        status.awaits_set_up = true;
        let reason = "not set up yet".to_owned();
        status.connection = Connection::Left { reason };
    });
    let present = IdleScreen::open(&set_up.present, status).await;
    let mut screen = Screen::new(set_up.present.size);
    let mut beat = tokio::time::interval(BEAT);
    // What was brought and is no good is not read again and again.
    let mut looked_at = None;
    let config = loop {
        tokio::select! {
            () = stop.asked() => break None,
            _ = beat.tick() => {
                let shield = status.watch().borrow().outside();
                pulses.media.beat();
                pulses.signalling.beat();
                lamp::renew_outside(&mut set_up.lamp, status, &shield, false);
                status.judged(shield);
                present.draw(&mut screen, status, hint(status));
                let brought = set_up.folder.current();
                if brought.is_some() && brought != looked_at {
                    looked_at = brought;
                    if let Some(config) = bring(&set_up, status).await {
                        break Some(config);
                    }
                }
            }
            Some(order) = orders.next() => {
                if let Some(config) = obey(&set_up, status, order).await {
                    break Some(config);
                }
            }
        }
    };
    present.close().await;
    let config = config?;
    status.trouble("set-up", None);
    if config.housing()
        != (Housing {
            name: config.name.clone(),
            ..set_up.housing
        })
    {
        status.happened("set up; the box is started anew, with its board, page and log");
        stop.ask();
        return None;
    }
    status.update(|status| status.awaits_set_up = false);
    Some((config, set_up.lamp))
}

/// Carries out `order`; gives the configuration that came of it.
async fn obey(set_up: &SetUp, status: &Publisher, order: Order) -> Option<Config> {
    let origin = order.origin;
    let reply = match order.command.clone() {
        Command::SetUp(answers) => match keep(set_up, *answers).await {
            Ok(config) => {
                status.happened(&format!("set up {}", origin.words()));
                order.answer(Reply::Done(format!("{} is set up", config.name)));
                return Some(config);
            }
            Err(wrong) => wrong,
        },
        Command::Update => {
            update::begin(order, status);
            return None;
        }
        _ => Reply::NotNow(FIRST.to_owned()),
    };
    order.answer(reply);
    None
}

/// Keeps the answers. Files are written and keys derived: not for a thread that others wait for.
async fn keep(set_up: &SetUp, answers: Answers) -> Result<Config, Reply> {
    let folder = set_up.folder.clone();
    let overrides = set_up.overrides.clone();
    let network = set_up.housing.panel_page.network;
    tokio::task::spawn_blocking(move || answers.keep(&folder, &overrides, network))
        .await
        .unwrap_or_else(|_| Err(vec![stopping()]))
        .map_err(Reply::Wrong)
}

/// What somebody brought while the box was waiting.
async fn bring(set_up: &SetUp, status: &Publisher) -> Option<Config> {
    let path: PathBuf = set_up.folder.config();
    let overrides = set_up.overrides.clone();
    let loaded = tokio::task::spawn_blocking(move || Config::load(Some(&path), &overrides)).await;
    match loaded {
        Ok(Ok(config)) => {
            status.happened("set up by a provisioning file");
            Some(config)
        }
        Ok(Err(error)) => {
            status.trouble("set-up", Some(error.to_string()));
            None
        }
        // The runtime is going down.
        Err(_) => None,
    }
}

fn stopping() -> Field {
    Field {
        field: String::new(),
        text: "the box is stopping; start it again".to_owned(),
    }
}

fn hint(status: &Publisher) -> &'static str {
    match status.watch().borrow().network_page {
        Some(_) => HINT,
        None => HINT_HERE,
    }
}
