//! SDK for handlers: types for the request and the response, a route table, and a macro that
//! exports a function as the handler of a module.
//!
//! A complete handler, except for `#![no_std]` at its start:
//!
//! ```
//! use handler_sdk::{Request, Response, Router, Status, export, get};
//!
//! const ROUTES: Router = Router::new(&[get("/", index), get("/hello/{name}", hello)]);
//!
//! export!(answer);
//!
//! fn answer(request: Request) -> Response {
//!     ROUTES.answer(request)
//! }
//!
//! fn index(_: Request) -> Response {
//!     Response::html(Status::OK, "<h1>hello</h1>")
//! }
//!
//! fn hello(request: Request) -> Response {
//!     let name = request.param("name").map(|name| name.raw()).unwrap_or_default();
//!     Response::text(Status::OK, name)
//! }
//!
//! // A test needs no server:
//! # fn main() {
//! let client = handler_sdk::test::Client::new(answer);
//! assert_eq!(client.get("/hello/ada").text(), "ada");
//! # }
//! ```
//!
//! An action takes the request by value, so a response may borrow from it without a
//! lifetime in the signature. (`#![warn(rust_2018_idioms)]` asks for
//! `Request<'_>` and `Response<'_>`.)
//!
//! The package of a handler has `crate-type = ["cdylib", "lib"]`: `cdylib` for the
//! module, `lib` for tests. `cargo build --release --target wasm32-unknown-unknown`
//! builds the module.
//!
//! | to | use |
//! | --- | --- |
//! | read a request | [`Request`]: `path`, `param`, `query_value`, `field`, `field_text`, `cookie`, `form`, `body`, `accepts` |
//! | read what the host adds to a request | [`Request`]: `id`, `client`, `time` |
//! | answer | [`Response`]: `html`, `text`, `json_bytes`, `redirect`, `field`, `add_field`, `set_cookie`, `body` |
//! | choose an action by method and path | [`Router`], and [`Index`] for many routes |
//! | avoid sending content again | [`Response::conditional`]: entity tags, dates, ranges |
//! | serve a folder of files | [`Site`], and feature `build` for the build script |
//! | answer scripts from other origins | [`Cors`] |
//! | test natively | [`test::Client`](crate::test) |
//! | prepare something once | [`State`] |
//! | read texts and secrets that the operator has set | [`values`] |
//! | draw random bytes | [`fill_random`]; feature `getrandom` for crates that need them |
//! | sign cookies and messages | feature `crypto`: `SigningKeys` |
//! | write to the log | [`log!`] |
//! | use `String`, `Vec`, `format!` | feature `alloc`, and the [`prelude`]; [`Response`] takes owned values |
//! | read and write JSON | feature `json`: `Request::json`, `Response::json` |
//! | use crates that link the standard library | feature `std`, without `#![no_std]` |
//!
//! Unused parts are not linked into a module. No feature is on by default, and
//! without `alloc` there is no allocator. With `alloc`, only the last allocation
//! can be freed; all memory is reset after each request. A module that grows its
//! memory during a request costs the host a new instance, so a module that needs
//! much memory should start with it (`-C link-arg=--initial-memory=BYTES`).
//!
//! A handler sees only the bytes of the request, and values and random bits where it asks
//! for them: it has no socket, file or clock. A panic affects only one request: the client
//! gets status 500, and the panic message is logged.

#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", not(target_arch = "wasm32")))]
extern crate std;

pub mod abi;
mod accept;
#[cfg(all(feature = "build", not(target_arch = "wasm32")))]
pub mod build;
mod bytes;
mod conditional;
mod content;
mod cookie;
mod cors;
#[cfg(feature = "crypto")]
mod crypto;
mod date;
mod encoded;
#[doc(hidden)]
pub mod export;
mod log;
mod media_type;
mod message;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod origin;
mod pairs;
pub mod prelude;
mod random;
mod request;
mod response;
mod route;
mod site;
mod state;
mod status;
#[cfg(not(target_arch = "wasm32"))]
pub mod test;
mod text;
pub mod values;

pub use conditional::{ETag, Precondition, Validators};
pub use content::Content;
pub use cookie::{SameSite, SetCookie};
pub use cors::Cors;
#[cfg(feature = "crypto")]
pub use crypto::SigningKeys;
pub use date::HttpDate;
pub use encoded::{Encoded, percent_encoded};
#[doc(hidden)]
pub use log::write_log_line;
pub use log::{LINE_MAX, Level};
pub use media_type::media_type;
pub use pairs::Pairs;
pub use random::fill_random;
pub use request::{Malformed, Request};
pub use response::{FIELDS_MAX, Response};
pub use route::{
    Action, ErrorPage, Index, Method, Methods, Route, Router, SHAPES_MAX, TrailingSlash, delete, get, patch,
    post, put,
};
pub use site::Site;
#[doc(hidden)]
pub use site::{SiteFile, SiteVariant};
pub use state::State;
pub use status::Status;

/// Parses the bytes of a request and calls `answer`. Returns a response with status 400 if the
/// bytes are not a request.
///
/// A module does exactly this between copying the request in and the response out, so a native test
/// gets the response that a client would get.
pub fn respond<'a>(request: &'a [u8], answer: Action) -> Response<'a> {
    match Request::parse(request) {
        Ok(request) => answer(request),
        Err(_) => Response::html(Status::BAD_REQUEST, "<h1>error 400 bad request</h1>"),
    }
}

/// Compiles the Rust code in `docs/handlers.md` as doc tests. Left out of other builds: the code
/// needs more features than a handler does, and `host new` copies the SDK without that file.
#[cfg(all(doctest, feature = "alloc", feature = "build", feature = "crypto", feature = "json"))]
#[doc = include_str!("../../../docs/handlers.md")]
mod guide {}
