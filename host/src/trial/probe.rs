//! Probes: requests with expectations that a candidate must meet before it serves,
//! from the command line or a file.

use std::fmt;
use std::str::FromStr;

use host_wasm::HandlerModule;
use http::StatusCode;
use thiserror::Error;

use crate::fault::Fault;
use crate::trial::exchange::{Answer, Asked};
use crate::trial::expectation::{Expectation, Mismatch};

/// Request and the expectations about its response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Request.
    pub asked: Asked,
    /// Expectations, all of which must be met.
    pub expected: Vec<Expected>,
    /// Position in a file, if the probe came from one.
    pub place: Option<Place>,
    /// Name in the file; empty if it has none.
    pub name: String,
}

/// Expectation with its position in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Expectation.
    pub what: Expectation,
    /// Position in a file, if the expectation came from one.
    pub place: Option<Place>,
}

/// Position in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file, as given on the command line.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
}

/// Failure of a probe.
#[derive(Debug, Error)]
pub enum ProbeFailure {
    /// The call ended in a fault.
    #[error("{}{probe} was not answered: {fault}", prefix(.probe.place.as_ref()))]
    Fault {
        /// Failed probe.
        probe: Probe,
        /// Fault of the call.
        fault: Fault,
    },
    /// The response did not meet an expectation.
    #[error("{}{probe} was answered {mismatch}", prefix(.place.as_ref()))]
    Mismatch {
        /// Failed probe.
        probe: Probe,
        /// Position of the expectation.
        place: Option<Place>,
        /// What was found and what was expected.
        mismatch: Mismatch,
    },
}

fn prefix(place: Option<&Place>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

impl Probe {
    /// Sends the request to a module and checks the response.
    ///
    /// # Errors
    ///
    /// The fault, or the first expectation that was not met.
    pub async fn send(&self, module: &HandlerModule) -> Result<(), ProbeFailure> {
        let answer = self.asked.send(module).await;
        let answer = answer.map_err(|fault| ProbeFailure::Fault { probe: self.clone(), fault })?;
        match self.mismatches(&answer).next() {
            None => Ok(()),
            Some((expected, mismatch)) => {
                let place = expected.place.clone();
                Err(ProbeFailure::Mismatch { probe: self.clone(), place, mismatch })
            }
        }
    }

    /// Returns the expectations that a response does not meet.
    pub fn mismatches<'a>(
        &'a self,
        answer: &'a Answer,
    ) -> impl Iterator<Item = (&'a Expected, Mismatch)> + use<'a> {
        self.expected.iter().filter_map(|expected| Some((expected, expected.what.mismatch(answer)?)))
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Probe, String> {
        let wrong = || format!("expected METHOD TARGET [STATUS], such as 'GET / 200', found '{text}'");
        let mut words = text.split_ascii_whitespace();
        let method = words.next().ok_or_else(wrong)?;
        let target = words.next().filter(|word| word.starts_with('/') || *word == "*").ok_or_else(wrong)?;
        let asked = Asked::new(method, target).map_err(|_| wrong())?;
        let what = match words.next() {
            Some(word) => Expectation::Status(StatusCode::from_str(word).map_err(|_| wrong())?),
            None => Expectation::Good,
        };
        match words.next() {
            Some(_) => Err(wrong()),
            None => {
                let expected = vec![Expected { what, place: None }];
                Ok(Probe { asked, expected, place: None, name: String::new() })
            }
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asked.fmt(f)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::Probe;

    #[test]
    fn a_probe_is_a_method_a_target_and_perhaps_a_status() {
        for (text, shown) in
            [("GET /", "GET /"), (" HEAD  /a?b  404 ", "HEAD /a?b"), ("OPTIONS *", "OPTIONS *")]
        {
            assert_eq!(text.parse::<Probe>().unwrap().to_string(), shown);
        }
        for text in ["", "GET", "/", "GET a", "GET / ok", "GET / 99", "GET / 200 OK", "G(T /"] {
            assert!(text.parse::<Probe>().is_err(), "{text}");
        }
    }
}
