//! What every handler needs: the request as a view, the response as a value,
//! a route table, and one macro that turns a function into a module which a
//! host can call.
//!
//! ```
//! use handler_sdk::{Request, Response, Router, Status, get};
//!
//! const ROUTES: Router = Router::new(&[get("/", index)]);
//!
//! fn index(_: &Request<'_>) -> Response<'static> {
//!     Response::html(Status::OK, "<h1>hello</h1>")
//! }
//!
//! fn answer<'a>(request: &Request<'a>) -> Response<'a> {
//!     ROUTES.answer(request)
//! }
//!
//! // In a module, this line exports `answer`:  handler_sdk::export!(answer);
//! // In a test, nothing but bytes is needed:
//! let response = handler_sdk::respond(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", answer);
//! assert_eq!(response.status(), Status::OK);
//! ```
//!
//! The crate uses no allocator. All that a handler knows is in the request's
//! bytes: there is no socket, file, clock or randomness to reach for.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod abi;
mod bytes;
#[doc(hidden)]
pub mod export;
mod request;
mod response;
mod route;

pub use request::{Malformed, Request};
pub use response::{FIELDS_MAX, Response, Status};
pub use route::{Action, Method, Methods, Route, Router, delete, get, patch, post, put};

/// Turns a request's bytes into a response: by `answer` when they are a
/// request, and with 400 when they are not.
///
/// This is all that a module does between its two copies, so a test that calls
/// it natively sees what a client would see.
pub fn respond<'a>(request: &'a [u8], answer: Action) -> Response<'a> {
    match Request::parse(request) {
        Ok(request) => answer(&request),
        Err(_) => Response::html(Status::BAD_REQUEST, "<h1>error 400 bad request</h1>"),
    }
}
