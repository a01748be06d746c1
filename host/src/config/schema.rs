//! JSON Schema of the configuration file, which lets editors complete and check the file.

use clap::{Arg, Command};
use serde_json::{Map, Value, json};

use crate::config::setting;
use crate::config::site::FLAGS;
use crate::config::sites;

/// Pattern that a size, such as `64KiB`, or a time, such as `1min 30s`, must match. It requires
/// only a digit, because the server checks the unit.
const QUANTITY: &str = "[0-9]";

/// Returns the JSON Schema of the configuration file.
pub fn schema(command: &Command) -> Value {
    let mut properties: Map<_, _> =
        setting::flags(command).map(|flag| (setting::key(flag).to_owned(), property(flag))).collect();
    properties.insert(sites::TABLE.into(), sites(command));
    properties.extend(values());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of host",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// Returns the schemas of the tables `vars` and `secrets`, each with the key of the table.
fn values() -> [(String, Value); 2] {
    let secret = |key: &str| {
        json!({
            "type": "object", "required": [key], "additionalProperties": false,
            "properties": { key: { "type": "string", "minLength": 1 } },
        })
    };
    [
        (
            "vars".into(),
            json!({
                "description": "Values that the handler gets when it starts, by their names.",
                "type": "object", "additionalProperties": { "type": "string" },
            }),
        ),
        (
            "secrets".into(),
            json!({
                "description": "Secret values that the handler gets when it starts: where each is read.",
                "type": "object", "additionalProperties": { "anyOf": [secret("env"), secret("file")] },
            }),
        ),
    ]
}

/// Returns the schema of the `[[site]]` tables.
fn sites(command: &Command) -> Value {
    let text = |description: &str| json!({ "description": description, "type": "string", "minLength": 1 });
    let hosts = text("Host, such as example.org, or *.example.org for all names below it.");
    let of_flags = setting::flags(command).filter(|flag| FLAGS.contains(&flag.get_id().as_str()));
    let mut properties: Map<_, _> =
        of_flags.map(|flag| (setting::key(flag).to_owned(), property(flag))).collect();
    for (key, value) in [
        ("name", text("Name of the site: small letters, digits and hyphens.")),
        ("hosts", json!({ "anyOf": [hosts, { "type": "array", "items": hosts, "minItems": 1 }] })),
        ("path", text("Path below which the site answers, such as /shop.")),
        (
            "strip-path",
            json!({ "description": "Whether the handler gets the target without the path.", "type": "boolean" }),
        ),
    ] {
        properties.insert(key.into(), value);
    }
    properties.extend(values());
    json!({
        "description": "Sites: handlers with their own versions, each at its hosts and its path.",
        "type": "array",
        "items": { "type": "object", "properties": properties, "required": ["name", "module"], "additionalProperties": false },
    })
}

fn property(flag: &Arg) -> Value {
    let Value::Object(mut property) = form(flag) else { return Value::Null };
    let (help, computed) = help_and_default(flag);
    let default = computed.map(|text| format!(" (default: {text})")).unwrap_or_default();
    let mut add = |name: &str, value: Value| drop(property.insert(name.to_owned(), value));
    add("description", format!("{help}{default}").into());
    let defaults: Vec<_> = flag.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    if let (true, [default]) = (flag.get_action().takes_values(), &defaults[..]) {
        add("default", default.parse::<u64>().map_or_else(|_| (*default).into(), Value::from));
    }
    property.into()
}

fn form(flag: &Arg) -> Value {
    match setting::repeats(flag) {
        false => value(flag),
        // Values with commas between them are one string.
        true if flag.get_value_delimiter().is_some() => {
            json!({ "anyOf": [{ "type": "string", "minLength": 1 }, { "type": "array", "items": value(flag) }] })
        }
        true => json!({ "anyOf": [value(flag), { "type": "array", "items": value(flag) }] }),
    }
}

fn value(flag: &Arg) -> Value {
    if !flag.get_action().takes_values() {
        return json!({ "type": "boolean" });
    }
    let possible: Vec<_> =
        flag.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !possible.is_empty() {
        return json!({ "enum": possible });
    }
    let number = json!({ "type": "integer", "minimum": 0 });
    match flag.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()) {
        // One may be `auto`.
        Some("N") => match flag.get_default_values().iter().find(|value| value.to_str() == Some("auto")) {
            Some(_) => json!({ "anyOf": [number, { "type": "string" }] }),
            None => json!({ "anyOf": [number, { "type": "string", "pattern": QUANTITY }] }),
        },
        Some("SIZE") => json!({ "anyOf": [number, { "type": "string", "pattern": QUANTITY }] }),
        Some("TIME") => json!({ "type": "string", "pattern": QUANTITY }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

/// Returns the help of a flag. If the help ends with a default in brackets, which the server
/// computes at its start, returns this default separately.
pub(crate) fn help_and_default(flag: &Arg) -> (String, Option<String>) {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    match help.strip_suffix(']').and_then(|help| help.split_once(" [default: ")) {
        Some((help, default)) => (help.to_owned(), Some(default.to_owned())),
        None => (help, None),
    }
}
