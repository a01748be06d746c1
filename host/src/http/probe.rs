//! A probe: a request that a candidate is called with before it may serve, and
//! what its answer has to be.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::SystemTime;

use http::{Method, Request, StatusCode, Uri};
use thiserror::Error;

use super::fault::Fault;
use super::request::{self, Origin};
use super::response;
use super::target::Target;
use crate::request_id::RequestId;
use crate::socket::Peer;
use crate::wasm::HandlerModule;

/// The host that a probe asks for.
const HOST: &str = "localhost";

/// One request without a body, and the status that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    method: Method,
    target: Uri,
    /// Any valid response below 500, where nothing is said.
    expected: Option<StatusCode>,
}

/// A probe was not answered as expected.
#[derive(Debug, Error)]
pub enum ProbeFailure {
    /// There was no usable answer.
    #[error("{probe} was not answered: {fault}")]
    Fault {
        /// Which of the probes.
        probe: Probe,
        /// What happened.
        fault: Fault,
    },
    /// The answer was another one.
    #[error("{probe} was answered {found}; expected {}", expected(.probe.expected))]
    Status {
        /// Which of the probes.
        probe: Probe,
        /// The answer's status.
        found: StatusCode,
    },
}

fn expected(status: Option<StatusCode>) -> String {
    status.map_or("a status below 500".into(), |status| status.as_str().into())
}

impl Probe {
    /// Calls the module with the request, and looks at its answer.
    ///
    /// # Errors
    ///
    /// [`ProbeFailure`] says what came instead of what was expected.
    pub async fn send(&self, module: &HandlerModule) -> Result<(), ProbeFailure> {
        let outcome = async {
            let mut parts = Request::new(()).into_parts().0;
            (parts.method, parts.uri) = (self.method.clone(), self.target.clone());
            parts.headers.insert(http::header::HOST, http::HeaderValue::from_static(HOST));
            let target = Target::new(&parts.method, &parts.uri)?;
            let id = RequestId::none();
            let client = Peer::Ip(Ipv4Addr::LOCALHOST.into());
            let message = request::encode(
                &parts,
                target,
                Vec::new(),
                &Origin { id: &id, client, time: SystemTime::now() },
            );
            let bytes = module.call_as_candidate(&message, id).await?;
            Ok::<_, Fault>(response::decode(bytes, &self.method)?)
        };
        let found =
            outcome.await.map_err(|fault| ProbeFailure::Fault { probe: self.clone(), fault })?.status();
        let as_expected = match self.expected {
            Some(expected) => found == expected,
            None => found.as_u16() < 500,
        };
        as_expected.then_some(()).ok_or_else(|| ProbeFailure::Status { probe: self.clone(), found })
    }
}

impl FromStr for Probe {
    type Err = String;

    fn from_str(text: &str) -> Result<Probe, String> {
        let wrong = || format!("expected METHOD TARGET [STATUS], such as 'GET / 200', found '{text}'");
        let mut words = text.split_ascii_whitespace();
        let method = words.next().and_then(|word| Method::from_str(word).ok()).ok_or_else(wrong)?;
        let target = words.next().filter(|word| word.starts_with('/') || *word == "*");
        let target = target.and_then(|word| Uri::from_str(word).ok()).ok_or_else(wrong)?;
        let expected = match words.next() {
            Some(word) => Some(StatusCode::from_str(word).map_err(|_| wrong())?),
            None => None,
        };
        match words.next() {
            Some(_) => Err(wrong()),
            None => Ok(Probe { method, target, expected }),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target)
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
