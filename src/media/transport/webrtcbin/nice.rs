// SPDX-License-Identifier: MIT OR Apache-2.0

//! ICE restart, which `webrtcbin` 1.22 has no call for: three functions of libnice.
//!
//! `webrtcbin` has loaded libnice already, so its functions are looked up in the library that is
//! there. Linking it would ask for a development package for three calls.

// The only foreign functions of the transport.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use gst::glib::{self, prelude::*, translate::ToGlibPtr};

/// All sections are bundled, and `webrtcbin` numbers its streams from 1.
const STREAM: c_uint = 1;

/// `NICE_COMPONENT_STATE_CONNECTED`: there is a way to the peer.
pub(super) const CONNECTED: u32 = 3;
/// `NICE_COMPONENT_STATE_READY`: the best way to the peer was found.
pub(super) const READY: u32 = 4;

type RestartStream = unsafe extern "C" fn(*mut c_void, c_uint) -> c_int;
type LocalCredentials =
    unsafe extern "C" fn(*mut c_void, c_uint, *mut *mut c_char, *mut *mut c_char) -> c_int;

/// The ICE credentials of one side.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) ufrag: String,
    pub(super) pwd: String,
}

/// Makes `agent` (a `NiceAgent`) start ICE anew; gives its new credentials.
///
/// `None` when libnice does not do it; the room then has to be joined again.
pub(super) fn restart(agent: &glib::Object) -> Option<Credentials> {
    if agent.type_().name() != "NiceAgent" {
        return None;
    }
    // SAFETY: the signatures are those of agent.h in libnice 0.1.0 to 0.1.22 (soname 10).
    let (restart_stream, local_credentials) = unsafe {
        (
            std::mem::transmute::<*mut c_void, RestartStream>(symbol(
                c"nice_agent_restart_stream",
            )?),
            std::mem::transmute::<*mut c_void, LocalCredentials>(symbol(
                c"nice_agent_get_local_credentials",
            )?),
        )
    };
    let agent: *mut glib::gobject_ffi::GObject = agent.to_glib_none().0;
    let mut ufrag = std::ptr::null_mut();
    let mut pwd = std::ptr::null_mut();
    // SAFETY: `agent` is a NiceAgent (checked above) and alive, as its wrapper is; libnice locks
    // it itself. The two strings are ours when the call succeeds and null otherwise.
    unsafe {
        if restart_stream(agent.cast(), STREAM) == 0 {
            return None;
        }
        let found = local_credentials(agent.cast(), STREAM, &mut ufrag, &mut pwd) != 0;
        let ufrag = take(ufrag);
        let pwd = take(pwd);
        found.then_some(())?;
        Some(Credentials {
            ufrag: ufrag?,
            pwd: pwd?,
        })
    }
}

/// Address of a function in the libnice of this process.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: both strings end in NUL. NOLOAD only finds a library that is loaded; GStreamer never
    // unloads its plugins, so the handle (never closed) and the address stay valid.
    let address = unsafe {
        let library = libc::dlopen(
            c"libnice.so.10".as_ptr(),
            libc::RTLD_LAZY | libc::RTLD_NOLOAD,
        );
        if library.is_null() {
            return None;
        }
        libc::dlsym(library, name.as_ptr())
    };
    (!address.is_null()).then_some(address)
}

/// Takes over a string that GLib allocated.
///
/// # Safety
///
/// `text` is null or a NUL-terminated string from `g_malloc` that nobody else frees.
unsafe fn take(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: see above.
    unsafe {
        let copy = CStr::from_ptr(text).to_str().map(str::to_owned);
        glib::ffi::g_free(text.cast());
        copy.ok()
    }
}
