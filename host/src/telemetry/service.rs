//! Notifies systemd of the state of the server, if systemd has started it as a service of the type
//! `notify`. Does nothing otherwise.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::sleep;
use tracing::debug;

/// Whether an upgrade has replaced this process as the server, so that the new process notifies
/// systemd instead.
static IS_OTHER: AtomicBool = AtomicBool::new(false);

/// Tells systemd that the server is ready, with a text for `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Tells systemd that a reload has begun. The caller must call [`reloaded`] at its end.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "systemd is not told of a reload"),
    }
}

/// Tells systemd that a reload has succeeded (`is_done`) or failed.
pub fn reloaded(is_done: bool) {
    ready(if is_done { "reloaded" } else { "the reload has failed and changed nothing; the log says why" });
}

/// Tells systemd that the server is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("answers its last requests")]);
}

/// Tells systemd that the process with the id `process` is the server from now on. After that, this
/// process sends no more notifications.
pub fn handed_over(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
    IS_OTHER.store(true, Relaxed);
}

/// Sets the text that `systemctl status` shows.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Sends keep-alive notifications to systemd at half of the interval that the service asks for
/// (`WatchdogSec`). Runs on the threads that serve requests, so the notifications stop if these
/// threads hang.
pub async fn watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero()) else { return };
    loop {
        // On another thread: systemd may not be reading.
        let told = tokio::task::spawn_blocking(|| tell(&[NotifyState::Watchdog]));
        let _ = told.await;
        sleep((interval / 2).max(Duration::from_millis(1))).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if IS_OTHER.load(Relaxed) {
        return;
    }
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "systemd cannot be told");
    }
}
