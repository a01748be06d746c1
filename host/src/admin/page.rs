//! Web page that shows and controls the server, as files that are embedded in the program. They
//! contain no data, so clients need no token for them. The page asks its user for the token, and
//! sends it with each request to the API.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::Bytes;

use crate::admin::refusal::{Refusal, refuse};
use crate::admin::reply::Reply;

/// A file of the page: its name, its media type and its text.
type File = (&'static str, &'static str, &'static str);

/// HTML file of the page.
const INDEX: File = ("index.html", "text/html; charset=utf-8", include_str!("page/index.html"));

/// Media type of the scripts of the page.
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Files that the HTML file of the page loads.
const FILES: [File; 11] = [
    ("page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("main.js", SCRIPT, include_str!("page/main.js")),
    ("api.js", SCRIPT, include_str!("page/api.js")),
    ("dom.js", SCRIPT, include_str!("page/dom.js")),
    ("chart.js", SCRIPT, include_str!("page/chart.js")),
    ("dialog.js", SCRIPT, include_str!("page/dialog.js")),
    ("module.js", SCRIPT, include_str!("page/module.js")),
    ("versions.js", SCRIPT, include_str!("page/versions.js")),
    ("differences.js", SCRIPT, include_str!("page/differences.js")),
    ("lists.js", SCRIPT, include_str!("page/lists.js")),
];

/// Headers of all responses with files of the page. They forbid the browser to load anything from
/// elsewhere and to run text as a script, because strangers choose names of modules, targets of
/// requests and causes of faults.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Returns the HTML file of the page.
pub(super) fn index() -> Reply {
    reply(&INDEX)
}

/// Returns the file of the page with this name, or 404 if there is none.
pub(super) fn file(name: &str) -> Result<Reply, Refusal> {
    match FILES.iter().find(|(found, ..)| *found == name) {
        Some(file) => Ok(reply(file)),
        None => refuse(StatusCode::NOT_FOUND, "the page has no such file; GET / is the page"),
    }
}

/// Returns the names of the files that the page loads.
pub(super) fn names() -> Vec<&'static str> {
    FILES.iter().map(|(name, ..)| *name).collect()
}

fn reply((_, media_type, text): &File) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    reply
}
