//! Answers commands over the control socket, concurrently with each other and with
//! requests. Input is bounded in bytes and in time.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_wasm::{Engine, health};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::admin::memory_bounds::UPLOADS_MAX;
use crate::admin::place::Bound;
use crate::admin::protocol::{ErrorReply, LINE_MAX, Reloaded, Request, Status};
use crate::admin::resources::Resources;
use crate::serve::app::App;
use crate::site::by::By;
use crate::site::history::VersionState;
use crate::telemetry::log;

/// Most control connections at once; further ones wait.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Longest time to receive a request, to wait for an upload permit, and to receive the
/// module, each.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Part of `swap_seconds` for receiving, probes and a slow disk. The rest is two compile
/// timeouts: a rejected module is compiled, and then inspected for a remedy.
const SWAP_ROOM: Duration = Duration::from_secs(60);

/// Pause after a failed accept, for example when no descriptor is left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Reloads the configuration, on behalf of someone.
pub type Reload =
    Box<dyn Fn(By) -> Pin<Box<dyn Future<Output = Result<Reloaded, String>> + Send>> + Send + Sync>;

/// State that commands read and change.
pub struct Control {
    app: Arc<App>,
    engine: Engine,
    /// URLs of the server's listeners.
    urls: Vec<String>,
    /// Start of the server.
    started: Instant,
    /// Path of the control socket.
    path: PathBuf,
    /// Whether the socket is open to a group, so that its mode decides who may connect.
    has_group: bool,
    /// Permits for uploads.
    uploads: Arc<Semaphore>,
    reload: Reload,
}

impl Control {
    /// Creates the state of a server that started at `started`.
    pub fn new(
        app: Arc<App>,
        engine: Engine,
        urls: Vec<String>,
        started: Instant,
        reload: Reload,
    ) -> Control {
        let (path, has_group) = (PathBuf::new(), false);
        Control {
            app,
            engine,
            urls,
            started,
            path,
            has_group,
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            reload,
        }
    }
}

/// Request as received; a swap comes with the bytes of its module and an upload permit.
struct Received {
    request: Request,
    module: Vec<u8>,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Starts the thread that serves commands.
///
/// # Errors
///
/// When the thread cannot be created.
pub fn start(listener: net::UnixListener, bound: &Bound, mut control: Control) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    (control.path, control.has_group) = (bound.path().to_owned(), bound.has_group());
    let control = Arc::new(control);
    health::keep_running("control", move || {
        let (listener, control) = (listener.try_clone(), Arc::clone(&control));
        runtime.block_on(async {
            match listener.and_then(UnixListener::from_std) {
                Ok(listener) => listen(listener, control).await,
                Err(error) => warn!(%error, "cannot accept commands any more"),
            }
        });
    })
    .map(drop)
}

async fn listen(listener: UnixListener, control: Arc<Control>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = Arc::clone(&control);
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &control).await {
                        debug!(%error, "control connection ended early");
                    }
                    drop(permit);
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
    let peer = stream.peer_cred()?;
    let user = peer.uid();
    let by = By::Client { user, process: peer.pid() };
    let watched = stream.as_fd().try_clone_to_owned()?;
    let (read, mut write) = stream.into_split();
    let own = rustix::process::geteuid().as_raw();
    let reply = if user != own && user != 0 && !control.has_group {
        warn!(user, "command refused: it came from another user");
        error_reply(format!(
            "this server belongs to the user id {own}, and the command came from {user}; expected that user or root, \
             or a server with --control-group"
        ))
    } else {
        match receive(BufReader::new(read), control).await {
            Ok(received) => carry_out(received, control, watched, by).await,
            Err(error) => error_reply(error),
        }
    };
    write.write_all(reply.as_bytes()).await?;
    write.shutdown().await
}

/// Returns whether the other end of a socket is closed in both directions. A client
/// that has only shut down its sending side may still wait for the reply.
fn is_closed(socket: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::empty())];
    // Does not wait. A hang-up is reported without being requested.
    let has_polled = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok();
    has_polled && polled.iter().any(|one| one.revents().intersects(PollFlags::HUP | PollFlags::ERR))
}

