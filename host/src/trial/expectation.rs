//! Expectations about a response, as written in a file or on the command line.

use std::fmt;
use std::str::FromStr;

use host_http::quote::quoted;
use http::StatusCode;
use http::header::HeaderName;

use crate::trial::exchange::Answer;

/// Maximum number of bytes of a header value, status line or body that a message shows.
const SHOWN_MAX: usize = 200;

/// Expectation about a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Any status below 500.
    Good,
    /// Exactly this status.
    Status(StatusCode),
    /// Exactly this status and reason phrase.
    Reason(StatusCode, String),
    /// A header of this name has this value. Parameters after a `;` in the response are
    /// ignored if the expected value has none.
    Field(HeaderName, String),
    /// Exactly this body.
    Body(String),
    /// The body contains this text.
    Contains(String),
}

impl Expectation {
    /// Compares a response with this expectation. Returns a message with what was found and what
    /// was expected, or [`None`] if the response meets the expectation.
    pub fn mismatch(&self, answer: &Answer) -> Option<String> {
        (!self.is_met(answer)).then(|| format!("{}; expected {self}", self.found(answer)))
    }

    fn is_met(&self, answer: &Answer) -> bool {
        match self {
            Expectation::Good => answer.status.as_u16() < 500,
            Expectation::Status(status) => answer.status == *status,
            Expectation::Reason(status, reason) => answer.status == *status && answer.reason == *reason,
            Expectation::Field(name, value) => answer.values(name).any(|found| is_value(&found, value)),
            Expectation::Body(text) => answer.body == text.as_bytes(),
            Expectation::Contains(text) => answer.text().contains(text.as_str()),
        }
    }

    /// Describes the part of a response that the expectation is about.
    fn found(&self, answer: &Answer) -> String {
        match self {
            Expectation::Good | Expectation::Status(_) => answer.status.to_string(),
            Expectation::Reason(..) => quoted(&answer.status_text(), SHOWN_MAX).to_string(),
            Expectation::Field(name, _) if !answer.fields.contains_key(name) => {
                format!("without the field {name}")
            }
            Expectation::Field(name, _) => {
                let values: Vec<_> = answer.values(name).collect();
                format!("with {name}: {}", quoted(&values.join(", "), SHOWN_MAX))
            }
            Expectation::Body(_) | Expectation::Contains(_) if answer.body.is_empty() => {
                "without a body".into()
            }
            Expectation::Body(_) | Expectation::Contains(_) => {
                format!("with the body `{}`", quoted(&answer.text(), SHOWN_MAX))
            }
        }
    }
}

fn is_value(found: &str, expected: &str) -> bool {
    let without_parameters = || found.split_once(';').map_or(found, |(value, _)| value).trim_end();
    found == expected || (!expected.contains(';') && without_parameters() == expected)
}

impl FromStr for Expectation {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectation, String> {
        let wrong = || {
            format!(
                "expected a status such as 200 or 404 not found, a field such as content-type: text/html, \
                 body: TEXT, or body contains: TEXT; found `{text}`"
            )
        };
        let Some((name, value)) = text.split_once(':') else {
            let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
            let status = StatusCode::from_str(code).map_err(|_| wrong())?;
            return Ok(match reason.trim() {
                "" => Expectation::Status(status),
                reason => Expectation::Reason(status, reason.to_owned()),
            });
        };
        // The first space after the colon is not part of the text.
        let text_behind = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match name.trim() {
            "body" => Ok(Expectation::Body(text_behind)),
            "body contains" => Ok(Expectation::Contains(text_behind)),
            name => {
                let name = HeaderName::from_str(name).map_err(|_| wrong())?;
                Ok(Expectation::Field(name, value.trim().to_owned()))
            }
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Good => f.write_str("a status below 500"),
            Expectation::Status(status) => f.write_str(status.as_str()),
            Expectation::Reason(status, reason) => write!(f, "{} {reason}", status.as_str()),
            Expectation::Field(name, value) => write!(f, "{name}: {}", quoted(value, SHOWN_MAX)),
            Expectation::Body(text) => write!(f, "the body `{}`", quoted(text, SHOWN_MAX)),
            Expectation::Contains(text) => write!(f, "a body that contains `{}`", quoted(text, SHOWN_MAX)),
        }
    }
}
