// SPDX-License-Identifier: MIT OR Apache-2.0

//! No key in logs, graphs, properties, messages or errors.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use gst::prelude::*;
use roomseal_e2ee::{FrameKey, Passphrase, RawKey};

use super::{index, init};
use crate::elements::{FrameDecrypt, FrameEncrypt};

const PASSPHRASE: &[u8] = b"mypassword";
/// What LiveKit derives from it.
const FROM_PASSPHRASE: [u8; 16] = [
    0x11, 0x90, 0x11, 0xE7, 0x80, 0x2A, 0x18, 0x86, 0x3D, 0xA8, 0xDF, 0x5C, 0x96, 0x25, 0xD8, 0xC9,
];
/// The raw key is the bytes 0 to 31; what LiveKit derives from it.
const FROM_RAW_KEY: [u8; 16] = [
    0x6D, 0x0D, 0xD7, 0xB3, 0xD6, 0xF4, 0xEF, 0xDE, 0x47, 0xAB, 0x9A, 0x9E, 0x15, 0xAB, 0xDE, 0x76,
];

fn raw_key() -> Vec<u8> {
    (0..32).collect()
}

/// Every form in which somebody might print a secret.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |case: fn(&u8) -> String, separator| {
        let digits: Vec<_> = secret.iter().map(case).collect();
        digits.join(separator).into_bytes()
    };
    let lower = |byte: &u8| format!("{byte:02x}");
    let upper = |byte: &u8| format!("{byte:02X}");
    let decimal = |byte: &u8| byte.to_string();
    let base64 = gst::glib::base64_encode(secret);
    let base64 = base64.trim_end_matches('=');
    vec![
        secret.to_vec(),
        hex(lower, ""),
        hex(upper, ""),
        hex(lower, " "),
        hex(lower, ":"),
        hex(decimal, ", "),
        hex(decimal, ","),
        // The last character also depends on what would follow.
        base64[..base64.len() - 1].into(),
        base64[..base64.len() - 1]
            .replace('+', "-")
            .replace('/', "_")
            .into(),
    ]
}

fn secrets() -> [Vec<u8>; 4] {
    [
        PASSPHRASE.to_vec(),
        raw_key(),
        FROM_PASSPHRASE.to_vec(),
        FROM_RAW_KEY.to_vec(),
    ]
}

/// Whether a text, read by [`one_char_per_byte`], holds any form of any secret.
fn leaks(text: &str) -> bool {
    secrets()
        .iter()
        .flat_map(|secret| forms(secret))
        .any(|form| text.contains(&one_char_per_byte(&form)))
}

/// Logs are long, and the standard library searches strings much faster than a test built for
/// debugging searches bytes.
fn one_char_per_byte(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Also a test of its own; the other test runs it in a process that logs everything.
#[test]
fn a_short_call_with_known_keys() {
    init();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("room.keys");
    let text = format!(
        "passphrase = \"{}\"\nkey-index = 1\nraw-key-hex = \"{}\"\n",
        String::from_utf8_lossy(PASSPHRASE),
        hex::encode(raw_key())
    );
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let run = |source: &str| {
        let pipeline = gst::parse::launch(&format!(
            "{source} ! frameencrypt name=e mode=seal keys-file={keys} ! tee name=t ! \
             capsfilter name=between ! framedecrypt name=d keys-file={keys} ! fakesink",
            keys = path.display()
        ))
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let encrypt = pipeline.by_name("e").unwrap();
        let encrypt = encrypt.downcast::<FrameEncrypt>().unwrap();
        let decrypt = pipeline.by_name("d").unwrap();
        let decrypt = decrypt.downcast::<FrameDecrypt>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let key = FrameKey::from_passphrase(&Passphrase::new(PASSPHRASE));
        decrypt.set_key(index(2), key.clone());
        decrypt.set_key(index(3), FrameKey::from_raw_key(&RawKey::new(raw_key())));
        encrypt.set_send_key(index(2), key);
        let bus = pipeline.bus().unwrap();
        bus.timed_pop_filtered(
            gst::ClockTime::from_seconds(60),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("the pipeline comes to its end");
        pipeline.debug_to_dot_file(gst::DebugGraphDetails::all(), "call");
        for element in [encrypt.upcast_ref::<gst::Element>(), decrypt.upcast_ref()] {
            for property in element.list_properties() {
                if property.flags().contains(gst::glib::ParamFlags::READABLE) {
                    let value = element.property_value(property.name());
                    assert!(!leaks(&format!("{value:?}")), "{property:?}");
                }
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
    };
    run("videotestsrc num-buffers=10 ! video/x-raw,width=64,height=48 ! vp8enc deadline=1");
    run("audiotestsrc num-buffers=10 ! opusenc");

    // Errors about the file are logged and posted too.
    fs::write(&path, text.replace('"', "'")).unwrap();
    let element = FrameDecrypt::new();
    element.set_property("keys-file", path.to_str().unwrap());
    assert!(element.set_state(gst::State::Ready).is_err());
    element.set_state(gst::State::Null).unwrap();
}

#[test]
fn no_log_at_any_level_and_no_graph_holds_a_key() {
    init();
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("elements::tests::secrecy::a_short_call_with_known_keys")
        .env("GST_DEBUG", "*:7")
        .env("GST_DEBUG_NO_COLOR", "1")
        .env("GST_DEBUG_FILE", directory.path().join("log"))
        .env("GST_DEBUG_DUMP_DOT_DIR", directory.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let read = |name: &str| one_char_per_byte(&fs::read(directory.path().join(name)).unwrap());
    let log = read("log");
    let dot = read("call.dot");
    // The right things were looked at.
    assert!(log.contains("frames leave sealed with key index"));
    assert!(log.contains("put the value in double quotes"));
    assert!(dot.contains("FrameEncrypt") && dot.contains("room.keys"));
    for text in [&child.stdout, &child.stderr] {
        assert!(!leaks(&one_char_per_byte(text)));
    }
    assert!(!leaks(&log));
    assert!(!leaks(&dot));

    // The search finds every form of every secret when it is there.
    for form in secrets().iter().flat_map(|secret| forms(secret)) {
        let planted = format!("{}{}{}", &dot[..99], one_char_per_byte(&form), &dot[..99]);
        assert!(leaks(&planted), "{planted}");
    }
    digests_agree(&log);
}

/// Each frame that was opened is one that was sealed.
fn digests_agree(log: &str) {
    let of = |category: &str| -> Vec<&str> {
        log.lines()
            .filter_map(|line| line.split_once("frame digest="))
            .filter(|(head, _)| head.contains(category))
            .map(|(_, digest)| digest)
            .collect()
    };
    let sealed = of(" frameencrypt ");
    let opened = of(" framedecrypt ");
    assert!(!sealed.is_empty() && !opened.is_empty());
    assert!(opened.iter().all(|digest| sealed.contains(digest)));
}
