//! Parts in which two responses differ, and their text in reports.

use std::fmt::{self, Display};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::body::{BinaryDiff, BodyDiff};
use crate::rollout::compare::json::{JsonChange, JsonDiff};
use crate::rollout::compare::text::{Line, TextDiff};

/// Part in which two answers differ. `from` is the answer of the current version, `to` that of
/// the candidate. All texts are escaped and cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// Status codes of the answers.
    Status {
        /// Status code of the current version.
        from: u16,
        /// Status code of the candidate.
        to: u16,
    },
    /// Values of one header.
    Field {
        /// Name of the header.
        name: String,
        /// Values in the answer of the current version, in order; empty if it lacks the header.
        from: Vec<String>,
        /// Values in the answer of the candidate, in order; empty if it lacks the header.
        to: Vec<String>,
        /// Number of values of both answers together that `from` and `to` leave out.
        more: u64,
    },
    /// Further headers that differ, and of which only the number is reported.
    MoreFields {
        /// Number of further headers that differ.
        count: u64,
    },
    /// Bodies of the answers.
    Body {
        /// Length of the body of the current version, in bytes.
        from_bytes: u64,
        /// Length of the body of the candidate, in bytes.
        to_bytes: u64,
        /// Difference of the bodies.
        diff: BodyDiff,
    },
}

impl Part {
    /// Returns the lines about this part for a report. All lines but the first are indented.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Part::Field { name, from, to, more } if from.len() > 1 || to.len() > 1 => {
                let mut lines = vec![format!("header {name} differs:")];
                lines.extend(from.iter().map(|value| format!("  - \"{value}\"")));
                lines.extend(to.iter().map(|value| format!("  + \"{value}\"")));
                if *more > 0 {
                    lines.push(format!("  … {more} more values"));
                }
                lines
            }
            Part::Body { diff: BodyDiff::Json(diff), .. } if diff.changes.len() > 1 => {
                let mut lines = vec!["body differs:".to_owned()];
                lines.extend(diff.changes.iter().map(|change| format!("  {change}")));
                if diff.more > 0 {
                    lines.push(format!("  … {} more paths", diff.more));
                }
                lines
            }
            Part::Body { diff: BodyDiff::Text(diff), .. } => {
                let mut lines = vec![format!("body differs at line {}:", diff.line)];
                lines.extend(diff.lines.iter().map(|line| format!("  {line}")));
                if diff.more {
                    lines.push("  … more lines differ".into());
                }
                lines
            }
            Part::Body { diff: BodyDiff::Binary(diff), .. } => {
                vec![self.to_string(), format!("  - {}", diff.from_hex), format!("  + {}", diff.to_hex)]
            }
            _ => vec![self.to_string()],
        }
    }
}

/// Writes the part in one line.
impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Status { from, to } => write!(f, "status {from} -> {to}"),
            Part::Field { name, from, to, .. } => {
                write!(f, "header {name} {} -> {}", Values(from), Values(to))
            }
            Part::MoreFields { count: 1 } => f.write_str("1 more header differs"),
            Part::MoreFields { count } => write!(f, "{count} more headers differ"),
            Part::Body { from_bytes, to_bytes, diff } => body(f, *from_bytes, *to_bytes, diff),
        }
    }
}

fn body(f: &mut fmt::Formatter<'_>, from_bytes: u64, to_bytes: u64, diff: &BodyDiff) -> fmt::Result {
    match diff {
        _ if from_bytes == 0 => write!(f, "body empty -> {to_bytes} bytes"),
        _ if to_bytes == 0 => write!(f, "body {from_bytes} bytes -> empty"),
        BodyDiff::JsonLayout => {
            f.write_str("body is the same JSON, written in another way (order of keys, spaces or escapes)")
        }
        BodyDiff::Json(JsonDiff { changes, more }) => {
            f.write_str("body differs at ")?;
            changes.first().map_or(Ok(()), |change| write!(f, "{change}"))?;
            match changes.len().saturating_sub(1) as u64 + more {
                0 => Ok(()),
                1 => f.write_str(" and at 1 more path"),
                more => write!(f, " and at {more} more paths"),
            }
        }
        BodyDiff::Text(TextDiff { line, lines, .. }) => {
            let removed = lines.iter().find_map(|line| match line {
                Line::Removed { text } => Some(text.as_str()),
                _ => None,
            });
            let added = lines.iter().find_map(|line| match line {
                Line::Added { text } => Some(text.as_str()),
                _ => None,
            });
            write!(f, "body differs at line {line}: {} -> {}", Quoted(removed), Quoted(added))
        }
        BodyDiff::Binary(BinaryDiff { offset_bytes, .. }) => {
            write!(f, "body differs at offset {offset_bytes} ({from_bytes} -> {to_bytes} bytes)")
        }
    }
}

/// Displays a text in quotation marks, or `absent` for [`None`].
struct Quoted<'a>(Option<&'a str>);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => write!(f, "\"{text}\""),
            None => f.write_str("absent"),
        }
    }
}

/// Displays the values of a header in quotation marks, separated by commas; `absent` if there are
/// none.
struct Values<'a>(&'a [String]);

impl Display for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(self.0.first().map(String::as_str)))?;
        self.0.iter().skip(1).try_for_each(|value| write!(f, ", \"{value}\""))
    }
}

impl Display for JsonChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "the top" } else { &self.path };
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "absent".into());
        write!(f, "{path}: {} -> {}", value(&self.from), value(&self.to))?;
        match self.further_items {
            0 => Ok(()),
            1 => f.write_str(" and 1 more item"),
            more => write!(f, " and {more} more items"),
        }
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Same { text } => write!(f, "  {text}"),
            Line::Removed { text } => write!(f, "- {text}"),
            Line::Added { text } => write!(f, "+ {text}"),
            Line::MoreSame { count } => write!(f, "  … {count} equal lines"),
            Line::MoreRemoved { count } => write!(f, "- … {count} more lines"),
            Line::MoreAdded { count } => write!(f, "+ … {count} more lines"),
        }
    }
}
