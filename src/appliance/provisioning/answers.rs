// SPDX-License-Identifier: MIT OR Apache-2.0
//! What somebody answers on the page of a box that is not set up yet, and the configuration that comes of it.

use serde::Serialize;

use super::{Field, Folder, KeepError};
use crate::config::{Config, ConfigError, Network, Overrides};
use crate::control::SpokenSecret;

/// The file of the API key's secret, beside the configuration.
const API_SECRET: &str = "api-secret";
/// The file of a token.
const TOKEN: &str = "token";

/// What was answered, not checked yet. What is empty was not answered.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What the box is called.
    pub name: String,
    /// Address of the meeting service.
    pub url: String,
    /// API key; with it goes `api_secret`.
    pub api_key: String,
    /// Its secret.
    pub api_secret: Option<SpokenSecret>,
    /// A token, in the place of both.
    pub token: Option<SpokenSecret>,
    /// A room to enter at once, and again at every start.
    pub room: String,
    /// SHA-256 of the service's certificate, where it is self-made.
    pub certificate_sha256: String,
}

/// The configuration file, as far as answers go.
#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "box")]
    device: Device<'a>,
    service: Service<'a>,
    #[serde(rename = "panel-page")]
    panel_page: PanelPage,
}

#[derive(Serialize)]
struct Device<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Service<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_secret_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha256: Option<&'a str>,
}

#[derive(Serialize)]
struct PanelPage {
    network: String,
}

impl Answers {
    /// Keeps them in `folder` if a box can be started with them, on its page at `network`; gives the configuration that
    /// comes of them and the command line.
    ///
    /// # Errors
    /// What is wrong with each field; nothing has changed then.
    pub fn keep(
        &self,
        folder: &Folder,
        overrides: &Overrides,
        network: Network,
    ) -> Result<Config, Vec<Field>> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(missing);
        }
        let secrets: Vec<(&str, &[u8])> = [(API_SECRET, &self.api_secret), (TOKEN, &self.token)]
            .into_iter()
            .filter_map(|(name, secret)| Some((name, secret.as_ref()?.expose().trim())))
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name, text.as_bytes()))
            .collect();
        let config = self
            .config(network)
            .map_err(|problem| vec![field("name", &problem)])?;
        folder
            .keep(&config, &secrets, |path| {
                Config::load(Some(path), overrides)
            })
            .map_err(|error| match error {
                KeepError::Refused(error) => vec![place(&error)],
                KeepError::Disk { .. } => vec![field("", &error.to_string())],
            })
    }

    /// Every field that has to be filled in and is not.
    fn missing(&self) -> Vec<Field> {
        let given = |secret: &Option<SpokenSecret>| {
            secret
                .as_ref()
                .is_some_and(|secret| !secret.expose().trim().is_empty())
        };
        let key = !self.api_key.trim().is_empty();
        let mut missing = Vec::new();
        if self.name.trim().is_empty() {
            missing.push(field(
                "name",
                "write what the box is called; others see it in meetings",
            ));
        }
        if self.url.trim().is_empty() {
            missing.push(field(
                "url",
                "write the address of the meeting service, like wss://meet.example.org",
            ));
        }
        match (key, given(&self.api_secret), given(&self.token)) {
            (true, true, false) | (false, false, true) => {}
            (false, false, false) => missing.push(field(
                "api-key",
                "write an API key of the service and its secret, or a token",
            )),
            (true, false, false) => {
                missing.push(field(
                    "api-secret",
                    "write the secret that belongs to the API key",
                ));
            }
            (false, true, false) => {
                missing.push(field(
                    "api-key",
                    "write the API key that the secret belongs to",
                ));
            }
            (_, _, true) => missing.push(field(
                "token",
                "give either a token or an API key, not both",
            )),
        }
        missing
    }

    fn config(&self, network: Network) -> Result<String, String> {
        let given = |text: &'_ str| !text.trim().is_empty();
        let key = given(&self.api_key);
        let file = File {
            device: Device {
                name: self.name.trim(),
            },
            service: Service {
                url: self.url.trim(),
                room: Some(self.room.trim()).filter(|text| given(text)),
                api_key: key.then(|| self.api_key.trim()),
                api_secret_file: key.then_some(API_SECRET),
                token_file: (!key).then_some(TOKEN),
                certificate_sha256: Some(self.certificate_sha256.trim()).filter(|text| given(text)),
            },
            panel_page: PanelPage {
                network: match network {
                    Network::At(address) => address.to_string(),
                    Network::None => "none".to_owned(),
                },
            },
        };
        let text = toml::to_string(&file).map_err(|error| error.to_string())?;
        Ok(format!(
            "# Written when this box was set up on its page.\n{text}"
        ))
    }
}

/// The field that the configuration was refused for.
fn place(error: &ConfigError) -> Field {
    let ConfigError::File(file) = error else {
        return field("", &error.to_string());
    };
    let key = file
        .key
        .as_deref()
        .and_then(|key| key.split(' ').next_back());
    let name = match key {
        Some("api-secret-file") => "api-secret",
        Some("token-file") => TOKEN,
        Some(other @ ("name" | "url" | "room" | "api-key" | "certificate-sha256")) => other,
        // Nothing that was answered.
        _ => "",
    };
    field(name, &format!("{}; {}", file.problem, file.advice))
}

fn field(name: &str, text: &str) -> Field {
    Field {
        field: name.to_owned(),
        text: text.to_owned(),
    }
}
