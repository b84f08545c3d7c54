// SPDX-License-Identifier: MIT OR Apache-2.0
//! `roomseal hub`: the meeting service, as a process of its own.

mod certificate;

use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use roomseal_hub::people::{Clock, People, SetUpCode};
use roomseal_hub::token::ApiKeys;
use roomseal_hub::{
    Config, EmbeddedConfig, EngineConfig, Hub, LiveKitConfig, LiveKitUrl, Origin, Pages,
};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use self::certificate::Source;
use super::Failure;
use crate::config::Log;
use crate::{logging, page, secret};

/// Arguments of `roomseal hub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Boxes, guests and clients of LiveKit join with tokens that are signed with the API key, as they join a LiveKit server.
The hub forwards what they seal and cannot open it. Example, on one machine:

  roomseal hub --api-key office --api-secret-file secret
  roomseal run --url ws://127.0.0.1:7880 --api-key office --api-secret-file secret --room demo --passphrase-file p

Browsers get the join page from it, at /j/ROOM: `roomseal start` and `roomseal new-meeting` print such links.

People have accounts on it, kept in --data. Until there is an admin, the hub shows a code for the first one: on the
terminal, and in the file set-up-code in the data folder.

With --engine livekit, meetings are held at a LiveKit server or cluster, and the hub stands in front of it: it lets people
in with tokens of that server's API key, and the same rules hold. Example:

  roomseal hub --engine livekit --livekit-url wss://livekit.example.org --livekit-api-key APIxyz \
      --livekit-api-secret-file secret --data people

Beyond this machine it speaks TLS alone: with a certificate of yours (--tls-certificate, --tls-key), or with one that it makes
for itself and keeps in --data. The SHA-256 of a self-made one is shown at the start; boxes check it by that:

  roomseal hub --listen 192.0.2.7:7880 --media 192.0.2.7:7882 --data people --api-key office --api-secret-file secret
  roomseal new-meeting --origin https://192.0.2.7:7880 --certificate-sha256 HEX --room lobby --into meeting
  roomseal run --url wss://192.0.2.7:7880 --api-key office --api-secret-file secret --link-file meeting/host.link")]
pub struct HubArgs {
    /// Where signalling is listened for
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7880")]
    listen: SocketAddr,
    /// Where media arrives (UDP): an address of this machine that clients reach
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7882")]
    media: SocketAddr,
    /// Where clients connect to for media when their network lets no UDP through (TCP) [default: as --media]
    #[arg(long, value_name = "ADDRESS")]
    media_tcp: Option<SocketAddr>,
    /// Name of the API key
    #[arg(long, value_name = "NAME")]
    api_key: Option<String>,
    /// File (mode 0600) with the secret of the API key
    #[arg(long, value_name = "FILE")]
    api_secret_file: Option<String>,
    /// Where meetings are held: in this process, or at a LiveKit server or cluster
    #[arg(long, value_name = "ENGINE", value_enum, default_value_t = Engine::Embedded)]
    engine: Engine,
    /// Where the LiveKit server is, as in `wss://livekit.example.org`
    #[arg(long, value_name = "URL")]
    livekit_url: Option<LiveKitUrl>,
    /// Where clients reach it, if that is another address [default: as --livekit-url]
    #[arg(long, value_name = "URL")]
    livekit_client_url: Option<LiveKitUrl>,
    /// Name of the LiveKit server's API key [default: as --api-key]
    #[arg(long, value_name = "NAME")]
    livekit_api_key: Option<String>,
    /// File (mode 0600) with the secret of that key [default: as --api-secret-file]
    #[arg(long, value_name = "FILE")]
    livekit_api_secret_file: Option<String>,
    /// Agent at the LiveKit server that does a feature: `live-transcription`, `captions` or `assistants`
    #[arg(long, value_name = "FEATURE=NAME", value_parser = agent)]
    livekit_agent: Vec<(String, String)>,
    /// Folder for accounts (mode 0700, made if it is not there); without, they end with the process
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where browsers find the hub through its proxy, such as `https://meet.example.org` [default: on this machine only]
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Rooms at a time
    #[arg(long, value_name = "N", default_value_t = 32)]
    most_rooms: usize,
    /// Participants of a room
    #[arg(long, value_name = "N", default_value_t = 16)]
    most_participants: usize,
    /// Folder of the join page, as `.ci/web` builds it [default: as installed, /usr/share/roomseal/join]
    #[arg(long, value_name = "FOLDER")]
    pages: Option<PathBuf>,
    /// PEM file with a certificate, then those of its issuers; read again within a minute of a change, at once on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// PEM file (mode 0600) with the private key of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,
    /// Speak TLS on this machine too, with a self-made certificate
    #[arg(long, conflicts_with = "tls_certificate")]
    tls: bool,
    /// A proxy in front of the hub that says for whom it asks (X-Forwarded-For); may be given several times
    #[arg(long, value_name = "ADDRESS")]
    trusted_proxy: Vec<IpAddr>,
    /// Allow signalling and pages without TLS beyond this machine: who is on the way reads and changes who meets whom
    #[arg(long)]
    insecure_lan: bool,
}

