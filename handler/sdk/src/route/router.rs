//! Route table, including the responses that need no action: OPTIONS with the allowed
//! methods, 404, 405 and 501.

use super::index::{Index, Links, assert_distinct, search_index};
use super::pattern::{Pattern, Shape, fit};
use super::slash::{Retry, TrailingSlash};
use super::{Action, Methods, Route};
use crate::cors::Cors;
use crate::{Request, Response, Status};

/// Route table. Also answers the requests that no route matches.
///
/// The path pattern of a route consists of segments, each after a slash. They are compared byte by
/// byte without decoding: `/a%62` is not `/ab`, and `/a/` is not `/a`, unless
/// [`Router::trailing_slash`] says so.
///
/// | segment | matches |
/// | --- | --- |
/// | `users` | exactly this segment |
/// | `{id}` | one segment that is not empty |
/// | `{*path}`, only at the end | the rest of the path, including slashes, if it is not empty |
///
/// If several routes match, the first segment in which they differ decides: a
/// literal wins over `{id}`, and `{id}` over `{*path}`. So the order of the table
/// does not matter. A table is refused when two of its routes have the same method
/// and patterns that differ only in parameter names.
///
/// A request is answered by the first of these rules that applies:
///
/// 1. OPTIONS on `*`: 204, with the methods of all routes in `allow`.
/// 2. A method other than GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS: 501, on
///    any path (RFC 9110, section 9.1).
/// 3. A route matches the path and the method: its action. HEAD uses the route for GET.
/// 4. No route matches the path: 404, for every method.
/// 5. OPTIONS: 204, with `allow`.
/// 6. Anything else: 405, with `allow`.
///
/// `allow` names the methods of all routes that match the path: with
/// `get("/users/me")` and `delete("/users/{id}")`, `DELETE /users/me` uses the second
/// route, and `PUT /users/me` is answered 405 with `allow: GET, HEAD, DELETE, OPTIONS`.
///
/// | option | what it changes |
/// | --- | --- |
/// | [`Router::not_found`], [`Router::method_not_allowed`] | the pages for 404 and 405 |
/// | [`Router::error_page`] | the pages for all errors |
/// | [`Router::trailing_slash`] | whether `/a/` is answered like `/a` |
/// | [`Router::cors`] | which scripts of other origins may read responses |
/// | [`Router::method_before_path`] | 405 for a method without any route, on any path |
///
/// ```
/// # use handler_sdk::test::Client;
/// # use handler_sdk::{Request, Response, Router, Status, get, post};
/// const ROUTES: Router = Router::new(&[get("/notes", list), post("/notes", add), get("/", list)]);
/// # fn list(_: Request) -> Response { Response::new(Status::OK) }
/// # fn add(_: Request) -> Response { Response::new(Status::NO_CONTENT) }
/// let client = Client::new(|request| ROUTES.answer(request));
/// assert_eq!(client.head("/notes?page=2").status(), 200);
/// assert_eq!(client.options("/notes").status(), 204);
/// assert_eq!(client.put("/nope", "").status(), 404);
/// assert_eq!(client.post("/", "").status(), 405);
/// assert_eq!(client.post("/", "").field("allow"), Some("GET, HEAD, OPTIONS"));
/// ```
///
/// [`Router::new`] creates a table that is searched row by row, which is best for up to about 35
/// literal paths, or 4 with a parameter. For more routes, use [`Router::indexed`]: its search takes
/// as long for 10,000 routes as for 100.
#[derive(Clone, Copy, Debug)]
pub struct Router {
    pub(super) routes: &'static [Route],
    pub(super) links: Links,
    /// Function that searches the table. Stored as a pointer, so that a module whose table is a
    /// `const` does not contain the other search functions. For the same reason, options are stored
    /// with the functions that apply them.
    search: Search,
    methods: Methods,
    not_found: Pages,
    method_not_allowed: Pages,
    /// Responses with status 501 to unknown methods. `None` after [`Router::method_before_path`],
    /// so that unknown methods get 405.
    not_implemented: Option<Pages>,
    other_path: Option<Retry>,
    error_page: Option<(ErrorPage, AddPage)>,
    cors: Option<(Cors, ApplyPolicy)>,
}

/// Two actions for an error. The first answers without a body, and is used if
/// [`Router::error_page`] adds one. The second answers with a short page.
type Pages = [Action; 2];

