//! Finds the paths at which two JSON texts differ. Compares the texts level by level without
//! parsing them into a tree, so that numbers keep all their digits.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::shown::{around, common_prefix, start};

/// Maximum length of a JSON text whose values are compared one by one, in bytes. Listing the
/// members of one level takes up to 16 times the memory of the text.
const JSON_MAX: usize = 4 << 20;

/// Maximum nesting depth at which members are compared one by one; deeper values are compared as
/// text. This bounds the work, because a value is parsed again at each level above it.
const DEPTH_MAX: usize = 32;

/// Maximum number of paths that a [`JsonDiff`] lists.
pub(super) const PATHS_MAX: usize = 10;

/// Characters that may stand between the keys and values of a JSON text.
const BETWEEN: [char; 6] = [' ', '\t', '\n', '\r', ',', ':'];

/// Difference of two JSON texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JsonDiff {
    /// Values that differ, in the order of their paths.
    pub changes: Vec<JsonChange>,
    /// Number of further values that differ, and that `changes` leaves out.
    pub more: u64,
}

/// Value that differs between two JSON texts, or that only one of them has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JsonChange {
    /// Path of the value as a JSON Pointer (RFC 6901); empty for the value of the whole text.
    pub path: String,
    /// JSON of the value in the answer of the current version; absent if that answer lacks the
    /// value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// JSON of the value in the answer of the candidate; absent if that answer lacks the value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// Number of further array items that were added or removed after this value.
    pub further_items: u64,
}

/// Returns whether a text is valid JSON of at most [`JSON_MAX`] bytes.
pub(super) fn is_json(text: &str) -> bool {
    text.len() <= JSON_MAX && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns whether a text begins with `{` or `[`, as a JSON object or array does.
pub(super) fn is_container(text: &str) -> bool {
    text.trim_start_matches(BETWEEN).starts_with(['{', '['])
}

/// Compares two valid JSON texts. Ignores the order of keys, spaces outside of strings, and how
/// characters in strings are escaped.
pub(super) fn diff(from: &str, to: &str) -> JsonDiff {
    let mut walk = Walk::default();
    walk.value(from.trim_matches(BETWEEN), to.trim_matches(BETWEEN), 0);
    walk.diff
}

#[derive(Default)]
struct Walk {
    diff: JsonDiff,
    path: String,
}

impl Walk {
    fn value(&mut self, from: &str, to: &str, depth: usize) {
        if from == to {
            return;
        }
        match (from.as_bytes().first(), to.as_bytes().first()) {
            (Some(b'{'), Some(b'{')) if depth < DEPTH_MAX => self.object(from, to, depth + 1),
            (Some(b'['), Some(b'[')) if depth < DEPTH_MAX => self.array(from, to, depth + 1),
            (Some(b'"'), Some(b'"')) if string(from) == string(to) => {}
            _ => self.push(Some(from), Some(to), 0),
        }
    }

    fn object(&mut self, from: &str, to: &str, depth: usize) {
        let (mut from, mut to) = (members(from).into_iter().peekable(), members(to).into_iter().peekable());
        loop {
            let order = match (from.peek(), to.peek()) {
                (Some((from, _)), Some((to, _))) => from.cmp(to),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let from = if order.is_le() { from.next() } else { None };
            let to = if order.is_ge() { to.next() } else { None };
            let Some(key) = from.as_ref().or(to.as_ref()).map(|(key, _)| key) else { return };
            let from = from.as_ref().map(|(_, value)| *value);
            let to = to.as_ref().map(|(_, value)| *value);
            if from != to {
                self.at(&key.replace('~', "~0").replace('/', "~1"), |walk| match (from, to) {
                    (Some(from), Some(to)) => walk.value(from, to, depth),
                    _ => walk.push(from, to, 0),
                });
            }
        }
    }

    fn array(&mut self, from: &str, to: &str, depth: usize) {
        let (mut from, mut to) = (Values::of(from), Values::of(to));
        for index in 0_u64.. {
            match (from.next(), to.next()) {
                (Some(from), Some(to)) if from == to => {}
                (Some(from), Some(to)) => {
                    self.at(&index.to_string(), |walk| walk.value(from, to, depth));
                }
                (None, None) => return,
                (from_item, to_item) => {
                    let further = from.count().max(to.count()) as u64;
                    return self.at(&index.to_string(), |walk| walk.push(from_item, to_item, further));
                }
            }
        }
    }

    /// Calls `compare` with `step` appended to the current path.
    fn at(&mut self, step: &str, compare: impl FnOnce(&mut Walk)) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(step);
        compare(self);
        self.path.truncate(length);
    }

    fn push(&mut self, from: Option<&str>, to: Option<&str>, further_items: u64) {
        if self.diff.changes.len() >= PATHS_MAX {
            self.diff.more += 1;
            return;
        }
        let (from_bytes, to_bytes) = (from.unwrap_or_default().as_bytes(), to.unwrap_or_default().as_bytes());
        let offset = common_prefix(from_bytes, to_bytes);
        let shown = |value: Option<&str>| value.map(|value| around(value, offset));
        self.diff.changes.push(JsonChange {
            path: start(&self.path),
            from: shown(from),
            to: shown(to),
            further_items,
        });
    }
}

/// Returns the members of a JSON object, sorted by key. Members with the same key keep their order.
fn members(object: &str) -> Vec<(Cow<'_, str>, &str)> {
    let mut values = Values::of(object);
    let mut members = Vec::new();
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        members.push((string(key), value));
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members
}

/// Decodes a JSON string. Returns the text unchanged if an escape in it is half of a surrogate
/// pair, which cannot be decoded.
fn string(written: &str) -> Cow<'_, str> {
    match written.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => text.into(),
        _ => serde_json::from_str::<String>(written).map_or(written.into(), Cow::Owned),
    }
}

