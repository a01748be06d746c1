//! Route table, including the responses that need no route: HEAD like GET, OPTIONS
//! with the allowed methods, 404 and 405.

use super::index::{Index, Links, assert_distinct, search_index};
use super::pattern::{Pattern, Shape, fit};
use super::{Action, Methods, Route};
use crate::{Request, Response, Status};

/// Route table with responses for requests that no route matches.
///
/// A pattern consists of segments, each after a slash, which are compared byte for
/// byte without decoding: `/a%62` is not `/ab`, and `/a/` is not `/a`.
///
/// | segment | takes |
/// | --- | --- |
/// | `users` | this segment |
/// | `{id}` | one segment that is not empty |
/// | `{*path}`, the last one | all that is left, slashes included, where that is not empty |
///
/// If several patterns match, the first segment in which they differ decides: a
/// literal wins over `{id}`, and `{id}` over `{*path}`. So the order of the table
/// does not matter. A table is refused when two of its routes have the same method
/// and patterns that differ only in parameter names.
///
/// The first of these rules that applies answers a request:
///
/// 1. OPTIONS on `*`, or on a path of the table: 204, `allow` with the methods.
/// 2. No route of the whole table takes this method: 405, `allow` with all.
/// 3. No route has this path: 404.
/// 4. No route with this path takes this method: 405, `allow` with those that
///    it takes.
/// 5. The action of the route with this method and path.
///
/// *This path* is the one path of the table that is preferred, whatever the
/// method: with `get("/users/me")` and `delete("/users/{id}")`, `DELETE /users/me`
/// is 405.
///
/// ```
/// # use handler_sdk::{Request, Response, Router, Status, get, post, respond};
/// const ROUTES: Router = Router::new(&[get("/notes", list), post("/notes", add), get("/", list)]);
/// # fn list(_: &Request<'_>) -> Response<'static> { Response::new(Status::OK) }
/// # fn add(_: &Request<'_>) -> Response<'static> { Response::new(Status::NO_CONTENT) }
/// # fn answer<'a>(r: &Request<'a>) -> Response<'a> { ROUTES.answer(r) }
/// let code = |request: &[u8]| respond(request, answer).status().code();
/// assert_eq!(code(b"HEAD /notes?page=2 HTTP/1.1\r\n\r\n"), 200);
/// assert_eq!(code(b"OPTIONS /notes HTTP/1.1\r\n\r\n"), 204);
/// assert_eq!(code(b"PUT /nope HTTP/1.1\r\n\r\n"), 405);
/// assert_eq!(code(b"POST /nope HTTP/1.1\r\n\r\n"), 404);
/// assert_eq!(code(b"POST / HTTP/1.1\r\n\r\n"), 405);
/// ```
///
/// [`Router::new`] goes through the table line by line, which is best for up to about
/// 35 literal paths, or 4 with a parameter. For more of them there is
/// [`Router::indexed`], which takes the same time for 100 routes as for 10,000.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    pub(super) routes: &'static [Route],
    pub(super) links: Links,
    /// Search function of the table. Only this one is linked into a module whose
    /// table is a `const`.
    search: Search,
    methods: Methods,
    not_found: Action,
    method_not_allowed: Action,
}

type Search = fn(&Router, &[u8], Methods) -> Found;

/// Result of a search.
pub(super) struct Found {
    /// Matching route.
    pub(super) route: Option<&'static Route>,
    /// Methods of the path; empty if the table does not have the path.
    pub(super) allowed: Methods,
}

impl Found {
    pub(super) const NOTHING: Found = Found { route: None, allowed: Methods::NONE };

    /// Records a route that has the path.
    pub(super) const fn add(&mut self, route: &'static Route, asked: Methods) {
        self.allowed = self.allowed.with(route.methods());
        if route.method.methods().meets(asked) {
            self.route = Some(route);
        }
    }
}

impl Router {
    /// Creates a table with short pages for 404 and 405.
    ///
    /// # Panics
    ///
    /// When a path is malformed, or two routes match the same requests; in a
    /// `const`, a compile error.
    ///
    /// ```compile_fail
    /// # use handler_sdk::{Action, Router, get};
    /// # const SHOW: Action = |_| handler_sdk::Response::new(handler_sdk::Status::OK);
    /// const ROUTES: Router = Router::new(&[get("/users/{id}", SHOW), get("/users/{name}", SHOW)]);
    /// # let _ = ROUTES;
    /// ```
    pub const fn new(routes: &'static [Route]) -> Router {
        let mut search: Search = search_literals;
        let mut rest = routes;
        while let [route, after @ ..] = rest {
            if !Pattern::of(route.path).shape.is_literal() {
                search = search_patterns;
            }
            let mut others = after;
            while let [other, after @ ..] = others {
                assert_distinct(route, other);
                others = after;
            }
            rest = after;
        }
        Router::searched_by(search, routes, Links::NONE)
    }

