// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two clocks of a front panel.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// As the kernel stamps edges (CLOCK_MONOTONIC); it stands still while the machine sleeps.
pub fn monotonic() -> Duration {
    duration(clock_gettime(ClockId::Monotonic))
}

/// Since the machine was started, sleep included (CLOCK_BOOTTIME): for how old a verdict is.
pub fn boot() -> Duration {
    duration(clock_gettime(ClockId::Boottime))
}

fn duration(time: Timespec) -> Duration {
    // Both clocks count from the start of the machine, so neither part is negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
