//! Routes of the API: methods, paths and operations. This table determines which operation a
//! request gets, and the OpenAPI description is made from it.

use http::Method;

/// Operation of the API that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Status,
    Sites,
    Versions,
    Version,
    Swap,
    Rollout,
    RollOut,
    Pause,
    Resume,
    Promote,
    Abort,
    Rollback,
    Diff,
    Journal,
    Export,
    Reload,
    Upgrade,
    Settings,
    Limits,
    Faults,
    Events,
    Certificates,
    LogLevel,
    SetLogLevel,
    OpenApi,
    Metrics,
    Alive,
    Ready,
    Traffic,
    Replay,
    Page,
    PageFile,
}

impl Operation {
    /// Returns whether clients at the address of `--admin` need no token for the operation. Health
    /// checks often cannot send a token, and the page itself asks its user for the token.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Operation::Alive | Operation::Ready | Operation::Page | Operation::PageFile)
    }
}

/// Operation that belongs to a method and a path.
pub(super) struct Route {
    pub(super) method: Method,
    /// Path of the route. A segment in braces matches any segment.
    pub(super) path: &'static str,
    pub(super) operation: Operation,
    pub(super) summary: &'static str,
}

const fn route(method: Method, path: &'static str, operation: Operation, summary: &'static str) -> Route {
    Route { method, path, operation, summary }
}

/// Routes of all operations.
pub(super) static ROUTES: [Route; 32] = [
    route(Method::GET, "/v1/status", Operation::Status, "State of the server"),
    route(Method::GET, "/v1/sites", Operation::Sites, "Sites, each with its current version"),
    route(Method::GET, "/v1/versions", Operation::Versions, "All remembered versions, oldest first"),
    route(
        Method::POST,
        "/v1/versions",
        Operation::Swap,
        "Swaps to the module in the body, and waits until it serves or is rejected",
    ),
    route(Method::GET, "/v1/versions/{number}", Operation::Version, "One version"),
    route(Method::POST, "/v1/rollback", Operation::Rollback, "Rolls back to a kept version"),
    route(Method::GET, "/v1/rollout", Operation::Rollout, "State of the latest rollout"),
    route(
        Method::POST,
        "/v1/rollout",
        Operation::RollOut,
        "Rolls out the module in the body, step by step, and waits until the rollout begins",
    ),
    route(
        Method::POST,
        "/v1/rollout/pause",
        Operation::Pause,
        "Pauses the rollout: the share of the candidate stays",
    ),
    route(
        Method::POST,
        "/v1/rollout/resume",
        Operation::Resume,
        "Lets a rollout go on that was paused or has stopped",
    ),
    route(Method::POST, "/v1/rollout/promote", Operation::Promote, "Publishes the candidate of the rollout"),
    route(
        Method::POST,
        "/v1/rollout/abort",
        Operation::Abort,
        "Ends the rollout, or the work on a candidate: the current version serves all clients",
    ),
    route(
        Method::GET,
        "/v1/replay",
        Operation::Replay,
        "What came of the latest candidate that was tried on recent requests",
    ),
    route(
        Method::POST,
        "/v1/diff",
        Operation::Diff,
        "Compares the module in the body with a version on the requests of the journal, and changes nothing",
    ),
    route(Method::GET, "/v1/journal", Operation::Journal, "Classes of requests that the journal keeps"),
    route(
        Method::GET,
        "/v1/journal/requests",
        Operation::Export,
        "Requests of the journal, as a request file",
    ),
    route(Method::POST, "/v1/reload", Operation::Reload, "Reads the configuration and the module file again"),
    route(
        Method::POST,
        "/v1/upgrade",
        Operation::Upgrade,
        "Replaces the server by its program file as it is now; no connection is dropped",
    ),
    route(
        Method::GET,
        "/v1/settings",
        Operation::Settings,
        "Settings with which the server runs, and their places",
    ),
    route(
        Method::GET,
        "/v1/limits",
        Operation::Limits,
        "Bounds in force: those of the flags, those that a site sets itself, and those without a flag",
    ),
    route(Method::GET, "/v1/faults", Operation::Faults, "Number of each fault, and the latest faults"),
    route(
        Method::GET,
        "/v1/events",
        Operation::Events,
        "Stream of events: changes of the server, and faults of the handler and of the server",
    ),
    route(
        Method::GET,
        "/v1/traffic",
        Operation::Traffic,
        "Stream of samples of the traffic, one a second, of the whole server or of a site",
    ),
    route(
        Method::GET,
        "/v1/certificates",
        Operation::Certificates,
        "Certificates that new connections get, and why those in the files are refused, if they are",
    ),
    route(Method::GET, "/v1/log-level", Operation::LogLevel, "Levels of the log"),
    route(
        Method::PUT,
        "/v1/log-level",
        Operation::SetLogLevel,
        "Changes the levels of the log, until a reload or a restart",
    ),
    route(Method::GET, "/v1/openapi.json", Operation::OpenApi, "This description"),
    route(
        Method::GET,
        "/metrics",
        Operation::Metrics,
        "Metrics, in the formats of OpenMetrics and Prometheus",
    ),
    route(Method::GET, "/", Operation::Page, "The page for a browser; needs no token and holds no data"),
    route(
        Method::GET,
        "/page/{file}",
        Operation::PageFile,
        "A file of the page; needs no token and holds no data",
    ),
    route(Method::GET, "/livez", Operation::Alive, "Whether the server lives; needs no token"),
    route(
        Method::GET,
        "/readyz",
        Operation::Ready,
        "Whether the server takes requests: a handler serves, and the server does not end; needs no token",
    ),
];

/// Result of looking up a method and a path in [`ROUTES`].
pub(super) enum Found<'a> {
    /// The operation, and the segment of the path that matches the segment in braces. The segment
    /// is empty if the route has no braces.
    Operation(Operation, &'a str),
    /// The path exists, but not with this method. Contains the methods that exist.
    OtherMethods(Vec<&'static Method>),
    /// There is no such path.
    Nothing,
}

/// Finds the operation for the method and the path of a request. HEAD is answered like GET.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Found<'a> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    for route in &ROUTES {
        if let Some(segment) = matched(route.path, path) {
            if route.method == method {
                return Found::Operation(route.operation, segment);
            }
            others.push(&route.method);
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// Returns whether this request needs no token at the address of `--admin`.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    matches!(find(method, path), Found::Operation(operation, _) if operation.is_open())
}

/// Returns the segment of `path` that matches the segment in braces of `pattern`, or an empty text
/// if the pattern has no braces; [`None`] if the path does not match.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    match pattern.split_once('{') {
        None => (pattern == path).then_some(""),
        Some((start, _)) => {
            path.strip_prefix(start).filter(|segment| !segment.is_empty() && !segment.contains('/'))
        }
    }
}
