// SPDX-License-Identifier: MIT OR Apache-2.0
//! The composition root: every part of a running box is made here, from top to bottom.

mod setup;

use std::time::Duration;

use anyhow::Context;
use roomseal_panel::drive::Places;
use roomseal_service::livekit::TokenSource;

use crate::bookings::{self, Bookings};
use crate::cli::{Begin, Prepared, Unprovisioned};
use crate::config::{Config, Listen, Network, PanelPage};
use crate::control::Orders;
use crate::enrolment::Place;
use crate::lamp::{self, Renewals};
use crate::page::{self, Identity, Page};
use crate::screen::Screen;
use crate::session::{self, Muted, Pulses, SetUp};
use crate::status::{Connection, NetworkPage, Publisher, Status, socket, view};
use crate::supervise::{Stop, Supervisor};
use crate::{buttons, control, logging};

/// A loop that is silent for this long hangs. Tearing a pipeline down may take a second or two on a small board.
const HUNG: Duration = Duration::from_secs(15);

/// Joins the meeting and stays in it, until a signal, the end of the duration or the service's last word.
///
/// # Errors
/// What failed, under its name, with what to do about it.
pub fn run(prepared: Prepared) -> Result<(), anyhow::Error> {
    logging::start(&prepared.housing.log);
    // Signalling and views are light; media has threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the system gives no threads")?;
    let result = runtime.block_on(compose(prepared));
    // A name look-up in a dead network may still hang in a thread; nobody waits for its answer.
    runtime.shutdown_background();
    result
}

async fn compose(prepared: Prepared) -> Result<(), anyhow::Error> {
    let Prepared { housing, board, .. } = &prepared;
    // Making the DTLS key takes half a second on a small board: it starts before everything else.
    roomseal_media::plugins::gst_init()?;
    // What no meeting can do without ends the program with the name of its package, instead of
    // failing at every join; a missing encoder or sink is a trouble that is shown.
    roomseal_media::plugins::require(roomseal_media::plugins::TRANSPORT)?;
    roomseal_media::transport::warm_up();

    let status = Publisher::new(Status {
        board: board.id.clone(),
        name: housing.name.clone(),
        ..Status::default()
    });
    if let Begin::Meet(config) = &prepared.begin {
        introduce(config, &status);
    }

    let mut supervisor = Supervisor::new();
    let stop = supervisor.stop();
    let (control, orders) = control::channel();
    if let Some(path) = &prepared.status_socket {
        match socket::Socket::bind(path) {
            Ok(socket) => supervisor.task(
                "status",
                socket.serve(status.clone(), control.clone(), stop.clone()),
            ),
            Err(error) if prepared.status_socket_required => {
                return Err(error).with_context(|| format!("cannot listen on {}", path.display()));
            }
            // Two boxes on one machine are a test set-up: the second goes on without answering.
            Err(error) => tracing::warn!(
                path = %path.display(), %error,
                "no status socket: `roomseal status` will not find this box"
            ),
        }
    }
    match page(&housing.panel_page).await? {
        Some(page) => {
            status.update(|status| status.page = Some(page.address()));
            tracing::info!("front-panel page: {}", page.address());
            let serving = page.serve(status.clone(), control.clone(), stop.clone());
            supervisor.task("page", serving);
        }
        None => tracing::info!("no front-panel page"),
    }
    if let Some(page) = network_page(&housing.panel_page).await? {
        let certificate = page.fingerprint().unwrap_or_default().to_owned();
        let address = page.address();
        tracing::info!("front-panel page on the network: {address}, certificate {certificate}");
        status.update(|status| {
            status.network_page = Some(NetworkPage {
                address,
                certificate,
            });
        });
        let serving = page.serve(status.clone(), control.clone(), stop.clone());
        supervisor.task("page on the network", serving);
    }
    // journald keeps events, not views.
    if std::env::var_os("JOURNAL_STREAM").is_none() {
        supervisor.task("terminal", view::show(status.watch(), stop.clone()));
    }
    if let Some(duration) = prepared.duration {
        supervisor.task("timer", leave_after(duration, stop.clone()));
    }

    let lamp = front_panel(&prepared, &control, &status, &mut supervisor)?;

    let pulses = Pulses {
        media: supervisor.heartbeat("media", HUNG),
        signalling: supervisor.heartbeat("signalling", HUNG),
    };
    let bookings = Bookings::default();
    // A guest is nobody's room.
    if prepared.waits {
        let hearing = bookings::hear(Place::own(), bookings.clone(), status.clone(), stop.clone());
        supervisor.task("bookings", hearing);
    }
    let session = session(prepared, bookings, lamp, orders, status, stop, pulses);
    supervisor.task("session", session);

    supervisor.ready("running");
    supervisor.run().await?;
    Ok(())
}

