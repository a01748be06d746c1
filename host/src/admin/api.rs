//! Answers one request to the API.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_wasm::{Engine, health};
use http::header::ACCEPT;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tracing::info;

use crate::admin::body::Body;
use crate::admin::choice;
use crate::admin::memory_bounds::UPLOADS_MAX;
use crate::admin::metrics;
use crate::admin::openapi;
use crate::admin::parameters;
use crate::admin::proof::DIFFS_MAX;
use crate::admin::protocol::{
    CHANGES, ErrorReply, Faults, Limit, LogLevel, REQUEST_TIMEOUT, Reloaded, Rollback, ShownSetting, Status,
    Upgraded,
};
use crate::admin::refusal::{Refusal, error, refuse};
use crate::admin::reply::{self, Reply, json, outcome, set_tag};
use crate::admin::resources::Resources;
use crate::admin::routes::{Found, Operation, find};
use crate::admin::{page, peer, proof, rollout, stream, traffic};
use crate::events::event::Event;
use crate::metrics::family::Format;
use crate::serve::app::App;
use crate::site::by::By;
use crate::site::directory::Site;
use crate::site::swap::{IsGone, Way};
use crate::telemetry::log;

/// Part of `swap_seconds`, the maximum duration of a swap that the status reports. It covers
/// everything except the gate and two compile timeouts: receiving the module, probes, the last
/// replayed request, and a slow disk. The second compile timeout is for a rejected module, which is
/// inspected for a remedy.
const SWAP_ROOM: Duration = Duration::from_secs(60);

/// Name of an uploaded module if the client gives none.
const UNNAMED: &str = "a client";

/// Operations on the whole server. The API offers them, and a layer above it implements them.
pub trait Lifecycle: Send + Sync {
    /// Starts a new process of the program, which takes over from this one. Returns the id of the
    /// new process, or why this process continues to serve.
    fn upgrade(&self, by: By) -> impl Future<Output = Result<u32, String>> + Send;

    /// Returns the maximum time of an upgrade.
    fn upgrade_time(&self) -> Duration;

    /// Reads the configuration again and applies it. Returns what has changed, or why nothing has.
    fn reload(&self, by: By) -> impl Future<Output = Result<Reloaded, String>> + Send;

    /// Returns the settings with which the server runs.
    fn settings(&self) -> impl Future<Output = Vec<ShownSetting>> + Send;

    /// Returns the limits in force.
    fn limits(&self) -> impl Future<Output = Vec<Limit>> + Send;
}

/// State of the server that requests to the API read and change.
pub struct Api<C> {
    /// State that the API shares with the connections of clients to handlers.
    pub app: Arc<App>,
    /// WebAssembly engine that runs the calls of handlers.
    pub engine: Engine,
    /// URLs of the server's listeners.
    pub urls: Vec<String>,
    /// Time at which the server started.
    pub started: Instant,
    /// Path of the control socket, or `none`.
    pub control: String,
    /// URLs at which the API is served.
    pub admin: Vec<String>,
    /// Permits for uploads: each uploaded module holds one while it is received or prepared.
    pub uploads: Semaphore,
    /// Permits for connections to the API. Each is held until the reply is sent, so that the server
    /// can wait for the last replies when it ends.
    pub connections: Arc<Semaphore>,
    /// Permits for comparisons of a module with a version, which limit how many run at once.
    pub diffs: Semaphore,
    /// Implementation of reloads and upgrades, and source of the settings.
    pub lifecycle: C,
}

/// Client that sent a request to the API.
pub(super) struct Caller {
    pub(super) by: By,
    /// Socket of the client, which shows whether the client has disconnected.
    pub(super) socket: Arc<OwnedFd>,
}

impl<C: Lifecycle> Api<C> {
    /// Answers a request, then reads and drops the rest of its body.
    pub(super) async fn answer(&self, request: Request<Incoming>, caller: &Caller) -> Reply {
        let (parts, body) = request.into_parts();
        let mut body = Body::new(body, &parts);
        let reply = self.find_and_carry_out(&parts, &mut body, caller).await;
        body.drain(self.app.limits.swap.module_max).await;
        reply
    }

    async fn find_and_carry_out(&self, parts: &Parts, body: &mut Body, caller: &Caller) -> Reply {
        let path = parts.uri.path();
        let (operation, segment) = match find(&parts.method, path) {
            Found::Operation(operation, segment) => (operation, segment),
            Found::OtherMethods(methods) => return reply::method_not_allowed(&methods),
            Found::Nothing => {
                let cause = format!("there is no resource {path}; GET /v1/openapi.json lists all");
                return json(StatusCode::NOT_FOUND, &ErrorReply { error: cause });
            }
        };
        match self.carry_out(operation, segment, parts, body, caller).await {
            Ok(reply) => reply,
            Err(Refusal::Error(status, error)) => json(status, &ErrorReply { error }),
            Err(Refusal::Outdated { refused, current }) => {
                let mut reply = json(StatusCode::PRECONDITION_FAILED, &refused);
                set_tag(&mut reply, current);
                reply
            }
        }
    }