    /// Creates a table of many routes that is searched by an index.
    ///
    /// ```
    /// # use handler_sdk::{Action, Index, Router, get};
    /// # const SHOW: Action = |_| handler_sdk::Response::new(handler_sdk::Status::OK);
    /// const ROUTES: Router = Router::indexed(&Index::new([get("/", SHOW), get("/users/{id}", SHOW)]));
    /// # let _ = ROUTES;
    /// ```
    pub const fn indexed<const N: usize>(index: &'static Index<N>) -> Router {
        Router::searched_by(search_index, index.routes(), index.links())
    }

    /// Creates an indexed table at run time, usually in a [`State`](crate::State).
    /// The table is leaked.
    ///
    /// # Panics
    ///
    /// When [`Index::new`] panics.
    ///
    /// ```
    /// # use handler_sdk::{Action, Router, State, get};
    /// # const SHOW: Action = |_| handler_sdk::Response::new(handler_sdk::Status::OK);
    /// static ROUTES: State<Router> = State::new(|| {
    ///     let paths = ["a", "b"].map(|name| format!("/{name}/{{id}}"));
    ///     Router::of_routes(paths.into_iter().map(|path| get(path.leak(), SHOW)).collect())
    /// });
    /// # ROUTES.get();
    /// ```
    #[cfg(feature = "alloc")]
    pub fn of_routes(routes: alloc::vec::Vec<Route>) -> Router {
        let routes: &[Route] = routes.leak();
        Router::searched_by(search_index, routes, Links::leaked(routes))
    }

    const fn searched_by(search: Search, routes: &'static [Route], links: Links) -> Router {
        let mut methods = Methods::NONE;
        let mut rest = routes;
        while let [route, after @ ..] = rest {
            methods = methods.with(route.methods());
            rest = after;
        }
        Router {
            routes,
            links,
            search,
            methods,
            not_found: |_| Response::html(Status::NOT_FOUND, "<h1>error 404 not found</h1>"),
            method_not_allowed: |_| {
                Response::html(Status::METHOD_NOT_ALLOWED, "<h1>error 405 method not allowed</h1>")
            },
        }
    }

    /// Sets the action for paths that no route has.
    #[must_use]
    pub const fn not_found(mut self, action: Action) -> Router {
        self.not_found = action;
        self
    }

    /// Sets the action for methods that are not allowed; the field `allow` is added
    /// to its response.
    #[must_use]
    pub const fn method_not_allowed(mut self, action: Action) -> Router {
        self.method_not_allowed = action;
        self
    }

    /// Answers a request from the table.
    pub fn answer<'a>(&self, request: &Request<'a>) -> Response<'a> {
        let (action, route, allow) = self.choose(request);
        let mut response = action(&request.of_route(route));
        if let Some(methods) = allow {
            response.set_allow(methods);
        }
        response
    }

    /// Returns the action for a request, the pattern of its route, and the methods
    /// for `allow`.
    fn choose(&self, request: &Request<'_>) -> (Action, &'static str, Option<Methods>) {
        let asked = Methods::named(request.method_bytes());
        let is_options = asked.meets(Methods::ALWAYS);
        let path = request.path_bytes();
        if is_options && path == b"*" {
            return (no_content, "", Some(self.methods));
        }
        if !asked.meets(self.methods) {
            return (self.method_not_allowed, "", Some(self.methods));
        }
        let Found { route, allowed } = (self.search)(self, path, asked);
        match route {
            Some(route) => (route.action, route.path, None),
            None if allowed.is_empty() => (self.not_found, "", None),
            None if is_options => (no_content, "", Some(allowed)),
            None => (self.method_not_allowed, "", Some(allowed)),
        }
    }
}

fn no_content(_: &Request<'_>) -> Response<'static> {
    Response::new(Status::NO_CONTENT)
}

/// Searches row by row in a table of literal paths.
fn search_literals(router: &Router, path: &[u8], asked: Methods) -> Found {
    let mut found = Found::NOTHING;
    for route in router.routes {
        if route.path.as_bytes() == path {
            found.add(route, asked);
        }
    }
    found
}

/// Searches row by row in any table.
fn search_patterns(router: &Router, path: &[u8], asked: Methods) -> Found {
    let mut found = Found::NOTHING;
    let mut best = Shape::LEAST;
    for route in router.routes {
        match fit(route.path.as_bytes(), path) {
            Some(shape) if shape <= best => {
                if shape < best {
                    (best, found) = (shape, Found::NOTHING);
                }
                found.add(route, asked);
            }
            _ => {}
        }
    }
    found
}