/// Sets the box up where that is missing, then meets.
async fn session(
    prepared: Prepared,
    bookings: Bookings,
    lamp: Option<Renewals>,
    mut orders: Orders,
    status: Publisher,
    stop: Stop,
    pulses: Pulses,
) -> Result<(), anyhow::Error> {
    let board = prepared.board;
    let (config, lamp) = match prepared.begin {
        Begin::Meet(config) => (*config, lamp),
        Begin::SetUp(unprovisioned) => {
            let Unprovisioned { folder, overrides } = *unprovisioned;
            let set_up = SetUp {
                folder,
                overrides,
                present: setup::screen_alone(&prepared.housing, &board),
                housing: prepared.housing,
                lamp,
            };
            match session::set_up(set_up, &mut orders, &status, &stop, &pulses).await {
                Some((config, lamp)) => {
                    introduce(&config, &status);
                    (config, lamp)
                }
                None => return Ok(()),
            }
        }
    };
    let call = setup::call(&config, &board);
    let setup = session::Setup {
        service: setup::service(&config),
        e2ee: config.e2ee,
        meeting: config.meeting,
        meetings: config.meetings,
        bookings,
        name: config.name,
        has_button: board.panel.button.is_some(),
        screen: Screen::new(call.present.size),
        call,
        invitation: session::Invitation::default(),
        inside: config.service.room.is_some(),
        waits: prepared.waits,
        asked: false,
        identity: config.service.identity,
        muted: Muted::at_start(config.microphone.muted),
        stays_on: false,
        lamp,
    };
    session::run(setup, orders, status, stop, pulses).await
}

/// What the status says of a box that is set up.
fn introduce(config: &Config, status: &Publisher) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let service = &config.service;
    status.update(|status| {
        status.name.clone_from(&config.name);
        status.service = format!("{}:{}", service.server.host(), service.server.port());
        status.room = service.room.clone().unwrap_or_default();
        status.hosted = config.meeting.is_some();
        status.identity.clone_from(&service.identity);
        status.insecure_lan = service.insecure_lan;
        status.makes_meetings = matches!(service.tokens, TokenSource::Minted(_));
        status.e2ee_required = config.meeting.is_none() && config.e2ee.required;
        let directory = config.recording.directory.as_ref();
        status.recording = directory.map(|directory| directory.display().to_string());
        status.connection = Connection::Starting;
    });
}

/// The page, if there is to be one.
async fn page(config: &PanelPage) -> Result<Option<Page>, anyhow::Error> {
    let Listen::At(address) = config.listen else {
        return Ok(None);
    };
    match Page::at_the_box(address).await {
        Ok(page) => Ok(Some(page)),
        Err(error) if config.required => {
            Err(error).with_context(|| {
                format!("the front-panel page cannot listen on {address}; name another with --panel-page, or none")
            })
        }
        // Two boxes on one machine are a test set-up: the second goes on without a page.
        Err(error) => {
            tracing::warn!(%address, %error, "no front-panel page: name another address with --panel-page");
            Ok(None)
        }
    }
}

/// The page for paired devices, if there is to be one. It was asked for, so the box does not start without it.
async fn network_page(config: &PanelPage) -> Result<Option<Page>, anyhow::Error> {
    let Network::At(address) = config.network else {
        return Ok(None);
    };
    let mut names = page::own_names(address.ip());
    names.extend(config.names.iter().cloned());
    let identity = match &config.certificate {
        Some(files) => Identity::configured(&files.certificate, &files.key)?,
        None => Identity::own(page::state_directory().as_deref(), &names)?,
    };
    let page = Page::on_the_network(address, identity, names).await;
    let page = page.map(|page| Some(page.with_password(config.password.clone())));
    page.with_context(|| {
        format!("the front-panel page cannot listen on {address}; name another with --panel-network, or none")
    })
}

/// Buttons and lamps, as far as the board has them; the renewals are the session's.
fn front_panel(
    prepared: &Prepared,
    control: &control::Control,
    status: &Publisher,
    supervisor: &mut Supervisor,
) -> Result<Option<Renewals>, anyhow::Error> {
    let Prepared { board, panel, .. } = prepared;
    let Some(panel) = panel else {
        return Ok(None);
    };
    let places = Places::linux(panel.simulated.clone());
    buttons::start(&board.panel, &places, control, status, supervisor)
        .context("the system gives no threads")?;
    if board.panel.lamp.is_none() && board.panel.mute_lamp.is_none() {
        tracing::info!(board = board.id, "this board has no lamp");
        return Ok(None);
    }
    let Some(socket) = panel.lamp.clone() else {
        let text = "this box has no lamp: no place for its socket; set XDG_RUNTIME_DIR, or name one with --lamp-socket";
        status.trouble("lamp", Some(text.to_owned()));
        return Ok(None);
    };
    if let Some(board_dir) = &panel.start_lamp {
        let simulated = panel.simulated.as_deref();
        let child = lamp::child::start(&board.id, board_dir, &socket, simulated)?;
        supervisor.task("lamp", lamp::child::mind(child, supervisor.stop()));
    }
    Ok(Some(Renewals::new(socket)))
}

async fn leave_after(duration: Duration, stop: Stop) -> Result<(), anyhow::Error> {
    tokio::select! {
        () = tokio::time::sleep(duration) => stop.ask(),
        () = stop.asked() => {}
    }
    Ok(())
}