    async fn carry_out(
        &self,
        operation: Operation,
        segment: &str,
        parts: &Parts,
        body: &mut Body,
        caller: &Caller,
    ) -> Result<Reply, Refusal> {
        if !parts.method.is_safe() && !parts.headers.contains_key(CHANGES) {
            return refuse(
                StatusCode::FORBIDDEN,
                format!("a request other than GET needs the header {CHANGES}, with any value"),
            );
        }
        parameters::check(operation, parts.uri.query())?;
        let if_match = choice::if_match(&parts.headers)?;
        Ok(match operation {
            Operation::Status => json(StatusCode::OK, &self.status()?),
            Operation::Sites => json(StatusCode::OK, &choice::sites(&self.app)),
            Operation::Versions => {
                let swapper = &choice::site(&self.app, parts)?.swapper;
                let mut reply = json(StatusCode::OK, &swapper.versions());
                set_tag(&mut reply, swapper.current().label.number);
                reply
            }
            Operation::Version => {
                json(StatusCode::OK, &choice::version(&*choice::site(&self.app, parts)?, segment)?)
            }
            Operation::Swap => self.swap(parts, body, if_match, caller, rollout::way).await?,
            Operation::RollOut => self.swap(parts, body, if_match, caller, rollout::plan).await?,
            Operation::Rollout => rollout::status(&*choice::site(&self.app, parts)?)?,
            Operation::Pause | Operation::Resume | Operation::Promote | Operation::Abort => {
                rollout::order(&*choice::site(&self.app, parts)?, parts, operation, caller.by).await?
            }
            Operation::Rollback => {
                let Rollback { version } = body.json().await?;
                let site = choice::site(&self.app, parts)?;
                let if_version = choice::check_current(&site, if_match)?;
                outcome(&site, &site.swapper.roll_back(version, if_version, caller.by).await, if_version)
            }
            Operation::Diff => {
                let (site, wanted) = (choice::site(&self.app, parts)?, proof::Wanted::new(parts)?);
                let _diff = self.diffs.try_acquire().or_else(|_| {
                    let cause = format!("{DIFFS_MAX} other comparisons are in progress; try again");
                    refuse(StatusCode::SERVICE_UNAVAILABLE, cause)
                })?;
                let (_permit, name, module) = self.receive(parts, body).await?;
                proof::diff(&site, wanted, name, module, caller.is_gone()).await?
            }
            Operation::Replay => proof::replayed(&*choice::site(&self.app, parts)?)?,
            Operation::Journal => json(StatusCode::OK, &proof::summary(&*choice::site(&self.app, parts)?)),
            Operation::Export => proof::export(choice::site(&self.app, parts)?).await?,
            Operation::Reload => match self.lifecycle.reload(caller.by).await {
                Ok(reloaded) => json(StatusCode::OK, &reloaded),
                Err(error) => json(StatusCode::UNPROCESSABLE_ENTITY, &ErrorReply { error }),
            },
            Operation::Upgrade => match self.lifecycle.upgrade(caller.by).await {
                Ok(pid) => json(StatusCode::OK, &Upgraded { pid }),
                Err(error) => json(StatusCode::CONFLICT, &ErrorReply { error }),
            },
            Operation::Settings => json(StatusCode::OK, &self.lifecycle.settings().await),
            Operation::Limits => json(StatusCode::OK, &self.lifecycle.limits().await),
            Operation::Events if parts.method == Method::HEAD => reply::events(None),
            Operation::Events => {
                reply::events(Some(stream::begin(&self.app.events, parts, caller.is_gone())?))
            }
            Operation::Traffic if parts.method == Method::HEAD => reply::events(None),
            Operation::Traffic => {
                reply::events(Some(traffic::begin(&self.app, &self.engine, parts, caller.is_gone())?))
            }
            Operation::Page => page::index(),
            Operation::PageFile => page::file(segment)?,
            Operation::Faults => {
                let (counts, recent) = (self.app.faults.all(), self.app.faults.recent());
                json(StatusCode::OK, &Faults { counts, recent })
            }
            Operation::Certificates => {
                let shown = self.app.tls.as_ref().map(|tls| tls.shown()).unwrap_or_default();
                json(StatusCode::OK, &shown)
            }
            Operation::LogLevel => json(StatusCode::OK, &LogLevel { level: log::levels() }),
            Operation::SetLogLevel => {
                let LogLevel { level } = body.json().await?;
                let levels = log::filter(&level).or_else(|cause| refuse(StatusCode::BAD_REQUEST, cause))?;
                // Logged before the change, which may silence it.
                info!(levels = level, by = %caller.by, "levels of the log are changed");
                log::set_levels(&levels);
                self.app.events.tell(&Event::log_level(&log::levels(), caller.by));
                json(StatusCode::OK, &LogLevel { level: log::levels() })
            }
            Operation::OpenApi => json(StatusCode::OK, &openapi::document()),
            Operation::Metrics => {
                let accept = parts.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
                let format = Format::accepted(accept);
                let families = metrics::read(&self.app, &self.resources(), self.started.elapsed());
                reply::text(format.write(&families), format.media_type())
            }
            Operation::Alive => reply::text("alive\n".into(), reply::PLAIN),
            Operation::Ready if self.app.ending.has_begun() => {
                return refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the server ends, and takes no new connections",
                );
            }
            Operation::Ready => reply::text("ready\n".into(), reply::PLAIN),
        })
    }

    fn resources(&self) -> Resources {
        Resources::read(&self.app, &self.engine, &self.uploads)
    }

    fn status(&self) -> Result<Status, Refusal> {
        let app = &self.app;
        let gate_times = app.sites.get().all().iter().map(|site| site.swapper.gate_time()).max();
        let swap_time = 2 * app.limits.swap.compile_timeout + gate_times.unwrap_or_default() + SWAP_ROOM;
        Ok(Status {
            pid: std::process::id(),
            host_version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: self.started.elapsed().as_secs(),
            urls: self.urls.clone(),
            control: self.control.clone(),
            admin: self.admin.clone(),
            tls: app.tls.as_ref().map(|tls| tls.shown()),
            module_max: app.limits.swap.module_max,
            swap_seconds: swap_time.as_secs(),
            upgrade_seconds: self.lifecycle.upgrade_time().as_secs(),
            sites: choice::sites(&self.app),
            resources: self.resources(),
            faults: app.faults.all(),
            lost_log_lines: log::QUEUE.lost(),
            threads: health::all(),
        })
    }

    /// Swaps to the module in the body of a request. `way` reads from the query how the module is
    /// put into service: at once, or step by step by a rollout.
    async fn swap(
        &self,
        parts: &Parts,
        body: &mut Body,
        if_match: Option<Vec<u64>>,
        caller: &Caller,
        way: fn(&Site, &Parts) -> Result<Way, Refusal>,
    ) -> Result<Reply, Refusal> {
        let accept = proof::accept(parts)?;
        let site = choice::site(&self.app, parts)?;
        let way = way(&site, parts)?;
        let if_version = choice::check_current(&site, if_match)?;
        let (_permit, name, module) = self.receive(parts, body).await?;
        let (how, is_gone) = ((accept, way), caller.is_gone());
        let swapped = site.swapper.swap(name, module, if_version, how, is_gone, caller.by).await;
        Ok(outcome(&site, &swapped, if_version))
    }

    /// Receives the module in the body of a request. Returns an upload permit, which the caller
    /// holds while the module is prepared, and the name and the bytes of the module.
    pub(super) async fn receive(
        &self,
        parts: &Parts,
        body: &mut Body,
    ) -> Result<(SemaphorePermit<'_>, String, Vec<u8>), Refusal> {
        let name = choice::parameter(parts, "name").unwrap_or_else(|| UNNAMED.into());
        let max = self.app.limits.swap.module_max;
        let too_large = |size: u64| {
            let cause = format!("the module is {size} bytes long, more than {max} (--module-max)");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, cause)
        };
        let length = body.length();
        if let Some(size) = length.filter(|size| *size > max as u64) {
            return too_large(size);
        }
        let seconds = REQUEST_TIMEOUT.as_secs();
        let Ok(permit) = timeout(REQUEST_TIMEOUT, self.uploads.acquire()).await else {
            let cause = format!("{UPLOADS_MAX} other swaps were in progress for {seconds} s; try again");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, cause);
        };
        let permit = permit.map_err(|closed| error(StatusCode::SERVICE_UNAVAILABLE, closed.to_string()))?;
        let Some(module) = body.module(max).await? else { return too_large(max as u64 + 1) };
        Ok((permit, name, module))
    }
}

impl Caller {
    /// Returns a function that returns whether the client has disconnected.
    pub(super) fn is_gone(&self) -> IsGone {
        let client = Arc::clone(&self.socket);
        let is_tcp = matches!(self.by, By::Remote(_));
        Box::new(move || peer::is_closed(&client, is_tcp))
    }
}