/// Reads a request, and the module that follows a swap request.
async fn receive(mut stream: impl AsyncBufReadExt + Unpin, control: &Control) -> Result<Received, String> {
    let mut line = Vec::new();
    let seconds = REQUEST_TIMEOUT.as_secs();
    let late = |_| format!("the request did not arrive within {seconds} s");
    let broken = |error: io::Error| format!("cannot read the request: {error}");
    let read = (&mut stream).take(LINE_MAX as u64);
    timeout(REQUEST_TIMEOUT, { read }.read_until(b'\n', &mut line)).await.map_err(late)?.map_err(broken)?;
    if line.pop() != Some(b'\n') {
        return Err(format!("expected a line of JSON of at most {LINE_MAX} bytes"));
    }
    let request: Request =
        serde_json::from_slice(&line).map_err(|error| format!("the request is malformed: {error}"))?;
    let (mut module, mut permit) = (Vec::new(), None);
    if let Request::Swap { size, .. } = &request {
        let (size, module_max) = (*size, control.app.limits.swap.module_max);
        if size > module_max {
            return Err(format!("the module is {size} bytes long, more than {module_max} (--module-max)"));
        }
        let acquired = timeout(REQUEST_TIMEOUT, Arc::clone(&control.uploads).acquire_owned()).await;
        let acquired = acquired
            .map_err(|_| format!("{UPLOADS_MAX} other swaps were in progress for {seconds} s; try again"))?;
        permit = Some(acquired.map_err(|error| error.to_string())?);
        let read = (&mut stream).take(size as u64);
        timeout(REQUEST_TIMEOUT, { read }.read_to_end(&mut module)).await.map_err(late)?.map_err(broken)?;
        if module.len() < size {
            return Err(format!("the module ended after {} of {size} bytes", module.len()));
        }
    }
    Ok(Received { request, module, _permit: permit })
}

async fn carry_out(received: Received, control: &Control, client: OwnedFd, by: By) -> String {
    // Holds the permit until the request is carried out.
    let Received { request, module, _permit } = received;
    let app = &control.app;
    match request {
        Request::Swap { name, if_version, .. } => {
            let is_gone = Box::new(move || is_closed(&client));
            line(&app.swapper.swap(name, module, if_version, is_gone, by).await)
        }
        Request::Rollback { version, if_version } => {
            line(&app.swapper.roll_back(version, if_version, by).await)
        }
        Request::Reload {} => match (control.reload)(by).await {
            Ok(reloaded) => line(&reloaded),
            Err(cause) => error_reply(cause),
        },
        Request::Versions {} => line(&app.swapper.versions()),
        Request::Status {} => {
            let mut versions = app.swapper.versions().into_iter();
            let Some(serving) = versions.rfind(|entry| entry.state == VersionState::Current) else {
                return error_reply("no version serves".into());
            };
            line(&Status {
                pid: std::process::id(),
                host_version: env!("CARGO_PKG_VERSION").into(),
                uptime_seconds: control.started.elapsed().as_secs(),
                urls: control.urls.clone(),
                control: control.path.display().to_string(),
                module_max: app.limits.swap.module_max,
                swap_seconds: (2 * app.limits.swap.compile_timeout + SWAP_ROOM).as_secs(),
                serving,
                resources: Resources::read(app, &control.engine, &control.uploads),
                faults: app.faults.all(),
                lost_log_lines: log::QUEUE.lost(),
                threads: health::all(),
            })
        }
    }
}

fn error_reply(error: String) -> String {
    line(&ErrorReply { error })
}

fn line(reply: &impl Serialize) -> String {
    let mut line = serde_json::to_string(reply)
        .unwrap_or_else(|error| format!("{{\"error\":\"cannot encode the reply: {error}\"}}"));
    line.push('\n');
    line
}
