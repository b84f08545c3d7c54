// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process forbids itself before it holds a key.

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// Forbids cores and debuggers of the same user, and makes every file that is written private.
///
/// # Errors
/// When the kernel refuses; a process that could dump its keys does not start.
pub fn protect() -> std::io::Result<()> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Both: the limit also holds for programs started from here, dumpable also for pipes in core_pattern and ptrace.
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_protected_process_cannot_dump_core() {
        protect().unwrap();
        assert_eq!(rustix::process::getrlimit(Resource::Core).maximum, Some(0));
        assert!(matches!(
            rustix::process::dumpable_behavior().unwrap(),
            DumpableBehavior::NotDumpable
        ));
    }
}