impl HubArgs {
    /// Serves until a signal comes.
    ///
    /// # Errors
    /// When the arguments make no sense or the addresses cannot be had.
    pub fn run(self) -> Result<(), Failure> {
        let media_tcp = self.media_tcp.unwrap_or(self.media);
        for (option, address) in [("--media", self.media), ("--media-tcp", media_tcp)] {
            if !address.ip().is_unspecified() {
                continue;
            }
            return Err(Failure::Usage(format!(
                "{option} {address} is no address that clients can send to: name one of this machine's own, \
                 as `ip address` lists them"
            )));
        }
        let names = page::own_names(self.listen.ip());
        let certificate = self.certificate(&names)?;
        let origin = self.origin.as_deref().map(Origin::parse).transpose();
        let origin = origin.map_err(|error| Failure::Usage(format!("--origin: {error}")))?;
        let keys = self.keys()?;
        let engine = self.held(media_tcp)?;
        logging::start(&Log::default());
        let pages = pages(self.pages.as_deref())?;
        let data = self.data;
        let config = |people| Config {
            listen: self.listen,
            keys: ApiKeys::new(keys),
            engine,
            pages,
            people,
            origin,
            tls: None,
            names,
            proxies: self
                .trusted_proxy
                .iter()
                .map(IpAddr::to_canonical)
                .collect(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(anyhow::Error::from)?;
        Ok(runtime.block_on(async {
            let people = Arc::new(people(data.as_deref()).await?);
            serve(config(Arc::clone(&people)), &people, certificate).await
        })?)
    }

    /// Where the certificate comes from, if the hub is to speak TLS.
    ///
    /// # Errors
    /// It has to, and there is no place for a certificate.
    fn certificate(&self, names: &[String]) -> Result<Option<Source>, Failure> {
        if let (Some(chain), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            return Ok(Some(Source::Given {
                chain: chain.clone(),
                key: key.clone(),
            }));
        }
        let is_here = self.listen.ip().to_canonical().is_loopback();
        if !self.tls && (is_here || self.insecure_lan) {
            return Ok(None);
        }
        match &self.data {
            Some(data) => Ok(Some(Source::own(data, names.to_vec()))),
            None => Err(Failure::Usage(format!(
                "--listen {} takes TLS, and there is no place for a certificate: name a folder for a self-made one with \
                 --data, or one of yours with --tls-certificate and --tls-key; --insecure-lan does without, on a network \
                 that you trust",
                self.listen
            ))),
        }
    }
}

/// Where meetings are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// In this process
    Embedded,
    /// At a LiveKit server or cluster
    #[value(name = "livekit")]
    LiveKit,
}

impl HubArgs {
    /// The API keys; first the one that the hub signs with.
    fn keys(&self) -> Result<Vec<(String, Zeroizing<String>)>, Failure> {
        let own = (self.api_key.as_ref(), self.api_secret_file.as_ref());
        let theirs = (
            self.livekit_api_key.as_ref().or(own.0),
            self.livekit_api_secret_file.as_ref().or(own.1),
        );
        let first = match self.engine {
            Engine::Embedded => own,
            Engine::LiveKit => theirs,
        };
        let (Some(name), Some(file)) = first else {
            return Err(Failure::Usage(match self.engine {
                Engine::Embedded => "name the hub's API key with --api-key, and the file with its secret with \
                                     --api-secret-file"
                    .to_owned(),
                Engine::LiveKit => "name the API key of the LiveKit server with --livekit-api-key, and the file with \
                                    its secret with --livekit-api-secret-file"
                    .to_owned(),
            }));
        };
        let mut keys = vec![key(name, file)?];
        // Integrations and boxes may have another one for the hub than the hub has for the server.
        if let (Some(own), Some(file)) = own
            && own != name
        {
            keys.push(key(own, file)?);
        }
        Ok(keys)
    }

