//! OpenAPI description of the API, made from the table of routes and the types of the
//! replies.

use http::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::admin::page;
use crate::admin::parameters::query;
use crate::admin::protocol::{
    self, Aborted, CHANGES, ErrorReply, Limit, Reloaded, Rollback, ShownSetting, SiteStatus, Upgraded,
};
use crate::admin::routes::{Operation, ROUTES, Route};
use crate::admin::stream::LAST_EVENT_ID;
use crate::events::event::Event;
use crate::metrics::traffic::Sample;
use crate::rollout::journal::Summary;
use crate::rollout::report::outcomes::Report;
use crate::site::entry::Entry;
use crate::site::outcome::Outcome;
use crate::site::replayed::Replayed;
use crate::site::rollout_status::RolloutStatus;
use crate::tls::shown::AllShown;

/// Returns the OpenAPI description of the API.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in &ROUTES {
        let operation = operation(route, &mut schemas);
        let methods = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "host",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Steers a server: its versions, its configuration and its log. \
                The API is served over HTTP on the control socket.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        // On the control socket no token is needed.
        "security": [{ "token": [] }, {}],
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters = Vec::new();
    if let Some((_, rest)) = route.path.split_once('{') {
        let name = rest.trim_end_matches('}');
        let schema = match route.operation {
            Operation::PageFile => json!({ "type": "string", "enum": page::names() }),
            _ => json!({ "type": "integer", "minimum": 1 }),
        };
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    let changes = route.method != Method::GET;
    if changes {
        let description = "Any value. Protects against requests that a page in a browser forges.";
        parameters.push(json!({
            "name": CHANGES, "in": "header", "required": true, "description": description,
            "schema": { "type": "string" },
        }));
    }
    if let Operation::Swap | Operation::RollOut | Operation::Rollback = route.operation {
        let description = "Number of the version that has to be current, in quotation marks, or *.";
        parameters.push(json!({
            "name": "if-match", "in": "header", "description": description,
            "schema": { "type": "string", "pattern": r#"^(\*|"[1-9][0-9]{0,8}")$"# },
        }));
    }
    parameters.extend(query(route.operation));
    if route.operation == Operation::Events {
        let description =
            "Id of the last event that the client has seen; what has changed since comes first.";
        parameters.push(json!({
            "name": LAST_EVENT_ID, "in": "header", "description": description, "schema": { "type": "string" },
        }));
    }
    let mut operation = json!({
        "operationId": format!("{:?}", route.operation),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, schemas),
    });
    if let (Some(body), Some(operation)) = (body(route.operation, schemas), operation.as_object_mut()) {
        operation.insert("requestBody".into(), body);
    }
    operation
}

fn body(operation: Operation, schemas: &mut SchemaGenerator) -> Option<Value> {
    let json = |schema: Value, required: bool| {
        Some(json!({ "required": required, "content": { "application/json": { "schema": schema } } }))
    };
    match operation {
        Operation::Swap | Operation::RollOut | Operation::Diff => Some(json!({
            "required": true,
            "description": "Module: WebAssembly, binary or text.",
            "content": { "application/wasm": { "schema": {} } },
        })),
        Operation::Rollback => json(schema::<Rollback>(schemas), false),
        Operation::SetLogLevel => json(schema::<protocol::LogLevel>(schemas), true),
        _ => None,
    }
}

fn schema<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

