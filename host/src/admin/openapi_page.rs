//! Reference page of the API, generated from its OpenAPI description.

use std::fmt::Write as _;

use serde_json::Value;

use crate::admin::openapi::document;
use crate::admin::protocol::CHANGES;

/// Examples of request bodies, each with the name of its type.
const EXAMPLES: [(&str, &str); 2] =
    [("Rollback", r#"{"version":2}"#), ("LogLevel", r#"{"level":"info,request=off"}"#)];

/// Returns the reference page of the API in Markdown.
pub fn page() -> String {
    let mut text = String::from(
        "# API\n\n\
         HTTP and JSON on the control socket, and at `--admin` ([Operating](../operating.md#api)). `GET /v1/openapi.json`\n\
         has this description for programs, with the types of all bodies. A reply is one line of JSON. An error has the\n\
         form `{\"error\":\"...\"}`; a swap or a rollback that is refused or rejected has its outcome, with a `cause`. HEAD is\n\
         answered like GET. Every request but GET needs the header `x-host-admin`. The content type of a body is not\n\
         checked; a module may be binary or text.\n\n\
         This page is generated from the code; `UPDATE_DOCS=1 cargo test --test tests repository` writes it.\n",
    );
    let document = document();
    let text_of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let member = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    for (path, methods) in entries(&member(&document, "paths")) {
        for (method, operation) in entries(&methods) {
            let _ = write!(text, "\n## `{} {path}`\n\n", method.to_uppercase());
            let _ = writeln!(text, "{}.\n", text_of(&member(&operation, "summary")));
            for parameter in member(&operation, "parameters").as_array().into_iter().flatten() {
                let name = text_of(&member(parameter, "name"));
                let (place, meaning) =
                    (text_of(&member(parameter, "in")), text_of(&member(parameter, "description")));
                if name != CHANGES && !meaning.is_empty() {
                    let _ = writeln!(text, "- `{name}` ({place}): {meaning}");
                }
            }
            let body = member(&member(&operation, "requestBody"), "content");
            for (kind, body) in entries(&body) {
                let of = text_of(&member(&member(&body, "schema"), "$ref"));
                let of = of.rsplit('/').next().unwrap_or_default().to_owned();
                let example = EXAMPLES.iter().find(|(name, _)| *name == of);
                let of = example.map_or(String::new(), |(_, example)| format!(", such as `{example}`"));
                let _ = writeln!(text, "- body (`{kind}`){of}");
            }
            text.push_str("\n| status | when |\n| --- | --- |\n");
            for (status, response) in entries(&member(&operation, "responses")) {
                let _ = writeln!(text, "| {status} | {} |", text_of(&member(&response, "description")));
            }
        }
    }
    text.push_str(&events(&member(&member(&document, "components"), "schemas")));
    while let Some(at) = text.find("\n\n\n") {
        text.remove(at);
    }
    text
}

/// Returns the section about events with its table, in Markdown. `schemas` are those of the OpenAPI
/// description.
fn events(schemas: &Value) -> String {
    let mut text = String::from(
        "\n## Events\n\n\
         What `GET /v1/events` tells. Fields in parentheses may be absent.\n\n\
         | event | when | fields |\n| --- | --- | --- |\n",
    );
    let properties =
        |of: &Value| of.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let required = |of: &Value| of.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let text_of =
        |of: &Value, name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    for event in schemas.pointer("/Event/oneOf").and_then(Value::as_array).into_iter().flatten() {
        // The fields of a fault stand in a schema of their own.
        let shared = text_of(event, "$ref");
        let shared = shared.rsplit('/').next().and_then(|name| schemas.get(name)).unwrap_or(&Value::Null);
        let mut fields = properties(event);
        let name = fields.remove("event").unwrap_or_default();
        fields.extend(properties(shared));
        let always = [required(event), required(shared)].concat();
        let shown = |field: &String| match always.contains(&field.as_str().into()) {
            true => format!("`{field}`"),
            false => format!("(`{field}`)"),
        };
        let (name, when) = (text_of(&name, "const"), text_of(event, "description").replace('\n', " "));
        let fields = fields.keys().map(shown).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| `{name}` | {} | {fields} |", when.trim_end_matches('.'));
    }
    text
}