/// Iterator over the items of a valid JSON array, or over the keys and values of an object, as JSON
/// text.
struct Values<'a>(&'a str);

impl<'a> Values<'a> {
    fn of(container: &'a str) -> Values<'a> {
        Values(container.get(1..).unwrap_or_default())
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start_matches(BETWEEN);
        let (value, rest) =
            text.split_at_checked(value_length(text)).filter(|(value, _)| !value.is_empty())?;
        self.0 = rest;
        Some(value)
    }
}

/// Returns the length of the JSON value at the start of a text; zero if the text starts with the
/// end of an array or object.
fn value_length(text: &str) -> usize {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        if is_string {
            is_string = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            if !is_string && depth == 0 {
                return index + 1;
            }
            continue;
        }
        match byte {
            b'"' => is_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 0 => return index,
            b']' | b'}' if depth == 1 => return index + 1,
            b']' | b'}' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' if depth == 0 => return index,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{JSON_MAX, PATHS_MAX, diff, is_json};

    fn shown(from: &str, to: &str) -> String {
        for text in [from, to] {
            assert!(is_json(text), "{text}");
        }
        let diff = diff(from, to);
        let mut lines: Vec<String> = diff.changes.iter().map(ToString::to_string).collect();
        if diff.more > 0 {
            lines.push(format!("{} more", diff.more));
        }
        lines.join("\n")
    }

    #[test]
    fn differing_values_have_a_path() {
        for (from, to, expected) in [
            (r#"{"a":1}"#, r#"{"a":2}"#, "/a: 1 -> 2"),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, r#"/a: 1 -> "1""#),
            (r#"{"a":1}"#, r#"{"a":1.0}"#, "/a: 1 -> 1.0"),
            (r#"{"a":1}"#, r#"{"b":1}"#, "/a: 1 -> absent\n/b: absent -> 1"),
            (r#"{"a":null}"#, "{}", "/a: null -> absent"),
            (r#"{"a":{"b":[1,{"c":true}]}}"#, r#"{"a":{"b":[1,{"c":false}]}}"#, "/a/b/1/c: true -> false"),
            (r#"{"a/b":{"~":1}}"#, r#"{"a/b":{"~":2}}"#, "/a~1b/~0: 1 -> 2"),
            (r#"{"":1}"#, r#"{"":2}"#, "/: 1 -> 2"),
            (r#"{"a b\n":1}"#, r#"{"a b\n":2}"#, "/a b\\n: 1 -> 2"),
            ("[1,2]", "[1,2,3]", "/2: absent -> 3"),
            ("[1,2,3,4]", "[1]", "/1: 2 -> absent and 2 more items"),
            ("[1,2]", "[2,2,3]", "/0: 1 -> 2\n/2: absent -> 3"),
            ("[]", "{}", "the top: [] -> {}"),
            ("1", "2", "the top: 1 -> 2"),
            (r#"{"a":[]}"#, r#"{"a":{}}"#, "/a: [] -> {}"),
            (r#"["]\"}"]"#, r#"["]\"{"]"#, r#"/0: "]\"}" -> "]\"{""#),
            (r#"{"a":1,"a":2}"#, r#"{"a":1,"a":3}"#, "/a: 2 -> 3"),
            // More digits than a float has.
            (
                "[12345678901234567890123]",
                "[12345678901234567890124]",
                "/0: 12345678901234567890123 -> 12345678901234567890124",
            ),
        ] {
            assert_eq!(shown(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn the_same_json_has_no_differing_values() {
        for (from, to) in [
            (r#"{"a":1,"b":[1,2]}"#, " { \"b\" : [ 1 , 2 ] ,\r\n\t\"a\" : 1 }\n"),
            (r#"["é/"]"#, r#"["\u00e9\/"]"#),
            (r#"{"é":{"x":1,"y":2}}"#, r#"{"\u00e9":{"y":2,"x":1}}"#),
            ("[[],{}]", "[ [ ] , { } ]"),
        ] {
            assert_eq!(shown(from, to), "", "{from} {to}");
        }
    }

    #[test]
    fn long_values_are_cut_around_their_difference() {
        let value = |end: &str| format!(r#"{{"a":"{}{end}"}}"#, "x".repeat(9000));
        let text = shown(&value("1"), &value("2"));
        assert!(text.contains("x1\"") && text.contains("x2\"") && text.len() < 200, "{text}");
    }

    #[test]
    fn only_some_paths_are_listed() {
        let list = |mark: &str| format!("[{}]", vec![mark; 1000].join(","));
        let text = shown(&list("1"), &list("2"));
        assert_eq!(text.lines().count(), PATHS_MAX + 1);
        assert!(text.ends_with("\n990 more"), "{text}");
    }

    #[test]
    fn hostile_json_is_compared_in_bounded_space() {
        let nested = |inner: &str, count| format!("{}{inner}{}", "[".repeat(count), "]".repeat(count));
        let deep = shown(&nested("1", 1 << 20), &nested("2", 1 << 20));
        assert!(deep.starts_with("/0/0/0/0") && deep.contains("[1]") && deep.contains("[2]"), "{deep}");
        let object = |inner: &str| format!("{}{inner}{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        assert!(shown(&object("1"), &object("2")).starts_with("/a/a/a"));
        let wide = |mark: &str| format!("[0{}]", mark.repeat(JSON_MAX / 3));
        assert!(shown(&wide(",1"), &wide(",2")).len() < 1000);
        let keys: String = (0..200_000).map(|key| format!("\"{key}\":{key},")).collect();
        let keys = |end: &str| format!("{{{keys}\"end\":{end}}}");
        assert_eq!(shown(&keys("1"), &keys("2")), "/end: 1 -> 2");
        let empty_keys = |end: &str| format!("{{{}\"\":{end}}}", "\"\":0,".repeat(500_000));
        assert_eq!(shown(&empty_keys("1"), &empty_keys("2")), "/: 1 -> 2");
        let half_pair = |end: &str| format!(r#"{{"\ud800":{end}}}"#);
        assert_eq!(shown(&half_pair("1"), &half_pair("2")), r#"/"\ud800": 1 -> 2"#);
        assert!(!is_json(&" ".repeat(JSON_MAX + 1)) && !is_json("") && !is_json("[1") && !is_json("[1]]"));
    }

    fn below(seed: &mut u64, end: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) % end
    }

    fn random(seed: &mut u64, depth: u64) -> Value {
        const KEYS: [&str; 5] = ["a", "b/~", "é", "\"", ""];
        match below(seed, 4 + depth) {
            0 => json!(below(seed, 3)),
            1 => json!(KEYS[below(seed, 5) as usize]),
            2 => Value::Null,
            3 => json!(true),
            number if number % 2 == 0 => (0..below(seed, 4)).map(|_| random(seed, depth - 1)).collect(),
            _ => {
                let members = (0..below(seed, 4))
                    .map(|_| (KEYS[below(seed, 5) as usize].to_owned(), random(seed, depth - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Returns another JSON text of the same value: with more spaces and escapes, and with keys in
    /// reverse order.
    fn otherwise(value: &Value) -> String {
        let text =
            |text: &str| serde_json::to_string(text).unwrap().replace('é', "\\u00E9").replace('/', "\\/");
        match value {
            Value::String(value) => text(value),
            Value::Array(items) => {
                format!("[ {} ]", items.iter().map(otherwise).collect::<Vec<_>>().join(" ,"))
            }
            Value::Object(members) => {
                let member =
                    |(key, value): (&String, &Value)| format!("{}\t:{}", text(key), otherwise(value));
                format!("{{\n{}}}", members.iter().rev().map(member).collect::<Vec<_>>().join(", "))
            }
            value => value.to_string(),
        }
    }

    #[test]
    fn paths_of_random_json_lead_to_values_that_differ() {
        let mut seed = 1;
        for _ in 0..20_000 {
            let (from, to) = (random(&mut seed, 4), random(&mut seed, 4));
            assert_eq!(shown(&from.to_string(), &otherwise(&from)), "");
            let diff = diff(&from.to_string(), &to.to_string());
            assert_eq!(diff.changes.is_empty(), from == to, "{from} {to}");
            for change in &diff.changes {
                let value = |value: &Value| value.pointer(&change.path).map(Value::to_string);
                assert_eq!(
                    (value(&from), value(&to)),
                    (change.from.clone(), change.to.clone()),
                    "{from} {to}"
                );
                assert_ne!(change.from, change.to);
            }
        }
    }
}
