//! Resources of the API for testing candidates: the journal of recent requests, and comparisons of
//! a module with a version on these requests.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, StatusCode};

use crate::admin::choice;
use crate::admin::refusal::{Refusal, refuse};
use crate::admin::reply::{PLAIN, Reply, json, text};
use crate::config::value::{duration, version_number};
use crate::rollout::export;
use crate::rollout::flags::field;
use crate::rollout::journal::Summary;
use crate::rollout::report::accept::Accept;
use crate::site::diff::{Diff, NotCompared};
use crate::site::directory::Site;
use crate::site::swap::IsGone;

/// Maximum number of concurrent comparisons. It is smaller than the number of upload permits, so
/// that comparisons leave some of the permits for swaps.
pub const DIFFS_MAX: usize = 2;

/// Default for the maximum number of examples in a report, for each kind of difference and for each
/// class of requests.
const EXAMPLES: usize = 5;

/// Largest maximum number of examples that a client may request, for each kind of difference and
/// for each class of requests.
pub(crate) const EXAMPLES_MAX: usize = 100;

/// Default time limit of a comparison.
const TIME: Duration = Duration::from_secs(10);

/// Smallest time limit of a comparison.
const TIME_MIN: Duration = Duration::from_millis(1);

/// Largest time limit of a comparison.
pub(crate) const TIME_MAX: Duration = Duration::from_secs(600);

/// Parameters of a comparison, from the query of a request: the version to compare with, the fields
/// to ignore, the maximum number of examples, and the time limit.
pub(super) struct Wanted {
    against: Option<u64>,
    ignore_fields: Vec<HeaderName>,
    examples: usize,
    time: Duration,
}

impl Wanted {
    /// Parses the parameters of a comparison in the query of a request.
    pub(super) fn new(parts: &Parts) -> Result<Wanted, Refusal> {
        let number = |name, parse: fn(&str) -> Result<u64, String>| parameter(parts, name, parse);
        let names = choice::parameters(parts, "ignore-field");
        Ok(Wanted {
            against: number("against", version)?,
            ignore_fields: names.map(|name| wrong("ignore-field", field(&name))).collect::<Result<_, _>>()?,
            examples: number("show", examples)?.map_or(EXAMPLES, |examples| examples as usize),
            time: parameter(parts, "time", time)?.unwrap_or(TIME),
        })
    }
}

/// Runs the requests of the journal on a module and on a version, and returns a report about the
/// differences.
pub(super) async fn diff(
    site: &Site,
    Wanted { against, ignore_fields, examples, time }: Wanted,
    name: String,
    bytes: Vec<u8>,
    is_gone: IsGone,
) -> Result<Reply, Refusal> {
    let diff = Diff { name, bytes, against, ignore_fields, examples, time };
    match site.swapper.diff(diff, is_gone).await {
        Ok(report) => Ok(json(StatusCode::OK, &report)),
        Err(NotCompared::Rejected(rejection)) => {
            let remedy = rejection.remedy.as_ref().map(|remedy| format!(" (remedy: {remedy})"));
            let cause = format!("the module cannot serve: {rejection}{}", remedy.unwrap_or_default());
            refuse(StatusCode::UNPROCESSABLE_ENTITY, cause)
        }
        Err(NotCompared::NotKept(cause)) => refuse(StatusCode::NOT_FOUND, cause),
        Err(NotCompared::Failed(cause)) => refuse(StatusCode::SERVICE_UNAVAILABLE, cause),
    }
}

/// Returns the report about the latest candidate that was tested with the requests of the journal.
pub(super) fn replayed(site: &Site) -> Result<Reply, Refusal> {
    match site.swapper.replayed() {
        Some(replayed) => Ok(json(StatusCode::OK, &*replayed)),
        None => {
            let cause =
                "no candidate was tried on recent requests since the server started (--gate, --journal)";
            refuse(StatusCode::NOT_FOUND, cause)
        }
    }
}

/// Returns the state of the journal. Masks secrets in the names of request classes, because these
/// names contain parts of request targets.
pub(super) fn summary(site: &Site) -> Summary {
    let current = site.swapper.current();
    let mut summary = site.journal.summary();
    for class in &mut summary.classes {
        class.class = current.mask(&class.class).into_owned();
    }
    summary
}

/// Returns the requests of the journal as text that `host test` can read. Writes the text on
/// another thread, because it may be long.
pub(super) async fn export(site: Arc<Site>) -> Result<Reply, Refusal> {
    let write = move || {
        let current = site.swapper.current();
        export::export(&site.journal.all(), |text| current.mask(text).into_owned())
    };
    match tokio::task::spawn_blocking(write).await {
        Ok(requests) => Ok(text(requests, PLAIN)),
        Err(failed) => refuse(StatusCode::SERVICE_UNAVAILABLE, format!("the server panicked: {failed}")),
    }
}

/// Parses the number of a version.
pub(super) fn version(text: &str) -> Result<u64, String> {
    version_number(text).map_err(|_| {
        format!("expected the number of a version, such as 3 (GET /v1/versions lists them), found `{text}`")
    })
}

/// Parses the query parameters `accept` and `accept-all`, which say how the responses of a
/// candidate may differ from those of the current version.
pub(super) fn accept(parts: &Parts) -> Result<Accept, Refusal> {
    let patterns: Vec<_> = choice::parameters(parts, "accept").collect();
    let all = parameter(parts, "accept-all", switch)?;
    wrong("accept", Accept::new(&patterns, all.unwrap_or_default()))
}

/// Parses the value of a query parameter that is `true` or `false`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("expected true or false, found `{text}`")),
    }
}

/// Parses a query parameter with `parse`. Returns [`None`] if the parameter is absent or empty.
pub(super) fn parameter<T>(
    parts: &Parts,
    name: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Refusal> {
    let text = choice::parameter(parts, name);
    text.map(|text| wrong(name, parse(&text))).transpose()
}

fn wrong<T>(name: &str, parsed: Result<T, String>) -> Result<T, Refusal> {
    parsed.or_else(|cause| refuse(StatusCode::BAD_REQUEST, format!("the parameter {name}: {cause}")))
}

/// Parses the maximum number of examples that a report shows, at most [`EXAMPLES_MAX`].
pub(crate) fn examples(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= EXAMPLES_MAX as u64);
    number.ok_or_else(|| format!("expected a whole number from 0 to {EXAMPLES_MAX}, found `{text}`"))
}

/// Parses the time limit of a comparison, which must be from [`TIME_MIN`] to [`TIME_MAX`].
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    match time {
        time if time < TIME_MIN => Err(format!("expected at least 1ms, found `{text}`")),
        time if time > TIME_MAX => Err(format!("expected at most {} s, found `{text}`", TIME_MAX.as_secs())),
        time => Ok(time),
    }
}
