//! Gives memory back to the system when a burst of large bodies is over. Otherwise the C library
//! would keep the freed memory for later use.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::serve::app::App;

/// Interval at which the resident memory is checked.
const INTERVAL: Duration = Duration::from_secs(3);

/// Minimum growth of the resident memory, since its lowest value, before memory is given back, in
/// bytes.
const GROWTH_MIN: usize = 2 << 20;

/// Number of checks to skip after an attempt that gave little memory back, because the memory is in
/// use.
const PAUSE: u32 = 20;

/// Memory of the bodies in flight up to which a burst counts as over, in bytes.
const IN_FLIGHT_MAX: usize = 1 << 20;

/// Gives memory back to the system after each burst of large bodies. Returns only if the system
/// does not report the resident memory.
pub async fn give_back(app: Arc<App>) {
    let Some(mut least) = resident() else { return };
    let (mut last, mut pause) = (least, 0_u32);
    loop {
        sleep(INTERVAL).await;
        let Some(now) = resident() else { return };
        least = least.min(now);
        pause = if now > last + GROWTH_MIN { 0 } else { pause.saturating_sub(1) };
        if now <= least + GROWTH_MIN || pause > 0 || app.buffers.used() > IN_FLIGHT_MAX {
            continue;
        }
        // All sites share the buffers.
        if let Some(site) = app.sites.get().all().first() {
            site.swapper.current().module.free_buffers();
        }
        // It takes milliseconds, in which no connection should wait.
        let _ = spawn_blocking(trim).await;
        last = resident().unwrap_or(now);
        pause = if last + GROWTH_MIN > now { PAUSE } else { 0 };
    }
}

/// Returns the resident memory of this process in bytes; [`None`] if the system does not report it.
fn resident() -> Option<usize> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "no safe function asks the C library to give memory back")]
fn trim() {
    // SAFETY: malloc_trim(3) only touches memory that is free, and locks it meanwhile.
    unsafe { libc::malloc_trim(0) };
}

/// Does nothing, because C libraries other than glibc give memory back on their own.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
