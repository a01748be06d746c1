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

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(not(target_arch = "wasm32"))]
extern crate std;

pub mod abi;
mod accept;
mod bytes;
mod content;
mod cookie;
mod encoded;
#[doc(hidden)]
pub mod export;
mod log;
mod message;
mod pairs;
mod request;
mod response;
mod route;
mod state;
mod status;
mod text;

pub use content::Content;
pub use cookie::{SameSite, SetCookie};
pub use encoded::{Encoded, percent_encoded};
#[doc(hidden)]
pub use log::write_log_line;
pub use log::{LINE_MAX, Level};
pub use pairs::Pairs;
pub use request::{Malformed, Request};
pub use response::{FIELDS_MAX, Response};
pub use route::{Action, Index, Method, Methods, Route, Router, SHAPES_MAX, delete, get, patch, post, put};
pub use state::State;
pub use status::Status;

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