type AddPage = for<'a> fn(ErrorPage, Request<'a>, Response<'a>) -> Response<'a>;
type ApplyPolicy = for<'a> fn(&Cors, &Request<'a>, Response<'a>) -> Response<'a>;

/// Function that returns the page for an error, from the request and the status of the error; see
/// [`Router::error_page`].
pub type ErrorPage = for<'a> fn(Request<'a>, Status) -> Response<'a>;

type Search = fn(&Router, &[u8], Methods) -> Found;

/// Result of a search for the routes of a path.
pub(super) struct Found {
    /// Best route that matches the path and takes the method.
    pub(super) route: Option<&'static Route>,
    /// Methods of all routes that match the path; empty if no route does.
    pub(super) allowed: Methods,
}

impl Found {
    pub(super) const NOTHING: Found = Found { route: None, allowed: Methods::NONE };

    /// Adds the methods of a matching route to `allowed`. Returns whether the route takes the
    /// method `asked`.
    pub(super) const fn add(&mut self, route: &'static Route, asked: Methods) -> bool {
        self.allowed = self.allowed.with(route.methods());
        route.method.methods().meets(asked)
    }
}

impl Router {
    /// Creates a table that is searched row by row.
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

    /// Creates a table for many routes, which is searched by an index.
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
    /// Under the same conditions as [`Index::new`].
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
            not_found: NOT_FOUND,
            method_not_allowed: METHOD_NOT_ALLOWED,
            not_implemented: Some(NOT_IMPLEMENTED),
            other_path: None,
            error_page: None,
            cors: None,
        }
    }

    /// Sets the action for paths that no route matches.
    #[must_use]
    pub const fn not_found(mut self, action: Action) -> Router {
        self.not_found = [action; 2];
        self
    }

    /// Sets the action for methods that are not allowed. The router adds the field `allow` to the
    /// response.
    #[must_use]
    pub const fn method_not_allowed(mut self, action: Action) -> Router {
        self.method_not_allowed = [action; 2];
        self
    }

    /// Sets the function that creates the pages for errors: for the router's own 404, 405 and 501,
    /// and for each response of an action with a status of 400 or above and without a body. The
    /// response keeps its status and its fields, including `allow`. Fields that the response lacks,
    /// such as `content-type`, come from the page.
    ///
    /// If an action panics, its call ends, so the host answers the request with status 500 and its
    /// own page.
    ///
    /// ```
    /// # use handler_sdk::test::Client;
    /// # use handler_sdk::{Request, Response, Router, Status, get};
    /// const ROUTES: Router = Router::new(&[get("/", busy)]).error_page(page);
    ///
    /// fn busy(_: Request) -> Response {
    ///     Response::new(Status::SERVICE_UNAVAILABLE).field("retry-after", "60")
    /// }
    ///
    /// fn page(_: Request, status: Status) -> Response {
    ///     Response::text(status, status.reason())
    /// }
    ///
    /// let client = Client::new(|request| ROUTES.answer(request));
    /// assert_eq!(client.get("/nope").text(), "Not Found");
    /// let busy = client.get("/");
    /// assert_eq!((busy.status(), busy.field("retry-after")), (503, Some("60")));
    /// assert_eq!(busy.text(), "Service Unavailable");
    /// ```
    #[must_use]
    pub const fn error_page(mut self, page: ErrorPage) -> Router {
        self.error_page = Some((page, with_page));
        self
    }

    /// Sets the treatment of a path that differs from a route only in a slash at its end;
    /// [`TrailingSlash::Strict`] by default.
    #[must_use]
    pub const fn trailing_slash(mut self, treatment: TrailingSlash) -> Router {
        self.other_path = treatment.retry();
        self
    }

    /// Sets the policy for scripts from other origins. Without a policy, browsers let no
    /// such script read a response. A policy adds up to six fields to the answer to a
    /// preflight, and up to four to any other response; all count towards
    /// [`FIELDS_MAX`](crate::FIELDS_MAX).
    #[must_use]
    pub const fn cors(mut self, policy: Cors) -> Router {
        self.cors = Some((policy, Cors::apply));
        self
    }

    /// Checks the method before the path. If no route of the table takes the method, the response
    /// has status 405 on any path, with all methods of the table in `allow`. This includes unknown
    /// methods.
    ///
    /// By default, as in RFC 9110, an unknown method gets 501 on any path, and an unknown path gets
    /// 404 for every other method.
    #[must_use]
    pub const fn method_before_path(mut self) -> Router {
        self.not_implemented = None;
        self
    }

    /// Answers a request from the table.
    // Inlined, because the compiler knows the options of a table that is a `const`.
    #[inline]
    pub fn answer<'a>(&self, request: Request<'a>) -> Response<'a> {
        let (action, route, allow) = self.choose(&request);
        let mut response = action(request.of_route(route));
        if let Some(methods) = allow {
            response.set_allow(methods);
        }
        if let Some((page, add)) = self.error_page {
            response = add(page, request, response);
        }
        if let Some((policy, apply)) = &self.cors {
            response = apply(policy, &request, response);
        }
        response
    }

    /// Returns the action for a request, the pattern of its route, and the methods
    /// for `allow`.
    #[inline]
    fn choose(&self, request: &Request<'_>) -> (Action, &'static str, Option<Methods>) {
        let asked = Methods::named(request.method_bytes());
        let is_options = asked.meets(Methods::ALWAYS);
        let path = request.path_bytes();
        if is_options && path == b"*" {
            return (no_content, "", Some(self.methods));
        }
        match self.not_implemented {
            Some(pages) if asked.is_empty() => return (self.page(pages), "", None),
            None if !asked.meets(self.methods) => {
                return (self.page(self.method_not_allowed), "", Some(self.methods));
            }
            _ => {}
        }
        let mut found = self.find(path, asked);
        if let Some(retry) = self.other_path
            && found.allowed.is_empty()
        {
            found = retry(self, request, asked);
        }
        let Found { route, allowed } = found;
        match route {
            Some(route) => (route.action, route.path, None),
            None if allowed.is_empty() => (self.page(self.not_found), "", None),
            None if is_options => (no_content, "", Some(allowed)),
            None => (self.page(self.method_not_allowed), "", Some(allowed)),
        }
    }

    #[inline]
    const fn page(&self, [bare, short]: Pages) -> Action {
        if self.error_page.is_some() { bare } else { short }
    }

    /// Searches the table for the routes that match a path, and for the best one among them that
    /// has the method `asked`.
    #[inline]
    pub(super) fn find(&self, path: &[u8], asked: Methods) -> Found {
        (self.search)(self, path, asked)
    }
}