    /// Where meetings are held.
    fn held(&self, media_tcp: SocketAddr) -> Result<EngineConfig, Failure> {
        if self.engine == Engine::Embedded {
            let is_for_livekit = self.livekit_url.is_some()
                || self.livekit_client_url.is_some()
                || self.livekit_api_key.is_some()
                || self.livekit_api_secret_file.is_some()
                || !self.livekit_agent.is_empty();
            if is_for_livekit {
                return Err(Failure::Usage(
                    "the options that begin with --livekit are for --engine livekit: add that, or leave them out"
                        .to_owned(),
                ));
            }
            return Ok(EngineConfig::Embedded(EmbeddedConfig {
                media: self.media,
                media_tcp,
                most_rooms: self.most_rooms,
                most_participants: self.most_participants,
            }));
        }
        let encrypted = |option: &str, url: &LiveKitUrl| {
            let url = url.clone().encrypted(self.insecure_lan);
            url.map_err(|error| Failure::Usage(format!("{option}: {error}")))
        };
        let url = self.livekit_url.as_ref().ok_or_else(|| {
            Failure::Usage("name the LiveKit server with --livekit-url wss://…".to_owned())
        })?;
        let clients = self.livekit_client_url.as_ref();
        let clients = clients.map(|url| encrypted("--livekit-client-url", url));
        Ok(EngineConfig::LiveKit(LiveKitConfig {
            url: encrypted("--livekit-url", url)?,
            url_for_clients: clients.transpose()?,
            agents: self.livekit_agent.clone(),
        }))
    }
}

fn key(name: &str, file: &str) -> Result<(String, Zeroizing<String>), Failure> {
    let text = secret::read(file, Path::new(""))?;
    let text = text
        .expose_text()
        .ok_or_else(|| anyhow!("{file}: the API secret is no text"))?;
    Ok((name.to_owned(), Zeroizing::new(text.to_owned())))
}

/// Features that an agent can do.
const BY_AGENTS: [&str; 3] = ["live-transcription", "captions", "assistants"];

fn agent(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    let pair = pair.filter(|(feature, name)| BY_AGENTS.contains(feature) && !name.is_empty());
    pair.map(|(feature, name)| (feature.to_owned(), name.to_owned()))
        .ok_or_else(|| format!("write FEATURE=NAME; features are {}", BY_AGENTS.join(", ")))
}

/// The join page, from the folder that was named or from where it is installed.
fn pages(named: Option<&Path>) -> Result<Option<Pages>, Failure> {
    if let Some(folder) = named {
        return Ok(Some(Pages::open(folder).map_err(anyhow::Error::from)?));
    }
    let installed = installed();
    let Some(folder) = installed.iter().find(|folder| folder.is_dir()) else {
        let places: Vec<_> = installed
            .iter()
            .map(|it| it.display().to_string())
            .collect();
        tracing::warn!(
            "there is no join page in {}: browsers cannot join until the hub is started with --pages FOLDER \
             (`.ci/web` builds it into .cache/web)",
            places.join(" or ")
        );
        return Ok(None);
    };
    Ok(Some(Pages::open(folder).map_err(anyhow::Error::from)?))
}

/// Where the page is when this program was installed: beside its own folder, and where packages put it.
fn installed() -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let around = program
        .ancestors()
        .nth(2)
        .map(|top| top.join("share/roomseal/join"));
    let usual = PathBuf::from("/usr/share/roomseal/join");
    let mut places: Vec<_> = around.into_iter().chain([usual]).collect();
    places.dedup();
    places
}

async fn people(data: Option<&Path>) -> anyhow::Result<People> {
    let clock = Clock::system();
    Ok(match data {
        Some(folder) => People::open(folder, clock).await?,
        None => {
            tracing::warn!(
                "accounts are forgotten when the hub stops: name a folder for them with --data"
            );
            People::in_memory(clock).await?
        }
    })
}

async fn serve(
    mut config: Config,
    people: &People,
    certificate: Option<Source>,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let identity = certificate.as_ref().map(Source::identity).transpose()?;
    let identity = identity.map(Arc::new);
    config.tls = identity.clone();
    let is_clear = identity.is_none() && !config.listen.ip().to_canonical().is_loopback();
    let hub = Hub::bind(config).await?;
    let address = hub.address().context("the hub has no address")?;
    let shown = certificate.zip(identity);
    if let Some((source, identity)) = &shown {
        source.introduce(identity);
    }
    if is_clear {
        tracing::warn!(
            "signalling and pages are NOT PROTECTED on the network (--insecure-lan): who is on the way reads and changes \
             who meets whom, and browsers give such pages no camera"
        );
    }
    match hub.media() {
        Some(media) => tracing::info!(
            "the hub listens on {address}, media on {} (UDP) and {} (TCP)",
            media.udp,
            media.tcp
        ),
        None => tracing::info!("the hub listens on {address}"),
    }
    let renewing = async {
        match &shown {
            Some((source, identity)) => source.keep_up(identity).await,
            None => certificate::nothing_to_read().await,
        }
    };
    // Where nobody waits for it, this does nothing.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        never = hub.serve() => match never {},
        error = show_codes(people) => Err(error),
        error = renewing => Err(error),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
}

/// Shows a code for the first admin, and the next when its time is over, until there is an admin.
async fn show_codes(people: &People) -> anyhow::Error {
    loop {
        match people.set_up_code().await {
            Ok(Some(code)) => show(&code),
            Ok(None) => {}
            Err(error) => return error.into(),
        }
        tokio::time::sleep(SetUpCode::GOOD).await;
    }
}

/// What is not a terminal may be a journal, and that is no place for a code that can be read elsewhere.
fn show(code: &SetUpCode) {
    match code.file() {
        Some(file) if !std::io::stdout().is_terminal() => {
            println!("the code for the first admin is in {}", file.display());
        }
        _ => println!(
            "the code for the first admin, good for {} minutes: {}",
            SetUpCode::GOOD.as_secs() / 60,
            *code.expose()
        ),
    }
}
