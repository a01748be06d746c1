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

/// Header field that every request that changes something must have, so that no web page can send
/// such a request by a form or a link.
pub const CHANGES: &str = "x-host-admin";

/// Regular expression for the levels of the log, for the OpenAPI description.
const LEVELS: &str = "^((request|handler|host)=)?(off|error|warn|info|debug|trace)\
    (,((request|handler|host)=)?(off|error|warn|info|debug|trace))*$";

/// Maximum length of the body of a request in bytes, except for a module.
pub const BODY_MAX: usize = 16 << 10;

/// Timeout for receiving the head of a request, for receiving its body, and for waiting for an
/// upload permit, each.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum length of a reply that a command reads, in bytes: enough for 100,000 versions with long
/// names.
pub const REPLY_MAX: usize = 64 << 20;

/// State of a server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Process id.
    pub pid: u32,
    /// Version of the program.
    pub host_version: String,
    /// Time since the start in seconds.
    pub uptime_seconds: u64,
    /// URLs at which the server listens.
    pub urls: Vec<String>,
    /// Path of the control socket.
    #[serde(default)]
    pub control: String,
    /// URLs at which the API is served.
    #[serde(default)]
    pub admin: Vec<String>,
    /// Certificates that new connections get; absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tls: Option<AllShown>,
    /// Largest module that the server takes, in bytes.
    pub module_max: usize,
    /// Longest time that a swap takes, in seconds.
    pub swap_seconds: u64,
    /// Longest time that an upgrade takes, in seconds.
    #[serde(default)]
    pub upgrade_seconds: u64,
    /// Sites, each with its current version.
    pub sites: Vec<SiteStatus>,
    /// Use of bounded resources.
    pub resources: Resources,
    /// Number of responses that the host made itself since the start, by fault.
    pub faults: BTreeMap<String, u64>,
    /// Number of log lines that were dropped or could not be written.
    #[serde(default)]
    pub lost_log_lines: u64,
    /// Threads that do not serve requests, with their restarts.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ThreadSchema>")]
    pub threads: BTreeMap<String, State>,
}

/// State of a site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SiteStatus {
    /// Name; `default` is the site that the general settings describe.
    pub name: String,
    /// Hosts; none stands for all.
    pub hosts: Vec<String>,
    /// Path.
    pub path: String,
    /// Whether the handler gets the target without the path.
    pub strip_path: bool,
    /// Current version.
    pub serving: Entry,
    /// What the state folder holds for a restart.
    #[serde(default)]
    pub after_restart: AfterRestart,
    /// Rollout in progress.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rolling_out: Option<InProgress>,
}

/// Restarts of a thread.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes a type of another crate")]
struct ThreadSchema {
    /// Number of restarts.
    restarts: u64,
    /// Cause of the last restart.
    cause: Option<String>,
}

/// Version to which a rollback goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Number of the version; by default the one that the current version replaced.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "whole_number")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub version: Option<u64>,
}

/// Parses a whole number, which some programs write with a fraction of zero.
fn whole_number<'a, D: Deserializer<'a>>(from: D) -> Result<Option<u64>, D::Error> {
    let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(number);
    let parse = |number: Number| {
        let rounded = || number.as_f64().filter(is_whole).map(|number| number as u64);
        let whole = number.as_u64().or_else(rounded).filter(|number| *number > 0);
        whole.ok_or_else(|| D::Error::custom(format!("found {number}; expected the number of a version")))
    };
    Option::<Number>::deserialize(from)?.map(parse).transpose()
}

/// Largest whole number such that an `f64` tells it and all smaller ones apart.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

/// What came of the end of a rollout.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Aborted {
    /// Number of the candidate; absent if it was still prepared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
    /// Number of the version that serves all clients.
    pub serving: u64,
}

/// Levels of the log.
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
    /// Number of responses that the host made itself, by fault.
    pub counts: BTreeMap<String, u64>,
    /// Latest faults of the handler and of the server, newest first.
    pub recent: Vec<Recent>,
}

/// Outcome of a reload.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Keys that were changed.
    pub applied: Vec<String>,
    /// Keys that differ from those with which the server runs, and need a restart.
    pub needs_restart: Vec<String>,
    /// What came of the module file of each site that has one.
    pub sites: Vec<SiteOutcome>,
    /// Why sites were not changed although others were: another change of them was ordered
    /// meanwhile.
    pub failed: Vec<String>,
}

/// Outcome of an upgrade.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Upgraded {
    /// Id of the process that is the server now.
    pub pid: u32,
}

/// Outcome for one site.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SiteOutcome {
    /// Name of the site.
    pub site: String,
    /// Outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Setting of the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ShownSetting {
    /// Site that sets it, unless it is a general setting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Name of the flag without its hyphens.
    pub key: String,
    /// Value; null if there is none.
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
    /// Configuration file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Line in the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<usize>,
    /// Environment variable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub variable: Option<String>,
}

/// Bound of the server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// Site that sets it, unless it holds for the whole server or by default.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub site: Option<String>,
    /// Name of the flag without its hyphens; null for a bound that no flag changes.
    pub key: Option<String>,
    /// What is bounded.
    pub what: String,
    /// Amount in force.
    pub value: Number,
    /// Unit of the amount.
    pub unit: Unit,
    /// What happens past it.
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
    /// Number of things.
    Count,
    /// 1 for on, 0 for off.
    Switch,
}

/// Reply to a request that cannot be met.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReply {
    /// Cause.
    pub error: String,
}