const NOT_FOUND: Pages = [
    |_| Response::new(Status::NOT_FOUND),
    |_| Response::html(Status::NOT_FOUND, "<h1>error 404 not found</h1>"),
];
const METHOD_NOT_ALLOWED: Pages = [
    |_| Response::new(Status::METHOD_NOT_ALLOWED),
    |_| Response::html(Status::METHOD_NOT_ALLOWED, "<h1>error 405 method not allowed</h1>"),
];
const NOT_IMPLEMENTED: Pages = [
    |_| Response::new(Status::NOT_IMPLEMENTED),
    |_| Response::html(Status::NOT_IMPLEMENTED, "<h1>error 501 not implemented</h1>"),
];

/// Adds the page of [`Router::error_page`] to an error response without a body.
fn with_page<'a>(page: ErrorPage, request: Request<'a>, response: Response<'a>) -> Response<'a> {
    if response.status().code() < 400 || !response.body_bytes().is_empty() {
        return response;
    }
    page(request, response.status()).under(&response)
}

fn no_content(_: Request<'_>) -> Response<'static> {
    Response::new(Status::NO_CONTENT)
}

/// Searches row by row in a table of literal paths.
fn search_literals(router: &Router, path: &[u8], asked: Methods) -> Found {
    let mut found = Found::NOTHING;
    for route in router.routes {
        if route.path.as_bytes() == path && found.add(route, asked) {
            found.route = Some(route);
        }
    }
    found
}

/// Searches row by row in any table.
fn search_patterns(router: &Router, path: &[u8], asked: Methods) -> Found {
    let mut found = Found::NOTHING;
    let mut best = Shape::LEAST;
    for route in router.routes {
        if let Some(shape) = fit(route.path.as_bytes(), path)
            && found.add(route, asked)
            && shape < best
        {
            (best, found.route) = (shape, Some(route));
        }
    }
    found
}
