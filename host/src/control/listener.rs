//! How the server answers over its control socket. Whatever comes in is
//! bounded, in bytes and in time, and answered: nothing here can harm serving.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::protocol::{Complaint, LINE_MAX, Request, Status};
use crate::http::FaultCounts;
use crate::resources::Gauges;
use crate::swap::{Swapper, Task};

/// Control connections at once; more than that wait.
const CONNECTIONS_MAX: usize = 16;

/// How long a request may take to come in whole.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepting rests when the system has no descriptor left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What the listener can tell and do.
pub struct Control {
    /// Swaps.
    pub swapper: Swapper,
    /// Where the server listens.
    pub urls: Vec<String>,
    /// When it started.
    pub started: Instant,
    /// The largest module, in bytes.
    pub module_max: usize,
    /// The faults so far.
    pub faults: Arc<FaultCounts>,
    /// Knows how much is in use.
    pub gauges: Gauges,
}

/// Answers control connections until it is dropped.
pub async fn listen(listener: UnixListener, control: Arc<Control>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = Arc::clone(&control);
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &control).await {
                        debug!(%error, "a control connection ended early");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                debug!(%error, "cannot accept control connections for now");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, control: &Control) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    let own = rustix::process::geteuid().as_raw();
    let reply = if user != own && user != 0 {
        warn!(user, "a control request by another user was refused");
        complain("this server is another user's".into())
    } else {
        let request = timeout(REQUEST_TIMEOUT, receive(BufReader::new(read), control.module_max)).await;
        match request.unwrap_or_else(|_| Err("the request did not come in time".into())) {
            Ok((request, module)) => carry_out(request, module, control).await,
            Err(error) => complain(error),
        }
    };
    write.write_all(reply.as_bytes()).await?;
    write.shutdown().await
}

/// Reads a request and the module that may follow it.
async fn receive(
    mut stream: impl AsyncBufReadExt + Unpin,
    module_max: usize,
) -> Result<(Request, Vec<u8>), String> {
    let mut line = Vec::new();
    let broken = |error: io::Error| format!("the request cannot be read: {error}");
    (&mut stream).take(LINE_MAX as u64).read_until(b'\n', &mut line).await.map_err(broken)?;
    if line.pop() != Some(b'\n') {
        return Err(format!("expected a line of JSON of at most {LINE_MAX} bytes"));
    }
    let request: Request =
        serde_json::from_slice(&line).map_err(|error| format!("the request is malformed: {error}"))?;
    let mut module = Vec::new();
    if let Request::Swap { size, .. } = &request {
        let size = *size;
        if size > module_max {
            return Err(format!("the module is {size} bytes long, more than {module_max} (--module-max)"));
        }
        (&mut stream).take(size as u64).read_to_end(&mut module).await.map_err(broken)?;
        if module.len() < size {
            return Err(format!("the module breaks off after {} of {size} bytes", module.len()));
        }
    }
    Ok((request, module))
}

async fn carry_out(request: Request, module: Vec<u8>, control: &Control) -> String {
    let swapper = &control.swapper;
    match request {
        Request::Swap { name, if_version, .. } => {
            line(&swapper.order(Task::Swap(name, module), if_version).await)
        }
        Request::Rollback { version, if_version } => {
            line(&swapper.order(Task::RollBack(version), if_version).await)
        }
        Request::Versions {} => line(&swapper.versions()),
        Request::Status {} => {
            let Some(serving) = swapper.versions().into_iter().rfind(|entry| entry.state == "current") else {
                return complain("no version serves".into());
            };
            line(&Status {
                pid: std::process::id(),
                host_version: env!("CARGO_PKG_VERSION").into(),
                uptime_seconds: control.started.elapsed().as_secs(),
                urls: control.urls.clone(),
                serving,
                resources: control.gauges.read(),
                faults: control.faults.all(),
            })
        }
    }
}

fn complain(error: String) -> String {
    line(&Complaint { error })
}

fn line(reply: &impl Serialize) -> String {
    let mut line = serde_json::to_string(reply)
        .unwrap_or_else(|error| format!("{{\"error\":\"the reply cannot be told: {error}\"}}"));
    line.push('\n');
    line
}
