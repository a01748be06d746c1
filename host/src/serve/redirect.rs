//! Redirects clients of a plain HTTP port to https.

use host_http::authority::BadHost;
use host_http::request;
use host_http::request_head::RequestHead;
use host_http::target::Target;

use crate::fault::Fault;

/// Default port of https, which a URL may omit.
pub(super) const USUAL: u16 = 443;

/// Returns the response (308) that redirects a client to https, at the host that the request names
/// and at `port`. The client repeats the request with the same method.
///
/// # Errors
///
/// When the request names no host.
pub(super) fn to(head: &RequestHead<'_>, target: &Target<'_>, port: u16) -> Result<String, Fault> {
    // `check_head` has let it through, so it is a host and perhaps a port.
    let host = str::from_utf8(request::host(head, target)).unwrap_or_default();
    if host.is_empty() {
        return Err(Fault::Request(BadHost::Missing.into()));
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let port = if port == USUAL { String::new() } else { format!(":{port}") };
    let path = request::canonical_target(head);
    let path = if path.starts_with('/') { &*path } else { "/" };
    Ok(format!(
        "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://{name}{port}{path}\r\ncontent-type: text/plain\r\n\r\n\
         https is spoken here\n"
    ))
}
