//! Requests that a handler failed at are kept, so that they can be made again:
//! `--record DIR`, and `host replay`.
//!
//! A thread of its own writes them. When it cannot keep up, requests are left
//! out, and serving goes on.

pub mod file;
mod folder;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use tracing::warn;

pub use file::{Recorded, is_recorded};

use crate::config::limits::{ADDRESSES, COUNT_MAX, count, size};
use crate::fault::Fault;
use crate::record::folder::Folder;
use crate::site::version::Label;
use host_http::message::Message;
use host_http::request_id::RequestId;
use host_wasm::health;

/// Requests that may wait to be written. Each holds on to its body.
pub(crate) const QUEUE: usize = 16;

/// The longest wait for them at the end.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// What is recorded, and how much of it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Recording")]
pub struct Recording {
    /// A folder in which requests are kept that the handler failed at: it trapped, ran out of time,
    /// or returned what is no response. `host replay` makes them again
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,

    /// Most requests that are kept; past it the oldest go
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<COUNT_MAX>)]
    pub record_max: usize,

    /// Most bytes that are kept of them in all; past it the oldest go
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub record_bytes: usize,

    /// Keep the values of authorization, cookie, proxy-authorization and set-cookie, in whose place
    /// there are asterisks otherwise
    #[arg(long)]
    pub record_secrets: bool,
}

/// Takes the requests.
pub struct Recorder {
    queue: SyncSender<Order>,
    /// Whether it was said that requests are left out.
    told: AtomicBool,
}

enum Order {
    Write(Box<Recorded>),
    /// Say when all before this is written.
    Flush(SyncSender<()>),
}

impl Recorder {
    /// Opens the folder and starts the thread, if anything is to be recorded.
    ///
    /// # Errors
    ///
    /// When the folder is not to be had, or a thread.
    pub fn start(recording: &Recording) -> anyhow::Result<Option<Recorder>> {
        let Some(path) = &recording.record else {
            return Ok(None);
        };
        let context = || format!("cannot record to {}", path.display());
        let folder = Folder::open(path, recording.record_max, recording.record_bytes);
        let mut folder = folder.with_context(context)?;
        let (queue, orders) = sync_channel(QUEUE);
        let secrets = recording.record_secrets;
        health::keep_running("record", move || write_all(&mut folder, secrets, &orders))
            .with_context(context)?;
        Ok(Some(Recorder { queue, told: AtomicBool::new(false) }))
    }

    /// Keeps the canonical bytes of a request that ended in a fault of the
    /// handler's.
    pub fn record(&self, message: Message, id: &RequestId, time: SystemTime, label: &Label, fault: &Fault) {
        let recorded = Recorded::new(message, id.as_str(), time, label, fault);
        match self.queue.try_send(Order::Write(Box::new(recorded))) {
            Ok(()) => self.told.store(false, Relaxed),
            Err(TrySendError::Full(_)) if self.told.swap(true, Relaxed) => {}
            Err(_) => warn!("requests are not recorded: the disk does not keep up"),
        }
    }

    /// Waits until what was recorded is written, but not for long.
    fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH);
        }
    }
}

/// When this is dropped, what was recorded is written.
pub struct Flush(pub Option<Arc<Recorder>>);

impl Drop for Flush {
    fn drop(&mut self) {
        if let Some(recorder) = &self.0 {
            recorder.flush();
        }
    }
}

fn write_all(folder: &mut Folder, secrets: bool, orders: &Receiver<Order>) {
    let mut fails = false;
    while let Ok(order) = orders.recv() {
        match order {
            Order::Flush(done) => {
                let _ = done.send(());
            }
            Order::Write(mut recorded) => {
                if !secrets {
                    recorded.mask();
                }
                let written = folder.write(&recorded.name(), &recorded.encode());
                // Once is enough while it goes on.
                match written {
                    Ok(()) => fails = false,
                    Err(_) if fails => {}
                    Err(error) => {
                        fails = true;
                        warn!("requests are not recorded: {error:#}");
                    }
                }
            }
        }
    }
}
