//! Sends HTTPS requests to the certificate authority. Each request uses a new connection, because a
//! certificate needs only about a dozen requests every few weeks. The duration of a request and the
//! size of a response are limited.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::{Map, Value};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::acme::failure::ComeBack;

/// Maximum duration of a request, from the lookup of the server's name to the end of the response.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of the body of a response, in bytes.
pub const ANSWER_MAX: usize = 1 << 20;

/// Maximum time to wait. A longer time in the field `retry-after` of a response is reduced to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Default port of HTTPS.
const PORT: u16 = 443;

/// Value of `user-agent`, which identifies this program to the authority (RFC 8555, section 6.1).
const AGENT: &str = concat!("host/", env!("CARGO_PKG_VERSION"));

/// Client of a certificate authority.
#[derive(Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    /// Wait that the latest error response requested in `retry-after`; [`None`] if it requested
    /// none.
    come_back: Arc<Mutex<Option<ComeBack>>>,
}

type Answer = Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>>;

impl Client {
    /// Creates a client that uses this TLS configuration.
    pub fn new(config: Arc<ClientConfig>) -> Client {
        Client { config, come_back: Arc::default() }
    }

    /// Returns the wait that the latest error response requested in `retry-after`; [`None`] if it
    /// requested none.
    pub fn come_back(&self) -> Option<ComeBack> {
        *self.come_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, String> {
        let url = request.uri().clone();
        let (host, port) = place(&url)?;
        let tcp = TcpStream::connect((host, port)).await;
        let tcp = tcp.map_err(|error| format!("cannot connect: {error}"))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await;
        let tls = tls.map_err(|error| untrusted(&error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(tls)).await.map_err(|error| told(&error))?;
        let connection = tokio::spawn(connection);
        let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let field = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        request.headers_mut().insert(HOST, field(authority)?);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        *request.uri_mut() = url.path_and_query().map_or_else(Uri::default, |path| path.clone().into());
        let answer = sender.send_request(request).await.map_err(|error| told(&error))?;
        let (mut parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        connection.abort();
        let body = body.map_err(|error| {
            format!("its answer ends early, or has more than {ANSWER_MAX} bytes: {error}")
        })?;
        let body = body.to_bytes();
        let wait = bound_wait(&mut parts.headers);
        let is_of_server = parts.status.is_server_error();
        if parts.status.is_client_error() || is_of_server {
            let come_back = wait.map(|wait| ComeBack { at: Instant::now() + wait, is_of_server });
            *self.come_back.lock().unwrap_or_else(PoisonError::into_inner) = come_back;
            // One that says more is an error of ACME.
            if serde_json::from_slice::<Map<String, Value>>(&body).is_err() {
                return Err(format!("it has answered {}", parts.status));
            }
        }
        Ok(Response::from_parts(parts, http_body_util::Full::new(body)).into())
    }
}

impl HttpClient for Client {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Answer {
        let (client, url) = (self.clone(), request.uri().clone());
        Box::pin(async move {
            let answer = match timeout(REQUEST_TIMEOUT, client.send(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {REQUEST_TIMEOUT:?}")),
            };
            answer.map_err(|cause| Error::Other(io::Error::other(format!("{url}: {cause}")).into()))
        })
    }
}

/// Returns the wait that `retry-after` requests, at most [`RETRY_AFTER_MAX`]. Also replaces the
/// value of the field with the bounded wait, because the library instant_acme adds the value to the
/// current time, which would overflow with a very large value.
fn bound_wait(fields: &mut HeaderMap) -> Option<Duration> {
    let value = fields.remove(RETRY_AFTER)?;
    let value = value.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    let wait = wait.min(RETRY_AFTER_MAX);
    fields.insert(RETRY_AFTER, wait.as_secs().into());
    Some(wait)
}

/// Returns the host and the port of an `https` URL. Returns an error for any other URL.
fn place(url: &Uri) -> Result<(&str, u16), String> {
    let host = url.host().unwrap_or_default();
    if url.scheme() != Some(&Scheme::HTTPS) || host.is_empty() {
        return Err("expected a URL of https".into());
    }
    Ok((host.trim_start_matches('[').trim_end_matches(']'), url.port_u16().unwrap_or(PORT)))
}

/// Returns the error message for a failed TLS handshake.
fn untrusted(error: &io::Error) -> String {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match of_tls {
        Some(rustls::Error::InvalidCertificate(cause)) => {
            format!("its certificate is not trusted: {cause} (--acme-ca names other authorities)")
        }
        _ => format!("cannot speak TLS: {error}"),
    }
}

/// Formats an error with its causes, in one line.
fn told(error: &dyn StdError) -> String {
    let (mut text, mut next) = (error.to_string(), error.source());
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::HeaderMap;
    use http::header::{HeaderValue, RETRY_AFTER};

    use super::{RETRY_AFTER_MAX, bound_wait};

    #[test]
    fn a_wait_is_read_in_both_forms_and_bounded() {
        let wait = |value: &str| {
            let mut fields = HeaderMap::new();
            fields.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            let wait = bound_wait(&mut fields);
            let left = fields.get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(left, wait.map(|wait| wait.as_secs().to_string()), "{value}");
            wait
        };
        assert_eq!(wait(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(wait("18446744073709551615"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(RETRY_AFTER_MAX));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1000));
        assert!(wait(&soon).is_some_and(|wait| wait > Duration::from_secs(900)));
        for value in ["", "-1", "1.5", "18446744073709551616", "tomorrow"] {
            assert_eq!(wait(value), None, "{value}");
        }
        assert_eq!(bound_wait(&mut HeaderMap::new()), None);
    }
}
