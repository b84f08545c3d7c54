// SPDX-License-Identifier: MIT OR Apache-2.0
//! `GET /api/certificate`: by what boxes check a hub that made its certificate itself, for links and for their set-up.
//!
//! Who asks came over TLS and believes the certificate already, or is lied to here as everywhere. Nobody is told to check
//! what he need not: a certificate of an authority is renewed, and in front of a proxy another one is shown.

use hyper::StatusCode;
use serde_json::json;

use super::{Answer, Api, Visitor, respond};
use crate::pages;
use crate::tls::Issuer;

impl Api {
    pub(super) fn certificate(&self, visitor: &Visitor) -> Answer {
        let host = pages::host(visitor.request.headers()).unwrap_or_default();
        let own = self.tls.as_ref();
        let own = own.filter(|tls| tls.issuer() == Issuer::Hub && !self.is_origin(host));
        let hash = own.map(|tls| tls.hash().map(|byte| format!("{byte:02x}")).concat());
        Ok(respond(StatusCode::OK, &json!({ "sha256": hash })))
    }
}
