// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nonsense for everything that the description of the API names: it is refused, and nothing fails.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config as Rounds, TestRng, TestRunner};

use super::*;

/// Requests for each thing that can be asked for, by who is signed in and by a stranger.
const ROUNDS: usize = 24;

/// Text of every kind that programs stumble over.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        Just(String::new()),
        any::<String>(),
        "[a-z0-9._@-]{1,70}",
        "[2-9a-z]{4}(-[2-9a-z]{4}){3}",
        Just("../../etc/passwd".to_owned()),
        Just("'; DROP TABLE account; --".to_owned()),
        Just("\u{0}\u{7f}\u{202e}\u{feff}".to_owned()),
        (100..3000_usize).prop_map(|length| "ä".repeat(length)),
    ]
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
    .boxed()
}

/// A value for a schema: mostly one that fits its type.
fn fitting(schema: &Value) -> BoxedStrategy<Value> {
    let choices = schema["enum"].as_array().cloned();
    let good = match (choices, schema["type"].as_str()) {
        (Some(choices), _) => proptest::sample::select(choices).boxed(),
        (None, Some("boolean")) => any::<bool>().prop_map(Value::from).boxed(),
        (None, Some("integer")) => any::<i64>().prop_map(Value::from).boxed(),
        _ => text().prop_map(Value::from).boxed(),
    };
    prop_oneof![4 => good, 1 => value()].boxed()
}

/// A body for a schema: now and then without something, or with something more.
fn body(schema: &Value) -> BoxedStrategy<Value> {
    let properties = schema["properties"].as_object().cloned();
    let fields: Vec<_> = properties
        .unwrap_or_default()
        .into_iter()
        .map(|(name, schema)| {
            let field = fitting(&schema).prop_map(move |value| (name.clone(), value));
            proptest::option::weighted(0.9, field)
        })
        .collect();
    let more = proptest::option::weighted(0.1, (text(), value()));
    let object = (fields, more)
        .prop_map(|(fields, more)| fields.into_iter().flatten().chain(more).collect::<Value>());
    prop_oneof![8 => object, 1 => value()].boxed()
}

/// What a reference of the description leads to.
fn resolve<'a>(description: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => description.pointer(&path[1..]).unwrap(),
        None => schema,
    }
}

#[tokio::test]
async fn nonsense_is_refused_and_nothing_fails() {
    let office = Office::open().await;
    let admin = office.admin().await;
    let description = office.browser().get("/api/openapi.json").await;
    assert_eq!(description.header("content-type"), Some("application/json"));
    let description = description.body;
    // The same nonsense each time.
    let rng = TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Rounds::default(), rng);
    let mut seen = std::collections::BTreeMap::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let schema = resolve(&description, schema);
            for round in 0..ROUNDS {
                let mut draw = |strategy: BoxedStrategy<String>| {
                    strategy.new_tree(&mut runner).unwrap().current()
                };
                let part: String =
                    url::form_urlencoded::byte_serialize(draw(text()).as_bytes()).collect();
                let mut asked = path.replace("{id}", &part).replace("{room}", &part);
                asked = asked.replace("{feature}", "cloud-recording");
                if round % 4 == 0 {
                    let query: String =
                        url::form_urlencoded::byte_serialize(draw(text()).as_bytes()).collect();
                    asked += &format!("?before={query}&most={query}");
                }
                let sent = match schema {
                    Value::Null => String::new(),
                    // Not even JSON.
                    _ if round % 8 == 7 => draw(text()),
                    schema => body(schema)
                        .new_tree(&mut runner)
                        .unwrap()
                        .current()
                        .to_string(),
                };
                // Signing out would work.
                let mut browser = if round % 2 == 0 && path != "/api/sign-out" {
                    admin.clone()
                } else {
                    office.browser()
                };
                // So that few are held up for trying too often.
                browser.headers += &format!("X-Forwarded-For: 192.0.2.{round}\r\n");
                let method = method.to_uppercase();
                let kind = "Content-Type: application/json\r\n";
                let answer = browser.send(&method, &asked, kind, &sent).await;
                assert!(answer.status < 500, "{method} {path} {sent}: {answer:?}");
                if answer.status >= 400 {
                    // What Plug-N-Meet's integrations ask is answered in its own shape.
                    if path.starts_with("/auth/") {
                        assert_eq!(answer.body["status"], false, "{answer:?}");
                        assert!(answer.body["msg"].as_str().unwrap().len() > 15);
                        *seen.entry(answer.status).or_insert(0) += 1;
                        continue;
                    }
                    let kind = answer.header("content-type");
                    assert_eq!(
                        kind,
                        Some("application/problem+json"),
                        "{method} {path}: {answer:?}"
                    );
                    assert!(
                        answer.body["detail"].as_str().unwrap().len() > 15,
                        "{answer:?}"
                    );
                }
                *seen.entry(answer.status).or_insert(0) += 1;
            }
        }
    }
    // It was nonsense of all kinds, and the hub is as it was.
    for status in [200, 201, 400, 401, 403, 404, 422] {
        assert!(seen.contains_key(&status), "{seen:?}");
    }
    let me = admin.clone().get("/api/me").await;
    assert_eq!(me.body["name"], "ada", "{me:?}");
}
