//! Routes: the action for each method and path.

mod hash;
mod index;
mod method;
mod pattern;
mod refusal;
mod router;
mod slash;

pub use index::{Index, SHAPES_MAX};
pub use method::{Method, Methods};
pub use router::{ErrorPage, Router};
pub use slash::TrailingSlash;

use crate::encoded::Encoded;
use crate::{Request, Response};

/// Action of a route: a function that takes the request by value and returns the response, which
/// may borrow from the request.
///
/// ```
/// use handler_sdk::{Request, Response, Status};
///
/// fn page(request: Request) -> Response {
///     Response::text(Status::OK, request.path())
/// }
/// # const _: handler_sdk::Action = page;
/// ```
pub type Action = for<'a> fn(Request<'a>) -> Response<'a>;

/// Row of a route table: the action for one method on one path pattern.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    method: Method,
    path: &'static str,
    action: Action,
}

impl Route {
    /// Creates a route for one method and one path pattern. [`Router`] describes the patterns, and
    /// checks them.
    pub const fn new(method: Method, path: &'static str, action: Action) -> Route {
        Route { method, path, action }
    }

    /// Returns the path pattern.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the methods that the route allows: its own method, HEAD if its own is GET, and
    /// OPTIONS.
    const fn methods(&self) -> Methods {
        self.method.methods().with(Methods::ALWAYS)
    }
}

/// Creates a route for GET and HEAD.
pub const fn get(path: &'static str, action: Action) -> Route {
    Route::new(Method::Get, path, action)
}

/// Creates a route for POST.
pub const fn post(path: &'static str, action: Action) -> Route {
    Route::new(Method::Post, path, action)
}

/// Creates a route for PUT.
pub const fn put(path: &'static str, action: Action) -> Route {
    Route::new(Method::Put, path, action)
}

/// Creates a route for PATCH.
pub const fn patch(path: &'static str, action: Action) -> Route {
    Route::new(Method::Patch, path, action)
}

/// Creates a route for DELETE.
pub const fn delete(path: &'static str, action: Action) -> Route {
    Route::new(Method::Delete, path, action)
}

impl<'a> Request<'a> {
    /// Returns the part of the path that matched `{name}` or `{*name}`; never
    /// empty. `None` if the chosen route has no such parameter, or no [`Router`]
    /// has chosen a route.
    ///
    /// ```
    /// # use handler_sdk::{Request, Response, Router, Status, get, respond};
    /// const ROUTES: Router = Router::new(&[get("/users/{id}/files/{*path}", file)]);
    ///
    /// fn file(request: Request<'_>) -> Response<'_> {
    ///     let id: Option<u32> = request.param("id").and_then(|id| id.parse());
    ///     let path = request.param("path").map(|path| path.raw()).unwrap_or_default();
    ///     Response::text(if id == Some(7) { Status::OK } else { Status::NOT_FOUND }, path)
    /// }
    /// # fn answer(r: Request<'_>) -> Response<'_> { ROUTES.answer(r) }
    /// let response = respond(b"GET /users/7/files/a/b%20c HTTP/1.1\r\n\r\n", answer);
    /// let mut room = [0; 128];
    /// let length = response.encode(&mut room).unwrap();
    /// assert!(room[..length].ends_with(b"\r\n\r\na/b%20c"));
    /// ```
    pub fn param(&self, name: &str) -> Option<Encoded<'a>> {
        pattern::param(self.route().as_bytes(), self.path_bytes(), name.as_bytes()).map(Encoded::percent)
    }
}