fn responses(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    use Operation::*;
    let done = match route.operation {
        Status => schema::<protocol::Status>(schemas),
        Sites => schema::<Vec<SiteStatus>>(schemas),
        Versions => schema::<Vec<Entry>>(schemas),
        Version => schema::<Entry>(schemas),
        Swap | RollOut | Rollback => schema::<Outcome>(schemas),
        Rollout | Pause | Resume | Promote => schema::<RolloutStatus>(schemas),
        Abort => schema::<Aborted>(schemas),
        Diff => schema::<Report>(schemas),
        Journal => schema::<Summary>(schemas),
        Export => json!({ "type": "string" }),
        Reload => schema::<Reloaded>(schemas),
        Upgrade => schema::<Upgraded>(schemas),
        Settings => schema::<Vec<ShownSetting>>(schemas),
        Limits => schema::<Vec<Limit>>(schemas),
        Events => schema::<Event>(schemas),
        Faults => schema::<protocol::Faults>(schemas),
        LogLevel | SetLogLevel => schema::<protocol::LogLevel>(schemas),
        Certificates => schema::<AllShown>(schemas),
        OpenApi => json!({ "type": "object" }),
        Traffic => schema::<Sample>(schemas),
        Replay => schema::<Replayed>(schemas),
        Metrics | Alive | Ready | Page | PageFile => json!({ "type": "string" }),
    };
    let error = schema::<ErrorReply>(schemas);
    let either = json!({ "anyOf": [done.clone(), error.clone()] });
    let statuses: &[(u16, &str, &Value)] = match route.operation {
        Swap | RollOut => &[
            (200, "The bytes serve already", &done),
            (201, "The module serves", &done),
            (202, "A rollout has begun", &done),
            (404, "There is no such site", &error),
            (408, "The module did not arrive in time", &error),
            (409, "A newer change was ordered, or a rollout has no steps", &either),
            (412, "Another version is current", &either),
            (413, "The module is too large", &error),
            (422, "The module was rejected", &done),
            (503, "Too many other swaps are in progress", &error),
        ],
        Rollback => &[
            (200, "The version serves already, or a rollout was ended", &done),
            (201, "The version serves", &done),
            (404, "There is no such site", &error),
            (408, "The body did not arrive in time", &error),
            (409, "The version is not kept", &done),
            (412, "Another version is current", &either),
            (413, "The body is too long", &error),
        ],
        Rollout => &[(200, "The latest rollout", &done), (404, "There was none, or no such site", &error)],
        Pause | Resume | Promote | Abort => &[
            (200, "Done", &done),
            (404, "There is no such site", &error),
            (409, "No rollout is in progress, or it is in another state or of another version", &error),
        ],
        Diff => &[
            (200, "What came of the requests", &done),
            (404, "There is no such site, or the version is not kept", &error),
            (408, "The module did not arrive in time", &error),
            (413, "The module is too large", &error),
            (422, "The module cannot serve", &error),
            (503, "Too many other swaps are in progress", &error),
        ],
        Journal => &[(200, "The state of the journal", &done), (404, "There is no such site", &error)],
        Export => &[(200, "A request file", &done), (404, "There is no such site", &error)],
        Upgrade => &[
            (200, "A new process serves", &done),
            (409, "The new process could not serve, so this one goes on", &error),
        ],
        Reload => &[(200, "The configuration was reloaded", &done), (422, "Nothing was changed", &error)],
        Version => &[(200, "The version", &done), (404, "There is no such version or site", &error)],
        SetLogLevel => &[
            (200, "The levels in force", &done),
            (408, "The body did not arrive in time", &error),
            (413, "The body is too long", &error),
        ],
        Versions => &[(200, "The versions", &done), (404, "There is no such site", &error)],
        Events => &[
            (200, "A stream without an end, of which each `data` is one event", &done),
            (503, "Too many clients follow the events", &error),
        ],
        Traffic => &[
            (200, "A stream without an end, of which each `data` is one sample", &done),
            (404, "There is no such site", &error),
            (503, "Too many clients follow the traffic", &error),
        ],
        Replay => &[(200, "The report", &done), (404, "There was none, or no such site", &error)],
        PageFile => &[(200, "Done", &done), (404, "There is no such file", &error)],
        Ready => &[(200, "It does", &done), (503, "The server ends", &error)],
        Status | Metrics | Alive | Page | Sites | Settings | Limits | Faults | Certificates | LogLevel
        | OpenApi => &[(200, "Done", &done)],
    };
    let entry = |description: &str, schema: &Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    let of_type = |description: &str, types: &[&str]| {
        let content: Map<_, _> =
            types.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": done.clone() }))).collect();
        json!({ "description": description, "content": content })
    };
    let mut all = Map::new();
    for (status, description, schema) in statuses {
        let entry = match (route.operation, status) {
            (Export | Metrics | Alive | Ready, 200) => of_type(description, &["text/plain"]),
            (Events | Traffic, 200) => of_type(description, &["text/event-stream"]),
            (Page, 200) => of_type(description, &["text/html"]),
            (PageFile, 200) => of_type(description, &["text/css", "text/javascript", "image/svg+xml"]),
            _ => entry(description, schema),
        };
        all.insert(status.to_string(), entry);
    }
    all.insert("400".into(), entry("The request is malformed", &error));
    all.insert("401".into(), entry("The token is missing or wrong, at an address", &error));
    all.entry("503").or_insert_with(|| entry("The server cannot read its token, at an address", &error));
    all.insert("403".into(), entry("The client may not do this, or a header is missing", &error));
    all.into()
}
