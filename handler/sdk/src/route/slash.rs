//! Paths that differ from a route only in a slash at the end.

use super::router::{Found, Router};
use super::{Method, Methods, Route};
use crate::export::leak;
use crate::message::Message;
use crate::{Request, Response, Status};

/// Treatment of a path that no route has, when a route has the path with one slash
/// more or less at its end; see [`Router::trailing_slash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrailingSlash {
    /// `/a/` and `/a` are two paths. A request for the one without a route is answered 404.
    Strict,
    /// The client is redirected by 308 to the path that a route has, and keeps the method,
    /// the body and the query. OPTIONS and 405 are answered without a redirect.
    Redirect,
    /// The route answers both paths.
    Merge,
}

/// Function that searches a table for the path of a request with one slash more or less at its end.
pub(super) type Retry = fn(&Router, &Request<'_>, Methods) -> Found;

impl TrailingSlash {
    /// Returns the search function of this treatment, so that a module contains no other; `None`
    /// for [`TrailingSlash::Strict`].
    pub(super) const fn retry(self) -> Option<Retry> {
        match self {
            TrailingSlash::Strict => None,
            TrailingSlash::Redirect => Some(search_and_redirect),
            TrailingSlash::Merge => Some(search_other),
        }
    }
}

/// Route that is returned in place of the found one, and whose action redirects the client to the
/// found path.
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

/// Returns the path without the slash at its end, or with one added, in leaked memory; followed by
/// the query if `with_query` is set.
///
/// `None` for `/`, and for a path that begins with two slashes: a client would read
/// such a location as the name of another server (RFC 3986, section 4.2).
fn other(request: &Request<'_>, with_query: bool) -> Option<&'static [u8]> {
    let path = request.path_bytes();
    if path == b"/" || path.starts_with(b"//") || !path.starts_with(b"/") {
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
