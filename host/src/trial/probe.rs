//! Probes: requests from the command line or a file. A module must answer them as expected before
//! it may become the version that serves.

use std::fmt;
use std::str::FromStr;

use anyhow::{anyhow, bail};
use bytes::Bytes;
use host_wasm::Handler;
use http::Request;

use crate::trial::exchange::{self, Answer};
use crate::trial::expectation::Expectation;

/// Request and the expectations about its response.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Request that is sent.
    pub request: Request<Bytes>,
    /// Expectations, all of which must be met.
    pub expected: Vec<Expected>,
    /// Position of the request in its file, as the prefix `file:line: ` for messages; empty for a
    /// probe from the command line.
    pub place: String,
    /// Name of the request in the file; empty if it has none.
    pub name: String,
}

/// Expectation with its position in a file.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Expectation about the response.
    pub what: Expectation,
    /// Position of the expectation in its file, as the prefix `file:line: ` for messages; empty for
    /// a probe from the command line.
    pub place: String,
}

impl Probe {
    /// Sends the request to a module and checks the response.
    ///
    /// # Errors
    ///
    /// One line with the fault that occurred instead of a response, or with the first expectation
    /// that the response does not meet.
    pub async fn send(&self, module: &Handler) -> anyhow::Result<()> {
        let (answer, _) = exchange::send(&self.request, module).await;
        let values = module.values();
        let answer = answer.map_err(|fault| {
            let fault = fault.to_string();
            anyhow!("{}{self} was not answered: {}", self.place, values.mask(&fault))
        })?;
        match self.mismatches(&answer).next() {
            None => Ok(()),
            // The response may have a secret, of which the message would show a part.
            Some((expected, _)) if answer.has_secret_of(values) => {
                bail!("{}{self} was not answered as expected; the response has a secret", expected.place)
            }
            Some((expected, mismatch)) => bail!("{}{self} was answered {mismatch}", expected.place),
        }
    }

    /// Returns each expectation that a response does not meet, with a message about the
    /// difference.
    pub fn mismatches(&self, answer: &Answer) -> impl Iterator<Item = (&Expected, String)> {
        self.expected.iter().filter_map(|expected| Some((expected, expected.what.mismatch(answer)?)))
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Probe, String> {
        let wrong = || format!("expected METHOD TARGET [STATUS], such as 'GET / 200', found '{text}'");
        let (method, target, what) = match *text.split_ascii_whitespace().collect::<Vec<_>>() {
            [method, target] => (method, target, Expectation::Good),
            [method, target, status] => {
                (method, target, Expectation::Status(status.parse().map_err(|_| wrong())?))
            }
            _ => return Err(wrong()),
        };
        if !target.starts_with('/') && target != "*" {
            return Err(wrong());
        }
        let request = exchange::request(method, target).map_err(|_| wrong())?;
        let expected = vec![Expected { what, place: String::new() }];
        Ok(Probe { request, expected, place: String::new(), name: String::new() })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.request.method(), self.request.uri())
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
