//! Paths that differ from a route only in a slash at the end.

use super::router::{Found, Router};
use super::{Method, Methods, Route};
use crate::export::leak;
use crate::message::Message;
use crate::{Request, Response, Status};

/// Treatment of a path that matches no route, when a route matches the path with a slash added or
/// removed at its end; see [`Router::trailing_slash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailingSlash {
    /// `/a/` and `/a` are different paths. If only one of them has a route, a request for the other
    /// gets status 404.
    Strict,
    /// The client is redirected with status 308 to the path that a route matches, and keeps the method,
    /// the body and the query. Responses to OPTIONS and responses with status 405 do not redirect.
    Redirect,
    /// The route answers both paths.
    Merge,
}

/// Function that searches a table for the path of a request with a slash added or removed at its
/// end.
pub(super) type Retry = fn(&Router, &Request<'_>, Methods) -> Found;

impl TrailingSlash {
    /// Returns the search function for this treatment, or `None` for [`TrailingSlash::Strict`]. The
    /// router stores only this function, so that a module does not contain the functions for other
    /// treatments.
    pub(super) const fn retry(self) -> Option<Retry> {
        match self {
            TrailingSlash::Strict => None,
            TrailingSlash::Redirect => Some(search_and_redirect),
            TrailingSlash::Merge => Some(search_other),
        }
    }
}

/// Route that replaces the route that was found. Its action redirects the client to the path that
/// the found route matches.
static REDIRECTION: Route = Route::new(Method::Get, "", redirect);

fn search_and_redirect(router: &Router, request: &Request<'_>, asked: Methods) -> Found {
    let found = search_other(router, request, asked);
    Found { route: found.route.map(|_| &REDIRECTION), ..found }
}

fn search_other(router: &Router, request: &Request<'_>, asked: Methods) -> Found {
    other(request, false).map_or(Found::NOTHING, |path| router.find(path, asked))
}

fn redirect(request: Request<'_>) -> Response<'_> {
    let location = other(&request, true).unwrap_or_default();
    Response::new(Status::PERMANENT_REDIRECT).field("location", location)
}

/// Returns the path with a slash added or removed at its end, in leaked memory. Appends the query
/// if `with_query` is set.
///
/// `None` for `/`, and for a path that begins with two slashes or with `/\`: in `location`, a client
/// would take the first segment of such a path for the name of another server (RFC 3986, section 4.2,
/// and browsers, for which a backslash is a slash).
fn other(request: &Request<'_>, with_query: bool) -> Option<&'static [u8]> {
    let path = request.path_bytes();
    if !path.starts_with(b"/") || matches!(path, [_] | [_, b'/' | b'\\', ..]) {
        return None;
    }
    let query = if with_query { request.query_bytes() } else { &[] };
    let write = |room: &mut [u8]| {
        let mut target = Message::new(room);
        match path.strip_suffix(b"/") {
            Some(path) => target.put(path),
            None => [path, b"/"].into_iter().for_each(|piece| target.put(piece)),
        }
        if !query.is_empty() {
            target.put(b"?");
            target.put(query);
        }
        target.length()
    };
    let room = leak(write(&mut []));
    let length = write(room);
    room.get(..length)
}
