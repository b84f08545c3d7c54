// SPDX-License-Identifier: MIT OR Apache-2.0
//! The description of the API, for programs and who writes them.

use hyper::StatusCode;

use super::{Answer, Api, with_type};

/// OpenAPI 3.1.
pub(super) const TEXT: &str = include_str!("openapi.json");

impl Api {
    pub(super) fn description(&self) -> Answer {
        let body = TEXT.as_bytes().to_vec();
        Ok(with_type(StatusCode::OK, "application/json", body))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::api::ROUTES;
    use crate::{engine, join, plugnmeet};

    #[test]
    fn what_is_described_is_answered_and_what_is_answered_is_described() {
        let description: Value = serde_json::from_str(TEXT).expect("it is JSON");
        let paths = description["paths"].as_object().expect("there are paths");
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().expect("a path has methods");
                methods
                    .keys()
                    .map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let mut answered: BTreeSet<_> = ROUTES
            .iter()
            .map(|(method, path, _)| format!("{method} {path}"))
            .collect();
        // Answered before this API is asked.
        let join = "/api/meetings/{room}/join";
        assert_eq!(join::room_of(join), Some("{room}"));
        answered.insert(format!("POST {join}"));
        let webhook = "/api/livekit/webhook";
        assert!(engine::is_webhook(webhook));
        answered.insert(format!("POST {webhook}"));
        for (path, _) in plugnmeet::CALLS {
            answered.insert(format!("POST {path}"));
        }
        assert_eq!(described, answered);
    }
}
