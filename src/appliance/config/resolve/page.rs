// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front-panel page: where it listens, and what it shows on the network.

use super::{Origin, Text, located, option, pick};
use crate::config::file::PanelPageTable;
use crate::config::{CertificateFiles, ConfigError, Listen, Network, Overrides, PanelPage};
use crate::password::PagePassword;

impl Text<'_> {
    pub(super) fn panel_page(
        &self,
        file: PanelPageTable,
        over: &Overrides,
    ) -> Result<PanelPage, ConfigError> {
        let (listen, origin) = pick(
            over.panel_page,
            "--panel-page",
            file.listen,
            Listen::default,
        );
        let (network, _) = pick(
            over.panel_network,
            "--panel-network",
            file.network,
            Network::default,
        );
        let mut names = Vec::new();
        for name in file.names {
            let origin = Origin::File(name.span());
            let name = name.into_inner();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
                return self.fail(
                    &origin,
                    "that is no name of a machine",
                    "write it as in an address, without https:// and port",
                );
            }
            names.push(name);
        }
        let certificate = match (located(file.certificate_file), located(file.key_file)) {
            (None, None) => None,
            (Some((certificate, from)), Some((key, _))) => Some(CertificateFiles {
                certificate: self.rooted(certificate, &from).into(),
                key: self.rooted(key, &from).into(),
            }),
            (Some((_, origin)), None) | (None, Some((_, origin))) => {
                return self.fail(
                    &origin,
                    "one of two",
                    "name both certificate-file and key-file, or neither: then the box makes its own",
                );
            }
        };
        let password = option(&over.panel_password_file, "--panel-password-file")
            .or_else(|| located(file.password_file));
        let password = match password {
            Some((reference, origin)) => {
                let hash = self.secret(&reference, &origin)?;
                Some(self.told(&origin, PagePassword::parse(self.text_of(&hash, &origin)?))?)
            }
            None => None,
        };
        Ok(PanelPage {
            listen,
            required: !matches!(origin, Origin::Default),
            network,
            names,
            certificate,
            password,
        })
    }
}
