//! A probe: a request that a candidate is called with before it may serve, and
//! what its answer has to be. It stands on the command line, or in a file.

use std::fmt;
use std::str::FromStr;

use host_wasm::HandlerModule;
use http::StatusCode;
use thiserror::Error;

use crate::fault::Fault;
use crate::trial::exchange::{Answer, Asked};
use crate::trial::expectation::{Expectation, Mismatch};

/// A request, and what is expected of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub asked: Asked,
    /// All of these are expected.
    pub expected: Vec<Expected>,
    /// The file and the line that it stands in, if it does.
    pub place: Option<Place>,
    /// What it is called there.
    pub name: String,
}

/// Something that is expected of an answer, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What is expected.
    pub what: Expectation,
    /// Where it stands, if it does so in a file.
    pub place: Option<Place>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as it was given.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

/// A probe was not answered as expected.
#[derive(Debug, Error)]
pub enum ProbeFailure {
    /// There was no usable answer.
    #[error("{}{probe} was not answered: {fault}", prefix(.probe.place.as_ref()))]
    Fault {
        /// Which of the probes.
        probe: Probe,
        /// What happened.
        fault: Fault,
    },
    /// The answer was another one.
    #[error("{}{probe} was answered {mismatch}", prefix(.place.as_ref()))]
    Mismatch {
        /// Which of the probes.
        probe: Probe,
        /// Where it stands what was expected.
        place: Option<Place>,
        /// What was found, and what was expected.
        mismatch: Mismatch,
    },
}

fn prefix(place: Option<&Place>) -> String {
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

impl Probe {
    /// Calls the module with the request, and looks at its answer.
    ///
    /// # Errors
    ///
    /// [`ProbeFailure`] says what came instead of what was expected.
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

    /// How the answer differs from what is expected.
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
