//! The route table: which action answers which method on which path.
//!
//! What follows from a table is answered by it: HEAD like GET, OPTIONS with
//! the methods that a path takes, 404 and 405.

use crate::{Request, Response, Status};

/// What is done for a route: a function from the request to the response.
pub type Action = for<'a> fn(&Request<'a>) -> Response<'a>;

/// The methods that a route can be given. HEAD and OPTIONS come by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD with it.
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    const fn methods(self) -> Methods {
        match self {
            Method::Get => Methods(Methods::GET | Methods::HEAD),
            Method::Post => Methods(Methods::POST),
            Method::Put => Methods(Methods::PUT),
            Method::Patch => Methods(Methods::PATCH),
            Method::Delete => Methods(Methods::DELETE),
        }
    }
}

/// A set of methods, as the field `allow` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Methods(u8);

impl Methods {
    const GET: u8 = 1;
    const HEAD: u8 = 1 << 1;
    const POST: u8 = 1 << 2;
    const PUT: u8 = 1 << 3;
    const PATCH: u8 = 1 << 4;
    const DELETE: u8 = 1 << 5;
    const OPTIONS: u8 = 1 << 6;
    /// Names in the order of their bits.
    const NAMES: [&'static str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

    /// The set that holds the one method of this name (case counts, as HTTP has
    /// it), and nothing where the name is none of those known here.
    fn named(name: &[u8]) -> Methods {
        Methods(match name {
            b"GET" => Methods::GET,
            b"HEAD" => Methods::HEAD,
            b"POST" => Methods::POST,
            b"PUT" => Methods::PUT,
            b"PATCH" => Methods::PATCH,
            b"DELETE" => Methods::DELETE,
            b"OPTIONS" => Methods::OPTIONS,
            _ => 0,
        })
    }

    /// The names of the methods in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = Methods::NAMES.into_iter().enumerate();
        all.filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| name)
    }

    const fn with(self, other: Methods) -> Methods {
        Methods(self.0 | other.0)
    }

    const fn meets(self, other: Methods) -> bool {
        self.0 & other.0 != 0
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    method: Method,
    path: &'static str,
    action: Action,
}

impl Route {
    /// A route for one method on one path, which is compared byte for byte.
    pub const fn new(method: Method, path: &'static str, action: Action) -> Route {
        Route { method, path, action }
    }

    /// The methods that its path takes because of this route.
    const fn methods(&self) -> Methods {
        self.method.methods().with(Methods(Methods::OPTIONS))
    }
}

/// A route for GET and HEAD.
pub const fn get(path: &'static str, action: Action) -> Route {
    Route::new(Method::Get, path, action)
}

/// A route for POST.
pub const fn post(path: &'static str, action: Action) -> Route {
    Route::new(Method::Post, path, action)
}

/// A route for PUT.
pub const fn put(path: &'static str, action: Action) -> Route {
    Route::new(Method::Put, path, action)
}

/// A route for PATCH.
pub const fn patch(path: &'static str, action: Action) -> Route {
    Route::new(Method::Patch, path, action)
}

/// A route for DELETE.
pub const fn delete(path: &'static str, action: Action) -> Route {
    Route::new(Method::Delete, path, action)
}

/// A route table with its answers for what no route takes.
///
/// A request is answered by the first of these that holds:
///
/// 1. OPTIONS on `*`, or on a path of the table: 204, `allow` with the methods.
/// 2. No route of the whole table takes this method: 405, `allow` with all.
/// 3. No route has this path: 404.
/// 4. No route with this path takes this method: 405, `allow` with those that
///    it takes.
/// 5. The action of the first route with this method and path.
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
#[derive(Clone, Copy, Debug)]
pub struct Router {
    routes: &'static [Route],
    methods: Methods,
    not_found: Action,
    method_not_allowed: Action,
}

impl Router {
    /// A table with short pages for 404 and 405.
    pub const fn new(routes: &'static [Route]) -> Router {
        let mut methods = Methods(0);
        let mut rest = routes;
        while let [route, after @ ..] = rest {
            methods = methods.with(route.methods());
            rest = after;
        }
        Router {
            routes,
            methods,
            not_found: |_| Response::html(Status::NOT_FOUND, "<h1>error 404 not found</h1>"),
            method_not_allowed: |_| {
                Response::html(Status::METHOD_NOT_ALLOWED, "<h1>error 405 method not allowed</h1>")
            },
        }
    }

    /// Another action for a path that no route has.
    #[must_use]
    pub const fn not_found(mut self, action: Action) -> Router {
        self.not_found = action;
        self
    }

    /// Another action for a method that is not allowed; the field `allow` is
    /// added to its response.
    #[must_use]
    pub const fn method_not_allowed(mut self, action: Action) -> Router {
        self.method_not_allowed = action;
        self
    }

    /// Answers a request by the table.
    pub fn answer<'a>(&self, request: &Request<'a>) -> Response<'a> {
        let asked = Methods::named(request.method_bytes());
        let is_options = asked.meets(Methods(Methods::OPTIONS));
        let path = request.path_bytes();
        if is_options && path == b"*" {
            return Response::new(Status::NO_CONTENT).allow(self.methods);
        }
        if !asked.meets(self.methods) {
            return (self.method_not_allowed)(request).allow(self.methods);
        }

        let mut allowed = Methods(0);
        let mut action = None;
        for route in self.routes {
            if route.path.as_bytes() == path {
                allowed = allowed.with(route.methods());
                if action.is_none() && route.method.methods().meets(asked) {
                    action = Some(route.action);
                }
            }
        }
        match action {
            Some(action) => action(request),
            None if allowed.is_empty() => (self.not_found)(request),
            None if is_options => Response::new(Status::NO_CONTENT).allow(allowed),
            None => (self.method_not_allowed)(request).allow(allowed),
        }
    }
}
