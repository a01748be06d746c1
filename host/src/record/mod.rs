//! Records requests that ended in a fault of the handler (`--record DIR`), so that
//! `host replay` can repeat them.
//!
//! A separate thread writes the files. When this thread cannot keep up, requests are not recorded,
//! so that responses are not delayed.

pub mod file;
mod folder;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use clap::ValueHint;
use tracing::warn;

pub use file::{Recorded, is_recorded};

use crate::config::value::{ADDRESSES, COUNT_MAX, count, size};

use crate::record::folder::Folder;
use crate::site::version::Version;
use host_http::message::Message;
use host_http::request_id::RequestId;
use host_wasm::health;

/// Maximum number of requests that wait to be written. The body of each is in memory.
pub(crate) const QUEUE: usize = 16;

/// Maximum time to wait on exit until the queued requests are written.
pub(crate) const FLUSH: Duration = Duration::from_secs(1);

/// Time between two checks whether a full queue has room.
const FULL_RETRY: Duration = Duration::from_millis(10);

/// Flags about recording failed requests.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Recording")]
pub struct Recording {
    /// Folder in which requests are recorded that ended in a fault of the handler: a
    /// trap, a missed deadline or an invalid response. `host replay` repeats them
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub record: Option<PathBuf>,

    /// Maximum number of recorded requests; past it the oldest are removed
    #[arg(long, value_name = "N", default_value = "100", value_parser = count::<COUNT_MAX>)]
    pub record_max: usize,

    /// Maximum size of all recorded requests together; past it the oldest are removed
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size::<ADDRESSES>)]
    pub record_bytes: usize,

    /// Record the values of authorization, cookie, proxy-authorization and
    /// set-cookie, which are masked with asterisks otherwise
    #[arg(long)]
    pub record_secrets: bool,
}

/// Queue of requests for the thread that records them.
pub struct Recorder {
    queue: SyncSender<Job>,
    /// Whether the log already has a warning that the queue is full. The next request that fits
    /// resets the flag.
    warned: AtomicBool,
}

enum Job {
    Write(Box<Recorded>),
    /// Asks the thread to send on this channel when all earlier jobs are done.
    Flush(SyncSender<()>),
}

impl Recorder {
    /// Opens the folder of `--record`, and starts the thread that writes to it. Returns [`None`] if
    /// `--record` is not set.
    ///
    /// # Errors
    ///
    /// When the folder cannot be opened or the thread cannot be created.
    pub fn start(recording: &Recording) -> anyhow::Result<Option<Recorder>> {
        let Some(path) = &recording.record else {
            return Ok(None);
        };
        let context = || format!("cannot record to {}", path.display());
        let folder = Folder::open(path, recording.record_max, recording.record_bytes);
        let mut folder = folder.with_context(context)?;
        let (queue, jobs) = sync_channel(QUEUE);
        let secrets = recording.record_secrets;
        health::keep_running("record", move || write_all(&mut folder, secrets, &jobs))
            .with_context(context)?;
        Ok(Some(Recorder { queue, warned: AtomicBool::new(false) }))
    }

    /// Queues a request that ended in a fault of the handler, with the secret values of the site
    /// masked. Drops the request if the queue is full.
    pub fn record(
        &self,
        mut message: Message,
        id: &RequestId,
        time: SystemTime,
        version: &Version,
        fault: &'static str,
        cause: &str,
    ) {
        let values = version.module.values();
        if values.has_secrets() {
            values.blank(&mut message.head);
            // A secret may be in two pieces.
            let mut body = message.body.concat();
            values.blank(&mut body);
            message.body = vec![body.into()];
        }
        let recorded = Recorded::new(message, id.as_str(), time, &version.label, fault, cause);
        match self.queue.try_send(Job::Write(Box::new(recorded))) {
            Ok(()) => self.warned.store(false, Relaxed),
            Err(TrySendError::Full(_)) if self.warned.swap(true, Relaxed) => {}
            Err(_) => warn!("requests are not recorded: the disk is too slow (the queue holds {QUEUE})"),
        }
    }

    /// Waits at most `FLUSH` until the queued requests are written.
    pub fn flush(&self) {
        let end = Instant::now() + FLUSH;
        let (done, written) = sync_channel(1);
        let mut job = Job::Flush(done);
        // A full queue gets room as requests are written.
        while let Err(TrySendError::Full(refused)) = self.queue.try_send(job) {
            if Instant::now() >= end {
                return;
            }
            job = refused;
            thread::sleep(FULL_RETRY);
        }
        let _ = written.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn write_all(folder: &mut Folder, secrets: bool, jobs: &Receiver<Job>) {
    let mut fails = false;
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Flush(done) => {
                let _ = done.send(());
            }
            Job::Write(mut recorded) => {
                if !secrets {
                    recorded.mask();
                }
                let written = folder.write(&recorded.name(), &recorded.encode());
                // Warns once per series of failures.
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
