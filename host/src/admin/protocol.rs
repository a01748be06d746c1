//! Requests and replies of the API, in JSON. The commands use the same types.

use std::collections::BTreeMap;
use std::time::Duration;

use host_wasm::health::State;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use crate::admin::resources::Resources;
use crate::fault_counts::Recent;
use crate::site::after_restart::AfterRestart;
use crate::site::entry::Entry;
use crate::site::outcome::Outcome;
use crate::site::rollout_status::InProgress;
use crate::tls::shown::AllShown;

/// Header field that every request other than GET and HEAD must have, with any value. A form or a
/// link cannot set it, so a web page cannot forge such a request.
pub const CHANGES: &str = "x-host-admin";

/// Pattern for the levels of the log in the OpenAPI description.
const LEVELS: &str = "^((request|handler|host)=)?(off|error|warn|info|debug|trace)\
    (,((request|handler|host)=)?(off|error|warn|info|debug|trace))*$";

/// Maximum length of the body of a request that is not a module, in bytes.
pub const BODY_MAX: usize = 16 << 10;

/// Maximum time for each of three steps: receiving the head of a request, receiving its body, and
/// waiting for an upload permit.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of a reply that a command reads, in bytes: enough for 100,000 versions with long
/// names.
pub const REPLY_MAX: usize = 64 << 20;

/// State of a server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Id of the server's process.
    pub pid: u32,
    /// Version of the server program, such as `0.2.0`.
    pub host_version: String,
    /// Time since the start of the server in seconds.
    pub uptime_seconds: u64,
    /// URLs at which the server listens.
    pub urls: Vec<String>,
    /// Path of the control socket; `none` if the server has none.
    #[serde(default)]
    pub control: String,
    /// URLs at which the API is served.
    #[serde(default)]
    pub admin: Vec<String>,
    /// Certificates that new connections get; absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls: Option<AllShown>,
    /// Maximum size of a module file in bytes (`--module-max`).
    pub module_max: usize,
    /// Maximum time of a swap in seconds, by the limits of the server.
    pub swap_seconds: u64,
    /// Maximum time of an upgrade in seconds, by the limits of the server.
    #[serde(default)]
    pub upgrade_seconds: u64,
    /// Sites, each with its current version.
    pub sites: Vec<SiteStatus>,
    /// Current use of bounded resources.
    pub resources: Resources,
    /// Number of responses that the host made itself since the start, by the name of the fault.
    pub faults: BTreeMap<String, u64>,
    /// Number of log lines that were dropped or could not be written since the start.
    #[serde(default)]
    pub lost_log_lines: u64,
    /// Threads that do not serve requests, by name, with their restarts after panics.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ThreadSchema>")]
    pub threads: BTreeMap<String, State>,
}

/// State of a site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SiteStatus {
    /// Name of the site; `default` is the site that the general settings describe.
    pub name: String,
    /// Hosts for which the site answers; empty for all hosts.
    pub hosts: Vec<String>,
    /// Path below which the site answers; `/` for all paths.
    pub path: String,
    /// Whether the handler gets the request target without the path of the site.
    pub strip_path: bool,
    /// Current version, which serves new requests.
    pub serving: Entry,
    /// What the state folder holds for a restart of the server.
    #[serde(default)]
    pub after_restart: AfterRestart,
    /// Rollout in progress; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rolling_out: Option<InProgress>,
}

/// Restarts of a thread.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes a type of another crate")]
struct ThreadSchema {
    /// Number of restarts after a panic.
    restarts: u64,
    /// Message of the panic that caused the last restart; absent without restarts.
    cause: Option<String>,
}

/// Request body of a rollback: the version to go back to.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Number of the version to go back to; by default the version that the current version
    /// replaced.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "whole_number")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub version: Option<u64>,
}

/// Deserializes the number of a version, which some programs write with a fraction of zero, such as
/// `2.0`.
fn whole_number<'a, D: Deserializer<'a>>(from: D) -> Result<Option<u64>, D::Error> {
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(number);
    let parse = |number: Number| {
        let rounded = || number.as_f64().filter(is_whole).map(|number| number as u64);
        let whole = number.as_u64().or_else(rounded).filter(|number| *number > 0);
        whole.ok_or_else(|| D::Error::custom(format!("found {number}; expected the number of a version")))
    };
    Option::<Number>::deserialize(from)?.map(parse).transpose()
}

/// Largest integer up to which an `f64` represents every integer exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// Reply to the order to end a rollout, or the work on a candidate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Aborted {
    /// Number of the candidate whose rollout was ended; absent if the candidate was still being
    /// prepared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
    /// Number of the version that serves all clients.
    pub serving: u64,
}

/// Request or reply with the levels of the log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevel {
    /// Levels as `--log-level` takes them, such as `info,request=off`.
    #[schemars(regex(pattern = LEVELS))]
    pub level: String,
}

/// Faults since the start.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Faults {
    /// Number of responses that the host made itself since the start, by the name of the fault.
    pub counts: BTreeMap<String, u64>,
    /// Latest faults of the handler and of the server, newest first.
    pub recent: Vec<Recent>,
}

/// Outcome of a reload.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Keys and sites of the configuration that were changed.
    pub applied: Vec<String>,
    /// Keys of the configuration whose new values need a restart of the server.
    pub needs_restart: Vec<String>,
    /// What came of the module file, for each site that has one.
    pub sites: Vec<SiteOutcome>,
    /// Causes for which single sites were not changed, one for each: another change of the site was
    /// ordered during the reload.
    pub failed: Vec<String>,
}

/// Outcome of an upgrade.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Upgraded {
    /// Id of the new process, which has become the server.
    pub pid: u32,
}

/// Outcome of a reload for the module file of one site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SiteOutcome {
    /// Name of the site.
    pub site: String,
    /// Outcome of the swap to the module file.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Setting of the server, with its place.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ShownSetting {
    /// Name of the site that has the setting; absent for a general setting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Name of the flag without its hyphens.
    pub key: String,
    /// Value of the setting; null if it has none.
    pub value: serde_json::Value,
    /// Where the value comes from.
    #[serde(flatten)]
    pub place: SettingPlace,
}

/// Where a setting comes from.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SettingPlace {
    /// `default`, `file`, `environment` or `command line`.
    pub source: String,
    /// Path of the configuration file that has the setting; absent for other sources.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Number of the line in the configuration file; absent for other sources.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<usize>,
    /// Name of the environment variable that has the setting; absent for other sources.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variable: Option<String>,
}

/// Bound in force in the server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Name of the site that sets the bound itself; absent if the bound holds for the whole server
    /// or by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Name of the flag without its hyphens; null for a bound that no flag changes.
    pub key: Option<String>,
    /// What is bounded, in words, such as `Longest request target`.
    pub what: String,
    /// Amount of the bound that is in force.
    pub value: Number,
    /// Unit of the amount.
    pub unit: Unit,
    /// What happens when the bound is exceeded.
    pub past: String,
    /// Where the amount comes from; absent for a bound that no flag changes.
    #[serde(flatten)]
    pub place: Option<SettingPlace>,
}

/// Unit of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes, or bytes per second for a rate.
    Bytes,
    /// Seconds.
    Seconds,
    /// Number without a unit.
    Count,
    /// On (1) or off (0).
    Switch,
}

/// Reply to a request that cannot be met.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReply {
    /// Cause for which the request was not met.
    pub error: String,
}
