//! Compares two bodies: as JSON, as text, or as bytes.

use std::str;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::json::{self, JsonDiff};
use crate::rollout::compare::shown::common_prefix;
use crate::rollout::compare::text::{self, TextDiff};

/// Number of bytes of a binary body that are shown before the first byte that differs.
const BYTES_BEFORE: usize = 4;

/// Maximum number of bytes of a binary body that are shown in total.
const BYTES_MAX: usize = 16;

/// Difference of the bodies of two answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum BodyDiff {
    /// Both bodies are JSON, and their values differ.
    Json(JsonDiff),
    /// Both bodies are JSON with the same values, and differ only in the order of keys, in spaces,
    /// or in the escapes of strings.
    JsonLayout,
    /// Both bodies are text, and lines differ.
    Text(TextDiff),
    /// At least one body is not text, and bytes differ.
    Binary(BinaryDiff),
}

/// Difference of two bodies of which one is not text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BinaryDiff {
    /// Offset of the first byte that differs.
    pub offset_bytes: u64,
    /// Bytes around the offset in the body of the current version, in hexadecimal.
    pub from_hex: String,
    /// Bytes around the offset in the body of the candidate, in hexadecimal.
    pub to_hex: String,
}

/// Compares two bodies. The headers of each response say whether its body is JSON. Returns [`None`]
/// if the bodies have the same bytes.
pub(super) fn diff(from: (&HeaderMap, &Bytes), to: (&HeaderMap, &Bytes)) -> Option<BodyDiff> {
    let ((from_fields, from), (to_fields, to)) = (from, to);
    if from == to {
        return None;
    }
    let (Some(from_text), Some(to_text)) = (as_text(from), as_text(to)) else {
        return Some(BodyDiff::Binary(binary(from, to)));
    };
    let are_json = (is_json_type(from_fields) && is_json_type(to_fields))
        || (json::is_container(from_text) && json::is_container(to_text));
    if are_json && json::is_json(from_text) && json::is_json(to_text) {
        let diff = json::diff(from_text, to_text);
        return Some(if diff.changes.is_empty() { BodyDiff::JsonLayout } else { BodyDiff::Json(diff) });
    }
    Some(BodyDiff::Text(text::diff(from_text, to_text)))
}

/// Returns a body as text; [`None`] if it is binary, which means that it is not UTF-8 or contains a
/// NUL byte.
fn as_text(body: &[u8]) -> Option<&str> {
    str::from_utf8(body).ok().filter(|text| !text.contains('\0'))
}

fn is_json_type(fields: &HeaderMap) -> bool {
    let value = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split_once(';').map_or(value, |(kind, _)| kind).trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn binary(from: &[u8], to: &[u8]) -> BinaryDiff {
    let offset = common_prefix(from, to);
    let near = |body: &[u8]| {
        let bytes = body.iter().skip(offset.saturating_sub(BYTES_BEFORE)).take(BYTES_MAX);
        bytes.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    };
    BinaryDiff { offset_bytes: offset as u64, from_hex: near(from), to_hex: near(to) }
}
