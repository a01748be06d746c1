//! Query parameters of each operation. Requests are checked against this list, and the OpenAPI
//! description contains it.

use host_http::quote::quoted;
use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::refusal::{Refusal, refuse};
use crate::admin::routes::Operation;
use crate::config::setting::near_of;

/// Maximum number of bytes of the name of an unknown parameter that an error message shows.
const NAME_MAX: usize = 200;

/// Pattern for times in the OpenAPI description. The server also accepts other forms.
const TIME: &str = "^[1-9][0-9]{0,2}(ms|s|min)$";

/// Pattern for shares in percent in the OpenAPI description.
const SHARE: &str = "^(100|[1-9][0-9]?)%$";

/// Returns the parameters of an operation, as OpenAPI describes them.
pub(super) fn query(operation: Operation) -> impl Iterator<Item = Value> {
    all(operation).map(|(name, description, schema)| {
        json!({ "name": name, "in": "query", "description": description, "schema": schema })
    })
}

/// Refuses a query with a parameter that the operation does not have, because a misspelt parameter
/// would otherwise be ignored. Accepts all parameters if the operation needs no token, because
/// monitoring may add some.
pub(super) fn check(operation: Operation, query: Option<&str>) -> Result<(), Refusal> {
    if operation.is_open() {
        return Ok(());
    }
    let names: Vec<_> = all(operation).map(|(name, ..)| name).collect();
    let mut given = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((unknown, _)) = given.find(|(name, _)| !names.contains(&&**name)) else { return Ok(()) };
    let hint = match near_of(names.iter().copied(), &unknown) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "this resource has no parameters".into(),
        None => format!("expected one of: {}", names.join(", ")),
    };
    let unknown = quoted(&unknown, NAME_MAX);
    refuse(StatusCode::BAD_REQUEST, format!("there is no parameter `{unknown}`; {hint}"))
}

fn all(operation: Operation) -> impl Iterator<Item = Parameter> {
    let site = is_of_site(operation).then(|| {
        let what = "Name of the site; needed if there are several and none is named default.";
        ("site", what, text())
    });
    site.into_iter().chain(own(operation))
}

fn is_of_site(operation: Operation) -> bool {
    use Operation::*;
    match operation {
        Swap | RollOut | Rollout | Pause | Resume | Promote | Abort | Rollback | Versions | Version
        | Diff | Replay | Journal | Export => true,
        Status | Sites | Reload | Upgrade | Settings | Limits | Faults | Events | Certificates | LogLevel
        | SetLogLevel | OpenApi | Metrics | Alive | Ready | Traffic | Page | PageFile => false,
    }
}

/// Name, description and schema of a parameter of a query.
type Parameter = (&'static str, &'static str, Value);

fn own(operation: Operation) -> Vec<Parameter> {
    match operation {
        Operation::Swap => {
            let mut all = of_candidate();
            let what = "Whether the module serves at once, although the server has a plan for rollouts.";
            all.push(("now", what, json!({ "type": "boolean" })));
            all
        }
        Operation::RollOut => of_candidate().into_iter().chain(of_plan()).collect(),
        Operation::Diff => of_comparison(),
        Operation::Pause | Operation::Resume | Operation::Promote | Operation::Abort => {
            let what = "Number of the candidate that the rollout has to have (409 otherwise).";
            vec![("version", what, json!({ "type": "integer", "minimum": 1, "maximum": 999_999_999 }))]
        }
        Operation::Traffic => vec![("site", "Name of the site; without it, the whole server.", text())],
        _ => Vec::new(),
    }
}

fn of_candidate() -> Vec<Parameter> {
    let pattern = "^([A-Z]+ )?[/*][!-~]*$";
    vec![
        ("name", "Name of the module, for the log and the list of versions.", text()),
        (
            "accept",
            "Requests that the candidate may answer in another way, such as GET /about*; repeatable.",
            json!({ "type": "array", "items": { "type": "string", "pattern": pattern } }),
        ),
        ("accept-all", "Whether every difference is accepted.", json!({ "type": "boolean" })),
    ]
}

/// Returns the parameters that change the plan of a rollout. If a parameter is absent, the plan of
/// the site applies.
fn of_plan() -> Vec<Parameter> {
    vec![
        ("steps", "Shares of the clients, such as 1%,10%,50%; off for a shadow.", matching("^(1%,10%|off)$")),
        ("hold", "Time of each step, such as 30s.", matching(TIME)),
        ("shadow", "Time for which the candidate gets copies of requests first.", matching(TIME)),
        ("percent", "Share of requests that run again on both versions.", matching(SHARE)),
        (
            "key",
            "What tells clients apart: client, cookie:NAME or header:NAME.",
            matching("^(client|(cookie|header):[a-z][a-z0-9-]{0,20})$"),
        ),
        ("slower", "Ratio of times that is too large, such as 2x, or off.", matching("^([1-9]x|off)$")),
        (
            "requests",
            "Fewest requests that the candidate answers in a step.",
            json!({ "type": "integer", "minimum": 0, "maximum": 1_000_000_000 }),
        ),
        ("wait", "Longest time that a step waits for them.", matching(TIME)),
    ]
}

fn of_comparison() -> Vec<Parameter> {
    vec![
        ("name", "Name of the module, for messages.", text()),
        (
            "against",
            "Number of the version to compare with; the current one by default.",
            json!({ "type": "integer", "minimum": 1 }),
        ),
        (
            "show",
            "Number of examples of each kind and class of requests.",
            json!({ "type": "integer", "minimum": 0, "maximum": 100 }),
        ),
        (
            "ignore-field",
            "Header whose value may differ; repeatable.",
            json!({ "type": "array", "items": { "type": "string", "pattern": "^[a-z][a-z0-9-]*$" } }),
        ),
        (
            "time",
            "Longest time to run requests, with its unit, such as 10s; at most 10min.",
            matching("^([1-9][0-9]?|[1-5][0-9]{2}|600)s$"),
        ),
    ]
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}
